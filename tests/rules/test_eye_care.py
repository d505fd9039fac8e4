"""R35: an eye examination before each dose of belantamab mafodotin.

Before a first dose one counts that is at most 28 days old, before a later dose one that was done after the dose
before; one that is ordered, booked or requested in time counts too. "Today" is 2026-11-20.
"""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.build import (
    CPT,
    SNOMED,
    Resource,
    appointment,
    card,
    coded,
    dispensed,
    draft_drug,
    draft_service,
    given,
    infusion,
    lab,
    ordered,
    outcome,
    procedure,
    reported,
    service_request,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    SATISFIED,
    codes_of,
    days_ago,
    drafts_in,
    row,
    select,
    sign,
    text_of,
    view,
)

EXAMINED = "92014"
BELANTAMAB = "belantamab mafodotin"
LAST_DOSE = given(BELANTAMAB, "2026-10-28")


def ahead(days: int) -> str:
    """Name the day that lies so many days after the day of the request."""
    return days_ago(-days)


def examined(on: str | None, **more: Any) -> Resource:
    """Make an eye examination by its CPT code."""
    return procedure(EXAMINED, on, **more)


def worded(text: str, on: str) -> Resource:
    """Make a procedure in words."""
    return examined(on) | {"code": {"text": text}}


def over(start: str, end: str) -> Resource:
    """Make an eye examination over a period."""
    return procedure(EXAMINED, None, performedPeriod={"start": start, "end": end})


def report(on: str | None, status: str = "final", **more: Any) -> Resource:
    """Make the report of an eye examination."""
    members = {
        "resourceType": "DiagnosticReport",
        "id": "report-1",
        "subject": {"reference": "Patient/synthetic-1"},
        "status": status,
        "code": coded(CPT, EXAMINED, "Eye examination"),
        "effectiveDateTime": on,
    }
    return {key: value for key, value in (members | more).items() if value is not None}


def of_dose(history: Iterable[Resource], on: str | None = None, **raw: Any) -> str:
    """Answer for a dose of belantamab that is signed, planned for a day where one is named."""
    return outcome(sign(history, draft_drug(BELANTAMAB, on), **raw), "R35")


# --- before a first dose ---


@pytest.mark.parametrize(
    ("on", "planned", "expected"),
    [
        row("today, the day of the dose", days_ago(0), None, SATISFIED),
        row("28 days before", days_ago(28), None, SATISFIED),
        row("29 days before", days_ago(29), None, FLAGGED),
        row("28 days before the planned day", days_ago(18), ahead(10), SATISFIED),
        row("29 days before the planned day", days_ago(19), ahead(10), FLAGGED),
        row("a planned day that is over counts as today", days_ago(28), days_ago(10), SATISFIED),
        row("some day this month, at most 19 days ago", "2026-11", None, SATISFIED),
        row("some day in October, 20 to 50 days ago", "2026-10", None, CANNOT_TELL),
        row("some day in September, at least 51 days ago", "2026-09", None, FLAGGED),
        row("some day this year", "2026", None, CANNOT_TELL),
        row("some day last year", "2025", None, FLAGGED),
        row("without a date", None, None, CANNOT_TELL),
        row("dated tomorrow: not a date of something done", ahead(1), None, CANNOT_TELL),
        row("the dose is planned for some day in December, 10 to 40 days after", days_ago(-0), "2026-12", CANNOT_TELL),
    ],
)
def test_an_examination_before_a_first_dose(on: str | None, planned: str | None, expected: str) -> None:
    assert of_dose([examined(on)], planned) == expected


# --- before a later dose ---


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        row("the day after the last dose", "2026-10-29", SATISFIED),
        row("on the day of the last dose: it was for that one", "2026-10-28", FLAGGED),
        row("before the last dose, though not long ago", "2026-10-27", FLAGGED),
        row("today", "2026-11-20", SATISFIED),
        row("some day in November", "2026-11", SATISFIED),
        row("some day in October, before or after the dose", "2026-10", CANNOT_TELL),
        row("some day in September", "2026-09", FLAGGED),
        row("some day this year", "2026", CANNOT_TELL),
        row("without a date", None, CANNOT_TELL),
    ],
)
def test_an_examination_after_the_last_dose(on: str | None, expected: str) -> None:
    assert of_dose([LAST_DOSE, examined(on)]) == expected


@pytest.mark.parametrize(
    ("doses", "expected"),
    [
        row(
            "the latest of two doses counts",
            [given(BELANTAMAB, "2026-09-01"), given(BELANTAMAB, "2026-11-18")],
            FLAGGED,
        ),
        row("both lie before it", [given(BELANTAMAB, "2026-09-01"), LAST_DOSE], SATISFIED),
        row("given some day in October", [given(BELANTAMAB, "2026-10")], SATISFIED),
        row("given some day in November", [given(BELANTAMAB, "2026-11")], CANNOT_TELL),
        row("given without a date", [given(BELANTAMAB, None)], CANNOT_TELL),
        row(
            "a year ago: it is no first dose, and the examination came after",
            [given(BELANTAMAB, "2025-10-28")],
            SATISFIED,
        ),
        row("reported, ended before it", [reported(BELANTAMAB, "2026-08-01", "2026-11-01")], SATISFIED),
        row("reported, ended after it", [reported(BELANTAMAB, "2026-08-01", "2026-11-15")], FLAGGED),
        row(
            "listed as being taken: the last dose may have been any day",
            [reported(BELANTAMAB, "2026-08-01", status="active", asserted="2026-11-18")],
            CANNOT_TELL,
        ),
        row(
            "listed as being taken, and the doses are recorded",
            [reported(BELANTAMAB, "2026-08-01", status="active", asserted="2026-11-18"), LAST_DOSE],
            SATISFIED,
        ),
        row(
            "the doses are recorded beside their order, which goes on",
            [ordered(BELANTAMAB, "2026-08-01"), LAST_DOSE],
            SATISFIED,
        ),
        row("only ordered: a first dose or a later one", [ordered(BELANTAMAB, "2026-08-01", "completed")], CANNOT_TELL),
        row("only handed over on a day before it", [dispensed(BELANTAMAB, "2026-10-01", 1)], SATISFIED),
        row("not given", [given(BELANTAMAB, "2026-11-15", "not-done")], SATISFIED),
        row("entered in error", [given(BELANTAMAB, "2026-11-15", "entered-in-error")], SATISFIED),
        row(
            "recorded, and one of unknown status after it",
            [LAST_DOSE, given(BELANTAMAB, "2026-11-15", "unknown")],
            CANNOT_TELL,
        ),
        row(
            "recorded, and one that was ordered and completed after it",
            [LAST_DOSE, ordered(BELANTAMAB, "2026-11-15", "completed")],
            CANNOT_TELL,
        ),
        row(
            "recorded, and one of unknown status before it",
            [LAST_DOSE, given(BELANTAMAB, "2026-11-01", "unknown")],
            SATISFIED,
        ),
        row("of unknown status, after it", [given(BELANTAMAB, "2026-11-15", "unknown")], CANNOT_TELL),
        row("another drug does not count", [given("teclistamab", "2026-11-15")], SATISFIED),
    ],
)
def test_which_dose_was_the_last(doses: list[Resource], expected: str) -> None:
    assert of_dose([*doses, examined("2026-11-10")]) == expected


@pytest.mark.parametrize(
    "doses",
    [
        row("a first dose", []),
        row("a later dose", [LAST_DOSE]),
        row("given without a date", [given(BELANTAMAB, None)]),
        row(
            "only ordered: missing for a first dose as for a later one",
            [ordered(BELANTAMAB, "2026-08-01", "completed")],
        ),
        row("listed as being taken", [reported(BELANTAMAB, "2026-08-01", status="active", asserted="2026-11-18")]),
        row("after CAR T cells that failed", [infusion("2026-03-01")]),
    ],
)
def test_without_any_examination_every_dose_is_pointed_out(doses: list[Resource]) -> None:
    assert of_dose(doses) == FLAGGED


# --- what counts as an examination ---


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        row("by its SNOMED code", [procedure("36228007", "2026-11-10", system=SNOMED)], SATISFIED),
        row("in progress", [examined("2026-11-20", status="in-progress")], SATISFIED),
        row("in words", [worded("Slit lamp examination", "2026-11-10")], SATISFIED),
        row("in words, a referral to it", [worded("Referral for eye examination", "2026-11-10")], FLAGGED),
        row("stopped before it was done", [examined("2026-11-10", status="stopped")], FLAGGED),
        row("over a period, which began before the last dose", [over("2026-10-27", "2026-11-10")], FLAGGED),
        row("a report", [report("2026-11-10")], SATISFIED),
        row("a report that is not final", [report("2026-11-10", "registered")], FLAGGED),
        row("not done", [examined("2026-11-10", status="not-done")], FLAGGED),
        row("prepared", [examined("2026-11-10", status="preparation")], FLAGGED),
        row("entered in error", [examined("2026-11-10", status="entered-in-error")], FLAGGED),
        row("of unknown status", [examined("2026-11-10", status="unknown")], FLAGGED),
        row("a blood count is none", [lab("751-8", 2.0, "10*9/L", "2026-11-10")], FLAGGED),
    ],
)
def test_what_counts_as_an_examination(found: list[Resource], expected: str) -> None:
    assert of_dose([LAST_DOSE, *found]) == expected


# --- what is planned ---


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        row("booked for tomorrow", [appointment("Ophthalmology visit", ahead(1))], SATISFIED),
        row("booked for the day of the dose", [appointment("Ophthalmology visit", ahead(5))], SATISFIED),
        row("booked for the day after the dose", [appointment("Ophthalmology visit", ahead(6))], FLAGGED),
        row("booked for today", [appointment("Ophthalmology visit", ahead(0))], SATISFIED),
        row(
            "booked for some day in November: before or after the dose",
            [appointment("Eye exam", "2026-11")],
            CANNOT_TELL,
        ),
        row("booked for yesterday: nobody says what became of it", [appointment("Eye exam", days_ago(1))], CANNOT_TELL),
        row("the visit took place", [appointment("Eye exam", days_ago(1), "fulfilled")], SATISFIED),
        row("the visit took place before the last dose", [appointment("Eye exam", "2026-10-27", "fulfilled")], FLAGGED),
        row("booked for before the last dose, and never closed", [appointment("Eye exam", "2026-10-27")], FLAGGED),
        row("not confirmed yet", [appointment("Eye exam", ahead(1), "pending")], CANNOT_TELL),
        row("not confirmed, and after the dose", [appointment("Eye exam", ahead(6), "pending")], FLAGGED),
        row("cancelled", [appointment("Eye exam", ahead(1), "cancelled")], FLAGGED),
        row("nobody came", [appointment("Eye exam", days_ago(1), "noshow")], FLAGGED),
        row("booked for something else", [appointment("Dental visit", ahead(1))], FLAGGED),
        row("booked without a day, lately", [appointment("Eye exam", None, created=days_ago(3))], SATISFIED),
        row("requested after the last dose", [service_request("Eye examination", "2026-10-29")], SATISFIED),
        row(
            "requested on the day of the last dose, and still open: for which dose?",
            [service_request("Eye examination", "2026-10-28")],
            CANNOT_TELL,
        ),
        row("requested for a day before the dose", [service_request("Eye exam", "2026-09-01", on=ahead(2))], SATISFIED),
        row("requested for a day after the dose", [service_request("Eye exam", "2026-09-01", on=ahead(9))], FLAGGED),
        row("requested, nobody knows when", [service_request("Eye examination", None)], CANNOT_TELL),
        row(
            "requested after the last dose, and done",
            [service_request("Eye exam", "2026-11-01", "completed")],
            SATISFIED,
        ),
        row(
            "requested before it, and done some day",
            [service_request("Eye exam", "2026-10-01", "completed")],
            CANNOT_TELL,
        ),
        row("requested, and on hold", [service_request("Eye examination", "2026-11-01", "on-hold")], CANNOT_TELL),
        row("requested, and revoked", [service_request("Eye examination", "2026-11-01", "revoked")], FLAGGED),
        row("a referral to the eye clinic", [service_request(coded(SNOMED, "306285006"), "2026-11-01")], SATISFIED),
        row("cataract surgery is none", [service_request("Cataract surgery", "2026-11-01")], FLAGGED),
    ],
)
def test_what_is_planned(plan: list[Resource], expected: str) -> None:
    assert of_dose([LAST_DOSE, *plan], ahead(5)) == expected


@pytest.mark.parametrize(
    ("booked", "expected"),
    [
        row("today", 0, SATISFIED),
        row("tomorrow: before the dose or after it", 1, CANNOT_TELL),
        row("in 28 days", 28, CANNOT_TELL),
        row("in 29 days: the dose will come before", 29, FLAGGED),
    ],
)
def test_a_dose_that_is_ordered_without_a_day_will_come_soon(booked: int, expected: str) -> None:
    assert of_dose([LAST_DOSE, appointment("Eye exam", ahead(booked))]) == expected


@pytest.mark.parametrize(
    ("booked", "planned", "expected"),
    [
        row("28 days before the first dose", 2, 30, SATISFIED),
        row("29 days before it", 1, 30, FLAGGED),
    ],
)
def test_an_examination_ahead_may_be_too_early_for_a_first_dose(booked: int, planned: int, expected: str) -> None:
    assert of_dose([appointment("Eye exam", ahead(booked))], ahead(planned)) == expected


@pytest.mark.parametrize(
    ("requested", "expected"),
    [row("28 days ago", 28, SATISFIED), row("29 days ago, and still open", 29, CANNOT_TELL)],
)
def test_a_request_before_a_first_dose(requested: int, expected: str) -> None:
    assert of_dose([service_request("Eye examination", days_ago(requested))]) == expected


@pytest.mark.parametrize(
    ("draft", "expected"),
    [
        row("an eye examination by its code", draft_service(EXAMINED), SATISFIED),
        row("a referral to the eye clinic", draft_service("306285006", system=SNOMED), SATISFIED),
        row("another test", draft_service("38225"), FLAGGED),
    ],
)
def test_an_examination_among_the_drafts(draft: Resource, expected: str) -> None:
    dose = draft_drug(BELANTAMAB)

    assert outcome(sign([LAST_DOSE], dose, draft), "R35") == expected
    assert outcome(select([LAST_DOSE], dose, beside=[draft]), "R35") == expected


# --- whom it concerns ---


@pytest.mark.parametrize(
    ("drug", "expected"),
    [
        row("belantamab", BELANTAMAB, FLAGGED),
        row("in words, by its brand", "Blenrep 70 mg", FLAGGED),
        row("a bispecific antibody", "teclistamab", NOT_APPLICABLE),
        row("bortezomib, given beside it", "bortezomib", NOT_APPLICABLE),
    ],
)
def test_which_orders_it_concerns(drug: str, expected: str) -> None:
    assert outcome(select([LAST_DOSE], draft_drug(drug)), "R35") == expected


def test_it_is_not_asked_when_a_chart_is_opened() -> None:
    assert outcome(view([LAST_DOSE]), "R35") == NOT_APPLICABLE


def test_of_three_drugs_that_are_ordered_one_alone_asks_for_it() -> None:
    triplet = [draft_drug(name) for name in (BELANTAMAB, "bortezomib", "dexamethasone")]

    assert codes_of(select([infusion("2026-03-01")], *triplet)).count("R35") == 1


# --- what was not read ---


@pytest.mark.parametrize(
    ("history", "unread", "expected"),
    [
        row("procedures were not read: it may be there", [LAST_DOSE], "procedures", CANNOT_TELL),
        row("reports were not read", [LAST_DOSE], "reports", CANNOT_TELL),
        row("appointments were not read", [LAST_DOSE], "appointments", FLAGGED),
        row(
            "an examination is there, though reports were not read",
            [LAST_DOSE, examined("2026-11-10")],
            "reports",
            SATISFIED,
        ),
        row("no examination: missing whatever was given before", [], "medicationAdministrations", FLAGGED),
        row(
            "an old examination may count after a dose that was not read",
            [examined("2026-09-10")],
            "medicationAdministrations",
            CANNOT_TELL,
        ),
        row(
            "a recent one may lie before such a dose",
            [examined("2026-11-10")],
            "medicationAdministrations",
            CANNOT_TELL,
        ),
    ],
)
def test_what_was_not_read(history: list[Resource], unread: str, expected: str) -> None:
    assert of_dose(history, without=[unread]) == expected


def test_what_is_open_is_not_shown() -> None:
    assessment = sign([LAST_DOSE], draft_drug(BELANTAMAB), without=["reports"])

    assert codes_of(assessment) == []


# --- the card ---


def test_the_card_of_a_later_dose() -> None:
    shown = card(sign([LAST_DOSE, examined("2026-10-20")], draft_drug(BELANTAMAB, "2026-11-25")), "R35")

    assert shown["indicator"] == "warning"
    assert shown["summary"] == (
        "No eye exam found since belantamab mafodotin on 2026-10-28 (23 d ago): its label asks for one."
    )
    said = text_of(shown)
    assert "The last eye examination on record: 2026-10-20" in said
    assert "2026-11-25" in said
    assert "none booked or requested before the next dose" in said


def test_the_card_of_a_first_dose() -> None:
    booked = appointment("Eye exam", "2026-12-04")
    shown = card(sign([booked], draft_drug(BELANTAMAB, "2026-11-25")), "R35")

    assert shown["summary"] == (
        "No eye exam found in the 28 d before the first belantamab mafodotin (2026-11-25): its label asks for one."
    )
    said = text_of(shown)
    assert "planned for 2026-12-04, which is not in time for this dose" in said
    assert "examination on record:" not in said
    assert "safe" not in said.replace("safety", "")


def test_the_card_after_a_dose_without_a_date() -> None:
    shown = card(sign([given(BELANTAMAB, None)], draft_drug(BELANTAMAB, "2026-11-25")), "R35")

    assert shown["summary"].startswith("No eye exam found before the belantamab mafodotin ordered (2026-11-25)")
    assert "on a day that is not on record" in text_of(shown)


@pytest.mark.parametrize(
    ("planned", "occurrence"),
    [
        row("by the day of the dose", "2026-11-25", {"occurrencePeriod": {"end": "2026-11-25"}}),
        row("a dose without a day", None, {}),
    ],
)
def test_the_draft_that_is_offered(planned: str | None, occurrence: dict[str, Any]) -> None:
    shown = card(sign([LAST_DOSE], draft_drug(BELANTAMAB, planned)), "R35")

    assert drafts_in(shown) == ["Eye examination (visual acuity and slit lamp)"]
    (offered,) = shown["suggestions"]
    assert offered["isRecommended"] is True
    (action,) = offered["actions"]
    assert (action["resource"]["status"], action["resource"]["intent"]) == ("draft", "order")
    assert {k: v for k, v in action["resource"].items() if k.startswith("occurrence")} == occurrence
