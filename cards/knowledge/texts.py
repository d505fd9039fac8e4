"""The shapes of the knowledge files: what a rule, a source and a draft order look like in TOML."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cards.finding import Hook

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


class _Text(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Text):
    """Where a number or a statement comes from."""

    key: str
    label: str = Field(min_length=1, max_length=80)
    kind: Kind
    url: str | None = Field(default=None, pattern=r"^https://")
    date: str | None = None
    says: str
    limits: str | None = None


class Setting(_Text):
    """One number with its source."""

    value: Any
    source: str
    note: str = ""


class CardText(_Text):
    """The wording of one variant of a card."""

    indicator: Indicator
    summary: str
    why: tuple[str, ...] = Field(min_length=1)


class EvidenceLine(_Text):
    """What one source says."""

    source: str
    says: str


class Advice(_Text):
    """The options a card offers in words."""

    options: tuple[str, ...] = Field(min_length=1)


class AlwaysProposed(_Text):
    """A draft order that a rule offers whatever it found."""

    template: str


class Review(_Text):
    """A clinician's sign-off."""

    by: str = Field(min_length=1)
    on: Any

    @field_validator("on")
    @classmethod
    def _is_a_date(cls, value: Any) -> Any:
        if type(value).__name__ != "date":
            raise ValueError("must be a TOML date")
        return value


class RuleText(_Text):
    """Everything about a rule that is not logic."""

    id: str = Field(pattern=r"^R\d\d$")
    slug: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    when: str
    then: str
    if_unknown: str
    shipped: Literal["live", "off"]
    unknown_shown: bool
    hooks: tuple[Hook, ...] = Field(min_length=1)
    strength: str
    certainty: str
    sources: tuple[str, ...] = Field(min_length=1)
    override_reasons: tuple[str, ...]
    rank: int
    absorbs: tuple[str, ...] = ()
    suppresses: tuple[str, ...] = ()
    companion_of: tuple[str, ...] = ()
    reviewed: Review | None = None
    settings: dict[str, Setting] = {}
    cards: dict[str, CardText] = {}
    evidence: tuple[EvidenceLine, ...] = ()
    advice: Advice | None = None
    proposals: tuple[AlwaysProposed, ...] = ()
    notes: dict[str, str] = {}
    missing: dict[str, str] = {}

    @property
    def wordings(self) -> tuple[str, ...]:
        """All sentences that may hold placeholders for facts."""
        cards = (line for card in self.cards.values() for line in (card.summary, *card.why))
        options = self.advice.options if self.advice else ()
        return (*cards, *options, *self.notes.values())


class Gates(_Text):
    """Numbers of the gates."""

    adult_years: Setting


class DataGapText(_Text):
    """The wording of the card that says what could not be checked."""

    id: str
    slug: str
    indicator: Indicator
    summary: str
    summary_unread: str
    summary_long: str
    undecided: str
    every_rule: str
    unread: str
    unrecognised: str
    other_patient: str
    closing: str
    topic_unread: str
    topic_empty: str
    missing: dict[str, str]
    searches: dict[str, str]


class DetailText(_Text):
    """The headings of a card's detail."""

    why: str
    evidence: str
    options: str
    note: str
    records: str
    unreviewed: str
    reviewed: str


class Overriding(_Text):
    """The reasons that a user may give for overriding a card."""

    system: str
    reasons: dict[str, str]


class Presentation(_Text):
    """How results become cards."""

    gates: Gates
    data_gap: DataGapText
    detail: DetailText
    override: Overriding


class OrderText(_Text):
    """One draft order to offer; `dose_text` needs its source and the rule's word that its inputs were read."""

    kind: Literal["drug", "service"]
    label: str
    description: str
    intent: Literal["order", "proposal"]
    display: str
    code: str | None = None
    dose_text: str | None = None
    dose_source: str | None = None
