"""The Markdown of a card: lists, sentences, and chart text that can do no harm in it."""

import re
import unicodedata
from collections.abc import Iterable

from fhir_mapping.model.treatment import SourceRef

_LONGEST_CHART_TEXT = 80
_MOST_RECORDS = 6
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&:@/\"'=])")


def escape(text: str, longest: int = _LONGEST_CHART_TEXT) -> str:
    """Make chart text harmless in Markdown and HTML: one line, no invisible characters, no markup."""
    plain = "".join(
        " " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c
        for c in text
        if unicodedata.category(c) not in {"Cf", "Cs", "Co"}
    )
    short = " ".join(plain.split())[:longest]
    return _MARKDOWN.sub(r"\\\1", short)


def capitalised(text: str) -> str:
    """Begin a sentence with a capital."""
    return text[:1].upper() + text[1:]


def records_in(sources: Iterable[SourceRef]) -> list[str]:
    """Name the records that a card rests on, each kind and day once, and no more than a reader takes in."""
    named = dict.fromkeys(
        f"{source.resource_type} {source.on}" if source.on else f"{source.resource_type}, undated" for source in sources
    )
    return list(named)[:_MOST_RECORDS]


def bullets(heading: str, lines: Iterable[str]) -> list[str]:
    """Write a heading and its lines, each once; nothing where there are none."""
    items = dict.fromkeys(lines)
    return [heading, "", *[f"- {item}" for item in items], ""] if items else []
