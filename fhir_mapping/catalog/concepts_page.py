"""Writes `deploy/concepts.md`: which concepts the rules need, with which codes each is found, and which have none.

Made out of `wanted.toml` and the table of codes by `mmcds catalogue page`.
"""

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fhir_mapping.catalog.generate import ShippedCode, read_rows, shipped_codes
from fhir_mapping.catalog.texts import read_text

_GROUPS = {
    "agent": "Drugs against myeloma",
    "supportive": "Other drugs",
    "procedure": "Procedures and referrals",
    "condition": "Diagnoses, findings and allergies",
    "lab": "Tests and measurements",
    "answer": "Values of results, and reasons",
    "vaccine": "Vaccines",
    "route": "Routes of a drug",
}
_SYSTEMS = {
    "rxnorm": "RxNorm",
    "ndc": "NDC",
    "hcpcs": "HCPCS",
    "cpt": "CPT",
    "icd10cm": "ICD-10-CM",
    "icd10pcs": "ICD-10-PCS",
    "snomed": "SNOMED CT",
    "loinc": "LOINC",
    "cvx": "CVX",
    "atc": "ATC",
    "unii": "UNII",
}
_HEAD = """\
# Concepts and their codes

For the informatics admins who map a site's local codes. Written by `mmcds catalogue page`; do not edit by hand.

A concept is what a rule looks for in a chart: a drug, a test, a diagnosis, a procedure. Each is found by the public
codes counted here, and most by their words too. Every code stood beside its name in a dated public source (last
section); the table `fhir_mapping/catalog/terminology.csv` names the source of each code. CPT numbers carry our own
wording. Local codes of a site are not listed: they are found by the site's own concept maps,
or by their words.

An entry with a code that is not counted here is read by its words.
"""
_BY_TEXT = """
## Works by text until a code is found

An entry for one of these is recognised by its words alone. Check how your site writes it.
"""
_SOURCES = """
## Sources

Date of the content, and where it was read. Nothing was checked against a live terminology service; check the codes
that your site relies on in the current releases.
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A concept that rules need; `why` says of one without a code where was looked, or what is read instead."""

    id: str
    group: str
    rules: tuple[str, ...]
    why: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """A public source of codes; the sources of rows are told by how they begin."""

    begins: str
    short: str
    name: str
    dated: str
    where: str


def page() -> str:
    """Write the page of the shipped catalogue."""
    wanted = tomllib.loads(read_text("wanted.toml"))
    return concepts_page(read_wanted(wanted), read_sources(wanted), list(shipped_codes(read_rows())))


def read_wanted(wanted: Mapping[str, list[Mapping[str, object]]]) -> list[Wanted]:
    """Read the concepts of `wanted.toml`."""
    return [
        Wanted(str(entry["id"]), str(entry["group"]), _texts(entry["rules"]), _text_or_none(entry.get("why")))
        for entry in wanted["concept"]
    ]


def read_sources(wanted: Mapping[str, list[Mapping[str, object]]]) -> list[Source]:
    """Read the sources of `wanted.toml`."""
    return [Source(**{key: str(value) for key, value in entry.items()}) for entry in wanted["source"]]


def concepts_page(wanted: Sequence[Wanted], sources: Sequence[Source], codes: Iterable[ShippedCode]) -> str:
    """Write the page as Markdown."""
    found: dict[tuple[str, str], list[ShippedCode]] = {(concept.group, concept.id): [] for concept in wanted}
    used: set[str] = set()
    for code in codes:
        if (code.group, code.concept) in found:
            found[code.group, code.concept].append(code)
        used.update(source.begins for text in code.sources if (source := source_of(text, sources)) is not None)
    parts = [_HEAD]
    for group, title in _GROUPS.items():
        coded = [concept for concept in wanted if concept.group == group and found[group, concept.id]]
        parts.append(f"\n## {title}\n\n| concept | rules | codes | sources |\n|---|---|---|---|\n")
        parts += [_coded_row(concept, found[group, concept.id], sources) for concept in coded]
    parts.append(f"{_BY_TEXT}\n| concept | kind | rules | why |\n|---|---|---|---|\n")
    parts += [_text_row(concept) for concept in wanted if not found[concept.group, concept.id]]
    parts.append(f"{_SOURCES}\n| source | what | dated | where |\n|---|---|---|---|\n")
    parts += [_row(s.short, s.name, s.dated, s.where) for s in sources if s.begins in used]
    return "".join(parts)


def source_of(text: str, sources: Iterable[Source]) -> Source | None:
    """Find the public source that the text of a row names."""
    return next((source for source in sources if text.startswith(source.begins)), None)


def _coded_row(concept: Wanted, codes: list[ShippedCode], sources: Sequence[Source]) -> str:
    counts = Counter(system for system, _ in {(code.system, code.code) for code in codes})
    seen = {source_of(text, sources) for code in codes for text in code.sources}
    return _row(
        f"`{concept.id}`",
        " ".join(concept.rules),
        ", ".join(f"{name} {counts[system]}" for system, name in _SYSTEMS.items() if system in counts),
        ", ".join(sorted({f"{source.short} {source.dated}" for source in seen if source is not None})),
    )


def _text_row(concept: Wanted) -> str:
    return _row(f"`{concept.id}`", _GROUPS[concept.group].lower(), " ".join(concept.rules), concept.why or "")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)
