"""Everything that can go wrong, and how it is told.

CdsError
├── SettingsError               stops the start; lists every bad variable by name, never its value
├── RequestError                the caller must change something
│   ├── MalformedRequest        400   not JSON, or a member that CDS Hooks requires is missing or wrong
│   ├── Unauthenticated         401   any fault of client authentication; the caller is not told which
│   ├── NotFound                404   unknown service or route
│   ├── MethodNotAllowed        405
│   ├── TooLarge                413
│   └── UnsupportedMediaType    415   another Content-Type, or any Content-Encoding
├── PatientDataError            the chart could not be used
│   ├── DataUnavailable         412   not one Topic could be read even in part
│   └── WrongFhirVersion        412   draft orders of another FHIR version
└── Unready                     the service cannot answer anybody now
    └── KeysUnavailable         503   no key of the issuer was ever loaded

A message says what happened, what it means and what to do. It never holds patient data, a token, or what the
caller sent. One bad resource is a DataGap and one crashing rule a failed result: neither is an error here.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar


class CdsError(Exception):
    """Base of all errors of the service."""


class SettingsError(CdsError):
    """The environment is not one the service may start in."""

    def __init__(self, faults: Iterable[str]) -> None:
        """Take every fault, each naming its variable."""
        self.faults = tuple(faults)
        super().__init__("the service cannot start:\n- " + "\n- ".join(self.faults))


class HttpError(CdsError):
    """An error with an HTTP status and an OperationOutcome for the caller."""

    status: ClassVar[int]
    issue_code: ClassVar[str]
    label: ClassVar[str]


class RequestError(HttpError):
    """The caller must change something."""


class MalformedRequest(RequestError):
    """The body is not a CDS Hooks request for this service."""

    status = 400
    issue_code = "structure"
    label = "malformed_request"


class Unauthenticated(RequestError):
    """The caller could not be authenticated; `reason` is for log and metric alone, one word of a fixed list."""

    status = 401
    issue_code = "login"
    label = "unauthenticated"

    def __init__(self, reason: str) -> None:
        """Say the same to every caller, whatever the reason."""
        self.reason = reason
        super().__init__("The client could not be authenticated.")


class NotFound(RequestError):
    """No such service or route."""

    status = 404
    issue_code = "not-found"
    label = "not_found"


class MethodNotAllowed(RequestError):
    """The route exists, the method does not."""

    status = 405
    issue_code = "not-supported"
    label = "method_not_allowed"


class TooLarge(RequestError):
    """The body is larger than the configured limit."""

    status = 413
    issue_code = "too-long"
    label = "too_large"


class UnsupportedMediaType(RequestError):
    """The body is not plain JSON."""

    status = 415
    issue_code = "not-supported"
    label = "unsupported_media_type"


class PatientDataError(HttpError):
    """The chart could not be used."""


# Why something was not read, in words for an integrator; records and metrics name each by its one word
_CAUSES = {
    "prefetch": "the prefetch value is an error, or no FHIR",
    "no_server": "the request names no fhirServer",
    "not_allowed": "the fhirServer is not on the list of this service",
    "no_token": "the request brings no access token",
    "bad_token": "fhirAuthorization holds no usable Bearer token",
    "token_expired": "the access token has expired",
    "token_for_another_patient": "the access token is for another patient",
    "bad_patient_id": "the patient's id cannot be asked for",
    "unauthorized": "the server refused the access token (401)",
    "forbidden": "the server forbids it (403)",
    "not_found": "the server has no such thing (404)",
    "throttled": "the server has too many requests (429)",
    "server_error": "the server failed (5xx)",
    "status": "the server answered with another status",
    "operation_outcome": "the server answered with an OperationOutcome",
    "not_usable": "the server's answer holds an error, or nothing that was asked for",
    "differs_from_prefetch": "the server does not know a record that the request brings",
    "not_fhir": "the server's answer is no FHIR JSON",
    "fhir_version": "the server does not speak FHIR R4",
    "another_patient": "the answer holds another patient's data",
    "foreign": "the prefetch value holds another patient's data",
    "too_many_pages": "there are more pages than are read",
    "loop": "the pages go round in a circle",
    "not_sent": "the request does not bring it",
    "foreign_link": "the next page is at another address",
    "timeout": "the server did not answer in time",
    "connection": "the server could not be reached",
    "tls": "the server's certificate is not trusted",
    "too_large": "the answers are too large",
    "broken": "the answer broke off",
    "breaker_open": "the server did not answer such searches lately and is left alone for some seconds",
}


def in_words(cause: str) -> str:
    """Say for an integrator why something was not read."""
    return _CAUSES.get(cause, cause.replace("_", " "))


class DataUnavailable(PatientDataError):
    """Nothing that the rules of this hook need could be read."""

    status = 412
    issue_code = "required"
    label = "data_unavailable"

    def __init__(self, unread: Mapping[str, str]) -> None:
        """Name the prefetch keys without a usable value, each with one word on why it was not read elsewhere."""
        self.unread = dict(unread)
        causes: dict[str, list[str]] = {}
        for key, cause in unread.items():
            causes.setdefault(in_words(cause), []).append(key)
        why = "; ".join(f"{cause} ({', '.join(keys)})" for cause, keys in causes.items())
        super().__init__(
            "None of the patient's data that this service needs could be read, so nothing was checked. "
            f"Supply these prefetch keys: {', '.join(unread)}. Why they were not read from the FHIR server: {why}."
        )


class WrongFhirVersion(PatientDataError):
    """The draft orders are not FHIR R4."""

    status = 412
    issue_code = "not-supported"
    label = "wrong_fhir_version"


class Unready(HttpError):
    """The service cannot answer anybody now; the same request may succeed later."""

    retry_after_seconds: ClassVar[int]


class KeysUnavailable(Unready):
    """No key of the issuer was ever loaded, so none of its tokens can be checked."""

    status = 503
    issue_code = "transient"
    label = "keys_unavailable"
    retry_after_seconds = 30

    def __init__(self) -> None:
        """Tell nothing of the issuer."""
        super().__init__("Client authentication is not available now, so nothing was checked. Try again later.")


def operation_outcome(issue_code: str, diagnostics: str) -> dict[str, Any]:
    """Make the FHIR OperationOutcome that goes with every status but 200."""
    issue = {"severity": "error", "code": issue_code, "diagnostics": diagnostics}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
