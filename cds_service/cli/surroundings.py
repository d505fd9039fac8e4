"""What stands around the treatment: problems, plans, vaccines, trials, and by what drugs were recognised.

As in `timeline`, the facts are what `--json` prints, and the text is written from them alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from cds_service.cli.timeline import Facts, plain, said, span_of
from fhir_mapping.model.care import PlannedCare
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.vocabulary import Certainty

_MOST_UNKNOWN = 12  # names of drugs that are shown; the rest is counted
_ACTIVE = {"yes": "active", "no": "over", "unknown": "not said whether active"}
_ON_STUDY = {"yes": "on study", "no": "not on study", "unknown": "not said whether on study"}


def surrounding_facts(history: TreatmentHistory) -> Facts:
    """Give the facts around the treatment."""
    return {
        "problems": [
            {
                "problem": problem.concept,
                "active": problem.active.value,
                "certainty": problem.certainty.value,
                "since": span_of(problem.onset or problem.recorded),
            }
            for problem in history.problems
        ],
        "plans": [_plan(plan) for plan in history.plans],
        "refusals": [{"reason": plain(refusal.reason), "on": span_of(refusal.on)} for refusal in history.refusals],
        "trials": [{"study": plain(trial.study), "on_study": trial.on_study.value} for trial in history.trials],
        "vaccinations": [{"vaccine": v.vaccine, "on": span_of(v.on)} for v in history.vaccinations],
        "eye_examinations": [span_of(examination.on) for examination in history.eye_examinations],
        "education": [span_of(education.on) for education in history.education],
        "documented_lines": [{"number": d.number, "on": span_of(d.on)} for d in history.documented_lines],
        "recognised_by": dict(Counter(recognition.how for recognition in history.recognised).most_common()),
        "other_drugs": dict(Counter(_name(drug.text, drug.codes) for drug in history.unmapped).most_common()),
    }


def _plan(plan: PlannedCare) -> Facts:
    return {
        "what": plan.kind.value,
        "state": plan.state.value,
        "product": plan.product.name if plan.product else None,
        "tests": sorted(plan.tests),
        "planned": span_of(plan.planned),
        "requested": span_of(plan.requested),
        "record": plan.source.resource_type,
    }


def _name(text: str, codes: Iterable[str]) -> str:
    return plain(text) or plain(next(iter(codes), "")) or "no name given"


def surrounding_texts(facts: Facts) -> Iterator[tuple[str, list[str]]]:
    """Write the sections, each with its heading; an empty one is left out by whoever prints it."""
    as_of = facts["as_of"]
    yield "Other problems that rules ask about", list(_problems(facts, as_of))
    yield "Vaccines", list(_vaccines(facts, as_of))
    yield "Planned, declined, and trials", list(_plans(facts, as_of))
    yield "Examinations and education", list(_seen(facts, as_of))


def recognition_texts(facts: Facts) -> Iterator[tuple[str, list[str]]]:
    """Write by what drugs were recognised, and which are not known: for those who keep the tables."""
    yield "Drugs were recognised by", [f"{how}: {count}" for how, count in facts["recognised_by"].items()]
    unknown = [f"{name}: {count}" for name, count in facts["other_drugs"].items()]
    more = len(unknown) - _MOST_UNKNOWN
    unknown = unknown[:_MOST_UNKNOWN] + ([f"and {more} more"] if more > 0 else [])
    yield "Other drugs, not known to be treatment of myeloma", unknown


def _problems(facts: Facts, as_of: str) -> Iterator[str]:
    for problem in facts["problems"]:
        possible = "possible " if problem["certainty"] == Certainty.POSSIBLE.value else ""
        since = f", recorded {said(problem['since'], as_of)}" if problem["since"] else ""
        yield f"{possible}{_words(problem['problem'])}: {_ACTIVE[problem['active']]}{since}"


def _vaccines(facts: Facts, as_of: str) -> Iterator[str]:
    """Write one entry for each vaccine, with the day of the last dose."""
    for vaccine in sorted({given["vaccine"] for given in facts["vaccinations"]}):
        doses = [given["on"] for given in facts["vaccinations"] if given["vaccine"] == vaccine]
        last = max((on for on in doses if on), key=lambda on: (on["latest"], on["earliest"]), default=None)
        count = f" ({len(doses)} on record)" if len(doses) > 1 else ""
        yield f"{_words(vaccine)}, {'last ' if len(doses) > 1 else ''}{said(last, as_of)}{count}"


def _plans(facts: Facts, as_of: str) -> Iterator[str]:
    for plan in facts["plans"]:
        what = f"{plan['product']}, {plan['what']}" if plan["product"] else plan["what"]
        tests = f" ({', '.join(map(_words, plan['tests']))})" if plan["tests"] else ""
        day = f", planned {said(plan['planned'], as_of)}" if plan["planned"] else ""
        asked = f", requested {said(plan['requested'], as_of)}" if plan["requested"] else ""
        yield f"{what}{tests}: {plan['state']}{day}{asked} ({plan['record']})"
    for refusal in facts["refusals"]:
        on = f", {said(refusal['on'], as_of)}" if refusal["on"] else ""
        yield f"declined or not suitable: {refusal['reason']}{on}"
    for trial in facts["trials"]:
        yield f"trial {trial['study'] or 'without a name'}: {_ON_STUDY[trial['on_study']]}"
    for line in facts["documented_lines"]:
        on = f", {said(line['on'], as_of)}" if line["on"] else ""
        yield f"documented as line {line['number']}{on}"


def _seen(facts: Facts, as_of: str) -> Iterator[str]:
    for what, days in (("eye examination", facts["eye_examinations"]), ("education", facts["education"])):
        yield from (f"{what} {said(day, as_of)}" for day in days)


def _words(concept: str) -> str:
    """Write a concept of the catalogue as words."""
    return concept.removeprefix("vaccine-").replace("-", " ")
