"""R01: at least six months (183 days) between a BCMA bispecific antibody and the T-cell collection for BCMA CAR T.

"Today" is 2026-11-20. Unless a row says otherwise, a T-cell collection without a date is being signed, so that the
days are counted to today.
"""

import pytest

from tests.build import (
    Resource,
    card,
    draft_collection,
    draft_drug,
    draft_infusion,
    draft_service,
    given,
    infusion,
    ordered,
    outcome,
    procedure,
    progression,
    reported,
    service_request,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
    PREFERENCES,
    PROTECTED,
    SATISFIED,
    codes_besides_care,
    days_after,
    days_ago,
    drafts_in,
    moves_in,
    row,
    select,
    sign,
    text_of,
)

RECENT = given("teclistamab", "2026-11-05")


@pytest.mark.parametrize(
    ("last_dose", "expected"),
    [
        row("given today", "2026-11-20", FLAGGED),
        row("given yesterday", "2026-11-19", FLAGGED),
        row("182 days: one day short", "2026-05-22", FLAGGED),
        row("183 days: six months reached", "2026-05-21", SATISFIED),
        row("184 days: six months passed", "2026-05-20", SATISFIED),
        row("six years", "2020-11-20", SATISFIED),
        row("some day in April, 204 to 233 days: long enough on any of them", "2026-04", SATISFIED),
        row("some day in June, 143 to 172 days: too short on any of them", "2026-06", FLAGGED),
        row("some day in May, 173 to 203 days: the month crosses six months", "2026-05", CANNOT_TELL),
        row("some day in 2025: long enough on any of them", "2025", SATISFIED),
        row("some day in 2026: may have been yesterday or in January", "2026", CANNOT_TELL),
        row("this month: too short on any of its days up to today", "2026-11", FLAGGED),
        row("half past one in London on 22 May is still 21 May here", "2026-05-22T01:30:00+01:00", SATISFIED),
        row("midnight UTC of 22 May may stand for either day: 182 or 183", "2026-05-22T00:00:00Z", CANNOT_TELL),
        row("midnight UTC of 21 May: 183 or 184 days", "2026-05-21T00:00:00Z", SATISFIED),
        row("a dose without a date", None, CANNOT_TELL),
        row("a dose dated tomorrow cannot have been given", "2026-11-21", CANNOT_TELL),
    ],
)
def test_days_since_the_last_dose(last_dose: str | None, expected: str) -> None:
    assessment = sign([given("teclistamab", last_dose)], draft_collection())

    assert outcome(assessment, "R01") == expected
    shown = {FLAGGED: ["R01"], CANNOT_TELL: ["R00"], SATISFIED: []}[expected]
    assert codes_besides_care(assessment) == shown


def test_the_card_names_drug_days_and_the_first_day_that_is_long_enough() -> None:
    assessment = sign([given("teclistamab", "2026-05-22")], draft_collection())

    shown = card(assessment, "R01")
    assert shown["summary"] == (
        "Teclistamab last given 182 d before CAR T collection; ≥183 d advised (earliest 2026-11-21)."
    )
    assert "Last dose of teclistamab: 2026-05-22. Counted to 2026-11-20" in shown["detail"]
    assert "MedicationAdministration 2026-05-22" in shown["detail"]


@pytest.mark.parametrize(
    ("drug", "expected"),
    [
        row("BCMA bispecific", "teclistamab", FLAGGED),
        row("BCMA bispecific", "elranatamab", FLAGGED),
        row("BCMA bispecific", "linvoseltamab", FLAGGED),
        row("BCMA bispecific from a trial, known by name alone", "etentamig", FLAGGED),
        row("GPRC5D: the antigen argument does not apply", "talquetamab", SATISFIED),
        row("FcRH5: the antigen argument does not apply", "cevostamab", SATISFIED),
        row("BCMA conjugate: the interval is stated for bispecifics alone", "belantamab mafodotin", SATISFIED),
        row("CD38 antibody", "daratumumab", SATISFIED),
        row("immunomodulatory drug", "lenalidomide", SATISFIED),
        row("earlier CAR T cells are no bispecific", "ciltacabtagene autoleucel", SATISFIED),
        row("bispecific for lymphoma", "glofitamab", SATISFIED),
    ],
)
def test_which_drugs_ask_for_the_interval(drug: str, expected: str) -> None:
    assert outcome(sign([given(drug, "2026-11-05")], draft_collection()), "R01") == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("T-cell collection by code", draft_collection(), FLAGGED),
        row(
            "T-cell collection in words",
            draft_service("local-1", system="urn:local") | {"code": {"text": "T-cell apheresis"}},
            FLAGGED,
        ),
        row("infusion that names no product: every approved one binds BCMA", draft_infusion(), FLAGGED),
        row("BCMA product", draft_drug("ciltacabtagene autoleucel"), FLAGGED),
        row("BCMA product", draft_drug("idecabtagene vicleucel"), FLAGGED),
        row("lymphodepletion by its purine analogue", draft_drug("fludarabine"), FLAGGED),
        row(
            "lymphodepletion in words",
            draft_service("local-2", system="urn:local") | {"code": {"text": "Lymphodepletion"}},
            FLAGGED,
        ),
        row("GPRC5D product: another antigen", draft_drug("arlocabtagene autoleucel"), NOT_APPLICABLE),
        row("a bispecific is no CAR T step", draft_drug("elranatamab"), NOT_APPLICABLE),
        row("nor is talquetamab", draft_drug("talquetamab"), NOT_APPLICABLE),
        row("nor a conjugate", draft_drug("belantamab mafodotin"), NOT_APPLICABLE),
        row("nor conventional treatment", draft_drug("bortezomib"), NOT_APPLICABLE),
        row(
            "blood stem cells are collected for a transplant",
            draft_service("38206", system="http://www.ama-assn.org/go/cpt"),
            NOT_APPLICABLE,
        ),
    ],
)
def test_which_orders_are_judged(order: Resource, expected: str) -> None:
    assert outcome(sign([RECENT], order), "R01") == expected
    assert outcome(select([RECENT], order), "R01") == expected


PLANNED = "2026-12-10"


@pytest.mark.parametrize(
    ("last_dose", "orders", "expected"),
    [
        row(
            "183 days to the planned collection, fewer to today",
            days_after(PLANNED, -183),
            [draft_collection(PLANNED)],
            SATISFIED,
        ),
        row("182 days to the planned collection", days_after(PLANNED, -182), [draft_collection(PLANNED)], FLAGGED),
        row(
            "the collection planned beside the product counts, not the product's own later date",
            days_after(PLANNED, -182),
            [draft_drug("ciltacabtagene autoleucel", "2027-01-20"), draft_collection(PLANNED)],
            FLAGGED,
        ),
        row(
            "no collection planned: the product's own date, 183 days",
            days_after("2027-01-20", -183),
            [draft_drug("ciltacabtagene autoleucel", "2027-01-20")],
            SATISFIED,
        ),
        row(
            "no collection planned: the product's own date, 182 days",
            days_after("2027-01-20", -182),
            [draft_drug("ciltacabtagene autoleucel", "2027-01-20")],
            FLAGGED,
        ),
        row(
            "planned for some day in December, 165 to 195 days: crosses six months",
            "2026-06-19",
            [draft_collection("2026-12")],
            CANNOT_TELL,
        ),
        row("December, 183 days on its first day", "2026-06-01", [draft_collection("2026-12")], SATISFIED),
        row("December, 182 days on its last day", "2026-07-02", [draft_collection("2026-12")], FLAGGED),
        row(
            "a planned date that has passed counts no more: 183 days to today",
            "2026-05-21",
            [draft_collection("2026-11-18")],
            SATISFIED,
        ),
        row(
            "a planned date before the last dose counts no more",
            "2026-11-05",
            [draft_collection("2026-10-01")],
            FLAGGED,
        ),
    ],
)
def test_days_are_counted_to_the_planned_collection(last_dose: str, orders: list[Resource], expected: str) -> None:
    assert outcome(sign([given("teclistamab", last_dose)], *orders), "R01") == expected


def test_a_planned_date_that_has_passed_gives_no_negative_interval() -> None:
    assessment = sign([given("teclistamab", "2026-11-05")], draft_collection("2026-10-01"))

    assert card(assessment, "R01")["summary"].startswith("Teclistamab last given 15 d before CAR T collection")


def test_a_collection_that_lies_beside_the_selected_product_gives_the_date() -> None:
    beside = [draft_collection(PLANNED)]

    long_enough = select(
        [given("teclistamab", days_after(PLANNED, -183))], draft_drug("ciltacabtagene autoleucel"), beside=beside
    )
    too_short = select(
        [given("teclistamab", days_after(PLANNED, -182))], draft_drug("ciltacabtagene autoleucel"), beside=beside
    )

    assert outcome(long_enough, "R01") == SATISFIED
    assert outcome(too_short, "R01") == FLAGGED


COLLECTED = procedure("38225", "2026-09-28")
TALQUETAMAB_BRIDGE = reported("talquetamab", "2026-10-05", "2026-11-10")


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("182 days before the collection", [COLLECTED, given("teclistamab", "2026-03-30")], FLAGGED),
        row("183 days before the collection", [COLLECTED, given("teclistamab", "2026-03-29")], SATISFIED),
        row("talquetamab as bridge after the collection", [COLLECTED, TALQUETAMAB_BRIDGE], SATISFIED),
        row(
            "a BCMA bispecific only after the collection is a question of bridging",
            [COLLECTED, given("teclistamab", "2026-10-20")],
            SATISFIED,
        ),
        row(
            "before and after the collection: the last dose before it is not known",
            [COLLECTED, reported("teclistamab", "2026-01-05", "2026-10-20")],
            CANNOT_TELL,
        ),
        row(
            "begun within six months of the collection and given on after it",
            [COLLECTED, reported("teclistamab", "2026-06-01", "2026-10-20")],
            FLAGGED,
        ),
        row(
            "collected 180 days ago: the cells are still waited for, and later doses are bridging",
            [procedure("38225", days_ago(180)), given("teclistamab", "2026-07-01")],
            SATISFIED,
        ),
        row(
            "the collected cells have been infused: the next ones need a new collection",
            [procedure("38225", "2026-06-15"), infusion("2026-08-01"), given("teclistamab", "2026-11-05")],
            FLAGGED,
        ),
        row(
            "an infusion before the collection did not use it up",
            [infusion("2025-01-10"), COLLECTED, given("teclistamab", "2026-10-20")],
            SATISFIED,
        ),
        row(
            "collected twice: the later collection counts, whatever the records are called",
            [
                procedure("38225", "2026-10-12", id="a"),
                procedure("38225", "2026-07-06", id="b"),
                given("teclistamab", "2026-08-03"),
            ],
            FLAGGED,
        ),
        row(
            "a collection that was not done does not count",
            [procedure("38225", "2026-09-28", status="not-done"), given("teclistamab", "2026-10-20")],
            FLAGGED,
        ),
        row(
            "nor one that is being prepared",
            [procedure("38225", "2026-09-28", status="preparation"), given("teclistamab", "2026-10-20")],
            FLAGGED,
        ),
        row(
            "nor one entered in error",
            [procedure("38225", "2026-09-28", status="entered-in-error"), given("teclistamab", "2026-10-20")],
            FLAGGED,
        ),
        row("a collection without a date", [procedure("38225", None), given("teclistamab", "2026-10-20")], CANNOT_TELL),
    ],
)
def test_days_are_counted_to_a_collection_that_was_done(history: list[Resource], expected: str) -> None:
    assert outcome(sign(history, draft_drug("fludarabine")), "R01") == expected
    assert outcome(sign(history, draft_infusion()), "R01") == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        row("180 days ago: the cells are still waited for", 180, SATISFIED),
        row("181 days ago without infusion: abandoned, a new collection has to come", 181, FLAGGED),
    ],
)
def test_a_new_product_order_and_an_old_collection(days: int, expected: str) -> None:
    history = [procedure("38225", days_ago(days)), given("teclistamab", "2026-07-01")]

    assert outcome(sign(history, draft_drug("ciltacabtagene autoleucel")), "R01") == expected


def test_a_card_about_a_collection_that_was_done_asks_for_no_new_date() -> None:
    assessment = sign([COLLECTED, given("teclistamab", "2026-08-29")], draft_infusion())

    shown = card(assessment, "R01")
    assert shown["summary"] == (
        "Teclistamab last given 30 d before the T cells were collected (2026-09-28); ≥183 d advised."
    )
    assert "Move" not in shown["detail"]


TALQUETAMAB = reported("talquetamab", "2025-06-02", "2025-12-01")
NOT_PROPOSED = (
    "No talquetamab is proposed: the myeloma has progressed after it, or another drug against GPRC5D, was given."
)


@pytest.mark.parametrize(
    ("history", "order", "is_said"),
    [
        row("progressed on talquetamab", [TALQUETAMAB, progression("2025-11-10")], draft_collection(), True),
        row("some months after it", [TALQUETAMAB, progression("2026-02-10")], draft_collection(), True),
        row(
            "on another drug against GPRC5D",
            [given("forimtamig", "2025-06-02"), progression("2026-02-10")],
            draft_collection(),
            True,
        ),
        row(
            "beside a collection that was done",
            [TALQUETAMAB, progression("2026-02-10"), COLLECTED],
            draft_infusion(),
            True,
        ),
        row(
            "beside another BCMA drug of no date",
            [TALQUETAMAB, progression("2026-02-10"), reported("elranatamab", status="active")],
            draft_collection(),
            True,
        ),
        row("given, and no progression", [TALQUETAMAB], draft_collection(), False),
        row("progressed before it", [progression("2025-05-12"), TALQUETAMAB], draft_collection(), False),
        row("never given", [progression("2026-02-10")], draft_collection(), False),
        row(
            "only ordered", [ordered("talquetamab", "2025-06-02"), progression("2026-02-10")], draft_collection(), False
        ),
        row("progressed on a day that nobody knows", [TALQUETAMAB, progression(None)], draft_collection(), False),
    ],
)
def test_talquetamab_that_has_failed_is_no_way_to_hold_the_disease(
    history: list[Resource], order: Resource, is_said: bool
) -> None:
    shown = card(sign([*history, given("teclistamab", "2026-09-01")], order), "R01")

    assert shown["detail"].count(NOT_PROPOSED) == is_said
    assert ("Talquetamab binds GPRC5D, not BCMA" in shown["detail"]) == (not is_said)
    assert ("talquetamab" in drafts_in(shown)) == (not is_said)


def test_a_card_of_two_rules_says_once_that_talquetamab_has_failed() -> None:
    history = [TALQUETAMAB, progression("2026-02-10"), given("teclistamab", "2026-09-01"), progression("2026-09-20")]

    shown = card(select(history, draft_drug("ciltacabtagene autoleucel")), "R05")

    assert [spoken["id"] for spoken in shown["extension"]["mmcds.rules"]] == ["R05", "R01"]
    assert shown["detail"].count(NOT_PROPOSED) == 1


def test_a_new_collection_is_not_answered_by_an_old_one() -> None:
    history = [COLLECTED, given("teclistamab", "2026-10-20")]

    assert outcome(sign(history, draft_collection()), "R01") == FLAGGED


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("given, entered in error", [given("teclistamab", "2026-09-01", "entered-in-error")], SATISFIED),
        row(
            "reported, entered in error",
            [reported("teclistamab", "2026-08-01", "2026-09-01", "entered-in-error")],
            SATISFIED,
        ),
        row(
            "the newest version takes an older one back",
            [
                given("teclistamab", "2026-09-01", id="one", meta={"versionId": "1"}),
                given("teclistamab", "2026-09-01", "entered-in-error", id="one", meta={"versionId": "2"}),
            ],
            SATISFIED,
        ),
        row("not taken", [reported("teclistamab", "2026-08-01", "2026-09-01", "not-taken")], SATISFIED),
        row("not done", [given("teclistamab", "2026-09-01", "not-done")], SATISFIED),
        row("intended for December", [reported("teclistamab", "2026-12-01", status="intended")], SATISFIED),
        row("stored as a draft", [ordered("teclistamab", "2026-11-01", "draft")], SATISFIED),
        row("proposed", [ordered("teclistamab", "2026-11-01", intent="proposal")], SATISFIED),
        row("cancelled order", [ordered("teclistamab", "2026-11-01", "cancelled")], SATISFIED),
        row("waiting order", [ordered("teclistamab", "2026-11-01", "on-hold")], SATISFIED),
        row("completed use", [reported("teclistamab", "2026-06-01", "2026-11-05")], FLAGGED),
        row("stopped is not never given", [reported("teclistamab", "2026-06-01", "2026-11-05", "stopped")], FLAGGED),
        row("infusion being given", [given("teclistamab", "2026-11-20", "in-progress")], FLAGGED),
        row("infusion broken off", [given("teclistamab", "2026-11-05", "stopped")], FLAGGED),
        row("of unknown status", [reported("teclistamab", "2026-06-01", "2026-11-05", "unknown")], CANNOT_TELL),
        row(
            "of unknown status, but too long ago to matter",
            [reported("teclistamab", "2025-01-01", "2025-06-01", "unknown")],
            SATISFIED,
        ),
        row(
            "on hold, with no word of a dose",
            [reported("teclistamab", "2026-06-01", status="on-hold", asserted="2026-11-10")],
            CANNOT_TELL,
        ),
        row(
            "on hold, and doses are documented",
            [RECENT, reported("teclistamab", "2026-06-01", status="on-hold", asserted="2026-11-10")],
            FLAGGED,
        ),
        row("ordered alone, recently", [ordered("teclistamab", "2026-10-01")], CANNOT_TELL),
        row(
            "ordered long ago and never ended: may be given today", [ordered("teclistamab", "2024-10-01")], CANNOT_TELL
        ),
        row(
            "ordered alone, its supply ended 183 days ago",
            [ordered("teclistamab", "2026-01-05", "completed", until=days_ago(183))],
            SATISFIED,
        ),
        row(
            "ordered alone, its supply ended 182 days ago",
            [ordered("teclistamab", "2026-01-05", "completed", until=days_ago(182))],
            CANNOT_TELL,
        ),
        row(
            "ordered, and the doses of that order were not taken",
            [
                ordered("teclistamab", "2026-10-01", id="rx"),
                reported("teclistamab", status="not-taken", basedOn=[{"reference": "MedicationRequest/rx"}]),
            ],
            SATISFIED,
        ),
        row("the date of an assertion is no dose date", [reported("teclistamab", asserted="2025-01-05")], CANNOT_TELL),
        row("a completed use without dates", [reported("teclistamab")], CANNOT_TELL),
        row(
            "a weaker record does not move the last dose back",
            [reported("teclistamab", "2026-01-05", "2026-03-01"), RECENT],
            FLAGGED,
        ),
        row(
            "nor does an older dose",
            [given("teclistamab", "2025-01-05"), RECENT],
            FLAGGED,
        ),
        row(
            "two drugs: the one given recently decides",
            [given("elranatamab", "2025-01-05"), RECENT],
            FLAGGED,
        ),
        row("never given", [], SATISFIED),
    ],
)
def test_what_counts_as_given(history: list[Resource], expected: str) -> None:
    assert outcome(sign(history, draft_collection()), "R01") == expected


@pytest.mark.parametrize(
    ("asserted", "summary"),
    [
        row(
            "asserted 90 days ago: taken as ongoing",
            days_ago(90),
            "Teclistamab is still listed as ongoing; ≥183 d before CAR T collection advised (earliest 2027-05-22).",
        ),
        row(
            "asserted 91 days ago: may have ended on any day since",
            days_ago(91),
            "Teclistamab last given 0 to 91 d before CAR T collection; ≥183 d advised (earliest 2027-05-22).",
        ),
        row(
            "asserted 182 days ago: too short on any day since",
            days_ago(182),
            "Teclistamab last given 0 to 182 d before CAR T collection; ≥183 d advised (earliest 2027-05-22).",
        ),
        row("asserted 183 days ago: may have ended long enough ago", days_ago(183), None),
        row("never asserted: may have ended on any day", None, None),
    ],
)
def test_an_open_ended_statement(asserted: str | None, summary: str | None) -> None:
    history = [reported("teclistamab", "2026-01-05", status="active", asserted=asserted)]

    assessment = sign(history, draft_collection())

    if summary is None:
        assert outcome(assessment, "R01") == CANNOT_TELL
    else:
        assert card(assessment, "R01")["summary"] == summary


def test_toxicity_half_a_year_ago_leaves_nothing_to_say() -> None:
    """Neither the interval nor a change of antigen is a question then."""
    history = [
        reported("teclistamab", "2025-11-03", "2026-05-04", "stopped", statusReason=[{"text": "Toxicity"}]),
        *PROTECTED,
    ]

    assessment = select(history, draft_drug("ciltacabtagene autoleucel"))

    assert (outcome(assessment, "R01"), outcome(assessment, "R05")) == (SATISFIED, SATISFIED)
    assert codes_besides_care(assessment, besides=PREFERENCES) == []


def test_an_ongoing_course_has_no_interval_to_a_later_collection_either() -> None:
    history = [reported("elranatamab", "2026-06-01", status="active", asserted="2026-11-01")]

    assessment = sign(history, draft_drug("ciltacabtagene autoleucel", "2027-08-01"))

    assert card(assessment, "R01")["summary"].startswith("Elranatamab is still listed as ongoing")


@pytest.mark.parametrize(
    ("history", "raw", "expected"),
    [
        row("administrations unread: never given?", [], {"without": ["medicationAdministrations"]}, CANNOT_TELL),
        row("statements unread: never given?", [], {"without": ["medicationStatements"]}, CANNOT_TELL),
        row("orders unread: never given?", [], {"without": ["medicationRequests"]}, CANNOT_TELL),
        row(
            "long ago, but later doses may be unread",
            [given("teclistamab", "2025-01-05")],
            {"without": ["medicationStatements"]},
            CANNOT_TELL,
        ),
        row("recent, whatever else is unread", [RECENT], {"without": ["medicationStatements"]}, FLAGGED),
        row(
            "every medication list read, and all of them empty: proves nothing",
            [],
            {"medicationStatements": None},
            CANNOT_TELL,
        ),
        row("an antibody that nobody knows", [given("xyzutamab", "2026-11-05")], {}, CANNOT_TELL),
        row("study treatment", [given("study protocol INV-7", "2026-11-05")], {}, CANNOT_TELL),
        row("recent, whatever else was given", [RECENT, given("xyzutamab", "2026-11-05")], {}, FLAGGED),
        row("observations and allergies do not matter", [], {"without": ["observations", "allergies"]}, SATISFIED),
    ],
)
def test_what_was_not_read_or_not_recognised(history: list[Resource], raw: dict[str, object], expected: str) -> None:
    assert outcome(sign(history, draft_collection(), **raw), "R01") == expected


def test_an_order_that_was_never_given_is_named_on_the_data_gap_card() -> None:
    assessment = sign([ordered("teclistamab", "2026-10-01")], draft_collection())

    shown = card(assessment, "R00")
    assert "whether teclistamab was given at all" in shown["detail"]
    assert "MedicationRequest 2026-10-01" in text_of(shown)


def test_lymphodepletion_needs_cells_so_an_old_collection_still_counts() -> None:
    history = [procedure("38225", "2026-05-01"), reported("teclistamab", "2026-05-20", "2026-10-20")]

    answer = sign(history, draft_drug("fludarabine"))

    assert outcome(answer, "R01") == SATISFIED


def test_a_collection_of_unknown_date_leaves_the_interval_open() -> None:
    history = [procedure("38225", None), given("teclistamab", "2026-04-01")]

    answer = sign(history, draft_drug("ciltacabtagene autoleucel"))

    assert outcome(answer, "R01") == CANNOT_TELL
    assert "the date of the T-cell collection" in card(answer, "R00")["detail"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        row("a dose charted as a procedure, in words", "Teclistamab (Tecvayli) subcutaneous injection", FLAGGED),
        row("teaching about the drug", "Education about teclistamab injection", SATISFIED),
    ],
)
def test_a_bispecific_given_as_a_procedure(record: str, expected: str) -> None:
    done = procedure("", "2026-11-01") | {"code": {"text": record}}

    assert outcome(sign([done], draft_collection()), "R01") == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("the product in words", "Carvykti (ciltacabtagene autoleucel)", FLAGGED),
        row("cells against lymphoma", "Yescarta infusion", NOT_APPLICABLE),
        row("a visit to talk about it", "CAR-T consult", NOT_APPLICABLE),
    ],
)
def test_car_t_orders_in_words(order: str, expected: str) -> None:
    asked = draft_service("") | {"code": {"text": order}}

    assert outcome(sign([given("teclistamab", "2026-11-05")], asked), "R01") == expected


def test_a_cell_therapy_order_without_product_is_named_on_the_data_gap_card() -> None:
    asked = draft_service("") | {"code": {"text": "CAR-T cell therapy"}}

    assert codes_besides_care(sign([given("teclistamab", "2026-11-05")], asked)) == ["R00"]


# --- moving the draft to the first day that is long enough ---

LAST_IN_MAY = given("teclistamab", "2026-05-22")
CILTA_CEL = "ciltacabtagene autoleucel"
BOOKED = service_request("T-cell apheresis", "2026-11-02", on="2026-11-20")


@pytest.mark.parametrize(
    ("history", "orders", "moves"),
    [
        row("a collection", [LAST_IN_MAY], [draft_collection("2026-11-20")], ["Move T-cell collection to 2026-11-21"]),
        row(
            "one without a day gets one", [LAST_IN_MAY], [draft_collection()], ["Move T-cell collection to 2026-11-21"]
        ),
        row(
            "a vague last dose: long enough on any of its days",
            [given("teclistamab", "2026-06")],
            [draft_collection("2026-11-25")],
            ["Move T-cell collection to 2026-12-30"],
        ),
        row(
            "a product, when nothing else says when cells are collected",
            [LAST_IN_MAY],
            [draft_drug(CILTA_CEL, "2026-11-20")],
            [f"Move {CILTA_CEL} to 2026-11-21"],
        ),
        row("a product without a day has none to move", [LAST_IN_MAY], [draft_drug(CILTA_CEL)], []),
        row(
            "the collection beside the product sets the day: it alone is moved",
            [LAST_IN_MAY],
            [draft_drug(CILTA_CEL, "2026-12-20"), draft_collection("2026-11-20")],
            ["Move T-cell collection to 2026-11-21"],
        ),
        row(
            "so does a collection in the calendar, which is no draft",
            [LAST_IN_MAY, BOOKED],
            [draft_drug(CILTA_CEL, "2026-12-20")],
            [],
        ),
        row(
            "lymphodepletion on another day changes nothing: its cells are collected",
            [LAST_IN_MAY],
            [draft_drug("fludarabine", "2026-11-20")],
            [],
        ),
        row("nor does an infusion", [LAST_IN_MAY], [draft_infusion("2026-11-20")], []),
        row(
            "cells that were collected are as they are",
            [given("teclistamab", "2026-08-29"), procedure("38225", "2026-09-28")],
            [draft_drug(CILTA_CEL, "2026-11-25")],
            [],
        ),
        row(
            "still going on: if today were the last dose",
            [reported("teclistamab", "2026-01-05", status="active", asserted="2026-11-01")],
            [draft_collection("2026-12-10")],
            ["Move T-cell collection to 2027-05-22"],
        ),
        row(
            "still going on, and planned for that very day",
            [reported("teclistamab", "2026-01-05", status="active", asserted="2026-11-01")],
            [draft_collection("2027-05-22")],
            [],
        ),
        row(
            "still going on, and planned for later: no order is moved forward",
            [reported("teclistamab", "2026-01-05", status="active", asserted="2026-11-01")],
            [draft_collection("2027-08-01")],
            [],
        ),
        row(
            "two of them: the one that takes longer sets the day",
            [given("elranatamab", "2026-06-20"), given("teclistamab", "2026-11-05")],
            [draft_collection()],
            ["Move T-cell collection to 2027-05-07"],
        ),
    ],
)
def test_the_draft_that_sets_the_day_may_be_moved(
    history: list[Resource], orders: list[Resource], moves: list[str]
) -> None:
    shown = card(sign(history, *orders), "R01")

    assert moves_in(shown) == moves
    assert "Myeloma board review" in drafts_in(shown)


def test_the_latest_day_that_any_rule_asks_for_is_offered() -> None:
    history = [LAST_IN_MAY, given("bortezomib", "2026-11-10")]

    answer = sign(history, draft_collection())

    assert moves_in(card(answer, "R01")) == []
    assert moves_in(card(answer, "R11")) == ["Move T-cell collection to 2026-11-24"]


def test_of_two_drugs_the_one_that_takes_longer_is_named() -> None:
    history = [given("elranatamab", "2026-06-20"), given("teclistamab", "2026-11-05")]

    summary = card(sign(history, draft_collection()), "R01")["summary"]

    assert summary.startswith("Teclistamab last given 15 d before CAR T collection")
    assert "(earliest 2027-05-07)" in summary


@pytest.mark.parametrize(
    ("other", "is_in_doubt"),
    [
        row("none", None, False),
        row("given long ago", given("elranatamab", "2025-01-05"), False),
        row("ordered alone", ordered("elranatamab", "2026-10-01"), True),
        row("a dose without a date", given("elranatamab", None), True),
    ],
)
def test_no_day_is_offered_while_another_drug_is_in_doubt(other: Resource | None, is_in_doubt: bool) -> None:
    history = [LAST_IN_MAY, other] if other else [LAST_IN_MAY]

    shown = card(sign(history, draft_collection()), "R01")

    assert ("No other day is offered" in shown["detail"]) == is_in_doubt
    assert bool(moves_in(shown)) != is_in_doubt


@pytest.mark.parametrize(
    ("last_dose", "expected"),
    [
        row("183 days to the day in the calendar, fewer to today", days_after(PLANNED, -183), SATISFIED),
        row("182 days to the day in the calendar", days_after(PLANNED, -182), FLAGGED),
    ],
)
def test_days_are_counted_to_a_collection_in_the_calendar(last_dose: str, expected: str) -> None:
    history = [given("teclistamab", last_dose), service_request("T-cell apheresis", "2026-11-02", on=PLANNED)]

    assert outcome(sign(history, draft_drug(CILTA_CEL)), "R01") == expected
    assert outcome(sign(history, draft_drug(CILTA_CEL), without=["serviceRequests"]), "R01") == FLAGGED


@pytest.mark.parametrize("without", ["serviceRequests", "appointments"])
def test_nobody_waits_for_the_calendar(without: str) -> None:
    assert outcome(sign([], draft_collection(), without=[without]), "R01") == SATISFIED
