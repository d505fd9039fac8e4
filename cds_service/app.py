"""create_app: loads every table, checks all of it, and wires the service together."""

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache

import msgspec
from flask import Flask
from flask_cors import CORS

from cards.knowledge.loader import Knowledge
from cards.knowledge.loader import load as load_knowledge
from cards.orders import check_templates
from cds_service.assess import Assessor
from cds_service.concept_maps import site_catalog
from cds_service.door import Door
from cds_service.feedback import FeedbackDesk
from cds_service.fhir.access import FhirAccess
from cds_service.fhir.server import Servers
from cds_service.metrics import CountingRecorder, Metrics
from cds_service.openapi import openapi_document
from cds_service.remembered import OwnMemory, Remembered
from cds_service.repeats import Repeats
from cds_service.routes import Parts, routes
from cds_service.services import discovery, searches_asked, topics_asked
from cds_service.settings import Settings, unix_time
from cds_service.site import Site
from cds_service.site_numbers import site_knowledge
from cds_service.telemetry import LogRecorder, Recorder
from cds_service.transport import Route, Transport


def _random_uuid() -> str:
    return str(uuid.uuid4())


def make_assessor(
    settings: Settings,
    site: Site | None = None,
    *,
    today: Callable[[], date] | None = None,
    new_uuid: Callable[[], str] = _random_uuid,
) -> Assessor:
    """Load catalogue and knowledge, with the site's own codes and numbers.

    Raises SettingsError for faults of the site's concept maps and numbers, CatalogError or KnowledgeError for those of
    our tables, each with the list of all faults.
    """
    site, today = site or Site(), today or settings.today
    catalog, knowledge = site_catalog(site.concept_maps), site_knowledge(site, load_knowledge(), today())
    check_templates(knowledge.orders)
    servers = Servers(Transport(_way_out(settings, site)), site.limits.connections)
    return Assessor(
        catalog=catalog,
        knowledge=knowledge,
        searches=searches_asked(catalog, knowledge),
        topics=topics_asked(knowledge),
        today=today,
        zone=settings.zone,
        new_uuid=new_uuid,
        fhir=FhirAccess(servers, site.limits, encrypted_only=settings.env == "production"),
        unsupported_types=frozenset(site.unsupported_resource_types),
        deadline_seconds=settings.deadline_seconds,
    )


def _way_out(settings: Settings, site: Site) -> Route:
    """Give the way out: the certificates to trust and the proxy."""
    proxy = settings.proxy.get_secret_value() if settings.proxy else None
    return Route(site.ca_file, proxy)


def create_app(
    settings: Settings,
    site: Site | None = None,
    *,
    recorder: Recorder | None = None,
    assessor: Assessor | None = None,
    metrics: Metrics | None = None,
    memory: Remembered | None = None,
) -> Flask:
    """Build the WSGI application.

    Raises SettingsError for keys, concept maps or numbers that cannot be used, CatalogError or KnowledgeError for
    faults of the tables.
    """
    site = site or Site()
    metrics, memory = metrics or Metrics(), memory or OwnMemory()
    repeats = Repeats(memory, secrets.token_bytes())
    assessor = replace(assessor or make_assessor(settings, site), count_drugs=metrics.count_drugs, repeats=repeats)
    metrics.expect_cards(_reasons_offered(assessor.knowledge))
    app = Flask("mmcds")
    # Flask cuts a body of unannounced length off where its limit is, so ours has to be seen passed
    app.config["MAX_CONTENT_LENGTH"] = settings.body_limit_bytes + 1
    CORS(
        app,
        origins=list(site.cors_origins),
        methods=["GET", "POST", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["X-Request-Id"],
        send_wildcard=False,
        vary_header=True,
        max_age=600,
    )
    app.extensions["mmcds"] = Parts(
        assessor=assessor,
        recorder=CountingRecorder(metrics, recorder or LogRecorder()),
        feedback=FeedbackDesk(memory, metrics, assessor.knowledge, assessor.today, assessor.zone, unix_time),
        door=Door(settings, site, assessor.fhir.servers.transport, metrics),
        discovery=msgspec.json.encode(discovery(assessor.searches)),
        openapi=cache(lambda: msgspec.json.encode(openapi_document(assessor, site.public_urls))),
        body_limit_bytes=settings.body_limit_bytes,
        switches=settings.development_switches,
        crd_empty_system_actions=site.crd_empty_system_actions,
    )
    app.register_blueprint(routes)
    return app


def _reasons_offered(knowledge: Knowledge) -> Mapping[str, tuple[str, ...]]:
    """Give the rules that may name a card, each with the reasons for which it can be overridden."""
    rules = {rule_id: active.text.override_reasons for rule_id, active in knowledge.rules.items() if active.text.cards}
    return rules | {knowledge.presentation.data_gap.id: ()}
