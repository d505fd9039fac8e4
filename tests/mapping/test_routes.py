"""Routes: which products stay where they are put, and dosages of which a part cannot be read."""

from typing import Any

import pytest

from fhir_mapping.model.history import GapCode
from tests.build import Resource, given, infusion, ordered, outcome, reported
from tests.mapping.reading import gaps, names, read
from tests.rules.table import FLAGGED, SATISFIED, view

V3 = "http://terminology.hl7.org/CodeSystem/v3-RouteOfAdministration"
TOPICAL, ORAL = {"route": {"text": "Topical"}}, {"route": {"text": "Oral"}}


def is_systemic(record: Resource) -> bool:
    """Read whether the one drug of a record reaches the whole body."""
    (care,) = read(record).supportive_care
    return care.systemic


def taken(dosage: Any) -> Resource:
    """Make a statement that acyclovir is taken in this way."""
    return reported("acyclovir", status="active", dosage=dosage)


def prescribed(dosage: Any) -> Resource:
    """Make an order of acyclovir to be taken in this way."""
    return ordered("acyclovir", "2026-10-01", dosageInstruction=dosage)


@pytest.mark.parametrize("make", [taken, prescribed])
@pytest.mark.parametrize(
    ("dosage", "systemic"),
    [
        pytest.param(TOPICAL, False, id="one object"),
        pytest.param(ORAL, True, id="one object, by mouth"),
        pytest.param([ORAL, {"text": 5, **TOPICAL}], False, id="a number for its text"),
        pytest.param([{"text": 5, **ORAL}], True, id="a number for its text, by mouth"),
        pytest.param([{"route": {"coding": [{"code": 5, "display": "Topical"}]}}], False, id="a number for its code"),
        pytest.param({"route": "Topical"}, False, id="a text for its route"),
        pytest.param({"timing": 5, **TOPICAL}, False, id="unreadable timing"),
        pytest.param("twice daily", True, id="a text alone"),
        pytest.param(["apply to lesions"], False, id="a text in a list"),
        pytest.param(None, True, id="none"),
    ],
)
def test_each_dosage_is_read_as_far_as_it_goes(make: Any, dosage: Any, systemic: bool) -> None:
    assert is_systemic(make(dosage)) is systemic


@pytest.mark.parametrize(
    "dosage",
    [[7], [{"text": {}}], [{"route": 5.5e3, "text": {}}], [ORAL, {"route": {"coding": [{"code": {}}]}}], [[ORAL]]],
    ids=["a number", "its text", "its route and text", "a code", "a list in a list"],
)
def test_a_drug_that_is_given_in_an_unreadable_way_protects_no_one(dosage: Any) -> None:
    history = read(prescribed(dosage))
    assert [care.systemic for care in history.supportive_care] == [False]
    assert gaps(history) == {GapCode.PRUNED}
    assert outcome(view([infusion("2026-07-01"), prescribed(dosage)]), "R15") == FLAGGED
    assert outcome(view([infusion("2026-07-01"), prescribed([ORAL])]), "R15") == SATISFIED


def test_a_dosage_of_which_only_the_timing_is_unreadable_protects_and_leaves_a_gap() -> None:
    history = read(prescribed([{"timing": 5, **ORAL}]))
    assert [care.systemic for care in history.supportive_care] == [True]
    assert gaps(history) == {GapCode.PRUNED}


def test_a_steroid_that_is_given_in_an_unreadable_way_was_given() -> None:
    assert names(read(given("dexamethasone", "2026-01-05", dosage={"route": 7.5, "text": {}})).courses) == [
        "dexamethasone"
    ]


@pytest.mark.parametrize(
    ("route", "systemic"),
    [
        ("External", False),
        ("Ear", False),
        ("Both Ears", False),
        ("Mouth/Throat", False),
        ("skin", False),
        ("Lip", False),
        ("Intraocular", False),
        ("Dermal", False),
        ("to affected area", False),
        ("Oromucosal", False),
        ("Oral", True),
        ("By mouth", True),
        ("IV", True),
        ("Intravenous", True),
        ("Subcutaneous", True),
        ("Inject under the skin", True),
        ("Inhalation", True),
        ("Transdermal", True),
    ],
)
def test_words_of_the_route(route: str, systemic: bool) -> None:
    assert is_systemic(taken([{"route": {"text": route}}])) is systemic


@pytest.mark.parametrize(
    ("code", "display", "systemic"),
    [
        ("TOPICAL", "Topical", False),
        ("SKIN", "Topical application, skin", False),
        ("ORMUC", "Topical application, oromucosal", False),
        ("OTINSTL", "Instillation, otic", False),
        ("PO", "Swallow, oral", True),
        ("IVINJ", "Injection, intravenous", True),
    ],
)
def test_routes_of_hl7_by_their_names(code: str, display: str, systemic: bool) -> None:
    route = {"coding": [{"system": V3, "code": code, "display": display}]}
    assert is_systemic(taken([{"route": route}])) is systemic


@pytest.mark.parametrize(
    ("name", "systemic"),
    [
        ("acyclovir-hydrocortisone", False),
        ("acyclovir 5 % / hydrocortisone 1 %", False),
        ("acyclovir 400 mg", True),
        ("ceftazidime 50 mg/mL eye drops", False),
        ("ceftazidime 2 g", True),
    ],
)
def test_names_of_products(name: str, systemic: bool) -> None:
    assert is_systemic(reported(name, status="active")) is systemic


def test_a_dosage_text_for_an_affected_area() -> None:
    assert not is_systemic(taken([{"text": "use twice daily on affected areas"}]))
