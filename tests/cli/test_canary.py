"""`mmcds canary`: a table that a person reads, JSON for a job, and an exit status that both can trust."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from cards.knowledge.loader import load as load_knowledge
from cds_service import __version__
from cds_service.canaries import load_pairs
from cds_service.cli import main
from cds_service.cli.canary import canary
from cds_service.cli.history import history
from cds_service.cli.hook import hook
from cds_service.settings import PREFIX
from tests.build import AS_OF, ask, outcome
from tests.cli.serving import run, serving
from tests.service.test_site import LOCAL, concept_map, element, with_maps

RULES = load_knowledge().rules
ON = [key for key, active in RULES.items() if active.is_on]
AT_HOME = {f"{PREFIX}AUTH": "off", f"{PREFIX}AS_OF": AS_OF.isoformat()}
OWN_CODE = f"teclistamab={LOCAL}|CANARY-1"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SITE_FILE", "AUTH", "AS_OF", "PORT"):
        monkeypatch.delenv(PREFIX + name, raising=False)


def replay(*arguments: str, **settings: object) -> Result:
    return run(canary, "run", *arguments, env=AT_HOME | {PREFIX + name: str(value) for name, value in settings.items()})


def site(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def facts(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_shipped_rules_do_as_they_should() -> None:
    result = run(main, "canary", "run", env=AT_HOME)

    lines = result.stdout.splitlines()
    versions = f"mmcds {__version__}, knowledge {load_knowledge().version}"
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines[0] == f"{versions}, as of {AS_OF}: synthetic patients alone, no real data."
    assert [line.split()[0] for line in lines[3:-2]] == list(RULES)
    assert lines[2].split("  ")[0] == "rule"
    assert "R01   ok: flagged, on a card              ok: satisfied, no card" in lines
    assert "R02   ok: satisfied, no card              ok: not applicable, no card" in lines
    assert "R05G  off, not asked" in lines
    assert lines[-1] == f"All {len(ON)} rules that are on did as they should."


def test_a_rule_that_fails_is_told_with_what_was_expected_and_what_came() -> None:
    result = replay("--code", "talquetamab=urn:oid:1.2.3|UNKNOWN")

    assert result.exit_code == 1
    assert "R03   FAILED: cannot tell, no card        FAILED: cannot tell, no card\n" in result.stdout
    assert (
        "\nR03 tcell-rest-before-apheresis must fire at order-sign: "
        f"{load_pairs()['R03'].fires.says}\n"
        "  expected: flagged, on a card\n"
        "  came:     cannot tell, no card; cards: B01, R18, R00\n"
        "  hint:     the code UNKNOWN of urn:oid:1.2.3, here for talquetamab, is not known\n"
        "  hint:     the data-gap card says: Could not check: BCMA bispecific shortly before CAR T-cell collection.\n"
    ) in result.stdout
    assert "R01   ok: flagged, on a card              ok: satisfied, no card" in result.stdout
    assert "\nR01 " not in result.stdout.partition("\n\nR03")[2]
    assert result.stdout.endswith("rules did not do as they should: R03, R07, R10, R14, R29.\n")


def test_a_machine_reads_the_same() -> None:
    good, bad = replay("--json"), replay("--json", "--code", "talquetamab=urn:oid:1.2.3|UNKNOWN")

    assert (good.exit_code, bad.exit_code) == (0, 1)
    found = facts(good)
    assert found["passed"] is True
    assert (found["as_of"], found["version"]) == (AS_OF.isoformat(), __version__)
    assert found["knowledge_version"] == load_knowledge().version
    assert [rule["id"] for rule in found["rules"]] == list(RULES)
    by_id = {rule["id"]: rule for rule in facts(bad)["rules"]}
    assert facts(bad)["passed"] is False
    assert by_id["R05G"] == {
        "id": "R05G",
        "slug": "gprc5d-switch-after-progression",
        "on": False,
        "passed": True,
        "hook": "",
        "canaries": {},
    }
    assert (by_id["R01"]["passed"], by_id["R03"]["passed"]) == (True, False)
    assert by_id["R03"]["canaries"]["fires"] == {
        "says": load_pairs()["R03"].fires.says,
        "passed": False,
        "expected": {"outcome": "flagged", "shown": True},
        "came": {"outcome": "cannot_tell", "shown": False, "cards": ["B01", "R18", "R00"]},
        "hints": [
            "the code UNKNOWN of urn:oid:1.2.3, here for talquetamab, is not known",
            "the data-gap card says: Could not check: BCMA bispecific shortly before CAR T-cell collection.",
        ],
    }


@pytest.mark.parametrize(
    ("concept", "status", "said"),
    [
        pytest.param("teclistamab", 0, "did as they should", id="the right drug"),
        pytest.param("talquetamab", 1, "here for teclistamab, is taken for talquetamab", id="another drug"),
        pytest.param("other-drug", 1, "here for teclistamab, is not known", id="no drug of ours"),
        pytest.param(None, 1, "here for teclistamab, is not known", id="not in the map"),
    ],
)
def test_a_local_code_has_to_lead_to_its_drug(tmp_path: Path, concept: str | None, status: int, said: str) -> None:
    mapped = [element("CANARY-1", concept)] if concept else []
    path = site(tmp_path, with_maps(tmp_path, concept_map(element("CANARY-2", "elranatamab"), *mapped)))

    result = replay("--code", OWN_CODE, SITE_FILE=path)

    assert result.exit_code == status, result.stdout
    assert said in result.stdout
    assert ("R01   FAILED" in result.stdout) == bool(status)


def test_the_settings_of_the_site_are_in_force(tmp_path: Path) -> None:
    path = site(tmp_path, 'rules_on = ["R05G"]\n[rules.R01]\nminimum_days = 200\n')

    result = replay(SITE_FILE=path)

    assert result.exit_code == 0
    assert "R05G  ok: flagged, on a card              ok: satisfied, no card" in result.stdout
    assert f"All {len(ON) + 1} rules that are on" in result.stdout
    assert load_knowledge().version not in result.stdout


def test_a_number_with_which_a_rule_cannot_fire_any_more_is_told(tmp_path: Path) -> None:
    risk = 'rule = "R03"\nsetting = "minimum_days"\nwho = "Dr. N. N."\nwhy = "a test"\nuntil = 2027-01-31\n'
    path = site(tmp_path, f"[rules.R03]\nminimum_days = 0\n[[accept_risk]]\n{risk}")

    result = replay(SITE_FILE=path)

    assert result.exit_code == 1
    assert result.stdout.endswith(f"1 of {len(ON)} rules did not do as they should: R03.\n")


@pytest.mark.parametrize("command", [("run",), ("show", "R01")], ids=["run", "show"])
def test_a_configuration_with_which_the_service_would_not_start_is_no_failed_rule(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    path = site(tmp_path, "workers = 99")

    result = run(canary, *command, env=AT_HOME | {f"{PREFIX}SITE_FILE": str(path), f"{PREFIX}PORT": "x"})

    assert (result.exit_code, result.stdout) == (2, "")
    assert "workers" in result.stderr
    assert "MMCDS_PORT" in result.stderr


@pytest.mark.parametrize("given", ["teclistamab", "teclistamab=urn:x", "teclistamab=|1", "melphalan=urn:x|1"])
def test_a_code_that_cannot_be_used_is_refused(given: str) -> None:
    result = replay("--code", given)

    assert result.exit_code == 2
    assert "--code takes NAME=SYSTEM|CODE with a name of acyclovir, belantamab-mafodotin" in result.stderr


def shown(*arguments: str) -> dict[str, Any]:
    result = run(canary, "show", *arguments, env=AT_HOME)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_canary_is_shown_as_the_request_that_is_sent() -> None:
    assert outcome(ask(shown("r01")), "R01") == "flagged"
    assert outcome(ask(shown("R01", "--silent")), "R01") == "satisfied"
    assert OWN_CODE.partition("|")[2] in json.dumps(shown("R01", "--code", OWN_CODE))


def test_a_canary_that_is_shown_is_what_the_other_commands_take(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(shown("R01")))

    with serving() as service:
        sent = run(hook, "send", "--to", service.base, "--chart", path, "--json")
    read = run(history, path, env=AT_HOME)

    assert "R01" in {card["source"]["topic"]["code"] for card in json.loads(sent.stdout)["cards"]}
    assert "teclistamab" in read.stdout


def test_a_rule_without_canaries_is_refused() -> None:
    result = run(canary, "show", "R98", env=AT_HOME)

    assert result.exit_code == 2
    assert "there are no canaries for R98; there are some for R01, R02" in result.stderr
