"""Decides whether a request's FHIR server may be read, and with what: the one place where a token goes out."""

import time
from dataclasses import dataclass

from cds_service import telemetry
from cds_service.addresses import base_of
from cds_service.callers import Caller
from cds_service.fhir.reader import Reader
from cds_service.fhir.server import Servers
from cds_service.hook_models import HookRequest
from cds_service.site import Limits


@dataclass(frozen=True, slots=True)
class FhirAccess:
    """The FHIR servers that are known, and the limits of each reading; `encrypted_only` refuses plain http."""

    servers: Servers
    limits: Limits
    encrypted_only: bool

    def reader(self, request: HookRequest, caller: Caller | None, deadline: float) -> tuple[Reader | None, str]:
        """Give a reader for the request's FHIR server, or None and one word on why it is not read.

        An address that is not on the caller's list is never contacted, and the token never goes anywhere else.
        """
        offer = request.fhir
        if offer.server is None:
            return None, "no_server"
        base = base_of(offer.server)
        is_allowed = base is not None and caller is not None and caller.may_read(base)
        if base is None or caller is None or not is_allowed or (self.encrypted_only and not base.is_encrypted):
            name = caller.name if caller else "nobody"
            telemetry.warn("security: a FHIR server that is not on the list, not contacted", issuer=name)
            return None, "not_allowed"
        if offer.fault == "token_for_another_patient":
            telemetry.warn("security: the access token is for another patient and is not used", issuer=caller.name)
        if offer.fault:
            return None, offer.fault
        if offer.token is None and not caller.may_read_without_token(base):
            telemetry.warn("registration: a request came without an access token", issuer=caller.name)
            return None, "no_token"
        if not request.patient_id.strip("."):  # a step in a path, no id
            return None, "bad_patient_id"
        is_shortened = offer.expires_in is not None and time.monotonic() + offer.expires_in < deadline
        if offer.expires_in is not None and is_shortened:
            deadline = time.monotonic() + offer.expires_in
        reader = Reader(
            self.servers.at(base),
            self.servers.transport,
            request.patient_id,
            token=offer.token.get_secret_value() if offer.token else None,
            deadline=deadline,
            limits=self.limits,
            is_shortened=is_shortened,
        )
        return reader, ""
