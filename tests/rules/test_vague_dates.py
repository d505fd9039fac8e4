"""How a day that nobody knows exactly reads on a card: one day is meant, never a period, and every sentence holds it.

Each wording that mentions a date is written with a day, two days, a month, a year, and days in between; the rows below
are of whole cards. "Today" is 2026-11-20.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import date
from typing import Any

import pytest

from cards.card import SUMMARY_LIMIT
from cards.knowledge.loader import ActiveRule, load, placeholders
from cards.markdown import capitalised
from cds_service.assess import Assessment
from cds_service.cli.preview import example_facts
from fhir_mapping.model.dates import ClinicalDate
from tests.build import (
    Resource,
    appointment,
    card,
    draft_collection,
    draft_drug,
    draft_infusion,
    given,
    infusion,
    lab,
    procedure,
    progression,
    reported,
)
from tests.rules.table import PROTECTED, row, select, sign, text_of, view

BETWEEN = "some day between 2026-09-03 and 2026-09-17"
FORMS = {
    "2026-09-03": ClinicalDate.on(date(2026, 9, 3)),
    "2026-09-03 or 2026-09-04": ClinicalDate(date(2026, 9, 3), date(2026, 9, 4)),
    "some day in September 2026": ClinicalDate(date(2026, 9, 1), date(2026, 9, 30)),
    "some day in 2026": ClinicalDate(date(2026, 1, 1), date(2026, 12, 31)),
    BETWEEN: ClinicalDate(date(2026, 9, 3), date(2026, 9, 17)),
}
LONG = "143 to 172"  # a number of days since such a date

# What may stand before a date: all of it was read aloud with each form. Whoever puts another word there does the same
READ_ALOUD = re.compile(
    r"(\(|: |, for |\b(recorded|given|infused|collected|progression|dose|on|to) |\{drug\} )$", flags=re.IGNORECASE
)
# With days in between the summary is cut at its end, which the detail repeats
CUT = {("R27", "refer", BETWEEN), ("R29", "option", BETWEEN)}


def dates_of(active: ActiveRule) -> set[str]:
    return {field.name for field in fields(active.rule.facts) if "ClinicalDate" in str(field.type)}


def wordings() -> Iterator[Any]:
    """Give every sentence that mentions a date, with the rule and the variant to which it belongs."""
    for active in load().rules.values():
        for variant, text in active.text.cards.items():
            for number, sentence in enumerate((text.summary, *text.why)):
                if placeholders(sentence) & dates_of(active):
                    yield pytest.param(active, variant, sentence, id=f"{active.text.id}-{variant}-{number}")


WORDINGS = list(wordings())


def written(active: ActiveRule, variant: str, sentence: str, form: str) -> str:
    """Put example facts, and one form of date wherever a date stands, into a sentence."""
    numbers = {name: str(value) for name, value in dict(active.settings).items()}
    days = dict.fromkeys(("days", "days_after", "gap"), LONG)
    dates = dict.fromkeys(dates_of(active), str(FORMS[form]))
    return capitalised(sentence.format_map(numbers | dict(example_facts(active, variant)) | days | dates))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("active", "variant", "sentence"), WORDINGS)
def test_a_sentence_holds_every_form_of_a_date(active: ActiveRule, variant: str, sentence: str, form: str) -> None:
    said = written(active, variant, sentence, form)

    assert form in said or capitalised(form) in said
    if sentence == active.text.cards[variant].summary:
        assert (len(said) > SUMMARY_LIMIT) == ((active.text.id, variant, form) in CUT)


@pytest.mark.parametrize(("active", "variant", "sentence"), WORDINGS)
def test_what_stands_before_a_date_was_read_with_every_form(active: ActiveRule, variant: str, sentence: str) -> None:
    for name in placeholders(sentence) & dates_of(active):
        before = sentence.partition(f"{{{name}}}")[0]
        assert READ_ALOUD.search(before), f"read it aloud: {before!r} some day in April"


def test_there_are_wordings_with_dates_of_most_rules() -> None:
    rules = {active.text.id for active, _, _ in (each.values for each in WORDINGS)}

    assert rules >= {"R01", "R03", "R05", "R08", "R10", "R11", "R12", "R13", "R14", "R15", "R16", "R27", "R29"}


TECLISTAMAB = reported("teclistamab", "2026-01-05", "2026-06-30")


@pytest.mark.parametrize(
    ("answer", "rule", "said"),
    [
        row(
            "a dose some day in June",
            lambda: sign([given("teclistamab", "2026-06")], draft_collection()),
            "R01",
            "Last dose of teclistamab: some day in June 2026. Counted to 2026-11-20",
        ),
        row(
            "a collection planned for some day in December",
            lambda: sign([given("teclistamab", "2026-10-05")], draft_collection("2026-12")),
            "R01",
            "Counted to some day in December 2026 (planned T-cell collection): 57 to 87 days.",
        ),
        row(
            "on a day of one period or another",
            lambda: sign([given("teclistamab", None, effectivePeriod={"start": "2026-09-03"})], draft_collection()),
            "R01",
            "Last dose of teclistamab: 2026-09-03.",
        ),
        row(
            "progressed in the month of the last dose, or after it",
            lambda: select([TECLISTAMAB, progression("2026-07"), *PROTECTED], draft_drug("elranatamab")),
            "R05",
            "Progression recorded some day in July 2026, 1 to 31 days after the last dose of teclistamab (2026-06-30).",
        ),
        row(
            "progressed while given, up to some day of a month",
            lambda: select(
                [reported("teclistamab", "2026-01-05", "2026-07"), progression("2026-06-15"), *PROTECTED],
                draft_drug("elranatamab"),
            ),
            "R05",
            "while teclistamab was being given (last dose some day in July 2026).",
        ),
        row(
            "collected some day in October",
            lambda: view([procedure("38225", "2026-10")]),
            "R08",
            "Collection on some day in October 2026, 20 to 50 days ago; no infusion since.",
        ),
        row(
            "a bridge after a collection in September",
            lambda: sign([procedure("38225", "2026-09")], draft_drug("elranatamab")),
            "R09",
            "T cells were collected on some day in September 2026, and no infusion is on record since.",
        ),
        row(
            "midnight in UTC, which is the evening before",
            lambda: view([procedure("38225", "2026-10-05T00:00:00Z")]),
            "R08",
            "T cells collected 2026-10-04 or 2026-10-05 (46 to 47 d ago)",
        ),
        row(
            "in the month that is not over",
            lambda: select([given("teclistamab", "2026-11")], draft_drug("talquetamab")),
            "R10",
            "Talquetamab is ordered; teclistamab was last given some day between 2026-11-01 and 2026-11-20.",
        ),
        row(
            "bendamustine some day in June",
            lambda: sign([given("bendamustine", "2026-06")], draft_collection()),
            "R12",
            "Bendamustine some day in June 2026, 143 to 172 d before T-cell collection",
        ),
        row(
            "a collection booked for some day in December",
            lambda: sign([appointment("T-cell collection", "2026-12")], draft_drug("bendamustine")),
            "R12",
            "A T-cell collection stands in the calendar for some day in December 2026.",
        ),
        row(
            "a low CD4 count of some day in October",
            lambda: view([infusion("2025-09-16"), lab("24467-3", 150, "/uL", "2026-10"), PROTECTED[1]]),
            "R15",
            "CD4 count 150/µL on some day in October 2026; two sources",
        ),
        row(
            "cells of some day in March before others",
            lambda: select([infusion("2025-03"), *PROTECTED], draft_drug("ciltacabtagene autoleucel")),
            "R30",
            "Prior CAR T ciltacabtagene autoleucel some day in March 2025: confirm",
        ),
        row(
            "nothing but the record itself",
            lambda: sign([given("teclistamab", "2026")], draft_collection()),
            "R00",
            "- MedicationAdministration some day between 2026-01-01 and 2026-11-20",
        ),
    ],
)
def test_a_vague_day_on_a_whole_card(answer: Callable[[], Assessment], rule: str, said: str) -> None:
    assert said in text_of(card(answer(), rule))


@pytest.mark.parametrize("order", [draft_collection(), draft_infusion(), draft_drug("elranatamab")])
def test_no_sentence_takes_a_day_for_a_period(order: Resource) -> None:
    months = [given("teclistamab", "2026-06"), given("belantamab mafodotin", "2026-07"), progression("2026-08")]
    history = [*months, procedure("38225", "2026-09"), given("bendamustine", "2026-10"), infusion("2024-03")]
    shown = [text_of(each) for hook in (select, sign) for each in _cards(hook(history, order))]

    assert shown
    assert not [text for text in shown if re.search(r"\d{4}-\d\d-\d\d to \d{4}", text)]
    assert not [text for text in shown if re.search(r"\b(in|on|to|from|between) (in|from|between)\b", text)]


def _cards(assessment: Assessment) -> list[dict[str, Any]]:
    return [{"summary": each.summary, "detail": each.detail} for each in assessment.cards]
