"""Random charts: plausible ones that readers understand, and ones that are broken in every way."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from fhir_mapping import wire
from tests.build import (
    AS_OF,
    PATIENT,
    Resource,
    allergy,
    condition,
    draft_drug,
    given,
    infusion,
    lab,
    ordered,
    procedure,
    progression,
    reported,
)
from tests.properties.around import around

DRUGS = [
    "teclistamab",
    "elranatamab",
    "talquetamab",
    "dexamethasone",
    "acyclovir",
    "atovaquone",
    "metformin",
    "novelmab",
    "melphalan",
    "cyclophosphamide",
    "plerixafor",
]
CODES = ["C90.00", "C90.02", "D47.2", "Z92.850", "Z92.858", "Z88.2", "Z94.84", "D89.831", "B18.1", "C83.30"]
PROCEDURES = ["38225", "38228", "38241", "38240", "38206", "38242", "99213"]
STATUSES = ["active", "completed", "stopped", "on-hold", "unknown", "entered-in-error", "not-done", "not-taken", None]


def days(first: date = AS_OF - timedelta(1_200), last: date = AS_OF + timedelta(60)) -> st.SearchStrategy[str]:
    """Draw an exact day as FHIR writes it."""
    return st.dates(first, last).map(date.isoformat)


def written(first: date = AS_OF - timedelta(1_200), last: date = AS_OF + timedelta(60)) -> st.SearchStrategy[str]:
    """Draw a day, a month, a year, or a time."""
    cut = st.builds(lambda day, length: day[:length], days(first, last), st.sampled_from([10, 10, 7, 4]))
    return (
        cut | days(first, last).map(lambda day: f"{day}T00:00:00Z") | days(first, last).map(lambda day: f"{day}T23:50Z")
    )


def dates() -> st.SearchStrategy[str | None]:
    """Draw a date that may be vague, missing or none at all."""
    return st.none() | written() | st.sampled_from(["2021-13", "soon", ""])


def _meta() -> st.SearchStrategy[Resource | None]:
    numbered = st.fixed_dictionaries({"versionId": st.sampled_from(["1", "2", "x"])})
    updated = st.fixed_dictionaries({"lastUpdated": st.sampled_from(["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"])})
    both = st.builds(lambda a, b: a | b, numbered, updated)
    return st.none() | numbered | updated | both


def _more() -> st.SearchStrategy[Resource]:
    """Draw an id of few, so that versions meet, and now and then a modifier."""
    ids = st.none() | st.sampled_from(["1", "2", "3"]) | st.uuids().map(str)
    modifiers = st.sampled_from([{}, {}, {}, {"implicitRules": "urn:example:x"}])
    return st.builds(lambda id_, meta, modifier: {"id": id_, "meta": meta, **modifier}, ids, _meta(), modifiers)


def _with(make: Callable[..., Resource], *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Resource]:
    return st.builds(lambda parts, more: make(*parts, **more), st.tuples(*arguments), _more())


def resources() -> st.SearchStrategy[Resource]:
    """Draw one resource that some reader understands."""
    drugs, statuses = st.sampled_from(DRUGS), st.sampled_from(STATUSES)
    products = st.sampled_from(["ciltacabtagene autoleucel", "idecabtagene vicleucel"])
    medication = st.builds(
        lambda name, more: {"resourceType": "Medication", "code": {"text": name}} | _present(more), drugs, _more()
    )
    referring = st.builds(
        lambda on, target, more: given(
            "", on, medicationCodeableConcept=None, medicationReference={"reference": f"Medication/{target}"}, **more
        ),
        dates(),
        st.sampled_from(["1", "2"]),
        _more(),
    )
    return st.one_of(
        _with(given, drugs, dates(), statuses),
        _with(reported, drugs, dates(), dates(), statuses, dates()),
        _with(ordered, drugs, dates(), statuses, dates()),
        _with(infusion, dates(), products),
        _with(procedure, st.sampled_from(PROCEDURES), dates(), statuses),
        _with(condition, st.sampled_from(CODES), dates()),
        _with(progression, dates(), st.sampled_from(["final", "preliminary"])),
        _with(lab, st.just("24467-3"), st.sampled_from([50, 300]), st.sampled_from(["/uL", "?"]), dates()),
        _with(allergy, st.sampled_from([{"text": "Sulfa"}, {"text": "acyclovir"}])),
        medication,
        referring,
        around(dates(), _more()),
    )


def _present(members: Resource) -> Resource:
    return {key: value for key, value in members.items() if value is not None}


ELEMENTS = [
    "id", "meta", "versionId", "lastUpdated", "implicitRules", "modifierExtension", "subject", "patient", "status",
    "code", "coding", "system", "display", "text", "reference", "clinicalStatus", "verificationStatus", "recordedDate",
    "onsetDateTime", "onsetPeriod", "abatementDateTime",
    "performedDateTime", "performedPeriod", "start", "end", "medicationCodeableConcept", "medicationReference",
    "contained", "statusReason", "reasonCode", "effectiveDateTime", "effectivePeriod", "effectiveInstant",
    "dateAsserted", "basedOn", "dosage", "request", "intent", "doNotPerform", "authoredOn", "identifier", "value",
    "dosageInstruction", "dispenseRequest", "validityPeriod", "timing", "event", "repeat", "boundsPeriod", "route",
    "occurrenceDateTime", "occurrencePeriod", "valueQuantity", "valueCodeableConcept", "valueString", "comparator",
    "component", "valueInteger", "valueBoolean", "valueRange", "interpretation", "dataAbsentReason", "conclusionCode",
    "vaccineCode", "participant", "actor", "individual", "period", "serviceType", "description", "title", "category",
    "topic", "type", "docStatus", "date", "created", "sent", "issued", "whenHandedOver", "daysSupply", "extension",
    "authorizingPrescription", "notGiven", "notDone", "unit", "birthDate", "deceasedBoolean", "deceasedDateTime",
    "issue", "severity", "resourceType", "entry",
]  # fmt: skip
TYPES = [*sorted(wire.TYPES), "Bundle", "Encounter"]


def anything() -> st.SearchStrategy[Any]:
    """Draw any JSON, with the words of FHIR in it."""
    words = st.sampled_from(
        ["completed", "final", "teclistamab", "38228", "C90.02", "2026", "2026-01-05", f"Patient/{PATIENT}", "#1", "<"]
    )
    leaf = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | words
        | st.text(max_size=20)
    )
    return st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(ELEMENTS), inner, max_size=5),
        max_leaves=12,
    )


def nonsense() -> st.SearchStrategy[Resource]:
    """Draw an object of a known type with random members."""
    members = st.dictionaries(st.sampled_from(ELEMENTS), anything(), max_size=8)
    return st.builds(lambda kind, body: {**body, "resourceType": kind}, st.sampled_from(TYPES), members)


@st.composite
def damaged(draw: st.DrawFn) -> Resource:
    """Draw a plausible resource, or a draft, in which one element anywhere was replaced by something random."""
    whole = draw(resources() | st.just(draft_drug("teclistamab", "2026-12-01")))
    return dict(_damage(draw, whole))


def _damage(draw: st.DrawFn, node: Any) -> Any:
    if isinstance(node, dict) and node:
        key = draw(st.sampled_from(sorted(set(node) - {"resourceType"}) or sorted(node)))
        return node | {key: _damage(draw, node[key]) if draw(st.booleans()) else draw(anything())}
    if isinstance(node, list) and node:
        return [_damage(draw, node[0]), *node[1:]]
    return draw(anything())
