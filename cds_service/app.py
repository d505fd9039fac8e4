"""create_app: loads every table, checks all of it, and wires the service together."""

import uuid
from collections.abc import Callable
from datetime import date

import msgspec
from flask import Flask

from cards.knowledge.loader import load as load_knowledge
from cards.orders import check_templates
from cds_service.assess import Assessor
from cds_service.routes import routes
from cds_service.services import discovery
from cds_service.settings import Settings
from cds_service.telemetry import LogRecorder, Recorder
from fhir_mapping.catalog.loader import load as load_catalog
from fhir_mapping.needs import searches


def _random_uuid() -> str:
    return str(uuid.uuid4())


def make_assessor(
    settings: Settings,
    *,
    today: Callable[[], date] | None = None,
    new_uuid: Callable[[], str] = _random_uuid,
) -> Assessor:
    """Load catalogue and knowledge.

    Raises CatalogError or KnowledgeError, each with the list of all faults.
    """
    catalog, knowledge = load_catalog(), load_knowledge()
    check_templates(knowledge.orders)
    return Assessor(
        catalog=catalog,
        knowledge=knowledge,
        searches=searches(catalog),
        today=today or settings.today,
        zone=settings.zone,
        new_uuid=new_uuid,
    )


def create_app(settings: Settings, *, recorder: Recorder | None = None, assessor: Assessor | None = None) -> Flask:
    """Build the WSGI application."""
    assessor = assessor or make_assessor(settings)
    app = Flask("mmcds")
    # Flask cuts a body of unannounced length off where its limit is, so ours has to be seen passed
    app.config["MAX_CONTENT_LENGTH"] = settings.body_limit_bytes + 1
    app.extensions["mmcds_body_limit"] = settings.body_limit_bytes
    app.extensions["mmcds_assessor"] = assessor
    app.extensions["mmcds_recorder"] = recorder or LogRecorder()
    app.extensions["mmcds_discovery"] = msgspec.json.encode(discovery(assessor.catalog))
    app.extensions["mmcds_switches"] = settings.development_switches
    app.register_blueprint(routes)
    return app
