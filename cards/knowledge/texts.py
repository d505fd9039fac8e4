"""The shapes of the knowledge files: what a rule, a source and a draft order look like in TOML."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from cards.finding import Hook
from cards.knowledge.blocks import Block

Indicator = Literal["info", "warning", "critical"]
Kind = Literal[
    "guideline",
    "label",
    "trial",
    "retrospective",
    "expert-opinion",
    "news",
    "regulator",
    "reference",
    "ours",
]


class Source(Block):
    """Where a number or a statement comes from."""

    key: str
    label: str = Field(min_length=1, max_length=80)
    kind: Kind
    url: str | None = Field(default=None, pattern=r"^https://")
    date: str | None = None
    says: str
    limits: str | None = None


class Setting(Block):
    """One number with its source, its words, and the room that a site has; or the number of another rule.

    A site may choose freely from `least` to `most`; `weaker` is the direction in which the rule warns less. Where both
    bounds are the number itself, no site may change it. The loader puts in what `same_as` leads to.
    """

    value: Any = None
    source: str = ""
    label: str = ""
    unit: str = ""
    least: int | float | None = Field(default=None, ge=0, allow_inf_nan=False)
    most: int | float | None = Field(default=None, ge=0, allow_inf_nan=False)
    weaker: Literal["lower", "higher"] | None = None
    note: str = ""
    same_as: str | None = Field(default=None, pattern=r"^R\d\d[A-Z]?\.[a-z][a-z0-9_]*$")

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> "Setting":
        given = self.model_fields_set
        if given != {"same_as"} and ("same_as" in given or not given >= {"value", "source"}):
            raise ValueError("needs a value and its source, or same_as and nothing else")
        return self


class CardText(Block):
    """The wording of one variant of a card; `short` is what a bundle says of it beside others.

    `source` is the card's source line, where another one than the rule's first says this best.
    """

    indicator: Indicator
    summary: str
    why: tuple[str, ...] = Field(min_length=1)
    short: str = ""
    source: str = ""


class EvidenceLine(Block):
    """What one source says."""

    source: str
    says: str


class Advice(Block):
    """The options a card offers in words."""

    options: tuple[str, ...] = Field(min_length=1)


class AlwaysProposed(Block):
    """A draft order that a rule offers whatever it found."""

    template: str


class Review(Block):
    """A clinician's sign-off."""

    by: str = Field(min_length=1)
    on: Any

    @field_validator("on")
    @classmethod
    def _is_a_date(cls, value: Any) -> Any:
        if type(value).__name__ != "date":
            raise ValueError("must be a TOML date")
        return value


class RuleText(Block):
    """Everything about a rule that is not logic; `repeats_after` replaces `[repeats] days` for its card."""

    id: str = Field(pattern=r"^R\d\d[A-Z]?$")
    slug: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    when: str
    then: str
    if_unknown: str
    shipped: Literal["live", "off"]
    unknown_shown: bool | tuple[str, ...]
    hooks: tuple[Hook, ...] = Field(min_length=1)
    strength: str
    certainty: str
    sources: tuple[str, ...] = Field(min_length=1)
    override_reasons: tuple[str, ...]
    rank: int
    absorbs: tuple[str, ...] = ()
    suppresses: tuple[str, ...] = ()
    companion_of: tuple[str, ...] = ()
    repeats_after: Setting | None = None
    reviewed: Review | None = None
    settings: dict[str, Setting] = Field(default_factory=dict)
    cards: dict[str, CardText] = Field(default_factory=dict)
    evidence: tuple[EvidenceLine, ...] = ()
    advice: Advice | None = None
    proposals: tuple[AlwaysProposed, ...] = ()
    notes: dict[str, str] = Field(default_factory=dict)
    missing: dict[str, str] = Field(default_factory=dict)

    def source_of(self, variant: str) -> str:
        """Give the key of the source that a card names first."""
        return self.cards[variant].source or self.sources[0]

    def shows_unknown(self, keys: Iterable[str]) -> bool:
        """Whether "cannot tell" is said aloud when these facts are missing."""
        if isinstance(self.unknown_shown, bool):
            return self.unknown_shown
        return not frozenset(self.unknown_shown).isdisjoint(keys)

    @property
    def wordings(self) -> tuple[str, ...]:
        """All sentences that may hold placeholders for facts."""
        cards = (line for card in self.cards.values() for line in (card.summary, card.short, *card.why))
        options = self.advice.options if self.advice else ()
        return (*cards, *options, *self.notes.values())


class Gates(Block):
    """Numbers of the gates."""

    adult_years: Setting


class GapSummaryText(Block):
    """What the summary of the data-gap card may say, in full and in short; the shorts fit into one summary together.

    From `titles` to `counted`, the first that is true and fits speaks of the rules that were not decided.
    """

    other_patient: str
    other_patient_short: str
    titles: str
    shared: str
    unread_too: str
    titles_more: str
    counted: str
    gate: str
    gate_short: str
    unread: str
    unread_short: str
    empty: str
    unrecognised: str
    unrecognised_short: str


class DataGapText(Block):
    """The wording of the card that says what could not be checked."""

    id: str
    slug: str
    indicator: Indicator
    undecided: str
    missing_for_one: str
    missing_for_several: str
    every_rule: str
    unnamed: str
    incomplete: str
    not_read: str
    empty: str
    needed_for: str
    resting: str
    unrecognised: str
    nameless: str
    draft_order: str
    other_patient: str
    closing: str
    summary: GapSummaryText
    missing: dict[str, str]
    searches: dict[str, str]


class DetailText(Block):
    """The headings of a card's detail."""

    why: str
    evidence: str
    options: str
    note: str
    records: str
    numbers: str
    unreviewed: str
    reviewed: str


class NumberText(Block):
    """How the lines are worded that say where a number comes from."""

    shipped: str
    noted: str
    ours: str
    own: str
    accepted: str
    lower: str
    higher: str


class CapText(Block):
    """How many cards are shown, and how what does not fit is worded."""

    other_cards: Setting
    several_critical: str
    more: str


class BundleText(Block):
    """Rules of which the findings of one call share a card that has a name of its own.

    `summary` says the `short` of each finding, `longer` as many as there is room for.
    """

    id: str = Field(pattern=r"^B\d\d$")
    slug: str = Field(pattern=r"^[a-z0-9-]+$")
    rules: tuple[str, ...] = Field(min_length=1)
    summary: str
    longer: str


class RepeatText(Block):
    """For how long a card is not shown again to a user who has overridden it."""

    days: Setting


class Overriding(Block):
    """The reasons that a user may give for overriding a card."""

    system: str
    reasons: dict[str, str]


class Presentation(Block):
    """How results become cards."""

    gates: Gates
    data_gap: DataGapText
    detail: DetailText
    numbers: NumberText
    cap: CapText
    bundles: tuple[BundleText, ...]
    repeats: RepeatText
    override: Overriding


# What stands in a draft order of each kind, and what may stand there besides
_ORDER_MEMBERS = {
    "drug": ({"intent", "display", "code"}, {"dose_text", "dose_source"}),
    "service": ({"intent", "display"}, {"code", "code_system", "category_text"}),
    "communication": ({"display"}, {"category_text"}),
    "reschedule": (set[str](), set[str]()),
}


class OrderText(Block):
    """One draft order to offer, or how the move of one to another day is worded ("reschedule").

    `dose_text` needs its source and the rule's word that its inputs were read. `display` is the name of the drug or
    service, or what a communication says.
    """

    kind: Literal["drug", "service", "communication", "reschedule"]
    label: str = Field(min_length=1)
    description: str = Field(min_length=1)
    intent: Literal["order", "proposal"] | None = None
    display: str = ""
    code_system: str | None = None
    code: str | None = None
    category_text: str | None = None
    dose_text: str | None = None
    dose_source: str | None = None

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> "OrderText":
        needed, allowed = _ORDER_MEMBERS[self.kind]
        said = self.model_fields_set - {"kind", "label", "description"}
        faults = [f"{name} is missing" for name in sorted(needed - said)]
        faults += [f"a {self.kind} has no {name}" for name in sorted(said - needed - allowed)]
        if self.kind == "service" and (self.code is None) is not (self.code_system is None):
            faults.append("code and code_system go together")
        if faults:
            raise ValueError("; ".join(faults))
        return self
