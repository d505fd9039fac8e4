"""Writes the reviewer's sheet: rules with sources and cases, the core documents, what awaits a signature."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cards.dose_lines import dose_lines
from cards.finding import Outcome
from cards.knowledge.loader import FOR_REVIEWERS, ActiveRule, Knowledge
from cards.knowledge.reviewing import DEFINITIONS, Item, ReviewFiles, RuleCases, Statement
from cards.knowledge.texts import Setting, Source
from cards.label_doses import LabelDoses
from cards.labels import Label

_OURS = "OURS"
_IN_PART = "our own"  # what the note of a number says whose source gives less than the number
_OUTCOMES = tuple(outcome.name.lower() for outcome in sorted(Outcome, reverse=True))
_HEAD = """\
# The rules, for reviewers

What each rule asks, says and rests on; what answers the core documents; and what awaits a clinician's signature.
Written by `python -m tests.sheet`, and printed by `mmcds rules sheet`; do not edit by hand. How each card looks is
shown by `mmcds cards preview`.

Made out of {files} in `cards/knowledge/`, and of `fhir_mapping/catalog/definitions.toml`.
Version of the knowledge: {version}. Rules reviewed by a clinician: {reviewed} of {count}.
"""
_TRACE = """
## What answers the core documents

Every statement of the core documents that asks for something, in our own words. In brackets: the stories of a rule.
A rule that is to come is planned and not written yet.
"""
_SIGN_OFF = """
## Sign-off list

Questions that only a clinician can settle. Signed: {signed} of {count}.
"""
_UNSOURCED = """
## Numbers of our own

No source gives these, wholly or in part; each needs a clinician's agreement.
"""
_OTHERS = """
## Stories that name no rule

"""


def sheet(knowledge: Knowledge, files: ReviewFiles) -> str:
    """Write the sheet as Markdown."""
    rules = knowledge.rules.values()
    families = sorted({active.rule.family for active in rules})
    names = [*(f"{family}.toml" for family in families), "sources.toml", "presentation.toml", *FOR_REVIEWERS]
    reviewed = sum(active.text.reviewed is not None for active in rules)
    signed = sum(item.signed is not None for item in files.questions)
    parts = [
        _HEAD.format(
            files=", ".join(f"`{name}`" for name in names),
            version=knowledge.version,
            reviewed=reviewed,
            count=len(rules),
        ),
        *_overview(knowledge, files),
        *(part for active in rules for part in _of_rule(active, knowledge, files)),
        *_of_gap_card(knowledge, files),
        _TRACE,
        *_trace(knowledge, files),
        _SIGN_OFF.format(signed=signed, count=len(files.questions)),
        *_questions(knowledge, files),
        _UNSOURCED,
        *_unsourced(knowledge, files),
        _OTHERS,
        *(f"- {story}\n" for story in files.cases.others),
    ]
    return "".join(parts)


def written(value: Any) -> str:
    """Write a number, a list or a table of numbers."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {written(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(written, value)) or "none"
    return str(value)


def amount(setting: Setting) -> str:
    """Write a setting's value with its unit."""
    return f"{written(setting.value)} {setting.unit}".rstrip()


def bounds(setting: Setting) -> str:
    """Say within which limits a site may change a setting, in which direction it warns less, and whose number it is."""
    parts = []
    if setting.least is not None and setting.most is not None:
        fixed = setting.least == setting.most
        parts.append("fixed" if fixed else f"{setting.least} to {setting.most}")
    if setting.weaker:
        parts.append(f"{setting.weaker} warns less")
    if setting.same_as:
        parts.append(f"same as {setting.same_as}")
    return "; ".join(parts)


def filled(wording: str, active: ActiveRule) -> str:
    """Put the rule's numbers into one of the sentences for reviewers."""
    return wording.format_map({name: written(value) for name, value in vars(active.settings).items()})


def review_of(active: ActiveRule) -> str:
    """Say who reviewed a rule, and when."""
    review = active.text.reviewed
    return f"reviewed by {review.by}, {review.on}" if review else "not reviewed"


def indicators_of(active: ActiveRule) -> tuple[str, ...]:
    """Name the indicators of a rule's cards, each once."""
    return tuple(dict.fromkeys(card.indicator for card in active.text.cards.values()))


def relations_of(active: ActiveRule, knowledge: Knowledge) -> Mapping[str, tuple[str, ...]]:
    """Name the rules that a rule absorbs, suppresses or accompanies, and those that do so to it."""
    text, others = active.text, [each.text for each in knowledge.rules.values()]
    relations = {
        "absorbs": text.absorbs,
        "absorbed by": tuple(other.id for other in others if text.id in other.absorbs),
        "suppresses": text.suppresses,
        "suppressed by": tuple(other.id for other in others if text.id in other.suppresses),
        "accompanies": text.companion_of,
        "accompanied by": tuple(other.id for other in others if text.id in other.companion_of),
    }
    return {name: found for name, found in relations.items() if found}


def labels_of(active: ActiveRule) -> tuple[Label, ...]:
    """Give the labels that a rule holds charts against, if it asks for any."""
    labels: tuple[Label, ...] = getattr(active.settings, "labels", ())
    return labels


def doses_of(active: ActiveRule) -> tuple[LabelDoses, ...]:
    """Give what labels say of doses, where a rule asks for it."""
    doses: Mapping[str, LabelDoses] = getattr(active.settings, "doses", {})
    return tuple(doses.values())


def label_line(label: Label) -> str:
    """Write a label with its date, source, and who vouches for it up to when."""
    beside = "".join(f" with {' or '.join(sorted(partners))}" for partners in label.beside)
    where = f"{label.jurisdiction}, {label.label_date}, {label.source}"
    return f"{label.product.name}{beside} ({where}): {label.indication}. Owner: {label.owner}, until {label.expires}"


def totals_of(cases: RuleCases) -> Mapping[str, int]:
    """Count the rows of all case tables by outcome, the most urgent one first."""
    found = sum((Counter(counts) for counts in cases.tables.values()), Counter[str]())
    return {outcome: found[outcome] for outcome in _OUTCOMES if found[outcome]}


def counted(counts: Mapping[str, int]) -> str:
    """Write counts by outcome."""
    return ", ".join(f"{counts[key]} {key.replace('_', ' ')}" for key in _OUTCOMES if counts.get(key)) or "none"


def title_of_test(name: str) -> str:
    """Write the name of a test as words."""
    return name.rpartition("::")[2].removeprefix("test_").replace("_", " ")


def cited(active: ActiveRule) -> tuple[str, ...]:
    """Name every source of a rule once: of its card, of its evidence, of its numbers and of its labels."""
    text = active.text
    evidence = (line.source for line in text.evidence)
    numbers = (setting.source for setting in text.settings.values())
    labels = (label.source for label in labels_of(active))
    restarts = (row.printed.source for label in doses_of(active) for row in label.restarts)
    less_often = (row.printed.source for label in doses_of(active) for row in label.less_often)
    return tuple(dict.fromkeys([*text.sources, *evidence, *numbers, *labels, *restarts, *less_often]))


def source_line(source: Source) -> str:
    """Write a source with its kind, date and limits."""
    facts = [source.kind, *filter(None, (source.date,))]
    limits = f" Limits: {source.limits}" if source.limits else ""
    return f"{source.key} {source.label} ({', '.join(facts)}).{limits}"


def _overview(knowledge: Knowledge, files: ReviewFiles) -> Iterator[str]:
    rows = []
    for key, active in knowledge.rules.items():
        cases = files.cases.of(key)
        shown = ", ".join(indicators_of(active)) or "no card"
        rows_of_tables = str(sum(totals_of(cases).values()))
        state = (active.text.shipped, shown, review_of(active))
        rows.append((key, active.text.title, *state, str(len(cases.stories)), rows_of_tables))
    yield "\n"
    yield from _table(("rule", "title", "state", "indicator", "review", "stories", "rows of case tables"), rows)


def _of_rule(active: ActiveRule, knowledge: Knowledge, files: ReviewFiles) -> Iterator[str]:
    text = active.text
    yield f"\n## {text.id} {text.title}\n\n"
    yield f"`{text.slug}`, {text.shipped}, {review_of(active)}. Asked at {', '.join(text.hooks)}.\n\n"
    yield f"- **When** {filled(text.when, active)}\n"
    yield f"- **Then** {filled(text.then, active)}\n"
    yield f"- **If unknown** {filled(text.if_unknown, active)}\n"
    yield f"- **Grade** {text.strength}; certainty {text.certainty}\n"
    for relation, others in relations_of(active, knowledge).items():
        yield f"- **{relation.capitalize()}** {', '.join(others)}\n"
    if text.cards:
        yield "\n"
        yield from _table(("card", "indicator", "says"), ((k, c.indicator, c.summary) for k, c in text.cards.items()))
    if text.settings:
        yield "\n"
        rows = ((_name(key, s), amount(s), s.source, bounds(s), s.note) for key, s in text.settings.items())
        yield from _table(("number", "value", "source", "bounds", "note"), rows)
    if labels := labels_of(active):
        yield "\nLabels:\n\n"
        yield from (f"- {label_line(label)}\n" for label in labels)
    if doses := doses_of(active):
        yield "\nDoses of labels:\n\n"
        yield from (f"- {line}\n" for label in doses for line in dose_lines(label))
    yield "\nEvidence:\n\n"
    yield from (f"- {line.says} ({line.source})\n" for line in text.evidence)
    yield "\nSources:\n\n"
    yield from (f"- {_linked(knowledge.sources[key])}\n" for key in cited(active))
    yield from _cases_of(files.cases.of(text.id))


def _cases_of(cases: RuleCases) -> Iterator[str]:
    yield f"\nStories ({len(cases.stories)}):\n\n" if cases.stories else "\nStories: none.\n"
    yield from (f"- {story}\n" for story in cases.stories)
    if cases.tables:
        yield f"\nRows of case tables: {counted(totals_of(cases))}.\n\n"
        rows = ((title_of_test(name), counted(counts)) for name, counts in cases.tables.items())
        yield from _table(("table", "rows"), rows)


def _of_gap_card(knowledge: Knowledge, files: ReviewFiles) -> Iterator[str]:
    words = knowledge.presentation.data_gap
    yield f"\n## {words.id} {words.slug}\n\n"
    yield "No rule of its own: one card for everything that could not be decided or was not read.\n\n"
    missing = ((key, says) for key, says in words.missing.items())
    yield from _table(("missing", "says"), missing)
    yield from _cases_of(files.cases.of(words.id))


def _trace(knowledge: Knowledge, files: ReviewFiles) -> Iterator[str]:
    sources = dict.fromkeys(statement.source for statement in files.trace)
    for key in sources:
        yield f"\n### {_linked(knowledge.sources[key])}\n\n"
        rows = ((s.says, _answer(s, knowledge, files)) for s in files.trace if s.source == key)
        yield from _table(("statement", "answered by"), rows)
    traced = {rule for statement in files.trace for rule in statement.rules}
    added = [key for key in knowledge.rules if key not in traced]
    yield f"\nRules that rest on no statement of a core document: {', '.join(added) or 'none'}.\n"


def _answer(statement: Statement, knowledge: Knowledge, files: ReviewFiles) -> str:
    parts = []
    if statement.rules:
        parts.append(", ".join(_named(rule, knowledge, files) for rule in statement.rules))
    parts += filter(None, (statement.elsewhere, statement.note))
    if statement.declined:
        parts.append(f"Declined: {statement.declined}")
    return ". ".join(part.removesuffix(".") for part in parts) + "."


def _named(rule: str, knowledge: Knowledge, files: ReviewFiles) -> str:
    active = knowledge.rules.get(rule)
    if active is None:
        return f"{rule} (to come)"
    off = ", off" if active.text.shipped == "off" else ""
    return f"{rule} ({len(files.cases.of(rule).stories)}{off})"


def _questions(knowledge: Knowledge, files: ReviewFiles) -> Iterator[str]:
    rows = (
        (
            f"({item.id})",
            item.question,
            ", ".join(rule if rule in knowledge.rules else f"{rule} (to come)" for rule in item.rules),
            "; ".join(f"{number} = {_number(number, knowledge, files)}" for number in item.numbers),
            f"signed by {item.signed.by}, {item.signed.on}" if item.signed else "open",
        )
        for item in files.questions
    )
    yield "\n"
    yield from _table(("", "question", "rules", "numbers", "state"), rows)


def _number(name: str, knowledge: Knowledge, files: ReviewFiles) -> str:
    owner, _, key = name.partition(".")
    if owner != DEFINITIONS:
        return amount(knowledge.rules[owner].text.settings[key])
    return "; ".join(
        written(value) for part, value in files.definitions[key].items() if part not in {"source", "meaning"}
    )


def _unsourced(knowledge: Knowledge, files: ReviewFiles) -> Iterator[str]:
    adult = knowledge.presentation.gates.adult_years
    numbers = [
        *((f"{key}.{name}", s) for key, active in knowledge.rules.items() for name, s in active.text.settings.items()),
        ("gates.adult_years", adult),
    ]
    rows = [
        (
            name,
            amount(setting),
            "; ".join(filter(None, (setting.label, setting.note))),
            _asked_in(name, files.questions),
        )
        for name, setting in numbers
        if not setting.same_as and (setting.source == _OURS or _IN_PART in setting.note)
    ]
    rows += [
        (f"{DEFINITIONS}.{name}", _number(f"{DEFINITIONS}.{name}", knowledge, files), entry["meaning"], asked)
        for name, entry in files.definitions.items()
        if entry["source"] == _OURS
        for asked in (_asked_in(f"{DEFINITIONS}.{name}", files.questions),)
    ]
    yield "\n"
    yield from _table(("number", "value", "meaning", "question"), rows)


def _asked_in(number: str, questions: Iterable[Item]) -> str:
    return " ".join(f"({item.id})" for item in questions if number in item.numbers)


def _name(key: str, setting: Setting) -> str:
    return f"{setting.label} (`{key}`)" if setting.label else f"`{key}`"


def _linked(source: Source) -> str:
    line = source_line(source)
    return line.replace(source.label, f"[{source.label}]({source.url})", 1) if source.url else line


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield f"|{'---|' * len(head)}\n"
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} " if (cell := each.replace("|", "\\|")) else " " for each in cells) + "|\n"
