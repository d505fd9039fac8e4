"""`mmcds canary`: does every rule still fire where it must, and stay silent where it must, with the tables in force?"""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from cards.knowledge.loader import KnowledgeError
from cards.knowledge.loader import load as load_knowledge
from cds_service import __version__
from cds_service.app import make_assessor
from cds_service.assess import Assessor
from cds_service.canaries import Code, load_codes, load_pairs
from cds_service.canaries.replay import Replay, RuleReport, body_of, replay_all
from cds_service.configuration import load_configuration
from cds_service.errors import SettingsError
from fhir_mapping.catalog.loader import CatalogError

_FAULTY = 2
_SIDES = {"fires": "must fire", "silent": "must not fire"}
_WIDTHS = (6, 36)

_own_codes = click.option(
    "--code",
    "own_codes",
    metavar="NAME=SYSTEM|CODE",
    multiple=True,
    help="Name a drug or procedure by the hospital's own code: does the site's map lead to it?",
)


@click.group()
def canary() -> None:
    """Synthetic requests, two for each rule: one that must fire, one that must not."""


@canary.command()
@_own_codes
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def run(own_codes: tuple[str, ...], as_json: bool) -> None:
    """Replay them with the site's settings, as of today; 0 only if every rule that is on did both as it should."""
    codes, assessor = _codes(own_codes), _assessor()
    reports = list(replay_all(assessor, load_pairs(), codes))
    passed = all(report.passed for report in reports)
    if as_json:
        click.echo(json.dumps(_facts(reports, assessor, passed=passed), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_text(reports, assessor)))
    sys.exit(0 if passed else 1)


@canary.command()
@click.argument("rule_id", metavar="ID")
@click.option("--silent", is_flag=True, help="The one that must not fire.")
@_own_codes
def show(rule_id: str, silent: bool, own_codes: tuple[str, ...]) -> None:
    """Print the request of rule ID that must fire, for `mmcds history` and `mmcds hook send`."""
    pairs, codes = load_pairs(), _codes(own_codes)
    pair = pairs.get(rule_id.upper())
    if pair is None:
        raise click.UsageError(f"there are no canaries for {rule_id}; there are some for {', '.join(pairs)}.")
    click.echo(body_of(rule_id.upper(), "silent" if silent else "fires", pair, _assessor(), codes))


def _codes(own_codes: Iterable[str]) -> dict[str, Code]:
    """Give the codes of the canaries, with the hospital's own in place of ours."""
    codes = dict(load_codes())
    for given in own_codes:
        name, _, token = given.partition("=")
        system, _, code = token.partition("|")
        if name not in codes or not system or not code:
            raise click.UsageError(f"--code takes NAME=SYSTEM|CODE with a name of {', '.join(codes)}.")
        codes[name] = Code(system, code, codes[name].is_drug)
    return codes


def _assessor() -> Assessor:
    """Give what the service would answer with, on one day also where a run passes midnight."""
    try:
        configuration = load_configuration(knowledge=load_knowledge())
        today = configuration.settings.today()
        return make_assessor(configuration.settings, configuration.site, today=lambda: today)
    except (SettingsError, KnowledgeError, CatalogError) as error:
        click.echo(str(error), err=True)
        sys.exit(_FAULTY)


def _facts(reports: Iterable[RuleReport], assessor: Assessor, *, passed: bool) -> dict[str, Any]:
    today = assessor.today()
    return {
        "passed": passed,
        "version": __version__,
        "knowledge_version": assessor.knowledge.on(today).version,
        "as_of": today.isoformat(),
        "rules": [
            {
                "id": report.rule_id,
                "slug": report.slug,
                "on": report.is_on,
                "passed": report.passed,
                "hook": report.hook,
                "canaries": {replay.side: _replayed(replay) for replay in report.replays},
            }
            for report in reports
        ],
    }


def _replayed(replay: Replay) -> dict[str, Any]:
    return {
        "says": replay.canary.says,
        "passed": replay.passed,
        "expected": {"outcome": replay.canary.outcome, "shown": replay.canary.is_shown},
        "came": {"outcome": replay.outcome, "shown": replay.is_shown, "cards": list(replay.cards)},
        "hints": list(replay.hints),
    }


def _text(reports: list[RuleReport], assessor: Assessor) -> Iterator[str]:
    today = assessor.today()
    on = [report for report in reports if report.is_on]
    version = assessor.knowledge.on(today).version
    yield f"mmcds {__version__}, knowledge {version}, as of {today}: synthetic patients alone, no real data."
    yield ""
    yield _row("rule", *_SIDES.values())
    for report in reports:
        yield _row(report.rule_id, *_cells(report))
    failed = [report for report in on if not report.passed]
    for report in failed:
        yield from _details(report)
    yield ""
    yield (
        f"{len(failed)} of {len(on)} rules did not do as they should: {', '.join(r.rule_id for r in failed)}."
        if failed
        else f"All {len(on)} rules that are on did as they should."
    )


def _row(*cells: str) -> str:
    *first, last = cells
    return "".join(f"{cell:<{width}}" for cell, width in zip(first, _WIDTHS, strict=False)) + last


def _cells(report: RuleReport) -> Iterator[str]:
    if not report.replays:
        yield "FAILED: has no canaries" if report.is_on else "off, not asked"
        return
    for replay in report.replays:
        yield f"{'ok' if replay.passed else 'FAILED'}: {_said(replay.outcome, is_shown=replay.is_shown)}"


def _details(report: RuleReport) -> Iterator[str]:
    for replay in report.replays:
        if replay.passed:
            continue
        expected = _said(replay.canary.outcome, is_shown=replay.canary.is_shown)
        came = _said(replay.outcome, is_shown=replay.is_shown)
        yield ""
        yield f"{report.rule_id} {report.slug} {_SIDES[replay.side]} at {report.hook}: {replay.canary.says}"
        yield f"  expected: {expected}"
        yield f"  came:     {came}; cards: {', '.join(replay.cards) or 'none'}"
        yield from (f"  hint:     {hint}" for hint in replay.hints)


def _said(outcome: str, *, is_shown: bool) -> str:
    return f"{outcome.replace('_', ' ')}, {'on a card' if is_shown else 'no card'}"
