"""Reads Ruby's Marshal format 4.8: only the types that the original's files hold, as plain values.

Nothing is looked up, called or instantiated: an object comes back as its class's name and its fields. Every other
type (classes, procs' stand-ins, user-dumped data, extended objects ...) is refused with its offset. Work and memory
are bounded by the octets given: no length is believed before that many octets are there, nesting has a limit,
and links lead only to strings, so that no value can contain itself.
"""

from __future__ import annotations

from typing import Final, TypeAlias, Union

from stompserver.migrate.unreadable import Unreadable

DEPTH: Final = 16
"""Deepest nesting; the original's qinfo has 4."""


class Symbol(str):
    """A Ruby symbol, without its colon."""

    __slots__ = ()


class Object:
    """A Ruby object that stayed data: its class's ``name`` and its ``fields`` by instance variable."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str, fields: dict[str, Value]) -> None:
        self.name = name
        self.fields = fields


Value: TypeAlias = Union[bool, int, bytes, Symbol, Object, "list[Value]", "dict[bytes | Symbol, Value]", None]

_REFUSED: Final = {
    b"c": "a class",
    b"m": "a module",
    b"M": "a class or module",
    b"u": "data with a loader of its own",
    b"U": "an object with a loader of its own",
    b"C": "an instance of a subclass of a built-in class",
    b"e": "an object extended by a module",
    b"S": "a struct",
    b"d": "a data object",
    b"/": "a regular expression",
    b"}": "a hash with a default value",
    b"f": "a float",
}


def load(data: bytes, offset: int = 0) -> Value:
    """The one value that ``data`` starts with; like Ruby's it ignores what follows.

    ``offset`` is where ``data`` starts in its file, for the errors. Raises Unreadable.
    """
    return _Reader(data, offset).read()


class _Reader:
    __slots__ = ("_at", "_data", "_depth", "_offset", "_seen", "_symbols")

    def __init__(self, data: bytes, offset: int) -> None:
        self._data = data
        self._offset = offset
        self._at: int = 0
        self._depth: int = 0
        self._symbols: list[Symbol] = []
        # What "@" can link to, in the order in which Ruby counts; None stands for what links may not lead to.
        self._seen: list[bytes | None] = []

    def read(self) -> Value:
        version = self._take(2)
        if version[0] != 4 or version[1] > 8:
            self._at = 0
            raise self._error("this is not Ruby's Marshal format 4.8")
        return self._value()

    def _error(self, reason: str) -> Unreadable:
        return Unreadable(self._offset + self._at, reason)

    def _take(self, count: int) -> bytes:
        octets = self._data[self._at : self._at + count]
        if len(octets) != count:
            raise self._error(f"cut off: {count} more bytes should follow, {len(octets)} do")
        self._at += count
        return octets

    def _number(self) -> int:
        """Ruby's packed integer of one to five octets."""
        first = self._take(1)[0]
        signed = first - 256 if first > 127 else first
        if signed == 0:
            return 0
        if signed > 4:
            return signed - 5
        if signed < -4:
            return signed + 5
        count = abs(signed)
        number = int.from_bytes(self._take(count), "little")
        return number if signed > 0 else number - (1 << 8 * count)

    def _length(self, unit: int = 1) -> int:
        """A count of things that take at least ``unit`` octets each."""
        start = self._at
        length = self._number()
        if length < 0 or length * unit > len(self._data) - self._at:
            self._at = start
            raise self._error(f"a length of {length} in {len(self._data)} bytes")
        return length

    def _value(self) -> Value:
        start = self._at
        kind = self._take(1)
        if kind == b'"':
            return self._string()
        if kind == b"i":
            return self._number()
        if kind in b":;I@":
            return self._named(kind, start)
        if kind == b"T":
            return True
        if kind == b"F":
            return False
        if kind == b"0":
            return None
        if kind == b"l":
            return self._bignum()
        if kind not in b"{[o":
            self._at = start
            what = _REFUSED.get(kind, f"type {kind!r}")
            raise self._error(f"{what}, which neither qinfo nor a message holds")
        self._depth += 1
        if self._depth > DEPTH:
            raise self._error(f"nested more than {DEPTH} deep")
        self._seen.append(None)
        value: Value = self._hash() if kind == b"{" else self._array() if kind == b"[" else self._object()
        self._depth -= 1
        return value

    def _named(self, kind: bytes, start: int) -> bytes | Symbol:
        """A symbol, a link, or a string with its encoding."""
        if kind == b":":
            symbol = Symbol(self._take(self._length()).decode("utf-8", "surrogateescape"))
            self._symbols.append(symbol)
            return symbol
        if kind == b"I":
            return self._encoded()
        number = self._number()
        if kind == b";":
            if 0 <= number < len(self._symbols):
                return self._symbols[number]
            self._at = start
            raise self._error(f"a link to symbol {number} of {len(self._symbols)}")
        string = self._seen[number] if 0 <= number < len(self._seen) else None
        if string is None:
            self._at = start
            raise self._error(f"a link to object {number}, which is no string before it")
        return string

    def _string(self) -> bytes:
        string = self._take(self._length())
        self._seen.append(string)
        return string

    def _encoded(self) -> bytes | Symbol:
        """A string or symbol with instance variables, which say how it is encoded (Ruby 1.9 and later)."""
        kind = self._take(1)
        if kind == b'"':
            value: bytes | Symbol = self._string()
        elif kind == b":":
            value = self._named(kind, self._at)
        else:
            self._at -= 1
            raise self._error(f"instance variables of type {kind!r}")
        self._fields()
        return value

    def _bignum(self) -> int:
        sign = self._take(1)
        if self._data[self._at : self._at + 1] > b"\x0d":
            raise self._error("a number of more than 128 bits")
        number = int.from_bytes(self._take(2 * self._length(2)), "little")
        self._seen.append(None)
        return -number if sign == b"-" else number

    def _array(self) -> list[Value]:
        return [self._value() for _ in range(self._length())]

    def _hash(self) -> dict[bytes | Symbol, Value]:
        pairs: dict[bytes | Symbol, Value] = {}
        for _ in range(self._length(2)):
            start = self._at
            key = self._value()
            if not isinstance(key, bytes | Symbol):
                self._at = start
                raise self._error("a hash whose key is neither a string nor a symbol")
            pairs[key] = self._value()
        return pairs

    def _object(self) -> Object:
        return Object(self._symbol(), self._fields())

    def _fields(self) -> dict[str, Value]:
        fields: dict[str, Value] = {}
        for _ in range(self._length(2)):
            name = self._symbol()
            fields[name] = self._value()
        return fields

    def _symbol(self) -> Symbol:
        start = self._at
        kind = self._take(1)
        if kind in b":;I":
            name = self._named(kind, start)
            if isinstance(name, Symbol):
                return name
        self._at = start
        raise self._error("a name is missing")
