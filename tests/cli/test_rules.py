"""`mmcds rules`: a reviewer sees everything about a rule, and is told which rules there are."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cards.knowledge import reviewing
from cards.knowledge.loader import ActiveRule, Knowledge, KnowledgeError
from cards.knowledge.loader import load as load_knowledge
from cds_service.cli.rules import rules
from tests.cli.serving import run

RULES = list(load_knowledge().rules.values())


def id_of(active: ActiveRule) -> str:
    return active.text.id


def shown(rule_id: str) -> str:
    """Show a rule, with its lines joined."""
    result = run(rules, "show", rule_id)
    assert result.exit_code == 0
    return " ".join(result.stdout.split())


def as_json(*arguments: str) -> Any:
    return json.loads(run(rules, *arguments, "--json").stdout)


def test_every_rule_has_one_line() -> None:
    lines = run(rules, "list").stdout.splitlines()

    assert [line.split()[:2] for line in lines] == [[active.text.id, active.text.slug] for active in RULES]
    for line, active in zip(lines, RULES, strict=True):
        text = active.text
        assert text.title in line
        assert ", ".join(text.hooks) in line
        assert f" {text.shipped} " in line
        assert all(card.indicator in line for card in text.cards.values())
        assert ("no card" in line) == (not text.cards)
        assert line.endswith("not reviewed") == (text.reviewed is None)


def test_the_list_is_there_for_machines() -> None:
    rows = as_json("list")

    assert [row["id"] for row in rows] == [active.text.id for active in RULES]
    assert rows[0] == {
        "id": "R01",
        "slug": "bcma-bispecific-to-cart-washout",
        "title": "BCMA bispecific shortly before CAR T-cell collection",
        "hooks": ["order-select", "order-sign"],
        "state": "live",
        "indicators": ["warning"],
        "review": "not reviewed",
    }


def test_a_rule_that_the_site_has_switched_on_is_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = {row["id"]: row["state"] for row in as_json("list")}
    site_file = tmp_path / "site.toml"
    site_file.write_text('rules_on = ["R05G"]')
    monkeypatch.setenv("MMCDS_SITE_FILE", str(site_file))

    at_site = {row["id"]: row["state"] for row in as_json("list")}

    assert (states["R05G"], states["R05"]) == ("off", "live")
    assert at_site == states | {"R05G": "on"}
    assert "gprc5d-switch-after-progression: on, not reviewed" in shown("R05G")


def test_rules_are_not_listed_for_a_faulty_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, fault in (('rules_on = ["R01"]', "rules_on[0]: is no rule"), ("rules_on = 5", "site file, rules_on")):
        (tmp_path / "site.toml").write_text(text)
        monkeypatch.setenv("MMCDS_SITE_FILE", str(tmp_path / "site.toml"))

        result = run(rules, "list")

        assert result.exit_code == 2
        assert fault in result.stderr


@pytest.mark.parametrize("active", RULES, ids=id_of)
def test_nothing_that_is_written_of_a_rule_is_left_out(active: ActiveRule) -> None:
    text, knowledge = active.text, load_knowledge()
    sentences = [
        *(line for card in text.cards.values() for line in (card.summary, *card.why)),
        *text.missing.values(),
        *text.notes.values(),
        *(text.advice.options if text.advice else ()),
        *(line.says for line in text.evidence),
        *(knowledge.presentation.override.reasons[key] for key in text.override_reasons),
        *(knowledge.orders[proposal.template].description for proposal in text.proposals),
        *(f"{setting.label} ({name}) = " for name, setting in text.settings.items()),
        *(setting.note for setting in text.settings.values()),
        text.strength,
        text.certainty,
    ]
    keys = {*text.sources, *(e.source for e in text.evidence), *(s.source for s in text.settings.values())}
    for source in (knowledge.sources[key] for key in keys):
        sentences += filter(None, (source.label, source.kind, source.date, source.limits, source.url))

    found = shown(text.id)

    assert [sentence for sentence in sentences if " ".join(sentence.split()) not in found] == []


def test_numbers_are_shown_with_source_and_bounds() -> None:
    number = RULES[0].text.settings["minimum_days"]

    found = shown("R01")

    assert (
        f"{number.value} {number.unit}, source S001, bounds {number.least} to {number.most}; lower warns less" in found
    )
    assert "lies fewer than 183 days before the collection" in found


def test_what_rules_do_to_each_other_is_shown_from_both_sides() -> None:
    assert "- absorbs R01" in shown("R05")
    assert "- absorbed by R05" in shown("R01")
    assert "- accompanies R01, R05" in shown("R07")
    assert "suppressed by R02" in shown("R01")


def test_the_labels_that_a_rule_holds_charts_against_are_shown() -> None:
    found = shown("R28")

    assert "- idecabtagene vicleucel (US, 2024, E27): relapsed or refractory, at least 2 lines" in found
    assert len(as_json("show", "R28")["labels"]) == found.count("Owner: ") > 5
    assert "- E27 US prescribing information, Abecma" in found
    assert "Labels" not in shown("R01")


def test_cases_and_open_questions_are_shown() -> None:
    found = shown("R01")

    assert "- R01-teclistamab-182-days-before-collection" in found
    assert "- days since the last dose: 5 flagged, 5 cannot tell, 7 satisfied" in found
    assert "(c) Is 183 days a fair count for 6 months? [open]" in found


def test_one_rule_is_there_for_machines() -> None:
    found = as_json("show", "r15")

    assert found["id"] == "R15"
    assert found["settings"]["prophylaxis_days"]["value"] == 365
    assert found["when"].startswith("A CAR T infusion lies at most 365 days back")
    assert "S001" in [source["key"] for source in found["sources"]]
    assert "R15-day-365" in found["cases"]["stories"]
    assert found["reviewed"] is None


@pytest.mark.parametrize("unknown", ["R99", "R45", "washout", "R00", ""])
def test_an_unknown_rule_is_refused_with_those_that_exist(unknown: str) -> None:
    result = run(rules, "show", unknown)

    assert result.exit_code == 2
    assert f"there is no rule {unknown}; the rules are " in result.stderr
    assert all(active.text.id in result.stderr for active in RULES)
    assert result.stdout == ""


def test_the_sheet_is_the_committed_one() -> None:
    committed = reviewing.__file__.replace("reviewing.py", "sheet.md")

    with open(committed, encoding="utf-8") as file:
        assert run(rules, "sheet").stdout == file.read()


@pytest.mark.parametrize("arguments", [("list",), ("show", "R01"), ("sheet",)])
def test_faulty_files_are_told_and_nothing_is_printed(arguments: tuple[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty() -> Knowledge:
        raise KnowledgeError(["signoff.toml: two questions are called a"])

    monkeypatch.setattr(sys.modules["cds_service.cli.rules"], "load_knowledge", faulty)

    result = run(rules, *arguments)

    assert result.exit_code == 2
    assert "two questions are called a" in result.stderr
    assert result.stdout == ""
