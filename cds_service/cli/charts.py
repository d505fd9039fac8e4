"""What an integrator has at hand, a request, a prefetch, a Bundle or a list, made into one hook request."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import click

from cards.finding import Hook
from fhir_mapping.needs import Search

Json = dict[str, Any]

STATES = ("present", "missing", "null", "error")
_URN = "urn:uuid:"
_REQUEST_MEMBERS = frozenset({"hook", "context", "prefetch"})
_FAILED_SEARCH = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "exception", "diagnostics": "Simulated: this search failed."}],
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart file: the request it held, if any, and its prefetch; `left_out` counts what no search asks for."""

    request: Json = field(default_factory=dict)
    prefetch: Json = field(default_factory=dict)
    patient_id: str | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)


def read_json(path: Path) -> Any:
    """Read a JSON file; a usage fault says what is wrong with it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except json.JSONDecodeError as error:
        raise click.UsageError(f"{path} is not JSON: {error.msg} in line {error.lineno}.") from None
    except (UnicodeDecodeError, RecursionError):
        raise click.UsageError(f"{path} is not JSON in UTF-8, or is nested too deep.") from None


def read_chart(path: Path, searches: Mapping[str, Search], patient_id: str | None = None) -> Chart:
    """Read a chart file of any of the four kinds; `patient_id` picks one patient of several."""
    content = read_json(path)
    if isinstance(content, dict) and isinstance(content.get("request"), dict):
        content = content["request"]  # a patient of the demonstration
    if isinstance(content, list) or (isinstance(content, dict) and "resourceType" in content):
        return _split(_resources_of(content, path), searches, patient_id)
    if not isinstance(content, dict):
        raise click.UsageError(f"{path} holds neither a JSON object nor a list.")
    if _REQUEST_MEMBERS & content.keys():
        context, prefetch = content.get("context", {}), content.get("prefetch", {})
        if not isinstance(context, dict) or not isinstance(prefetch, dict):
            raise click.UsageError(f"{path}: context and prefetch of a request must be objects.")
        return Chart(content, prefetch, context.get("patientId") or _patient_of(prefetch))
    if searches.keys() & content.keys():
        return Chart({}, content, _patient_of(content))
    raise click.UsageError(
        f"{path} is no hook request, no prefetch with one of our keys ({', '.join(searches)}), no Bundle "
        "and no list of resources."
    )


def read_orders(path: Path) -> list[Json]:
    """Read draft orders: a Bundle, a list or one resource; those without an id get one."""
    orders = _resources_of(read_json(path), path)
    return [{"id": f"draft-{number}"} | order for number, order in enumerate(orders, start=1)]


def switches_of(given: Iterable[str], everywhere: str | None, searches: Mapping[str, Search]) -> dict[str, str]:
    """Read KEY=STATE switches; `everywhere` is the state of all other keys."""
    states = dict.fromkeys(searches, everywhere) if everywhere else {}
    for switch in given:
        key, _, state = switch.partition("=")
        if key not in searches or state not in STATES:
            raise click.UsageError(
                f"--prefetch takes KEY=STATE with a state of {', '.join(STATES)} and a key of {', '.join(searches)}."
            )
        states[key] = state
    return {key: state for key, state in states.items() if state is not None}


def switched(prefetch: Json, states: Mapping[str, str]) -> Json:
    """Give the prefetch as a client would send it to which those things happened."""
    made = dict(prefetch)
    for key, state in states.items():
        if state == "present" and key not in prefetch:
            raise click.UsageError(f"--prefetch {key}=present: the chart file has nothing for this key.")
        if state == "missing":
            made.pop(key, None)
        elif state == "null":
            made[key] = None
        elif state == "error":
            made[key] = _FAILED_SEARCH
    return made


def make_request(chart: Chart, hook: Hook, patient_id: str, user: str | None, orders: list[Json] | None) -> Json:
    """Make the request of one hook, with a fresh hookInstance; `orders` replaces the draft orders of the file."""
    stored = chart.request.get("context") or {}
    context: Json = dict(stored) | {
        "userId": user or stored.get("userId") or "Practitioner/mmcds-hook-send",
        "patientId": patient_id,
    }
    if orders is not None:
        entries = [{"resource": order} for order in orders]
        context |= {"draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": entries}}
        context.pop("selections", None)
    if hook is Hook.PATIENT_VIEW:
        context.pop("draftOrders", None)
    else:
        context.setdefault("draftOrders", {"resourceType": "Bundle", "type": "collection", "entry": []})
    if hook is Hook.ORDER_SELECT:
        context.setdefault("selections", references_in(context["draftOrders"]))
    else:
        context.pop("selections", None)
    request = {**chart.request, "hook": hook.value, "hookInstance": str(uuid.uuid4()), "context": context}
    request.pop("prefetch", None)
    return request


def references_in(bundle: Any) -> list[str]:
    """List the resources of a Bundle as Type/id, and none for what is no Bundle."""
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    found = [entry.get("resource") for entry in entries or () if isinstance(entry, dict)]
    return [f"{r.get('resourceType')}/{r.get('id')}" for r in found if isinstance(r, dict)]


def _patient_of(prefetch: Json) -> str | None:
    patient = prefetch.get("patient")
    found = patient.get("id") if isinstance(patient, dict) else None
    return found if isinstance(found, str) else None


def _resources_of(content: Any, path: Path) -> list[Json]:
    """List the resources of a Bundle, a list or one resource; references by urn become Type/id, as a server does."""
    entries = content if isinstance(content, list) else [content]
    if isinstance(content, dict) and content.get("resourceType") == "Bundle":
        entries = content.get("entry") or []
    found: list[Json] = []
    addresses: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource", entry) if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise click.UsageError(f"{path}: entry {len(found) + 1} is no FHIR resource.")
        full_url = str(entry.get("fullUrl") or "")
        if full_url.startswith(_URN):
            resource = {"id": full_url.removeprefix(_URN)} | resource
            addresses[full_url] = f"{resource['resourceType']}/{resource['id']}"
        found.append(resource)
    return [_with_addresses(resource, addresses) for resource in found] if addresses else found


def _with_addresses(value: Any, addresses: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_with_addresses(part, addresses) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: addresses.get(part, part)
        if name == "reference" and isinstance(part, str)
        else _with_addresses(part, addresses)
        for name, part in value.items()
    }


def _split(resources: list[Json], searches: Mapping[str, Search], patient_id: str | None) -> Chart:
    """Answer every search from a heap of resources, as a FHIR server would; a Medication goes with its records."""
    patient_id = patient_id or _only_patient(resources)
    prefetch: Json = {}
    taken: set[int] = set()
    medications = [resource for resource in resources if resource["resourceType"] == "Medication"]
    for key, search in searches.items():
        matches = _matcher(search, patient_id)
        own = [resource for resource in resources if matches(resource)]
        taken.update(map(id, own))
        if search.resource_type == "Patient":
            prefetch |= {key: own[0]} if own else {}
            continue
        named = {str(r["medicationReference"].get("reference")) for r in own if _has_reference(r)}
        included = [m for m in medications if f"Medication/{m.get('id')}" in named]
        taken.update(map(id, included))
        entries: list[Json] = [{"resource": resource, "search": {"mode": "match"}} for resource in own]
        entries += [{"resource": resource, "search": {"mode": "include"}} for resource in included]
        prefetch[key] = {"resourceType": "Bundle", "type": "searchset", "total": len(own), "entry": entries}
    left_out = Counter(resource["resourceType"] for resource in resources if id(resource) not in taken)
    return Chart({}, prefetch, patient_id, left_out)


def _has_reference(resource: Json) -> bool:
    return isinstance(resource.get("medicationReference"), dict)


def _only_patient(resources: list[Json]) -> str | None:
    """Name the one patient of a heap of resources; None when there is none, or more than one."""
    ids = {str(r["id"]) for r in resources if r["resourceType"] == "Patient" and r.get("id")}
    if not ids:
        ids = {subject for r in resources if (subject := _subject_of(r)) is not None}
    return ids.pop() if len(ids) == 1 else None


def _subject_of(resource: Json) -> str | None:
    subject = resource.get("subject") or resource.get("patient")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    return reference.rpartition("/")[2] if isinstance(reference, str) else None


def _matcher(search: Search, patient_id: str | None) -> Callable[[Json], bool]:
    codes = {code for part in parse_qs(search.query.partition("?")[2]).get("code", ()) for code in part.split(",")}

    def matches(resource: Json) -> bool:
        if resource["resourceType"] != search.resource_type:
            return False
        who = resource.get("id") if search.resource_type == "Patient" else _subject_of(resource)
        return who in {None, patient_id} and (not codes or _has_code(resource, codes))

    return matches


def _has_code(resource: Json, codes: Collection[str]) -> bool:
    concept = resource.get("code")
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return any(isinstance(coding, dict) and coding.get("code") in codes for coding in codings or ())
