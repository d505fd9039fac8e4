"""What an integrator has at hand, a request, a prefetch, a Bundle or a list, made into one hook request."""

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import click

from cards.finding import Hook
from cds_service.cli.records import Heap, Json, patient_of, read_records
from fhir_mapping.needs import Search

STATES = ("present", "missing", "null", "error")
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


def read_chart(path: Path, searches: Mapping[str, Search], patient_id: str | None = None) -> Chart:
    """Read a chart file of any kind; `patient_id` picks one patient of several."""
    found = read_records(str(path))
    if isinstance(found, Heap):
        return _split(_sound(found, path), searches, patient_id)
    context, prefetch = found.request.get("context", {}), found.request.get("prefetch", {})
    if not isinstance(context, dict) or not isinstance(prefetch, dict):
        raise click.UsageError(f"{path}: context and prefetch of a request must be objects.")
    if found.kind == "prefetch":
        if not searches.keys() & prefetch.keys():
            raise click.UsageError(f"{path} is a prefetch with none of our keys ({', '.join(searches)}).")
        return Chart({}, prefetch, _patient_of(prefetch))
    return Chart(found.request, prefetch, context.get("patientId") or _patient_of(prefetch))


def read_orders(path: Path) -> list[Json]:
    """Read draft orders: a Bundle, a list or one resource; those without an id get one."""
    found = read_records(str(path))
    if not isinstance(found, Heap):
        raise click.UsageError(f"{path} holds no orders: give a Bundle, a list or one resource.")
    return [{"id": f"draft-{number}"} | order for number, order in enumerate(_sound(found, path), start=1)]


def _sound(heap: Heap, path: Path) -> list[Json]:
    """Give the records of a heap in which nothing is broken: a call is made with all of them, or not at all."""
    if heap.broken:
        raise click.UsageError(f"{path} holds {heap.broken} entries that are no FHIR resource.")
    return [record.resource for record in heap.records]


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
    ids = {who for r in resources if r["resourceType"] == "Patient" and (who := patient_of(r))}
    ids = ids or {who for r in resources if (who := patient_of(r)) and "/" not in who}
    return ids.pop() if len(ids) == 1 else None


def _matcher(search: Search, patient_id: str | None) -> Callable[[Json], bool]:
    codes = {code for part in parse_qs(search.query.partition("?")[2]).get("code", ()) for code in part.split(",")}

    def matches(resource: Json) -> bool:
        if resource["resourceType"] != search.resource_type:
            return False
        return patient_of(resource) in {None, patient_id} and (not codes or _has_code(resource, codes))

    return matches


def _has_code(resource: Json, codes: Collection[str]) -> bool:
    concept = resource.get("code")
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return any(isinstance(coding, dict) and coding.get("code") in codes for coding in codings or ())
