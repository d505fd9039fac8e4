"""What must hold for the outcomes of the rules, whatever the chart says."""

from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cards.finding import Hook
from fhir_mapping.model.dates import Answer, parse
from tests.build import (
    ALL_KEYS,
    AS_OF,
    Resource,
    ask,
    chart,
    draft_drug,
    draft_infusion,
    hook_request,
    ordered,
    outcome,
    reported,
)
from tests.build import given as dosed
from tests.mapping.reading import ZONE
from tests.properties.charts import days, nonsense, resources, written

BCMA_BISPECIFICS = ["teclistamab", "elranatamab", "linvoseltamab"]

LONG_AGO = AS_OF - timedelta(400)


def treatments() -> st.SearchStrategy[Resource]:
    """Draw a record of a bispecific antibody, mostly long ago, so that many washouts are long enough."""
    drugs = st.sampled_from([*BCMA_BISPECIFICS, "talquetamab", "dexamethasone"])
    past = written(last=LONG_AGO) | written(last=AS_OF)
    statuses = st.sampled_from(["completed", "stopped", "active"])
    return st.one_of(
        st.builds(dosed, drugs, past),
        st.builds(reported, drugs, past, st.none() | past, statuses, st.none() | past),
        st.builds(ordered, drugs, past, statuses, st.none() | past),
    )


def washout(records: list[Resource], today: date = AS_OF) -> str:
    request = hook_request(Hook.ORDER_SIGN, chart(*records), [draft_infusion()])
    return outcome(ask(request, today=today), "R01")


@given(st.lists(treatments(), max_size=4), st.integers(1, 1_000))
def test_waiting_longer_never_turns_a_satisfied_washout_into_a_flagged_one(
    records: list[Resource], waited: int
) -> None:
    if washout(records) == "satisfied":
        assert washout(records, AS_OF + timedelta(waited)) == "satisfied"


def test_the_waiting_above_does_start_from_satisfied_washouts() -> None:
    old = LONG_AGO.isoformat()
    assert washout([]) == washout([dosed("teclistamab", old)]) == "satisfied"
    assert washout([dosed("teclistamab", AS_OF.isoformat())]) == "flagged"


@given(days(last=AS_OF), st.sampled_from([4, 7]), st.sampled_from(BCMA_BISPECIFICS))
def test_a_vaguer_dose_date_never_makes_the_washout_surer(day: str, length: int, drug: str) -> None:
    exact, vague = washout([dosed(drug, day)]), washout([dosed(drug, day[:length])])
    assert vague in {exact, "cannot_tell"}
    meant = parse(day[:length], ZONE)
    assert meant is not None
    capped = meant.capped(AS_OF)
    assert capped is not None
    expected = {Answer.YES: "flagged", Answer.NO: "satisfied", Answer.UNKNOWN: "cannot_tell"}
    assert vague == expected[capped.days_until(parse(AS_OF.isoformat(), ZONE) or capped).less_than(183)]


def outcomes(prefetch: dict[str, Any], hook: Hook, *drafts: Resource) -> dict[str, str]:
    answer = ask(hook_request(hook, prefetch, drafts))
    return {rule: outcome(answer, rule) for rule in answer.rules}


SILENT = "not_applicable"  # also what a rule says that was not even asked
DRAFTS = [draft_infusion(), draft_drug("teclistamab"), draft_drug("talquetamab"), draft_drug("Carvykti")]


@given(
    st.lists(resources(), max_size=6),
    st.sampled_from(sorted(ALL_KEYS)),
    st.sampled_from(DRAFTS),
    st.sampled_from([Hook.ORDER_SIGN, Hook.PATIENT_VIEW]),
)
def test_an_entry_that_cannot_be_read_never_makes_an_outcome_surer(
    records: list[Resource], key: str, draft: Resource, hook: Hook
) -> None:
    sound = chart(*(record for record in records if record["resourceType"] != "Medication"))
    if key == "patient":
        return
    entries = [*sound[key]["entry"], {"resource": {"resourceType": ALL_KEYS[key], "id": ["of a wrong type"]}}]
    broken = sound | {key: sound[key] | {"entry": entries}}
    before, after = outcomes(sound, hook, draft), outcomes(broken, hook, draft)
    for rule in before.keys() | after.keys():
        assert after.get(rule, SILENT) in {before.get(rule, SILENT), "cannot_tell"}, rule


@given(st.lists(nonsense(), max_size=4), st.sampled_from(DRAFTS))
def test_no_resource_makes_a_rule_fail(records: list[Resource], draft: Resource) -> None:
    sound = chart()
    sound["observations"]["entry"] += [{"resource": {**record, "subject": None, "patient": None}} for record in records]
    assert ask(hook_request(Hook.ORDER_SIGN, sound, [draft])).faults == ()
