"""Status 200 with a body that is no answer: outcomes, login pages, broken JSON, XML, and other versions of FHIR."""

from typing import Any

import pytest

from tests.ehr import faulty, sockets
from tests.ehr.faulty import Fault
from tests.ehr.server import serving
from tests.faults.asking import (
    DEADLINE_SECONDS,
    GRACE_SECONDS,
    LISTS,
    best_seconds,
    expect_degraded,
    expect_refusal,
    expect_refused,
    hasty_service,
    is_full,
    is_full_soon,
    make_service,
    ordinary,
    quiet_chart,
    swift,
    washout_chart,
)
from tests.service.calling import cards

LIST = "MedicationStatement"


def as_text(text: str, content_type: str = faulty.FHIR_JSON) -> Fault:
    """Answer with a text."""
    return faulty.recoded(lambda _: text.encode(), content_type)


def with_outcome(severity: str) -> Fault:
    """Add an OperationOutcome to the page, as servers do that could search only a part."""
    entry = {"resource": faulty.operation_outcome(severity), "search": {"mode": "outcome"}}
    return faulty.extra_entry(entry)


FAILURES: dict[str, Fault] = {
    "17 outcome, error": faulty.outcome("error"),
    "17 outcome, fatal": faulty.outcome("fatal"),
    "17 outcome without an issue": as_text('{"resourceType":"OperationOutcome"}'),
    "18 login page": faulty.html_login(),
    "18 login page called JSON": as_text("<!DOCTYPE html><html></html>"),
    "19 garbage": faulty.garbage(),
    "19 cut short": faulty.recoded(lambda body: body[:-1]),
    "19 two documents": faulty.recoded(lambda body: body + body),
    "19 byte order mark": faulty.recoded(lambda body: b"\xef\xbb\xbf" + body),
    "19 UTF-16": faulty.recoded(lambda body: body.decode().encode("utf-16")),
    "19 NUL bytes": as_text("\0" * 100),
    "19 nested too deep": as_text('{"resourceType":"Bundle","entry":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "19 white space": as_text(" \n"),
    "19 null": as_text("null"),
    "19 true": as_text("true"),
    "19 number": as_text("0"),
    "19 text": as_text('"none"'),
    "19 list": as_text("[]"),
    "19 empty object": as_text("{}"),
    "19 object of no type": as_text('{"total":0}'),
    "19 object of another type": as_text('{"resourceType":"Parameters"}'),
    "19 Bundle whose entries are text": as_text('{"resourceType":"Bundle","entry":"none"}'),
    "20 XML": faulty.xml(),
    "20 XML called JSON": as_text('<Bundle xmlns="http://hl7.org/fhir"/>'),
}


@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES.keys())
def test_fm_17_18_19_20_what_is_no_answer_is_a_failure_never_an_empty_list(fault: Fault) -> None:
    expect_degraded(fault, LIST)


@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES.keys())
def test_fm_17_18_19_20_nothing_but_failures_is_nothing_read(fault: Fault) -> None:
    expect_refused(fault)


@pytest.mark.parametrize("kind", ["Patient", *LISTS])
@pytest.mark.parametrize("name", ["17 outcome, error", "18 login page", "19 garbage", "20 XML"])
def test_fm_17_18_19_20_any_type_may_be_the_one_that_fails(kind: str, name: str) -> None:
    expect_degraded(FAILURES[name], kind)


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("severity", ["error", "fatal"])
def test_fm_17_an_error_inside_a_page_makes_its_list_incomplete(severity: str, kind: str) -> None:
    expect_degraded(with_outcome(severity), kind)


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("severity", ["warning", "information"])
def test_fm_17_a_warning_inside_a_page_is_no_failure(severity: str, kind: str) -> None:
    with serving(quiet_chart(), faults={kind: with_outcome(severity)}) as ehr:
        assert cards(make_service().ask(ehr.base)) == []


@pytest.mark.parametrize("version", ["1.0.2", "3.0.2", "5.0.0", "6.0.0-ballot3"])
def test_fm_21_another_version_of_fhir_is_never_read(version: str) -> None:
    service = make_service()
    with serving(washout_chart(), version=version) as ehr:
        with swift():
            expect_refusal(service.ask(ehr.base), "does not speak FHIR R4")
        with swift():
            expect_refusal(service.ask(ehr.base), "does not speak FHIR R4")

        assert len(ehr.asked("metadata")) == 1
    with serving(washout_chart()) as other:
        assert is_full(service.ask(other.base))


@pytest.mark.parametrize("version", ["1.0", "3.0", "5.0"])
def test_fm_21_a_body_that_names_another_version_is_not_read(version: str) -> None:
    content_type = f"{faulty.FHIR_JSON}; fhirVersion={version}"

    expect_degraded(faulty.recoded(bytes, content_type), LIST)


@pytest.mark.parametrize("version", ["4.0.0", "4.0.1", "4.3.0"])
def test_fm_21_r4_and_r4b_are_read(version: str) -> None:
    with serving(washout_chart(), version=version) as ehr:
        assert is_full(make_service().ask(ehr.base))


SILENT: dict[str, Fault] = {
    "not found": faulty.status(404),
    "forbidden": faulty.status(403),
    "error": faulty.status(500),
    "login page": faulty.html_login(),
    "garbage": faulty.garbage(),
    "no version": as_text('{"resourceType":"CapabilityStatement"}'),
    "closed": faulty.raw(sockets.closed_at_once()),
}


@pytest.mark.parametrize("fault", SILENT.values(), ids=SILENT.keys())
def test_fm_21_a_server_that_does_not_tell_its_version_is_read(fault: Fault) -> None:
    with serving(washout_chart(), faults={"metadata": fault}) as ehr, swift():
        assert is_full(make_service().ask(ehr.base))


@pytest.mark.parametrize(
    "behaviour", [sockets.black_hole(), sockets.header_drip(), sockets.body_drip()], ids=["hole", "headers", "body"]
)
def test_fm_21_a_version_that_does_not_arrive_costs_no_answer(behaviour: Any) -> None:
    service = hasty_service()
    with serving(washout_chart(), faults={"metadata": faulty.raw(behaviour)}) as ehr:
        assert is_full_soon(service, ehr)

        assert best_seconds(lambda: service.ask(ehr.base)) < DEADLINE_SECONDS + GRACE_SECONDS
        assert is_full_soon(service, ehr)
        ordinary(service, ehr)


def test_fm_21_a_list_in_the_form_of_another_version_is_no_list() -> None:
    dstu2 = {"resourceType": "MedicationOrder", "id": "m1", "patient": {"reference": "Patient/synthetic-1"}}
    page = {"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [{"resource": dstu2}]}

    expect_degraded(faulty.changed(lambda _: page), "MedicationRequest")
