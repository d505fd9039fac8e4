"""R02: a bispecific after CAR T cells. R07: talquetamab beside R01 or R05. R36: a conjugate after redirection.

"Today" is 2026-11-20.
"""

import pytest

from tests.build import (
    Resource,
    card,
    condition,
    draft_collection,
    draft_drug,
    draft_infusion,
    given,
    infusion,
    myeloma,
    ordered,
    outcome,
    procedure,
    progression,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    PREFERENCES,
    PROTECTED,
    SATISFIED,
    codes_besides_care,
    days_ago,
    drafts_in,
    row,
    select,
    sign,
    text_of,
)

LATE = progression("2026-10-12")
TECLISTAMAB = reported("teclistamab", "2026-06-01", "2026-11-05")
OPTION = "Talquetamab binds GPRC5D, not BCMA, so BCMA stays available for CAR T cells."


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("teclistamab after cells", [infusion("2024-03-01"), LATE], "teclistamab", SATISFIED),
        row("talquetamab after cells", [infusion("2024-03-01"), LATE], "talquetamab", SATISFIED),
        row("soon after cells", [infusion(days_ago(40)), progression(days_ago(3))], "talquetamab", SATISFIED),
        row("after cells that are history alone", [myeloma(), condition("Z92.850")], "talquetamab", SATISFIED),
        row("after cells of unknown product", [infusion("2024-03-01", None)], "talquetamab", SATISFIED),
        row("without earlier cells", [], "teclistamab", NOT_APPLICABLE),
        row("the conjugate is no bispecific", [infusion("2024-03-01"), LATE], "belantamab mafodotin", NOT_APPLICABLE),
        row("second cells are no bispecific", [infusion("2024-03-01"), LATE], "idecabtagene vicleucel", NOT_APPLICABLE),
        row("the infusion was not done", [infusion("2024-03-01", status="not-done")], "teclistamab", NOT_APPLICABLE),
        row("the next dose is no new start", [infusion("2024-03-01"), TECLISTAMAB], "teclistamab", NOT_APPLICABLE),
    ],
)
def test_no_interval_from_cells_to_a_bispecific(history: list[Resource], order: str, expected: str) -> None:
    assessment = select(history, draft_drug(order))

    assert outcome(assessment, "R02") == expected
    assert outcome(assessment, "R01") != FLAGGED
    assert not {"R01", "R02"}.intersection(codes_besides_care(assessment))


def test_the_reverse_direction_is_silent_altogether() -> None:
    assessment = select([infusion("2024-03-01"), LATE, *PROTECTED], draft_drug("teclistamab"))

    assert codes_besides_care(assessment, besides=PREFERENCES) == []


EARLY = [TECLISTAMAB, progression("2026-11-10")]


@pytest.mark.parametrize(
    ("history", "order", "cards", "expected"),
    [
        row("beside the washout", [TECLISTAMAB], draft_collection(), ["R01"], FLAGGED),
        row("beside the change of antigen", EARLY, draft_drug("elranatamab"), ["R05"], FLAGGED),
        row("beside both", EARLY, draft_drug("ciltacabtagene autoleucel"), ["R05"], FLAGGED),
        row(
            "talquetamab was given before and did not fail",
            [reported("talquetamab", "2026-01-05", "2026-05-01"), TECLISTAMAB],
            draft_collection(),
            ["R01"],
            FLAGGED,
        ),
        row(
            "talquetamab has failed",
            [reported("talquetamab", "2026-01-05", "2026-05-01"), progression("2026-05-05"), TECLISTAMAB],
            draft_collection(),
            ["R01"],
            NOT_APPLICABLE,
        ),
        row(
            "talquetamab is under way",
            [reported("talquetamab", "2026-11-01", status="active", asserted=days_ago(1)), TECLISTAMAB],
            draft_collection(),
            ["R01"],
            NOT_APPLICABLE,
        ),
        row(
            "only cells went before, no bispecific",
            [infusion("2026-06-01"), progression("2026-09-01")],
            draft_drug("elranatamab"),
            ["R05"],
            NOT_APPLICABLE,
        ),
        row(
            "only the conjugate went before",
            [reported("belantamab mafodotin", "2026-01-05", "2026-06-01"), progression("2026-06-20")],
            draft_drug("belantamab mafodotin"),
            ["R05"],
            NOT_APPLICABLE,
        ),
        row(
            "the interval is long enough: nothing to accompany",
            [given("teclistamab", "2026-01-05")],
            draft_collection(),
            [],
            NOT_APPLICABLE,
        ),
        row("the order is talquetamab", EARLY, draft_drug("talquetamab"), [], NOT_APPLICABLE),
        row(
            "it cannot be told whether there is anything to accompany",
            [reported("teclistamab", "2026-01-05", "2026-05", "completed")],
            draft_collection(),
            ["R00"],
            NOT_APPLICABLE,
        ),
    ],
)
def test_talquetamab_as_an_option(history: list[Resource], order: Resource, cards: list[str], expected: str) -> None:
    assessment = select([*history, *PROTECTED], order)

    assert codes_besides_care(assessment, besides=PREFERENCES | {"R10"}) == cards
    is_offered = any(OPTION in text_of(card(assessment, code)) for code in cards)
    assert is_offered == (expected == FLAGGED)
    assert (outcome(assessment, "R07") == FLAGGED) == (expected == FLAGGED)


def test_talquetamab_that_is_drafted_already_is_not_offered_again() -> None:
    assessment = sign([TECLISTAMAB], draft_collection(), draft_drug("talquetamab"))

    shown = card(assessment, "R01")
    assert OPTION not in shown["detail"]
    assert "talquetamab" not in drafts_in(shown)


def test_the_option_adds_its_draft_evidence_and_reasons_to_the_card_it_accompanies() -> None:
    shown = card(sign([TECLISTAMAB], draft_collection()), "R01")

    assert drafts_in(shown) == ["Myeloma board review", "talquetamab"]
    assert "119 reached CAR T" in shown["detail"]
    assert [reason["code"] for reason in shown["overrideReasons"]] == [
        "trial",
        "mdt",
        "urgent",
        "wrong-data",
        "outside",
        "contraindicated",
    ]
    assert shown["extension"] == {
        "mmcds.rules": [{"id": "R01", "outcome": "flagged"}, {"id": "R07", "outcome": "flagged"}]
    }


def test_washout_and_change_of_antigen_become_one_card() -> None:
    assessment = select(EARLY, draft_drug("ciltacabtagene autoleucel"))

    shown = card(assessment, "R05")
    assert shown["summary"] == (
        "Progressed 5 d after teclistamab (BCMA). IMWG advises another antigen or mechanism, e.g. talquetamab (GPRC5D)."
    )
    assert shown["indicator"] == "warning"
    assert "Counted to 2026-11-20 (today, as no later date is ordered): 15 days." in shown["detail"]
    assert [spoken["id"] for spoken in shown["extension"]["mmcds.rules"]] == ["R05", "R01", "R07"]
    assert drafts_in(shown).count("talquetamab") == 1
    assert drafts_in(shown).count("Myeloma board review") == 1


def test_a_soft_change_of_antigen_still_carries_the_urgency_of_the_washout() -> None:
    history = [reported("teclistamab", "2026-01-05", "2026-07-01"), progression("2026-09-20")]

    shown = card(select(history, draft_drug("ciltacabtagene autoleucel")), "R05")

    assert [spoken["id"] for spoken in shown["extension"]["mmcds.rules"]] == ["R05", "R01", "R07"]
    assert shown["indicator"] == "warning"


def test_a_bridge_after_the_collection_is_left_alone() -> None:
    history = [procedure("38225", "2026-09-28"), reported("talquetamab", "2026-10-05", "2026-11-10")]

    assessment = sign(history, draft_drug("fludarabine"), draft_infusion())

    assert outcome(assessment, "R01") == SATISFIED
    assert outcome(assessment, "R05") == SATISFIED
    assert outcome(assessment, "R07") == NOT_APPLICABLE


BELANTAMAB = draft_drug("belantamab mafodotin")
BELANTAMAB_BEFORE = reported("belantamab mafodotin", "2025-03-01", "2025-12-01")


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("after a BCMA bispecific", [TECLISTAMAB], SATISFIED),
        row("after BCMA CAR T cells", [infusion("2024-03-01")], SATISFIED),
        row("after BCMA CAR T cells in some year", [infusion("2024")], SATISFIED),
        row("after BCMA CAR T cells, nobody knows when", [infusion(None)], SATISFIED),
        row("after neither", [], NOT_APPLICABLE),
        row("after a GPRC5D bispecific", [given("talquetamab", "2026-06-01")], NOT_APPLICABLE),
        row("after GPRC5D CAR T cells", [infusion("2024-03-01", "arlocabtagene autoleucel")], NOT_APPLICABLE),
        row("after cells of unknown product", [infusion("2024-03-01", None)], NOT_APPLICABLE),
        row("after cells that are history alone", [myeloma(), condition("Z92.850")], NOT_APPLICABLE),
        row("after an infusion that may have been done", [infusion("2024-03-01", status="unknown")], NOT_APPLICABLE),
        row("after a bispecific that was only ordered", [ordered("teclistamab", "2026-06-01")], NOT_APPLICABLE),
        row("after a bispecific that was not taken", [reported("teclistamab", status="not-taken")], NOT_APPLICABLE),
        row("a conjugate, and a bispecific since", [BELANTAMAB_BEFORE, TECLISTAMAB], SATISFIED),
        row("a conjugate, and cells since", [BELANTAMAB_BEFORE, infusion("2026-01-05")], SATISFIED),
        row(
            "a bispecific, and a conjugate since",
            [BELANTAMAB_BEFORE, given("teclistamab", "2024-03-01")],
            NOT_APPLICABLE,
        ),
        row("cells, and a conjugate since", [BELANTAMAB_BEFORE, infusion("2024-03-01")], NOT_APPLICABLE),
        row("both on one day", [BELANTAMAB_BEFORE, infusion("2025-12-01")], NOT_APPLICABLE),
        row("a conjugate, and cells in the same month", [BELANTAMAB_BEFORE, infusion("2025-12")], NOT_APPLICABLE),
        row("a conjugate, nobody knows when", [given("belantamab mafodotin", None), TECLISTAMAB], NOT_APPLICABLE),
        row("cells, nobody knows when, and a conjugate", [BELANTAMAB_BEFORE, infusion(None)], NOT_APPLICABLE),
        row(
            "a conjugate was ordered since",
            [ordered("belantamab mafodotin", "2026-11-10"), TECLISTAMAB],
            NOT_APPLICABLE,
        ),
        row(
            "the next dose is no new start", [given("belantamab mafodotin", "2026-11-10"), TECLISTAMAB], NOT_APPLICABLE
        ),
        row(
            "a drug that is not recognised may be a conjugate",
            [TECLISTAMAB, given("study drug", "2026-11-10")],
            CANNOT_TELL,
        ),
    ],
)
def test_a_conjugate_after_redirection_against_bcma(history: list[Resource], expected: str) -> None:
    for assessment in (select(history, BELANTAMAB), sign(history, BELANTAMAB)):
        assert outcome(assessment, "R36") == expected
        assert "R36" not in codes_besides_care(assessment)


@pytest.mark.parametrize("order", ["teclistamab", "talquetamab", "ciltacabtagene autoleucel", "lenalidomide"])
def test_no_other_drug_works_otherwise(order: str) -> None:
    assert outcome(select([infusion("2024-03-01")], draft_drug(order)), "R36") == NOT_APPLICABLE


def test_a_conjugate_after_cells_that_failed_early_is_no_second_go_at_the_same() -> None:
    failed = [infusion("2026-03-01"), progression("2026-07-15"), *PROTECTED]

    assert not {"R05", "R06"}.intersection(codes_besides_care(select(failed, BELANTAMAB)))
    assert "R05" in codes_besides_care(select(failed, draft_drug("elranatamab")))


def test_a_conjugate_that_failed_after_redirection_is_not_kept_silent() -> None:
    failed = [reported("belantamab mafodotin", "2026-01-05", "2026-06-20"), progression("2026-07-01")]

    assert "R05" in codes_besides_care(select([given("teclistamab", "2025-01-05"), *failed], BELANTAMAB))


def test_where_a_failed_conjugate_may_be_hidden_it_is_said_that_it_was_not_checked() -> None:
    unread = select([given("teclistamab", "2026-11-05")], BELANTAMAB, without=["medicationStatements"])

    assert outcome(unread, "R36") == CANNOT_TELL
    assert "(R05)" in text_of(card(unread, "R00"))
