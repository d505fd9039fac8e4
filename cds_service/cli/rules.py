"""`mmcds rules`: the rules as a reviewer wants to see them, in the terminal, as JSON and as one sheet."""

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import click

from cards.dose_lines import dose_lines
from cards.knowledge import reviewing
from cards.knowledge.loader import ActiveRule, Knowledge, KnowledgeError
from cards.knowledge.loader import load as load_knowledge
from cards.knowledge.reviewing import ReviewFiles
from cards.sheet import (
    amount,
    bounds,
    cited,
    counted,
    doses_of,
    filled,
    indicators_of,
    label_line,
    labels_of,
    relations_of,
    review_of,
    sheet,
    source_line,
    title_of_test,
    totals_of,
)
from cds_service.configuration import knowledge_of
from cds_service.errors import SettingsError
from cds_service.settings import load_settings
from fhir_mapping.catalog.loader import CatalogError

_WIDTH = 100
_FAULTY = 2
_NO_CARD = "no card"

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def rules() -> None:
    """The rules, for reviewers."""


@rules.command("list")
@_as_json
def list_rules(as_json: bool) -> None:
    """List every rule in one line: live, off, or on where the site file has switched it on."""
    knowledge, _ = _load_of_site()
    rows = [_row(active) for active in knowledge.rules.values()]
    if as_json:
        click.echo(_json(rows))
        return
    lines = [
        (
            row["id"],
            row["slug"],
            row["title"],
            ", ".join(row["hooks"]),
            row["state"],
            ", ".join(row["indicators"]) or _NO_CARD,
            row["review"],
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


@rules.command()
@click.argument("rule_id", metavar="ID")
@_as_json
def show(rule_id: str, as_json: bool) -> None:
    """Show everything about the rule ID, such as R01."""
    knowledge, files = _load_of_site()
    active = knowledge.rules.get(rule_id.upper())
    if active is None:
        raise click.UsageError(f"there is no rule {rule_id}; the rules are {', '.join(knowledge.rules)}.")
    click.echo(_json(_facts(active, knowledge, files)) if as_json else "\n".join(_text(active, knowledge, files)))


@rules.command("sheet")
def print_sheet() -> None:
    """Print the reviewer's sheet of all rules as Markdown."""
    click.echo(sheet(*_load()), nl=False)


def _load() -> tuple[Knowledge, ReviewFiles]:
    try:
        return load_knowledge(), reviewing.load()
    except (KnowledgeError, CatalogError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(_FAULTY) from None


def _load_of_site() -> tuple[Knowledge, ReviewFiles]:
    """Load the rules as they are on or off at the site whose file the environment names."""
    shipped, files = _load()
    try:
        return knowledge_of(load_settings(), shipped), files
    except SettingsError as error:
        click.echo(str(error), err=True)
        raise SystemExit(_FAULTY) from None


def _state(active: ActiveRule) -> str:
    return "on" if active.switched_on else active.text.shipped


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, default=str)


def _row(active: ActiveRule) -> dict[str, Any]:
    text = active.text
    return {
        "id": text.id,
        "slug": text.slug,
        "title": text.title,
        "hooks": list(text.hooks),
        "state": _state(active),
        "indicators": list(indicators_of(active)),
        "review": review_of(active),
    }


def _facts(active: ActiveRule, knowledge: Knowledge, files: ReviewFiles) -> dict[str, Any]:
    """Give all that is shown of a rule: its text as it is written down, and what belongs to it elsewhere."""
    text, cases = active.text, files.cases.of(active.text.id)
    return {
        **text.model_dump(mode="json"),
        "when": filled(text.when, active),
        "then": filled(text.then, active),
        "if_unknown": filled(text.if_unknown, active),
        "sources": [knowledge.sources[key].model_dump() for key in cited(active)],
        "override_reasons": {key: knowledge.presentation.override.reasons[key] for key in text.override_reasons},
        "draft_orders": {key: knowledge.orders[key].model_dump(exclude_none=True) for key in _orders(active)},
        "labels": [label_line(label) for label in labels_of(active)],
        "doses": [line for label in doses_of(active) for line in dose_lines(label)],
        "relations": relations_of(active, knowledge),
        "questions": [item.model_dump() for item in files.questions if text.id in item.rules],
        "cases": {"stories": cases.stories, "tables": cases.tables},
    }


def _orders(active: ActiveRule) -> tuple[str, ...]:
    """Name the draft orders that a rule always offers; those that depend on the chart are the rule's own choice."""
    return tuple(proposal.template for proposal in active.text.proposals)


def _text(active: ActiveRule, knowledge: Knowledge, files: ReviewFiles) -> Iterator[str]:
    text, cases = active.text, files.cases.of(active.text.id)
    yield click.style(f"{text.id} {text.title}", bold=True)
    yield f"{text.slug}: {_state(active)}, {review_of(active)}, asked at {', '.join(text.hooks)}"
    yield from _section("When", [filled(text.when, active)])
    yield from _section("Then", [filled(text.then, active)])
    shown = "said on the data-gap card" if text.unknown_shown else "not shown"
    yield from _section(f"If unknown ({shown})", [filled(text.if_unknown, active)])
    yield from _section("What may be missing", text.missing.values())
    for variant, card in text.cards.items():
        yield from _section(f"Card {variant} [{card.indicator}]", [card.summary, *card.why])
    yield from _section("Sentences that a card may carry as well", text.notes.values())
    yield from _section("Options", text.advice.options if text.advice else ())
    orders = (knowledge.orders[key].description for key in _orders(active))
    yield from _section("Draft orders that are always offered (others depend on the chart)", orders)
    yield from _section("Numbers", _numbers(active))
    yield from _section("Labels", map(label_line, labels_of(active)))
    yield from _section("Doses of labels", (line for label in doses_of(active) for line in dose_lines(label)))
    yield from _section(f"Evidence ({text.strength}; certainty {text.certainty})", _evidence(active))
    yield from _section("Sources", _sources(active, knowledge))
    reasons = knowledge.presentation.override.reasons
    yield from _section("Override reasons", (f"{key}: {reasons[key]}" for key in text.override_reasons))
    relations = relations_of(active, knowledge).items()
    yield from _section("Other rules", (f"{name} {', '.join(others)}" for name, others in relations))
    yield from _section(
        "Questions of the sign-off list",
        (f"({q.id}) {q.question} [{'signed' if q.signed else 'open'}]" for q in files.questions if text.id in q.rules),
    )
    yield from _section("Stories", cases.stories)
    tables = (f"{title_of_test(name)}: {counted(counts)}" for name, counts in cases.tables.items())
    yield from _section(f"Rows of case tables: {counted(totals_of(cases))}", tables)


def _numbers(active: ActiveRule) -> Iterator[str]:
    for name, setting in active.text.settings.items():
        label = f"{setting.label} ({name})" if setting.label else name
        limits = f", bounds {limits}" if (limits := bounds(setting)) else ""
        note = f"; {setting.note}" if setting.note else ""
        yield f"{label} = {amount(setting)}, source {setting.source}{limits}{note}"


def _evidence(active: ActiveRule) -> Iterator[str]:
    return (f"{line.says} ({line.source})" for line in active.text.evidence)


def _sources(active: ActiveRule, knowledge: Knowledge) -> Iterator[str]:
    for source in (knowledge.sources[key] for key in cited(active)):
        yield " ".join(filter(None, (source_line(source), source.url)))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield ""
        yield click.style(title, bold=True)
    for line in found:
        yield textwrap.fill(
            line, _WIDTH, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
