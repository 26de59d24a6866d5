"""What is known about an option, and the models whose fields are options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Option:
    """What is known about an option besides its type, default and bounds.

    ``parse`` makes a value of a text (``ValueError`` says why not); ``reload`` tells whether SIGHUP may
    change it; ``original`` marks the flags of stompserver 0.9.9, which win when an abbreviation is ambiguous;
    ``alone`` is the value that its flag means without one.
    """

    group: str
    help: str
    parse: Callable[[object], Any]
    metavar: str = "N"
    unit: str = ""
    short: str = ""
    flag: str = ""
    reload: bool = True
    original: bool = False
    alone: str = ""


class Table(BaseModel):
    """A model whose fields are annotated with their Option and take what was written as text."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _parse(cls, value: object, info: ValidationInfo) -> object:
        assert info.field_name is not None
        option = option_of(cls.model_fields[info.field_name])
        return option.parse(value) if option else value


def option_of(field: FieldInfo) -> Option | None:
    """The Option of a field; None for what is not written as one value."""
    return next((each for each in field.metadata if isinstance(each, Option)), None)


def folded(name: str) -> str:
    """A name with the differences that do not count taken away: Ruby's colon, ``_`` for ``-``, capitals."""
    return name.removeprefix(":").replace("_", "-").lower()


def attribute_of(key: str) -> str:
    """The attribute of a model for a canonical key."""
    return key.replace("-", "_")


def fields_of(model: type[Table]) -> dict[str, tuple[FieldInfo, Option]]:
    """The options of a model by canonical key (dashes)."""
    return {
        name.replace("_", "-"): (field, option)
        for name, field in model.model_fields.items()
        if (option := option_of(field))
    }
