"""ServiceRequest and Appointment: what is planned, what was declined, and what is no plan at all."""

from typing import Any

import pytest

from fhir_mapping import wire
from fhir_mapping.catalog.loader import load
from fhir_mapping.model.care import PlanKind, PlanState, RefusedTherapy
from fhir_mapping.model.history import GapCode
from fhir_mapping.readers.context import Context
from fhir_mapping.readers.plans import requests_being_placed
from tests.build import AS_OF, CPT, LOINC, RXCUI, RXNORM, SNOMED, Resource, coded, ordered
from tests.mapping.care_builders import (
    MODIFIED,
    STATUS_REASON,
    appointment,
    eye_examination,
    request,
    revoked,
    text,
)
from tests.mapping.reading import ZONE, decoded, gaps, is_silent, read, span

OPEN, DONE, UNCLEAR = PlanState.OPEN, PlanState.DONE, PlanState.UNCLEAR
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
NOT_R4 = [pytest.param(None, UNCLEAR, id="no status"), pytest.param("booking", UNCLEAR, id="not in R4")]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("draft", OPEN),
        ("active", OPEN),
        ("on-hold", UNCLEAR),
        ("revoked", None),
        ("completed", DONE),
        ("entered-in-error", None),
        ("unknown", UNCLEAR),
        *NOT_R4,
    ],
)
def test_a_request_stands_as_its_status_says(status: str | None, state: PlanState | None) -> None:
    history = read(request("CAR T evaluation", status))
    assert [plan.state for plan in history.plans] == ([state] if state else [])
    assert not history.refusals


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("proposed", UNCLEAR),
        ("pending", UNCLEAR),
        ("booked", OPEN),
        ("arrived", OPEN),
        ("fulfilled", DONE),
        ("cancelled", None),
        ("noshow", None),
        ("entered-in-error", None),
        ("checked-in", OPEN),
        ("waitlist", UNCLEAR),
        *NOT_R4,
    ],
)
def test_an_appointment_stands_as_its_status_says(status: str | None, state: PlanState | None) -> None:
    assert [plan.state for plan in read(appointment(status=status)).plans] == ([state] if state else [])


@pytest.mark.parametrize(
    ("intent", "state"),
    [
        ("proposal", UNCLEAR),
        ("plan", UNCLEAR),
        ("directive", OPEN),
        ("order", OPEN),
        ("original-order", OPEN),
        ("reflex-order", OPEN),
        ("filler-order", OPEN),
        ("instance-order", OPEN),
        ("option", UNCLEAR),
        pytest.param(None, OPEN, id="no intent"),
        pytest.param("wish", UNCLEAR, id="not in R4"),
    ],
)
def test_a_request_that_is_no_order_yet_is_unclear(intent: str | None, state: PlanState) -> None:
    assert [plan.state for plan in read(request("CAR T evaluation", intent=intent)).plans] == [state]


def test_a_request_not_to_do_something_is_no_plan() -> None:
    history = read(request("CAR T evaluation", doNotPerform=True), revoked(reason="Declined", doNotPerform=True))
    assert not history.plans
    assert not history.refusals


def test_a_leukapheresis_without_more_words_may_be_one_of_t_cells() -> None:
    (plan,) = read(request("Leukapheresis")).plans
    assert (plan.kind, plan.state) == (PlanKind.T_CELL_COLLECTION, UNCLEAR)
    (plan,) = read(appointment("Leukapheresis for ide-cel", serviceType=[text("Leukapheresis")])).plans
    assert (plan.kind, plan.state) == (PlanKind.T_CELL_COLLECTION, OPEN)
    assert plan.product is not None
    assert plan.product.name == "idecabtagene vicleucel"


COLLECTION, INFUSION, LYMPHODEPLETION = PlanKind.T_CELL_COLLECTION, PlanKind.CAR_T_INFUSION, PlanKind.LYMPHODEPLETION
REFERRAL, EYE, LAB = PlanKind.CAR_T_REFERRAL, PlanKind.EYE_EXAMINATION, PlanKind.LABORATORY_TEST


@pytest.mark.parametrize(
    ("code", "kind", "product"),
    [
        (coded(CPT, "38225"), COLLECTION, None),
        (coded(CPT, "38225", "T-cell collection for Carvykti"), COLLECTION, "ciltacabtagene autoleucel"),
        (text("T-cell apheresis"), COLLECTION, None),
        (coded(CPT, "38228"), INFUSION, None),
        (coded(HCPCS, "Q2056"), INFUSION, "ciltacabtagene autoleucel"),
        (text("Carvykti"), INFUSION, "ciltacabtagene autoleucel"),
        (text("CAR-T infusion"), INFUSION, None),
        (text("Lymphodepleting chemotherapy"), LYMPHODEPLETION, None),
        (text("CAR T evaluation"), REFERRAL, None),
        (text("Referral to cellular therapy clinic"), REFERRAL, None),
        (text("CAR-T consult"), REFERRAL, None),
        (text("CAR T-cell therapy"), REFERRAL, None),
        (text("Carvykti eligibility assessment"), REFERRAL, "ciltacabtagene autoleucel"),
        (text("BMT and cellular therapy, new patient visit"), REFERRAL, None),
        (eye_examination(), EYE, None),
        (coded(SNOMED, "308479007"), EYE, None),
        (text("Ophthalmology consult"), EYE, None),
        (text("Slit lamp examination and visual acuity"), EYE, None),
        (coded(LOINC, "5196-1"), LAB, None),
        (coded(LOINC, "5196-1", "HBsAg for CAR T evaluation"), LAB, None),
    ],
)
def test_a_request_is_for_what_its_code_or_words_say(code: Resource, kind: PlanKind, product: str | None) -> None:
    (plan,) = read(request(code)).plans
    assert (plan.kind, plan.product and plan.product.name) == (kind, product)


def test_a_laboratory_request_names_its_tests() -> None:
    codes = {"coding": [{"system": LOINC, "code": "5196-1"}, {"system": LOINC, "code": "13952-7"}]}
    (plan,) = read(request(codes)).plans
    assert plan.tests == {"hbsag", "anti-hbc-total"}


@pytest.mark.parametrize(
    "words",
    [
        "CAR T follow-up visit",
        "CAR T education visit",
        "CAR T toxicity clinic",
        "Neurology consult after CAR T",
        "No CAR T referral",
        "Stem cell therapy consult",
        "Stem cell collection",
        "Crash cart evaluation",
        "Blinatumomab consult",
        "Cardiology consult",
        "Referral to haematology",
        "Cataract surgery, ophthalmology",
        "Eye exam declined",
        "Ophthalmic ointment",
        "Complete blood count",
        "",
    ],
)
def test_other_words_ask_for_nothing_that_a_rule_looks_at(words: str) -> None:
    history = read(request(words), appointment(words))
    assert not history.plans
    assert is_silent(history)


def test_a_referral_is_for_what_its_reason_says() -> None:
    reason = [text("CAR T evaluation")]
    (plan,) = read(request("Ambulatory referral to haematology", reasonCode=reason)).plans
    assert plan.kind is REFERRAL
    assert not read(request("Echocardiogram", reasonCode=reason)).plans


def test_a_referral_for_an_infusion_is_not_the_infusion() -> None:
    (plan,) = read(request("Referral to haematology", reasonCode=[text("CAR T infusion")])).plans
    assert plan.kind is REFERRAL


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"serviceType": [text("Ophthalmology")]}, EYE),
        ({"appointmentType": eye_examination()}, EYE),
        ({"serviceType": [text("Ophthalmology")], "reasonCode": [text("Cataract surgery")]}, None),
        ({"reasonCode": [text("CAR T infusion")]}, INFUSION),
        ({"serviceType": [text("Oncology consult")], "description": "CAR T"}, REFERRAL),
        ({"appointmentType": text("Follow-up"), "description": "CAR T clinic"}, None),
        ({"serviceType": [coded(CPT, "38225")]}, COLLECTION),
        ({}, None),
    ],
)
def test_an_appointment_is_for_what_any_of_its_elements_say(more: Resource, kind: PlanKind | None) -> None:
    plans = read(appointment(None) | more).plans
    assert [plan.kind for plan in plans] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("more", "planned"),
    [
        ({}, None),
        ({"occurrenceDateTime": "2026-11-10"}, span("2026-11-10")),
        ({"occurrenceDateTime": "2026-12-24"}, span("2026-12-24")),
        ({"occurrenceDateTime": "2026-12"}, span("2026-12-01", "2026-12-31")),
        ({"occurrencePeriod": {"start": "2026-12-01", "end": "2026-12-03"}}, span("2026-12-01")),
        ({"occurrencePeriod": {"end": "2026-12-03"}}, None),
    ],
)
def test_the_day_of_a_request_may_lie_ahead(more: Resource, planned: Any) -> None:
    (plan,) = read(request("CAR T evaluation", **more)).plans
    assert (plan.planned, plan.requested, plan.source.on) == (planned, span("2026-11-02"), span("2026-11-02"))


def test_the_days_of_an_appointment() -> None:
    (plan,) = read(appointment()).plans
    assert (plan.planned, plan.requested) == (span("2026-12-01"), span("2026-11-02"))


@pytest.mark.parametrize("authored", ["2026-11-21", "soon"])
def test_a_request_made_tomorrow_has_no_date_and_leaves_a_gap(authored: str) -> None:
    history = read(request("CAR T evaluation", authoredOn=authored))
    assert history.plans[0].requested is None
    assert gaps(history) == {GapCode.DATE}


@pytest.mark.parametrize(
    ("more", "gap"),
    [
        (MODIFIED, GapCode.NOT_UNDERSTOOD),
        ({"implicitRules": "urn:example:rules"}, GapCode.NOT_UNDERSTOOD),
        ({"occurrencePeriod": "tomorrow"}, GapCode.PRUNED),
    ],
)
def test_a_request_that_was_not_understood_is_unclear(more: Resource, gap: GapCode) -> None:
    history = read(request("CAR T evaluation", "completed", **more))
    assert [plan.state for plan in history.plans] == [UNCLEAR]
    assert gaps(history) == {gap}
    refused = read(revoked(reason="Declined", **more))
    assert not refused.refusals
    assert gaps(refused) == {gap}


def test_a_modifier_on_a_request_of_no_interest_leaves_no_gap() -> None:
    assert not read(request("Chest x-ray", **MODIFIED), appointment("Dentist", **MODIFIED)).gaps


def test_an_appointment_with_a_modifier_is_unclear() -> None:
    history = read(appointment(**MODIFIED))
    assert [plan.state for plan in history.plans] == [UNCLEAR]
    assert gaps(history) == {GapCode.NOT_UNDERSTOOD}


def test_the_newest_version_counts() -> None:
    old = request("CAR T evaluation", id="r", meta={"versionId": "1"})
    new = request("CAR T evaluation", "completed", id="r", meta={"versionId": "2"})
    assert [plan.state for plan in read(new, old).plans] == [DONE]


def test_a_request_without_subject_or_code_does_no_harm() -> None:
    assert len(read(request("CAR T evaluation", subject=None)).plans) == 1
    assert not read(request("x") | {"code": None}).plans


@pytest.mark.parametrize(
    "reason",
    [
        "Declined",
        "Patient declined - prefers bispecific",
        "Refused by patient",
        "Not a candidate",
        "Not a suitable CAR T candidate at this time",
        "Ineligible: ECOG 3",
        "medically unsuitable",
        "No longer eligible",
        "Patient's preference",
        coded(SNOMED, "183944003"),
        coded(SNOMED, "105480006"),
    ],
)
def test_a_step_that_was_called_off_for_such_a_reason_was_declined(reason: Any) -> None:
    history = read(revoked(reason=reason))
    (refusal,) = history.refusals
    assert refusal.therapy is RefusedTherapy.CAR_T
    assert refusal.on == span("2026-11-02", "2026-11-20")
    assert refusal.source.on == span("2026-11-02")
    assert not history.plans


@pytest.mark.parametrize(
    "reason",
    [
        None,
        "Duplicate order",
        "Entered by mistake",
        "Rescheduled at patient request",
        "Insurance denied",
        "Insurance refused authorization",
        "Declined transplant",
        "Relapsed myeloma, transplant ineligible",
        "Not declined",
        "may be ineligible",
        "Declined in May, now agrees",
        "Disease progression",
        coded(SNOMED, "271299001"),
    ],
)
def test_a_step_that_was_called_off_for_another_reason_is_nothing(reason: Any) -> None:
    history = read(revoked(reason=reason))
    assert not history.refusals
    assert not history.plans


def test_the_reason_keeps_the_words_of_the_chart() -> None:
    (refusal,) = read(revoked(reason="Patient DECLINED after talk")).refusals
    assert refusal.reason == "Patient DECLINED after talk"


def test_the_reason_may_stand_where_the_indication_stands() -> None:
    assert len(read(revoked(reasonCode=[text("Patient declined")])).refusals) == 1


@pytest.mark.parametrize("code", ["CAR T infusion", "T-cell collection", "Lymphodepletion"])
def test_every_step_of_car_t_can_be_declined(code: str) -> None:
    assert len(read(revoked(code, "Patient declined")).refusals) == 1


@pytest.mark.parametrize("code", ["Eye examination", "Echocardiogram"])
def test_another_request_that_was_declined_is_no_refusal_of_car_t(code: str) -> None:
    assert not read(revoked(code, "Patient declined")).refusals


def test_other_extensions_are_passed_over() -> None:
    others: list[Any] = [
        {"url": "urn:example:x", "valueCodeableConcept": text("declined")},
        {"url": STATUS_REASON, "valueCodeableConcept": 7},
        "no extension at all",
        {"url": STATUS_REASON, "valueString": "declined"},
    ]
    assert not read(revoked(extension=others)).refusals
    said = {"url": STATUS_REASON, "valueCodeableConcept": text("declined")}
    assert len(read(revoked(extension=[*others, said])).refusals) == 1


def test_a_refusal_without_date_has_none() -> None:
    (refusal,) = read(revoked(reason="declined", authoredOn=None)).refusals
    assert refusal.on is None


def wired(resource: Resource) -> wire.ServiceRequest:
    (item,) = decoded(resource).found
    assert isinstance(item.resource, wire.ServiceRequest)
    return item.resource


@pytest.mark.parametrize(
    ("stored", "is_draft"),
    [
        pytest.param(request("Chest x-ray", id="d"), True, id="the same id"),
        pytest.param(request("CAR T consult", authoredOn="2026-11-20"), True, id="the same today"),
        pytest.param(request("CAR T consult", authoredOn="2026-11-20T00:00:00Z"), True, id="midnight in UTC"),
        pytest.param(request("CAR T consult", authoredOn="2026-11-19"), False, id="the same yesterday"),
        pytest.param(request("CAR T consult", authoredOn="2026-11"), False, id="this month"),
        pytest.param(request("CAR T consult", authoredOn=None), False, id="undated"),
        pytest.param(request("Eye exam", authoredOn="2026-11-20"), False, id="something else today"),
        pytest.param(request("Chest x-ray", authoredOn="2026-11-20"), False, id="nothing we know"),
    ],
)
def test_a_draft_that_is_stored_already_is_known_again(stored: Resource, is_draft: bool) -> None:
    context = Context(load(), AS_OF, ZONE)
    drafts = [wired(request("CAR T evaluation", "draft", id="d")), wired(request("Walk", "draft", id="e")), None]
    assert requests_being_placed(drafts, context).includes(wired(stored), context) is is_draft
    assert not requests_being_placed([], context).includes(wired(stored), context)


@pytest.mark.parametrize(
    ("status", "more", "state"),
    [
        ("active", {}, OPEN),
        ("on-hold", {}, UNCLEAR),
        ("active", MODIFIED, UNCLEAR),
        ("completed", {}, None),  # perhaps infused: see the infusions
        ("stopped", {}, None),
        ("cancelled", {}, None),
        ("draft", {}, None),
        ("active", {"intent": "plan"}, None),
        ("active", {"doNotPerform": True}, None),
    ],
)
def test_a_stored_order_of_cells_is_a_plan_and_no_infusion(
    status: str, more: Resource, state: PlanState | None
) -> None:
    history = read(ordered("ciltacabtagene autoleucel", "2026-11-02", status, **more))

    assert [plan.state for plan in history.plans] == ([state] if state else [])
    assert bool(history.infusions) == (status == "completed")
    for plan in history.plans:
        assert plan.kind is PlanKind.CAR_T_INFUSION
        assert plan.product is not None
        assert plan.product.id == "ciltacabtagene-autoleucel"
        assert (plan.requested, plan.planned) == (span("2026-11-02"), None)


def test_the_day_for_which_cells_are_ordered_may_lie_ahead() -> None:
    dosage = {"timing": {"repeat": {"boundsPeriod": {"start": "2026-12-10"}}}}

    (plan,) = read(ordered("ciltacabtagene autoleucel", "2026-11-02", dosageInstruction=[dosage])).plans

    assert plan.planned == span("2026-12-10")


def test_codes_and_words_of_two_products_leave_the_plan_unclear() -> None:
    medication = coded(RXNORM, RXCUI["idecabtagene vicleucel"], "ciltacabtagene autoleucel")

    plans = read(ordered("", "2026-11-02", medicationCodeableConcept=medication)).plans

    assert {plan.state for plan in plans} == {UNCLEAR}


def test_an_order_of_another_drug_is_no_plan() -> None:
    assert not read(ordered("teclistamab", "2026-11-02")).plans
