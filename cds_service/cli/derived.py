"""What a history lets one infer: lines of therapy with their reasons, and which classes were given and have failed."""

from collections.abc import Iterator

from cds_service.cli.timeline import Facts, span_of
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.lines import Line, lines_of_therapy
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.refractory import ClassExposure, penta_drug, triple_class

_ANSWERS = {Answer.YES: "yes", Answer.NO: "no", Answer.UNKNOWN: "cannot tell"}
_TRIPLE = "proteasome inhibitor, IMiD and anti-CD38 antibody"
_PENTA = "two proteasome inhibitors, two IMiDs and an anti-CD38 antibody"


def derived_facts(history: TreatmentHistory, catalog: Catalog) -> Facts:
    """Infer, and say of each line why it is one."""
    count = lines_of_therapy(history, catalog)
    return {
        "lines_of_therapy": {
            "fewest": count.minimum,
            "most": count.maximum,
            "open": list(count.reasons),
            "lines": [_line(line) for line in count.lines],
        },
        "classes": {
            "triple_class": _exposure(triple_class(history, catalog)),
            "penta_drug": _exposure(penta_drug(history, catalog)),
        },
    }


def _line(line: Line) -> Facts:
    return {
        "drugs": [drug.name for drug in line.drugs],
        "first_day": span_of(line.first_day),
        "last_day": span_of(line.last_day),
        "certain": line.certain,
        "reasons": list(line.reasons),
    }


def _exposure(found: ClassExposure) -> Facts:
    return {
        "exposed": found.exposed.value,
        "refractory": found.refractory.value,
        "not_shown": [drug_class.value for drug_class in found.not_shown],
    }


def line_title(facts: Facts) -> str:
    """Give the heading: how many lines, as far as that can be told."""
    fewest, most = facts["lines_of_therapy"]["fewest"], facts["lines_of_therapy"]["most"]
    if most is None:
        return f"Lines of therapy, inferred: at least {fewest}"
    return f"Lines of therapy, inferred: {fewest}" + ("" if most == fewest else f" to {most}")


def line_texts(facts: Facts) -> Iterator[str]:
    """Write one entry for each line, numbered as far as lines are certain."""
    number = 0
    for line in facts["lines_of_therapy"]["lines"]:
        number += line["certain"]
        mark = f"{number}." if line["certain"] else "perhaps:"
        drugs = ", ".join(line["drugs"]) or "CAR T cells of an unnamed product"
        yield f"{mark} {drugs}. {' '.join(line['reasons'])}"
    yield from facts["lines_of_therapy"]["open"]


def class_texts(facts: Facts) -> Iterator[str]:
    """Write what is known of the classes."""
    triple, penta = facts["classes"]["triple_class"], facts["classes"]["penta_drug"]
    yield f"{_TRIPLE}: exposed {_said(triple['exposed'])}, refractory {_said(triple['refractory'])}"
    yield f"{_PENTA}: exposed {_said(penta['exposed'])}"


def _said(answer: str) -> str:
    return _ANSWERS[Answer(answer)]
