"""CAR T episodes: which collections, treatment and infusion belong together, and how far an episode has come."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations
from typing import Any, NamedTuple

import pytest

from fhir_mapping.catalog.loader import load
from fhir_mapping.episodes import car_t_episodes
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.episodes import CarTEpisode, EpisodeState
from fhir_mapping.model.history import DataGap, GapCode
from fhir_mapping.model.vocabulary import Antigen, Certainty, Topic
from tests.build import AS_OF, Resource, condition, given, infusion, ordered, procedure, reported
from tests.mapping.reading import fully_read, span

PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
INFUSED = "2026-04-20"
CILTA_CEL = infusion(INFUSED)
TODAY = AS_OF.isoformat()
COLLECTED_STATE, DONE, ABANDONED = EpisodeState.COLLECTED, EpisodeState.INFUSED, EpisodeState.ABANDONED
HISTORY, OPEN = EpisodeState.HISTORY, EpisodeState.UNKNOWN


def episodes(*records: Resource, unread: Topic | None = None) -> tuple[CarTEpisode, ...]:
    """Infer the episodes of a chart."""
    return car_t_episodes(fully_read(*records, unread=unread), load())


def day(start: str, days: int) -> str:
    """Give the day so many days after another."""
    return (date.fromisoformat(start) + timedelta(days)).isoformat()


def collected(on: str | None, **more: Any) -> Resource:
    """Make a T-cell collection."""
    return procedure("38225", on, **more)


class Row(NamedTuple):
    """A chart, the state of each episode with the number of its collections, and the reason."""

    records: list[Resource]
    found: list[tuple[EpisodeState, int]]
    why: str


ROWS = [
    Row([], [], "no cells"),
    Row([CILTA_CEL], [(DONE, 0)], "an infusion without a collection on record"),
    # Which collection belongs to an infusion
    Row([collected(day(INFUSED, -180)), CILTA_CEL], [(DONE, 1)], "collected 180 days before"),
    Row([collected(day(INFUSED, -181)), CILTA_CEL], [(ABANDONED, 1), (DONE, 0)], "181 days before: for other cells"),
    Row([collected(INFUSED), CILTA_CEL], [(DONE, 1)], "on the day itself"),
    Row([collected(day(INFUSED, 1)), CILTA_CEL], [(DONE, 0), (ABANDONED, 1)], "collected the day after: for others"),
    Row([collected("2026-02-01"), collected("2026-03-02"), CILTA_CEL], [(DONE, 2)], "two collections for one infusion"),
    Row(
        [collected("2026-03-02"), CILTA_CEL, infusion("2026-06-20", "idecabtagene vicleucel")],
        [(DONE, 1), (DONE, 0)],
        "the cells belong to the first infusion after them",
    ),
    Row(
        [collected("2026-03-02"), infusion("2026-04-01", status="unknown"), CILTA_CEL],
        [(DONE, 1), (OPEN, 0)],
        "a stated infusion takes the cells before a possible one",
    ),
    Row([collected("2026"), CILTA_CEL], [(OPEN, 1), (DONE, 0)], "collected some day in 2026: before it or after"),
    Row([collected("2026-03"), CILTA_CEL], [(DONE, 1)], "collected some day in March"),
    Row([collected("2025-10"), CILTA_CEL], [(OPEN, 1), (DONE, 0)], "171 to 201 days before: perhaps for these cells"),
    Row([collected("2026-03-02"), infusion("2026-04")], [(DONE, 1)], "infused some day in April"),
    # What became of a collection
    Row([collected(day(TODAY, -180))], [(COLLECTED_STATE, 1)], "180 days ago, the infusion may still come"),
    Row([collected(day(TODAY, -181))], [(ABANDONED, 1)], "181 days ago and never infused"),
    Row([collected("2026-05")], [(OPEN, 1)], "some day in May, 173 to 203 days ago"),
    Row([collected("2026-06")], [(COLLECTED_STATE, 1)], "some day in June"),
    Row([collected("2026-04")], [(ABANDONED, 1)], "some day in April"),
    Row([collected(None)], [(OPEN, 1)], "collected on an unknown day"),
    Row([collected("2026-01-05"), collected("2026-07-04")], [(COLLECTED_STATE, 2)], "collected again 180 days later"),
    Row(
        [collected("2026-01-05"), collected("2026-07-05")],
        [(ABANDONED, 1), (COLLECTED_STATE, 1)],
        "collected again 181 days later: another attempt",
    ),
    Row([collected("2026-03-02"), infusion(INFUSED, status="not-done")], [(ABANDONED, 1)], "the infusion was not done"),
    Row(
        [collected("2026-03-02"), infusion(INFUSED, status="not-done"), infusion("2026-05-20")],
        [(DONE, 1)],
        "not done, then done: one episode",
    ),
    Row([collected("2026-03-02"), condition("Z92.850")], [(OPEN, 1), (HISTORY, 0)], "the history code may mean these"),
    Row([collected("2026-03-02"), given("anbal-cel", "2026-04-20")], [(OPEN, 1)], "cells that we do not know"),
    Row([collected("2026-03-02", status="not-done")], [], "a collection that was not done"),
    Row([collected("2026-03-02", status="entered-in-error")], [], "a collection in error"),
    # Infusions that leave something open
    Row([infusion(INFUSED, status="unknown")], [(OPEN, 0)], "perhaps infused"),
    Row([collected("2026-03-02"), infusion(INFUSED, status="unknown")], [(OPEN, 1)], "collected, perhaps infused"),
    Row([infusion(None)], [(DONE, 0)], "infused on an unknown day"),
    Row([condition("Z92.850")], [(HISTORY, 0)], "a history code alone"),
    Row([condition("Z92.850"), CILTA_CEL], [(DONE, 0)], "the code means the infusion on record"),
    Row([infusion(INFUSED), infusion(day(INFUSED, 7))], [(DONE, 0)], "two records 7 days apart are one infusion"),
    Row([infusion(INFUSED), infusion(day(INFUSED, 8))], [(DONE, 0), (DONE, 0)], "8 days apart: two"),
    # Stem cells are no T cells
    Row([procedure("38206", "2026-10-02")], [], "a collection of stem cells"),
    Row([procedure("6A550Z1", "2026-10-02", system=PCS), procedure("38206", "2026-10-02")], [], "coded as both"),
    Row([procedure("6A550Z1", "2026-10-02", system=PCS)], [(COLLECTED_STATE, 1)], "a leukapheresis is one of T cells"),
    Row([collected("2026-10-06"), given("plerixafor", "2026-10-02")], [], "4 days after plerixafor: stem cells"),
    Row([collected("2026-10-02"), given("motixafortide", "2026-10-06")], [], "between doses of motixafortide"),
    Row([collected("2026-10-06"), given("plerixafor", "2026-10-01")], [(COLLECTED_STATE, 1)], "5 days after it"),
    Row(
        [collected("2026-10-06"), given("plerixafor", "2026-10-05", "unknown")],
        [(COLLECTED_STATE, 1)],
        "plerixafor that may not have been given",
    ),
    Row([collected("2026-10-06"), ordered("plerixafor", "2026-10-05")], [(COLLECTED_STATE, 1)], "only ordered"),
    Row([collected(TODAY), ordered("plerixafor", TODAY)], [(COLLECTED_STATE, 1)], "only ordered, today"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.why)
def test_episodes_by_state_and_collections(row: Row) -> None:
    for order in permutations(row.records):
        assert [(found.state, len(found.collections)) for found in episodes(*order)] == row.found
        assert all(found.inferred and found.sources for found in episodes(*order))
        assert all(found.reasons or found.state is DONE for found in episodes(*order))


@pytest.mark.parametrize("unread", [Topic.TREATMENT, Topic.CELL_THERAPY])
@pytest.mark.parametrize("on", ["2026-10-02", "2026-03-02"])
def test_cells_may_have_been_infused_where_not_all_was_read(unread: Topic, on: str) -> None:
    (found,) = episodes(collected(on), unread=unread)
    assert found.state is OPEN
    assert found.reasons == (
        "Not all records of cell therapy were read and recognised: the cells may have been infused.",
    )


def test_a_lost_record_may_have_been_the_infusion() -> None:
    history = replace(
        fully_read(collected("2026-03-02")), gaps=(DataGap(GapCode.UNREADABLE, "MedicationAdministration"),)
    )
    assert [found.state for found in car_t_episodes(history, load())] == [OPEN]


def test_a_drug_that_is_not_known_is_no_cells() -> None:
    assert [found.state for found in episodes(collected("2026-03-02"), given("novelmab", "2026-04-01"))] == [ABANDONED]


# --- Bridging and lymphodepletion ---

COLLECTED = collected("2026-03-02", id="collection")


def _names(records: tuple[object, ...]) -> list[str]:
    return [record.drug.name for record in records]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("record", "bridging", "why"),
    [
        (reported("talquetamab", "2026-03-05", "2026-04-10"), ["talquetamab"], "begun and ended between"),
        (reported("talquetamab", "2026-03-02", "2026-04-10"), ["talquetamab"], "begun on the day of the collection"),
        (given("talquetamab", INFUSED), ["talquetamab"], "given on the day of the infusion"),
        (reported("talquetamab", "2026-02-01", "2026-03-03"), ["talquetamab"], "begun before, and given on after it"),
        (reported("talquetamab", "2026-02-01", "2026-03-02"), [], "ended on the day of the collection"),
        (given("talquetamab", "2026-03-01"), [], "given before the collection"),
        (given("talquetamab", "2026-04-21"), [], "given after the infusion"),
        (reported("dexamethasone", "2026-03-05", "2026-03-08"), ["dexamethasone"], "steroids bridge too"),
        (ordered("talquetamab", "2026-03-05"), [], "only ordered"),
        (given("talquetamab", "2026-03-05", "unknown"), [], "perhaps given"),
        (reported("acyclovir", "2026-03-05", "2026-04-10"), [], "prophylaxis is no bridging"),
    ],
)
def test_bridging_is_what_was_given_between_collection_and_infusion(
    record: Resource, bridging: list[str], why: str
) -> None:
    (found,) = episodes(COLLECTED, record, CILTA_CEL)
    assert _names(found.bridging) == bridging, why


def test_without_a_collection_nothing_is_known_to_be_bridging() -> None:
    (found,) = episodes(given("talquetamab", "2026-04-01"), CILTA_CEL)
    assert not found.bridging


def test_dates_that_leave_bridging_open_are_said() -> None:
    (found,) = episodes(COLLECTED, given("talquetamab", "2026-03"), CILTA_CEL)
    assert not found.bridging
    assert "The dates of talquetamab leave open whether it was bridging." in found.reasons


def test_what_was_given_since_the_collection_is_bridging_so_far() -> None:
    (found,) = episodes(collected("2026-09-28"), reported("talquetamab", "2026-10-05", "2026-11-10"))
    assert (found.state, _names(found.bridging)) == (COLLECTED_STATE, ["talquetamab"])


@pytest.mark.parametrize(
    ("records", "prepared"),
    [
        ([given("cyclophosphamide", day(INFUSED, -7))], ["cyclophosphamide"]),
        ([given("cyclophosphamide", day(INFUSED, -8))], []),
        ([given("cyclophosphamide", day(INFUSED, 1))], []),
        ([given("fludarabine", day(INFUSED, -5))], ["fludarabine"]),
        ([given("fludarabine", day(INFUSED, -8))], []),
        (
            [given("cyclophosphamide", day(INFUSED, -5)), given("fludarabine", day(INFUSED, -4))],
            ["cyclophosphamide", "fludarabine"],
        ),
        ([given("cyclophosphamide", day(INFUSED, -5), "unknown")], []),
    ],
)
def test_lymphodepletion_is_given_at_most_seven_days_before(records: list[Resource], prepared: list[str]) -> None:
    (found,) = episodes(COLLECTED, *records, CILTA_CEL)
    assert _names(found.lymphodepletion) == prepared
    if prepared:
        assert not found.bridging


def test_fludarabine_that_was_only_ordered_is_no_lymphodepletion() -> None:
    (found,) = episodes(ordered("fludarabine", TODAY), infusion(TODAY))
    assert not found.lymphodepletion


def test_dates_that_leave_lymphodepletion_open_are_said() -> None:
    (found,) = episodes(given("cyclophosphamide", "2026-04"), CILTA_CEL)
    assert not found.lymphodepletion
    assert "The dates of cyclophosphamide leave open whether it was lymphodepletion." in found.reasons


def test_an_episode_names_all_its_records() -> None:
    (found,) = episodes(
        COLLECTED,
        reported("talquetamab", "2026-03-05", "2026-04-10", id="bridging"),
        given("cyclophosphamide", "2026-04-15", id="cy"),
        given("fludarabine", "2026-04-15", id="flu"),
        infusion(INFUSED, id="cells"),
    )
    assert {source.reference for source in found.sources} == {
        "Procedure/collection",
        "MedicationStatement/bridging",
        "MedicationAdministration/cy",
        "MedicationAdministration/flu",
        "MedicationAdministration/cells",
    }
    assert found.product is not None
    assert found.product.name == "ciltacabtagene autoleucel"
    assert found.targets(Antigen.BCMA) is Answer.YES
    assert found.targets(Antigen.GPRC5D) is Answer.NO
    assert found.reasons == ()


# --- Whose disease the cells were for ---

AXI_CEL = given("axicabtagene ciloleucel", "2022-03-01")
LYMPHOMA = condition("C83.30")
OTHER = "The cells may have been given for another disease: "


@pytest.mark.parametrize(
    ("records", "state", "certainty", "reason", "why"),
    [
        ([condition("Z92.850")], HISTORY, Certainty.STATED, None, "nothing speaks for another disease"),
        ([condition("Z92.850"), LYMPHOMA], HISTORY, Certainty.POSSIBLE, "another B-cell malignancy", "lymphoma"),
        ([condition("Z92.850"), AXI_CEL], HISTORY, Certainty.POSSIBLE, "such a product", "a CD19 product"),
        ([infusion("2022-03-05", None), AXI_CEL], OPEN, Certainty.POSSIBLE, "such a product", "4 days apart"),
        ([infusion("2022-03-08", None), AXI_CEL], OPEN, Certainty.POSSIBLE, "such a product", "7 days apart"),
        ([infusion("2022-03-09", None), AXI_CEL], DONE, Certainty.STATED, None, "8 days apart: other cells"),
        ([infusion("2024-03-05", None), LYMPHOMA], DONE, Certainty.STATED, None, "a dated infusion beside a lymphoma"),
        ([infusion("2022-03-05"), AXI_CEL, LYMPHOMA], DONE, Certainty.STATED, None, "the product is named"),
    ],
)
def test_unnamed_cells_may_be_those_for_another_disease(
    records: list[Resource], state: EpisodeState, certainty: Certainty, reason: str | None, why: str
) -> None:
    for order in (records, records[::-1]):
        (found,) = episodes(*order)
        assert (found.state, found.certainty) == (state, certainty), why
        said = [text for text in found.reasons if text.startswith(OTHER)]
        assert len(said) == (reason is not None)
        assert reason is None or reason in said[0]


@pytest.mark.parametrize(
    ("records", "bcma"),
    [
        ([infusion(INFUSED, None)], Answer.UNKNOWN),
        ([infusion(INFUSED, status="unknown")], Answer.UNKNOWN),
        ([collected("2026-10-02")], Answer.NO),
        ([collected(day(TODAY, -181))], Answer.NO),
        ([collected(None)], Answer.UNKNOWN),
        ([condition("Z92.850")], Answer.UNKNOWN),
    ],
)
def test_what_an_episode_says_of_the_target(records: list[Resource], bcma: Answer) -> None:
    (found,) = episodes(*records)
    assert found.targets(Antigen.BCMA) is bcma


# --- Words ---


@pytest.mark.parametrize(
    ("records", "reasons"),
    [
        ([collected("2026-10-02")], ("Cells were collected at most 180 days ago, and no infusion is on record.",)),
        ([collected("2026-03-02")], ("No infusion followed within 180 days: not exposed to CAR T cells.",)),
        ([collected("2026-05")], ("The date of the collection leaves open whether it was 180 days ago.",)),
        ([collected(None)], ("The collection has no date.",)),
        (
            [infusion("2026-04", None)],
            (
                "The infusion is dated no better than some day in April 2026.",
                "No record names the product: its target is unconfirmed.",
            ),
        ),
        ([infusion(None)], ("No record dates the infusion.",)),
        ([infusion(INFUSED, status="unknown")], ("The record leaves open whether the cells were infused.",)),
        (
            [condition("Z92.850")],
            (
                "Only a history code or a report without a date: when the cells were infused is not known.",
                "No record names the product: its target is unconfirmed.",
            ),
        ),
    ],
)
def test_an_episode_says_why(records: list[Resource], reasons: tuple[str, ...]) -> None:
    (found,) = episodes(*records)
    assert found.reasons == reasons


def test_a_collection_that_an_infusion_may_have_used_says_so() -> None:
    first, _ = episodes(collected("2025-10"), CILTA_CEL)
    assert first.reasons == ("The dates leave open whether the cells were infused.",)
    undated, _ = episodes(collected("2026-03-02"), condition("Z92.850"))
    assert undated.reasons == ("An infusion without a date may be the one for which the cells were collected.",)


VIGNETTES = [
    ("V19", [collected("2026-09-28"), reported("talquetamab", "2026-10-05", "2026-11-10")], COLLECTED_STATE, None),
    ("V22", [infusion("2024-03-01")], DONE, "2024-03-01"),
    ("V23", [infusion("2026-03-01")], DONE, "2026-03-01"),
    ("V28", [reported("teclistamab", "2026-01-05", "2026-05-04", "stopped")], None, None),
    ("V70", [infusion("2026-11-02", "idecabtagene vicleucel", status="not-done")], None, None),
]


@pytest.mark.parametrize(("name", "records", "state", "on"), VIGNETTES)
def test_vignettes(name: str, records: list[Resource], state: EpisodeState | None, on: str | None) -> None:
    found = episodes(*records)
    assert [episode.state for episode in found] == ([state] if state else []), name
    infused = [episode.infusion.infused for episode in found if episode.infusion]
    assert infused == ([span(on)] if on else [])


def test_a_collection_that_may_not_have_taken_place_makes_no_episode() -> None:
    assert episodes(collected("2026-04-01", status="unknown")) == ()
    (episode,) = episodes(collected("2026-04-01", status="unknown"), CILTA_CEL)
    assert not episode.collections
