"""Synthetic charts as verbose as EHR exports: about 3 kB a resource, with narrative, identifiers, extensions."""

import json
from datetime import date, timedelta
from typing import Any

from cards.finding import Hook
from tests.build import (
    Resource,
    bare_chart,
    condition,
    draft_drug,
    given,
    hook_request,
    lab,
    myeloma,
    ordered,
    patient,
    procedure,
    progression,
    reported,
)

_NARRATIVE = 300  # characters
_FIRST_DAY = date(2020, 1, 6)
_HOME_DRUGS = ("amlodipine", "metformin", "atorvastatin", "omeprazole", "levothyroxine", "gabapentin", "lisinopril")


def busy_request(resources: int, *, myeloma_on_record: bool = True, drug: str = "ciltacabtagene autoleucel") -> bytes:
    """Make an order-select request with about this many resources: BCMA bispecific, progression, many other things."""
    clinical = [
        given("teclistamab", "2026-11-05"),
        progression("2026-11-10"),
        ordered("acyclovir", "2026-01-10"),
        ordered("sulfamethoxazole-trimethoprim", "2026-01-10"),
        reported("lenalidomide", "2021-08-15", "2024-09-10"),
        procedure("38241", "2021-05-12"),
        patient(),
    ]
    if myeloma_on_record:
        clinical.append(myeloma())
    filler = [_filler(number) for number in range(resources - len(clinical))]
    chart = bare_chart(*(_verbose(r, n) for n, r in enumerate(clinical + filler)))
    return json.dumps(hook_request(Hook.ORDER_SELECT, chart, [draft_drug(drug)])).encode()


def _filler(number: int) -> Resource:
    day = (_FIRST_DAY + timedelta(days=number % 2_400)).isoformat()
    kinds = (
        lambda: lab("751-8", 1.0 + number % 40 / 10, "10*3/uL", day),
        lambda: lab("718-7", 10.5 + number % 30 / 10, "g/dL", day),
        lambda: lab("98979-8", 60 + number % 40, "mL/min/{1.73_m2}", day),
        lambda: ordered(f"{_HOME_DRUGS[number % 7]} {number % 50} mg oral tablet", day, status="completed"),
        lambda: reported(_HOME_DRUGS[number % 7], day, status="active", asserted="2026-10-01"),
        lambda: given("dexamethasone", day),
        lambda: condition(f"E{10 + number % 80}.9", day),
        lambda: procedure(f"{80_000 + number % 9_000}", day),
        lambda: lab("2160-0", 0.8 + number % 10 / 10, "mg/dL", day),
        lambda: given(f"sodium chloride 0.9 % {number % 20}", day),
    )
    return kinds[number % len(kinds)]()


def _verbose(resource: Resource, number: int) -> dict[str, Any]:
    """Add what exports carry and no reader looks at, until a resource weighs about 3.5 kB."""
    kind = resource["resourceType"]
    narrative = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{kind} {number} of a synthetic chart. '
    extra: dict[str, Any] = {
        "meta": {
            "versionId": "3",
            "lastUpdated": "2026-11-01T10:00:00-05:00",
            "profile": [f"urn:example:profile:{kind}"],
            "security": [_coding("confidentiality", "N"), _coding("confidentiality", "R")],
        },
        "text": {"status": "generated", "div": narrative + "Lorem ipsum. " * (_NARRATIVE // 13) + "</p></div>"},
        "identifier": [
            {"use": "usual", "type": {"text": "internal"}, "system": f"urn:oid:1.2.3.{i}", "value": f"{number}-{i}"}
            for i in range(4)
        ],
        "category": [{"coding": [_coding(name, "x"), _coding(name, "y")], "text": name} for name in ("kind", "place")],
        "encounter": {
            "reference": f"Encounter/{number}",
            "identifier": {"use": "usual", "system": "urn:oid:1.2.4", "value": str(number)},
            "display": "Office visit, synthetic",
        },
        "extension": [
            {
                "url": f"https://ehr.example/fhir/extensions/{name}",
                "valueCodeableConcept": {"coding": [_coding(name, str(number))], "text": name},
            }
            for name in ("department", "encounter-class", "ordering-workflow", "last-reviewed-by", "source-system")
        ],
        "note": [{"authorString": "synthetic", "time": "2026-11-01T10:00:00-05:00", "text": f"note {number}"}],
    }
    return {"resourceType": kind, "id": resource["id"]} | extra | resource


def _coding(name: str, code: str) -> dict[str, str]:
    return {"system": f"https://ehr.example/fhir/codes/{name}", "version": "2026", "code": code, "display": name}
