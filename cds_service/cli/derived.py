"""What a history lets one infer: lines of therapy, CAR T episodes, transplants, and classes given and failed."""

from collections import Counter
from collections.abc import Iterable, Iterator

from cds_service.cli.timeline import Facts, said, span_of
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.episodes import car_t_episodes
from fhir_mapping.lines import lines_of_therapy
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.episodes import CarTEpisode
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.lines import Line
from fhir_mapping.model.treatment import SourceRef, TransplantKind
from fhir_mapping.model.vocabulary import Drug
from fhir_mapping.refractory import ClassExposure, penta_drug, triple_class

_ANSWERS = {Answer.YES: "yes", Answer.NO: "no", Answer.UNKNOWN: "cannot tell"}
_KINDS = {
    TransplantKind.AUTOLOGOUS: "autologous stem cell transplant",
    TransplantKind.ALLOGENEIC: "allogeneic stem cell transplant",
    TransplantKind.UNKNOWN: "stem cell transplant (donor not stated)",
}
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
            "documented": [{"number": line.number, "on": span_of(line.on)} for line in count.documented],
        },
        "car_t_episodes": [_episode(episode) for episode in car_t_episodes(history, catalog)],
        "classes": {
            "triple_class": _exposure(triple_class(history, catalog)),
            "penta_drug": _exposure(penta_drug(history, catalog)),
        },
    }


def _line(line: Line) -> Facts:
    return {
        "drugs": [drug.name for drug in line.drugs],
        "transplants": [transplant.kind.value for transplant in line.transplants],
        "first_day": span_of(line.first_day),
        "last_day": span_of(line.last_day),
        "certain": line.certain,
        "reasons": list(line.reasons),
    }


def _episode(episode: CarTEpisode) -> Facts:
    infused = episode.infusion.infused if episode.infusion else None
    return {
        "state": episode.state.value,
        "certainty": episode.certainty.value,
        "product": episode.product.name if episode.product else None,
        "collected": [span_of(collection.collected) for collection in episode.collections],
        "bridging": _names(course.drug for course in episode.bridging),
        "lymphodepletion": _names(record.drug for record in episode.lymphodepletion),
        "infused": span_of(infused),
        "reasons": list(episode.reasons),
        "records": _records(episode.sources),
    }


def _names(drugs: Iterable[Drug]) -> list[str]:
    return list(dict.fromkeys(drug.name for drug in drugs))


def _records(sources: Iterable[SourceRef]) -> dict[str, int]:
    """Count the records that a fact rests on, by type: their ids may name the patient, and are not printed here."""
    return dict(sorted(Counter(source.resource_type for source in sources).items()))


def _exposure(found: ClassExposure) -> Facts:
    return {
        "exposed": found.exposed.value,
        "refractory": found.refractory.value,
        "given": [drug.name for drug in found.given],
        "not_shown": [drug_class.value for drug_class in found.not_shown],
    }


def line_title(facts: Facts) -> str:
    """Give the heading: how many lines, as far as that can be told."""
    fewest, most = facts["lines_of_therapy"]["fewest"], facts["lines_of_therapy"]["most"]
    if most is None:
        return f"Lines of therapy, inferred: at least {fewest}"
    return f"Lines of therapy, inferred: {fewest}" + ("" if most == fewest else f" to {most}")


def _days(line: Facts, as_of: str) -> str:
    """Write the days of a line, from the first to the last dose."""
    if line["first_day"] is None:
        return ""
    if line["last_day"] is None or line["first_day"] == line["last_day"]:
        return f"{said(line['first_day'], as_of)}: "
    return f"{said(line['first_day'], as_of)} to {said(line['last_day'], as_of)}: "


def line_texts(facts: Facts) -> Iterator[str]:
    """Write one entry for each line, numbered as far as lines are certain."""
    number, as_of = 0, facts["as_of"]
    for line in facts["lines_of_therapy"]["lines"]:
        number += line["certain"]
        mark = f"{number}." if line["certain"] else "perhaps:"
        given = [*line["drugs"], *(_KINDS[TransplantKind(kind)] for kind in line["transplants"])]
        drugs = ", ".join(given) or "CAR T cells of an unnamed product"
        yield f"{mark} {_days(line, as_of)}{drugs}. {' '.join(line['reasons'])}"
    yield from facts["lines_of_therapy"]["open"]


def episode_texts(facts: Facts, as_of: str) -> Iterator[str]:
    """Write one entry for each CAR T episode: what was given, how far it came, and why."""
    for episode in facts["car_t_episodes"]:
        steps = [f"collected {said(day, as_of)}" for day in episode["collected"]]
        if episode["bridging"]:
            steps.append(f"bridging with {', '.join(episode['bridging'])}")
        if episode["lymphodepletion"]:
            steps.append(f"lymphodepletion with {', '.join(episode['lymphodepletion'])}")
        if episode["infused"]:
            steps.append(f"infused {said(episode['infused'], as_of)}")
        # "infused" says no more than the day does
        told = steps if episode["infused"] and episode["state"] == "infused" else [episode["state"], *steps]
        yield " ".join([f"{episode['product'] or 'CAR T cells'}: {'; '.join(told)}.", *episode["reasons"]])


def class_texts(facts: Facts) -> Iterator[str]:
    """Write what is known of the classes."""
    triple, penta = facts["classes"]["triple_class"], facts["classes"]["penta_drug"]
    yield f"{_TRIPLE}: exposed {_said(triple['exposed'])}, refractory {_said(triple['refractory'])}{_shown(triple)}"
    yield f"{_PENTA}: exposed {_said(penta['exposed'])}{_shown(penta)}"


def _shown(classes: Facts) -> str:
    """Name the drugs that count, and the classes of which too few were shown to be given."""
    given = f" (given: {', '.join(classes['given'])})" if classes["given"] else ""
    missing = [name.replace("-", " ").replace("imid", "IMiD") for name in classes["not_shown"]]
    return given + (f"; not enough shown: {', '.join(missing)}" if missing else "")


def _said(answer: str) -> str:
    return _ANSWERS[Answer(answer)]
