"""Draft orders: what is being ordered, for which day, and which drafts no rule looks at."""

from dataclasses import replace
from typing import Any

import pytest

from fhir_mapping.build import Drafts, read_orders
from fhir_mapping.catalog.loader import load
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.orders import OrderKind
from fhir_mapping.model.vocabulary import Antigen
from tests.build import (
    AS_OF,
    CPT,
    LOINC,
    RXNORM,
    Resource,
    coded,
    draft_collection,
    draft_drug,
    draft_infusion,
    draft_service,
    drug,
)
from tests.mapping.reading import ZONE, drafts_of, gaps, proposed, read, span


def service(text: str) -> Resource:
    """Make a draft service request that comes as text alone."""
    return draft_service("") | {"code": {"text": text}}


@pytest.mark.parametrize(
    ("draft", "kind", "name"),
    [
        pytest.param(draft_drug("teclistamab"), OrderKind.DRUG, "teclistamab", id="bispecific antibody"),
        pytest.param(draft_drug("Carvykti"), OrderKind.DRUG, "ciltacabtagene autoleucel", id="CAR T product"),
        pytest.param(draft_drug("belantamab mafodotin"), OrderKind.DRUG, "belantamab mafodotin", id="conjugate"),
        pytest.param(draft_drug("dexamethasone"), OrderKind.DRUG, "dexamethasone", id="steroid"),
        pytest.param(draft_drug("fludarabine"), OrderKind.LYMPHODEPLETION, "fludarabine", id="fludarabine"),
        pytest.param(draft_drug("acyclovir"), OrderKind.DRUG, "acyclovir", id="antiviral"),
        pytest.param(draft_drug("pentamidine"), OrderKind.DRUG, "pentamidine", id="Pneumocystis prophylaxis"),
        pytest.param(draft_drug("filgrastim"), OrderKind.DRUG, "filgrastim", id="growth factor"),
        pytest.param(draft_drug("study drug 7"), OrderKind.UNRECOGNISED, None, id="study drug"),
        pytest.param(draft_drug("novelmab"), OrderKind.UNRECOGNISED, None, id="an antibody that is not known"),
        pytest.param(draft_collection(), OrderKind.T_CELL_COLLECTION, None, id="collection by code"),
        pytest.param(service("T-cell collection"), OrderKind.T_CELL_COLLECTION, None, id="collection in words"),
        pytest.param(service("Leukapheresis"), OrderKind.T_CELL_COLLECTION, None, id="leukapheresis and no more"),
        pytest.param(service("Apheresis collection"), OrderKind.T_CELL_COLLECTION, None, id="apheresis and no more"),
        pytest.param(service("Ld chemo flu/cy"), OrderKind.LYMPHODEPLETION, None, id="lymphodepletion, short"),
        pytest.param(draft_infusion(), OrderKind.CAR_T_INFUSION, None, id="infusion by code"),
        pytest.param(service("CAR T-cell infusion"), OrderKind.CAR_T_INFUSION, None, id="infusion in words"),
        pytest.param(
            service("Carvykti administration"), OrderKind.DRUG, "ciltacabtagene autoleucel", id="product given"
        ),
        pytest.param(service("Lymphodepletion"), OrderKind.LYMPHODEPLETION, None, id="lymphodepletion in words"),
        pytest.param(draft_service("5196-1", system=LOINC), OrderKind.OTHER, None, id="hepatitis B antigen"),
    ],
)
def test_a_draft_is_what_it_asks_for(draft: Resource, kind: OrderKind, name: str | None) -> None:
    (order,) = proposed(draft)
    assert order.kind is kind
    assert (order.drug.name if order.drug else None) == name


@pytest.mark.parametrize(
    "draft",
    [
        pytest.param(draft_drug("metformin"), id="another drug"),
        pytest.param(draft_drug("zoledronic acid"), id="a bone agent"),
        pytest.param(draft_drug("ondansetron 8 mg"), id="an antiemetic"),
        pytest.param(draft_drug("rituximab"), id="a known drug of another disease"),
        pytest.param(draft_drug("", medicationCodeableConcept=None), id="no drug yet"),
        pytest.param(draft_drug("", medicationCodeableConcept={}), id="an empty drug"),
        pytest.param(draft_drug("", medicationCodeableConcept={"text": " "}), id="a blank drug"),
        pytest.param(draft_service("38206"), id="stem-cell collection"),
        pytest.param(draft_service("38227"), id="receipt of cells"),
        pytest.param(draft_service("99213"), id="a visit"),
        pytest.param(service("Chest X-ray"), id="an image"),
    ],
)
def test_a_draft_that_no_rule_looks_at_is_not_watched(draft: Resource) -> None:
    assert proposed(draft) == ()


CVX = "http://hl7.org/fhir/sid/cvx"


@pytest.mark.parametrize(
    ("draft", "asked", "judged"),
    [
        pytest.param(draft_service("5196-1", system=LOINC), {"hbsag"}, True, id="a test by code"),
        pytest.param(service("HIV-1 RNA PCR"), {"hiv-nat"}, True, id="a test in words"),
        pytest.param(service("HIV 1/2 Ag/Ab, serum"), {"hiv-ag-ab"}, True, id="a test in words and its specimen"),
        pytest.param(service("CMV PCR, urine"), None, False, id="another specimen"),
        pytest.param(service("Varicella zoster IgG"), {"vzv-igg"}, True, id="antibodies, not the vaccine"),
        pytest.param(service("Creatinine"), {"creatinine"}, False, id="a test that brings no rule up"),
        pytest.param(service("C. difficile toxin, stool"), {"c-difficile"}, True, id="stool test"),
        pytest.param(service("Ambulatory referral to Gastroenterology"), {"referral-gastroenterology"}, True, id="GI"),
        pytest.param(draft_service("45378"), {"colonoscopy"}, True, id="endoscopy by code"),
        pytest.param(service("MRI Brain W/WO contrast"), {"brain-mri"}, True, id="imaging"),
        pytest.param(service("MRI lumbar spine"), None, False, id="imaging of something else"),
        pytest.param(service("Consult to neurology"), {"referral-neurology"}, True, id="consult"),
        pytest.param(service("Eye exam"), {"eye-exam"}, False, id="eye examination: context"),
        pytest.param(service("CAR T education visit"), {"patient-education"}, False, id="education: context"),
        pytest.param(service("Administer MMR vaccine"), {"vaccine-mmr-live"}, True, id="vaccine as a service"),
        pytest.param(service("Influenza A/B PCR"), None, False, id="a test for influenza is no vaccine"),
        pytest.param(draft_service("90707"), {"vaccine-mmr-live"}, True, id="vaccine by billing code"),
        pytest.param(
            draft_drug("", medicationCodeableConcept=coded(CVX, "03")), {"vaccine-mmr-live"}, True, id="vaccine by code"
        ),
        pytest.param(draft_drug("Shingrix 50 mcg IM"), {"vaccine-zoster-recombinant"}, True, id="vaccine by brand"),
        pytest.param(draft_drug("TPN adult custom"), {"parenteral-nutrition"}, True, id="feeding by vein"),
        pytest.param(draft_drug("oseltamivir 75 mg for influenza"), None, False, id="what a drug is for is no vaccine"),
        pytest.param(draft_drug("hepatitis B immune globulin"), None, False, id="antibodies are no vaccine"),
    ],
)
def test_what_is_no_drug_of_ours_is_told_by_what_it_asks_for(draft: Resource, asked: Any, judged: bool) -> None:
    orders = proposed(draft)

    assert [order.asks_for for order in orders] == ([asked] if asked else [])
    assert [order.judged for order in orders] == ([judged] if asked else [])


def test_a_draft_service_without_code_is_not_watched() -> None:
    assert proposed({key: value for key, value in draft_collection().items() if key != "code"}) == ()


def test_a_collection_for_a_named_product_keeps_its_target() -> None:
    (order,) = proposed(draft_service("") | {"code": coded(CPT, "38225", "T-cell collection for arlo-cel")})
    assert order.kind is OrderKind.T_CELL_COLLECTION
    assert order.may_target(Antigen.GPRC5D)
    assert not order.may_target(Antigen.BCMA)
    (order,) = proposed(draft_collection())
    assert order.may_target(Antigen.BCMA)


@pytest.mark.parametrize("make", [draft_drug, draft_service], ids=["medication", "service"])
@pytest.mark.parametrize(
    ("status", "is_placed"),
    [
        ("draft", True),
        ("active", True),
        ("on-hold", True),
        ("unknown", True),
        ("entered-in-error", False),
        ("cancelled", False),
        ("revoked", False),
        ("stopped", False),
        ("completed", False),
        pytest.param(None, True, id="no status"),
    ],
)
def test_an_order_that_is_over_is_not_being_placed(make: Any, status: Any, is_placed: bool) -> None:
    draft = make("teclistamab" if make is draft_drug else "38225", status=status)
    assert bool(proposed(draft)) is is_placed


def test_an_order_not_to_do_something_is_not_judged() -> None:
    assert proposed(draft_drug("teclistamab", doNotPerform=True)) == ()
    assert proposed(draft_collection(doNotPerform=True)) == ()


def timed(**timing: Any) -> Resource:
    return {"dosageInstruction": [{"timing": timing}]}


@pytest.mark.parametrize(
    ("more", "planned"),
    [
        pytest.param(timed(event=["2026-12-01"]), span("2026-12-01"), id="event"),
        pytest.param(timed(event=["2026-12-15", "2026-12-01", "2026-12-08"]), span("2026-12-01"), id="first event"),
        pytest.param(timed(event=["2026-12-01T15:00:00Z"]), span("2026-12-01"), id="event with time"),
        pytest.param(timed(event=["2026-12"]), span("2026-12-01", "2026-12-31"), id="event in a month"),
        pytest.param(timed(repeat={"boundsPeriod": {"start": "2026-12-01"}}), span("2026-12-01"), id="start of dosage"),
        pytest.param(
            {"dosageInstruction": [{"text": "premedication"}, {"timing": {"event": ["2026-12-01"]}}]},
            span("2026-12-01"),
            id="second dosage",
        ),
        pytest.param(
            {"dispenseRequest": {"validityPeriod": {"start": "2026-12-01"}}}, span("2026-12-01"), id="start of supply"
        ),
        pytest.param(
            timed(repeat={"boundsPeriod": {"end": "2027-12-01"}})
            | {"dispenseRequest": {"validityPeriod": {"start": "2026-12-01"}}},
            span("2026-12-01"),
            id="start of supply, where the dosage names its end alone",
        ),
        pytest.param({"authoredOn": "2026-11-20"}, None, id="the day of writing is not the planned day"),
        pytest.param({"dosageInstruction": "weekly"}, None, id="dosage of a wrong type"),
        pytest.param(timed(repeat={"frequency": 1, "period": 1, "periodUnit": "wk"}), None, id="frequency alone"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_the_planned_day_of_a_drug_is_its_first_dose(more: Resource, planned: ClinicalDate | None) -> None:
    (order,) = proposed(draft_drug("teclistamab", **more))
    assert order.planned == planned


@pytest.mark.parametrize(
    ("more", "planned"),
    [
        pytest.param({"occurrenceDateTime": "2026-12-01"}, span("2026-12-01"), id="day"),
        pytest.param(
            {"occurrencePeriod": {"start": "2026-12-01", "end": "2026-12-03"}}, span("2026-12-01"), id="period"
        ),
        pytest.param({"occurrencePeriod": {"end": "2026-12-03"}}, None, id="end alone"),
        pytest.param({"occurrenceTiming": {"event": ["2026-12-01"]}}, None, id="timing, which is not read"),
        pytest.param({"authoredOn": "2026-11-20"}, None, id="the day of writing"),
    ],
)
def test_the_planned_day_of_a_service_is_its_occurrence(more: Resource, planned: ClinicalDate | None) -> None:
    (order,) = proposed(draft_collection(**more))
    assert order.planned == planned


def test_a_planned_day_that_is_none_is_left_out() -> None:
    (order,) = proposed(draft_collection("soon"))
    assert order.planned is None


def referring_to(reference: Resource, **more: Any) -> Resource:
    return draft_drug("", medicationCodeableConcept=None, medicationReference=reference, **more)


def test_a_reference_is_followed_to_a_medication_sent_with_the_drafts() -> None:
    medication = {"resourceType": "Medication", "id": "m-1", "code": drug("teclistamab")}
    (order,) = proposed(referring_to({"reference": "Medication/m-1"}), medication)
    assert order.drug is not None
    assert order.drug.name == "teclistamab"


def test_a_reference_is_followed_into_the_draft_itself() -> None:
    contained = [{"resourceType": "Medication", "id": "m", "code": coded(RXNORM, "2619426")}]
    (order,) = proposed(referring_to({"reference": "#m"}, contained=contained))
    assert order.drug is not None
    assert order.drug.name == "teclistamab"


def test_a_reference_that_leads_nowhere_may_ask_for_anything() -> None:
    (order,) = proposed(referring_to({"reference": "Medication/lost"}))
    assert (order.kind, order.drug) == (OrderKind.UNRECOGNISED, None)


def test_a_reference_that_leads_nowhere_is_read_by_its_name() -> None:
    (order,) = proposed(referring_to({"reference": "Medication/lost", "display": "Talvey 40 mg"}))
    assert order.drug is not None
    assert (order.drug.name, order.label) == ("talquetamab", "Talvey 40 mg")
    assert proposed(referring_to({"reference": "Medication/lost", "display": "metformin"})) == ()


def test_a_draft_with_two_drugs_is_two_orders() -> None:
    assert [o.drug.name for o in proposed(draft_drug("daratumumab with bortezomib")) if o.drug] == [
        "bortezomib",
        "daratumumab",
    ]


def test_drafts_that_are_only_context_are_read_but_not_judged() -> None:
    drafts = drafts_of(draft_drug("teclistamab"))
    unselected = Drafts(tuple(replace(draft, judged=False) for draft in drafts.orders))
    (order,) = read_orders(unselected, load(), AS_OF, ZONE)
    assert not order.judged


@pytest.mark.parametrize("words", ["CAR T evaluation", "CAR T-cell therapy evaluation", "Referral for CAR T"])
def test_a_referral_is_context_for_which_alone_no_chart_is_read(words: str) -> None:
    (order,) = proposed(service(words))
    assert (order.kind, order.judged, order.is_car_t_step) == (OrderKind.CAR_T_REFERRAL, False, False)


def test_a_draft_that_cannot_be_decoded_may_ask_for_anything() -> None:
    (order,) = read_orders(Drafts(unreadable=1), load(), AS_OF, ZONE)
    assert (order.kind, order.judged) == (OrderKind.UNRECOGNISED, True)


@pytest.mark.parametrize(
    ("draft", "systemic"),
    [
        pytest.param(draft_drug("acyclovir"), True, id="no word of a route"),
        pytest.param(draft_drug("acyclovir 5 % cream"), False, id="cream"),
        pytest.param(draft_drug("acyclovir", dosageInstruction=[{"route": {"text": "Ophthalmic"}}]), False, id="eye"),
    ],
)
def test_a_local_product_is_told_apart(draft: Resource, systemic: bool) -> None:
    (order,) = proposed(draft)
    assert order.systemic is systemic


def test_drafts_are_part_of_the_history_but_never_an_exposure() -> None:
    history = read(drafts=drafts_of(draft_drug("teclistamab", "2026-12-01")))
    assert [order.planned for order in history.orders] == [span("2026-12-01")]
    assert not history.courses
    assert not gaps(history)
