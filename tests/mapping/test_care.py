"""Trials, teaching, flags, care plans and episodes of care: what stands in them, and what only looks like it."""

from typing import Any

import pytest

from fhir_mapping.model.care import RefusedTherapy
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import GapCode
from tests.build import SNOMED, Resource, procedure
from tests.mapping.care_builders import MODIFIED, care_plan, communication, document, episode, flag, text, trial
from tests.mapping.reading import gaps, read, span

YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
CAR_T, ENGAGER = RefusedTherapy.CAR_T, RefusedTherapy.T_CELL_ENGAGER
NOT_UNDERSTOOD = GapCode.NOT_UNDERSTOOD
# What becomes of a record by a status that says whether it counts; None: not understood
ODD = [pytest.param(None, None, id="no status"), pytest.param("gone", None, id="not in R4")]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ("candidate", UNKNOWN),
        ("eligible", UNKNOWN),
        ("follow-up", NO),
        ("ineligible", NO),
        ("not-registered", NO),
        ("off-study", NO),
        ("on-study", YES),
        ("on-study-intervention", YES),
        ("on-study-observation", YES),
        ("pending-on-study", UNKNOWN),
        ("potential-candidate", UNKNOWN),
        ("screening", UNKNOWN),
        ("withdrawn", NO),
        pytest.param(None, UNKNOWN, id="no status"),
        pytest.param("active", UNKNOWN, id="not in R4"),
    ],
)
def test_a_status_says_whether_the_patient_is_on_study(status: str | None, answer: Answer) -> None:
    (enrolment,) = read(trial(status)).trials
    assert (enrolment.on_study, enrolment.study) == (answer, "Synthetic study")


@pytest.mark.parametrize(
    ("status", "period", "answer"),
    [
        ("on-study", {"start": "2026-01-01"}, YES),
        ("on-study", {"start": "2026-01-01", "end": "2026-11-19"}, NO),
        ("on-study", {"start": "2026-01-01", "end": "2026-11-20"}, YES),
        ("on-study", {"end": "2026-11"}, UNKNOWN),
        ("on-study", {"end": "2027"}, YES),
        ("on-study", {"start": "2026-11"}, YES),
        ("on-study", {"start": "2026-11-21"}, UNKNOWN),
        ("withdrawn", {"start": "2026-11-21"}, NO),
        ("screening", {"end": "2026-01-01"}, UNKNOWN),
    ],
)
def test_a_patient_is_on_study_within_the_period_alone(status: str, period: Resource, answer: Answer) -> None:
    assert [enrolment.on_study for enrolment in read(trial(status, period=period)).trials] == [answer]


def test_the_period_of_a_study_may_be_unreadable() -> None:
    history = read(trial(period={"start": "spring"}))
    assert [enrolment.on_study for enrolment in history.trials] == [YES]
    assert gaps(history) == {GapCode.DATE}


@pytest.mark.parametrize("status", ["on-study", "withdrawn"])
@pytest.mark.parametrize(("more", "gap"), [(MODIFIED, NOT_UNDERSTOOD), ({"period": "always"}, GapCode.PRUNED)])
def test_an_enrolment_that_was_not_understood_is_unknown(status: str, more: Resource, gap: GapCode) -> None:
    history = read(trial(status, **more))
    assert [enrolment.on_study for enrolment in history.trials] == [UNKNOWN]
    assert gaps(history) == {gap}


@pytest.mark.parametrize(
    ("more", "study"),
    [({"study": {"reference": "ResearchStudy/7"}}, "ResearchStudy/7"), ({"study": None}, "")],
)
def test_a_study_goes_by_its_name_or_else_by_its_reference(more: Resource, study: str) -> None:
    assert [enrolment.study for enrolment in read(trial() | more).trials] == [study]


def test_the_newest_version_of_an_enrolment_counts() -> None:
    old = trial(id="s", meta={"versionId": "1"})
    new = trial("off-study", id="s", meta={"versionId": "2"})
    assert [enrolment.on_study for enrolment in read(new, old).trials] == [NO]
    assert not read(trial("entered-in-error")).trials


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("preparation", False),
        ("in-progress", False),
        ("not-done", False),
        ("on-hold", False),
        ("stopped", False),
        ("completed", True),
        ("entered-in-error", False),
        ("unknown", False),
        *ODD,
    ],
)
def test_teaching_counts_once_it_is_completed(status: str | None, counts: bool | None) -> None:
    history = read(communication(status=status))
    assert len(history.education) == bool(counts)
    assert gaps(history) == ({NOT_UNDERSTOOD} if counts is None else set())


@pytest.mark.parametrize(
    ("status", "content", "counts"),
    [
        ("current", None, True),
        ("current", "final", True),
        ("current", "amended", True),
        ("current", "preliminary", False),
        ("current", "entered-in-error", False),
        ("current", "draft", None),
        ("superseded", None, False),
        ("superseded", "final", False),
        ("superseded", "draft", False),
        ("entered-in-error", "final", False),
        (None, "final", None),
        ("archived", None, None),
        ("archived", "preliminary", False),
    ],
)
def test_a_document_counts_while_it_stands(status: str | None, content: str | None, counts: bool | None) -> None:
    history = read(document(status=status, docStatus=content))
    assert len(history.education) == bool(counts)
    assert gaps(history) == ({NOT_UNDERSTOOD} if counts is None else set())


@pytest.mark.parametrize(
    "record",
    [
        communication(None, category=[text("Patient education")]),
        communication(None, reasonCode=[text("Medication instruction")]),
        communication("Fever after CAR T", category=[text("Education")]),
        document(None, category=[text("Education")]),
        document(None, description="Teclistamab education record"),
        document("Clinical note", description="Chemo teaching"),
    ],
)
def test_any_element_may_say_that_it_is_teaching(record: Resource) -> None:
    (taught,) = read(record).education
    assert (taught.on, taught.source.on) == (span("2026-11-10"), span("2026-11-10"))


@pytest.mark.parametrize(
    ("record", "counts"),
    [
        (procedure("311401005", "2026-11-10", system=SNOMED), True),
        (procedure("", "2026-11-10") | {"code": text("CAR T patient education")}, True),
        (procedure("311401005", "2026-11-10", "in-progress", system=SNOMED), False),
        (procedure("311401005", "2026-11-10", "not-done", system=SNOMED), False),
        (procedure("311401005", "2026-11-10", "unknown", system=SNOMED), False),
        (procedure("311401005", "2026-11-10", system=SNOMED, notDone=True), False),
        (procedure("311401005", "2026-11-10", system=SNOMED, **MODIFIED), False),
        (procedure("", "2026-11-10") | {"code": text("Diabetes education")}, False),
    ],
)
def test_teaching_may_be_a_procedure_that_was_done(record: Resource, counts: bool) -> None:
    history = read(record)
    assert [taught.on for taught in history.education] == ([span("2026-11-10")] if counts else [])


@pytest.mark.parametrize(
    "record",
    [
        communication("Diabetes", category=[text("Education")]),
        communication("Lab results"),
        communication(None),
        communication(notDone=True),
        document("Discharge summary"),
        document(None),
    ],
)
def test_other_records_teach_nothing(record: Resource) -> None:
    history = read(record)
    assert not history.education
    assert not history.gaps


@pytest.mark.parametrize("record", [communication(sent="2026-11-21"), document(date="2026-11-21T00:00:00-05:00")])
def test_teaching_of_tomorrow_has_no_date_and_leaves_a_gap(record: Resource) -> None:
    history = read(record)
    assert [taught.on for taught in history.education] == [None]
    assert gaps(history) == {GapCode.DATE}


@pytest.mark.parametrize("record", [communication(sent="2026"), document(date="2026")])
def test_the_day_of_teaching_may_be_a_year(record: Resource) -> None:
    assert [taught.on for taught in read(record).education] == [span("2026-01-01", "2026-11-20")]


@pytest.mark.parametrize(
    ("record", "gap"),
    [
        (communication(**MODIFIED), NOT_UNDERSTOOD),
        (document(**MODIFIED), NOT_UNDERSTOOD),
        (communication(sent={"x": 1}), GapCode.PRUNED),
        (flag(**MODIFIED), NOT_UNDERSTOOD),
        (flag(period="always"), GapCode.PRUNED),
        (care_plan(**MODIFIED), NOT_UNDERSTOOD),
        (care_plan(period="always"), GapCode.PRUNED),
        (episode(**MODIFIED), NOT_UNDERSTOOD),
        (episode(implicitRules="urn:example:rules"), NOT_UNDERSTOOD),
    ],
)
def test_a_record_that_was_not_understood_is_a_gap_and_no_fact(record: Resource, gap: GapCode) -> None:
    history = read(record)
    assert not [*history.education, *history.refusals, *history.documented_lines]
    assert gaps(history) == {gap}


@pytest.mark.parametrize(
    "record",
    [
        communication("Lab results", **MODIFIED),
        document("Note", "odd"),
        flag("Fall risk", "odd"),
        care_plan("Diet", "odd"),
    ],
)
def test_a_record_of_no_interest_leaves_no_gap(record: Resource) -> None:
    assert not read(record).gaps


@pytest.mark.parametrize(
    "record",
    [
        communication(subject=None),
        document(subject=None),
        flag(subject=None),
        care_plan(subject=None),
        episode(patient=None),
        trial(individual=None),
    ],
)
def test_a_record_without_subject_does_no_harm(record: Resource) -> None:
    history = read(record)
    assert len([*history.education, *history.refusals, *history.documented_lines, *history.trials]) == 1


@pytest.mark.parametrize(
    ("status", "counts"), [("active", True), ("inactive", False), ("entered-in-error", False), *ODD]
)
def test_a_flag_counts_while_it_is_active(status: str | None, counts: bool | None) -> None:
    history = read(flag(status=status))
    assert len(history.refusals) == bool(counts)
    assert gaps(history) == ({NOT_UNDERSTOOD} if counts is None else set())


@pytest.mark.parametrize(
    ("period", "on"),
    [
        (None, [None]),
        ({"start": "2026-10-01"}, [span("2026-10-01")]),
        ({"start": "2026"}, [span("2026-01-01", "2026-11-20")]),
        ({"start": "2026-10-01", "end": "2026-11-20"}, [span("2026-10-01")]),
        ({"start": "2026-10-01", "end": "2026-11-19"}, []),
        ({"end": "2026"}, [None]),
        ({"start": "2026-11-21"}, []),
    ],
)
def test_a_flag_counts_within_its_period(period: Resource | None, on: list[Any]) -> None:
    refusals = read(flag(period=period)).refusals
    assert [(refusal.on, refusal.reason) for refusal in refusals] == [(day, "Not a CAR T candidate") for day in on]


def test_a_flag_may_refuse_both() -> None:
    refusals = read(flag("Not eligible for T-cell redirecting therapy")).refusals
    assert {refusal.therapy for refusal in refusals} == {CAR_T, ENGAGER}


def test_the_newest_version_of_a_flag_counts() -> None:
    old = flag(id="f", meta={"versionId": "1"})
    assert not read(flag(status="inactive", id="f", meta={"versionId": "2"}), old).refusals


def test_a_flag_without_code_does_no_harm() -> None:
    assert not read(flag() | {"code": None}).refusals


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("draft", False),
        ("active", True),
        ("on-hold", True),
        ("revoked", False),
        ("completed", True),
        ("entered-in-error", False),
        ("unknown", False),
        *ODD,
    ],
)
def test_a_care_plan_documents_its_line(status: str | None, counts: bool | None) -> None:
    history = read(care_plan(status=status))
    assert [line.number for line in history.documented_lines] == ([3] if counts else [])
    assert gaps(history) == ({NOT_UNDERSTOOD} if counts is None else set())


@pytest.mark.parametrize(
    ("intent", "counts"),
    [("proposal", False), ("plan", True), ("order", True), ("option", False), (None, True), ("wish", None)],
)
def test_a_care_plan_that_is_only_proposed_documents_nothing(intent: str | None, counts: bool | None) -> None:
    history = read(care_plan(intent=intent))
    assert len(history.documented_lines) == bool(counts)
    assert gaps(history) == ({NOT_UNDERSTOOD} if counts is None else set())


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("planned", False),
        ("waitlist", False),
        ("active", True),
        ("onhold", True),
        ("finished", True),
        ("cancelled", False),
        ("entered-in-error", False),
        *ODD,
    ],
)
def test_an_episode_of_care_documents_its_line(status: str | None, counts: bool | None) -> None:
    history = read(episode(status=status))
    assert [line.number for line in history.documented_lines] == ([3] if counts else [])
    assert gaps(history) == ({NOT_UNDERSTOOD} if counts is None else set())


@pytest.mark.parametrize(
    ("more", "on"),
    [
        ({"period": {"start": "2026-09-01"}}, [span("2026-09-01")]),
        ({"period": {"start": "2026"}}, [span("2026-01-01", "2026-11-20")]),
        ({"period": {"start": "2026-11-21"}}, []),
        ({"period": {"end": "2026-10-01"}}, [None]),
        ({"period": None}, [None]),
        ({"period": None, "created": "2026-09-03"}, [span("2026-09-03")]),
    ],
)
def test_a_line_dates_from_the_start_of_its_plan(more: Resource, on: list[Any]) -> None:
    lines = read(care_plan() | more).documented_lines
    assert [(line.number, line.on, line.source.on) for line in lines] == [(3, day, day) for day in on]


def test_an_unreadable_start_leaves_a_gap() -> None:
    history = read(care_plan(period={"start": "spring"}))
    assert [line.on for line in history.documented_lines] == [None]
    assert gaps(history) == {GapCode.DATE}


def test_a_category_may_name_the_line_and_contradict_the_title() -> None:
    category = [text("Line of therapy 4")]
    assert [line.number for line in read(care_plan(None, category=category)).documented_lines] == [4]
    assert [line.number for line in read(care_plan(category=category)).documented_lines] == [3, 4]
    assert not read(care_plan(None), episode("Oncology")).documented_lines
