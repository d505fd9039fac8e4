"""The canaries of each rule: all are there, all are true on any day and with any number, and a loss of codes shows."""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import pytest

from cards.knowledge.loader import load as load_knowledge
from cds_service.app import make_assessor
from cds_service.assess import Assessor
from cds_service.canaries import Canary, Code, Pair, load_codes, load_pairs
from cds_service.canaries.charts import names_in
from cds_service.canaries.replay import Replay, RuleReport, body_of, replay_all
from cds_service.errors import DataUnavailable
from cds_service.settings import Settings
from cds_service.site import Site
from fhir_mapping.catalog.codes import pairs_of
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.catalog.loader import load as load_catalog
from fhir_mapping.model.vocabulary import DrugClass
from fhir_mapping.wire import Coding
from tests.build import AS_OF
from tests.service.test_faults import with_crashing

PAIRS, CODES, RULES = load_pairs(), load_codes(), load_knowledge().rules
ALWAYS_SAID = {"R41"}  # whenever it is asked at all
OFF = tuple(rule_id for rule_id, active in RULES.items() if not active.is_on)
NUMBERS = {
    (rule_id, name): setting
    for rule_id, active in RULES.items()
    for name, setting in active.text.settings.items()
    if not setting.same_as and setting.least != setting.most
}


@cache
def everything_on() -> Assessor:
    return at(Site(rules_on=OFF))


def at(site: Site | None = None, today: date = AS_OF) -> Assessor:
    return make_assessor(Settings(auth="off", as_of=today.isoformat()), site)


def on(today: date, assessor: Assessor | None = None) -> Assessor:
    return replace(assessor or everything_on(), today=lambda: today)


def replayed(assessor: Assessor, pairs: Mapping[str, Pair] = PAIRS) -> dict[str, RuleReport]:
    return {report.rule_id: report for report in replay_all(assessor, pairs, CODES)}


def failing(reports: Mapping[str, RuleReport]) -> set[str]:
    return {rule_id for rule_id, report in reports.items() if not report.passed}


def without(code: Code, catalog: Catalog) -> Catalog:
    """Give a copy of the catalogue that no longer holds a code."""
    lost = set(pairs_of(Coding(code.system, code.code)))

    def left(codes: Mapping[Any, Any]) -> dict[Any, Any]:
        return {pair: found for pair, found in codes.items() if pair not in lost}

    concepts = {group: left(codes) for group, codes in catalog.concept_codes.items()}
    return replace(catalog, drug_codes=left(catalog.drug_codes), concept_codes=concepts)


def test_each_shipped_rule_has_its_canaries_and_nothing_else_has() -> None:
    assert PAIRS.keys() == RULES.keys()
    assert OFF  # one at least, or this says nothing of those


@pytest.mark.parametrize("rule_id", RULES)
def test_canaries_are_asked_where_the_rule_is_and_expect_its_card_where_it_has_one(rule_id: str) -> None:
    text, pair = RULES[rule_id].text, PAIRS[rule_id]

    assert pair.hook in text.hooks
    assert pair.fires.outcome == ("flagged" if text.cards else "satisfied")
    is_satisfied = text.cards and rule_id not in ALWAYS_SAID
    assert pair.silent.outcome == ("satisfied" if is_satisfied else "not_applicable")


@pytest.mark.parametrize(
    "today",
    [AS_OF, date(2024, 2, 29), date(2026, 12, 31), date(2027, 1, 1), date(2027, 3, 1), date(2027, 5, 20)],
    ids=str,
)
def test_all_are_true_on_any_day(today: date) -> None:
    reports = replayed(on(today))

    assert failing(reports) == set()
    assert all(report.is_on and len(report.replays) == 2 for report in reports.values())


@pytest.mark.parametrize("today", [date(2027, 5, 21), date(2028, 2, 29)], ids=str)
def test_labels_that_have_expired_are_told(today: date) -> None:
    reports = replayed(on(today))

    assert failing(reports) == {"R27", "R28"}
    assert {replay.outcome for replay in reports["R28"].replays} == {"cannot_tell"}
    assert any("the data-gap card says" in hint for replay in reports["R28"].replays for hint in replay.hints)


def _every_number(choice: str) -> dict[str, dict[str, Any]]:
    """Set every number to one of its bounds."""
    rules: dict[str, dict[str, Any]] = {}
    for (rule_id, name), setting in NUMBERS.items():
        takes_least = {
            "least": True,
            "most": False,
            "weaker": setting.weaker == "lower",
            "stricter": setting.weaker != "lower",
        }[choice]
        if setting.least is not None and setting.most is not None:
            rules.setdefault(rule_id, {})[name] = setting.least if takes_least else setting.most
    return rules


@pytest.mark.parametrize("choice", ["least", "most", "weaker", "stricter"])
def test_all_are_true_with_every_number_at_a_bound(choice: str) -> None:
    rules = _every_number(choice)
    site = Site.model_validate({"rules": rules, "rules_on": OFF})

    assert sum(map(len, rules.values())) > 20
    assert failing(replayed(at(site))) == set()


def test_all_are_true_where_the_ehr_lacks_resource_types() -> None:
    site = Site(unsupported_resource_types=("MedicationStatement", "ServiceRequest", "Appointment"), rules_on=OFF)

    assert failing(replayed(at(site))) == set()


# Each code, and the rules that tell of its loss: whatever names it, unless its loss hides nothing in that story
TOLD_BY = {
    "acyclovir": {"R15", "R17"},
    "belantamab-mafodotin": {"R06", "R09", "R13", "R35", "R36"},
    "bendamustine": {"R12"},
    "bortezomib": {"R08", "R11", "R27", "R28"},
    "carfilzomib": {"R29"},
    "ciltacabtagene-autoleucel": {
        "R02",
        "R05",
        "R07",
        "R15",
        "R24",
        "R25",
        "R26",
        "R28",
        "R29",
        "R30",
        "R37",
        "R38",
        "R38A",
        "R40",
        "R41",
        "R43",
    },
    "elranatamab": {"R04", "R07", "R14", "R17", "R34"},
    "entecavir": {"R23"},
    "filgrastim": {"R26"},
    "idecabtagene-vicleucel": {"R04", "R16", "R27", "R30", "R39"},
    "immune-globulin-iv": {"R21"},
    "immune-globulin-unspecified": {"R18", "R19"},
    "lenalidomide": {"R27", "R28"},
    "levodopa": {"R38"},
    "linvoseltamab": {"R06", "R20", "R36"},
    "loperamide": {"R37"},
    "sulfamethoxazole-trimethoprim": {"R16", "R17"},
    "talquetamab": {"R03", "R05G", "R07", "R10", "R14", "R29", "R44"},
    "teclistamab": {"R01", "R02", "R05", "R10", "R18", "R21", "R23", "R28", "R31", "R32", "R33", "R42"},
    "warfarin": {"R34"},
    "eye-exam": {"R35"},
    "leukapheresis": {"R01", "R03", "R08", "R09", "R11", "R12", "R13", "R22", "R41"},
    "patient-education": {"R42"},
    "vaccine-mmr-live": {"R25"},
    "multiple-myeloma": set(RULES),
    "parkinson-disease": {"R38"},
    "pneumonia": {"R24"},
    "alc": {"R38A"},
    "anc": {"R26", "R43"},
    "anti-hbc-total": {"R19", "R22"},
    "body-weight": {"R44"},
    "cancer-disease-status": {"R05", "R05G", "R27", "R28", "R29", "R32", "R33"},
    "hbsag": {"R22", "R23"},
    "hcv-ab": {"R22"},
    "hiv-ag-ab": {"R22"},
    "hiv-nat": {"R40"},
    "igg": {"R20", "R21"},
    "vzv-igg": {"R18"},
    "disease-status-progression": {"R05", "R05G", "R27", "R28", "R29"},
    "disease-status-remission": set(),  # its codes stand in results.toml as well
    "finding-negative": {"R22"},
    "finding-positive": {"R23"},
}


@pytest.mark.parametrize("name", CODES)
def test_a_lost_code_is_told_by_the_rules_that_need_it(name: str) -> None:
    assessor = everything_on()

    reports = replayed(replace(assessor, catalog=without(CODES[name], assessor.catalog)))

    assert failing(reports) == TOLD_BY[name]
    said = f"the code {CODES[name].code} of {CODES[name].system}, here for {name}, is not known"
    for rule_id in failing(reports):
        assert any(said in replay.hints for replay in reports[rule_id].replays if not replay.passed)


def test_every_targeted_drug_with_a_code_of_its_own_is_in_some_canary() -> None:
    catalog = load_catalog()
    coded = frozenset().union(*(found for pair, found in catalog.drug_codes.items() if pair[0] == "rxnorm"))
    targeted = {
        drug.id
        for drug in catalog.drugs.values()
        if drug.drug_class in {DrugClass.BISPECIFIC, DrugClass.CAR_T, DrugClass.ADC} and drug.id in coded
    }

    assert len(targeted) >= 7
    assert targeted <= CODES.keys()


def test_each_code_is_used_and_stands_in_the_catalogue() -> None:
    assert set().union(*(names_in(canary) for pair in PAIRS.values() for _, canary in pair.sides())) == CODES.keys()
    catalog = load_catalog()
    for name, code in CODES.items():
        tables = [catalog.drug_codes] if code.is_drug else catalog.concept_codes.values()
        assert any(name in table.get(pair, ()) for table in tables for pair in pairs_of(Coding(code.system, code.code)))


def test_a_rule_that_is_off_is_not_asked() -> None:
    reports = replayed(at())

    assert {rule_id for rule_id, report in reports.items() if not report.is_on} == set(OFF)
    assert all(reports[rule_id].replays == () and reports[rule_id].passed for rule_id in OFF)


def test_a_rule_that_is_on_and_has_no_canaries_fails() -> None:
    assert failing(replayed(at(), {key: pair for key, pair in PAIRS.items() if key != "R01"})) == {"R01"}
    assert failing(replayed(at(), {key: pair for key, pair in PAIRS.items() if key not in OFF})) == set()


@pytest.mark.parametrize("rule_id", RULES)
def test_a_rule_that_does_the_opposite_fails_on_both_sides(rule_id: str) -> None:
    pair = PAIRS[rule_id]
    swapped = Pair(hook=pair.hook, fires=_of(pair.silent, pair.fires), silent=_of(pair.fires, pair.silent))

    report = replayed(everything_on(), {rule_id: swapped})[rule_id]

    assert [replay.passed for replay in report.replays] == [False, False]


def _of(story: Canary, wanted: Canary) -> Canary:
    """Expect of one story what the other one should give."""
    return story.model_copy(update={"outcome": wanted.outcome})


@pytest.mark.parametrize(
    ("outcome", "is_shown", "passed"),
    [
        pytest.param("flagged", True, True, id="as it should"),
        pytest.param("flagged", False, False, id="found, and said by no card"),
        pytest.param("cannot_tell", True, False, id="cannot tell"),
        pytest.param("satisfied", True, False, id="another outcome"),
    ],
)
def test_what_must_fire_fires_on_a_card(outcome: str, is_shown: bool, passed: bool) -> None:
    assert Replay("fires", PAIRS["R01"].fires, outcome, (), is_shown).passed is passed


def test_what_must_not_fire_is_on_no_card() -> None:
    silent = PAIRS["R01"].silent

    assert Replay("silent", silent, "satisfied", (), False).passed
    assert not Replay("silent", silent, "satisfied", ("R01",), True).passed


def test_a_rule_that_crashes_fails_and_the_others_are_still_asked() -> None:
    assessor = everything_on()

    reports = replayed(replace(assessor, knowledge=with_crashing("R11", assessor.knowledge)))

    assert failing(reports) == {"R11"}
    assert {replay.outcome for replay in reports["R11"].replays} == {"failed"}


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (ZeroDivisionError("divided"), "crashed with ZeroDivisionError"),
        (DataUnavailable({"conditions": "not_sent"}), "refused with 412"),
    ],
    ids=["a crash", "a refusal"],
)
def test_a_request_without_answer_is_told_and_the_others_are_still_sent(fault: Exception, outcome: str) -> None:
    counted = itertools.count()

    def uuid() -> str:
        if next(counted) == 0:
            raise fault
        return "00000000-0000-4000-8000-000000000000"

    reports = replayed(replace(at(), new_uuid=uuid))

    assert failing(reports) == {"R01"}
    assert [replay.outcome for replay in reports["R01"].replays] == [outcome, "satisfied"]
    assert "divided" not in str(reports["R01"])


@pytest.mark.parametrize("rule_id", RULES)
def test_requests_are_of_synthetic_patients_and_name_drugs_by_codes_alone(rule_id: str) -> None:
    bodies = [
        json.loads(body_of(rule_id, side, PAIRS[rule_id], everything_on(), CODES)) for side in ("fires", "silent")
    ]

    assert bodies[0] != bodies[1]
    for side, body in zip(("fires", "silent"), bodies, strict=True):
        assert body["context"]["patientId"] == f"synthetic-canary-{rule_id}-{side}"
        assert body["prefetch"]["patient"]["name"] == [{"family": "Synthetic", "given": ["Canary"]}]
        assert body["prefetch"].keys() == everything_on().searches.keys()
        assert set(_members(body)).isdisjoint({"text", "display"})


def _members(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from _members(part)
    elif isinstance(value, list):
        for part in value:
            yield from _members(part)


def test_days_are_counted_from_the_day_of_the_run() -> None:
    def dose(today: date) -> str:
        body = json.loads(body_of("R01", "fires", PAIRS["R01"], on(today), CODES))
        (entry,) = body["prefetch"]["medicationAdministrations"]["entry"]
        return str(entry["resource"]["effectiveDateTime"])

    assert (dose(date(2027, 1, 1)), dose(date(2028, 3, 1))) == ("2026-12-31", "2028-02-29")
