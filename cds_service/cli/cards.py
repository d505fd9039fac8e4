"""`mmcds cards`: the wording of the cards, as clinicians would see it."""

import sys
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import click
from jinja2 import Environment
from markdown_it import MarkdownIt
from markupsafe import Markup

from cards.card import SUMMARY_LIMIT
from cards.knowledge.loader import KnowledgeError
from cds_service.app import make_assessor
from cds_service.cli.preview import EXAMPLE, Group, groups
from cds_service.errors import SettingsError
from cds_service.settings import PREFIX, load_settings
from cds_service.synthetic import AS_OF
from fhir_mapping.catalog.loader import CatalogError

_DEFAULT = "cards-preview.html"
_FAULTY = 2
_ALONE = {f"{PREFIX}AUTH": "off"}  # nothing of this machine's settings: what is shown is what is shipped


@click.group()
def cards() -> None:
    """The wording of the cards."""


@cards.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default=_DEFAULT)
@click.option("--force", is_flag=True, help="Write over FILE if it exists.")
def preview(file: str, force: bool) -> None:
    """Write every card text of every rule into one HTML page, as a clinician would see it.

    FILE is cards-preview.html unless named; "-" is standard output.
    """
    if file != "-" and not force and Path(file).exists():
        raise click.UsageError(f"{file} exists; use --force to write over it.")
    try:
        found = list(groups(make_assessor(load_settings(_ALONE))))
    except (SettingsError, KnowledgeError, CatalogError) as error:
        click.echo(str(error), err=True)
        sys.exit(_FAULTY)
    page = page_of(found)
    if file == "-":
        click.echo(page, nl=False)
        return
    try:
        Path(file).write_text(page, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{file} cannot be written: {error.strerror}.") from None
    click.echo(f"{file}: {sum(len(group.cards) for group in found)} cards of {len(found)} rules")


def page_of(found: Iterable[Group]) -> str:
    """Write the page: whatever the cards say is escaped, and their Markdown may hold neither HTML nor pictures."""
    reader = MarkdownIt("commonmark", {"html": False}).disable("image")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["markdown"] = lambda text: Markup(reader.render(text))  # noqa: S704 - made by a reader that escapes HTML
    template = resources.files("cds_service") / "cli" / "preview.html.j2"
    page = environment.from_string(template.read_text(encoding="utf-8"))
    return page.render(groups=list(found), as_of=AS_OF, limit=SUMMARY_LIMIT, example=EXAMPLE) + "\n"
