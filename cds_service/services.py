"""The table of CDS services, one per hook; discovery is rendered from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cards.finding import Hook
from cards.knowledge.loader import Knowledge
from fhir_mapping.catalog.loader import Catalog
from fhir_mapping.model.vocabulary import Topic
from fhir_mapping.needs import GATE_TOPICS, Search, searches

_USAGE = (
    "For clinicians who treat multiple myeloma. Needs FHIR R4. Send every prefetch key; what is not sent is "
    "read from fhirServer where that is allowed. What cannot be read is reported as not read, never taken as absent. "
    "order-sign is the hook that safety depends on."
)


@dataclass(frozen=True, slots=True)
class Service:
    """One CDS service; clients key services by id, so each hook has its own."""

    id: str
    hook: Hook
    title: str
    description: str


SERVICES = {
    service.id: service
    for service in (
        Service(
            "mmcds-patient-view",
            Hook.PATIENT_VIEW,
            "Myeloma: what T-cell therapy still needs",
            "When the chart of a patient with multiple myeloma is opened: prophylaxis missing in the year after "
            "CAR T cells, bridging between collection and infusion, referral at a recent relapse.",
        ),
        Service(
            "mmcds-order-select",
            Hook.ORDER_SELECT,
            "Myeloma: sequence and washout of T-cell therapy",
            "When treatment for multiple myeloma is selected: washout before CAR T cells, antigen switch after "
            "progression, sequence and referral, prior lines against the label, missing prophylaxis. Judges the "
            "selected orders; the other drafts are context.",
        ),
        Service(
            "mmcds-order-sign",
            Hook.ORDER_SIGN,
            "Myeloma: sequence, washout and prophylaxis of T-cell therapy",
            "When orders for multiple myeloma are signed: washout before CAR T cells, antigen switch after "
            "progression, prior lines against the label, missing prophylaxis.",
        ),
    )
}


def topics_asked(knowledge: Knowledge) -> frozenset[Topic]:
    """Give the Topics that the rules in force read, and with them whatever is asked of an EHR: nothing else is."""
    read = {topic for hook in Hook for active in knowledge.for_hook(hook) for topic in active.rule.topics}
    return GATE_TOPICS | read


def searches_asked(catalog: Catalog, knowledge: Knowledge) -> dict[str, Search]:
    """Give the searches that every service publishes and makes."""
    return searches(catalog, topics_asked(knowledge))


def discovery(asked: Mapping[str, Search]) -> dict[str, Any]:
    """Describe every service with its prefetch templates."""
    templates = {key: search.query for key, search in asked.items()}
    return {
        "services": [
            {
                "hook": service.hook.value,
                "id": service.id,
                "title": service.title,
                "description": service.description,
                "usageRequirements": _USAGE,
                "prefetch": templates,
            }
            for service in SERVICES.values()
        ]
    }
