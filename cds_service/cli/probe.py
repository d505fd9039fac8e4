"""`mmcds probe`: does a FHIR server give what the service needs? Counts and times only, never a word of the chart."""

import json
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from datetime import date
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import click

from cards.knowledge.loader import load as load_knowledge
from cds_service.addresses import Base, base_of
from cds_service.cli.capability import Capability, capability_of
from cds_service.cli.keys import read_token
from cds_service.configuration import catalog_of
from cds_service.errors import SettingsError, in_words
from cds_service.fhir.reader import Reader, address_of, headers_of
from cds_service.fhir.server import Servers
from cds_service.gather import FROM_FHIR, Gathered
from cds_service.services import searches_asked
from cds_service.settings import load_settings, unix_time
from cds_service.site import Limits
from cds_service.transport import FetchFault, Page, Route, Transport, get_within
from fhir_mapping import wire
from fhir_mapping.build import build_history, by_address, unresolved_medications
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.coverage import Level
from fhir_mapping.model.dates import parse
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.needs import Search, coverage_of
from fhir_mapping.readers.conditions import names_myeloma
from fhir_mapping.readers.context import Context, medication_of

_ROUNDS = 3
_DRUG_RECORDS = tuple(kind.__name__ for kind in get_args(wire.MedicationUse))
_MOST_SKEW_SECONDS = 60
_UTC = ZoneInfo("UTC")
_DAYS = ("effective_date_time", "effective_instant", "performed_date_time", "recorded_date", "authored_on")
_MORE_DAYS = ("date_asserted", "birth_date")
_PERIODS = ("effective_period", "performed_period")
_LIMITS = Limits()
_FACTS: Mapping[str, Callable[[TreatmentHistory], Sized]] = {
    "courses": lambda history: history.courses,
    "carTInfusions": lambda history: history.infusions,
    "tCellCollections": lambda history: history.collections,
    "progressions": lambda history: history.progressions,
    "prophylaxisRecords": lambda history: history.supportive_care,
    "labResults": lambda history: history.labs,
    "allergies": lambda history: history.allergies,
    "unrecognisedTreatments": lambda history: history.unrecognised,
    "gaps": lambda history: history.gaps,
}
_KINDS_OF_DRUGS = ("knownDrugs", "unrecognisedTreatment", "otherDrugs", "unnamedDrugs")
_WORTH_COUNTING = {"Condition": ("myeloma",)} | dict.fromkeys(_DRUG_RECORDS, _KINDS_OF_DRUGS)


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
    token = read_token(token_file) if token_file is not None else None
    try:
        settings = load_settings()
        catalog = catalog_of(settings)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    server = Server(base, Transport(Route(ca_file)), token, timeout)
    report = examine(server, patients, settings.today(), catalog)
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(_lines(report)))
    sys.exit(1 if report["missing"] else 0)


@dataclass(frozen=True, slots=True)
class Server:
    """The FHIR server that is probed, and how; `timeout` is in seconds, for one request or one chart."""

    base: Base
    transport: Transport
    token: str | None
    timeout: float

    def get(self, url: str) -> Page:
        """Read one address; raises FetchFault."""
        limit_bytes = _LIMITS.read_bytes
        return get_within(self.transport, url, headers_of(self.token), seconds=self.timeout, limit_bytes=limit_bytes)


def examine(server: Server, patients: Iterable[str], as_of: date, catalog: Catalog) -> dict[str, Any]:
    """Probe a server; the report holds counts, times and our own words only."""
    wanted = searches_asked(catalog, load_knowledge())
    skew, capability = _introduction(server, wanted)
    missing, notes = list(capability.missing), list(capability.notes)
    if skew is not None and abs(skew) > _MOST_SKEW_SECONDS:
        notes.append("the server's clock is more than a minute off ours")
    report: dict[str, Any] = {"fhirVersion": capability.version, "clockOffsetSeconds": skew}
    report["capability"] = capability.said
    charts = {patient: _read_chart(server, wanted, patient, as_of) for patient in patients}
    if charts:
        rows = {key: _row(key, list(charts.values()), catalog) for key in wanted}
        missing += [f"{key}: {problem}" for key, row in rows.items() for problem in row["problems"]]
        history = sum((_history(chart, catalog, as_of) for chart in charts.values()), Counter[str]())
        report |= {"patients": len(charts), "searches": rows, "history": {name: history[name] for name in _FACTS}}
        report["parallelMilliseconds"] = round(statistics.median(chart.milliseconds for chart in charts.values()))
    else:
        notes.append("no --patient was given, so no search was tried")
    return report | {"missing": missing, "notes": notes}


def _introduction(server: Server, wanted: Mapping[str, Search]) -> tuple[float | None, Capability]:
    """Read the CapabilityStatement, and by how many seconds the server's clock is ahead of ours."""
    try:
        asked = unix_time()
        page = server.get(f"{server.base}/metadata")
    except FetchFault as fault:
        return None, Capability(missing=(f"CapabilityStatement: {in_words(fault.label)}",))
    skew = _skew(page.headers.get("date", ""), (asked + unix_time()) / 2)
    if page.status != HTTPStatus.OK:
        return skew, Capability(missing=(f"CapabilityStatement: HTTP {page.status}",))
    return skew, capability_of(page.body, wanted)


def _skew(dated: str, ours: float) -> float | None:
    try:
        return round(parsedate_to_datetime(dated).timestamp() - ours, 1)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Chart:
    """One patient's chart, read as the service reads it, and the times of each search's first page alone."""

    gathered: Gathered
    milliseconds: float
    times: Mapping[str, Sequence[float]]

    def records(self, key: str) -> list[wire.Resource]:
        """Give the resources that a search asked for, without remarks of the server and what came along."""
        asked = self.gathered.searches[key].resource_type
        found = (item.resource for item in self.gathered.found_by.get(key, ()))
        return [resource for resource in found if type(resource).__name__ == asked]


def _read_chart(server: Server, wanted: Mapping[str, Search], patient: str, as_of: date) -> Chart:
    times = {key: _times(server, address_of(server.base, search.query, patient)) for key, search in wanted.items()}
    reader = Reader(
        Servers(server.transport, _LIMITS.connections).at(server.base),
        server.transport,
        patient,
        token=server.token,
        deadline=time.monotonic() + server.timeout,
        limits=_LIMITS,
    )
    gathered = Gathered(wanted, {}, patient, as_of, reader)
    started = time.perf_counter()
    gathered.start()
    gathered.finish(wanted)
    milliseconds = (time.perf_counter() - started) * 1_000
    records = [item.resource for item in gathered.found]
    gathered.look_up(unresolved_medications(records, gathered.found))
    reader.stop()
    return Chart(gathered, milliseconds, times)


def _times(server: Server, url: str) -> list[float]:
    """Time one address some times, in milliseconds; nothing when it does not answer."""
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        try:
            server.get(url)
        except FetchFault:
            break
        times.append((time.perf_counter() - started) * 1_000)
    return times


def _row(key: str, charts: Sequence[Chart], catalog: Catalog) -> dict[str, Any]:
    """Report on one search, all patients together."""
    search = charts[0].gathered.searches[key]
    counts = Counter(dict.fromkeys(("readable", "dated", "undated", *_WORTH_COUNTING.get(search.resource_type, ())), 0))
    for chart in charts:
        context = Context(catalog, date.min, _UTC, medications=by_address(chart.gathered.found))
        for record in chart.records(key):
            counts["readable"] += 1
            counts["dated" if _is_dated(record) else "undated"] += 1
            counts.update(_recognised(record, context))
    origins = [chart.gathered.origins[key] for chart in charts]
    readings = [chart.gathered.readings[key] for chart in charts]
    times = [milliseconds for chart in charts for milliseconds in chart.times[key]]
    return {
        "problems": sorted({in_words(origin) for origin in origins if origin != FROM_FHIR}),
        "answered": origins.count(FROM_FHIR),
        "cutShort": sum(reading.level is Level.PARTIAL for reading in readings),
        "unreadable": sum(chart.gathered.unreadable.count(search.resource_type) for chart in charts),
        **counts,
        "medianMilliseconds": round(statistics.median(times)) if times else None,
    }


def _is_dated(record: wire.Resource) -> bool:
    texts = [getattr(record, name, None) for name in (*_DAYS, *_MORE_DAYS)]
    for name in _PERIODS:
        period = getattr(record, name, None)
        texts += [period.start, period.end] if isinstance(period, wire.Period) else []
    return any(isinstance(text, str) and parse(text, _UTC) is not None for text in texts)


def _recognised(record: wire.Resource, context: Context) -> Iterable[str]:
    if isinstance(record, wire.Condition):
        return ["myeloma"] if names_myeloma(record, context.catalog) else []
    if not isinstance(record, wire.MedicationUse):
        return []
    concept = medication_of(record, context)
    if concept is None:
        return ["unnamedDrugs"]
    match = context.catalog.drug(concept)
    if match.drugs:
        return ["knownDrugs"]
    return ["unrecognisedTreatment"] if match.is_unrecognised_treatment else ["otherDrugs"]


def _history(chart: Chart, catalog: Catalog, as_of: date) -> Counter[str]:
    """Count what the chart of one patient is to the rules."""
    gathered = chart.gathered
    coverage = coverage_of(gathered.readings)
    history = build_history(gathered.found, coverage, catalog, as_of, _UTC, unreadable=gathered.unreadable)
    return Counter({name: len(facts(history)) for name, facts in _FACTS.items()})


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
