"""A patient for whom everything is done opens to no card at all: what is quiet is not switched off."""

from datetime import timedelta
from typing import Any

import pytest

from cards.finding import Hook
from tests.build import Resource, chart, finding, hook_request, infusion, lab
from tests.rules.table import PROTECTED, row
from tests.service.calling import call, cards, codes
from tests.service.reporting import NOON, Running, clock, overridden

SERVICE = "mmcds-patient-view"
IGG = lab("2465-3", 720, "mg/dL", "2026-11-02")
NEGATIVE = [finding(test, "negative", "2026-04-01") for test in ("hbsag", "anti-hbc-total", "hcv-ab", "hiv-ag-ab")]
DONE: list[Resource] = [infusion("2026-05-04"), *PROTECTED, IGG, *NEGATIVE]


def opened(history: list[Resource]) -> Resource:
    """Open the chart 200 days after CAR T cells."""
    return hook_request(Hook.PATIENT_VIEW, chart(*history))


def test_the_yearly_note_is_all_there_is_and_once_acknowledged_nothing_is() -> None:
    with clock() as now:
        service = Running()
        (note,) = cards(call(opened(DONE), to=service.client))
        assert note["source"]["topic"]["code"] == "R39"

        service.report(overridden(note), service=SERVICE)

        assert call(opened(DONE), to=service.client).get_json() == {"cards": []}
        now.move_to(NOON + timedelta(days=364))
        assert "R39" not in codes(call(opened(DONE), to=service.client))
        now.move_to(NOON + timedelta(days=366))
        assert "R39" in codes(call(opened(DONE), to=service.client))


@pytest.mark.parametrize(
    ("taken_away", "expected"),
    [
        row("the antiviral", PROTECTED[0], ["B01"]),
        row("what protects from Pneumocystis", PROTECTED[1], ["B01"]),
        row("the IgG level", IGG, ["B01"]),
    ],
)
def test_what_is_taken_away_is_missed(taken_away: Any, expected: list[str]) -> None:
    with clock():
        service = Running()
        (note,) = cards(call(opened(DONE), to=service.client))
        service.report(overridden(note), service=SERVICE)

        left = [record for record in DONE if record is not taken_away]

        assert codes(call(opened(left), to=service.client)) == expected
