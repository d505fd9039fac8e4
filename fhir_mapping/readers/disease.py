"""How the myeloma stands: what the codes and words of a status or of a conclusion say of it."""

from functools import cache, lru_cache
from typing import NamedTuple

from fhir_mapping import wire
from fhir_mapping.catalog.codes import codings_of
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.phrases import Said
from fhir_mapping.model.results import Status
from fhir_mapping.model.vocabulary import Certainty
from fhir_mapping.readers.results import page
from fhir_mapping.readers.wording import Vocabulary, read_vocabulary

_CACHED_VALUES = 1_024
_PROGRESSION = "disease-status-progression"


class Standing(NamedTuple):
    """The status that a value states, and how sure it is of progression; None where it says nothing of that.

    `is_understood` is false where a status is stated in words that we do not know: it may be a progression.
    """

    status: Status
    worse: Certainty | None = None
    is_understood: bool = True


@lru_cache(maxsize=_CACHED_VALUES)
def standing_in(value: wire.Concept, catalog: Catalog) -> Standing:
    """Read a value by its codes and its words; where these differ, the status is undetermined."""
    coded = coded_statuses(value, catalog)
    said = {catalog.signs["progression_value"].said_in(text) for text in texts_of(value)}
    found = set(coded)
    for text in texts_of(value):
        found |= _in_words(text, catalog)
    is_understood = bool(found) or said == {Said.DENIED}
    status = found.pop() if len(found) == 1 else Status.UNDETERMINED
    return Standing(status, _worse(coded, said) or (None if is_understood else Certainty.POSSIBLE), is_understood)


def coded_statuses(value: wire.Concept, catalog: Catalog) -> frozenset[Status]:
    """Give every status that the codes of a value stand for."""
    statuses = page("disease_status")["concepts"]
    found = {Status(statuses[c]) for c in catalog.concepts("lab", value) if c in statuses}
    for system, code in codings_of(value):
        if system == "snomed" and code in _remissions():
            found.add(_remissions()[code])
    return frozenset(found)


@cache
def _remissions() -> dict[str, Status]:
    codes = page("disease_status")
    full = dict.fromkeys(codes["full_remission_codes"], Status.FULL_REMISSION)
    return full | dict.fromkeys(codes["partial_remission_codes"], Status.PARTIAL_REMISSION)


def _worse(coded: frozenset[Status], said: set[Said]) -> Certainty | None:
    """Say how sure a value is of progression; words that leave it open make it possible."""
    if Status.WORSENED in coded or Said.STATED in said:
        return Certainty.STATED
    return Certainty.POSSIBLE if Said.UNCLEAR in said else None


@cache
def _vocabulary() -> Vocabulary:
    return read_vocabulary(page("disease_status_words"), [s for s in Status if s is not Status.WORSENED])


def _in_words(text: str, catalog: Catalog) -> set[Status]:
    """Give the status that a text states; "undetermined" where it says more than we understand."""
    worse = catalog.signs["progression_value"].said_in(text)
    if worse is Said.STATED or worse is Said.UNCLEAR:
        return {Status.WORSENED if worse is Said.STATED else Status.UNDETERMINED}
    wording = _vocabulary().read(text)
    if not wording.meanings:
        return set()
    return {Status(meaning) for meaning in wording.meanings} if wording.is_understood else {Status.UNDETERMINED}
