"""The inferences of one history, the costly ones made once and only when a rule asks for them."""

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.lines import count_of_lines, lines_of_therapy
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.lines import LineCount
from fhir_mapping.model.vocabulary import DrugClass
from fhir_mapping.refractory import class_exposed, refractory_to, substance


class Inferences:
    """See model.derived.Derived: the inferences of the one history that it belongs to."""

    def __init__(self, catalog: Catalog) -> None:
        """Take the tables; nothing is worked out yet."""
        self._catalog = catalog
        self._lines: LineCount | None = None

    def lines(self, history: TreatmentHistory) -> LineCount:
        """Count the lines of therapy; they are told only where a line number was written down."""
        if self._lines is None:
            # Telling them is half the work, and only against a written number does anybody ask which lines there were
            count = lines_of_therapy if history.documented_lines else count_of_lines
            self._lines = count(history, self._catalog)
        return self._lines

    def exposed_to(self, history: TreatmentHistory, drug_class: DrugClass) -> Answer:
        """Whether any drug of a class was given."""
        return class_exposed(history, drug_class, self._catalog)

    def refractory_to(self, history: TreatmentHistory, drug_id: str) -> Answer:
        """Whether the myeloma is refractory to a substance."""
        wanted = substance(self._catalog.drugs[drug_id], self._catalog)
        return refractory_to(history, lambda drug: substance(drug, self._catalog) == wanted, self._catalog)
