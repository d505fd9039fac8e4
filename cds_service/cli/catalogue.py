"""`mmcds catalogue`: makes what is written out of the table of codes, or says that it is stale."""

import sys
from pathlib import Path

import click

from fhir_mapping.catalog import concepts_page
from fhir_mapping.catalog import generate as generator

_CODES = Path(generator.__file__).with_name("codes.csv")
_PAGE = Path(generator.__file__).parents[2] / "deploy" / "concepts.md"

_check = click.option("--check", is_flag=True, help="Write nothing; fail when the file is stale.")


@click.group()
def catalogue() -> None:
    """The code tables of the product."""


@catalogue.command()
@_check
def generate(check: bool) -> None:
    """Make codes.csv out of terminology.csv and traps.toml."""
    try:
        _write(_CODES, generator.generate(), "generate", check=check)
    except generator.UnfitRowError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


@catalogue.command()
@_check
def page(check: bool) -> None:
    """Make deploy/concepts.md, the concepts and their codes, out of wanted.toml and terminology.csv."""
    try:
        _write(_PAGE, concepts_page.page(), "page", check=check)
    except generator.UnfitRowError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def _write(file: Path, text: str, command: str, *, check: bool) -> None:
    if not check:
        file.write_text(text, encoding="utf-8")
    elif not file.exists() or file.read_text(encoding="utf-8") != text:
        click.echo(f"{file.name} is stale: run `mmcds catalogue {command}`", err=True)
        sys.exit(1)
