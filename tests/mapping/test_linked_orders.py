"""What one record says of the order that it rests on, and what it does not say."""

from typing import Any

import pytest

from cards.finding import Hook
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import GapCode
from fhir_mapping.model.vocabulary import Certainty
from tests.build import (
    Resource,
    ask,
    chart,
    dispensed,
    given,
    hook_request,
    infusion,
    ordered,
    outcome,
    reported,
)
from tests.mapping.reading import gaps, names, read

NAMELESS = [{"identifier": {"value": "rx-1"}}]
MODIFIED: dict[str, Any] = {"modifierExtension": [{"url": "urn:example:x"}]}


def reference(order: Resource) -> Resource:
    return {"reference": f"MedicationRequest/{order['id']}"}


def cover(*records: Resource) -> set[Answer]:
    return {care.in_force for care in read(*records).supportive_care}


def after_car_t(rule: str, *records: Resource) -> str:
    return outcome(ask(hook_request(Hook.PATIENT_VIEW, chart(infusion("2026-07-01"), *records))), rule)


def test_a_reference_that_names_nothing_links_nothing() -> None:
    supply = dispensed("teclistamab", "2026-10-20", 28, authorizingPrescription=NAMELESS)
    not_taken = reported("metformin", "2020-01-01", status="not-taken", basedOn=NAMELESS)
    assert names(read(supply, not_taken).courses) == ["teclistamab"]
    order = {key: value for key, value in ordered("teclistamab", "2026-10-20").items() if key != "id"}
    assert names(read(order, not_taken).courses) == ["teclistamab"]


@pytest.mark.parametrize(
    ("record", "stands"),
    [
        (lambda ref: given("teclistamab", "2026-05-02", status="not-done", request=ref), False),
        (lambda ref: dispensed("teclistamab", None, status="declined", authorizingPrescription=[ref]), False),
        (lambda ref: dispensed("teclistamab", None, status="cancelled", authorizingPrescription=[ref]), True),
        (lambda ref: given("teclistamab", "2026-05-02", status="not-done", request=ref, **MODIFIED), True),
    ],
    ids=[
        "a dose not given",
        "a supply declined",
        "a fill cancelled, maybe filled elsewhere",
        "a modifier not understood",
    ],
)
def test_an_order_is_taken_back_only_by_what_certainly_says_so(record: Any, stands: bool) -> None:
    order = ordered("teclistamab", "2026-05-01")
    courses = read(order, record(reference(order))).courses
    assert any(course.sources[0].resource_type == "MedicationRequest" for course in courses) is stands


def test_a_negation_with_a_modifier_is_possible_and_leaves_a_gap() -> None:
    history = read(given("teclistamab", "2026-10-20", status="not-done", **MODIFIED))
    assert [course.certainty for course in history.courses] == [Certainty.POSSIBLE]
    assert gaps(history) == {GapCode.NOT_UNDERSTOOD}


@pytest.mark.parametrize("status", ["stopped", "on-hold", "cancelled", "entered-in-error"])
def test_a_supply_is_no_cover_once_its_order_was_halted(status: str) -> None:
    order = ordered("acyclovir", "2026-07-01", status=status)
    supply = dispensed("acyclovir", "2026-10-20", 90, authorizingPrescription=[reference(order)])
    assert Answer.YES in cover(supply)
    assert cover(order, supply) == {Answer.NO}
    assert after_car_t("R15", order, supply) == "flagged"


@pytest.mark.parametrize("status", ["stopped", "completed", "on-hold", "not-taken"])
def test_a_supply_is_no_cover_once_the_patient_has_stopped(status: str) -> None:
    order = ordered("acyclovir", "2026-07-01")
    statement = reported("acyclovir", "2026-07-01", "2026-11-10", status=status, basedOn=[reference(order)])
    supply = dispensed("acyclovir", "2026-10-20", 90, authorizingPrescription=[reference(order)])
    assert Answer.YES not in cover(order, statement, supply)


def test_an_order_whose_supply_was_declined_may_not_be_followed() -> None:
    order = ordered("acyclovir", "2026-07-01")
    declined = dispensed("acyclovir", None, status="declined", authorizingPrescription=[reference(order)])
    assert cover(order, declined) == {Answer.UNKNOWN}
    assert after_car_t("R15", order, declined) == "cannot_tell"


@pytest.mark.parametrize(
    "record",
    [
        ordered("pentamidine", "2026-11-10", status="stopped"),
        ordered("pentamidine", "2026-11-10", status="completed"),
        dispensed("pentamidine", "2026-11-10"),
        given("pentamidine", "2026-11-10", status="on-hold"),
    ],
)
def test_pentamidine_protects_only_where_a_dose_was_given(record: Resource) -> None:
    assert after_car_t("R16", given("pentamidine", "2026-11-10")) == "satisfied"
    assert after_car_t("R16", record) != "satisfied"


def test_an_antiviral_that_is_held_protects_nobody() -> None:
    assert after_car_t("R15", given("acyclovir", "2026-11-20", status="on-hold")) != "satisfied"


@pytest.mark.parametrize(("written", "courses"), [("2026-02-01", 1), ("2026", 2), ("2026-10", 2)])
def test_doses_explain_an_order_only_where_they_certainly_follow_it(written: str, courses: int) -> None:
    order = ordered("teclistamab", written, status="stopped")
    doses = reported("teclistamab", "2026-02-10", "2026-03-01")
    assert len(read(order, doses).courses) == courses
