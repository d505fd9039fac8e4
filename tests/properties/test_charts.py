"""What must hold for every chart, whatever its resources say and in whatever order they come."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_mapping import piles
from fhir_mapping.build import build_history
from fhir_mapping.catalog.loader import load
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.needs import coverage_of
from tests.build import AS_OF, Resource, bundle, draft_drug, myeloma
from tests.build import given as dosed
from tests.mapping.reading import ZONE, drafts_of, read
from tests.properties.charts import anything, damaged, nonsense, resources

DRAFTS = drafts_of(draft_drug("teclistamab", id="1"))
CHARTS = st.lists(resources(), max_size=12)


def read_pile(sent: Any) -> TreatmentHistory | None:
    """Read whatever arrives; None where it is refused as a whole."""
    pile = piles.decode_pile(json.dumps(sent).encode())
    if pile is None:
        return None
    return build_history(pile.found, coverage_of({}), load(), AS_OF, ZONE, DRAFTS, pile.unreadable)


@given(st.data(), CHARTS)
def test_the_order_of_the_resources_never_matters(data: st.DataObject, chart: list[Resource]) -> None:
    shuffled = data.draw(st.permutations(chart))
    assert read(*shuffled, drafts=DRAFTS) == read(*chart, drafts=DRAFTS)


def crowded() -> st.SearchStrategy[Resource]:
    """Draw records that hardly differ: few drugs, few days, and mostly no id to tell them apart."""
    ids = st.sampled_from([None, None, None, "1", "2"])
    on = st.sampled_from(["2026-03-05", "2026-03", None])
    drugs = st.sampled_from(["acyclovir", "atovaquone", "teclistamab", "Carvykti", "Abecma", "novelmab", "study drug"])
    status = st.sampled_from(["completed", "unknown"])
    return st.builds(lambda name, day, state, id_: dosed(name, day, state, id=id_), drugs, on, status, ids)


@given(st.data(), st.lists(crowded(), min_size=2, max_size=8))
def test_the_order_of_records_that_hardly_differ_never_matters(data: st.DataObject, chart: list[Resource]) -> None:
    assert read(*data.draw(st.permutations(chart))) == read(*chart)


@given(CHARTS, st.data())
def test_sending_a_resource_twice_changes_nothing(chart: list[Resource], data: st.DataObject) -> None:
    known = [resource | {"id": f"own-{number}"} for number, resource in enumerate(chart)]
    again = data.draw(st.sampled_from(known)) if known else myeloma(id="own")
    once = read(*known, again) if not known else read(*known)
    assert read(*known, again, *([again] if not known else [])) == once


@given(st.lists(nonsense() | damaged() | resources(), max_size=6))
def test_no_resource_makes_reading_fail(chart: list[Resource]) -> None:
    history = read_pile(bundle(chart))
    assert history is not None


@given(anything() | nonsense() | damaged())
def test_no_prefetch_value_makes_reading_fail(sent: Any) -> None:
    history = read_pile(sent)
    assert history is None or history.as_of == AS_OF


@given(st.lists(anything(), max_size=5), CHARTS)
def test_broken_entries_never_cost_their_neighbours(broken: list[Any], chart: list[Resource]) -> None:
    sound = bundle(chart)
    mixed = sound | {"entry": [*(entry for entry in broken if not _has_resource(entry)), *sound["entry"]]}
    before, after = read_pile(sound), read_pile(mixed)
    assert before is not None
    assert after is not None
    assert replace(after, gaps=()) == replace(before, gaps=())


def _has_resource(entry: Any) -> bool:
    return isinstance(entry, dict) and "resource" in entry


@given(CHARTS, resources())
def test_a_record_in_error_with_an_id_of_its_own_changes_nothing_but_gaps(
    chart: list[Resource], record: Resource
) -> None:
    wrong = record | {"id": "in-error"}
    if record["resourceType"] in {"Condition", "AllergyIntolerance"}:
        wrong["verificationStatus"] = {"coding": [{"code": "entered-in-error"}]}
    else:
        wrong["status"] = "entered-in-error"
    before = read(myeloma(id="diagnosis"), *chart)
    after = read(myeloma(id="diagnosis"), *chart, wrong)
    assert replace(after, gaps=()) == replace(before, gaps=())


@given(CHARTS, resources())
def test_a_newer_version_in_error_removes_the_fact(chart: list[Resource], record: Resource) -> None:
    first = record | {"id": "taken-back", "meta": {"versionId": "1"}}
    second = first | {"meta": {"versionId": "2"}}
    if record["resourceType"] in {"Condition", "AllergyIntolerance"}:
        second["verificationStatus"] = {"coding": [{"code": "entered-in-error"}]}
    else:
        second["status"] = "entered-in-error"
    before = read(myeloma(id="diagnosis"), *chart)
    after = read(myeloma(id="diagnosis"), first, *chart, second)
    assert replace(after, gaps=()) == replace(before, gaps=())


@given(CHARTS)
def test_every_fact_names_a_record_of_the_chart(chart: list[Resource]) -> None:
    sent = {f"{r['resourceType']}/{r['id']}" if "id" in r else r["resourceType"] for r in chart}
    history = read(*chart)
    sources = [source for course in history.courses for source in course.sources]
    sources += [source for infusion in history.infusions for source in infusion.sources]
    sources += [event.source for event in history.progressions] + [lab.source for lab in history.labs]
    sources += [care.source for care in history.supportive_care]
    assert {source.reference for source in sources} <= sent


@given(CHARTS)
def test_no_fact_lies_in_the_future(chart: list[Resource]) -> None:
    history = read(*chart)
    days = [day for course in history.courses for day in (course.first_dose, course.last_dose)]
    days += [infusion.infused for infusion in history.infusions]
    days += [event.on for event in history.progressions]
    assert all(day.latest <= AS_OF for day in days if day)
