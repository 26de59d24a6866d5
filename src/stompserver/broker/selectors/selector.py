"""Which messages a subscription wants: the conditions on headers of JMS, as ActiveMQ and Artemis take them."""

from __future__ import annotations

from typing import Final

from stompserver.broker.message import Message
from stompserver.broker.selectors.node import BOOLEAN, TRUE, Constant, Node
from stompserver.broker.selectors.parser import parse
from stompserver.broker.selectors.tokens import fault
from stompserver.errors import ProtocolError, Refused

LONGEST: Final = 65536
"""Characters of a selector: as many as all headers of a frame have by default."""

SHARE: Final = 10
"""One selector may cost one part in SHARE of what all of a connection may."""

_COUNTED: Final = (
    "Each header in a selector counts 2, each sum or product 1, what LIKE looks for between two % counts 15, and 2"
    " for each of its characters"
)

_PREFIXES: Final = ("convert_string_expressions:", "hyphenated_props:")
_OPPOSITE: Final = "no_convert_string_expressions:"


TEXT: Final = 20
"""Bytes of memory that a selector takes for each character of its text (measured: 11 to 19), and TREE more."""

TREE: Final = 500


class Selector:
    """A compiled selector; ``text`` is its source. ``cost`` is what it may take for one message, in microseconds,
    about: 2 for each header in it, 1 for each sum or product, 15 for each run of characters between two % of LIKE
    and 2 more for each of these characters. ``dated`` tells that it asks when messages came.
    """

    __slots__ = ("condition", "cost", "dated", "text")

    def __init__(self, text: str, condition: Node, cost: int = 0, dated: bool = False) -> None:
        self.text: str = text
        self.dated = dated
        self.condition: Node = condition
        self.cost: int = cost

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
            fix="Use IN for a long list of values, or more than one subscription.",
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
    condition, cost, dated = parse(text, at)
    return Selector(text, condition, cost, dated)


def check_cost(selector: Selector, most: int) -> None:
    """Raises Refused for a selector that alone costs more than a tenth of ``most``."""
    if selector.cost > most // SHARE:
        raise Refused(
            "The selector is too costly",
            where=f"header selector, cost {selector.cost}",
            rule=f"This server takes {most // SHARE} for one selector: a {SHARE}th of max-selector-cost. {_COUNTED}",
            fix="Write IN for a list of values, = where all of a value is known, and % at the end of LIKE only; or"
            " ask the administrator to raise that option.",
        )


def too_costly(where: str, cost: int, most: int) -> Refused:
    """What those are told whose selectors together cost more than ``most``."""
    return Refused(
        "The selectors are too costly together",
        where=f"{where}, cost {cost}",
        rule=f"This server takes {most} (max-selector-cost). {_COUNTED}",
        fix="Send to more destinations, so that fewer selectors choose among messages, or ask the administrator to"
        " raise that option.",
    )
