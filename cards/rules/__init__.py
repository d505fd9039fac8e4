"""The rule families; importing this package registers every rule."""

from cards.rules import (
    antigen_switch,
    conventional,
    eligibility,
    interaction,
    prophylaxis,
    relapse,
    sequencing,
    supportive,
    washout,
)

__all__ = [
    "antigen_switch",
    "conventional",
    "eligibility",
    "interaction",
    "prophylaxis",
    "relapse",
    "sequencing",
    "supportive",
    "washout",
]
