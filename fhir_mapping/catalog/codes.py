"""Codes of a chart: what they may be read as, and what they stand for in the table."""

from collections.abc import Mapping

from fhir_mapping.catalog.texts import code_system, possible_codes, system_name
from fhir_mapping.wire import Coding, Concept

Pair = tuple[str, str]  # short name of the system, canonical code
Codes = Mapping[Pair, frozenset[str]]

_HOW_CODED = {
    "rxnorm": "RxNorm",
    "ndc": "NDC",
    "hcpcs": "HCPCS",
    "cpt": "CPT",
    "icd10cm": "ICD-10-CM",
    "icd10pcs": "ICD-10-PCS",
    "snomed": "SNOMED CT",
    "cvx": "CVX",
    "atc": "ATC",
    "unii": "UNII",
}
_KINDS_OF_CODES = {
    "IN": "ingredient",
    "PIN": "precise ingredient",
    "MIN": "ingredients",
    "SCD": "clinical drug",
    "SBD": "branded drug",
    "BN": "brand",
    "GPCK": "pack",
    "BPCK": "branded pack",
    "former": "former code",
}


def codings_of(concept: Concept) -> list[Pair]:
    """List the (system name, canonical code) pairs of a CodeableConcept."""
    return [pair for coding in concept.coding for pair in pairs_of(coding)]


def pairs_of(coding: Coding) -> list[Pair]:
    """List what one coding may be read as: more than one pair for a bare ten-digit NDC."""
    if not coding.code:
        return []
    name = system_name(coding.system or "")
    return [(code_system(name, code), code) for code in possible_codes(name, coding.code)]


def look_up(codes: Codes, coding: Coding) -> tuple[Pair | None, frozenset[str]]:
    """Give the known reading of a coding with what it stands for; nothing where known readings disagree."""
    known = {codes[pair]: pair for pair in pairs_of(coding) if pair in codes}
    if len(known) != 1:
        return None, frozenset()
    return next((pair, concepts) for concepts, pair in known.items())


def how_coded(system: str, kind: str) -> str:
    """Say in words what kind of code it is, by its system and the kind that the table gives."""
    return " ".join(filter(None, (_HOW_CODED.get(system), _KINDS_OF_CODES.get(kind))))
