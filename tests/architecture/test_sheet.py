"""The reviewer's files: generated ones are up to date, and the written ones name nothing that does not exist."""

import re
import shutil
from pathlib import Path

import pytest

from cards.knowledge import reviewing
from cards.knowledge.loader import FOR_REVIEWERS, KnowledgeError
from cards.knowledge.loader import load as load_knowledge
from cards.sheet import sheet
from fhir_mapping.catalog.loader import load as load_catalog
from tests import cases
from tests.build import outcome
from tests.rules.table import CANNOT_TELL, FLAGGED, SATISFIED, row
from tests.sheet import FOLDER

SHEET = (FOLDER / "sheet.md").read_text(encoding="utf-8")
REFRESH = "run `python -m tests.sheet` and read the difference"


def test_the_index_of_cases_is_up_to_date() -> None:
    assert (FOLDER / "cases.toml").read_text(encoding="utf-8") == cases.index(), REFRESH


def test_the_sheet_is_up_to_date() -> None:
    assert sheet(load_knowledge(), reviewing.load()) == SHEET, REFRESH


@pytest.mark.parametrize("key", load_knowledge().rules)
def test_every_rule_has_a_section_with_its_numbers_and_cases(key: str) -> None:
    text = load_knowledge().rules[key].text

    section = SHEET.partition(f"\n## {key} {text.title}\n")[2].partition("\n## ")[0]

    for name, setting in text.settings.items():
        assert re.search(rf"`{name}`\)? \| .* \| {setting.source} \|", section)
    assert f"{text.strength}; certainty {text.certainty}" in section
    assert all(line.says in section for line in text.evidence)
    assert all(f"- {story}\n" in section for story in reviewing.load().cases.of(key).stories)


def test_statements_lead_to_rules_with_their_stories_or_to_a_reason() -> None:
    for statement in reviewing.load().trace:
        (line,) = [line for line in SHEET.splitlines() if line.startswith(f"| {statement.says} |")]
        for rule in statement.rules:
            stories = len(reviewing.load().cases.of(rule).stories)
            written = rule in load_knowledge().rules
            assert (f"{rule} ({stories}" if written else f"{rule} (to come)") in line
        if statement.declined:
            assert f"Declined: {statement.declined}" in line


def test_every_rule_from_a_core_document_answers_a_statement() -> None:
    traced = {rule for statement in reviewing.load().trace for rule in statement.rules}
    core = {statement.source for statement in reviewing.load().trace}

    assert {a.text.id for a in load_knowledge().rules.values() if core & set(a.text.sources)} <= traced


def test_numbers_without_a_source_are_listed_with_the_question_that_asks_for_them() -> None:
    ours = SHEET.partition("## Numbers of our own")[2]

    assert re.search(r"\| R01\.minimum_days \| 183 .*\(c\) \|", ours)
    assert "| definitions.course_gap | 113 |" in ours
    assert "| R15.prophylaxis_days |" not in ours


def test_no_signature_is_claimed() -> None:
    assert [item.id for item in reviewing.load().questions] == list("abcdefghijklmnopqrstuvwxyz")
    assert [item.id for item in reviewing.load().questions if item.signed] == []
    assert SHEET.count("| open |") == len(reviewing.load().questions)


class Copy:
    """A copy of the reviewer's files in which faults can be planted."""

    def __init__(self, path: Path) -> None:
        """Copy every file to `path`."""
        self.path = path
        for name in FOR_REVIEWERS:
            shutil.copy(FOLDER / name, path)

    def change(self, name: str, pattern: str, replacement: str) -> None:
        """Replace the first match of a pattern, which has to be there."""
        file = self.path / name
        text, count = re.subn(pattern, replacement, file.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
        assert count == 1, f"{pattern} is not in {name}"
        file.write_text(text, encoding="utf-8")

    def load(self) -> reviewing.ReviewFiles:
        """Load what is there now."""
        return reviewing.load_from(self.path, load_knowledge(), load_catalog().definitions)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """Copy the shipped files."""
    return Copy(tmp_path)


@pytest.mark.parametrize(
    ("file", "pattern", "replacement", "fault"),
    [
        row("a rule outside the catalogue", "trace.toml", r'"R04"', '"R45"', "trace.toml: unknown rule R45"),
        row("no rule at all", "trace.toml", r'"R04"', '"washout"', "trace.toml: unknown rule washout"),
        row("an unknown source", "trace.toml", r'"S000"', '"S999"', "trace.toml: unknown source S999"),
        row("an unanswered statement", "trace.toml", r'^rules = \["R04"\]\n', "", "needs rules, elsewhere or declined"),
        row("an unknown key", "trace.toml", "^rules", "rule", "trace.toml: statement.0.rule"),
        row("no TOML", "trace.toml", "^says = ", "says ", "trace.toml: "),
        row("a question about no rule", "signoff.toml", r'"R02", ', '"R77", ', "signoff.toml: a: unknown rule R77"),
        row("a number that is none", "signoff.toml", r'\["R01.minimum', '["R01.min', "unknown number R01.min_days"),
        row(
            "a number of no rule", "signoff.toml", r'\["R01.minimum', '["R44.minimum', "unknown number R44.minimum_days"
        ),
        row("no definition", "signoff.toml", "definitions.doubt", "definitions.x", "unknown number definitions.xful"),
        row("two of one name", "signoff.toml", 'id = "b"', 'id = "a"', "signoff.toml: two questions are called a"),
        row(
            "a signature that is not dated",
            "signoff.toml",
            'id = "a"',
            'id = "a"\nsigned = { by = "Dr Example" }',
            "signoff.toml: item.0.signed.on",
        ),
        row("cases of no rule", "cases.toml", r"^\[rules.R00\]", "[rules.R99]", "cases.toml: unknown rule R99"),
    ],
)
def test_a_fault_is_told(file: str, pattern: str, replacement: str, fault: str, copy: Copy) -> None:
    copy.change(file, pattern, replacement)

    with pytest.raises(KnowledgeError) as refused:
        copy.load()

    assert [found for found in refused.value.faults if fault in found], refused.value.faults


@pytest.mark.parametrize("name", FOR_REVIEWERS)
def test_every_file_has_to_be_there(name: str, copy: Copy) -> None:
    (copy.path / name).unlink()

    with pytest.raises(KnowledgeError, match=name):
        copy.load()


def test_a_core_document_without_any_statement_is_told(copy: Copy) -> None:
    file = copy.path / "trace.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('source = "S004"', 'source = "S003"'), encoding="utf-8")

    with pytest.raises(KnowledgeError, match=r"trace\.toml: no statement of S004"):
        copy.load()


def test_a_signature_is_shown(copy: Copy) -> None:
    copy.change("signoff.toml", 'id = "a"', 'id = "a"\nsigned = { by = "Dr Example", on = 2026-11-01 }')

    text = sheet(load_knowledge(), copy.load())

    assert "Signed: 1 of 26." in text
    assert "| signed by Dr Example, 2026-11-01 |" in text


@pytest.mark.parametrize(
    ("given", "rule", "expected"),
    [("a", "R01", FLAGGED), ("b", "R01", SATISFIED), row("in words", "c", "R05", FLAGGED)],
)
def sample_table(given: str, rule: str, expected: str) -> None:
    """Stand for a table whose rule and outcome come from its rows."""
    assert outcome(given, rule) == expected  # type: ignore[arg-type]  # never run


@pytest.mark.parametrize("first", [FLAGGED, CANNOT_TELL])
@pytest.mark.parametrize("is_hidden", [True, False])
def sample_pair(first: str, is_hidden: bool) -> None:
    """Stand for a table that compares two rules at once, beside what it works out itself."""
    answer: str = str(is_hidden)
    assert (outcome(answer, "R15"), outcome(answer, "R16")) == (first, SATISFIED)  # type: ignore[arg-type]  # never run
    assert outcome(answer, "R07") == (CANNOT_TELL if is_hidden else SATISFIED)  # type: ignore[arg-type]  # as above
    assert outcome(answer, "R01") == answer  # type: ignore[arg-type]  # not counted: only a run would know


def test_rows_are_counted_by_the_outcome_that_they_expect() -> None:
    assert cases.expected_counts(sample_table) == {"R01": {FLAGGED: 1, SATISFIED: 1}, "R05": {FLAGGED: 1}}
    assert cases.expected_counts(sample_pair) == {
        "R15": {FLAGGED: 2, CANNOT_TELL: 2},
        "R16": {SATISFIED: 4},
        "R07": {CANNOT_TELL: 2, SATISFIED: 2},
    }


def test_a_story_belongs_to_every_rule_that_its_name_mentions() -> None:
    text = cases.toml(["R05-and-R01-on-one-card", "no-myeloma"], {"R02": {"test_x.py::test_y": {SATISFIED: 3}}})

    assert 'others = [\n    "no-myeloma",\n]' in text
    assert text.count('    "R05-and-R01-on-one-card",\n') == 2
    assert '[rules.R02.tables]\n"test_x.py::test_y" = { satisfied = 3 }\n' in text
