"""Knowledge files: the loader starts on the shipped ones, and on no others with any fault in them."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cards.knowledge.loader import FOR_REVIEWERS, Knowledge, KnowledgeError, load, load_from
from cards.rulebook import REGISTERED
from fhir_mapping.catalog.loader import load as load_catalog

SHIPPED = Path(__file__).parents[2] / "cards/knowledge"


class Folder:
    """A copy of the shipped knowledge in which faults can be planted."""

    def __init__(self, path: Path) -> None:
        """Copy every file to `path`."""
        self.path = path
        for file in SHIPPED.glob("*.toml"):
            shutil.copy(file, path)

    def change(self, name: str, pattern: str, replacement: str) -> None:
        """Replace the first match of a pattern, which has to be there."""
        file = self.path / name
        text, count = re.subn(pattern, replacement, file.read_text(), count=1, flags=re.MULTILINE)
        assert count == 1, f"{pattern} is not in {name}"
        file.write_text(text)

    def load(self) -> Knowledge:
        """Load what is there now."""
        return load_from(self.path, REGISTERED, load_catalog())

    def faults(self) -> list[str]:
        """Load what must not load; give the faults."""
        with pytest.raises(KnowledgeError) as refused:
            self.load()
        assert str(refused.value).count("\n- ") == len(refused.value.faults)
        return list(refused.value.faults)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Copy the shipped knowledge."""
    return Folder(tmp_path)


def test_an_unchanged_copy_loads_as_the_same_version(folder: Folder) -> None:
    assert folder.load().version == load().version


def test_the_version_does_not_depend_on_what_only_reviewers_read(folder: Folder) -> None:
    folder.change("signoff.toml", r'^question = "', 'question = "Changed: ')

    assert folder.load().version == load().version


def test_the_version_changes_with_any_file(folder: Folder) -> None:
    folder.change("sources.toml", r'^says = "', 'says = "Changed: ')

    assert folder.load().version != load().version


FAULTS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "unknown source of a rule": (
        "washout.toml",
        r'^sources = \["S001"',
        'sources = ["S999"',
        ("R01: unknown source S999",),
    ),
    "unknown source of a number": (
        "washout.toml",
        r'^minimum_days = \{ value = (\d+), source = "S001"',
        r'minimum_days = { value = \1, source = "S999"',
        ("R01: unknown source S999",),
    ),
    "unknown source of evidence": (
        "washout.toml",
        r'^\[\[rule\.evidence\]\]\nsource = "S001"',
        '[[rule.evidence]]\nsource = "S999"',
        ("R01: unknown source S999",),
    ),
    "text without a rule": (
        "washout.toml",
        r'^id = "R01"',
        'id = "R98"',
        ("R98: a text without a rule", "R01: a rule without text"),
    ),
    "two texts": ("prophylaxis.toml", r'^id = "R16"', 'id = "R15"', ("R15: has two texts", "R16: a rule without text")),
    "text in another family's file": (
        "sequencing.toml",
        r'^id = "R02"',
        'id = "R01"',
        ("R01: its text stands in sequencing.toml, its rule in washout.py",),
    ),
    "placeholder that the rule does not provide": (
        "washout.toml",
        r"\{drug\} last given",
        "{drgu} last given",
        ("R01: the rule does not provide {drgu}",),
    ),
    "placeholder with a format": (
        "washout.toml",
        r"\{drug\} last given",
        "{drug:>9} last given",
        ("R01: the rule does not provide {drug:>9}",),
    ),
    "number that the rule does not have, in the description": (
        "washout.toml",
        r"^(when = .*)\{minimum_days\}",
        r"\1{minimum_weeks}",
        ("R01: no setting {minimum_weeks}",),
    ),
    "placeholder in a missing fact": (
        "washout.toml",
        r"the date of the last dose of \{drug\}",
        "the date of the last dose of {gap}",
        ("R01: nothing provides {gap}",),
    ),
    "misspelled key": (
        "washout.toml",
        r"^rank = ",
        "rnak = ",
        ("rank: Field required", "rnak: Extra inputs are not permitted"),
    ),
    "misspelled number": (
        "washout.toml",
        r"^minimum_days = ",
        "minimal_days = ",
        ("R01: settings.minimum_days: Field required", "R01: settings.minimal_days: Extra inputs are not permitted"),
    ),
    "number that is text": (
        "washout.toml",
        r"^minimum_days = \{ value = \d+",
        'minimum_days = { value = "half a year"',
        ("R01: settings.minimum_days: ",),
    ),
    "missing wording of a variant": (
        "washout.toml",
        r"^\[rule\.cards\.ongoing\]",
        "[rule.cards.running]",
        ("R01: no text for card ongoing", "R01: text for card running, which the rule never gives"),
    ),
    "missing wording of a missing fact": (
        "washout.toml",
        r"^date_precision = ",
        "date_accuracy = ",
        ("R01: no text for missing date_precision", "R01: text for missing date_accuracy, which the rule never gives"),
    ),
    "unknown override reason": (
        "washout.toml",
        r'^override_reasons = \["trial"',
        'override_reasons = ["because"',
        ("R01: unknown override reason because",),
    ),
    "unknown draft order": (
        "washout.toml",
        r'^template = "myeloma-board"',
        'template = "tumour-board"',
        ("R01: unknown draft order tumour-board",),
    ),
    "unknown companion": (
        "sequencing.toml",
        r'^companion_of = \["R01"',
        'companion_of = ["R99"',
        ("R07: refers to an unknown rule R99",),
    ),
    "unknown hook": ("washout.toml", r'^hooks = \["order-select"', 'hooks = ["order-review"', ("hooks.0: ",)),
    "unknown indicator": ("washout.toml", r'^indicator = "warning"', 'indicator = "hard-stop"', ("indicator: ",)),
    "unknown state": ("washout.toml", r'^shipped = "live"', 'shipped = "shadow"', ("shipped: ",)),
    "review without a date": (
        "washout.toml",
        r"^rank = ",
        'reviewed = { by = "Dr Example", on = "2026-01-01" }\nrank = ',
        ("reviewed.on: Value error, must be a TOML date",),
    ),
    "review without a name": (
        "washout.toml",
        r"^rank = ",
        'reviewed = { by = "", on = 2026-01-01 }\nrank = ',
        ("reviewed.by: ",),
    ),
    "dose without source": (
        "orders.toml",
        r"^dose_source = .*\n",
        "",
        ("orders.toml, antiviral: a dose without a known source",),
    ),
    "dose with an unknown source": (
        "orders.toml",
        r"^dose_source = .*",
        'dose_source = "E999"',
        ("orders.toml, antiviral: a dose without a known source",),
    ),
    "drug code that the catalogue does not have": (
        "orders.toml",
        r'^code = "281"',
        'code = "1"',
        ("orders.toml, antiviral: code 1 is not in the product's own table",),
    ),
    "service code that the catalogue does not have": (
        "orders.toml",
        r'^category_text = "consult"',
        'code_system = "http://loinc.org"\ncode = "1-8"',
        ("orders.toml, myeloma-board: code 1-8 is not in the product's own table",),
    ),
    "service code without its system": (
        "orders.toml",
        r'^category_text = "consult"',
        'code = "24467-3"',
        ("orders.toml, myeloma-board: : Value error, code and code_system go together",),
    ),
    "drug without a code": (
        "orders.toml",
        r'^code = "281"\n',
        "",
        ("orders.toml, antiviral: : Value error, code is missing",),
    ),
    "dose of a service": (
        "orders.toml",
        r'^category_text = "consult"',
        'dose_text = "twice"',
        ("orders.toml, myeloma-board: : Value error, a service has no dose_text",),
    ),
    "placeholder in a draft order": (
        "orders.toml",
        r'^label = "Draft acyclovir"',
        'label = "Draft {drug}"',
        ("orders.toml, antiviral: nothing provides {drug}",),
    ),
    "placeholder that no move provides": (
        "orders.toml",
        r"^label = \"Move \{drug\}",
        'label = "Move {order}',
        ("orders.toml, later-start: nothing provides {order}",),
    ),
    "a move that is always offered": (
        "washout.toml",
        r'^template = "myeloma-board"',
        'template = "later-start"',
        ("unknown draft order later-start",),
    ),
    "cap without a known source": (
        "presentation.toml",
        r'^(other_cards = .*)source = "OURS"',
        r'\1source = "THEIRS"',
        ("presentation.toml: cap.other_cards: unknown source THEIRS",),
    ),
    "cap that leaves no card to name the rest": (
        "presentation.toml",
        r"^other_cards = \{ value = \d+",
        "other_cards = { value = 0",
        ("presentation.toml: cap.other_cards must be a number of at least 1",),
    ),
    "repeats without a known source": (
        "presentation.toml",
        r'^(days = .*)source = "OURS"',
        r'\1source = "THEIRS"',
        ("presentation.toml: repeats.days: unknown source THEIRS",),
    ),
    "repeats of no day": (
        "presentation.toml",
        r"^days = \{ value = \d+",
        "days = { value = 0",
        ("presentation.toml: repeats.days must be a number of at least 1",),
    ),
    "bundle of an unknown rule": (
        "presentation.toml",
        r'^rules = \["R15"',
        'rules = ["R98"',
        ("presentation.toml: B01 refers to an unknown rule R98",),
    ),
    "rule of a bundle that has no short wording": (
        "prophylaxis.toml",
        r'^short = "no antiviral \(CD4.*\n',
        "",
        ("R15: every card of a rule in B01 needs a short wording",),
    ),
    "days of silence of a rule that are none": (
        "prophylaxis.toml",
        r"^rank = 20\n",
        'rank = 20\nrepeats_after = { value = 0, source = "OURS", label = "days" }\n',
        ("R15.repeats_after must be a number of at least 1",),
    ),
    "two sources with one key": (
        "sources.toml",
        r'^key = "S001"',
        'key = "S000"',
        ("sources.toml: two sources are called S000",),
    ),
    "source without https": ("sources.toml", r'^url = "https:', 'url = "http:', ("url: ",)),
    "missing wording of a gap": (
        "presentation.toml",
        r"^failed = .*\n",
        "",
        ("presentation.toml: data_gap.missing must word exactly",),
    ),
    "gate without a known source": (
        "presentation.toml",
        r'^(adult_years = .*)source = "OURS"',
        r'\1source = "THEIRS"',
        ("presentation.toml: gates.adult_years: unknown source THEIRS",),
    ),
    "label of an unknown drug": (
        "labels.toml",
        r'^product = "teclistamab"',
        'product = "teclistamb"',
        ("labels.toml, row 3: unknown drug teclistamb",),
    ),
    "label with an unknown partner": (
        "labels.toml",
        r'"daratumumab-hyaluronidase", "daratumumab"',
        '"daratumumab-sc", "daratumumab"',
        ("labels.toml, row 4: unknown drug daratumumab-sc",),
    ),
    "label with a partner that names no drug": (
        "labels.toml",
        r'^beside = \[\["daratumumab-hyaluronidase", "daratumumab"\]\]',
        "beside = [[]]",
        ("labels.toml, row 4: a partner without drugs",),
    ),
    "label with an unknown drug to be refractory to": (
        "labels.toml",
        r'^refractory_to = \["lenalidomide"\]',
        'refractory_to = ["lenalidomid"]',
        ("labels.toml, row 2: unknown drug lenalidomid",),
    ),
    "label with an unknown class": (
        "labels.toml",
        r'^classes = \["imid", "proteasome-inhibitor", "anti-cd38"\]',
        'classes = ["imids", "proteasome-inhibitor", "anti-cd38"]',
        ("labels.toml, row 1: classes.0: ",),
    ),
    "label with an unknown source": (
        "labels.toml",
        r'^source = "E27"',
        'source = "E999"',
        ("labels.toml, row 1: unknown source E999",),
    ),
    "two labels of one product": (
        "labels.toml",
        r'^product = "elranatamab"',
        'product = "linvoseltamab"',
        ("labels.toml: two rows for linvoseltamab, US",),
    ),
    "two labels of one combination": (
        "labels.toml",
        r'^beside = \[\["daratumumab-hyaluronidase", "daratumumab"\]\]\n',
        "",
        ("labels.toml: two rows for teclistamab, US",),
    ),
    "label that expires on the day it was read": (
        "labels.toml",
        r"^expires = 2027-05-20",
        "expires = 2026-11-20",
        ("labels.toml, row 1: does not expire after it was read",),
    ),
    "label that expired before it was read": (
        "labels.toml",
        r"^expires = 2027-05-20",
        "expires = 2026-05-20",
        ("labels.toml, row 1: does not expire after it was read",),
    ),
    "label with a day that is text": (
        "labels.toml",
        r"^read_on = 2026-11-20",
        'read_on = "2026-11-20"',
        ("labels.toml, row 1: read_on: Value error, must be a TOML date",),
    ),
    "label with a time of day": (
        "labels.toml",
        r"^expires = 2027-05-20",
        "expires = 2027-05-20T00:00:00Z",
        ("labels.toml, row 1: expires: Value error, must be a TOML date",),
    ),
    "label whose date is no date": (
        "labels.toml",
        r'^label_date = "2024"',
        'label_date = "spring 2024"',
        ("labels.toml, row 1: label_date: ",),
    ),
    "label of another jurisdiction": (
        "labels.toml",
        r'^jurisdiction = "US"',
        'jurisdiction = "EU"',
        ("labels.toml, row 1: jurisdiction: ",),
    ),
    "label with a negative number of lines": (
        "labels.toml",
        r"^lines_minimum = 2",
        "lines_minimum = -1",
        ("labels.toml, row 1: lines_minimum: ",),
    ),
    "label without an indication": (
        "labels.toml",
        r'^indication = ".*"',
        'indication = ""',
        ("labels.toml, row 1: indication: ",),
    ),
    "label that nobody vouches for": (
        "labels.toml",
        r'^owner = ".*"\n',
        "",
        ("labels.toml, row 1: owner: Field required",),
    ),
    "misspelled key of a label": (
        "labels.toml",
        r"^refractory_to = ",
        "refractory = ",
        ("labels.toml, row 2: refractory: Extra inputs are not permitted",),
    ),
    "misspelled row of a label": (
        "labels.toml",
        r"^\[\[label\]\]",
        "[[labels]]",
        ("labels.toml: unknown key labels",),
    ),
    "broken TOML": ("washout.toml", r"^\[\[rule\]\]", "[[rule", ("washout.toml: ", "R01: a rule without text")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_loader_refuses(name: str, folder: Folder) -> None:
    file, pattern, replacement, expected = FAULTS[name]
    folder.change(file, pattern, replacement)

    faults = folder.faults()

    for fault in expected:
        assert [found for found in faults if fault in found], faults


@pytest.mark.parametrize("file", sorted({path.name for path in SHIPPED.glob("*.toml")} - set(FOR_REVIEWERS)))
def test_the_loader_refuses_to_start_without_any_one_file(file: str, folder: Folder) -> None:
    (folder.path / file).unlink()

    assert folder.faults()


def test_the_loader_refuses_an_empty_table_of_labels(folder: Folder) -> None:
    (folder.path / "labels.toml").write_text("")

    assert folder.faults() == ["labels.toml: no indication"]


def test_every_fault_of_the_labels_is_listed(folder: Folder) -> None:
    folder.change("labels.toml", r'^product = "teclistamab"', 'product = "teclistamb"')
    folder.change("labels.toml", r'^source = "E27"', 'source = "E999"')
    folder.change("labels.toml", r"^lines_minimum = 1", "lines_minimum = 99")

    faults = folder.faults()

    assert [fault.partition(":")[0] for fault in faults] == [f"labels.toml, row {number}" for number in (1, 2, 3)]


def test_the_rule_of_labels_gets_every_row(folder: Folder) -> None:
    labels = folder.load().rules["R28"].settings.labels  # type: ignore[attr-defined]

    assert [label.product.id for label in labels].count("teclistamab") == 2
    assert len(labels) == len(re.findall(r"^\[\[label\]\]", (SHIPPED / "labels.toml").read_text(), re.MULTILINE))


def test_all_faults_are_listed_at_once(folder: Folder) -> None:
    folder.change("washout.toml", r'^sources = \["S001"', 'sources = ["S999"')
    folder.change("prophylaxis.toml", r"^rank = ", "rnak = ")
    folder.change("orders.toml", r"^dose_source = .*\n", "")
    folder.change("sequencing.toml", r'^companion_of = \["R01"', 'companion_of = ["R99"')

    faults = "\n".join(folder.faults())

    for file in (
        "R01: unknown source S999",
        "prophylaxis.toml, R15: rank",
        "orders.toml, antiviral",
        "unknown rule R99",
    ):
        assert file in faults


def test_a_review_by_a_named_clinician_is_accepted(folder: Folder) -> None:
    folder.change("washout.toml", r"^rank = ", 'reviewed = { by = "Dr Example", on = 2026-01-01 }\nrank = ')

    review = folder.load().rules["R01"].text.reviewed

    assert review is not None
    assert review.by == "Dr Example"


def cited() -> Iterator[tuple[str, str]]:
    """Give every (place, source key) of the shipped knowledge."""
    knowledge = load()
    for key, active in knowledge.rules.items():
        text = active.text
        yield from ((key, source) for source in text.sources)
        yield from ((f"{key} {name}", setting.source) for name, setting in text.settings.items())
        yield from ((f"{key} evidence", line.source) for line in text.evidence)
    yield from ((f"order {key}", order.dose_source) for key, order in knowledge.orders.items() if order.dose_source)
    yield "gates", knowledge.presentation.gates.adult_years.source
    yield "repeats", knowledge.presentation.repeats.days.source
    yield from ((name, entry["source"]) for name, entry in load_catalog().definitions.items())


def test_every_cited_source_exists() -> None:
    assert [(place, key) for place, key in cited() if key not in load().sources] == []


def test_every_shown_source_says_what_was_taken_from_it() -> None:
    shown = {source for active in load().rules.values() for source in active.text.sources}

    assert all(load().sources[key].says.strip() for key in shown)


def test_every_source_link_is_the_public_address_of_a_publisher() -> None:
    unwanted = re.compile(
        r"preview|staging|mirror|vercel|github|netlify|herokuapp|localhost|pages\.dev|\btest\b|\bdev\b"
    )

    for source in load().sources.values():
        if source.url is not None:
            parts = urlsplit(source.url)
            assert parts.scheme == "https", source.key
            assert parts.hostname is not None, source.key
            assert not unwanted.search(parts.hostname), source.key
            assert re.fullmatch(r"[a-z0-9.-]+\.[a-z]{2,}", parts.netloc), source.key
            assert not re.search(r"utm_|token=|session", parts.query), source.key


def test_no_review_is_claimed() -> None:
    assert [key for key, active in load().rules.items() if active.text.reviewed is not None] == []


def test_critical_is_kept_for_what_may_do_acute_harm() -> None:
    critical = {
        f"{rule_id}.{variant}"
        for rule_id, active in load().rules.items()
        for variant, card in active.text.cards.items()
        if card.indicator == "critical"
    }

    live = {f"R25.{variant}" for variant in ("live", "live_before_cells", "live_bispecific", "live_labelled_apart")}
    assert critical == {"R24.infusion", "R24.lymphodepletion", "R31.full_dose", *live}


def test_rule_numbers_slugs_and_ranks_are_unique() -> None:
    texts = [active.text for active in load().rules.values()]

    assert len({text.slug for text in texts}) == len({text.rank for text in texts}) == len(texts)


def test_every_draft_order_is_offered_by_some_rule() -> None:
    offered = {proposal.template for active in load().rules.values() for proposal in active.text.proposals}
    offered |= {*load().rules["R22"].settings.model_dump()["required"]}  # each missing test by its own name
    code = "\n".join(
        path.read_text() for folder in ("rules", "situation") for path in SHIPPED.parent.joinpath(folder).glob("*.py")
    )

    assert [key for key in load().orders if key not in offered and f'"{key}"' not in code] == []


def test_every_override_reason_is_used_or_kept_for_the_shared_list() -> None:
    shared = {"trial", "mdt", "urgent", "outside", "contraindicated", "patient", "later", "wrong-data", "not-candidate"}
    of_single_rules = {"not-needed", "off-label", "resolved", "other-cause", "pre-existing", "monitored", "crs"}
    of_single_rules |= {"keep-schedule"}

    assert set(load().presentation.override.reasons) == shared | of_single_rules
