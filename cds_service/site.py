"""One hospital's configuration: a TOML file without secrets, checked whole before the service starts."""

import ssl
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from cds_service.addresses import are_encrypted, base_of
from fhir_mapping.needs import OPTIONAL_TYPES

# The signing key of the public sandbox lies open in its repository: anyone can make its tokens
SANDBOX_HOST = "sandbox.cds-hooks.org"

Algorithm = Literal["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]

Dialect = Literal["standard", "epic"]


def _is_address(text: str) -> str:
    if base_of(text) is None:
        raise ValueError("must be a plain http or https address without user, query or fragment")
    return text


def _is_origin(text: str) -> str:
    base = base_of(text)
    if base is None or base.path or str(base) != text:
        raise ValueError("must be an origin such as https://ehr.example.org, without a path or a slash at the end")
    return text


def _is_optional_type(text: str) -> str:
    if text not in OPTIONAL_TYPES:
        raise ValueError(f"must be one of {', '.join(OPTIONAL_TYPES)}")
    return text


Address = Annotated[str, AfterValidator(_is_address)]
Origin = Annotated[str, AfterValidator(_is_origin)]
OptionalType = Annotated[str, AfterValidator(_is_optional_type)]
Words = Annotated[str, Field(min_length=1, max_length=500)]
Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]

# Which values a rule takes, only the knowledge files know: `site_numbers` holds the one against the other
RuleNumber = Annotated[Any, WithJsonSchema({"type": "number", "minimum": 0})]


def _holds_certificates(path: Path) -> bool:
    try:
        return bool(ssl.create_default_context(cafile=path).get_ca_certs())
    except OSError:
        return False


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Issuer(_Table):
    """One EHR, or one tenant of it, that may call; `name` is what log and records call it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    issuer: Words = Field(description="the claim iss of its tokens, character for character")
    audiences: tuple[Words, ...] = Field((), description="accepted as aud beside the address that is called")
    subjects: tuple[Words, ...] = Field((), description="when given, sub must be one of these")
    tenants: tuple[Words, ...] = Field((), description="when given, tenant must be one of these")
    jku: Address | None = Field(None, description="where its keys are; a token may name no other place")
    jwks_file: Path | None = Field(None, description="its keys as a file, beside the site file or absolute")
    algorithms: tuple[Algorithm, ...] = Field(("ES384", "RS384"), min_length=1)
    replay: Literal["refuse", "allow"] = Field("refuse", description="what to do with a jti that was used before")
    fhir_bases: tuple[Address, ...] = Field((), description="FHIR servers that its requests may name")
    open_fhir_bases: tuple[Address, ...] = Field((), description="FHIR servers that are read without a token")
    dialect: Dialect = "standard"

    @model_validator(mode="after")
    def _has_keys(self) -> "Issuer":
        if self.jku is None and self.jwks_file is None:
            raise ValueError("needs jku or jwks_file: without keys no token can be checked")
        return self


class OrderCode(_Table):
    """The hospital's own code for one of our draft orders; `template` is its name in cards/knowledge/orders.toml."""

    template: Words
    system: Words
    code: Words
    display: Words | None = None


class AcceptedRisk(_Table):
    """Who answers for a number beyond its bound, in the direction in which the rule warns less; cards name it."""

    rule: Words = Field(description="its catalogue number, such as R01")
    setting: Words = Field(description="the number that is set under [rules.<rule>]")
    who: Said = Field(description="name and office of whoever answers for it")
    why: Said
    until: date = Field(
        strict=True,
        description="the last day; at most 2 years ahead. From the next day on the shipped number is in force again",
    )


class Limits(_Table):
    """How much is read from a FHIR server for one hook."""

    pages: Annotated[int, Field(ge=1, le=200)] = Field(20, description="pages of one search")
    entries: Annotated[int, Field(ge=1, le=50_000)] = Field(2_000, description="entries of one search")
    read_bytes: Annotated[int, Field(ge=10_000, le=500_000_000)] = Field(
        20_000_000, description="unpacked bytes of all answers together"
    )
    connections: Annotated[int, Field(ge=8, le=256)] = Field(32, description="requests under way at a time, per worker")


class Site(_Table):
    """Everything about one hospital that is no secret; the defaults are those of a first run on loopback."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}$")] = "unnamed site"
    public_urls: tuple[Address, ...] = Field((), description="base addresses under which clients call the service")
    cors_origins: tuple[Origin, ...] = Field((), description="browser clients that may call")
    lock_discovery: bool = Field(False, description="whether discovery too needs a token")
    workers: Annotated[int, Field(ge=1, le=32)] = 1
    ca_file: Path | None = Field(None, description="certificates to trust instead of the usual ones")
    unsupported_resource_types: tuple[OptionalType, ...] = Field(
        (), description="FHIR types that the EHR does not serve"
    )
    concept_maps: tuple[Path, ...] = Field(
        (), description="FHIR ConceptMaps that lead from local codes to our concepts, beside the site file or absolute"
    )
    crd_empty_system_actions: bool = Field(False, description="answer order-sign with an empty systemActions")
    limits: Limits = Limits()
    issuers: tuple[Issuer, ...] = ()
    orders: tuple[OrderCode, ...] = ()
    draft_doses: bool = Field(
        False, description="whether drafts carry the dose that a source prints, where what it depends on was read"
    )
    rules_on: tuple[Words, ...] = Field((), description="rules to switch on that are shipped off, such as R05G")
    rules: dict[str, dict[str, RuleNumber]] = Field(
        {},
        description="numbers of rules that this site sets itself, as [rules.R01] minimum_days = 200; the bounds stand "
        "in cards/knowledge",
    )
    accept_risk: tuple[AcceptedRisk, ...] = Field(
        (), description="one for each number beyond its bound in the direction in which the rule warns less"
    )

    @model_validator(mode="after")
    def _is_unambiguous(self) -> "Site":
        for what, values in {
            "issuers.name": [issuer.name for issuer in self.issuers],
            "orders.template": [order.template for order in self.orders],
            "rules_on": list(self.rules_on),
        }.items():
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{what} stands twice: {', '.join(twice)}")
        who = [(issuer.issuer, tenant) for issuer in self.issuers for tenant in issuer.tenants or ("",)]
        if len(set(who)) < len(who) or any((iss, "") in who for iss, tenant in who if tenant):
            raise ValueError("two issuers with the same iss must differ in their tenants")
        return self

    @model_validator(mode="after")
    def _has_its_files(self, info: ValidationInfo) -> "Site":
        folder: Path = (info.context or {}).get("folder", Path())
        files = {"ca_file": self.ca_file} | {f"issuers {i.name}: jwks_file": i.jwks_file for i in self.issuers}
        missing = [name for name, path in files.items() if path is not None and not (folder / path).is_file()]
        if missing:
            raise ValueError(f"no such file: {', '.join(missing)}")
        if self.ca_file is not None and not _holds_certificates(folder / self.ca_file):
            raise ValueError("ca_file holds no certificates")
        return self


def read_site(path: Path) -> tuple[Site, list[str]]:
    """Read a site file; give the site (the default one when it cannot be used) and every fault in it.

    Paths in the file are relative to it and come back absolute. No value of the file is repeated in a fault.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return Site(), [f"the site file cannot be read: {error.strerror}"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        place = str(error).rpartition("(")[2].rstrip(")") if isinstance(error, tomllib.TOMLDecodeError) else "UTF-8"
        return Site(), [f"the site file is no TOML ({place})"]
    folder = path.parent.absolute()
    try:
        site = Site.model_validate(table, context={"folder": folder})
    except ValidationError as error:
        return Site(), [f"site file, {_place(e)}: {e['msg']}" for e in error.errors(include_input=False)]
    return _absolute(site, folder), []


def _place(error: Any) -> str:
    return ".".join(str(part) for part in error["loc"]) or "whole file"


def _absolute(site: Site, folder: Path) -> Site:
    issuers = tuple(
        i.model_copy(update={"jwks_file": folder / i.jwks_file}) if i.jwks_file else i for i in site.issuers
    )
    ca_file = folder / site.ca_file if site.ca_file else None
    maps = tuple(folder / path for path in site.concept_maps)
    return site.model_copy(update={"issuers": issuers, "ca_file": ca_file, "concept_maps": maps})


def production_faults(site: Site) -> Iterator[str]:
    """Say what a site may not do with real patients: talk in the clear, or trust keys that anyone has."""
    for issuer in site.issuers:
        places = (issuer.issuer, issuer.jku or "")
        if any(SANDBOX_HOST in place.lower() for place in places):
            yield f"issuers {issuer.name}: the public sandbox's signing key is public, so production refuses it"
    addresses = {"public_urls": site.public_urls, "cors_origins": site.cors_origins}
    for issuer in site.issuers:
        addresses[f"issuers {issuer.name}: jku"] = (issuer.jku,) if issuer.jku else ()
        addresses[f"issuers {issuer.name}: fhir_bases"] = issuer.fhir_bases
        addresses[f"issuers {issuer.name}: open_fhir_bases"] = issuer.open_fhir_bases
    for name, values in addresses.items():
        if not are_encrypted(values):
            yield f"{name}: production takes https addresses only"
