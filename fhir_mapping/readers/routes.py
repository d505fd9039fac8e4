"""Whether a product reaches the whole body, by its route, and the words of its name and form."""

from functools import lru_cache

from fhir_mapping import wire
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.phrases import all_words
from fhir_mapping.catalog.texts import has_phrase, words
from fhir_mapping.elements import dosages_in
from fhir_mapping.model.history import DataGap, GapCode
from fhir_mapping.readers.context import Context

_CACHED_NAMES = 4_096
_TELLING = frozenset({"text", "route"})  # the parts of a dosage that tell where a drug goes


def dosages_of(use: wire.MedicationUse) -> tuple[wire.Dosage, ...]:
    """Give the dosage instructions of a record, or the one dosage of an administered dose."""
    if type(use) is wire.MedicationAdministration or type(use) is wire.MedicationStatement:
        return dosages_in(use.dosage)
    return dosages_in(use.dosage_instruction)


def is_systemic(concept: wire.Concept, dosages: tuple[wire.Dosage, ...], context: Context) -> bool:
    """Whether a product reaches the whole body, by the codes of its route and the words of name, form and route.

    A drug that protects does not count as such where it cannot be read how it is given; any other drug does.
    """
    if is_local(concept, context.catalog):
        return False
    if not dosages:
        return True
    if any(dosage.route is not None and is_local(dosage.route, context.catalog) for dosage in dosages):
        return False
    page = context.catalog.recognition["local_route"]
    if any(_names_any(dosage.text, page["dosage_words"], page["places"]) for dosage in dosages if dosage.text):
        return False
    unread = {part for dosage in dosages for part in dosage.unread}
    if not unread:
        return True
    context.gaps.append(DataGap(GapCode.PRUNED, "Dosage"))
    return unread.isdisjoint(_TELLING) or not any(drug.covers for drug in context.catalog.drug(concept).drugs)


@lru_cache(maxsize=_CACHED_NAMES)
def is_local(named: wire.Concept, catalog: Catalog) -> bool:
    """Whether a product, or a route, is one that stays where it is put, by the code of the route or by its words."""
    if catalog.concepts("route", named):
        return True
    page = catalog.recognition["local_route"]
    through = all_words(page, "through")
    return any(
        _names_any(text, page["words"], page["places"])
        for text in texts_of(named)
        if not any(has_phrase(words(text), phrase) for phrase in through)
    )


def _names_any(text: str, single: list[str], places: list[str]) -> bool:
    """Whether a text holds one of some words, or one of some phrases that name where a drug is put."""
    plain = words(text)
    return not set(single).isdisjoint(plain) or any(has_phrase(plain, words(place)) for place in places)
