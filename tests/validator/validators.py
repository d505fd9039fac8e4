"""The two validators, asked alike: resources by name go in, and of each that has faults these come out."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from tests.build import Resource

HERE = Path(__file__).parent
INSTALLED = Path(__file__).parents[2] / ".venv" / "validator"
LOCK = "package-lock.json"


class NotInstalledError(Exception):
    """The second validator, or what runs it, is missing on this machine."""


def fhir_resources(resources: Mapping[str, Resource]) -> dict[str, list[str]]:
    """Ask fhir.resources, with the R4B models that the product itself uses."""
    return _with_faults({name: list(_faults(resource)) for name, resource in resources.items()})


def _faults(resource: Resource) -> Iterator[str]:
    kind = resource["resourceType"]
    model: Any = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    try:
        valid = model.model_validate(resource)
    except ValidationError as error:
        yield from (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    else:
        yield from _wrong_codes(valid, kind)


def _wrong_codes(part: object, path: str) -> Iterator[str]:
    """Hold codes against the lists that the models carry: the library leaves that to whoever wants it."""
    if isinstance(part, list):
        for each in part:
            yield from _wrong_codes(each, path)
    if not isinstance(part, BaseModel):
        return
    for name, field in type(part).model_fields.items():
        value, about = getattr(part, name), field.json_schema_extra
        allowed: Any = about.get("enum_values") if isinstance(about, dict) else None
        codes = value if isinstance(value, list) else [value]
        if allowed:
            yield from (f"{path}.{name}: {code} is not in {allowed}" for code in codes if code not in (None, *allowed))
        yield from _wrong_codes(value, f"{path}.{name}")


def medplum(resources: Mapping[str, Resource]) -> dict[str, list[str]]:
    """Ask Medplum's validator, in one process for all."""
    done = subprocess.run(  # noqa: S603 - our own script and our own drafts
        [_node(), str(HERE / "validate.mjs"), str(INSTALLED)],
        input="".join(json.dumps(resource) + "\n" for resource in resources.values()),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the validator broke down: {done.stderr[:2_000]}")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return _with_faults(dict(zip(resources, answers, strict=True)))


def _node() -> str:
    """Find Node, where the packages that are pinned here are installed too."""
    node = shutil.which("node")
    if node is None:
        raise NotInstalledError("there is no node on the path: the second FHIR validator needs Node 20.19 or newer")
    stamp = INSTALLED.parent / ".stamp-validator"
    lock = INSTALLED / LOCK
    if not stamp.exists() or not lock.exists() or lock.read_bytes() != (HERE / LOCK).read_bytes():
        raise NotInstalledError("the second FHIR validator is not installed, or not as pinned: run 'make deep'")
    return node


def _with_faults(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: faults for name, faults in found.items() if faults}
