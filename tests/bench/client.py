"""A client that the service trusts: its site file, and a fresh ES384 token for every call."""

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tests.bench.serving import SERVICE

_PUBLIC = "https://cds.example.org"
_ISSUER = "https://ehr.example.org"
_KID = "bench"


def trusted_client(folder: Path) -> tuple[dict[str, str], Callable[[], str]]:
    """Write site file and keys into a folder; give the settings that name them, and what makes a token."""
    key = ec.generate_private_key(ec.SECP384R1())
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": _KID, "alg": "ES384"}
    (folder / "jwks.json").write_text(json.dumps({"keys": [public]}), encoding="utf-8")
    issuer = f'[[issuers]]\nname = "bench"\nissuer = "{_ISSUER}"\njwks_file = "jwks.json"\n'
    (folder / "site.toml").write_text(f'public_urls = ["{_PUBLIC}"]\n{issuer}', encoding="utf-8")

    def token() -> str:
        now = int(time.time())
        claims = {"iss": _ISSUER, "aud": _PUBLIC + SERVICE, "iat": now, "exp": now + 300, "jti": str(uuid.uuid4())}
        return jwt.encode(claims, key, algorithm="ES384", headers={"kid": _KID})

    return {"MMCDS_AUTH": "on", "MMCDS_SITE_FILE": str(folder / "site.toml")}, token
