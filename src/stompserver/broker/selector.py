"""Which messages a subscription wants: the conditions on headers of JMS, as ActiveMQ and Artemis take them."""

from __future__ import annotations

from typing import Final

from stompserver.broker.message import Message
from stompserver.broker.selector_node import BOOLEAN, TRUE, Constant, Node
from stompserver.broker.selector_parser import parse
from stompserver.broker.selector_tokens import fault
from stompserver.errors import ProtocolError

LONGEST: Final = 65536
"""Characters of a selector: as many as all headers of a frame have by default."""

_PREFIXES: Final = ("convert_string_expressions:", "hyphenated_props:")
_OPPOSITE: Final = "no_convert_string_expressions:"


class Selector:
    """A compiled selector; ``text`` is its source."""

    __slots__ = ("condition", "text")

    def __init__(self, text: str, condition: Node) -> None:
        self.text: str = text
        self.condition: Node = condition

    def matches(self, message: Message) -> bool:
        """Whether it is true of the message; neither false nor unknown."""
        return self.condition.truth(message) == TRUE


def compile_selector(text: str) -> Selector:
    """Parse once what is matched often. Raises ProtocolError, which tells the place and what was expected there.

    Nothing but blanks and prefixes matches every message, as in JMS.
    """
    if len(text) > LONGEST:
        raise ProtocolError(
            f"The selector is longer than {LONGEST} characters",
            where=f"header selector, {len(text)} characters",
            rule="What a selector costs is limited",
            mend="Use IN for a long list of values, or more than one subscription.",
        )
    at = 0
    while True:
        while text[at : at + 1] in (" ", "\t", "\n", "\r", "\f"):
            at += 1
        start = at
        for prefix in _PREFIXES:
            if text.startswith(prefix, at):
                at += len(prefix)
        if at == start:
            break
    if text.startswith(_OPPOSITE, at):
        raise fault(
            text,
            at,
            "headers of STOMP are text, and cannot be compared with numbers without conversion",
            f"Take out {_OPPOSITE} and put numbers that are to be compared as text in quotes.",
        )
    if at == len(text):
        return Selector(text, Constant(BOOLEAN, True))
    return Selector(text, parse(text, at))
