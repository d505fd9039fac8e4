"""R28: what the label of a product asks for, held against what the chart shows of lines, classes and refractoriness.

"Today" is 2026-11-20. Unless a row says otherwise, a drug is selected for the first time, alone.
"""

from datetime import date

import pytest

from cards.finding import Hook
from tests.build import (
    Resource,
    ask,
    bare_chart,
    bundle,
    card,
    chart,
    condition,
    dispensed,
    draft_collection,
    draft_drug,
    given,
    hook_request,
    infusion,
    myeloma,
    ordered,
    outcome,
    patient,
    progression,
    reported,
)
from tests.mapping.care_builders import care_plan
from tests.rules.table import (
    CANNOT_TELL,
    CARED_FOR,
    FLAGGED,
    NOT_APPLICABLE,
    SATISFIED,
    codes_besides_care,
    drafts_in,
    row,
    select,
    sign,
    text_of,
    view,
)

TECLISTAMAB, ELRANATAMAB, LINVOSELTAMAB = "teclistamab", "elranatamab", "linvoseltamab"
TALQUETAMAB, BELANTAMAB = "talquetamab", "belantamab mafodotin"
IDE_CEL, CILTA_CEL = "idecabtagene vicleucel", "ciltacabtagene autoleucel"
LABELLED = [TECLISTAMAB, ELRANATAMAB, LINVOSELTAMAB, TALQUETAMAB, BELANTAMAB, IDE_CEL, CILTA_CEL]


def therapy(start: str, end: str, *drugs: str) -> list[Resource]:
    """Report drugs that were given together."""
    return [reported(name, start, end) for name in drugs]


# Four lines, each followed by a progression
VRD = [*therapy("2020-11-10", "2021-10-30", "bortezomib", "lenalidomide"), progression("2021-11-10")]
DKD = [*therapy("2021-12-01", "2023-01-10", "daratumumab", "carfilzomib"), progression("2023-01-20")]
ELO_POM = [*therapy("2023-02-10", "2024-05-10", "elotuzumab", "pomalidomide"), progression("2024-05-20")]
SELINEXOR = [*therapy("2024-06-10", "2026-10-20", "selinexor"), progression("2026-10-30")]
THREE_LINES = [*VRD, *DKD, *ELO_POM]
FOUR_LINES = [*THREE_LINES, *SELINEXOR]

# The second line without a CD38 antibody, and lines without one of the other classes
CARFILZOMIB = [*therapy("2021-12-01", "2023-01-10", "carfilzomib"), progression("2023-01-20")]
NO_CD38 = [*VRD, *CARFILZOMIB, *ELO_POM, *SELINEXOR]
DARATUMUMAB_LENALIDOMIDE = [
    *therapy("2020-11-10", "2021-10-30", "daratumumab", "lenalidomide"),
    progression("2021-11-10"),
]
NO_PI = [*DARATUMUMAB_LENALIDOMIDE, *ELO_POM, *SELINEXOR]
BORTEZOMIB = [*therapy("2020-11-10", "2021-10-30", "bortezomib"), progression("2021-11-10")]
NO_IMID = [*BORTEZOMIB, *DKD, *SELINEXOR]

# VRd, and two years later DKd: nobody says why
ONE_OR_TWO = [
    *therapy("2020-11-10", "2021-03-20", "bortezomib", "lenalidomide"),
    *therapy("2024-10-01", "2026-10-30", "daratumumab", "carfilzomib"),
]


@pytest.mark.parametrize(
    ("product", "history", "expected"),
    [
        row("2 lines and 3 classes", IDE_CEL, [*VRD, *DKD], SATISFIED),
        row("1 line with 3 classes", IDE_CEL, [*VRD, given("daratumumab", "2020-12-10")], FLAGGED),
        row("no CD38 antibody ever", IDE_CEL, NO_CD38, FLAGGED),
        row("no proteasome inhibitor ever", IDE_CEL, NO_PI, FLAGGED),
        row("no IMiD ever", IDE_CEL, NO_IMID, FLAGGED),
        row("1 or 2 lines", IDE_CEL, ONE_OR_TWO, CANNOT_TELL),
        row("1 line, progressed on lenalidomide", CILTA_CEL, VRD, SATISFIED),
        row("untreated", CILTA_CEL, [], FLAGGED),
        row("no proteasome inhibitor ever", CILTA_CEL, DARATUMUMAB_LENALIDOMIDE, FLAGGED),
        row("lenalidomide never given, another IMiD was", CILTA_CEL, [*BORTEZOMIB, *ELO_POM], FLAGGED),
        row(
            "lenalidomide ended for toxicity, progression a year later",
            CILTA_CEL,
            [
                *therapy("2020-11-10", "2021-03-20", "bortezomib"),
                reported("lenalidomide", "2020-11-10", "2021-03-20", statusReason=[{"text": "Toxicity: rash"}]),
                progression("2022-03-10"),
            ],
            FLAGGED,
        ),
        row("lenalidomide, and no word of what became of it", CILTA_CEL, ONE_OR_TWO, CANNOT_TELL),
        row("4 lines and 3 classes", TECLISTAMAB, FOUR_LINES, SATISFIED),
        row("3 lines", TECLISTAMAB, THREE_LINES, FLAGGED),
        row("4 lines, no CD38 antibody", TECLISTAMAB, NO_CD38, FLAGGED),
        row("4 lines and 3 classes", ELRANATAMAB, FOUR_LINES, SATISFIED),
        row("3 lines", ELRANATAMAB, THREE_LINES, FLAGGED),
        row("4 lines, no CD38 antibody", ELRANATAMAB, NO_CD38, FLAGGED),
        row("4 lines and 3 classes", LINVOSELTAMAB, FOUR_LINES, SATISFIED),
        row("3 lines", LINVOSELTAMAB, THREE_LINES, FLAGGED),
        row("4 lines, no CD38 antibody", LINVOSELTAMAB, NO_CD38, FLAGGED),
        row("4 lines and 3 classes", TALQUETAMAB, FOUR_LINES, SATISFIED),
        row("3 lines", TALQUETAMAB, THREE_LINES, FLAGGED),
        row("4 lines, no CD38 antibody", TALQUETAMAB, NO_CD38, FLAGGED),
        row("a product in trials has no label", "etentamig", [], NOT_APPLICABLE),
        row("nor is one of lymphoma in the table", "glofitamab", [], NOT_APPLICABLE),
        row("conventional treatment is not asked about", "bortezomib", [], NOT_APPLICABLE),
    ],
)
def test_what_the_label_asks_for(product: str, history: list[Resource], expected: str) -> None:
    assessment = select([*CARED_FOR, *history], draft_drug(product))

    assert outcome(assessment, "R28") == expected
    assert outcome(sign(history, draft_drug(product)), "R28") == expected
    assert ("R28" in codes_besides_care(assessment)) == (expected == FLAGGED)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("4 lines and 3 classes", FOUR_LINES, SATISFIED),
        row("3 lines", THREE_LINES, FLAGGED),
        row("no proteasome inhibitor", NO_PI, FLAGGED),
        row("no IMiD", NO_IMID, FLAGGED),
    ],
)
@pytest.mark.parametrize("product", [TECLISTAMAB, ELRANATAMAB, LINVOSELTAMAB, TALQUETAMAB])
def test_every_bispecific_asks_for_the_three_classes(product: str, history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_drug(product)), "R28") == expected


@pytest.mark.parametrize(
    ("product", "history", "indicator", "summary"),
    [
        row(
            "lines alone: information",
            TECLISTAMAB,
            [*VRD, *DKD],
            "info",
            "Not found in chart for the teclistamab label: ≥4 lines (2 counted).",
        ),
        row(
            "a class alone: information",
            IDE_CEL,
            NO_CD38,
            "info",
            "Not found in chart for the idecabtagene vicleucel label: anti-CD38.",
        ),
        row(
            "refractoriness alone: information",
            CILTA_CEL,
            [*BORTEZOMIB, *ELO_POM],
            "info",
            "Not found in chart for the ciltacabtagene autoleucel label: refractory to lenalidomide.",
        ),
        row(
            "class and refractoriness, but lines enough: information",
            CILTA_CEL,
            BORTEZOMIB,
            "info",
            "Not found in chart for the ciltacabtagene autoleucel label: IMiD, refractory to lenalidomide.",
        ),
        row(
            "lines and a class: a warning",
            TECLISTAMAB,
            VRD,
            "warning",
            "Not found in chart for the teclistamab label: ≥4 lines (1 counted), anti-CD38.",
        ),
        row(
            "untreated: everything, in the longest words",
            CILTA_CEL,
            [],
            "warning",
            "Not found in chart for the ciltacabtagene autoleucel label: "
            "≥1 line (0 counted), PI, IMiD, refractory to lenalidomide.",
        ),
        row(
            "too few lines however they are counted",
            TALQUETAMAB,
            ONE_OR_TWO,
            "info",
            "Not found in chart for the talquetamab label: ≥4 lines (1 to 2 counted).",
        ),
    ],
)
def test_the_card(product: str, history: list[Resource], indicator: str, summary: str) -> None:
    shown = card(select([*CARED_FOR, *history], draft_drug(product)), "R28")

    assert (shown["indicator"], shown["summary"]) == (indicator, summary)
    assert drafts_in(shown) == []


def test_the_card_of_a_pair_asks_for_its_line_too() -> None:
    shown = card(select([], draft_drug(TECLISTAMAB), beside=[draft_drug("daratumumab")]), "R28")

    assert shown["summary"] == "Not found in chart for the teclistamab label: ≥1 line (0 counted), PI, IMiD."


def test_the_card_says_what_was_counted_and_which_label_was_read() -> None:
    detail = text_of(card(select([*VRD, *DKD], draft_drug(TALQUETAMAB)), "R28"))

    assert "at least 4 lines with a proteasome inhibitor, an IMiD and an anti-CD38 antibody" in detail
    assert "US label of 2024-03-12" in detail
    assert "(US prescribing information, Talvey (talquetamab))" in detail
    assert "at least 4 lines of therapy (2 counted, from what was given" in detail
    assert "MedicationStatement 2021-10-30" in detail


@pytest.mark.parametrize(
    ("product", "history", "said"),
    [
        row(
            "an open count, with the range",
            IDE_CEL,
            ONE_OR_TWO,
            "how many lines of therapy there were before idecabtagene vicleucel (the chart shows 1 to 2)",
        ),
        row(
            "a CD38 antibody that was only ordered",
            IDE_CEL,
            [*NO_CD38, ordered("daratumumab", "2022-01-05", "completed")],
            "a drug of this class before idecabtagene vicleucel: an earlier anti-CD38 antibody",
        ),
        row(
            "an IMiD that was only dispensed",
            TECLISTAMAB,
            [*NO_IMID, *CARFILZOMIB, dispensed("lenalidomide", "2023-02-05", 28)],
            "a drug of this class before teclistamab: an earlier IMiD",
        ),
        row(
            "a CELMoD alone may count as an IMiD",
            TECLISTAMAB,
            [
                *BORTEZOMIB,
                *DKD,
                *therapy("2023-02-10", "2024-05-10", "iberdomide"),
                progression("2024-05-20"),
                *SELINEXOR,
            ],
            "a drug of this class before teclistamab: an earlier IMiD",
        ),
        row(
            "a proteasome inhibitor that may have been given",
            CILTA_CEL,
            [*DARATUMUMAB_LENALIDOMIDE, given("bortezomib", "2020-12-01", "unknown")],
            "a drug of this class before ciltacabtagene autoleucel: an earlier proteasome inhibitor",
        ),
        row(
            "no word of progression on lenalidomide",
            CILTA_CEL,
            therapy("2020-11-10", "2021-10-30", "bortezomib", "lenalidomide"),
            "for ciltacabtagene autoleucel: whether the myeloma is refractory to lenalidomide",
        ),
    ],
)
def test_what_cannot_be_told(product: str, history: list[Resource], said: str) -> None:
    assessment = select(history, draft_drug(product))

    assert outcome(assessment, "R28") == CANNOT_TELL
    assert said in text_of(card(assessment, "R00"))


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("one dose is exposure", [*NO_CD38, given("daratumumab", "2024-06-10")], SATISFIED),
        row("a dose without a date too", [*NO_CD38, given("daratumumab", None)], SATISFIED),
        row("isatuximab is one", [*NO_CD38, given("isatuximab", "2024-06-10")], SATISFIED),
        row("not taken", [*NO_CD38, reported("daratumumab", "2024-06-10", None, "not-taken")], FLAGGED),
        row("intended", [*NO_CD38, reported("daratumumab", "2026-12-10", None, "intended")], FLAGGED),
        row("entered in error", [*NO_CD38, given("daratumumab", "2024-06-10", "entered-in-error")], FLAGGED),
        row("an order that was cancelled", [*NO_CD38, ordered("daratumumab", "2024-06-10", "cancelled")], FLAGGED),
        row("an order that waits", [*NO_CD38, ordered("daratumumab", "2024-06-10", "on-hold")], FLAGGED),
        row(
            "on hold, with no word of a dose", [*NO_CD38, reported("daratumumab", "2024", None, "on-hold")], CANNOT_TELL
        ),
        row("of unknown status", [*NO_CD38, reported("daratumumab", "2024-06-10", None, "unknown")], CANNOT_TELL),
    ],
)
def test_what_counts_as_a_drug_of_a_class(history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_drug(ELRANATAMAB)), "R28") == expected


DARATUMUMAB_SC = "daratumumab and hyaluronidase"


@pytest.mark.parametrize(
    ("history", "beside", "expected"),
    [
        row("alone, 1 line", VRD, [], FLAGGED),
        row("with subcutaneous daratumumab, 1 line", VRD, [DARATUMUMAB_SC], SATISFIED),
        row("with daratumumab, whose route the order does not say", VRD, ["daratumumab"], SATISFIED),
        row("with another CD38 antibody", VRD, ["isatuximab"], FLAGGED),
        row("with dexamethasone", VRD, ["dexamethasone"], FLAGGED),
        row("with daratumumab, untreated", [], ["daratumumab"], FLAGGED),
        row("with daratumumab, no IMiD", BORTEZOMIB, ["daratumumab"], FLAGGED),
        row("with daratumumab, no proteasome inhibitor", DARATUMUMAB_LENALIDOMIDE, ["daratumumab"], FLAGGED),
        row("with daratumumab, 4 lines", FOUR_LINES, ["daratumumab"], SATISFIED),
    ],
)
def test_teclistamab_with_daratumumab(history: list[Resource], beside: list[str], expected: str) -> None:
    orders = [draft_drug(TECLISTAMAB), *map(draft_drug, beside)]

    assert outcome(select(history, *orders), "R28") == expected
    assert outcome(sign(history, *orders), "R28") == expected
    assert outcome(select(history, orders[0], beside=orders[1:]), "R28") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("is being given", reported("daratumumab", "2026-11-10", status="active", asserted="2026-11-18"), SATISFIED),
        row("was given until last year", reported("daratumumab", "2025-01-05", "2025-12-05"), FLAGGED),
        row(
            "was given until yesterday, its record closed", reported("daratumumab", "2026-11-10", "2026-11-19"), FLAGGED
        ),
        row("is on a list that nobody closed", reported("daratumumab", "2025-01-05", status="active"), CANNOT_TELL),
        row("is on order", ordered("daratumumab", "2026-11-18"), CANNOT_TELL),
        row("was ordered once", ordered("daratumumab", "2026-01-18", "completed"), FLAGGED),
        row("was given on some day", given("daratumumab", None), CANNOT_TELL),
    ],
)
def test_teclistamab_while_daratumumab(history: Resource, expected: str) -> None:
    assert outcome(select([*VRD, history], draft_drug(TECLISTAMAB)), "R28") == expected


def test_which_label_counts_makes_no_difference_where_both_are_met_or_missed() -> None:
    may_go_on = reported("daratumumab", "2025-01-05", status="active")

    assert outcome(select([*FOUR_LINES, may_go_on], draft_drug(TECLISTAMAB)), "R28") == CANNOT_TELL
    assert outcome(select([*BORTEZOMIB, may_go_on], draft_drug(TECLISTAMAB)), "R28") == FLAGGED


@pytest.mark.parametrize(
    ("history", "beside", "expected"),
    [
        row("2 lines, with both", [*VRD, *DKD], ["bortezomib", "dexamethasone"], SATISFIED),
        row("no CD38 antibody is asked for", [*VRD, *CARFILZOMIB], ["bortezomib", "dexamethasone"], SATISFIED),
        row("1 line, with both", VRD, ["bortezomib", "dexamethasone"], FLAGGED),
        row("no IMiD", [*BORTEZOMIB, *DKD], ["bortezomib", "dexamethasone"], FLAGGED),
        row("no proteasome inhibitor", NO_PI, ["bortezomib", "dexamethasone"], FLAGGED),
        row("without bortezomib", [*VRD, *DKD], ["dexamethasone"], CANNOT_TELL),
        row("without dexamethasone", [*VRD, *DKD], ["bortezomib"], CANNOT_TELL),
        row("alone", [*VRD, *DKD], [], CANNOT_TELL),
        row("alone, 1 line", VRD, [], FLAGGED),
    ],
)
def test_belantamab_with_bortezomib_and_dexamethasone(
    history: list[Resource], beside: list[str], expected: str
) -> None:
    assert outcome(select(history, draft_drug(BELANTAMAB), *map(draft_drug, beside)), "R28") == expected


def test_a_partner_that_is_missing_is_named() -> None:
    said = text_of(card(select([*VRD, *DKD], draft_drug(BELANTAMAB)), "R00"))

    assert "whether belantamab mafodotin is given with the partners of its label: with bortezomib and" in said


def test_a_partner_that_is_being_given_need_not_be_ordered() -> None:
    dexamethasone = reported("dexamethasone", "2026-11-10", status="active", asserted="2026-11-18")

    orders = [draft_drug(BELANTAMAB), draft_drug("bortezomib")]

    assert outcome(select([*VRD, *DKD, dexamethasone], *orders), "R28") == SATISFIED


@pytest.mark.parametrize(
    ("product", "history", "expected"),
    [
        row("never given", TECLISTAMAB, VRD, FLAGGED),
        row("given long ago: a restart", TECLISTAMAB, [*VRD, given(TECLISTAMAB, "2025-01-05")], NOT_APPLICABLE),
        row("given on some day", TECLISTAMAB, [*VRD, given(TECLISTAMAB, None)], NOT_APPLICABLE),
        row("the next dose of a course", TECLISTAMAB, [*VRD, given(TECLISTAMAB, "2026-11-13")], NOT_APPLICABLE),
        row("another bispecific was given", TECLISTAMAB, [*VRD, given(ELRANATAMAB, "2025-01-05")], FLAGGED),
        row("only ordered before", TECLISTAMAB, [*VRD, ordered(TECLISTAMAB, "2026-01-05")], FLAGGED),
        row("planned before, not given", TECLISTAMAB, [*VRD, given(TECLISTAMAB, "2026-01-05", "not-done")], FLAGGED),
        row("these cells once before", CILTA_CEL, [infusion("2024-03-01")], NOT_APPLICABLE),
        row("other cells before", CILTA_CEL, [infusion("2024-03-01", IDE_CEL)], FLAGGED),
        row(
            "these cells ordered and completed, no word of an infusion",
            CILTA_CEL,
            [ordered(CILTA_CEL, "2026-01-05", "completed")],
            FLAGGED,
        ),
        row("cells of an unnamed product", CILTA_CEL, [myeloma(), condition("Z92.850")], FLAGGED),
    ],
)
def test_the_first_order_ever_is_asked_about(product: str, history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_drug(product)), "R28") == expected


# Four regimens, and nobody says why the treatment was changed
FOUR_REGIMENS = [record for record in FOUR_LINES if record["resourceType"] != "Observation"]


@pytest.mark.parametrize(
    ("product", "history", "expected"),
    [
        row("1 or 2 by computation", IDE_CEL, ONE_OR_TWO, CANNOT_TELL),
        row(
            "second line, written during DKd",
            IDE_CEL,
            [*ONE_OR_TWO, care_plan("Line of therapy: 2", period={"start": "2025-01-10"})],
            SATISFIED,
        ),
        row(
            "still the first line, written during DKd",
            IDE_CEL,
            [*ONE_OR_TWO, care_plan("Line of therapy: 1", period={"start": "2025-01-10"})],
            FLAGGED,
        ),
        row("2 by computation", TECLISTAMAB, [*VRD, *DKD], FLAGGED),
        row(
            "2 by computation, a plan says 4th line: from 2 to 4",
            TECLISTAMAB,
            [*VRD, *DKD, care_plan("4th line", period={"start": "2022-06-10"})],
            CANNOT_TELL,
        ),
        row("1 to 4 by computation", TECLISTAMAB, FOUR_REGIMENS, CANNOT_TELL),
        row(
            "4th line, written during the fourth regimen",
            TECLISTAMAB,
            [*FOUR_REGIMENS, care_plan("4th line", period={"start": "2025-01-10"})],
            SATISFIED,
        ),
        row(
            "4th line, written on the last day of treatment",
            TECLISTAMAB,
            [*FOUR_REGIMENS, care_plan("4th line", period={"start": "2026-10-20"})],
            SATISFIED,
        ),
        row(
            "4th line, written after all treatment: may be the line that is ordered now",
            TECLISTAMAB,
            [*FOUR_REGIMENS, care_plan("4th line", period={"start": "2026-10-21"})],
            CANNOT_TELL,
        ),
        row(
            "5th line, written after all treatment: four came before",
            TECLISTAMAB,
            [*FOUR_LINES, care_plan("5th line", period={"start": "2026-11-15"})],
            SATISFIED,
        ),
        row(
            "4th line, written on an unknown day",
            TECLISTAMAB,
            [*FOUR_REGIMENS, care_plan("4th line", period=None)],
            CANNOT_TELL,
        ),
        row(
            "4th line, written on the day of the cells that were infused in it",
            TECLISTAMAB,
            [*THREE_LINES, infusion("2026-09-15", IDE_CEL), care_plan("4th line", period={"start": "2026-09-15"})],
            SATISFIED,
        ),
        row(
            "4th line, written after four lines that are certain",
            TECLISTAMAB,
            [*FOUR_LINES, care_plan("4th line", period={"start": "2026-11-15"})],
            CANNOT_TELL,
        ),
        row(
            "4th line, written after four lines, of which the last goes on with a steroid",
            TECLISTAMAB,
            [*FOUR_LINES, given("dexamethasone", "2026-11-16"), care_plan("4th line", period={"start": "2026-11-15"})],
            SATISFIED,
        ),
        row("entered in error", TECLISTAMAB, [*VRD, *DKD, care_plan("4th line", "entered-in-error")], FLAGGED),
    ],
)
def test_a_documented_line_number(product: str, history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_drug(product)), "R28") == expected


def test_a_line_number_that_disagrees_widens_the_range_that_is_named() -> None:
    history = [*VRD, *DKD, care_plan("4th line", period={"start": "2022-06-10"})]

    said = text_of(card(select(history, draft_drug(TECLISTAMAB)), "R00"))

    assert "before teclistamab (the chart shows 2 to 4)" in said


def test_care_plans_that_are_unread_keep_nothing_open() -> None:
    assert outcome(select([*VRD, *DKD], draft_drug(TECLISTAMAB), without=["carePlans"]), "R28") == FLAGGED
    assert outcome(select(FOUR_LINES, draft_drug(TECLISTAMAB), without=["carePlans"]), "R28") == SATISFIED


@pytest.mark.parametrize("product", LABELLED)
@pytest.mark.parametrize("history", [row("untreated", []), row("1 line", VRD), row("2 lines", [*VRD, *DKD])])
@pytest.mark.parametrize(
    "without", ["medicationStatements", "medicationRequests", "medicationAdministrations", "procedures"]
)
def test_no_label_is_missed_while_treatment_is_unread(product: str, history: list[Resource], without: str) -> None:
    assert outcome(select(history, draft_drug(product)), "R28") in {FLAGGED, SATISFIED, CANNOT_TELL}
    assert outcome(select(history, draft_drug(product), without=[without]), "R28") in {CANNOT_TELL, SATISFIED}


@pytest.mark.parametrize("product", LABELLED)
def test_empty_medication_lists_prove_nothing(product: str) -> None:
    request = hook_request(Hook.ORDER_SELECT, bare_chart(patient(), myeloma()), [draft_drug(product)])

    assert outcome(ask(request), "R28") == CANNOT_TELL


def test_what_is_unread_leaves_the_count_without_an_end() -> None:
    said = text_of(card(select([*VRD, *DKD], draft_drug(TECLISTAMAB), without=["medicationRequests"]), "R00"))

    assert "before teclistamab (the chart shows at least 2)" in said


@pytest.mark.parametrize(
    ("product", "history", "expected"),
    [
        row("lines and classes that are there stand", IDE_CEL, [*VRD, *DKD], SATISFIED),
        row(
            "treatment that is not recognised may be any",
            TECLISTAMAB,
            [*VRD, given("INV-777 study drug", "2025-01-10")],
            CANNOT_TELL,
        ),
        row("nor may it be a class", IDE_CEL, [*NO_CD38, given("INV-777 study drug", "2025-01-10")], CANNOT_TELL),
    ],
)
def test_treatment_that_is_not_recognised(product: str, history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_drug(product)), "R28") == expected


@pytest.mark.parametrize(
    ("product", "history", "expected"),
    [
        row("whether lenalidomide failed is open", CILTA_CEL, ONE_OR_TWO, CANNOT_TELL),
        row("a class that was never given stays missing", IDE_CEL, NO_CD38, FLAGGED),
        row("one regimen makes one line, whatever happened since", IDE_CEL, BORTEZOMIB[:1], FLAGGED),
    ],
)
def test_progression_unread(product: str, history: list[Resource], expected: str) -> None:
    assert outcome(select(history, draft_drug(product), without=["observations"]), "R28") == expected


def test_one_unreadable_resource_among_the_drugs_keeps_it_open() -> None:
    broken = bundle([{"resourceType": "MedicationStatement", "id": ["of a wrong type"]}])
    request = hook_request(Hook.ORDER_SELECT, chart(*VRD, medicationStatements=broken), [draft_drug(TECLISTAMAB)])

    assert outcome(ask(request), "R28") == CANNOT_TELL


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        row("the last day on which somebody vouches for it", "2027-05-20", FLAGGED),
        row("the day after", "2027-05-21", CANNOT_TELL),
    ],
)
@pytest.mark.parametrize("product", LABELLED)
def test_the_table_expires(product: str, today: str, expected: str) -> None:
    request = hook_request(Hook.ORDER_SELECT, chart(*BORTEZOMIB), [draft_drug(product)])

    assessment = ask(request, today=date.fromisoformat(today))

    assert outcome(assessment, "R28") == expected
    is_said = expected == CANNOT_TELL and "our copy is out of date" in text_of(card(assessment, "R00"))
    assert is_said == (expected == CANNOT_TELL)


@pytest.mark.parametrize("product", LABELLED)
def test_an_expired_label_is_not_met_either(product: str) -> None:
    request = hook_request(Hook.ORDER_SELECT, chart(*FOUR_LINES), [draft_drug(product)])

    assert outcome(ask(request, today=date(2027, 5, 21)), "R28") == CANNOT_TELL


def test_both_products_of_one_request_are_held_against_their_labels() -> None:
    shown = text_of(card(sign(VRD, draft_drug(TECLISTAMAB), draft_drug(IDE_CEL)), "R28"))

    assert "Teclistamab, US label of 2025-12-12: alone" in shown
    assert "Idecabtagene vicleucel, US label of 2024: relapsed" in shown


def test_the_rule_is_silent_where_no_labelled_product_is_ordered() -> None:
    assert outcome(view(VRD), "R28") == NOT_APPLICABLE
    assert outcome(sign(VRD, draft_collection()), "R28") == NOT_APPLICABLE
    assert "R28" not in codes_besides_care(select(VRD, draft_drug("carfilzomib"), beside=[draft_drug(TECLISTAMAB)]))
