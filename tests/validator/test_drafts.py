"""Whatever a suggestion creates or updates is FHIR R4, by two validators that know nothing of each other."""

import json
import re
import shutil
from collections.abc import Callable, Mapping

import pytest

from cards.knowledge.loader import load as load_knowledge
from tests.build import Resource
from tests.rules.table import row
from tests.stories.telling import HERE as STORIES
from tests.validator import validators
from tests.validator.drafts import of_moves, of_stories, of_templates

Validator = Callable[[Mapping[str, Resource]], dict[str, list[str]]]

_FEWEST_OF_STORIES = 60
_BOTH = pytest.mark.parametrize(
    "validator",
    [
        row("fhir.resources", validators.fhir_resources),
        pytest.param(validators.medplum, marks=pytest.mark.deep, id="Medplum"),
    ],
)

DRUG: Resource = {
    "resourceType": "MedicationRequest",
    "status": "draft",
    "intent": "order",
    "medicationCodeableConcept": {"text": "acyclovir"},
    "subject": {"reference": "Patient/1"},
}
SERVICE: Resource = {
    "resourceType": "ServiceRequest",
    "status": "draft",
    "intent": "proposal",
    "code": {"text": "Referral"},
    "subject": {"reference": "Patient/1"},
}
TALK: Resource = {
    "resourceType": "CommunicationRequest",
    "status": "draft",
    "payload": [{"contentString": "Call at once for fever."}],
    "subject": {"reference": "Patient/1"},
}
SOUND = {"drug": DRUG, "service": SERVICE, "communication": TALK}


def timed(repeat: Resource) -> Resource:
    """Order the drug at certain times."""
    return DRUG | {"dosageInstruction": [{"timing": {"repeat": repeat}}]}


def without(draft: Resource, member: str) -> Resource:
    """Leave one member out."""
    return {name: value for name, value in draft.items() if name != member}


# What is wrong: the broken draft, and the element that a refusal has to name
BROKEN: dict[str, tuple[Resource, str]] = {
    "a status that there is not": (DRUG | {"status": "drafted"}, "status"),
    "a status of another resource": (SERVICE | {"status": "stopped"}, "status"),
    "no status": (without(TALK, "status"), "status"),
    "an intent that there is not": (SERVICE | {"intent": "suggestion"}, "intent"),
    "no intent": (without(DRUG, "intent"), "intent"),
    "a drug for nobody": (without(DRUG, "subject"), "subject"),
    "a service for nobody": (without(SERVICE, "subject"), "subject"),
    "a date in the wrong order": (SERVICE | {"occurrenceDateTime": "20-11-2026"}, "occurrence"),
    "a month 13": (TALK | {"occurrencePeriod": {"end": "2026-13-01"}}, "end"),
    "a first dose at no date": (timed({"boundsPeriod": {"start": "soon"}}), "start"),
    "a unit of time that there is not": (timed({"period": 1, "periodUnit": "days"}), "periodUnit"),
    "an element that there is not": (DRUG | {"dose": "800 mg"}, "dose"),
    "an object where a list belongs": (SERVICE | {"note": {"text": "why"}}, "note"),
    "a message without words": (TALK | {"payload": [{}]}, "payload"),
    "no drug": (without(DRUG, "medicationCodeableConcept"), "medication"),
    "two drugs": (DRUG | {"medicationReference": {"reference": "Medication/1"}}, "medication"),
}


def test_all_that_the_stories_offer_is_looked_at() -> None:
    answers = [path.read_text(encoding="utf-8") for path in STORIES.glob("*/response.json")]

    assert len(of_stories()) == sum(text.count('"resource": {') for text in answers) > _FEWEST_OF_STORIES
    assert kinds_of("create") == {draft["resourceType"] for draft in of_templates().values()}
    assert kinds_of("update") == {"MedicationRequest", "ServiceRequest"}


def kinds_of(action: str) -> set[str]:
    """Name the types of resource that the stories create or update."""
    return {draft["resourceType"] for name, draft in of_stories().items() if name.startswith(action)}


def test_every_template_is_looked_at_with_its_dose_and_without() -> None:
    for key, text in load_knowledge().orders.items():
        drafted = [json.dumps(draft) for name, draft in of_templates().items() if name.startswith(f"template {key},")]

        assert bool(drafted) is (text.kind != "reschedule")
        if text.dose_text is not None:
            assert {json.dumps(text.dose_text) in draft for draft in drafted} == {True, False}


def test_every_draft_that_is_moved_has_its_new_date() -> None:
    assert {"2027-11-20" in json.dumps(draft) for draft in of_moves().values()} == {True}


@_BOTH
def test_every_draft_is_sound(validator: Validator) -> None:
    assert validator(of_stories() | of_templates() | of_moves()) == {}


@_BOTH
def test_a_broken_draft_is_refused_and_its_fault_named(validator: Validator) -> None:
    drafts = SOUND | {what: draft for what, (draft, _) in BROKEN.items()}

    refused = validator(drafts)

    assert list(refused) == list(BROKEN)
    assert {what: refused[what] for what, (_, element) in BROKEN.items() if element not in str(refused[what])} == {}


@pytest.mark.deep
def test_what_the_second_validator_alone_sees_is_seen() -> None:
    alone = {
        "a period that ends before it begins": timed({"boundsPeriod": {"start": "2026-12-01", "end": "2026-11-01"}}),
        "an order for a drug": DRUG | {"subject": {"reference": "Medication/1"}},
        "a number of days of nothing": timed({"period": -1, "periodUnit": "d"}),
    }

    assert list(validators.medplum(SOUND | alone)) == list(alone)


def test_a_machine_without_the_second_validator_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/node")
    monkeypatch.setattr(validators, "INSTALLED", validators.HERE / "nowhere")
    with pytest.raises(validators.NotInstalledError, match="make deep"):
        validators.medplum(SOUND)

    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(validators.NotInstalledError, match=r"Node 20\.19"):
        validators.medplum(SOUND)


def test_its_packages_are_pinned_with_hashes_and_name_no_registry() -> None:
    wanted = json.loads((validators.HERE / "package.json").read_text(encoding="utf-8"))
    lock = (validators.HERE / validators.LOCK).read_text(encoding="utf-8")
    packages = {name: package for name, package in json.loads(lock)["packages"].items() if name}

    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted["dependencies"].values())
    assert {f"node_modules/{name}": version for name, version in wanted["dependencies"].items()} == {
        name: package["version"] for name, package in packages.items()
    }
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert "http" not in lock
    assert "resolved" not in lock
