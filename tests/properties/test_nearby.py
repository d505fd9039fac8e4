"""Looking dates up by their drawer finds every date that comparing each with each would find."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fhir_mapping.events import may_be_same_day
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.nearby import Nearby

FIRST = date(2020, 1, 1)
DATES = st.none() | st.builds(
    lambda start, length: ClinicalDate(FIRST + timedelta(start), FIRST + timedelta(start + length)),
    st.integers(0, 900),
    st.sampled_from([0, 0, 30, 365, 4_000]),
)


@given(st.lists(DATES, max_size=20), DATES, st.sampled_from([0, 7, 30, 200]))
def test_no_date_that_may_be_close_is_missed(
    dates: list[ClinicalDate | None], on: ClinicalDate | None, days: int
) -> None:
    index = Nearby()
    for number, known in enumerate(dates):
        index.put(number, known)
    found = index.near(on, days)
    assert found == sorted(set(found))
    assert {number for number, known in enumerate(dates) if may_be_same_day(known, on, days)} <= set(found)
