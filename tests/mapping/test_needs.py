"""Which searches feed which Topic, and what their answers prove."""

import re

import pytest

from fhir_mapping.catalog.loader import load
from fhir_mapping.model.coverage import Level
from fhir_mapping.model.vocabulary import Topic
from fhir_mapping.needs import NEEDS, RESOURCE_TYPES, Reading, coverage_of, searches

KEYS = [
    "patient",
    "conditions",
    "medicationStatements",
    "medicationRequests",
    "medicationAdministrations",
    "procedures",
    "allergies",
    "observations",
    "medicationDispenses",
    "serviceRequests",
    "reports",
    "immunizations",
    "appointments",
    "researchSubjects",
    "communications",
    "flags",
    "carePlans",
    "recentVitalSigns",
]
MEDICATION_LISTS = ["medicationStatements", "medicationRequests", "medicationAdministrations"]
ESSENTIAL = {
    Topic.PATIENT: ["patient"],
    Topic.DIAGNOSIS: ["conditions"],
    Topic.TREATMENT: MEDICATION_LISTS,
    Topic.CELL_THERAPY: ["procedures", "conditions", "medicationAdministrations", "medicationStatements"],
    Topic.PROGRESSION: ["observations", "conditions"],
    Topic.PROPHYLAXIS: MEDICATION_LISTS,
    Topic.ALLERGIES: ["allergies", "conditions"],
    Topic.LABS: ["observations"],
    Topic.SCREENING: ["observations"],
    Topic.IMMUNITY: ["observations"],
    Topic.RESPONSE: ["observations"],
    Topic.PERFORMANCE: ["observations"],
    Topic.VITAL_SIGNS: ["observations"],
    Topic.INFECTIONS: ["observations", "recentVitalSigns"],
    Topic.BLOOD_COUNTS: ["observations"],
    Topic.PLANS: ["serviceRequests", "appointments"],
    Topic.REFUSALS: ["serviceRequests", "flags"],
    Topic.TRIALS: ["researchSubjects"],
    Topic.VACCINES: ["immunizations"],
    Topic.EYE_EXAMINATIONS: ["procedures", "reports"],
    Topic.EDUCATION: ["communications"],
    Topic.LINE_NUMBER: ["carePlans"],
}
WHOLE, CUT_SHORT, FAILED = Reading(Level.COMPLETE, 3), Reading(Level.PARTIAL, 3), Reading(Level.UNAVAILABLE)
ALL_READ = dict.fromkeys(KEYS, WHOLE)

one_of_each = pytest.mark.parametrize(
    ("topic", "key"), [pytest.param(t, k, id=f"{t.value}, {k}") for t, keys in ESSENTIAL.items() for k in keys]
)
each_topic = pytest.mark.parametrize("topic", list(Topic), ids=lambda topic: topic.value)


def test_every_topic_says_what_it_needs() -> None:
    assert {topic: list(need.essential) for topic, need in NEEDS.items()} == ESSENTIAL
    assert set(NEEDS) == set(Topic)


@each_topic
def test_a_topic_is_complete_when_every_search_was_answered_in_full(topic: Topic) -> None:
    assert coverage_of(ALL_READ).of(topic).level is Level.COMPLETE
    assert coverage_of(ALL_READ).is_complete(topic)


@each_topic
def test_a_topic_needs_nothing_but_its_own_searches(topic: Topic) -> None:
    own = dict.fromkeys(ESSENTIAL[topic], WHOLE)
    assert coverage_of(own).of(topic).level is Level.COMPLETE


@one_of_each
@pytest.mark.parametrize("reading", [FAILED, CUT_SHORT, None], ids=["failed", "cut short", "not answered"])
def test_a_topic_is_not_complete_when_one_search_was_not_answered_in_full(
    topic: Topic, key: str, reading: Reading | None
) -> None:
    readings = {other: WHOLE for other in KEYS if other != key} | ({key: reading} if reading else {})
    covered = coverage_of(readings).of(topic)
    alone_and_unread = ESSENTIAL[topic] == [key] and reading is not CUT_SHORT
    assert covered.level is (Level.UNAVAILABLE if alone_and_unread else Level.PARTIAL)
    assert covered.unread == (key,)
    assert not coverage_of(readings).is_complete(topic)


@each_topic
def test_a_topic_of_which_nothing_was_read_is_unavailable(topic: Topic) -> None:
    assert coverage_of({}).of(topic).level is Level.UNAVAILABLE
    assert coverage_of(dict.fromkeys(KEYS, FAILED)).of(topic).level is Level.UNAVAILABLE


@each_topic
def test_a_topic_of_which_everything_was_cut_short_is_partial(topic: Topic) -> None:
    assert coverage_of(dict.fromkeys(KEYS, CUT_SHORT)).of(topic).level is Level.PARTIAL


@each_topic
def test_only_medication_lists_that_are_all_empty_prove_nothing(topic: Topic) -> None:
    covered = coverage_of(dict.fromkeys(KEYS, Reading(Level.COMPLETE, 0))).of(topic)
    of_medications = topic in {Topic.TREATMENT, Topic.PROPHYLAXIS}
    assert covered.level is (Level.PARTIAL if of_medications else Level.COMPLETE)
    assert covered.lists_are_empty is of_medications


@pytest.mark.parametrize("key", MEDICATION_LISTS)
def test_one_entry_in_one_medication_list_is_enough(key: str) -> None:
    readings = dict.fromkeys(KEYS, Reading(Level.COMPLETE, 0)) | {key: Reading(Level.COMPLETE, 1)}
    assert coverage_of(readings).is_complete(Topic.TREATMENT)
    assert coverage_of(readings).is_complete(Topic.PROPHYLAXIS)


def test_lists_that_were_not_all_read_are_not_called_empty() -> None:
    readings = dict.fromkeys(KEYS, Reading(Level.COMPLETE, 0)) | {"medicationRequests": FAILED}
    assert not coverage_of(readings).of(Topic.TREATMENT).lists_are_empty


# --- Templates ---


def test_the_keys_are_the_contract() -> None:
    assert list(searches(load())) == KEYS


def test_every_search_feeds_some_topic() -> None:
    assert {key for need in NEEDS.values() for key in need.keys} == set(searches(load()))


@each_topic
def test_only_the_searches_of_the_topics_that_are_read_are_offered(topic: Topic) -> None:
    assert set(searches(load(), [topic])) == {"patient", *NEEDS[topic].keys}


@each_topic
def test_nothing_waits_for_a_search_that_is_only_helpful(topic: Topic) -> None:
    helpful = dict.fromkeys(NEEDS[topic].helpful, FAILED)
    assert coverage_of(ALL_READ | helpful).is_complete(topic)
    assert not set(NEEDS[topic].helpful) & set(NEEDS[topic].essential)


@pytest.mark.parametrize(
    ("topic", "key"), [pytest.param(t, k, id=f"{t.value}, {k}") for t, need in NEEDS.items() for k in need.helpful]
)
def test_a_search_that_is_only_helpful_proves_nothing_once_part_of_it_is_lost(topic: Topic, key: str) -> None:
    covered = coverage_of(ALL_READ | {key: CUT_SHORT}).of(topic)
    assert (covered.level, covered.unread) == (Level.PARTIAL, (key,))


def test_reports_are_asked_for_by_code() -> None:
    of_progression = searches(load(), [Topic.PROGRESSION, Topic.TREATMENT])["reports"].query
    assert of_progression.endswith("&code=88040-1,97509-4")
    of_both = searches(load(), [Topic.PROGRESSION, Topic.EYE_EXAMINATIONS])["reports"].query
    assert {"97509-4", "92014"} < set(of_both.partition("&code=")[2].split(","))


@pytest.mark.parametrize("key", KEYS)
def test_a_template_asks_for_its_own_type_about_the_patient_alone(key: str) -> None:
    search = searches(load())[key]
    assert re.match(r"\w+", search.query).group() == search.resource_type  # type: ignore[union-attr]  # or it fails
    assert re.findall(r"\{\{.*?\}\}", search.query) == ["{{context.patientId}}"]


@pytest.mark.parametrize("key", KEYS)
def test_a_template_names_each_parameter_once(key: str) -> None:
    _, _, parameters = searches(load())[key].query.partition("?")
    named = [parameter.partition("=")[0] for parameter in parameters.split("&")]
    assert len(named) == len(set(named))


def test_topics_that_look_for_observations_say_which() -> None:
    for topic in Topic:
        asks = "observations" in searches(load(), [topic])
        assert bool(NEEDS[topic].observed) is asks


def test_the_observations_asked_for_are_those_that_the_topics_look_for() -> None:
    asked = searches(load(), [Topic.PROGRESSION, Topic.LABS])["observations"].query
    codes = asked.partition("code=")[2].split(",")
    assert {"97509-4", "88040-1", "24467-3", "751-8", "2160-0", "33914-3"} <= set(codes)
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"\d+-\d", code) for code in codes)


# --- Types that the EHR does not have ---


@pytest.mark.parametrize("kind", ["MedicationStatement", "MedicationAdministration", "MedicationRequest"])
def test_a_list_that_the_ehr_does_not_have_is_not_waited_for(kind: str) -> None:
    key = next(key for key in MEDICATION_LISTS if RESOURCE_TYPES[key] == kind)
    without = {name: reading for name, reading in ALL_READ.items() if name != key}

    assert coverage_of(without, [kind]).is_complete(Topic.TREATMENT)
    assert not coverage_of(without).is_complete(Topic.TREATMENT)


def test_orders_alone_prove_no_absence() -> None:
    kinds = ["MedicationStatement", "MedicationAdministration"]
    orders = {key: reading for key, reading in ALL_READ.items() if RESOURCE_TYPES[key] not in kinds}

    assert coverage_of(orders, kinds).of(Topic.TREATMENT).level is Level.PARTIAL


def test_a_topic_of_which_the_ehr_has_nothing_stays_unread() -> None:
    without = {key: reading for key, reading in ALL_READ.items() if key != "observations"}

    assert coverage_of(without, ["Observation"]).of(Topic.LABS).level is Level.UNAVAILABLE


def test_what_was_sent_counts_also_of_a_type_that_the_ehr_is_said_not_to_have() -> None:
    cut_short = ALL_READ | {"procedures": CUT_SHORT}

    assert coverage_of(cut_short, ["Procedure"]).of(Topic.CELL_THERAPY).unread == ("procedures",)


ADDRESS_OF_A_SERVER = 300  # characters, roomily
SHORTEST_LIMIT = 2_048  # characters of an address, of servers in use


@pytest.mark.parametrize("key", KEYS)
def test_no_search_is_too_long_for_a_server(key: str) -> None:
    assert len(searches(load())[key].query) < SHORTEST_LIMIT - ADDRESS_OF_A_SERVER


# --- The newest records alone ---


def test_vital_signs_are_asked_for_newest_first() -> None:
    query = searches(load())["recentVitalSigns"].query

    assert re.fullmatch(
        r"Observation\?patient=\{\{context.patientId\}\}&code=(\d+-\d,)*8310-5(,\d+-\d)*&_sort=-date&_count=100", query
    )
    assert "8310-5" not in searches(load())["observations"].query
