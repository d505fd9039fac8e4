"""The forms in which senders write codes, code systems and names: which are read, as what, and which never are."""

import csv
import dataclasses
import io
import tomllib
from collections import defaultdict

import pytest

from fhir_mapping.catalog.drug_match import DrugMatch
from fhir_mapping.catalog.loader import load
from fhir_mapping.catalog.texts import canonical_code, code_system, read_text, system_name, words
from fhir_mapping.model.vocabulary import Certainty
from fhir_mapping.wire import Coding, Concept
from tests.build import CPT, ICD10CM, LOINC, RXNORM, SNOMED

NDC = "http://hl7.org/fhir/sid/ndc"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
ATC = "http://www.whocc.no/atc"
UNII = "http://fdasis.nlm.nih.gov"
CVX = "http://hl7.org/fhir/sid/cvx"
LOCAL = "urn:oid:1.2.840.114350.1.13.0.1.7.2.696580"

ROWS = [row for row in csv.DictReader(io.StringIO(read_text("terminology.csv"))) if row["status"] != "unverified"]
DRUG_ROWS = [row for row in ROWS if row["group"] in {"agent", "supportive"}]
TRAPS = {
    (trap["system"], canonical_code(trap["system"], trap["code"]))
    for trap in tomllib.loads(read_text("traps.toml"))["trap"]
}  # codes that the table files under something that they do not mean


def match(text: str | None = None, *codes: tuple[str, str] | tuple[str, str, str]) -> DrugMatch:
    return load().drug(Concept(tuple(Coding(*code) for code in codes), text))


def drugs(text: str | None = None, *codes: tuple[str, str] | tuple[str, str, str]) -> list[str]:
    return [drug.id for drug in match(text, *codes).drugs]


def possible(text: str | None = None, *codes: tuple[str, str]) -> list[str]:
    return [drug.id for drug in match(text, *codes).possible_drugs]


def concepts(group: str, *codes: tuple[str, str]) -> set[str]:
    return set(load().concepts(group, Concept(tuple(Coding(*code) for code in codes))))


# --- Every coding of a concept ---


@pytest.mark.parametrize("position", range(4))
def test_a_code_is_found_at_any_place_among_the_codings(position: int) -> None:
    codes = [(LOCAL, "4711"), (SNOMED, "1"), ("", "2619426")]
    codes.insert(position, (RXNORM, "2619426"))
    assert drugs("chemo", *codes) == ["teclistamab"]


def test_each_group_of_concepts_looks_at_every_coding() -> None:
    assert concepts("condition", (LOCAL, "1"), (SNOMED, "2"), (ICD10CM, "C90.02")) == {"multiple-myeloma-relapse"}
    assert concepts("procedure", (LOCAL, "1"), (CPT, "38228"), (SNOMED, "2")) == {"car-t-infusion"}
    assert concepts("lab", (LOCAL, "IGG"), (LOINC, "2465-3")) == {"igg"}


# --- Addresses of code systems ---

ADDRESSES = {
    "rxnorm": ("www.nlm.nih.gov/research/umls/rxnorm", "2.16.840.1.113883.6.88", "2619426"),
    "ndc": ("hl7.org/fhir/sid/ndc", "2.16.840.1.113883.6.69", "57894-449-01"),
    "hcpcs": ("www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "2.16.840.1.113883.6.285", "J9380"),
    "icd10pcs": ("www.cms.gov/Medicare/Coding/ICD10", "2.16.840.1.113883.6.4", "XW01348"),
    "atc": ("www.whocc.no/atc", "2.16.840.1.113883.6.73", "L01FX24"),
    "unii": ("fdasis.nlm.nih.gov", "2.16.840.1.113883.4.9", "54534MX6Z9"),
    "icd10cm": ("hl7.org/fhir/sid/icd-10-cm", "2.16.840.1.113883.6.90", "C90.00"),
    "cpt": ("www.ama-assn.org/go/cpt", "2.16.840.1.113883.6.12", "38228"),
    "snomed": ("snomed.info/sct", "2.16.840.1.113883.6.96", "109989006"),
    "cvx": ("hl7.org/fhir/sid/cvx", "2.16.840.1.113883.12.292", "87"),
    "loinc": ("loinc.org", "2.16.840.1.113883.6.1", "2465-3"),
}
MORE_ADDRESSES = [
    ("http://snomed.info/sct/731000124108", "snomed"),
    ("http://snomed.info/sct/731000124108/version/20240301", "snomed"),
    ("http://snomed.info/sct/900000000000207008/version/20230731/", "snomed"),
    ("http://snomed.info/sct|http://snomed.info/sct/731000124108", "snomed"),
    ("http://hl7.org/fhir/sid/icd-10", "icd10cm"),
    ("http://hl7.org/fhir/sid/icd-10-pcs", "icd10pcs"),
    ("http://www.icd10data.com/icd10pcs", "icd10pcs"),
    ("http://terminology.hl7.org/CodeSystem/HCPCS", "hcpcs"),
    ("https://bluebutton.cms.gov/resources/codesystem/hcpcs", "hcpcs"),
    ("urn:oid:2.16.840.1.113883.6.14", "hcpcs"),
]
OTHER_ADDRESSES = [
    "http://snomed.info/id/109989006",
    "http://hl7.org/fhir/sid/icd-9-cm",
    "http://www.nlm.nih.gov/research/umls",
    "http://www.nlm.nih.gov/research/umls/rxnorm/extension",
    "urn:oid:2.16.840.1.113883.6.8",
    "urn:oid:2.16.840.1.113883.6.880",
    "https://terminology.example.org/rxnorm",
    "urn:uuid:2.16.840.1.113883.6.88",
    "",
]


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize(
    "form",
    [
        "http://{0}",
        "https://{0}",
        "http://{0}/",
        "https://{0}//",
        " http://{0} ",
        "HTTP://{0}",
        "http://{0}|2024-09",
        "{0}",
        "urn:oid:{1}",
        "URN:OID:{1}",
        "oid:{1}",
        "{1}",
        " urn:oid:{1} ",
    ],
)
def test_a_code_system_is_known_in_every_form_of_its_address(name: str, form: str) -> None:
    uri, oid, code = ADDRESSES[name]
    address = form.format(uri, oid)
    assert system_name(address) == name
    everything = [concepts(group, (address, code)) for group in load().concept_codes]
    assert any(everything), "the code is found under this address"


@pytest.mark.parametrize("name", ADDRESSES)
def test_www_is_no_part_of_an_address(name: str) -> None:
    assert system_name("http://" + ADDRESSES[name][0].removeprefix("www.")) == name
    assert system_name("http://www." + ADDRESSES[name][0].removeprefix("www.")) == name


@pytest.mark.parametrize(("address", "name"), MORE_ADDRESSES)
def test_editions_versions_and_former_addresses_are_known(address: str, name: str) -> None:
    assert system_name(address) == name


@pytest.mark.parametrize("address", OTHER_ADDRESSES)
def test_an_address_that_only_resembles_a_known_one_stays_itself(address: str) -> None:
    assert system_name(address) == address


# --- Spellings of codes ---


@pytest.mark.parametrize(
    ("system", "written", "meant"),
    [
        pytest.param(NDC, "57894-449-01", "teclistamab", id="5-3-2"),
        pytest.param(NDC, "57894-0449-01", "teclistamab", id="5-4-2"),
        pytest.param(NDC, "57894-0449-1", "teclistamab", id="5-4-1"),
        pytest.param(NDC, "0069-2522-02", "elranatamab", id="4-4-2"),
        pytest.param(NDC, "0069-2522", "elranatamab", id="4-4"),
        pytest.param(NDC, "57894-449", "teclistamab", id="5-3"),
        pytest.param(NDC, "57894044901", "teclistamab", id="eleven digits"),
        pytest.param(NDC, "5789444901", "teclistamab", id="ten digits, from 5-3-2"),
        pytest.param(NDC, "0069252202", "elranatamab", id="ten digits, from 4-4-2"),
        pytest.param(NDC, "5789404491", "teclistamab", id="ten digits, from 5-4-1"),
        pytest.param(NDC, "057894-0449-01", "teclistamab", id="6-4-2"),
        pytest.param(NDC, "057894044901", "teclistamab", id="twelve digits"),
        pytest.param(NDC, "57894-*449-01", "teclistamab", id="a star for the zero of the product"),
        pytest.param(NDC, "*0069-2522-02", "elranatamab", id="a star for the zero of the labeler"),
        pytest.param(NDC, "57894-0449-*1", "teclistamab", id="a star for the zero of the package"),
        pytest.param(NDC, "57894*44901", "teclistamab", id="a star without hyphens"),
        pytest.param(NDC, "57894 449 01", "teclistamab", id="spaces"),
        pytest.param(NDC, "57894\u2011449\u201101", "teclistamab", id="hyphens that do not break"),
        pytest.param(NDC, "57894\u2013449\u201301", "teclistamab", id="dashes"),
        pytest.param(NDC, "NDC 57894-449-01", "teclistamab", id="NDC before it"),
        pytest.param(NDC, "NDC:57894044901", "teclistamab", id="NDC and colon before it"),
        pytest.param(NDC, "N457894044901", "teclistamab", id="the qualifier of a claim before it"),
        pytest.param(NDC, "57894-4490-01", None, id="another product"),
        pytest.param(NDC, "57895-449-01", None, id="another labeler"),
        pytest.param(NDC, "5789-4449-01", None, id="the hyphen elsewhere"),
        pytest.param(NDC, "157894-449-01", None, id="a labeler that is too long"),
        pytest.param(NDC, "57894-10449-01", None, id="a product that is too long"),
        pytest.param(NDC, "57894-449-01-1", None, id="four parts"),
        pytest.param(NDC, "157894044901", None, id="twelve digits without a zero"),
        pytest.param(HCPCS, "J9380", "teclistamab", id="HCPCS"),
        pytest.param(HCPCS, "j9380", "teclistamab", id="HCPCS in small letters"),
        pytest.param(HCPCS, "C9148", "teclistamab", id="former C code"),
        pytest.param(HCPCS, "J9380-JZ", "teclistamab", id="HCPCS with modifier"),
        pytest.param(HCPCS, "J9380 JW", "teclistamab", id="HCPCS with modifier after a space"),
        pytest.param(HCPCS, "HC:J9380:JZ:TB", "teclistamab", id="HCPCS of a claim"),
        pytest.param(CPT, "J9380", "teclistamab", id="HCPCS under CPT"),
        pytest.param(HCPCS, "J93801", None, id="HCPCS with a digit more"),
        pytest.param(HCPCS, "Q2055", "idecabtagene-vicleucel", id="Q code"),
        pytest.param(HCPCS, "C9098", "ciltacabtagene-autoleucel", id="former code of cells"),
        pytest.param(PCS, "XW01348", "teclistamab", id="ICD-10-PCS"),
        pytest.param(PCS, "xw01348", "teclistamab", id="ICD-10-PCS in small letters"),
        pytest.param(PCS, "XW0.1348", "teclistamab", id="ICD-10-PCS with a dot"),
        pytest.param(PCS, "XW0 1348", "teclistamab", id="ICD-10-PCS with a space"),
        pytest.param(ATC, "l01fx24", "teclistamab", id="ATC in small letters"),
        pytest.param(ATC, "L01F X24", "teclistamab", id="ATC with a space"),
        pytest.param(ATC, "L01FX", None, id="ATC of the class alone"),
        pytest.param(UNII, "54534mx6z9", "teclistamab", id="UNII in small letters"),
        pytest.param(RXNORM, " 2619426\n", "teclistamab", id="RxNorm with blanks"),
        pytest.param(CVX, "87", "immune-globulin-iv", id="CVX"),
        pytest.param(CVX, "087", "immune-globulin-iv", id="CVX with a zero"),
    ],
)
def test_a_drug_code_is_read_as_it_is_written(system: str, written: str, meant: str | None) -> None:
    assert drugs(None, (system, written)) == ([] if meant is None else [meant])


@pytest.mark.parametrize(
    ("group", "system", "written", "meant"),
    [
        ("condition", ICD10CM, "C90.00", "multiple-myeloma"),
        ("condition", ICD10CM, "c9000", "multiple-myeloma"),
        ("condition", ICD10CM, "C90.0", "multiple-myeloma"),
        ("condition", ICD10CM, "C900", "multiple-myeloma"),
        ("condition", ICD10CM, "C90.0-", "multiple-myeloma"),
        ("condition", "http://hl7.org/fhir/sid/icd-10", "C90.0", "multiple-myeloma"),
        ("condition", ICD10CM, "C90.01", "multiple-myeloma-remission"),
        ("condition", ICD10CM, "c90.02", "multiple-myeloma-relapse"),
        ("condition", ICD10CM, "C90", None),  # the chapter also holds plasmacytoma and plasma cell leukaemia
        ("condition", ICD10CM, "C90.1", None),
        ("condition", ICD10CM, "C90.10", "plasma-cell-leukemia"),
        ("condition", ICD10CM, "Z92.85", "history-cellular-therapy-other"),
        ("condition", ICD10CM, "Z92850", "history-car-t"),
        ("condition", ICD10CM, "z88.2", "sulfonamide-allergy"),
        (
            "condition",
            ICD10CM,
            "Z92.22",
            "history-antineoplastic",
        ),  # monoclonal drug therapy says nothing of bispecific antibodies
        ("condition", ICD10CM, "Z92.86", "history-antineoplastic"),  # gene therapy is no CAR T
        ("condition", ICD10CM, "D47.2", "mgus"),
        ("condition", SNOMED, "109989006", "multiple-myeloma"),
        ("condition", SNOMED, "109989006 |Multiple myeloma (disorder)|", "multiple-myeloma"),
        ("condition", SNOMED, "109989006|Multiple myeloma|", "multiple-myeloma"),
        (
            "condition",
            "http://snomed.info/sct/731000124108/version/20240301",
            "452291000124109",
            "multiple-myeloma-relapse",
        ),
        ("condition", SNOMED, "413587002", "smoldering-myeloma"),
        ("condition", SNOMED, "94705007", None),  # an inactive code that old cross-references still give for myeloma
        ("procedure", CPT, "38228", "car-t-infusion"),
        ("procedure", CPT, "38228-59", "car-t-infusion"),
        ("procedure", CPT, "38228 59 XU", "car-t-infusion"),
        ("procedure", CPT, "0540t", "car-t-infusion"),
        ("procedure", CPT, "0540T-26", "car-t-infusion"),
        ("procedure", HCPCS, "38228", "car-t-infusion"),
        ("procedure", HCPCS, "HC:38228:59", "car-t-infusion"),
        ("procedure", CPT, "3822859", None),
        ("procedure", CPT, "38225", "leukapheresis"),
        ("procedure", CPT, "0537T", "leukapheresis"),
        ("procedure", CPT, "38226", "car-t-cell-processing"),
        ("procedure", CPT, "38241", "autologous-stem-cell-transplant"),
        ("procedure", PCS, "xw033c3", "car-t-infusion"),
        ("procedure", SNOMED, "1156961008", "car-t-infusion"),
        ("lab", LOINC, "2465-3", "igg"),
        ("lab", LOINC, " 2465\u20103 ", "igg"),
        ("lab", LOINC, "2465-4", None),
        ("lab", LOINC, "24653", None),
        ("vaccine", CVX, "8", "vaccine-hepatitis-b"),
        ("vaccine", CVX, "08", "vaccine-hepatitis-b"),
    ],
)
def test_a_code_is_read_as_it_is_written(group: str, system: str, written: str, meant: str | None) -> None:
    assert concepts(group, (system, written)) == (set() if meant is None else {meant})


def test_a_bare_ten_digit_package_code_counts_only_if_its_known_readings_agree() -> None:
    # 1000020003 is 01000-0200-03, 10000-0200-03 or 10000-2000-3
    readings = [("ndc", "010000200"), ("ndc", "100000200"), ("ndc", "100002000")]
    catalog = load()

    def read(**named: int) -> DrugMatch:
        codes = {readings[place]: frozenset({name}) for name, place in named.items()}
        return dataclasses.replace(catalog, drug_codes=codes, how_coded=dict.fromkeys(readings, "NDC")).drug(
            Concept((Coding(NDC, "1000020003"),))
        )

    for place in range(3):
        assert [drug.id for drug in read(teclistamab=place).drugs] == ["teclistamab"]
    disagreeing = read(teclistamab=0, levofloxacin=2)
    assert not disagreeing.drugs
    assert disagreeing.is_unrecognised_treatment, "silence would hide the one that matters"
    assert not read().is_unrecognised_treatment


def test_a_bare_ten_digit_package_code_with_two_meanings_in_the_table_names_no_drug() -> None:
    meanings = defaultdict(set)
    for row in DRUG_ROWS:
        if row["system"] == NDC:
            code = canonical_code("ndc", row["code"])
            for package in range(100):
                full = f"{code}{package:02}"
                for written in {full[:i] + full[i + 1 :] for i in (0, 5, 9) if full[i] == "0"}:
                    meanings[written].add(row["concept_id"])
    ambiguous = {code for code, found in meanings.items() if len(found) > 1}
    assert "5487900360" in ambiguous, "carmustine 54879-0036-0 or dexamethasone 54879-003-60"
    assert len(ambiguous) * 1_000 < len(meanings)
    for code in ambiguous:
        assert not drugs(None, (NDC, code))
        assert match(None, (NDC, code)).is_unrecognised_treatment
    assert drugs(None, (NDC, "54879-0036-0")) == ["carmustine"]
    assert drugs(None, (NDC, "54879-003-60")) == ["dexamethasone"]


@pytest.mark.parametrize("code", ["J9999", "J8999", "J3490", "J3590", "C9399", "j9999", "J9999-JZ"])
@pytest.mark.parametrize("system", [HCPCS, CPT])
def test_a_code_for_any_drug_names_none(system: str, code: str) -> None:
    name = system_name(system)
    canonical = canonical_code(name, code)
    assert (code_system(name, canonical), canonical) not in load().drug_codes
    assert match(None, (system, code)).is_unrecognised_treatment
    assert drugs("elranatamab", (system, code)) == ["elranatamab"]
    assert drugs(None, (system, code), (NDC, "00069-2522-02")) == ["elranatamab"]


# --- The table ---


def test_every_drug_code_of_the_table_is_found_and_says_how() -> None:
    for row in DRUG_ROWS:
        name = system_name(row["system"])
        if (name, canonical_code(name, row["code"])) in TRAPS:
            continue
        found = match(None, (row["system"], row["code"]))
        assert row["concept_id"] in {drug.id for drug in found.drugs}, row
        assert all(found.how), row
        assert not any(how.startswith("text") for how in found.how), row


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("2619426", "RxNorm ingredient"),
        ("2619425", "RxNorm precise ingredient"),
        ("2619432", "RxNorm clinical drug"),
        ("2619441", "RxNorm clinical drug"),
        ("2619438", "RxNorm branded drug"),
        ("2619434", "RxNorm brand"),
    ],
)
def test_every_term_type_of_rxnorm_is_known(code: str, how: str) -> None:
    assert drugs(None, (RXNORM, code)) == ["teclistamab"]
    assert match(None, (RXNORM, code)).how == (how,)


ENGAGERS_AND_CELLS = {
    "teclistamab": {"IN", "PIN", "SCD", "SBD", "BN"},
    "elranatamab": {"IN", "PIN", "SCD", "SBD", "BN"},
    "linvoseltamab": {"IN", "PIN", "SCD", "SBD", "BN"},
    "talquetamab": {"IN", "PIN", "SCD", "SBD", "BN"},
    "belantamab-mafodotin": {"IN", "PIN", "SCD", "SBD", "BN"},
    "daratumumab": {"IN", "SCD", "SBD", "BN"},
    "daratumumab-hyaluronidase": {"MIN", "PIN", "SCD", "SBD", "BN"},
    "idecabtagene-vicleucel": {"IN", "SCD", "SBD", "BN"},  # cells have no precise ingredient
    "ciltacabtagene-autoleucel": {"IN", "SCD", "SBD", "BN"},
}


@pytest.mark.parametrize("drug", ENGAGERS_AND_CELLS)
def test_the_table_has_every_term_type_of_the_drugs_that_matter_most(drug: str) -> None:
    codes = csv.DictReader(io.StringIO(read_text("codes.csv")))
    kinds = {row["kind"] for row in codes if row["concept"] == drug and row["system"] == "rxnorm"}
    assert kinds >= ENGAGERS_AND_CELLS[drug]


def test_the_display_of_a_code_never_contradicts_it() -> None:
    for row in DRUG_ROWS:
        name = system_name(row["system"])
        if (name, canonical_code(name, row["code"])) not in TRAPS:
            found = match(None, (row["system"], row["code"], row["display"]))
            assert [drug.id for drug in found.drugs] == drugs(None, (row["system"], row["code"])), row
            assert found.certainty is Certainty.STATED, row


def test_the_display_of_a_code_is_enough_to_know_the_drug() -> None:
    for row in ROWS:
        if row["group"] == "agent" and (system_name(row["system"]), row["code"]) not in TRAPS:
            assert drugs(row["display"]) == [row["concept_id"]], row


# --- Names in texts ---


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("teclistamab-cqyv", ["teclistamab"]),
        ("teclistamab\u2011cqyv", ["teclistamab"]),
        ("teclistamab\u2013cqyv 153 mg", ["teclistamab"]),
        ("TECLISTAMAB CQYV", ["teclistamab"]),
        ("teclistamab_cqyv", ["teclistamab"]),
        ("Tecvayli\u00ae", ["teclistamab"]),
        ("Tecvayli\u2122 153 mg", ["teclistamab"]),
        ("Tecvayli\u00b9", ["teclistamab"]),
        ("tecli\u00adstamab", ["teclistamab"]),
        ("tec\u200bvayli", ["teclistamab"]),
        ("\ufeffTecvayli", ["teclistamab"]),
        ("\uff34\uff45\uff43\uff56\uff41\uff59\uff4c\uff49", ["teclistamab"]),
        ("t\u00e9clistamab", ["teclistamab"]),
        ("te\u0301clistamab", ["teclistamab"]),
        ("Cilta\u2010Cel", ["ciltacabtagene-autoleucel"]),
        ("ide\u00a0cel", ["idecabtagene-vicleucel"]),
        ("\ufb02udarabine", ["fludarabine"]),
        ("elranatamab-bcmm 76 mg/1.9 mL", ["elranatamab"]),
        ("linvoseltamab-gcpt", ["linvoseltamab"]),
        ("talquetamab-tgvs", ["talquetamab"]),
        ("belantamab mafodotin-blmf", ["belantamab-mafodotin"]),
        ("isatuximab-irfc", ["isatuximab"]),
        ("teclistamab-abcd", ["teclistamab"]),
        ("daratumumab 1,800 mg-hyaluronidase-fihj 30,000 unit/15 mL", ["daratumumab-hyaluronidase"]),
        ("15 ML daratumumab 120 MG/ML / hyaluronidase-fihj 2000 UNT/ML Injection", ["daratumumab-hyaluronidase"]),
        ("Injection, daratumumab, 10 mg and hyaluronidase-fihj", ["daratumumab-hyaluronidase"]),
        ("{12 (selinexor 20 MG Oral Tablet) } Pack", ["selinexor"]),
        ("{14 (venetoclax 10 MG Oral Tablet) / 7 (venetoclax 50 MG Oral Tablet) } Pack", ["venetoclax"]),
        ("sulfamethoxazole 800 mg-trimethoprim 160 mg tablet", ["sulfamethoxazole-trimethoprim"]),
        ("emtricitabine 200 mg-tenofovir disoproxil fumarate 300 mg tablet", ["tenofovir-combination"]),
        ("efavirenz 600 MG / lamivudine 300 MG / tenofovir disoproxil fumarate 300 MG", ["tenofovir-combination"]),
        ("20 ML immunoglobulin G, human 100 MG/ML Injection [Octagam]", ["immune-globulin-iv"]),
        ("immunoglobulins, normal human, for intravascular adm.", ["immune-globulin-unspecified"]),
        ("aciclovir 400 mg", ["acyclovir"]),
        ("valaciclovir", ["valacyclovir"]),
    ],
)
def test_a_name_is_found_however_it_is_written(text: str, found: list[str]) -> None:
    assert drugs(text) == found
    assert drugs(None, (LOCAL, "4711", text)) == found


def test_words_leave_out_what_cannot_be_seen() -> None:
    assert words("Tecvayli\u2122\u00ae") == ("tecvayli",)
    assert words("a\u2014b\u00b7c") == ("a", "b", "c")
    assert words("\u03b2-thal\u00e9") == ("thale",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("atovaquone 250 mg-proguanil 100 mg tablet", "a malaria tablet, no cover against Pneumocystis"),
        ("tobramycin 0.3 %-dexamethasone 0.1 % eye drops,suspension", "drops for the eye"),
        ("ciprofloxacin 0.3 %-dexamethasone 0.1 % ear drops,suspension", "drops for the ear"),
        ("neomycin 3.5 mg/g-polymyxin B-dexamethasone 0.1 % ointment", "an ointment for the eye"),
        ("dexamethasone 0.1 % ophthalmic solution", "drops for the eye"),
        ("dexamethasone 0.7 MG Intravitreal Implant", "an implant in the eye"),
        ("0.005 ML dexamethasone 103.4 MG/ML Injection [Dexycu]", "injected into the eye"),
        ("prednisolone acetate 1 % eye drops,suspension", "drops for the eye"),
        ("sulfacetamide 10 %-prednisolone 0.23 % eye drops", "drops for the eye"),
        ("teriflunomide 14 mg", "ends like lenalidomide; for multiple sclerosis"),
        ("leflunomide", "ends like lenalidomide; for arthritis"),
        ("blinatumomab", "engages T cells against CD19"),
        ("mosunetuzumab-axgb", "engages T cells against CD20"),
        ("glofitamab-gxbm", "engages T cells against CD20"),
        ("epcoritamab-bysp", "engages T cells against CD20"),
        ("tarlatamab-dlle", "engages T cells against DLL3"),
        ("axicabtagene ciloleucel", "CAR T cells against CD19"),
        ("tisagenlecleucel", "CAR T cells against CD19"),
        ("lisocabtagene maraleucel", "CAR T cells against CD19"),
        ("brexucabtagene autoleucel", "CAR T cells against CD19"),
        ("hepatitis B immune globulin", "a hyperimmune globulin replaces no antibodies"),
        ("cytomegalovirus immune globulin, human", "a hyperimmune globulin"),
        ("Rho(D) immune globulin", "a hyperimmune globulin"),
        ("antithymocyte globulin (rabbit)", "destroys T cells"),
        ("rituximab-hyaluronidase", "hyaluronidase alone makes no daratumumab"),
        ("trastuzumab-hyaluronidase-oysk", "hyaluronidase alone makes no daratumumab"),
    ],
)
def test_a_look_alike_is_no_drug_of_ours(text: str, why: str) -> None:
    found = match(text)
    assert not found.drugs, why
    assert not found.possible_drugs, why
    assert not found.is_unrecognised_treatment, why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tec", "a word alone"),
        ("Tal", "a name"),
        ("elra", "no sign of oncology"),
        ("dara", "a name"),
        ("len", "a name"),
        ("VRD", "in capitals it stands for other things"),
        ("DVD", "a disc"),
        ("Kd", "a constant"),
        ("Rd", "a road"),
        ("Pd", "progressive disease"),
        ("myeloma PD", "progressive disease"),
        ("PACE program", "a programme of care"),
        ("R V D", "letters alone"),
        ("flu shot", "influenza"),
        ("flu vaccine, cycle 2", "influenza"),
        ("cis lens", "no drug"),
        ("sel cycle 1", "too many meanings"),
        ("ven cycle 1", "too many meanings"),
        ("pred cycle 1", "too many meanings"),
        ("pom juice", "a fruit"),
        ("len shampoo regimen", "another product"),
        ("acetaminophen 650 mg, dara cycle 1", "another drug that goes with it"),
        ("lidocaine cream VRd", "another drug that goes with it"),
        ("ondansetron 8 mg VRd cycle 2", "another drug that goes with it"),
        ("cetirizine (dara premed)", "the comment of another drug"),
        ("electrical", "within a word"),
        ("lens", "within a word"),
        ("tal cream regimen", "another product"),
    ],
)
def test_a_short_name_that_may_be_a_word_stands_for_nothing(text: str, why: str) -> None:
    found = match(text)
    assert not found.drugs, why
    assert not found.possible_drugs, why
    assert not found.is_unrecognised_treatment, why


VRD = ["bortezomib", "dexamethasone", "lenalidomide"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tec C1D1", ["teclistamab"]),
        ("Tec step-up dose 1, BCMA bispecific", ["teclistamab"]),
        ("elra cycle 3", ["elranatamab"]),
        ("talq weekly, myeloma", ["talquetamab"]),
        ("tal/tec", ["talquetamab", "teclistamab"]),
        ("dara SC cycle 4", ["daratumumab"]),
        ("dara/len/dex", ["daratumumab", "dexamethasone", "lenalidomide"]),
        ("Dara-Pom-Dex", ["daratumumab", "dexamethasone", "pomalidomide"]),
        ("len maintenance", ["lenalidomide"]),
        ("VRd", VRD),
        ("RVd lite", VRD),
        ("VRD cycle 2", VRD),
        ("VRd induction, cycle 4", VRD),
        ("D-VRd", ["bortezomib", "daratumumab", "dexamethasone", "lenalidomide"]),
        ("DKd C2D15", ["carfilzomib", "daratumumab", "dexamethasone"]),
        ("Isa-Kd", ["carfilzomib", "dexamethasone", "isatuximab"]),
        ("Isa-Pd", ["dexamethasone", "isatuximab", "pomalidomide"]),
        ("Kd cycle 1", ["carfilzomib", "dexamethasone"]),
        ("CyBorD", ["bortezomib", "cyclophosphamide", "dexamethasone"]),
        ("DVD regimen", ["bortezomib", "daratumumab", "dexamethasone"]),
        ("PACE chemotherapy", ["cisplatin", "cyclophosphamide", "doxorubicin", "etoposide"]),
    ],
)
def test_a_short_name_with_a_sign_of_oncology_makes_treatment_possible(text: str, found: list[str]) -> None:
    assert possible(text) == found
    assert not drugs(text), "a short name states nothing"
    assert match(text).is_unrecognised_treatment, "but it is not passed over in silence"
    assert match(text).certainty is Certainty.POSSIBLE
    assert match(text).text == text


def test_a_code_for_chemotherapy_is_a_sign_of_oncology() -> None:
    assert possible("dara", (HCPCS, "J9999")) == ["daratumumab"]
    assert possible("dara", (HCPCS, "A4216")) == []


def test_a_short_name_beside_full_names_adds_to_them() -> None:
    found = match("dara, bortezomib, dex")
    assert [drug.id for drug in found.drugs] == ["bortezomib"]
    assert [drug.id for drug in found.possible_drugs] == ["daratumumab", "dexamethasone"]
    assert not found.is_unrecognised_treatment


@pytest.mark.parametrize("text", ["dexamethasone 40 mg VRd", "dexamethasone (VRd)", "bortezomib, DVd cycle 1"])
def test_a_regimen_beside_a_drug_says_only_what_the_drug_goes_with(text: str) -> None:
    assert len(drugs(text)) == 1
    assert not possible(text)


def test_short_forms_that_are_names_of_one_drug_only_need_no_sign() -> None:
    assert drugs("cilta-cel") == ["ciltacabtagene-autoleucel"]
    assert drugs("ide-cel") == ["idecabtagene-vicleucel"]
    assert drugs("belamaf") == ["belantamab-mafodotin"]


# --- Codes and names that contradict each other ---

TECLISTAMAB, DARATUMUMAB = (RXNORM, "2619426"), (RXNORM, "1721947")


@pytest.mark.parametrize(
    ("text", "codes", "found"),
    [
        pytest.param("talquetamab", [TECLISTAMAB], ["talquetamab", "teclistamab"], id="text and code"),
        pytest.param(None, [(*TECLISTAMAB, "Talvey")], ["talquetamab", "teclistamab"], id="display and code"),
        pytest.param(
            "teclistamab",
            [(*TECLISTAMAB, "Tecvayli"), (RXNORM, "2619426", "Elrexfio")],
            ["elranatamab", "teclistamab"],
            id="one display of two",
        ),
        pytest.param(None, [TECLISTAMAB, (NDC, "57894-469-01")], ["talquetamab", "teclistamab"], id="two codes"),
        pytest.param("rituximab", [TECLISTAMAB], ["teclistamab"], id="text of a known other drug"),
        pytest.param(
            "melphalan flufenamide", [(RXNORM, "6718")], ["melphalan", "melphalan-flufenamide"], id="melphalan"
        ),
    ],
)
def test_where_code_and_name_contradict_each_other_none_is_preferred(
    text: str | None, codes: list[tuple[str, str]], found: list[str]
) -> None:
    assert drugs(text, *codes) == found
    assert match(text, *codes).certainty is Certainty.POSSIBLE


@pytest.mark.parametrize(
    ("text", "codes", "found"),
    [
        pytest.param("Tecvayli", [(*TECLISTAMAB, "teclistamab")], ["teclistamab"], id="all of one drug"),
        pytest.param("chemotherapy", [TECLISTAMAB], ["teclistamab"], id="a text without a name"),
        pytest.param("Darzalex Faspro", [DARATUMUMAB], ["daratumumab-hyaluronidase"], id="the ingredient covers it"),
        pytest.param("Granix", [(RXNORM, "68442")], ["tbo-filgrastim"], id="the ingredient covers this one too"),
        pytest.param("Privigen", [(RXNORM, "5666")], ["immune-globulin-iv"], id="the substance without its route"),
        pytest.param(
            "daratumumab, dexamethasone", [DARATUMUMAB], ["daratumumab", "dexamethasone"], id="a text with more"
        ),
        pytest.param("elranatamab", [(HCPCS, "J9999")], ["elranatamab"], id="a code that names none"),
        pytest.param("acyclovir", [(RXNORM, "281"), (SNOMED, "372729009")], ["acyclovir"], id="two systems"),
    ],
)
def test_where_code_and_name_agree_the_drug_is_stated(
    text: str | None, codes: list[tuple[str, str]], found: list[str]
) -> None:
    assert drugs(text, *codes) == found
    assert match(text, *codes).certainty is Certainty.STATED


# --- What matched, and how ---


@pytest.mark.parametrize(
    ("text", "codes", "how"),
    [
        (None, [(NDC, "57894-449-01")], ("NDC",)),
        (None, [(HCPCS, "J9380")], ("HCPCS",)),
        (None, [(HCPCS, "C9148")], ("HCPCS former code",)),
        (None, [(PCS, "XW01348")], ("ICD-10-PCS",)),
        (None, [(ATC, "L01FX24")], ("ATC",)),
        (None, [(UNII, "54534MX6Z9")], ("UNII",)),
        ("Tecvayli", [], ("text: brand",)),
        ("teclistamab", [], ("text: generic name",)),
        ("teclistamab-cqyv", [], ("text: generic name and more",)),
        ("JNJ-64007957", [], ("text: other name",)),
        ("SMX-TMP", [], ("text: other name",)),
        ("sulfamethoxazole 800 mg / trimethoprim 160 mg", [], ("text: names of the parts",)),
        ("Tecvayli", [TECLISTAMAB], ("RxNorm ingredient",)),
        ("Tecvayli, dexamethasone", [(HCPCS, "J9380")], ("text: generic name", "HCPCS")),
        ("metformin", [], ()),
        ("dara cycle 1", [], ()),
    ],
)
def test_a_match_says_by_what_it_was_found(
    text: str | None, codes: list[tuple[str, str]], how: tuple[str, ...]
) -> None:
    assert match(text, *codes).how == how
    assert len(match(text, *codes).drugs) == len(how)


def test_a_match_is_looked_up_once_for_each_concept() -> None:
    concept = Concept((Coding(*TECLISTAMAB),), "Tecvayli")
    assert load().drug(concept) is load().drug(Concept((Coding(*TECLISTAMAB),), "Tecvayli"))
