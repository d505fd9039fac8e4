"""What real clients send and take, each in its own dialect: the same patient, the same advice."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cards.finding import Hook
from cds_service.app import create_app
from cds_service.callers import ordering_of
from cds_service.settings import Settings, unix_time
from cds_service.site import OrderCode, Site
from tests.build import (
    LOINC,
    PATIENT,
    RXCUI,
    RXNORM,
    TEST_CODES,
    Resource,
    bundle,
    chart,
    coded,
    draft_collection,
    given,
    hook_request,
    infusion,
    lab,
    progression,
)
from tests.rules.table import SCREENED
from tests.service import tokens
from tests.service.calling import after_infusion, call, cards, client, codes, post, washout

EPIC_RXNORM = "urn:oid:2.16.840.1.113883.6.88"
PREFERENCE_LIST = "urn:com.epic.cdshooks.action.code.system.preference-list-item"
OWN_CODE = OrderCode(template="pjp-first-choice", system=PREFERENCE_LIST, code="4711", display="SMX-TMP DS by protocol")
LONG_ID = "eXyZ-" * 38  # Epic's draft ids have about 190 characters
RELAPSE = hook_request(
    Hook.ORDER_SIGN,
    chart(given("teclistamab", "2026-11-05"), progression("2026-11-10"), *SCREENED),
    [draft_collection("2026-11-20")],
)


def epic_site(folder: Path) -> Site:
    """Make a site whose EHR is Epic: RS384, its keys known, one order of its own."""
    (folder / "jwks.json").write_bytes(tokens.our_jwks())
    issuer = tokens.issuer(jku=None, jwks_file=folder / "jwks.json", dialect="epic")
    return Site(public_urls=(tokens.BASE,), issuers=(issuer,), orders=(OWN_CODE,))


def ask_as_epic(folder: Path, request: Resource) -> list[Resource]:
    """Call as Epic does: RS384, `nbf` five minutes before `iat`, 15 minutes of life, its own extensions."""
    now = int(unix_time())
    service = f"mmcds-{request['hook']}"
    claims = tokens.claims(
        aud=f"{tokens.BASE}/cds-services/{service}", iat=now, nbf=now - 300, exp=now + 900, sub="mmcds"
    )
    token = tokens.signed(claims, {"alg": "RS384", "typ": "JWT", "kid": tokens.KID_RSA}, tokens.rs384())
    request = request | {"extension": {"com.epic.cdshooks.request.bpa-trigger-action": "17", "internal": {"x": None}}}
    app = create_app(Settings(as_of="2026-11-20", time_zone="America/New_York"), epic_site(folder)).test_client()
    return cards(post(request, service=service, to=app, headers={"Authorization": f"Bearer {token}"}))


def drugs_offered(found: list[Resource]) -> list[Resource]:
    """Give the drugs of all suggestions."""
    actions = [action for card in found for each in card.get("suggestions", ()) for action in each["actions"]]
    resources = [action["resource"] for action in actions]
    return [r["medicationCodeableConcept"] for r in resources if r["resourceType"] == "MedicationRequest"]


def test_epic_gets_its_own_code_first_and_rxnorm_by_its_oid(tmp_path: Path) -> None:
    acyclovir, cotrimoxazole = drugs_offered(ask_as_epic(tmp_path, after_infusion()))

    assert [(c["system"], c["code"]) for c in acyclovir["coding"]] == [(EPIC_RXNORM, RXCUI["acyclovir"])]
    assert [(c["system"], c["code"]) for c in cotrimoxazole["coding"]] == [
        (PREFERENCE_LIST, "4711"),
        (EPIC_RXNORM, RXCUI["sulfamethoxazole-trimethoprim"]),
    ]
    assert cotrimoxazole["coding"][0]["display"] == "SMX-TMP DS by protocol"


def test_epic_is_offered_no_order_that_it_has_no_code_for(tmp_path: Path) -> None:
    def kinds(found: list[Resource]) -> set[str]:
        actions = [action for card in found for each in card.get("suggestions", ()) for action in each["actions"]]
        return {action["resource"]["resourceType"] for action in actions}

    assert kinds(cards(call(RELAPSE))) == {"MedicationRequest", "ServiceRequest"}
    assert kinds(ask_as_epic(tmp_path, RELAPSE)) == {"MedicationRequest"}


def test_epic_is_offered_laboratory_tests_by_their_codes(tmp_path: Path) -> None:
    unscreened = hook_request(Hook.ORDER_SIGN, chart(), [draft_collection("2026-11-20")])

    actions = [a for card in ask_as_epic(tmp_path, unscreened) for s in card["suggestions"] for a in s["actions"]]

    codings = [action["resource"]["code"]["coding"] for action in actions]
    assert {coding["code"] for (coding,) in codings} >= {TEST_CODES["hbsag"], TEST_CODES["hiv-ag-ab"]}
    assert {coding["system"] for (coding,) in codings} == {LOINC}


def test_what_epic_shows_of_an_action_says_drug_and_dates(tmp_path: Path) -> None:
    found = ask_as_epic(tmp_path, after_infusion())

    words = [a["description"] for card in found for each in card.get("suggestions", ()) for a in each["actions"]]
    assert words == [
        "Acyclovir prophylaxis, dose by local protocol. From 2026-11-20 to 2027-10-01",
        "Sulfamethoxazole-trimethoprim prophylaxis, dose by local protocol. From 2026-11-20 to 2027-10-01",
    ]


def test_epic_gets_one_action_per_suggestion_and_plain_topics(tmp_path: Path) -> None:
    found = ask_as_epic(tmp_path, after_infusion())

    assert [card["source"]["topic"]["code"] for card in found] == ["B01", "R39"]
    assert found[0]["selectionBehavior"] == "any"
    for card in found:
        assert card["source"]["topic"]["code"].isalnum()
        assert all(len(suggestion["actions"]) == 1 for suggestion in card.get("suggestions", ()))


def test_a_site_code_stands_first_for_every_other_client_too() -> None:
    ordering = ordering_of("standard", Site(orders=(OWN_CODE,)))

    assert ordering.own_codes["pjp-first-choice"].code == "4711"
    assert ordering.rxnorm == RXNORM
    assert not ordering.needs_code


@pytest.mark.parametrize(
    ("site", "dose"),
    [
        pytest.param(Site(), None, id="as shipped"),
        pytest.param(Site(draft_doses=True), "published: acyclovir 800 mg twice daily", id="the hospital wants doses"),
    ],
)
def test_a_draft_carries_a_published_dose_only_where_the_hospital_says_so(site: Site, dose: str | None) -> None:
    settings = Settings(auth="off", as_of="2026-11-20", time_zone="America/New_York")
    egfr = lab("98979-8", 80, "mL/min/1.73m2", "2026-11-01")

    found = cards(call(after_infusion(observations=bundle([egfr])), to=create_app(settings, site).test_client()))

    drafts = [s["actions"][0] for card in found for s in card.get("suggestions", ()) if "acyclovir" in s["label"]]
    (draft,) = drafts
    (dosage,) = draft["resource"]["dosageInstruction"]
    assert ("text" in dosage) is bool(dose)
    assert (dose or "dose by local protocol") in draft["description"]
    assert ("800 mg" in draft["description"]) is bool(dose)


def test_a_search_of_epic_without_results_is_a_warning_and_no_failure() -> None:
    warning = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "informational"}]}
    nothing = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 0,
        "entry": [{"resource": warning, "search": {"mode": "outcome"}}],
    }

    assert codes(call(washout() | {"prefetch": washout()["prefetch"] | {"procedures": nothing}})) == ["R01"]


@pytest.mark.parametrize("user", ["PractitionerRole/eRole", "https://ehr.example/fhir/PractitionerRole/eRole"])
def test_a_user_of_epic_may_be_a_role(user: str) -> None:
    request = after_infusion()

    assert codes(call(request | {"context": request["context"] | {"userId": user}})) == ["B01", "R39"]


def test_a_draft_of_epic_has_a_long_id_and_a_medication_beside_it() -> None:
    medication = {
        "resourceType": "Medication",
        "id": LONG_ID,
        "code": coded(EPIC_RXNORM, RXCUI["ciltacabtagene autoleucel"], "cilta-cel"),
    }
    draft = {
        "resourceType": "MedicationRequest",
        "id": f"{LONG_ID}-order",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"https://ehr.example/fhir/Patient/{PATIENT}"},
        "medicationReference": {"reference": f"https://ehr.example/fhir/Medication/{LONG_ID}"},
        "dosageInstruction": [{"doseQuantity": {"value": 1}}],
    }
    context = washout()["context"] | {"draftOrders": bundle([draft, medication])}

    assert codes(call(washout() | {"context": context}))[0] == "R01"


def test_an_order_hook_without_its_drafts_is_answered_and_reported(capsys: pytest.CaptureFixture[str]) -> None:
    context = {key: value for key, value in washout()["context"].items() if key != "draftOrders"}

    assert cards(call(washout() | {"context": context})) == []
    assert "registration: an order hook came without draft orders" in capsys.readouterr().out


# --- The reference sandbox, as it was seen on the wire ---


def sandbox_draft(**members: Any) -> Resource:
    """Make a draft that no R4 validator accepts: no intent, the category no list, the Bundle without a type."""
    draft = {
        "resourceType": "MedicationRequest",
        "id": "request-123",
        "status": "draft",
        "subject": {"reference": f"Patient/{PATIENT}"},
        "category": {"coding": [{"code": "outpatient"}]},
    }
    return {"resourceType": "Bundle", "entry": [{"resource": draft | members}]}


def test_the_sandbox_opens_its_order_screen_without_a_drug() -> None:
    request = hook_request(Hook.ORDER_SELECT, chart(infusion("2026-10-01")))
    context = request["context"] | {"draftOrders": sandbox_draft(), "selections": ["MedicationRequest/request-123"]}

    assert cards(call(request | {"context": context})) == []


def test_the_sandbox_is_answered_for_a_drug_in_its_invalid_draft() -> None:
    request = hook_request(Hook.ORDER_SELECT, chart(infusion("2026-10-01")))
    drafts = sandbox_draft(medicationCodeableConcept=coded(RXNORM, RXCUI["lenalidomide"], "lenalidomide"))
    context = request["context"] | {"draftOrders": drafts, "selections": ["MedicationRequest/request-123"]}

    assert set(codes(call(request | {"context": context}))) >= {"B01"}


def test_the_sandbox_can_take_every_drug_that_is_offered() -> None:
    for drug in drugs_offered(cards(call(after_infusion()))):
        assert drug["text"]
        assert drug["coding"][0]["code"]


# --- Thin clients ---


def test_a_client_that_always_sends_the_same_instance_is_answered_each_time() -> None:
    request = washout() | {"hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"}

    assert [codes(call(request)) for _ in range(3)] == [["R01"]] * 3


def test_a_client_with_prefetch_keys_of_its_own_is_told_which_it_should_send() -> None:
    foreign = {
        "request": draft_collection(),
        "patient": None,
        "practitioner": {"resourceType": "Practitioner", "id": "p"},
        "medicationRequests": bundle([]),
    }

    found = cards(call(washout() | {"prefetch": foreign, "extension": {"davinci-crd.configuration": {"x": True}}}))

    assert [card["source"]["topic"]["code"] for card in found] == ["R00"]


def test_a_client_that_sends_single_resources_gets_what_they_prove_and_hears_what_they_do_not() -> None:
    dose = given("teclistamab", "2026-09-01")
    single = {
        "patient": washout()["prefetch"]["patient"],
        "conditions": washout()["prefetch"]["conditions"]["entry"][0]["resource"],
        "medicationAdministrations": dose,
    }

    assert codes(call(washout() | {"prefetch": single})) == ["R01", "R00"]


def test_a_strict_client_finds_every_flag_spelt_out() -> None:
    suggestions = [each for card in cards(call(after_infusion())) for each in card.get("suggestions", ())]

    assert suggestions
    assert all(isinstance(suggestion["isRecommended"], bool) for suggestion in suggestions)


# --- Browsers ---

ORIGIN = "https://sandbox.example.org"
ROUTES = ["/cds-services", "/cds-services/mmcds-order-sign", "/cds-services/mmcds-order-sign/feedback", "/openapi.json"]


def browser() -> FlaskClient:
    """Give a client of a service that one browser origin may call."""
    settings = Settings(auth="off", as_of="2026-11-20")
    return create_app(settings, Site(cors_origins=(ORIGIN,))).test_client()


@pytest.mark.parametrize("path", ROUTES)
def test_a_listed_browser_may_ask_before_it_calls(path: str) -> None:
    response = browser().options(
        path,
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert {"GET", "POST", "OPTIONS"} == set(response.headers["Access-Control-Allow-Methods"].split(", "))
    assert response.headers["Access-Control-Allow-Headers"].lower() == "authorization, content-type"


@pytest.mark.parametrize("origin", ["https://evil.example", f"{ORIGIN}.evil.example", "null", f"{ORIGIN}:8443"])
@pytest.mark.parametrize("path", ROUTES)
def test_any_other_browser_gets_no_word(path: str, origin: str) -> None:
    response = browser().options(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})

    assert not [name for name, _ in response.headers if name.lower().startswith("access-control-allow")]


def test_without_a_list_no_browser_may_call() -> None:
    response = client().get("/cds-services", headers={"Origin": ORIGIN})

    assert "Access-Control-Allow-Origin" not in response.headers


def test_an_answer_to_a_listed_browser_is_for_it_alone() -> None:
    response = post(washout(), to=browser(), headers={"Origin": ORIGIN})

    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in response.headers
