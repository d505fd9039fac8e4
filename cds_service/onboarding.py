"""The sheet for connecting an EHR, filled in for one site: addresses, hooks, templates, scopes, keys, firewall."""

from collections.abc import Collection, Iterable
from importlib import resources
from string import Template
from urllib.parse import urlsplit

from cards.knowledge.loader import Knowledge
from cds_service.configuration import Configuration
from cds_service.services import SERVICES, topics_asked
from cds_service.site import Issuer
from cds_service.site_numbers import numbers_in_force, site_knowledge
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.vocabulary import Topic
from fhir_mapping.needs import NEEDS, RESOURCE_TYPES, searches

_NO_URL = "https://not-configured.example"
_FIRES = {
    "patient-view": ("when a chart is opened", "`userId`, `patientId`"),
    "order-select": ("when treatment is selected", "`userId`, `patientId`, `selections`, `draftOrders`"),
    "order-sign": ("when orders are signed", "`userId`, `patientId`, `draftOrders`"),
}


def onboarding_sheet(configuration: Configuration, catalog: Catalog, knowledge: Knowledge) -> str:
    """Write the sheet as Markdown."""
    site = configuration.site
    topics = topics_asked(site_knowledge(site, knowledge, configuration.settings.today()))
    base = (site.public_urls or (_NO_URL,))[0].rstrip("/")
    template = Template(resources.files("cds_service").joinpath("onboarding.md").read_text(encoding="utf-8"))
    return template.substitute(
        site=site.name,
        addresses=_rows(_addresses(base)),
        hooks=_rows((s.hook.value, f"`{s.id}`", *_FIRES[s.hook.value]) for s in SERVICES.values()),
        templates=_rows((f"`{key}`", f"`{search.query}`") for key, search in searches(catalog, topics).items()),
        scopes=_rows(_scopes(catalog, topics)),
        spared=_rows(_spared(topics)),
        algorithms=_together((a for i in site.issuers for a in i.algorithms), "`ES384` or `RS384`"),
        issuers=_together((i.issuer for i in site.issuers), "as agreed, character for character"),
        audiences="".join(f", or `{audience}`" for issuer in site.issuers for audience in issuer.audiences),
        subjects=_together((subject for i in site.issuers for subject in i.subjects), "any or none"),
        tenants=_together((tenant for i in site.issuers for tenant in i.tenants), "any or none"),
        keys=_together((i.jku or "exchanged as a file" for i in site.issuers), "an address (`jku`), or a file"),
        firewall=_rows(_firewall(base, site.issuers)),
        numbers=_numbers(configuration, knowledge),
        deadline=f"{configuration.settings.deadline_seconds:g}",
    )


def _numbers(configuration: Configuration, knowledge: Knowledge) -> str:
    """List the rules that the hospital has switched on, and the numbers that it has set, as they are in force today."""
    switched = ", ".join(
        f"{rule_id} ({knowledge.rules[rule_id].text.title})" for rule_id in configuration.site.rules_on
    )
    said = f"\n\nRules that are shipped off and switched on by this hospital: {switched}." if switched else ""
    own = list(numbers_in_force(configuration.site, knowledge, configuration.settings.today()))
    if not own:
        return f"All of them are as shipped.{said}"
    rows = _rows((f"`{number.place}`", str(number.value), number.words) for number in own)
    return f"Set by this hospital:\n\n| number | value | where it comes from |\n|---|---|---|\n{rows}{said}"


def _addresses(base: str) -> Iterable[tuple[str, str]]:
    yield "discovery", f"`{base}/cds-services`"
    for service in SERVICES.values():
        yield f"service for {service.hook.value}", f"`{base}/cds-services/{service.id}`"
    yield "OpenAPI description", f"`{base}/openapi.json`"
    yield "health and readiness, for the load balancer alone", f"`{base}/healthz`, `{base}/readyz`"


def _scopes(catalog: Catalog, topics: Collection[Topic]) -> Iterable[tuple[str, str, str, str]]:
    keys: dict[str, list[str]] = {}  # by resource type, for which two searches may ask
    for key, search in searches(catalog, topics).items():
        keys.setdefault(search.resource_type, []).append(key)
    for kind, asking in keys.items():
        yield kind, f"`patient/{kind}.read`", f"`patient/{kind}.rs`", _fed_by(asking, topics)
    yield "Medication", "`patient/Medication.read`", "`patient/Medication.rs`", "drugs that records only refer to"


def _spared(topics: Collection[Topic]) -> Iterable[tuple[str, str, str]]:
    """List what is not asked for, since no rule in force reads it."""
    for key, kind in RESOURCE_TYPES.items():
        if not _fed_by([key], topics):
            yield f"`{key}`", kind, _fed_by([key], NEEDS)


def _fed_by(keys: Collection[str], topics: Collection[Topic]) -> str:
    fed = (topic for topic, need in NEEDS.items() if topic in topics and not set(keys).isdisjoint(need.keys))
    return ", ".join(topic.value for topic in fed)


def _firewall(base: str, issuers: Iterable[Issuer]) -> Iterable[tuple[str, str, str, str]]:
    yield "EHR", _host(base), _port(base), "hook calls"
    for issuer in issuers:
        for address in (*issuer.fhir_bases, *issuer.open_fhir_bases):
            yield "mmcds", _host(address), _port(address), "FHIR reads"
        if issuer.jku and issuer.jwks_file is None:
            yield "mmcds", _host(issuer.jku), _port(issuer.jku), "the EHR's public keys"


def _host(address: str) -> str:
    return urlsplit(address).hostname or address


def _port(address: str) -> str:
    parts = urlsplit(address)
    return str(parts.port or {"http": 80}.get(parts.scheme, 443))


def _together(values: Iterable[str], otherwise: str) -> str:
    return ", ".join(f"`{value}`" for value in dict.fromkeys(values)) or otherwise


def _rows(rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in dict.fromkeys(rows))
