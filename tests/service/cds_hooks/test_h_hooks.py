"""Section H: what the single hooks ask for, and the ways in which clients fill their contexts."""

from typing import Any

import pytest

from cards.finding import Hook
from tests.build import (
    PATIENT,
    Resource,
    bundle,
    chart,
    draft_collection,
    draft_drug,
    draft_infusion,
    drug,
    given,
    hook_request,
)
from tests.ehr.server import serving
from tests.rules.table import SCREENED
from tests.service.calling import after_infusion, call, changed, codes, post, washout

COLLECTION = draft_collection("2026-11-20", id="collection")
HARMLESS = draft_drug("lenalidomide", id="harmless")


def select(selections: Any, *drafts: Resource) -> list[str]:
    """Give the cards of an order-select with these drafts."""
    return codes(call(washout(Hook.ORDER_SELECT, draftOrders=bundle(drafts), selections=selections)))


def test_c185_order_select_judges_the_selected_orders_and_no_other_draft() -> None:
    assert select(["MedicationRequest/harmless"], HARMLESS, COLLECTION) == []
    assert select(["ServiceRequest/collection"], HARMLESS, COLLECTION) == ["R01"]


@pytest.mark.parametrize("hook", [Hook.ORDER_SELECT, Hook.ORDER_SIGN])
def test_c186_a_draft_without_dose_and_dates_is_judged(hook: Hook) -> None:
    bare = {"resourceType": "ServiceRequest", "id": "bare", "code": COLLECTION["code"]}

    assert codes(call(hook_request(hook, chart(given("teclistamab", "2026-09-01"), *SCREENED), [bare]))) == ["R01"]
    assert codes(call(hook_request(hook, None, [{"resourceType": "MedicationRequest", "id": "empty"}]))) == []


@pytest.mark.parametrize("spelling", ["{kind}/{id}", "{id}", "https://ehr.example/fhir/{kind}/{id}"])
def test_c187_selections_are_found_with_and_without_their_type(spelling: str) -> None:
    collection = spelling.format(kind="ServiceRequest", id="collection")
    harmless = spelling.format(kind="MedicationRequest", id="harmless")

    assert select([collection], HARMLESS, COLLECTION) == ["R01"]
    assert select([harmless], HARMLESS, COLLECTION) == []
    assert select([harmless, collection], HARMLESS, COLLECTION) == ["R01"]


@pytest.mark.parametrize("status", ["active", "on-hold", "draft", None])
def test_c188_an_order_that_is_signed_again_is_judged_among_new_ones(status: str | None) -> None:
    again = draft_collection("2026-11-20", status=status)

    assert codes(post(washout(draftOrders=bundle([HARMLESS, again])))) == ["R01"]


MEDICATION = {"resourceType": "Medication", "id": "m1", "code": drug("ciltacabtagene autoleucel")}


def referring(**reference: str) -> Resource:
    """Make a draft that names its drug by a reference."""
    return draft_drug("x", medicationCodeableConcept=None, medicationReference=reference)


NAMED: dict[str, list[Resource]] = {
    "concept": [draft_drug("ciltacabtagene autoleucel")],
    "contained": [referring(reference="#m1") | {"contained": [MEDICATION]}],
    "another entry": [referring(reference="Medication/m1"), MEDICATION],
    "on the server": [referring(reference="Medication/m1")],
    "display alone": [referring(display="ciltacabtagene autoleucel")],
}


@pytest.mark.parametrize("way", [*NAMED, "on the server, by its address"])
def test_c189_the_drug_of_a_draft_is_found_however_it_is_named(way: str) -> None:
    treated = chart(given("teclistamab", "2026-09-01"))
    with serving({"medicationRequests": bundle([MEDICATION])}) as ehr:
        drafts = NAMED.get(way) or [referring(reference=f"{ehr.base}/Medication/m1")]
        request = hook_request(Hook.ORDER_SIGN, treated, drafts) | {"fhirServer": ehr.base}

        assert codes(call(request)) == ["R01", "B01", "R28", "R00"]
        assert len(ehr.asked("Medication")) == ("server" in way)


OTHERS = [
    {"resourceType": kind, "id": kind.lower(), "status": "draft"}
    for kind in ("NutritionOrder", "DeviceRequest", "VisionPrescription", "Medication", "SupplyRequest")
]


@pytest.mark.parametrize("hook", [Hook.ORDER_SELECT, Hook.ORDER_SIGN])
def test_c190_orders_of_other_types_do_no_harm(hook: Hook) -> None:
    treated = chart(given("teclistamab", "2026-09-01"), *SCREENED)

    assert codes(call(hook_request(hook, treated, OTHERS))) == []
    assert codes(call(hook_request(hook, treated, [*OTHERS, COLLECTION], [COLLECTION]))) == ["R01"]
    assert codes(call(hook_request(hook, treated, [*OTHERS, draft_infusion("2026-11-25")])))[0] == "R01"


@pytest.mark.parametrize("user", [f"Patient/{PATIENT}", "RelatedPerson/r1", "https://ehr.example/fhir/Patient/x"])
def test_c191_patients_and_relatives_who_open_the_chart_get_no_cards(user: str) -> None:
    assert call(changed(after_infusion(), userId=user)).get_json() == {"cards": []}
    assert codes(call(after_infusion())) == ["B01", "R39"]
