"""The numbers of selectors: whole ones of 64 bits, else doubles."""

from __future__ import annotations

import math
import re
from typing import Final

Number = int | float

LARGEST: Final = 9223372036854775807
"""The largest whole number kept exactly (64 bits with sign, as in JMS)."""

LONGEST: Final = 100
"""Characters of a number as text; int() of a long one takes quadratic time, and nobody writes more."""

PLUS: Final = 0
MINUS: Final = 1
TIMES: Final = 2
OVER: Final = 3
MODULO: Final = 4

_HUGE: Final = 1.7976931348623157e308

# No two parts of it match the same character, so it cannot go back far.
_NUMBER: Final = re.compile(r"[ \t]*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t]*")
_APPROXIMATE: Final = frozenset(".eE")


def parse_number(text: str) -> Number | None:
    """The decimal number that a header's value is, or None."""
    if len(text) < 19 and text.isdecimal() and text.isascii():
        return int(text)
    if len(text) > LONGEST or _NUMBER.fullmatch(text) is None:
        return None
    if _APPROXIMATE.isdisjoint(text):
        return settle(int(text))
    return settle(float(text))


def settle(number: Number) -> Number | None:
    """What a calculation gives: a whole number beyond 64 bits becomes a double, what no double holds None."""
    if isinstance(number, int):
        if -LARGEST - 1 <= number <= LARGEST:
            return number
        number = float(number) if number.bit_length() <= 1023 else math.inf
    # False for NaN as well.
    return number if -_HUGE <= number <= _HUGE else None


def calculate(operator: int, left: Number, right: Number) -> Number | None:
    """``left`` PLUS, MINUS, TIMES, OVER or MODULO ``right``; None when there is no such number."""
    if operator == PLUS:
        return settle(left + right)
    if operator == MINUS:
        return settle(left - right)
    if operator == TIMES:
        return settle(left * right)
    if right == 0:
        return None
    if isinstance(left, int) and isinstance(right, int):
        # Toward zero, as Java and SQL divide; Python's // goes down.
        size = abs(left) // abs(right) if operator == OVER else abs(left) % abs(right)
        negative = (left < 0) != (right < 0) if operator == OVER else left < 0
        return settle(-size if negative else size)
    if operator == OVER:
        return settle(left / right)
    return settle(math.fmod(left, right))
