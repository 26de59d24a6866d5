"""What single logins may have and send: ``users:`` of the file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.fields import FieldInfo

from stompserver.config import values
from stompserver.config.option import Option, Table, fields_of, folded

USER = "Users"


class UserOptions(Table):
    """Limits of one login. None: as the option of the server says; 0: any number."""

    # fmt: off
    max_connections: Annotated[int | None, Option(
        USER, "Connections at once, as max-connections-per-user",
        values.optional(values.whole_number))] = Field(None, ge=0)
    max_subscriptions: Annotated[int | None, Option(
        USER, "Subscriptions at once, on all connections together, as max-subscriptions-per-user",
        values.optional(values.whole_number))] = Field(None, ge=0)
    max_message_rate: Annotated[float | None, Option(
        USER, "Messages that it may send a second, as max-message-rate",
        values.optional(values.number), unit="messages a second")] = Field(None, ge=0)
    max_byte_rate: Annotated[int | None, Option(
        USER, "Bytes that it may send a second, as max-byte-rate",
        values.optional(values.size), "SIZE", "bytes a second")] = Field(None, ge=0)
    # fmt: on


USER_FIELDS: dict[str, tuple[FieldInfo, Option]] = fields_of(UserOptions)

UserEntries = tuple[tuple[str, UserOptions], ...]


def user_key(name: str) -> str:
    """The canonical key of any spelling, or ""."""
    key = folded(name)
    return key if key in USER_FIELDS else ""
