"""Refractoriness and class exposure: what a chart proves, what it rules out, and what it leaves open."""

from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

import pytest

from fhir_mapping.catalog.loader import load
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import DataGap, GapCode
from fhir_mapping.model.vocabulary import Antigen, DrugClass, Topic
from fhir_mapping.refractory import ClassExposure, Which, exposed_to, penta_drug, refractory_to, triple_class
from tests.build import Resource, condition, given, infusion, ordered, progression, relapse, reported
from tests.mapping.reading import fully_read

YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


def drug(name: str) -> Which:
    """Ask about one drug."""
    return lambda drug: drug.name == name


def against(antigen: Antigen) -> Which:
    """Ask about the drugs against one antigen."""
    return lambda drug: antigen in drug.antigens


def after(start: str, days: int) -> str:
    """Give the day so many days after another."""
    return (date.fromisoformat(start) + timedelta(days)).isoformat()


def stopped(name: str, start: str, end: str, why: str | None) -> Resource:
    """Make a course that was stopped, with its reason."""
    return reported(name, start, end, "stopped", statusReason=[{"text": why}] if why else None)


START, LAST = "2025-01-10", "2026-01-10"
LENALIDOMIDE = reported("lenalidomide", START, LAST)
FOR_TOXICITY = stopped("lenalidomide", START, LAST, "toxicity")


class Row(NamedTuple):
    """A chart, whether it is refractory to lenalidomide, and the reason."""

    records: list[Resource]
    refractory: Answer
    why: str


ROWS = [
    # The window of 60 days
    Row([LENALIDOMIDE, progression(after(LAST, 59))], YES, "59 days after the last dose"),
    Row([LENALIDOMIDE, progression(after(LAST, 60))], YES, "60 days after the last dose: within 60 days"),
    Row([LENALIDOMIDE, progression(after(LAST, 61))], UNKNOWN, "61 days after; why it was ended is not recorded"),
    Row([LENALIDOMIDE, progression("2025-06-01")], YES, "progression on treatment"),
    Row([LENALIDOMIDE, progression(after(START, 1))], YES, "a day after the first dose"),
    Row([LENALIDOMIDE, progression(START)], UNKNOWN, "on the first day: rather the reason for the drug"),
    Row([LENALIDOMIDE, progression(after(START, -1))], UNKNOWN, "before the drug: it says nothing about it"),
    Row([LENALIDOMIDE], UNKNOWN, "no progression on record is no evidence of none"),
    Row(
        [reported("lenalidomide", START, status="active", asserted="2026-11-01"), progression("2026-11-10")], YES, "on"
    ),
    # Vague dates
    Row([LENALIDOMIDE, progression("2026-02")], YES, "some day in February, 22 to 49 days after"),
    Row([LENALIDOMIDE, progression("2026-03")], UNKNOWN, "some day in March, 50 to 80 days after"),
    Row([LENALIDOMIDE, progression("2025")], UNKNOWN, "some day in 2025: before the first dose or on the drug"),
    Row([LENALIDOMIDE, progression(None)], UNKNOWN, "progression without a date"),
    Row([reported("lenalidomide", "2025", "2026-01"), progression("2026-02-01")], YES, "1 to 32 days after"),
    Row([reported("lenalidomide", "2025", "2026"), progression("2026-02-01")], YES, "at most 31 days after, or on it"),
    Row([reported("lenalidomide", "2026", "2026"), progression("2026-02-01")], UNKNOWN, "begun before or after"),
    Row([LENALIDOMIDE, relapse("2026-01-20")], YES, "a relapse on the problem list is progression"),
    Row([LENALIDOMIDE, progression("2025-06-01", modifierExtension=[{"url": "urn:x"}])], UNKNOWN, "only possible"),
    # Why it was ended
    Row([stopped("lenalidomide", START, LAST, "progression")], YES, "ended for progression"),
    Row([stopped("lenalidomide", START, "2026", "progression")], YES, "ended for progression, whenever that was"),
    Row([FOR_TOXICITY], UNKNOWN, "ended for toxicity, and nothing more is recorded"),
    Row([FOR_TOXICITY, progression(after(LAST, 61))], NO, "ended for toxicity, progression later than the window"),
    Row([FOR_TOXICITY, progression(after(LAST, 60))], YES, "ended for toxicity, progression within the window"),
    Row([FOR_TOXICITY, progression("2026-03")], UNKNOWN, "within the window or later"),
    Row([FOR_TOXICITY, progression(after(LAST, 61)), progression(None)], UNKNOWN, "one more has no date"),
    Row([FOR_TOXICITY, progression(START), progression(after(LAST, 61))], UNKNOWN, "one more on the first day"),
    Row(
        [FOR_TOXICITY, progression("2024-12-01"), progression(after(LAST, 61))], NO, "one before the drug is no matter"
    ),
    Row([stopped("lenalidomide", START, LAST, "planned completion"), progression(after(LAST, 61))], NO, "as planned"),
    Row([stopped("lenalidomide", START, LAST, None), progression(after(LAST, 61))], UNKNOWN, "no reason is recorded"),
    # How sure the doses are
    Row([], NO, "never given: nothing to be refractory to"),
    Row([ordered("lenalidomide", START), progression("2026-02-01")], UNKNOWN, "only ordered"),
    Row([given("lenalidomide", START, "unknown"), progression("2025-02-01")], UNKNOWN, "perhaps given"),
    Row([reported("lenalidomide", None), progression("2026-02-01")], UNKNOWN, "given on unknown days"),
    Row([given("novelmab", START)], UNKNOWN, "a drug that we do not know may be another name of it"),
    Row([reported("lenalidomide", START, status="not-taken"), progression("2025-02-01")], NO, "not taken"),
    Row([given("dexamethasone", START), progression("2025-02-01")], NO, "a premedication is no dose of it"),
    Row([ordered("lenalidomide", START, "cancelled"), progression("2025-02-01")], NO, "the order was cancelled"),
    Row([given("lenalidomide", START), progression(after(START, 60))], YES, "one dose, progression 60 days later"),
    Row([given("lenalidomide", START), progression(after(START, 61))], UNKNOWN, "one dose, progression 61 days later"),
    # Several courses
    Row(
        [FOR_TOXICITY, progression(after(LAST, 61)), reported("lenalidomide", "2026-08-01", "2026-09-01")],
        UNKNOWN,
        "a second course leaves it open",
    ),
    Row(
        [reported("lenalidomide", "2020-11-10", "2021-03-20"), LENALIDOMIDE, progression("2025-06-01")],
        YES,
        "progression on one of two courses is enough",
    ),
    Row(
        [reported("lenalidomide", "2021-07-01", "2024-09-10"), progression("2024-09-10")],
        YES,
        "maintenance counts: Case 2 is refractory to lenalidomide",
    ),
    Row([reported("bortezomib", START, LAST), progression("2025-06-01")], NO, "another drug does not count"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.why)
def test_refractory_to_lenalidomide(row: Row) -> None:
    assert refractory_to(fully_read(*row.records), drug("lenalidomide"), load()) is row.refractory


@pytest.mark.parametrize(
    ("records", "unread", "refractory"),
    [
        ([], Topic.TREATMENT, UNKNOWN),
        ([], Topic.CELL_THERAPY, UNKNOWN),
        ([], Topic.PROGRESSION, NO),
        ([FOR_TOXICITY, progression(after(LAST, 61))], Topic.TREATMENT, UNKNOWN),
        ([FOR_TOXICITY, progression(after(LAST, 61))], Topic.PROGRESSION, UNKNOWN),
        ([FOR_TOXICITY, progression(after(LAST, 61))], Topic.LABS, NO),
        ([LENALIDOMIDE, progression("2025-06-01")], Topic.TREATMENT, YES),
    ],
)
def test_absence_counts_only_where_all_was_read(records: list[Resource], unread: Topic, refractory: Answer) -> None:
    assert refractory_to(fully_read(*records, unread=unread), drug("lenalidomide"), load()) is refractory


CASE_2 = [
    *(reported(name, "2020-11-10", "2021-03-20") for name in ("bortezomib", "lenalidomide", "dexamethasone")),
    reported("lenalidomide", "2021-07-01", "2024-09-10"),
    progression("2024-09-10"),
    *(reported(name, "2024-10-01", "2026-10-30") for name in ("daratumumab", "carfilzomib", "dexamethasone")),
    progression("2026-11-10"),
]
VIGNETTES = [
    ("V01", CASE_2, drug("lenalidomide"), YES, "the cilta-cel label asks for it: progression on maintenance"),
    ("V04", CASE_2, drug("daratumumab"), YES, "the trial of teclistamab with daratumumab left such patients out"),
    ("V04", CASE_2, drug("bortezomib"), UNKNOWN, "VRd ended years before; why is not recorded"),
    ("V26", [given("teclistamab", "2026-11-05"), progression("2026-11-10")], drug("teclistamab"), YES, "5 days after"),
    ("V28", [stopped("teclistamab", "2026-01-05", "2026-05-04", "toxicity")], drug("teclistamab"), UNKNOWN, "silence"),
    ("V23", [infusion("2026-03-01"), progression("2026-07-15")], against(Antigen.BCMA), UNKNOWN, "cells: another rule"),
    ("V14", [given("teclistamab", "2026-09-01", "entered-in-error")], drug("teclistamab"), NO, "in error"),
    ("V15", [reported("teclistamab", "2026-12-01", status="intended")], drug("teclistamab"), NO, "planned"),
    ("V16", [reported("teclistamab", "2026-06-01", status="not-taken")], drug("teclistamab"), NO, "not taken"),
]


@pytest.mark.parametrize(("name", "records", "which", "refractory", "why"), VIGNETTES)
def test_vignettes(name: str, records: list[Resource], which: Which, refractory: Answer, why: str) -> None:
    assert refractory_to(fully_read(*records), which, load()) is refractory, f"{name}: {why}"


# --- BCMA: antibodies count, cells are judged elsewhere ---

BCMA = [
    ([infusion("2026-03-01"), progression("2026-04-15")], YES, UNKNOWN, "cells are given once: 60 days do not apply"),
    ([infusion("2026-03-01", None)], UNKNOWN, UNKNOWN, "cells of an unnamed product"),
    ([condition("Z92.850")], UNKNOWN, UNKNOWN, "a history code may mean cells for another disease"),
    ([given("teclistamab", "2026-11-05"), progression("2026-11-10")], YES, YES, "5 days after teclistamab"),
    ([given("teclistamab", "2026-05-04"), infusion("2026-07-01")], YES, UNKNOWN, "nothing is recorded of either"),
    ([stopped("teclistamab", "2026-01-04", "2026-05-04", "toxicity")], YES, UNKNOWN, "toxicity, no progression"),
    ([given("talquetamab", "2026-11-05"), progression("2026-11-10")], NO, NO, "another antigen"),
    ([ordered("teclistamab", "2026-11-05")], UNKNOWN, UNKNOWN, "only ordered"),
    ([reported("teclistamab", "2026-12-01", status="intended")], NO, NO, "planned"),
    ([given("teclistamab", "2026-11-05", "entered-in-error")], NO, NO, "in error"),
    ([given("novelmab", "2026-11-05")], UNKNOWN, UNKNOWN, "not recognised"),
]


@pytest.mark.parametrize(("records", "exposed", "refractory", "why"), BCMA, ids=[row[-1] for row in BCMA])
def test_bcma(records: list[Resource], exposed: Answer, refractory: Answer, why: str) -> None:
    history = fully_read(*records)
    assert exposed_to(history, against(Antigen.BCMA), load()) is exposed, why
    assert refractory_to(history, against(Antigen.BCMA), load()) is refractory, why


# --- Classes ---


def courses(*names: str) -> list[Resource]:
    """Give each drug over the same months."""
    return [reported(name, "2025-01-10", "2026-01-10") for name in names]


TRIPLE = ("bortezomib", "lenalidomide", "daratumumab")
PENTA = (*TRIPLE, "carfilzomib", "pomalidomide")
PROGRESSED = progression("2025-06-01")


def outcome(found: ClassExposure) -> tuple[Answer, Answer]:
    """Give both answers."""
    return found.exposed, found.refractory


CLASSES = [
    ([], (NO, NO), (NO, NO), "nothing was given"),
    (courses(*TRIPLE), (YES, UNKNOWN), (NO, NO), "one drug of each class"),
    ([*courses(*TRIPLE), PROGRESSED], (YES, YES), (NO, NO), "progression on all three"),
    (courses(*PENTA), (YES, UNKNOWN), (YES, UNKNOWN), "five drugs"),
    ([*courses(*PENTA), PROGRESSED], (YES, YES), (YES, YES), "progression on all five"),
    (CASE_2, (YES, YES), (NO, NO), "Case 2: carfilzomib, lenalidomide and daratumumab failed; one IMiD only"),
    (courses("bortezomib", "lenalidomide"), (NO, NO), (NO, NO), "no antibody"),
    (courses("lenalidomide", "daratumumab"), (NO, NO), (NO, NO), "no proteasome inhibitor"),
    (courses("bortezomib", "daratumumab"), (NO, NO), (NO, NO), "no IMiD"),
    (courses(*(name for name in PENTA if name != "daratumumab")), (NO, NO), (NO, NO), "four drugs and no antibody"),
    (courses("bortezomib", "lenalidomide", "isatuximab"), (YES, UNKNOWN), (NO, NO), "isatuximab is of the class"),
    (courses("bortezomib", "lenalidomide", "elotuzumab"), (NO, NO), (NO, NO), "elotuzumab is against SLAMF7"),
    (
        [*courses("bortezomib", "lenalidomide"), ordered("daratumumab", "2026-01-05")],
        (UNKNOWN, UNKNOWN),
        (NO, NO),
        "the antibody was only ordered",
    ),
    (
        [*courses("bortezomib", "lenalidomide"), given("daratumumab", "2026-01-05")],
        (YES, UNKNOWN),
        (NO, NO),
        "one dose is exposure",
    ),
    (
        [*courses("bortezomib", "iberdomide", "daratumumab"), PROGRESSED],
        (UNKNOWN, UNKNOWN),
        (NO, NO),
        "whether a CELMoD counts as an IMiD is for each site to decide",
    ),
    (
        [*courses(*TRIPLE, "carfilzomib", "iberdomide"), PROGRESSED],
        (YES, YES),
        (UNKNOWN, UNKNOWN),
        "so it may be the second IMiD",
    ),
    (
        courses("bortezomib", "lenalidomide", "daratumumab", "Darzalex Faspro", "pomalidomide"),
        (YES, UNKNOWN),
        (NO, NO),
        "one proteasome inhibitor is no two",
    ),
    ([*courses("bortezomib"), given("novelmab", "2025-02-01")], (UNKNOWN, UNKNOWN), (UNKNOWN, UNKNOWN), "unknown drug"),
]


@pytest.mark.parametrize(("records", "triple", "penta", "why"), CLASSES, ids=[row[-1] for row in CLASSES])
def test_classes(
    records: list[Resource], triple: tuple[Answer, Answer], penta: tuple[Answer, Answer], why: str
) -> None:
    history = fully_read(*records)
    assert outcome(triple_class(history, load())) == triple, why
    assert outcome(penta_drug(history, load())) == penta, why


def test_classes_that_were_not_shown_are_named() -> None:
    found = triple_class(fully_read(*courses("bortezomib", "lenalidomide")), load())
    assert found.not_shown == (DrugClass.ANTI_CD38,)
    assert [drug.name for drug in found.given] == ["bortezomib", "lenalidomide"]
    assert found.inferred


def test_classes_name_the_records_that_they_rest_on() -> None:
    drugs = [reported(name, START, LAST, id=name) for name in TRIPLE]
    found = triple_class(
        fully_read(*drugs, reported("selinexor", START, LAST), progression("2025-06-01", id="pd")), load()
    )
    assert [source.reference for source in found.sources] == [
        "MedicationStatement/bortezomib",
        "MedicationStatement/daratumumab",
        "MedicationStatement/lenalidomide",
        "Observation/pd",
    ]


def test_absence_of_a_class_needs_a_whole_chart() -> None:
    found = triple_class(fully_read(*courses("bortezomib", "lenalidomide"), unread=Topic.TREATMENT), load())
    assert outcome(found) == (UNKNOWN, UNKNOWN)


@pytest.mark.parametrize("kind", ["MedicationDispense", "Immunization", "Procedure"])
def test_a_lost_record_that_may_hold_treatment_leaves_absence_open(kind: str) -> None:
    lost = replace(fully_read(), gaps=(DataGap(GapCode.UNREADABLE, kind),))
    assert exposed_to(fully_read(), drug("lenalidomide"), load()) is NO
    assert exposed_to(lost, drug("lenalidomide"), load()) is UNKNOWN
