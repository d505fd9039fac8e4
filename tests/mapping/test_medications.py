"""MedicationStatement, MedicationAdministration, MedicationRequest: what each record proves, and what it does not."""

from typing import Any

import pytest

from fhir_mapping.catalog.loader import load
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.history import GapCode, TreatmentHistory
from fhir_mapping.model.treatment import Course, EndReason
from fhir_mapping.model.vocabulary import Certainty, Tier
from tests.build import (
    AS_OF,
    RXCUI,
    RXNORM,
    SNOMED,
    Resource,
    bundle,
    coded,
    draft_drug,
    drug,
    given,
    infusion,
    ordered,
    procedure,
    reported,
)
from tests.mapping.reading import drafts_of, gaps, is_silent, names, read, read_bundle, span

TODAY = AS_OF.isoformat()


def the_course(history: TreatmentHistory) -> Course:
    (course,) = history.courses
    return course


def certainty_of(history: TreatmentHistory) -> Certainty | None:
    """Say how sure the one exposure is; None where nothing at all was read."""
    if is_silent(history):
        return None
    return the_course(history).certainty


# --- Statuses ---


@pytest.mark.parametrize(
    ("status", "certainty"),
    [
        ("active", Certainty.STATED),
        ("completed", Certainty.STATED),
        ("stopped", Certainty.STATED),
        ("on-hold", Certainty.POSSIBLE),
        ("unknown", Certainty.POSSIBLE),
        ("intended", None),
        ("not-taken", None),
        ("entered-in-error", None),
        pytest.param(None, Certainty.POSSIBLE, id="no status"),
        pytest.param("final", Certainty.POSSIBLE, id="a status of another resource"),
    ],
)
def test_a_statement_exposes_as_far_as_its_status_says(status: Any, certainty: Certainty | None) -> None:
    history = read(reported("teclistamab", "2026-01-05", "2026-03-01", status))
    assert certainty_of(history) is certainty


@pytest.mark.parametrize(
    ("status", "certainty"),
    [
        ("in-progress", Certainty.STATED),
        ("completed", Certainty.STATED),
        ("stopped", Certainty.STATED),
        ("on-hold", Certainty.POSSIBLE),
        ("unknown", Certainty.POSSIBLE),
        ("not-done", None),
        ("entered-in-error", None),
        pytest.param(None, Certainty.POSSIBLE, id="no status"),
        pytest.param("active", Certainty.POSSIBLE, id="a status of another resource"),
    ],
)
def test_an_administration_exposes_as_far_as_its_status_says(status: Any, certainty: Certainty | None) -> None:
    assert certainty_of(read(given("teclistamab", "2026-01-05", status))) is certainty


@pytest.mark.parametrize(
    ("status", "certainty"),
    [
        ("active", Certainty.STATED),
        ("completed", Certainty.STATED),
        ("stopped", Certainty.STATED),
        ("unknown", Certainty.POSSIBLE),
        ("on-hold", None),
        ("draft", None),
        ("cancelled", None),
        ("entered-in-error", None),
        pytest.param(None, Certainty.POSSIBLE, id="no status"),
        pytest.param("revoked", Certainty.POSSIBLE, id="a status of another resource"),
    ],
)
def test_an_order_is_presumptive_as_far_as_its_status_says(status: Any, certainty: Certainty | None) -> None:
    history = read(ordered("teclistamab", "2026-01-05", status))
    assert certainty_of(history) is certainty
    assert all(course.tier is Tier.PRESUMPTIVE for course in history.courses)


@pytest.mark.parametrize(
    ("intent", "exposes"),
    [
        ("proposal", False),
        ("plan", False),
        ("option", False),
        ("order", True),
        ("original-order", True),
        ("reflex-order", True),
        ("filler-order", True),
        ("instance-order", True),
        pytest.param(None, True, id="no intent"),
    ],
)
def test_an_order_that_is_only_a_plan_exposes_nobody(intent: Any, exposes: bool) -> None:
    assert bool(read(ordered("teclistamab", "2026-01-05", intent=intent)).courses) is exposes


def test_an_order_not_to_give_a_drug_exposes_nobody() -> None:
    assert is_silent(read(ordered("teclistamab", "2026-01-05", doNotPerform=True)))


@pytest.mark.parametrize(
    "modifier",
    [
        pytest.param({"modifierExtension": [{"url": "urn:example:not-really", "valueBoolean": True}]}, id="extension"),
        pytest.param({"modifierExtension": []}, id="an empty list of extensions"),
        pytest.param({"implicitRules": "urn:example:rules"}, id="implicit rules"),
    ],
)
@pytest.mark.parametrize(
    "resource",
    [
        given("teclistamab", "2026-01-05"),
        reported("teclistamab", "2026-01-05", "2026-02-01"),
        ordered("teclistamab", "2026-01-05"),
    ],
    ids=lambda resource: resource["resourceType"],
)
def test_a_modifier_that_is_not_known_leaves_the_fact_possible(resource: Resource, modifier: Resource) -> None:
    history = read(resource | modifier)
    assert certainty_of(history) is Certainty.POSSIBLE
    assert GapCode.NOT_UNDERSTOOD in gaps(history)


@pytest.mark.parametrize(
    ("record", "tier"),
    [
        pytest.param(given("teclistamab", "2026-01-05"), Tier.PROVEN, id="administered"),
        pytest.param(given("teclistamab", None), Tier.PROVEN, id="administered on no known day"),
        pytest.param(reported("teclistamab", "2026-01-05", "2026-02-01"), Tier.REPORTED, id="reported"),
        pytest.param(reported("teclistamab"), Tier.UNDATED, id="reported without a date"),
        pytest.param(ordered("teclistamab", "2026-01-05"), Tier.PRESUMPTIVE, id="ordered"),
    ],
)
def test_each_kind_of_record_has_its_strength(record: Resource, tier: Tier) -> None:
    assert the_course(read(record)).tier is tier


# --- Dates of doses ---


def test_the_day_of_an_administration_is_the_day_of_the_dose() -> None:
    course = the_course(read(given("teclistamab", "2026-01-05T14:00:00-05:00")))
    assert (course.first_dose, course.last_dose) == (span("2026-01-05"), span("2026-01-05"))


def test_an_infusion_over_midnight_ends_on_the_second_day() -> None:
    period = {"start": "2026-01-05T23:00:00-05:00", "end": "2026-01-06T01:00:00-05:00"}
    course = the_course(read(given("teclistamab", None, effectivePeriod=period)))
    assert (course.first_dose, course.last_dose) == (span("2026-01-05"), span("2026-01-06"))


def test_the_period_of_a_statement_gives_first_and_last_dose() -> None:
    course = the_course(read(reported("teclistamab", "2026-01-05", "2026-03")))
    assert course.first_dose == span("2026-01-05")
    assert course.last_dose == span("2026-03-01", "2026-03-31")


def test_a_period_that_names_its_end_alone_is_dated_by_it() -> None:
    course = the_course(read(reported("teclistamab", None, "2026-03-02")))
    assert (course.first_dose, course.last_dose) == (span("2026-03-02"), span("2026-03-02"))


@pytest.mark.parametrize(
    ("asserted", "ongoing", "last_dose"),
    [
        pytest.param(TODAY, True, span(TODAY), id="asserted today"),
        pytest.param("2026-08-22", True, span(TODAY), id="asserted 90 days ago"),
        pytest.param("2026-08-21", False, span("2026-08-21", TODAY), id="asserted 91 days ago"),
        pytest.param("2026-08", False, span("2026-08-01", TODAY), id="asserted about 90 days ago"),
        pytest.param(None, False, span("2026-01-05", TODAY), id="never asserted"),
        pytest.param("2026-11-21", False, span("2026-01-05", TODAY), id="asserted tomorrow"),
        pytest.param("2025-12-01", False, span("2026-01-05", TODAY), id="asserted before the start"),
    ],
)
@pytest.mark.parametrize("as_period", [True, False], ids=["period", "dateTime"])
def test_an_open_statement_is_ongoing_only_when_asserted_lately(
    asserted: str | None, ongoing: bool, last_dose: ClinicalDate, as_period: bool
) -> None:
    start = {"effectivePeriod": {"start": "2026-01-05"}} if as_period else {"effectiveDateTime": "2026-01-05"}
    course = the_course(read(reported("teclistamab", status="active", asserted=asserted, **start)))
    assert (course.ongoing, course.last_dose) == (ongoing, last_dose)
    assert course.first_dose == span("2026-01-05")


@pytest.mark.parametrize("status", ["completed", "stopped"])
@pytest.mark.parametrize(
    ("asserted", "last_dose"),
    [
        pytest.param("2026-03-01", span("2026-01-05", "2026-03-01"), id="by the day it was asserted"),
        pytest.param("2026-11-01", span("2026-01-05", "2026-11-01"), id="also when asserted lately"),
        pytest.param(None, span("2026-01-05", TODAY), id="by today"),
        pytest.param("2025-12-01", span("2026-01-05"), id="not before it began"),
    ],
)
def test_an_ended_statement_without_end_ended_at_some_time(
    status: str, asserted: str | None, last_dose: ClinicalDate
) -> None:
    course = the_course(read(reported("teclistamab", "2026-01-05", status=status, asserted=asserted)))
    assert course.last_dose == last_dose
    assert not course.ongoing


def test_the_day_of_assertion_is_never_a_dose() -> None:
    course = the_course(read(reported("teclistamab", asserted="2026-03-01")))
    assert course.first_dose is None
    assert course.last_dose is None


@pytest.mark.parametrize("status", ["active", "completed"])
def test_an_end_that_may_be_past_is_cut_off_today(status: str) -> None:
    course = the_course(read(reported("teclistamab", "2025-06-01", "2026-11", status, asserted=TODAY)))
    assert course.last_dose == span("2026-11-01", TODAY)
    assert not course.ongoing


def test_an_end_that_lies_ahead_ends_nothing_yet() -> None:
    course = the_course(read(reported("teclistamab", "2026-01-05", "2027-01-01", "active", asserted=TODAY)))
    assert course.ongoing
    assert course.last_dose == span(TODAY)


def test_a_dose_of_today_counts() -> None:
    history = read(given("teclistamab", TODAY))
    assert the_course(history).last_dose == span(TODAY)
    assert not history.gaps


def test_late_evening_in_the_hospital_is_still_today_although_utc_is_a_day_ahead() -> None:
    history = read(given("teclistamab", "2026-11-21T03:00:00Z"))
    assert the_course(history).last_dose == span(TODAY)
    assert not history.gaps


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(given("teclistamab", "2026-11-21"), id="administered tomorrow"),
        pytest.param(reported("teclistamab", "2026-11-21"), id="taken from tomorrow on, and completed"),
        pytest.param(reported("teclistamab", effectiveDateTime="2031"), id="taken in a later year"),
        pytest.param(given("teclistamab", "2021-13"), id="administered in a month that is none"),
        pytest.param(given("teclistamab", "0001-01-01"), id="administered in the year 1"),
    ],
)
def test_an_impossible_date_leaves_the_dose_undated_and_a_gap(record: Resource) -> None:
    history = read(record)
    assert the_course(history).last_dose is None
    assert GapCode.DATE in gaps(history)


def test_a_month_that_is_not_over_is_cut_off_today() -> None:
    assert the_course(read(given("teclistamab", "2026-11"))).last_dose == span("2026-11-01", TODAY)


# --- Orders ---


@pytest.mark.parametrize(
    ("more", "last_dose"),
    [
        pytest.param({}, span("2026-03-01", TODAY), id="any day since"),
        pytest.param({"until": "2026-04-30"}, span("2026-03-01", "2026-04-30"), id="any day of its supply"),
        pytest.param({"until": "2027-04-30"}, span("2026-03-01", TODAY), id="not in the future"),
        pytest.param({"until": "2026-01-01"}, span("2026-03-01"), id="not before it was written"),
        pytest.param(
            {"dosageInstruction": [{"timing": {"repeat": {"boundsPeriod": {"end": "2026-05-15"}}}}]},
            span("2026-03-01", "2026-05-15"),
            id="any day of its dosage",
        ),
    ],
)
def test_an_order_may_have_been_given_on_any_day_since_it_was_written(more: Any, last_dose: ClinicalDate) -> None:
    course = the_course(read(ordered("teclistamab", "2026-03-01", "completed", **more)))
    assert course.last_dose == last_dose
    assert not course.ongoing


def test_an_order_without_date_has_no_dose_date() -> None:
    assert the_course(read(ordered("teclistamab", None))).last_dose is None


@pytest.mark.parametrize(
    "refutation",
    [
        pytest.param(
            given("teclistamab", "2026-03-02", "not-done", request={"reference": "MedicationRequest/o-1"}),
            id="an administration that was not done",
        ),
        pytest.param(
            given(
                "teclistamab",
                "2026-03-02",
                "not-done",
                request={"reference": "https://ehr.example/fhir/MedicationRequest/o-1/_history/2"},
            ),
            id="the same by an absolute, versioned reference",
        ),
        pytest.param(
            reported("teclistamab", status="not-taken", basedOn=[{"reference": "MedicationRequest/o-1"}]),
            id="a statement that it was not taken",
        ),
    ],
)
def test_an_order_that_was_not_carried_out_exposes_nobody(refutation: Resource) -> None:
    order = ordered("teclistamab", "2026-03-01", id="o-1")
    assert names(read(order).courses) == ["teclistamab"]
    assert is_silent(read(order, refutation))


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(
            given("teclistamab", None, "not-done", request={"reference": "MedicationRequest/o-2"}), id="another order"
        ),
        pytest.param(given("teclistamab", None, "not-done"), id="no order named"),
        pytest.param(
            given("teclistamab", None, "entered-in-error", request={"reference": "MedicationRequest/o-1"}),
            id="in error",
        ),
        pytest.param(
            given("teclistamab", None, "unknown", request={"reference": "MedicationRequest/o-1"}), id="status unknown"
        ),
    ],
)
def test_only_what_was_surely_not_done_refutes_its_own_order(record: Resource) -> None:
    history = read(ordered("teclistamab", "2026-03-01", id="o-1"), record)
    assert "MedicationRequest/o-1" in {source.reference for course in history.courses for source in course.sources}


# --- The order that is being placed ---


def test_the_stored_copy_of_a_draft_is_no_history_by_its_id() -> None:
    draft = draft_drug("teclistamab", id="d-1")
    assert is_silent(read(ordered("teclistamab", "2026-10-01", id="d-1"), drafts=drafts_of(draft)))


def test_the_stored_copy_of_a_draft_is_no_history_by_its_identifier() -> None:
    identifier = [{"system": "urn:example:orders", "value": "4711"}]
    stored = ordered("teclistamab", "2026-10-01", identifier=identifier)
    assert is_silent(read(stored, drafts=drafts_of(draft_drug("teclistamab", identifier=identifier))))


def test_an_identifier_of_another_system_is_another_order() -> None:
    stored = ordered("teclistamab", "2026-10-01", identifier=[{"system": "urn:example:pharmacy", "value": "4711"}])
    draft = draft_drug("teclistamab", identifier=[{"system": "urn:example:orders", "value": "4711"}])
    assert names(read(stored, drafts=drafts_of(draft)).courses) == ["teclistamab"]


@pytest.mark.parametrize(
    ("stored", "is_copy"),
    [
        pytest.param(ordered("teclistamab", TODAY), True, id="the same drug, written today"),
        pytest.param(ordered("Tecvayli", TODAY), True, id="the same drug by its brand"),
        pytest.param(ordered("teclistamab", "2026-11-20T16:00:00Z"), True, id="with a time of day"),
        pytest.param(ordered("teclistamab", "2026-11-19"), False, id="the same drug, written yesterday"),
        pytest.param(ordered("teclistamab", "2026"), False, id="the same drug, written this year"),
        pytest.param(ordered("teclistamab", None), False, id="the same drug, written on no known day"),
        pytest.param(ordered("talquetamab", TODAY), False, id="another drug, written today"),
    ],
)
def test_an_order_of_the_same_drug_from_today_is_the_draft_itself(stored: Resource, is_copy: bool) -> None:
    assert is_silent(read(stored, drafts=drafts_of(draft_drug("teclistamab")))) is is_copy


def test_draft_and_stored_copy_are_compared_when_both_only_refer_to_their_drug() -> None:
    referring: dict[str, Any] = {
        "medicationCodeableConcept": None,
        "medicationReference": {"reference": "#m"},
        "contained": [{"resourceType": "Medication", "id": "m", "code": drug("teclistamab")}],
    }
    draft, stored = draft_drug("", **referring), ordered("", TODAY, **referring)
    assert names(read(stored).courses) == ["teclistamab"]
    assert is_silent(read(stored, drafts=drafts_of(draft)))


def test_an_administration_of_today_is_never_taken_for_the_draft() -> None:
    history = read(given("teclistamab", TODAY), drafts=drafts_of(draft_drug("teclistamab")))
    assert names(history.courses) == ["teclistamab"]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(given("teclistamab", "2026-01-05", notGiven=True), id="STU3: dose not given"),
        pytest.param(given("teclistamab", "2026-01-05", wasNotGiven=True), id="DSTU2: dose not given"),
        pytest.param(reported("teclistamab", "2026-01-05", taken="n"), id="STU3: not taken"),
        pytest.param(reported("teclistamab", "2026-01-05", wasNotTaken=True), id="DSTU2: not taken"),
        pytest.param(procedure("38228", "2026-01-05", notDone=True), id="STU3: procedure not done"),
    ],
)
def test_a_negation_that_only_older_fhir_has_is_not_passed_over(record: Resource) -> None:
    assert is_silent(read(record))


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(given("teclistamab", "2026-01-05", notGiven=False), id="STU3: given"),
        pytest.param(reported("teclistamab", "2026-01-05", taken="y"), id="STU3: taken"),
        pytest.param(reported("teclistamab", "2026-01-05", taken="unk"), id="STU3: nobody knows"),
    ],
)
def test_without_the_negation_the_drug_counts(record: Resource) -> None:
    assert names(read(record).courses) == ["teclistamab"]


# --- Which drug ---

MEDICATION = {"resourceType": "Medication", "id": "m-1", "code": drug("teclistamab")}


def referring_to(reference: Resource, **more: Any) -> Resource:
    return given("", "2026-01-05", medicationCodeableConcept=None, medicationReference=reference, **more)


@pytest.mark.parametrize(
    "reference",
    [
        "Medication/m-1",
        "Medication/m-1/_history/3",
        "https://ehr.example/fhir/Medication/m-1",
        "https://ehr.example/fhir/Medication/m-1/_history/3",
    ],
)
def test_a_medication_is_found_by_every_way_to_write_its_reference(reference: str) -> None:
    assert names(read(MEDICATION, referring_to({"reference": reference})).courses) == ["teclistamab"]


def test_where_code_and_words_name_different_drugs_either_is_only_possible() -> None:
    concept = coded(RXNORM, RXCUI["teclistamab"], "elranatamab 76 mg")

    history = read(given("", "2026-01-05", medicationCodeableConcept=concept))

    assert names(history.courses) == ["elranatamab", "teclistamab"]
    assert {course.certainty for course in history.courses} == {Certainty.POSSIBLE}


def test_the_same_id_on_another_server_is_another_drug() -> None:
    sent = bundle([referring_to({"reference": "https://elsewhere.example/fhir/Medication/m-1"})])
    sent["entry"].append({"fullUrl": "https://ehr.example/fhir/Medication/m-1", "resource": MEDICATION})

    history = read_bundle(sent)

    assert names(history.courses) == []
    assert len(history.unrecognised) == 1  # it may be any drug, so it is not passed over


@pytest.mark.parametrize(
    ("full_url", "reference"),
    [
        ("urn:uuid:7a2fd9a2-9a3f-4c37-8a3e-1d9f27d5a001", "urn:uuid:7a2fd9a2-9a3f-4c37-8a3e-1d9f27d5a001"),
        ("https://ehr.example/fhir/Medication/m-1", "https://ehr.example/fhir/Medication/m-1"),
        ("https://ehr.example/fhir/Medication/m-1", "Medication/m-1"),
    ],
)
def test_a_medication_without_id_is_found_by_the_address_of_its_entry(full_url: str, reference: str) -> None:
    sent = bundle([referring_to({"reference": reference})])
    medication = {"resourceType": "Medication", "code": drug("teclistamab")}
    sent["entry"].append({"fullUrl": full_url, "resource": medication})
    assert names(read_bundle(sent).courses) == ["teclistamab"]


def test_a_contained_medication_is_found_among_its_neighbours() -> None:
    contained = [
        {"resourceType": "Organization", "id": "maker"},
        {"resourceType": "Medication", "id": "other", "code": drug("dexamethasone")},
        {"resourceType": "Medication", "id": "m", "code": drug("teclistamab")},
    ]
    assert names(read(referring_to({"reference": "#m"}, contained=contained)).courses) == ["teclistamab"]


def test_a_reference_with_a_name_alone_is_read_by_the_name() -> None:
    assert names(read(referring_to({"display": "TECVAYLI 30 mg/3 mL"})).courses) == ["teclistamab"]
    assert names(read(referring_to({"reference": "Medication/lost", "display": "Tecvayli"})).courses) == ["teclistamab"]


def test_the_name_in_a_reference_helps_where_the_medication_has_only_a_code_that_is_not_known() -> None:
    medication = {"resourceType": "Medication", "id": "m-1", "code": coded(RXNORM, "99999999")}
    assert is_silent(read(medication, referring_to({"reference": "Medication/m-1"})))
    history = read(medication, referring_to({"reference": "Medication/m-1", "display": "Tecvayli"}))
    assert names(history.courses) == ["teclistamab"]


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param({"reference": "Medication/lost"}, id="dangling"),
        pytest.param({"reference": "#lost"}, id="dangling inside"),
        pytest.param({"reference": "urn:uuid:00000000-0000-4000-8000-000000000000"}, id="dangling urn"),
        pytest.param({}, id="empty"),
    ],
)
def test_a_reference_that_leads_nowhere_may_be_any_treatment(reference: Resource) -> None:
    history = read(MEDICATION, referring_to(reference))
    assert not history.courses
    assert len(history.unrecognised) == 1


def test_a_record_that_names_no_drug_may_be_any_treatment() -> None:
    assert len(read(given("", "2026-01-05", medicationCodeableConcept=None)).unrecognised) == 1
    assert len(read(given("", "2026-01-05", medicationCodeableConcept={})).unrecognised) == 1


def test_a_medication_that_was_entered_in_error_names_no_drug() -> None:
    wrong = MEDICATION | {"status": "entered-in-error"}
    history = read(wrong, referring_to({"reference": "Medication/m-1"}))
    assert not history.courses
    assert len(history.unrecognised) == 1


def test_a_medication_in_error_names_no_drug_by_the_address_of_its_entry_either() -> None:
    address = "urn:uuid:7a2fd9a2-9a3f-4c37-8a3e-1d9f27d5a001"
    sent = bundle([referring_to({"reference": address})])
    wrong = {"resourceType": "Medication", "status": "entered-in-error", "code": drug("teclistamab")}
    sent["entry"].append({"fullUrl": address, "resource": wrong})
    assert not read_bundle(sent).courses


def test_the_newest_version_of_a_medication_names_the_drug() -> None:
    old = MEDICATION | {"meta": {"versionId": "1"}, "code": drug("daratumumab")}
    new = MEDICATION | {"meta": {"versionId": "2"}}
    for sent in ([old, new], [new, old]):
        assert names(read(*sent, referring_to({"reference": "Medication/m-1"})).courses) == ["teclistamab"]


@pytest.mark.parametrize("status", ["not-done", "entered-in-error"])
def test_a_treatment_that_is_not_recognised_counts_only_if_it_was_given(status: str) -> None:
    assert len(read(given("investigational agent", "2026-01-05")).unrecognised) == 1
    assert is_silent(read(given("investigational agent", "2026-01-05", status)))


def test_a_combination_exposes_to_each_of_its_drugs() -> None:
    history = read(given("daratumumab + bortezomib + dexamethasone", "2026-01-05"))
    assert sorted(names(history.courses)) == ["bortezomib", "daratumumab", "dexamethasone"]


# --- CAR T cells that come as a drug record ---


@pytest.mark.parametrize(
    ("record", "certainty"),
    [
        pytest.param(infusion("2026-01-05"), Certainty.STATED, id="administered"),
        pytest.param(infusion("2026-01-05", status="unknown"), Certainty.POSSIBLE, id="administration unknown"),
        pytest.param(infusion("2026-01-05", status="on-hold"), None, id="administration on hold"),
        pytest.param(infusion("2026-01-05", status="not-done"), None, id="not done"),
        pytest.param(reported("Carvykti", "2026-01-05", "2026-01-05"), Certainty.STATED, id="reported"),
        pytest.param(ordered("Carvykti", "2026-01-05", "completed"), Certainty.POSSIBLE, id="order carried out"),
        pytest.param(ordered("Carvykti", "2026-01-05", "unknown"), Certainty.POSSIBLE, id="order unknown"),
        pytest.param(ordered("Carvykti", "2026-01-05", "active"), None, id="order open"),
        pytest.param(ordered("Carvykti", "2026-01-05", "stopped"), None, id="order stopped"),
    ],
)
def test_cells_that_were_only_ordered_are_no_infusion(record: Resource, certainty: Certainty | None) -> None:
    history = read(record)
    assert [infusion.certainty for infusion in history.infusions] == ([certainty] if certainty else [])
    assert not history.courses


# --- Cover against infection ---


@pytest.mark.parametrize(
    ("record", "in_force"),
    [
        pytest.param(reported("acyclovir", "2026-01-05", status="active"), Answer.YES, id="taken"),
        pytest.param(reported("acyclovir", status="active"), Answer.YES, id="taken since an unknown day"),
        pytest.param(reported("acyclovir", "2026-01-05", TODAY, "active"), Answer.YES, id="taken up to today"),
        pytest.param(
            reported("acyclovir", "2026-01-05", "2026-11-19", "active"), Answer.NO, id="taken up to yesterday"
        ),
        pytest.param(reported("acyclovir", "2026-01-05", "2026-11", "active"), Answer.UNKNOWN, id="up to this month"),
        pytest.param(reported("acyclovir", "2026-01-05", status="completed"), Answer.NO, id="taken no longer"),
        pytest.param(reported("acyclovir", "2026-01-05", status="stopped"), Answer.NO, id="stopped"),
        pytest.param(reported("acyclovir", "2026-01-05", status="on-hold"), Answer.NO, id="on hold"),
        pytest.param(reported("acyclovir", "2026-01-05", status="unknown"), Answer.UNKNOWN, id="status unknown"),
        pytest.param(ordered("acyclovir", "2026-01-05"), Answer.YES, id="ordered without end"),
        pytest.param(ordered("acyclovir", "2026-01-05", until=TODAY), Answer.YES, id="supply up to today"),
        pytest.param(ordered("acyclovir", "2026-01-05", until="2026-11-19"), Answer.NO, id="supply up to yesterday"),
        pytest.param(ordered("acyclovir", "2026-01-05", "completed"), Answer.NO, id="dispensed, supply unknown"),
        pytest.param(ordered("acyclovir", "2026-11-01", "completed", until="2026-12-01"), Answer.YES, id="dispensed"),
        pytest.param(ordered("acyclovir", "2026-11-01", "stopped", until="2026-12-01"), Answer.NO, id="order stopped"),
        pytest.param(ordered("acyclovir", "2026-11-01", "unknown"), Answer.UNKNOWN, id="order unknown"),
        pytest.param(given("acyclovir", TODAY), Answer.NO, id="one dose given"),
    ],
)
def test_cover_is_in_force_only_if_today_is_covered(record: Resource, in_force: Answer) -> None:
    (care,) = read(record).supportive_care
    assert care.in_force is in_force


@pytest.mark.parametrize(
    "record",
    [
        reported("acyclovir", status="not-taken"),
        reported("acyclovir", status="intended"),
        ordered("acyclovir", "2026-01-05", "draft"),
        ordered("acyclovir", "2026-01-05", "cancelled"),
        ordered("acyclovir", "2026-01-05", "on-hold"),
        ordered("acyclovir", "2026-01-05", doNotPerform=True),
    ],
    ids=["not taken", "intended", "draft", "cancelled", "order on hold", "must not be given"],
)
def test_what_is_not_taken_covers_nothing(record: Resource) -> None:
    assert not read(record).supportive_care


@pytest.mark.parametrize(
    ("record", "systemic"),
    [
        pytest.param(reported("acyclovir 400 mg tablet", status="active"), True, id="tablet"),
        pytest.param(reported("acyclovir 5 % ointment", status="active"), False, id="ointment by name"),
        pytest.param(reported("Zovirax cream", status="active"), False, id="cream by name"),
        pytest.param(
            reported("acyclovir", status="active", dosage=[{"route": {"text": "Topical"}}]), False, id="route of use"
        ),
        pytest.param(
            ordered("acyclovir", "2026-01-05", dosageInstruction=[{"text": "apply to eye"}]), False, id="in the eye"
        ),
        pytest.param(
            reported("acyclovir", status="active", dosage=[{"route": coded(SNOMED, "54485002")}]),
            False,
            id="eye by code",
        ),
        pytest.param(
            reported("acyclovir", status="active", dosage=[{"route": coded(SNOMED, "26643006")}]),
            True,
            id="oral by code",
        ),
        pytest.param(given("acyclovir", TODAY, dosage={"route": {"text": "intravenous"}}), True, id="into a vein"),
        pytest.param(reported("acyclovir", status="active", dosage="twice daily"), True, id="dosage of a wrong type"),
    ],
)
def test_a_local_product_protects_no_one(record: Resource, systemic: bool) -> None:
    (care,) = read(record).supportive_care
    assert care.systemic is systemic


@pytest.mark.parametrize(
    ("dosage", "counts"),
    [
        ({"route": coded(SNOMED, "54485002")}, False),
        ({"route": {"text": "Ophthalmic"}}, False),
        ({"route": coded(SNOMED, "12130007")}, False),
        ({"route": {"text": "Oral"}}, True),
        ({}, True),
    ],
)
def test_a_steroid_in_the_eye_or_in_a_joint_is_no_treatment_of_myeloma(dosage: Resource, counts: bool) -> None:
    assert names(read(given("dexamethasone", "2026-01-05", dosage=dosage)).courses) == (
        ["dexamethasone"] if counts else []
    )


# --- Why a drug was ended ---


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        pytest.param({"statusReason": [{"text": "Disease progression"}]}, EndReason.PROGRESSION, id="in words"),
        pytest.param(
            {"statusReason": [coded("http://snomed.info/sct", "271299001")]}, EndReason.PROGRESSION, id="by code"
        ),
        pytest.param({"statusReason": {"text": "Progressive disease"}}, EndReason.PROGRESSION, id="not in a list"),
        pytest.param({"statusReason": [{"text": "No progression"}]}, None, id="negated"),
        pytest.param({"statusReason": [{"text": "CRS, toxicity"}]}, EndReason.TOXICITY, id="toxicity"),
        pytest.param({"statusReason": [{"text": "Therapy complete"}]}, EndReason.COMPLETION, id="planned"),
        pytest.param({"statusReason": 7}, None, id="of a wrong type"),
        pytest.param({"reasonCode": [{"text": "Disease progression"}]}, EndReason.PROGRESSION, id="as reasonCode"),
        pytest.param({"reasonCode": [{"text": "Relapsed multiple myeloma"}]}, None, id="only what it was given for"),
        pytest.param({}, None, id="none: the status alone says nothing"),
    ],
)
def test_the_reason_of_an_end_is_read_where_it_is_given(more: Resource, reason: EndReason | None) -> None:
    history = read(reported("teclistamab", "2026-01-05", "2026-03-01", "stopped", **more))
    assert the_course(history).end_reason is reason
    assert [p.on for p in history.progressions] == ([span("2026-03-01")] if reason is EndReason.PROGRESSION else [])


def test_records_of_other_drugs_leave_no_trace() -> None:
    assert is_silent(read(reported("metformin", "2019-01-01", status="active")))


def test_one_broken_record_costs_only_itself() -> None:
    broken = given("teclistamab", "2026-01-05") | {"status": 7}
    history = read(broken, given("talquetamab", "2026-02-05"))
    assert names(history.courses) == ["talquetamab"]
    assert gaps(history) == {GapCode.UNREADABLE}


def test_a_record_names_itself_as_the_source() -> None:
    (source,) = the_course(read(given("teclistamab", "2026-01-05", id="a-1"))).sources
    assert source.reference == "MedicationAdministration/a-1"
    assert source.on == span("2026-01-05")


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(reported("teclistamab", "2026-11-21", status="active"), id="taken from tomorrow on"),
        pytest.param(reported("acyclovir", "2026-12-10", status="active"), id="an antiviral from December on"),
        pytest.param(reported("ciltacabtagene autoleucel", "2026-12-10", status="active"), id="cells to be given"),
    ],
)
def test_an_active_statement_that_begins_after_today_is_a_plan(record: Resource) -> None:
    assert is_silent(read(record))


def test_a_period_that_runs_backwards_dates_nothing() -> None:
    history = read(reported("teclistamab", "2026-10-01", "2026-04-01"))

    assert the_course(history).last_dose is None
    assert GapCode.DATE in gaps(history)


def _duration(value: float, code: str) -> list[Resource]:
    return [{"timing": {"repeat": {"boundsDuration": {"value": value, "code": code}}}}]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(
            ordered("valacyclovir", "2026-06-01", dosageInstruction=_duration(7, "d")),
            Answer.NO,
            id="seven days in June",
        ),
        pytest.param(
            ordered("valacyclovir", "2026-11-14", dosageInstruction=_duration(1, "wk")),
            Answer.YES,
            id="a week, not over",
        ),
        pytest.param(
            ordered(
                "valacyclovir",
                "2026-06-01",
                "completed",
                until="2027-06-01",
                dosageInstruction=[{"timing": {"repeat": {"boundsPeriod": {"end": "2026-06-08"}}}}],
            ),
            Answer.NO,
            id="refills for a year, taken for a week",
        ),
        pytest.param(given("acyclovir", "2026-05-05", "in-progress"), Answer.NO, id="a dose under way since May"),
    ],
)
def test_the_earliest_end_that_a_record_names_ends_the_cover(record: Resource, expected: Answer) -> None:
    (care,) = read(record).supportive_care

    assert care.in_force is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ACYCLOVIR 5 % EX OINT", False),
        ("ZOVIRAX 5 % CRM", False),
        ("ACYCLOVIR 400 MG PO TABS", True),
    ],
)
def test_local_forms_are_known_by_the_words_of_order_names(text: str, expected: bool) -> None:
    (care,) = read(ordered(text, "2026-06-01")).supportive_care

    assert care.systemic is expected


def test_a_dosage_text_that_names_a_part_of_the_body_does_not_make_a_tablet_local() -> None:
    text = [{"text": "Take 1 tablet by mouth daily, for shingles of the eye"}]

    (care,) = read(ordered("acyclovir", "2026-06-01", dosageInstruction=text)).supportive_care

    assert care.systemic


def test_the_form_of_a_contained_medication_counts() -> None:
    ointment = {
        "resourceType": "Medication",
        "id": "m",
        "code": drug("acyclovir"),
        "form": {"text": "Topical ointment"},
    }
    record = ordered(
        "acyclovir",
        "2026-06-01",
        medicationCodeableConcept=None,
        medicationReference={"reference": "#m"},
        contained=[ointment],
    )

    (care,) = read(record).supportive_care

    assert not care.systemic


def test_a_missed_dose_leaves_the_order_in_force() -> None:
    order = ordered("acyclovir", "2026-05-04", id="m")
    missed = given("acyclovir", "2026-11-18", "not-done", request={"reference": "MedicationRequest/m"})

    (care,) = read(order, missed).supportive_care

    assert care.in_force is Answer.YES


@pytest.mark.parametrize("drug", sorted(load().drugs))
@pytest.mark.parametrize("on", ["2026-03-01", "2026-03", "2030-01-01", "no date"])
def test_a_plain_dose_is_read_like_one_with_an_empty_list_of_reasons(drug: str, on: str) -> None:
    name = load().drugs[drug].name

    plain, usual = read(given(name, on, id="one")), read(given(name, on, id="one", reasonCode=[]))

    assert plain == usual
