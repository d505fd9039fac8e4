"""The rule families; importing this package registers every rule."""

from cards.rules import antigen_switch, prophylaxis, sequencing, washout

__all__ = ["antigen_switch", "prophylaxis", "sequencing", "washout"]
