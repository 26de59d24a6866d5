"""Which comparisons make sense, and which node carries each out."""

from __future__ import annotations

from stompserver.broker.selectors.condition import (
    EQUAL,
    UNEQUAL,
    Between,
    Compared,
    In,
    Like,
    Limited,
    Not,
    SameHeader,
    SameText,
    SameTruth,
    unknown,
)
from stompserver.broker.selectors.like import Pattern
from stompserver.broker.selectors.node import (
    ANY,
    BOOLEAN,
    KINDS,
    NOTHING,
    NULL,
    NUMBER,
    TEXT,
    UNKNOWN,
    Constant,
    Identity,
    Node,
    folded,
    plain,
    truth_of,
)
from stompserver.broker.selectors.number import Number, parse_number
from stompserver.broker.selectors.tokens import fault


class Operand:
    """A node and the offset in the selector ``source`` where it begins."""

    __slots__ = ("at", "node", "source")

    def __init__(self, source: str, at: int, node: Node) -> None:
        self.source: str = source
        self.at: int = at
        self.node: Node = node

    def text(self) -> str:
        """The string literal that it is; empty for anything else."""
        node = self.node
        return node.literal if isinstance(node, Constant) and isinstance(node.literal, str) else ""

    def need_number(self) -> Node:
        """Its node. Raises ProtocolError where it is never a number."""
        kind = self.node.kind
        if kind in (TEXT, BOOLEAN):
            raise fault(
                self.source,
                self.at,
                f"a number was expected, not {KINDS[kind]}",
                "Only numbers are calculated with and compared by <, <=, >, >= and BETWEEN; numbers have no quotes."
                if kind == TEXT
                else "Only numbers are calculated with and compared by <, <=, >, >= and BETWEEN.",
            )
        return self.node

    def need_condition(self) -> Node:
        """Its node. Raises ProtocolError where it is neither true nor false."""
        kind = self.node.kind
        if kind in (TEXT, NUMBER):
            raise fault(
                self.source,
                self.at,
                f"a condition was expected, not {KINDS[kind]}",
                "Compare it with something, as in colour = 'red' or price > 10.",
            )
        return self.node


def compared(operator: int, left: Operand, right: Operand) -> Node:
    """The node of a comparison by one of the six operators."""
    if operator in (EQUAL, UNEQUAL):
        return folded(_equality(operator == UNEQUAL, left, right))
    if left.node.kind == NULL or right.node.kind == NULL:
        return unknown()
    return folded(_numeric(operator, left.need_number(), right.need_number()))


def _numeric(operator: int, left: Node, right: Node) -> Node:
    if right.constant:
        limit = right.number(NOTHING)
        return unknown() if limit is None else Limited(operator, left, limit)
    return Compared(operator, left, right)


def _equality(negated: bool, left: Operand, right: Operand) -> Node:
    # The string literal, or the number, to the right: one order fewer to think of.
    kind = left.node.kind
    other = right.node.kind
    if kind == NULL or other == NULL:
        return unknown()
    if kind == TEXT or (kind == NUMBER and other == ANY):
        left, right = right, left
        kind, other = other, kind
    if kind == TEXT:
        return Constant(BOOLEAN, (left.text() == right.text()) != negated)
    if other == TEXT:
        return _equality_with_text(negated, left, right)
    if kind == BOOLEAN or other == BOOLEAN:
        if kind == NUMBER or other == NUMBER:
            raise _never(right, f"{KINDS[kind]} never equals {KINDS[other]}")
        return SameTruth(left.node, right.node, negated)
    if kind == ANY and other == ANY:
        return SameHeader(plain(left.node), plain(right.node), negated)
    return _numeric(UNEQUAL if negated else EQUAL, left.node, right.node)


def _equality_with_text(negated: bool, left: Operand, right: Operand) -> Node:
    """Equality with a string literal, which is converted where the left side is not text."""
    kind = left.node.kind
    text = left.node.written(right.text())
    if kind == ANY:
        return SameText(left.node, text, negated)
    if kind == BOOLEAN:
        truth = truth_of(text)
        if truth == UNKNOWN:
            raise _never(right, "a truth value never equals this string")
        return SameTruth(left.node, folded(Constant(BOOLEAN, truth == 1)), negated)
    return _numeric(UNEQUAL if negated else EQUAL, left.node, Constant(NUMBER, _number_in(right)))


def _number_in(operand: Operand) -> Number:
    """The number in a string literal that is compared with a number."""
    number = parse_number(operand.text())
    if number is None:
        raise _never(operand, "a number never equals this string")
    return number


def _never(operand: Operand, what: str) -> Exception:
    return fault(operand.source, operand.at, what, "Compare with a value of the same kind.")


def between(operand: Operand, low: Operand, high: Operand, negated: bool) -> Node:
    """The node of BETWEEN."""
    node = folded(Between(operand.need_number(), low.need_number(), high.need_number()))
    return folded(Not(node)) if negated else node


def within(operand: Operand, choices: list[Operand], negated: bool) -> Node:
    """The node of IN; the choices are string and number literals."""
    kind = operand.node.kind
    if kind == BOOLEAN:
        raise fault(
            operand.source,
            operand.at,
            "a header, a string or a number was expected in front of IN, not a condition",
            "Compare conditions by =.",
        )
    if kind == NULL:
        return unknown()
    texts: list[str] = []
    numbers: list[Number] = []
    for choice in choices:
        node = choice.node
        if node.kind == TEXT:
            if kind == NUMBER:
                numbers.append(_number_in(choice))
            else:
                texts.append(operand.node.written(choice.text()))
        else:
            number = node.number(NOTHING)
            if number is not None and isinstance(operand.node, Identity):
                texts.append(operand.node.written(str(number)))
            elif number is not None:
                numbers.append(number)
    found = folded(In(operand.node, frozenset(texts), frozenset(numbers)))
    return folded(Not(found)) if negated else found


def like(operand: Operand, pattern: Pattern, negated: bool) -> Node:
    """The node of LIKE."""
    kind = operand.node.kind
    if kind in (NUMBER, BOOLEAN):
        raise fault(
            operand.source,
            operand.at,
            f"a header or a string was expected in front of LIKE, not {KINDS[kind]}",
            "LIKE compares text.",
        )
    if kind == NULL:
        return unknown()
    if pattern.literal is not None:
        return folded(SameText(operand.node, pattern.literal, negated))
    node = folded(Like(operand.node, pattern))
    return folded(Not(node)) if negated else node
