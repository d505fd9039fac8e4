"""Immunization: vaccines, and immune globulin or cells that are charted as one."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from fhir_mapping import wire
from fhir_mapping.catalog.care_words import vaccines_in
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.model.care import Vaccination
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.treatment import CarTInfusion, OtherCellTherapy, Recognition, SupportiveCare
from fhir_mapping.model.vocabulary import Certainty, Drug, DrugClass, Tier
from fhir_mapping.readers.care import counts
from fhir_mapping.readers.context import Context, Standing, label_of, source_of

_STATUSES = {"completed": True, "not-done": False}
_CACHED_VACCINES = 4_096


def read_immunization(
    immunization: wire.Immunization, context: Context
) -> Iterator[Vaccination | SupportiveCare | CarTInfusion | OtherCellTherapy]:
    """Turn one immunization into facts, also one that was given elsewhere and is only recorded here.

    One of which the status is not understood may have been given: immune globulin is then possible, and of a vaccine
    a gap remains.
    """
    said = _STATUSES.get(immunization.status or "")
    if immunization.vaccine_code is None or immunization.not_given or immunization.was_not_given or said is False:
        return
    named = _named(immunization.vaccine_code, context.catalog)
    if not (named.drugs or named.is_other_cells) and not (named.vaccines and counts(immunization, said, context)):
        return
    on = context.past_day(immunization.occurrence_date_time or immunization.date, "Immunization")
    source = source_of(immunization, on)
    for vaccine in named.vaccines:
        yield Vaccination(vaccine, on, source)
    if not (named.drugs or named.is_other_cells):
        return
    is_possible = said is None or named.certainty is Certainty.POSSIBLE
    certainty = context.certainty(immunization, Standing.POSSIBLE if is_possible else None)
    if named.is_other_cells:
        yield OtherCellTherapy(label_of(immunization.vaccine_code), on, certainty, source)
    for drug, found_by in named.drugs:
        context.recognised.append(Recognition(drug, found_by))
        if drug.drug_class is DrugClass.CAR_T:
            yield CarTInfusion(drug, on, Tier.PROVEN, certainty, (source,))
        else:  # a single dose is given once, into the body; what is in force is told by the drug records
            yield SupportiveCare(drug, Answer.NO, on, systemic=True, certainty=certainty, source=source)


class _Named(NamedTuple):
    """What an entry names: immune globulins or cells, each with how it was found, or else vaccines.

    Other cells are those against another disease.
    """

    drugs: tuple[tuple[Drug, str], ...] = ()
    certainty: Certainty = Certainty.STATED
    vaccines: tuple[str, ...] = ()
    is_other_cells: bool = False


@lru_cache(maxsize=_CACHED_VACCINES)
def _named(code: wire.Concept, catalog: Catalog) -> _Named:
    """Say what an entry names.

    Codes say what the vaccine was; words count where no code is known.
    """
    vaccines = catalog.concepts("vaccine", code)
    if not vaccines:
        match = catalog.drug(code)
        drugs = tuple(
            (drug, how)
            for drug, how in zip(match.drugs, match.how, strict=True)
            if drug.drug_class in {DrugClass.IMMUNOGLOBULIN, DrugClass.CAR_T}
        )
        if drugs:
            return _Named(drugs, match.certainty)
        if match.is_known_other:  # cells against another disease; or a hyperimmune globulin, or an antibody
            return _Named(is_other_cells=match.may_be_cell_therapy)
        vaccines = frozenset().union(*(vaccines_in(text) for text in texts_of(code)))
    return _Named(vaccines=tuple(sorted(vaccines)))
