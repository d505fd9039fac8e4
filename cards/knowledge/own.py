"""A hospital's own numbers, and the rules that it has switched on: put into the knowledge before the start."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date

from cards.knowledge.loader import ActiveRule, Knowledge
from cards.knowledge.numbers import Key, OwnNumber, origin_of


def with_rules_on(shipped: Knowledge, rule_ids: Collection[str]) -> Knowledge:
    """Switch on rules that are shipped off."""
    wanted = {rule_id for rule_id, active in shipped.rules.items() if rule_id in rule_ids and not active.is_on}
    if not wanted:
        return shipped
    switched = {key: replace(each, switched_on=True) if key in wanted else each for key, each in shipped.rules.items()}
    written = f"{shipped.version} on: {', '.join(sorted(wanted))}"
    return replace(shipped, rules=switched, version=hashlib.sha256(written.encode()).hexdigest()[:12])


def with_own_numbers(shipped: Knowledge, own: Mapping[Key, OwnNumber], today: date) -> Knowledge:
    """Give the knowledge in force from `today` on; `Knowledge.on` leads past the end of each acceptance."""
    ends = {number.accepted.until for number in own.values() if number.accepted is not None}
    knowledge = _with(shipped, {key: number for key, number in own.items() if number.accepted is None})
    for until in sorted((end for end in ends if end >= today), reverse=True):
        lasting = {k: n for k, n in own.items() if n.accepted is None or n.accepted.until >= until}
        knowledge = replace(_with(shipped, lasting), until=until, afterwards=knowledge)
    return knowledge


def _with(shipped: Knowledge, own: Mapping[Key, OwnNumber]) -> Knowledge:
    """Put numbers in; those that are as shipped change nothing, not even the version."""
    changed = {key: n for key, n in own.items() if n.value != shipped.rules[key[0]].text.settings[key[1]].value}
    if not changed:
        return shipped
    written = repr(sorted(changed.items(), key=lambda item: item[0]))
    return replace(
        shipped,
        rules={rule_id: _set(active, changed) for rule_id, active in shipped.rules.items()},
        own=changed,
        version=hashlib.sha256(f"{shipped.version} {written}".encode()).hexdigest()[:12],
    )


def _set(active: ActiveRule, own: Mapping[Key, OwnNumber]) -> ActiveRule:
    """Give a rule its numbers, also those that it shares with another."""
    origins = {name: origin_of(active.text.id, name, setting) for name, setting in active.text.settings.items()}
    values = {name: own[key].value for name, key in origins.items() if key in own}
    if not values:
        return active
    settings = type(active.settings).model_validate(dict(active.settings) | values)
    return replace(active, settings=settings)
