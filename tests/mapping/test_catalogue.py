"""The catalogue: which codes and words stand for which of our concepts, and which stand for none."""

import csv
import io
import tomllib

import pytest

from fhir_mapping.catalog.drug_match import DrugMatch
from fhir_mapping.catalog.generate import SHIPPED_STATUSES, generate
from fhir_mapping.catalog.loader import load
from fhir_mapping.catalog.texts import canonical_code, read_text, system_name, words
from fhir_mapping.model.vocabulary import Certainty
from fhir_mapping.wire import Coding, Concept
from tests.build import CPT, ICD10CM, LOINC, RXNORM, SNOMED

NDC = "http://hl7.org/fhir/sid/ndc"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
ATC = "http://www.whocc.no/atc"
UNII = "http://fdasis.nlm.nih.gov"
LOCAL = "urn:oid:1.2.840.114350.1.13.0.1.7.2.696580"

DRUGS = tomllib.loads(read_text("drugs.toml"))
TERMINOLOGY = list(csv.DictReader(io.StringIO(read_text("terminology.csv"))))
CODES = list(csv.DictReader(io.StringIO(read_text("codes.csv"))))


def match(text: str | None = None, *codes: tuple[str, str]) -> DrugMatch:
    return load().drug(Concept(tuple(Coding(system, code) for system, code in codes), text))


def drugs(text: str | None = None, *codes: tuple[str, str]) -> list[str]:
    return [drug.id for drug in match(text, *codes).drugs]


def kind(found: DrugMatch) -> str:
    if found.drugs:
        return "known drug"
    return "unrecognised treatment" if found.is_unrecognised_treatment else "other drug"


# --- The table of codes ---


def test_the_shipped_table_is_the_generated_one() -> None:
    assert read_text("codes.csv") == generate(), "run: mmcds catalogue generate"


def test_every_shipped_code_was_seen_in_a_public_source() -> None:
    seen = {
        (row["group"], name, canonical_code(name, row["code"]))
        for row in TERMINOLOGY
        if row["status"] in {"verified", "double"}
        for name in (system_name(row["system"]),)
    }
    assert {(row["group"], row["system"], row["code"]) for row in CODES} <= seen
    assert frozenset({"verified", "double"}) == SHIPPED_STATUSES


def test_a_code_that_nobody_has_seen_is_not_shipped() -> None:
    unverified = [row for row in TERMINOLOGY if row["status"] == "unverified"]
    shipped = {(row["system"], row["code"]) for row in CODES}
    assert unverified
    for row in unverified:
        name = system_name(row["system"])
        assert (name, canonical_code(name, row["code"])) not in shipped


def test_every_code_system_of_the_terminology_has_a_short_name() -> None:
    assert {row["system"] for row in CODES} >= {
        "rxnorm",
        "ndc",
        "hcpcs",
        "cpt",
        "icd10cm",
        "icd10pcs",
        "snomed",
        "loinc",
    }
    assert not any(":" in row["system"] for row in CODES)


@pytest.mark.parametrize(
    ("group", "system", "code", "concept"),
    [
        ("condition", ICD10CM, "Z92.850", "history-car-t"),
        ("condition", ICD10CM, "Z92.858", "history-cellular-therapy-other"),
        ("condition", ICD10CM, "Z92.859", "history-cellular-therapy-other"),
        ("condition", SNOMED, "425657001", "osteosclerotic-myeloma"),
        ("supportive", HCPCS, "Q2052", "immune-globulin-home-supply"),
    ],
)
def test_a_code_that_is_filed_too_widely_stands_for_what_it_means(
    group: str, system: str, code: str, concept: str
) -> None:
    assert load().concepts(group, Concept((Coding(system, code),))) == {concept}


# --- Names of drugs ---


@pytest.mark.parametrize("entry", DRUGS["drug"], ids=lambda entry: entry["id"])
def test_every_drug_is_found_by_its_name_and_each_synonym(entry: dict[str, object]) -> None:
    synonyms = entry.get("synonyms", [])
    assert isinstance(synonyms, list)
    for name in (entry["id"], entry["name"], *synonyms):
        assert drugs(str(name)) == [entry["id"]], name
        assert drugs(f"{name} (patient's own) 1 mg".upper()) == [entry["id"]], name


@pytest.mark.parametrize("name", [*DRUGS["known_other"]["names"], *DRUGS["known_other"]["treatments"]])
def test_a_look_alike_is_some_other_drug(name: str) -> None:
    assert kind(match(name)) == "other drug"
    assert match(name).is_known_other
    assert kind(match(f"{name} 10 mg injection")) == "other drug"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("hepatitis B immune globulin", []),
        ("immune globulin", ["immune-globulin-unspecified"]),
        ("immune globulin (human) IV", ["immune-globulin-unspecified"]),
        ("Rho (D) immune globulin", []),
        ("IVIG", ["immune-globulin-iv"]),
        ("atovaquone-proguanil 250-100 mg", []),
        ("atovaquone 750 mg/5 mL", ["atovaquone"]),
        ("daratumumab", ["daratumumab"]),
        ("daratumumab-hyaluronidase-fihj", ["daratumumab-hyaluronidase"]),
        ("daratumumab and hyaluronidase", ["daratumumab-hyaluronidase"]),
        ("Darzalex Faspro", ["daratumumab-hyaluronidase"]),
        ("Darzalex", ["daratumumab"]),
        ("melphalan flufenamide", ["melphalan-flufenamide"]),
        ("melphalan", ["melphalan"]),
        ("tobramycin-dexamethasone eye drops", []),
        ("tenofovir alafenamide", ["tenofovir-alafenamide"]),
        ("tenofovir", ["tenofovir-disoproxil"]),
        ("emtricitabine-tenofovir", ["tenofovir-combination"]),
        ("ceftazidime-avibactam 2.5 g", ["ceftazidime-avibactam"]),
        ("avibactam 500 MG / ceftazidime 2000 MG Injection", ["ceftazidime-avibactam"]),
        ("ceftazidime 2 g", ["ceftazidime"]),
        ("meropenem 1000 MG / vaborbactam 1000 MG Injection", ["meropenem-vaborbactam"]),
        ("meropenem 1 g", ["meropenem"]),
        ("imipenem, cilastatin and relebactam", ["imipenem-cilastatin-relebactam"]),
        ("cilastatin 500 MG / imipenem 500 MG Injection", ["imipenem-cilastatin"]),
        ("sulbactam/ampicillin 1.5 g", ["ampicillin-sulbactam"]),
        ("ceftolozane/tazobactam 1.5 g", ["ceftolozane-tazobactam"]),
        ("piperacillin/tazobactam 4.5 g", ["piperacillin-tazobactam"]),
    ],
)
def test_the_longest_name_wins(text: str, found: list[str]) -> None:
    assert drugs(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("TECVAYLI", ["teclistamab"]),
        ("teclistamab-cqyv 30 mg/3 mL", ["teclistamab"]),
        ("JNJ-64007957", ["teclistamab"]),
        ("JNJ 64007957", ["teclistamab"]),
        ("JNJ64007957", ["teclistamab"]),
        ("cilta cel", ["ciltacabtagene-autoleucel"]),
        ("ciltacel", ["ciltacabtagene-autoleucel"]),
        ("cilta-cel", ["ciltacabtagene-autoleucel"]),
        ("(Carvykti)", ["ciltacabtagene-autoleucel"]),
        ("sulfamethoxazole 800 mg / trimethoprim 160 mg", ["sulfamethoxazole-trimethoprim"]),
        ("trimethoprim 100 mg", []),
        ("sulfamethoxazole", []),
        ("daratumumab, bortezomib, dexamethasone", ["bortezomib", "daratumumab", "dexamethasone"]),
        ("dara", []),
        ("dex", []),
        ("len", []),
        ("preteclistamab", []),
        ("bortezomibx", []),
        ("teclistamab" + " x" * 600, ["teclistamab"]),
        ("x " * 600 + "teclistamab", []),
    ],
)
def test_names_are_whole_words_in_any_spelling(text: str, found: list[str]) -> None:
    assert drugs(text) == found


def test_the_name_in_a_coding_counts_too() -> None:
    concept = Concept((Coding(LOCAL, "4711", "Tecvayli 30 mg"), Coding(LOCAL, "4712")), "chemo")
    assert [drug.id for drug in load().drug(concept).drugs] == ["teclistamab"]


def test_where_codes_and_text_disagree_both_are_kept() -> None:
    assert drugs("talquetamab", (RXNORM, "2619426")) == ["talquetamab", "teclistamab"]


def test_every_coding_counts_not_only_the_first() -> None:
    assert drugs(None, (LOCAL, "1"), (SNOMED, "2"), (RXNORM, "2619426")) == ["teclistamab"]


# --- Drugs given by vein against infections ---


@pytest.mark.parametrize(
    ("drug", "code", "text", "brand"),
    [
        ("ceftriaxone", (RXNORM, "1665021"), "cefTRIAXone 2 g in dextrose 5 % 50 mL IVPB", "Rocephin 1 g"),
        ("ceftazidime", (RXNORM, "1659287"), "cefTAZidime 2 g IV", "TAZICEF"),
        ("ceftazidime-avibactam", (RXNORM, "1603840"), "ceftazidime and avibactam", "Avycaz 2.5 g"),
        ("ceftolozane-tazobactam", (HCPCS, "J0695"), "ceftolozane-tazobactam 3 g", "ZERBAXA"),
        ("ceftaroline", (RXNORM, "1040014"), "ceftaroline fosamil 600 MG Injection", "Teflaro"),
        ("cefiderocol", (ATC, "J01DI04"), "cefiderocol 2 g every 8 hours", "Fetroja"),
        ("ertapenem", (UNII, "G32F6EID2H"), "ertapenem sodium 1 g", "INVanz"),
        ("imipenem-cilastatin", (HCPCS, "J0743"), "imipenem 500 mg IV", "Primaxin IV"),
        ("imipenem-cilastatin-relebactam", (HCPCS, "J0742"), "imipenem-cilastatin-relebactam 1.25 g", "Recarbrio"),
        ("meropenem-vaborbactam", (RXNORM, "1945218"), "meropenem/vaborbactam 4 g", "Vabomere"),
        ("ampicillin-sulbactam", (RXNORM, "1659592"), "ampicillin 2 g + sulbactam 1 g", "Unasyn 3 g"),
        ("daptomycin", (HCPCS, "J0878"), "DAPTOmycin 500 mg", "Cubicin RF"),
        ("tigecycline", (RXNORM, "581531"), "tigecycline 50 mg", "Tygacil"),
        ("foscarnet", (RXNORM, "1734377"), "foscarnet sodium 24 mg/mL", "Foscavir"),
        ("peramivir", (RXNORM, "1598082"), "peramivir 600 mg IV once", "Rapivab"),
        ("remdesivir", (HCPCS, "J0248"), "remdesivir 100 mg daily", "Veklury"),
    ],
)
def test_a_drug_given_by_vein_against_infections_is_known_by_code_name_and_brand(
    drug: str, code: tuple[str, str], text: str, brand: str
) -> None:
    assert (drugs(None, code), drugs(text), drugs(brand)) == ([drug], [drug], [drug])


@pytest.mark.parametrize(
    ("text", "code", "found"),
    [
        pytest.param("meropenem-vaborbactam", "29561", "meropenem-vaborbactam", id="code of meropenem"),
        pytest.param("meropenem", "1945218", "meropenem-vaborbactam", id="code of meropenem with vaborbactam"),
        pytest.param("ceftazidime-avibactam", "2191", "ceftazidime-avibactam", id="code of ceftazidime"),
        pytest.param("ceftazidime", "1603840", "ceftazidime-avibactam", id="code of ceftazidime with avibactam"),
        pytest.param("Recarbrio", "5690", "imipenem-cilastatin-relebactam", id="code of imipenem"),
        pytest.param("imipenem", "2184142", "imipenem-cilastatin-relebactam", id="code of imipenem with relebactam"),
    ],
)
def test_a_combination_does_not_contradict_the_drug_that_it_holds(text: str, code: str, found: str) -> None:
    entry = match(text, (RXNORM, code))
    assert ([drug.id for drug in entry.drugs], entry.certainty) == ([found], Certainty.STATED)


@pytest.mark.parametrize(
    "text",
    [
        "cefpodoxime 200 mg tablet",
        "cefuroxime axetil 500 mg",
        "ciprofloxacin 0.3 % eye drops",
        "vancomycin 125 mg capsule",
        "tobramycin 0.3 % ophthalmic solution",
        "linezolid 600 mg tablet",
        "ampicillin 500 mg capsule",
        "sultamicillin 375 mg tablet",
        "cefoperazone-sulbactam",
        "durlobactam 1000 MG / sulbactam 1000 MG Injection",
        "aztreonam-avibactam",
        "amphotericin B liposomal 50 mg",
        "oseltamivir 75 mg capsule",
    ],
)
def test_drugs_against_infections_that_are_not_given_by_vein_alone_are_none_of_ours(text: str) -> None:
    assert kind(match(text)) == "other drug"


# --- Codes and code systems as they are written ---


@pytest.mark.parametrize(
    "code",
    [
        "57894-449-01",
        "57894-0449-01",
        "57894-0449",
        "57894044901",
        "578940449",
        "5789444901",
        " 57894-449-01 ",
    ],
    ids=["5-3-2", "5-4-2", "5-4", "eleven digits", "nine digits", "ten bare digits", "with spaces"],
)
def test_a_package_code_is_known_in_every_form(code: str) -> None:
    assert drugs(None, (NDC, code)) == ["teclistamab"]


@pytest.mark.parametrize(
    "code", ["0069-2522-02", "00069-2522-02", "0069252202", "00069252202"], ids=["4-4-2", "5-4-2", "ten", "eleven"]
)
def test_a_labeler_of_four_digits_is_padded(code: str) -> None:
    assert drugs(None, (NDC, code)) == ["elranatamab"]


@pytest.mark.parametrize("code", ["57894-999-01", "57894", "", "-", "57894-44X-01", "1" * 500])
def test_a_package_code_of_another_product_is_another_drug(code: str) -> None:
    assert drugs(None, (NDC, code)) == []


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (RXNORM, "2619426"),
        (RXNORM + "/", "2619426"),
        (RXNORM.replace("http:", "https:"), "2619426"),
        ("urn:oid:2.16.840.1.113883.6.88", "2619426"),
        (f" {RXNORM} ", " 2619426 "),
        ("urn:oid:2.16.840.1.113883.6.69", "57894-449-01"),
        (NDC.replace("http:", "https:") + "/", "57894-449-01"),
        (HCPCS, "J9380"),
        (HCPCS, "j9380"),
        ("http://terminology.hl7.org/CodeSystem/HCPCS", "J9380"),
        ("urn:oid:2.16.840.1.113883.6.285", "J9380"),
        (PCS, "XW01348"),
        ("http://hl7.org/fhir/sid/icd-10-pcs", "XW01348"),
        (ATC, "L01FX24"),
        ("urn:oid:2.16.840.1.113883.6.73", "L01FX24"),
        (UNII, "54534MX6Z9"),
    ],
)
def test_a_code_system_is_known_by_each_of_its_addresses(address: str, code: str) -> None:
    assert drugs(None, (address, code)) == ["teclistamab"]


def test_a_code_counts_in_its_own_system_only() -> None:
    assert drugs(None, (SNOMED, "2619426")) == []
    assert drugs(None, (LOCAL, "2619426")) == []
    assert drugs(None, ("", "2619426")) == []


@pytest.mark.parametrize("code", ["C90.00", "C9000", "c90.00", " C90.00 "])
@pytest.mark.parametrize("address", [ICD10CM, "https://hl7.org/fhir/sid/icd-10-cm/", "urn:oid:2.16.840.1.113883.6.90"])
def test_a_diagnosis_code_is_known_with_and_without_dot(address: str, code: str) -> None:
    assert load().concepts("condition", Concept((Coding(address, code),))) == {"multiple-myeloma"}


def test_codes_of_one_group_do_not_answer_for_another() -> None:
    assert load().concepts("procedure", Concept((Coding(CPT, "38228"),))) == {"car-t-infusion"}
    assert load().concepts("condition", Concept((Coding(CPT, "38228"),))) == frozenset()
    assert load().concepts("lab", Concept((Coding(LOINC, "24467-3"),))) == {"cd4-count"}
    assert load().concepts("lab", None) == frozenset()


# --- Other drug, or treatment that we do not recognise ---

OTHER, UNRECOGNISED = "other drug", "unrecognised treatment"


@pytest.mark.parametrize(
    ("text", "codes", "expected"),
    [
        pytest.param(None, [(RXNORM, "6809")], OTHER, id="RxNorm code of another drug"),
        pytest.param(None, [(NDC, "00093-7214-01")], OTHER, id="NDC of another drug"),
        pytest.param(None, [(SNOMED, "372567009")], OTHER, id="SNOMED CT code of another drug"),
        pytest.param(None, [(ATC, "A10BA02")], OTHER, id="ATC code outside cancer and immunity"),
        pytest.param("metformin 500 mg", [], OTHER, id="plain text"),
        pytest.param("metformin", [(LOCAL, "4711")], OTHER, id="local code with plain text"),
        pytest.param("metformin", [(ATC, "L04AB02")], OTHER, id="ATC L04 with plain text"),
        pytest.param(None, [(ATC, "L01BC06")], UNRECOGNISED, id="ATC L01"),
        pytest.param("capecitabine", [(ATC, "L01BC06")], UNRECOGNISED, id="ATC L01 with text"),
        pytest.param(None, [(ATC, "L03AX03")], UNRECOGNISED, id="ATC L03 alone"),
        pytest.param(None, [(ATC, "L04AB02")], UNRECOGNISED, id="ATC L04 alone"),
        pytest.param(None, [(HCPCS, "J9190")], UNRECOGNISED, id="oncology HCPCS code"),
        pytest.param(None, [(HCPCS, "J9999")], UNRECOGNISED, id="J9999"),
        pytest.param(None, [(HCPCS, "J3490")], UNRECOGNISED, id="J3490"),
        pytest.param(None, [(HCPCS, "C9399")], UNRECOGNISED, id="C9399"),
        pytest.param("chemotherapy", [(HCPCS, "J9999")], UNRECOGNISED, id="J9999 with text"),
        pytest.param("elranatamab", [(HCPCS, "J9999")], "known drug", id="J9999 with a known drug"),
        pytest.param("rituximab", [(HCPCS, "J9999")], OTHER, id="J9999 with a known other drug"),
        pytest.param("INV 123", [], UNRECOGNISED, id="INV 123"),
        pytest.param("INV-123 capsule", [], UNRECOGNISED, id="INV-123"),
        pytest.param("(INV) tablet", [], UNRECOGNISED, id="INV in brackets"),
        pytest.param("inv tablet", [], OTHER, id="inv in small letters"),
        pytest.param("INVOKANA 100 mg", [], OTHER, id="INV within a word"),
        pytest.param("study drug", [], UNRECOGNISED, id="study drug"),
        pytest.param("per protocol ABC", [], UNRECOGNISED, id="protocol"),
        pytest.param("Investigational agent", [], UNRECOGNISED, id="investigational"),
        pytest.param("bispecific antibody", [], UNRECOGNISED, id="bispecific"),
        pytest.param("CAR-T cells", [], UNRECOGNISED, id="CAR T"),
        pytest.param("novelmab", [], UNRECOGNISED, id="-mab"),
        pytest.param("novelmab-abcd", [], UNRECOGNISED, id="-mab with suffix"),
        pytest.param("noveltamig", [], UNRECOGNISED, id="-tamig"),
        pytest.param("novel-cel", [], UNRECOGNISED, id="-cel"),
        pytest.param("novelbtagene autoleucel", [], UNRECOGNISED, id="-leucel"),
        pytest.param("rituximab-abbs", [], OTHER, id="-mab of a known other drug"),
        pytest.param("axicabtagene ciloleucel", [], OTHER, id="-leucel of a known other drug"),
        pytest.param("Citrucel", [], OTHER, id="a fibre that ends like cells"),
        pytest.param("novelcel", [], OTHER, id="-cel within a word"),
        pytest.param("heparin infusion per protocol", [], OTHER, id="protocol of a known other drug"),
        pytest.param("insulin study order set", [], OTHER, id="study of a known other drug"),
        pytest.param("rituximab with bispecific antibody", [], UNRECOGNISED, id="known other beside a bispecific"),
        pytest.param("heparin, CAR T-cell product", [], UNRECOGNISED, id="known other beside cells"),
        pytest.param("heparin and noveltamig", [], UNRECOGNISED, id="known other beside -tamig"),
        pytest.param("heparin and novelbtagene autoleucel", [], UNRECOGNISED, id="known other beside -leucel"),
        pytest.param("Yescarta CAR T cells", [], OTHER, id="cells of another disease, called what they are"),
        pytest.param("study drug in sodium chloride 0.9 %", [], UNRECOGNISED, id="study drug in a diluent"),
        pytest.param("mabthera", [], OTHER, id="mab at the start of a word"),
        pytest.param(None, [(LOCAL, "4711")], UNRECOGNISED, id="local code without text"),
        pytest.param(" ", [(LOCAL, "4711")], UNRECOGNISED, id="local code with blank text"),
        pytest.param(None, [("", "4711")], UNRECOGNISED, id="code without system"),
        pytest.param(None, [(UNII, "0000000000")], UNRECOGNISED, id="substance code that is not known"),
        pytest.param(None, [(LOCAL, "4711"), (RXNORM, "6809")], OTHER, id="local code beside RxNorm"),
        pytest.param("novelmab", [(RXNORM, "99999999")], UNRECOGNISED, id="RxNorm code, but a text like an antibody"),
        pytest.param(None, [], UNRECOGNISED, id="neither code nor text"),
    ],
)
def test_other_drugs_are_told_from_treatment_that_is_not_recognised(
    text: str | None, codes: list[tuple[str, str]], expected: str
) -> None:
    assert kind(match(text, *codes)) == expected


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("CAR T cells", True),
        ("anti-XYZ chimeric antigen receptor product", True),
        ("novel-cel", True),
        ("novelbtagene autoleucel", True),
        ("novelmab", False),
        ("study drug", False),
    ],
)
def test_unrecognised_treatment_says_whether_it_may_be_cells(text: str, cells: bool) -> None:
    assert match(text).may_be_cell_therapy is cells


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("levETIRAcetam 500 mg (ICANS prophylaxis, Carvykti)", []),
        ("dexamethasone premedication for talquetamab", ["dexamethasone"]),
        ("dexamethasone 16 mg, premed teclistamab", ["dexamethasone"]),
        ("tocilizumab PRN CRS (teclistamab)", ["tocilizumab"]),
        ("acetaminophen prior to daratumumab", []),
        ("cetirizine before study drug", []),
        ("ondansetron after melphalan", []),
        ("filgrastim for neutropenia due to venetoclax", ["filgrastim"]),
        ("acyclovir (unclosed, bortezomib", ["acyclovir"]),
        ("teclistamab-cqyv (Tecvayli) 30 mg", ["teclistamab"]),
        ("Carvykti (ciltacabtagene autoleucel)", ["ciltacabtagene-autoleucel"]),
        ("INV 123 (teclistamab)", ["teclistamab"]),
        ("study drug (teclistamab)", ["teclistamab"]),
        ("CAR T-cell infusion (Carvykti)", ["ciltacabtagene-autoleucel"]),
        ("Home med prior to admission: lenalidomide", ["lenalidomide"]),
        ("Chemotherapy for multiple myeloma: carfilzomib", ["carfilzomib"]),
        ("Powder for solution for injection belantamab mafodotin", ["belantamab-mafodotin"]),
    ],
)
def test_a_drug_in_a_comment_was_not_given_by_the_entry(text: str, found: list[str]) -> None:
    assert drugs(text) == found


def test_a_comment_makes_no_treatment_of_another_drug() -> None:
    assert kind(match("levETIRAcetam (after CAR T)")) == OTHER
    assert kind(match("INV 123 (bottle seven)")) == UNRECOGNISED
    assert kind(match("INV 1234 capsule for myeloma")) == UNRECOGNISED


def test_only_a_known_name_makes_a_known_other_drug() -> None:
    assert match("Yescarta").is_known_other
    assert not match("metformin").is_known_other
    assert not match("teclistamab after rituximab").is_known_other
    assert not match("rituximab and teclistamab").is_known_other
    assert not match("CAR T cells").is_known_other


def test_an_entry_that_is_not_known_keeps_its_own_name() -> None:
    assert match("Study Drug 7 <b>").text == "Study Drug 7 <b>"
    assert match("metformin").text == "metformin"


def test_words_forgive_case_hyphens_and_brackets() -> None:
    assert words("JNJ-4528 (Cilta-Cel)/X") == ("jnj", "4528", "cilta", "cel", "x")


def test_every_drug_of_the_table_has_its_entry() -> None:
    agents = {row["concept"] for row in CODES if row["group"] == "agent"}
    assert agents <= load().drugs.keys() | set(DRUGS["known_other"]["concepts"])
