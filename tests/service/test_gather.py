"""What counts when request and FHIR server both have something to say, and what is heard of the rest."""

import socket
import sys
import threading
import time
from typing import Any

import pytest

from cards.finding import Hook
from fhir_mapping.model.vocabulary import Topic
from tests.build import (
    PATIENT,
    Resource,
    bundle,
    chart,
    condition,
    draft_collection,
    given,
    hook_request,
    infusion,
    lab,
)
from tests.ehr.faulty import raw, status
from tests.ehr.server import serving
from tests.ehr.sockets import Behaviour, black_hole, body_drip, header_drip
from tests.faults.asking import authorization, gap_card, make_service, quiet_chart, swift, washout_chart
from tests.rules.table import SCREENED, days_ago
from tests.service.calling import call, cards, codes, unremarkable

NEXT = {"link": [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]}


def remark(severity: str | None = "warning", code: str = "processing") -> Resource:
    issue = {"severity": severity, "code": code}
    return {"resourceType": "OperationOutcome", "issue": [{key: value for key, value in issue.items() if value}]}


def listed(*resources: Any, **more: Any) -> Resource:
    return bundle(resources) | more


# --- A list is whole only when every match came ---


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(listed(remark(), total=12), id="twelve matches, and only a warning came"),
        pytest.param(listed(remark(), **NEXT), id="a warning, and the matches on the next page"),
        pytest.param(
            listed(given("metformin", "2026-01-01"), remark(), total=2),
            id="two matches, and one of the entries is a remark",
        ),
        pytest.param(
            listed(given("metformin", "2026-01-01"), {"resourceType": "Medication", "id": "m"}, total=2),
            id="two matches, and one of the entries is included",
        ),
        pytest.param(
            listed(given("metformin", "2026-01-01"), bundle([given("teclistamab", "2026-09-01")])),
            id="a Bundle within the Bundle",
        ),
    ],
)
def test_a_list_of_which_a_match_is_missing_is_not_complete(value: Resource) -> None:
    assert codes(call(unremarkable(medicationAdministrations=value))) == ["R00"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(listed(remark(), total=0), id="no matches, said as a warning"),
        pytest.param(remark("information", "informational"), id="nothing but a remark"),
        pytest.param(listed(given("metformin", "2026-01-01"), remark(), total=1), id="one match and a remark"),
    ],
)
def test_a_list_with_all_its_matches_is_complete(value: Resource) -> None:
    assert cards(call(unremarkable(medicationAdministrations=value))) == []


@pytest.mark.parametrize(
    "outcome",
    [
        remark(None, "exception"),
        remark("ERROR", "forbidden"),
        remark("warning", "suppressed"),
        remark("warning", "security"),
        remark("information", "incomplete"),
        {"resourceType": "OperationOutcome", "issue": []},
    ],
    ids=["no severity", "odd severity", "suppressed", "security", "incomplete", "no issue"],
)
@pytest.mark.parametrize("in_a_bundle", [True, False])
def test_an_outcome_that_may_keep_something_back_is_no_empty_list(outcome: Resource, in_a_bundle: bool) -> None:
    value = listed(outcome) if in_a_bundle else outcome

    assert codes(call(unremarkable(procedures=value))) == ["R00"]


# --- Another FHIR version in the request itself ---

R5_DOSE = {
    "resourceType": "MedicationAdministration",
    "id": "r5",
    "status": "completed",
    "subject": {"reference": f"Patient/{PATIENT}"},
    "medication": {"concept": {"text": "ciltacabtagene autoleucel"}},
    "occurenceDateTime": "2026-10-01",
}


def test_a_record_of_r5_is_not_passed_over() -> None:
    request = hook_request(Hook.PATIENT_VIEW, chart(medicationAdministrations=bundle([R5_DOSE])))
    screened = chart(*SCREENED, medicationAdministrations=bundle([R5_DOSE]))
    order = hook_request(Hook.ORDER_SIGN, screened, [draft_collection("2026-11-25")])

    assert codes(call(order)) == ["R00"]
    assert codes(call(request)) == ["R00"]


def test_while_the_version_is_being_asked_for_every_hook_waits_for_it() -> None:
    service = make_service(deadline_seconds=2)
    with serving(quiet_chart(), version="5.0.0", delay_seconds=0.1) as ehr:
        statuses: list[int] = []
        hooks = [threading.Thread(target=lambda: statuses.append(service.ask(ehr.base).status_code)) for _ in range(4)]
        for hook in hooks:
            hook.start()
        for hook in hooks:
            hook.join()

    assert statuses == [412] * 4


# --- Request and server together ---


def test_a_record_that_only_the_request_has_still_counts() -> None:
    dose = given("teclistamab", "2026-09-01")
    service = make_service()
    with serving(quiet_chart()) as ehr:
        response = service.ask(ehr.base, prefetch={"medicationAdministrations": dose})

    assert codes(response) == ["R01", "R00"]
    assert service.records[-1].origins["medicationAdministrations"] == "differs_from_prefetch"


def test_a_list_that_was_cut_short_is_read_whole_from_the_server() -> None:
    service = make_service()
    with serving(quiet_chart(given("teclistamab", "2026-09-01"))) as ehr:
        cut_short = listed(remark(), total=2)
        response = service.ask(ehr.base, prefetch={"medicationAdministrations": cut_short})

    assert codes(response) == ["R01"]


def test_an_included_medication_that_only_the_request_has_is_no_difference() -> None:
    medication = {"resourceType": "Medication", "id": "m", "code": {"text": "metformin"}}
    dose = given("metformin", "2026-01-01")
    service = make_service()
    with serving(quiet_chart(dose)) as ehr:
        service.ask(ehr.base, prefetch={"medicationAdministrations": listed(dose, medication, total=5)})

    assert service.records[-1].origins["medicationAdministrations"] == "fhir"


def test_a_record_that_both_have_counts_once() -> None:
    dose = given("teclistamab", "2026-09-01")
    service = make_service()
    with serving(quiet_chart(dose)) as ehr:
        response = service.ask(ehr.base, prefetch={"medicationAdministrations": dose})

    assert codes(response) == ["R01"]
    assert service.records[-1].origins["medicationAdministrations"] == "fhir"
    assert service.records[-1].gaps == {}


def test_an_answer_that_holds_nothing_of_use_is_not_called_read() -> None:
    service = make_service()
    only_an_error = listed(remark("error", "forbidden"))
    with serving(quiet_chart(conditions=only_an_error)) as ehr:
        service.ask(ehr.base)

    assert service.records[-1].origins["conditions"] == "not_usable"


@pytest.mark.parametrize("patient", [12345, ["someone-else"], {}, "someone-else"])
def test_a_token_for_anything_but_this_patient_is_not_used(patient: Any) -> None:
    with serving(washout_chart(), token="canary-in-a-token") as ehr:  # noqa: S106 - made up
        response = make_service().ask(ehr.base, fhirAuthorization=authorization(patient=patient))

        assert response.status_code == 412
        assert ehr.requests == []


@pytest.mark.parametrize("odd", [{"token_type": 5}, {"expires_in": "0"}, {"expires_in": []}, {"expires_in": "soon"}])
def test_a_token_with_odd_members_is_not_used(odd: dict[str, Any]) -> None:
    with serving(washout_chart()) as ehr:
        assert make_service().ask(ehr.base, fhirAuthorization=authorization(**odd)).status_code == 412
        assert ehr.requests == []


# --- The newest records alone ---

TEMPERATURES = [lab("8310-5", 36.6, "Cel", days_ago(day)) for day in range(12)]
FEVERS = Topic.INFECTIONS.value


@pytest.mark.parametrize(
    ("temperatures", "pages"),
    [
        pytest.param(TEMPERATURES, 2, id="newest first: no more than the days that matter"),
        pytest.param(TEMPERATURES[::-1], 4, id="oldest first: all of them"),
    ],
)
def test_no_more_temperatures_are_read_than_matter(temperatures: list[Resource], pages: int) -> None:
    service = make_service()
    with serving(quiet_chart(recentVitalSigns=bundle(temperatures)), page_size=3) as ehr:
        service.ask(ehr.base)
        asked = [request for request in ehr.asked("Observation") if "_sort=-date" in request.query]

    assert len(asked) == pages
    assert "_count=100" in asked[0].query
    assert "_count=200" not in asked[0].query
    assert service.records[-1].coverage[FEVERS] == "complete"


@pytest.mark.parametrize(
    ("temperatures", "level"),
    [
        pytest.param(listed(*TEMPERATURES[:7], **NEXT, total=900), "complete", id="the newest of many"),
        pytest.param(listed(*TEMPERATURES[:4], **NEXT, total=900), "partial", id="not enough of them"),
        pytest.param(listed(*TEMPERATURES[6::-1], **NEXT, total=900), "partial", id="in another order"),
        pytest.param(listed(*TEMPERATURES[:2]), "complete", id="all that there are"),
        pytest.param(listed(), "complete", id="none on record"),
    ],
)
def test_the_newest_temperatures_of_a_request_are_enough(temperatures: Resource, level: str) -> None:
    service = make_service()
    service.ask(None, prefetch=quiet_chart(recentVitalSigns=temperatures))

    assert service.records[-1].coverage[FEVERS] == level


def test_the_newest_of_any_other_list_are_not_enough() -> None:
    results = [lab("751-8", 2.0, "10*3/uL", days_ago(day)) for day in range(12)]
    service = make_service()
    service.ask(None, prefetch=quiet_chart(observations=listed(*results, **NEXT)))

    assert service.records[-1].coverage[Topic.LABS.value] == "partial"


# --- Time ---


def closing_drip() -> Behaviour:
    """Announce the end of the connection, so that the client lets go of it, and then drip the body."""

    def answer(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
        while not closing.wait(0.05):
            connection.sendall(b" ")

    return answer


@pytest.mark.parametrize("behaviour", [body_drip, header_drip, black_hole, closing_drip])
def test_no_thread_stays_with_a_server_that_drips(behaviour: Any) -> None:
    service = make_service(deadline_seconds=0.3)
    with serving(quiet_chart(), faults={"Condition": raw(behaviour()), "Procedure": raw(behaviour())}) as ehr:
        service.ask(ehr.base)
        gone = _wait_until(lambda: not _is_reading())

    assert gone


def _is_reading() -> bool:
    frames = sys._current_frames()
    readers = [t for t in threading.enumerate() if t.name.startswith("fhir") and t.ident in frames]
    return any(_is_in(frames[t.ident], "transport.py") for t in readers if t.ident is not None)


def _is_in(frame: Any, file: str) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.endswith(file):
            return True
        frame = frame.f_back
    return False


def _wait_until(holds: Any, seconds: float = 3.0) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if holds():
            return True
        time.sleep(0.02)
    return False


def test_a_draft_whose_medication_hangs_does_not_cost_the_chart() -> None:
    dangling = (
        draft_collection("2026-11-20"),
        {
            "resourceType": "MedicationRequest",
            "id": "d",
            "status": "draft",
            "subject": {"reference": f"Patient/{PATIENT}"},
            "medicationReference": {"reference": "Medication/somewhere"},
        },
    )
    request = hook_request(Hook.ORDER_SIGN, None, dangling)
    service = make_service(deadline_seconds=1)
    with serving(washout_chart(), faults={"Medication": raw(black_hole())}) as ehr:
        response = call(request | {"fhirServer": ehr.base}, to=service.app.test_client())

    assert codes(response)[0] == "R01"
    assert "not recognised" in cards(response)[-1]["detail"].lower()


def test_ten_thousand_selected_drafts_are_read_in_time() -> None:
    drafts = [draft_collection("2026-11-20") for _ in range(10_000)]
    request = hook_request(Hook.ORDER_SELECT, None, drafts)
    with swift(3):
        assert call(request).status_code == 412


# --- What must be heard of ---


def test_another_patients_data_is_reported_also_where_there_is_no_myeloma(capsys: pytest.CaptureFixture[str]) -> None:
    foreign = {"resourceType": "Patient", "id": "somebody-else"}
    request = hook_request(Hook.ORDER_SIGN, chart(condition("I10"), patient=foreign), [draft_collection("2026-11-20")])

    call(request)

    assert "security: another patient's data, dropped" in capsys.readouterr().out


@pytest.mark.parametrize("diagnosis", ["I10", "C90.00"])
def test_a_draft_about_another_patient_is_never_an_empty_answer(
    diagnosis: str, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = draft_collection("2026-11-20", subject={"reference": "Patient/somebody-else"})
    request = hook_request(Hook.ORDER_SIGN, chart(condition(diagnosis), infusion("2020-01-01")), [foreign])

    assert codes(call(request)) == ["R00"]
    assert "security: draft orders about another patient, not judged" in capsys.readouterr().out


def test_a_forbidden_list_beside_a_slow_one_is_still_said() -> None:
    service = make_service(deadline_seconds=0.5)
    faults = {"Condition": status(403), "Procedure": raw(black_hole())}
    with serving(quiet_chart(), faults=faults) as ehr:
        said = gap_card(service.ask(ehr.base))

    assert "problem list" in said
    assert "procedures" in said
