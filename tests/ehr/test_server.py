"""The FHIR server of the tests serves what a chart says, and breaks only what it is told to."""

import socket
import threading
import time
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from tests.build import PATIENT, Resource, bundle, chart, given, myeloma, reported
from tests.ehr import faulty, sockets
from tests.ehr.server import Ehr, serving

RIGHT = "right"
CONDITIONS = f"Condition?patient={PATIENT}"


def get(ehr: Ehr, path: str, **headers: str) -> requests.Response:
    """Ask once, on a connection of its own."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"{ehr.base}/{path}", headers=headers, allow_redirects=False, timeout=5)


def pages(ehr: Ehr, path: str) -> list[Resource]:
    """Follow the next links."""
    found: list[Resource] = []
    address: str | None = f"{ehr.base}/{path}"
    with requests.Session() as session:
        session.trust_env = False
        while address:
            page = session.get(address, timeout=5).json()
            found.append(page)
            links = {link["relation"]: link["url"] for link in page["link"]}
            address = urljoin(f"{ehr.base}/", links["next"]) if "next" in links else None
    return found


def medication(own_id: str) -> Resource:
    """Make a Medication."""
    return {"resourceType": "Medication", "id": own_id, "code": {"text": "teclistamab"}}


def ids(page: Any) -> list[str]:
    """Name the resources of a page."""
    return [entry["resource"]["id"] for entry in page["entry"]]


def test_each_key_of_a_chart_is_served_under_its_type() -> None:
    problem, dose = myeloma(), given("teclistamab", "2026-09-01")
    with serving(chart(problem, dose)) as ehr:
        assert get(ehr, f"Patient/{PATIENT}").json()["id"] == PATIENT
        assert ids(get(ehr, CONDITIONS).json()) == [problem["id"]]
        assert get(ehr, CONDITIONS).json()["entry"][0]["fullUrl"] == f"{ehr.base}/Condition/{problem['id']}"
        assert ids(get(ehr, f"MedicationAdministration?patient={PATIENT}").json()) == [dose["id"]]
        assert get(ehr, f"Procedure?patient={PATIENT}").json()["entry"] == []
        assert get(ehr, f"Observation?patient={PATIENT}&code=1,2").json()["total"] == 0
        assert get(ehr, f"Condition/{problem['id']}").json() == problem
        assert get(ehr, "metadata").json()["fhirVersion"] == "4.0.1"


@pytest.mark.parametrize(
    ("path", "status"), [("Patient/other", 404), ("Condition/other", 404), ("Encounter?patient=1", 404)]
)
def test_what_is_not_there_is_an_operation_outcome(path: str, status: int) -> None:
    with serving(chart()) as ehr:
        answer = get(ehr, path)

    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_other_patients_have_nothing_on_record_unless_they_have_a_chart_too() -> None:
    with serving(chart()) as ehr:
        assert get(ehr, "Condition?patient=synthetic-2").json()["entry"] == []

        ehr.put(chart(), "synthetic-2")

        assert len(get(ehr, "Condition?patient=synthetic-2").json()["entry"]) == 1


def test_a_chart_can_be_replaced_and_a_key_be_none_or_an_error() -> None:
    with serving(chart()) as ehr:
        ehr.put(chart(myeloma(), myeloma()))
        assert len(get(ehr, CONDITIONS).json()["entry"]) == 2

        ehr.state = {"conditions": "none", "patient": "none", "observations": "error"}

        assert get(ehr, CONDITIONS).json()["entry"] == []
        assert get(ehr, f"Patient/{PATIENT}").status_code == 404
        assert get(ehr, f"Observation?patient={PATIENT}").status_code == 403


def test_null_is_an_empty_search_and_an_absent_key_is_not_served() -> None:
    with serving(chart(conditions=None, without=["allergies"])) as ehr:
        assert get(ehr, CONDITIONS).json()["entry"] == []
        assert get(ehr, f"AllergyIntolerance?patient={PATIENT}").status_code == 404


def test_medications_are_served_by_id_and_kept_out_of_the_lists() -> None:
    doses = bundle([given("teclistamab", "2026-09-01"), medication("m1"), medication("m2")])
    with serving(chart(medicationAdministrations=doses)) as ehr:
        assert len(get(ehr, f"MedicationAdministration?patient={PATIENT}").json()["entry"]) == 1
        assert ids(get(ehr, "Medication?_id=m1,m2,m3").json()) == ["m1", "m2"]
        assert get(ehr, "Medication/m2").json()["id"] == "m2"
        assert get(ehr, "Medication/m3").status_code == 404


@pytest.mark.parametrize("next_links", ["absolute", "relative", "opaque"])
def test_pages_are_linked(next_links: Any) -> None:
    problems = [myeloma() for _ in range(5)]
    with serving(chart(*problems), page_size=2, next_links=next_links) as ehr:
        found = pages(ehr, CONDITIONS)
        assert len(ehr.asked("Condition")) == 3

    assert [own_id for page in found for own_id in ids(page)] == [problem["id"] for problem in problems]
    assert {page["total"] for page in found} == {5}


def test_requests_are_noted() -> None:
    with serving(chart()) as ehr:
        get(ehr, CONDITIONS, Authorization="Bearer x")

        (noted,) = ehr.asked("Condition")

    assert (noted.method, noted.path, noted.query) == ("GET", "/fhir/r4/Condition", f"patient={PATIENT}")
    assert noted.headers["authorization"] == "Bearer x"


def test_a_token_may_be_required() -> None:
    with serving(chart(), token=RIGHT) as ehr:
        assert get(ehr, CONDITIONS).status_code == 401
        assert get(ehr, CONDITIONS, Authorization="Bearer wrong").status_code == 401
        assert get(ehr, CONDITIONS, Authorization=f"Bearer {RIGHT}").status_code == 200
        assert get(ehr, "metadata").status_code == 200


@pytest.mark.parametrize("options", [{"compressed": True}, {"chunked": True}, {"compressed": True, "chunked": True}])
def test_an_answer_may_be_compressed_or_chunked(options: Any) -> None:
    with serving(chart(), **options) as ehr:
        answer = get(ehr, CONDITIONS)

    assert len(answer.json()["entry"]) == 1
    assert ("Content-Encoding" in answer.headers) is ("compressed" in options)
    assert ("Transfer-Encoding" in answer.headers) is ("chunked" in options)


def test_a_fault_may_begin_on_a_page_or_end_after_some_requests() -> None:
    faults = {"Condition": faulty.status(503).from_page(2), "Procedure": faulty.status(503).first(2)}
    with serving(chart(), faults=faults) as ehr:
        assert [get(ehr, f"{CONDITIONS}&_page={page}").status_code for page in (1, 2, 3, 1)] == [200, 503, 503, 200]
        assert [get(ehr, f"Procedure?patient={PATIENT}").status_code for _ in range(3)] == [503, 503, 200]
        assert get(ehr, f"Observation?patient={PATIENT}").status_code == 200


def test_faults_are_what_their_names_say() -> None:
    with serving(chart()) as ehr:

        def answer(fault: faulty.Fault, path: str = CONDITIONS) -> requests.Response:
            ehr.faults = {"Condition": fault, "Patient": fault, "metadata": fault}
            return get(ehr, path)

        assert answer(faulty.status(429, "slow", headers={"Retry-After": "1"})).headers["Retry-After"] == "1"
        assert answer(faulty.outcome("error")).json()["issue"][0]["severity"] == "error"
        assert answer(faulty.html_login()).headers["Content-Type"].startswith("text/html")
        assert answer(faulty.garbage()).content == bytes(range(256))
        assert answer(faulty.empty_body()).content == b""
        assert answer(faulty.xml()).text.startswith("<?xml")
        assert answer(faulty.redirect("/elsewhere")).headers["Location"] == "/elsewhere"
        assert answer(faulty.foreign_patient(), f"Patient/{PATIENT}").json()["id"] == faulty.SOMEONE_ELSE
        assert ids(answer(faulty.foreign_patient()).json())[1:] == ["of-someone-else"]
        assert answer(faulty.extra_entry(7)).json()["entry"][1] == 7
        assert answer(faulty.next_link("file:///x")).json()["link"][-1] == {"relation": "next", "url": "file:///x"}
        assert answer(faulty.endless_pages(), f"{CONDITIONS}&_page=8").json()["link"][-1]["url"].endswith("_page=9")
        assert answer(faulty.wrong_version("3.0.2"), "metadata").json()["fhirVersion"] == "3.0.2"
        assert answer(faulty.recoded(lambda body: b"\xef\xbb\xbf" + body)).content.startswith(b"\xef\xbb\xbf{")
        with pytest.raises(requests.ConnectionError):
            answer(faulty.raw(sockets.closed_at_once()))


def test_answers_may_be_late_and_are_given_in_parallel() -> None:
    with serving(chart(), delay_seconds=0.2) as ehr:
        threads = [threading.Thread(target=get, args=(ehr, CONDITIONS)) for _ in range(10)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - started

    assert 0.2 < took < 1.5


def test_the_end_of_the_block_cuts_what_is_under_way() -> None:
    before = threading.active_count()
    with serving(chart(), delay_seconds=60) as ehr, socket.socket() as waiting, socket.socket() as idle:
        port = int(ehr.base.split(":")[2].split("/")[0])
        for connection in (waiting, idle):
            connection.connect(("127.0.0.1", port))
        waiting.sendall(f"GET {ehr.path}/{CONDITIONS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while not ehr.requests:
            time.sleep(0.001)
        started = time.perf_counter()

    assert time.perf_counter() - started < 2
    assert threading.active_count() == before


def test_one_connection_carries_several_requests() -> None:
    with serving(chart(reported("lenalidomide", "2025-01-01"))) as ehr, requests.Session() as session:
        session.trust_env = False
        for _ in range(3):
            session.get(f"{ehr.base}/{CONDITIONS}", timeout=5)
        assert ehr.connections == 1
