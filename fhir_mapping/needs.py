"""Which FHIR searches feed which Topic: the one source of prefetch templates and of coverage.

The keys are a contract with every EHR that calls us: they may grow, but none is ever renamed.
"""

from collections.abc import Collection, Mapping
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

PATIENT_ID_HERE = "{{context.patientId}}"  # what each client replaces with the patient's id

_OBSERVED = ("cancer-disease-status", "cd4-count", "anc", "creatinine", "egfr")


RESOURCE_TYPES: Mapping[str, str] = {
    "patient": "Patient",
    "conditions": "Condition",
    "medicationStatements": "MedicationStatement",
    "medicationRequests": "MedicationRequest",
    "medicationAdministrations": "MedicationAdministration",
    "procedures": "Procedure",
    "allergies": "AllergyIntolerance",
    "observations": "Observation",
}


# What an EHR may do without; nothing can be said without Patient and Condition
OPTIONAL_TYPES = tuple(kind for kind in RESOURCE_TYPES.values() if kind not in {"Patient", "Condition"})


def searches(catalog: Catalog) -> dict[str, Search]:
    """Give every search by its prefetch key; each query names a parameter once and needs the patient alone."""
    codes = sorted(
        code
        for (system, code), concepts in catalog.concept_codes["lab"].items()
        if system == "loinc" and concepts.intersection(_OBSERVED)
    )
    queries = {key: f"{kind}?patient={PATIENT_ID_HERE}" for key, kind in RESOURCE_TYPES.items()}
    queries["patient"] = f"Patient/{PATIENT_ID_HERE}"
    queries["observations"] += f"&code={','.join(codes)}"
    return {key: Search(RESOURCE_TYPES[key], query) for key, query in queries.items()}


@dataclass(frozen=True, slots=True)
class Reading:
    """How one search ended: how completely it was read, and how many entries it gave."""

    level: Level
    entries: int = 0


_NOT_ANSWERED = Reading(Level.UNAVAILABLE)
_SEARCHES_OF_DOSES = frozenset({"medicationStatements", "medicationAdministrations"})


def coverage_of(readings: Mapping[str, Reading], unsupported_types: Collection[str] = ()) -> Coverage:
    """Work out, Topic by Topic, what the searches together prove; a search without a reading was not answered.

    A search for a type that the EHR does not have (`unsupported_types`) is not waited for; but without any record of
    doses given or taken, orders alone prove no absence.
    """
    unsupported = frozenset(key for key, kind in RESOURCE_TYPES.items() if kind in unsupported_types)
    return Coverage({topic: _topic_coverage(need, readings, unsupported) for topic, need in NEEDS.items()})


def _topic_coverage(need: Need, readings: Mapping[str, Reading], unsupported: frozenset[str]) -> TopicCoverage:
    read = {key: readings.get(key, _NOT_ANSWERED) for key in need.essential}
    essential = _without(unsupported, read, need) if unsupported else read
    unread = tuple(key for key, reading in essential.items() if reading.level is not Level.COMPLETE)
    if all(reading.level is Level.UNAVAILABLE for reading in essential.values()):
        return TopicCoverage(Level.UNAVAILABLE, unread)
    is_empty = need.of_medications and not unread and not any(r.entries for r in essential.values())
    level = Level.PARTIAL if unread or is_empty else Level.COMPLETE
    return TopicCoverage(level, unread, is_empty)


def _without(unsupported: frozenset[str], read: Mapping[str, Reading], need: Need) -> Mapping[str, Reading]:
    """Leave out what the EHR does not have, unless nothing would be left to prove the Topic by."""
    waived = {key for key in unsupported if key in read and read[key].level is Level.UNAVAILABLE}
    if need.of_medications and waived >= _SEARCHES_OF_DOSES:
        waived -= _SEARCHES_OF_DOSES
    return {key: reading for key, reading in read.items() if key not in waived} or read
