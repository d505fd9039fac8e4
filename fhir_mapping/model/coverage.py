"""How completely each part of the chart was read; without this, "none found" is not a fact."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """What was read, Topic by Topic; `complete` and `incomplete` sort the Topics by whether absence is evidence.

    `levels` says the same in words, for records of decisions.
    """

    topics: Mapping[Topic, TopicCoverage]
    complete: frozenset[Topic] = field(init=False, compare=False, repr=False)
    incomplete: frozenset[Topic] = field(init=False, compare=False, repr=False)
    levels: Mapping[str, str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the Topics once: every answer of every rule is held against them."""
        complete = frozenset(topic for topic, read in self.topics.items() if read.level is Level.COMPLETE)
        object.__setattr__(self, "complete", complete)
        object.__setattr__(self, "incomplete", frozenset(self.topics) - complete)
        levels = {topic.value: read.level.value for topic, read in self.topics.items()}
        object.__setattr__(self, "levels", levels)

    def of(self, topic: Topic) -> TopicCoverage:
        """Give the coverage of one Topic."""
        return self.topics[topic]

    def is_complete(self, topic: Topic) -> bool:
        """Whether absence in this Topic is evidence."""
        return topic in self.complete
