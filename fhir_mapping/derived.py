"""The inferences of one history, each made once and only when a rule asks for it."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.lines import count_of_lines, lines_of_therapy
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.lines import LineCount
from fhir_mapping.model.vocabulary import DrugClass
from fhir_mapping.refractory import class_exposed, refractory_to, substance


class Inferences:
    """See model.derived.Derived; `known` are the members of the history that all of it is inferred from."""

    def __init__(self, known: Mapping[str, Any], catalog: Catalog) -> None:
        """Keep what is known; nothing is worked out yet."""
        self._known = known
        self._catalog = catalog

    @cached_property
    def _history(self) -> TreatmentHistory:
        # A second history of the same facts: one that held its own inferences would be a cycle to collect
        return TreatmentHistory(**self._known)

    @cached_property
    def _lines(self) -> LineCount:
        # Telling them is half the work, and only against a written number does anybody ask which lines there were
        history = self._history
        return (lines_of_therapy if history.documented_lines else count_of_lines)(history, self._catalog)

    def lines(self) -> LineCount:
        """Count the lines of therapy; they are told only where a line number was written down."""
        return self._lines

    def exposed_to(self, drug_class: DrugClass) -> Answer:
        """Whether any drug of a class was given."""
        return class_exposed(self._history, drug_class, self._catalog)

    def refractory_to(self, drug_id: str) -> Answer:
        """Whether the myeloma is refractory to a substance."""
        wanted = substance(self._catalog.drugs[drug_id], self._catalog)
        return refractory_to(self._history, lambda drug: substance(drug, self._catalog) == wanted, self._catalog)
