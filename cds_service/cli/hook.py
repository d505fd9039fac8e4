"""`mmcds hook send`: plays the EHR, so that requests and client authentication can be tried before it is ready."""

import json
import ssl
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import click
import jwt
import urllib3
from urllib3 import exceptions

from cards.finding import Hook
from cards.knowledge.loader import load as load_knowledge
from cds_service.addresses import base_of
from cds_service.cli.charts import (
    STATES,
    Chart,
    make_request,
    read_chart,
    read_orders,
    references_in,
    switched,
    switches_of,
)
from cds_service.cli.demo import card_lines
from cds_service.cli.keys import PrivateKey, algorithm_of, jwks, new_key, read_key, read_token, served, thumbprint
from cds_service.services import SERVICES, searches_asked
from cds_service.settings import unix_time
from fhir_mapping.catalog.loader import load as load_catalog

_LIFE_SECONDS = 300
_SUCCESS = 200
_HINTS = {
    400: "Compare hook, hookInstance and context with what CDS Hooks requires for this hook.",
    401: "The answer never tells why, the service's log does. Often: iss, tenant, kid or jku are not as in the site "
    "file, aud is not the address under which the service believes to be called (public_urls), a clock is wrong, "
    "or the token was used before.",
    403: "Is this client allowed to use the service?",
    404: "Is --to the base address, the part in front of /cds-services?",
    412: "Send more prefetch keys, or name a FHIR server (--fhir) that the service may read for this client.",
    413: "The service's limit is MMCDS_BODY_LIMIT_BYTES; a proxy in between may have its own.",
    500: "This is a fault of the service: its log has the entry.",
    503: "Can the service reach the address of the keys (jku)? Its log says what failed.",
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The options of one call."""

    to: str | None
    hook: str | None
    chart: Path | None
    orders: Path | None
    patient: str | None
    user: str | None
    prefetch: tuple[str, ...]
    all_prefetch: str | None
    fhir: str | None
    token_file: Path | None
    issuer: str | None
    subject: str | None
    tenant: str | None
    key: Path | None
    kid: str | None
    jku: str | None
    audience: str | None
    algorithm: str | None
    new_key: Path | None
    serve_jwks: int | None
    ca_file: Path | None
    timeout: float
    as_json: bool


@click.group()
def hook() -> None:
    """Play the EHR: call the service as a CDS Hooks client does."""


@hook.command()
@click.option("--to", metavar="URL", help="Base address of the service, such as http://127.0.0.1:8080.")
@click.option("--hook", type=click.Choice([hook.value for hook in Hook]), help="Default: the hook of the chart file.")
@click.option("--chart", type=click.Path(path_type=Path), help="Hook request, prefetch, Bundle or list of resources.")
@click.option("--orders", type=click.Path(path_type=Path), help="Draft orders: Bundle, list or one resource.")
@click.option("--patient", metavar="ID", help="Default: the one patient of the chart file.")
@click.option("--user", metavar="REFERENCE", help="Who is working, such as Practitioner/17.")
@click.option("--prefetch", metavar="KEY=STATE", multiple=True, help=f"What happens to one key: {', '.join(STATES)}.")
@click.option("--all-prefetch", type=click.Choice(STATES), help="The same for all keys; --prefetch goes first.")
@click.option("--fhir", metavar="URL", help="FHIR server that the service may read.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Access token for it, in a file.")
@click.option("--issuer", metavar="ISS", help="Claim iss of the token that we sign; needs --key or --new-key.")
@click.option("--subject", metavar="SUB", help="Claim sub.")
@click.option("--tenant", help="Claim tenant.")
@click.option("--key", type=click.Path(path_type=Path), help="Private key to sign with, PEM.")
@click.option("--kid", help="Its name in the JWKS; default: its thumbprint, as --new-key writes it.")
@click.option("--jku", metavar="URL", help="Header jku: where the service finds the public key.")
@click.option("--audience", metavar="URL", help="Claim aud; default: the exact address that is called.")
@click.option("--algorithm", type=click.Choice(["ES384", "RS384"]), help="Default: what fits the key.")
@click.option("--new-key", metavar="DIR", type=click.Path(path_type=Path), help="Make a key and its jwks.json there.")
@click.option("--serve-jwks", metavar="PORT", type=click.IntRange(0, 65_535), help="Serve the JWKS during the call.")
@click.option(
    "--ca-file", type=click.Path(exists=True, path_type=Path), help="Certificates to trust instead of the usual ones."
)
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(0.1, 120), default=10.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as it came.")
def send(**options: Any) -> None:
    """Send one hook request and show the cards.

    With --new-key alone, only makes a key: name its jwks.json in the site file, then call again with --key.
    """
    wanted = _Wanted(**options)
    if wanted.new_key is not None and wanted.chart is None and wanted.patient is None:
        _key_of(wanted)
        return
    base = base_of(wanted.to or "")
    if base is None:
        raise click.UsageError("--to must be the base address of the service, such as http://127.0.0.1:8080.")
    if wanted.token_file is not None and not base.is_encrypted and not base.is_loopback:
        raise click.UsageError("the access token would go over the network in the clear: call an https address.")
    request = _request_of(wanted)
    key = _key_of(wanted)
    service = next(service for service in SERVICES.values() if service.hook == request["hook"])
    url = f"{base}/cds-services/{service.id}"
    with _jwks_served(wanted, key) as jku:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key is not None and wanted.issuer:
            headers["Authorization"] = f"Bearer {_token(wanted, key, url, jku)}"
        answer, milliseconds = _post(url, request, headers, wanted)
    sys.exit(_show(answer, milliseconds, as_json=wanted.as_json))


def _request_of(wanted: _Wanted) -> dict[str, Any]:
    known = searches_asked(load_catalog(), load_knowledge())
    chart = read_chart(wanted.chart, known, wanted.patient) if wanted.chart else Chart()
    named = wanted.hook or chart.request.get("hook")
    if not isinstance(named, str) or named not in set(Hook):
        raise click.UsageError("--hook is missing, and the chart file names no hook of ours.")
    patient_id = wanted.patient or chart.patient_id
    if not isinstance(patient_id, str):
        raise click.UsageError("no patient: give --patient, or a chart file with one Patient.")
    if wanted.token_file is not None and wanted.fhir is None:
        raise click.UsageError("--token-file goes with --fhir.")
    if wanted.fhir is not None and base_of(wanted.fhir) is None:
        raise click.UsageError("--fhir must be the base address of a FHIR server.")
    orders = read_orders(wanted.orders) if wanted.orders else None
    request = make_request(chart, Hook(named), patient_id, wanted.user, orders)
    prefetch = switched(chart.prefetch, switches_of(wanted.prefetch, wanted.all_prefetch, known))
    if prefetch:
        request["prefetch"] = prefetch
    if chart.left_out:
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(chart.left_out.items()))
        click.echo(f"Not sent, because no search of the service asks for it: {kinds}.", err=True)
    if named != Hook.PATIENT_VIEW and not references_in(request["context"]["draftOrders"]):
        click.echo("No draft orders: give --orders, else the service has nothing to judge.", err=True)
    return request | _fhir_access(wanted, patient_id)


def _fhir_access(wanted: _Wanted, patient_id: str) -> dict[str, Any]:
    if wanted.fhir is None:
        return {}
    if wanted.token_file is None:
        return {"fhirServer": wanted.fhir}
    return {
        "fhirServer": wanted.fhir,
        "fhirAuthorization": {
            "access_token": read_token(wanted.token_file),
            "token_type": "Bearer",
            "expires_in": _LIFE_SECONDS,
            "scope": "patient/*.rs",
            "subject": "mmcds",
            "patient": patient_id,
        },
    }


def _key_of(wanted: _Wanted) -> PrivateKey | None:
    """Make or read the private key of the call; None when the call is not signed."""
    if wanted.new_key is not None and wanted.key is not None:
        raise click.UsageError("give --key or --new-key, not both.")
    key: PrivateKey | None = None
    if wanted.new_key is not None:
        key = new_key(wanted.new_key, wanted.algorithm or "ES384", wanted.kid)
    elif wanted.key is not None:
        key = read_key(wanted.key)
    if wanted.issuer and key is None:
        raise click.UsageError("--issuer needs a key to sign with: --key or --new-key.")
    if key is None and wanted.serve_jwks is not None:
        raise click.UsageError("--serve-jwks needs a key: --key or --new-key.")
    if wanted.key is not None and not wanted.issuer:
        raise click.UsageError("--key needs --issuer: the claim iss of the token.")
    if key is not None and wanted.algorithm not in {None, algorithm_of(key)}:
        raise click.UsageError(f"--algorithm {wanted.algorithm} does not fit the key, which signs {algorithm_of(key)}.")
    return key


def _token(wanted: _Wanted, key: PrivateKey, url: str, jku: str | None) -> str:
    now = int(unix_time())
    claims = {"iss": wanted.issuer, "aud": wanted.audience or url, "iat": now, "exp": now + _LIFE_SECONDS}
    claims |= {"jti": str(uuid.uuid4()), "sub": wanted.subject, "tenant": wanted.tenant}
    headers = {"typ": "JWT", "kid": wanted.kid or thumbprint(key)} | ({"jku": jku} if jku else {})
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, key, algorithm=algorithm_of(key), headers=headers)


@contextmanager
def _jwks_served(wanted: _Wanted, key: PrivateKey | None) -> Iterator[str | None]:
    """Serve the public key on loopback while the call runs, if that is wanted; give the jku of the token."""
    if wanted.serve_jwks is None or key is None:
        yield wanted.jku
        return
    with served(jwks(key, wanted.kid), wanted.serve_jwks) as address:
        yield wanted.jku or address


def _post(url: str, request: Any, headers: dict[str, str], wanted: _Wanted) -> tuple[urllib3.BaseHTTPResponse, float]:
    trust = ssl.create_default_context(cafile=wanted.ca_file or certifi.where())
    with urllib3.PoolManager(ssl_context=trust) as manager:
        started = time.perf_counter()
        try:
            answer = manager.request(
                "POST",
                url,
                body=json.dumps(request).encode(),
                headers=headers,
                timeout=wanted.timeout,
                redirect=False,
                retries=False,
            )
        except exceptions.SSLError:
            raise click.ClickException(f"TLS to {url} failed: is its certificate trusted? See --ca-file.") from None
        except exceptions.NewConnectionError:
            raise click.ClickException(f"no connection to {url}: is the service running?") from None
        except exceptions.TimeoutError:
            raise click.ClickException(f"no answer within {wanted.timeout:g} s from {url}") from None
        except (exceptions.HTTPError, OSError):
            raise click.ClickException(f"no connection to {url}: is the service running?") from None
        return answer, (time.perf_counter() - started) * 1_000


def _show(answer: urllib3.BaseHTTPResponse, milliseconds: float, *, as_json: bool) -> int:
    """Print the answer; 0 for cards, 1 for a refusal."""
    is_good = answer.status == _SUCCESS
    request_id = _plain(answer.headers.get("X-Request-Id", "none given"))
    click.echo(f"{answer.status} in {milliseconds:.0f} ms, request id {request_id}", err=as_json)
    if as_json:
        click.echo(answer.data.decode(errors="replace"))
        return 0 if is_good else 1
    try:
        body = _plain(answer.json())
    except (ValueError, RecursionError):
        click.echo("The answer is no JSON, so this is not the service, or a proxy answered for it.", err=True)
        return 1
    if is_good:
        return _show_cards(body)
    issues = body.get("issue") if isinstance(body, dict) else None
    for issue in issues if isinstance(issues, list) else ():
        click.echo(f"   {issue.get('code')}: {issue.get('diagnostics')}" if isinstance(issue, dict) else "")
    hint = _HINTS.get(answer.status)
    if answer.get_redirect_location():
        hint = "The address redirects, and tokens are made for one address: call the final one."
    if hint:
        click.echo(f"   Hint: {hint}")
    return 1


def _show_cards(body: Any) -> int:
    try:
        texts = ["\n".join(card_lines(card)) for card in body["cards"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        click.echo("These are no cards of this service; --json shows what came.", err=True)
        return 1
    click.echo(f"{len(texts)} card{'' if len(texts) == 1 else 's'}")
    for text in texts:
        click.echo(f"\n{text}")
    return 0


def _plain(value: Any) -> Any:
    """Take out of all texts what a terminal would obey."""
    if isinstance(value, str):
        return "".join(letter for letter in value if letter.isprintable() or letter == "\n")
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return {_plain(name): _plain(part) for name, part in value.items()} if isinstance(value, dict) else value
