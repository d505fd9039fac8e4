"""MedicationStatement, MedicationAdministration and MedicationRequest: what was given, and what is in force."""

import math
from collections.abc import Iterator, Mapping, Sequence

from fhir_mapping import wire
from fhir_mapping.catalog.loader import DrugMatch, texts_of
from fhir_mapping.catalog.texts import words
from fhir_mapping.model.dates import Answer, ClinicalDate, parse
from fhir_mapping.model.history import (
    CarTInfusion,
    DataGap,
    EndReason,
    Exposure,
    GapCode,
    Progression,
    SupportiveCare,
    UnrecognisedTreatment,
)
from fhir_mapping.model.vocabulary import Certainty, ChartText, Drug, DrugClass, Tier
from fhir_mapping.readers.context import Context, Standing, medication_of, source_of
from fhir_mapping.readers.reasons import end_reason

Fact = Exposure | CarTInfusion | SupportiveCare | Progression | UnrecognisedTreatment

_STATEMENT = {
    "active": Standing.ACTIVE,
    "completed": Standing.ENDED,
    "stopped": Standing.ENDED,
    "on-hold": Standing.ON_HOLD,
    "intended": Standing.PLANNED,
    "not-taken": Standing.NOT_GIVEN,
    "unknown": Standing.POSSIBLE,
}
_ADMINISTRATION = {
    "in-progress": Standing.ACTIVE,
    "completed": Standing.ENDED,
    "stopped": Standing.ENDED,
    "on-hold": Standing.ON_HOLD,
    "not-done": Standing.NOT_GIVEN,
    "unknown": Standing.POSSIBLE,
}
_REQUEST = {
    "active": Standing.ACTIVE,
    "completed": Standing.ENDED,
    "stopped": Standing.ENDED,
    "on-hold": Standing.ON_HOLD,
    "draft": Standing.PLANNED,
    "cancelled": Standing.NOT_GIVEN,
    "unknown": Standing.POSSIBLE,
}
_STANDINGS: Mapping[type, Mapping[str, Standing]] = {
    wire.MedicationStatement: _STATEMENT,
    wire.MedicationAdministration: _ADMINISTRATION,
    wire.MedicationRequest: _REQUEST,
}
_DAYS = {"d": 1, "day": 1, "days": 1, "wk": 7, "week": 7, "weeks": 7, "mo": 31, "month": 31, "months": 31, "a": 366}
_LONGEST_SUPPLY_DAYS = 36_600
_PLANNED_INTENTS = {"proposal", "plan", "option"}


def standing_of(use: wire.MedicationUse) -> Standing:
    """Translate the status; one that R4 does not know, or none, leaves the fact possible."""
    if type(use) is wire.MedicationRequest:
        if use.do_not_perform:
            return Standing.NOT_GIVEN
        if use.intent in _PLANNED_INTENTS:
            return Standing.PLANNED
    elif _older_fhir_says_not_given(use):
        return Standing.NOT_GIVEN
    return _STANDINGS[type(use)].get(use.status or "", Standing.POSSIBLE)


def _older_fhir_says_not_given(use: wire.MedicationUse) -> bool:
    """Whether an element that R4 no longer has turns the record round: it must not be passed over."""
    if isinstance(use, wire.MedicationStatement):
        return use.was_not_taken or use.taken == "n"
    return isinstance(use, wire.MedicationAdministration) and (use.not_given or use.was_not_given)


def read_medication(use: wire.MedicationUse, context: Context) -> Sequence[Fact]:
    """Turn one drug record into facts; a record of what was planned or not given yields none."""
    standing = standing_of(use)
    if standing is Standing.NOT_GIVEN or standing is Standing.PLANNED:
        return ()
    concept = medication_of(use, context) or wire.NO_CONCEPT
    match = context.catalog.drug(concept)
    if not match.drugs and not match.is_unrecognised_treatment:
        return ()
    if isinstance(use, wire.MedicationRequest) and (
        standing is Standing.ON_HOLD or f"MedicationRequest/{use.id}" in context.orders_not_taken
    ):
        return ()  # an order that waits, or that the patient does not follow, is neither a dose nor cover
    if standing is Standing.ACTIVE and _starts_ahead(use, context):
        return ()
    if match.is_unrecognised_treatment:
        return (UnrecognisedTreatment(match.text, match.may_be_cell_therapy, source_of(use)),)
    return tuple(_read_known(use, match, concept, standing, context))


def _read_known(
    use: wire.MedicationUse,
    match: DrugMatch,
    concept: wire.Concept,
    standing: Standing,
    context: Context,
) -> Iterator[Fact]:
    first, last, ongoing = _doses(use, standing, context)
    certainty = context.certainty(use, standing)
    if match.certainty is Certainty.POSSIBLE:  # codes and words name different drugs
        certainty = Certainty.POSSIBLE
    tier = _tier(use, first)
    source = source_of(use, _date_of_record(use, last or first, context))
    # A missed dose takes back that the order was given; the order itself goes on, and with it the cover
    was_missed = tier is Tier.PRESUMPTIVE and f"MedicationRequest/{use.id}" in context.orders_of_missed_doses
    for drug in match.drugs:
        if drug.drug_class is DrugClass.CAR_T and not was_missed:
            yield from _read_car_t(use, drug, standing, certainty, tier, first, context)
            continue
        if drug.covers:
            yield SupportiveCare(
                drug,
                _in_force(use, standing, certainty, context),
                last,
                _is_systemic(use, concept, context),
                certainty,
                source,
            )
        if not drug.antimyeloma or was_missed:
            continue
        reason = end_reason(use, context, ended=standing is Standing.ENDED)
        yield Exposure(
            drug=drug,
            first_dose=first,
            last_dose=last,
            ongoing=ongoing,
            ended=standing is Standing.ENDED,
            tier=tier,
            # A drug on hold was given only if some other record says so
            certainty=Certainty.POSSIBLE if standing is Standing.ON_HOLD else certainty,
            source=source,
            end_reason=reason,
        )
        if reason is EndReason.PROGRESSION:
            yield Progression(last, certainty, source)


def _date_of_record(use: wire.MedicationUse, dose: ClinicalDate | None, context: Context) -> ClinicalDate | None:
    """Give the date that a reader will find in the record: an open-ended statement was true when it was asserted."""
    if isinstance(use, wire.MedicationStatement) and (
        dose is None or not dose.is_exact or dose.latest == context.as_of
    ):
        return context.past_day(use.date_asserted, "MedicationStatement") or dose
    if isinstance(use, wire.MedicationRequest):
        return context.past_day(use.authored_on, "MedicationRequest")
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
    if isinstance(use, wire.MedicationRequest):
        # An open or stopped order of cells is not an infusion; a completed one may be
        if use.status not in {"completed", "unknown"}:
            return
        certainty = Certainty.POSSIBLE
    if standing is Standing.ON_HOLD:
        return
    yield CarTInfusion(product, first, tier, certainty, (source_of(use, first),))


def _tier(use: wire.MedicationUse, first: ClinicalDate | None) -> Tier:
    if isinstance(use, wire.MedicationAdministration):
        return Tier.PROVEN
    if isinstance(use, wire.MedicationRequest):
        return Tier.PRESUMPTIVE
    return Tier.UNDATED if first is None else Tier.REPORTED


def _doses(
    use: wire.MedicationUse, standing: Standing, context: Context
) -> tuple[ClinicalDate | None, ClinicalDate | None, bool]:
    """Give the first dose, the last dose, and whether the course is going on; all as of the request."""
    if isinstance(use, wire.MedicationRequest):
        return (*_doses_of_order(use, context), False)
    kind = type(use).__name__
    if use.effective_date_time is not None:
        day = context.past_day(use.effective_date_time, kind)
        if isinstance(use, wire.MedicationAdministration) or standing is Standing.ENDED or day is None:
            return day, day, False
        return _open_ended(use, day, standing, context)
    period = use.effective_period or wire.NO_PERIOD
    start = context.past_day(period.start, kind)
    end = context.day(period.end, kind)
    end = end.capped(context.as_of) if end is not None else None  # one that lies ahead ends nothing yet
    if start is not None and end is not None and end.is_before(start) is Answer.YES:
        context.gaps.append(DataGap(GapCode.DATE, kind))
        return None, None, False  # a period that runs backwards dates nothing
    if isinstance(use, wire.MedicationAdministration):
        return start, end or start, False
    if end is not None:
        return start or end, end, False
    return _open_ended(use, start, standing, context)


def _open_ended(
    use: wire.MedicationStatement, start: ClinicalDate | None, standing: Standing, context: Context
) -> tuple[ClinicalDate | None, ClinicalDate | None, bool]:
    """Bound the last dose of a statement without an end by the day on which it was asserted."""
    if start is None:
        return None, None, False
    today = ClinicalDate.on(context.as_of)
    asserted = context.past_day(use.date_asserted, "MedicationStatement")
    if standing is Standing.ENDED or standing is Standing.ON_HOLD:
        until = max(asserted.latest if asserted else context.as_of, start.latest)
        return start, ClinicalDate(start.earliest, until), False
    if asserted is None:
        return start, ClinicalDate(start.earliest, context.as_of), False
    recent = asserted.days_until(today).at_most(context.catalog.days("recent_assertion"))
    if recent is Answer.YES:
        return start, today, True
    return start, ClinicalDate(max(asserted.earliest, start.earliest), context.as_of), False


def _doses_of_order(order: wire.MedicationRequest, context: Context) -> tuple[ClinicalDate | None, ClinicalDate | None]:
    """An order without dose dates may have been given on any day since it was written, or not at all."""
    authored = context.past_day(order.authored_on, "MedicationRequest")
    if authored is None:
        return None, None
    supply_end = supply_end_of(order, context)
    until = context.as_of if supply_end is None else min(supply_end.latest, context.as_of)
    since = ClinicalDate(authored.earliest, max(until, authored.earliest))
    return since, since


def supply_end_of(order: wire.MedicationRequest, context: Context) -> ClinicalDate | None:
    """Give the last day that an order covers, where it says so: the earliest of all the ends that it names."""
    dispense = wire.decode(order.dispense_request, wire.DispenseRequest)
    ends = [dispense.validity_period.end if dispense and dispense.validity_period else None]
    days = []
    for repeat in _repeats(order):
        ends.append(repeat.bounds_period.end if repeat.bounds_period else None)
        days.append(_end_of_duration(order, repeat, context))
    days += [context.day(end, "MedicationRequest") for end in ends]
    return min((day for day in days if day), key=lambda day: day.latest, default=None)


def _repeats(order: wire.MedicationRequest) -> list[wire.Repeat]:
    dosages = wire.decode(order.dosage_instruction, tuple[wire.Dosage, ...]) or ()
    return [dosage.timing.repeat for dosage in dosages if dosage.timing and dosage.timing.repeat]


def _end_of_duration(order: wire.MedicationRequest, repeat: wire.Repeat, context: Context) -> ClinicalDate | None:
    duration = repeat.bounds_duration
    start = context.day(order.authored_on, "MedicationRequest")
    days_per_unit = _DAYS.get((duration.code or duration.unit or "").lower()) if duration else None
    if duration is None or duration.value is None or days_per_unit is None or start is None:
        return None
    return start.plus(min(math.ceil(duration.value * days_per_unit), _LONGEST_SUPPLY_DAYS))


def _starts_ahead(use: wire.MedicationUse, context: Context) -> bool:
    """Whether a statement or an order begins after today; one that is called active is then a plan."""
    if isinstance(use, wire.MedicationStatement):
        starts = [use.effective_date_time or (use.effective_period or wire.NO_PERIOD).start]
    elif isinstance(use, wire.MedicationRequest):
        starts = [repeat.bounds_period.start for repeat in _repeats(use) if repeat.bounds_period]
    else:
        return False
    days = [parse(start, context.zone) for start in starts if start]
    return bool(days) and all(day is not None and day.earliest > context.as_of for day in days)


def _in_force(use: wire.MedicationUse, standing: Standing, certainty: Certainty, context: Context) -> Answer:
    """Whether a drug protects on the day of the request; an administered dose is judged by its date alone."""
    if standing is Standing.ON_HOLD or isinstance(use, wire.MedicationAdministration):
        return Answer.NO
    if isinstance(use, wire.MedicationStatement):
        if standing is Standing.ENDED:
            return Answer.NO
        end = context.day((use.effective_period or wire.NO_PERIOD).end, "MedicationStatement")
    else:
        end = supply_end_of(use, context)
        if standing is Standing.ENDED and (use.status == "stopped" or end is None):
            return Answer.NO
    if end is not None:
        over = end.is_before(ClinicalDate.on(context.as_of))
        if over is not Answer.NO:
            return Answer.NO if over is Answer.YES else Answer.UNKNOWN
    return Answer.YES if certainty is Certainty.STATED else Answer.UNKNOWN


def _is_systemic(use: wire.MedicationUse, concept: wire.Concept, context: Context) -> bool:
    return is_systemic(concept, _dosages(use), context)


def _dosages(use: wire.MedicationUse) -> tuple[wire.Dosage, ...]:
    if isinstance(use, wire.MedicationAdministration):
        one = wire.decode(use.dosage, wire.Dosage)
        return () if one is None else (one,)
    raw = use.dosage if isinstance(use, wire.MedicationStatement) else use.dosage_instruction
    return wire.decode(raw, tuple[wire.Dosage, ...]) or ()


def is_systemic(concept: wire.Concept, dosages: tuple[wire.Dosage, ...], context: Context) -> bool:
    """Whether a product reaches the whole body, by the words of its name, form and route."""
    page = context.catalog.recognition["local_route"]
    named = [*texts_of(concept), *(text for d in dosages if d.route for text in texts_of(d.route))]
    instructions = [dosage.text for dosage in dosages if dosage.text]
    is_local = any(set(page["words"]).intersection(words(text)) for text in named)
    return not is_local and not any(set(page["dosage_words"]).intersection(words(text)) for text in instructions)


def label_of(concept: wire.Concept) -> ChartText:
    """Give the chart's own name of a drug or service."""
    return ChartText(next(iter(texts_of(concept)), ""))
