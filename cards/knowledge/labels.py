"""Reads the indications of labels.toml; every fault is listed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from cards.knowledge.blocks import LabelRow, read
from cards.knowledge.texts import Source
from cards.labels import Label
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.vocabulary import DrugClass

FILE = "labels.toml"


class _LabelText(LabelRow):
    product: str
    beside: tuple[tuple[str, ...], ...] = ()
    jurisdiction: Literal["US"]
    indication: str = Field(min_length=1)
    lines_minimum: int = Field(ge=0, le=10)
    classes: tuple[DrugClass, ...]
    refractory_to: tuple[str, ...] = ()


def read_labels(
    table: Mapping[str, Any], sources: Mapping[str, Source], catalog: Catalog, faults: list[str]
) -> tuple[Label, ...]:
    """Read every row, in the order of the file; one with a fault is left out and the fault listed."""
    found = []
    faults += (f"{FILE}: unknown key {key}" for key in sorted(table.keys() - {"label"}))
    if not table.get("label"):
        faults.append(f"{FILE}: no indication")
    for number, block in enumerate(table.get("label", ()), start=1):
        where = f"{FILE}, row {number}"
        text = read(_LabelText, block, where, faults)
        if text is None:
            continue
        wrong = list(_faults_of(text, sources, catalog))
        faults += (f"{where}: {fault}" for fault in wrong)
        if not wrong:
            found.append(_label(text, sources[text.source], catalog))
    faults += (f"{FILE}: two rows for {', '.join(key)}" for key in _doubled(found))
    return tuple(found)


def _faults_of(text: _LabelText, sources: Mapping[str, Source], catalog: Catalog) -> Iterator[str]:
    yield from text.faults(sources)
    for drug in (text.product, *text.refractory_to, *(drug for partner in text.beside for drug in partner)):
        if drug not in catalog.drugs:
            yield f"unknown drug {drug}"
    if any(not partner for partner in text.beside):
        yield "a partner without drugs"


def _label(text: _LabelText, source: Source, catalog: Catalog) -> Label:
    return Label(
        product=catalog.drugs[text.product],
        beside=tuple(frozenset(partner) for partner in text.beside),
        jurisdiction=text.jurisdiction,
        indication=text.indication,
        lines_minimum=text.lines_minimum,
        classes=text.classes,
        refractory_to=tuple(catalog.drugs[drug] for drug in text.refractory_to),
        source=text.source,
        source_label=source.label,
        label_date=text.label_date,
        owner=text.owner,
        expires=text.expires,
    )


def _doubled(labels: Sequence[Label]) -> list[tuple[str, ...]]:
    keys = [
        (label.product.id, label.jurisdiction, *sorted(drug for partner in label.beside for drug in partner))
        for label in labels
    ]
    return sorted({key for key in keys if keys.count(key) > 1})
