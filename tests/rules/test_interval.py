"""R03 and R13: how long before the collection another T-cell engager, or a BCMA conjugate, was last given.

"Today" is 2026-11-20. Unless a row says otherwise, a T-cell collection without a date is being signed, so that the
days are counted to today. R03 asks for 28 days, R13 for 183.
"""

import pytest

from tests.build import (
    Resource,
    appointment,
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
    reported,
    service_request,
)
from tests.rules.table import (
    CANNOT_TELL,
    FLAGGED,
    NOT_APPLICABLE,
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
    view,
)

TALQUETAMAB = given("talquetamab", "2026-11-05")
BELANTAMAB = given("belantamab mafodotin", "2026-09-21")
PLANNED = "2026-12-10"


def collection_for(product: str) -> Resource:
    """Draft the collection of T cells for one product."""
    return draft_service("") | {"code": {"text": f"T-cell apheresis for {product}"}}


# --- R03: a T-cell engager against another antigen than the cells ---


@pytest.mark.parametrize(
    ("last_dose", "expected"),
    [
        row("given today", days_ago(0), FLAGGED),
        row("15 days", days_ago(15), FLAGGED),
        row("27 days: one day short", days_ago(27), FLAGGED),
        row("28 days: long enough", days_ago(28), SATISFIED),
        row("29 days", days_ago(29), SATISFIED),
        row("some day of November, 0 to 19 days", "2026-11", FLAGGED),
        row("some day of October, 20 to 50 days", "2026-10", CANNOT_TELL),
        row("some day of September, 51 to 80 days", "2026-09", SATISFIED),
        row("some day of this year", "2026", CANNOT_TELL),
        row("some day of last year", "2025", SATISFIED),
        row("a dose without a date", None, CANNOT_TELL),
    ],
)
def test_days_between_an_engager_and_the_collection(last_dose: str | None, expected: str) -> None:
    assert outcome(sign([given("talquetamab", last_dose)], draft_collection()), "R03") == expected


def test_what_is_open_about_an_engager_is_not_worth_a_card() -> None:
    assert codes_besides_care(sign([given("talquetamab", "2026-10")], draft_collection())) == []


@pytest.mark.parametrize(
    ("drug", "expected"),
    [
        row("GPRC5D", "talquetamab", FLAGGED),
        row("FcRH5, known from trials", "cevostamab", FLAGGED),
        row("BCMA: R01 asks for more than this", "teclistamab", SATISFIED),
        row("a conjugate engages no T cells", "belantamab mafodotin", SATISFIED),
        row("nor does a naked antibody", "daratumumab", SATISFIED),
        row("an engager for lymphoma is not known here", "glofitamab", SATISFIED),
    ],
)
def test_which_engagers_count(drug: str, expected: str) -> None:
    assert outcome(sign([given(drug, "2026-11-05")], draft_collection()), "R03") == expected


@pytest.mark.parametrize(
    ("product", "drug", "r01", "r03"),
    [
        row("BCMA cells, BCMA engager", "ciltacabtagene autoleucel", "teclistamab", FLAGGED, SATISFIED),
        row("BCMA cells, GPRC5D engager", "ciltacabtagene autoleucel", "talquetamab", SATISFIED, FLAGGED),
        row("GPRC5D cells: no other rule asks", "arlocabtagene autoleucel", "teclistamab", NOT_APPLICABLE, FLAGGED),
        row("GPRC5D cells and engager", "arlocabtagene autoleucel", "talquetamab", NOT_APPLICABLE, FLAGGED),
    ],
)
def test_the_engager_is_another_than_the_one_that_r01_asks_about(product: str, drug: str, r01: str, r03: str) -> None:
    answer = sign([given(drug, "2026-11-05")], collection_for(product))

    assert outcome(answer, "R01") == r01
    assert outcome(answer, "R03") == r03


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("the collection", draft_collection(), FLAGGED),
        row("in words", collection_for("CAR T"), FLAGGED),
        row(
            "the product: after the collection it is a bridge", draft_drug("ciltacabtagene autoleucel"), NOT_APPLICABLE
        ),
        row("its infusion", draft_infusion(), NOT_APPLICABLE),
        row("lymphodepletion", draft_drug("fludarabine"), NOT_APPLICABLE),
        row("another engager", draft_drug("elranatamab"), NOT_APPLICABLE),
        row("stem cells", draft_service("38206"), NOT_APPLICABLE),
    ],
)
def test_a_rest_is_asked_for_before_the_collection_alone(order: Resource, expected: str) -> None:
    assert outcome(sign([TALQUETAMAB], order), "R03") == expected


def test_the_rest_is_asked_for_when_the_collection_is_signed() -> None:
    assert outcome(select([TALQUETAMAB], draft_collection()), "R03") == NOT_APPLICABLE
    assert outcome(view([TALQUETAMAB]), "R03") == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("last_dose", "collection", "expected"),
    [
        row("27 days to the planned day", days_after(PLANNED, -27), draft_collection(PLANNED), FLAGGED),
        row(
            "28 days to the planned day, fewer to today", days_after(PLANNED, -28), draft_collection(PLANNED), SATISFIED
        ),
        row("a day that has passed is none: 27 to today", days_ago(27), draft_collection("2026-11-01"), FLAGGED),
        row("a new one is not answered by an old one", days_ago(27), draft_collection(), FLAGGED),
    ],
)
def test_the_rest_is_counted_to_the_planned_collection(last_dose: str, collection: Resource, expected: str) -> None:
    history = [given("talquetamab", last_dose), procedure("38225", "2026-08-03")]

    assert outcome(sign(history, collection), "R03") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("never given", [], SATISFIED),
        row("entered in error", [given("talquetamab", "2026-11-05", "entered-in-error")], SATISFIED),
        row("not taken", [reported("talquetamab", "2026-11-01", "2026-11-05", "not-taken")], SATISFIED),
        row("intended", [reported("talquetamab", "2026-12-01", status="intended")], SATISFIED),
        row("of unknown status", [reported("talquetamab", "2026-11-01", "2026-11-05", "unknown")], CANNOT_TELL),
        row("on hold", [reported("talquetamab", "2026-06-01", status="on-hold", asserted="2026-11-10")], CANNOT_TELL),
        row("ordered alone", [ordered("talquetamab", "2026-11-01")], CANNOT_TELL),
        row("given before, and ordered again", [TALQUETAMAB, ordered("talquetamab", "2026-11-10")], FLAGGED),
    ],
)
def test_what_counts_as_an_engager_given(history: list[Resource], expected: str) -> None:
    assert outcome(sign(history, draft_collection()), "R03") == expected


@pytest.mark.parametrize(
    ("history", "without", "expected"),
    [
        row("never given? Administrations are unread", [], "medicationAdministrations", CANNOT_TELL),
        row("never given? Statements are unread", [], "medicationStatements", CANNOT_TELL),
        row("given, whatever is unread", [TALQUETAMAB], "medicationStatements", FLAGGED),
        row("the calendar only helps", [], "appointments", SATISFIED),
        row("procedures have no say in it", [], "procedures", SATISFIED),
    ],
)
def test_what_was_not_read_about_an_engager(history: list[Resource], without: str, expected: str) -> None:
    assert outcome(sign(history, draft_collection(), without=[without]), "R03") == expected


def test_the_card_of_a_rest_that_is_short() -> None:
    shown = card(sign([TALQUETAMAB], draft_collection()), "R03")

    assert shown["summary"] == (
        "Talquetamab last given 15 d before T-cell collection: check T-cell recovery with the CAR T centre."
    )
    assert shown["indicator"] == "info"
    assert "Counted to 2026-11-20 (today, as no later date is ordered): 15 days" in shown["detail"]
    assert "MedicationAdministration 2026-11-05" in shown["detail"]
    assert (drafts_in(shown), moves_in(shown)) == (["Complete blood count with differential"], [])


def test_the_card_of_an_engager_that_goes_on() -> None:
    history = [reported("talquetamab", "2026-06-01", status="active", asserted="2026-11-01")]

    assert card(sign(history, draft_collection(PLANNED)), "R03")["summary"] == (
        "Talquetamab is still listed as ongoing before T-cell collection: check T-cell recovery with the CAR T centre."
    )


def test_of_two_engagers_the_one_given_last_is_named() -> None:
    history = [given("talquetamab", "2026-10-30"), given("cevostamab", "2026-11-10")]

    assert card(sign(history, draft_collection()), "R03")["summary"].startswith("Cevostamab last given 10 d")


# --- R13: a BCMA antibody-drug conjugate ---


@pytest.mark.parametrize(
    ("last_dose", "expected"),
    [
        row("60 days", "2026-09-21", FLAGGED),
        row("182 days: one day short", days_ago(182), FLAGGED),
        row("183 days: long enough", days_ago(183), SATISFIED),
        row("184 days", days_ago(184), SATISFIED),
        row("some day of June, 143 to 172 days", "2026-06", FLAGGED),
        row("some day of May, 173 to 203 days", "2026-05", CANNOT_TELL),
        row("some day of April, 204 to 233 days", "2026-04", SATISFIED),
        row("some day of this year", "2026", CANNOT_TELL),
        row("a dose without a date", None, CANNOT_TELL),
    ],
)
def test_days_between_a_conjugate_and_the_collection(last_dose: str | None, expected: str) -> None:
    history = [given("belantamab mafodotin", last_dose)]

    assert outcome(sign(history, draft_collection()), "R13") == expected
    assert outcome(select(history, draft_collection()), "R13") == expected


def test_what_is_open_about_a_conjugate_is_not_worth_a_card() -> None:
    assert codes_besides_care(sign([given("belantamab mafodotin", "2026-05")], draft_collection())) == []


@pytest.mark.parametrize(
    ("drug", "r01", "r13"),
    [
        row("a conjugate", "belantamab mafodotin", SATISFIED, FLAGGED),
        row("a bispecific is R01's", "teclistamab", FLAGGED, SATISFIED),
        row("another antigen", "talquetamab", SATISFIED, SATISFIED),
        row("cells", "idecabtagene vicleucel", SATISFIED, SATISFIED),
    ],
)
def test_bispecific_and_conjugate_each_have_their_rule(drug: str, r01: str, r13: str) -> None:
    answer = sign([given(drug, "2026-10-01")], draft_collection())

    assert (outcome(answer, "R01"), outcome(answer, "R13")) == (r01, r13)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("collection", draft_collection(), FLAGGED),
        row("product", draft_drug("ciltacabtagene autoleucel"), FLAGGED),
        row("infusion of no named product", draft_infusion(), FLAGGED),
        row("lymphodepletion", draft_drug("fludarabine"), FLAGGED),
        row("cells against another antigen", draft_drug("arlocabtagene autoleucel"), NOT_APPLICABLE),
        row("their collection", collection_for("arlocabtagene autoleucel"), NOT_APPLICABLE),
        row("a bispecific", draft_drug("elranatamab"), NOT_APPLICABLE),
        row("the conjugate itself", draft_drug("belantamab mafodotin"), NOT_APPLICABLE),
    ],
)
def test_before_which_orders_a_conjugate_matters(order: Resource, expected: str) -> None:
    assert outcome(sign([BELANTAMAB], order), "R13") == expected
    assert outcome(view([BELANTAMAB]), "R13") == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("182 days before the collection", [given("belantamab mafodotin", "2026-03-30")], FLAGGED),
        row("183 days before the collection", [given("belantamab mafodotin", "2026-03-29")], SATISFIED),
        row("after the collection it is a bridge", [given("belantamab mafodotin", "2026-10-20")], SATISFIED),
        row(
            "before it and after it: the last dose before is not known",
            [reported("belantamab mafodotin", "2026-01-05", "2026-10-20")],
            CANNOT_TELL,
        ),
    ],
)
def test_a_conjugate_before_cells_that_are_waiting(history: list[Resource], expected: str) -> None:
    assert outcome(sign([procedure("38225", "2026-09-28"), *history], draft_infusion()), "R13") == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        row("collected 180 days ago: still waiting, so that later doses are bridging", 180, SATISFIED),
        row("collected 181 days ago: abandoned", 181, FLAGGED),
    ],
)
def test_a_conjugate_and_an_old_collection(days: int, expected: str) -> None:
    history = [procedure("38225", days_ago(days)), BELANTAMAB]

    assert outcome(sign(history, draft_drug("ciltacabtagene autoleucel")), "R13") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("never given", [], SATISFIED),
        row("entered in error", [given("belantamab mafodotin", "2026-09-21", "entered-in-error")], SATISFIED),
        row("not taken", [reported("belantamab mafodotin", "2026-09-01", "2026-09-21", "not-taken")], SATISFIED),
        row(
            "of unknown status", [reported("belantamab mafodotin", "2026-09-01", "2026-09-21", "unknown")], CANNOT_TELL
        ),
        row("ordered alone", [ordered("belantamab mafodotin", "2026-09-21")], CANNOT_TELL),
        row("waiting order", [ordered("belantamab mafodotin", "2026-09-21", "on-hold")], SATISFIED),
    ],
)
def test_what_counts_as_a_conjugate_given(history: list[Resource], expected: str) -> None:
    assert outcome(sign(history, draft_collection()), "R13") == expected


@pytest.mark.parametrize(
    ("order", "without", "expected"),
    [
        row("statements", draft_collection(), "medicationStatements", CANNOT_TELL),
        row("procedures, before a collection", draft_collection(), "procedures", SATISFIED),
        row("the calendar only helps", draft_collection(), "serviceRequests", SATISFIED),
        row("observations", draft_collection(), "observations", SATISFIED),
    ],
)
def test_what_was_not_read_about_a_conjugate(order: Resource, without: str, expected: str) -> None:
    assert outcome(sign([], order, without=[without]), "R13") == expected


def test_long_enough_to_today_is_not_long_enough_to_a_collection_that_is_unread() -> None:
    history = [given("belantamab mafodotin", days_ago(200))]

    assert outcome(sign(history, draft_infusion()), "R13") == SATISFIED
    assert outcome(sign(history, draft_infusion(), without=["procedures"]), "R13") == CANNOT_TELL


@pytest.mark.parametrize(
    ("history", "order", "summary"),
    [
        row(
            "before a collection to come",
            [BELANTAMAB],
            draft_collection(),
            "Belantamab mafodotin last given 60 d before CAR T collection: response to BCMA CAR T may be lower.",
        ),
        row(
            "still going on",
            [reported("belantamab mafodotin", "2026-06-01", status="active", asserted="2026-11-01")],
            draft_collection(),
            "Belantamab mafodotin is still listed as ongoing before CAR T collection: "
            "response to BCMA CAR T may be lower.",
        ),
        row(
            "before a collection that was done",
            [given("belantamab mafodotin", "2026-08-29"), procedure("38225", "2026-09-28")],
            draft_infusion(),
            "Belantamab mafodotin given 30 d before T cells were collected (2026-09-28): response may be lower.",
        ),
    ],
)
def test_the_card_about_a_conjugate(history: list[Resource], order: Resource, summary: str) -> None:
    shown = card(sign(history, order), "R13")

    assert (shown["summary"], shown["indicator"]) == (summary, "info")
    assert "suggestions" not in shown


# --- the day to count to, for all rules about a collection ---

IN_CALENDAR = [
    row("an appointment", appointment("T-cell collection", f"{PLANNED}T08:00:00-05:00")),
    row("a stored request", service_request("T-cell apheresis", "2026-11-02", on=PLANNED)),
]


@pytest.mark.parametrize("booked", IN_CALENDAR)
def test_a_collection_in_the_calendar_is_the_day_to_count_to(booked: Resource) -> None:
    product = draft_drug("ciltacabtagene autoleucel", "2027-01-20")
    long_enough = sign([given("belantamab mafodotin", days_after(PLANNED, -183)), booked], product)
    too_short = sign([given("belantamab mafodotin", days_after(PLANNED, -182)), booked], product)

    assert outcome(long_enough, "R13") == SATISFIED
    assert outcome(too_short, "R13") == FLAGGED
    assert f"Counted to {PLANNED} (T-cell collection in the calendar)" in text_of(card(too_short, "R13"))


@pytest.mark.parametrize(
    ("history", "counted_to"),
    [
        row("two of them: the first", ["2026-12-10", "2026-12-05"], "2026-12-05"),
        row("one that has passed", ["2026-11-19"], "2026-11-20"),
        row("one today", ["2026-11-20"], "2026-11-20"),
        row("without a day", [None], "2026-11-20"),
    ],
)
def test_which_day_of_the_calendar_counts(history: list[str | None], counted_to: str) -> None:
    booked = [service_request("T-cell apheresis", "2026-11-02", on=day) for day in history]

    answer = sign([BELANTAMAB, *booked], draft_drug("ciltacabtagene autoleucel"))

    assert f"Counted to {counted_to} " in text_of(card(answer, "R13"))


@pytest.mark.parametrize(
    "status",
    [row("waiting", "on-hold"), row("done", "completed"), row("called off", "revoked"), row("unknown", "unknown")],
)
def test_a_collection_that_may_not_take_place_is_no_day_to_count_to(status: str) -> None:
    booked = service_request("T-cell apheresis", "2026-11-02", status, PLANNED)

    answer = sign([BELANTAMAB, booked], draft_drug("ciltacabtagene autoleucel"))

    assert "Counted to 2026-11-20 " in text_of(card(answer, "R13"))


def test_a_draft_goes_before_the_calendar() -> None:
    booked = service_request("T-cell apheresis", "2026-11-02", on=PLANNED)

    answer = sign([BELANTAMAB, booked], draft_collection("2026-12-01"))

    assert "Counted to 2026-12-01 (planned T-cell collection)" in text_of(card(answer, "R13"))


def test_of_a_vague_planned_day_what_has_passed_is_left_out() -> None:
    """No collection is ordered for a day before today."""
    answer = sign([given("belantamab mafodotin", days_ago(183))], draft_collection("2026-11"))

    assert outcome(answer, "R13") == SATISFIED


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        row("collected, and nothing else: the dose came after it", [], SATISFIED),
        row("infused long before", [infusion("2025-01-10")], SATISFIED),
        row("infused on a day that nobody knows: cells may be used up", [infusion(None)], CANNOT_TELL),
        row("CAR T cells in the history, without a day", [procedure("38228", None)], CANNOT_TELL),
    ],
)
def test_an_infusion_without_a_date_may_have_used_up_the_cells(cells: list[Resource], expected: str) -> None:
    history = [procedure("38225", "2026-09-28"), given("belantamab mafodotin", "2026-10-20"), *cells]

    assert outcome(sign(history, draft_drug("ciltacabtagene autoleucel")), "R13") == expected
