"""Lines of therapy: the range that a chart allows, and why."""

from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

import pytest

from fhir_mapping.catalog.loader import load
from fhir_mapping.lines import lines_of_therapy
from fhir_mapping.model.history import DataGap, GapCode
from fhir_mapping.model.lines import LineCount
from fhir_mapping.model.treatment import TransplantKind
from fhir_mapping.model.vocabulary import Topic
from tests.build import (
    Resource,
    condition,
    given,
    infusion,
    ordered,
    procedure,
    progression,
    reported,
)
from tests.mapping.reading import fully_read, span


def count(*records: Resource, unread: Topic | None = None) -> LineCount:
    """Count the lines of a chart."""
    return lines_of_therapy(fully_read(*records, unread=unread), load())


def after(start: str, days: int) -> str:
    """Give the day so many days after another."""
    return (date.fromisoformat(start) + timedelta(days)).isoformat()


VRD = [
    reported("bortezomib", "2020-11-10", "2021-03-20"),
    reported("lenalidomide", "2020-11-10", "2021-03-20"),
    reported("dexamethasone", "2020-11-10", "2021-03-20"),
]
MAINTENANCE = reported("lenalidomide", "2021-07-01", "2024-09-10")
DKD = [
    reported("daratumumab", "2024-10-01", "2026-10-30"),
    reported("carfilzomib", "2024-10-01", "2026-10-30"),
    reported("dexamethasone", "2024-10-01", "2026-10-30"),
]
CASE_2 = [*VRD, MAINTENANCE, progression("2024-09-10"), *DKD, progression("2026-11-10")]
VRD_ENDED = "2021-03-20"
TRANSPLANTED = "2021-05-05"
MELPHALAN = given("melphalan", "2021-05-03")
ASCT = procedure("38241", TRANSPLANTED)
VRD_AGAIN = [reported(name, "2021-08-01", "2021-10-01") for name in ("bortezomib", "lenalidomide", "dexamethasone")]
REFILLS = [ordered("lenalidomide", after("2024-01-01", 28 * number)) for number in range(26)]
LATE = [reported(name, "2020-11-10", "2021-10-01") for name in ("bortezomib", "lenalidomide")]
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
COLLECTED = procedure("38225", "2026-03-02")
CILTA_CEL = infusion("2026-04-20")


class Row(NamedTuple):
    """A chart, the range of its count, and the reason."""

    records: list[Resource]
    lines: tuple[int, int | None]
    why: str


ROWS = [
    # Nothing, and what never makes a line
    Row([], (0, 0), "nothing was given"),
    Row([reported("dexamethasone", "2026-01-01", "2026-03-01")], (0, 0), "steroids alone are no line"),
    Row([reported("zoledronic acid", "2026-01-01")], (0, 0), "bone agents never count"),
    Row([reported("plerixafor", "2026-01-01", "2026-01-03")], (0, 0), "nor do mobilisers"),
    Row([reported("acyclovir", "2026-01-01")], (0, 0), "nor does supportive care"),
    Row([reported("tocilizumab", "2026-01-01", "2026-01-01")], (0, 0), "nor do drugs against cytokine release"),
    Row([given("fludarabine", "2026-04-15")], (0, 0), "fludarabine is lymphodepletion, never a line"),
    Row([reported("lenalidomide", "2026-01-01", status="not-taken")], (0, 0), "a drug not taken was not given"),
    Row([reported("lenalidomide", "2026-01-01", status="intended")], (0, 0), "nor was a planned one"),
    Row([reported("lenalidomide", "2026-01-01", status="entered-in-error")], (0, 0), "nor one in error"),
    # Regimens
    Row(VRD, (1, 1), "three drugs on one day are one regimen"),
    Row([*VRD, given("daratumumab", after("2020-11-10", 59))], (1, 1), "59 days later: it joins the regimen"),
    Row([*VRD, given("daratumumab", after("2020-11-10", 60))], (1, 1), "60 days later: it joins the regimen"),
    Row([*VRD, given("daratumumab", after("2020-11-10", 61))], (1, 2), "61 days later: why is not recorded"),
    Row(
        [*VRD, reported("dexamethasone", "2022-01-01", "2022-02-01"), reported("prednisone", "2023-01-01")],
        (1, 1), "a change of steroid never opens a line",
    ),
    Row(
        [reported("daratumumab", "2025-01-01", "2025-06-01"), reported("Darzalex Faspro", "2025-06-08", "2026-01-01")],
        (1, 1), "the same antibody under the skin is the same drug",
    ),
    # Case 2, as the congress told it
    Row(CASE_2, (2, 2), "VRd and lenalidomide maintenance are one programme, DKd after progression the next"),
    Row([*VRD, MAINTENANCE, *DKD], (1, 2), "without recorded progression the second line is likely, not certain"),
    Row([*VRD, MAINTENANCE, progression("2024"), *DKD], (1, 2), "progression in 2024 may have come after DKd began"),
    Row([*VRD, MAINTENANCE, progression("2024-09"), *DKD], (2, 2), "progression in September 2024 came before"),
    Row([*VRD, MAINTENANCE, progression(None), *DKD], (1, 2), "an undated progression may have come at any time"),
    Row(
        [*VRD, reported("lenalidomide", "2021-08-01", "2024-09-10"), progression("2024-09-10"), *DKD],
        (2, 2), "maintenance that began four months after VRd ended is still the same programme",
    ),
    Row(
        [*VRD, reported("lenalidomide", "2021-08-01", "2024-09-10"), progression(None), *DKD],
        (1, 3), "an undated progression may have come before maintenance, or before DKd",
    ),
    Row(
        [*VRD, MELPHALAN, MAINTENANCE, progression("2024-09-10"), *DKD],
        (2, 3), "melphalan may be a line or the transplant, which is not on record",
    ),
    # Progression against the day of the change
    Row([*VRD, progression("2022-01-10"), given("daratumumab", "2022-01-10")], (2, 2), "progression on the day itself"),
    Row([*VRD, progression("2022-01-11"), given("daratumumab", "2022-01-10")], (1, 2), "progression a day too late"),
    Row([*VRD, progression("2020-11-10"), given("daratumumab", "2022-01-10")], (1, 2), "progression before VRd counts"),
    Row([*VRD, progression("2020-12-20"), given("daratumumab", "2020-12-28")], (1, 2), "early progression: either way"),
    Row(
        [*VRD, progression("2022-01-09", status="preliminary"), given("daratumumab", "2022-01-10")],
        (1, 2), "a preliminary result proves no progression",
    ),
    Row(
        [
            reported("lenalidomide", "2024-01-01", "2025-01-01", "stopped", statusReason=[{"text": "progression"}]),
            reported("pomalidomide", "2025-02-01", "2025-08-01"),
        ],
        (2, 2),
        "the reason for stopping is a progression too",
    ),
    Row(
        [
            reported("lenalidomide", "2024-01-01", "2025-01-01", "stopped", statusReason=[{"text": "toxicity"}]),
            reported("pomalidomide", "2025-02-01", "2025-08-01"),
        ],
        (1, 2),
        "a switch because of toxicity widens the range",
    ),
    # Maintenance and pauses: 183 days stand for six months
    Row(
        [*VRD, reported("lenalidomide", after("2021-03-20", 182), "2023-01-01")],
        (1, 1), "maintenance with a drug of the regimen after 182 days",
    ),
    Row([*VRD, reported("lenalidomide", after("2021-03-20", 183), "2023-01-01")], (1, 1), "after 183 days"),
    Row([*VRD, reported("lenalidomide", after("2021-03-20", 184), "2023-01-01")], (1, 2), "after 184 days it is open"),
    Row(
        [*VRD, progression("2021-05-01"), reported("lenalidomide", after("2021-03-20", 183), "2023-01-01")],
        (1, 2), "the same drug soon after progression may go on or be a new line",
    ),
    Row(
        [*VRD, progression("2021-05-01"), reported("lenalidomide", after("2021-03-20", 184), "2023-01-01")],
        (2, 2), "the same drug long after, and after progression, is a new line",
    ),
    Row([*VRD, reported("ixazomib", after(VRD_ENDED, 183), "2023-01-01")], (1, 1), "ixazomib alone is maintenance"),
    Row([*VRD, reported("ixazomib", after(VRD_ENDED, 184), "2023-01-01")], (1, 2), "184 days after VRd it is open"),
    Row([*VRD, reported("ixazomib", after(VRD_ENDED, -1), "2023-01-01")], (1, 2), "begun before VRd ended"),
    Row([*VRD, reported("pomalidomide", "2021-06-01", "2023-01-01")], (1, 2), "pomalidomide is no usual maintenance"),
    Row([*VRD, given("Darzalex Faspro", "2021-06-01")], (1, 1), "daratumumab alone, under the skin too"),
    Row(
        [*VRD, progression("2021-05-01"), reported("ixazomib", "2021-06-01", "2023-01-01")],
        (2, 2), "after progression it is a new line",
    ),
    Row(
        [*VRD, progression(None), reported("ixazomib", "2021-06-01", "2023-01-01")],
        (1, 2), "an undated progression may have come before it",
    ),
    Row(
        [*VRD, reported("ixazomib", "2021-06-01", "2023-01-01"), given("daratumumab", after("2021-06-01", 60))],
        (1, 2), "ixazomib and daratumumab 60 days later: no maintenance with one drug",
    ),
    Row(
        [*VRD, reported("ixazomib", "2021-06-01", "2023-01-01"), given("selinexor", after("2021-06-01", 61))],
        (1, 2), "ixazomib is maintenance, and why selinexor was added 61 days later is not recorded",
    ),
    Row(
        [
            reported("bortezomib", "2020-11-10", "2021-07-01"),
            reported("lenalidomide", "2020-11-10", "2020-12-20"),
            reported("lenalidomide", after("2021-07-01", 183), "2023-01-01"),
        ],
        (1, 1), "a drug of the regimen, 183 days after the last of its drugs ended",
    ),
    # Transplants: induction, mobilisation, conditioning, transplant, consolidation and maintenance are one programme
    Row([*VRD, MELPHALAN, ASCT, MAINTENANCE, progression("2024-09-10"), *DKD], (2, 2), "Case 2 with its transplant"),
    Row([*CASE_2, condition("Z94.84"), ASCT], (2, 2), "a history code is the transplant on record"),
    Row([*CASE_2, condition("Z94.84")], (2, 3), "alone it has no date: a second transplant would be a line"),
    Row([*VRD, procedure("38241", after("2020-11-10", 365))], (1, 1), "365 days after the start of VRd"),
    Row([*VRD, procedure("38241", after("2020-11-10", 366))], (1, 2), "366 days after: perhaps a line of its own"),
    Row([*VRD, procedure("38241", "2021")], (1, 2), "some day in 2021, up to 416 days after"),
    Row([*VRD, procedure("38241", "2021-05")], (1, 1), "some day in May 2021"),
    Row([*VRD, procedure("38241", "2021-05-05", "unknown")], (1, 1), "if it took place, it was part of the programme"),
    Row([*VRD, procedure("38241", "2021-05-05", "not-done")], (1, 1), "not done"),
    Row([*VRD, progression("2021-04-01"), ASCT], (2, 2), "after progression it is salvage: a new line"),
    Row([*VRD, progression(None), ASCT], (1, 2), "an undated progression may have come before it"),
    Row([*VRD, progression("2021-06-01"), ASCT], (1, 1), "progression after it says nothing of it"),
    Row(
        [*CASE_2[:-1], procedure("38241", after("2024-10-01", 120))],
        (2, 2), "a salvage transplant within a year of DKd belongs to DKd",
    ),
    Row([ASCT], (1, 1), "a transplant proves that there was a line"),
    Row([condition("Z94.84")], (0, 1), "its code proves none: it may be of another disease"),
    Row([*VRD, ASCT, procedure("38241", after(TRANSPLANTED, 183))], (1, 1), "tandem: the second 183 days later"),
    Row(
        [*LATE, procedure("38241", after("2020-11-10", 340)), procedure("38241", after("2020-11-10", 340 + 183))],
        (1, 1), "tandem, also more than a year after the regimen began",
    ),
    Row(
        [*LATE, procedure("38241", after("2020-11-10", 340)), procedure("38241", after("2020-11-10", 340 + 184))],
        (1, 2), "184 days apart and more than a year after: perhaps salvage",
    ),
    Row(
        [*VRD, ASCT, progression("2021-08-01"), procedure("38241", after(TRANSPLANTED, 183))],
        (2, 2), "a second transplant after progression is salvage",
    ),
    Row([*VRD, procedure("38240", "2021-05-05")], (1, 2), "allogeneic: a new line unless it was planned"),
    Row([*VRD, progression("2021-04-01"), procedure("38240", "2021-05-05")], (2, 2), "allogeneic after progression"),
    Row(
        [*VRD, procedure("38240", "2020-12"), given("venetoclax", "2020-12-15")],
        (1, 2), "what may precede a transplant of that month joins the regimen all the same",
    ),
    Row([*VRD, procedure("S2150", "2021-05-05", system=HCPCS)], (1, 2), "whose cells is not said"),
    Row([*VRD, procedure("38242", "2021-05-05")], (1, 1), "donor lymphocytes are no transplant"),
    # Maintenance after the transplant
    Row([*VRD, ASCT, reported("bortezomib", after(TRANSPLANTED, 183), "2023-01-01")], (1, 1), "183 days after it"),
    Row([*VRD, ASCT, reported("bortezomib", after(TRANSPLANTED, 184), "2023-01-01")], (1, 2), "184 days after it"),
    Row([*VRD, ASCT, reported("ixazomib", after(TRANSPLANTED, 183), "2023-01-01")], (1, 1), "ixazomib, 183 days after"),
    Row([*VRD, ASCT, reported("ixazomib", after(TRANSPLANTED, 184), "2023-01-01")], (1, 2), "ixazomib, 184 days after"),
    Row([*VRD, ASCT, *VRD_AGAIN], (1, 1), "consolidation with the drugs of the regimen"),
    Row(
        [*VRD, ASCT, reported("carfilzomib", "2021-09-01", "2021-12-01")], (1, 2), "new drug in consolidation: open",
    ),
    Row(
        [*VRD, ASCT, reported("ixazomib", "2021-08-10", "2023-01-01"), reported("carfilzomib", "2021-08-10")],
        (1, 2), "two new drugs are no maintenance",
    ),
    Row([*VRD, ASCT, progression("2021-07-10"), given("ixazomib", "2021-08-10")], (2, 2), "after progression: a line"),
    # What only prepares for the cells
    Row([*VRD, given("melphalan", after(TRANSPLANTED, -7)), ASCT], (1, 1), "melphalan 7 days before is conditioning"),
    Row([*VRD, given("melphalan", after(TRANSPLANTED, -8)), ASCT], (1, 2), "8 days before it may be treatment"),
    Row([*VRD, given("melphalan", after(TRANSPLANTED, 1)), ASCT], (1, 2), "a day after it is none"),
    Row([*VRD, MELPHALAN, procedure("38241", TRANSPLANTED, "unknown")], (1, 2), "if there was no transplant: a line"),
    Row(
        [*VRD, given("cyclophosphamide", "2021-04-01"), procedure("38206", after("2021-04-01", 21))],
        (1, 1), "cyclophosphamide 21 days before a stem cell collection mobilised the cells",
    ),
    Row(
        [*VRD, given("cyclophosphamide", "2021-04-01"), procedure("38206", after("2021-04-01", 22))],
        (1, 2), "22 days before it may be treatment",
    ),
    Row(
        [*VRD, reported("cyclophosphamide", "2021-04-01", "2021-05-01"), procedure("38206", "2021-04-20")],
        (1, 2), "given on after the collection it was no mobilisation alone",
    ),
    Row([*VRD, given("cyclophosphamide", "2021-04-01"), procedure("38206", None)], (1, 2), "collected on some day"),
    Row([*VRD, procedure("38206", "2021-04-20")], (1, 1), "a collection of stem cells is no line"),
    Row(
        [*VRD, COLLECTED, given("plerixafor", after("2026-03-02", -4)), given("talquetamab", "2026-03-05"), CILTA_CEL],
        (2, 3), "plerixafor 4 days before: stem cells were collected, so talquetamab was no bridging",
    ),
    Row(
        [*VRD, COLLECTED, given("plerixafor", after("2026-03-02", -5)), given("talquetamab", "2026-03-05"), CILTA_CEL],
        (2, 2), "5 days before says nothing of the collection",
    ),
    # CAR T cells
    Row([CILTA_CEL], (1, 1), "an infusion is a line"),
    Row([*CASE_2, infusion("2026-11-20")], (3, 3), "DKd began long before: it was no bridging"),
    Row([given("teclistamab", after("2026-04-20", -180)), CILTA_CEL], (1, 2), "180 days before: perhaps bridging"),
    Row([given("teclistamab", after("2026-04-20", -181)), CILTA_CEL], (2, 2), "181 days before: a line"),
    Row(
        [*VRD, procedure("38225", after("2026-04-20", -180)), given("talquetamab", "2026-01-05"), CILTA_CEL],
        (2, 2), "a collection 180 days before belongs to the infusion",
    ),
    Row(
        [*VRD, procedure("38225", after("2026-04-20", -181)), given("talquetamab", "2026-01-05"), CILTA_CEL],
        (2, 3), "one 181 days before may have been for cells that were never given",
    ),
    Row(
        [*VRD, procedure("38225", "2026-03"), given("talquetamab", "2026-03-20"), CILTA_CEL],
        (2, 3), "collected some day in March: before the drug or after it",
    ),
    Row(
        [*VRD, given("cyclophosphamide", "2026-04-15"), infusion("2026-04")],
        (2, 3), "some day in April: lymphodepletion, if the infusion came after",
    ),
    Row([*VRD, CILTA_CEL], (2, 2), "an infusion is a line of its own"),
    Row(
        [*VRD, given("cyclophosphamide", after("2026-04-20", -7)), given("fludarabine", "2026-04-15"), CILTA_CEL],
        (2, 2), "cyclophosphamide 7 days before is lymphodepletion",
    ),
    Row(
        [*VRD, given("cyclophosphamide", after("2026-04-20", -8)), COLLECTED, CILTA_CEL],
        (2, 2), "8 days before it is bridging, since the cells had been collected",
    ),
    Row(
        [*VRD, given("cyclophosphamide", after("2026-04-20", -8)), CILTA_CEL],
        (2, 3), "8 days before, and no collection on record: bridging or a line",
    ),
    Row(
        [*VRD, COLLECTED, reported("talquetamab", "2026-03-05", "2026-04-10"), CILTA_CEL],
        (2, 2), "bridging after the collection belongs to the line of the cells",
    ),
    Row(
        [*VRD, COLLECTED, progression("2026-03-04"), reported("talquetamab", "2026-03-05", "2026-04-10"), CILTA_CEL],
        (2, 3), "bridging with a new drug after progression may count on its own",
    ),
    Row(
        [*VRD, reported("talquetamab", "2026-03-01", "2026-03-20"), COLLECTED, CILTA_CEL],
        (2, 3), "begun a day before the collection it is no bridging; why it was given is not recorded",
    ),
    Row(
        [*VRD, progression("2026-02-01"), given("talquetamab", "2026-02-10"), COLLECTED, CILTA_CEL],
        (3, 3), "a line after progression, then the cells",
    ),
    Row([*VRD, procedure("38225", "2021-06-01")], (1, 1), "a collection without infusion is no line"),
    Row([*VRD, infusion("2026-04-20", status="not-done")], (1, 1), "nor is an infusion that was not done"),
    Row([CILTA_CEL, given("lenalidomide", after("2026-04-20", 60))], (1, 1), "60 days after the cells: one line"),
    Row([CILTA_CEL, given("lenalidomide", after("2026-04-20", 61))], (1, 2), "61 days after: maintenance or a line"),
    Row([infusion("2024-03-01"), progression("2026-10-12")], (1, 1), "relapse alone opens no line"),
    Row(
        [infusion("2024-03-01"), progression("2026-10-12"), given("teclistamab", "2026-10-20")],
        (2, 2), "treatment of a relapse after CAR T cells",
    ),
    Row([infusion("2024-03-01"), infusion("2026-03-01", "idecabtagene vicleucel")], (2, 2), "two infusions, two lines"),
    Row([condition("Z92.850")], (0, 1), "a history code may mean other cells"),
    Row([*VRD, condition("Z92.850")], (1, 2), "and has no date"),
    # Weak evidence
    Row([ordered("lenalidomide", "2026-01-05")], (0, 1), "an order alone proves no dose"),
    Row([*VRD, ordered("daratumumab", "2022-01-05")], (1, 2), "nor does it prove a second line"),
    Row([*CASE_2, ordered("daratumumab", "2024-09-28")], (2, 2), "the order of a drug given then adds nothing"),
    Row([*CASE_2, ordered("carfilzomib", "2025-03-01")], (2, 2), "nor does one in the middle of its course"),
    Row([*VRD, given("daratumumab", "2022-01-05", "unknown")], (1, 2), "a dose that may not have been given"),
    Row([given("lenalidomide", None)], (1, 1), "given on a day that is not known: one line"),
    Row([reported("lenalidomide", None)], (0, 1), "reported without any date: perhaps"),
    Row([*VRD, given("daratumumab", None)], (1, 2), "without a date it may be part of VRd or a line"),
    Row([*CASE_2, condition("Z92.850")], (2, 3), "cells of some day, or of another disease, break no certain line"),
    Row(
        [*VRD, reported("ixazomib", "2021-06-01", "2021-09-01"), given("daratumumab", None)],
        (1, 3), "daratumumab of any day may be a line of its own, and then ixazomib is no maintenance of VRd",
    ),
    Row([given("cyclophosphamide", "2021-04-01"), procedure("38206", None)], (0, 1), "mobilised cells on some day"),
    Row(REFILLS, (0, 1), "an order every four weeks for two years"),
    Row([*REFILLS, progression("2024-06-01")], (0, 2), "progression between them"),
    Row([given("daratumumab", "2024-01-01"), *REFILLS], (1, 1), "the orders of a drug that joined the regimen"),
    Row([ordered("lenalidomide", "2024-01-01"), ordered("lenalidomide", after("2024-01-01", 183))], (0, 1), "183 days"),
    Row([ordered("lenalidomide", "2024-01-01"), ordered("lenalidomide", after("2024-01-01", 184))], (0, 2), "184 days"),
    Row([*VRD, progression("2022-01-05"), given("daratumumab", "2022")], (1, 2), "begun in 2022, perhaps before"),
    Row([*VRD, progression("2021-12-05"), given("daratumumab", "2022")], (2, 2), "begun in 2022, surely after"),
    Row([*VRD, given("novelmab", "2022-01-05")], (1, None), "a drug that we do not know may be treatment"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.why)
def test_the_count_lies_between(row: Row) -> None:
    found = count(*row.records)
    assert (found.minimum, found.maximum) == row.lines


@pytest.mark.parametrize(
    ("unread", "lines", "said"),
    [
        (Topic.TREATMENT, (2, None), "Not all records of treatment were read and recognised."),
        (Topic.CELL_THERAPY, (2, None), "Not all records of treatment were read and recognised."),
        (Topic.PROGRESSION, (2, 3), "The myeloma may have progressed on a day that is not known."),
        (Topic.LABS, (2, 2), None),
    ],
)
def test_what_was_not_read_leaves_the_count_open(
    unread: Topic, lines: tuple[int, int | None], said: str | None
) -> None:
    late = reported("lenalidomide", "2021-08-01", "2024-09-10")
    found = count(*VRD, late, progression("2024-09-10"), *DKD, unread=unread)
    assert (found.minimum, found.maximum) == lines
    assert found.reasons == ((said,) if said else ())


@pytest.mark.parametrize(
    ("gap", "maximum"),
    [
        (DataGap(GapCode.UNREADABLE, "MedicationStatement"), None),
        (DataGap(GapCode.VERSION_CONFLICT, "Procedure"), None),
        (DataGap(GapCode.UNREADABLE, "Observation"), 2),
        (DataGap(GapCode.DATE, "MedicationStatement"), 2),
    ],
)
def test_a_lost_record_of_treatment_may_have_been_a_line(gap: DataGap, maximum: int | None) -> None:
    history = replace(fully_read(*CASE_2), gaps=(gap,))
    assert lines_of_therapy(history, load()).maximum == maximum


def test_case_2_reads_as_two_certain_lines() -> None:
    first, second = count(*CASE_2).lines
    assert [drug.name for drug in first.drugs] == ["bortezomib", "lenalidomide"]
    assert [drug.name for drug in second.drugs] == ["carfilzomib", "daratumumab"]
    assert (first.first_day, first.last_day) == (span("2020-11-10"), span("2024-09-10"))
    assert (second.first_day, second.last_day) == (span("2024-10-01"), span("2026-10-30"))
    assert (first.certain, second.certain) == (True, True)
    assert first.inferred
    assert first.reasons == (
        "The first treatment of myeloma on record.",
        "lenalidomide was started within 60 days.",
    )
    assert second.reasons[0] in {
        "The myeloma progressed (2024-09-10) before carfilzomib was started.",
        "The myeloma progressed (2024-09-10) before daratumumab was started.",
    }
    assert len(first.sources) == 3


def test_the_line_of_car_t_cells_names_its_bridging_and_lymphodepletion() -> None:
    bridging = reported("talquetamab", "2026-03-05", "2026-04-10")
    cells = count(*VRD, COLLECTED, bridging, given("cyclophosphamide", "2026-04-15"), CILTA_CEL).lines[1]
    assert [drug.name for drug in cells.drugs] == ["talquetamab", "cyclophosphamide", "ciltacabtagene autoleucel"]
    assert cells.first_day == span("2026-03-05")
    assert cells.reasons == (
        "CAR T cells are a line of their own, with their bridging and lymphodepletion.",
        "talquetamab was bridging between T-cell collection and infusion.",
        "cyclophosphamide was lymphodepletion.",
    )


WHY = [
    ([*VRD, progression("2021-04-01"), ASCT], "The myeloma progressed (2021-04-01) before the autologous transplant."),
    (
        [*VRD, procedure("38241", "2022-05-05")],
        "No regimen certainly led to the autologous transplant within 365 days.",
    ),
    ([*VRD, procedure("38240", "2021-05-05")], "An allogeneic transplant is a line of its own unless it was planned"),
    ([*VRD, procedure("S2150", "2021-05-05", system=HCPCS)], "The record of the stem cell transplant does not say"),
    ([*VRD, procedure("38240", "2021")], "The allogeneic transplant is dated no better than some day in 2021"),
    ([*VRD, ASCT, procedure("38241", "2021-10-01")], "The first treatment of myeloma on record."),
    ([*VRD, given("ixazomib", "2021-06-01")], "ixazomib was started within 183 days of the transplant or the end of"),
    (
        [*VRD, MAINTENANCE, *DKD],
        "carfilzomib was started within 183 days of other treatment: it may be its maintenance",
    ),
    ([*VRD, given("daratumumab", "2022-05-01")], "daratumumab was started after more than 60 days; why is not"),
    ([*VRD, reported("lenalidomide", "2022-05-01", "2023-01-01")], "lenalidomide had been given before: a new line"),
    ([*VRD, ordered("daratumumab", "2022-05-01")], "daratumumab was only ordered: nothing says that it was given."),
    ([*VRD, given("daratumumab", "2022")], "The first dose of daratumumab is dated no better than some day in 2022"),
    (
        [*VRD, given("daratumumab", "2022-05-01", "unknown")],
        "The record of daratumumab leaves open whether that was treatment",
    ),
    ([*VRD, given("daratumumab", None)], "Without a date it is a line of its own or part of any other."),
    ([*VRD, infusion("2026-04-20", None)], "CAR T cells are a line of their own"),
    (
        [
            reported("bortezomib", "2024-01-01", "2025-01-01", "stopped", statusReason=[{"text": "toxicity"}]),
            reported("daratumumab", "2025-02-01", "2025-08-01"),
        ],
        "Treatment before daratumumab was ended for toxicity",
    ),
]


@pytest.mark.parametrize(("records", "said"), WHY, ids=[said for _, said in WHY])
def test_a_line_says_why_it_is_one(records: list[Resource], said: str) -> None:
    assert any(reason.startswith(said) for reason in count(*records).lines[-1].reasons)


def test_early_progression_is_named_as_a_reason_for_the_range() -> None:
    found = count(*VRD, progression("2020-12-20"), given("daratumumab", "2020-12-28"))
    assert found.reasons == ("Progression soon after the start of treatment may have begun another line.",)


def test_doses_that_may_not_have_been_given_are_named_as_a_reason_for_the_range() -> None:
    weekly = [given("bortezomib", after("2024-01-01", 7 * number), "unknown") for number in range(14)]
    monthly = [given("lenalidomide", after("2024-01-01", 28 * number), "unknown") for number in range(14)]
    found = count(*weekly, *monthly)
    assert (found.minimum, found.maximum, len(found.lines)) == (0, 5, 3)
    assert found.reasons == (
        "Not all that may have been given need have been: what is told as one line may have been more.",
    )


def test_maintenance_after_a_transplant_is_called_so() -> None:
    (line,) = count(*VRD, ASCT, reported("lenalidomide", "2021-08-15", "2024-09-10")).lines
    assert line.reasons[-1].startswith("lenalidomide was started within 183 days of the transplant")


def test_a_line_names_its_progression_also_where_an_order_came_first() -> None:
    order = ordered("carfilzomib", "2024-09-20")
    second = count(*VRD, MAINTENANCE, progression("2024-09-10"), order, given("daratumumab", "2024-10-01")).lines[1]
    assert second.certain
    assert "The myeloma progressed (2024-09-10) before daratumumab was started." in second.reasons


CASE_2_WITH_TRANSPLANT = [
    *VRD,
    given("cyclophosphamide", "2021-04-05"),
    procedure("38206", "2021-04-16"),
    MELPHALAN,
    ASCT,
    MAINTENANCE,
    progression("2024-09-10"),
    *DKD,
    progression("2026-11-10"),
]


def test_the_line_of_a_transplant_names_what_belonged_to_it() -> None:
    first, second = count(*CASE_2_WITH_TRANSPLANT).lines
    assert [drug.name for drug in first.drugs] == ["bortezomib", "lenalidomide", "cyclophosphamide", "melphalan"]
    assert [(transplant.kind, transplant.on) for transplant in first.transplants] == [
        (TransplantKind.AUTOLOGOUS, span(TRANSPLANTED))
    ]
    assert not second.transplants
    assert first.reasons == (
        "The first treatment of myeloma on record.",
        "lenalidomide was started within 60 days.",
        "The autologous transplant within 365 days of the start of a regimen is part of its programme.",
        "cyclophosphamide mobilised stem cells.",
        "melphalan prepared for the transplant.",
    )
    assert (first.first_day, first.last_day) == (span("2020-11-10"), span("2024-09-10"))
    assert len(first.sources) == 6


@pytest.mark.parametrize("records", [CASE_2_WITH_TRANSPLANT, CASE_2_WITH_TRANSPLANT[::-1]])
def test_case_2_with_its_transplant_is_two_lines_in_any_order(records: list[Resource]) -> None:
    found = count(*records)
    assert (found.minimum, found.maximum, found.reasons) == (2, 2, ())


VIGNETTES = [
    ("V01", CASE_2, 2, 2, "lines=2"),
    ("V01", CASE_2_WITH_TRANSPLANT, 2, 2, "VRd, transplant and maintenance are one line, DKd the second"),
    ("V04", CASE_2, 2, 2, "fewer than the 4 of the teclistamab label"),
    ("V14", [given("teclistamab", "2026-09-01", "entered-in-error")], 0, 0, "in error"),
    ("V15", [reported("teclistamab", "2026-12-01", status="intended")], 0, 0, "planned is not given"),
    ("V16", [reported("teclistamab", "2026-06-01", status="not-taken")], 0, 0, "not taken"),
    (
        "V19",
        [
            *CASE_2[:-1],
            procedure("38225", "2026-09-28"),
            reported("talquetamab", "2026-10-05", "2026-11-10"),
            infusion("2026-11-20"),
        ],
        3,
        3,
        "talquetamab after the collection is bridging, not a line",
    ),
    ("V22", [infusion("2024-03-01"), progression("2026-10-12")], 1, 1, "relapse itself is no line"),
    ("V70", [*CASE_2, infusion("2026-11-02", "idecabtagene vicleucel", status="not-done")], 2, 2, "cells not given"),
]


@pytest.mark.parametrize(("name", "records", "fewest", "most", "why"), VIGNETTES)
def test_vignettes(name: str, records: list[Resource], fewest: int, most: int, why: str) -> None:
    found = count(*records)
    assert (found.minimum, found.maximum) == (fewest, most), f"{name}: {why}"
