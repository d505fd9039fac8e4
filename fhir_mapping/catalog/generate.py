"""Makes `codes.csv`, the lean table that the product loads, out of `terminology.csv`, the one with provenance.

Only rows that were seen in a public source (`verified`) or in two (`double`) pass; the traps of `traps.toml`
are filed under the concept that they really mean. `mmcds catalogue generate` writes the result.
"""

import csv
import io
import re
import tomllib

from fhir_mapping.catalog.texts import canonical_code, read_text, system_names

SHIPPED_STATUSES = frozenset({"verified", "double"})
COLUMNS = ("group", "concept", "system", "code", "kind")
_TERM_TYPE = re.compile(r"\bTTY[= ](\w+)")


def generate() -> str:
    """Give the text of `codes.csv`, sorted, one row per group, concept, system and code.

    `kind` is the term type of an RxNorm code, or "former" for a billing code that has ended.
    """
    systems = system_names()
    traps = {
        (trap["system"], canonical_code(trap["system"], trap["code"])): trap["concept"]
        for trap in tomllib.loads(read_text("traps.toml"))["trap"]
    }
    rows = set()
    for row in csv.DictReader(io.StringIO(read_text("terminology.csv"))):
        if row["status"] in SHIPPED_STATUSES:
            system = systems[row["system"]]
            code = canonical_code(system, row["code"])
            rows.add((row["group"], traps.get((system, code), row["concept_id"]), system, code, _kind(row)))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(rows))
    return table.getvalue()


def _kind(row: dict[str, str]) -> str:
    term_type = _TERM_TYPE.search(row["source"])
    if term_type is not None:
        return term_type[1]
    return "former" if "[terminated " in row["display"] else ""
