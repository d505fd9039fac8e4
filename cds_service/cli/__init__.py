"""The command line `mmcds`."""

import sys

import click

from cards.knowledge.loader import KnowledgeError
from cards.knowledge.loader import load as load_knowledge
from cds_service import __version__, telemetry
from cds_service.app import create_app
from cds_service.cli.canary import canary
from cds_service.cli.cards import cards
from cds_service.cli.catalogue import catalogue
from cds_service.cli.config import config
from cds_service.cli.demo import run_demo
from cds_service.cli.history import history
from cds_service.cli.hook import hook
from cds_service.cli.mapping import mapping
from cds_service.cli.probe import probe
from cds_service.cli.rules import rules
from cds_service.configuration import load_configuration
from cds_service.errors import SettingsError
from cds_service.folders import shared_folder
from cds_service.metrics import Metrics
from cds_service.server import Server
from cds_service.site_numbers import expired
from fhir_mapping.catalog.loader import CatalogError

_START_FAILED = 2


@click.group()
@click.version_option(__version__, prog_name="mmcds")
def main() -> None:
    """CDS Hooks service for T-cell-redirecting therapy in multiple myeloma."""


@main.command()
def serve() -> None:
    """Keep the service running on MMCDS_HOST and MMCDS_PORT (127.0.0.1:8080)."""
    telemetry.configure_logging()
    try:
        configuration = load_configuration(knowledge=load_knowledge())
        settings, site = configuration.settings, configuration.site
        if settings.development_switches:
            telemetry.warn("development switches are on: not for real patients", switches=settings.development_switches)
        for place in expired(site, settings.today()):
            telemetry.warn("an accepted risk has expired: the shipped number is in force again", place=place)
        metrics = Metrics(shared_folder())
        app = create_app(settings, site, metrics=metrics)
    except (SettingsError, KnowledgeError, CatalogError) as error:
        click.echo(str(error), err=True)
        sys.exit(_START_FAILED)
    Server(app, settings, site, metrics).run()


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print each answer as it came over HTTP.")
def demo(as_json: bool) -> None:
    """Start the service, fire hooks for synthetic patients, print the cards, and stop."""
    sys.exit(run_demo(as_json=as_json))


main.add_command(canary)
main.add_command(cards)
main.add_command(catalogue)
main.add_command(config)
main.add_command(history)
main.add_command(hook)
main.add_command(mapping)
main.add_command(probe)
main.add_command(rules)
