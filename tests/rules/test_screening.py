"""R22: tests for hepatitis B, hepatitis C and HIV before CAR T cells and before a bispecific antibody.

"Today" is 2026-11-20. A result counts for 30 days before the collection, or after it before the infusion, and for 180
days before the first dose of a bispecific antibody; a stored test order counts for 30 days.
"""

from typing import Any

import pytest

from tests.build import (
    LOINC,
    Resource,
    appointment,
    card,
    coded,
    condition,
    draft_collection,
    draft_drug,
    draft_infusion,
    draft_service,
    draft_test,
    finding,
    given,
    infusion,
    lab,
    myeloma,
    ordered,
    ordered_test,
    outcome,
    procedure,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    PROTECTED,
    SATISFIED,
    SCREENED,
    days_ago,
    drafts_in,
    row,
    select,
    sign,
    text_of,
    view,
)

TESTS = ("hbsag", "anti-hbc-total", "hcv-ab", "hiv-ag-ab")
CILTA_CEL = "ciltacabtagene autoleucel"
IVIG = "IVIG"
DNA = "HBV DNA"
IGG = lab("2465-3", 900, "mg/dL", "2026-11-10")


def screened(on: str | None, *besides: str, found: str = "Negative", **more: Any) -> list[Resource]:
    """Make a negative result of each test of one day, without some."""
    return [finding(test, found, on, **more) for test in TESTS if test not in besides]


# --- before the collection ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("nothing was tested", [], FLAGGED),
        row("all tested today", screened(days_ago(0)), SATISFIED),
        row("30 days before the collection", screened("2026-11-01"), SATISFIED),
        row("31 days before it", screened("2026-10-31"), FLAGGED),
        row("some day in November", screened("2026-11"), SATISFIED),
        row("some day in October", screened("2026-10"), FLAGGED),
        row("some day this year", screened("2026"), CANNOT_TELL),
        row("without a date", screened(None), CANNOT_TELL),
        row("without a date, issued long ago", screened(None, issued="2026-01-05T08:00:00-05:00"), FLAGGED),
        row("without a date, issued lately", screened(None, issued="2026-11-15T08:00:00-05:00"), CANNOT_TELL),
        row("positive results are results", screened("2026-11-10", found="Positive"), SATISFIED),
        row("in words and cases", screened("2026-11-10", found="NON REACTIVE"), SATISFIED),
        row("preliminary", screened("2026-11-10", status="preliminary"), FLAGGED),
        row("entered in error", screened("2026-11-10", status="entered-in-error"), FLAGGED),
        row("amended", screened("2026-11-10", status="amended"), SATISFIED),
        row("none could be read", screened("2026-11-10", found="see note"), CANNOT_TELL),
        row("all indeterminate", screened("2026-11-10", found="Equivocal"), CANNOT_TELL),
        row("old, and new", [*screened("2025-03-01"), *screened("2026-11-10")], SATISFIED),
        row("new, and perhaps newer", [*screened("2026-11-10"), *screened("2026-11")], SATISFIED),
    ],
)
def test_before_the_collection(history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_collection("2026-12-01")), "R22") == expected
    assert outcome(sign(history, draft_collection("2026-12-01")), "R22") == expected


@pytest.mark.parametrize(
    ("besides", "instead", "missing"),
    [
        row("HBsAg alone is missing", "hbsag", [], "HBsAg"),
        row("anti-HBc alone: a negative HBsAg does not answer it", "anti-hbc-total", [], "anti-HBc"),
        row(
            "anti-HBs is another antibody",
            "anti-hbc-total",
            [finding("anti-hbs", "Positive", "2026-11-10")],
            "anti-HBc",
        ),
        row(
            "IgM alone is not the total antibody",
            "anti-hbc-total",
            [finding("hbsag", "Negative", "2026-11-10", code=coded(LOINC, "24113-3"))],
            "anti-HBc",
        ),
        row(
            "HBV DNA does not answer anti-HBc",
            "anti-hbc-total",
            [finding("hbv-dna", "Not detected", "2026-11-10")],
            "anti-HBc",
        ),
        row("HCV antibody alone is missing", "hcv-ab", [], "HCV Ab"),
        row("HCV RNA tells as much", "hcv-ab", [finding("hcv-rna", "Not detected", "2026-11-10")], ""),
        row("HIV alone is missing", "hiv-ag-ab", [], "HIV Ag/Ab"),
        row("HIV antibody without antigen will do", "hiv-ag-ab", [finding("hiv-ab", "Negative", "2026-11-10")], ""),
        row("HIV nucleic acid will not", "hiv-ag-ab", [finding("hiv-nat", "Not detected", "2026-11-10")], "HIV Ag/Ab"),
        row("CMV and tuberculosis are not looked for", "", [], ""),
    ],
)
def test_each_test_is_judged_by_itself(besides: str, instead: list[Resource], missing: str) -> None:
    answer = select([*screened("2026-11-10", besides), *instead], draft_collection("2026-12-01"))

    assert outcome(answer, "R22") == (FLAGGED if missing else SATISFIED)
    if missing:
        assert f": no {missing} result found in 30 d" in card(answer, "R22")["summary"]


@pytest.mark.parametrize(
    ("contradiction", "expected"),
    [
        row("one positive, one negative of the same day", [finding("hbsag", "Positive", "2026-11-10")], CANNOT_TELL),
        row("two negative ones", [finding("hbsag", "Negative", "2026-11-10")], SATISFIED),
        row("an indeterminate one since", [finding("hbsag", "Indeterminate", "2026-11-12")], CANNOT_TELL),
        row("an indeterminate one before", [finding("hbsag", "Indeterminate", "2026-11-08")], SATISFIED),
    ],
)
def test_results_that_contradict_each_other_leave_it_open(contradiction: list[Resource], expected: str) -> None:
    assert outcome(select([*screened("2026-11-10"), *contradiction], draft_collection("2026-12-01")), "R22") == expected


def test_what_is_not_clear_is_noted_beside_what_is_missing() -> None:
    history = [finding("hbsag", "Equivocal", "2026-11-10"), *screened("2026-11-10", "hbsag", "hcv-ab")]

    shown = card(select(history, draft_collection("2026-12-01")), "R22")

    assert "no HCV Ab result" in shown["summary"]
    assert "could be read neither as positive nor as negative" in shown["detail"]
    assert drafts_in(shown) == ["HCV antibody"]


@pytest.mark.parametrize(
    ("stored", "drafts", "expected"),
    [
        row("among the drafts", [], [draft_test("hiv-ag-ab")], SATISFIED),
        row("in words among the drafts", [], [draft_service("") | {"code": {"text": "HIV 1/2 Ag/Ab"}}], SATISFIED),
        row("HIV antibody among the drafts", [], [draft_test("hiv-ab")], SATISFIED),
        row("for the day of the collection", [], [draft_test("hiv-ag-ab", "2026-12-01")], SATISFIED),
        row("for the day after it", [], [draft_test("hiv-ag-ab", "2026-12-02")], FLAGGED),
        row("another test among the drafts", [], [draft_test("hiv-nat")], FLAGGED),
        row("on order for 30 days", [ordered_test("hiv-ag-ab", days_ago(30))], [], SATISFIED),
        row("on order for 31 days", [ordered_test("hiv-ag-ab", days_ago(31))], [], FLAGGED),
        row("on order since some day in October", [ordered_test("hiv-ag-ab", "2026-10")], [], CANNOT_TELL),
        row("on order without a date", [ordered_test("hiv-ag-ab", None)], [], CANNOT_TELL),
        row("drawn, no result yet", [ordered_test("hiv-ag-ab", days_ago(2), "completed")], [], CANNOT_TELL),
        row("called off", [ordered_test("hiv-ag-ab", days_ago(2), "revoked")], [], FLAGGED),
        row("entered in error", [ordered_test("hiv-ag-ab", days_ago(2), "entered-in-error")], [], FLAGGED),
    ],
)
def test_an_order_of_the_test_satisfies(stored: list[Resource], drafts: list[Resource], expected: str) -> None:
    history = [*screened("2026-11-10", "hiv-ag-ab"), *stored]

    assert outcome(sign(history, draft_collection("2026-12-01"), *drafts), "R22") == expected


def test_the_card_before_the_collection() -> None:
    shown = card(select([], draft_drug(CILTA_CEL), draft_collection("2026-12-01")), "R22")

    assert shown["indicator"] == "warning"
    assert shown["summary"] == (
        "Ciltacabtagene autoleucel: no HBsAg, anti-HBc, HCV Ab, HIV Ag/Ab result found in 30 d before "
        "T-cell collection (2026-12-01)."
    )
    assert len(shown["summary"]) <= 139
    assert drafts_in(shown) == ["HBsAg", "anti-HBc, total", "HCV antibody", "HIV 1+2 antigen/antibody"]
    for each in shown["suggestions"]:
        resource = each["actions"][0]["resource"]
        assert each["isRecommended"] is True
        assert (resource["status"], resource["intent"]) == ("draft", "order")
        assert resource["occurrencePeriod"] == {"end": "2026-12-01"}
        assert resource["code"]["coding"][0]["system"] == LOINC
    assert "CMV IgG and tests for tuberculosis" in text_of(shown)
    assert "medicationRequest" not in str(shown["suggestions"])


def test_without_a_planned_day_the_drafts_have_none() -> None:
    shown = card(select([], draft_collection()), "R22")

    assert "T-cell collection (2026-11-20)" in shown["summary"]
    assert all("occurrencePeriod" not in each["actions"][0]["resource"] for each in shown["suggestions"])


# --- what is ordered ---


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("cilta-cel", draft_drug(CILTA_CEL), FLAGGED),
        row("GPRC5D cells", draft_drug("arlo-cel"), FLAGGED),
        row("the collection", draft_collection(), FLAGGED),
        row("the infusion", draft_infusion(), FLAGGED),
        row("lymphodepletion", draft_drug("fludarabine"), FLAGGED),
        row("teclistamab", draft_drug("teclistamab"), FLAGGED),
        row("talquetamab", draft_drug("talquetamab"), FLAGGED),
        row("belantamab is no T-cell engager", draft_drug("belantamab mafodotin"), NOT_APPLICABLE),
        row("daratumumab", draft_drug("daratumumab"), NOT_APPLICABLE),
        row("acyclovir", draft_drug("acyclovir"), NOT_APPLICABLE),
        row("a test", draft_test("hbsag"), NOT_APPLICABLE),
    ],
)
def test_which_orders_ask_for_it(order: Resource, expected: str) -> None:
    assert outcome(select([], order), "R22") == expected
    assert outcome(sign([], order), "R22") == expected


def test_it_is_no_question_when_a_chart_is_opened() -> None:
    assert outcome(view([]), "R22") == NOT_APPLICABLE


COLLECTED = procedure("38225", "2026-10-15")


@pytest.mark.parametrize(
    ("history", "orders", "indicator", "words"),
    [
        row("the product alone", [], [draft_drug(CILTA_CEL)], "warning", "before T-cell collection (2026-11-20)"),
        row(
            "a collection in the calendar",
            [appointment("T-cell collection", "2026-12-08")],
            [draft_drug(CILTA_CEL)],
            "warning",
            "before T-cell collection (2026-12-08)",
        ),
        row(
            "the product, cells collected",
            [COLLECTED],
            [draft_drug(CILTA_CEL, "2026-12-10")],
            "info",
            "before the infusion (2026-12-10)",
        ),
        row(
            "cells collected 180 days ago",
            [procedure("38225", days_ago(180))],
            [draft_drug(CILTA_CEL)],
            "info",
            "before the infusion",
        ),
        row(
            "cells collected 181 days ago: taken as abandoned",
            [procedure("38225", days_ago(181))],
            [draft_drug(CILTA_CEL)],
            "warning",
            "before T-cell collection",
        ),
        row(
            "cells perhaps collected",
            [procedure("38225", "2026-10-15", "unknown")],
            [draft_drug(CILTA_CEL)],
            "warning",
            "before T-cell collection",
        ),
        row("the infusion", [], [draft_infusion("2026-12-10")], "info", "before the infusion (2026-12-10)"),
        row(
            "lymphodepletion",
            [COLLECTED],
            [draft_drug("fludarabine", "2026-12-05")],
            "info",
            "before the infusion (2026-12-05)",
        ),
        row(
            "lymphodepletion and infusion",
            [COLLECTED],
            [draft_drug("fludarabine", "2026-12-05"), draft_infusion("2026-12-10")],
            "info",
            "before the infusion (2026-12-10)",
        ),
        row(
            "another collection, though cells wait",
            [COLLECTED],
            [draft_drug(CILTA_CEL), draft_collection("2026-12-01")],
            "warning",
            "before T-cell collection (2026-12-01)",
        ),
        row(
            "a bispecific antibody beside CAR T cells",
            [],
            [draft_drug("talquetamab"), draft_collection("2026-12-01")],
            "warning",
            "before T-cell collection (2026-12-01)",
        ),
    ],
)
def test_before_the_collection_or_before_the_infusion(
    history: list[Resource], orders: list[Resource], indicator: str, words: str
) -> None:
    shown = card(sign([*history, *PROTECTED, IGG], *orders), "R22")

    assert shown["indicator"] == indicator
    assert words in text_of(shown)


def test_a_collection_among_the_drafts_counts_unselected_too() -> None:
    shown = card(select([], draft_drug(CILTA_CEL), beside=[draft_collection("2026-12-01")]), "R22")

    assert "before T-cell collection (2026-12-01)" in shown["summary"]


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        row("30 days before the infusion", "2026-11-10", SATISFIED),
        row("31 days before it", "2026-11-09", FLAGGED),
    ],
)
def test_after_the_collection_the_days_count_to_the_infusion(on: str, expected: str) -> None:
    assert outcome(sign([COLLECTED, *screened(on)], draft_infusion("2026-12-10")), "R22") == expected


# --- the first dose of a bispecific antibody ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("tested 180 days ago", screened(days_ago(180)), SATISFIED),
        row("tested 181 days ago", screened(days_ago(181)), FLAGGED),
        row("tested some day in June", screened("2026-06"), SATISFIED),
        row("tested some day in May, 173 to 203 days ago", screened("2026-05"), CANNOT_TELL),
        row("tested some day in April", screened("2026-04"), FLAGGED),
        row("never tested", [], FLAGGED),
        row("the same drug was given before", [given("teclistamab", "2026-11-10")], NOT_APPLICABLE),
        row("the same drug was reported", [reported("teclistamab", "2024-03-01", "2024-09-01")], NOT_APPLICABLE),
        row(
            "the same drug was ordered, no word that it was given", [ordered("teclistamab", "2026-10-01")], CANNOT_TELL
        ),
        row(
            "ordered before, but all tested", [ordered("teclistamab", "2026-10-01"), *screened("2026-10-01")], SATISFIED
        ),
        row("the same drug perhaps given", [given("teclistamab", "2026-11-10", "unknown")], CANNOT_TELL),
        row("the same drug not given", [given("teclistamab", "2026-11-10", "not-done")], FLAGGED),
        row("another bispecific antibody was given before", [given("talquetamab", "2026-10-10")], FLAGGED),
    ],
)
def test_before_the_first_dose_of_a_bispecific_antibody(history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_drug("teclistamab")), "R22") == expected


def test_the_card_before_the_first_dose() -> None:
    history = [*screened("2026-10-01", "hiv-ag-ab"), *PROTECTED]

    shown = card(select(history, draft_drug("teclistamab", "2026-12-01")), "R22")

    assert shown["indicator"] == "info"
    assert shown["summary"] == "First teclistamab (2026-12-01): no HIV Ag/Ab result found in 180 d before."
    (offered,) = shown["suggestions"]
    assert offered["actions"][0]["resource"]["occurrencePeriod"] == {"end": "2026-12-01"}


def test_two_bispecific_antibodies_make_one_finding() -> None:
    answer = sign([*PROTECTED, IGG], draft_drug("teclistamab"), draft_drug("talquetamab"))

    assert [*answer.rules["R22"]] == [FLAGGED]
    assert card(answer, "R22")["summary"].startswith("First teclistamab and talquetamab")


# --- after immunoglobulin, and after CAR T cells ---


@pytest.mark.parametrize(
    ("history", "missing"),
    [
        row(
            "anti-HBc before the immunoglobulin",
            [finding("anti-hbc-total", "Negative", "2026-11-08"), given(IVIG, "2026-11-09")],
            "",
        ),
        row(
            "anti-HBc after it, none before",
            [finding("anti-hbc-total", "Negative", "2026-11-10"), given(IVIG, "2026-11-09")],
            DNA,
        ),
        row(
            "anti-HBc after it, and HBV DNA",
            [
                finding("anti-hbc-total", "Positive", "2026-11-10"),
                given(IVIG, "2026-11-09"),
                finding("hbv-dna", "Not detected", "2026-11-12"),
            ],
            "",
        ),
        row(
            "anti-HBc after it, and old HBV DNA",
            [
                finding("anti-hbc-total", "Positive", "2026-11-10"),
                given(IVIG, "2026-11-09"),
                finding("hbv-dna", "Not detected", "2026-10-01"),
            ],
            DNA,
        ),
        row(
            "anti-HBc after it, and HBV DNA on order",
            [
                finding("anti-hbc-total", "Positive", "2026-11-10"),
                given(IVIG, "2026-11-09"),
                ordered_test("hbv-dna", "2026-11-18"),
            ],
            "",
        ),
        row(
            "anti-HBc after it, and an earlier one",
            [
                finding("anti-hbc-total", "Negative", "2026-11-10"),
                given(IVIG, "2026-11-09"),
                finding("anti-hbc-total", "Negative", "2024-11-10"),
            ],
            "",
        ),
        row(
            "anti-HBc 180 days after it",
            [finding("anti-hbc-total", "Negative", "2026-11-10"), given(IVIG, "2026-05-14")],
            DNA,
        ),
        row(
            "anti-HBc 181 days after it",
            [finding("anti-hbc-total", "Negative", "2026-11-10"), given(IVIG, "2026-05-13")],
            "",
        ),
        row("no anti-HBc, immunoglobulin lately", [given(IVIG, "2026-11-09")], DNA),
        row("no anti-HBc, immunoglobulin 180 days before the collection", [given(IVIG, "2026-06-04")], DNA),
        row("no anti-HBc, immunoglobulin 181 days before it", [given(IVIG, "2026-06-03")], "anti-HBc"),
        row("no anti-HBc, immunoglobulin perhaps given", [ordered(IVIG, "2026-11-09")], "anti-HBc"),
        row(
            "no anti-HBc, but HBV DNA",
            [given(IVIG, "2026-11-09"), finding("hbv-dna", "Not detected", "2026-11-12")],
            "",
        ),
    ],
)
def test_after_immunoglobulin_hbv_dna_takes_the_place_of_anti_hbc(history: list[Resource], missing: str) -> None:
    answer = select([*screened("2026-11-10", "anti-hbc-total"), *history], draft_collection("2026-12-01"))

    assert outcome(answer, "R22") == (FLAGGED if missing else SATISFIED)
    if missing:
        shown = card(answer, "R22")
        assert f"no {missing} result" in shown["summary"]
        assert ("Immunoglobulin was given so recently" in shown["detail"]) is (missing == DNA)
        assert drafts_in(shown) == (["HBV DNA, quantitative"] if missing == DNA else ["anti-HBc, total"])


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("on the day of the immunoglobulin", [given(IVIG, "2026-11-10")], CANNOT_TELL),
        row("after immunoglobulin that was perhaps given", [given(IVIG, "2026-11-09", "unknown")], CANNOT_TELL),
        row("after immunoglobulin that was ordered", [ordered(IVIG, "2026-11-01")], CANNOT_TELL),
        row("after immunoglobulin that was not given", [given(IVIG, "2026-11-09", "not-done")], SATISFIED),
        row(
            "the same, with HBV DNA",
            [ordered(IVIG, "2026-11-01"), finding("hbv-dna", "Not detected", "2026-11-12")],
            SATISFIED,
        ),
    ],
)
def test_an_antibody_that_may_be_passive_leaves_it_open(history: list[Resource], expected: str) -> None:
    assert outcome(select([*screened("2026-11-10"), *history], draft_collection("2026-12-01")), "R22") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("no CAR T cells before: the antibody will do", [], SATISFIED),
        row("cilta-cel before: antigen and antibody", [infusion("2023-03-20")], FLAGGED),
        row("CAR T cells by a history code", [myeloma(), condition("Z92.850")], FLAGGED),
        row("cilta-cel perhaps given", [infusion("2023-03-20", status="unknown")], SATISFIED),
        row(
            "cilta-cel before, antigen and antibody tested",
            [infusion("2023-03-20"), finding("hiv-ag-ab", "Negative", "2026-11-10")],
            SATISFIED,
        ),
    ],
)
def test_after_car_t_cells_hiv_antigen_and_antibody_alone_count(history: list[Resource], expected: str) -> None:
    tests = [*screened("2026-11-10", "hiv-ag-ab"), finding("hiv-ab", "Negative", "2026-11-10")]

    answer = select([*tests, *history], draft_drug("talquetamab"))

    assert outcome(answer, "R22") == expected
    if expected == FLAGGED:
        assert "the antigen/antibody test alone counts" in card(answer, "R22")["detail"]


@pytest.mark.parametrize(
    ("history", "missing", "expected"),
    [
        row("results not read", [], "observations", CANNOT_TELL),
        row(
            "all tested, medication not read: immunoglobulin?",
            screened("2026-11-10"),
            "medicationStatements",
            CANNOT_TELL,
        ),
    ],
)
def test_nothing_rests_on_what_was_not_read(history: list[Resource], missing: str, expected: str) -> None:
    answer = select(history, draft_collection("2026-12-01"), without=[missing])

    assert outcome(answer, "R22") == expected


@pytest.mark.parametrize("order", [draft_drug(CILTA_CEL), draft_drug("teclistamab"), draft_collection("2026-12-01")])
def test_with_every_test_and_titers_of_late_nothing_is_said(order: Resource) -> None:
    answer = sign(SCREENED, order)

    assert {outcome(answer, rule) for rule in ("R18", "R22", "R23")} == {SATISFIED}
