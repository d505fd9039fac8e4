"""Stem cell transplants and collections of stem cells: from code, words and history to one fact each."""

from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest

from fhir_mapping.catalog.loader import load
from fhir_mapping.events import transplants
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.history import GapCode
from fhir_mapping.model.treatment import SourceRef, Transplant, TransplantKind
from fhir_mapping.model.vocabulary import Certainty, ChartText, Tier
from tests.build import CPT, ICD10CM, SNOMED, Resource, coded, condition, procedure
from tests.mapping.reading import gaps, is_silent, read, span

PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
ON = "2021-05-05"
AUTOLOGOUS, ALLOGENEIC, OPEN = TransplantKind.AUTOLOGOUS, TransplantKind.ALLOGENEIC, TransplantKind.UNKNOWN
STATED, POSSIBLE = Certainty.STATED, Certainty.POSSIBLE


def coded_as(code: Resource, **more: Any) -> Resource:
    return procedure("", ON, **more) | {"code": code}


def texted(text: str) -> Resource:
    return coded_as({"text": text})


# --- Transplants ---


@pytest.mark.parametrize(
    ("code", "system", "kind"),
    [
        ("38241", CPT, AUTOLOGOUS),
        ("38241", HCPCS, AUTOLOGOUS),
        ("30233G0", PCS, AUTOLOGOUS),
        ("30243X0", PCS, AUTOLOGOUS),
        ("30243Y0", PCS, AUTOLOGOUS),
        ("38240", CPT, ALLOGENEIC),
        ("30233G2", PCS, ALLOGENEIC),
        ("30243U3", PCS, ALLOGENEIC),
        ("30243Y4", PCS, ALLOGENEIC),
        ("S2150", HCPCS, OPEN),
        ("234336002", SNOMED, OPEN),
        ("23719005", SNOMED, OPEN),
        ("1172516002", SNOMED, OPEN),
    ],
)
def test_a_code_says_whose_cells_were_given(code: str, system: str, kind: TransplantKind) -> None:
    (found,) = read(procedure(code, ON, system=system)).transplants
    assert (found.kind, found.on, found.tier, found.certainty) == (kind, span(ON), Tier.PROVEN, STATED)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ASCT", AUTOLOGOUS),
        ("Autologous stem cell transplant", AUTOLOGOUS),
        ("AUTOLOGOUS STEM-CELL TRANSPLANTATION", AUTOLOGOUS),
        ("Auto-HCT", AUTOLOGOUS),
        ("auto-SCT", AUTOLOGOUS),
        ("Autologous hematopoietic cell transplantation", AUTOLOGOUS),
        ("Autologous bone marrow transplant", AUTOLOGOUS),
        ("Bone marrow transplant, autologous", AUTOLOGOUS),
        ("High-dose melphalan with stem cell rescue", AUTOLOGOUS),
        ("Autologous stem cell infusion", AUTOLOGOUS),
        ("Autologous PBSC reinfusion", AUTOLOGOUS),
        ("Allogeneic stem cell transplant", ALLOGENEIC),
        ("Allo-HCT", ALLOGENEIC),
        ("alloSCT", ALLOGENEIC),
        ("Allo-SCT from matched unrelated donor", ALLOGENEIC),
        ("Haploidentical bone marrow transplant", ALLOGENEIC),
        ("Stem cell transplant", OPEN),
        ("Bone marrow transplantation", OPEN),
        ("HSCT", OPEN),
        ("Stem cell transplant, autologous or allogeneic", OPEN),
    ],
)
def test_a_transplant_in_words_alone_counts(text: str, kind: TransplantKind) -> None:
    history = read(texted(text))
    assert [found.kind for found in history.transplants] == [kind]
    assert is_silent(history)


@pytest.mark.parametrize(
    "text",
    [
        "Education on stem cell transplant",
        "Consent for autologous stem cell transplant",
        "Transplant evaluation",
        "Stem cell transplant consultation",
        "Stem cell transplant planning",
        "Follow-up after ASCT",
        "Bone marrow biopsy post ASCT",
        "Bone marrow biopsy, day 100 after autologous stem cell transplant",
        "History of stem cell transplant",
        "S/P autologous stem cell transplant",
        "Transplant status visit",
        "No stem cell transplant",
        "Autologous stem cell transplant declined",
        "Not a candidate for ASCT",
        "Stem cell boost after CAR T",
        "Limbal stem cell transplant",
        "Kidney transplant",
        "Corneal transplant",
        "HCT",
        "Donor lymphocyte infusion after allo-SCT",
        "HLA typing for stem cell transplant",
    ],
)
def test_words_about_a_transplant_are_none(text: str) -> None:
    assert not read(texted(text)).transplants


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        pytest.param(coded(SNOMED, "234336002", "Autologous stem cell transplant"), AUTOLOGOUS, id="the text says it"),
        pytest.param(
            coded("urn:example:local", "X", "Allogeneic bone marrow transplantation"), ALLOGENEIC, id="a local code"
        ),
        pytest.param(coded(CPT, "38241", "Stem cell transplant"), AUTOLOGOUS, id="the code says it"),
        pytest.param(coded(CPT, "38241", "Allogeneic transplant"), OPEN, id="code and text differ"),
        pytest.param(
            {"coding": [*coded(CPT, "38241")["coding"], *coded(CPT, "38240")["coding"]]}, OPEN, id="two codes differ"
        ),
        pytest.param(
            {"coding": [*coded(CPT, "38241")["coding"], *coded(SNOMED, "23719005")["coding"]]},
            AUTOLOGOUS,
            id="one of two codes says it",
        ),
    ],
)
def test_code_and_words_are_read_together(code: Resource, kind: TransplantKind) -> None:
    assert [found.kind for found in read(coded_as(code)).transplants] == [kind]


@pytest.mark.parametrize("code", [coded(CPT, "38242"), coded(CPT, "38242", "Allogeneic donor lymphocytes")])
def test_donor_lymphocytes_are_no_transplant(code: Resource) -> None:
    history = read(coded_as(code))
    assert not history.transplants
    assert is_silent(history)


def test_the_drug_before_a_transplant_was_not_given_by_it() -> None:
    history = read(texted("Autologous stem cell infusion after melphalan 200 mg/m2"), texted("ASCT (melphalan 140)"))
    assert not history.courses


STATUSES = [
    ("completed", STATED),
    ("in-progress", STATED),
    ("stopped", STATED),
    ("on-hold", POSSIBLE),
    ("unknown", POSSIBLE),
    ("preparation", None),
    ("not-done", None),
    ("entered-in-error", None),
    pytest.param(None, POSSIBLE, id="no status"),
    pytest.param("active", POSSIBLE, id="a status of another resource"),
]


@pytest.mark.parametrize(("status", "certainty"), STATUSES)
def test_a_transplant_counts_as_far_as_its_status_says(status: Any, certainty: Certainty | None) -> None:
    assert [t.certainty for t in read(procedure("38241", ON, status)).transplants] == [certainty] * (
        certainty is not None
    )


def test_a_modifier_that_is_not_known_leaves_a_transplant_possible() -> None:
    history = read(procedure("38241", ON, modifierExtension=[{"url": "urn:example:x"}]))
    assert [found.certainty for found in history.transplants] == [POSSIBLE]
    assert gaps(history) == {GapCode.NOT_UNDERSTOOD}


@pytest.mark.parametrize(
    ("more", "on"),
    [
        pytest.param({"performedPeriod": {"start": ON, "end": "2021-05-20"}}, span(ON), id="start of the stay"),
        pytest.param({"performedDateTime": "2021-05"}, span("2021-05-01", "2021-05-31"), id="month"),
        pytest.param({"performedDateTime": "2021"}, span("2021-01-01", "2021-12-31"), id="year"),
        pytest.param({}, None, id="none"),
    ],
)
def test_the_day_of_a_transplant_is_read_as_exactly_as_it_was_written(more: Resource, on: ClinicalDate | None) -> None:
    assert [found.on for found in read(procedure("38241", None, **more)).transplants] == [on]


# --- History of a transplant ---


@pytest.mark.parametrize(
    ("code", "system"),
    [
        ("Z94.84", ICD10CM),
        ("Z9484", ICD10CM),
        ("Z94.81", ICD10CM),
        ("T86.00", ICD10CM),
        ("T86.01", ICD10CM),
        ("T86.09", ICD10CM),
        ("153351000119102", SNOMED),
        ("2631000119108", SNOMED),
    ],
)
def test_a_history_code_is_a_transplant_of_unknown_day_and_donor(code: str, system: str) -> None:
    history = read(condition("", "2022-03-02") | {"code": coded(system, code)})
    (found,) = history.transplants
    assert (found.kind, found.on, found.tier, found.certainty) == (OPEN, None, Tier.UNDATED, STATED)
    assert is_silent(history)


@pytest.mark.parametrize(
    ("status", "certainty"),
    [
        ("confirmed", STATED),
        ("unconfirmed", POSSIBLE),
        ("provisional", POSSIBLE),
        ("differential", POSSIBLE),
        ("refuted", None),
        ("entered-in-error", None),
    ],
)
def test_a_history_code_is_as_sure_as_its_verification(status: str, certainty: Certainty | None) -> None:
    history = read(condition("Z94.84", verificationStatus=coded(VERIFICATION, status)))
    assert [found.certainty for found in history.transplants] == [certainty] * (certainty is not None)


@pytest.mark.parametrize("code", ["Z94.0", "Z94.7", "T86.10", "Z94.9"])
def test_other_transplants_are_none_of_stem_cells(code: str) -> None:
    assert not read(condition(code)).transplants


# --- Records of one transplant ---


def transplant(
    kind: TransplantKind, on: str | None, certainty: Certainty = STATED, until: str | None = None
) -> Transplant:
    """Make one record of a transplant."""
    source = SourceRef(ChartText(f"Procedure/{kind.name}-{on}-{certainty.name}"))
    tier = Tier.PROVEN if on else Tier.UNDATED
    return Transplant(kind, span(on, until) if on else None, tier, certainty, (source,))


def day(apart: int) -> str:
    return (date.fromisoformat(ON) + timedelta(apart)).isoformat()


JOINED = [
    ([transplant(AUTOLOGOUS, ON), transplant(AUTOLOGOUS, day(30))], [(AUTOLOGOUS, ON)], "30 days apart: one"),
    (
        [transplant(AUTOLOGOUS, ON), transplant(AUTOLOGOUS, day(31))],
        [(AUTOLOGOUS, ON), (AUTOLOGOUS, day(31))],
        "31 days apart: two",
    ),
    (
        [transplant(AUTOLOGOUS, ON), transplant(AUTOLOGOUS, day(120))],
        [(AUTOLOGOUS, ON), (AUTOLOGOUS, day(120))],
        "tandem transplants four months apart stay two",
    ),
    (
        [transplant(AUTOLOGOUS, ON), transplant(ALLOGENEIC, day(1))],
        [(AUTOLOGOUS, ON), (ALLOGENEIC, day(1))],
        "different donors are different transplants",
    ),
    ([transplant(OPEN, day(1)), transplant(AUTOLOGOUS, ON)], [(AUTOLOGOUS, ON)], "an open donor is the one known"),
    (
        [transplant(OPEN, ON), transplant(AUTOLOGOUS, day(1), POSSIBLE)],
        [(OPEN, ON)],
        "a possible record tells nothing of the donor",
    ),
    ([transplant(AUTOLOGOUS, ON), transplant(OPEN, None)], [(AUTOLOGOUS, ON)], "a history code is explained"),
    ([transplant(OPEN, ON), transplant(OPEN, None)], [(OPEN, ON)], "also by a transplant of an open donor"),
    (
        [transplant(AUTOLOGOUS, ON, POSSIBLE), transplant(OPEN, None)],
        [(AUTOLOGOUS, ON), (OPEN, None)],
        "not by a possible one",
    ),
    (
        [transplant(AUTOLOGOUS, ON), transplant(ALLOGENEIC, None)],
        [(AUTOLOGOUS, ON), (ALLOGENEIC, None)],
        "an undated transplant of another donor is another",
    ),
    ([transplant(OPEN, None), transplant(OPEN, None)], [(OPEN, None)], "two codes of history say the same"),
    ([transplant(OPEN, None), transplant(AUTOLOGOUS, None)], [(AUTOLOGOUS, None)], "and so do a code and a record"),
    (
        [transplant(AUTOLOGOUS, "2021-01-01", until="2021-12-31"), transplant(AUTOLOGOUS, ON)],
        [(AUTOLOGOUS, ON)],
        "an exact day is kept against a year",
    ),
    (
        [transplant(AUTOLOGOUS, "2021-01-01", until="2021-12-31"), transplant(OPEN, ON)],
        [(AUTOLOGOUS, ON)],
        "the donor of one record, the day of the other",
    ),
]


@pytest.mark.parametrize(("records", "found", "why"), JOINED, ids=[row[-1] for row in JOINED])
def test_records_of_one_transplant_are_one(
    records: list[Transplant], found: list[tuple[TransplantKind, str | None]], why: str
) -> None:
    for order in permutations(records):
        joined = transplants(order, load().days("same_transplant"))
        assert [(t.kind, t.on) for t in joined] == [(kind, span(on) if on else None) for kind, on in found], why
        if len(found) < len(records) and found[0][1] is None:
            assert len(joined[0].sources) == len(records)


def test_a_transplant_names_all_records_of_it() -> None:
    (found,) = read(procedure("38241", ON, id="a"), procedure("30243Y0", ON, system=PCS, id="b")).transplants
    assert {source.reference for source in found.sources} == {"Procedure/a", "Procedure/b"}


# --- Collections of stem cells ---


@pytest.mark.parametrize(("code", "system"), [("38205", CPT), ("38206", CPT), ("6A550ZV", PCS), ("6A551ZV", PCS)])
def test_a_code_of_a_stem_cell_collection_is_none_of_t_cells(code: str, system: str) -> None:
    history = read(procedure(code, ON, system=system))
    assert [found.collected for found in history.stem_cell_collections] == [span(ON)]
    assert is_silent(history)
    assert not history.transplants


@pytest.mark.parametrize(
    "text",
    [
        "PBSC collection",
        "Stem cell collection",
        "Stem cell mobilization and collection",
        "Autologous stem cell harvest",
        "Peripheral blood stem cell apheresis",
        "CD34+ cell collection",
        "Leukapheresis, stem cell collection",
        "HPC apheresis",
        "Bone marrow harvest",
    ],
)
def test_a_stem_cell_collection_in_words_alone_counts(text: str) -> None:
    history = read(texted(text))
    assert len(history.stem_cell_collections) == 1
    assert not history.transplants
    assert not history.collections


@pytest.mark.parametrize(
    "text",
    ["Stem cell mobilization", "Education on stem cell collection", "No stem cell collection", "Leukapheresis"],
)
def test_words_about_a_stem_cell_collection_are_none(text: str) -> None:
    assert not read(texted(text)).stem_cell_collections


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(coded(PCS, "6A550Z1", "Leukapheresis for CD34 collection"), id="the text says which cells"),
        pytest.param(
            {"coding": [*coded(PCS, "6A550Z1")["coding"], *coded(CPT, "38206")["coding"]]}, id="a second code says it"
        ),
    ],
)
def test_a_leukapheresis_of_stem_cells_is_none_of_t_cells(code: Resource) -> None:
    history = read(coded_as(code))
    assert len(history.stem_cell_collections) == 1
    assert not history.collections


@pytest.mark.parametrize(("status", "certainty"), STATUSES)
def test_a_stem_cell_collection_counts_once_it_certainly_took_place(status: Any, certainty: Certainty | None) -> None:
    assert len(read(procedure("38206", ON, status)).stem_cell_collections) == (certainty is STATED)
