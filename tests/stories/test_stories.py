"""Every story is answered word for word; every demonstration patient is a story, under the same name.

A folder holds `response.json`, and `request.json` unless it is a patient of the demonstration. After a change that
is meant, `python -m tests.stories.rewrite` writes the answers anew; read the difference as a clinician would.
"""

import pytest

from cds_service.synthetic import demo_patients
from tests.stories.telling import FOLDERS, answer, expected, patients, request_of

_FEWEST = 15


@pytest.mark.parametrize("name", FOLDERS)
def test_the_answer_is_the_one_that_was_agreed(name: str) -> None:
    assert answer(request_of(name)) == expected(name)


def test_there_are_stories_and_every_demonstration_patient_is_one() -> None:
    assert len(FOLDERS) >= _FEWEST
    assert set(patients()) <= set(FOLDERS)


def test_the_demonstration_shows_its_patients_by_their_numbers() -> None:
    numbers = [patient.name.partition("-")[0] for patient in demo_patients()]

    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("name", sorted(patients()))
def test_a_demonstration_patient_gets_the_outcomes_that_the_demonstration_promises(name: str) -> None:
    patient = patients()[name]

    shown = {card["source"]["topic"]["code"] for card in expected(name)["cards"]}
    spoken_for = {
        rule["id"]
        for card in expected(name)["cards"]
        for rule in card.get("extension", {}).get("mmcds.rules", ())
        if rule["outcome"] == "flagged"
    }

    flagged = {rule for rule, outcome in patient.expected.items() if outcome == "flagged"}
    assert flagged <= shown | spoken_for
    assert not {rule for rule, outcome in patient.expected.items() if outcome == "satisfied"} & shown
