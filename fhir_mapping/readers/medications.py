"""The four records of a drug (statement, administration, order, dispense): what was given, and what is in force."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import UNSET

from fhir_mapping import wire
from fhir_mapping.catalog.drug_match import DrugMatch
from fhir_mapping.model.care import PlannedCare
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.treatment import (
    CarTInfusion,
    Dose,
    EndReason,
    Exposure,
    OtherCellTherapy,
    Progression,
    SupportiveCare,
    UnrecognisedTreatment,
)
from fhir_mapping.model.vocabulary import Certainty, Drug, DrugClass, Tier
from fhir_mapping.readers.amounts import amount_of
from fhir_mapping.readers.context import Context, Standing, medication_of, source_of
from fhir_mapping.readers.doses import doses_of, in_force, starts_ahead
from fhir_mapping.readers.linked import orders_of
from fhir_mapping.readers.plans import planned_product
from fhir_mapping.readers.reasons import end_reason
from fhir_mapping.readers.routes import dosages_of, is_local, is_systemic
from fhir_mapping.readers.standings import standing_of

Fact = (
    Exposure
    | Dose
    | CarTInfusion
    | SupportiveCare
    | Progression
    | UnrecognisedTreatment
    | OtherCellTherapy
    | PlannedCare
)

_GIVEN = frozenset({"completed", "stopped"})
_PRESUMED = frozenset({wire.MedicationRequest, wire.MedicationDispense})
# Looking a member up in its Enum costs as much as a call in Python 3.11, and these are wanted for every record
_ENDED, _ON_HOLD, _NOT_GIVEN, _PLANNED = Standing.ENDED, Standing.ON_HOLD, Standing.NOT_GIVEN, Standing.PLANNED
_ACTIVE = Standing.ACTIVE
_POSSIBLE, _STATED, _PROVEN = Certainty.POSSIBLE, Certainty.STATED, Tier.PROVEN
_CAR_T, _STEROID, _BISPECIFIC = DrugClass.CAR_T, DrugClass.STEROID, DrugClass.BISPECIFIC


def read_medications(uses: Iterable[wire.MedicationUse], context: Context) -> Iterator[Fact]:
    """Turn drug records into facts; most of a chart are home drugs, given or not, which are only counted."""
    for use in uses:
        concept = use.medication_codeable_concept or medication_of(use, context) or wire.NO_CONCEPT
        match = context.catalog.drug(concept)
        if match.unmapped is not None and not use.was_pruned:
            context.unmapped.append(match.unmapped)
        else:
            yield from _plain_dose(use, match, concept, context) or _facts_of(use, match, concept, context)


def _facts_of(use: wire.MedicationUse, match: DrugMatch, concept: wire.Concept, context: Context) -> Sequence[Fact]:
    """Read one record; one of what was planned or not given yields none."""
    standing = standing_of(use)
    if standing is _NOT_GIVEN or standing is _PLANNED:
        if use.modifier_extension is UNSET and use.implicit_rules is None:
            return ()
        standing = Standing.POSSIBLE  # what we do not understand may turn it round
    if match.is_known_other:
        return _read_other(use, match, standing, context)
    plans = _planned_cells(use, match, standing, context) if type(use) is wire.MedicationRequest else ()
    if type(use) in _PRESUMED and (standing is _ON_HOLD or not context.linked.not_taken.isdisjoint(orders_of(use))):
        return plans  # an order that waits, or that the patient does not follow, is neither a dose nor cover
    if standing is _ACTIVE and starts_ahead(use, context):
        return plans
    if not match.drugs:
        first, last, _ = doses_of(use, standing, context)
        source = source_of(use, _date_of_record(use, last or first, context))
        return (UnrecognisedTreatment(match.text, match.may_be_cell_therapy, source),)
    return (*plans, *_read_known(use, match, concept, standing, context))


def _plain_dose(
    use: wire.MedicationUse, match: DrugMatch, concept: wire.Concept, context: Context
) -> tuple[Exposure] | tuple[Exposure, Dose] | None:
    """Read a dose with nothing to it but a drug and a day, as most are: without detours. None for any other."""
    drug = match.sole_treatment
    if (
        drug is None
        or type(use) is not wire.MedicationAdministration
        or use.effective_date_time is None
        or use.status not in _GIVEN
        or use.not_given
        or use.was_not_given
        or use.status_reason is not UNSET
        or use.reason_code is not UNSET
        or use.modifier_extension is not UNSET
        or use.implicit_rules is not None
        or (drug.drug_class is _STEROID and (use.dosage is not UNSET or is_local(concept, context.catalog)))
    ):
        return None
    on = context.past_day(use.effective_date_time, "MedicationAdministration")
    context.recognised += match.recognised
    source = source_of(use, on)
    exposure = Exposure(drug, on, on, False, True, _PROVEN, _STATED, source)
    if drug.drug_class is not _BISPECIFIC:
        return (exposure,)
    return (exposure, Dose(drug, on, amount_of(use, context.catalog), False, _PROVEN, _STATED, source))


def _planned_cells(
    order: wire.MedicationRequest, match: DrugMatch, standing: Standing, context: Context
) -> tuple[PlannedCare, ...]:
    """Read an order of CAR T cells that stands: no infusion, but the plan of one."""
    if standing is not _ACTIVE and standing is not _ON_HOLD:
        return ()
    is_sure = standing is _ACTIVE and match.certainty is Certainty.STATED
    return tuple(
        planned_product(order, drug, context, is_sure=is_sure) for drug in match.drugs if drug.drug_class is _CAR_T
    )


def _read_other(
    use: wire.MedicationUse, match: DrugMatch, standing: Standing, context: Context
) -> tuple[OtherCellTherapy, ...]:
    """Read a drug that is known to be none of ours: only cells against another disease are a fact."""
    if not match.may_be_cell_therapy:
        return ()
    infused, _, _ = doses_of(use, standing, context)
    is_presumed = type(use) in _PRESUMED
    certainty = _POSSIBLE if is_presumed else context.certainty(use, standing)
    return (OtherCellTherapy(match.text, infused, certainty, source_of(use, infused)),)


def _read_known(
    use: wire.MedicationUse,
    match: DrugMatch,
    concept: wire.Concept,
    standing: Standing,
    context: Context,
) -> Iterator[Fact]:
    first, last, ongoing = doses_of(use, standing, context)
    certainty = context.certainty(use, standing)
    if match.certainty is _POSSIBLE:  # codes and words name different drugs
        certainty = _POSSIBLE
    tier = _tier(use, first)
    source = source_of(use, _date_of_record(use, last or first, context))
    # A missed dose takes back that the order was given; the order itself goes on, and with it the cover
    is_order = type(use) is wire.MedicationRequest
    was_missed = is_order and not context.linked.missed.isdisjoint(orders_of(use))
    context.recognised += match.recognised
    sure = _POSSIBLE if standing is _ON_HOLD else certainty  # given only if some other record says so
    for drug in match.drugs:
        if drug.drug_class is _CAR_T and not was_missed:
            yield from _read_car_t(use, drug, standing, certainty, tier, first, context)
            continue
        is_local = not (drug.antimyeloma and not drug.covers and drug.drug_class is not _STEROID) and (
            not is_systemic(concept, dosages_of(use), context)
        )
        if drug.covers or not drug.antimyeloma:
            in_use = in_force(use, standing, certainty, context)
            since = None if tier is Tier.PRESUMPTIVE else first
            yield SupportiveCare(drug, in_use, last, not is_local, sure, source, since)
        if not drug.antimyeloma or was_missed or is_local:
            continue
        reason = end_reason(use, context, ended=standing is _ENDED)
        if drug.drug_class is _BISPECIFIC:
            yield Dose(drug, last, amount_of(use, context.catalog), ongoing, tier, sure, source)
        yield Exposure(
            drug=drug,
            first_dose=first,
            last_dose=last,
            ongoing=ongoing,
            ended=standing is _ENDED,
            tier=tier,
            certainty=sure,
            source=source,
            end_reason=reason,
        )
        if reason is EndReason.PROGRESSION:
            yield Progression(last, certainty, source)


def _date_of_record(use: wire.MedicationUse, dose: ClinicalDate | None, context: Context) -> ClinicalDate | None:
    """Give the date that a reader will find in the record: an open-ended statement was true when it was asserted."""
    if type(use) is wire.MedicationAdministration:
        return dose
    if type(use) is wire.MedicationStatement and (dose is None or not dose.is_exact or dose.latest == context.as_of):
        return context.past_day(use.date_asserted, "MedicationStatement") or dose
    if type(use) is wire.MedicationRequest:
        return context.past_day(use.authored_on, "MedicationRequest")
    if type(use) is wire.MedicationDispense:
        return context.past_day(use.when_handed_over, "MedicationDispense")
    return dose


def _read_car_t(
    use: wire.MedicationUse,
    product: Drug,
    standing: Standing,
    certainty: Certainty,
    tier: Tier,
    first: ClinicalDate | None,
    context: Context,
) -> Iterator[CarTInfusion]:
    if type(use) in _PRESUMED:
        # An open or stopped order of cells is not an infusion; a completed one, or cells handed over, may be
        if use.status not in {"completed", "unknown"}:
            return
        certainty = _POSSIBLE
    if standing is _ON_HOLD:
        return
    yield CarTInfusion(product, first, tier, certainty, (source_of(use, first),))


def _tier(use: wire.MedicationUse, first: ClinicalDate | None) -> Tier:
    if type(use) is wire.MedicationAdministration:
        return Tier.PROVEN
    if type(use) is not wire.MedicationStatement:
        return Tier.PRESUMPTIVE
    # A date that cannot be used may be any; only a record that names none is history without a date
    names_a_date = use.effective_date_time is not None or use.effective_period not in {None, wire.NO_PERIOD}
    return Tier.REPORTED if first is not None or names_a_date else Tier.UNDATED
