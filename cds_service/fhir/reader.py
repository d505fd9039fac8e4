"""Reads one patient's chart for one hook: searches in parallel, pages followed, everything over at the deadline."""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote

from cds_service.addresses import Base, under
from cds_service.fhir.server import Breaker, Server, is_readable_version
from cds_service.hook_models import are_about
from cds_service.site import Limits
from cds_service.transport import Allowance, FetchFault, Line, Page, Transport
from fhir_mapping import piles, wire
from fhir_mapping.needs import PATIENT_ID_HERE

Enough = Callable[[Iterable[piles.Found]], bool]  # whether what has come says all that anybody asks for

_ACCEPT = "application/fhir+json, application/json;q=0.9"
_PER_PAGE = 200
_IDS_PER_SEARCH = 50
_AGAIN_SECONDS = (0.02, 0.06)  # before the one retry, drawn at random so that parallel searches spread
_TOO_MANY_REQUESTS = 429
_FOR_THE_CARDS_SECONDS = 0.1
_NO_ANSWER = frozenset({"timeout", "connection", "tls", "broken", "server_error", "throttled"})
_STATUS_FAULTS = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    410: "not_found",
    _TOO_MANY_REQUESTS: "throttled",
}


def address_of(base: Base, query: str, patient_id: str) -> str:
    """Give the address that answers a prefetch template."""
    path = query.replace(PATIENT_ID_HERE, quote(patient_id, safe=""))
    is_unbounded = "?" in path and "&_count=" not in path
    return f"{base}/{path}" + (f"&_count={_PER_PAGE}" if is_unbounded else "")


def headers_of(token: str | None) -> dict[str, str]:
    """Give the headers of a FHIR request."""
    return {"Accept": _ACCEPT} | ({"Authorization": f"Bearer {token}"} if token else {})


@dataclass(frozen=True, slots=True)
class Answer:
    """What one search gave: the resources that arrived, and one word on why there are not more, or ""."""

    pile: piles.Pile | None
    fault: str = ""


@dataclass(slots=True)
class _Task:
    """One search under way; pages are kept as they come, so that those before a fault still count.

    `breaker` waits to hear how it went; None where nothing was asked, or it has heard.
    """

    future: "Future[str]"
    line: Line = field(default_factory=Line)
    pages: list[piles.Pile] = field(default_factory=list)
    breaker: Breaker | None = None


class Reader:
    """Reads from one server with one token, for one hook."""

    def __init__(
        self,
        server: Server,
        transport: Transport,
        patient_id: str,
        *,
        token: str | None,
        deadline: float,
        limits: Limits,
        is_shortened: bool = False,
    ) -> None:
        """Begin with nothing under way; `deadline` is a reading of time.monotonic().

        A deadline that is shortened, since the token ends before, says nothing about the server when it passes.
        """
        self._server = server
        self._transport = transport
        self._patient_id = patient_id
        self._headers = headers_of(token)
        self._deadline = deadline
        self._limits = limits
        self._allowance = Allowance(limits.read_bytes)
        self._tasks: dict[str, _Task] = {}
        self._is_shortened = is_shortened
        self._version: Future[None] | None = None

    def start(self, key: str, query: str, is_enough: Enough | None = None) -> None:
        """Begin a search by its prefetch template; no page is read after those that are enough."""
        self._begin(key, address_of(self._server.base, query, self._patient_id), is_enough=is_enough)

    def follow(self, key: str, first: piles.Pile) -> None:
        """Begin with the pages after one that the client has sent."""
        link = under(self._server.base, first.next_link or "") if first.next_link else None
        if link is None:
            self._tasks[key] = _Task(_ended("foreign_link"), pages=[first])
        else:
            self._begin(key, link, first)

    def answer(self, key: str) -> Answer:
        """Wait for a search until the deadline, and give what has arrived by then."""
        task = self._tasks[key]
        fault = "timeout"
        try:
            fault = task.future.result(timeout=max(0.0, self._deadline - time.monotonic()))
        except (FutureTimeout, CancelledError):
            task.line.cut()
            task.future.cancel()
        self._note(task, fault)
        self._wait_for_version()
        if self._server.speaks_other_version:
            return Answer(None, "fhir_version")
        if fault == "another_patient" or not task.pages:
            return Answer(None, fault)
        return Answer(piles.together(list(task.pages)), fault)

    def medications(self, references: Iterable[str]) -> Sequence[piles.Found]:
        """Look up the Medications that records refer to, many at a time; those that cannot be read are left out."""
        ids = sorted({found for reference in references if (found := self._medication_id(reference)) is not None})
        keys = []
        for first in range(0, len(ids), _IDS_PER_SEARCH):
            keys.append(f"Medication {first}")
            wanted = ",".join(quote(found, safe="") for found in ids[first : first + _IDS_PER_SEARCH])
            self._begin(keys[-1], f"{self._server.base}/Medication?_id={wanted}&_count={_PER_PAGE}")
        pages = [pile for key in keys if (pile := self.answer(key).pile) is not None]
        return [
            piles.Found(item.resource, f"{self._server.base}/Medication/{item.resource.id}")
            for pile in pages
            for item in pile.found
            if isinstance(item.resource, wire.Medication)
        ]

    def stop(self) -> None:
        """End whatever is under way and nobody waited for."""
        for task in self._tasks.values():
            task.line.cut()
            task.future.cancel()
            if task.breaker is not None:
                task.breaker.give_back()

    def _begin(self, key: str, url: str, first: piles.Pile | None = None, is_enough: Enough | None = None) -> None:
        pages = [first] if first is not None else []
        breaker = self._server.breaker(key.partition(" ")[0])
        if self._server.speaks_other_version:
            self._tasks[key] = _Task(_ended("fhir_version"), pages=pages)
        elif not breaker.lets_through():
            self._tasks[key] = _Task(_ended("breaker_open"), pages=pages)
        else:
            self._version = self._version or self._server.learn_version(self._transport)
            line = Line()
            future = self._server.pool.submit(self._search, line, pages, url, is_enough)
            self._tasks[key] = _Task(future, line, pages, breaker)

    def _note(self, task: _Task, fault: str) -> None:
        """Tell the breaker how a search fared that was waited for, once."""
        if task.breaker is None:
            return
        if fault not in _NO_ANSWER:
            task.breaker.note(answered=True)
        elif self._is_shortened:
            task.breaker.give_back()
        else:
            task.breaker.note(answered=False)
        task.breaker = None

    def _wait_for_version(self) -> None:
        """Wait for the server's version where this hook is the one that asks for it, and leave time for the cards."""
        if self._version is not None:
            with suppress(FutureTimeout, CancelledError):
                self._version.result(timeout=max(0.0, self._deadline - _FOR_THE_CARDS_SECONDS - time.monotonic()))
            self._version = None

    def _medication_id(self, reference: str) -> str | None:
        address = under(self._server.base, reference.partition("/_history/")[0])
        kind, _, found = (address or "").removeprefix(f"{self._server.base}/").partition("/")
        is_id = bool(found) and not set(found) & set("/?,%$|\\") and found.strip(".") != ""
        return found if kind == "Medication" and is_id else None

    def _search(self, line: Line, pages: list[piles.Pile], url: str, is_enough: Enough | None) -> str:
        """Read page after page; give one word on why the search ended early, or ""."""
        seen = set()
        try:
            while True:
                seen.add(url)
                pile = self._page(url, line)
                if not are_about(pile.found, self._patient_id):
                    return "another_patient"
                pages.append(pile)
                if pile.next_link is None:
                    return ""
                if is_enough is not None and is_enough(item for page in pages for item in page.found):
                    return ""
                link = under(self._server.base, pile.next_link, page=url) if pile.next_link else None
                if link is None:
                    return "foreign_link"
                if link in seen:
                    return "loop"
                entries = sum(pile.entries for pile in pages)
                if len(pages) >= self._limits.pages or entries >= self._limits.entries:
                    return "too_many_pages"
                url = link
        except FetchFault as fault:
            return fault.label

    def _page(self, url: str, line: Line) -> piles.Pile:
        page = self._get(url, line)
        if page.status != 200:
            raise FetchFault(_STATUS_FAULTS.get(page.status) or ("server_error" if page.status >= 500 else "status"))
        if _names_other_version(page.headers.get("content-type", "")):
            raise FetchFault("fhir_version")
        pile = piles.decode_pile(page.body)
        if pile is None:
            raise FetchFault("not_fhir")
        if pile.is_single and isinstance(pile.found[0].resource, wire.OperationOutcome):
            raise FetchFault("operation_outcome")
        return pile

    def _get(self, url: str, line: Line) -> Page:
        """GET, and once more where a second try may help and fits into the time that is left."""
        try:
            page = self._try(url, line)
        except FetchFault as fault:
            if fault.label != "connection" or not self._pause(random.uniform(*_AGAIN_SECONDS), line):  # noqa: S311 - no secret
                raise
            return self._try(url, line)
        wait = _seconds_before_retry(page, random.uniform(*_AGAIN_SECONDS))  # noqa: S311 - as above
        if wait is None or not self._pause(wait, line):
            return page
        return self._try(url, line)

    def _try(self, url: str, line: Line) -> Page:
        return self._transport.get(url, self._headers, deadline=self._deadline, allowance=self._allowance, line=line)

    def _pause(self, seconds: float, line: Line) -> bool:
        """Wait, unless the time left would then be used up."""
        if line.is_cut or time.monotonic() + seconds + _AGAIN_SECONDS[1] > self._deadline:
            return False
        time.sleep(seconds)
        return not line.is_cut


def _ended(fault: str) -> "Future[str]":
    done: Future[str] = Future()
    done.set_result(fault)
    return done


def _seconds_before_retry(page: Page, soon: float) -> float | None:
    """How long to wait before the page is asked for again; None where that would not help."""
    if page.status == _TOO_MANY_REQUESTS:
        after = page.headers.get("retry-after", "")
        return float(after) if after.isdecimal() and len(after) < len("1000") else None
    return soon if page.status >= 500 else None


def _names_other_version(content_type: str) -> bool:
    _, found, version = content_type.lower().replace(" ", "").partition("fhirversion=")
    return bool(found) and not is_readable_version(version.strip('"'))
