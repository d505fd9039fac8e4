"""R04: CAR T cells before a first BCMA bispecific. R06: T-cell redirection before a first BCMA conjugate.

Both are preferences for patients who are eligible for both, so that whatever speaks against one keeps it silent.
"Today" is 2026-11-20; unless a row says otherwise, teclistamab is selected for a patient without earlier CAR T cells.
"""

from typing import Any

import pytest

from tests.build import (
    LOINC,
    Resource,
    card,
    coded,
    condition,
    dispensed,
    draft_collection,
    draft_drug,
    draft_infusion,
    draft_service,
    given,
    infusion,
    lab,
    myeloma,
    ordered,
    outcome,
    procedure,
    progression,
    reported,
)
from tests.mapping.care_builders import MODIFIED, appointment, flag, request, revoked, trial
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
    row,
    select,
    sign,
    text_of,
    view,
)

TECLISTAMAB = draft_drug("teclistamab")
BELANTAMAB = draft_drug("belantamab mafodotin")
ECOG = "89247-1"
LYMPHOMA = condition("C83.30", "2021-02-01")
PROVISIONAL: Resource = {"verificationStatus": {"coding": [{"code": "provisional"}]}}
REFUTED: Resource = {"verificationStatus": {"coding": [{"code": "refuted"}]}}
RESOLVED = {"clinicalStatus": {"coding": [{"code": "resolved"}]}}
ENDED = {"abatementDateTime": "2026-10-01"}


def ecog(score: float, on: str | None, **more: Any) -> Resource:
    """Make a performance status as a number."""
    return lab(ECOG, score, "{score}", on, **more)


def ecog_said(on: str, **value: Any) -> Resource:
    """Make a performance status with any value."""
    return lab(ECOG, 0, "", on, valueQuantity=None, **value)


def visit(status: str, start: str) -> Resource:
    """Make an appointment for the evaluation that was made a year ago."""
    return appointment(status=status, start=f"{start}T09:00:00-05:00", created=days_ago(365))


def problem(words: str, more: Resource | None = None) -> Resource:
    """Make a problem that is written in words alone."""
    return condition("", days_ago(30)) | {"code": {"text": words}} | (more or {})


def draft_in_words(words: str) -> Resource:
    """Make a draft service request that is written in words alone."""
    return draft_service("local-1", system="urn:local") | {"code": {"text": words}}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        row("BCMA bispecific", "teclistamab", FLAGGED),
        row("BCMA bispecific", "elranatamab", FLAGGED),
        row("BCMA bispecific", "linvoseltamab", FLAGGED),
        row("BCMA bispecific from a trial, known by name alone", "etentamig", FLAGGED),
        row("GPRC5D bispecific: another antigen", "talquetamab", NOT_APPLICABLE),
        row("FcRH5 bispecific: another antigen", "cevostamab", NOT_APPLICABLE),
        row("the conjugate is R06's", "belantamab mafodotin", NOT_APPLICABLE),
        row("CAR T cells themselves", "ciltacabtagene autoleucel", NOT_APPLICABLE),
        row("conventional treatment", "pomalidomide", NOT_APPLICABLE),
        row("a steroid alone", "dexamethasone", NOT_APPLICABLE),
        row("prophylaxis", "acyclovir", NOT_APPLICABLE),
        row("a bispecific for lymphoma", "glofitamab", NOT_APPLICABLE),
    ],
)
def test_which_orders_ask_for_car_t_first(order: str, expected: str) -> None:
    assert outcome(select([], draft_drug(order)), "R04") == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("no T-cell engager and no cells", [], FLAGGED),
        row("an earlier GPRC5D bispecific is no BCMA one", [given("talquetamab", "2026-06-01")], FLAGGED),
        row("an earlier conjugate", [given("belantamab mafodotin", "2025-06-01")], FLAGGED),
        row("the next dose of the same course", [given("teclistamab", days_ago(7))], NOT_APPLICABLE),
        row("the same drug again years later is no first one", [given("teclistamab", "2023-06-01")], NOT_APPLICABLE),
        row("another BCMA bispecific came first", [given("elranatamab", "2025-06-01")], NOT_APPLICABLE),
        row("another one was reported", [reported("elranatamab", "2025-06-01", "2025-09-01")], NOT_APPLICABLE),
        row(
            "the stored order of an earlier cycle: nobody wrote down a dose",
            [ordered("teclistamab", days_ago(20))],
            CANNOT_TELL,
        ),
        row("another one was ordered, no word of a dose", [ordered("elranatamab", days_ago(20))], CANNOT_TELL),
        row("a dose without a date", [given("elranatamab", None)], NOT_APPLICABLE),
        row("a dose that may have been given", [given("elranatamab", "2025-06-01", "unknown")], CANNOT_TELL),
        row("recorded in error", [given("elranatamab", "2025-06-01", "entered-in-error")], FLAGGED),
        row("not taken", [reported("elranatamab", "2025-06-01", "2025-09-01", "not-taken")], FLAGGED),
        row("intended", [reported("elranatamab", "2026-12-01", status="intended")], FLAGGED),
        row("an order that was taken back", [ordered("elranatamab", days_ago(20), "cancelled")], FLAGGED),
    ],
)
def test_a_first_bcma_bispecific_alone(history: list[Resource], expected: str) -> None:
    assessment = select([*CARED_FOR, *history], TECLISTAMAB)

    assert outcome(assessment, "R04") == expected
    assert ("R04" in codes_besides_care(assessment)) == (expected == FLAGGED)


@pytest.mark.parametrize(
    ("history", "expected", "said"),
    [
        row("cells years ago", [infusion("2021-03-01")], SATISFIED, False),
        row("cells on some day in 2024", [infusion("2024")], SATISFIED, False),
        row("cells without a date", [infusion(None)], SATISFIED, False),
        row(
            "cells against another antigen of the myeloma",
            [infusion("2024", "arlocabtagene autoleucel")],
            SATISFIED,
            False,
        ),
        row("a history code alone: it can only mean the myeloma", [myeloma(), condition("Z92.850")], SATISFIED, False),
        row(
            "a history code beside a lymphoma: the cells may have been for that",
            [myeloma(), condition("Z92.850"), LYMPHOMA],
            CANNOT_TELL,
            True,
        ),
        row(
            "a history code beside cells for a lymphoma that are on record",
            [myeloma(), condition("Z92.850"), given("axicabtagene ciloleucel", "2022-03-01")],
            CANNOT_TELL,
            True,
        ),
        row("cells for a lymphoma alone", [given("axicabtagene ciloleucel", "2022-03-01")], FLAGGED, False),
        row("a lymphoma without any cells", [myeloma(), LYMPHOMA], FLAGGED, False),
        row(
            "a history code that is only suspected",
            [myeloma(), condition("Z92.850", **PROVISIONAL)],
            CANNOT_TELL,
            False,
        ),
        row(
            "a history code that was refuted",
            [myeloma(), condition("Z92.850", **REFUTED)],
            FLAGGED,
            False,
        ),
        row("a dated infusion that names no product", [infusion("2024-03-01", None)], CANNOT_TELL, True),
        row(
            "an infusion that names no product, on the day of cells for a lymphoma",
            [infusion("2022-03-01", None), given("axicabtagene ciloleucel", "2022-03-01")],
            CANNOT_TELL,
            True,
        ),
        row("an infusion that may have been done", [infusion("2024-03-01", status="unknown")], CANNOT_TELL, False),
        row("an infusion that was prepared", [procedure("38228", "2024-03-01", "preparation")], FLAGGED, False),
        row("an infusion that was not done", [procedure("38228", "2024-03-01", "not-done")], FLAGGED, False),
        row("an infusion recorded in error", [infusion("2024-03-01", status="entered-in-error")], FLAGGED, False),
        row("cells that were handed over", [dispensed("ciltacabtagene autoleucel", "2024-03-01")], CANNOT_TELL, False),
        row(
            "unrecognised treatment that may be cells", [given("CAR-T study product", "2024-03-01")], CANNOT_TELL, False
        ),
        row("unrecognised treatment that can be no cells", [given("study drug", "2024-03-01")], FLAGGED, False),
    ],
)
def test_car_t_cells_before(history: list[Resource], expected: str, said: bool) -> None:
    assessment = select([*CARED_FOR, *history], TECLISTAMAB)

    assert outcome(assessment, "R04") == expected
    assert ("R04" in codes_besides_care(assessment)) == (expected == FLAGGED)
    named = "CAR T cells before a BCMA bispecific antibody"
    assert ("R00" in codes_besides_care(assessment) and named in text_of(card(assessment, "R00"))) == said


COLLECTED = procedure("38225", days_ago(30))

# What keeps a preference silent, one row each, and beside it what is just not enough
SUPPRESSORS = [
    row("nothing speaks against it", [], (), FLAGGED),
    row("a T-cell collection is drafted", [], [draft_collection()], SATISFIED),
    row("a CAR T infusion is drafted", [], [draft_infusion()], SATISFIED),
    row("a CAR T product is drafted", [], [draft_drug("idecabtagene vicleucel")], SATISFIED),
    row("lymphodepletion is drafted", [], [draft_drug("fludarabine")], SATISFIED),
    row("the referral is drafted", [], [draft_in_words("CAR T-cell therapy evaluation")], SATISFIED),
    row("a visit after cells is no referral", [], [draft_in_words("CAR T follow-up visit")], FLAGGED),
    row("some other referral is drafted", [], [draft_in_words("Referral to nephrology")], FLAGGED),
    row("a CAR T infusion is on order", [request("CAR T infusion")], (), SATISFIED),
    row(
        "a CAR T infusion was ordered 180 days ago",
        [request("CAR T infusion", authoredOn=days_ago(180))],
        (),
        SATISFIED,
    ),
    row(
        "an infusion ordered 181 days ago was abandoned",
        [request("CAR T infusion", authoredOn=days_ago(181))],
        (),
        FLAGGED,
    ),
    row("lymphodepletion is on order", [request("Lymphodepletion")], (), SATISFIED),
    row("a T-cell collection is on order", [request("T-cell apheresis")], (), SATISFIED),
    row("the request of a collection was fulfilled", [request("T-cell apheresis", "completed")], (), SATISFIED),
    row("cells against another antigen are on order", [request("arlocabtagene autoleucel")], (), SATISFIED),
    row("a CAR T product is on order", [ordered("ciltacabtagene autoleucel", days_ago(10))], (), SATISFIED),
    row("the order of a product was taken back", [ordered("cilta-cel", days_ago(10), "cancelled")], (), FLAGGED),
    row("the collection was called off, for no reason given", [revoked("T-cell apheresis")], (), FLAGGED),
    row("the collection is on hold", [request("T-cell apheresis", "on-hold")], (), FLAGGED),
    row("T cells were collected", [COLLECTED], (), SATISFIED),
    row("T cells were collected 180 days ago", [procedure("38225", days_ago(180))], (), SATISFIED),
    row("cells collected 181 days ago were abandoned", [procedure("38225", days_ago(181))], (), FLAGGED),
    row("cells may have been collected", [procedure("38225", days_ago(30), "unknown")], (), FLAGGED),
    row("cells were collected at some time", [procedure("38225", None)], (), FLAGGED),
    row("referred", [request("CAR T evaluation")], (), SATISFIED),
    row("referred 180 days ago", [request("CAR T evaluation", authoredOn=days_ago(180))], (), SATISFIED),
    row("referred 181 days ago", [request("CAR T evaluation", authoredOn=days_ago(181))], (), FLAGGED),
    row(
        "referred in some month, 173 to 203 days ago", [request("CAR T evaluation", authoredOn="2026-05")], (), FLAGGED
    ),
    row(
        "referred in some month, 143 to 172 days ago",
        [request("CAR T evaluation", authoredOn="2026-06")],
        (),
        SATISFIED,
    ),
    row("referred, nobody knows when", [request("CAR T evaluation", authoredOn=None)], (), FLAGGED),
    row("the referral was answered", [request("CAR T evaluation", "completed")], (), SATISFIED),
    row("a referral that is only proposed", [request("CAR T evaluation", intent="proposal")], (), FLAGGED),
    row("a referral on hold", [request("CAR T evaluation", "on-hold")], (), FLAGGED),
    row("a referral recorded in error", [request("CAR T evaluation", "entered-in-error")], (), FLAGGED),
    row("a referral elsewhere", [request("Referral to nephrology")], (), FLAGGED),
    row("an appointment for the evaluation", [appointment()], (), SATISFIED),
    row("the evaluation took place 180 days ago", [visit("fulfilled", days_ago(180))], (), SATISFIED),
    row("the evaluation took place 181 days ago", [visit("fulfilled", days_ago(181))], (), FLAGGED),
    row("booked long ago for a day to come", [visit("booked", days_after(days_ago(0), 12))], (), SATISFIED),
    row("the patient did not come", [visit("noshow", days_ago(30))], (), FLAGGED),
    row("the appointment was cancelled", [appointment(status="cancelled")], (), FLAGGED),
    row("an appointment for something else", [appointment("Infusion chair")], (), FLAGGED),
    row("declined, by a flag", [flag("Patient declined CAR T")], (), SATISFIED),
    row("no candidate, by a flag", [flag()], (), SATISFIED),
    row("a flag that is over", [flag(status="inactive")], (), FLAGGED),
    row("a flag that ended yesterday", [flag(period={"end": days_ago(1)})], (), FLAGGED),
    row("a flag recorded in error", [flag(status="entered-in-error")], (), FLAGGED),
    row("a flag about something else", [flag("Declined blood products")], (), FLAGGED),
    row("declined, on the problem list", [myeloma(), problem("Patient declined CAR T")], (), SATISFIED),
    row("no candidate, on the problem list", [myeloma(), problem("Not a candidate for CAR T")], (), SATISFIED),
    row("a problem that is over", [myeloma(), problem("Not a candidate for CAR T", RESOLVED)], (), FLAGGED),
    row("a problem that ended", [myeloma(), problem("Not a candidate for CAR T", ENDED)], (), FLAGGED),
    row("a problem that was refuted", [myeloma(), problem("Not a candidate for CAR T", REFUTED)], (), FLAGGED),
    row(
        "a problem that is only suspected", [myeloma(), problem("Not a candidate for CAR T", PROVISIONAL)], (), FLAGGED
    ),
    row("a problem not understood", [myeloma(), problem("Not a candidate for CAR T", MODIFIED)], (), FLAGGED),
    row("a candidate, on the problem list", [myeloma(), problem("CAR T candidate")], (), FLAGGED),
    row("treatment declined, nobody says which", [myeloma(), problem("Treatment declined by patient")], (), FLAGGED),
    row("called off: the patient's choice", [revoked(reason="Patient declined")], (), SATISFIED),
    row("called off: the insurance did not agree", [revoked(reason="Insurance denied")], (), FLAGGED),
    row("called off, for no reason given", [revoked()], (), FLAGGED),
    row("ECOG 3", [ecog(3, days_ago(10))], (), SATISFIED),
    row("ECOG 4", [ecog(4, days_ago(10))], (), SATISFIED),
    row("ECOG 2", [ecog(2, days_ago(10))], (), FLAGGED),
    row("ECOG 3, 90 days ago", [ecog(3, days_ago(90))], (), SATISFIED),
    row("ECOG 3, 91 days ago", [ecog(3, days_ago(91))], (), FLAGGED),
    row("ECOG 3 on some day in October", [ecog(3, "2026-10")], (), SATISFIED),
    row("ECOG 3 on some day in August, 81 to 111 days ago", [ecog(3, "2026-08")], (), FLAGGED),
    row("ECOG 3, nobody knows when", [ecog(3, None)], (), FLAGGED),
    row("ECOG 3, and better since", [ecog(3, days_ago(60)), ecog(1, days_ago(5))], (), FLAGGED),
    row("ECOG 1, and worse since", [ecog(1, days_ago(60)), ecog(3, days_ago(5))], (), SATISFIED),
    row(
        "ECOG 3 as a coded answer",
        [ecog_said(days_ago(10), valueCodeableConcept=coded(LOINC, "LA9625-0"))],
        (),
        SATISFIED,
    ),
    row("ECOG 3 in words", [ecog_said(days_ago(10), valueString="ECOG 3")], (), SATISFIED),
    row("ECOG 2 to 3", [ecog_said(days_ago(10), valueString="2-3")], (), FLAGGED),
    row("ECOG in words that nobody can read", [ecog_said(days_ago(10), valueString="mostly in bed")], (), FLAGGED),
    row("ECOG 3, preliminary", [ecog(3, days_ago(10), status="preliminary")], (), FLAGGED),
    row("on a study", [trial()], (), SATISFIED),
    row("on a study since a year", [trial("on-study-intervention")], (), SATISFIED),
    row("being screened for a study", [trial("screening")], (), FLAGGED),
    row("off study", [trial("off-study")], (), FLAGGED),
    row("a study that ended yesterday", [trial(period={"end": days_ago(1)})], (), FLAGGED),
]


@pytest.mark.parametrize(("history", "beside", "expected"), SUPPRESSORS)
def test_what_speaks_against_car_t_first(history: list[Resource], beside: list[Resource], expected: str) -> None:
    assessment = select([*CARED_FOR, *history], TECLISTAMAB, beside=beside)

    assert outcome(assessment, "R04") == expected
    assert ("R04" in codes_besides_care(assessment)) == (expected == FLAGGED)


@pytest.mark.parametrize(("history", "beside", "expected"), SUPPRESSORS)
def test_the_same_speaks_against_redirection_before_the_conjugate(
    history: list[Resource], beside: list[Resource], expected: str
) -> None:
    assessment = select([*CARED_FOR, *history], BELANTAMAB, beside=beside)

    assert outcome(assessment, "R06") == expected
    assert ("R06" in codes_besides_care(assessment)) == (expected == FLAGGED)


def test_a_refused_bispecific_speaks_against_redirection_and_not_for_car_t_first() -> None:
    declined = [flag("Patient declined bispecific antibodies")]

    assert outcome(select(declined, TECLISTAMAB), "R04") == FLAGGED
    assert outcome(select(declined, BELANTAMAB), "R06") == SATISFIED


def test_cells_of_an_unknown_product_are_no_question_once_something_speaks_against_car_t() -> None:
    unknown = infusion("2024-03-01", None)

    assert outcome(select([unknown], TECLISTAMAB), "R04") == CANNOT_TELL
    assert outcome(select([unknown, ecog(3, days_ago(10))], TECLISTAMAB), "R04") == SATISFIED


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        row("neither cells nor a bispecific", [], FLAGGED),
        row("the next dose of the same course", [given("belantamab mafodotin", days_ago(21))], NOT_APPLICABLE),
        row("the conjugate again, years later", [given("belantamab mafodotin", "2023-06-01")], NOT_APPLICABLE),
        row("the stored order of an earlier cycle", [ordered("belantamab mafodotin", days_ago(21))], CANNOT_TELL),
        row("a BCMA bispecific came first", [given("teclistamab", "2025-06-01")], SATISFIED),
        row("a GPRC5D bispecific came first", [given("talquetamab", "2025-06-01")], SATISFIED),
        row("a bispecific was ordered, no word of a dose", [ordered("teclistamab", days_ago(21))], CANNOT_TELL),
        row("a bispecific was not taken", [reported("teclistamab", "2025-06-01", status="not-taken")], FLAGGED),
        row("cells came first", [infusion("2024-03-01")], SATISFIED),
        row("cells by a history code alone", [myeloma(), condition("Z92.850")], SATISFIED),
        row("cells that may have been for a lymphoma", [myeloma(), condition("Z92.850"), LYMPHOMA], CANNOT_TELL),
        row("an infusion that may have been done", [infusion("2024-03-01", status="unknown")], CANNOT_TELL),
        row("a dated infusion that names no product", [infusion("2024-03-01", None)], CANNOT_TELL),
        row("unrecognised treatment that may be cells", [given("CAR-T study product", "2024-03-01")], CANNOT_TELL),
        row("unrecognised treatment that can be no cells", [given("study drug", "2024-03-01")], FLAGGED),
    ],
)
def test_t_cell_redirection_before_a_first_conjugate(history: list[Resource], expected: str) -> None:
    assessment = select([*CARED_FOR, *history], BELANTAMAB)

    assert outcome(assessment, "R06") == expected
    assert ("R06" in codes_besides_care(assessment)) == (expected == FLAGGED)
    if "R00" in codes_besides_care(assessment):
        assert "(R06)" not in text_of(card(assessment, "R00"))


@pytest.mark.parametrize("order", ["teclistamab", "talquetamab", "daratumumab", "ciltacabtagene autoleucel"])
def test_the_conjugate_alone_asks_for_redirection_first(order: str) -> None:
    assert outcome(select([], draft_drug(order)), "R06") == NOT_APPLICABLE


@pytest.mark.parametrize(
    ("unread", "expected"),
    [
        row("procedures: cells may have been infused", "procedures", CANNOT_TELL),
        row("problems: a history code may be there", "conditions", CANNOT_TELL),
        row("doses: another bispecific may have come first", "medicationAdministrations", CANNOT_TELL),
        row("statements", "medicationStatements", CANNOT_TELL),
        row("orders: this may be a later cycle", "medicationRequests", CANNOT_TELL),
        row("referrals: nothing waits for them", "serviceRequests", FLAGGED),
        row("appointments", "appointments", FLAGGED),
        row("flags", "flags", FLAGGED),
        row("performance status", "observations", FLAGGED),
        row("trials", "researchSubjects", FLAGGED),
    ],
)
def test_what_was_not_read(unread: str, expected: str) -> None:
    assert outcome(select([], TECLISTAMAB, without=[unread]), "R04") == expected
    assert outcome(select([], BELANTAMAB, without=[unread]), "R06") == expected


def test_a_preference_is_information_and_offers_the_referral() -> None:
    shown = card(select(CARED_FOR, TECLISTAMAB), "R04")

    assert (
        shown["summary"]
        == "No CAR T cells on record: if eligible for both, IMWG and EMN prefer CAR T before teclistamab."
    )
    assert shown["indicator"] == "info"
    assert drafts_in(shown) == ["CAR T-cell therapy evaluation"]
    assert [reason["code"] for reason in shown["overrideReasons"]] == [
        "not-candidate",
        "urgent",
        "patient",
        "mdt",
        "trial",
    ]
    assert "was found in what could be read" in shown["detail"]


def test_the_offered_referral_answers_the_preference() -> None:
    (suggestion,) = card(select(CARED_FOR, TECLISTAMAB), "R04")["suggestions"]
    accepted = suggestion["actions"][0]["resource"] | {"id": "accepted"}

    assert outcome(select([], TECLISTAMAB, beside=[accepted]), "R04") == SATISFIED
    assert outcome(select([], BELANTAMAB, beside=[accepted]), "R06") == SATISFIED


def test_a_conjugate_at_relapse_makes_one_card_of_preference_and_referral() -> None:
    relapsed = [*REFRACTORY_TO_LENALIDOMIDE, progression("2026-11-10")]

    assessment = select(relapsed, BELANTAMAB, draft_drug("selinexor"))

    assert outcome(assessment, "R27") == FLAGGED
    assert codes_besides_care(assessment, besides={"R00", "R28"}) == ["R06"]
    shown = card(assessment, "R06")
    assert "Progression recorded 2026-11-10, after earlier treatment." in shown["detail"]
    assert drafts_in(shown) == ["CAR T-cell therapy evaluation"]
    assert shown["detail"].count("No referral, refusal") == 1


def test_for_a_referral_alone_no_chart_is_read() -> None:
    assert select([], draft_in_words("CAR T-cell therapy evaluation")).coverage == {}


def test_the_card_of_the_conjugate() -> None:
    shown = card(select(CARED_FOR, BELANTAMAB), "R06")

    assert shown["summary"] == (
        "No T-cell redirection on record: if eligible for both, "
        "IMWG favours CAR T or a bispecific before belantamab mafodotin."
    )
    assert shown["indicator"] == "info"
    assert drafts_in(shown) == ["CAR T-cell therapy evaluation"]


@pytest.mark.parametrize(("order", "rule"), [(TECLISTAMAB, "R04"), (BELANTAMAB, "R06")])
def test_preferences_are_said_when_an_order_is_selected_and_at_no_other_time(order: Resource, rule: str) -> None:
    assert rule in codes_besides_care(select(CARED_FOR, order))
    assert rule not in codes_besides_care(sign(CARED_FOR, order)) + codes_besides_care(view(CARED_FOR))
    assert outcome(sign([], order), rule) == NOT_APPLICABLE


REFRACTORY_TO_LENALIDOMIDE = [
    reported("bortezomib", "2020-11-09", "2021-04-30"),
    reported("lenalidomide", "2020-11-09", "2026-11-09"),
]
REFRACTORY_TO_DARATUMUMAB = [reported("daratumumab", "2024-10-01", "2026-10-30"), progression("2026-11-10")]
REFRACTORY_TO_ISATUXIMAB = [reported("isatuximab", "2024-10-01", "2026-10-30"), progression("2026-11-10")]
FREE_OF_DARATUMUMAB = [
    reported("daratumumab", "2022-10-01", "2023-10-30", statusReason=[{"text": "completed planned therapy"}]),
    progression("2026-11-10"),
]
GOING_ON = [
    reported("daratumumab", "2026-01-05", status="active", asserted=days_ago(1)),
    progression("2026-11-10"),
]
CD38_NOTE = "patients refractory to anti-CD38 antibodies"
BCMA_NOTE = "patients with earlier BCMA therapy"


@pytest.mark.parametrize(
    ("history", "beside", "notes"),
    [
        row("with daratumumab, new to it", [], ["daratumumab"], set()),
        row("with daratumumab, refractory to it", REFRACTORY_TO_DARATUMUMAB, ["daratumumab"], {CD38_NOTE}),
        row("alone, refractory to daratumumab", REFRACTORY_TO_DARATUMUMAB, [], set()),
        row("with lenalidomide", REFRACTORY_TO_DARATUMUMAB, ["lenalidomide"], set()),
        row("with daratumumab, refractory to isatuximab", REFRACTORY_TO_ISATUXIMAB, ["daratumumab"], {CD38_NOTE}),
        row("with daratumumab, which ended long before the relapse", FREE_OF_DARATUMUMAB, ["daratumumab"], set()),
        row("added to daratumumab that is going on", GOING_ON, [], {CD38_NOTE}),
        row(
            "with daratumumab, after a conjugate",
            [given("belantamab mafodotin", "2025-06-01")],
            ["daratumumab"],
            {BCMA_NOTE},
        ),
        row("alone, after a conjugate", [given("belantamab mafodotin", "2025-06-01")], [], set()),
        row(
            "with daratumumab, after an order of a conjugate",
            [ordered("belantamab mafodotin", days_ago(9))],
            ["daratumumab"],
            set(),
        ),
    ],
)
def test_whom_the_trial_of_the_pair_left_out(history: list[Resource], beside: list[str], notes: set[str]) -> None:
    assessment = select([*CARED_FOR, *history], TECLISTAMAB, *(draft_drug(name) for name in beside))

    said = text_of(card(assessment, "R04"))
    assert {note for note in (CD38_NOTE, BCMA_NOTE) if note in said} == notes


def test_a_pair_is_not_told_that_it_is_treatment_without_redirection() -> None:
    assessment = select(REFRACTORY_TO_DARATUMUMAB, TECLISTAMAB, draft_drug("daratumumab"))

    assert outcome(assessment, "R27") == NOT_APPLICABLE
