"""DiagnosticReport: what it concludes in codes, eye examinations, and its day."""

from typing import Any

import pytest

from fhir_mapping.model.history import GapCode
from fhir_mapping.model.results import Status
from fhir_mapping.model.vocabulary import Certainty
from tests.build import CPT, LOINC, SNOMED, Resource, coded
from tests.mapping.reading import gaps, read, span

ON = "2026-11-01"
STATED, POSSIBLE = Certainty.STATED, Certainty.POSSIBLE
WORSENED, STABLE, FULL_REMISSION = "271299001", "359746009", "103338009"


def report(*concluded: str, **more: Any) -> Resource:
    """Make a report of an imaging study with the conclusions that these SNOMED CT codes stand for."""
    members = {
        "resourceType": "DiagnosticReport",
        "id": "r",
        "status": "final",
        "code": {"text": "PET/CT"},
        "effectiveDateTime": ON,
        "conclusionCode": [coded(SNOMED, code) for code in concluded],
    }
    return {key: item for key, item in (members | more).items() if item}


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("final", True),
        ("amended", True),
        ("corrected", True),
        ("appended", True),
        ("registered", False),
        ("partial", False),
        ("preliminary", False),
        ("cancelled", False),
        ("unknown", False),
        ("entered-in-error", False),
        pytest.param(None, False, id="no status"),
    ],
)
def test_only_final_reports_count(status: str | None, counts: bool) -> None:
    concluded = read(report(WORSENED, status=status))
    assert (bool(concluded.disease_statuses), bool(concluded.progressions)) == (counts, counts)
    examined = read(report(code={"text": "Eye examination"}, status=status))
    assert bool(examined.eye_examinations) is counts


@pytest.mark.parametrize(
    ("concluded", "status", "progression"),
    [
        pytest.param([WORSENED], Status.WORSENED, [POSSIBLE], id="worsened: of the myeloma, or of something else?"),
        pytest.param([STABLE], Status.STABLE, [], id="stable"),
        pytest.param(["268910001"], Status.IMPROVED, [], id="improved"),
        pytest.param(["103337004"], Status.PARTIAL_REMISSION, [], id="partial remission"),
        pytest.param([FULL_REMISSION], Status.FULL_REMISSION, [], id="full remission"),
        pytest.param([STABLE, STABLE], Status.STABLE, [], id="twice the same"),
        pytest.param([STABLE, WORSENED], Status.UNDETERMINED, [POSSIBLE], id="contradictory"),
        pytest.param(["195967001", STABLE], Status.STABLE, [], id="beside another finding"),
    ],
)
def test_the_codes_of_the_conclusion_say_how_the_disease_stands(
    concluded: list[str], status: Status, progression: list[Certainty]
) -> None:
    history = read(report(*concluded))
    assert [(one.status, one.on) for one in history.disease_statuses] == [(status, span(ON))]
    assert [event.certainty for event in history.progressions] == progression


def test_a_report_of_the_disease_status_itself_states_progression() -> None:
    (event,) = read(report(WORSENED, code=coded(LOINC, "97509-4"))).progressions
    assert (event.certainty, event.on) == (STATED, span(ON))


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"conclusion": "Progressive disease."}, id="free text"),
        pytest.param({"conclusionCode": [{"text": "Progressive disease"}]}, id="text where a code belongs"),
        pytest.param({"conclusionCode": [coded(SNOMED, "195967001")]}, id="another finding"),
        pytest.param({"conclusionCode": "worsened"}, id="of a wrong type"),
        pytest.param({}, id="no conclusion"),
    ],
)
def test_nothing_but_codes_is_read(more: Resource) -> None:
    history = read(report(**more))
    assert not history.disease_statuses
    assert not history.progressions


@pytest.mark.parametrize(
    "concluded",
    [
        pytest.param([coded(SNOMED, "195967001")], id="a finding that says nothing of it"),
        pytest.param([{"text": "Progressive disease"}], id="in words"),
        pytest.param([{"coding": [{"code": {}}]}], id="unreadable"),
    ],
)
def test_a_report_of_the_disease_status_that_was_not_understood_may_be_of_a_progression(concluded: Any) -> None:
    history = read(report(code=coded(LOINC, "97509-4"), conclusionCode=concluded))
    assert [one.status for one in history.disease_statuses] == [Status.UNDETERMINED]
    assert [event.certainty for event in history.progressions] == [POSSIBLE]
    assert not read(report(code=coded(LOINC, "97509-4"), conclusionCode=[{"text": "Stable"}])).progressions


def test_one_unreadable_conclusion_costs_no_other_but_its_certainty() -> None:
    history = read(report(code=coded(LOINC, "97509-4"), conclusionCode=[coded(SNOMED, WORSENED), {"text": {}}]))
    assert [event.certainty for event in history.progressions] == [POSSIBLE]
    assert gaps(history) == {GapCode.PRUNED}


@pytest.mark.parametrize(
    "more", [{"modifierExtension": [{"url": "urn:x"}]}, {"effectivePeriod": "none"}], ids=["modifier", "pruned"]
)
def test_of_a_report_that_was_not_read_whole_nothing_is_certain(more: Resource) -> None:
    history = read(report(WORSENED, code=coded(LOINC, "97509-4"), **more))
    assert [one.status for one in history.disease_statuses] == [Status.UNDETERMINED]
    assert [event.certainty for event in history.progressions] == [POSSIBLE]
    assert not read(report(code={"text": "Eye examination"}, **more)).eye_examinations


@pytest.mark.parametrize(
    ("dates", "on"),
    [
        pytest.param({"effectiveDateTime": "2026-10-05"}, span("2026-10-05"), id="a day"),
        pytest.param({"effectiveDateTime": "2026-10"}, span("2026-10-01", "2026-10-31"), id="a month"),
        pytest.param(
            {"effectiveDateTime": "2026-10", "issued": "2026-10-12T15:00:00Z"},
            span("2026-10-01", "2026-10-12"),
            id="a month, but not after the report was issued",
        ),
        pytest.param(
            {"effectivePeriod": {"start": "2026-10-01", "end": "2026-10-05"}}, span("2026-10-05"), id="a period"
        ),
        pytest.param({"effectivePeriod": {"start": "2026-10-01"}}, span("2026-10-01"), id="its start alone"),
        pytest.param(
            {"effectivePeriod": {"start": "2026-10-01"}, "issued": "2026-10-12T15:00:00Z"},
            span("2026-10-01", "2026-10-12"),
            id="between its start and the day of issue",
        ),
        pytest.param(
            {"effectiveDateTime": "2026-10-20", "issued": "2026-10-12T15:00:00Z"},
            span("2026-10-20"),
            id="issued before: one of the dates is wrong, and the day of the finding stands",
        ),
        pytest.param({"issued": "2026-10-12T15:00:00Z"}, None, id="the day of issue is not the day of the finding"),
        pytest.param({"effectiveDateTime": "2026-11-21"}, None, id="tomorrow"),
    ],
)
def test_a_report_is_dated_by_what_it_examined(dates: Resource, on: Any) -> None:
    (status,) = read(report(STABLE, **({"effectiveDateTime": None} | dates))).disease_statuses
    assert status.on == on


def test_a_date_that_cannot_be_read_is_a_gap() -> None:
    history = read(report(STABLE, effectiveDateTime="last week"))
    assert history.disease_statuses[0].on is None
    assert gaps(history) == {GapCode.DATE}


@pytest.mark.parametrize(
    ("code", "counts"),
    [
        pytest.param(coded(CPT, "92014"), True, id="by CPT"),
        pytest.param(coded(SNOMED, "36228007"), True, id="by SNOMED CT"),
        pytest.param({"text": "Ophthalmic examination"}, True, id="ophthalmic examination"),
        pytest.param({"text": "Comprehensive dilated eye exam"}, True, id="dilated eye exam"),
        pytest.param({"text": "Slit-lamp examination OU"}, True, id="slit-lamp examination"),
        pytest.param({"text": "Referral for eye exam"}, False, id="a referral"),
        pytest.param({"text": "Eye exam declined"}, False, id="declined"),
        pytest.param({"text": "MRI of the orbits"}, False, id="imaging of the eye"),
        pytest.param(coded(SNOMED, "306285006"), False, id="a referral by code"),
    ],
)
def test_a_report_of_an_eye_examination_says_that_it_was_done(code: Resource, counts: bool) -> None:
    history = read(report(code=code))
    assert [one.on for one in history.eye_examinations] == ([span(ON)] if counts else [])
