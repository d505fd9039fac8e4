"""`mmcds cards preview`: every wording of every rule is on the page, rendered, harmless, and honest about its facts."""

import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import fields, make_dataclass, replace
from functools import cache
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from cards.knowledge.loader import KnowledgeError
from cards.knowledge.loader import load as load_knowledge
from cds_service.app import make_assessor
from cds_service.cli.cards import cards, page_of
from cds_service.cli.preview import EXAMPLE, Group, Shown, example_facts, groups, variant_on
from cds_service.settings import Settings
from cds_service.synthetic import AS_OF, demo_patients
from tests.build import ask
from tests.build import card as card_of
from tests.cli.serving import run


@cache
def shipped() -> dict[str, Group]:
    """Give what is shown of the shipped rules."""
    return {group.id: group for group in groups(make_assessor(Settings(auth="off", as_of=AS_OF)))}


def shown(rule: str, wording: str) -> Shown:
    (found,) = [each for each in shipped()[rule].cards if each.wording == wording]
    return found


class Reader(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag."""
        self.tags.append((tag, dict(attrs)))


def card(**other: Any) -> dict[str, Any]:
    """Give a card as it goes over the wire."""
    source = {"label": "A source", "topic": {"code": "R01"}}
    return {"summary": "A summary", "detail": "**Why**", "indicator": "info", "source": source} | other


def page_with(**other: Any) -> str:
    return page_of([Group("R01", "A title", "live", (Shown("recent", EXAMPLE, card(**other)),))])


def test_every_card_of_every_rule_is_there() -> None:
    for key, active in load_knowledge().rules.items():
        wordings = [each.wording for each in shipped()[key].cards]
        gap = ["cannot tell"] if active.text.missing and active.text.unknown_shown else []
        assert wordings == [*active.text.cards, *gap]
    assert list(shipped()) == [*load_knowledge().rules, "R00"]
    assert shipped()["R00"].cards


def test_no_wording_keeps_a_placeholder() -> None:
    for group in shipped().values():
        for each in group.cards:
            assert "{" not in each.card["summary"] + each.card["detail"]
        assert not any("{" in sentence for sentence in group.sentences)


def test_a_card_that_a_patient_reaches_is_the_one_that_the_service_answers() -> None:
    answered = card_of(ask(demo_patients()[1].request), "R01")

    found = shown("R01", "recent")

    assert found.origin.startswith("synthetic patient 2, order-sign")
    assert (found.card["summary"], found.card["detail"]) == (answered["summary"], answered["detail"])
    assert [s["label"] for s in found.card["suggestions"]] == [s["label"] for s in answered["suggestions"]]


def test_a_card_that_no_patient_reaches_says_so() -> None:
    found = shown("R16", "not_yet_due")

    assert found.origin == EXAMPLE
    assert found.card["summary"] == "Day 12 after CAR T: no PJP prophylaxis found yet (due from day 30)."


def test_an_option_is_shown_on_the_card_that_it_accompanies() -> None:
    found = shown("R07", "option")

    assert found.origin != EXAMPLE
    assert found.card["source"]["topic"]["code"] in {"R01", "R05"}


def test_what_may_be_missing_is_worded_as_on_the_data_gap_card() -> None:
    found = shown("R01", "cannot tell").card

    assert found["source"]["topic"]["code"] == "R00"
    assert "the date of the last dose of teclistamab" in found["detail"]
    assert "the chart shows the details from the chart" in shown("R28", "cannot tell").card["detail"]


def test_a_fact_without_an_example_is_named_in_words() -> None:
    active = load_knowledge().rules["R01"]

    facts = make_dataclass("Facts", [("never_heard_of", str), ("drug", str)])
    changed = replace(active, rule=replace(active.rule, facts=facts))

    assert example_facts(changed, "recent") == {"never_heard_of": "(never heard of)", "drug": "teclistamab"}


def of_rule(found: Mapping[str, Any], rule: str) -> dict[str, Any]:
    """Give a card the name of another rule."""
    return {**found, "source": {**found["source"], "topic": {"code": rule}}}


def test_a_card_is_taken_for_a_rule_only_where_it_names_the_rule() -> None:
    rules = load_knowledge().rules
    found = shown("R01", "recent").card

    assert variant_on(found, rules["R01"]) == "recent"
    assert variant_on(found, rules["R07"]) == "option"
    assert variant_on(found, rules["R03"]) is None  # the reasons are worded alike
    assert variant_on(of_rule(found, "R03"), rules["R03"]) is None  # and the summary is another
    assert variant_on({**found, "extension": {}}, rules["R07"]) is None


def test_every_card_names_the_rule_or_its_host() -> None:
    rules = load_knowledge().rules
    for key, group in shipped().items():
        hosts = rules[key].text.companion_of if key in rules else ()
        assert {each.card["source"]["topic"]["code"] for each in group.cards} <= {key, "R00", *hosts}


def test_the_page_shows_all_that_a_card_has() -> None:
    page = page_of(shipped().values())

    for group in shipped().values():
        assert f'<section id="{group.id}">' in page
        for each in group.cards:
            assert f'<article class="card {each.card["indicator"]}">' in page
            assert f"{len(each.card['summary'])} of 139 characters" in page
    for text in ("Propose talquetamab", "Agreed by the myeloma board", "<strong>Why this card</strong>", EXAMPLE):
        assert text in page


def test_the_page_runs_nothing_and_loads_nothing() -> None:
    reader = Reader(page_of(shipped().values()))

    assert {tag for tag, _ in reader.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "form", "video"})
    names = {name for _, attributes in reader.tags for name in attributes}
    assert "src" not in names
    assert not [name for name in names if name.startswith("on")]
    links = {attributes.get("href") or "" for tag, attributes in reader.tags if tag == "a"}
    assert all(link.startswith(("https://", "#")) for link in links)
    assert not re.search(r"url\(|@import", page_of(shipped().values()))


@pytest.mark.parametrize(
    "other",
    [
        {"summary": "<script>alert(1)</script>"},
        {"detail": "<script>alert(1)</script>"},
        {"detail": "![x](https://example.org/x.png)"},
        {"detail": "[x](javascript:alert(1))"},
        {"source": {"label": "<img src=x onerror=alert(1)>", "topic": {"code": "R01"}}},
        {"suggestions": [{"label": "<b onclick=x>", "actions": [{"description": "<script>"}]}]},
        {"overrideReasons": [{"display": "<script>"}]},
    ],
    ids=["summary", "detail", "picture", "link", "source", "suggestion", "reason"],
)
def test_what_a_card_says_stays_text(other: dict[str, Any]) -> None:
    reader = Reader(page_with(**other))

    assert {tag for tag, _ in reader.tags}.isdisjoint({"script", "img"})
    assert not [name for _, attributes in reader.tags for name in attributes if name.startswith("on")]
    assert not [a for _, attributes in reader.tags for a in attributes.values() if a and a.startswith("javascript")]


def test_it_writes_a_file_and_says_what_is_in_it(tmp_path: Path) -> None:
    file = tmp_path / "page.html"

    result = run(cards, "preview", file)

    assert result.exit_code == 0
    assert result.stdout.startswith(f"{file}: ")
    assert file.read_text(encoding="utf-8") == page_of(shipped().values())


def test_the_file_has_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert run(cards, "preview").exit_code == 0
    assert (tmp_path / "cards-preview.html").exists()


def test_a_file_that_exists_is_kept_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("mine", encoding="utf-8")

    refused = run(cards, "preview", file)

    assert refused.exit_code == 2
    assert "exists; use --force" in refused.stderr
    assert file.read_text(encoding="utf-8") == "mine"
    assert run(cards, "preview", file, "--force").exit_code == 0
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    result = run(cards, "preview", tmp_path / "no-such-folder" / "page.html")

    assert result.exit_code == 2
    assert "cannot be written: No such file or directory." in result.stderr


def test_the_page_may_go_to_standard_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    result = run(cards, "preview", "-")

    assert result.stdout == page_of(shipped().values())
    assert list(tmp_path.iterdir()) == []


def test_settings_of_the_machine_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMCDS_SITE_FILE", "/no/such/file")
    monkeypatch.setenv("MMCDS_AS_OF", "2020-01-01")

    assert run(cards, "preview", "-").stdout == page_of(shipped().values())


def test_faulty_files_are_told_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise KnowledgeError(["R01: has two texts"])

    monkeypatch.setattr(sys.modules["cds_service.cli.cards"], "make_assessor", faulty)

    result = run(cards, "preview", tmp_path / "page.html")

    assert result.exit_code == 2
    assert "R01: has two texts" in result.stderr
    assert not (tmp_path / "page.html").exists()


def test_every_fact_has_an_example_and_no_example_is_idle() -> None:
    file = resources.files("cds_service") / "cli" / "example_facts.toml"
    given = tomllib.loads(file.read_text(encoding="utf-8"))["facts"]
    of_rules = {fact.name for active in load_knowledge().rules.values() for fact in fields(active.rule.facts)}

    assert given.keys() == of_rules | {"drug", "detail"}
