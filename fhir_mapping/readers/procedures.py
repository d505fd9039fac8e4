"""Procedure: CAR T infusions, T-cell collections, and drugs that are coded as procedures."""

from collections.abc import Iterator

from fhir_mapping import wire
from fhir_mapping.catalog.loader import texts_of
from fhir_mapping.catalog.texts import has_phrase, words
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.history import (
    CarTInfusion,
    Exposure,
    TCellCollection,
    UnrecognisedTreatment,
)
from fhir_mapping.model.vocabulary import Certainty, DrugClass, Tier
from fhir_mapping.readers.context import Context, Standing, source_of
from fhir_mapping.readers.medications import label_of

_PROCEDURE = {
    "in-progress": Standing.ACTIVE,
    "completed": Standing.ENDED,
    "stopped": Standing.ENDED,
    "on-hold": Standing.POSSIBLE,
    "unknown": Standing.POSSIBLE,
    "preparation": Standing.PLANNED,
    "not-done": Standing.NOT_GIVEN,
}
_INFUSIONS = frozenset({"car-t-infusion", "car-t-infusion-allogeneic"})


def read_procedure(
    procedure: wire.Procedure, context: Context
) -> Iterator[CarTInfusion | TCellCollection | Exposure | UnrecognisedTreatment]:
    """Turn one procedure into facts; one that was prepared or not done yields none."""
    standing = _PROCEDURE.get(procedure.status or "", Standing.POSSIBLE)
    if standing in {Standing.PLANNED, Standing.NOT_GIVEN} or procedure.code is None:
        return
    concepts = context.catalog.concepts("procedure", procedure.code)
    texts = [words(text) for text in texts_of(procedure.code)]
    match = context.catalog.drug(procedure.code)
    is_given = bool(concepts) or any(_says(texts, context, name) for name in ("given", "infusion"))
    is_infusion = bool(concepts & _INFUSIONS) or _says(texts, context, "infusion")
    coded = {drug.id for drug in match.drugs} & _coded_drugs(procedure.code, context)
    products = [d for d in match.drugs if d.drug_class is DrugClass.CAR_T and (is_given or d.id in coded)]
    drugs = [d for d in match.drugs if d.antimyeloma and d.id in coded and d not in products]
    is_collection = "leukapheresis" in concepts or _says(texts, context, "collection")
    if not (is_infusion or products or drugs or is_collection or match.is_unrecognised_treatment):
        return
    performed = _performed(procedure, context)
    certainty = context.certainty(procedure, standing)
    source = source_of(procedure, performed)
    if is_infusion or products:
        yield CarTInfusion(products[0] if len(products) == 1 else None, performed, Tier.PROVEN, certainty, (source,))
    elif is_collection:
        if certainty is Certainty.STATED:
            yield TCellCollection(performed, source)
    elif match.is_unrecognised_treatment and is_given and match.may_be_cell_therapy:
        yield UnrecognisedTreatment(label_of(procedure.code), may_be_cell_therapy=True, source=source)
    for drug in drugs:
        yield Exposure(
            drug=drug,
            first_dose=performed,
            last_dose=performed,
            ongoing=False,
            ended=True,
            tier=Tier.PROVEN,
            certainty=certainty,
            source=source,
        )


def _coded_drugs(code: wire.Concept, context: Context) -> set[str]:
    """Name the drugs that the codes stand for; a drug that is only mentioned in a text was not given by it."""
    return {drug.id for drug in context.catalog.drug(wire.Concept(coding=_without_text(code))).drugs}


def _without_text(code: wire.Concept) -> tuple[wire.Coding, ...]:
    return tuple(wire.Coding(coding.system, coding.code) for coding in code.coding)


def _says(texts: list[tuple[str, ...]], context: Context, page: str) -> bool:
    phrases = context.catalog.recognition["procedure_text"][page]
    return any(has_phrase(text, words(phrase)) for text in texts for phrase in phrases)


def _performed(procedure: wire.Procedure, context: Context) -> ClinicalDate | None:
    period = procedure.performed_period or wire.Period()
    day = procedure.performed_date_time or period.start or period.end
    return context.past_day(day, "Procedure")
