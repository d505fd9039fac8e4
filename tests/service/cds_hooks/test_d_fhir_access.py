"""Section D: the chart comes with the request or from the EHR's FHIR server, and what is unread is never "none"."""

import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from cards.finding import Hook
from tests.build import (
    ALL_KEYS,
    KEYS,
    PATIENT,
    Resource,
    bundle,
    chart,
    draft_collection,
    given,
    hook_request,
    myeloma,
    patient,
)
from tests.ehr import faulty
from tests.ehr.server import serving
from tests.ehr.sockets import black_hole
from tests.faults.asking import (
    LISTS,
    NEEDED,
    authorization,
    expect_refusal,
    gap_card,
    make_service,
    quiet_chart,
    washout_chart,
)
from tests.service.calling import call, cards, codes, post, recorded_client, refusal, washout
from tests.service.cds_hooks.guarded import clock, guarded, token, with_key_file

TOKEN = "t0ken-of-the-ehr"  # noqa: S105 - no secret
UUID = re.compile(r'"uuid": ?"[^"]+"')
# What R00 calls the key; without one of these keys no rule about a T-cell collection can be sure
WORDS = {KEYS[kind]: words for kind, words in NEEDED.items()}
ERROR = faulty.operation_outcome("error", "forbidden")
NO_RESULTS: Resource = {
    "resourceType": "Bundle",
    "type": "searchset",
    "total": 0,
    "entry": [{"resource": faulty.operation_outcome("warning", "not-found"), "search": {"mode": "outcome"}}],
}


def sent(prefetch: dict[str, Any]) -> Resource:
    """Make an order-sign request of a T-cell collection that brings this prefetch and names no server."""
    return hook_request(Hook.ORDER_SIGN, prefetch, [draft_collection("2026-11-20")])


def coverage(request: Resource) -> dict[str, str]:
    """Ask, and give how completely each Topic was read."""
    asked, records = recorded_client()
    call(request, to=asked)
    return dict(records[-1].coverage)


@pytest.mark.parametrize("key", WORDS)
def test_c070_a_key_that_is_missing_is_searched_for_once_and_nothing_else(key: str) -> None:
    with serving(washout_chart()) as ehr:
        answer = make_service().ask(ehr.base, prefetch=washout_chart(without=[key]))

        assert codes(answer) == ["R01"]
        assert [request.kind for request in ehr.requests if request.kind != "metadata"] == [ALL_KEYS[key]]


@pytest.mark.parametrize("prefetch", [None, {}, {"encounter": None}])
def test_c071_with_nothing_to_read_from_the_answer_is_412(prefetch: Resource | None) -> None:
    request = hook_request(Hook.ORDER_SIGN, prefetch, [draft_collection("2026-11-20")])

    said = refusal(call(request), 412)

    assert [key for key in ALL_KEYS if key not in said] == []


IN_A_BUNDLE = NO_RESULTS | {"entry": [{"resource": ERROR, "search": {"mode": "outcome"}}]}


@pytest.mark.parametrize("value", [ERROR, IN_A_BUNDLE], ids=["alone", "in a Bundle"])
@pytest.mark.parametrize("key", WORDS)
def test_c072_an_error_in_the_prefetch_is_noticed(key: str, value: Resource) -> None:
    assert WORDS[key] in gap_card(call(sent(quiet_chart(**{key: value}))))


@pytest.mark.parametrize("key", ALL_KEYS)
def test_c073_null_is_none_on_record_and_is_not_searched_for(key: str) -> None:
    null = quiet_chart(**{key: None})
    with serving(washout_chart()) as ehr:
        answer = make_service().ask(ehr.base, prefetch=null)

        assert answer.status_code == 200
        assert ehr.requests == []
    assert set(coverage(sent(null)).values()) == {"complete"}


@pytest.mark.parametrize("key", [KEYS[kind] for kind in LISTS])
def test_c074_null_an_empty_bundle_and_a_warning_of_no_results_are_the_same(key: str) -> None:
    empty = [None, {"resourceType": "Bundle", "type": "searchset", "total": 0}, bundle([]), NO_RESULTS]

    answers = [call(sent(quiet_chart(**{key: value}))) for value in empty]

    assert {answer.status_code for answer in answers} == {200}
    assert len({UUID.sub("", answer.text) for answer in answers}) == 1
    assert [set(coverage(sent(quiet_chart(**{key: value}))).values()) for value in empty] == [{"complete"}] * 4


@pytest.mark.parametrize("severity", ["error", "fatal"])
@pytest.mark.parametrize("key", WORDS)
def test_c075_an_error_is_never_none_on_record_and_is_not_asked_for_again(key: str, severity: str) -> None:
    failed = faulty.operation_outcome(severity, "forbidden")
    with serving(washout_chart()) as ehr:
        service = make_service()

        assert WORDS[key] in gap_card(service.ask(ehr.base, prefetch=quiet_chart(**{key: failed})))
        refusal(service.ask(ehr.base, prefetch=dict.fromkeys(ALL_KEYS, failed)), 412)
        assert ehr.requests == []


@pytest.mark.parametrize("key", WORDS)
def test_c076_a_key_that_is_absent_is_read_where_it_can_be_and_told_where_not(key: str) -> None:
    without_key = quiet_chart(without=[key])
    with serving(quiet_chart()) as ehr:
        assert cards(make_service().ask(ehr.base, prefetch=without_key)) == []
        assert len([request for request in ehr.requests if request.kind != "metadata"]) == 1

    assert WORDS[key] in gap_card(call(sent(without_key)))


def first_page(base: str, next_url: str) -> Resource:
    """Make the first page of the doses, without the one that matters; it says where the next page is."""
    return bundle([given("metformin", "2019-01-02")]) | {"link": [{"relation": "next", "url": next_url}], "total": 2}


@pytest.mark.parametrize("second_page", ["served", "failing", "out of reach"])
def test_c077_further_pages_are_followed_and_missed_when_they_cannot_be(second_page: str) -> None:
    doses = [given("metformin", "2019-01-02"), given("teclistamab", "2026-09-01")]
    with serving(chart(*doses), token=TOKEN, page_size=1) as ehr:
        page = first_page(ehr.base, f"{ehr.base}/MedicationAdministration?patient={PATIENT}&_page=2")
        prefetch = quiet_chart(medicationAdministrations=page)
        if second_page == "failing":
            ehr.faults = {"MedicationAdministration": faulty.status(500).from_page(2)}
        answer = make_service().ask(None if second_page == "out of reach" else ehr.base, prefetch=prefetch, token=TOKEN)

        if second_page == "served":
            assert codes(answer) == ["R01"]
            (request,) = ehr.asked("MedicationAdministration")
            assert request.headers["authorization"] == f"Bearer {TOKEN}"
        else:
            assert "medication administrations" in gap_card(answer)


def test_c078_token_and_patient_go_to_no_other_address(tmp_path: Path) -> None:
    with serving(washout_chart()) as own, serving(washout_chart()) as other, clock():
        service = guarded(with_key_file(tmp_path, fhir_bases=(own.base,)))
        page = first_page(own.base, f"{other.base}/MedicationAdministration?patient={PATIENT}&_page=2")
        offer = {"fhirServer": own.base, "fhirAuthorization": authorization(TOKEN)}
        request = sent(quiet_chart(medicationAdministrations=page)) | offer
        assert "medication administrations" in gap_card(service.show(token(), request=request))

        unlisted = sent({}) | offer | {"fhirServer": other.base}
        assert "not on the list" in refusal(service.show(token(), request=unlisted), 412)

        redirecting = dict.fromkeys(KEYS, faulty.redirect(f"{other.base}/Patient/{PATIENT}", 307))
        own.faults = redirecting
        refusal(service.show(token(), request=sent({}) | offer), 412)
        assert own.requests
        assert other.connections == 0


def test_c079_with_server_and_token_the_chart_is_read() -> None:
    with serving(washout_chart(), token=TOKEN) as ehr:
        assert codes(make_service().ask(ehr.base, token=TOKEN)) == ["R01"]
        assert all(ehr.asked(kind) for kind in KEYS)


def test_c080_the_token_goes_with_every_read_and_nothing_is_read_after_its_end() -> None:
    with serving(washout_chart(), page_size=1) as ehr:
        assert codes(make_service().ask(ehr.base, token=TOKEN)) == ["R01"]
        # /metadata is open to everybody and tells nothing of a patient
        reads = [request for request in ehr.requests if request.kind != "metadata"]
        assert len(reads) > len(KEYS)
        assert {request.headers.get("authorization") for request in reads} == {f"Bearer {TOKEN}"}

        so_far = len(ehr.requests)
        for end in (0, -1):
            late = authorization(TOKEN, expires_in=end)
            assert "expired" in refusal(make_service().ask(ehr.base, fhirAuthorization=late), 412)
        assert len(ehr.requests) == so_far


def test_c081_the_token_is_not_kept_written_down_or_handed_on(capsys: pytest.CaptureFixture[str]) -> None:
    canary = f"canary-{uuid.uuid4()}"
    service = make_service()
    with serving(washout_chart(), token=canary) as ehr, capture_logs() as lines:
        read = service.ask(ehr.base, token=canary)
        ehr.token = "another"  # noqa: S105 - no secret
        refused = service.ask(ehr.base, token=canary)
        without = service.ask(ehr.base)

        assert codes(read) == ["R01"]
        assert refused.status_code == without.status_code == 412
        assert "authorization" not in ehr.requests[-1].headers, "the next request does not use it"
    kept = [read.text, refused.text, str(read.headers), str(lines), str(service.records), *capsys.readouterr()]
    assert lines or service.records
    assert [text for text in kept if canary in text] == []


def test_c082_prefetch_server_or_both_give_the_same_cards() -> None:
    whole = washout_chart()
    half = {key: whole[key] for key in ("conditions", "medicationAdministrations", "allergies")}
    with serving(whole) as ehr:
        answers = [
            make_service().ask(None, prefetch=whole),
            make_service().ask(ehr.base),
            make_service().ask(ehr.base, prefetch=half),
        ]

    assert codes(answers[0]) == ["R01"]
    assert len({UUID.sub("", answer.text) for answer in answers}) == 1


@pytest.mark.parametrize("is_open", [True, False])
def test_c083_a_server_is_read_without_a_token_only_where_the_site_says_that_it_is_open(
    tmp_path: Path, is_open: bool
) -> None:
    with serving(washout_chart()) as ehr, clock():
        members = {"open_fhir_bases" if is_open else "fhir_bases": (ehr.base,)}
        service = guarded(with_key_file(tmp_path, **members))

        answer = service.show(token(), request=sent({}) | {"fhirServer": ehr.base})

        if is_open:
            assert codes(answer) == ["R01"]
            assert all("authorization" not in request.headers for request in ehr.requests)
        else:
            assert "no access token" in refusal(answer, 412)
            assert ehr.connections == 0


FAILURES = {str(code): faulty.status(code, "upstream") for code in (401, 403, 404, 429, 500, 502, 503)}
FAILURES["timeout"] = faulty.raw(black_hole())


@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES.keys())
def test_c084_a_failing_server_costs_what_it_failed_to_give_and_no_more(fault: faulty.Fault) -> None:
    service = make_service(deadline_seconds=1.5)
    with serving(quiet_chart()) as ehr:
        ehr.faults = {"MedicationStatement": fault}
        assert "medication statements" in gap_card(service.ask(ehr.base))

        ehr.faults = dict.fromkeys(KEYS, fault)
        expect_refusal(service.ask(ehr.base))


@pytest.mark.parametrize("key", WORDS)
def test_c085_another_patients_data_gives_no_card_and_is_reported(key: str) -> None:
    theirs = patient(id="synthetic-2") if key == "patient" else myeloma(subject={"reference": "Patient/synthetic-2"})
    dose = given("teclistamab", "2026-09-01", subject={"reference": "Patient/synthetic-2"})
    foreign = dose if key == "medicationAdministrations" else theirs

    with capture_logs() as lines:
        assert WORDS[key] in gap_card(call(sent(quiet_chart(**{key: bundle([foreign])}))))

    assert [line["prefetch_key"] for line in lines if line["event"].startswith("security: another patient")] == [key]
    with serving(washout_chart()) as ehr:
        offer = authorization(TOKEN, patient="synthetic-2")
        assert "for another patient" in refusal(make_service().ask(ehr.base, fhirAuthorization=offer), 412)
        assert ehr.connections == 0


@pytest.mark.parametrize(
    "broken",
    [
        {"resourceType": "MedicationAdministration", "id": 7},
        {"resourceType": "MedicationAdministration", "status": {"value": "completed"}},
        {"resourceType": "MedicationAdministration", "medicationCodeableConcept": "teclistamab"},
        "no object",
        None,
    ],
)
def test_c086_one_bad_entry_does_not_cost_its_neighbours(broken: Any) -> None:
    doses = bundle([broken, given("teclistamab", "2026-09-01")])

    assert codes(call(sent(quiet_chart(medicationAdministrations=doses))))[0] == "R01"


def test_c087_keys_that_nobody_asked_for_are_ignored() -> None:
    foreign = {"-user": {"resourceType": "Practitioner", "id": "p"}, "encounter": None, "x": patient(id="someone")}
    request = washout()
    request["prefetch"] = foreign | request["prefetch"]

    assert codes(post(request)) == codes(post(washout())) == ["R01"]
