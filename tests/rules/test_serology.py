"""R18, R19 and R40: antibody titers in time, antibody tests after immunoglobulin, HIV tests after CAR T cells.

"Today" is 2026-11-20. Antibodies of immunoglobulin count for 180 days, titers before BCMA-directed treatment for 365,
a stored test order for 30.
"""

import pytest

from tests.build import (
    LOINC,
    Resource,
    card,
    cards_of,
    condition,
    dispensed,
    draft_collection,
    draft_drug,
    draft_infusion,
    draft_service,
    draft_test,
    finding,
    given,
    infusion,
    myeloma,
    ordered,
    ordered_test,
    outcome,
    procedure,
    reported,
    service_request,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    PROTECTED,
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

IVIG = "IVIG"
TECLISTAMAB = given("teclistamab", "2026-11-10")


def in_words(text: str) -> Resource:
    """Make a draft order of a test that bears no code."""
    return draft_service("") | {"code": {"text": text}}


# --- R18: before the first immunoglobulin ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("on teclistamab, no titers, no immunoglobulin ever", [TECLISTAMAB], FLAGGED),
        row(
            "pneumococcal titers yesterday",
            [TECLISTAMAB, finding("pneumococcal-titers", "350", days_ago(1))],
            SATISFIED,
        ),
        row("tetanus titers", [TECLISTAMAB, finding("tetanus-titer", "Immune", "2026-10-01")], SATISFIED),
        row("varicella zoster IgG in words", [TECLISTAMAB, finding("vzv-igg", "Non-immune", "2026-10-01")], SATISFIED),
        row("measles IgG", [TECLISTAMAB, finding("measles-titer", "Positive", "2026-10-01")], SATISFIED),
        row(
            "titers of years ago show what was there before",
            [TECLISTAMAB, finding("vzv-igg", "Positive", "2019-05-01")],
            SATISFIED,
        ),
        row(
            "titers without a date are still from before",
            [TECLISTAMAB, finding("vzv-igg", "Positive", None)],
            SATISFIED,
        ),
        row(
            "titers that could not be read were drawn all the same",
            [TECLISTAMAB, finding("vzv-igg", "see note", "2026-10-01")],
            SATISFIED,
        ),
        row(
            "titers, preliminary",
            [TECLISTAMAB, finding("vzv-igg", "Positive", "2026-10-01", status="preliminary")],
            FLAGGED,
        ),
        row(
            "titers, entered in error",
            [TECLISTAMAB, finding("vzv-igg", "Positive", "2026-10-01", status="entered-in-error")],
            FLAGGED,
        ),
        row(
            "anti-HBs belongs to another question",
            [TECLISTAMAB, finding("anti-hbs", "Positive", "2026-10-01")],
            FLAGGED,
        ),
        row("immunoglobulin was given: it is not the first", [TECLISTAMAB, given(IVIG, "2026-10-23")], NOT_APPLICABLE),
        row("given years ago", [TECLISTAMAB, given(IVIG, "2019-10-23")], NOT_APPLICABLE),
        row("given under the skin", [TECLISTAMAB, reported("Hizentra", "2026-01-05", "2026-03-05")], NOT_APPLICABLE),
        row("given without a date", [TECLISTAMAB, given(IVIG, None)], NOT_APPLICABLE),
        row("ordered before, no word that it was given", [TECLISTAMAB, ordered(IVIG, "2026-10-23")], CANNOT_TELL),
        row("handed over, no word that it was given", [TECLISTAMAB, dispensed("Hizentra", "2026-10-23")], CANNOT_TELL),
        row("given, or perhaps not", [TECLISTAMAB, given(IVIG, "2026-10-23", "unknown")], CANNOT_TELL),
        row(
            "ordered before, but titers are there",
            [TECLISTAMAB, ordered(IVIG, "2026-10-23"), finding("vzv-igg", "Positive", "2026-10-01")],
            SATISFIED,
        ),
        row("not given", [TECLISTAMAB, given(IVIG, "2026-10-23", "not-done")], FLAGGED),
        row("entered in error", [TECLISTAMAB, given(IVIG, "2026-10-23", "entered-in-error")], FLAGGED),
        row("intended", [TECLISTAMAB, reported(IVIG, "2026-12-23", status="intended")], FLAGGED),
        row(
            "hyperimmune globulin is another drug",
            [TECLISTAMAB, given("hepatitis B immune globulin", "2026-10-23")],
            FLAGGED,
        ),
        row("albumin is none", [TECLISTAMAB, given("albumin", "2026-10-23")], FLAGGED),
    ],
)
def test_before_the_first_immunoglobulin(history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_drug(IVIG)), "R18") == expected
    assert outcome(sign(history, draft_drug(IVIG)), "R18") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("belantamab was given", [given("belantamab mafodotin", "2025-01-10")], FLAGGED),
        row("cilta-cel was given", [infusion("2025-01-10")], FLAGGED),
        row("CAR T cells of unknown product were given", [infusion("2025-01-10", None)], FLAGGED),
        row("CAR T cells by a history code", [myeloma(), condition("Z92.850")], FLAGGED),
        row("T cells were collected", [procedure("38225", "2026-10-10")], FLAGGED),
        row("teclistamab is on order", [ordered("teclistamab", "2026-11-10")], FLAGGED),
        row("a T-cell collection is on order", [service_request("T-cell collection", "2026-11-10")], FLAGGED),
        row(
            "a collection that is perhaps on order",
            [service_request("T-cell collection", "2026-11-10", "unknown")],
            NOT_APPLICABLE,
        ),
        row("cilta-cel is on order", [ordered("cilta-cel", "2026-11-10")], FLAGGED),
        row("GPRC5D cells are on order", [ordered("arlo-cel", "2026-11-10")], NOT_APPLICABLE),
        row("GPRC5D cells were given", [given("arlo-cel", "2025-01-10")], NOT_APPLICABLE),
        row("talquetamab binds another antigen", [given("talquetamab", "2026-11-10")], NOT_APPLICABLE),
        row("teclistamab was not given", [given("teclistamab", "2026-11-10", "not-done")], NOT_APPLICABLE),
        row("conventional drugs alone", [given("bortezomib", "2026-11-10")], NOT_APPLICABLE),
    ],
)
def test_immunoglobulin_concerns_it_with_bcma_directed_treatment(history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_drug(IVIG)), "R18") == expected


def test_a_draft_of_teclistamab_is_bcma_directed_treatment_to_come() -> None:
    beside = [draft_drug("teclistamab")]

    assert outcome(select([], draft_drug(IVIG), beside=beside), "R18") == FLAGGED
    assert outcome(select([], draft_drug(IVIG)), "R18") == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("stored", "drafts", "expected"),
    [
        row("titers among the drafts", [], [draft_test("vzv-igg")], SATISFIED),
        row("titers in words among the drafts", [], [in_words("Pneumococcal antibodies")], SATISFIED),
        row("for the day of the infusion", [], [draft_test("vzv-igg", "2026-11-24")], SATISFIED),
        row("for the day after it: too late", [], [draft_test("vzv-igg", "2026-11-25")], FLAGGED),
        row("for some day of the month", [], [draft_test("vzv-igg", "2026-11")], CANNOT_TELL),
        row("another test among the drafts", [], [draft_test("anti-hbs")], FLAGGED),
        row("titers on order since yesterday", [ordered_test("vzv-igg", days_ago(1))], [], SATISFIED),
        row("on order for 30 days", [ordered_test("vzv-igg", days_ago(30))], [], SATISFIED),
        row("on order for 31 days: taken as forgotten", [ordered_test("vzv-igg", days_ago(31))], [], FLAGGED),
        row("on order since some day in October", [ordered_test("vzv-igg", "2026-10")], [], CANNOT_TELL),
        row("on order without a date", [ordered_test("vzv-igg", None)], [], CANNOT_TELL),
        row("on order for after the infusion", [ordered_test("vzv-igg", days_ago(1), on="2026-11-25")], [], FLAGGED),
        row(
            "on order for the day of the infusion",
            [ordered_test("vzv-igg", days_ago(1), on="2026-11-24")],
            [],
            SATISFIED,
        ),
        row("drawn, no result yet", [ordered_test("vzv-igg", days_ago(1), "completed")], [], CANNOT_TELL),
        row("on hold", [ordered_test("vzv-igg", days_ago(1), "on-hold")], [], CANNOT_TELL),
        row("called off", [ordered_test("vzv-igg", days_ago(1), "revoked")], [], FLAGGED),
        row("another test on order", [ordered_test("hbsag", days_ago(1))], [], FLAGGED),
    ],
)
def test_an_order_of_titers_satisfies_if_it_is_in_time(
    stored: list[Resource], drafts: list[Resource], expected: str
) -> None:
    answer = sign([TECLISTAMAB, *stored], draft_drug(IVIG, "2026-11-24"), *drafts)

    assert outcome(answer, "R18") == expected


def test_the_card_before_immunoglobulin_never_holds_it_up() -> None:
    shown = card(sign([TECLISTAMAB], draft_drug(IVIG, "2026-11-24")), "R18")

    assert shown["indicator"] == "warning"
    assert shown["summary"] == (
        "First immunoglobulin (immune globulin (IV)): no antibody titers found; "
        "afterwards they mislead for about 180 d."
    )
    said = text_of(shown)
    assert "In a severe infection immunoglobulin does not wait for this" in said
    assert "In a severe infection, go on with immunoglobulin without waiting." in said
    assert "pneumococcal, tetanus, varicella zoster, measles" in said
    titers, igg = (each["actions"][0]["resource"] for each in shown["suggestions"])
    assert (titers["resourceType"], titers["status"], titers["intent"]) == ("ServiceRequest", "draft", "order")
    assert "collect before the infusion" in titers["code"]["text"]
    assert titers["occurrencePeriod"] == {"end": "2026-11-24"}
    assert igg["code"]["coding"][0]["code"] == "2465-3"
    assert {each["isRecommended"] for each in shown["suggestions"]} == {False}
    assert [reason["code"] for reason in shown["overrideReasons"]] == ["outside", "urgent", "later"]


def test_without_a_planned_day_the_drafts_have_none() -> None:
    shown = card(select([TECLISTAMAB], draft_drug(IVIG)), "R18")

    assert all("occurrencePeriod" not in each["actions"][0]["resource"] for each in shown["suggestions"])


def test_an_igg_level_that_is_ordered_is_not_offered_again() -> None:
    igg = draft_service("2465-3", system=LOINC)

    assert len(drafts_in(card(sign([TECLISTAMAB], draft_drug(IVIG)), "R18"))) == 2
    assert len(drafts_in(card(sign([TECLISTAMAB], draft_drug(IVIG), igg), "R18"))) == 1


@pytest.mark.parametrize("missing", ["medicationStatements", "observations"])
def test_nothing_rests_on_what_was_not_read(missing: str) -> None:
    answer = select([TECLISTAMAB], draft_drug(IVIG), without=[missing])

    assert outcome(answer, "R18") == CANNOT_TELL
    assert "R18" not in codes_of(answer)


# --- R18: before the first drug against BCMA ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("no titers", [], FLAGGED),
        row("titers today", [finding("vzv-igg", "Positive", days_ago(0))], SATISFIED),
        row("titers 365 days ago", [finding("vzv-igg", "Positive", days_ago(365))], SATISFIED),
        row("titers 366 days ago", [finding("vzv-igg", "Positive", days_ago(366))], FLAGGED),
        row("titers of this year", [finding("vzv-igg", "Positive", "2026")], SATISFIED),
        row("titers of some day in November last year", [finding("vzv-igg", "Positive", "2025-11")], CANNOT_TELL),
        row("titers of some day last year", [finding("vzv-igg", "Positive", "2025")], CANNOT_TELL),
        row("titers of some day in October last year", [finding("vzv-igg", "Positive", "2025-10")], FLAGGED),
        row("titers without a date", [finding("vzv-igg", "Positive", None)], CANNOT_TELL),
        row(
            "titers without a date, issued long ago",
            [finding("vzv-igg", "Positive", None, issued="2024-01-05T08:00:00-05:00")],
            FLAGGED,
        ),
        row("immunoglobulin 180 days ago is R19's question", [given(IVIG, days_ago(180))], NOT_APPLICABLE),
        row("immunoglobulin 181 days ago", [given(IVIG, days_ago(181))], FLAGGED),
        row("immunoglobulin in some month around then", [given(IVIG, "2026-05")], CANNOT_TELL),
        row("immunoglobulin ordered, no word that it was given", [ordered(IVIG, "2026-10-23")], CANNOT_TELL),
        row("immunoglobulin without a date", [given(IVIG, None)], CANNOT_TELL),
        row(
            "titers before an old immunoglobulin",
            [finding("vzv-igg", "Positive", days_ago(300)), given(IVIG, days_ago(299))],
            SATISFIED,
        ),
        row(
            "titers on its day: before or after it",
            [finding("vzv-igg", "Positive", days_ago(299)), given(IVIG, days_ago(299))],
            CANNOT_TELL,
        ),
        row(
            "titers the day after it",
            [finding("vzv-igg", "Positive", days_ago(298)), given(IVIG, days_ago(299))],
            FLAGGED,
        ),
        row(
            "titers 180 days after it",
            [finding("vzv-igg", "Positive", days_ago(119)), given(IVIG, days_ago(299))],
            FLAGGED,
        ),
        row(
            "titers 181 days after it",
            [finding("vzv-igg", "Positive", days_ago(118)), given(IVIG, days_ago(299))],
            SATISFIED,
        ),
        row(
            "titers within a course of it",
            [finding("vzv-igg", "Positive", days_ago(220)), reported("Hizentra", days_ago(300), days_ago(200))],
            FLAGGED,
        ),
        row(
            "titers before such a course",
            [finding("vzv-igg", "Positive", days_ago(301)), reported("Hizentra", days_ago(300), days_ago(200))],
            SATISFIED,
        ),
        row("titers are on order", [ordered_test("tetanus-titer", days_ago(2))], SATISFIED),
        row("teclistamab was given before", [given("teclistamab", "2026-03-10")], NOT_APPLICABLE),
        row("belantamab was given before", [given("belantamab mafodotin", "2024-03-10")], NOT_APPLICABLE),
        row("ide-cel was given before", [infusion("2024-03-10", "idecabtagene vicleucel")], NOT_APPLICABLE),
        row("CAR T cells by a history code", [myeloma(), condition("Z92.850")], CANNOT_TELL),
        row("teclistamab was ordered before", [ordered("teclistamab", "2026-03-10", "completed")], CANNOT_TELL),
        row("teclistamab perhaps given", [given("teclistamab", "2026-03-10", "unknown")], CANNOT_TELL),
        row("teclistamab not given", [given("teclistamab", "2026-03-10", "not-done")], FLAGGED),
        row("talquetamab was given before", [given("talquetamab", "2026-03-10")], FLAGGED),
        row("GPRC5D cells were given before", [given("arlo-cel", "2024-03-10")], FLAGGED),
    ],
)
def test_before_the_first_drug_against_bcma(history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_drug("elranatamab")), "R18") == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("teclistamab", draft_drug("teclistamab"), FLAGGED),
        row("belantamab", draft_drug("belantamab mafodotin"), FLAGGED),
        row("cilta-cel", draft_drug("ciltacabtagene autoleucel"), FLAGGED),
        row("a T-cell collection", draft_collection("2026-12-01"), FLAGGED),
        row("an infusion of cells", draft_infusion("2026-12-01"), FLAGGED),
        row("talquetamab", draft_drug("talquetamab"), NOT_APPLICABLE),
        row("GPRC5D cells", draft_drug("arlo-cel"), NOT_APPLICABLE),
        row("daratumumab", draft_drug("daratumumab"), NOT_APPLICABLE),
        row("acyclovir", draft_drug("acyclovir"), NOT_APPLICABLE),
        row("the titers themselves", draft_test("vzv-igg"), NOT_APPLICABLE),
    ],
)
def test_which_orders_ask_for_titers(order: Resource, expected: str) -> None:
    assert outcome(select([], order), "R18") == expected
    assert outcome(sign([], order), "R18") == expected


def test_the_card_before_bcma_directed_treatment() -> None:
    shown = card(select([], draft_drug("teclistamab", "2026-12-01")), "R18")

    assert shown["indicator"] == "info"
    assert shown["summary"] == (
        "No antibody titers found in the 365 d before teclistamab, the first BCMA-directed treatment."
    )
    ends = [each["actions"][0]["resource"]["occurrencePeriod"] for each in shown["suggestions"]]
    assert ends == [{"end": "2026-12-01"}] * 2


@pytest.mark.parametrize("step", [row("collection", draft_collection()), row("fludarabine", draft_drug("fludarabine"))])
def test_a_step_towards_cells_of_no_named_product_is_named_so(step: Resource) -> None:
    assert "before CAR T cells, the first" in card(select([], step), "R18")["summary"]


def test_immunoglobulin_and_a_drug_against_bcma_together_make_one_card() -> None:
    answer = sign([], draft_drug("teclistamab"), draft_drug(IVIG))

    assert card(answer, "R18")["indicator"] == "warning"
    assert outcome(sign([given(IVIG, days_ago(200))], draft_drug("teclistamab"), draft_drug(IVIG)), "R18") == FLAGGED


def test_titers_are_no_question_when_a_chart_is_opened() -> None:
    assert outcome(view([TECLISTAMAB]), "R18") == NOT_APPLICABLE


# --- R19: antibody tests after immunoglobulin ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("given today", [given(IVIG, days_ago(0))], FLAGGED),
        row("given yesterday", [given(IVIG, days_ago(1))], FLAGGED),
        row("given 180 days ago", [given(IVIG, days_ago(180))], FLAGGED),
        row("given 181 days ago", [given(IVIG, days_ago(181))], SATISFIED),
        row("given some day in June", [given(IVIG, "2026-06")], FLAGGED),
        row("given some day in May, 173 to 203 days ago", [given(IVIG, "2026-05")], CANNOT_TELL),
        row("given some day this year", [given(IVIG, "2026")], CANNOT_TELL),
        row("given some day in April", [given(IVIG, "2026-04")], SATISFIED),
        row("given last year", [given(IVIG, "2025")], SATISFIED),
        row("given without a date", [given(IVIG, None)], CANNOT_TELL),
        row(
            "under the skin, at home, still",
            [reported("Hizentra", "2026-01-05", status="active", asserted="2026-11-01")],
            FLAGGED,
        ),
        row("under the skin, until April", [reported("Hizentra", "2026-01-05", "2026-04-05")], SATISFIED),
        row("ordered, no word that it was given", [ordered(IVIG, "2026-10-23")], CANNOT_TELL),
        row(
            "ordered long ago and stopped in time",
            [ordered(IVIG, "2025-01-23", "completed", until="2025-06-01")],
            SATISFIED,
        ),
        row("perhaps given", [given(IVIG, "2026-10-23", "unknown")], CANNOT_TELL),
        row("not given", [given(IVIG, "2026-10-23", "not-done")], SATISFIED),
        row("entered in error", [given(IVIG, "2026-10-23", "entered-in-error")], SATISFIED),
        row("given, and ordered again", [given(IVIG, days_ago(100)), ordered(IVIG, days_ago(3))], FLAGGED),
        row("none on record", [], SATISFIED),
    ],
)
def test_days_since_immunoglobulin(history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_test("anti-hbc-total")), "R19") == expected


@pytest.mark.parametrize(
    ("test", "expected", "drafts"),
    [
        row("anti-HBc", "anti-hbc-total", FLAGGED, ["HBV DNA, quantitative"]),
        row("anti-HBs", "anti-hbs", FLAGGED, ["HBV DNA, quantitative"]),
        row("CMV IgG", "cmv-igg", FLAGGED, []),
        row("varicella zoster IgG", "vzv-igg", FLAGGED, []),
        row("measles IgG", "measles-titer", FLAGGED, []),
        row("tetanus IgG", "tetanus-titer", FLAGGED, []),
        row("pneumococcal titers", "pneumococcal-titers", FLAGGED, []),
        row("HBsAg is an antigen", "hbsag", NOT_APPLICABLE, []),
        row("HBV DNA is no antibody", "hbv-dna", NOT_APPLICABLE, []),
        row("HIV antigen/antibody: not among those asked about", "hiv-ag-ab", NOT_APPLICABLE, []),
    ],
)
def test_which_tests_are_antibody_tests(test: str, expected: str, drafts: list[str]) -> None:
    answer = select([given(IVIG, "2026-10-23")], draft_test(test))

    assert outcome(answer, "R19") == expected
    assert [draft for shown in cards_of(answer) for draft in drafts_in(shown)] == drafts


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("total, in words", in_words("Hepatitis B core antibody, total"), FLAGGED),
        row("IgM is another test", draft_service("24113-3", system=LOINC), NOT_APPLICABLE),
        row("IgM in words", in_words("Hepatitis B core antibody, IgM"), NOT_APPLICABLE),
        row("for a day 180 days after it", draft_test("anti-hbc-total", "2026-12-20"), FLAGGED),
        row("for a day 181 days after it", draft_test("anti-hbc-total", "2026-12-21"), SATISFIED),
        row("for some day in December", draft_test("anti-hbc-total", "2026-12"), CANNOT_TELL),
        row("for a day that has passed: today counts", draft_test("anti-hbc-total", "2026-11-01"), FLAGGED),
    ],
)
def test_what_is_ordered_and_for_when(order: Resource, expected: str) -> None:
    assert outcome(select([given(IVIG, "2026-06-23")], order), "R19") == expected


def test_the_card_names_test_day_and_days() -> None:
    drafts = [draft_test("anti-hbc-total"), draft_test("cmv-igg")]

    shown = card(select([given(IVIG, "2026-10-23")], *drafts), "R19")

    assert shown["indicator"] == "info"
    assert shown["summary"] == (
        "Immunoglobulin given 2026-10-23 (28 d before): prefer PCR or antigen; may be passive: anti-HBc, CMV IgG."
    )
    assert shown["suggestions"][0]["isRecommended"] is False
    assert "MedicationAdministration" in shown["detail"]


@pytest.mark.parametrize("test", ["vzv-igg", "measles-titer", "tetanus-titer", "pneumococcal-titers"])
def test_no_other_test_is_preferred_to_a_titer(test: str) -> None:
    shown = card(select([given(IVIG, "2026-10-23")], draft_test(test)), "R19")

    assert shown["summary"] == (
        "Immunoglobulin given 2026-10-23 (28 d before): titers may be donors'; an earlier sample says more."
    )
    assert "PCR" not in shown["summary"]
    assert "no antigen or PCR test stands in for it" in shown["detail"]


def test_several_titers_are_named_in_the_detail() -> None:
    drafts = [draft_test("vzv-igg"), draft_test("tetanus-titer")]

    shown = card(select([given(IVIG, "2026-10-23")], *drafts), "R19")

    assert "titers may be donors'" in shown["summary"]
    assert "before the sample of: varicella zoster IgG, tetanus IgG." in shown["detail"]


def test_titers_beside_other_antibodies() -> None:
    drafts = [draft_test("anti-hbc-total"), draft_test("tetanus-titer")]

    shown = card(select([given(IVIG, "2026-10-23")], *drafts), "R19")

    assert shown["summary"] == (
        "Immunoglobulin given 2026-10-23 (28 d before): antibodies may be donors': anti-HBc, tetanus IgG."
    )
    assert "HBsAg and tests for nucleic acids are not affected" in shown["detail"]
    assert "For titers no antigen or PCR test stands in" in shown["detail"]
    assert drafts_in(shown) == ["HBV DNA, quantitative"]


def test_only_tests_near_the_immunoglobulin_are_named() -> None:
    drafts = [draft_test("cmv-igg", "2027-12-01"), draft_test("anti-hbc-total")]

    shown = card(select([given(IVIG, "2026-10-23")], *drafts), "R19")

    assert shown["summary"].endswith("may be passive: anti-HBc.")


def test_hbv_dna_that_is_ordered_is_not_offered_again() -> None:
    shown = card(select([given(IVIG, "2026-10-23")], draft_test("anti-hbc-total"), draft_test("hbv-dna")), "R19")

    assert drafts_in(shown) == []
    stored = [given(IVIG, "2026-10-23"), ordered_test("hbv-dna", days_ago(30))]
    assert drafts_in(card(select(stored, draft_test("anti-hbc-total")), "R19")) == []
    stored = [given(IVIG, "2026-10-23"), ordered_test("hbv-dna", days_ago(31))]
    assert len(drafts_in(card(select(stored, draft_test("anti-hbc-total")), "R19"))) == 1


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("first drug against BCMA", [given(IVIG, "2026-10-23")], draft_drug("teclistamab"), FLAGGED),
        row("immunoglobulin 180 days ago", [given(IVIG, days_ago(180))], draft_drug("teclistamab"), FLAGGED),
        row(
            "immunoglobulin 181 days ago: R18's question",
            [given(IVIG, days_ago(181))],
            draft_drug("teclistamab"),
            NOT_APPLICABLE,
        ),
        row("no immunoglobulin", [], draft_drug("teclistamab"), NOT_APPLICABLE),
        row("another drug", [given(IVIG, "2026-10-23")], draft_drug("talquetamab"), NOT_APPLICABLE),
        row(
            "not the first",
            [given(IVIG, "2026-10-23"), given("elranatamab", "2026-03-01")],
            draft_drug("teclistamab"),
            NOT_APPLICABLE,
        ),
        row(
            "titers from before it",
            [given(IVIG, "2026-10-23"), finding("vzv-igg", "Positive", "2026-10-01")],
            draft_drug("teclistamab"),
            NOT_APPLICABLE,
        ),
        row(
            "titers from after it",
            [given(IVIG, "2026-10-23"), finding("vzv-igg", "Positive", "2026-11-01")],
            draft_drug("teclistamab"),
            FLAGGED,
        ),
        row(
            "titers from before it, 365 days ago",
            [given(IVIG, "2026-10-23"), finding("vzv-igg", "Positive", days_ago(365))],
            draft_drug("teclistamab"),
            NOT_APPLICABLE,
        ),
        row(
            "titers from before it, 366 days ago",
            [given(IVIG, "2026-10-23"), finding("vzv-igg", "Positive", days_ago(366))],
            draft_drug("teclistamab"),
            FLAGGED,
        ),
        row("the next immunoglobulin", [given(IVIG, "2026-10-23"), TECLISTAMAB], draft_drug(IVIG), NOT_APPLICABLE),
    ],
)
def test_too_late_for_titers_before_the_first_drug_against_bcma(
    history: list[Resource], order: Resource, expected: str
) -> None:
    answer = select(history, order)

    assert outcome(answer, "R19") == expected
    assert not {"R18", "R19"} <= {code for code, outcomes in answer.rules.items() if "flagged" in outcomes}


def test_too_late_for_titers_says_so() -> None:
    tests = ("hbsag", "hbv-dna", "hcv-ab", "hiv-ag-ab")  # so that fewer cards are shown

    drafts = [draft_drug("ciltacabtagene autoleucel"), *(draft_test(test) for test in tests)]
    shown = card(select([given(IVIG, "2026-10-23")], *drafts), "R19")

    assert shown["summary"] == (
        "Immunoglobulin given 2026-10-23 (28 d ago): titers before ciltacabtagene autoleucel may be passively positive."
    )
    assert drafts_in(shown) == []


def test_antibody_tests_are_spoken_of_when_selected_alone() -> None:
    assert outcome(sign([given(IVIG, "2026-10-23")], draft_test("anti-hbc-total")), "R19") == NOT_APPLICABLE


def test_no_immunoglobulin_rests_on_the_medication_lists() -> None:
    answer = select([], draft_test("anti-hbc-total"), without=["medicationStatements"])

    assert outcome(answer, "R19") == CANNOT_TELL


# --- R40: tests for the nucleic acid of HIV after CAR T cells ---


@pytest.mark.parametrize(
    ("history", "expected", "indicator"),
    [
        row("cilta-cel 8 months ago", [infusion("2026-03-20")], FLAGGED, "warning"),
        row("ide-cel years ago", [infusion("2021-06-20", "idecabtagene vicleucel")], FLAGGED, "warning"),
        row("cilta-cel without a date", [infusion(None)], FLAGGED, "warning"),
        row("cilta-cel today", [infusion(days_ago(0))], FLAGGED, "warning"),
        row("cilta-cel in the patient's own words", [reported("Carvykti", "2024")], FLAGGED, "warning"),
        row("CAR T cells by a history code alone", [myeloma(), condition("Z92.850")], FLAGGED, "info"),
        row("an infusion without product", [infusion("2026-03-20", None)], FLAGGED, "info"),
        row("cells whose vector is not known here", [given("arlo-cel", "2026-03-20")], FLAGGED, "info"),
        row("cells against lymphoma", [given("tisagenlecleucel", "2026-03-20")], FLAGGED, "info"),
        row(
            "those, and cilta-cel",
            [given("tisagenlecleucel", "2022-03-20"), infusion("2026-03-20")],
            FLAGGED,
            "warning",
        ),
        row("cilta-cel perhaps given", [infusion("2026-03-20", status="unknown")], CANNOT_TELL, ""),
        row("cilta-cel ordered and completed", [ordered("cilta-cel", "2026-03-20", "completed")], CANNOT_TELL, ""),
        row(
            "perhaps given, and a history code",
            [myeloma(), condition("Z92.850"), infusion("2026-03-20", status="unknown")],
            FLAGGED,
            "info",
        ),
        row("cilta-cel not given", [infusion("2026-03-20", status="not-done")], SATISFIED, ""),
        row("cilta-cel entered in error", [infusion("2026-03-20", status="entered-in-error")], SATISFIED, ""),
        row("cilta-cel ordered", [ordered("cilta-cel", "2026-11-01")], SATISFIED, ""),
        row("T cells collected alone", [procedure("38225", "2026-10-10")], SATISFIED, ""),
        row("a bispecific antibody has no vector", [TECLISTAMAB], SATISFIED, ""),
        row("no CAR T cells", [], SATISFIED, ""),
    ],
)
def test_cells_whose_vector_an_hiv_test_may_find(history: list[Resource], expected: str, indicator: str) -> None:
    answer = select(history, draft_test("hiv-nat"))

    assert outcome(answer, "R40") == expected
    shown = [shown for shown in cards_of(answer) if shown["source"]["topic"]["code"] == "R40"]
    assert [each["indicator"] for each in shown] == ([indicator] if indicator else [])


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("nucleic acid, by code", draft_test("hiv-nat"), FLAGGED),
        row("nucleic acid, in words", in_words("HIV-1 RNA PCR"), FLAGGED),
        row("viral load", in_words("HIV viral load"), FLAGGED),
        row("antigen and antibody", draft_test("hiv-ag-ab"), NOT_APPLICABLE),
        row("antibody", draft_test("hiv-ab"), NOT_APPLICABLE),
        row("hepatitis C RNA", draft_test("hcv-rna"), NOT_APPLICABLE),
        row("a drug", draft_drug("lenalidomide"), NOT_APPLICABLE),
    ],
)
def test_which_hiv_tests(order: Resource, expected: str) -> None:
    assert outcome(select([infusion("2026-03-20")], order), "R40") == expected


def test_the_card_offers_the_other_test_and_leaves_the_first_to_the_clinician() -> None:
    shown = card(select([infusion("2026-03-20")], draft_test("hiv-nat")), "R40")

    assert shown["summary"] == (
        "Lentiviral CAR T cells given (ciltacabtagene autoleucel): HIV NAT may be falsely positive; "
        "use Ag/Ab or a non-LTR assay."
    )
    assert "On record: ciltacabtagene autoleucel (2026-03-20)" in shown["detail"]
    assert "take the nucleic acid test out" in shown["detail"]
    (offered,) = shown["suggestions"]
    assert offered["isRecommended"] is True
    assert offered["actions"][0]["type"] == "create"
    assert offered["actions"][0]["resource"]["code"]["coding"][0]["code"] == "56888-1"


@pytest.mark.parametrize(
    ("history", "drafts", "offered"),
    [
        row("nothing else", [], [], 1),
        row("the other test is among the drafts", [], [draft_test("hiv-ag-ab")], 0),
        row("HIV is on the problem list", [myeloma(), condition("B20")], [], 0),
        row("HIV antigen/antibody was positive", [finding("hiv-ag-ab", "Reactive", "2026-10-01")], [], 0),
        row("HIV antibody was positive", [finding("hiv-ab", "Positive", "2026-10-01")], [], 0),
        row("HIV antigen/antibody was negative", [finding("hiv-ag-ab", "Non-reactive", "2026-10-01")], [], 1),
    ],
)
def test_the_other_test_is_offered_where_it_would_tell_something(
    history: list[Resource], drafts: list[Resource], offered: int
) -> None:
    shown = card(select([infusion("2026-03-20"), *history], draft_test("hiv-nat"), *drafts), "R40")

    assert len(shown.get("suggestions", ())) == offered
    assert ("HIV is on record" in shown["detail"]) is (offered == 0 and not drafts)


def test_cells_without_name_are_named_so() -> None:
    shown = card(select([myeloma(), condition("Z92.850")], draft_test("hiv-nat")), "R40")

    assert shown["summary"].startswith("CAR T cells given, vector not known here: HIV NAT may be falsely positive")


def test_no_cells_rests_on_what_was_read() -> None:
    answer = select([], draft_test("hiv-nat"), without=["procedures"])

    assert outcome(answer, "R40") == CANNOT_TELL


def test_an_hiv_test_is_judged_when_it_is_selected() -> None:
    assert outcome(sign([infusion("2026-03-20")], draft_test("hiv-nat")), "R40") == NOT_APPLICABLE
    assert codes_of(select([infusion("2026-03-20"), *PROTECTED], draft_test("hiv-nat"))) == ["R40"]
