"""HL7's computable rules for CDS Hooks bodies as FHIRPath expressions in our own words, by the ids that HL7 gives them.

Each is true of a whole body: a request, an answer or feedback. What a body does not hold, no rule finds fault with.
"""

from collections.abc import Callable, Mapping
from typing import Any

import fhirpathpy

_REQUEST = {
    # An access token is of no use without the server that it is for
    "cds-r-1": "fhirAuthorization.all(%resource.fhirServer.exists())",
    # A token for one patient's data names that patient
    "cds-r-2": "fhirAuthorization.where(scope.contains('patient/')).all(patient.exists())",
    # Selections are references to drafts: a type, a slash, an id
    "ord-1": "context.selections.all($this.matches('^[A-Z][A-Za-z]+/[^/]+$'))",
}
_ACTIONS = "cards.suggestions.actions.combine(systemActions)"
_RESPONSE = {
    # Several suggestions are recommended only where the user may take any of them
    "cds-resp-1": "cards.where(suggestions.where(isRecommended = true).count() > 1).all(selectionBehavior = 'any')",
    # What is deleted is named by its reference, not by a resource
    "cds-resp-2": f"{_ACTIONS}.where(type = 'delete').all(resourceId.exists() and resource.exists().not())",
    # A link passes context on only when it starts an app
    "cds-resp-3": "cards.links.where(appContext.exists()).all(type = 'smart')",
    # A reason can be shown and counted only when it is whole
    "cds-resp-4": "cards.overrideReasons.all(code.exists() and system.exists() and display.exists())",
    # The user has to know what a click does
    "cds-resp-5": "cards.suggestions.actions.all(description.exists())",
    # Where there are suggestions, it is said how many may be taken
    "cds-resp-6": "cards.where(suggestions.exists()).all(selectionBehavior.exists())",
    # Actions of one suggestion are chosen in one of three ways
    "cds-resp-7": "cards.suggestions.actionSelectionBehavior.all($this in ('all' | 'any' | 'at-most-one'))",
}
_FEEDBACK = {
    # A card is accepted or overridden; there is no third
    "cds-fb-1": "feedback.all(outcome.exists() and outcome in ('accepted' | 'overridden'))",
    # Who accepts, accepts some suggestion
    "cds-fb-2": "feedback.where(outcome = 'accepted').all(acceptedSuggestions.id.exists())",
    # A reason for overriding is a code, a comment, or both
    "cds-fb-3": "feedback.overrideReason.all(reason.exists() or userComment.exists())",
}

Rules = Mapping[str, Callable[..., Any]]


def _compiled(expressions: Mapping[str, str]) -> Rules:
    return {key: fhirpathpy.compile(expression) for key, expression in expressions.items()}


REQUEST, RESPONSE, FEEDBACK = _compiled(_REQUEST), _compiled(_RESPONSE), _compiled(_FEEDBACK)


def broken(rules: Rules, body: Mapping[str, Any]) -> list[str]:
    """Name the rules that a body breaks."""
    return [key for key, rule in rules.items() if rule(body, {"resource": body}) != [True]]
