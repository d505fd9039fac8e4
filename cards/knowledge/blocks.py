"""Blocks of the knowledge files: how one is read, every fault listed, and what each row read off a label bears."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator


class Block(BaseModel):
    """A table of a knowledge file; an unknown key is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelRow(Block):
    """A row read off a label: where, as of which day of the label, when it was read, and who vouches until when."""

    source: str
    label_date: str = Field(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")
    read_on: Any
    expires: Any
    owner: str = Field(min_length=1)

    @field_validator("read_on", "expires")
    @classmethod
    def _is_a_day(cls, value: Any) -> Any:
        if type(value) is not date:
            raise ValueError("must be a TOML date")
        return value

    def faults(self, sources: Mapping[str, object]) -> Iterator[str]:
        """Hold the row against the sources, and its dates against each other."""
        if self.source not in sources:
            yield f"unknown source {self.source}"
        if self.expires <= self.read_on:
            yield "does not expire after it was read"


_Model = TypeVar("_Model", bound=BaseModel)


def read(
    model: type[_Model], block: Any, where: str, faults: list[str], *, under: tuple[str, ...] = ()
) -> _Model | None:
    """Read one block; None where it has faults, listed with where it stands and what keys of it lie `under`."""
    try:
        return model.model_validate(block)
    except ValidationError as error:
        faults += (
            f"{where}: {'.'.join(map(str, (*under, *fault['loc'])))}: {fault['msg']}" for fault in error.errors()
        )
        return None
