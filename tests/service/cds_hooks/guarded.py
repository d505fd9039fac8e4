"""A service that asks for tokens, the issuers it trusts, and what clients show it; its clock stands at NOW."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import time_machine
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.settings import Settings, unix_time
from cds_service.site import Issuer, Site
from cds_service.telemetry import DecisionRecord
from tests.build import AS_OF, Resource
from tests.ehr.faulty import status
from tests.ehr.server import Ehr, serving
from tests.service.calling import JSON, KeepingRecorder, washout
from tests.service.tokens import BASE, NOW, PATH, PrivateKey, base64url, claims, header, issuer, our_jwks, signed

GUARDED = Settings(auth="on", as_of=AS_OF.isoformat(), time_zone="America/New_York", deadline_seconds=3)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A service with authentication on; `records` are its decisions."""

    client: FlaskClient
    records: list[DecisionRecord]

    def show(self, token: str | None, path: str = PATH, *, request: Resource | None = None) -> TestResponse:
        """Call a path with a token; without a request of its own, with one that R01 flags."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if path == "/cds-services":
            return self.client.get(path, headers=headers)
        return self.client.post(path, json=request or washout(), headers=headers)

    def admits(self, token: str | None, path: str = PATH) -> bool:
        """Whether a call is let in; whoever is not is told 401 and nothing else."""
        response = self.show(token, path)
        assert response.status_code in {200, 401}, response.text
        return response.status_code == 200


def guarded(*issuers: Issuer, settings: Settings = GUARDED, **site: Any) -> Guarded:
    """Make a service that trusts these issuers, with more members of its site."""
    members = {"public_urls": (BASE,), "issuers": issuers} | site
    recorder = KeepingRecorder()
    return Guarded(create_app(settings, Site(**members), recorder=recorder).test_client(), recorder.records)


def with_key_file(folder: Path, **changes: Any) -> Issuer:
    """Make the trusted issuer, its keys in a file."""
    file = folder / "keys.json"
    file.write_bytes(our_jwks())
    return issuer(**{"jwks_file": file} | changes)


def serving_keys(keys: bytes) -> Ehr:
    """Make a server that gives a key set under /keys; `asked("keys")` tells how often."""
    return serving({}, path="", faults={"keys": status(200, keys.decode(), JSON)})


def token(
    head: Mapping[str, Any] | None = None,
    key: PrivateKey | bytes | None = None,
    algorithm: str | None = None,
    *,
    more: Mapping[str, Any] | None = None,
    **changes: Any,
) -> str:
    """Sign a token that is good and valid now but for what is changed; each has a jti of its own."""
    begin = int(unix_time())
    good = {"jti": str(uuid.uuid4()), "iat": begin, "exp": begin + 300}
    return signed(claims(**good | changes | dict(more or {})), head, key, algorithm)


def unsigned(algorithm: str) -> str:
    """Make a token with good claims and no signature."""
    return f"{base64url(header(alg=algorithm))}.{base64url(claims())}."


def clock() -> time_machine.travel:
    """Set the clock to the time at which the tokens are made, for the length of a block."""
    return time_machine.travel(NOW, tick=True)
