"""Reads FHIR files of other people's making with `mmcds history`, and counts what became of them.

None of them is committed; `tests/README.md` says which were read, and how to get them. Nothing may raise: a file is
read, or refused with a reason. What could not be read inside a file must show as a gap.
"""

import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from cds_service.cli.chart_file import ChartFile, ChartReader
from cds_service.cli.history import facts_of_file, text_of
from cds_service.cli.records import Heap, patient_of, read_records
from fhir_mapping.catalog.loader import load as load_catalog
from fhir_mapping.needs import searches

_AS_OF = date(2026, 11, 20)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--every", default=1, show_default=True, help="Read every n-th file only.")
def main(folders: tuple[Path, ...], every: int) -> None:
    """Read every JSON and NDJSON file under FOLDERS, and fail when one raises."""
    catalog = load_catalog()
    asked = searches(catalog)
    reader = ChartReader(catalog, asked, asked, _AS_OF, ZoneInfo("America/New_York"))
    raised = 0
    for folder in folders:
        count: Counter[str] = Counter()
        began = time.monotonic()
        for path in sorted(p for ending in ("*.json", "*.ndjson") for p in folder.rglob(ending))[::every]:
            count.update(_read(path, reader))
            if count["files"] % 500 == 0:
                click.echo(f"  {folder.name}: {count['files']} files, {time.monotonic() - began:.0f} s", err=True)
        raised += count["RAISED"]
        click.echo(f"{folder}: {count.pop('files')} files in {time.monotonic() - began:.0f} s")
        for what, number in sorted(count.items()):
            click.echo(f"  {what}: {number}")
    sys.exit(1 if raised else 0)


def _read(path: Path, reader: ChartReader) -> Iterator[str]:
    """Read one file as the command does, each of its patients where it holds several, and name what came of it."""
    yield "files"
    try:
        people = _people_in(path)
    except click.UsageError as refusal:
        yield f"refused: {_reason(refusal)}"
        return
    for patient_id in people:
        yield from _read_chart(path, replace(reader, patient_id=patient_id))


def _people_in(path: Path) -> list[str | None]:
    """Name the patients of a file; None stands for the one whom nobody names."""
    found = read_records(str(path))
    if not isinstance(found, Heap):
        return [None]
    named = {who for record in found.records if (who := patient_of(record.resource)) and "/" not in who}
    return [*sorted(named)] if len(named) > 1 else [None]


def _read_chart(path: Path, reader: ChartReader) -> Iterator[str]:
    try:
        chart = reader.read(str(path))
        facts = facts_of_file(chart, reader.catalog, with_records=True)
        json.dumps(facts)
        "\n".join(text_of(facts))
    except click.UsageError as refusal:
        yield f"refused: {_reason(refusal)}"
    except Exception:
        click.echo(f"{path}:\n{traceback.format_exc(limit=-3)}", err=True)
        yield "RAISED"
    else:
        yield "charts read"
        yield from _found_in(chart, facts)


def _reason(refusal: click.UsageError) -> str:
    words = refusal.message.split(" ")[1:] if "/" in refusal.message.split(" ")[0] else refusal.message.split(" ")
    return " ".join("n" if word.isdigit() else word for word in words)


def _found_in(chart: ChartFile, facts: dict[str, Any]) -> Iterator[str]:
    for gap in facts["not_read"]:
        yield from [f"gap: {gap['why']}"] * gap["count"]
    for kind in ("timeline", "problems", "plans", "vaccinations", "trials", "education", "allergies"):
        yield from [f"facts: {kind}"] * len(facts[kind])
    yield from ["unrecognised treatment"] * len(chart.history.unrecognised)
    yield from ["other drugs"] * len(chart.history.unmapped)


if __name__ == "__main__":
    main()
