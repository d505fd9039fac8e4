"""DiagnosticReport: what a report concludes of the myeloma, in codes, and eye examinations."""

from collections.abc import Iterator
from functools import lru_cache

from fhir_mapping import wire
from fhir_mapping.catalog.loader import Catalog, texts_of
from fhir_mapping.catalog.phrases import all_words
from fhir_mapping.catalog.texts import has_phrase, words
from fhir_mapping.elements import Concepts, concepts_in
from fhir_mapping.model.care import EyeExamination
from fhir_mapping.model.dates import ClinicalDate
from fhir_mapping.model.history import DataGap, GapCode
from fhir_mapping.model.results import DiseaseStatus, Status
from fhir_mapping.model.treatment import Progression
from fhir_mapping.model.vocabulary import Certainty
from fhir_mapping.readers.context import Context, source_of
from fhir_mapping.readers.disease import coded_statuses, standing_in
from fhir_mapping.readers.results import meaning_of, page

_REPORTS = frozenset({"final", "amended", "corrected", "appended"})
_CACHED_CODES = 1_024


def read_report(
    report: wire.DiagnosticReport, context: Context
) -> Iterator[DiseaseStatus | Progression | EyeExamination]:
    """Turn one final report into facts; the free text of its conclusion is never read."""
    if report.status not in _REPORTS:
        return
    is_eye_examination = report.code is not None and names_eye_examination(report.code, context.catalog)
    concluded = concepts_in(report.conclusion_code)
    if not concluded.is_whole:
        context.gaps.append(DataGap(GapCode.PRUNED, "DiagnosticReport"))
    statuses = frozenset().union(*(coded_statuses(concept, context.catalog) for concept in concluded.read))
    may_be_worse = _may_be_worse(report, concluded, context.catalog)
    if not (statuses or may_be_worse or is_eye_examination):
        return
    on = _examined(report, context)
    source = source_of(report, on)
    certainty = context.certainty(report)
    if is_eye_examination and certainty is Certainty.STATED:
        yield EyeExamination(on, source)
    is_one = len(statuses) == 1 and concluded.is_whole and certainty is Certainty.STATED
    if statuses or may_be_worse:
        yield DiseaseStatus(next(iter(statuses)) if is_one else Status.UNDETERMINED, on, source)
    if Status.WORSENED in statuses:
        # "The patient's condition worsened" in a report of any kind may be said of something else
        is_sure = is_one and _is_disease_status(report, context.catalog)
        yield Progression(on, Certainty.STATED if is_sure else Certainty.POSSIBLE, source)
    elif may_be_worse:
        yield Progression(on, Certainty.POSSIBLE, source)


def _may_be_worse(report: wire.DiagnosticReport, concluded: Concepts, catalog: Catalog) -> bool:
    """Whether a report of how the myeloma stands concludes something that was not understood, or says it in words."""
    if not (concluded.read or not concluded.is_whole) or not _is_disease_status(report, catalog):
        return False
    return not concluded.is_whole or any(standing_in(one, catalog).worse is not None for one in concluded.read)


def _is_disease_status(report: wire.DiagnosticReport, catalog: Catalog) -> bool:
    meaning = meaning_of(report.code, catalog)
    return meaning is not None and meaning.is_disease_status


@lru_cache(maxsize=_CACHED_CODES)
def names_eye_examination(code: wire.Concept, catalog: Catalog) -> bool:
    """Whether a report or a procedure is an eye examination, by its code or by its name."""
    meaning = meaning_of(code, catalog)
    if meaning is not None and meaning.is_eye_examination:
        return True
    phrases, taken_back_by = all_words(page("eye_examination"), "phrases"), page("eye_examination")["taken_back_by"]
    texts = [words(text) for text in texts_of(code)]
    return any(has_phrase(text, phrase) for text in texts for phrase in phrases) and not any(
        word in taken_back_by for text in texts for word in text
    )


def _examined(report: wire.DiagnosticReport, context: Context) -> ClinicalDate | None:
    """Give the day of the examination: not after the report was issued, which is no date of what it finds."""
    period = report.effective_period or wire.NO_PERIOD
    when = context.past_day(report.effective_date_time or period.end or period.start, "DiagnosticReport")
    issued = context.past_day(report.issued, "DiagnosticReport") if report.issued else None
    if when is None or issued is None:
        return when
    if report.effective_date_time is None and period.end is None and issued.latest > when.earliest:
        return ClinicalDate(when.earliest, issued.latest)
    return when.capped(issued.latest) or when
