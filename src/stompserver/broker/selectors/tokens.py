"""The words of a selector, and what an error says of the place where one is wrong."""

from __future__ import annotations

from typing import Final

from stompserver.broker.selectors.number import LARGEST, LONGEST, Number, parse_number
from stompserver.errors import ProtocolError

END: Final = 0
NAME: Final = 1
STRING: Final = 2
NUMBER: Final = 3
SYMBOL: Final = 4
WORD: Final = 5

WORDS: Final = frozenset(
    ("AND", "OR", "NOT", "BETWEEN", "LIKE", "ESCAPE", "IN", "IS", "TRUE", "FALSE", "NULL")
)

RULE: Final = "JMS message selectors, a subset of SQL-92 conditions"

_BLANKS: Final = " \t\n\r\f"
_DIGITS: Final = frozenset("0123456789")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_OCTAL: Final = frozenset("01234567")
_PAIRS: Final = frozenset(("<>", "!=", "<=", ">="))
_SINGLES: Final = frozenset("()=<>+-*/%,")
_WRONG: Final = {
    "==": "Write = for equality.",
    "&&": "Write AND.",
    "||": "Write OR.",
    "--": "Comments are not part of the language; for a minus before a negative number write - -1.",
    "/*": "Comments are not part of the language: take it out.",
    '"': "Write strings in single quotes, names of headers without quotes.",
    "\u2018": "Write strings in straight single quotes, '.",
    "\u2019": "Write strings in straight single quotes, '.",
    "!": "Write NOT, or <> for inequality.",
    ":": (
        "The only prefixes are convert_string_expressions: and hyphenated_props:, at the beginning; "
        "a header with a colon in its name goes in back quotes."
    ),
}


class Token:
    """One word. ``at`` and ``end`` are offsets in the selector; ``value`` is a literal's number.

    ``text`` is a name or a string without its quotes, a word in capitals, or the symbol.
    """

    __slots__ = ("at", "end", "kind", "text", "value")

    def __init__(self, kind: int, text: str, at: int, end: int, value: Number | None = None) -> None:
        self.kind: int = kind
        self.text: str = text
        self.at: int = at
        self.end: int = end
        self.value: Number | None = value


def fault(source: str, at: int, what: str, fix: str) -> ProtocolError:
    """An error at offset ``at`` of the selector ``source``; ``what`` says what is wrong there."""
    near = "its end" if at >= len(source) else ascii(source[at : at + 24])
    return ProtocolError(
        "The selector cannot be understood: " + what,
        where=f"header selector, column {at + 1} (offset {at}), at {near}",
        rule=RULE,
        fix=fix,
    )


def scan(source: str, at: int) -> list[Token]:
    """The tokens from offset ``at`` on, the last of them END. Raises ProtocolError."""
    tokens: list[Token] = []
    length = len(source)
    while at < length:
        char = source[at]
        if char in _BLANKS:
            at += 1
            continue
        if char in _DIGITS or (char == "." and source[at + 1 : at + 2] in _DIGITS):
            token = _number(source, at)
        elif char == "'" or char == "`":
            token = _quoted(source, at, char)
        elif _starts_name(char):
            token = _name(source, at)
        else:
            token = _symbol(source, at, char)
        tokens.append(token)
        at = token.end
    tokens.append(Token(END, "", length, length))
    return tokens


def _starts_name(char: str) -> bool:
    return char.isalpha() or char == "_" or char == "$"


def _continues_name(char: str) -> bool:
    return char.isalnum() or char == "_" or char == "$"


def _name(source: str, at: int) -> Token:
    end = at + 1
    length = len(source)
    while end < length:
        char = source[end]
        if not _continues_name(char):
            if end + 1 == length:
                break
            following = source[end + 1]
            # a-b is a header's name, a-1 and a - b are subtractions; a.b is a name, too.
            if not (
                (char == "-" and _starts_name(following)) or (char == "." and _continues_name(following))
            ):
                break
        end += 1
    text = source[at:end]
    if text.isascii():
        word = text.upper()
        if word in WORDS:
            return Token(WORD, word, at, end)
    return Token(NAME, text, at, end)


def _quoted(source: str, at: int, quote: str) -> Token:
    """A string, or in back quotes a name; the quote itself is written twice."""
    end = at + 1
    while True:
        end = source.find(quote, end)
        if end < 0:
            raise fault(
                source,
                at,
                f"the quote {quote} opened here is not closed",
                f"Close it; inside it, {quote} is written twice.",
            )
        end += 1
        if source[end : end + 1] != quote:
            break
        end += 1
    text = source[at + 1 : end - 1].replace(quote + quote, quote)
    if quote == "'":
        return Token(STRING, text, at, end)
    if not text:
        raise fault(source, at, "a name was expected between back quotes", "Name the header.")
    return Token(NAME, text, at, end)


def _symbol(source: str, at: int, char: str) -> Token:
    pair = source[at : at + 2]
    if pair in _PAIRS:
        return Token(SYMBOL, "<>" if pair == "!=" else pair, at, at + 2)
    if pair not in _WRONG and char in _SINGLES:
        return Token(SYMBOL, char, at, at + 1)
    wrong = pair if pair in _WRONG else char
    fix = _WRONG.get(wrong, "A header with such a character in its name goes in back quotes.")
    raise fault(source, at, f"{wrong!a} is not a part of the language", fix)


def _run(source: str, at: int, allowed: frozenset[str]) -> int:
    """The offset behind the characters of ``allowed`` that stand at ``at``."""
    length = len(source)
    while at < length and source[at] in allowed:
        at += 1
    return at


def _number(source: str, at: int) -> Token:
    if source[at : at + 2] in ("0x", "0X"):
        end = _run(source, at + 2, _HEX)
        value = _whole(source, at, source[at + 2 : end], 16)
    else:
        end = _run(source, at, _DIGITS)
        exact = True
        if source[end : end + 1] == ".":
            exact = False
            end = _run(source, end + 1, _DIGITS)
        if source[end : end + 1] in ("e", "E"):
            sign = end + 2 if source[end + 1 : end + 2] in ("+", "-") else end + 1
            if source[sign : sign + 1] in _DIGITS:
                exact = False
                end = _run(source, sign, _DIGITS)
        text = source[at:end]
        if len(text) > LONGEST:
            raise _too_large(source, at)
        if source[end : end + 1] in ("f", "F", "d", "D"):
            exact = False
            end += 1
        if not exact:
            value = _approximate(source, at, text)
        elif text[0] == "0" and len(text) > 1:
            value = _whole(source, at, text, 8)
        else:
            value = parse_number(text)
    if value is None:
        raise _too_large(source, at)
    if source[end : end + 1] in ("l", "L") and isinstance(value, int):
        end += 1
    following = source[end : end + 1]
    if following and (following == "." or _continues_name(following)):
        raise fault(
            source,
            end,
            f"{following!a} directly behind the number {source[at:end][:40]}",
            "Put a blank between them, or the name of a header in back quotes.",
        )
    return Token(NUMBER, source[at:end], at, end, value)


def _whole(source: str, at: int, digits: str, base: int) -> Number | None:
    """A hexadecimal or octal literal, as a double when 64 bits do not hold it."""
    if len(digits) > LONGEST:
        raise _too_large(source, at)
    if not digits:
        raise fault(source, at, "hexadecimal digits were expected behind 0x", "Write for instance 0x1F.")
    if base == 8 and _run(digits, 0, _OCTAL) < len(digits):
        raise fault(
            source,
            at,
            "a whole number that begins with 0 is octal, and this one has an 8 or 9",
            "Write it without the 0 in front.",
        )
    whole = int(digits, base)
    if whole <= LARGEST:
        return whole
    # An int beyond the doubles raises OverflowError in float(), their text gives inf.
    return parse_number(str(whole))


def _approximate(source: str, at: int, text: str) -> Number | None:
    value = float(text)
    if value - value != 0.0:
        raise _too_large(source, at)
    return value


def _too_large(source: str, at: int) -> ProtocolError:
    return fault(
        source,
        at,
        f"a number that no double holds, or of more than {LONGEST} digits",
        "Numbers go up to 1.7976931348623157e308.",
    )
