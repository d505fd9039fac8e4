"""R09: a BCMA-directed drug is ordered while CAR T cells against BCMA are being prepared.

"Today" is 2026-11-20. Unless a row says otherwise, a first order of elranatamab is being signed.
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
    days_ago,
    drafts_in,
    moves_in,
    row,
    select,
    sign,
    text_of,
    view,
)

COLLECTED = procedure("38225", "2026-09-28")
BRIDGE = draft_drug("elranatamab")
CILTA_CEL = "ciltacabtagene autoleucel"
ARLO_CEL = "arlocabtagene autoleucel"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("BCMA bispecific", draft_drug("elranatamab"), FLAGGED),
        row("BCMA bispecific", draft_drug("teclistamab"), FLAGGED),
        row("BCMA conjugate", draft_drug("belantamab mafodotin"), FLAGGED),
        row("talquetamab is the bridge that the sources name", draft_drug("talquetamab"), NOT_APPLICABLE),
        row("conventional treatment", draft_drug("bortezomib"), NOT_APPLICABLE),
        row("the cells themselves are no bridge", draft_drug(CILTA_CEL), NOT_APPLICABLE),
        row("nor is their infusion", draft_infusion(), NOT_APPLICABLE),
        row("nor lymphodepletion", draft_drug("fludarabine"), NOT_APPLICABLE),
        row("nor a second collection", draft_collection(), NOT_APPLICABLE),
    ],
)
def test_which_orders_are_a_bridge(order: Resource, expected: str) -> None:
    assert outcome(sign([COLLECTED], order), "R09") == expected
    assert outcome(select([COLLECTED], order), "R09") == expected


def test_an_open_chart_is_no_order() -> None:
    assert outcome(view([COLLECTED]), "R09") == NOT_APPLICABLE


def test_a_bridge_that_goes_on_is_a_bridge() -> None:
    history = [COLLECTED, given("elranatamab", "2026-11-13")]

    assert outcome(sign(history, BRIDGE), "R09") == FLAGGED


@pytest.mark.parametrize(
    ("collected", "expected"),
    [
        row("today", days_ago(0), FLAGGED),
        row("180 days ago: the cells are still waited for", days_ago(180), FLAGGED),
        row("181 days ago: abandoned", days_ago(181), SATISFIED),
        row("two years ago", "2024-11-20", SATISFIED),
        row("some day of September", "2026-09", FLAGGED),
        row("some day of May, 173 to 203 days ago", "2026-05", CANNOT_TELL),
        row("some day of April, 204 to 233 days ago", "2026-04", SATISFIED),
        row("some day of this year", "2026", CANNOT_TELL),
        row("without a day", None, CANNOT_TELL),
        row("on a day that has not come", "2026-11-21", CANNOT_TELL),
    ],
)
def test_days_since_the_collection(collected: str | None, expected: str) -> None:
    assert outcome(sign([procedure("38225", collected)], BRIDGE), "R09") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("never collected", [], SATISFIED),
        row("not done", [COLLECTED | {"status": "not-done"}], SATISFIED),
        row("being prepared", [COLLECTED | {"status": "preparation"}], SATISFIED),
        row("entered in error", [COLLECTED | {"status": "entered-in-error"}], SATISFIED),
        row("of unknown status", [COLLECTED | {"status": "unknown"}], CANNOT_TELL),
        row("on hold", [COLLECTED | {"status": "on-hold"}], CANNOT_TELL),
        row("of stem cells", [procedure("38206", "2026-09-28")], SATISFIED),
        row("two, of which one is abandoned", [procedure("38225", "2025-01-10"), COLLECTED], FLAGGED),
    ],
)
def test_what_counts_as_a_collection(history: list[Resource], expected: str) -> None:
    assert outcome(sign(history, BRIDGE), "R09") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("infused since", [COLLECTED, infusion("2026-11-02")], SATISFIED),
        row("infused since, product not named", [COLLECTED, infusion("2026-11-02", None)], SATISFIED),
        row("an earlier infusion used up earlier cells", [COLLECTED, infusion("2024-03-01")], FLAGGED),
        row("the infusion was called off", [COLLECTED, infusion("2026-11-02", status="not-done")], FLAGGED),
        row("it may have been given", [COLLECTED, infusion("2026-11-02", status="unknown")], CANNOT_TELL),
        row("infused some day of this year", [COLLECTED, infusion("2026")], CANNOT_TELL),
        row("infused on a day that nobody knows", [COLLECTED, infusion(None)], CANNOT_TELL),
        row("no day for either: taken as belonging together", [procedure("38225", None), infusion(None)], SATISFIED),
        row(
            "no day for the collection, and an infusion in doubt",
            [procedure("38225", None), infusion("2026-11-02", status="unknown")],
            CANNOT_TELL,
        ),
    ],
)
def test_cells_that_were_infused_wait_no_more(history: list[Resource], expected: str) -> None:
    assert outcome(sign(history, BRIDGE), "R09") == expected


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        row("nothing", None, SATISFIED),
        row("the product", draft_drug(CILTA_CEL), FLAGGED),
        row("the collection", draft_collection(), FLAGGED),
        row("the infusion", draft_infusion(), FLAGGED),
        row("lymphodepletion", draft_drug("fludarabine"), FLAGGED),
        row("a product against another antigen", draft_drug(ARLO_CEL), SATISFIED),
        row("a bispecific is no CAR T step", draft_drug("talquetamab"), SATISFIED),
        row("stem cells", draft_service("38206"), SATISFIED),
        row("an evaluation is only a question", draft_service("") | {"code": {"text": "CAR T evaluation"}}, SATISFIED),
    ],
)
def test_car_t_among_the_draft_orders(beside: Resource | None, expected: str) -> None:
    beside_it = [beside] if beside else []

    assert outcome(sign([], BRIDGE, *beside_it), "R09") == expected
    assert outcome(select([], BRIDGE, beside=beside_it), "R09") == expected


def asked(words: str, authored: str | None = "2026-11-02", status: str = "active", on: str | None = None) -> Resource:
    """Store a service request."""
    return service_request(words, authored, status, on)


@pytest.mark.parametrize(
    ("plans", "expected"),
    [
        row("a product", [asked(CILTA_CEL)], FLAGGED),
        row("its infusion", [asked("CAR T infusion")], FLAGGED),
        row("a collection", [asked("T-cell apheresis")], FLAGGED),
        row("lymphodepletion", [asked("Lymphodepletion")], FLAGGED),
        row("a collection in the calendar", [appointment("T-cell collection", "2026-12-10")], FLAGGED),
        row("a product, ordered as a drug", [ordered(CILTA_CEL, "2026-11-02")], FLAGGED),
        row("that order waits", [ordered(CILTA_CEL, "2026-11-02", "on-hold")], CANNOT_TELL),
        row("that order is a proposal", [ordered(CILTA_CEL, "2026-11-02", intent="proposal")], SATISFIED),
        row("that order was called off", [ordered(CILTA_CEL, "2026-11-02", "cancelled")], SATISFIED),
        row("that order was stopped", [ordered(CILTA_CEL, "2026-11-02", "stopped")], SATISFIED),
        row("an evaluation is only a question", [asked("CAR T evaluation")], SATISFIED),
        row("a GPRC5D product leaves BCMA alone", [asked(ARLO_CEL)], SATISFIED),
        row("so does one ordered as a drug", [ordered(ARLO_CEL, "2026-11-02")], SATISFIED),
        row("one of each", [asked(ARLO_CEL), asked(CILTA_CEL)], FLAGGED),
        row("waiting", [asked(CILTA_CEL, status="on-hold")], CANNOT_TELL),
        row("unknown", [asked(CILTA_CEL, status="unknown")], CANNOT_TELL),
        row("proposed", [asked(CILTA_CEL) | {"intent": "proposal"}], CANNOT_TELL),
        row("called off", [asked(CILTA_CEL, status="revoked")], SATISFIED),
        row("entered in error", [asked(CILTA_CEL, status="entered-in-error")], SATISFIED),
        row("an infusion that was done as asked", [asked(CILTA_CEL, status="completed")], SATISFIED),
        row("a collection that was done as asked", [asked("T-cell apheresis", status="completed")], CANNOT_TELL),
        row("without any day", [asked(CILTA_CEL, None)], CANNOT_TELL),
    ],
)
def test_car_t_on_order(plans: list[Resource], expected: str) -> None:
    assert outcome(sign(plans, BRIDGE), "R09") == expected


@pytest.mark.parametrize(
    ("plans", "expected"),
    [
        row("180 days ago", [asked(CILTA_CEL, days_ago(180))], FLAGGED),
        row("181 days ago: stale", [asked(CILTA_CEL, days_ago(181))], SATISFIED),
        row("some day of May, 173 to 203 days ago", [asked(CILTA_CEL, "2026-05")], CANNOT_TELL),
        row("long ago, and its day is still to come", [asked(CILTA_CEL, "2026-01-05", on="2026-12-10")], FLAGGED),
        row("long ago, and its day has just passed", [asked(CILTA_CEL, "2026-01-05", on="2026-11-10")], FLAGGED),
        row("its day passed 181 days ago", [asked(CILTA_CEL, "2026-01-05", on=days_ago(181))], SATISFIED),
        row("a drug order of 181 days ago", [ordered(CILTA_CEL, days_ago(181))], SATISFIED),
        row("a drug order of 180 days ago", [ordered(CILTA_CEL, days_ago(180))], FLAGGED),
        row("followed by the infusion", [asked(CILTA_CEL, "2026-08-03"), infusion("2026-10-01")], SATISFIED),
        row("on the day of the infusion", [asked(CILTA_CEL, "2026-10-01"), infusion("2026-10-01")], SATISFIED),
        row("ordered anew after one", [asked(CILTA_CEL, "2026-10-02"), infusion("2026-10-01")], FLAGGED),
        row("followed, perhaps", [asked(CILTA_CEL, "2026-08-03"), infusion("2026")], CANNOT_TELL),
        row(
            "followed by an infusion that may have been given",
            [asked(CILTA_CEL, "2026-08-03"), infusion("2026-10-01", status="unknown")],
            CANNOT_TELL,
        ),
        row("beside an infusion of no day", [asked(CILTA_CEL, "2026-08-03"), infusion(None)], CANNOT_TELL),
        row(
            "a collection done as asked, and infused since",
            [asked("T-cell apheresis", "2026-08-03", "completed"), infusion("2026-10-01")],
            SATISFIED,
        ),
        row("a collection done as asked, stale", [asked("T-cell apheresis", days_ago(181), "completed")], SATISFIED),
    ],
)
def test_an_order_stands_until_it_is_followed_or_stale(plans: list[Resource], expected: str) -> None:
    assert outcome(sign(plans, BRIDGE), "R09") == expected


@pytest.mark.parametrize(
    ("history", "beside", "expected"),
    [
        row("nothing says for what", [], [], FLAGGED),
        row("for BCMA cells", [asked(CILTA_CEL)], [], FLAGGED),
        row("for GPRC5D cells", [asked(ARLO_CEL)], [], SATISFIED),
        row("GPRC5D cells are being ordered", [], [draft_drug(ARLO_CEL)], SATISFIED),
        row("for either", [asked(ARLO_CEL)], [draft_drug(CILTA_CEL)], FLAGGED),
        row("GPRC5D cells were ordered long ago", [asked(ARLO_CEL, days_ago(181))], [], FLAGGED),
        row("GPRC5D cells are on hold", [asked(ARLO_CEL, status="on-hold")], [], FLAGGED),
    ],
)
def test_cells_of_no_named_product_are_those_of_the_product_on_order(
    history: list[Resource], beside: list[Resource], expected: str
) -> None:
    assert outcome(sign([COLLECTED, *history], BRIDGE, *beside), "R09") == expected


@pytest.mark.parametrize(
    ("history", "without", "expected"),
    [
        row("cells may wait, or be infused: procedures are unread", [], "procedures", CANNOT_TELL),
        row("they may be infused: administrations are unread", [COLLECTED], "medicationAdministrations", CANNOT_TELL),
        row("nobody waits for plans", [], "serviceRequests", SATISFIED),
        row("nor for the calendar", [], "appointments", SATISFIED),
        row("collected, whatever plans say", [COLLECTED], "serviceRequests", FLAGGED),
        row("orders of drugs have no say in it", [COLLECTED], "medicationRequests", FLAGGED),
    ],
)
def test_what_was_not_read(history: list[Resource], without: str, expected: str) -> None:
    assert outcome(sign(history, BRIDGE, without=[without]), "R09") == expected


def test_a_draft_beside_it_is_there_whatever_was_not_read() -> None:
    assert outcome(sign([], BRIDGE, draft_drug(CILTA_CEL), without=["procedures"]), "R09") == FLAGGED


def test_cells_that_nobody_knows_may_be_the_infusion() -> None:
    history = [COLLECTED, reported("xyzcabtagene autoleucel", "2026-11-02", "2026-11-02")]

    assert outcome(sign(history, BRIDGE), "R09") == CANNOT_TELL


@pytest.mark.parametrize(
    ("history", "beside", "summary", "why"),
    [
        row(
            "collected",
            [COLLECTED],
            [],
            "Elranatamab before BCMA CAR T (T cells were collected on 2026-09-28): may lower the target antigen.",
            "Procedure 2026-09-28",
        ),
        row(
            "a collection on order",
            [asked("T-cell apheresis")],
            [],
            "Elranatamab before BCMA CAR T (T-cell collection is on order): may lower the target antigen.",
            "ServiceRequest 2026-11-02",
        ),
        row(
            "a product on order",
            [ordered(CILTA_CEL, "2026-11-02")],
            [],
            "Elranatamab before BCMA CAR T (A CAR T infusion is on order): may lower the target antigen.",
            "MedicationRequest 2026-11-02",
        ),
        row(
            "a product among the drafts",
            [],
            [draft_drug(CILTA_CEL)],
            "Elranatamab before BCMA CAR T (CAR T-cell therapy is among the draft orders): "
            "may lower the target antigen.",
            "",
        ),
    ],
)
def test_the_card_says_what_is_under_way(
    history: list[Resource], beside: list[Resource], summary: str, why: str
) -> None:
    shown = card(sign(history, BRIDGE, *beside), "R09")

    assert (shown["summary"], shown["indicator"]) == (summary, "warning")
    assert why in shown["detail"]
    assert (drafts_in(shown), moves_in(shown)) == (["Myeloma board review"], [])


@pytest.mark.parametrize(
    ("history", "missing"),
    [
        row("the day of the collection", [procedure("38225", None)], "whether collected T cells are still waiting"),
        row("the order", [asked(CILTA_CEL, None)], "whether CAR T-cell therapy that was ordered is still planned"),
    ],
)
def test_what_is_open_is_said(history: list[Resource], missing: str) -> None:
    answer = sign(history, BRIDGE)

    assert "R00" in codes_besides_care(answer)
    assert missing in text_of(card(answer, "R00"))
