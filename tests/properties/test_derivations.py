"""What must hold for lines of therapy and refractoriness, whatever the chart says."""

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fhir_mapping.catalog.loader import load
from fhir_mapping.episodes import car_t_episodes
from fhir_mapping.lines import lines_of_therapy
from fhir_mapping.model.care import DocumentedLine
from fhir_mapping.model.coverage import Coverage, Level, TopicCoverage
from fhir_mapping.model.dates import Answer, ClinicalDate
from fhir_mapping.model.episodes import EpisodeState
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.lines import LineCount
from fhir_mapping.model.treatment import (
    CarTInfusion,
    Course,
    EndReason,
    Progression,
    SourceRef,
    StemCellCollection,
    TCellCollection,
    Transplant,
    TransplantKind,
)
from fhir_mapping.model.vocabulary import Certainty, ChartText, Drug, Tier, Topic
from fhir_mapping.refractory import Which, penta_drug, refractory_to, triple_class
from tests.build import AS_OF, Resource
from tests.mapping.reading import ALL_READ, read
from tests.properties.charts import resources
from tests.properties.less_known import less_known

DRUGS = [
    load().drugs[name]
    for name in ("bortezomib", "lenalidomide", "cyclophosphamide", "daratumumab", "iberdomide", "melphalan")
]
CELLS = [load().drugs[name] for name in ("ciltacabtagene-autoleucel", "idecabtagene-vicleucel")]
NEXT = [load().drugs[name] for name in ("carfilzomib", "pomalidomide", "isatuximab", "selinexor", "teclistamab")]
LONG_AGO = AS_OF - timedelta(900)
EMPTY = replace(read(), coverage=ALL_READ)


def events(within: int = 900) -> st.SearchStrategy[ClinicalDate]:
    """Draw one of so many days, or an interval around it, never after today."""
    days = st.integers(0, within).map(lambda days: LONG_AGO + timedelta(days))
    widths = st.sampled_from([0, 0, 0, 10, 70, 400])
    return st.builds(lambda day, width: ClinicalDate(day, min(day + timedelta(width), AS_OF)), days, widths)


@st.composite
def courses(draw: st.DrawFn, within: int = 900) -> Course:
    """Draw a course, or an order, of a few drugs."""
    first = draw(events(within))
    length = timedelta(draw(st.sampled_from([0, 0, 30, 100, 300])))
    last = ClinicalDate(min(first.earliest + length, AS_OF), min(first.latest + length, AS_OF))
    tier = draw(st.sampled_from([Tier.PROVEN, Tier.REPORTED, Tier.REPORTED, Tier.PRESUMPTIVE]))
    certainty = draw(st.sampled_from([Certainty.STATED, Certainty.STATED, Certainty.POSSIBLE]))
    number = draw(st.integers(0, 10**6))
    source = SourceRef(ChartText(f"MedicationStatement/{number}"), first)
    reason = draw(st.sampled_from([None, None, EndReason.TOXICITY]))
    return Course(draw(st.sampled_from(DRUGS)), first, last, False, tier, certainty, reason, (source,))


def infusions(within: int = 900) -> st.SearchStrategy[CarTInfusion]:
    """Draw an infusion of CAR T cells."""
    certainty = st.sampled_from([Certainty.STATED, Certainty.STATED, Certainty.POSSIBLE])
    source = st.integers(0, 10**6).map(lambda number: (SourceRef(ChartText(f"Procedure/{number}")),))
    return st.builds(
        CarTInfusion,
        st.none() | st.sampled_from(CELLS),
        st.none() | events(within),
        st.just(Tier.PROVEN),
        certainty,
        source,
    )


def progressions(within: int = 900) -> st.SearchStrategy[Progression]:
    """Draw a progression."""
    certainty = st.sampled_from([Certainty.STATED, Certainty.STATED, Certainty.POSSIBLE])
    return st.builds(
        Progression,
        st.none() | events(within) | events(within),
        certainty,
        st.just(SourceRef(ChartText("Condition/1"))),
    )


def transplants(within: int = 900) -> st.SearchStrategy[Transplant]:
    """Draw a stem cell transplant, or a code that says there was one."""
    certainty = st.sampled_from([Certainty.STATED, Certainty.STATED, Certainty.POSSIBLE])
    source = st.integers(0, 10**6).map(lambda number: (SourceRef(ChartText(f"Procedure/{number}")),))
    kinds = st.sampled_from([TransplantKind.AUTOLOGOUS, TransplantKind.AUTOLOGOUS, *TransplantKind])
    dated = st.builds(Transplant, kinds, events(within), st.just(Tier.PROVEN), certainty, source)
    undated = st.builds(
        Transplant, st.just(TransplantKind.UNKNOWN), st.none(), st.just(Tier.UNDATED), certainty, source
    )
    return dated | dated | dated | undated


def documents() -> st.SearchStrategy[DocumentedLine]:
    """Draw a line number that someone wrote down."""
    source = st.integers(0, 10**6).map(lambda number: SourceRef(ChartText(f"Observation/{number}")))
    return st.builds(DocumentedLine, st.integers(1, 6), st.none() | events() | events(), source)


@st.composite
def histories(draw: st.DrawFn) -> TreatmentHistory:
    """Draw a history that was read completely, of a few months or of years: what lies close together interacts."""
    within = draw(st.sampled_from([60, 200, 400, 900]))
    collected = st.builds(
        TCellCollection,
        st.none() | events(within),
        st.just(SourceRef(ChartText("Procedure/c"))),
        st.sampled_from(Certainty),
    )
    stem_cells = st.builds(StemCellCollection, st.none() | events(within), st.just(SourceRef(ChartText("Procedure/s"))))
    return replace(
        EMPTY,
        courses=tuple(draw(st.lists(courses(within), max_size=6))),
        infusions=tuple(draw(st.lists(infusions(within), max_size=2))),
        collections=tuple(draw(st.lists(collected, max_size=2))),
        transplants=tuple(draw(st.lists(transplants(within), max_size=2))),
        stem_cell_collections=tuple(draw(st.lists(stem_cells, max_size=2))),
        progressions=tuple(draw(st.lists(progressions(within), max_size=3))),
    )


def count(history: TreatmentHistory) -> LineCount:
    """Count the lines of a history."""
    return lines_of_therapy(history, load())


def holds(wide: LineCount, narrow: LineCount) -> bool:
    """Whether one range holds the other."""
    within = wide.maximum is None or (narrow.maximum is not None and narrow.maximum <= wide.maximum)
    return wide.minimum <= narrow.minimum and within


def is_sound(found: LineCount) -> bool:
    """Whether the range and the lines fit together."""
    certain = sum(line.certain for line in found.lines)
    fits = found.maximum is None or max(found.minimum, len(found.lines)) <= found.maximum
    return 0 <= certain <= found.minimum and fits


def is_imid(drug: Drug) -> bool:
    """Ask about lenalidomide."""
    return drug.id == "lenalidomide"


WHICH: list[Which] = [is_imid, lambda drug: bool(drug.antigens), lambda drug: drug.antimyeloma]


@given(st.lists(resources(), max_size=12))
def test_every_chart_has_a_count_and_classes(chart: list[Resource]) -> None:
    history = read(*chart)
    for known in (history, replace(history, coverage=ALL_READ)):
        assert is_sound(count(known))
        assert {triple_class(known, load()).exposed, penta_drug(known, load()).refractory} <= set(Answer)


@given(histories())
def test_the_lines_fit_the_range(history: TreatmentHistory) -> None:
    assert is_sound(count(history))


@given(histories(), st.data())
def test_the_order_of_the_facts_never_matters(history: TreatmentHistory, data: st.DataObject) -> None:
    shuffled = replace(
        history,
        courses=tuple(data.draw(st.permutations(history.courses))),
        infusions=tuple(data.draw(st.permutations(history.infusions))),
        collections=tuple(data.draw(st.permutations(history.collections))),
        transplants=tuple(data.draw(st.permutations(history.transplants))),
        stem_cell_collections=tuple(data.draw(st.permutations(history.stem_cell_collections))),
        progressions=tuple(data.draw(st.permutations(history.progressions))),
    )
    before, after = count(history), count(shuffled)
    assert (before.minimum, before.maximum, before.reasons) == (after.minimum, after.maximum, after.reasons)
    assert triple_class(history, load()) == triple_class(shuffled, load())
    assert _told_of(history) == _told_of(shuffled)


def _told_of(history: TreatmentHistory) -> list[tuple[EpisodeState, object, object]]:
    """Say what the episodes are, whatever stands in the chart first."""
    return [(found.state, found.infusion, found.collections) for found in car_t_episodes(history, load())]


@given(histories(), courses())
def test_a_course_without_dates_never_narrows_the_range(history: TreatmentHistory, course: Course) -> None:
    undated = replace(course, first_dose=None, last_dose=None, tier=max(course.tier, Tier.REPORTED))
    before, after = count(history), count(replace(history, courses=(*history.courses, undated)))
    assert before.maximum is not None
    assert after.maximum is not None
    assert after.maximum >= before.maximum + 1
    # Dates or not, a drug that was given makes one line
    assert after.minimum <= max(before.minimum, 1)


@given(histories(), st.integers(0, 400), st.integers(0, 400))
def test_a_record_that_says_less_never_makes_an_answer_surer(
    history: TreatmentHistory, before: int, after: int
) -> None:
    lines = count(history)
    refractory = [refractory_to(history, which, load()) for which in WHICH]
    for changed in less_known(history, before, after):
        assert holds(count(changed), lines)
        for which, exact in zip(WHICH, refractory, strict=True):
            assert refractory_to(changed, which, load()) in {exact, Answer.UNKNOWN}


@given(histories(), courses() | transplants() | progressions())
def test_a_record_that_is_only_possible_never_narrows_the_range(
    history: TreatmentHistory, record: Course | Transplant | Progression
) -> None:
    possible = replace(record, certainty=Certainty.POSSIBLE)
    match possible:
        case Course():
            changed = replace(history, courses=(*history.courses, possible))
        case Transplant():
            changed = replace(history, transplants=(*history.transplants, possible))
        case Progression():
            changed = replace(history, progressions=(*history.progressions, possible))
    assert holds(count(changed), count(history))


@given(histories(), st.lists(documents(), min_size=1, max_size=3), st.data())
def test_a_documented_number_lies_in_the_range_unless_later_lines_came(
    history: TreatmentHistory, documented: list[DocumentedLine], data: st.DataObject
) -> None:
    computed = count(history)
    found = count(replace(history, documented_lines=tuple(documented)))
    assert found.maximum is not None
    assert found.minimum <= found.maximum
    assert found.maximum >= max(min(line.number for line in documented), 0)
    assert found.lines == computed.lines
    shuffled = tuple(data.draw(st.permutations(documented)))
    assert count(replace(history, documented_lines=shuffled)) == found
    # What contradicts the treatment on record only ever widens the range
    if any("documented" in reason for reason in found.reasons):
        assert holds(found, computed)


@given(histories())
def test_every_collection_and_infusion_is_in_one_episode(history: TreatmentHistory) -> None:
    episodes = car_t_episodes(history, load())
    infused = [episode.infusion for episode in episodes if episode.infusion]
    assert sorted(map(id, infused)) == sorted(map(id, history.infusions))
    assert sum(len(episode.collections) for episode in episodes) <= len(history.collections)
    assert all(episode.inferred and episode.sources for episode in episodes)


@given(histories(), st.sampled_from([Topic.TREATMENT, Topic.CELL_THERAPY]))
def test_a_part_that_was_not_read_leaves_it_open_what_became_of_the_cells(
    history: TreatmentHistory, topic: Topic
) -> None:
    partial = replace(history, coverage=Coverage({**ALL_READ.topics, topic: TopicCoverage(Level.PARTIAL)}))
    states = {episode.state for episode in car_t_episodes(partial, load()) if episode.infusion is None}
    assert states <= {EpisodeState.UNKNOWN}


@given(histories(), st.sampled_from(list(Topic)))
def test_a_part_that_was_not_read_never_narrows_the_range(history: TreatmentHistory, topic: Topic) -> None:
    partial = replace(history, coverage=Coverage({**ALL_READ.topics, topic: TopicCoverage(Level.PARTIAL)}))
    assert holds(count(partial), count(history))
    for which in WHICH:
        exact = refractory_to(history, which, load())
        assert refractory_to(partial, which, load()) in {exact, Answer.UNKNOWN}


@st.composite
def told(draw: st.DrawFn) -> tuple[int, TreatmentHistory]:
    """Draw lines of therapy as they were, and what a careless chart tells of them.

    Each line has drugs of its own, starts after progression, and may pause a drug for six months at most. Any
    progression may be missing or vague, any dose may be vague.
    """
    # The last drug may be given alone, and must then be none that would count as maintenance of the line before
    names = draw(st.permutations([*DRUGS[:2], *NEXT]).filter(lambda names: names[-1] in NEXT))
    day = LONG_AGO - timedelta(1_500)
    facts: list[Course] = []
    progressed: list[Progression] = []
    number = draw(st.integers(1, 4))
    for line in range(number):
        regimen = names[2 * line : 2 * line + 2] if 2 * line + 2 <= len(names) else names[-1:]
        for drug in regimen:
            first = day + timedelta(draw(st.integers(0, 60)) if drug is not regimen[0] else 0)
            facts.append(_given(drug, first, draw(st.integers(1, 300)), draw, len(facts)))
            paused = facts[-1].last_dose
            assert paused is not None
            day_again = paused.latest + timedelta(draw(st.integers(1, 183)))
            if draw(st.booleans()):
                facts.append(_given(drug, day_again, draw(st.integers(1, 200)), draw, len(facts)))
        ended = max(fact.last_dose.latest for fact in facts if fact.last_dose)
        worse = max(ended, day + timedelta(60)) + timedelta(draw(st.integers(1, 90)))
        if draw(st.booleans()):
            width = draw(st.sampled_from([0, 0, 30, 365]))
            on = ClinicalDate(worse - timedelta(width), worse + timedelta(width))
            progressed.append(Progression(on, Certainty.STATED, SourceRef(ChartText(f"Observation/{line}"))))
        day = worse + timedelta(draw(st.integers(0, 60)))
    return number, replace(EMPTY, courses=tuple(facts), progressions=tuple(progressed))


def _given(drug: Drug, first: date, days: int, draw: st.DrawFn, number: int) -> Course:
    width = timedelta(draw(st.sampled_from([0, 0, 0, 15, 100])))
    last = first + timedelta(days)
    source = SourceRef(ChartText(f"MedicationStatement/{number}"))
    begun, ended = ClinicalDate(first - width, first + width), ClinicalDate(last, last + width)
    return Course(drug, begun, ended, False, Tier.REPORTED, Certainty.STATED, None, (source,))


@given(told())
def test_the_range_holds_the_lines_that_were_given(story: tuple[int, TreatmentHistory]) -> None:
    number, history = story
    found = count(history)
    assert found.maximum is not None
    assert found.minimum <= number <= found.maximum
