"""Loads the knowledge files and holds them against the registered rules; any fault stops the start."""

import hashlib
import string
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from cards import rules as _families
from cards.finding import Hook
from cards.knowledge import label_doses as doses_file
from cards.knowledge import labels as labels_file
from cards.knowledge.blocks import read
from cards.knowledge.numbers import Key, OwnNumber, number_faults, resolved
from cards.knowledge.presentation import presentation_faults
from cards.knowledge.texts import OrderText, Presentation, RuleText, Source
from cards.rulebook import REGISTERED, Rule, Settings
from fhir_mapping.catalog.codes import pairs_of
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.catalog.loader import load as load_catalog
from fhir_mapping.wire import Coding

_NOT_FAMILIES = ("sources.toml", "presentation.toml", "orders.toml", labels_file.FILE, doses_file.FILE)
FOR_REVIEWERS = ("trace.toml", "signoff.toml", "cases.toml")  # no rule reads them, so no version depends on them
_DRUG_SYSTEM = "rxnorm"
_PROVIDED_TO_A_MOVE = frozenset({"drug", "date"})
_CACHED_HOOKS = 16


class KnowledgeError(Exception):
    """The knowledge files are faulty and the service must not start; the message lists every fault."""

    def __init__(self, faults: Iterable[str]) -> None:
        """Take every fault that was found."""
        self.faults = tuple(faults)
        super().__init__("the knowledge files are faulty:\n- " + "\n- ".join(self.faults))


@dataclass(frozen=True, slots=True, eq=False)
class ActiveRule:
    """A rule with its wording and its numbers; compared by identity, so that it can key caches.

    `switched_on` says that a site has asked for one that is shipped off.
    """

    rule: Rule
    text: RuleText
    settings: Settings
    switched_on: bool = False

    @property
    def is_on(self) -> bool:
        """Whether the rule is asked at all."""
        return self.switched_on or self.text.shipped == "live"


@dataclass(frozen=True, slots=True, eq=False)
class Knowledge:
    """Everything that the rules need besides a patient; `version` is a hash of all its files and of a site's choices.

    `own` are the numbers that a hospital has set to something else than was shipped. `until` is the last day on which
    they all are in force, and `afterwards` what is then. Compared by identity, so that it can key caches.
    """

    rules: Mapping[str, ActiveRule]
    sources: Mapping[str, Source]
    orders: Mapping[str, OrderText]
    presentation: Presentation
    version: str
    own: Mapping[Key, OwnNumber] = field(default_factory=dict)
    until: date | None = None
    afterwards: "Knowledge | None" = None

    def on(self, day: date) -> "Knowledge":
        """Give what is in force on a day."""
        knowledge = self
        while knowledge.afterwards is not None and knowledge.until is not None and day > knowledge.until:
            knowledge = knowledge.afterwards
        return knowledge

    def for_hook(self, hook: Hook) -> tuple[ActiveRule, ...]:
        """Give the rules of one hook that are on."""
        return _live(self, hook)


@lru_cache(maxsize=_CACHED_HOOKS)
def _live(knowledge: Knowledge, hook: Hook) -> tuple[ActiveRule, ...]:
    rules = knowledge.rules.values()
    return tuple(active for active in rules if hook in active.text.hooks and active.is_on)


@cache
def load() -> Knowledge:
    """Load the shipped knowledge.

    Raises KnowledgeError with the list of all faults.
    """
    return load_from(resources.files("cards.knowledge"), REGISTERED, load_catalog())


def load_from(folder: Traversable, registered: Mapping[str, Rule], catalog: Catalog) -> Knowledge:
    """Load knowledge files from a folder and hold them against rules and catalogue."""
    faults: list[str] = []
    files = {
        entry.name: entry.read_bytes()
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".toml") and entry.name not in FOR_REVIEWERS
    }
    tables = {name: _parse(name, content, faults) for name, content in files.items()}
    sources = _read_sources(tables.get("sources.toml", {}), faults)
    orders = {
        key: order
        for key, block in tables.get("orders.toml", {}).items()
        if (order := read(OrderText, block, f"orders.toml, {key}", faults)) is not None
    }
    presentation = read(Presentation, tables.get("presentation.toml", {}), "presentation.toml", faults)
    written = [
        (name.removesuffix(".toml"), text)
        for name, table in tables.items()
        if name not in _NOT_FAMILIES
        for block in table.get("rule", ())
        if (text := read(RuleText, block, f"{name}, {block.get('id', 'a rule without id')}", faults))
    ]
    texts = resolved(written, faults)
    doses = doses_file.read_label_doses(tables.get(doses_file.FILE, {}), sources, catalog, faults)
    dated = {
        "labels": labels_file.read_labels(tables.get(labels_file.FILE, {}), sources, catalog, faults),
        "doses": doses,
        "levels": doses,  # to whoever asks for no more than these of them
    }
    active = dict(_match(texts, registered, dated, faults))
    if presentation is not None:
        for text in sorted((text for _, text in texts), key=lambda text: text.id):
            faults += (f"{text.id}: {fault}" for fault in _faults_of(text, sources, orders, presentation, registered))
        faults += presentation_faults(presentation, {text.id: text for _, text in texts}, sources)
    faults += _order_faults(orders, sources, catalog)
    faults += (
        f"definitions.toml, {name}: unknown source {entry['source']}"
        for name, entry in catalog.definitions.items()
        if entry["source"] not in sources
    )
    if faults or presentation is None:
        raise KnowledgeError(faults)
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in files.items()))
    return Knowledge(
        rules=dict(sorted(active.items())),
        sources=sources,
        orders=orders,
        presentation=presentation,
        version=digest.hexdigest()[:12],
    )


def placeholders(text: str) -> frozenset[str]:
    """Name the placeholders of a wording; a conversion or format would hide a value, so it counts as a name."""
    return frozenset(
        name + (f":{spec}" if spec else "") + (f"!{conversion}" if conversion else "")
        for _, name, spec, conversion in string.Formatter().parse(text)
        if name is not None
    )


def _parse(name: str, content: bytes, faults: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        faults.append(f"{name}: {fault}")
        return {}


def _read_sources(table: Mapping[str, Any], faults: list[str]) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for block in table.get("source", ()):
        source = read(Source, block, f"sources.toml, {block.get('key', 'a source without key')}", faults)
        if source is None:
            continue
        if source.key in sources:
            faults.append(f"sources.toml: two sources are called {source.key}")
        sources[source.key] = source
    return sources


def _match(
    texts: Iterable[tuple[str, RuleText]],
    registered: Mapping[str, Rule],
    dated: Mapping[str, object],
    faults: list[str],
) -> Iterator[tuple[str, ActiveRule]]:
    """Pair every rule with its text; one without the other is a fault. A rule that asks for dated data gets it all."""
    seen: set[str] = set()
    for family, text in texts:
        if text.id in seen:
            faults.append(f"{text.id}: has two texts")
        seen.add(text.id)
        rule = registered.get(text.id)
        if rule is None:
            faults.append(f"{text.id}: a text without a rule")
            continue
        if rule.family != family:
            faults.append(f"{text.id}: its text stands in {family}.toml, its rule in {rule.family}.py")
        values: dict[str, Any] = {name: setting.value for name, setting in text.settings.items()}
        values |= {name: data for name, data in dated.items() if name in rule.settings.model_fields}
        settings = read(rule.settings, values, text.id, faults, under=("settings",))
        if settings is not None:
            yield text.id, ActiveRule(rule, text, settings)
    faults += (f"{rule_id}: a rule without text" for rule_id in sorted(registered.keys() - seen))


def _faults_of(
    text: RuleText,
    sources: Mapping[str, Source],
    orders: Mapping[str, OrderText],
    presentation: Presentation,
    registered: Mapping[str, Rule],
) -> Iterator[str]:
    cited = [*text.sources, *(s.source for s in text.settings.values()), *(e.source for e in text.evidence)]
    cited += (card.source for card in text.cards.values() if card.source)
    yield from (f"unknown source {key}" for key in sorted(set(cited) - sources.keys()))
    reasons = set(text.override_reasons) - presentation.override.reasons.keys()
    yield from (f"unknown override reason {reason}" for reason in sorted(reasons))
    templates = {p.template for p in text.proposals} - {k for k, order in orders.items() if order.kind != "reschedule"}
    yield from (f"unknown draft order {template}" for template in sorted(templates))
    others = {*text.absorbs, *text.suppresses, *text.companion_of} - registered.keys()
    yield from (f"refers to an unknown rule {other}" for other in sorted(others))
    rule = registered.get(text.id)
    if rule is None:
        return
    yield from number_faults(text, registered)
    for name, declared, worded in (
        ("card", rule.variants, text.cards.keys()),
        ("note", rule.notes, text.notes.keys()),
        ("missing", rule.missing, text.missing.keys()),
    ):
        yield from (f"no text for {name} {key}" for key in sorted(declared - worded))
        yield from (f"text for {name} {key}, which the rule never gives" for key in sorted(worded - declared))
    for wording in text.wordings:
        for key in sorted(placeholders(wording) - rule.fact_names):
            yield f"the rule does not provide {{{key}}} in {wording!r}"
    for wording in (text.when, text.then, text.if_unknown):
        for key in sorted(placeholders(wording) - text.settings.keys()):
            yield f"no setting {{{key}}} in {wording!r}"
    for wording in text.missing.values():
        for key in sorted(placeholders(wording) - {"drug", "detail"}):
            yield f"nothing provides {{{key}}} in {wording!r}"


def _order_faults(orders: Mapping[str, OrderText], sources: Mapping[str, Source], catalog: Catalog) -> Iterator[str]:
    for key, order in orders.items():
        if order.kind == "drug" and (_DRUG_SYSTEM, order.code or "") not in catalog.drug_codes:
            yield f"orders.toml, {key}: code {order.code} is not in the product's own table"
        if order.kind == "service" and order.code and not _is_in_tables(order, catalog):
            yield f"orders.toml, {key}: code {order.code} is not in the product's own table"
        provided = _PROVIDED_TO_A_MOVE if order.kind == "reschedule" else frozenset()
        for name in sorted((placeholders(order.label) | placeholders(order.description)) - provided):
            yield f"orders.toml, {key}: nothing provides {{{name}}}"
        if order.dose_text is not None and order.dose_source not in sources:
            yield f"orders.toml, {key}: a dose without a known source"


def _is_in_tables(order: OrderText, catalog: Catalog) -> bool:
    pairs = pairs_of(Coding(order.code_system, order.code))
    return any(pair in codes for codes in catalog.concept_codes.values() for pair in pairs)


assert _families  # noqa: S101 - imported so that every rule is registered before the files are read
