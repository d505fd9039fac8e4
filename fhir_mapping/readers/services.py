"""What an order asks for besides our drugs: tests, vaccines, procedures and referrals, by code or else in words."""

from functools import lru_cache

from fhir_mapping import wire
from fhir_mapping.catalog.care_words import (
    care_words,
    services_in,
    speaks_of_eye_examination,
    speaks_of_vaccination,
    teaches,
    vaccines_in,
)
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.phrases import name_part
from fhir_mapping.readers.results import tests_in

_EYE_EXAMINATION, _EDUCATION = "eye-exam", "patient-education"
_SERVICES_OF_PAGES_OF_THEIR_OWN = frozenset({_EYE_EXAMINATION, "referral-eye", _EDUCATION})
_CACHED_ORDERS = 4_096


@lru_cache(maxsize=_CACHED_ORDERS)
def asked_by_service(code: wire.Concept, catalog: Catalog) -> frozenset[str]:
    """Name the concepts that a service order asks for; of vaccines, only where the words speak of vaccination."""
    coded = _coded(code, catalog)
    if coded:
        return coded
    texts = texts_of(code)
    found = tests_in(code, catalog).union(*(services_in(text) for text in texts))
    if speaks_of_eye_examination(texts):
        found |= {_EYE_EXAMINATION}
    if teaches((code,), catalog):
        found |= {_EDUCATION}
    return found.union(*(vaccines_in(text) for text in texts if speaks_of_vaccination(text)))


@lru_cache(maxsize=_CACHED_ORDERS)
def asked_by_drug_order(medication: wire.Concept, catalog: Catalog) -> frozenset[str]:
    """Name the vaccines, or the feeding by vein, that an order of a drug stands for.

    What it is given for does not count: oseltamivir for influenza is no vaccine.
    """
    coded = _coded(medication, catalog)
    if coded:
        return coded
    names = [name_part(text, catalog.recognition["drug_comment"]) for text in texts_of(medication)]
    return frozenset().union(*(vaccines_in(name) | services_in(name) for name in names))


def _coded(concept: wire.Concept, catalog: Catalog) -> frozenset[str]:
    services = _SERVICES_OF_PAGES_OF_THEIR_OWN.union(care_words().pages["services"])
    procedures = catalog.concepts("procedure", concept) & services
    return procedures | catalog.concepts("lab", concept) | catalog.concepts("vaccine", concept)
