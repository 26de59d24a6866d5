"""The parts of a compiled selector that are TRUE, FALSE or UNKNOWN."""

from __future__ import annotations

from typing import Final

from stompserver.broker.message import Message
from stompserver.broker.selectors.like import SEARCHED, Pattern
from stompserver.broker.selectors.node import BOOLEAN, FALSE, TRUE, UNKNOWN, Constant, Node
from stompserver.broker.selectors.number import Number, parse_number

EQUAL: Final = 0
UNEQUAL: Final = 1
LESS: Final = 2
AT_MOST: Final = 3
GREATER: Final = 4
AT_LEAST: Final = 5


class Condition(Node):
    """A node whose values are truth values."""

    __slots__ = ()

    def __init__(self, constant: bool) -> None:
        super().__init__(BOOLEAN, constant)

    def value(self, message: Message) -> object:
        truth = self.truth(message)
        return None if truth == UNKNOWN else truth == TRUE


class And(Condition):
    """All of ``terms``; FALSE as soon as one is."""

    __slots__ = ("terms",)

    def __init__(self, terms: list[Node]) -> None:
        super().__init__(all(term.constant for term in terms))
        self.terms: list[Node] = terms

    def truth(self, message: Message) -> int:
        result = TRUE
        for term in self.terms:
            truth = term.truth(message)
            if truth == FALSE:
                return FALSE
            if truth == UNKNOWN:
                result = UNKNOWN
        return result


class Or(Condition):
    """One of ``terms``; TRUE as soon as one is."""

    __slots__ = ("terms",)

    def __init__(self, terms: list[Node]) -> None:
        super().__init__(all(term.constant for term in terms))
        self.terms: list[Node] = terms

    def truth(self, message: Message) -> int:
        result = FALSE
        for term in self.terms:
            truth = term.truth(message)
            if truth == TRUE:
                return TRUE
            if truth == UNKNOWN:
                result = UNKNOWN
        return result


class Not(Condition):
    """The opposite; UNKNOWN stays."""

    __slots__ = ("operand",)

    def __init__(self, operand: Node) -> None:
        super().__init__(operand.constant)
        self.operand: Node = operand

    def truth(self, message: Message) -> int:
        truth = self.operand.truth(message)
        return truth if truth == UNKNOWN else TRUE - truth


class IsNull(Condition):
    """Whether there is no value; never UNKNOWN."""

    __slots__ = ("operand",)

    def __init__(self, operand: Node) -> None:
        super().__init__(operand.constant)
        self.operand: Node = operand

    def truth(self, message: Message) -> int:
        return TRUE if self.operand.value(message) is None else FALSE


class Compared(Condition):
    """Two numbers by one of the six operators; UNKNOWN where one side is not a number."""

    __slots__ = ("left", "operator", "right")

    def __init__(self, operator: int, left: Node, right: Node) -> None:
        super().__init__(left.constant and right.constant)
        self.operator: int = operator
        self.left: Node = left
        self.right: Node = right

    def truth(self, message: Message) -> int:
        left = self.left.number(message)
        if left is None:
            return UNKNOWN
        right = self.right.number(message)
        if right is None:
            return UNKNOWN
        return TRUE if holds(self.operator, left, right) else FALSE


class Limited(Condition):
    """A value that is compared with a constant ``limit``, which is most of what selectors do."""

    __slots__ = ("limit", "operand", "operator")

    def __init__(self, operator: int, operand: Node, limit: Number) -> None:
        super().__init__(operand.constant)
        self.operator: int = operator
        self.operand: Node = operand
        self.limit: Number = limit

    def truth(self, message: Message) -> int:
        number = self.operand.number(message)
        if number is None:
            return UNKNOWN
        return TRUE if holds(self.operator, number, self.limit) else FALSE


def holds(operator: int, left: Number, right: Number) -> bool:
    """``left`` compared with ``right``."""
    if operator == GREATER:
        return left > right
    if operator == LESS:
        return left < right
    if operator == EQUAL:
        return left == right
    if operator == UNEQUAL:
        return left != right
    return left <= right if operator == AT_MOST else left >= right


class SameText(Condition):
    """A header that equals a string (or not, where ``negated``), character by character."""

    __slots__ = ("negated", "operand", "text")

    def __init__(self, operand: Node, text: str, negated: bool) -> None:
        super().__init__(operand.constant)
        self.operand: Node = operand
        self.text: str = text
        self.negated: bool = negated

    def truth(self, message: Message) -> int:
        value = self.operand.value(message)
        if value is None:
            return UNKNOWN
        return TRUE if (value == self.text) != self.negated else FALSE


class SameHeader(Condition):
    """Two headers that are equal (or not): as numbers where both are numbers, as text otherwise."""

    __slots__ = ("left", "negated", "right")

    def __init__(self, left: Node, right: Node, negated: bool) -> None:
        super().__init__(False)
        self.left: Node = left
        self.right: Node = right
        self.negated: bool = negated

    def truth(self, message: Message) -> int:
        left = self.left.value(message)
        right = self.right.value(message)
        if not (isinstance(left, str) and isinstance(right, str)):
            return UNKNOWN
        same = left == right
        if not same:
            number = parse_number(left)
            if number is not None:
                other = parse_number(right)
                same = other is not None and number == other
        return TRUE if same != self.negated else FALSE


class SameTruth(Condition):
    """Two conditions that are equal (or not)."""

    __slots__ = ("left", "negated", "right")

    def __init__(self, left: Node, right: Node, negated: bool) -> None:
        super().__init__(left.constant and right.constant)
        self.left: Node = left
        self.right: Node = right
        self.negated: bool = negated

    def truth(self, message: Message) -> int:
        left = self.left.truth(message)
        if left == UNKNOWN:
            return UNKNOWN
        right = self.right.truth(message)
        if right == UNKNOWN:
            return UNKNOWN
        return TRUE if (left == right) != self.negated else FALSE


class Between(Condition):
    """``low`` <= ``operand`` <= ``high``, with the operand evaluated once."""

    __slots__ = ("high", "low", "operand")

    def __init__(self, operand: Node, low: Node, high: Node) -> None:
        super().__init__(operand.constant and low.constant and high.constant)
        self.operand: Node = operand
        self.low: Node = low
        self.high: Node = high

    def truth(self, message: Message) -> int:
        number = self.operand.number(message)
        if number is None:
            return UNKNOWN
        low = self.low.number(message)
        if low is not None and number < low:
            return FALSE
        high = self.high.number(message)
        if high is not None and number > high:
            return FALSE
        return UNKNOWN if low is None or high is None else TRUE


class In(Condition):
    """One of a list: of ``texts`` as text, of ``numbers`` as a number."""

    __slots__ = ("numbers", "operand", "texts")

    def __init__(self, operand: Node, texts: frozenset[str], numbers: frozenset[Number]) -> None:
        super().__init__(operand.constant)
        self.operand: Node = operand
        self.texts: frozenset[str] = texts
        self.numbers: frozenset[Number] = numbers

    def truth(self, message: Message) -> int:
        value = self.operand.value(message)
        if value is None:
            return UNKNOWN
        if isinstance(value, str):
            if value in self.texts:
                return TRUE
            if not self.numbers:
                return FALSE
            value = parse_number(value)
            if value is None:
                return UNKNOWN
        return TRUE if value in self.numbers else FALSE


class Like(Condition):
    """A text that is as a pattern says; UNKNOWN where it is too long to look for something in it."""

    __slots__ = ("operand", "pattern")

    def __init__(self, operand: Node, pattern: Pattern) -> None:
        super().__init__(operand.constant)
        self.operand: Node = operand
        self.pattern: Pattern = pattern

    def truth(self, message: Message) -> int:
        value = self.operand.value(message)
        if not isinstance(value, str) or (len(value) > SEARCHED and self.pattern.middle):
            return UNKNOWN
        return TRUE if self.pattern.matches(value) else FALSE


def unknown() -> Constant:
    """A condition that is never true and never false."""
    return Constant(BOOLEAN, None)
