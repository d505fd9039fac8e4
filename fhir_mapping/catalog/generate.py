"""Makes `codes.csv`, the lean table that the product loads, out of `terminology.csv`, the one with provenance.

Only rows that were seen in a public source (`verified`) or in two (`double`) pass; the traps of `traps.toml`
are filed under the concept that they really mean. `mmcds catalogue generate` writes the result.
"""

import csv
import io
import tomllib

from fhir_mapping.catalog.texts import canonical_code, read_text, system_names

SHIPPED_STATUSES = frozenset({"verified", "double"})
COLUMNS = ("group", "concept", "system", "code")


def generate() -> str:
    """Give the text of `codes.csv`, sorted, one row per group, concept, system and code."""
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
            rows.add((row["group"], traps.get((system, code), row["concept_id"]), system, code))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(rows))
    return table.getvalue()
