"""Which drug to draft against herpes viruses or Pneumocystis, and what in the chart speaks against one."""

from datetime import date
from typing import NamedTuple

from cards.finding import Conclusion, Proposal
from cards.rulebook import Settings
from cards.situation.results import filters_enough, recent
from fhir_mapping.model.dates import Answer
from fhir_mapping.model.history import TreatmentHistory
from fhir_mapping.model.patient import Allergen
from fhir_mapping.model.results import LabTest
from fhir_mapping.model.vocabulary import Topic

ANTIVIRAL_NOTES = frozenset({"allergies_unread", "acyclovir_allergy", "renal_function_unread", "renal_function_low"})
PNEUMOCYSTIS_NOTES = frozenset(
    {
        "allergies_unread",
        "sulfonamide_allergy",
        "trimethoprim_allergy",
        "both_barred",
        "neutropenia",
        "potassium_high",
        "anc_unread",
        "potassium_unread",
        "g6pd_deficiency",
    }
)

_G6PD_DEFICIENCY = "g6pd-deficiency"


class AntiviralNumbers(Settings):
    """How old an eGFR may be on which a dose rests, and how good it has to be."""

    egfr_lookback_days: int
    egfr_minimum_for_dose: int


class PneumocystisNumbers(Settings):
    """What speaks against sulfamethoxazole-trimethoprim and dapsone; ANC in 10*9/L."""

    anc_lookback_days: int
    anc_minimum: float
    potassium_lookback_days: int
    potassium_maximum: float
    g6pd_minimum: float


class Choice(NamedTuple):
    """What to draft, if anything, and what to say about it."""

    notes: tuple[str, ...]
    template: str = ""
    recommended: bool = False
    with_dose: bool = False


def choose_antiviral(history: TreatmentHistory, settings: AntiviralNumbers) -> Choice:
    """Offer acyclovir where allergies were read and none speaks against it; a dose only with good renal function."""
    if not allergies_are_known(history):
        return Choice(("allergies_unread",))
    if history.is_allergic_to(Allergen.ACYCLOVIR):
        return Choice(("acyclovir_allergy",))
    match filters_enough(history, settings.egfr_minimum_for_dose, settings.egfr_lookback_days):
        case Answer.UNKNOWN:
            return Choice(("renal_function_unread",), "antiviral")
        case Answer.NO:
            return Choice(("renal_function_low",), "antiviral", recommended=True)
        case Answer.YES:
            return Choice((), "antiviral", recommended=True, with_dose=True)


def choose_pneumocystis_drug(history: TreatmentHistory, settings: PneumocystisNumbers) -> Choice:
    """Offer sulfamethoxazole-trimethoprim, or atovaquone where something on record speaks against it.

    Dapsone is never drafted; a G6PD deficiency rules it out, and calls for a second look at the sulfonamide.
    """
    deficient = ("g6pd_deficiency",) if _lacks_g6pd(history, settings.g6pd_minimum) else ()
    if not allergies_are_known(history):
        return Choice(("allergies_unread", *deficient))
    barred, unread = _against_first_choice(history, settings)
    if barred and history.is_allergic_to(Allergen.ATOVAQUONE):
        return Choice(("both_barred", *deficient))
    if barred:
        return Choice((barred, *deficient), "pjp-alternative", recommended=True)
    return Choice((*unread, *deficient), "pjp-first-choice", recommended=not (unread or deficient))


def _against_first_choice(history: TreatmentHistory, settings: PneumocystisNumbers) -> tuple[str, tuple[str, ...]]:
    """Say what bars sulfamethoxazole-trimethoprim, "" for nothing, and what is not known of it."""
    anc = recent(history, LabTest.ANC, settings.anc_lookback_days)
    potassium = recent(history, LabTest.POTASSIUM, settings.potassium_lookback_days)
    barred = ""
    if history.is_allergic_to(Allergen.SULFONAMIDE):
        barred = "sulfonamide_allergy"
    elif history.is_allergic_to(Allergen.TRIMETHOPRIM):
        barred = "trimethoprim_allergy"
    elif anc is not None and anc.at_least(settings.anc_minimum) is not Answer.YES:
        barred = "neutropenia"
    elif potassium is not None and potassium.at_most(settings.potassium_maximum) is not Answer.YES:
        barred = "potassium_high"
    unread = (("anc_unread",) if anc is None else ()) + (("potassium_unread",) if potassium is None else ())
    return barred, unread


def _lacks_g6pd(history: TreatmentHistory, minimum: float) -> bool:
    """Whether a deficiency is on record, be it only suspected, or an activity that is not clearly high enough.

    It is inborn, so the day of a result does not matter; of results without a day, no value is known.
    """
    activity = history.latest_lab(LabTest.G6PD)
    if activity is not None and (activity.is_readable or activity.on is None):
        is_low = activity.at_least(minimum) is not Answer.YES
    else:
        is_low = False
    return is_low or any(problem.concept == _G6PD_DEFICIENCY for problem in history.problems)


def allergies_are_known(history: TreatmentHistory) -> bool:
    """Whether the list of allergies was read, and each of its entries says what it is about."""
    return history.coverage.is_complete(Topic.ALLERGIES) and not history.is_allergic_to(Allergen.UNKNOWN)


def with_choices(answer: Conclusion, choices: list[Choice], start: date | None, end: date | None) -> Conclusion:
    """Add drafts, with the days that bound their doses, and what is to be said of them."""
    notes = dict.fromkeys(note for choice in choices for note in choice.notes)
    proposals = tuple(
        Proposal(choice.template, choice.recommended, choice.with_dose, start, end)
        for choice in choices
        if choice.template
    )
    return answer._replace(notes=(*answer.notes, *notes), proposals=proposals)
