"""Sound answers with odd content: broken entries, other patients, several versions, references, filters not applied."""

from typing import Any

import pytest

from tests.build import PATIENT, Resource, given, lab, myeloma, patient, reported
from tests.ehr import faulty, sockets
from tests.ehr.faulty import Fault
from tests.ehr.server import serving
from tests.ehr.sockets import misbehaving
from tests.faults.asking import (
    DEADLINE_SECONDS,
    GRACE_SECONDS,
    LISTS,
    NEEDED,
    best_seconds,
    expect_degraded,
    gap_card,
    hasty_service,
    is_full,
    make_service,
    ordinary,
    quiet_chart,
    security_events,
    washout_chart,
)
from tests.service.calling import cards, codes

DOSES = "MedicationAdministration"
FOREIGN = {"reference": f"Patient/{faulty.SOMEONE_ELSE}"}

MALFORMED: dict[str, Any] = {
    "subject of a wrong type": lambda kind: {"resource": {"resourceType": kind, "id": "x", "subject": 7, "patient": 7}},
    "code of a wrong type": lambda kind: {"resource": {"resourceType": kind, "id": "x", "code": "C90", "status": []}},
    "no resource": lambda kind: {"fullUrl": f"urn:uuid:{kind}"},
    "resource is null": lambda kind: {"resource": None},
    "resource is text": lambda kind: {"resource": kind},
    "entry is a number": lambda kind: 7,
    "entry is null": lambda kind: None,
    "entry is a list": lambda kind: [{"resource": {"resourceType": kind}}],
    "resource of no type": lambda kind: {"resource": {"id": "x"}},
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("entry", MALFORMED.values(), ids=MALFORMED.keys())
def test_fm_27_one_malformed_entry_makes_its_list_incomplete(entry: Any, kind: str) -> None:
    expect_degraded(faulty.extra_entry(entry(kind)), kind)


@pytest.mark.parametrize("entry", MALFORMED.values(), ids=MALFORMED.keys())
def test_fm_27_one_malformed_entry_does_not_cost_its_neighbours(entry: Any) -> None:
    service = make_service()
    with serving(washout_chart(), faults={DOSES: faulty.extra_entry(entry(DOSES))}) as ehr:
        assert codes(service.ask(ehr.base)) == ["R01", "R00"]

    assert service.records[-1].gaps["unreadable resource"] == 1


@pytest.mark.parametrize("kind", ["Patient", *LISTS])
def test_fm_28_a_list_with_another_patients_resource_is_dropped_whole(kind: str) -> None:
    expect_degraded(faulty.foreign_patient(), kind, at_most=1)


@pytest.mark.parametrize("kind", ["Patient", *LISTS])
def test_fm_28_another_patients_resource_is_a_security_event(kind: str) -> None:
    with serving(quiet_chart(), faults={kind: faulty.foreign_patient()}) as ehr:
        _, events = security_events(lambda: make_service().ask(ehr.base))

    assert len(events) == 1


@pytest.mark.parametrize("pages", [None, 1])
def test_fm_28_no_finding_comes_from_another_patients_record(pages: int | None) -> None:
    theirs = given("teclistamab", "2026-09-01", subject=FOREIGN)
    own = given("teclistamab", "2026-09-01")
    with serving(quiet_chart(theirs, own), page_size=pages) as ehr:
        assert NEEDED[DOSES] in gap_card(make_service().ask(ehr.base))


def test_fm_28_another_patient_on_a_late_page_costs_the_pages_before_it() -> None:
    doses = [given("teclistamab", "2026-09-01"), given("metformin", "2026-09-01", subject=FOREIGN)]
    with serving(quiet_chart(*doses), page_size=1) as ehr:
        assert NEEDED[DOSES] in gap_card(make_service().ask(ehr.base))


def test_fm_28_a_server_that_ignores_the_patient_gives_nothing() -> None:
    everybody = [given("metformin", "2026-09-01", subject={"reference": f"Patient/p{n}"}) for n in range(50)]
    with serving(quiet_chart(given("teclistamab", "2026-09-01"), *everybody)) as ehr:
        assert NEEDED[DOSES] in gap_card(make_service().ask(ehr.base))


def test_fm_28_another_patient_instead_of_the_one_asked_for_is_not_taken() -> None:
    other = faulty.changed(lambda _: patient(id=faulty.SOMEONE_ELSE, birthDate="2020-01-01"))

    expect_degraded(other, "Patient")


def dose(version: str | None, status: str, updated: str | None = None) -> Resource:
    """Make a version of one and the same dose."""
    meta = {key: value for key, value in (("versionId", version), ("lastUpdated", updated)) if value}
    return given("teclistamab", "2026-09-01", status, id="the-dose", meta=meta or None)


@pytest.mark.parametrize("page_size", [None, 1])
@pytest.mark.parametrize("order", [1, -1])
def test_fm_29_the_newest_version_is_judged_wherever_it_comes(order: int, page_size: int | None) -> None:
    gone = [dose("1", "completed"), dose("2", "entered-in-error")][::order]
    back = [dose("9", "entered-in-error"), dose("10", "completed")][::order]
    service = make_service()
    with serving(quiet_chart(*gone), page_size=page_size) as ehr:
        assert cards(service.ask(ehr.base)) == []
        ehr.put(quiet_chart(*back))
        assert is_full(service.ask(ehr.base))


@pytest.mark.parametrize("page_size", [None, 1])
def test_fm_29_versions_that_cannot_be_put_in_order_are_all_dropped_when_one_is_in_error(
    page_size: int | None,
) -> None:
    service = make_service()
    with serving(quiet_chart(dose(None, "completed"), dose(None, "entered-in-error")), page_size=page_size) as ehr:
        assert "R01" not in codes(service.ask(ehr.base))

    assert service.records[-1].gaps["versions cannot be told apart"] == 1


@pytest.mark.parametrize("page_size", [None, 1])
def test_fm_29_the_same_resource_twice_is_one_resource(page_size: int | None) -> None:
    service = make_service()
    twice = dose("1", "completed")
    with serving(quiet_chart(twice, twice), page_size=page_size) as ehr:
        assert is_full(service.ask(ehr.base))


def of_medication(reference: str) -> Resource:
    """Make a dose whose drug is in another resource."""
    return given("", "2026-09-01", medicationCodeableConcept=None, medicationReference={"reference": reference})


def medication(own_id: str, text: str) -> Resource:
    """Make a Medication."""
    return {"resourceType": "Medication", "id": own_id, "code": {"text": text}}


def referring_chart(reference: str, text: str = "teclistamab") -> dict[str, Any]:
    """Make a chart with a dose of the Medication m1, which the server has."""
    chart = quiet_chart(of_medication(reference))
    chart["medicationAdministrations"]["entry"].append({"resource": medication("m1", text)})
    return chart


@pytest.mark.parametrize(
    "reference",
    ["Medication/m1", "{base}/Medication/m1", "Medication/m1/_history/3", "{base}/Medication/m1/_history/3"],
)
def test_fm_31_a_drug_in_a_resource_of_its_own_is_looked_up(reference: str) -> None:
    with serving(quiet_chart()) as ehr:
        ehr.put(referring_chart(reference.replace("{base}", ehr.base)))

        assert is_full(make_service().ask(ehr.base))
        assert len(ehr.asked("Medication")) == 1


def test_fm_31_many_drugs_are_looked_up_together() -> None:
    chart = quiet_chart(*(of_medication(f"Medication/m{number}") for number in range(40)))
    entries = chart["medicationAdministrations"]["entry"]
    entries += [{"resource": medication(f"m{n}", "teclistamab" if n == 39 else "metformin")} for n in range(40)]
    with serving(chart) as ehr:
        assert is_full(make_service().ask(ehr.base))
        assert len(ehr.asked("Medication")) <= 2


LOOK_UP: dict[str, Fault] = {
    "server error": faulty.status(500),
    "forbidden": faulty.status(403),
    "not found": faulty.status(404),
    "outcome": faulty.outcome(),
    "login page": faulty.html_login(),
    "no body": faulty.empty_body(),
    "empty list": faulty.changed(lambda page: page | {"entry": [], "total": 0}),
    "another one": faulty.changed(lambda page: page | {"entry": [{"resource": medication("m2", "metformin")}]}),
    "reset": faulty.raw(sockets.reset_mid_body()),
    "late": faulty.raw(sockets.black_hole()),
}


@pytest.mark.parametrize("fault", LOOK_UP.values(), ids=LOOK_UP.keys())
@pytest.mark.parametrize("text", ["teclistamab", "metformin"])
def test_fm_31_a_drug_that_cannot_be_looked_up_is_never_passed_over(fault: Fault, text: str) -> None:
    service = make_service()
    with serving(referring_chart("Medication/m1", text), faults={"Medication": fault}) as ehr:
        gap_card(service.ask(ehr.base))
        ordinary(service, ehr)


def test_fm_31_a_look_up_does_not_outlast_the_deadline() -> None:
    service = hasty_service()
    chart = referring_chart("Medication/m1")
    with serving(chart, faults={"Medication": faulty.raw(sockets.header_drip())}) as ehr:
        gap_card(service.ask(ehr.base))

        assert best_seconds(lambda: service.ask(ehr.base)) < DEADLINE_SECONDS + GRACE_SECONDS


@pytest.mark.parametrize(
    "reference", ["Medication/gone", "#gone", "urn:uuid:gone", "Medication/", "Medication/../x", ""]
)
def test_fm_31_a_reference_to_nothing_is_never_passed_over(reference: str) -> None:
    with serving(quiet_chart(of_medication(reference))) as ehr:
        gap_card(make_service().ask(ehr.base))


def test_fm_31_a_reference_to_another_server_is_never_followed() -> None:
    with misbehaving(sockets.closed_at_once()) as other, serving(quiet_chart()) as ehr:
        ehr.put(referring_chart(f"{other.base}/Medication/m1"))

        answer = make_service().ask(ehr.base, token="canary-in-a-token")  # noqa: S106 - no secret

        assert codes(answer) != []
        assert other.connections == 0


def test_fm_37_observations_that_nobody_asked_for_change_nothing() -> None:
    unrelated = [lab("2345-7", 5.0, "mmol/L", "2026-11-01") for _ in range(300)]
    service = make_service()
    with serving(washout_chart()) as ehr:
        alone = cards(service.ask(ehr.base))
        ehr.put(washout_chart(observations=quiet_chart(*unrelated)["observations"]))
        among = cards(service.ask(ehr.base))

    assert [card["summary"] for card in alone] == [card["summary"] for card in among]


def test_fm_37_resources_of_other_types_answer_no_search() -> None:
    page = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": myeloma()}]}

    expect_degraded(faulty.changed(lambda _: page), "MedicationStatement")


def test_fm_37_medications_that_nobody_asked_for_do_not_replace_the_one_that_was() -> None:
    more = faulty.changed(lambda page: page | {"entry": [{"resource": medication("m0", "metformin")}, *page["entry"]]})
    with serving(referring_chart("Medication/m1"), faults={"Medication": more}) as ehr:
        assert is_full(make_service().ask(ehr.base))


def test_fm_37_a_server_that_repeats_itself_counts_once() -> None:
    drug = reported("lenalidomide", "2025-01-01", subject={"reference": f"Patient/{PATIENT}"})
    with serving(quiet_chart(drug), faults={"MedicationStatement": faulty.extra_entry({"resource": drug})}) as ehr:
        assert cards(make_service().ask(ehr.base)) == []
