"""Keys of a CDS Hooks client, for trying out client authentication: made, read, published as a JWK Set."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

KEY_FILE, JWKS_FILE = "private-key.pem", "jwks.json"
_RSA_BITS = 3_072
_LEAST_RSA_BITS = 2_048
_PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "n", "e")


def new_key(folder: Path, algorithm: str, kid: str | None) -> PrivateKey:
    """Make a private key and the JWK Set of its public half in a folder that holds none."""
    key: PrivateKey
    if algorithm == "ES384":
        key = ec.generate_private_key(ec.SECP384R1())
    else:
        key = rsa.generate_private_key(public_exponent=65_537, key_size=_RSA_BITS)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The mode is there from the first moment, and a key that exists is never overwritten
        with os.fdopen(os.open(folder / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        (folder / JWKS_FILE).write_text(json.dumps(jwks(key, kid), indent=2) + "\n", encoding="utf-8")
    except FileExistsError:
        raise click.UsageError(f"{folder} holds a key already: use it with --key, or name another folder.") from None
    except OSError as error:
        raise click.UsageError(f"{folder} cannot be written: {error.strerror}.") from None
    click.echo(f"Private key: {folder / KEY_FILE}. For the site file: jwks_file = {folder / JWKS_FILE}", err=True)
    return key


def read_key(path: Path) -> PrivateKey:
    """Read a private key that fits one of the two algorithms which CDS Hooks recommends."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise click.UsageError(f"{path} holds no private key in PEM without a password.") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _LEAST_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1):
        return key
    raise click.UsageError(f"{path}: a P-384 key, or an RSA key of {_LEAST_RSA_BITS} bits or more, is needed.")


def algorithm_of(key: PrivateKey) -> str:
    """Name the algorithm with which a key signs."""
    return "RS384" if isinstance(key, rsa.RSAPrivateKey) else "ES384"


def _public(key: PrivateKey) -> dict[str, str]:
    whole = jwt.get_algorithm_by_name(algorithm_of(key)).to_jwk(key.public_key(), as_dict=True)
    return {name: whole[name] for name in _PUBLIC_MEMBERS if name in whole}


def thumbprint(key: PrivateKey) -> str:
    """Name a key by its content (RFC 7638), so that token and JWKS agree without a register."""
    canonical = json.dumps(_public(key), sort_keys=True, separators=(",", ":")).encode()
    return jwt.utils.base64url_encode(hashlib.sha256(canonical).digest()).decode()


def jwks(key: PrivateKey, kid: str | None) -> dict[str, Any]:
    """Give the JWK Set of the public half; without `kid` the key is named by its thumbprint."""
    named = {"kid": kid or thumbprint(key), "use": "sig", "alg": algorithm_of(key)}
    return {"keys": [_public(key) | named]}


@contextmanager
def served(keys: Mapping[str, Any], port: int) -> Iterator[str]:
    """Serve a JWK Set on loopback; give its address."""
    body = json.dumps(keys).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing: the terminal is for the answer."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Keys)
    except OSError as error:
        raise click.UsageError(f"--serve-jwks {port}: {error.strerror}.") from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{JWKS_FILE}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def read_token(path: Path) -> str:
    """Read an access token from a file; no message ever repeats any of it."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable() or " " in token:
        raise click.UsageError(f"{path} holds no access token: one line without spaces is expected.")
    return token
