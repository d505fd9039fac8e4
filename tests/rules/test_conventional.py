"""R11 and R12: two weeks without conventional drugs before T-cell redirection, and drugs that harm T cells.

"Today" is 2026-11-20. Unless a row says otherwise, a T-cell collection without a date is being signed, so that the
days are counted to today. R11 asks for 14 days, R12 for 180.
"""

import pytest

from tests.build import (
    Resource,
    appointment,
    card,
    condition,
    draft_collection,
    draft_drug,
    draft_infusion,
    draft_service,
    given,
    infusion,
    myeloma,
    ordered,
    outcome,
    procedure,
    reported,
    service_request,
)
from tests.rules.table import (
    CANNOT_TELL,
    CARED_FOR,
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

BORTEZOMIB = given("bortezomib", "2026-11-10")
PLANNED = "2026-12-10"
CILTA_CEL = "ciltacabtagene autoleucel"

# --- R11: two weeks ---


@pytest.mark.parametrize(
    ("last_dose", "expected"),
    [
        row("today", days_ago(0), FLAGGED),
        row("10 days", days_ago(10), FLAGGED),
        row("13 days: one day short", days_ago(13), FLAGGED),
        row("14 days: two weeks", days_ago(14), SATISFIED),
        row("15 days", days_ago(15), SATISFIED),
        row("32 days", days_ago(32), SATISFIED),
        row("some day of November, 0 to 19 days", "2026-11", CANNOT_TELL),
        row("some day of October, 20 to 50 days", "2026-10", SATISFIED),
        row("some day of this year", "2026", CANNOT_TELL),
        row("a dose without a date", None, CANNOT_TELL),
    ],
)
def test_days_between_a_conventional_drug_and_the_collection(last_dose: str | None, expected: str) -> None:
    assert outcome(sign([given("bortezomib", last_dose)], draft_collection()), "R11") == expected


def test_what_is_open_about_two_weeks_is_not_worth_a_card() -> None:
    assert codes_besides_care(sign([given("bortezomib", "2026-11")], draft_collection())) == []


@pytest.mark.parametrize(
    ("drug", "expected"),
    [
        row("proteasome inhibitor", "carfilzomib", FLAGGED),
        row("immunomodulatory drug", "pomalidomide", FLAGGED),
        row("cereblon modulator", "iberdomide", FLAGGED),
        row("CD38 antibody", "daratumumab", FLAGGED),
        row("CD38 antibody under the skin", "daratumumab-hyaluronidase", FLAGGED),
        row("SLAMF7 antibody", "elotuzumab", FLAGGED),
        row("steroid", "dexamethasone", FLAGGED),
        row("alkylator", "cyclophosphamide", FLAGGED),
        row("XPO1 inhibitor", "selinexor", FLAGGED),
        row("HDAC inhibitor", "panobinostat", FLAGGED),
        row("BCL2 inhibitor", "venetoclax", FLAGGED),
        row("anthracycline", "doxorubicin", FLAGGED),
        row("cytotoxic drug", "etoposide", FLAGGED),
        row("a bispecific antibody has rules of its own", "talquetamab", SATISFIED),
        row("so has a conjugate", "belantamab mafodotin", SATISFIED),
        row("a bone agent is no treatment of myeloma", "zoledronic acid", SATISFIED),
        row("nor is an antiviral", "acyclovir", SATISFIED),
    ],
)
def test_which_drugs_are_conventional(drug: str, expected: str) -> None:
    assert outcome(sign([given(drug, "2026-11-10")], draft_collection()), "R11") == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("collection", draft_collection(), FLAGGED),
        row("first dose of a bispecific", draft_drug("teclistamab"), FLAGGED),
        row("of another antigen", draft_drug("talquetamab"), FLAGGED),
        row("the product comes after the collection", draft_drug(CILTA_CEL), NOT_APPLICABLE),
        row("so does its infusion", draft_infusion(), NOT_APPLICABLE),
        row("and lymphodepletion", draft_drug("fludarabine"), NOT_APPLICABLE),
        row("a conjugate is given together with them", draft_drug("belantamab mafodotin"), NOT_APPLICABLE),
        row("more of the same", draft_drug("bortezomib"), NOT_APPLICABLE),
        row("stem cells", draft_service("38206"), NOT_APPLICABLE),
    ],
)
def test_before_which_orders_two_weeks_are_asked_for(order: Resource, expected: str) -> None:
    assert outcome(sign([BORTEZOMIB], order), "R11") == expected


def test_two_weeks_are_asked_for_when_the_order_is_signed() -> None:
    assert outcome(select([BORTEZOMIB], draft_collection()), "R11") == NOT_APPLICABLE
    assert outcome(view([BORTEZOMIB]), "R11") == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("its first dose", [], FLAGGED),
        row("it goes on: nothing begins", [given("teclistamab", "2026-11-13")], NOT_APPLICABLE),
        row("ordered before, never given", [ordered("teclistamab", "2026-11-13")], FLAGGED),
        row("another one goes on", [given("elranatamab", "2026-11-13")], FLAGGED),
    ],
)
def test_an_engager_that_goes_on_needs_no_two_weeks(history: list[Resource], expected: str) -> None:
    assert outcome(sign([BORTEZOMIB, *history], draft_drug("teclistamab")), "R11") == expected


@pytest.mark.parametrize(
    ("drug", "order", "expected"),
    [
        row("labelled partner", "daratumumab", draft_drug("teclistamab"), SATISFIED),
        row("labelled partner under the skin", "daratumumab-hyaluronidase", draft_drug("teclistamab"), SATISFIED),
        row("another CD38 antibody is none", "isatuximab", draft_drug("teclistamab"), FLAGGED),
        row("nor is it one of another engager", "daratumumab", draft_drug("elranatamab"), FLAGGED),
        row("nor of a collection", "daratumumab", draft_collection(), FLAGGED),
        row("other drugs count beside it", "bortezomib", draft_drug("teclistamab"), FLAGGED),
    ],
)
def test_a_labelled_partner_needs_no_two_weeks(drug: str, order: Resource, expected: str) -> None:
    assert outcome(sign([given(drug, "2026-11-15")], order), "R11") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("never given", [], SATISFIED),
        row("entered in error", [given("bortezomib", "2026-11-10", "entered-in-error")], SATISFIED),
        row("not done", [given("bortezomib", "2026-11-10", "not-done")], SATISFIED),
        row("not taken", [reported("lenalidomide", "2026-11-01", "2026-11-10", "not-taken")], SATISFIED),
        row("intended", [reported("lenalidomide", "2026-12-01", status="intended")], SATISFIED),
        row("ordered alone: perhaps never taken", [ordered("lenalidomide", "2026-10-01")], CANNOT_TELL),
        row("ordered alone, long over", [ordered("lenalidomide", "2026-01-05", until=days_ago(14))], SATISFIED),
        row(
            "ordered alone, over for 13 days", [ordered("lenalidomide", "2026-11-01", until=days_ago(13))], CANNOT_TELL
        ),
        row("waiting order", [ordered("lenalidomide", "2026-10-01", "on-hold")], SATISFIED),
        row("of unknown status", [reported("lenalidomide", "2026-11-01", "2026-11-10", "unknown")], CANNOT_TELL),
        row("on hold", [reported("lenalidomide", "2026-06-01", status="on-hold", asserted="2026-11-10")], CANNOT_TELL),
        row("ended 10 days ago", [reported("lenalidomide", "2026-06-01", "2026-11-10", "stopped")], FLAGGED),
        row("oral, and never ended", [reported("lenalidomide", "2026-06-01", status="active")], CANNOT_TELL),
        row(
            "oral, never ended, and confirmed 90 days ago",
            [reported("lenalidomide", "2026-06-01", status="active", asserted=days_ago(90))],
            FLAGGED,
        ),
        row(
            "oral, never ended, and last confirmed 91 days ago",
            [reported("lenalidomide", "2026-06-01", status="active", asserted=days_ago(91))],
            CANNOT_TELL,
        ),
        row("a cream", [reported("prednisolone eye drops", "2026-11-01", "2026-11-19")], SATISFIED),
    ],
)
def test_what_counts_as_a_conventional_drug_given(history: list[Resource], expected: str) -> None:
    assert outcome(sign(history, draft_collection()), "R11") == expected


@pytest.mark.parametrize(
    ("last_dose", "order", "expected"),
    [
        row(
            "13 days to the planned collection", days_after("2026-12-01", -13), draft_collection("2026-12-01"), FLAGGED
        ),
        row("14 days to it, fewer to today", days_after("2026-12-01", -14), draft_collection("2026-12-01"), SATISFIED),
        row(
            "13 days to the first dose", days_after("2026-12-01", -13), draft_drug("talquetamab", "2026-12-01"), FLAGGED
        ),
        row(
            "14 days to the first dose",
            days_after("2026-12-01", -14),
            draft_drug("talquetamab", "2026-12-01"),
            SATISFIED,
        ),
        row("a day that has passed is none", days_ago(13), draft_collection("2026-11-01"), FLAGGED),
        row("some day from today on: 13 to 23 days", days_ago(13), draft_collection("2026-11"), CANNOT_TELL),
        row("some day from today on: 14 to 24 days", days_ago(14), draft_collection("2026-11"), SATISFIED),
    ],
)
def test_two_weeks_are_counted_to_the_day_of_the_order(last_dose: str, order: Resource, expected: str) -> None:
    assert outcome(sign([given("bortezomib", last_dose)], order), "R11") == expected


def test_the_first_dose_of_an_engager_is_not_the_day_of_a_collection_beside_it() -> None:
    engager, collection = draft_drug("talquetamab", "2026-12-20"), draft_collection("2026-11-23")

    only = card(sign([*CARED_FOR, BORTEZOMIB], engager, collection), "R11")

    assert only["summary"].startswith("Bortezomib 13 d before T-cell collection (2026-11-23)")
    assert "talquetamab start" not in text_of(only)


@pytest.mark.parametrize(
    ("last_dose", "indicator"),
    [
        row("today", days_ago(0), "warning"),
        row("3 days", days_ago(3), "warning"),
        row("4 days", days_ago(4), "info"),
        row("13 days", days_ago(13), "info"),
    ],
)
def test_a_steroid_just_before_the_collection_is_a_warning(last_dose: str, indicator: str) -> None:
    assert card(sign([given("dexamethasone", last_dose)], draft_collection()), "R11")["indicator"] == indicator


@pytest.mark.parametrize(
    ("history", "indicator"),
    [
        row("no steroid", [given("bortezomib", "2026-11-19")], "info"),
        row("a steroid beside it", [BORTEZOMIB, given("dexamethasone", "2026-11-17")], "warning"),
        row("prednisone", [given("prednisone", "2026-11-17")], "warning"),
        row(
            "still listed: nobody says when it was last taken",
            [reported("prednisone", "2026-06-01", status="active", asserted="2026-11-01")],
            "info",
        ),
        row("today, or as long as 4 days ago", [reported("dexamethasone", "2026-11-16", status="active")], "info"),
        row("today, or as long as 3 days ago", [reported("dexamethasone", "2026-11-17", status="active")], "warning"),
    ],
)
def test_which_steroids_are_a_warning(history: list[Resource], indicator: str) -> None:
    assert card(sign(history, draft_collection()), "R11")["indicator"] == indicator


@pytest.mark.parametrize(
    ("history", "order", "expected"),
    [
        row("on the day of the first dose: premedication", [given("dexamethasone", days_ago(0))], None, CANNOT_TELL),
        row("on the day before: no premedication", [given("dexamethasone", days_ago(1))], None, FLAGGED),
        row(
            "today, and the first dose is planned for tomorrow",
            [given("dexamethasone", days_ago(0))],
            "2026-11-21",
            FLAGGED,
        ),
        row("another drug on that day", [given("bortezomib", days_ago(0))], None, FLAGGED),
        row(
            "still listed",
            [reported("prednisone", "2026-06-01", status="active", asserted="2026-11-01")],
            None,
            FLAGGED,
        ),
        row(
            "premedication beside another drug",
            [given("dexamethasone", days_ago(0)), BORTEZOMIB],
            None,
            FLAGGED,
        ),
    ],
)
def test_a_steroid_before_an_engager(history: list[Resource], order: str | None, expected: str) -> None:
    assert outcome(sign(history, draft_drug("teclistamab", order)), "R11") == expected


def test_a_steroid_before_an_engager_is_no_warning() -> None:
    shown = card(sign([*CARED_FOR, given("dexamethasone", days_ago(1))], draft_drug("teclistamab")), "R11")

    assert shown["indicator"] == "info"
    assert "matters most for the T cells" not in shown["detail"]


@pytest.mark.parametrize(
    ("history", "without", "expected"),
    [
        row("never given? Administrations are unread", [], "medicationAdministrations", CANNOT_TELL),
        row("never given? Orders are unread", [], "medicationRequests", CANNOT_TELL),
        row("given, whatever is unread", [BORTEZOMIB], "medicationStatements", FLAGGED),
        row("the calendar only helps", [], "appointments", SATISFIED),
        row("procedures have no say in it", [], "procedures", SATISFIED),
    ],
)
def test_what_was_not_read_about_two_weeks(history: list[Resource], without: str, expected: str) -> None:
    assert outcome(sign(history, draft_collection(), without=[without]), "R11") == expected


LISTED = reported("lenalidomide", "2026-06-01", status="active", asserted="2026-11-01")


@pytest.mark.parametrize(
    ("history", "order", "indicator", "summary", "move"),
    [
        row(
            "one drug",
            [BORTEZOMIB],
            draft_collection(),
            "info",
            "Bortezomib 10 d before T-cell collection (2026-11-20); ≥14 d advised (earliest 2026-11-24).",
            ["Move T-cell collection to 2026-11-24"],
        ),
        row(
            "several, of which the last one sets the day",
            [BORTEZOMIB, given("dexamethasone", "2026-11-15"), given("pomalidomide", "2026-11-12")],
            draft_collection("2026-11-22"),
            "info",
            "Dexamethasone 7 d, pomalidomide 10 d, bortezomib 12 d before T-cell collection (2026-11-22); "
            "≥14 d advised (earliest 2026-11-29).",
            ["Move T-cell collection to 2026-11-29"],
        ),
        row(
            "a steroid",
            [BORTEZOMIB, given("dexamethasone", "2026-11-17")],
            draft_collection(),
            "warning",
            "Dexamethasone 3 d, bortezomib 10 d before T-cell collection (2026-11-20); "
            "≥14 d advised (earliest 2026-12-01).",
            ["Move T-cell collection to 2026-12-01"],
        ),
        row(
            "before an engager on a day of its own",
            [BORTEZOMIB],
            draft_drug("elranatamab", "2026-11-22"),
            "info",
            "Bortezomib 12 d before elranatamab start (2026-11-22); ≥14 d advised (earliest 2026-11-24).",
            ["Move elranatamab to 2026-11-24"],
        ),
        row(
            "an order without a day has none to move",
            [BORTEZOMIB],
            draft_drug("elranatamab"),
            "info",
            "Bortezomib 10 d before elranatamab start (2026-11-20); ≥14 d advised (earliest 2026-11-24).",
            [],
        ),
        row(
            "still listed",
            [LISTED],
            draft_collection(),
            "info",
            "Still listed before T-cell collection (2026-11-20): lenalidomide; ≥14 d without advised.",
            ["Move T-cell collection to 2026-12-04"],
        ),
        row(
            "still listed, and the collection is later than that: it is not moved forward",
            [LISTED],
            draft_collection("2027-01-20"),
            "info",
            "Still listed before T-cell collection (2027-01-20): lenalidomide; ≥14 d without advised.",
            [],
        ),
        row(
            "one is still listed, one was given",
            [LISTED, BORTEZOMIB],
            draft_collection(),
            "info",
            "Lenalidomide still listed, bortezomib 10 d before T-cell collection (2026-11-20); "
            "≥14 d advised (earliest 2026-12-04).",
            ["Move T-cell collection to 2026-12-04"],
        ),
    ],
)
def test_the_card_about_two_weeks(
    history: list[Resource], order: Resource, indicator: str, summary: str, move: list[str]
) -> None:
    shown = card(sign([*CARED_FOR, *history], order), "R11")

    assert (shown["summary"], shown["indicator"], moves_in(shown)) == (summary, indicator, move)
    assert drafts_in(shown) == []


def test_the_card_names_what_it_leaves_out() -> None:
    history = [BORTEZOMIB, ordered("lenalidomide", "2026-11-01"), given("selinexor", "2026-11")]

    shown = card(sign(history, draft_collection()), "R11")

    assert "whether they were last given: lenalidomide, selinexor" in shown["detail"]
    assert "Left out" not in card(sign([BORTEZOMIB], draft_collection()), "R11")["detail"]


def test_a_drug_that_is_counted_is_not_left_out() -> None:
    history = [BORTEZOMIB, ordered("bortezomib", "2026-11-12")]

    assert "Left out" not in card(sign(history, draft_collection()), "R11")["detail"]


def test_the_card_names_each_record() -> None:
    history = [BORTEZOMIB, reported("dexamethasone", "2026-06-01", "2026-11-17")]

    detail = card(sign(history, draft_collection()), "R11")["detail"]

    assert "MedicationAdministration 2026-11-10" in detail
    assert "MedicationStatement 2026-11-17" in detail


# --- R12: what harms T cells, ordered before the collection ---

BENDAMUSTINE = draft_drug("bendamustine")


def asked(words: str, authored: str | None = "2026-11-02", status: str = "active", on: str | None = None) -> Resource:
    """Store a service request."""
    return service_request(words, authored, status, on)


REFERRED = asked("CAR T evaluation")
COLLECTED = procedure("38225", "2026-09-28")


@pytest.mark.parametrize(
    ("history", "beside", "expected"),
    [
        row("no CAR T in sight", [], [], SATISFIED),
        row("a product on order", [asked(CILTA_CEL)], [], FLAGGED),
        row("a product on order as a drug", [ordered(CILTA_CEL, "2026-11-02")], [], FLAGGED),
        row("a collection on order", [asked("T-cell apheresis")], [], FLAGGED),
        row("a collection in the calendar", [appointment("T-cell collection", PLANNED)], [], FLAGGED),
        row("whatever the cells are against", [asked("arlocabtagene autoleucel")], [], FLAGGED),
        row("referred", [REFERRED], [], FLAGGED),
        row("an evaluation in the calendar", [appointment("CAR T evaluation", PLANNED)], [], FLAGGED),
        row("referred 180 days ago", [asked("CAR T evaluation", days_ago(180))], [], FLAGGED),
        row("referred 181 days ago", [asked("CAR T evaluation", days_ago(181))], [], SATISFIED),
        row("a product on order for 181 days", [asked(CILTA_CEL, days_ago(181))], [], SATISFIED),
        row("the referral was called off", [asked("CAR T evaluation", status="revoked")], [], SATISFIED),
        row("the visit was missed", [appointment("CAR T evaluation", "2026-11-02", "noshow")], [], SATISFIED),
        row("the order waits", [asked(CILTA_CEL, status="on-hold")], [], CANNOT_TELL),
        row("an order without any day", [asked(CILTA_CEL, None)], [], CANNOT_TELL),
        row("the product is being ordered", [], [draft_drug(CILTA_CEL)], FLAGGED),
        row("the collection is being ordered", [], [draft_collection()], FLAGGED),
        row("a referral is being ordered", [], [draft_service("") | {"code": {"text": "CAR T evaluation"}}], FLAGGED),
        row("lymphodepletion needs cells that are there", [], [draft_drug("fludarabine")], SATISFIED),
        row("so does an infusion", [asked(CILTA_CEL)], [draft_infusion()], SATISFIED),
        row("collected: it is a bridge", [asked(CILTA_CEL), COLLECTED], [], SATISFIED),
        row("collected, and referred before", [REFERRED, COLLECTED], [], SATISFIED),
        row("collected on a day that nobody knows", [REFERRED, procedure("38225", None)], [], CANNOT_TELL),
        row("collected, perhaps", [asked(CILTA_CEL), COLLECTED | {"status": "unknown"}], [], CANNOT_TELL),
        row(
            "collected 181 days ago, and planned anew",
            [asked(CILTA_CEL), procedure("38225", days_ago(181))],
            [],
            FLAGGED,
        ),
        row("collected, and to be collected again", [COLLECTED], [draft_collection()], FLAGGED),
        row("collected, and again in the calendar", [COLLECTED, asked("T-cell apheresis", on=PLANNED)], [], FLAGGED),
        row("infused since it was ordered", [asked(CILTA_CEL, "2026-06-01"), infusion("2026-08-03")], [], SATISFIED),
        row(
            "infused since the referral",
            [asked("CAR T evaluation", "2026-06-01"), infusion("2026-08-03")],
            [],
            SATISFIED,
        ),
        row("infused, and referred anew", [REFERRED, infusion("2026-08-03")], [], FLAGGED),
        row("infused long ago, nothing new planned: salvage", [infusion("2024-03-01")], [], SATISFIED),
    ],
)
def test_bendamustine_before_cells_are_collected(
    history: list[Resource], beside: list[Resource], expected: str
) -> None:
    assert outcome(sign(history, BENDAMUSTINE, *beside), "R12") == expected
    assert outcome(select(history, BENDAMUSTINE, beside=beside), "R12") == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("before the planned collection", draft_drug("bendamustine", "2026-12-09"), FLAGGED),
        row("on its day", draft_drug("bendamustine", PLANNED), FLAGGED),
        row("after it: a bridge", draft_drug("bendamustine", "2026-12-11"), SATISFIED),
        row("some day of that month", draft_drug("bendamustine", "2026-12"), FLAGGED),
    ],
)
def test_bendamustine_on_a_day_of_its_own(order: Resource, expected: str) -> None:
    assert outcome(sign([], order, draft_collection(PLANNED)), "R12") == expected
    assert outcome(sign([asked("T-cell apheresis", on=PLANNED)], order), "R12") == expected


@pytest.mark.parametrize(
    ("drug", "expected"),
    [
        row("at any dose", "bendamustine", FLAGGED),
        row("the dose decides, and it is not read", "melphalan", CANNOT_TELL),
        row("the dose decides, and it is not read", "cyclophosphamide", CANNOT_TELL),
        row("no alkylator", "bortezomib", NOT_APPLICABLE),
        row("no alkylator", "doxorubicin", NOT_APPLICABLE),
        row("an engager", "talquetamab", NOT_APPLICABLE),
    ],
)
def test_which_drugs_harm_t_cells(drug: str, expected: str) -> None:
    assert outcome(sign([asked(CILTA_CEL)], draft_drug(drug)), "R12") == expected


def test_cyclophosphamide_of_lymphodepletion_is_given_to_cells_that_are_there() -> None:
    drafts = [draft_drug("fludarabine"), draft_drug("cyclophosphamide")]

    assert outcome(sign([asked(CILTA_CEL)], *drafts), "R12") == SATISFIED


def test_more_of_it_harms_as_much_as_the_first() -> None:
    assert outcome(sign([asked(CILTA_CEL), given("bendamustine", "2026-10-20")], BENDAMUSTINE), "R12") == FLAGGED


@pytest.mark.parametrize(
    ("history", "beside", "without", "expected"),
    [
        row(
            "planned, but it is unread whether cells were collected", [asked(CILTA_CEL)], [], "procedures", CANNOT_TELL
        ),
        row("referred, and the same", [REFERRED], [], "procedures", CANNOT_TELL),
        row("the product is being ordered, and the same", [], [draft_drug(CILTA_CEL)], "procedures", CANNOT_TELL),
        row("the collection itself is being ordered", [], [draft_collection()], "procedures", FLAGGED),
        row("or stands in the calendar", [asked("T-cell apheresis", on=PLANNED)], [], "procedures", FLAGGED),
        row("nobody waits for plans", [], [], "serviceRequests", SATISFIED),
        row("nor for the calendar", [], [], "appointments", SATISFIED),
    ],
)
def test_what_was_not_read_about_a_plan(
    history: list[Resource], beside: list[Resource], without: str, expected: str
) -> None:
    assert outcome(sign(history, BENDAMUSTINE, *beside, without=[without]), "R12") == expected


@pytest.mark.parametrize(
    ("history", "record"),
    [
        row("a product on order", asked(CILTA_CEL), "ServiceRequest 2026-11-02"),
        row("a referral", REFERRED, "ServiceRequest 2026-11-02"),
    ],
)
def test_the_card_of_a_drug_that_would_harm(history: Resource, record: str) -> None:
    shown = card(sign([history], BENDAMUSTINE), "R12")

    assert shown["summary"] == ("Bendamustine before T-cell collection: may harm T cells (IMWG: avoid).")
    assert shown["indicator"] == "warning"
    assert record in shown["detail"]
    assert "as far as orders, plans and referrals show, and none are waiting" in shown["detail"]
    assert (drafts_in(shown), moves_in(shown)) == (["Myeloma board review"], [])


BOOKED = appointment("T-cell collection", PLANNED, created="2026-11-12")


@pytest.mark.parametrize(
    ("history", "beside", "says"),
    [
        row("booked on 12 November for 10 December", [BOOKED], [], "stands in the calendar for 2026-12-10."),
        row(
            "so is an order for that day", [asked("T-cell apheresis", on=PLANNED)], [], "in the calendar for 2026-12-10"
        ),
        row("some day in December", [asked("T-cell apheresis", on="2026-12")], [], "for some day in December 2026."),
        row("the first of two", [BOOKED, appointment("T-cell collection", "2026-12-03")], [], "for 2026-12-03."),
        row("cells that wait take nothing back", [COLLECTED, BOOKED], [], "stands in the calendar for 2026-12-10."),
        row("a draft with its day", [], [draft_collection(PLANNED)], "is among the draft orders, for 2026-12-10."),
        row("a draft without a day", [], [draft_collection()], "is among the draft orders."),
    ],
)
def test_the_card_names_the_day_of_the_collection(history: list[Resource], beside: list[Resource], says: str) -> None:
    shown = card(sign(history, BENDAMUSTINE, *beside), "R12")

    assert "- A T-cell collection " in shown["detail"]
    assert says in shown["detail"]
    assert "none are waiting" not in shown["detail"]
    assert "2026-11-12" not in shown["detail"]


@pytest.mark.parametrize(
    "beside",
    [
        row("a product that is being ordered", draft_drug(CILTA_CEL)),
        row("a referral that is being ordered", draft_service("") | {"code": {"text": "CAR T evaluation"}}),
    ],
)
def test_what_is_no_collection_yet_has_no_day(beside: Resource) -> None:
    detail = card(sign([], BENDAMUSTINE, beside), "R12")["detail"]

    assert "T cells are to be collected, as far as orders, plans and referrals show, and none are waiting." in detail
    assert "A T-cell collection" not in detail


def test_the_card_rests_on_the_day_that_was_booked_not_on_that_of_the_booking() -> None:
    assert "- Appointment 2026-12-10\n" in card(sign([BOOKED], BENDAMUSTINE), "R12")["detail"]


# --- R12: a collection after what harms T cells ---


@pytest.mark.parametrize(
    ("last_dose", "expected"),
    [
        row("142 days", "2026-07-01", FLAGGED),
        row("179 days: one day short", days_ago(179), FLAGGED),
        row("180 days", days_ago(180), SATISFIED),
        row("181 days", days_ago(181), SATISFIED),
        row("some day of June, 143 to 172 days", "2026-06", FLAGGED),
        row("some day of May, 173 to 203 days", "2026-05", CANNOT_TELL),
        row("some day of April, 204 to 233 days", "2026-04", SATISFIED),
        row("some day of this year", "2026", CANNOT_TELL),
        row("a dose without a date", None, CANNOT_TELL),
    ],
)
def test_days_between_bendamustine_and_the_collection(last_dose: str | None, expected: str) -> None:
    history = [given("bendamustine", last_dose)]

    assert outcome(sign(history, draft_collection()), "R12") == expected
    assert outcome(select(history, draft_collection()), "R12") == expected
    assert outcome(view(history), "R12") == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        row("179 days ago: one day short", days_ago(179), FLAGGED),
        row("180 days ago", days_ago(180), SATISFIED),
        row("181 days ago", days_ago(181), SATISFIED),
        row("five years ago", "2021-06-01", SATISFIED),
        row("some day of May, 173 to 203 days ago", "2026-05", CANNOT_TELL),
        row("without a day", None, CANNOT_TELL),
    ],
)
def test_days_between_an_autologous_transplant_and_the_collection(on: str | None, expected: str) -> None:
    assert outcome(sign([procedure("38241", on)], draft_collection()), "R12") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row(
            "a transplant, and its melphalan",
            [procedure("38241", days_ago(179)), given("melphalan", days_ago(180))],
            FLAGGED,
        ),
        row("both long enough ago", [procedure("38241", days_ago(180)), given("melphalan", days_ago(181))], SATISFIED),
        row("melphalan alone: the dose is not read", [given("melphalan", days_ago(179))], CANNOT_TELL),
        row("melphalan long ago", [given("melphalan", days_ago(180))], SATISFIED),
        row(
            "an old transplant does not explain new melphalan",
            [procedure("38241", "2021-06-01"), given("melphalan", days_ago(30))],
            CANNOT_TELL,
        ),
        row("cyclophosphamide: the dose is not read", [given("cyclophosphamide", days_ago(179))], CANNOT_TELL),
        row("cyclophosphamide long ago", [given("cyclophosphamide", days_ago(180))], SATISFIED),
        row("no alkylator", [given("bortezomib", days_ago(20))], SATISFIED),
        row(
            "a transplant of another's cells: after what, nobody says", [procedure("38240", days_ago(90))], CANNOT_TELL
        ),
        row("such a transplant long ago", [procedure("38240", days_ago(180))], SATISFIED),
        row("a transplant of unknown status", [procedure("38241", days_ago(90), "unknown")], CANNOT_TELL),
        row("a transplant that was not done", [procedure("38241", days_ago(90), "not-done")], SATISFIED),
        row("a transplant in the history, without a day", [myeloma(), condition("Z94.84")], CANNOT_TELL),
        row(
            "that history beside the transplant",
            [myeloma(), condition("Z94.84"), procedure("38241", days_ago(181))],
            SATISFIED,
        ),
        row("stem cells were collected, and no more", [procedure("38206", days_ago(90))], SATISFIED),
    ],
)
def test_what_harmed_t_cells_before_their_collection(history: list[Resource], expected: str) -> None:
    assert outcome(sign(history, draft_collection()), "R12") == expected


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        row("7 days before the cells", "2026-07-27", SATISFIED),
        row("8 days before the cells", "2026-07-26", CANNOT_TELL),
        row("on their day", "2026-08-03", SATISFIED),
        row("after them", "2026-08-04", CANNOT_TELL),
    ],
)
def test_cyclophosphamide_before_earlier_cells_prepared_for_them(given_: str, expected: str) -> None:
    history = [given("cyclophosphamide", given_), infusion("2026-08-03")]

    assert outcome(sign(history, draft_collection()), "R12") == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        row("infused", infusion("2026-08-03"), SATISFIED),
        row("perhaps", infusion("2026-08-03", status="unknown"), CANNOT_TELL),
        row("some day of August", infusion("2026-08"), CANNOT_TELL),
        row("on a day that nobody knows", infusion(None), CANNOT_TELL),
    ],
)
def test_only_cells_that_certainly_came_explain_cyclophosphamide(cells: Resource, expected: str) -> None:
    assert outcome(sign([given("cyclophosphamide", "2026-07-29"), cells], draft_collection()), "R12") == expected


def test_bendamustine_before_earlier_cells_harms_all_the_same() -> None:
    assert outcome(sign([given("bendamustine", "2026-07-29"), infusion("2026-08-03")], draft_collection()), "R12") == (
        FLAGGED
    )


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("entered in error", [given("bendamustine", "2026-07-01", "entered-in-error")], SATISFIED),
        row("not taken", [reported("bendamustine", "2026-07-01", "2026-07-02", "not-taken")], SATISFIED),
        row("of unknown status", [reported("bendamustine", "2026-07-01", "2026-07-02", "unknown")], CANNOT_TELL),
        row("ordered alone", [ordered("bendamustine", "2026-07-01")], CANNOT_TELL),
        row("ordered alone, long over", [ordered("bendamustine", "2026-01-05", until=days_ago(180))], SATISFIED),
        row("in doubt, on a vague day", [reported("bendamustine", "2026-05", "2026-05", "unknown")], CANNOT_TELL),
    ],
)
def test_what_counts_as_bendamustine_given(history: list[Resource], expected: str) -> None:
    assert outcome(sign(history, draft_collection()), "R12") == expected


@pytest.mark.parametrize(
    ("last_dose", "expected"),
    [
        row("179 days to the planned day", days_after(PLANNED, -179), FLAGGED),
        row("180 days to the planned day, fewer to today", days_after(PLANNED, -180), SATISFIED),
    ],
)
def test_bendamustine_is_counted_to_the_planned_collection(last_dose: str, expected: str) -> None:
    assert outcome(sign([given("bendamustine", last_dose)], draft_collection(PLANNED)), "R12") == expected


def test_bendamustine_that_goes_on_goes_on_until_the_collection() -> None:
    history = [reported("bendamustine", "2026-10-01", status="active", asserted="2026-11-01")]

    assert outcome(sign(history, draft_collection("2027-08-01")), "R12") == FLAGGED


@pytest.mark.parametrize(
    ("history", "without", "expected"),
    [
        row("administrations", [], "medicationAdministrations", CANNOT_TELL),
        row("procedures: a transplant may stand there", [], "procedures", CANNOT_TELL),
        row("the calendar only helps", [], "appointments", SATISFIED),
        row("given, whatever is unread", [given("bendamustine", "2026-07-01")], "procedures", FLAGGED),
    ],
)
def test_what_was_not_read_about_harm(history: list[Resource], without: str, expected: str) -> None:
    assert outcome(sign(history, draft_collection(), without=[without]), "R12") == expected


@pytest.mark.parametrize(
    ("history", "summary"),
    [
        row(
            "bendamustine",
            given("bendamustine", "2026-07-01"),
            "Bendamustine 2026-07-01, 142 d before T-cell collection: may harm T cells (IMWG: avoid).",
        ),
        row(
            "a transplant",
            procedure("38241", "2026-07-01"),
            "High-dose melphalan (transplant) 2026-07-01, 142 d before T-cell collection: may harm T cells "
            "(IMWG: avoid).",
        ),
    ],
)
def test_the_card_after_harm(history: Resource, summary: str) -> None:
    shown = card(sign([history], draft_collection()), "R12")

    assert (shown["summary"], shown["indicator"]) == (summary, "info")
    assert (drafts_in(shown), moves_in(shown)) == (["Myeloma board review"], [])


def test_what_is_open_about_harm_is_not_worth_a_card() -> None:
    assert codes_besides_care(sign([given("melphalan", days_ago(90))], draft_collection())) == []
