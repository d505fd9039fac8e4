"""`mmcds config`: is this configuration one that the service starts with, and what is in force?"""

import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click
from pydantic import BaseModel, SecretStr

from cards.knowledge.loader import KnowledgeError
from cards.knowledge.loader import load as load_knowledge
from cds_service.app import create_app
from cds_service.concept_maps import read_concept_map, site_catalog
from cds_service.configuration import Configuration, load_configuration
from cds_service.errors import SettingsError
from cds_service.onboarding import onboarding_sheet
from cds_service.settings import PREFIX
from cds_service.site import Site
from cds_service.site_numbers import expired, numbers_in_force
from fhir_mapping.catalog.loader import CatalogError
from fhir_mapping.catalog.loader import load as load_catalog
from fhir_mapping.catalog.site_map import count_added

_FAULTY = 2
_NOT_SET = "(not set)"
_HIDDEN = "(hidden)"
_SECRET = "(set, never shown)"  # noqa: S105 - what stands in its place

# The only texts that a redacted listing shows: what a vendor needs, and what tells nothing of the hospital.
# Whatever setting is added later stays hidden until it is named here.
_HARMLESS = frozenset(
    {"env", "auth", "as_of", "time_zone", "algorithms", "replay", "dialect", "unsupported_resource_types", "template"}
    | {"rule", "setting", "until", "rules_on"}
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One value in force and where it comes from; `name` is its place, such as "site.limits.pages"."""

    name: str
    value: Any
    origin: str


@click.group()
def config() -> None:
    """Environment and site file together."""


@config.command()
def check() -> None:
    """Say whether the service could start with this configuration; list every fault."""
    configuration = _load()
    settings, site = configuration.settings, configuration.site
    try:
        create_app(settings, site)  # all that a start does before it listens: tables, keys, certificates
    except SettingsError as error:
        _refuse(error.faults)
    except CatalogError as error:
        _refuse([str(error)])
    click.echo(
        f"ok: {settings.env}, client authentication {settings.auth}, "
        f"{'a' if settings.site_file else 'no'} site file, {len(site.issuers)} issuers, "
        f"{len(site.public_urls)} public addresses, {len(site.orders)} order codes"
    )
    for number, path in enumerate(site.concept_maps):
        codes, texts = count_added(load_catalog(), read_concept_map(path).entries)
        click.echo(f"concept_maps[{number}]: adds {codes} codes and {texts} texts")
    for rule_id in site.rules_on:
        click.echo(f"rules_on: {rule_id} ({load_knowledge().rules[rule_id].text.title}), shipped off")
    for own in numbers_in_force(site, load_knowledge(), settings.today()):
        click.echo(f"{own.place}: {own.value} ({own.words})")
    for place in expired(site, settings.today()):
        click.echo(f"warning: {place} has expired: the shipped number is in force again")
    for switch in settings.development_switches:
        click.echo(f"{switch}: for synthetic data only")


@config.command()
@click.option("--redacted", is_flag=True, help="Hide addresses, names and paths, so that the output may be passed on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(redacted: bool, as_json: bool) -> None:
    """Print every value in force and its origin; secrets are never shown."""
    configuration = _load()
    entries = [_Entry(entry.name, _shown(entry, redacted=redacted), entry.origin) for entry in _entries(configuration)]
    if as_json:
        click.echo(json.dumps({e.name: {"value": e.value, "origin": e.origin} for e in entries}, indent=2))
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        click.echo(f"{entry.name:<{width}} = {json.dumps(entry.value)}  # {entry.origin}")


@config.command()
def schema() -> None:
    """Print the JSON Schema of the site file."""
    click.echo(json.dumps(Site.model_json_schema(), indent=2))


@config.command()
def sheet() -> None:
    """Print the onboarding sheet of this site, for the EHR team."""
    configuration = _load()
    catalog = site_catalog(configuration.site.concept_maps)
    click.echo(onboarding_sheet(configuration, catalog, load_knowledge()), nl=False)


def _load() -> Configuration:
    try:
        return load_configuration(knowledge=load_knowledge())
    except SettingsError as error:
        _refuse(error.faults)
    except KnowledgeError as error:
        _refuse([str(error)])


def _refuse(faults: Iterable[str]) -> NoReturn:
    for fault in faults:
        click.echo(f"- {fault}", err=True)
    sys.exit(_FAULTY)


def _entries(configuration: Configuration) -> Iterator[_Entry]:
    settings, site = configuration.settings, configuration.site
    for field in type(settings).model_fields:
        origin = "environment" if field in settings.model_fields_set else "default"
        yield _Entry(f"{PREFIX}{field.upper()}", getattr(settings, field), origin)
    given = _given_in(settings.site_file)
    from_environment = {"public_urls"} if settings.public_url else set()
    for entry in _entries_of("site", site, given):
        taken = entry.name.removeprefix("site.") in from_environment
        yield _Entry(entry.name, entry.value, "environment") if taken else entry
    for own in numbers_in_force(site, load_knowledge(), settings.today()):
        yield _Entry(f"site.{own.place}", own.value, own.words)


def _given_in(path: Path | None) -> Mapping[str, Any]:
    """Read the site file as it stands: a loaded Site no longer tells what was given from what is default."""
    return tomllib.loads(path.read_text(encoding="utf-8")) if path else {}


def _entries_of(place: str, model: BaseModel, given: Mapping[str, Any]) -> Iterator[_Entry]:
    for field in type(model).model_fields:
        name, value = f"{place}.{field}", getattr(model, field)
        if isinstance(value, dict) and value:
            continue  # the numbers of rules, which are listed as they are in force
        if isinstance(value, BaseModel):
            yield from _entries_of(name, value, given.get(field, {}))
        elif value and isinstance(value, tuple) and isinstance(value[0], BaseModel):
            for number, part in enumerate(value):
                yield from _entries_of(f"{name}[{number}]", part, given[field][number])
        else:
            yield _Entry(name, value, "site file" if field in given else "default")


def _shown(entry: _Entry, *, redacted: bool) -> Any:
    """Give a value as it may be printed."""
    value = entry.value
    if isinstance(value, SecretStr):
        return _SECRET
    if value is None:
        return _NOT_SET
    if isinstance(value, bool | int | float):
        return value
    field = entry.name.rpartition(".")[2].removeprefix(PREFIX).lower()
    if redacted and field not in _HARMLESS and entry.origin != "default":
        return f"{_HIDDEN[:-1]}, {len(value)} values)" if isinstance(value, tuple) else _HIDDEN
    return [str(part) for part in value] if isinstance(value, tuple | dict) else str(value)
