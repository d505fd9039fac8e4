"""Words about what surrounds the treatment: plans, refusals, vaccines, education and line numbers."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.phrases import (
    Phrases,
    ReadText,
    Said,
    Words,
    all_words,
    longest_in,
    read_signs,
    read_words,
)
from fhir_mapping.catalog.texts import has_phrase, read_text, words
from fhir_mapping.model.care import RefusedTherapy
from fhir_mapping.model.vocabulary import DrugClass
from fhir_mapping.wire import Concept

Therapies = frozenset[RefusedTherapy]
Index = Mapping[str, Sequence[tuple[Words, Any]]]

_CAR_T = frozenset({RefusedTherapy.CAR_T})
_ENGAGER = frozenset({RefusedTherapy.T_CELL_ENGAGER})
_OTHER: Therapies = frozenset()  # some other treatment
_THERAPIES = {"car_t": _CAR_T, "engager": _ENGAGER, "both": _CAR_T | _ENGAGER, "other": _OTHER, "neither": None}
_BY_CLASS = {DrugClass.CAR_T: _CAR_T, DrugClass.BISPECIFIC: _ENGAGER}
_CACHED_TEXTS = 4_096
_REACH = 6  # words over which a negation reaches what a patient is not
_NEAR = 3  # words over which it reaches a refusal
_DASH = re.compile(r"\s[-\u2013\u2014]+\s|\u2014")
_NUMBER = re.compile(r"\bno\.\s*(?=\d)|#", re.IGNORECASE)
_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th)")
_DIGITS = re.compile(r"\d{1,2}")
_PART_END = re.compile(r"[;,\n]")
_LINE = re.compile(r"line|\d\s*l\b", re.IGNORECASE)
_SHORT_LINE = re.compile(r"(\d{1,2})l")
_LOT = re.compile(r"\bLOT[\s:#]*(?=\d{1,2}\b)")
# More than one line, or no certain one: "2nd-3rd", "2 or 3", "2L+", "at least 3" as a sign; a date is none of them
_RANGE = re.compile(
    r"(?<![\d/.-])\b\d{1,2}(?:st|nd|rd|th|l)?\s*(?:-|\u2013|/|\bto\b|\bor\b|\band\b|&)\s*\d{1,2}(?:st|nd|rd|th|l)?\b(?![/.-]?\d)"
    r"|(?:\bline\s*|\d\s*(?:l\s*)?)\+|[>\u2265]\s*=?\s*\d",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, eq=False)
class CareWords:
    """The pages of care.toml, ready for use."""

    pages: Mapping[str, Any]
    signs: Mapping[str, Phrases]
    phrases: Mapping[tuple[str, str], tuple[Words, ...]]
    treatments: Index
    vaccines: Index
    services: Index


@cache
def care_words() -> CareWords:
    """Load the words, once."""
    pages = tomllib.loads(read_text("care.toml"))
    listed = [(page, key) for page, table in pages.items() for key, value in table.items() if isinstance(value, list)]
    treatments = pages["treatments"]
    return CareWords(
        pages=pages,
        signs=read_signs(pages),
        phrases={(page, key): all_words(pages[page], key) for page, key in listed},
        treatments=_index((name, of) for kind, of in _THERAPIES.items() for name in treatments[kind]),
        vaccines=_index((name, vaccine) for vaccine, names in pages["vaccines"].items() for name in names),
        services=_index((name, service) for service, names in pages["services"].items() for name in names),
    )


def _index(named: Iterable[tuple[str, Any]]) -> Index:
    """List phrases by their first word, the longest first."""
    by_first: dict[str, list[tuple[Words, Any]]] = defaultdict(list)
    for name, meaning in named:
        by_first[words(name)[0]].append((words(name), meaning))
    return {first: sorted(found, key=lambda item: -len(item[0])) for first, found in by_first.items()}


def _has_any(text: Words, page: str, key: str) -> bool:
    return any(has_phrase(text, phrase) for phrase in care_words().phrases[page, key])


def _begins(text: Words, page: str, key: str) -> bool:
    beginnings = tuple(care_words().pages[page][key])
    return any(word.startswith(beginnings) for word in text)


def has_concept(page: str, concept: Concept, catalog: Catalog) -> bool:
    """Whether a code is filed under one of the concepts that a page lists, of procedures unless it says otherwise."""
    listed = care_words().pages[page]
    return not catalog.concepts(listed.get("group", "procedure"), concept).isdisjoint(listed["concepts"])


def _treatments_in(text: Words, catalog: Catalog) -> dict[int, Therapies]:
    """Find the treatments that a text names, each by its place: ours as themselves, all others as none."""
    found: dict[int, Therapies] = {}
    for at, name, drug in longest_in(text, catalog.names.by_first):
        known = catalog.drugs.get(drug)
        if known is not None:
            found |= dict.fromkeys(range(at, at + len(name)), _BY_CLASS.get(known.drug_class, _OTHER))
    for at, name, of in longest_in(text, care_words().treatments):
        if of is not None:
            found |= dict.fromkeys(range(at, at + len(name)), of)
    past = care_words().phrases["treatments", "past"]
    over = {i for i in found if any(text[max(i - len(phrase), 0) : i] == phrase for phrase in past)}
    for i in sorted(found):
        if i - 1 in over:  # the rest of a name
            over.add(i)
    return {i: of for i, of in found.items() if i not in over}


def speaks_of_evaluation(texts: tuple[str, ...], catalog: Catalog) -> bool:
    """Whether the texts of a request or visit ask for a CAR T evaluation.

    The name of the treatment alone is enough; a visit about cells that were given, or for teaching, is something else.
    """
    read = [words(text) for text in texts]
    everything = tuple(word for text in read for word in text)
    if _has_any(everything, "car_t_evaluation", "topics") or _begins(
        everything, "car_t_evaluation", "topic_beginnings"
    ):
        return False
    named = [(text, places) for text in read if (places := _car_t_places(text, catalog))]
    if any(places == set(range(len(text))) for text, places in named):
        return True
    return bool(named) and _begins(everything, "car_t_evaluation", "word_beginnings")


def _car_t_places(text: Words, catalog: Catalog) -> set[int]:
    negation = frozenset(care_words().pages["negation"]["before"])
    places = {i for i, of in _treatments_in(text, catalog).items() if RefusedTherapy.CAR_T in of}
    return set() if places and not negation.isdisjoint(text[max(min(places) - 2, 0) : min(places)]) else places


def asks_for_referral(concept: Concept) -> bool:
    """Whether a request is a referral or consultation, whatever for."""
    return any(_begins(words(text), "car_t_evaluation", "referral_beginnings") for text in texts_of(concept))


def speaks_of_eye_examination(texts: Sequence[str]) -> bool:
    """Whether texts name an eye examination or a visit to an eye doctor, and no treatment of the eye."""
    exam, no_exam = care_words().signs["eye_examination"], care_words().signs["no_eye_examination"]
    return any(exam.found_in(text) for text in texts) and not any(no_exam.named_in(text) for text in texts)


@lru_cache(maxsize=_CACHED_TEXTS)
def refused_in(text: str, catalog: Catalog, about: Therapies = _OTHER) -> Therapies:
    """Say which T-cell-redirecting therapies a text calls refused, or not suitable for the patient.

    `about` is what the record that holds the text is about; without it the text itself must name the therapy.
    """
    everything = words(text)
    if _refusing_words().isdisjoint(everything) or _has_any(everything, "refusal", "taken_back"):
        return _OTHER
    clauses = [clause for part in _DASH.split(text) for clause in _clauses(part)]
    named = [_treatments_in(clause, catalog) for clause in clauses]
    refused: Therapies = _OTHER
    for number, clause in enumerate(clauses):
        if _has_any(clause, "refusal", "doubts") or _has_any(clause, "refusal", "others_word"):
            continue
        for start, end in _refusals_at(clause, is_reason=bool(about)):
            refused |= _meant(start, end, named, number, about)
    return refused


@cache
def _refusing_words() -> frozenset[str]:
    """List the words without which no text refuses anything: most texts of a chart are read no further."""
    page = care_words()
    phrases = (phrase for key in ("words", "phrases", "reasons") for phrase in page.phrases["refusal", key])
    return frozenset(phrase[0] for phrase in phrases) | frozenset(page.pages["refusal"]["not_words"])


def _clauses(text: str) -> Iterator[Words]:
    """Split a text into clauses, also where it turns from what is not wanted to what is."""
    turning = frozenset(phrase[0] for phrase in care_words().phrases["refusal", "turning"])
    for plain in read_words(text).in_clauses():
        clause: list[str] = []
        for word in plain.split():
            if word in turning and clause:
                yield tuple(clause)
                clause = []
            clause.append(word)
        yield tuple(clause)


def _refusals_at(clause: Words, *, is_reason: bool) -> Iterator[tuple[int, int]]:
    """Give start and end of every phrase that refuses, not turned round by a negation."""
    page = care_words().phrases
    negation = {phrase[0] for phrase in page["refusal", "negated_by"]}
    read = ReadText(clause, (0,) * len(clause), (0,) * len(clause))
    plain = page["refusal", "words"] + (page["refusal", "reasons"] if is_reason else ())
    for phrase in plain:
        for start, end in read.places(phrase):
            if negation.isdisjoint(clause[max(start - _NEAR, 0) : start]):
                yield start, end
    for phrase in page["refusal", "phrases"]:
        yield from read.places(phrase)
    beginnings = tuple(care_words().pages["refusal"]["not_beginnings"])
    denying = frozenset(care_words().pages["refusal"]["not_words"])
    for i, word in enumerate(clause):
        denials = [at for at in range(max(i - _REACH, 0), i) if clause[at] in denying]
        if word.startswith(beginnings) and denials:
            yield denials[-1], i + 1


def _meant(start: int, end: int, named: Sequence[Mapping[int, Therapies]], number: int, about: Therapies) -> Therapies:
    """Say what a refusal is of: what is named within it, or nearest to it, or what the text was speaking of."""
    here = named[number]
    inside: Therapies = frozenset().union(*(of for at, of in here.items() if start <= at < end))
    if inside:
        return inside
    if here:
        nearest = min(here, key=lambda at: (start - at if at < start else at - end + 1, at > start))
        return here[nearest]
    if about:
        return about
    for places in (*reversed(named[:number]), *named[number + 1 :]):
        if places:
            return places[max(places)]
    return _OTHER


@lru_cache(maxsize=_CACHED_TEXTS)
def teaches(concepts: tuple[Concept, ...], catalog: Catalog) -> bool:
    """Whether the concepts of a record say that the patient was taught, and nothing takes it back.

    Teaching about something else, e.g. diabetes, is none that a rule asks for.
    """
    education, signs = care_words().signs["education"], care_words().signs
    texts = [text for concept in concepts for text in texts_of(concept)]
    said = {text: education.said_in(text) for text in texts}
    for text in texts:
        if signs["no_education"].named_in(text) or _begins(words(text), "no_education", "topic_beginnings"):
            return False
        if said[text] is not Said.STATED and education.named_in(text):
            return False
    return Said.STATED in said.values() or any(has_concept("education", concept, catalog) for concept in concepts)


@lru_cache(maxsize=_CACHED_TEXTS)
def vaccines_in(text: str) -> frozenset[str]:
    """Name the vaccines of a text, as concepts of the catalogue."""
    loaded = care_words()
    if loaded.signs["no_vaccine"].named_in(text):
        return frozenset()
    plain = words(text)
    said = {word for i, word in enumerate(plain) if plain[max(i - 1, 0)] not in {"non", "not"}}
    found = {vaccine for _, _, vaccine in longest_in(plain, loaded.vaccines)}
    return frozenset(_variant(vaccine, said) for vaccine in found)


def speaks_of_vaccination(text: str) -> bool:
    """Whether a text is about giving a vaccine, and not only about what vaccines are against."""
    return _begins(words(text), "vaccination", "word_beginnings")


@lru_cache(maxsize=_CACHED_TEXTS)
def services_in(text: str) -> frozenset[str]:
    """Name the procedures, referrals and tests that the words of an order ask for, as concepts of the catalogue."""
    return frozenset(service for _, _, service in longest_in(words(text), care_words().services))


def _variant(vaccine: str, said: set[str]) -> str:
    variants: Mapping[str, str] = care_words().pages["vaccine_variants"].get(vaccine, {})
    return next((other for word, other in variants.items() if word in said), vaccine)


@lru_cache(maxsize=_CACHED_TEXTS)
def line_number_in(text: str) -> int | None:
    """Read the one line of therapy that a text documents; None for none, several, or a line of another kind."""
    page = care_words().pages["line_of_therapy"]
    plain = _NUMBER.sub(" number ", _LOT.sub(" line of therapy ", text))
    everything = frozenset(words(plain))
    is_of_myeloma = not everything.isdisjoint(page["myeloma"])
    if not (is_of_myeloma or everything.isdisjoint(page["elsewhere"])) or _names_several(plain):
        return None
    has_device = not everything.isdisjoint(page["devices"])
    has_context = not everything.isdisjoint(page["context"])
    found = {
        line.number
        for clause in read_words(plain).in_clauses()
        for line in _lines_in(tuple(clause.split()), page)
        if (line.is_strong or not has_device) and (line.is_plain or has_context)
    }
    return found.pop() if len(found) == 1 else None


def _names_several(text: str) -> bool:
    """Whether a text gives a range of lines, or an open one; other ranges, e.g. of cycles, stand in other parts."""
    return any(_RANGE.search(part) and _LINE.search(part) for part in _PART_END.split(text))


class _Line(NamedTuple):
    """A line of a clause; `is_plain` where it needs no word beside it, `is_strong` where it can be no catheter."""

    number: int
    end: int
    is_plain: bool = True
    is_strong: bool = False


def _lines_in(clause: Words, page: Mapping[str, Any]) -> Iterator[_Line]:
    for i in range(len(clause)):
        line = _ordinal_line(clause, i, page) or _numbered_line(clause, i, page)
        if line is None or not 0 < line.number <= page["most"]:
            continue
        is_elsewhen = not frozenset(clause[max(i - 2, 0) : i]).isdisjoint(page["before"])
        if not is_elsewhen and frozenset(clause[line.end : line.end + 1]).isdisjoint(page["after"]):
            yield line


def _ordinal_line(clause: Words, i: int, page: Mapping[str, Any]) -> _Line | None:
    """Read "3rd line", "third line", "front line", "3L"."""
    word, is_line = clause[i], clause[i + 1 : i + 2] == ("line",)
    short, ordinal = _SHORT_LINE.fullmatch(word), _ORDINAL.fullmatch(word)
    if short:
        return _Line(int(short[1]), i + 1, is_plain=False)
    if word in page["frontline"]:
        return _Line(1, i + 1)
    number = int(ordinal[1]) if ordinal else page["ordinals"].get(word)
    if not is_line or number is None:
        return None
    is_strong = any(other in page["strong"] for other in clause[i + 2 : i + 4])
    return _Line(number, i + 2, is_strong=is_strong)


def _numbered_line(clause: Words, i: int, page: Mapping[str, Any]) -> _Line | None:
    """Read "line 3", "line of therapy: three", "treatment line number 3"."""
    before = clause[i - 1 : i] if i else ()
    if clause[i] != "line" or any(word in page["not_right_before"] for word in before):
        return None
    at = i + 1
    while at < len(clause) and clause[at] in page["between"]:
        at += 1
    if at == len(clause):
        return None
    number = int(clause[at]) if _DIGITS.fullmatch(clause[at]) else page["cardinals"].get(clause[at])
    if number is None:
        return None
    is_strong = any(word in page["strong"] for word in (*before, *clause[i:at]))
    return _Line(number, at + 1, is_plain=not before or before[0] in page["between"], is_strong=is_strong)
