"""A treatment history as plain facts: dated events in their order, what is in force, what is inferred, what is missing.

The facts are what `--json` prints, and the text is written from them alone, so that both always say the same.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.dates import Answer, ClinicalDate, Days, earliest_of, latest_of
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.results import DiseaseStatus, LabResult, LabTest, SerologyResult, Status
from fhir_mapping.model.treatment import CarTInfusion, Course, Progression, SourceRef, SupportiveCare, TCellCollection
from fhir_mapping.model.vocabulary import Certainty, Drug, DrugClass, Tier, Topic
from fhir_mapping.readers.results import names_of

Facts = dict[str, Any]

_LONGEST_CHART_TEXT = 80
_LAST_OF_ALL = {"earliest": "9999-12-31", "latest": "9999-12-31"}
_EVIDENCE = {
    Tier.PROVEN: "given",
    Tier.REPORTED: "reported",
    Tier.PRESUMPTIVE: "ordered",
    Tier.UNDATED: "reported without a date",
}
_CLASSES = {
    DrugClass.BISPECIFIC: "{antigens} x CD3 bispecific antibody",
    DrugClass.CAR_T: "{antigens} CAR T cells",
    DrugClass.ADC: "{antigens} antibody-drug conjugate",
    DrugClass.ANTI_CD38: "anti-CD38 antibody",
    DrugClass.ANTI_SLAMF7: "anti-SLAMF7 antibody",
    DrugClass.PROTEASOME_INHIBITOR: "proteasome inhibitor",
    DrugClass.IMID: "IMiD",
    DrugClass.CELMOD: "CELMoD",
    DrugClass.XPO1_INHIBITOR: "XPO1 inhibitor",
    DrugClass.HDAC_INHIBITOR: "HDAC inhibitor",
    DrugClass.BCL2_INHIBITOR: "BCL-2 inhibitor",
    DrugClass.ALKYLATOR: "alkylating agent",
    DrugClass.PURINE_ANALOGUE: "purine analogue",
    DrugClass.CYTOTOXIC: "cytotoxic drug",
    DrugClass.HSV_VZV_ANTIVIRAL: "HSV/VZV antiviral",
    DrugClass.CMV_ANTIVIRAL: "CMV antiviral",
    DrugClass.HBV_ANTIVIRAL: "HBV antiviral",
    DrugClass.PJP_AGENT: "Pneumocystis agent",
    DrugClass.BONE_AGENT: "bone agent",
    DrugClass.G_CSF: "G-CSF",
    DrugClass.GM_CSF: "GM-CSF",
}
_TESTS = {LabTest.CD4: "CD4+ T cells", LabTest.ANC: "neutrophils", LabTest.EGFR: "eGFR"}


def facts_of(history: TreatmentHistory, catalog: Catalog, *, with_records: bool) -> Facts:
    """Write out everything that a history holds; references to records only where they are wanted."""
    writer = _Writer(history, catalog, with_records)
    diagnosis, person = history.diagnosis, history.person
    return {
        "as_of": history.as_of.isoformat(),
        "born": _years(person.born),
        "age": _range(_age(person.born, history.as_of)),
        "deceased": person.deceased,
        "diagnosis": {
            "myeloma": diagnosis.myeloma.value,
            "records": writer.records([diagnosis.source] if diagnosis.source else []),
            "problem_list_is_empty": diagnosis.problem_list_is_empty,
            "comfort_care_only": diagnosis.comfort_care_only,
        },
        "timeline": sorted(writer.events(), key=_place),
        "allergies": [
            {"allergen": allergy.allergen.value, "records": writer.records([allergy.source])}
            for allergy in history.allergies
        ],
        "draft_orders": list(writer.orders()),
        "draft_orders_for_others": history.foreign_orders,
        "inferred": list(dict.fromkeys(writer.inferences())),
        "not_recognised": [
            {
                "text": plain(entry.text),
                "may_be_cell_therapy": entry.may_be_cell_therapy,
                "records": writer.records([entry.source]),
            }
            for entry in history.unrecognised
        ],
        "not_read": _counted((gap.code.value, gap.resource_type) for gap in history.gaps),
        "coverage": {
            topic.value: {"level": of.level.value, "unread": list(of.unread)}
            for topic, of in history.coverage.topics.items()
        },
        "absence_is_known": {
            topic.value: history.coverage.is_complete(topic)
            for topic in (Topic.TREATMENT, Topic.PROPHYLAXIS, Topic.ALLERGIES)
        },
    }


def plain(text: str) -> str:
    """Make a chart's own words fit to print: one short line without what a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST_CHART_TEXT]


def _counted(pairs: Iterable[tuple[str, str]]) -> list[Facts]:
    return [{"why": why, "type": kind, "count": count} for (why, kind), count in sorted(Counter(pairs).items())]


def class_of(drug: Drug) -> str:
    """Name the class of a drug with the antigens that it binds, as a haematologist would."""
    wording = _CLASSES.get(drug.drug_class, drug.drug_class.value.replace("-", " "))
    return wording.format(antigens="/".join(sorted(drug.antigens)) or "unknown antigen,")


class _Writer:
    """Writes the parts of one history."""

    def __init__(self, history: TreatmentHistory, catalog: Catalog, with_records: bool) -> None:
        self.history = history
        self.catalog = catalog
        self.with_records = with_records

    def events(self) -> Iterator[Facts]:
        """Give every event, each with the date by which it stands in the timeline."""
        yield from map(self._course, self.history.courses)
        yield from map(self._infusion, self.history.infusions)
        yield from map(self._collection, self.history.collections)
        yield from self._other_procedures()
        yield from map(self._progression, self.history.progressions)
        prophylaxis: dict[tuple[str, bool], list[SupportiveCare]] = defaultdict(list)
        for care in self.history.supportive_care:
            if care.drug.covers or care.systemic:
                prophylaxis[care.drug.id, care.systemic].append(care)
        yield from map(self._prophylaxis, prophylaxis.values())
        measured = {lab.test for lab in self.history.labs}
        yield from (self._labs(test) for test in LabTest if test in measured)
        yield from map(self._serology, sorted({result.test for result in self.history.serology}))
        if any(status.status is not Status.WORSENED for status in self.history.disease_statuses):
            yield self._disease_status()  # a worsening stands in the timeline as progression

    def records(self, sources: Sequence[SourceRef]) -> Facts:
        """Count the records behind a fact, with their days, and name them where that is wanted."""
        days = [source.on for source in sources if source.on is not None]
        counted = dict(sorted(Counter(source.resource_type for source in sources).items()))
        references = {"references": sorted(plain(s.reference) for s in sources)} if self.with_records else {}
        return {"types": counted, "first": span_of(earliest_of(days)), "last": span_of(latest_of(days))} | references

    def orders(self) -> Iterator[Facts]:
        """Give the draft orders of the request."""
        for order in self.history.orders:
            yield {
                "what": order.drug.name if order.drug else order.kind.value,
                "class": class_of(order.drug) if order.drug else None,
                "text": None if order.drug else plain(order.label),
                "kind": order.kind.value,
                "planned": span_of(order.planned),
                "judged": order.judged,
            } | ({"reference": plain(order.reference)} if self.with_records else {})

    def _event(self, kind: str, what: str, start: ClinicalDate | None, sources: Sequence[SourceRef]) -> Facts:
        return {"kind": kind, "what": what, "start": span_of(start), "records": self.records(sources)}

    def _said(self, day: ClinicalDate | None) -> str:
        return said(span_of(day), self.history.as_of.isoformat())

    def _since(self, day: ClinicalDate | None) -> Facts:
        return {"days_since": _range(day.days_until(self.history.today) if day else None)}

    def _course(self, course: Course) -> Facts:
        written = course.sources[0].on if course.tier is Tier.PRESUMPTIVE else None
        return (
            self._event("course", course.drug.name, written or course.first_dose, course.sources)
            | _named(course.drug)
            | {"first_dose": span_of(course.first_dose), "last_dose": span_of(course.last_dose)}
            | self._since(course.last_dose)
            | {
                "ongoing": course.ongoing,
                "evidence": _EVIDENCE[course.tier],
                "certainty": course.certainty.value,
                "end_reason": course.end_reason.value if course.end_reason else None,
            }
        )

    def _infusion(self, infusion: CarTInfusion) -> Facts:
        product = infusion.product
        name = product.name if product else "CAR T cells, product not named"
        return (
            self._event("CAR T infusion", name, infusion.infused, infusion.sources)
            | (_named(product) if product else {"class": None, "antigens": []})
            | self._since(infusion.infused)
            | {"evidence": _EVIDENCE[infusion.tier], "certainty": infusion.certainty.value}
        )

    def _collection(self, collection: TCellCollection) -> Facts:
        event = self._event("T-cell collection", "T-cell collection", collection.collected, [collection.source])
        return event | self._since(collection.collected) | {"certainty": collection.certainty.value}

    def _other_procedures(self) -> Iterator[Facts]:
        """Give transplants, collections of stem cells, and cells against another disease."""
        for transplant in self.history.transplants:
            name = f"stem cell transplant, {transplant.kind.value}"
            event = self._event("transplant", name, transplant.on, transplant.sources)
            yield event | self._since(transplant.on) | {"certainty": transplant.certainty.value}
        for collection in self.history.stem_cell_collections:
            name, on = "stem cell collection", collection.collected
            yield self._event(name, name, on, [collection.source]) | self._since(on)
        for therapy in self.history.other_cell_therapies:
            event = self._event("other cells", plain(therapy.name), therapy.infused, [therapy.source])
            yield event | self._since(therapy.infused) | {"certainty": therapy.certainty.value}

    def _progression(self, progression: Progression) -> Facts:
        event = self._event("progression", "progression", progression.on, [progression.source])
        return event | self._since(progression.on) | {"certainty": progression.certainty.value}

    def _prophylaxis(self, cares: Sequence[SupportiveCare]) -> Facts:
        first = cares[0]
        sources = [care.source for care in cares]
        answers = {care.in_force for care in cares}
        in_force = next((a for a in (Answer.YES, Answer.UNKNOWN) if a in answers), Answer.NO)
        last = latest_of([care.last_dose for care in cares if care.last_dose])
        start = earliest_of([since for care in cares if (since := care.first_dose or care.source.on)])
        return (
            self._event("prophylaxis" if first.drug.covers else "supportive care", first.drug.name, start, sources)
            | _named(first.drug)
            | {"covers": sorted(cover.value for cover in first.drug.covers), "systemic": first.systemic}
            | {"in_force": in_force.value, "last_dose": span_of(last)}
            | self._since(last)
        )

    def _labs(self, test: LabTest) -> Facts:
        results = [lab for lab in self.history.labs if lab.test is test]
        latest = self.history.latest_lab(test)
        readable = [lab for lab in results if lab.is_readable]
        lowest = min(readable, key=lambda lab: (lab.high, lab.low), default=None)
        first = earliest_of([lab.on for lab in results if lab.on])
        return self._event(
            "laboratory",
            _TESTS.get(test) or self.catalog.labs[test.value]["names"][0],
            first,
            [lab.source for lab in results],
        ) | {
            "test": test.value,
            "unit": self.catalog.labs[test.value]["unit"],
            "results": len(results),
            "latest": _result(latest),
            "lowest": _result(lowest),
        }

    def _serology(self, test: str) -> Facts:
        results = [result for result in self.history.serology if result.test == test]
        latest = self.history.latest_serology(test)
        return self._said_last(test, names_of(test)[0], results, latest and latest.finding.value, latest and latest.on)

    def _disease_status(self) -> Facts:
        statuses = self.history.disease_statuses
        last = latest_of([status.on for status in statuses if status.on])
        latest = [s for s in statuses if s.on and last and s.on.latest >= last.earliest]
        said = " or ".join(dict.fromkeys(status.status.value for status in latest))
        return self._said_last("cancer-disease-status", "disease status", statuses, said, last)

    def _said_last(
        self,
        test: str,
        name: str,
        results: Sequence[SerologyResult] | Sequence[DiseaseStatus],
        said: str | None,
        on: ClinicalDate | None,
    ) -> Facts:
        """Write a test that is answered in words in the form of those that come as a number."""
        return self._event("laboratory", name, on, [result.source for result in results]) | {
            "test": test,
            "unit": "",
            "results": len(results),
            "latest": {"value": said, "on": span_of(on)} if said else None,
            "lowest": None,
        }

    def inferences(self) -> Iterator[str]:
        """Say of every fact that no record states as such how it came about."""
        for course in self.history.courses:
            yield from self._inferred_of(course)
        for infusion in self.history.infusions:
            if len(infusion.sources) > 1:
                days = self.catalog.days("same_infusion")
                count, on = len(infusion.sources), self._said(infusion.infused)
                yield f"CAR T infusion {on}: {count} records at most {days} days apart are taken as one infusion."
            if infusion.product is None:
                yield "CAR T cells: no record names the product, so the antigen is unknown."
        for progression in self.history.progressions:
            source = progression.source.resource_type
            on = f" {self._said(progression.on)}" if progression.on else ""
            if source.startswith("Medication"):
                yield f"Progression{on}: taken from the reason for which a drug was ended."
            elif source == "Condition" and progression.on is not None and not progression.on.is_exact:
                yield f"Progression{on}: the problem list says relapse, and not when."

    def _inferred_of(self, course: Course) -> Iterator[str]:
        name = course.drug.name
        if course.certainty is Certainty.POSSIBLE:
            doubt = "its record is on hold, of unknown status or in part unreadable, or its codes and names differ"
            yield f"{name}: possible only; {doubt}."
        if course.tier is Tier.PRESUMPTIVE:
            yield f"{name}: an order alone; it may have been given on any day since, or never."
        elif course.ongoing:
            yield f"{name}: taken as still given, because the list says so and was confirmed of late."
        elif course.last_dose is not None and not course.last_dose.is_exact:
            yield f"{name}: no exact day of the last dose is recorded; it was {_in(self._said(course.last_dose))}."
        if len(course.sources) > 1:
            days, start, count = self.catalog.days("course_gap"), self._said(course.first_dose), len(course.sources)
            yield f"{name} from {start}: {count} records less than {days} days apart are taken as one course."


def _in(day: str) -> str:
    return day if day.startswith("between") else f"in {day}"


def _named(drug: Drug) -> Facts:
    return {"class": class_of(drug), "antigens": sorted(antigen.value for antigen in drug.antigens)}


def _result(lab: LabResult | None) -> Facts | None:
    return {"value": str(lab) if lab.is_readable else None, "on": span_of(lab.on)} if lab else None


def _place(event: Facts) -> tuple[object, ...]:
    """Order events by their first possible day; those without one come last."""
    start: Facts = event["start"] or _LAST_OF_ALL
    return (start["earliest"], start["latest"], event["kind"], event["what"], str(event))


def span_of(day: ClinicalDate | None) -> Facts | None:
    """Write the days between which a date lies; None for no date."""
    return {"earliest": day.earliest.isoformat(), "latest": day.latest.isoformat()} if day else None


def _range(days: Days | None) -> Facts | None:
    return {"fewest": days.fewest, "most": days.most} if days else None


def _years(day: ClinicalDate | None) -> str | None:
    if day is None:
        return None
    return " or ".join(str(year) for year in sorted({day.earliest.year, day.latest.year}))


def _age(born: ClinicalDate | None, as_of: date) -> Days | None:
    if born is None:
        return None
    return Days(_whole_years(born.latest, as_of), _whole_years(born.earliest, as_of))


def _whole_years(start: date, end: date) -> int:
    return max(end.year - start.year - ((end.month, end.day) < (start.month, start.day)), 0)


def said(span: Facts | None, as_of: str) -> str:
    """Write a date as it stands in a chart: a day, a month, a year, or the days between which it lies.

    A month or year that is not over was cut off at the day of the history, and is written whole again.
    """
    if span is None:
        return "on an unknown day"
    first, last = date.fromisoformat(span["earliest"]), date.fromisoformat(span["latest"])
    if first == last:
        return first.isoformat()
    next_day = date.fromordinal(min(last.toordinal() + 1, date.max.toordinal()))
    is_over = span["latest"] == as_of
    if first.day == 1 and (first.year, first.month) == (last.year, last.month) and (is_over or next_day.day == 1):
        return first.isoformat()[:7]
    if first.timetuple().tm_yday == 1 and first.year == last.year and (is_over or next_day.year > last.year):
        return first.isoformat()[:4]
    return f"between {first} and {last}"
