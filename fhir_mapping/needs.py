"""Which FHIR searches feed which Topic: the one source of prefetch templates and of coverage.

The keys are a contract with every EHR that calls us: they may grow, but none is ever renamed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.coverage import Coverage, Level, TopicCoverage
from fhir_mapping.model.vocabulary import Topic


@dataclass(frozen=True, slots=True)
class Search:
    """One search of the patient's chart and the resource type that answers it."""

    resource_type: str
    query: str


@dataclass(frozen=True, slots=True)
class Need:
    """The searches without which absence in a Topic proves nothing.

    With `of_medications`, reading nothing but empty lists proves nothing either.
    """

    essential: tuple[str, ...]
    of_medications: bool = False


_MEDICATION_LISTS = ("medicationStatements", "medicationRequests", "medicationAdministrations")

NEEDS: Mapping[Topic, Need] = {
    Topic.PATIENT: Need(("patient",)),
    Topic.DIAGNOSIS: Need(("conditions",)),
    Topic.TREATMENT: Need(_MEDICATION_LISTS, of_medications=True),
    Topic.CELL_THERAPY: Need(("procedures", "conditions", "medicationAdministrations", "medicationStatements")),
    Topic.PROGRESSION: Need(("observations", "conditions")),
    Topic.PROPHYLAXIS: Need(_MEDICATION_LISTS, of_medications=True),
    Topic.ALLERGIES: Need(("allergies", "conditions")),
    Topic.LABS: Need(("observations",)),
}

# What opens the chart; every rule stands behind gates that read them, so they are no rule's own Topic
GATE_TOPICS = frozenset({Topic.PATIENT, Topic.DIAGNOSIS})

_PATIENT = "{{context.patientId}}"
_OBSERVED = ("cancer-disease-status", "cd4-count", "anc", "creatinine", "egfr")


def searches(catalog: Catalog) -> dict[str, Search]:
    """Give every search by its prefetch key; each query names a parameter once and needs the patient alone."""
    codes = sorted(
        code
        for (system, code), concepts in catalog.concept_codes["lab"].items()
        if system == "loinc" and concepts.intersection(_OBSERVED)
    )
    return {
        "patient": Search("Patient", f"Patient/{_PATIENT}"),
        "conditions": Search("Condition", f"Condition?patient={_PATIENT}"),
        "medicationStatements": Search("MedicationStatement", f"MedicationStatement?patient={_PATIENT}"),
        "medicationRequests": Search("MedicationRequest", f"MedicationRequest?patient={_PATIENT}"),
        "medicationAdministrations": Search("MedicationAdministration", f"MedicationAdministration?patient={_PATIENT}"),
        "procedures": Search("Procedure", f"Procedure?patient={_PATIENT}"),
        "allergies": Search("AllergyIntolerance", f"AllergyIntolerance?patient={_PATIENT}"),
        "observations": Search("Observation", f"Observation?patient={_PATIENT}&code={','.join(codes)}"),
    }


@dataclass(frozen=True, slots=True)
class Reading:
    """How one search ended: how completely it was read, and how many entries it gave."""

    level: Level
    entries: int = 0


def coverage_of(readings: Mapping[str, Reading]) -> Coverage:
    """Work out, Topic by Topic, what the searches together prove; a search without a reading was not answered."""
    return Coverage({topic: _topic_coverage(need, readings) for topic, need in NEEDS.items()})


def _topic_coverage(need: Need, readings: Mapping[str, Reading]) -> TopicCoverage:
    missing = Reading(Level.UNAVAILABLE)
    read = {key: readings.get(key, missing) for key in need.essential}
    unread = tuple(key for key, reading in read.items() if reading.level is not Level.COMPLETE)
    if all(reading.level is Level.UNAVAILABLE for reading in read.values()):
        return TopicCoverage(Level.UNAVAILABLE, unread)
    is_empty = need.of_medications and not unread and not any(r.entries for r in read.values())
    level = Level.PARTIAL if unread or is_empty else Level.COMPLETE
    return TopicCoverage(level, unread, is_empty)
