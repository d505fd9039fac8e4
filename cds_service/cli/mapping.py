"""`mmcds mapping`: which drugs of a chart are not known, what a code stands for, and whether a map is sound."""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import click

from cds_service.cli.records import Heap, Record, Sent, read_records
from cds_service.concept_maps import Fault, catalog_with, read_concept_map
from cds_service.settings import named_site_file
from cds_service.site import Site, read_site
from fhir_mapping import piles, wire
from fhir_mapping.build import by_address
from fhir_mapping.catalog.codes import look_up, pairs_of
from fhir_mapping.catalog.drug_match import DrugMatch
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.site_map import CONCEPT_SYSTEM, DRUG_GROUPS, TEXT_SYSTEM, can_be_mapped, count_added
from fhir_mapping.catalog.texts import words
from fhir_mapping.model.vocabulary import Certainty
from fhir_mapping.readers.context import Context, label_of, medication_of
from fhir_mapping.versions import current

_FAULTY = 2
_LONGEST_NAME = 48  # characters of a table; a longer name is cut
_DRUG_RECORDS = frozenset(kind.__name__ for kind in get_args(wire.MedicationUse))
_CONDITION = "condition"
_READ = _DRUG_RECORDS | {"Medication"}


class Kind(StrEnum):
    """Why a drug entry is on the worklist."""

    NOT_KNOWN = "not known"
    UNRECOGNISED = "unrecognised treatment"
    SHORT_NAME = "possible short name"
    TEXT_ONLY = "known by its text alone"
    CONTRADICTION = "code and name differ"


@dataclass(slots=True)
class Row:
    """Entries that are alike: their number, the names that charts give them, and the codings to be mapped.

    `reads_as` are the drugs that they were, or may have been, taken for.
    """

    kind: Kind
    codings: tuple[wire.Coding, ...]
    reads_as: tuple[str, ...]
    count: int = 0
    names: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """The most frequent name."""
        return self.names.most_common(1)[0][0]


@dataclass(slots=True)
class Tally:
    """All drug entries that were read: what is to be mapped, and how the others were recognised."""

    rows: dict[object, Row] = field(default_factory=dict)
    recognised: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    others: int = 0
    unreadable: int = 0

    def take(self, concept: wire.Concept, catalog: Catalog) -> None:
        """Count one drug entry."""
        self.entries += 1
        match = catalog.drug(concept)
        self.recognised.update(set(match.how))
        self.others += match.is_known_other
        unknown = tuple(c for c in concept.coding if c.code and look_up(catalog.drug_codes, c)[0] is None)
        kind = _kind_of(match, unknown)
        if kind is None:
            return
        codings = concept.coding if kind is Kind.CONTRADICTION else unknown
        name = _shown(label_of(concept))
        key = (kind, tuple((c.system, c.code) for c in codings) or words(name))
        reads_as = tuple(drug.id for drug in match.drugs or match.possible_drugs)
        row = self.rows.setdefault(key, Row(kind, codings, reads_as))
        row.count += 1
        row.names[name] += 1


def _kind_of(match: DrugMatch, unknown: Sequence[wire.Coding]) -> Kind | None:
    """Say why an entry needs somebody's eyes; None for one that does not."""
    if match.drugs:
        if match.certainty is Certainty.POSSIBLE:
            return Kind.CONTRADICTION
        is_text_alone = bool(unknown) and all(how.startswith("text") for how in match.how)
        return Kind.TEXT_ONLY if is_text_alone else None
    if match.is_known_other:
        return None
    if match.possible_drugs:
        return Kind.SHORT_NAME
    return Kind.UNRECOGNISED if match.is_unrecognised_treatment else Kind.NOT_KNOWN


@click.group()
def mapping() -> None:
    """Local codes: which are not known, and the maps that lead from them to our concepts."""


_maps = click.option(
    "--map",
    "maps",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A ConceptMap to apply beside those of the site file.",
)


@mapping.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True), metavar="FILE...")
@_maps
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice([str(kind) for kind in Kind]), help="List this alone."
)
@click.option(
    "--concept-map", "skeleton", type=click.Path(path_type=Path), metavar="OUT", help="Write a map to fill in."
)
def worklist(files: tuple[str, ...], maps: tuple[Path, ...], kinds: tuple[str, ...], skeleton: Path | None) -> None:
    """List the drugs of charts that are not known for sure, the most frequent first.

    FILE is a Bundle, a search answer, NDJSON, a list of records or a hook request, of one patient or of many; "-" is
    standard input. Names stand in the list as the chart has them: it is for those who may read the charts.
    """
    if skeleton is not None and skeleton.exists():
        raise click.UsageError(f"{skeleton} exists; a map that somebody has filled in is not written over.")
    catalog, tally = _catalog(maps), Tally()
    for name in files:
        for concept in _drugs_in(name, catalog, tally):
            tally.take(concept, catalog)
    rows = [row for row in tally.rows.values() if not kinds or row.kind in kinds]
    rows.sort(key=lambda row: (-row.count, row.kind, row.name))
    click.echo("\n".join((*_summary(tally), *_table(rows))))
    if skeleton is not None:
        _write_skeleton(skeleton, rows, catalog)


@mapping.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
def check(files: tuple[Path, ...]) -> None:
    """Say whether ConceptMaps could stand together in a site file; list every fault with what is at fault."""
    _, faults = catalog_with(files, [str(path) for path in files])
    if faults:
        _refuse(faults)
    shipped, _ = catalog_with(())
    for path in files:
        found = read_concept_map(path)
        codes, texts = count_added(shipped, found.entries)
        draft = "; its status is draft: has somebody signed it off?" if found.is_draft else ""
        click.echo(f"ok: {path} adds {codes} codes and {texts} texts, {found.left_open} left open{draft}")


@mapping.command()
@click.argument("what", metavar="CODE|TEXT")
@click.option("--system", help="The code's system, as an address or by its short name; without it, a text is read.")
@_maps
def explain(what: str, system: str | None, maps: tuple[Path, ...]) -> None:
    """Say what the product makes of one code, or of one text."""
    catalog = _catalog(maps)
    if system is not None:
        click.echo("\n".join(_explained(wire.Concept((wire.Coding(system, what),)), catalog)))
        return
    click.echo("\n".join(("as a text:", *_explained(wire.Concept(text=what), catalog))))
    for name in sorted({name for codes in catalog.concept_codes.values() for name, _ in codes} | _local(catalog)):
        concept = wire.Concept((wire.Coding(name, what),))
        is_of_it = any(system == name for system, _ in pairs_of(concept.coding[0]))  # CPT and HCPCS share an address
        if is_of_it and (_concepts(concept, catalog) or catalog.drug(concept).drugs):
            click.echo("\n".join((f"as a code of {name}:", *_explained(concept, catalog))))


def _catalog(maps: Iterable[Path]) -> Catalog:
    """Give the catalogue of the site that the environment names, with some more maps."""
    path = named_site_file()
    site, faults = read_site(path) if path else (Site(), [])
    if faults:
        _refuse(Fault("", fault) for fault in faults)
    paths = {path.resolve(): path for path in (*site.concept_maps, *maps)}  # one may be tried that stands there already
    catalog, found = catalog_with(list(paths.values()), [str(path) for path in paths.values()])
    if found:
        _refuse(found)
    return catalog


def _refuse(faults: Iterable[Fault]) -> None:
    for place, what, value in faults:
        said = ": ".join(filter(None, (place, what)))
        click.echo(f"- {said}" + (f" ({_shown(value)})" if value else ""), err=True)
    sys.exit(_FAULTY)


def _local(catalog: Catalog) -> set[str]:
    return {name for name, _ in catalog.site_codes}


# What charts hold


def _drugs_in(name: str, catalog: Catalog, tally: Tally) -> Iterator[wire.Concept]:
    """Give what each drug record of a file names, whatever became of the drug, but for records in error."""
    found = read_records(name)
    heap = found if isinstance(found, Heap) else _heap_of(found)
    pile = _pile_of([record for record in heap.records if record.kind in _READ])
    tally.unreadable += heap.broken + len(pile.unreadable)
    context = Context(catalog, date.min, UTC, medications=by_address(pile.found))
    for resource in current([item.resource for item in pile.found], gaps=[]):
        if isinstance(resource, wire.MedicationUse):
            yield medication_of(resource, context) or wire.NO_CONCEPT


def _heap_of(sent: Sent) -> Heap:
    """Take the drafts and every prefetch value of a request for one heap of records."""
    heap = Heap(sent.kind)
    context, prefetch = sent.request.get("context"), sent.request.get("prefetch")
    drafts = context.get("draftOrders") if isinstance(context, dict) else None
    for value in (drafts, *(prefetch.values() if isinstance(prefetch, dict) else ())):
        if value is not None:
            heap.take(value)
    return heap


def _pile_of(records: Sequence[Record]) -> piles.Pile:
    entries = [{"resource": record.resource, "fullUrl": record.full_url} for record in records]
    try:
        raw = json.dumps({"resourceType": "Bundle", "entry": entries}).encode()
    except RecursionError:
        raise click.UsageError("a record is nested too deep.") from None
    return piles.decode_pile(raw) or piles.Pile()


# What is printed


def _shown(text: str) -> str:
    """Write a text of a chart in one line, without what would steer a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _summary(tally: Tally) -> Iterator[str]:
    yield f"{tally.entries} drug entries; known to be some other drug: {tally.others}"
    for how, count in sorted(tally.recognised.items(), key=lambda item: (-item[1], item[0])):
        yield f"  recognised by {how}: {count}"
    if tally.unreadable:
        yield f"  records that could not be read: {tally.unreadable}"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield ""
    if not rows:
        yield "Nothing is left to be mapped."
        return
    cells = [("count", "kind", "name in the chart", "codes")]
    cells += [(str(row.count), str(row.kind), _name_of(row), _codes_of(row)) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    for count, kind, name, codes in cells:
        yield f"{count:>{widths[0]}}  {kind:<{widths[1]}}  {name:<{widths[2]}}  {codes}".rstrip()


def _name_of(row: Row) -> str:
    name = row.name if len(row.name) <= _LONGEST_NAME else f"{row.name[: _LONGEST_NAME - 3]}..."
    name = name or "(no name)"
    others = len(row.names) - 1
    more = f" (and {others} other name{'s' if others > 1 else ''})" if others else ""
    return name + more + (f" -> {', '.join(row.reads_as)}?" if row.reads_as else "")


def _codes_of(row: Row) -> str:
    return ", ".join(_shown(f"{c.system or ''}|{c.code or ''}") for c in row.codings) or "(none)"


def _explained(concept: wire.Concept, catalog: Catalog) -> Iterator[str]:
    for coding in concept.coding:
        readings = ", ".join(f"{system} {code}" for system, code in pairs_of(coding))
        yield f"  read as: {readings}"
    match = catalog.drug(concept)
    for drug, how in zip(match.drugs, match.how, strict=True):
        yield f"  drug: {drug.id} ({drug.drug_class}), by {how}, {match.certainty}"
    for drug in match.possible_drugs:
        yield f"  possible drug, by a short name: {drug.id}"
    concepts = _concepts(concept, catalog)
    yield from (f"  {group}: {name}" for group, name in concepts)
    if match.is_known_other:
        yield "  drug: known to be some other one"
    elif match.is_unrecognised_treatment and (match.possible_drugs or not concepts):
        yield "  as a drug: unrecognised treatment, which the cards mention"
        if not texts_of(concept):
            yield "  beside a name that is not known either: some other drug, which no rule sees"
    elif not match.drugs and not concepts:
        yield "  not known; as a drug: some other one, which no rule sees"


def _concepts(concept: wire.Concept, catalog: Catalog) -> list[tuple[str, str]]:
    """List what an entry stands for besides drugs, each with its group."""
    groups = catalog.concept_codes.keys() - DRUG_GROUPS - {_CONDITION}
    found = [(group, name) for group in groups for name in catalog.concepts(group, concept)]
    return sorted(found + [(_CONDITION, name) for name in catalog.condition(concept)])


# The map to be filled in


def _write_skeleton(path: Path, rows: Sequence[Row], catalog: Catalog) -> None:
    groups = _skeleton(rows, catalog)
    if not groups:
        click.echo("no map written: there is no code or text to map")
        return
    content = {"resourceType": "ConceptMap", "status": "draft", "group": groups}
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}.") from None
    count = sum(len(group["element"]) for group in groups)
    click.echo(f"{path}: {count} codes and texts to be filled in")


def _skeleton(rows: Sequence[Row], catalog: Catalog) -> list[dict[str, Any]]:
    """Make one element for each coding without meaning, and for each text that stands alone."""
    elements: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        if row.kind is Kind.CONTRADICTION:
            continue  # what both sides say is known: one of them is wrong in the chart
        codings = [(c.system, _shown(c.code)) for c in row.codings if c.system and c.code and can_be_mapped(catalog, c)]
        texts = [] if codings or not words(row.name) else [(TEXT_SYSTEM, row.name)]
        for system, code in codings or texts:
            element: dict[str, Any] = {"code": code} | ({"display": row.name} if codings and words(row.name) else {})
            target = {"equivalence": "unmatched", "comment": _comment(row)}
            elements[system].setdefault(code, element | {"target": [target]})
    return [
        {"source": system, "target": CONCEPT_SYSTEM, "element": list(found.values())}
        for system, found in sorted(elements.items())
    ]


def _comment(row: Row) -> str:
    """Tell whoever fills the map in what is known of the entry."""
    comment = f"{row.count} times, {row.kind}"
    if row.reads_as:
        comment += f": {', '.join(row.reads_as)}?"
    if len(row.names) > 1:
        comment += f". It goes with {len(row.names)} names: map it only if all of them are one drug"
    return comment
