"""Local codes and texts of a site: what they become, what is refused, and that nothing shipped changes."""

from datetime import date

import pytest

from fhir_mapping import wire
from fhir_mapping.build import build_history
from fhir_mapping.catalog.loader import Catalog, load
from fhir_mapping.catalog.site_map import (
    BILLS_ANYTHING,
    CONTRADICTED,
    DRUG_GROUPS,
    NO_SUCH_CONCEPT,
    NO_WORDS,
    OTHER_DRUG,
    SEVERAL_DRUGS,
    SHIPPED,
    SPOKEN_FOR,
    TEXT_SYSTEM,
    UNREADABLE_CODE,
    Entry,
    count_added,
    faults_of,
    with_entries,
)
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.vocabulary import Certainty, Topic
from fhir_mapping.needs import coverage_of, searches
from tests.build import AS_OF, ICD10CM, LOINC, RXNORM, SNOMED, Resource, bundle, coded, given, lab, patient, reported
from tests.mapping.reading import ZONE, decoded

LOCAL = "urn:oid:2.16.840.1.113883.3.9999.1"
NDC = "http://hl7.org/fhir/sid/ndc"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"


def entry(concept: str, code: str = "LOC-1", system: str = LOCAL) -> Entry:
    return Entry(system, code, concept, "here")


def mapped(*entries: Entry) -> Catalog:
    """Give the shipped catalogue with some entries, which must have no fault."""
    assert faults_of(load(), entries) == []
    return with_entries(load(), entries)


def said_of(*entries: Entry) -> list[str]:
    return [fault for _, fault in faults_of(load(), entries)]


def concept(code: str | None = None, system: str = LOCAL, text: str | None = None) -> wire.Concept:
    return wire.Concept((wire.Coding(system, code),) if code else (), text)


def read(catalog: Catalog, *resources: Resource, as_of: date = AS_OF) -> TreatmentHistory:
    pile = decoded(bundle([patient(), *resources]))
    return build_history(pile.found, coverage_of({}), catalog, as_of, ZONE)


# What a mapped code becomes


def test_a_local_code_is_the_drug_it_is_mapped_to() -> None:
    catalog = mapped(entry("teclistamab"))

    match = catalog.drug(concept("LOC-1", text="TECLI STEP 1"))

    assert [drug.id for drug in match.drugs] == ["teclistamab"]
    assert match.how == ("site map",)
    assert match.certainty is Certainty.STATED


@pytest.mark.parametrize(
    ("sent", "system"),
    [("loc-1 ", LOCAL), ("LOC-1", f"{LOCAL}/"), ("LOC-1", f" {LOCAL}")],
    ids=["code", "slash", "space"],
)
def test_spellings_of_code_and_system_are_forgiven_as_everywhere(sent: str, system: str) -> None:
    assert mapped(entry("teclistamab")).drug(concept(sent, system)).drugs


@pytest.mark.parametrize(
    ("code", "system"), [("LOC-2", LOCAL), ("LOC-1", f"{LOCAL}.2"), ("LOC-1", RXNORM)], ids=["code", "system", "public"]
)
def test_another_code_or_system_stays_as_it_was(code: str, system: str) -> None:
    text = "TECLI STEP 1"

    assert mapped(entry("teclistamab")).drug(concept(code, system, text)) == load().drug(concept(code, system, text))


def test_the_shipped_catalogue_is_left_as_it_is() -> None:
    before = dict(load().drug_codes)

    mapped(entry("teclistamab"), entry("creatinine", "CREA"), entry("teclistamab", "tec one", TEXT_SYSTEM))

    assert load().drug_codes == before
    assert not load().site_texts
    assert not load().site_codes
    assert not load().drug(concept("LOC-1", text="TECLI STEP 1")).drugs


@pytest.mark.parametrize(
    ("system", "code", "sent"),
    [
        (RXNORM, "99999999", "99999999"),
        (NDC, "99999-123-01", "99999012302"),  # another package of the product
        (HCPCS, "J9998", "j9998-JZ"),
        (SNOMED, "999999999999999108", "999999999999999108 | Teclistamab |"),
    ],
)
def test_a_public_code_that_the_table_lacks_is_read_in_every_form(system: str, code: str, sent: str) -> None:
    match = mapped(entry("teclistamab", code, system)).drug(concept(sent, system))

    assert [drug.id for drug in match.drugs] == ["teclistamab"]


def test_every_drug_and_every_concept_can_be_mapped_to() -> None:
    codes = {
        name: group for group, known in load().concept_codes.items() for names in known.values() for name in names
    } | dict.fromkeys(load().drugs, "agent")
    catalog = mapped(*(entry(name, f"LOC-{name}") for name in codes))

    for name, group in codes.items():
        sent = concept(f"LOC-{name}")
        if name in load().drugs:
            assert [drug.id for drug in catalog.drug(sent).drugs] == [name]
        elif group not in DRUG_GROUPS:
            assert name in catalog.concepts(group, sent)


@pytest.mark.parametrize(("test", "unit"), [("potassium", "mmol/L"), ("creatinine", "mg/dL"), ("anc", "10*9/L")])
def test_a_local_code_of_a_test_is_read_as_its_result(test: str, unit: str) -> None:
    catalog = mapped(entry(test))
    result = lab("", 5.5, unit, "2026-11-01") | {"code": coded(LOCAL, "LOC-1", "Lab 4711")}

    assert [(found.test.value, found.low) for found in read(catalog, result).labs] == [(test, 5.5)]
    assert not read(load(), result).labs


def test_an_ehr_is_asked_for_local_codes_of_tests_as_the_site_writes_them() -> None:
    catalog = mapped(entry("creatinine", "Crea, p"), entry("creatinine", "99999-1", LOINC))
    before, query = (searches(c, [Topic.LABS])["observations"].query for c in (load(), catalog))

    added = set(query.partition("&code=")[2].split(",")) - set(before.partition("&code=")[2].split(","))

    assert added == {"99999-1", f"{LOCAL}|Crea%5C%2C%20p"}


def test_the_name_of_a_regimen_is_not_mapped_to_one_of_its_drugs() -> None:
    faults = faults_of(load(), [entry("bortezomib", "VRd cycle 3", TEXT_SYSTEM)])
    assert [what for _, what in faults] == [SEVERAL_DRUGS]


def test_one_code_may_be_a_product_and_its_infusion() -> None:
    catalog = mapped(entry("ciltacabtagene-autoleucel"), entry("car-t-infusion"))

    assert [drug.id for drug in catalog.drug(concept("LOC-1")).drugs] == ["ciltacabtagene-autoleucel"]
    assert catalog.concepts("procedure", concept("LOC-1")) == {"car-t-infusion"}


def test_code_and_name_that_differ_are_both_only_possible() -> None:
    match = mapped(entry("teclistamab")).drug(concept("LOC-1", text="talquetamab 3 mg"))

    assert [drug.id for drug in match.drugs] == ["talquetamab", "teclistamab"]
    assert match.certainty is Certainty.POSSIBLE


def test_a_shipped_code_keeps_its_own_name_for_how_it_was_recognised() -> None:
    catalog = mapped(entry("teclistamab", "2619426", RXNORM))

    assert catalog.drug(concept("2619426", RXNORM)).how == ("RxNorm ingredient",)
    assert not catalog.site_codes


def test_the_history_says_that_the_site_map_was_used() -> None:
    dose = given("teclistamab", "2026-09-01", medicationCodeableConcept=coded(LOCAL, "LOC-1", "TECLI STEP 1"))

    history = read(mapped(entry("teclistamab")), dose)

    assert [(found.drug.id, found.how) for found in history.recognised] == [("teclistamab", "site map")]
    assert [course.drug.id for course in history.courses] == ["teclistamab"]
    assert not history.unmapped


# Whole texts


@pytest.mark.parametrize("text", ["Tec step-up dose 1", "TEC STEP UP, DOSE 1", " tec  step/up dose 1."])
def test_a_whole_text_is_the_drug_it_is_mapped_to(text: str) -> None:
    match = mapped(entry("teclistamab", "Tec step-up dose 1", TEXT_SYSTEM)).drug(concept(text=text))

    assert [drug.id for drug in match.drugs] == ["teclistamab"]
    assert match.how == ("site map",)


@pytest.mark.parametrize("text", ["Tec step-up dose", "Tec step-up dose 12", "no tec step-up dose 1"])
def test_part_of_a_text_or_more_of_it_is_not_enough(text: str) -> None:
    assert not mapped(entry("teclistamab", "Tec step-up dose 1", TEXT_SYSTEM)).drug(concept(text=text)).drugs


def test_what_else_a_mapped_text_names_still_counts() -> None:
    catalog = mapped(entry("daratumumab", "dara + dexamethasone home", TEXT_SYSTEM), entry("dexamethasone", "LOC-2"))

    match = catalog.drug(concept(text="Dara + Dexamethasone (home)"))

    assert {drug.id for drug in match.drugs} == {"daratumumab", "dexamethasone"}


def test_texts_of_tests_procedures_and_problems_are_read_too() -> None:
    catalog = mapped(
        entry("creatinine", "Lab 4711", TEXT_SYSTEM),
        entry("car-t-infusion", "Day zero", TEXT_SYSTEM),
        entry("multiple-myeloma", "Kahler", TEXT_SYSTEM),
    )

    assert catalog.concepts("lab", concept(text="LAB 4711")) == {"creatinine"}
    assert catalog.concepts("procedure", concept(text="day zero")) == {"car-t-infusion"}
    assert catalog.condition(concept(text="Kahler")) == {"multiple-myeloma"}
    assert not catalog.drug(concept(text="Lab 4711")).drugs


# Known to be some other drug


def test_another_drug_by_its_code_leaves_the_lists() -> None:
    dose = reported("x", "2026-09-01", medicationCodeableConcept=coded(LOCAL, "LOC-1", "Newdrugumab"))

    assert read(load(), dose).unrecognised
    history = read(mapped(entry(OTHER_DRUG)), dose)
    assert not history.unrecognised
    assert not history.unmapped


def test_a_code_for_another_drug_does_not_hide_a_bispecific_antibody() -> None:
    catalog = mapped(entry(OTHER_DRUG))

    assert catalog.drug(concept("LOC-1", text="anti-FcRH5 bispecific, study")).is_unrecognised_treatment
    assert catalog.drug(concept("LOC-1", text="teclistamab")).certainty is Certainty.POSSIBLE


def test_another_drug_by_its_whole_text_is_silenced() -> None:
    text = "anti-CD19 bispecific, study"
    catalog = mapped(entry(OTHER_DRUG, text, TEXT_SYSTEM))

    assert load().drug(concept(text=text)).is_unrecognised_treatment
    assert catalog.drug(concept(text=text)).is_known_other


# What is refused


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        pytest.param(entry("teclistimab"), NO_SUCH_CONCEPT, id="a misspelt concept"),
        pytest.param(entry(""), NO_SUCH_CONCEPT, id="no concept"),
        pytest.param(entry("talquetamab", "2619426", RXNORM), SHIPPED, id="another drug for a shipped code"),
        pytest.param(entry(OTHER_DRUG, "2619426", RXNORM), SHIPPED, id="some other drug for a shipped code"),
        pytest.param(entry("teclistamab", "2160-0", LOINC), SHIPPED, id="a drug for the code of a test"),
        pytest.param(entry("multiple-myeloma", "c90.10", ICD10CM), SHIPPED, id="a shipped code in another spelling"),
        pytest.param(entry("teclistamab", "9999912301", NDC), UNREADABLE_CODE, id="an NDC of ten digits"),
        pytest.param(entry("teclistamab", "J9999", HCPCS), BILLS_ANYTHING, id="a code that bills any drug"),
        pytest.param(entry("teclistamab", "?!", TEXT_SYSTEM), NO_WORDS, id="a text without words"),
        pytest.param(entry("talquetamab", "Tecvayli 30 mg", TEXT_SYSTEM), SPOKEN_FOR, id="another drug for a name"),
        pytest.param(entry(OTHER_DRUG, "Tecvayli 30 mg", TEXT_SYSTEM), SPOKEN_FOR, id="some other drug for a name"),
        pytest.param(entry("teclistamab", "adalimumab", TEXT_SYSTEM), SPOKEN_FOR, id="a drug for one of no interest"),
        pytest.param(entry("plasmacytoma", "Multiple myeloma", TEXT_SYSTEM), SPOKEN_FOR, id="another problem"),
    ],
)
def test_an_entry_is_refused(refused: Entry, why: str) -> None:
    assert said_of(refused) == [why]


def test_a_code_or_text_leads_to_one_drug_alone() -> None:
    for system in (LOCAL, TEXT_SYSTEM):
        twice = [entry("teclistamab", "loc one", system), entry("talquetamab", "LOC ONE", system)]

        assert faults_of(load(), twice) == [(twice[1], CONTRADICTED)]
        assert faults_of(load(), [twice[0], twice[0]]) == []


def test_what_a_site_has_mapped_may_be_read_again_from_another_file() -> None:
    once = mapped(entry("teclistamab"))

    assert faults_of(once, [entry("teclistamab"), entry("talquetamab", "LOC-2")]) == []


def test_every_fault_is_found() -> None:
    assert said_of(entry("x"), entry("teclistamab", "LOC-3"), entry("y"), entry("talquetamab", "2619426", RXNORM)) == [
        NO_SUCH_CONCEPT,
        NO_SUCH_CONCEPT,
        SHIPPED,
    ]


def test_what_a_map_adds_is_counted_without_what_is_known_already() -> None:
    entries = [
        entry("teclistamab"),
        entry("teclistamab", "2619426", RXNORM),
        entry("ciltacabtagene-autoleucel", "LOC-2"),
        entry("car-t-infusion", "LOC-2"),
        entry("teclistamab", "tec one", TEXT_SYSTEM),
    ]

    assert count_added(load(), entries) == (2, 1)


def test_a_code_is_kept_as_the_site_writes_it() -> None:
    assert list(mapped(entry("creatinine", "Crea p")).site_codes.values()) == [f"{LOCAL}|Crea p"]
