"""The demonstration: the real service on loopback, synthetic patients, and each card as a clinician reads it."""

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from cds_service.settings import PREFIX
from cds_service.synthetic import AS_OF, DemoPatient, demo_patients

_WIDTH = 100
_START_SECONDS = 20
_CALL_SECONDS = 10
_ESCAPED = re.compile(r"\\([^\w\s])")
_COLOURS = {"critical": "red", "warning": "yellow", "info": "blue"}


def run_demo(*, as_json: bool) -> int:
    """Fire one hook for each patient and print the answers; 1 when a rule did not answer as expected."""
    patients = demo_patients()
    click.echo(f"mmcds demonstration as of {AS_OF}: {len(patients)} synthetic patients, no real data.")
    surprises = 0
    with _service() as (address, log):
        for number, patient in enumerate(patients, start=1):
            answer = _call(address, patient.request)
            outcomes = _outcomes(log)
            surprises += _show(number, patient, answer, outcomes, as_json=as_json)
    click.echo("\nThe service is stopped.")
    if surprises:
        click.echo(f"{surprises} answers were not as expected.", err=True)
    return 1 if surprises else 0


@contextmanager
def _service() -> Iterator[tuple[str, IO[str]]]:
    """Run the service in a process of its own; give its address and its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    click.echo(f"Starting the service on {address} ...")
    settings = {"AUTH": "off", "AS_OF": AS_OF, "HOST": "127.0.0.1", "PORT": str(port)}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {PREFIX + name: value for name, value in settings.items()}
    command = [sys.executable, "-m", "cds_service", "serve"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        assert process.stderr is not None  # noqa: S101 - a pipe was asked for
        try:
            _wait_until_ready(address, process)
            yield address, process.stderr
        finally:
            process.terminate()


def _wait_until_ready(address: str, process: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=1):  # noqa: S310 - our own loopback address
                return
        except OSError:
            time.sleep(0.05)
    raise click.ClickException("the service did not start; run `make serve` to see why")


def _call(address: str, request: dict[str, Any]) -> dict[str, Any]:
    call = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{address}/cds-services/mmcds-{request['hook']}",
        data=json.dumps(request).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(call, timeout=_CALL_SECONDS) as response:  # noqa: S310 - as above
        answer: dict[str, Any] = json.load(response)
        return answer


def _outcomes(log: IO[str]) -> dict[str, list[str]]:
    """Read the service's log up to the next decision record, and give what each rule answered."""
    for line in log:
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        if entry["event"] == "decision":
            rules: dict[str, list[str]] = entry["rules"]
            return rules
    return {}


def _show(
    number: int, patient: DemoPatient, answer: dict[str, Any], outcomes: dict[str, list[str]], *, as_json: bool
) -> int:
    click.echo("\n" + "=" * _WIDTH)
    click.echo(f"{number}. {patient.title}.")
    click.echo(f"   {patient.request['hook']}: {patient.asked}.")
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        for card in answer["cards"]:
            click.echo()
            click.echo("\n".join(card_lines(card)))
    asked = ", ".join(f"{rule} {'/'.join(found)}" for rule, found in sorted(outcomes.items()))
    said = "No card" if not answer["cards"] else "Why"
    click.echo(f"\n   {said}: {patient.because}")
    click.echo(f"   Rules: {asked}")
    surprising = {rule for rule, outcome in patient.expected.items() if outcome not in outcomes.get(rule, [])}
    for rule in sorted(surprising):
        click.echo(f"   NOT AS EXPECTED: {rule} should be {patient.expected[rule]}", err=True)
    return 1 if surprising else 0


def card_lines(card: dict[str, Any]) -> Iterator[str]:
    """Write one card as a clinician would read it: plain text, Markdown marks removed."""
    indicator = card["indicator"]
    yield click.style(f"   [{indicator.upper()}] {card['summary']}", fg=_COLOURS[indicator], bold=True)
    for line in card["detail"].splitlines():
        plain = _ESCAPED.sub(r"\1", line.replace("**", ""))
        if plain.startswith("- "):
            yield textwrap.fill(plain, _WIDTH, initial_indent="       ", subsequent_indent="         ")
        elif plain:
            yield textwrap.fill(plain, _WIDTH, initial_indent="     ", subsequent_indent="     ")
    for suggestion in card.get("suggestions", ()):
        yield from _suggestion_lines(suggestion)
    if card.get("overrideReasons"):
        reasons = "; ".join(reason["display"] for reason in card["overrideReasons"])
        yield textwrap.fill(f"Or override: {reasons}", _WIDTH, initial_indent="     ", subsequent_indent="       ")
    yield f"     Source: {card['source']['label']} (rule {card['source']['topic']['code']})"


def _suggestion_lines(suggestion: dict[str, Any]) -> Iterator[str]:
    mark = "recommended" if suggestion["isRecommended"] else "offered"
    (action,) = suggestion["actions"]
    resource = action["resource"]
    if action["type"] == "update":
        yield f"     => {suggestion['label']} ({mark}): {resource['resourceType']} {resource['id']}, changed"
        return
    said = (resource.get(name) for name in ("resourceType", "status", "intent"))
    yield f"     => {suggestion['label']} ({mark}): {', '.join(filter(None, said))}"
    for dosage in resource.get("dosageInstruction", ()):
        if "text" in dosage:
            yield f"        dose: {dosage['text']}"
        period = dosage.get("timing", {}).get("repeat", {}).get("boundsPeriod", {})
        if period:
            yield f"        from {period.get('start', 'now')} to {period.get('end', 'open')}"
    has_dose = any("text" in dosage for dosage in resource.get("dosageInstruction", ()))
    if resource["resourceType"] == "MedicationRequest" and not has_dose:
        yield "        no dose: to be set by the prescriber"
