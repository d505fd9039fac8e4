"""The numbers of rules in a site file: what is taken, what has to be answered for by name, and when that ends."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cards.finding import Hook
from cards.knowledge.loader import load
from cards.knowledge.numbers import LARGEST, Acceptance, Key, OwnNumber, is_number
from cards.knowledge.own import with_own_numbers, with_rules_on
from cards.knowledge.texts import Setting
from cds_service.app import create_app, make_assessor
from cds_service.assess import assess
from cds_service.configuration import load_configuration
from cds_service.errors import SettingsError
from cds_service.site import Site, read_site
from cds_service.site_numbers import expired, numbers_in_force, site_knowledge, site_numbers
from tests.build import AS_OF, Resource, assessor, chart, draft_collection, draft_drug, given, hook_request, progression
from tests.service.calling import SETTINGS, KeepingRecorder, call, codes
from tests.service.test_server import served
from tests.stories.telling import FOLDERS, request_of

ON = AS_OF.isoformat()
EXAMPLE = Path(__file__).parents[2] / "deploy/site.example.toml"


def accept(
    rule: str = "R01",
    setting: str = "minimum_days",
    who: str = '"Dr. Canary"',
    why: str = '"a canary"',
    until: str = "2027-06-30",
) -> str:
    """Write an accept_risk; its values stand as in TOML."""
    lines = {"rule": f'"{rule}"', "setting": f'"{setting}"', "who": who, "why": why, "until": until}
    return "\n[[accept_risk]]\n" + "\n".join(f"{key} = {value}" for key, value in lines.items() if value) + "\n"


def washout(minimum_days: object) -> str:
    return f"[rules.R01]\nminimum_days = {minimum_days}\n"


def site_of(folder: Path, text: str) -> Site:
    """Read a site file that has to be sound."""
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    site, faults = read_site(path)
    assert faults == []
    return site


def faults_of(folder: Path, text: str, **environment: str) -> list[str]:
    """Give all faults of a site file."""
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load_configuration({"MMCDS_AUTH": "off", "MMCDS_AS_OF": ON, "MMCDS_SITE_FILE": str(path)} | environment, load())
    return list(refused.value.faults)


def minimum_days(site: Site, today: date = AS_OF) -> int:
    found: int = dict(site_knowledge(site, load(), today).on(today).rules["R01"].settings)["minimum_days"]
    return found


@pytest.mark.parametrize("text", [washout(180), washout(183), washout(365), washout(179) + accept()])
def test_a_number_within_its_bounds_or_answered_for_is_taken(tmp_path: Path, text: str) -> None:
    site = site_of(tmp_path, text)

    assert minimum_days(site) == site.rules["R01"]["minimum_days"]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        pytest.param(washout(179), "rules.R01.minimum_days", "below 180 d only with an accept_risk", id="weaker"),
        pytest.param(washout(0), "rules.R01.minimum_days", "below 180 d only with an accept_risk", id="none at all"),
        pytest.param(washout(366), "rules.R01.minimum_days", "from 180 d to 365 d", id="stronger"),
        pytest.param(
            washout(366) + accept(), "rules.R01.minimum_days", "from 180 d to 365 d", id="stronger, and accepted"
        ),
        pytest.param(washout(-1) + accept(), "rules.R01.minimum_days", "a whole number", id="negative"),
        pytest.param(washout('"canary"'), "rules.R01.minimum_days", "a whole number from 180 d to 365 d", id="a text"),
        pytest.param(washout("200.5"), "rules.R01.minimum_days", "a whole number", id="no whole number"),
        pytest.param(washout("200.0"), "rules.R01.minimum_days", "a whole number", id="a whole number with a point"),
        pytest.param(washout("true"), "rules.R01.minimum_days", "a whole number", id="yes"),
        pytest.param(washout("[200]"), "rules.R01.minimum_days", "a whole number", id="a list"),
        pytest.param(washout("2027-01-01"), "rules.R01.minimum_days", "a whole number", id="a day"),
        pytest.param(
            "[rules.R16]\nstart_day = 100001" + accept("R16", "start_day"),
            "rules.R16.start_day",
            "above 30 d (and up to 100000) only with an accept_risk",
            id="beyond the calendar",
        ),
        pytest.param(washout("9" * 400) + accept(), "rules.R01.minimum_days", "a whole number", id="beyond a float"),
        pytest.param("[rules.R16]\nanc_minimum = nan", "rules.R16.anc_minimum", "a number from 0.5 x", id="no number"),
        pytest.param("[rules.R16]\nanc_minimum = inf", "rules.R16.anc_minimum", "a number from 0.5 x", id="no end"),
        pytest.param("[rules.R16]\nanc_minimum = false", "rules.R16.anc_minimum", "a number from 0.5 x", id="no"),
        pytest.param("[rules.R01]\ncanary = 7", "rules.R01.canary", "no such number; R01 has minimum_days", id="name"),
        pytest.param("[rules.R02]\ncanary = 7", "rules.R02.canary", "no such number; R02 has none", id="no numbers"),
        pytest.param("[rules.R98]\ncanary = 7", "rules.R98", "no such rule; those with numbers are R01,", id="rule"),
        pytest.param("[rules.R15]\nstart_day = 1", "rules.R15.start_day", "cannot be changed by a site", id="fixed"),
        pytest.param(
            "[rules.R16]\ndose_covers_days = 7", "rules.R16.dose_covers_days", "cannot be changed", id="no one number"
        ),
        pytest.param(
            "[rules.R16]\ncd4_lookback_days = 200",
            "rules.R16.cd4_lookback_days",
            "is the same number as R15.cd4_lookback_days: set that one",
            id="written elsewhere",
        ),
        pytest.param(
            accept(), "accept_risk[0]", "nothing needs it: the site file sets no such number of a rule", id="no number"
        ),
        pytest.param(
            washout(200) + accept(),
            "accept_risk[0]",
            "nothing needs it: the number is within its bounds",
            id="needless",
        ),
        pytest.param(washout(150) + accept() + accept(), "accept_risk[1]", "stands twice", id="twice"),
        pytest.param(
            washout(150) + accept(until="2028-11-21"),
            "accept_risk[0].until",
            "at most 2 years ahead, now 2028-11-20 or earlier",
            id="too long",
        ),
    ],
)
def test_a_fault_names_its_place_and_what_is_allowed(tmp_path: Path, text: str, place: str, said: str) -> None:
    faults = faults_of(tmp_path, text)

    assert [fault for fault in faults if fault.startswith(f"site file, {place}: ") and said in fault], faults
    assert len(faults) == (2 if said == "stands twice" else 1)
    if "canary =" not in text:  # the name of a number is its place
        assert "canary" not in " ".join(faults).lower()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (accept(who='" "'), "who"),
        (accept(who=""), "who"),
        (accept(why='""'), "why"),
        (accept(why='"' + "x" * 301 + '"'), "why"),
        (accept(until='"2027-06-30"'), "until"),
        (accept(until="2027-06-30T00:00:00"), "until"),
        (accept(until="20270630"), "until"),
        (accept(until=""), "until"),
        (accept() + 'more = "canary"\n', "more"),
    ],
)
def test_an_acceptance_needs_a_name_a_reason_and_a_day(tmp_path: Path, text: str, place: str) -> None:
    (fault,) = faults_of(tmp_path, washout(150) + text)

    assert fault.startswith(f"site file, accept_risk.0.{place}: ")


def test_two_years_are_allowed_to_the_day_and_from_a_leap_day_too(tmp_path: Path) -> None:
    site = site_of(tmp_path, washout(150) + accept(until="2028-11-20"))
    assert site_numbers(site, load(), AS_OF).faults == ()
    assert len(site_numbers(site, load(), date(2026, 11, 19)).faults) == 1

    leap_day = date(2028, 2, 29)
    assert site_numbers(site_of(tmp_path, washout(150) + accept(until="2030-02-28")), load(), leap_day).faults == ()
    assert site_numbers(site_of(tmp_path, washout(150) + accept(until="2030-03-01")), load(), leap_day).faults != ()


def test_all_faults_are_listed_at_once_with_those_of_the_environment(tmp_path: Path) -> None:
    text = "[rules.R98]\nx = 1\n" + washout('"x"') + accept("R05", "shortly_after_days")

    for environment in ({}, {"MMCDS_PORT": "x"}):
        faults = "\n".join(faults_of(tmp_path, text, **environment))

        for place in ("rules.R98", "rules.R01.minimum_days", "accept_risk[0]", *environment):
            assert place in faults


def test_a_number_with_a_point_may_be_whole(tmp_path: Path) -> None:
    site = site_of(tmp_path, "[rules.R16]\nanc_minimum = 1")

    assert dict(site_knowledge(site, load(), AS_OF).rules["R16"].settings)["anc_minimum"] == 1.0


def test_a_service_with_a_faulty_number_is_not_made() -> None:
    with pytest.raises(SettingsError, match=r"rules\.R01\.minimum_days"):
        make_assessor(SETTINGS, Site(rules={"R01": {"minimum_days": 1}}))


def test_without_numbers_the_knowledge_is_the_shipped_one() -> None:
    assert site_knowledge(Site(), load(), AS_OF) is load()
    assert with_own_numbers(load(), {}, AS_OF) is load()


# Rules that are shipped off


def gprc5d_again() -> Resource:
    """Order another GPRC5D-directed drug after progression on talquetamab."""
    history = chart(given("talquetamab", "2026-09-01"), progression("2026-09-20"))
    return hook_request(Hook.ORDER_SIGN, history, [draft_drug("forimtamig")])


def test_a_site_switches_a_rule_on_that_is_shipped_off(tmp_path: Path) -> None:
    site = site_of(tmp_path, 'rules_on = ["R05G"]')
    asked = {}
    for name, each in (("shipped", Site()), ("switched on", site)):
        recorder = KeepingRecorder()
        client = create_app(SETTINGS, each, recorder=recorder).test_client()
        asked[name] = ("R05G" in codes(call(gprc5d_again(), to=client)), recorder.records[0].knowledge_version)

    shown, versions = zip(*asked.values(), strict=True)
    assert shown == (False, True)
    assert len(set(versions)) == 2


def test_what_is_off_costs_nothing_and_what_is_on_keeps_the_numbers_of_the_site(tmp_path: Path) -> None:
    site = site_of(tmp_path, 'rules_on = ["R05G"]\n[rules.R05]\nshortly_after_days = 200\n')
    knowledge = site_knowledge(site, load(), AS_OF)

    assert "R05G" not in {active.text.id for active in load().for_hook(Hook.ORDER_SIGN)}
    (active,) = [active for active in knowledge.for_hook(Hook.ORDER_SIGN) if active.text.id == "R05G"]
    assert dict(active.settings)["shortly_after_days"] == 200
    assert with_rules_on(load(), []) is with_rules_on(load(), ["R01"]) is load()
    followed = {number.place for number in numbers_in_force(site, load(), AS_OF)}
    assert followed == {"rules.R05.shortly_after_days", "rules.R05G.shortly_after_days"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('rules_on = ["R98"]', "rules_on[0]: is no rule that is shipped off; those are R05G"),
        ('rules_on = ["R05G", "R01"]', "rules_on[1]: is no rule that is shipped off"),
        ('rules_on = ["R05G", "R05G"]', "rules_on stands twice: R05G"),
        ("rules_on = [5]", "rules_on.0: Input should be a valid string"),
        ('rules_on = ["R05G"]\n[rules.R05G]\nshortly_after_days = 200', "is the same number as R05.shortly_after_days"),
    ],
)
def test_a_rule_that_cannot_be_switched_on_stops_the_start(tmp_path: Path, text: str, fault: str) -> None:
    assert fault in "\n".join(faults_of(tmp_path, text))


# The end of an acceptance


def washout_on(today: date, days: int) -> Resource:
    last_dose = date.fromordinal(today.toordinal() - days).isoformat()
    return hook_request(Hook.ORDER_SIGN, chart(given("teclistamab", last_dose)), [draft_collection()])


def test_an_acceptance_ends_while_the_service_runs(tmp_path: Path) -> None:
    clock = [date(2027, 6, 29)]
    site = site_of(tmp_path, washout(150) + accept())
    recorder = KeepingRecorder()
    assessor = make_assessor(SETTINGS, site, today=lambda: clock[0])
    client = create_app(SETTINGS, site, recorder=recorder, assessor=assessor).test_client()
    shown = []

    for clock[0] in (date(2027, 6, 29), date(2027, 6, 30), date(2027, 7, 1)):
        shown.append("R01" in codes(call(washout_on(clock[0], 160), to=client)))

    assert shown == [False, False, True]
    first, last_day, after = (record.knowledge_version for record in recorder.records)
    assert first == last_day != after == load().version


def test_an_expired_acceptance_is_told_and_does_not_stop_the_start(tmp_path: Path) -> None:
    site = site_of(tmp_path, washout(150) + accept(until="2026-11-19"))

    assert minimum_days(site, date(2026, 11, 19)) == 150
    assert minimum_days(site, AS_OF) == load().rules["R01"].text.settings["minimum_days"].value
    assert list(expired(site, date(2026, 11, 19))) == []
    assert list(expired(site, AS_OF)) == ["accept_risk[0] (R01.minimum_days)"]
    assert create_app(SETTINGS, site)


def test_the_log_of_a_start_tells_of_an_expired_acceptance(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(washout(150) + accept(until="2026-11-19"))
    log = tmp_path / "log"

    with served(log, auth="off", as_of=ON, site_file=str(path)):
        lines = [json.loads(line) for line in log.read_text().splitlines()]

    (line,) = [line for line in lines if line["event"].startswith("an accepted risk has expired")]
    assert line["level"] == "warning"
    assert line["place"] == "accept_risk[0] (R01.minimum_days)"


def test_each_number_in_force_says_where_it_comes_from(tmp_path: Path) -> None:
    text = (
        washout(150)
        + "[rules.R05]\nshortly_after_days = 100\n[rules.R15]\ncd4_lookback_days = 200\nprophylaxis_days = 365\n"
        + accept()
        + accept("R05", "shortly_after_days", until="2026-11-01")
    )

    found = {n.place: (n.value, n.words) for n in numbers_in_force(site_of(tmp_path, text), load(), AS_OF)}

    assert found == {
        "rules.R01.minimum_days": (150, "site file; shipped: 183 d; accepted until 2027-06-30"),
        "rules.R05.shortly_after_days": (183, "shipped: 183 d; its accept_risk has expired"),
        "rules.R15.prophylaxis_days": (365, "site file; shipped: 365 d"),
        "rules.R15.cd4_lookback_days": (200, "site file; shipped: 180 d"),
        "rules.R16.cd4_lookback_days": (200, "same as R15.cd4_lookback_days: site file; shipped: 180 d"),
        "rules.R17.cd4_lookback_days": (200, "same as R15.cd4_lookback_days: site file; shipped: 180 d"),
        "rules.R25.cd4_lookback_days": (200, "same as R15.cd4_lookback_days: site file; shipped: 180 d"),
        "rules.R17.antiviral_after_cells_days": (365, "same as R15.prophylaxis_days: site file; shipped: 365 d"),
    }


def test_the_example_in_the_example_site_file_is_sound(tmp_path: Path) -> None:
    """It stands there as a comment: a number is never changed by copying a file."""
    text = EXAMPLE.read_text(encoding="utf-8")
    block = re.search(r"^# \[rules\.R01\]\n.*?(?=^\[)", text, flags=re.MULTILINE | re.DOTALL)
    assert block
    uncommented = re.sub(r"^# ", "", block[0], flags=re.MULTILINE)
    table = tomllib.loads(uncommented)

    within = site_of(tmp_path, uncommented.partition("[[accept_risk]]")[0])
    beyond = site_of(tmp_path, uncommented.replace("= 200", "= 150"))

    assert table["accept_risk"][0].keys() == {"rule", "setting", "who", "why", "until"}
    assert minimum_days(within) == 200
    assert minimum_days(beyond) == 150
    assert "rules" not in tomllib.loads(text)


# Whatever a site may set, every rule still answers

SOMEBODY = Acceptance("Dr. N. N.", "a reason", AS_OF)


def bounded() -> Iterator[tuple[str, str, Setting]]:
    """Give every number that a site may set."""
    for rule_id, active in load().rules.items():
        for name, setting in active.text.settings.items():
            if setting.same_as is None and is_number(active.rule, name) and setting.least != setting.most:
                yield rule_id, name, setting


def ends_of(setting: Setting) -> tuple[Any, ...]:
    """Give both bounds, and as far as an acceptance goes."""
    return setting.least, setting.most, 0 if setting.weaker == "lower" else LARGEST


def faults_with(own: Mapping[Key, Any], stories: Iterable[str]) -> list[str]:
    """Answer stories at a site with these numbers; give the rules that crashed."""
    numbers = {key: OwnNumber(value, SOMEBODY) for key, value in own.items()}
    product = replace(assessor(), knowledge=with_own_numbers(load(), numbers, AS_OF))
    found: list[str] = []
    for name in stories:
        request = request_of(name)
        if set(request) >= {"hook", "prefetch"}:
            answer = assess(json.dumps(request).encode(), Hook(request["hook"]), product)
            found += (f"{name}: {fault}" for fault in answer.faults)
    return found


@pytest.mark.parametrize("end", [0, 1, 2], ids=["least", "most", "as far as an acceptance goes"])
def test_every_rule_answers_with_all_numbers_at_one_end(end: int) -> None:
    own = {(rule_id, name): ends_of(setting)[end] for rule_id, name, setting in bounded()}

    assert len(own) > 10
    assert faults_with(own, FOLDERS) == []


@pytest.mark.parametrize("rule_id", sorted({rule_id for rule_id, _, _ in bounded()}))
def test_a_rule_answers_with_each_of_its_numbers_at_each_end(rule_id: str) -> None:
    stories = [name for name in FOLDERS if rule_id in name]

    for key, name, setting in bounded():
        if key == rule_id:
            for value in ends_of(setting):
                assert faults_with({(rule_id, name): value}, stories) == [], (name, value)
