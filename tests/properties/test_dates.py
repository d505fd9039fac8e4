"""What must hold for all dates, however vague or broken."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from fhir_mapping.model.dates import Answer, ClinicalDate, earliest_of, latest_of, parse

ZONES = [ZoneInfo(name) for name in ("America/New_York", "Pacific/Auckland", "UTC", "Asia/Kolkata")]
DAYS = st.dates(date(1990, 1, 1), date(2040, 12, 31))
ZONE = st.sampled_from(ZONES)


@st.composite
def vague_and_exact(draw: st.DrawFn) -> tuple[ClinicalDate, ClinicalDate]:
    """Draw an exact day, and an interval that it may be meant by."""
    day = draw(DAYS)
    before, after = draw(st.integers(0, 400)), draw(st.integers(0, 400))
    return ClinicalDate(day - timedelta(before), day + timedelta(after)), ClinicalDate.on(day)


def is_no_surer(vague: Answer, exact: Answer) -> bool:
    return vague in (exact, Answer.UNKNOWN)


@given(vague_and_exact(), vague_and_exact(), st.integers(-500, 500))
def test_a_vaguer_date_never_answers_more_surely_than_an_exact_one_it_may_mean(
    first: tuple[ClinicalDate, ClinicalDate], second: tuple[ClinicalDate, ClinicalDate], limit: int
) -> None:
    (vague_a, exact_a), (vague_b, exact_b) = first, second
    for a, b in ((vague_a, vague_b), (vague_a, exact_b), (exact_a, vague_b)):
        assert is_no_surer(a.is_before(b), exact_a.is_before(exact_b))
        assert is_no_surer(a.is_after(b), exact_a.is_after(exact_b))
        assert is_no_surer(a.days_until(b).less_than(limit), exact_a.days_until(exact_b).less_than(limit))
        assert is_no_surer(a.days_until(b).at_most(limit), exact_a.days_until(exact_b).at_most(limit))


@given(vague_and_exact(), vague_and_exact(), st.integers(-500, 500))
def test_exact_dates_always_have_an_answer(
    first: tuple[ClinicalDate, ClinicalDate], second: tuple[ClinicalDate, ClinicalDate], limit: int
) -> None:
    (_, a), (_, b) = first, second
    answers = {a.is_before(b), a.is_after(b), a.days_until(b).less_than(limit), a.days_until(b).at_most(limit)}
    assert Answer.UNKNOWN not in answers


@given(st.lists(vague_and_exact(), min_size=1, max_size=5))
def test_the_first_and_the_last_of_vague_events_hold_those_of_the_exact_ones(
    events: list[tuple[ClinicalDate, ClinicalDate]],
) -> None:
    days = [exact.earliest for _, exact in events]
    last, first = latest_of([vague for vague, _ in events]), earliest_of([vague for vague, _ in events])
    assert last is not None
    assert first is not None
    assert last.earliest <= max(days) <= last.latest
    assert first.earliest <= min(days) <= first.latest


@given(DAYS, ZONE)
def test_a_shorter_spelling_holds_every_longer_one(day: date, zone: ZoneInfo) -> None:
    text = day.isoformat()
    exact = parse(text, zone)
    assert exact == ClinicalDate.on(day)
    for length in (4, 7):
        vague = parse(text[:length], zone)
        assert vague is not None
        assert vague.earliest <= day <= vague.latest


@given(st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=ZONE), ZONE, ZONE)  # noqa: DTZ001 - bounds
def test_a_moment_is_the_same_day_in_whatever_zone_it_was_sent(
    moment: datetime, sent: ZoneInfo, zone: ZoneInfo
) -> None:
    day = parse(moment.astimezone(sent).isoformat(), zone)
    assert day is not None
    assert day.earliest <= moment.astimezone(zone).date() <= day.latest


@given(st.text(st.characters()), ZONE)
def test_no_text_makes_parsing_fail(text: str, zone: ZoneInfo) -> None:
    parse(text, zone)


@given(
    st.from_regex(
        r"\d{4}(-\d{2}(-\d{2}(T\d{2}(:\d{2}(:\d{2}(\.\d{1,9})?)?)?(Z|[+-]\d{2}:\d{2})?)?)?)?.?", fullmatch=True
    ),
    ZONE,
)
def test_what_looks_like_a_date_is_read_or_refused(text: str, zone: ZoneInfo) -> None:
    day = parse(text, zone)
    assert day is None or day.earliest <= day.latest
    assert day is None or abs(day.earliest.year - int(text[:4])) <= 1
