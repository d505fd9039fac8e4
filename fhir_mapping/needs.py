"""Which FHIR searches feed which Topic: the one source of prefetch templates, scopes and coverage.

The keys are a contract with every EHR that calls us: they may grow, but none is ever renamed. Only the searches of
Topics that some rule reads are published, so that no EHR gives more than is needed.
"""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.coverage import Coverage, Level, TopicCoverage
from fhir_mapping.model.vocabulary import Topic


@dataclass(frozen=True, slots=True)
class Search:
    """One search of the patient's chart and the resource type that answers it.

    With `newest_days`, the newest records come first, and those of so many days are enough.
    """

    resource_type: str
    query: str
    newest_days: int | None = None


class Observed(NamedTuple):
    """The concepts that somebody looks for among the observations, and those of which only the newest result counts."""

    concepts: frozenset[str]
    newest: frozenset[str]


@dataclass(frozen=True, slots=True)
class Need:
    """The searches that feed a Topic: without one of the `essential` ones, absence proves nothing.

    The `helpful` ones may add to what is known, and nothing waits for them; but one that was answered in part has
    lost what might have counted. `observed` are the concepts that the Topic looks for among the observations,
    `reported` those among the reports, `recent` those among the vital signs of the last days. With `newest_alone`,
    older results say nothing beside the newest of a test. With `of_medications`, nothing but empty lists proves nothing
    either.
    """

    essential: tuple[str, ...]
    helpful: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()
    recent: tuple[str, ...] = ()
    newest_alone: bool = False
    of_medications: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """All searches of the Topic."""
        return self.essential + self.helpful


_MEDICATION_LISTS = ("medicationStatements", "medicationRequests", "medicationAdministrations")
_STATUS = "cancer-disease-status"
_BLOOD = ("cd4-count", "anc", "alc", "platelets", "creatinine", "egfr", "potassium", "g6pd-activity")
# Servers that take no address of more than 2,048 characters are common, so what no rule reads is not asked for
_INFECTIONS = ("hbsag", "anti-hbc-total", "hbv-dna", "hcv-ab", "hcv-rna", "hiv-ab", "hiv-ag-ab")
_TITERS = ("vzv-igg", "measles-titer", "tetanus-titer", "pneumococcal-titers")

NEEDS: Mapping[Topic, Need] = {
    Topic.PATIENT: Need(("patient",)),
    Topic.DIAGNOSIS: Need(("conditions",)),
    Topic.TREATMENT: Need(_MEDICATION_LISTS, ("medicationDispenses", "procedures"), of_medications=True),
    Topic.CELL_THERAPY: Need(
        ("procedures", "conditions", "medicationAdministrations", "medicationStatements"), ("immunizations",)
    ),
    Topic.PROGRESSION: Need(("observations", "conditions"), ("reports",), observed=(_STATUS,), reported=(_STATUS,)),
    Topic.PROPHYLAXIS: Need(_MEDICATION_LISTS, ("medicationDispenses",), of_medications=True),
    Topic.ALLERGIES: Need(("allergies", "conditions")),
    Topic.LABS: Need(("observations",), observed=_BLOOD, newest_alone=True),
    Topic.SCREENING: Need(("observations",), ("serviceRequests",), (*_INFECTIONS, *_TITERS)),
    Topic.IMMUNITY: Need(("observations",), observed=("igg", "alc", "m-protein-serum")),
    Topic.RESPONSE: Need(("observations",), ("reports",), (_STATUS,), (_STATUS,)),
    Topic.PERFORMANCE: Need(("observations",), observed=("ecog",)),
    Topic.VITAL_SIGNS: Need(("observations",), observed=("body-weight",)),
    Topic.INFECTIONS: Need(
        ("observations", "recentVitalSigns"),
        observed=("blood-culture", "respiratory-virus-nat"),
        recent=("body-temperature",),
    ),
    Topic.BLOOD_COUNTS: Need(("observations",), observed=("anc", "platelets")),
    Topic.PLANS: Need(("serviceRequests", "appointments")),
    Topic.REFUSALS: Need(("serviceRequests", "flags"), ("conditions",)),
    Topic.TRIALS: Need(("researchSubjects",)),
    Topic.VACCINES: Need(("immunizations",)),
    Topic.EYE_EXAMINATIONS: Need(
        ("procedures", "reports"), ("appointments", "serviceRequests"), reported=("eye-exam",)
    ),
    Topic.EDUCATION: Need(("communications",), ("procedures",)),
    Topic.LINE_NUMBER: Need(("carePlans",)),
}

# What opens the chart; every rule stands behind gates that read them, so they are no rule's own Topic
GATE_TOPICS = frozenset({Topic.PATIENT, Topic.DIAGNOSIS})

_CACHED_PICTURES = 512
_OF_PROCEDURES = frozenset({"cpt", "snomed"})

PATIENT_ID_HERE = "{{context.patientId}}"  # what each client replaces with the patient's id

RESOURCE_TYPES: Mapping[str, str] = {
    "patient": "Patient",
    "conditions": "Condition",
    "medicationStatements": "MedicationStatement",
    "medicationRequests": "MedicationRequest",
    "medicationAdministrations": "MedicationAdministration",
    "procedures": "Procedure",
    "allergies": "AllergyIntolerance",
    "observations": "Observation",
    "medicationDispenses": "MedicationDispense",
    "serviceRequests": "ServiceRequest",
    "reports": "DiagnosticReport",
    "immunizations": "Immunization",
    "appointments": "Appointment",
    "researchSubjects": "ResearchSubject",
    "communications": "Communication",
    "flags": "Flag",
    "carePlans": "CarePlan",
    "recentVitalSigns": "Observation",
}

# After a stay in hospital a chart holds thousands of vital signs: only the newest are asked for. Rules look back three
# days at most, and the clocks of two writers may make it one more
_RECENT_DAYS = 4
_NEWEST = 100


# What an EHR may do without; nothing can be said without Patient and Condition
OPTIONAL_TYPES = tuple(dict.fromkeys(k for k in RESOURCE_TYPES.values() if k not in {"Patient", "Condition"}))


def searches(catalog: Catalog, topics: Collection[Topic] = tuple(Topic)) -> dict[str, Search]:
    """Give the searches that feed some Topics by their prefetch keys.

    Each query names a parameter once and needs the patient alone.
    """
    needs = [NEEDS[topic] for topic in topics]
    wanted = {key for need in needs for key in need.keys}
    found: dict[str, Search] = {}
    for key, kind in RESOURCE_TYPES.items():
        if key == "patient":
            found[key] = Search(kind, f"Patient/{PATIENT_ID_HERE}")
        elif key in wanted:
            found[key] = Search(kind, f"{kind}?patient={PATIENT_ID_HERE}")
    if "observations" in found:
        found["observations"] = _of_codes(found["observations"], {c for need in needs for c in need.observed}, catalog)
    if "reports" in found:
        found["reports"] = _of_codes(found["reports"], {c for need in needs for c in need.reported}, catalog)
    if "recentVitalSigns" in found:
        vital_signs = _of_codes(found["recentVitalSigns"], {c for need in needs for c in need.recent}, catalog)
        query = f"{vital_signs.query}&_sort=-date&_count={_NEWEST}"
        found["recentVitalSigns"] = replace(vital_signs, query=query, newest_days=_RECENT_DAYS)
    return found


def _of_codes(search: Search, concepts: AbstractSet[str], catalog: Catalog) -> Search:
    """Narrow a search down to the codes of some concepts."""
    return replace(search, query=f"{search.query}&code={','.join(_codes_of(concepts, catalog))}")


@lru_cache(maxsize=_CACHED_PICTURES)
def observed_for(topics: frozenset[Topic]) -> Observed:
    """Name the concepts that some Topics look for among the observations; no rule of theirs reads any other."""
    needs = [NEEDS[topic] for topic in topics]
    every = {concept for need in needs for concept in need.observed + need.recent}
    series = {concept for need in needs if not need.newest_alone for concept in need.observed + need.recent}
    return Observed(frozenset(every), frozenset(every - series))


def _codes_of(observed: AbstractSet[str], catalog: Catalog) -> list[str]:
    """List the codes under which some concepts are recorded, and the local ones of the site with their systems.

    Those are LOINC's for a test, and those of procedures for what was done: an eye examination.
    """
    codes = catalog.concept_codes
    tests = {pair for pair, concepts in codes["lab"].items() if concepts & observed}
    done = {pair for pair, concepts in codes["procedure"].items() if concepts & observed}
    public = {pair for pair in tests if pair[0] == "loinc"} | {pair for pair in done if pair[0] in _OF_PROCEDURES}
    local = (catalog.site_codes[pair] for pair in (tests | done) - public if pair in catalog.site_codes)
    return sorted(code for _, code in public) + sorted(map(_in_a_search, local))


def _in_a_search(token: str) -> str:
    """Write "system|code" as a value of a search, where commas separate values."""
    return quote(token.replace("\\", "\\\\").replace(",", "\\,").replace("$", "\\$"), safe=":/|")


class Reading(NamedTuple):
    """How one search ended: how completely it was read, and how many entries it gave."""

    level: Level
    entries: int = 0


_NOT_ANSWERED = Reading(Level.UNAVAILABLE)
_SEARCHES_OF_DOSES = frozenset({"medicationStatements", "medicationAdministrations"})


def coverage_of(
    readings: Mapping[str, Reading], unsupported_types: Collection[str] = (), topics: Collection[Topic] = tuple(Topic)
) -> Coverage:
    """Work out, Topic by Topic, what the searches together prove; a search without a reading was not answered.

    A helpful search counts only where it was answered, and something of it was lost. A search for a type that the EHR
    does not have (`unsupported_types`) is not waited for; but without any record of doses given or taken, orders alone
    prove no absence.
    """
    # How many entries there are does not matter, so that few pictures of a chart come again and again
    ended = tuple([(key, level, entries > 0) for key, (level, entries) in readings.items()])
    return _coverage(ended, frozenset(unsupported_types), frozenset(topics))


@lru_cache(maxsize=_CACHED_PICTURES)
def _coverage(
    ended: tuple[tuple[str, Level, bool], ...], unsupported_types: frozenset[str], topics: frozenset[Topic]
) -> Coverage:
    unsupported = frozenset(key for key, kind in RESOURCE_TYPES.items() if kind in unsupported_types)
    readings = {key: Reading(level, entries=int(has_entries)) for key, level, has_entries in ended}
    return Coverage({topic: _topic_coverage(NEEDS[topic], readings, unsupported) for topic in Topic if topic in topics})


def _topic_coverage(need: Need, readings: Mapping[str, Reading], unsupported: frozenset[str]) -> TopicCoverage:
    read = {key: readings.get(key, _NOT_ANSWERED) for key in need.essential}
    essential = _without(unsupported, read, need) if unsupported else read
    unread = tuple(key for key, reading in essential.items() if reading.level is not Level.COMPLETE)
    if all(reading.level is Level.UNAVAILABLE for reading in essential.values()):
        return TopicCoverage(Level.UNAVAILABLE, unread)
    unread += tuple(key for key in need.helpful if readings.get(key, _NOT_ANSWERED).level is Level.PARTIAL)
    is_empty = need.of_medications and not unread and not any(r.entries for r in essential.values())
    level = Level.PARTIAL if unread or is_empty else Level.COMPLETE
    return TopicCoverage(level, unread, is_empty)


def _without(unsupported: frozenset[str], read: Mapping[str, Reading], need: Need) -> Mapping[str, Reading]:
    """Leave out what the EHR does not have, unless nothing would be left to prove the Topic by."""
    waived = {key for key in unsupported if key in read and read[key].level is Level.UNAVAILABLE}
    if need.of_medications and waived >= _SEARCHES_OF_DOSES:
        waived -= _SEARCHES_OF_DOSES
    return {key: reading for key, reading in read.items() if key not in waived} or read
