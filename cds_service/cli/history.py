"""`mmcds history`: what a file says of one patient's treatment, written so that a person can check it."""

import json
import textwrap
from collections.abc import Iterable, Iterator
from datetime import datetime

import click

from cards.knowledge.loader import KnowledgeError
from cards.knowledge.loader import load as load_knowledge
from cds_service.cli.bars import bar_lines
from cds_service.cli.chart_file import ChartFile, ChartReader
from cds_service.cli.derived import class_texts, derived_facts, episode_texts, line_texts, line_title
from cds_service.cli.surroundings import recognition_texts, surrounding_facts, surrounding_texts
from cds_service.cli.timeline import Facts, facts_of, said
from cds_service.configuration import catalog_of
from cds_service.errors import SettingsError
from cds_service.services import searches_asked
from cds_service.settings import load_settings
from fhir_mapping.catalog.loader import Catalog, CatalogError
from fhir_mapping.needs import searches

_WIDTH = 100
_DATES = 26  # columns: "2020-11-10 to 2021-02-24"
_IN_DAYS = 1_000  # above that, "5.7 years ago" is easier to grasp
_DAYS_IN_A_YEAR = 365.25
_COVERS = {"hsv-vzv": "HSV/VZV", "pjp": "Pneumocystis"}
_ALLERGENS = "sulfonamide, trimethoprim, atovaquone and acyclovir are looked for"
_OUTSIDE = "radiotherapy, free text, and results that no rule asks for"
_NEAR_MYELOMA = frozenset({"smoldering-myeloma", "mgus", "plasmacytoma", "plasma-cell-leukemia", "al-amyloidosis"})
_FORCE = {"yes": ", in force", "unknown": ", possibly in force"}
_FAULTY = 2


@click.command()
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--patient", metavar="ID", help="Default: the one patient of the file.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DAY",
    help="Day of the history. Default: today, or MMCDS_AS_OF.",
)
@click.option("--records", is_flag=True, help="Name the records that each line rests on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def history(file: str, patient: str | None, as_of: datetime | None, records: bool, as_json: bool) -> None:
    """Print the treatment history that FILE holds.

    FILE is a hook request, a prefetch, a Bundle, a list of resources or NDJSON, of FHIR R4; "-" is standard input.
    Nothing is sent anywhere, and no name, address or birthday is printed.
    """
    try:
        settings, knowledge = load_settings(), load_knowledge()
        catalog = catalog_of(settings)
    except (SettingsError, CatalogError, KnowledgeError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(_FAULTY) from None
    asked = searches_asked(catalog, knowledge)
    day = as_of.date() if as_of else settings.today()
    wanted = patient.removeprefix("Patient/") if patient else None
    chart = ChartReader(catalog, asked, searches(catalog), day, settings.zone, wanted).read(file)
    facts = facts_of_file(chart, catalog, with_records=records)
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(text_of(facts)))


def facts_of_file(chart: ChartFile, catalog: Catalog, *, with_records: bool) -> Facts:
    """Give all that is printed of a file, as plain facts."""
    facts = _of_file(chart) | facts_of(chart.history, catalog, with_records=with_records)
    facts |= derived_facts(chart.history, catalog) | surrounding_facts(chart.history)
    facts["not_read"] += _left_out(chart)
    return facts


def _of_file(chart: ChartFile) -> Facts:
    unanswered = None if chart.unanswered is None else dict(chart.unanswered)
    return {
        "file": chart.kind,
        "notes": list(chart.notes),
        "searches_not_answered": unanswered,
        "unreadable_lines": list(chart.lines),
        "not_asked_for": list(chart.not_asked),
        "never_looked_at": _OUTSIDE,
    }


def _left_out(chart: ChartFile) -> list[Facts]:
    return [{"why": why, "type": kind, "count": count} for (why, kind), count in sorted(chart.left_out.items())]


def text_of(facts: Facts) -> Iterator[str]:
    """Write the facts, section by section, in the order in which a haematologist asks for them."""
    yield from _header(facts)
    sections: tuple[tuple[str, Iterable[str]], ...] = (
        ("At a glance", _glance(facts)),
        ("Timeline", _timeline(facts)),
        ("CAR T cells, inferred", episode_texts(facts, facts["as_of"])),
        (line_title(facts), line_texts(facts)),
        ("Classes of drugs, inferred", class_texts(facts)),
        ("Laboratory", _laboratory(facts)),
        ("Prophylaxis in force today", _in_force(facts)),
        *surrounding_texts(facts),
        (f"Allergies ({_ALLERGENS})", _allergies(facts)),
        ("Draft orders", _orders(facts)),
        ("Inferred, not recorded as such", facts["inferred"]),
        ("Not recognised; may be myeloma treatment", _not_recognised(facts)),
        *recognition_texts(facts),
        ("Not read", _not_read(facts)),
        ("Searches not answered", _unanswered(facts)),
    )
    for title, lines in sections:
        found = list(lines)
        if found:
            yield from ("", title)
            yield from (line if line.startswith("  ") else _wrapped(f"- {line}", 4) for line in found)


def _wrapped(line: str, indent: int) -> str:
    return textwrap.fill(
        line,
        _WIDTH,
        initial_indent="  ",
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _header(facts: Facts) -> Iterator[str]:
    yield f"Treatment history as of {facts['as_of']}"
    yield f"  Patient:   {_person(facts)}"
    yield f"  Diagnosis: {_diagnosis(facts)}"
    unanswered = facts["searches_not_answered"]
    if unanswered is None:
        known = "what is not in it may still stand in the chart: absence proves nothing"
    elif unanswered:
        known = f"searches not fully answered: {len(unanswered)}, see below"
    else:
        known = "every search that the service makes is answered"
    yield f"  Source:    {facts['file']}; {known}"
    for note in facts["notes"]:
        yield f"  Note:      {note}"


def _person(facts: Facts) -> str:
    age = facts["age"]
    dead = ", deceased" if facts["deceased"] else ""
    if age is None:
        return f"age not known{dead}"
    years = str(age["fewest"]) if age["fewest"] == age["most"] else f"{age['fewest']} or {age['most']}"
    return f"born {facts['born']}" + (dead or f", {years} years old")


def _diagnosis(facts: Facts) -> str:
    diagnosis = facts["diagnosis"]
    care = "; hospice or comfort care" if diagnosis["comfort_care_only"] else ""
    on = diagnosis["records"]["first"]
    record = f" (problem list, recorded {said(on, facts['as_of'])})" if on else " (problem list, undated)"
    record += _named_records(diagnosis)
    if diagnosis["myeloma"] == "yes":
        return f"multiple myeloma{record}{care}"
    if diagnosis["myeloma"] == "unknown":
        return f"multiple myeloma suspected, not confirmed{record}{care}"
    empty = "no problem list entry was read" if diagnosis["problem_list_is_empty"] else "not in the problem list"
    near = dict.fromkeys(p["problem"].replace("-", " ") for p in facts["problems"] if p["problem"] in _NEAR_MYELOMA)
    instead = f"; {', '.join(near)} on record" if near else ""
    return f"multiple myeloma: {empty}{instead}{care}"


def _glance(facts: Facts) -> Iterator[str]:
    return (f"  {line}" for line in bar_lines(facts["timeline"], facts["as_of"]))


def _timeline(facts: Facts) -> Iterator[str]:
    events = [event for event in facts["timeline"] if event["kind"] != "laboratory"]
    for event in events:
        text = f"{_when(event, facts['as_of']):<{_DATES}}{_told(event, facts['as_of'])}{_named_records(event)}"
        yield _wrapped(text, _DATES + 2)
    if not events:
        yield f"no treatment of myeloma and no progression found{_proof(facts, 'treatment')}"


def _when(event: Facts, as_of: str) -> str:
    start, last = event["start"], event.get("last_dose")
    if start is None:
        return "undated"
    first = said(start, as_of)
    if event["kind"] != "course" or event["evidence"] == "ordered":
        return first
    if event["ongoing"]:
        return f"{first} to today"
    end = said(last, as_of) if last else "?"
    if start == last:
        return first
    return f"{first} to ?" if end.startswith("between") else f"{first} to {end}"


def _told(event: Facts, as_of: str) -> str:
    name = f"{event['what']} ({event['class']})" if event.get("class") else event["what"]
    match event["kind"]:
        case "course":
            return f"{name}: {_told_of_course(event, as_of)}"
        case "CAR T infusion":
            possible = "possibly " if event["certainty"] == "possible" else ""
            return f"{name}: {possible}infused{_ago(event['days_since'], ', ')}"
        case "progression":
            possible = "possible " if event["certainty"] == "possible" else ""
            return f"{possible}PROGRESSION ({_seen_in(event)}){_ago(event['days_since'], ', ')}"
        case "T-cell collection":
            return f"{name} (apheresis){_ago(event['days_since'], ', ')}"
        case "transplant" | "stem cell collection" | "other cells":
            possible = "possible " if event.get("certainty") == "possible" else ""
            against = " (cells against another disease)" if event["kind"] == "other cells" else ""
            return f"{possible}{event['what']}{against}{_ago(event['days_since'], ', ')}"
        case "supportive care":
            force = _FORCE.get(event["in_force"], "")
            return f"{name}: supportive care{force}{_ago(event['days_since'], ', last dose ')}"
        case _:
            return f"{event['what']}: {_told_of_prophylaxis(event)}"


def _told_of_course(event: Facts, as_of: str) -> str:
    doses = event["records"]["types"].get("MedicationAdministration", 0)
    said_given = f"{doses} dose{'' if doses == 1 else 's'} on record" if doses else event["evidence"]
    if doses and "MedicationStatement" in event["records"]["types"]:
        said_given = f"reported, and {said_given}"
    parts = ["ordered, not known to be given" if event["evidence"] == "ordered" else said_given]
    if event["certainty"] == "possible":
        parts[0] = f"possible only, {parts[0]}"
    last = event["last_dose"]
    if event["ongoing"]:
        parts.append("still given")
    elif last is not None and event["evidence"] != "ordered":
        span = said(last, as_of)
        parts.append(f"last dose {span}" if span.startswith("between") else f"last dose {_ago(event['days_since'])}")
    if event["end_reason"]:
        parts.append(f"ended for {event['end_reason']}")
    return ", ".join(parts)


def _told_of_prophylaxis(event: Facts) -> str:
    against = " and ".join(_COVERS.get(cover, cover) for cover in event["covers"])
    force = _FORCE.get(event["in_force"], ", not on record as in force")
    dose = f", last dose{_ago(event['days_since'], ' ')}" if event["in_force"] == "no" and event["days_since"] else ""
    local = "" if event["systemic"] else ", for local use, which protects nobody elsewhere"
    return f"{against} prophylaxis{force}{dose}{local}"


def _seen_in(event: Facts) -> str:
    (kind,) = event["records"]["types"]
    return {"Observation": "disease status", "Condition": "problem list"}.get(kind, "reason for ending a drug")


def _ago(days: Facts | None, before: str = "") -> str:
    """Say how long ago something was; "" where no record dates it."""
    if days is None:
        return ""
    fewest, most = days["fewest"], days["most"]
    if most == 0:
        return f"{before}today"
    if most >= _IN_DAYS:
        fewest, most = (round(number / _DAYS_IN_A_YEAR, 1) for number in (fewest, most))
    unit = "years" if days["most"] >= _IN_DAYS else "day" if most == 1 else "days"
    return f"{before}{fewest} {unit} ago" if fewest == most else f"{before}{fewest} to {most} {unit} ago"


def _named_records(fact: Facts) -> str:
    references = fact["records"].get("references")
    return f" [{', '.join(references)}]" if references else ""


def _laboratory(facts: Facts) -> Iterator[str]:
    for event in facts["timeline"]:
        if event["kind"] == "laboratory":
            unit = event["unit"].replace("10*", "10^")
            latest, lowest = event["latest"], event["lowest"]
            on = said(latest["on"], facts["as_of"]) if latest else ""
            value = f"{latest['value']} {unit}" if latest and latest["value"] else "value not readable"
            text = f"{on:<{_DATES}}{event['what']} {value}" if latest else f"{'undated':<{_DATES}}{event['what']}"
            if event["results"] > 1 and lowest:
                text += f"; {event['results']} results, lowest {lowest['value']}, {said(lowest['on'], facts['as_of'])}"
            yield _wrapped(text + _named_records(event), _DATES + 2)


def _in_force(facts: Facts) -> Iterator[str]:
    cares = [event for event in facts["timeline"] if event["kind"] == "prophylaxis"]
    standing = [event for event in cares if event["in_force"] != "no"]
    for event in standing:
        yield _told(event, facts["as_of"])
    for cover, name in _COVERS.items():
        if not any(event["systemic"] and cover in event["covers"] for event in standing):
            past = [e for e in cares if e["systemic"] and cover in e["covers"] and e["days_since"]]
            doses = "; ".join(f"{event['what']}, last dose {_ago(event['days_since'])}" for event in past)
            ended = f" ({doses})" if doses else ""
            yield f"none against {name} on record as in force{ended}{_proof(facts, 'prophylaxis')}"


def _proof(facts: Facts, topic: str) -> str:
    """Qualify an absence: lists that were not read whole, or hold no entry at all, prove nothing."""
    return "" if facts["absence_is_known"][topic] else "; not everything was read, so this proves nothing"


def _allergies(facts: Facts) -> Iterator[str]:
    for allergy in facts["allergies"]:
        on = allergy["records"]["first"]
        recorded = f", recorded {said(on, facts['as_of'])}" if on else ""
        yield f"{allergy['allergen']}{recorded}{_named_records(allergy)}"
    if not facts["allergies"]:
        yield f"none of these found{_proof(facts, 'allergies')}"


def _orders(facts: Facts) -> Iterator[str]:
    for order in facts["draft_orders"]:
        name = f"{order['what']} ({order['class']})" if order["class"] else order["what"]
        text = f' "{order["text"]}"' if order["text"] else ""
        planned = f", planned {said(order['planned'], facts['as_of'])}" if order["planned"] else ""
        context = "" if order["judged"] else ", not selected"
        reference = f" [{order['reference']}]" if "reference" in order else ""
        yield f"{name}{text}{planned}{context}{reference}"
    if facts["draft_orders_for_others"]:
        yield f"for another patient, not read: {facts['draft_orders_for_others']}"


def _not_recognised(facts: Facts) -> Iterator[str]:
    for entry in facts["not_recognised"]:
        (kind,) = entry["records"]["types"]
        on = entry["records"]["first"]
        dated = f" {said(on, facts['as_of'])}" if on else ""
        cells = ", may be cell therapy" if entry["may_be_cell_therapy"] else ""
        name = f'"{entry["text"]}"' if entry["text"] else "no name given"
        yield f"{name} ({kind}{dated}{cells}){_named_records(entry)}"


def _not_read(facts: Facts) -> Iterator[str]:
    for gap in facts["not_read"]:
        yield f"{gap['why']}: {gap['type'] or 'unknown type'} {gap['count']}"
    if facts["unreadable_lines"]:
        yield f"numbers of the lines that hold no record: {', '.join(map(str, facts['unreadable_lines']))}"
    if facts["not_asked_for"]:
        yield f"not asked for, since no rule in force reads it: {', '.join(facts['not_asked_for'])}"
    yield f"never looked at: {facts['never_looked_at']}"


def _unanswered(facts: Facts) -> Iterator[str]:
    return (f"{key}: {why}" for key, why in (facts["searches_not_answered"] or {}).items())
