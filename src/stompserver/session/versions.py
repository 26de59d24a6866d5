"""The versions of STOMP as data: what each wants, has and calls things."""

from __future__ import annotations

from typing import Final

from stompserver.wire.headers import TEXT_10, TEXT_10_STRICT, TEXT_11, TEXT_11_STRICT, TEXT_12, Text

BY_MESSAGE_ID: Final = 0
BY_MESSAGE_ID_AND_SUBSCRIPTION: Final = 1
BY_ACK_ID: Final = 2


def pair(message_id: str, subscription_id: str) -> str:
    """The name of a delivery in 1.1; a NUL cannot occur in either part."""
    return message_id + "\0" + subscription_id


Required = dict[str, tuple[str, ...]]


class Version:
    """One version. ``required`` maps commands to the headers they must have; ``settles`` says how ACK and NACK
    name a delivery; ``commands`` are those a connected client may send; ``beats`` tells whether heart-beats
    exist; ``any_case`` whether commands may be written in lower case (the original took them so).
    """

    __slots__ = (
        "any_case",
        "beats",
        "commands",
        "number",
        "required",
        "section",
        "settles",
        "strict_text",
        "text",
    )

    def __init__(
        self,
        number: str,
        text: Text,
        strict_text: Text,
        required: Required,
        settles: int,
        commands: frozenset[str],
        beats: bool,
        any_case: bool,
    ) -> None:
        self.number = number
        self.text = text
        self.strict_text = strict_text
        self.required = required
        self.settles: int = settles
        self.commands = commands
        self.beats = beats
        self.any_case = any_case
        self.section = "STOMP " + number


_COMMANDS_10: Final = frozenset(
    ("SEND", "SUBSCRIBE", "UNSUBSCRIBE", "BEGIN", "COMMIT", "ABORT", "ACK", "DISCONNECT")
)
_TRANSACTION: Final = ("transaction",)

V10: Final = Version(
    "1.0",
    TEXT_10,
    TEXT_10_STRICT,
    {
        "SEND": ("destination",),
        "SUBSCRIBE": ("destination",),
        "BEGIN": _TRANSACTION,
        "COMMIT": _TRANSACTION,
        "ABORT": _TRANSACTION,
        "ACK": ("message-id",),
    },
    BY_MESSAGE_ID,
    _COMMANDS_10,
    False,
    True,
)

V11: Final = Version(
    "1.1",
    TEXT_11,
    TEXT_11_STRICT,
    {
        "SEND": ("destination",),
        "SUBSCRIBE": ("destination", "id"),
        "UNSUBSCRIBE": ("id",),
        "BEGIN": _TRANSACTION,
        "COMMIT": _TRANSACTION,
        "ABORT": _TRANSACTION,
        "ACK": ("message-id", "subscription"),
        "NACK": ("message-id", "subscription"),
    },
    BY_MESSAGE_ID_AND_SUBSCRIPTION,
    _COMMANDS_10 | {"NACK"},
    True,
    False,
)

V12: Final = Version(
    "1.2",
    TEXT_12,
    TEXT_12,
    {
        "SEND": ("destination",),
        "SUBSCRIBE": ("destination", "id"),
        "UNSUBSCRIBE": ("id",),
        "BEGIN": _TRANSACTION,
        "COMMIT": _TRANSACTION,
        "ABORT": _TRANSACTION,
        "ACK": ("id",),
        "NACK": ("id",),
    },
    BY_ACK_ID,
    _COMMANDS_10 | {"NACK"},
    True,
    False,
)

VERSIONS: Final = (V12, V11, V10)
"""The newest first: the highest common one is chosen (Protocol Negotiation)."""

OFFERED: Final = "1.0,1.1,1.2"


def negotiate(accept: str | None, strict: bool = False) -> Version | None:
    """The highest version in an ``accept-version`` header; order and unknown entries do not matter, nor do
    blanks unless ``strict``.

    No header means 1.0 (Protocol Negotiation). None when there is no common version.
    """
    if accept is None:
        return V10
    wanted = {entry if strict else entry.strip() for entry in accept.split(",")}
    for version in VERSIONS:
        if version.number in wanted:
            return version
    return None
