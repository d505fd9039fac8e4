"""`mmcds probe`: does a FHIR server give what the service needs? Counts and times only, never a word of the chart."""

import json
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import requests

from cds_service.addresses import base_of
from cds_service.cli.fhir_client import DRUG_RECORDS, Sample, Server, address_of, capability_of, medications, sample
from cds_service.cli.keys import read_token
from cds_service.hook_models import is_about
from cds_service.settings import Settings
from fhir_mapping import wire
from fhir_mapping.build import build_history
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.catalog.loader import load as load_catalog
from fhir_mapping.model.coverage import Level
from fhir_mapping.model.dates import parse
from fhir_mapping.needs import Reading, Search, coverage_of, searches
from fhir_mapping.readers.conditions import names_myeloma
from fhir_mapping.readers.context import Context, medication_of

_ROUNDS = 3
_MOST_SKEW_SECONDS = 60
_UTC = ZoneInfo("UTC")
_DAYS = ("effective_date_time", "effective_instant", "performed_date_time", "recorded_date", "authored_on")
_MORE_DAYS = ("date_asserted", "birth_date")
_PERIODS = ("effective_period", "performed_period")
_KINDS_OF_DRUGS = ("knownDrugs", "unrecognisedTreatment", "otherDrugs", "unnamedDrugs")
_WORTH_COUNTING = {"Condition": ("myeloma",)} | {kind.__name__: _KINDS_OF_DRUGS for kind in DRUG_RECORDS}


@click.command()
@click.option("--fhir", "base_url", metavar="URL", required=True, help="Base address of the FHIR server.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Access token, in a file.")
@click.option("--patient", "patients", metavar="ID", multiple=True, help="Whose chart to read; may be repeated.")
@click.option("--ca-file", type=click.Path(exists=True, path_type=Path), help="Certificates to trust.")
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(0.1, 120), default=10.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def probe(
    base_url: str,
    token_file: Path | None,
    patients: tuple[str, ...],
    ca_file: Path | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Check a FHIR server before go-live: version, searches, mapping, speed, clock.

    Prints no patient data: no ids, names, codes, dates or tokens, and nothing that the server says in words.
    """
    base = base_of(base_url)
    if base is None:
        raise click.UsageError("--fhir must be a plain http or https address.")
    if token_file is not None and not base.is_encrypted and not base.is_loopback:
        raise click.UsageError("the access token would go over the network in the clear: name an https address.")
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(ca_file) if ca_file else True
        session.headers["Accept"] = "application/fhir+json"
        if token_file is not None:
            session.headers["Authorization"] = f"Bearer {read_token(token_file)}"
        report = examine(Server(base, session, timeout), patients, Settings().today())
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(_lines(report)))
    sys.exit(1 if report["missing"] else 0)


def examine(server: Server, patients: Iterable[str], as_of: date) -> dict[str, Any]:
    """Probe a server; the report holds counts, times and our own words only."""
    catalog = load_catalog()
    wanted = searches(catalog)
    metadata = server.get(f"{server.base}/metadata")
    capability = capability_of(metadata, wanted)
    missing, notes = list(capability.missing), list(capability.notes)
    if metadata.skew_seconds is not None and abs(metadata.skew_seconds) > _MOST_SKEW_SECONDS:
        notes.append("the server's clock is more than a minute off ours")
    report: dict[str, Any] = {
        "fhirVersion": capability.version,
        "clockOffsetSeconds": metadata.skew_seconds,
        "capability": capability.said,
    }
    charts = {patient: _read_chart(server, wanted, patient) for patient in patients}
    if charts:
        rows = {key: _row([chart[key] for chart in charts.values()], wanted[key], catalog) for key in wanted}
        missing += [f"{key}: {problem}" for key, row in rows.items() for problem in row["problems"]]
        history: Counter[str] = Counter()
        for patient, chart in charts.items():
            history.update(_history(chart, wanted, catalog, as_of, patient))
        report |= {"patients": len(charts), "searches": rows, "history": dict(history)}
        report["parallelMilliseconds"] = _in_parallel(server, wanted, charts)
    else:
        notes.append("no --patient was given, so no search was tried")
    return report | {"missing": missing, "notes": notes}


def _read_chart(server: Server, wanted: Mapping[str, Search], patient: str) -> dict[str, Sample]:
    chart = {}
    for key, search in wanted.items():
        url = address_of(server, search, patient)
        chart[key] = read = sample(server, url)
        if any(not is_about(item.resource, patient) for item in read.found):
            read.problem = "resources about another patient"
        for _ in range(0 if read.problem else _ROUNDS - 1):
            read.milliseconds.append(server.get(url).milliseconds)
    included = medications(server, [item for read in chart.values() for item in read.found])
    for read in chart.values():
        if any(isinstance(item.resource, DRUG_RECORDS) for item in read.found):
            read.found += included
    return chart


def _row(samples: list[Sample], search: Search, catalog: Catalog) -> dict[str, Any]:
    """Report on one search, all patients together."""
    counts = Counter(dict.fromkeys(("readable", "dated", "undated", *_WORTH_COUNTING.get(search.resource_type, ())), 0))
    for one in samples:
        for record in one.records(search):
            counts["readable"] += 1
            counts["dated" if _is_dated(record) else "undated"] += 1
            counts.update(_recognised(record, one, catalog))
    times = [milliseconds for one in samples for milliseconds in one.milliseconds]
    return {
        "problems": sorted({one.problem for one in samples if one.problem}),
        "answered": sum(not one.problem for one in samples),
        "pages": sum(one.pages for one in samples),
        "cutShort": sum(not one.is_whole for one in samples),
        "unreadable": sum(len(one.unreadable) for one in samples),
        **counts,
        "medianMilliseconds": round(statistics.median(times)) if times else None,
    }


def _is_dated(record: wire.Resource) -> bool:
    texts = [getattr(record, name, None) for name in (*_DAYS, *_MORE_DAYS)]
    for name in _PERIODS:
        period = getattr(record, name, None)
        texts += [period.start, period.end] if isinstance(period, wire.Period) else []
    return any(isinstance(text, str) and parse(text, _UTC) is not None for text in texts)


def _recognised(record: wire.Resource, read: Sample, catalog: Catalog) -> Iterable[str]:
    if isinstance(record, wire.Condition):
        return ["myeloma"] if names_myeloma(record, catalog) else []
    if not isinstance(record, DRUG_RECORDS):
        return []
    stored = {f"Medication/{m.id}": m for i in read.found if isinstance(m := i.resource, wire.Medication)}
    concept = medication_of(record, Context(catalog, date.min, _UTC, medications=stored))
    if concept is None:
        return ["unnamedDrugs"]
    match = catalog.drug(concept)
    if match.drugs:
        return ["knownDrugs"]
    return ["unrecognisedTreatment"] if match.is_unrecognised_treatment else ["otherDrugs"]


def _history(
    chart: Mapping[str, Sample], wanted: Mapping[str, Search], catalog: Catalog, as_of: date, patient: str
) -> Counter[str]:
    """Count what the chart of one patient is to the rules."""
    own = [i for read in chart.values() for i in read.found if is_about(i.resource, patient)]
    readings = {}
    for key, read in chart.items():
        whole = Level.COMPLETE if read.is_whole and not read.unreadable else Level.PARTIAL
        level = Level.UNAVAILABLE if read.problem and not read.pages else whole
        readings[key] = Reading(level, len(read.records(wanted[key])))
    lost = [kind for read in chart.values() for kind in read.unreadable]
    history = build_history(own, coverage_of(readings), catalog, as_of, _UTC, unreadable=lost)
    return Counter(
        {
            "courses": len(history.courses),
            "carTInfusions": len(history.infusions),
            "tCellCollections": len(history.collections),
            "progressions": len(history.progressions),
            "prophylaxisRecords": len(history.supportive_care),
            "labResults": len(history.labs),
            "allergies": len(history.allergies),
            "unrecognisedTreatments": len(history.unrecognised),
            "gaps": len(history.gaps),
        }
    )


def _in_parallel(server: Server, wanted: Mapping[str, Search], patients: Iterable[str]) -> int:
    """Time all first pages of one patient at once, as the service reads them: the median of some rounds."""
    times = []
    for patient in patients:
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            with ThreadPoolExecutor(len(wanted)) as pool:
                list(pool.map(server.get, [address_of(server, search, patient) for search in wanted.values()]))
            times.append((time.perf_counter() - started) * 1_000)
    return round(statistics.median(times))


def _lines(report: Mapping[str, Any]) -> Iterable[str]:
    """Write the report for the terminal."""
    offset = report["clockOffsetSeconds"]
    yield f"FHIR version: {report['fhirVersion'] or 'not said'}"
    yield f"Clock: {'not said' if offset is None else f'{round(offset):+d} s against ours'}"
    yield "CapabilityStatement:"
    yield from (f"   {kind}: {word}" for kind, word in report["capability"].items())
    if "searches" in report:
        yield f"Searches of {report['patients']} patient(s):"
        for key, row in report["searches"].items():
            counts = {name: value for name, value in row.items() if name not in {"problems", "medianMilliseconds"}}
            yield f"   {key}: {', '.join(f'{value} {_words(name)}' for name, value in counts.items())}"
        yield "History: " + ", ".join(f"{value} {_words(name)}" for name, value in report["history"].items())
        yield "Milliseconds, median of the first pages:"
        yield from (f"   {key}: {row['medianMilliseconds']}" for key, row in report["searches"].items())
        yield f"   all in parallel: {report['parallelMilliseconds']}"
    yield from (f"Note: {note}." for note in report["notes"])
    yield from (f"MISSING: {what}" for what in report["missing"])
    if not report["missing"]:
        yield "Nothing that the service needs is missing."


def _words(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: " " + found[1].lower(), name)
