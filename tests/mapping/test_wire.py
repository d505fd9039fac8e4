"""What arrives: one bad element loses at most its resource, and nothing that arrives makes the reading fail."""

import json
from typing import Any

import pytest

from fhir_mapping import piles, wire
from fhir_mapping.model.history import GapCode
from tests.build import Resource, bundle, given, myeloma, patient, relapse
from tests.mapping.reading import gaps, names, read_bundle


def pile(sent: Any) -> piles.Pile | None:
    return piles.decode_pile(json.dumps(sent).encode())


def decoded(sent: Any) -> piles.Pile:
    found = pile(sent)
    assert found is not None
    return found


def kinds(found: piles.Pile) -> list[str]:
    return [type(item.resource).__name__ for item in found.found]


# --- Bundles ---


def test_a_bundle_gives_its_resources_and_their_addresses() -> None:
    sent = {"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:1", "resource": patient()}]}
    (found,) = decoded(sent).found
    assert isinstance(found.resource, wire.Patient)
    assert found.full_url == "urn:uuid:1"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({"resourceType": "Bundle"}, id="no entries at all"),
        pytest.param({"resourceType": "Bundle", "entry": []}, id="an empty list"),
        pytest.param({"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": []}, id="a total of none"),
    ],
)
def test_an_empty_bundle_is_a_whole_answer(sent: Resource) -> None:
    found = pile(sent)
    assert found is not None
    assert (found.entries, found.is_whole, found.next_link) == (0, True, None)


def test_a_bundle_without_resource_type_is_known_by_its_entries() -> None:
    sent = {"entry": [{"resource": patient()}, {"resource": myeloma()}]}
    assert kinds(decoded(sent)) == ["Patient", "Condition"]


@pytest.mark.parametrize(
    ("sent", "whole"),
    [
        pytest.param({"link": [{"relation": "self"}]}, True, id="a link to itself"),
        pytest.param({"link": [{"relation": "self"}, {"relation": "next"}]}, False, id="a next page"),
    ],
)
def test_a_bundle_that_says_there_is_more_is_not_whole(sent: Resource, whole: bool) -> None:
    assert decoded(bundle([patient()]) | sent).is_whole is whole
    broken = bundle([patient() | {"birthDate": {}}]) | sent
    assert decoded(broken).is_whole is whole


@pytest.mark.parametrize("sent", [{"total": "many"}, {"link": "next"}, {"link": [7]}, {"entry": {}}, {"entry": "x"}])
def test_a_bundle_whose_frame_is_broken_is_never_taken_as_whole(sent: Resource) -> None:
    found = pile(bundle([patient()]) | sent)
    assert found is None or not found.is_whole


@pytest.mark.parametrize(
    ("broken", "lost"),
    [
        pytest.param(
            {"resource": given("teclistamab", "2026-01-05") | {"status": 7}}, "MedicationAdministration", id="status"
        ),
        pytest.param({"resource": relapse("2026-01-05") | {"subject": "Patient/2"}}, "Condition", id="subject"),
        pytest.param({"resource": relapse("2026-01-05") | {"verificationStatus": 7}}, "Condition", id="verification"),
        pytest.param({"resource": {"id": "x"}}, "", id="no type"),
        pytest.param({"resource": {"resourceType": 7}}, "", id="a type that is no text"),
        pytest.param({"resource": "Patient/1"}, "", id="a reference in place of the resource"),
        pytest.param({"resource": None}, "", id="null"),
        pytest.param({"fullUrl": "urn:uuid:1"}, "", id="no resource"),
        pytest.param({}, "", id="an empty entry"),
        pytest.param(7, "", id="a number"),
        pytest.param(None, "", id="nothing"),
        pytest.param([], "", id="a list"),
    ],
)
def test_one_broken_entry_is_lost_alone_and_counted(broken: Any, lost: str) -> None:
    sent = bundle([given("talquetamab", "2026-02-05"), given("elranatamab", "2026-03-05")])
    sent["entry"].insert(1, broken)
    found = decoded(sent)
    assert kinds(found) == ["MedicationAdministration", "MedicationAdministration"]
    assert found.unreadable == (lost,)
    history = read_bundle(sent)
    assert names(history.courses) == ["talquetamab", "elranatamab"]
    assert gaps(history) == {GapCode.UNREADABLE}


def test_types_that_no_reader_uses_are_named_and_cost_nothing() -> None:
    sent = bundle(
        [{"resourceType": "Encounter", "id": "e", "status": 7}, patient(), {"resourceType": "MedicationOrder"}]
    )
    found = decoded(sent)
    assert kinds(found) == ["Patient"]
    assert found.other_types == ("Encounter", "MedicationOrder")
    assert found.unreadable == ()
    assert found.is_whole


@pytest.mark.parametrize(
    "more",
    [
        {"category": {"text": "an object where FHIR wants a list"}},
        {"category": "text"},
        {"note": 7},
        {"extension": {}},
        {"stage": None},
        {"onsetDateTime": ["x"]},
        {"evidence": [[[]]]},
    ],
    ids=lambda more: next(iter(more)),
)
def test_an_element_that_nobody_reads_may_have_any_shape(more: Resource) -> None:
    found = decoded(bundle([myeloma() | more]))
    assert kinds(found) == ["Condition"]
    assert found.unreadable == ()


# --- Single resources, and what is no FHIR at all ---


def test_a_single_resource_stands_for_itself_alone() -> None:
    found = decoded(myeloma())
    assert kinds(found) == ["Condition"]
    assert not found.is_whole


def test_a_single_patient_is_the_whole_answer() -> None:
    assert decoded(patient()).is_whole


def test_an_operation_outcome_is_read_as_such() -> None:
    for severity, failed in (("error", True), ("fatal", True), ("warning", False), ("information", False)):
        (item,) = decoded({"resourceType": "OperationOutcome", "issue": [{"severity": severity}]}).found
        assert isinstance(item.resource, wire.OperationOutcome)
        assert item.resource.says_failed is failed
    (item,) = decoded({"resourceType": "OperationOutcome"}).found
    assert isinstance(item.resource, wire.OperationOutcome)
    assert item.resource.says_failed


@pytest.mark.parametrize(
    "sent",
    [
        {},
        [],
        [patient()],
        "x",
        5,
        True,
        {"resourceType": "Encounter"},
        {"resourceType": "Parameters", "entry": [{"resource": patient()}]},
        {"resourceType": 7},
        {"resourceType": None},
        {"id": "x"},
        myeloma() | {"subject": 7},
    ],
    ids=str,
)
def test_what_is_neither_bundle_nor_known_resource_is_refused(sent: Any) -> None:
    assert pile(sent) is None


@pytest.mark.parametrize(
    "sent",
    [b"", b"{", b"nul", b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"resourceType":"Bundle"} x', b'{"resourceType":"Pat\xff"}'],
)
def test_what_is_no_json_is_refused(sent: bytes) -> None:
    assert piles.decode_pile(sent) is None


DEPTH = 100_000


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"[" * DEPTH, id="lists"),
        pytest.param(b'{"a":' * DEPTH, id="objects"),
        pytest.param(b"[" * DEPTH + b"]" * DEPTH, id="lists that are closed"),
        pytest.param(b'{"entry":' * DEPTH + b"[]" + b"}" * DEPTH, id="entries within entries"),
        pytest.param(b'{"resourceType":"Bundle","entry":' + b"[" * DEPTH + b"]" * DEPTH + b"}", id="in a Bundle"),
        pytest.param(b'{"resourceType":"Condition","note":' + b"[" * DEPTH + b"]" * DEPTH + b"}", id="in a resource"),
    ],
)
def test_nesting_without_end_is_refused(sent: bytes) -> None:
    assert piles.decode_pile(sent) is None


# --- Elements that stay raw ---


@pytest.mark.parametrize(
    ("sent", "texts"),
    [
        ({"text": "a"}, ["a"]),
        ([{"text": "a"}, {"text": "b"}], ["a", "b"]),
        ([], []),
        ("a", []),
        (7, []),
        ([7], []),
        ([{"text": "a"}, 7, {"text": {}}], ["a"]),
    ],
)
def test_a_reason_may_be_one_concept_or_a_list(sent: Any, texts: list[str]) -> None:
    (item,) = decoded(bundle([given("x", None) | {"statusReason": sent}])).found
    assert isinstance(item.resource, wire.MedicationAdministration)
    assert [concept.text for concept in wire.decode_concepts(item.resource.status_reason)] == texts
