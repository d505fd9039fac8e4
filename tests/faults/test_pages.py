"""Answers in pages: followed only where they belong, never without end, and what is missing makes a list incomplete."""

import time
from typing import Any

import pytest

from tests.build import PATIENT, bundle, given, myeloma, ordered, procedure, reported
from tests.ehr import faulty, sockets
from tests.ehr.faulty import Asked, Fault, next_link
from tests.ehr.server import Ehr, serving
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
    swift,
    washout_chart,
)
from tests.service.calling import cards, codes

LIST = "MedicationStatement"
MOST_PAGES = 20
MOST_ENTRIES = 2_000


def same_page(asked: Asked) -> str:
    """Point a page to itself, by the address that it was asked for."""
    return f"{asked.base}/{asked.kind}?patient={asked.patient}&_count=200"


@pytest.mark.parametrize("kind", LISTS)
def test_fm_22_a_page_that_points_to_itself_is_a_loop(kind: str) -> None:
    expect_degraded(next_link(same_page), kind, at_most=2)


def test_fm_22_a_link_that_is_exactly_the_address_asked_for_is_not_asked_again() -> None:
    service = make_service()
    with serving(quiet_chart()) as ehr:
        cards(service.ask(ehr.base))
        first = ehr.asked(LIST)[0]
        ehr.faults = {LIST: next_link(f"{ehr.base}/{LIST}?{first.query}")}

        assert NEEDED[LIST] in gap_card(service.ask(ehr.base))
        assert len(ehr.asked(LIST)) == 2


def test_fm_22_pages_that_point_to_each_other_are_a_loop() -> None:
    back_and_forth = next_link(
        lambda asked: (
            f"{asked.base}/{asked.kind}?patient={asked.patient}&_page={3 - asked.page if asked.page > 1 else 2}"
        )
    )

    expect_degraded(back_and_forth, LIST, at_most=3)


def test_fm_23_pages_without_an_end_are_left_at_the_twentieth() -> None:
    service = make_service()
    with serving(quiet_chart(), faults={LIST: faulty.endless_pages()}) as ehr, swift():
        assert NEEDED[LIST] in gap_card(service.ask(ehr.base))

        assert len(ehr.asked(LIST)) == MOST_PAGES
        ordinary(service, ehr)


def test_fm_23_slow_pages_without_an_end_are_left_at_the_deadline() -> None:
    service = hasty_service()
    with serving(quiet_chart(), faults={LIST: faulty.endless_pages()}, delay_seconds=0.08) as ehr:
        assert NEEDED[LIST] in gap_card(service.ask(ehr.base))
        assert best_seconds(lambda: service.ask(ehr.base)) < DEADLINE_SECONDS + GRACE_SECONDS


def test_fm_23_as_many_pages_as_are_allowed_are_read_whole() -> None:
    drugs = [reported("lenalidomide", "2025-01-01") for _ in range(MOST_PAGES - 2)]
    with serving(quiet_chart(*drugs), page_size=1) as ehr:
        assert cards(make_service().ask(ehr.base)) == []

        assert len(ehr.asked(LIST)) == MOST_PAGES


def test_fm_23_more_entries_than_are_allowed_are_not_read() -> None:
    service = make_service(deadline_seconds=8)
    drugs = [reported("metformin", "2025-01-01") for _ in range(MOST_ENTRIES + 500)]
    with serving(quiet_chart(*drugs), page_size=500) as ehr:
        assert NEEDED[LIST] in gap_card(service.ask(ehr.base))

        assert len(ehr.asked(LIST)) <= MOST_ENTRIES // 500 + 1
        ordinary(service, ehr)


ELSEWHERE = {
    "other port": "{other}/MedicationStatement?patient=synthetic-1&_page=2",
    "other host, same server": "http://localhost:{port}/fhir/r4/MedicationStatement?patient=synthetic-1&_page=2",
    "without a scheme": "//127.0.0.1:{other_port}/fhir/r4/MedicationStatement?_page=2",
    "https": "https://127.0.0.1:{port}/fhir/r4/MedicationStatement?_page=2",
    "outside the base": "http://127.0.0.1:{port}/other/MedicationStatement?_page=2",
    "beside the base": "http://127.0.0.1:{port}/fhir/r4-other/MedicationStatement?_page=2",
    "up and out": "http://127.0.0.1:{port}/fhir/r4/../../other?_page=2",
    "up and out, encoded": "http://127.0.0.1:{port}/fhir/r4/%2e%2e/%2e%2e/other?_page=2",
    "absolute path": "/other/MedicationStatement?_page=2",
    "user name": "http://user@127.0.0.1:{port}/fhir/r4/MedicationStatement?_page=2",
    "user name that looks like the host": "http://127.0.0.1:{port}@127.0.0.1:{other_port}/fhir/r4/MedicationStatement",
    "backslash": "http://127.0.0.1:{port}\\@127.0.0.1:{other_port}/fhir/r4/MedicationStatement",
    "file": "file:///etc/hostname",
    "script": "javascript:alert(1)",
    "doubled port": "http://127.0.0.1:{port}:{port}/fhir/r4/MedicationStatement?_page=2",
    "unreachable": "http://127.0.0.1:1/fhir/r4/MedicationStatement?_page=2",
    "mapped address": "http://[::ffff:127.0.0.1]:{port}/fhir/r4/MedicationStatement?_page=2",
    "dot at the end of the host": "http://127.0.0.1.:{port}/fhir/r4/MedicationStatement?_page=2",
    "empty": "",
    "spaces": "  ",
    "line break": "MedicationStatement?_page=2\r\nX-Injected: 1",
    "not ASCII": "MedicationStatement?_page=\u0662",
    "very long": "MedicationStatement?_page=2&x=" + "x" * 100_000,
}


def filled(link: str, ehr: Ehr, other: Ehr) -> str:
    """Fill in where the servers are."""
    ports = {"{port}": ehr.base, "{other_port}": other.base}
    for mark, base in ports.items():
        link = link.replace(mark, base.split(":")[2].partition("/")[0])
    return link.replace("{other}", other.base)


@pytest.mark.parametrize("link", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_fm_24_25_a_link_that_leads_elsewhere_is_not_followed(link: str) -> None:
    service = make_service()
    with serving(washout_chart()) as other, serving(quiet_chart()) as ehr:
        ehr.faults = {LIST: next_link(filled(link, ehr, other))}
        with swift():
            answer = service.ask(ehr.base, token="canary-in-a-token")  # noqa: S106 - no secret

        assert NEEDED[LIST] in gap_card(answer)
        assert other.connections == 0
        assert len(ehr.asked(LIST)) == 1
        assert all(request.path.startswith(ehr.path) for request in ehr.requests)
        ordinary(service, ehr)


def test_fm_24_a_link_to_another_host_is_a_security_event() -> None:
    with serving(quiet_chart(), faults={LIST: next_link("https://elsewhere.example/fhir")}) as ehr:
        _, events = security_events(lambda: make_service().ask(ehr.base))

    assert len(events) == 1


@pytest.mark.parametrize("link", [7, True, {}, [], ["x"]])
def test_fm_25_a_link_that_is_no_text_makes_a_list_incomplete(link: Any) -> None:
    expect_degraded(next_link(lambda _: link), LIST, at_most=2)


@pytest.mark.parametrize("with_total", [True, False])
@pytest.mark.parametrize("next_links", ["absolute", "relative", "opaque"])
def test_fm_25_links_under_the_base_are_followed_however_they_are_written(next_links: Any, with_total: bool) -> None:
    drugs = [reported("lenalidomide", "2025-01-01") for _ in range(4)]
    dose = given("teclistamab", "2026-09-01")
    with serving(quiet_chart(dose, *drugs), page_size=1, next_links=next_links, with_total=with_total) as ehr:
        assert is_full(make_service().ask(ehr.base))

        assert len(ehr.asked(LIST)) == 6


SECOND_PAGE: dict[str, Fault] = {
    "server error": faulty.status(500),
    "forbidden": faulty.status(403),
    "gone": faulty.status(410),
    "outcome": faulty.outcome(),
    "login page": faulty.html_login(),
    "garbage": faulty.garbage(),
    "no body": faulty.empty_body(),
    "reset": faulty.raw(sockets.reset_mid_body()),
    "cut short": faulty.raw(sockets.short_body()),
    "late": faulty.raw(sockets.black_hole()),
    "drip": faulty.raw(sockets.body_drip()),
    "redirect": faulty.redirect("/"),
}


@pytest.mark.parametrize("fault", SECOND_PAGE.values(), ids=SECOND_PAGE.keys())
def test_fm_26_without_its_second_page_a_list_is_incomplete(fault: Fault) -> None:
    service = make_service()
    with serving(quiet_chart(reported("lenalidomide", "2025-01-01")), page_size=1) as ehr:
        ehr.faults = {LIST: fault.from_page(2)}

        assert NEEDED[LIST] in gap_card(service.ask(ehr.base))
        ordinary(service, ehr)


@pytest.mark.parametrize("kind", LISTS)
def test_fm_26_any_list_may_be_the_one_that_breaks_off(kind: str) -> None:
    more = [myeloma(), myeloma(), procedure("38225", "2020-01-01"), procedure("38225", "2020-01-02")]
    more += [ordered("metformin", "2019-02-01"), given("metformin", "2019-02-02"), reported("metformin", "2019-02-03")]
    with serving(quiet_chart(*more), page_size=1) as ehr:
        ehr.faults = {kind: faulty.status(500).from_page(2)}

        assert NEEDED[kind] in gap_card(make_service().ask(ehr.base))


@pytest.mark.parametrize("fault", SECOND_PAGE.values(), ids=SECOND_PAGE.keys())
def test_fm_26_what_the_first_page_shows_still_counts(fault: Fault) -> None:
    doses = [given("teclistamab", "2026-09-01"), given("lenalidomide", "2025-01-01")]
    with serving(quiet_chart(*doses), page_size=1) as ehr:
        ehr.faults = {"MedicationAdministration": fault.from_page(2)}

        assert codes(make_service().ask(ehr.base)) == ["R01", "R00"]


def sent_with_next(link: str) -> dict[str, Any]:
    """Make a prefetch whose administrations are the first page of a longer list."""
    first = bundle([given("metformin", "2019-01-02")]) | {"link": [{"relation": "next", "url": link}]}
    return quiet_chart(medicationAdministrations=first)


def test_fm_25_a_list_that_was_sent_in_part_is_followed_to_its_end() -> None:
    doses = [given("metformin", "2019-01-02"), given("teclistamab", "2026-09-01")]
    with serving(quiet_chart(*doses), page_size=1) as ehr:
        link = f"{ehr.base}/MedicationAdministration?patient={PATIENT}&_page=2"

        assert is_full(make_service().ask(ehr.base, prefetch=sent_with_next(link)))
        assert {request.kind for request in ehr.requests} - {"metadata"} == {"MedicationAdministration"}


def test_fm_24_a_link_that_was_sent_and_leads_elsewhere_is_not_followed() -> None:
    with serving(washout_chart()) as other, serving(quiet_chart()) as ehr:
        sent = sent_with_next(f"{other.base}/MedicationAdministration?patient={PATIENT}")

        assert NEEDED["MedicationAdministration"] in gap_card(make_service().ask(ehr.base, prefetch=sent))
        assert other.connections == 0


def test_fm_26_a_list_that_was_sent_in_part_stays_one_when_the_rest_cannot_be_read() -> None:
    with serving(quiet_chart(), faults={"MedicationAdministration": faulty.status(403)}) as ehr:
        sent = sent_with_next(f"{ehr.base}/MedicationAdministration?patient={PATIENT}&_page=2")

        assert NEEDED["MedicationAdministration"] in gap_card(make_service().ask(ehr.base, prefetch=sent))


def test_fm_33_five_thousand_entries_in_the_prefetch_are_read_in_full() -> None:
    service = make_service(deadline_seconds=2)
    sent = quiet_chart(given("teclistamab", "2026-09-01"), *(given("metformin", "2026-01-01") for _ in range(5_000)))
    service.ask(None, prefetch=quiet_chart())
    started = time.perf_counter()

    assert is_full(service.ask(None, prefetch=sent))

    assert time.perf_counter() - started < 2


def test_fm_33_five_thousand_entries_on_a_server_are_cut_off_and_said() -> None:
    service = make_service(deadline_seconds=2)
    doses = [given("metformin", "2026-01-01") for _ in range(5_000)]
    with serving(quiet_chart(*doses), page_size=200) as ehr:
        started = time.perf_counter()
        answer = service.ask(ehr.base)
        took = time.perf_counter() - started

        assert NEEDED["MedicationAdministration"] in gap_card(answer)
        assert took < 2 + GRACE_SECONDS
        ordinary(service, ehr)


def test_fm_33_the_patient_is_named_in_every_search() -> None:
    with serving(quiet_chart()) as ehr:
        cards(make_service().ask(ehr.base))

        assert all(f"patient={PATIENT}" in ehr.asked(kind)[0].query for kind in LISTS)
