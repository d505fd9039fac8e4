"""How findings become cards: order, urgency, reasons for overriding, and wording that advises and never blocks."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from cards.finding import Hook
from cards.knowledge.loader import load
from fhir_mapping.catalog.loader import load as load_catalog
from fhir_mapping.model.vocabulary import Antigen, DrugClass
from tests.build import (
    Resource,
    ask,
    assessor,
    card,
    cards_of,
    chart,
    draft_collection,
    draft_drug,
    draft_infusion,
    given,
    hook_request,
    infusion,
    lab,
    ordered,
    procedure,
    progression,
    reported,
)
from tests.rules.table import PREFERENCES, PROTECTED, codes_besides_care, days_ago, row, select, sign, text_of, view

CELLS = infusion("2026-05-04")
TECLISTAMAB = given("teclistamab", "2026-11-05")
LOW_CD4 = lab("24467-3", 150, "/uL", "2026-11-01")
IGG = lab("2465-3", 900, "mg/dL", "2026-11-10")
ANTIVIRAL, PJP_DRUG = PROTECTED


@pytest.mark.parametrize(
    ("history", "orders", "expected"),
    [
        row("washout before the reminders", [TECLISTAMAB], [draft_infusion()], ["R01", "R14", "R15", "R16", "R00"]),
        row(
            "washout before missing prophylaxis",
            [CELLS, reported("teclistamab", "2026-06-01", "2026-11-05")],
            [draft_collection()],
            ["R01", "R15", "R16"],
        ),
        row(
            "change of antigen before missing prophylaxis",
            [CELLS, progression("2026-08-01")],
            [draft_drug("elranatamab")],
            ["R05", "R15", "R16"],
        ),
        row(
            "a warning before what is said softly",
            [
                infusion("2026-01-05"),
                reported("teclistamab", "2026-02-05", "2026-05-01"),
                progression("2026-08-01"),
            ],
            [draft_drug("etentamig")],
            ["R15", "R16", "R05"],
        ),
        row(
            "infection prevention before a second engager, the gap last",
            [infusion("2026-10-01"), TECLISTAMAB],
            [draft_drug("etentamig")],
            ["R15", "R16", "R14", "R00"],
        ),
    ],
)
def test_the_most_urgent_card_comes_first(history: list[Resource], orders: list[Resource], expected: list[str]) -> None:
    assert codes_besides_care(sign(history, *orders), besides=PREFERENCES) == expected


@pytest.mark.parametrize(
    ("rule", "history", "orders", "indicator"),
    [
        row("recent", "R01", [TECLISTAMAB], [draft_collection()], "warning"),
        row(
            "ongoing",
            "R01",
            [reported("teclistamab", "2026-06-01", status="active", asserted="2026-11-01")],
            [draft_collection()],
            "warning",
        ),
        row(
            "collected", "R01", [procedure("38225", "2026-11-10"), TECLISTAMAB], [draft_drug("fludarabine")], "warning"
        ),
        row(
            "during",
            "R05",
            [TECLISTAMAB, reported("teclistamab", "2026-09-01", "2026-11-05"), progression("2026-10-01")],
            [draft_drug("elranatamab")],
            "warning",
        ),
        row("shortly after", "R05", [TECLISTAMAB, progression("2026-11-15")], [draft_drug("elranatamab")], "warning"),
        row("early after cells", "R05", [CELLS, progression("2026-08-01")], [draft_drug("elranatamab")], "warning"),
        row(
            "later",
            "R05",
            [given("teclistamab", "2026-03-01"), progression("2026-07-01")],
            [draft_drug("elranatamab")],
            "info",
        ),
        row("missing antiviral", "R15", [CELLS], [draft_drug("lenalidomide")], "warning"),
        row("missing Pneumocystis drug", "R16", [CELLS], [draft_drug("lenalidomide")], "warning"),
        row("not yet due", "R16", [infusion("2026-11-01"), ANTIVIRAL], [draft_drug("lenalidomide")], "info"),
        row(
            "not yet due, on one card with what is",
            "R16",
            [infusion("2026-11-01")],
            [draft_drug("lenalidomide")],
            "warning",
        ),
        row("reminder, antiviral", "R15", [], [draft_infusion()], "info"),
        row("reminder, Pneumocystis", "R16", [], [draft_infusion()], "info"),
    ],
)
def test_indicator(rule: str, history: list[Resource], orders: list[Resource], indicator: str) -> None:
    assert card(sign(history, *orders), rule)["indicator"] == indicator


@pytest.mark.parametrize("rule", ["R15", "R16"])
def test_past_the_year_the_indicator_is_info(rule: str) -> None:
    assert card(view([infusion(days_ago(400)), LOW_CD4]), rule)["indicator"] == "info"


def test_critical_is_only_what_a_label_warns_of_as_acute_harm() -> None:
    """A dose too high after a gap, cells into an infection, a live vaccine; nothing else is."""
    critical = {
        (rule, variant)
        for rule, each in load().rules.items()
        for variant, text in each.text.cards.items()
        if text.indicator == "critical"
    }

    assert critical == {
        ("R24", "infusion"),
        ("R24", "lymphodepletion"),
        ("R25", "live"),
        ("R25", "live_before_cells"),
        ("R25", "live_bispecific"),
        ("R25", "live_labelled_apart"),
        ("R31", "full_dose"),
    }


@pytest.mark.parametrize(
    ("rule", "history", "orders", "reasons"),
    [
        row(
            "R01",
            "R01",
            [TECLISTAMAB, reported("talquetamab", "2026-11-10", status="active", asserted=days_ago(1))],
            [draft_collection()],
            ["trial", "mdt", "urgent", "wrong-data", "outside"],
        ),
        row(
            "R05",
            "R05",
            [CELLS, progression("2026-08-01"), *PROTECTED],
            [draft_drug("elranatamab")],
            ["trial", "mdt", "urgent", "contraindicated", "wrong-data"],
        ),
        row("R15", "R15", [CELLS], [draft_drug("lenalidomide")], ["contraindicated", "outside", "later", "wrong-data"]),
        row("R16", "R16", [CELLS], [draft_drug("lenalidomide")], ["contraindicated", "outside", "later", "wrong-data"]),
    ],
)
def test_override_reasons(rule: str, history: list[Resource], orders: list[Resource], reasons: list[str]) -> None:
    shown = card(sign(history, *orders), rule)

    assert [reason["code"] for reason in shown["overrideReasons"]] == reasons
    assert all(
        reason["display"] and reason["system"] == "urn:mmcds:override-reasons" for reason in shown["overrideReasons"]
    )


@pytest.mark.parametrize(
    ("rule", "code", "slug", "history", "orders"),
    [
        row("R01", "R01", "R01", "bcma-bispecific-to-cart-washout", [TECLISTAMAB], [draft_collection()]),
        row(
            "R05",
            "R05",
            "R05",
            "antigen-switch-after-progression",
            [CELLS, progression("2026-08-01")],
            [draft_drug("elranatamab")],
        ),
        row("R15, in its bundle", "R15", "B01", "infection-prevention", [CELLS], [draft_drug("lenalidomide")]),
        row("R16, in its bundle", "R16", "B01", "infection-prevention", [CELLS], [draft_drug("lenalidomide")]),
    ],
)
def test_every_card_says_where_it_comes_from(
    rule: str, code: str, slug: str, history: list[Resource], orders: list[Resource]
) -> None:
    shown = card(sign(history, *orders), rule)

    assert shown["source"]["topic"] == {"system": "urn:mmcds:rules", "code": code, "display": slug}
    assert "**Evidence** (" in shown["detail"]
    assert "**Based on**" in shown["detail"]
    assert "not yet reviewed by a clinician" in shown["detail"]


def test_a_card_that_speaks_for_one_rule_needs_no_extension() -> None:
    assert "extension" not in card(view([CELLS]), "R39")


def test_a_bundle_names_its_rule_also_where_it_has_but_one() -> None:
    shown = card(view([CELLS, PJP_DRUG, IGG]), "R15")

    assert shown["extension"] == {"mmcds.rules": [{"id": "R15", "outcome": "flagged"}]}


def test_every_card_has_its_own_uuid() -> None:
    uuids = [shown["uuid"] for shown in cards_of(view([CELLS]))]

    assert len(uuids) == len(set(uuids)) > 1


# --- wording ---


def _scenes() -> Iterator[tuple[list[Resource], list[Resource]]]:
    """Give charts and orders that bring up every card with the longest facts, for every BCMA-directed drug."""
    against_bcma = [drug for drug in load_catalog().drugs.values() if Antigen.BCMA in drug.antigens]
    for drug in against_bcma:
        is_cells = drug.drug_class is DrugClass.CAR_T
        again = draft_drug(drug.name) if drug.drug_class is DrugClass.ADC else draft_drug("idecabtagene vicleucel")
        for progressed in ("2026-04", "2026-06", "2026-08"):
            yield [given(drug.name, "2026-03"), progression(progressed)], [again]
        yield [reported(drug.name, "2025-09-01", "2026-03-31"), progression("2026-01")], [again]
        yield [given(drug.name, "2026-11")], [draft_infusion(), draft_drug("fludarabine")]
        yield [given(drug.name, None)], [draft_collection(), again]
        yield [ordered(drug.name, "2026-10-01")], [draft_collection(), again]
        if not is_cells:
            yield (
                [reported(drug.name, "2026-01", status="active", asserted="2026-07-01")],
                [draft_collection("2026-12")],
            )
            yield [reported(drug.name, "2026-01", status="active", asserted="2026-11-01")], [draft_collection()]
            yield [procedure("38225", "2026-10"), given(drug.name, "2026-06")], [draft_infusion()]
        else:
            yield [given(drug.name, "2026-02")], [draft_drug("lenalidomide")]
            yield [given(drug.name, "2026-10")], [draft_drug("lenalidomide")]
            yield [given(drug.name, "2025-10-01"), LOW_CD4], []
            yield [given(drug.name, "2025"), LOW_CD4], [draft_drug(drug.name)]


def _shown() -> Iterator[dict[str, Any]]:
    for history, orders in _scenes():
        for hook in Hook if not orders else (Hook.ORDER_SIGN, Hook.PATIENT_VIEW):
            yield from cards_of(ask(hook_request(hook, chart(*history), orders)))


def test_summaries_stay_whole_below_140_characters_whatever_the_drug() -> None:
    shown = list(_shown())

    assert {each["source"]["topic"]["code"] for each in shown} >= {"R01", "R05", "R14", "B01", "R00"}
    for each in shown:
        assert len(each["summary"]) <= 139
        assert not each["summary"].endswith("…"), each["summary"]
        assert "{" not in text_of(each)
        assert "None" not in text_of(each)


BLOCKING = re.compile(r"\bsafe(ly)?\b|\bstop|\bmust\b|\bforbidden\b|\bprohibit|\bdo not\b|\bnever\b", re.IGNORECASE)


def test_no_card_calls_anything_safe_or_tells_anyone_to_stop() -> None:
    for each in _shown():
        assert not BLOCKING.search(text_of(each)), text_of(each)


def test_no_wording_on_file_calls_anything_safe_or_tells_anyone_to_stop() -> None:
    knowledge = assessor().knowledge
    words = knowledge.presentation.data_gap
    alone = [*dict(words).values(), *dict(words.summary).values()]
    lines = [*words.missing.values(), *(each for each in alone if isinstance(each, str))]
    for active in knowledge.rules.values():
        lines += [active.text.title, *active.text.wordings, *active.text.missing.values()]
        lines += [line.says for line in active.text.evidence]
    lines += [line for order in knowledge.orders.values() for line in (order.label, order.description)]

    assert [line for line in lines if BLOCKING.search(line)] == []


def test_within_the_year_no_end_is_set_but_the_published_one() -> None:
    """The sources differ on the end; the card names them all and ends nothing."""
    detail = card(view([CELLS]), "R15")["detail"]

    for source in ("1 year", "12 to 18 months", "At least 6 months", "Until the CD4 count is above 200"):
        assert source in detail


def test_selecting_and_signing_word_a_finding_alike() -> None:
    selected = card(select([TECLISTAMAB], draft_collection()), "R01")
    signed = card(sign([TECLISTAMAB], draft_collection()), "R01")

    assert text_of(selected) == text_of(signed)


def test_a_card_that_absorbs_a_more_urgent_finding_says_that_first() -> None:
    history = [given("teclistamab", "2026-07-01"), progression("2026-10-01"), *PROTECTED]

    found = card(select(history, draft_drug("ciltacabtagene autoleucel")), "R05")

    assert found["indicator"] == "warning"
    assert found["summary"].startswith("Teclistamab last given 142 d before CAR T collection")
    assert "92 days after the last dose of teclistamab" in found["detail"]
