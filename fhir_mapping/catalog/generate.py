"""Makes `codes.csv`, the lean table that the product loads, out of `terminology.csv`, the one with provenance.

Only rows that were seen in a public source (`verified`) or in two (`double`) pass, and only with a display and a
source that has a name and a date; the traps of `traps.toml` are filed under the concept that they really mean.
`mmcds catalogue generate` writes the result.
"""

import csv
import io
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fhir_mapping.catalog.texts import canonical_code, read_text, system_names

SHIPPED_STATUSES = frozenset({"verified", "double"})
KEPT_BACK = "unverified"
COLUMNS = ("group", "concept", "system", "code", "kind")
NEXT_SOURCE = "; 2nd: "
_TERM_TYPE = re.compile(r"\bTTY[= ](\w+)")
_PLACE = re.compile(r"[\w.-]{3,}/[\w.-]+|\b[\w-]+\.(?:gov|org)\b|\bDOID:\d+")  # a repository, an address, or a file
_DATED = re.compile(
    r"@[0-9a-f]{7,40}\b"  # a commit
    r"|\b20\d\d[-/](?:0[1-9]|1[0-2])(?:[-/]\d\d)?\b|\b20\d{6}\b"
    r"|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* 20\d\d\b"
)


class UnfitRowError(ValueError):
    """Rows of the table of codes lack what every shipped code must have; the message lists them."""


@dataclass(frozen=True, slots=True)
class ShippedCode:
    """One row of the table that ships: the concept it is filed under, its canonical code, and where it was seen."""

    group: str
    concept: str
    system: str
    code: str
    kind: str
    sources: tuple[str, ...]


def fault_in(row: Mapping[str, str]) -> str | None:
    """Say why a row must not stand in the table of codes; None where it may, shipped or kept back."""
    if row["status"] == KEPT_BACK:
        return None
    if row["status"] not in SHIPPED_STATUSES:
        return f"status {row['status']!r} is unknown"
    if not row["display"].strip():
        return "no display"
    sources = row["source"].split(NEXT_SOURCE)
    if not all(_PLACE.search(source) and _DATED.search(source) for source in sources):
        return "no source with a name and a date, version or commit"
    if (row["status"] == "double") != (len(sources) > 1):
        return "double means two sources"
    return None


def read_rows() -> list[dict[str, str]]:
    """Read the table of codes with its provenance."""
    return list(csv.DictReader(io.StringIO(read_text("terminology.csv"))))


def shipped_codes(rows: Iterable[Mapping[str, str]]) -> Iterator[ShippedCode]:
    """Give what ships of a table, traps under the concept that they mean.

    Raises UnfitRowError with the list of all faults.
    """
    rows = list(rows)
    faults = [f"{row['concept_id']} {row['code']}: {fault}" for row in rows if (fault := fault_in(row)) is not None]
    if faults:
        raise UnfitRowError("; ".join(faults))
    systems, traps = system_names(), _traps()
    for row in rows:
        if row["status"] in SHIPPED_STATUSES:
            system = systems[row["system"]]
            code = canonical_code(system, row["code"])
            concept = traps.get((system, code), row["concept_id"])
            yield ShippedCode(row["group"], concept, system, code, _kind(row), tuple(row["source"].split(NEXT_SOURCE)))


def generate() -> str:
    """Give the text of `codes.csv`, sorted, one row per group, concept, system and code.

    `kind` is the term type of an RxNorm code, or "former" for a billing code that has ended.
    """
    rows = {(code.group, code.concept, code.system, code.code, code.kind) for code in shipped_codes(read_rows())}
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(rows))
    return table.getvalue()


def _traps() -> dict[tuple[str, str], str]:
    return {
        (trap["system"], canonical_code(trap["system"], trap["code"])): trap["concept"]
        for trap in tomllib.loads(read_text("traps.toml"))["trap"]
    }


def _kind(row: Mapping[str, str]) -> str:
    term_type = _TERM_TYPE.search(row["source"])
    if term_type is not None:
        return term_type[1]
    return "former" if "[terminated " in row["display"] else ""
