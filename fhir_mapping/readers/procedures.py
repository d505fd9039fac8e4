"""Procedure: CAR T infusions, T-cell collections, and drugs that are coded as procedures."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from fhir_mapping import wire
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.texts import has_phrase, words
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.history import (
    CarTInfusion,
    Exposure,
    TCellCollection,
    UnrecognisedTreatment,
)
from fhir_mapping.model.vocabulary import Certainty, Drug, DrugClass, Tier
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
_CACHED_PROCEDURES = 4_096


@dataclass(frozen=True, slots=True)
class ProcedureMatch:
    """What a procedure or a request for one is: an infusion with or without product, a collection, a drug given."""

    is_infusion: bool = False
    is_collection: bool = False
    is_lymphodepletion: bool = False
    products: tuple[Drug, ...] = ()
    drugs: tuple[Drug, ...] = ()
    may_be_cell_therapy: bool = False


@lru_cache(maxsize=_CACHED_PROCEDURES)
def match_procedure(code: wire.Concept, catalog: Catalog) -> ProcedureMatch | None:
    """Say what a procedure code or text stands for; None for one that no rule looks at.

    A drug that is only mentioned in a text ("education about ...") was not given by it, unless the text says so.
    """
    concepts = catalog.concepts("procedure", code)
    texts = [words(text) for text in texts_of(code)]
    pages = catalog.recognition["procedure_text"]

    def says(page: str) -> bool:
        return any(has_phrase(text, words(phrase)) for text in texts for phrase in pages[page])

    named = catalog.drug(code)
    coded = catalog.drug(wire.Concept(tuple(wire.Coding(c.system, c.code) for c in code.coding))).drugs
    is_given = bool(concepts) or says("given") or says("infusion")
    match = ProcedureMatch(
        is_infusion=bool(concepts & _INFUSIONS) or says("infusion"),
        is_collection="leukapheresis" in concepts or says("collection"),
        is_lymphodepletion=says("lymphodepletion"),
        products=tuple(d for d in named.drugs if d.drug_class is DrugClass.CAR_T and (is_given or d in coded)),
        drugs=tuple(d for d in coded if d.antimyeloma and d.drug_class is not DrugClass.CAR_T),
        may_be_cell_therapy=named.is_unrecognised_treatment and named.may_be_cell_therapy and is_given,
    )
    return None if match == ProcedureMatch() else match


def read_procedure(
    procedure: wire.Procedure, context: Context
) -> Iterator[CarTInfusion | TCellCollection | Exposure | UnrecognisedTreatment]:
    """Turn one procedure into facts; one that was prepared or not done yields none."""
    match = match_procedure(procedure.code, context.catalog) if procedure.code is not None else None
    standing = _PROCEDURE.get(procedure.status or "", Standing.POSSIBLE)
    if match is None or procedure.code is None or standing in {Standing.PLANNED, Standing.NOT_GIVEN}:
        return
    performed = _performed(procedure, context)
    certainty = context.certainty(procedure, standing)
    source = source_of(procedure, performed)
    if match.is_infusion or match.products:
        product = match.products[0] if len(match.products) == 1 else None
        yield CarTInfusion(product, performed, Tier.PROVEN, certainty, (source,))
    elif match.is_collection:
        if certainty is Certainty.STATED:
            yield TCellCollection(performed, source)
    elif match.may_be_cell_therapy:
        yield UnrecognisedTreatment(label_of(procedure.code), may_be_cell_therapy=True, source=source)
    for drug in match.drugs:
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


def _performed(procedure: wire.Procedure, context: Context) -> ClinicalDate | None:
    period = procedure.performed_period or wire.Period()
    day = procedure.performed_date_time or period.start or period.end
    return context.past_day(day, "Procedure")
