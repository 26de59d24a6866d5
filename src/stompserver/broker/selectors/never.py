"""Whether a selector can match any message: what is known of the fields of a message before there is one.

JMS lets many a comparison pass that is never true, such as JMSDeliveryMode = 2, and whoever wrote it waits for ever.
"""

from __future__ import annotations

from typing import Final

from stompserver.broker.message import HIGHEST
from stompserver.broker.selectors.condition import (
    AT_LEAST,
    AT_MOST,
    EQUAL,
    GREATER,
    LESS,
    UNEQUAL,
    And,
    Between,
    Compared,
    In,
    IsNull,
    Like,
    Limited,
    Not,
    Or,
    SameText,
    SameTruth,
)
from stompserver.broker.selectors.node import (
    COUNT,
    DURABLE,
    EXPIRES,
    GROUP,
    ID,
    MODE,
    NOTHING,
    PRIORITY,
    REDELIVERED,
    SIZE,
    Address,
    Constant,
    Field,
    Identity,
    Moment,
    Node,
)
from stompserver.broker.selectors.number import Number

_TRUE: Final = 1
_FALSE: Final = 2
_UNKNOWN: Final = 4
_ANY: Final = 7

_SWAPPED: Final = {
    EQUAL: EQUAL,
    UNEQUAL: UNEQUAL,
    LESS: GREATER,
    AT_MOST: AT_LEAST,
    GREATER: LESS,
    AT_LEAST: AT_MOST,
}

_TEXTS: Final[dict[int, tuple[str, str]]] = {
    MODE: ("PERSISTENT", "NON_PERSISTENT"),
    DURABLE: ("DURABLE", "NON_DURABLE"),
}
_LEAST: Final[dict[int, int]] = {PRIORITY: 0, COUNT: 1, EXPIRES: 0, SIZE: 0}

_WHAT: Final[dict[int, str]] = {
    MODE: "JMSDeliveryMode is 'PERSISTENT' or 'NON_PERSISTENT'",
    DURABLE: "AMQDurable is 'DURABLE' or 'NON_DURABLE'",
    PRIORITY: f"JMSPriority is a whole number from 0 to {HIGHEST}",
    COUNT: "JMSXDeliveryCount is a whole number from 1",
    EXPIRES: "JMSExpiration is a whole number from 0, which is never",
    SIZE: "AMQSize is a whole number from 0",
}


def never(condition: Node) -> str:
    """Why no message can be as ``condition`` says; "" where one can, or it is not known."""
    search = _Search()
    if search.results(condition, _TRUE) & _TRUE:
        return ""
    return search.reason or "it is false or unknown whatever the message is"


class _Search:
    """Which of true, false and unknown (a sum of these) a condition can be; ``reason`` is the first of its parts that
    cannot be as it is wanted.
    """

    __slots__ = ("reason",)

    def __init__(self) -> None:
        self.reason = ""

    def results(self, node: Node, wanted: int) -> int:
        """What ``node`` can be, as far as is known, of which ``wanted`` (TRUE or FALSE) would help."""
        if isinstance(node, And):
            return self._all(node.terms, wanted)
        if isinstance(node, Or):
            return _opposite(self._all(node.terms, wanted, True))
        if isinstance(node, Not):
            return _opposite(self.results(node.operand, _TRUE + _FALSE - wanted))
        if isinstance(node, SameTruth):
            return self._same(node)
        found = _leaf(node)
        if not found & wanted and not self.reason:
            self.reason = _said(node)
        return found

    def _all(self, terms: list[Node], wanted: int, negated: bool = False) -> int:
        """What AND of ``terms`` can be, or of their opposites."""
        every: int = _TRUE
        some: int = 0
        for term in terms:
            found = self.results(term, wanted)
            if negated:
                found = _opposite(found)
            every &= found
            some |= found
        return every | (some & (_FALSE | _UNKNOWN))

    def _same(self, node: SameTruth) -> int:
        left = self.results(node.left, _TRUE)
        right = self.results(node.right, _TRUE)
        found: int = (left | right) & _UNKNOWN
        if left & right & (_TRUE | _FALSE):
            found |= _TRUE
        if left & _opposite(right) & (_TRUE | _FALSE):
            found |= _FALSE
        return _opposite(found) if node.negated else found


def _opposite(found: int) -> int:
    return (found & _UNKNOWN) | (_FALSE if found & _TRUE else 0) | (_TRUE if found & _FALSE else 0)


def _either(can: bool, cannot: bool) -> int:
    return (_TRUE if can else 0) | (_FALSE if cannot else 0)


def _leaf(node: Node) -> int:
    """What a condition can be that has no conditions in it."""
    if isinstance(node, Constant):
        return _UNKNOWN if node.literal is None else _TRUE if node.literal is True else _FALSE
    if isinstance(node, SameText):
        found = _texts(node.operand, node.text)
        return _opposite(found) if node.negated else found
    if isinstance(node, Like):
        return _like(node)
    if isinstance(node, In):
        return _within(node)
    if isinstance(node, IsNull):
        return _FALSE if _always(node.operand) else _ANY
    if isinstance(node, Limited):
        return _limited(node.operator, node.operand, node.limit)
    if isinstance(node, Compared):
        if node.left.constant:
            limit = node.left.number(NOTHING)
            if limit is not None:
                return _limited(_SWAPPED[node.operator], node.right, limit)
        return _UNKNOWN if _wordy(node.left) or _wordy(node.right) else _ANY
    if isinstance(node, Between):
        return _between(node)
    if isinstance(node, Field) and node.field == REDELIVERED:
        return _TRUE | _FALSE
    # Neither of them says true or false.
    return _UNKNOWN if _wordy(node) or isinstance(node, Identity) else _ANY


def _wordy(node: Node) -> bool:
    """Whether it is one of two words, and so no number."""
    return isinstance(node, Field) and node.field in _TEXTS


def _always(node: Node) -> bool:
    """Whether it has a value in each message."""
    if isinstance(node, Address):
        return _always(node.named)
    return isinstance(node, (Identity, Moment)) or (isinstance(node, Field) and node.field != GROUP)


def _texts(operand: Node, text: str) -> int:
    """Whether ``operand`` can be ``text``."""
    if isinstance(operand, Field) and operand.field in _TEXTS:
        return _either(text in _TEXTS[operand.field], True)
    if isinstance(operand, Identity) and not _is_id(text):
        return _FALSE
    return _ANY


def _is_id(text: str) -> bool:
    number = text.removeprefix(ID)
    return text.startswith(ID) and number.isascii() and number.isdigit()


def _like(node: Like) -> int:
    operand = node.operand
    if isinstance(operand, Field) and operand.field in _TEXTS:
        matched = [node.pattern.matches(text) for text in _TEXTS[operand.field]]
        return _either(any(matched), not all(matched))
    if isinstance(operand, Identity):
        begin = node.pattern.first.literal or ""
        number = begin[len(ID) :]
        if not ID.startswith(begin[: len(ID)]) or (number and not (number.isascii() and number.isdigit())):
            return _FALSE
    return _ANY


def _within(node: In) -> int:
    operand = node.operand
    if isinstance(operand, Identity):
        return _either(any(_is_id(text) for text in node.texts), True)
    if not isinstance(operand, Field):
        return _ANY
    if operand.field in _TEXTS:
        found = 0
        for text in _TEXTS[operand.field]:
            found |= _TRUE if text in node.texts else _UNKNOWN if node.numbers else _FALSE
        return found
    if operand.field in _LEAST:
        return _either(any(_limited(EQUAL, operand, number) & _TRUE for number in node.numbers), True)
    return _ANY


def _limited(operator: int, operand: Node, limit: Number) -> int:
    """What a comparison of ``operand`` with ``limit`` can be."""
    if _wordy(operand):
        return _UNKNOWN
    if not isinstance(operand, Field) or operand.field not in _LEAST:
        return _ANY
    low: int = _LEAST[operand.field]
    top = operand.field == PRIORITY
    if operator in (EQUAL, UNEQUAL):
        equal = _either(limit == limit // 1 and low <= limit and not (top and limit > HIGHEST), True)
        return equal if operator == EQUAL else _opposite(equal)
    if operator == LESS:
        return _either(low < limit, not (top and limit > HIGHEST))
    if operator == AT_MOST:
        return _either(low <= limit, not (top and limit >= HIGHEST))
    if operator == GREATER:
        return _either(not (top and limit >= HIGHEST), low <= limit)
    return _either(not (top and limit > HIGHEST), low < limit)


def _between(node: Between) -> int:
    if _wordy(node.operand):
        return _UNKNOWN
    low = node.low.number(NOTHING) if node.low.constant else None
    high = node.high.number(NOTHING) if node.high.constant else None
    if low is None or high is None:
        return _ANY
    can = low <= high
    can = can and _limited(AT_LEAST, node.operand, low) & _limited(AT_MOST, node.operand, high) & _TRUE != 0
    return _either(can, True) | _UNKNOWN


def _said(node: Node) -> str:
    """What is known of what ``node`` compares, in words; "" for nothing."""
    operand: Node = node
    if isinstance(node, (SameText, Like, In, IsNull, Limited, Between)):
        operand = node.operand
    elif isinstance(node, Compared):
        operand = node.right if node.left.constant else node.left
    if isinstance(operand, Identity):
        return "JMSMessageID is ID: and a number"
    what = _WHAT.get(operand.field, "") if isinstance(operand, Field) else ""
    if isinstance(node, IsNull):
        return what or "what is asked for is never NULL"
    return what
