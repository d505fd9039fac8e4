"""How many cards are shown, what becomes of the others, and who joins whom on one card: nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cards.evaluate import Result
from cards.finding import Proposal
from cards.knowledge.texts import BundleText
from tests.build import cards_of, draft_collection, draft_drug, infusion, progression
from tests.build import given as dose
from tests.rules.made_up import PRESENTATION, MadeUp, codes, shown, speaks_for
from tests.rules.table import row, sign

A, B, C, D, E, F = (MadeUp(f"R8{number}", rank=number) for number in range(1, 7))


@pytest.mark.parametrize(
    ("found", "expected", "unshown"),
    [
        row("nothing found", [], [], []),
        row("three fit", [A.found(), B.found(), C.found()], ["R81", "R82", "R83"], []),
        row(
            "of four, the last by rank has no room",
            [D.found(), C.found(), B.found(), A.found()],
            ["R81", "R82", "R83"],
            ["R84"],
        ),
        row("of six, three", [x.found() for x in (A, B, C, D, E, F)], ["R81", "R82", "R83"], ["R84", "R85", "R86"]),
        row(
            "a warning goes before an information of better rank",
            [A.found("info"), B.found("info"), C.found("info"), D.found("warning")],
            ["R84", "R81", "R82"],
            ["R83"],
        ),
        row(
            "a critical card has a place of its own",
            [A.found(), B.found(), C.found(), D.found("critical")],
            ["R84", "R81", "R82", "R83"],
            [],
        ),
        row(
            "one critical card and three others",
            [A.found(), B.found(), C.found(), D.found(), E.found("critical")],
            ["R85", "R81", "R82", "R83"],
            ["R84"],
        ),
        row(
            "several critical ones are one card",
            [A.found(), B.found("critical"), C.found(), D.found(), E.found("critical"), F.found()],
            ["R82", "R81", "R83", "R84"],
            ["R86"],
        ),
        row("critical ones alone", [x.found("critical") for x in (E, D, C, B, A)], ["R81"], []),
    ],
)
def test_one_critical_card_and_three_others(found: list[Result], expected: list[str], unshown: list[str]) -> None:
    cards = shown(found)

    assert codes(cards) == expected
    assert [speaks_for(card) for card in cards if "More checks" in card["detail"]] == (
        [[expected[-1], *unshown]] if unshown else []
    )


def test_what_does_not_fit_is_named_with_its_whole_summary_on_the_last_card() -> None:
    long = MadeUp("R89", rank=9, summary="Much to say " * 15)

    first, second, last = shown([A.found(), B.found(), C.found(), D.found(), long.found()])

    _, _, more = last["detail"].partition("**More checks**\n\n")
    assert more.splitlines() == ["- R84: Summary of R84.", f"- R89: {long.summary}"]
    assert "More checks" not in first["detail"] + second["detail"]
    assert last["summary"] == "Summary of R83."


def test_a_card_without_room_that_speaks_for_several_rules_names_each() -> None:
    absorber = MadeUp("R88", rank=8, absorbs=("R81",))

    cards = shown([B.found(), C.found(), D.found(), absorber.found(), A.found()])

    assert codes(cards) == ["R82", "R83", "R84"]
    assert "- R88: Summary of R88.\n- R81: Summary of R81." in cards[-1]["detail"]
    assert speaks_for(cards[-1]) == ["R84", "R88", "R81"]


def test_a_card_without_room_offers_nothing_to_click() -> None:
    board = Proposal("myeloma-board")

    with_room = shown([A.found(), B.found(), C.found("warning", board)])
    without = shown([A.found(), B.found(), C.found(), D.found("warning", board)])

    assert [len(card.get("suggestions", ())) for card in with_room] == [0, 0, 1]
    assert [len(card.get("suggestions", ())) for card in without] == [0, 0, 0]
    assert "selectionBehavior" not in without[-1]


def test_reasons_for_overriding_are_those_of_what_is_shown_in_full() -> None:
    other = MadeUp("R89", rank=9, reasons=("urgent",))

    cards = shown([A.found(), B.found(), C.found(), other.found()])

    assert [reason["code"] for reason in cards[-1]["overrideReasons"]] == ["mdt"]


def test_the_data_gap_card_does_not_count() -> None:
    cards = shown([A.found(), B.found(), C.found(), D.found(), E.undecided()])

    assert codes(cards) == ["R81", "R82", "R83", "R00"]
    assert speaks_for(cards[-1]) == ["R85"]
    assert "- R84: " in cards[-2]["detail"]


def test_the_number_of_other_cards_is_a_number_on_file() -> None:
    assert codes(shown([A.found(), B.found(), C.found()], other_cards=1)) == ["R81"]


# --- several critical findings ---


def test_critical_findings_share_one_card_with_a_paragraph_each() -> None:
    (card,) = shown([B.found("critical"), A.found("critical"), C.found("critical")])

    assert card["indicator"] == "critical"
    assert card["source"]["topic"]["code"] == "R81"
    assert card["summary"] == "Summary of R81. (+2 more critical)"
    assert speaks_for(card) == ["R81", "R82", "R83"]
    paragraphs = card["detail"].split("**Summary of ")[1:]
    for rule, paragraph in zip((A, B, C), paragraphs, strict=True):
        assert paragraph.startswith(f"{rule.id}.** ({rule.id})\n\n**Why this card**")
        assert f"- Why {rule.id}: critical." in paragraph
        assert f"strength of {rule.id}" in paragraph


def test_one_critical_finding_is_a_card_like_any_other() -> None:
    (card,) = shown([A.found("critical")])

    assert card["summary"] == "Summary of R81."
    assert "extension" not in card
    assert card["detail"].startswith("**Why this card**")


def test_a_shared_card_offers_what_each_finding_asks_for_once() -> None:
    board, virus = Proposal("myeloma-board"), Proposal("antiviral")

    (card,) = shown([A.found("critical", board), B.found("critical", board, virus)])

    assert [suggestion["label"] for suggestion in card["suggestions"]] == [
        "Propose a myeloma board review",
        "Draft acyclovir",
    ]
    assert card["selectionBehavior"] == "any"


def test_the_summary_of_a_shared_card_stays_short_enough_to_be_read_and_says_how_many_more() -> None:
    long = MadeUp("R80", rank=0, summary="Long words again " * 10)

    (card,) = shown([long.found("critical"), A.found("critical")])

    assert len(card["summary"]) <= 139
    assert card["summary"].endswith("… (+1 more critical)")
    assert f"**{long.summary}**" in card["detail"]


def test_one_finding_on_a_shared_card_keeps_what_it_absorbed() -> None:
    absorber = MadeUp("R87", rank=7, absorbs=("R81",))

    (card,) = shown([absorber.found("critical"), A.found("info"), B.found("critical")])

    assert speaks_for(card) == ["R82", "R87", "R81"]
    assert "- Why R81: info." in card["detail"]


# --- who joins whom ---


def test_what_is_absorbed_comes_in_the_order_that_the_rule_states() -> None:
    absorber = MadeUp("R87", rank=7, absorbs=("R83", "R81"))

    (card,) = shown([A.found(), C.found(), absorber.found()])

    assert speaks_for(card) == ["R87", "R83", "R81"]


def test_what_is_absorbed_brings_along_what_it_absorbed_itself() -> None:
    middle = MadeUp("R87", rank=7, absorbs=("R81",))
    outer = MadeUp("R88", rank=8, absorbs=("R87",))

    (card,) = shown([A.found(), middle.found(), outer.found()])

    assert speaks_for(card) == ["R88", "R87", "R81"]


def test_two_rules_that_absorb_each_other_are_one_card_and_not_none() -> None:
    one, other = MadeUp("R87", rank=7, absorbs=("R88",)), MadeUp("R88", rank=6, absorbs=("R87",))

    (card,) = shown([one.found(), other.found()])

    assert speaks_for(card) == ["R88", "R87"]


def test_companions_come_after_their_hosts_by_rank() -> None:
    late, early = MadeUp("R70", rank=9, companion_of=("R81",)), MadeUp("R79", rank=8, companion_of=("R81",))

    (card,) = shown([late.found(), early.found(), A.found()])

    assert speaks_for(card) == ["R81", "R79", "R70"]


def test_a_companion_of_two_critical_hosts_stands_once_on_their_card() -> None:
    companion = MadeUp("R79", rank=9, companion_of=("R81", "R82"), proposals=("myeloma-board",))

    (card,) = shown([A.found("critical"), B.found("critical"), companion.found("info")])

    assert speaks_for(card) == ["R81", "R79", "R82"]
    assert len(card["suggestions"]) == 1


def test_a_rule_is_kept_silent_by_one_that_is_satisfied_and_by_no_other() -> None:
    keeper = MadeUp("R87", rank=7, suppresses=("R81",))

    assert codes(shown([A.found(), keeper.satisfied()])) == []
    assert codes(shown([A.found(), keeper.found()])) == ["R81", "R87"]
    assert codes(shown([A.found(), keeper.undecided()])) == ["R81", "R00"]


# --- nothing is lost ---

INDICATORS = st.sampled_from(["critical", "warning", "info"])
FINDINGS = st.dictionaries(
    st.integers(10, 29), st.tuples(INDICATORS, st.integers(0, 5), st.sets(st.integers(10, 29), max_size=3)), max_size=12
)


@given(FINDINGS, st.integers(1, 4))
def test_every_finding_is_named_whatever_absorbs_what(
    findings: dict[int, tuple[str, int, set[int]]], other_cards: int
) -> None:
    made = {
        number: MadeUp(f"R{number}", rank=rank, absorbs=tuple(f"R{other}" for other in sorted(absorbs - {number})))
        for number, (_, rank, absorbs) in findings.items()
    }

    cards = shown(
        [made[number].found(indicator) for number, (indicator, _, _) in findings.items()], other_cards=other_cards
    )

    named = {rule for card in cards for rule in (speaks_for(card) or codes([card]))}
    assert named == {rule.id for rule in made.values()}
    assert sum(card["indicator"] == "critical" for card in cards) <= 1
    assert sum(card["indicator"] != "critical" for card in cards) <= other_cards
    text = "\n".join(card["summary"] + card["detail"] for card in cards)
    assert all(f"Why {rule.id}: " in text or f"- {rule.id}: Summary of {rule.id}." in text for rule in made.values())


def test_the_shipped_rules_keep_to_it() -> None:
    """A chart that brings up as much as it can at once."""
    history = [
        infusion("2026-05-04"),
        dose("teclistamab", "2026-11-05"),
        progression("2026-10-01"),
    ]

    assessment = sign(history, draft_collection(), draft_drug("elranatamab"), draft_drug("ciltacabtagene autoleucel"))

    found = [each for each in cards_of(assessment) if each["source"]["topic"]["code"] != "R00"]
    assert len(found) <= PRESENTATION.cap.other_cards.value
    assert {rule for each in found for rule in (speaks_for(each) or codes([each]))} == {
        rule for rule, outcomes in assessment.rules.items() if "flagged" in outcomes
    }


# --- bundles


BUNDLE = BundleText(
    id="B09", slug="made-up", rules=("R81", "R82", "R83"), summary="All of it: {points}.", longer="{points}; +{count}."
)


@pytest.mark.parametrize(
    ("found", "expected", "rules"),
    [
        row("one finding is a bundle, too", [B.found()], ["B09"], ["R82"]),
        row("several share a card", [C.found(), A.found(), D.found()], ["B09", "R84"], ["R81", "R83"]),
        row("the most urgent one leads", [A.found("info"), C.found()], ["B09"], ["R83", "R81"]),
        row("its urgency is its most urgent finding's", [A.found("info"), D.found()], ["R84", "B09"], ["R81"]),
    ],
)
def test_the_findings_of_a_bundle_share_a_card_under_its_name(
    found: list[Result], expected: list[str], rules: list[str]
) -> None:
    cards = shown(found, bundles=[BUNDLE])

    assert codes(cards) == expected
    (bundle,) = [card for card in cards if card["source"]["topic"]["code"] == "B09"]
    assert bundle["source"]["topic"]["display"] == "made-up"
    assert speaks_for(bundle) == rules


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        row("one finding speaks for itself", [A.found()], "Summary of R81."),
        row("several are said in short", [A.found(), B.found()], "All of it: short of R81; short of R82."),
    ],
)
def test_a_bundle_says_what_it_found(found: list[Result], expected: str) -> None:
    (card,) = shown(found, bundles=[BUNDLE])

    assert card["summary"] == expected


def test_a_bundle_counts_what_its_summary_has_no_room_for() -> None:
    tight = BUNDLE.model_copy(update={"summary": "x" * 139 + "{points}"})

    (card,) = shown([A.found(), B.found(), C.found()], bundles=[tight])

    assert card["summary"] == "short of R81; short of R82; +1."
