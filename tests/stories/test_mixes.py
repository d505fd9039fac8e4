"""The same story gives the same cards, byte for byte, wherever its chart is read.

Every search of the chart has content, nothing on record, or an error; each of these may come with the request, or from
the EHR's FHIR server. Only what was known counts, never where it came from.
"""

import itertools
import json
import random
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.settings import Settings
from cds_service.synthetic import AS_OF
from tests.build import ALL_KEYS
from tests.ehr.server import Ehr
from tests.stories.expectations import TOLD_FOR_AN_OUTCOME
from tests.stories.telling import FOLDERS, expected, request_of

# All mixes of a story take long: those of which each is told for one outcome of a rule are left out.
STORIES = [name for name in FOLDERS if name not in {told.story for told in TOLD_FOR_AN_OUTCOME}]

SEARCHES = tuple(ALL_KEYS)
DENIED = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}
UUID = re.compile(rb'"uuid":"[0-9a-f-]{36}"')
KEYS_TO_SUPPLY = re.compile(r"Supply these prefetch keys: ([^.]+)\.")
MIXES = 20
PLENTY_OF_SECONDS = 5.0  # the machine may be busy; how long a hook may take is tested elsewhere

# What a search finds, and whether the request brings it or the FHIR server does
SENT = ("content", "sent")
MISSING = ("content", "searched")
NULL = ("none", "sent")
ERROR = ("error", "sent")
STATES = (SENT, MISSING, NULL, ERROR)
EVERYWHERE = (*STATES, ("none", "searched"), ("error", "searched"))
State = tuple[str, str]
Mix = Mapping[str, State]


@cache
def service() -> FlaskClient:
    """Give one service for all stories, so that its connections are kept as in real life."""
    settings = Settings(auth="off", as_of=AS_OF, time_zone="America/New_York", deadline_seconds=PLENTY_OF_SECONDS)
    return create_app(settings).test_client()


@pytest.fixture(scope="module")
def ehr() -> Iterator[Ehr]:
    """Run one FHIR server for all stories."""
    with Ehr({}) as server:
        yield server


def answer(name: str, mix: Mix, ehr: Ehr | None = None, *, page_size: int | None = None) -> tuple[int, bytes]:
    """Tell a story with its chart spread over request and server; give status and cards, or the keys not read."""
    request = dict(request_of(name))
    chart: dict[str, Any] = request.pop("prefetch", {})
    prefetch = {
        key: {"content": chart.get(key), "none": None, "error": DENIED}[found]
        for key, (found, where) in mix.items()
        if where == "sent" and (found != "content" or key in chart)
    }
    request["prefetch"] = prefetch
    if ehr is not None:
        ehr.put(chart, request["context"]["patientId"])
        ehr.state = {key: found for key, (found, where) in mix.items() if where == "searched"}  # type: ignore[misc]  # of State
        ehr.page_size = page_size
        request["fhirServer"] = ehr.base
    response = service().post(f"/cds-services/mmcds-{request['hook']}", json=request)
    if response.status_code == 412:
        unread = KEYS_TO_SUPPLY.search(response.get_json()["issue"][0]["diagnostics"])
        assert unread
        return 412, unread[1].encode()
    return response.status_code, UUID.sub(b'"uuid":"*"', response.data)


@cache
def from_the_request_alone(name: str, findings: tuple[str, ...]) -> tuple[int, bytes]:
    """Tell a story with every finding sent along, and no server to ask."""
    return answer(name, {key: (found, "sent") for key, found in zip(SEARCHES, findings, strict=True)})


def is_the_same(name: str, mix: Mix, ehr: Ehr, *, page_size: int | None = None) -> bool:
    """Whether a mix gives what the same findings give when all of them are sent."""
    findings = tuple(mix[key][0] for key in SEARCHES)
    return answer(name, mix, ehr, page_size=page_size) == from_the_request_alone(name, findings)


def possible(mix: dict[str, State]) -> dict[str, State]:
    """Give the mix without what cannot be: a server has no way to say that there is no patient, but 404."""
    return mix | ({"patient": NULL} if mix["patient"] == ("none", "searched") else {})


def all_sent(**other: State) -> dict[str, State]:
    """Send everything but what is named."""
    return dict.fromkeys(SEARCHES, SENT) | other


@pytest.mark.parametrize("name", STORIES)
def test_from_the_server_alone_the_cards_are_those_of_the_request_alone(name: str, ehr: Ehr) -> None:
    searched = answer(name, dict.fromkeys(SEARCHES, MISSING), ehr)

    assert searched == from_the_request_alone(name, ("content",) * len(SEARCHES))
    if searched[0] == 200:
        agreed = re.sub(r'"uuid": ?"[^"]+"', '"uuid":"*"', json.dumps(expected(name)))
        assert json.loads(searched[1]) == json.loads(agreed)


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("page_size", [1, 3])
def test_pages_change_nothing(name: str, page_size: int, ehr: Ehr) -> None:
    assert is_the_same(name, dict.fromkeys(SEARCHES, MISSING), ehr, page_size=page_size)


@pytest.mark.parametrize("name", STORIES)
def test_each_search_alone_may_be_sent_missing_null_or_an_error(name: str, ehr: Ehr) -> None:
    for key, state in itertools.product(SEARCHES, STATES):
        assert is_the_same(name, all_sent(**{key: state}), ehr), (key, state)


@pytest.mark.parametrize("name", STORIES)
def test_each_pair_of_searches_may_be_in_any_pair_of_states(name: str, ehr: Ehr) -> None:
    for mix in covering_mixes():
        assert is_the_same(name, mix, ehr), mix


@pytest.mark.deep
@pytest.mark.parametrize("name", STORIES)
def test_each_pair_of_searches_alone_may_be_in_any_pair_of_states(name: str, ehr: Ehr) -> None:
    for one, other in itertools.combinations(SEARCHES, 2):
        for first, second in itertools.product(STATES, STATES):
            assert is_the_same(name, all_sent(**{one: first, other: second}), ehr), (one, first, other, second)


@pytest.mark.parametrize("name", STORIES)
def test_random_mixes_in_random_pages_change_nothing(name: str, ehr: Ehr) -> None:
    draw = random.Random(name)  # noqa: S311 - the same mixes in every run
    for _ in range(MIXES):
        mix = possible({key: draw.choice(EVERYWHERE) for key in SEARCHES})
        page_size = draw.choice([None, 1, 2])
        assert is_the_same(name, mix, ehr, page_size=page_size), (mix, page_size)


@cache
def covering_mixes() -> tuple[Mix, ...]:
    """Give few mixes that together hold every pair of searches in every pair of states."""
    draw = random.Random("pairs")  # noqa: S311 - as above
    open_pairs = {
        frozenset({(one, first), (other, second)})
        for one, other in itertools.combinations(SEARCHES, 2)
        for first, second in itertools.product(STATES, STATES)
    }
    mixes: list[Mix] = []
    while open_pairs:
        tries = [{key: draw.choice(STATES) for key in SEARCHES} for _ in range(50)]
        seeds = [dict(random_pair) for random_pair in draw.sample(sorted(open_pairs, key=sorted), 1)]
        best = max((mix | seed for mix in tries for seed in seeds), key=lambda mix: len(pairs_of(mix) & open_pairs))
        open_pairs -= pairs_of(best)
        mixes.append(best)
    return tuple(mixes)


def pairs_of(mix: Mix) -> set[frozenset[tuple[str, State]]]:
    """Name the pairs of searches that a mix holds, each with their states."""
    return {frozenset(pair) for pair in itertools.combinations(mix.items(), 2)}


def test_the_mixes_hold_every_pair_and_are_few() -> None:
    held = set().union(*(pairs_of(mix) for mix in covering_mixes()))

    assert len(held) == len(list(itertools.combinations(SEARCHES, 2))) * len(STATES) ** 2
    assert len(covering_mixes()) < 50
