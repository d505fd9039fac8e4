"""The numbers that a site sets itself, and the rules that it switches on: checked, and put into the knowledge."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from cards.knowledge.loader import ActiveRule, Knowledge
from cards.knowledge.numbers import LARGEST, Acceptance, Key, OwnNumber, is_number, is_whole, origin_of
from cards.knowledge.own import with_own_numbers, with_rules_on
from cards.knowledge.texts import Setting
from cards.origins import written
from cds_service.errors import SettingsError
from cds_service.site import AcceptedRisk, Site

LONGEST_YEARS = 2  # our own choice: after that somebody has to answer for it again


@dataclass(frozen=True, slots=True)
class SiteNumbers:
    """What a site has set, `own` with those of which the acceptance has expired; and every fault, of `rules_on` too."""

    own: Mapping[Key, OwnNumber]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Judged:
    """One number of the site file: `fault` says what is wrong with it; beyond the bound it has to be accepted."""

    value: Any
    fault: str = ""
    is_beyond: bool = False


def site_numbers(site: Site, shipped: Knowledge, today: date) -> SiteNumbers:
    """Hold the numbers of a site against those that were shipped; no fault repeats a value."""
    judged = {
        (rule_id, name): _judge(shipped.rules[rule_id], name, value)
        for rule_id, numbers in site.rules.items()
        if rule_id in shipped.rules
        for name, value in numbers.items()
    }
    accepted = {(risk.rule, risk.setting): risk for risk in site.accept_risk}
    faults = [f"rules.{rule_id}: {_no_such_rule(shipped)}" for rule_id in site.rules if rule_id not in shipped.rules]
    faults += (f"rules.{'.'.join(key)}: {number.fault}" for key, number in judged.items() if number.fault)
    faults += (
        f"rules.{'.'.join(key)}: {_allowed(shipped.rules[key[0]], key[1])}"
        for key, number in judged.items()
        if number.is_beyond and key not in accepted
    )
    faults += _acceptance_faults(site, judged, today)
    faults += _switch_faults(site, shipped)
    own = {
        key: OwnNumber(number.value, _acceptance(accepted[key]) if number.is_beyond else None)
        for key, number in judged.items()
        if not number.fault and not (number.is_beyond and key not in accepted)
    }
    return SiteNumbers(own, tuple(f"site file, {fault}" for fault in faults))


def site_knowledge(site: Site, shipped: Knowledge, today: date) -> Knowledge:
    """Give the knowledge with a site's own numbers and the rules that it has switched on, from `today` on.

    Raises SettingsError with every fault of them.
    """
    numbers = site_numbers(site, shipped, today)
    if numbers.faults:
        raise SettingsError(numbers.faults)
    return with_own_numbers(with_rules_on(shipped, site.rules_on), numbers.own, today)


@dataclass(frozen=True, slots=True)
class NumberInForce:
    """One number that a site has set, and what has become of it; `words` say where the value comes from."""

    place: str
    value: int | float
    words: str


def numbers_in_force(site: Site, shipped: Knowledge, today: date) -> Iterator[NumberInForce]:
    """Give each number that a site file names, and each of a rule that is on which follows such a one, as of today.

    Raises SettingsError with every fault of them.
    """
    knowledge = site_knowledge(site, shipped, today).on(today)
    named = {(rule_id, name) for rule_id, numbers in site.rules.items() for name in numbers}
    for rule_id, active in knowledge.rules.items():
        for name, setting in active.text.settings.items():
            origin = origin_of(rule_id, name, setting)
            if origin in named and (active.is_on or not setting.same_as):
                value = getattr(active.settings, name)
                words = _origin(origin, setting, site, knowledge)
                follows = f"same as {setting.same_as}: " if setting.same_as else ""
                yield NumberInForce(f"rules.{rule_id}.{name}", value, follows + words)


def _origin(key: Key, setting: Setting, site: Site, knowledge: Knowledge) -> str:
    """Say where the value of a number that the site file names comes from."""
    was = f"shipped: {written(setting.value, setting.unit)}"
    if (own := knowledge.own.get(key)) is None:
        is_wanted = site.rules[key[0]][key[1]] == setting.value
        return f"site file; {was}" if is_wanted else f"{was}; its accept_risk has expired"
    return f"site file; {was}; accepted until {own.accepted.until}" if own.accepted else f"site file; {was}"


def expired(site: Site, today: date) -> Iterator[str]:
    """Name each acceptance that has expired, and with it the number that is as shipped again."""
    for number, risk in enumerate(site.accept_risk):
        if risk.until < today:
            yield f"accept_risk[{number}] ({risk.rule}.{risk.setting})"


def _judge(active: ActiveRule, name: str, value: Any) -> _Judged:
    setting = active.text.settings.get(name)
    if setting is None:
        names = ", ".join(own for own in active.text.settings if is_number(active.rule, own))
        return _Judged(value, f"there is no such number; {active.text.id} has {names or 'none'}")
    if setting.same_as:
        return _Judged(value, f"is the same number as {setting.same_as}: set that one")
    if not is_number(active.rule, name) or setting.least == setting.most:
        return _Judged(value, "cannot be changed by a site")
    if not _is_usable(value, whole=is_whole(active.rule, name)):
        return _Judged(value, _allowed(active, name))
    below, above = value < (setting.least or 0), value > (setting.most or 0)
    if not (below or above):
        return _Judged(value)
    if below is (setting.weaker == "lower"):
        return _Judged(value, is_beyond=True)
    return _Judged(value, _allowed(active, name))


def _is_usable(value: Any, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return False
    return bool(0 <= value <= LARGEST)  # which "nan" is not


def _no_such_rule(shipped: Knowledge) -> str:
    numbered = [
        rule_id
        for rule_id, active in shipped.rules.items()
        if any(is_number(active.rule, name) for name in active.text.settings)
    ]
    return f"there is no such rule; those with numbers are {', '.join(numbered)}"


def _allowed(active: ActiveRule, name: str) -> str:
    """Say which values a number may have."""
    setting = active.text.settings[name]
    kind = "a whole number" if is_whole(active.rule, name) else "a number"
    least, most = _bounds(setting)
    beyond = f"below {least}" if setting.weaker == "lower" else f"above {most} (and up to {LARGEST})"
    return f"must be {kind} from {least} to {most}; {beyond} only with an accept_risk entry"


def _bounds(setting: Setting) -> tuple[str, str]:
    return written(setting.least or 0, setting.unit), written(setting.most or 0, setting.unit)


def _acceptance_faults(site: Site, judged: Mapping[Key, _Judged], today: date) -> Iterator[str]:
    given = Counter((risk.rule, risk.setting) for risk in site.accept_risk)
    last = _years_after(today, LONGEST_YEARS)
    for number, risk in enumerate(site.accept_risk):
        place, key = f"accept_risk[{number}]", (risk.rule, risk.setting)
        if given[key] > 1:
            yield f"{place}: stands twice for one number: keep one"
        if key not in judged:
            yield f"{place}: nothing needs it: the site file sets no such number of a rule"
        elif not judged[key].is_beyond and not judged[key].fault:
            yield f"{place}: nothing needs it: the number is within its bounds"
        if risk.until > last:
            yield f"{place}.until: must be at most {LONGEST_YEARS} years ahead, now {last} or earlier"


def _switch_faults(site: Site, shipped: Knowledge) -> Iterator[str]:
    off = [rule_id for rule_id, active in shipped.rules.items() if not active.is_on]
    for number, rule_id in enumerate(site.rules_on):
        if rule_id not in off:
            yield f"rules_on[{number}]: is no rule that is shipped off; those are {', '.join(off) or 'none'}"


def _years_after(day: date, years: int) -> date:
    """Give the same day of a later year; 29 February becomes 28 February."""
    is_leap_day = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year + years, day=28 if is_leap_day else day.day)


def _acceptance(risk: AcceptedRisk) -> Acceptance:
    return Acceptance(risk.who, risk.why, risk.until)
