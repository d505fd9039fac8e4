"""How completely each part of the chart was read; without this, "none found" is not a fact."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from fhir_mapping.model.vocabulary import Topic


class Level(StrEnum):
    """How much of a Topic was read."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class TopicCoverage:
    """What was read of one Topic: `unread` names the searches that failed or were cut short."""

    level: Level
    unread: tuple[str, ...] = ()
    lists_are_empty: bool = False  # every medication list was read and none holds an entry


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was read, Topic by Topic."""

    topics: Mapping[Topic, TopicCoverage]

    def of(self, topic: Topic) -> TopicCoverage:
        """Give the coverage of one Topic."""
        return self.topics[topic]

    def is_complete(self, topic: Topic) -> bool:
        """Whether absence in this Topic is evidence."""
        return self.topics[topic].level is Level.COMPLETE
