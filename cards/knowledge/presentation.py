"""Holds presentation.toml, and what rules say of their presentation, against the rest of the knowledge files."""

from collections.abc import Iterator, Mapping

from cards.knowledge.numbers import LARGEST
from cards.knowledge.texts import BundleText, Presentation, RuleText, Setting, Source

_GAP_KEYS = frozenset(
    {"unread", "unrecognised", "diagnosis_unread", "diagnosis_possible", "problem_list_empty", "failed"}
)


def presentation_faults(
    presentation: Presentation, rules: Mapping[str, RuleText], sources: Mapping[str, Source]
) -> Iterator[str]:
    """Give every fault; `rules` are all rules by their ids."""
    shown, days = presentation.cap.other_cards, presentation.repeats.days
    for place, setting in (
        ("presentation.toml: gates.adult_years", presentation.gates.adult_years),
        ("presentation.toml: cap.other_cards", shown),
        ("presentation.toml: repeats.days", days),
        *((f"{rule.id}.repeats_after", rule.repeats_after) for rule in rules.values() if rule.repeats_after),
    ):
        if not setting.label:
            yield f"{place}: needs a label"
        if setting.source not in sources:
            yield f"{place}: unknown source {setting.source}"
        if setting is not presentation.gates.adult_years and not _is_count(
            setting
        ):  # the last card shown has to hold the rest
            yield f"{place} must be a number of at least 1"
    if presentation.data_gap.missing.keys() != _GAP_KEYS:
        yield f"presentation.toml: data_gap.missing must word exactly {', '.join(sorted(_GAP_KEYS))}"
    for bundle in presentation.bundles:
        yield from _bundle_faults(bundle, rules)


def _bundle_faults(bundle: BundleText, rules: Mapping[str, RuleText]) -> Iterator[str]:
    for rule_id in bundle.rules:
        rule = rules.get(rule_id)
        if rule is None:
            yield f"presentation.toml: {bundle.id} refers to an unknown rule {rule_id}"
        elif not all(card.short for card in rule.cards.values()):
            yield f"{rule_id}: every card of a rule in {bundle.id} needs a short wording"


def _is_count(setting: Setting) -> bool:
    return type(setting.value) is int and 1 <= setting.value <= LARGEST
