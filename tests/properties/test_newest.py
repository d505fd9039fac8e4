"""Passing over older results of a test never changes what its newest result is."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_mapping.model.results import LabTest
from fhir_mapping.needs import Observed
from tests.build import Resource, lab
from tests.mapping.reading import read
from tests.properties.charts import dates, written

CD4 = Observed(frozenset({LabTest.CD4.value}), frozenset({LabTest.CD4.value}))


@st.composite
def results(draw: st.DrawFn) -> Resource:
    """Draw a CD4 count that may be vague, undated, unreadable, preliminary, without a value, or pruned."""
    more: dict[str, Any] = {
        "status": draw(st.sampled_from(["final", "final", "final", "preliminary"])),
        "issued": draw(st.none() | written()),
        "modifierExtension": draw(st.sampled_from([None, None, None, [{"url": "urn:example:x"}]])),
    }
    if draw(st.integers(0, 5)) == 0:
        more["valueQuantity"] = None
    unit = draw(st.sampled_from(["/uL", "/uL", "10*9/L", "?"]))
    return lab("24467-3", draw(st.sampled_from([50, 300, 0.2])), unit, draw(dates() | written()), **more)


@given(st.lists(results(), max_size=6))
def test_the_newest_result_is_the_same(known: list[Resource]) -> None:
    every, newest = read(*known), read(*known, observed=CD4)
    assert every.latest_lab(LabTest.CD4) == newest.latest_lab(LabTest.CD4)
    assert set(newest.labs) <= set(every.labs)


def test_what_is_older_than_the_newest_result_is_not_read() -> None:
    known = [lab("24467-3", 300, "/uL", f"2026-{month:02d}-05") for month in range(1, 11)]
    assert [str(result.on) for result in read(*known, observed=CD4).labs] == ["2026-10-05"]
