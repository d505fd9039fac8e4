"""Several versions of one record: the newest counts, and a record that was entered in error is gone."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from fhir_mapping.model.history import GapCode, TreatmentHistory
from tests.build import Resource, allergy, condition, given, infusion, lab, ordered, procedure, progression, reported
from tests.mapping.reading import gaps, is_silent, read, span

WRONG = "entered-in-error"


def version(on: str, status: str = "completed", number: str | None = None, updated: str | None = None) -> Resource:
    """Make one version of one administration; its dose date tells versions apart."""
    meta = {key: value for key, value in (("versionId", number), ("lastUpdated", updated)) if value}
    return given("teclistamab", on, status, id="a-1", meta=meta or None)


def doses(history: TreatmentHistory) -> list[Any]:
    return [course.last_dose for course in history.courses]


def read_in_every_order(versions: Sequence[Resource]) -> TreatmentHistory:
    """Read the versions in every order and make sure that the order changes nothing."""
    first, *others = [read(*order) for order in itertools.permutations(versions)]
    assert all(other == first for other in others)
    return first


@pytest.mark.parametrize(
    "versions",
    [
        pytest.param([("1", None), ("2", None)], id="by number"),
        pytest.param([("9", None), ("10", None)], id="by number, not by spelling"),
        pytest.param([(None, "2026-05-01T10:00:00Z"), (None, "2026-05-02T10:00:00Z")], id="by time"),
        pytest.param([(None, "2026-05-01T10:00:00Z"), (None, "2026-05-01T10:00:00.500Z")], id="by fractions"),
        pytest.param([(None, "2026-05-01T10:00:00+05:00"), (None, "2026-05-01T10:00:00-05:00")], id="across zones"),
        pytest.param([("3", "2026-05-01T10:00:00Z"), ("3", "2026-05-02T10:00:00Z")], id="by time, numbers being equal"),
        pytest.param([("1", "2026-05-02T10:00:00Z"), ("2", "2026-05-01T10:00:00Z")], id="by number before time"),
        pytest.param([("W/1", "2026-05-01T10:00:00Z"), ("W/2", "2026-05-02T10:00:00Z")], id="by time, no numbers"),
    ],
)
def test_the_newest_version_counts(versions: list[tuple[str | None, str | None]]) -> None:
    (old, new) = versions
    history = read_in_every_order([version("2026-01-05", "completed", *old), version("2026-03-05", "completed", *new)])
    assert doses(history) == [span("2026-03-05")]
    assert not history.gaps


def test_a_version_may_be_numbered_by_a_number() -> None:
    first, second = (version(on) | {"meta": {"versionId": n}} for on, n in (("2026-01-05", 9), ("2026-03-05", 10)))
    history = read_in_every_order([first, second, version("2026-02-05", number="8")])
    assert doses(history) == [span("2026-03-05")]
    assert not history.gaps
    assert is_silent(read(first, version("2026-01-05", WRONG) | {"meta": {"versionId": 11}}))


def test_a_record_whose_newest_version_is_in_error_is_gone() -> None:
    history = read_in_every_order([version("2026-01-05", number="1"), version("2026-01-05", WRONG, number="2")])
    assert is_silent(history)
    assert not history.gaps


def test_a_record_that_was_in_error_once_and_was_put_right_counts() -> None:
    history = read_in_every_order([version("2026-01-05", WRONG, number="1"), version("2026-01-05", number="2")])
    assert doses(history) == [span("2026-01-05")]


@pytest.mark.parametrize(
    "versions",
    [
        pytest.param([(None, None), (None, None)], id="neither says"),
        pytest.param([("1", None), (None, None)], id="one says"),
        pytest.param([("1", None), (None, "2026-05-02T10:00:00Z")], id="they say different things"),
        pytest.param([("abc", None), ("abd", None)], id="numbers that are none"),
        pytest.param([("9" * 5_000, None), ("1", None)], id="a number without end"),
        pytest.param([(None, "2026-05-01"), (None, "yesterday")], id="times that are none"),
    ],
)
def test_versions_that_cannot_be_compared_are_all_kept_unless_one_is_in_error(
    versions: list[tuple[str | None, str | None]],
) -> None:
    (first, second) = versions
    both = read_in_every_order(
        [version("2026-01-05", "completed", *first), version("2026-03-05", "completed", *second)]
    )
    assert doses(both) == [span("2026-03-05")]
    assert len(both.courses[0].sources) == 2
    assert gaps(both) == {GapCode.VERSION_CONFLICT}
    with_error = read_in_every_order(
        [version("2026-01-05", "completed", *first), version("2026-03-05", WRONG, *second)]
    )
    assert is_silent(with_error)
    assert gaps(with_error) == {GapCode.VERSION_CONFLICT}


def test_three_versions_of_which_one_does_not_say_are_kept_in_every_order() -> None:
    history = read_in_every_order(
        [version("2026-01-05", number="1"), version("2026-02-05"), version("2026-03-05", number="2")]
    )
    assert doses(history) == [span("2026-03-05")]
    assert gaps(history) == {GapCode.VERSION_CONFLICT}


def test_the_same_content_twice_is_one_record() -> None:
    history = read(version("2026-01-05"), version("2026-01-05"))
    assert len(history.courses[0].sources) == 1
    assert not history.gaps


def test_records_without_id_are_records_of_their_own() -> None:
    history = read(given("teclistamab", "2026-01-05", id=None), given("teclistamab", "2026-03-05", id=None))
    assert len(history.courses[0].sources) == 2
    assert not history.gaps


def test_one_id_in_two_types_is_two_records() -> None:
    history = read(given("teclistamab", "2026-01-05", id="1"), reported("teclistamab", "2026-01-05", id="1"))
    assert len(history.courses[0].sources) == 2
    assert not history.gaps


VERIFIED_AS_WRONG = {"verificationStatus": {"coding": [{"code": WRONG}]}}


@pytest.mark.parametrize(
    "record",
    [
        given("teclistamab", "2026-01-05", WRONG),
        reported("teclistamab", "2026-01-05", status=WRONG),
        ordered("teclistamab", "2026-01-05", WRONG),
        infusion("2026-01-05", status=WRONG),
        procedure("38225", "2026-01-05", WRONG),
        progression("2026-01-05", WRONG),
        lab("24467-3", 150, "/uL", "2026-01-05", WRONG),
        condition("C90.02", "2026-01-05", **VERIFIED_AS_WRONG),
        condition("Z92.850", verificationStatus={"text": WRONG}),
        allergy({"text": "Sulfa"}, **VERIFIED_AS_WRONG),
    ],
    ids=lambda record: record["resourceType"],
)
def test_a_record_entered_in_error_is_no_evidence(record: Resource) -> None:
    history = read(record)
    assert is_silent(history)
    assert not history.labs
    assert not history.allergies
    assert not history.gaps
