"""R23: a positive marker of hepatitis B without antiviral drug, or without a look at its DNA.

"Today" is 2026-11-20. HBV DNA counts for 90 days, antibodies of immunoglobulin for 180, a chart is checked for 365 days
after CAR T cells.
"""

from typing import Any

import pytest

from tests.build import (
    LOINC,
    RXNORM,
    SNOMED,
    Resource,
    allergy,
    card,
    coded,
    condition,
    dispensed,
    draft_collection,
    draft_drug,
    draft_infusion,
    draft_test,
    finding,
    given,
    infusion,
    lab,
    myeloma,
    ordered,
    ordered_test,
    outcome,
    reported,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    SATISFIED,
    days_ago,
    drafts_in,
    row,
    select,
    sign,
    text_of,
    view,
)

IVIG = "IVIG"
CILTA_CEL = "ciltacabtagene autoleucel"
HBSAG = finding("hbsag", "Positive", "2026-10-01")
NO_HBSAG = finding("hbsag", "Negative", "2026-10-01")
ANTI_HBC = finding("anti-hbc-total", "Positive", "2026-10-01")
ONCE_POSITIVE = finding("hbsag", "Positive", "2019-10-01")
NO_ANTI_HBC = finding("anti-hbc-total", "Negative", "2026-10-01")
ENTECAVIR, DNA, HEPATOLOGY = "entecavir", "HBV DNA, quantitative", "Hepatology consult"


def problem(code: str, **more: Any) -> list[Resource]:
    """Make a problem beside the myeloma."""
    return [myeloma(), condition(code, "2019-05-01", **more)]


def verified(code: str) -> Resource:
    """Make a verification status."""
    return coded("http://terminology.hl7.org/CodeSystem/condition-ver-status", code)


def clinically(code: str) -> Resource:
    """Make a clinical status."""
    return coded("http://terminology.hl7.org/CodeSystem/condition-clinical", code)


# --- markers ---


@pytest.mark.parametrize(
    ("history", "expected", "indicator"),
    [
        row("HBsAg positive", [HBSAG], FLAGGED, "warning"),
        row("HBsAg positive, in words and cases", [finding("hbsag", "REACTIVE", "2026-10-01")], FLAGGED, "warning"),
        row("HBsAg positive years ago", [finding("hbsag", "Positive", "2016-10-01")], FLAGGED, "warning"),
        row("HBsAg positive, without a date", [finding("hbsag", "Positive", None)], FLAGGED, "warning"),
        row(
            "HBsAg positive, and negative since: the virus stays",
            [finding("hbsag", "Positive", "2026-09-01"), NO_HBSAG, NO_ANTI_HBC],
            FLAGGED,
            "warning",
        ),
        row(
            "HBsAg positive years ago, negative since, anti-HBc not tested",
            [finding("hbsag", "Positive", "2012-09-01"), NO_HBSAG],
            FLAGGED,
            "warning",
        ),
        row(
            "HBsAg positive, and indeterminate since",
            [finding("hbsag", "Positive", "2026-09-01"), finding("hbsag", "Equivocal", "2026-10-01"), NO_ANTI_HBC],
            FLAGGED,
            "warning",
        ),
        row(
            "HBsAg positive some time ago, positive and negative on one day since",
            [finding("hbsag", "Positive", "2020-09-01"), HBSAG, NO_HBSAG, NO_ANTI_HBC],
            FLAGGED,
            "warning",
        ),
        row(
            "HBsAg positive in some month, and negative on a day in it",
            [finding("hbsag", "Positive", "2026-10"), NO_HBSAG, NO_ANTI_HBC],
            FLAGGED,
            "warning",
        ),
        row(
            "HBsAg positive once, and HBV DNA looked for since",
            [
                finding("hbsag", "Positive", "2020-09-01"),
                NO_HBSAG,
                NO_ANTI_HBC,
                finding("hbv-dna", "Not detected", "2026-10-01"),
            ],
            SATISFIED,
            "",
        ),
        row(
            "HBsAg positive once, entered in error",
            [finding("hbsag", "Positive", "2020-09-01", status="entered-in-error"), NO_HBSAG, NO_ANTI_HBC],
            SATISFIED,
            "",
        ),
        row(
            "HBV DNA detected once, not detected since, which was long ago",
            [
                finding("hbv-dna", "Detected", "2020-10-01"),
                finding("hbv-dna", "Not detected", "2021-10-01"),
                NO_HBSAG,
                NO_ANTI_HBC,
            ],
            FLAGGED,
            "warning",
        ),
        row(
            "HBV DNA detected once, not detected of late",
            [
                finding("hbv-dna", "Detected", "2020-10-01"),
                finding("hbv-dna", "Not detected", "2026-10-01"),
                NO_HBSAG,
                NO_ANTI_HBC,
            ],
            SATISFIED,
            "",
        ),
        row(
            "HBsAg negative, and positive since",
            [finding("hbsag", "Negative", "2026-09-01"), HBSAG],
            FLAGGED,
            "warning",
        ),
        row("HBsAg positive and negative on one day", [HBSAG, NO_HBSAG, NO_ANTI_HBC], CANNOT_TELL, ""),
        row("HBsAg indeterminate", [finding("hbsag", "Equivocal", "2026-10-01"), NO_ANTI_HBC], CANNOT_TELL, ""),
        row(
            "HBsAg negative, and indeterminate since",
            [NO_HBSAG, NO_ANTI_HBC, finding("hbsag", "Equivocal", "2026-11-01")],
            CANNOT_TELL,
            "",
        ),
        row("HBsAg that could not be read", [finding("hbsag", "see note", "2026-10-01"), NO_ANTI_HBC], CANNOT_TELL, ""),
        row(
            "HBsAg positive, preliminary",
            [finding("hbsag", "Positive", "2026-10-01", status="preliminary"), NO_ANTI_HBC],
            CANNOT_TELL,
            "",
        ),
        row(
            "HBsAg positive, entered in error",
            [finding("hbsag", "Positive", "2026-10-01", status="entered-in-error"), NO_HBSAG, NO_ANTI_HBC],
            SATISFIED,
            "",
        ),
        row("HBV DNA detected", [finding("hbv-dna", "Detected", "2026-10-01")], FLAGGED, "warning"),
        row(
            "HBV DNA detected, HBsAg negative",
            [finding("hbv-dna", "Detected", "2026-10-01"), NO_HBSAG, NO_ANTI_HBC],
            FLAGGED,
            "warning",
        ),
        row("HBV DNA not detected, else nothing", [finding("hbv-dna", "Not detected", "2026-10-01")], CANNOT_TELL, ""),
        row(
            "HBV DNA not clear", [finding("hbv-dna", "<20 IU/mL", "2026-10-01"), NO_HBSAG, NO_ANTI_HBC], CANNOT_TELL, ""
        ),
        row("anti-HBc positive, HBsAg negative", [ANTI_HBC, NO_HBSAG], FLAGGED, "warning"),
        row("anti-HBc positive, HBsAg not tested", [ANTI_HBC], FLAGGED, "warning"),
        row(
            "anti-HBc positive, HBsAg not clear",
            [ANTI_HBC, finding("hbsag", "Equivocal", "2026-10-01")],
            FLAGGED,
            "warning",
        ),
        row(
            "anti-HBc positive, without a date",
            [finding("anti-hbc-total", "Positive", None), NO_HBSAG],
            FLAGGED,
            "warning",
        ),
        row(
            "anti-HBc positive once, negative since: antibodies are lost",
            [finding("anti-hbc-total", "Positive", "2020-10-01"), NO_ANTI_HBC, NO_HBSAG],
            FLAGGED,
            "warning",
        ),
        row("anti-HBc positive and negative on one day", [ANTI_HBC, NO_ANTI_HBC, NO_HBSAG], CANNOT_TELL, ""),
        row(
            "anti-HBc indeterminate",
            [finding("anti-hbc-total", "Indeterminate", "2026-10-01"), NO_HBSAG],
            CANNOT_TELL,
            "",
        ),
        row(
            "anti-HBc IgM is not the total",
            [finding("anti-hbs", "Positive", "2026-10-01") | {"code": coded(LOINC, "24113-3")}, NO_HBSAG],
            CANNOT_TELL,
            "",
        ),
        row(
            "anti-HBs alone: vaccinated or healed",
            [finding("anti-hbs", "Positive", "2026-10-01"), NO_HBSAG, NO_ANTI_HBC],
            SATISFIED,
            "",
        ),
        row("a negative HBsAg does not answer anti-HBc", [NO_HBSAG], CANNOT_TELL, ""),
        row("a negative anti-HBc does not answer HBsAg", [NO_ANTI_HBC], CANNOT_TELL, ""),
        row("both negative", [NO_HBSAG, NO_ANTI_HBC], SATISFIED, ""),
        row("nothing known", [], CANNOT_TELL, ""),
        row("chronic hepatitis B on the problem list", problem("B18.1"), FLAGGED, "warning"),
        row(
            "carrier by SNOMED CT",
            [myeloma(), condition("B18.1") | {"code": coded(SNOMED, "165806002")}],
            FLAGGED,
            "warning",
        ),
        row("on the problem list, and HBsAg negative", [*problem("B18.1"), NO_HBSAG, NO_ANTI_HBC], FLAGGED, "warning"),
        row(
            "on the problem list, resolved: the virus stays",
            problem("B18.1", clinicalStatus=clinically("resolved")),
            FLAGGED,
            "warning",
        ),
        row(
            "resolved, and HBV DNA looked for",
            [
                *problem("B18.1", clinicalStatus=clinically("resolved")),
                finding("hbv-dna", "Not detected", "2026-10-01"),
            ],
            SATISFIED,
            "",
        ),
        row(
            "active, and HBV DNA looked for",
            [*problem("B18.1"), finding("hbv-dna", "Not detected", "2026-10-01")],
            FLAGGED,
            "warning",
        ),
        row("only suspected", problem("B18.1", verificationStatus=verified("provisional")), CANNOT_TELL, ""),
        row(
            "suspected, and tested negative",
            [*problem("B18.1", verificationStatus=verified("provisional")), NO_HBSAG, NO_ANTI_HBC],
            CANNOT_TELL,
            "",
        ),
        row(
            "refuted", [*problem("B18.1", verificationStatus=verified("refuted")), NO_HBSAG, NO_ANTI_HBC], SATISFIED, ""
        ),
        row("hepatitis C is another virus", [*problem("B18.2"), NO_HBSAG, NO_ANTI_HBC], SATISFIED, ""),
    ],
)
def test_markers(history: list[Resource], expected: str, indicator: str) -> None:
    answer = sign(history, draft_drug(CILTA_CEL))

    assert outcome(answer, "R23") == expected
    if indicator:
        assert card(answer, "R23")["indicator"] == indicator


# --- antiviral drug, and DNA ---


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("entecavir", [reported("entecavir", "2026-01-05", status="active")], SATISFIED),
        row("Baraclude on order", [ordered("Baraclude", "2026-10-05")], SATISFIED),
        row("tenofovir", [reported("tenofovir", "2026-01-05", status="active")], SATISFIED),
        row("tenofovir alafenamide", [reported("Vemlidy", "2026-01-05", status="active")], SATISFIED),
        row("tenofovir in a tablet against HIV", [reported("Biktarvy", "2026-01-05", status="active")], SATISFIED),
        row("lamivudine", [reported("lamivudine", "2026-01-05", status="active")], SATISFIED),
        row("acyclovir acts on other viruses", [reported("acyclovir", "2026-01-05", status="active")], FLAGGED),
        row(
            "emtricitabine alone is not taken for one",
            [reported("emtricitabine", "2026-01-05", status="active")],
            FLAGGED,
        ),
        row("stopped", [reported("entecavir", "2026-01-05", status="stopped")], FLAGGED),
        row("on hold", [reported("entecavir", "2026-01-05", status="on-hold")], FLAGGED),
        row("not taken", [reported("entecavir", "2026-01-05", status="not-taken")], FLAGGED),
        row("entered in error", [reported("entecavir", "2026-01-05", status="entered-in-error")], FLAGGED),
        row("intended", [reported("entecavir", "2026-12-05", status="intended")], FLAGGED),
        row("of unknown status", [reported("entecavir", "2026-01-05", status="unknown")], CANNOT_TELL),
        row(
            "unknown beside active",
            [reported("entecavir", status="unknown"), ordered("entecavir", "2026-10-05")],
            SATISFIED,
        ),
        row("supply ends today", [ordered("entecavir", "2026-06-01", until=days_ago(0))], SATISFIED),
        row("supply ended yesterday", [ordered("entecavir", "2026-06-01", until=days_ago(1))], FLAGGED),
        row("handed over, nobody says for how long", [dispensed("entecavir", "2026-11-10")], CANNOT_TELL),
        row("a dose yesterday shows that it is running", [given("entecavir", days_ago(1))], SATISFIED),
        row("a dose two days ago shows nothing", [given("entecavir", days_ago(2))], FLAGGED),
        row("a dose today that may not have been given", [given("entecavir", days_ago(0), "unknown")], CANNOT_TELL),
        row("a dose without a date", [given("entecavir", None)], FLAGGED),
        row("nothing", [], FLAGGED),
    ],
)
def test_antiviral_drugs(history: list[Resource], expected: str) -> None:
    assert outcome(sign([HBSAG, *history], draft_drug(CILTA_CEL)), "R23") == expected
    assert outcome(sign([ANTI_HBC, *history], draft_drug(CILTA_CEL)), "R23") == expected
    assert outcome(sign([ONCE_POSITIVE, NO_HBSAG, *history], draft_drug(CILTA_CEL)), "R23") == expected


def test_a_draft_of_an_antiviral_drug_satisfies() -> None:
    assert outcome(sign([HBSAG], draft_drug(CILTA_CEL), draft_drug("entecavir")), "R23") == SATISFIED
    assert outcome(select([HBSAG], draft_drug(CILTA_CEL), beside=[draft_drug("tenofovir")]), "R23") == SATISFIED
    assert outcome(sign([HBSAG], draft_drug(CILTA_CEL), draft_drug("acyclovir")), "R23") == FLAGGED


def asked(authored: str | None, status: str = "active") -> Resource:
    """Make a stored order of HBV DNA."""
    return ordered_test("hbv-dna", authored, status)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("looked for 90 days ago", [finding("hbv-dna", "Not detected", days_ago(90))], SATISFIED),
        row("looked for 91 days ago", [finding("hbv-dna", "Not detected", days_ago(91))], FLAGGED),
        row("some day in September", [finding("hbv-dna", "Not detected", "2026-09")], SATISFIED),
        row("some day in August, 81 to 111 days ago", [finding("hbv-dna", "Not detected", "2026-08")], CANNOT_TELL),
        row("some day in July", [finding("hbv-dna", "Not detected", "2026-07")], FLAGGED),
        row("without a date", [finding("hbv-dna", "Not detected", None)], CANNOT_TELL),
        row("not clear", [finding("hbv-dna", "<20 IU/mL", days_ago(5))], CANNOT_TELL),
        row("preliminary", [finding("hbv-dna", "Not detected", days_ago(5), status="preliminary")], FLAGGED),
        row("on order for 30 days", [asked(days_ago(30))], SATISFIED),
        row("on order for 31 days", [asked(days_ago(31))], FLAGGED),
        row("on order without a date", [asked(None)], CANNOT_TELL),
        row("drawn, no result yet", [asked(days_ago(3), "completed")], CANNOT_TELL),
        row("called off", [asked(days_ago(3), "revoked")], FLAGGED),
    ],
)
def test_a_look_at_the_dna_is_enough_for_an_antibody(history: list[Resource], expected: str) -> None:
    assert outcome(sign([ANTI_HBC, NO_HBSAG, *history], draft_drug(CILTA_CEL)), "R23") == expected
    assert outcome(sign([ONCE_POSITIVE, NO_HBSAG, *history], draft_drug(CILTA_CEL)), "R23") == expected


def test_a_draft_of_hbv_dna_satisfies_an_antibody_and_not_an_infection() -> None:
    assert outcome(sign([ANTI_HBC], draft_drug(CILTA_CEL), draft_test("hbv-dna")), "R23") == SATISFIED
    assert outcome(sign([HBSAG], draft_drug(CILTA_CEL), draft_test("hbv-dna")), "R23") == FLAGGED
    assert (
        outcome(sign([HBSAG, finding("hbv-dna", "Not detected", days_ago(5))], draft_drug(CILTA_CEL)), "R23") == FLAGGED
    )


# --- antibodies of immunoglobulin ---


@pytest.mark.parametrize(
    ("history", "indicator", "has_entecavir"),
    [
        row("the day after immunoglobulin", [given(IVIG, "2026-09-30")], "info", False),
        row("180 days after it", [given(IVIG, "2026-04-04")], "info", False),
        row("181 days after it", [given(IVIG, "2026-04-03")], "warning", True),
        row("on its day", [given(IVIG, "2026-10-01")], "warning", False),
        row("before it", [given(IVIG, "2026-10-02")], "warning", True),
        row("within a course under the skin", [reported("Hizentra", "2026-01-05", "2026-11-05")], "info", False),
        row("some day in that month", [given(IVIG, "2026-10")], "warning", False),
        row("perhaps given", [given(IVIG, "2026-09-30", "unknown")], "warning", False),
        row("ordered, no word that it was given", [ordered(IVIG, "2026-09-20")], "warning", False),
        row("not given", [given(IVIG, "2026-09-30", "not-done")], "warning", True),
        row(
            "positive before it as well",
            [given(IVIG, "2026-09-30"), finding("anti-hbc-total", "Positive", "2024-10-01")],
            "warning",
            True,
        ),
        row(
            "negative before it",
            [given(IVIG, "2026-09-30"), finding("anti-hbc-total", "Negative", "2024-10-01")],
            "info",
            False,
        ),
        row(
            "hyperimmune globulin is not asked about",
            [given("hepatitis B immune globulin", "2026-09-30")],
            "warning",
            True,
        ),
    ],
)
def test_an_antibody_that_may_come_from_immunoglobulin(
    history: list[Resource], indicator: str, has_entecavir: bool
) -> None:
    shown = card(sign([ANTI_HBC, NO_HBSAG, *history], draft_drug(CILTA_CEL)), "R23")

    assert shown["indicator"] == indicator
    assert (ENTECAVIR in drafts_in(shown)) is has_entecavir
    assert DNA in drafts_in(shown)


def test_a_passive_antibody_gets_hbv_dna_and_never_entecavir() -> None:
    history = [ANTI_HBC, NO_HBSAG, given(IVIG, "2026-09-20")]

    shown = card(sign(history, draft_drug(CILTA_CEL)), "R23")

    assert shown["summary"] == (
        "Anti-HBc 2026-10-01 positive after immunoglobulin: may be passive; no HBV DNA found in 90 d; "
        "treatment: ciltacabtagene autoleucel."
    )
    assert drafts_in(shown) == [DNA]
    answered = [*history, finding("hbv-dna", "Not detected", "2026-10-05")]
    assert outcome(sign(answered, draft_drug(CILTA_CEL)), "R23") == SATISFIED
    infected = [*history, HBSAG, finding("hbsag", "Positive", "2026-10-02")]
    assert card(sign(infected, draft_drug(CILTA_CEL)), "R23")["indicator"] == "warning"


def test_an_antibody_without_a_date_may_be_passive_where_immunoglobulin_is_on_record() -> None:
    undated = finding("anti-hbc-total", "Positive", None)

    shown = card(sign([undated, given(IVIG, "2020-09-20")], draft_drug(CILTA_CEL)), "R23")

    assert drafts_in(shown) == [DNA, HEPATOLOGY]
    assert "may have brought the antibody" in shown["detail"]


# --- what is ordered, or when the chart is opened ---


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("cilta-cel", draft_drug(CILTA_CEL), FLAGGED),
        row("a collection", draft_collection(), FLAGGED),
        row("an infusion", draft_infusion(), FLAGGED),
        row("lymphodepletion", draft_drug("fludarabine"), FLAGGED),
        row("teclistamab", draft_drug("teclistamab"), FLAGGED),
        row("talquetamab", draft_drug("talquetamab"), FLAGGED),
        row("daratumumab", draft_drug("daratumumab"), FLAGGED),
        row("isatuximab", draft_drug("isatuximab"), FLAGGED),
        row("belantamab", draft_drug("belantamab mafodotin"), FLAGGED),
        row("lenalidomide", draft_drug("lenalidomide"), NOT_APPLICABLE),
        row("elotuzumab", draft_drug("elotuzumab"), NOT_APPLICABLE),
        row("acyclovir", draft_drug("acyclovir"), NOT_APPLICABLE),
        row("a test", draft_test("hbv-dna"), NOT_APPLICABLE),
    ],
)
def test_which_treatment_may_wake_the_virus(order: Resource, expected: str) -> None:
    assert outcome(select([HBSAG], order), "R23") == expected
    assert outcome(sign([HBSAG], order), "R23") == expected


def test_the_next_dose_of_a_running_course_is_asked_about_too() -> None:
    assert outcome(sign([HBSAG, given("teclistamab", "2026-11-10")], draft_drug("teclistamab")), "R23") == FLAGGED


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("cilta-cel 365 days ago", [infusion(days_ago(365))], FLAGGED),
        row("cilta-cel 366 days ago", [infusion(days_ago(366))], NOT_APPLICABLE),
        row("cilta-cel today", [infusion(days_ago(0))], FLAGGED),
        row("cells of unknown product", [infusion(days_ago(100), None)], FLAGGED),
        row("two infusions, the latest counts", [infusion(days_ago(800)), infusion(days_ago(100))], FLAGGED),
        row("some day in November last year", [infusion("2025-11")], CANNOT_TELL),
        row("some day in 2024", [infusion("2024")], NOT_APPLICABLE),
        row("without a date", [infusion(None)], CANNOT_TELL),
        row("a history code", [myeloma(), condition("Z92.850")], CANNOT_TELL),
        row("perhaps given", [infusion(days_ago(100), status="unknown")], CANNOT_TELL),
        row("not given", [infusion(days_ago(100), status="not-done")], NOT_APPLICABLE),
        row("a bispecific antibody: asked at its orders", [given("teclistamab", days_ago(10))], NOT_APPLICABLE),
        row("nothing", [], NOT_APPLICABLE),
    ],
)
def test_when_the_chart_is_opened(history: list[Resource], expected: str) -> None:
    assert outcome(view([HBSAG, *history]), "R23") == expected


def test_an_opened_chart_with_negative_markers_is_satisfied() -> None:
    assert outcome(view([NO_HBSAG, NO_ANTI_HBC, infusion(days_ago(100))]), "R23") == SATISFIED
    assert outcome(view([NO_HBSAG, NO_ANTI_HBC, infusion(None)]), "R23") == SATISFIED


# --- what the card says and offers ---


def test_the_card_of_an_infection() -> None:
    shown = card(sign([HBSAG], draft_drug(CILTA_CEL)), "R23")

    assert shown["summary"] == (
        "HBV marker positive (HBsAg 2026-10-01): no entecavir/tenofovir found; treatment: ciltacabtagene autoleucel."
    )
    assert drafts_in(shown) == [ENTECAVIR, DNA, HEPATOLOGY]
    assert {each["isRecommended"] for each in shown["suggestions"]} == {False}
    assert [reason["code"] for reason in shown["overrideReasons"]] == ["outside", "mdt", "wrong-data"]
    assert shown["suggestions"][2]["actions"][0]["resource"]["intent"] == "proposal"


def test_the_card_of_an_antibody_alone_offers_the_dna_first() -> None:
    shown = card(sign([ANTI_HBC, NO_HBSAG], draft_drug("teclistamab")), "R23")

    assert shown["summary"] == (
        "HBV marker positive (anti-HBc 2026-10-01): no antiviral, and no HBV DNA in 90 d; treatment: teclistamab."
    )
    assert drafts_in(shown) == [DNA, ENTECAVIR, HEPATOLOGY]


@pytest.mark.parametrize(
    ("history", "marker", "found"),
    [
        row(
            "HBsAg",
            [ONCE_POSITIVE, NO_HBSAG],
            "HBsAg 2019-10-01",
            "Positive once: HBsAg 2019-10-01. Latest result of that test: negative 2026-10-01.",
        ),
        row(
            "the last of several",
            [finding("hbsag", "Positive", "2016-10-01"), ONCE_POSITIVE, NO_HBSAG],
            "HBsAg 2019-10-01",
            "Positive once: HBsAg 2019-10-01.",
        ),
        row(
            "indeterminate since",
            [ONCE_POSITIVE, finding("hbsag", "Equivocal", "2026-10-01")],
            "HBsAg 2019-10-01",
            "Latest result of that test: indeterminate 2026-10-01.",
        ),
        row(
            "without a date",
            [finding("hbsag", "Positive", None)],
            "HBsAg",
            "Positive once: HBsAg. Latest result of that test: not clear.",
        ),
        row(
            "HBV DNA, beside an antibody",
            [
                finding("hbv-dna", "Detected", "2020-10-01"),
                finding("hbv-dna", "Not detected", "2021-10-01"),
                NO_HBSAG,
                ANTI_HBC,
            ],
            "HBV DNA 2020-10-01",
            "Latest result of that test: negative 2021-10-01.",
        ),
        row(
            "HBsAg speaks before an antibody that may be passive",
            [ONCE_POSITIVE, NO_HBSAG, ANTI_HBC, given(IVIG, "2026-09-20")],
            "HBsAg 2019-10-01",
            "Latest result of that test: negative 2026-10-01.",
        ),
    ],
)
def test_the_card_of_what_was_positive_once(history: list[Resource], marker: str, found: str) -> None:
    shown = card(sign(history, draft_drug("teclistamab")), "R23")

    assert shown["indicator"] == "warning"
    assert shown["summary"] == (f"HBV once positive ({marker}): no antiviral, no DNA in 90 d; treatment: teclistamab.")
    assert found in shown["detail"]
    assert drafts_in(shown) == [DNA, ENTECAVIR, HEPATOLOGY]


def test_the_summary_of_what_was_positive_once_is_whole_with_the_vaguest_date() -> None:
    history = [finding("hbv-dna", "Detected", "2021-09"), finding("hbv-dna", "Not detected", "2022-10-01")]

    summary = card(sign(history, draft_drug(CILTA_CEL)), "R23")["summary"]

    assert summary.startswith("HBV once positive (HBV DNA some day in September 2021): ")
    assert summary.endswith("treatment: ciltacabtagene autoleucel.")


def test_the_card_of_a_problem_and_of_cells_given() -> None:
    shown = card(view([*problem("B18.1"), infusion(days_ago(100))]), "R23")

    assert "(hepatitis B on the problem list)" in shown["summary"]
    assert "treatment: ciltacabtagene autoleucel" in shown["summary"]
    assert "treatment: CAR T cells" in card(sign([HBSAG], draft_collection()), "R23")["summary"]


def test_hbv_dna_of_late_is_not_offered_again() -> None:
    history = [HBSAG, finding("hbv-dna", "Not detected", days_ago(5))]

    assert drafts_in(card(sign(history, draft_drug(CILTA_CEL)), "R23")) == [ENTECAVIR, HEPATOLOGY]


def egfr(value: float, on: str | None, **more: Any) -> Resource:
    """Make an estimated filtration rate."""
    return lab("98979-8", value, "mL/min/1.73m2", on, **more)


@pytest.mark.parametrize(
    ("history", "has_dose", "words"),
    [
        row("eGFR 60", [egfr(60, "2026-11-01")], True, ""),
        row("eGFR 59", [egfr(59, "2026-11-01")], False, "The latest eGFR is below 60"),
        row(
            "eGFR above 60 as laboratories write it",
            [egfr(60, "2026-11-01", valueQuantity={"value": 60, "unit": "mL/min/1.73m2", "comparator": ">"})],
            True,
            "",
        ),
        row(
            "eGFR around 60",
            [
                egfr(
                    0,
                    "2026-11-01",
                    valueQuantity=None,
                    valueRange={
                        "low": {"value": 55, "unit": "mL/min/1.73m2"},
                        "high": {"value": 70, "unit": "mL/min/1.73m2"},
                    },
                )
            ],
            False,
            "The latest eGFR is below 60",
        ),
        row("eGFR 90 days ago", [egfr(90, days_ago(90))], True, ""),
        row("eGFR 91 days ago", [egfr(90, days_ago(91))], False, "No eGFR was read"),
        row("eGFR of some day in August", [egfr(90, "2026-08")], False, "No eGFR was read"),
        row("eGFR without a date", [egfr(90, None)], False, "No eGFR was read"),
        row("eGFR in an unknown unit", [lab("98979-8", 90, "bananas", "2026-11-01")], False, "No eGFR was read"),
        row(
            "a creatinine since",
            [egfr(90, "2026-11-01"), lab("2160-0", 1.0, "mg/dL", "2026-11-02")],
            False,
            "No eGFR was read",
        ),
        row(
            "a creatinine of the same day",
            [egfr(90, "2026-11-01"), lab("2160-0", 1.0, "mg/dL", "2026-11-01")],
            True,
            "",
        ),
        row(
            "a creatinine without a date",
            [egfr(90, "2026-11-01"), lab("2160-0", 1.0, "mg/dL", None)],
            False,
            "No eGFR was read",
        ),
        row("none", [], False, "No eGFR was read"),
    ],
)
def test_entecavir_has_a_dose_only_with_good_kidneys(history: list[Resource], has_dose: bool, words: str) -> None:
    shown = card(sign([HBSAG, *history], draft_drug(CILTA_CEL)), "R23")

    order = shown["suggestions"][0]["actions"][0]["resource"]
    assert order["medicationCodeableConcept"]["text"] == "entecavir"
    texts = [dosage["text"] for dosage in order.get("dosageInstruction", ())]
    assert texts == (
        ["Per local protocol (published: entecavir 0.5 mg daily); check renal function."] if has_dose else []
    )
    assert "boundsPeriod" not in str(order)  # nobody is told when to stop
    assert words in shown["detail"]
    assert ("draft of entecavir carries no dose" in shown["detail"]) is not has_dose


@pytest.mark.parametrize(
    ("history", "raw", "words"),
    [
        row("allergy to entecavir, by code", [allergy(coded(RXNORM, "306266"))], {}, "An allergy to entecavir"),
        row("allergy to Baraclude, in words", [allergy({"text": "Baraclude"})], {}, "An allergy to entecavir"),
        row("an allergy that names nothing", [allergy({"text": "see comments"})], {}, "Allergies could not be read"),
        row("allergies not read", [], {"without": ["allergies"]}, "Allergies could not be read"),
        row("HIV on the problem list", problem("B20"), {}, "HIV is on record"),
        row("HIV antigen/antibody positive", [finding("hiv-ag-ab", "Positive", "2026-10-01")], {}, "HIV is on record"),
    ],
)
def test_what_speaks_against_a_draft_of_entecavir(history: list[Resource], raw: Any, words: str) -> None:
    shown = card(sign([HBSAG, egfr(90, "2026-11-01"), *history], draft_drug(CILTA_CEL), **raw), "R23")

    assert drafts_in(shown) == [DNA, HEPATOLOGY]
    assert words in shown["detail"]


def test_another_allergy_does_not() -> None:
    history = [HBSAG, allergy({"text": "penicillin"}), finding("hiv-ag-ab", "Negative", "2026-10-01")]

    assert ENTECAVIR in drafts_in(card(sign(history, draft_drug(CILTA_CEL)), "R23"))


@pytest.mark.parametrize(
    ("history", "missing", "expected"),
    [
        row("medication not read: is there an antiviral?", [HBSAG], "medicationStatements", CANNOT_TELL),
        row(
            "results not read: is there HBV DNA?",
            [*problem("B18.1", clinicalStatus=clinically("resolved"))],
            "observations",
            CANNOT_TELL,
        ),
        row("results not read, an infection is known", problem("B18.1"), "observations", FLAGGED),
    ],
)
def test_nothing_rests_on_what_was_not_read(history: list[Resource], missing: str, expected: str) -> None:
    assert outcome(sign(history, draft_drug(CILTA_CEL), without=[missing]), "R23") == expected


def test_every_word_is_said() -> None:
    said = text_of(card(sign([HBSAG], draft_drug(CILTA_CEL)), "R23"))

    assert "No entecavir, tenofovir or lamivudine is in force or being ordered." in said
    assert "HIV is to be known before entecavir alone is started" in said
