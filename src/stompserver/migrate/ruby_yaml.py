"""Reads a frame from the YAML in which Ruby stored it: Syck's (Ruby 1.8) and Psych's (1.9.3 and later).

Only what these two write is read: one mapping of texts, in which ``headers`` is another; every scalar is octets,
whatever it looks like; tags name nothing that is made. A general YAML reader cannot do it: Syck writes a backquote
bare, means an octet by ``\\xE9`` where YAML means a character, and keeps a CR at the end of a line that YAML takes
for a line end (which is how the original lost it). Time and memory grow with the text, nesting is two deep.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from typing import Final

from stompserver.migrate.unreadable import Unreadable

_OBJECT: Final = b"!ruby/object:"
_BINARY: Final = frozenset(
    (b"!binary", b"!!binary", b"!tag:yaml.org,2002:binary", b"!<tag:yaml.org,2002:binary>")
)
_TEXT: Final = frozenset(
    (b"", b"!", b"!str", b"!!str", b"!tag:yaml.org,2002:str", b"!<tag:yaml.org,2002:str>")
)
_MAP: Final = frozenset((b"", b"!map", b"!!map"))

_LETTERS: Final = {
    b"0": b"\0",
    b"a": b"\a",
    b"b": b"\b",
    b"t": b"\t",
    b"n": b"\n",
    b"v": b"\v",
    b"f": b"\f",
    b"r": b"\r",
    b"e": b"\x1b",
    b" ": b" ",
    b"\t": b"\t",
    b'"': b'"',
    b"/": b"/",
    b"\\": b"\\",
    b"N": "\x85".encode(),
    b"_": "\xa0".encode(),
    b"L": "\u2028".encode(),
    b"P": "\u2029".encode(),
}
_ESCAPE: Final = re.compile(
    rb"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.?))",
    re.DOTALL,
)
_SPECIAL: Final = re.compile(rb'["\\]')
# Psych starts a new line, and indents it, behind Unicode's own line separators (raw only in texts marked UTF-8).
_SEPARATORS: Final = ("\u2028".encode(), "\u2029".encode())
_SEPARATOR: Final = re.compile(rb"(\xe2\x80[\xa8\xa9]) +")


class Document:
    """A row's text: the ``name`` of the class, empty when there was none, and the ``fields``."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str, fields: dict[bytes, bytes | dict[bytes, bytes]]) -> None:
        self.name = name
        self.fields = fields


def load(text: bytes) -> Document:
    """The object that ``text`` describes. Raises Unreadable."""
    lines = text.split(b"\n")
    if lines[0].endswith(b"\r"):
        # A tool moved the rows and turned all line ends; a CR of a message has another in front of it then.
        lines = [line.removesuffix(b"\r") for line in lines]
    ended = lines[-1] == b""
    if ended:
        del lines[-1]
    return _Reader(lines, ended).document()


class _Reader:
    """``_row`` is the line being read, ``_rest`` what of it is not read yet, if anything; ``_octets`` that ``\\x``
    means an octet; ``_ended`` that the last line has its end.
    """

    __slots__ = ("_anchors", "_ended", "_lines", "_octets", "_rest", "_row")

    def __init__(self, lines: list[bytes], ended: bool) -> None:
        self._lines = lines
        self._ended = ended
        self._row: int = 0
        self._rest = b""
        self._octets = False
        self._anchors: dict[bytes, bytes] = {}

    def _error(self, reason: str) -> Unreadable:
        row = min(self._row, len(self._lines) - 1)
        at = sum(len(line) + 1 for line in self._lines[:row])
        return Unreadable(at, f"line {row + 1} of the text: {reason}")

    def document(self) -> Document:
        if not self._lines or not self._lines[0].startswith(b"---"):
            raise self._error("it does not start with ---")
        head = self._lines[0][3:]
        # Syck writes a blank behind each tag and each key of a mapping.
        self._octets = head.endswith(b" ")
        self._rest = head.strip(b" ")
        tag = self._properties()
        if self._rest or (tag not in _MAP and not tag.startswith(_OBJECT)):
            raise self._error("not an object")
        self._row = 1
        fields = self._mapping(0, True)
        if self._row < len(self._lines) and self._lines[self._row].rstrip(b" ") != b"...":
            raise self._error("text that belongs to no field")
        return Document(tag.removeprefix(_OBJECT).decode("utf-8", "replace"), fields)

    def _mapping(self, indent: int, deeper: bool) -> dict[bytes, bytes | dict[bytes, bytes]]:
        """All ``key: value`` lines from here that are indented by ``indent`` blanks."""
        fields: dict[bytes, bytes | dict[bytes, bytes]] = {}
        while (depth := self._skip()) == indent:
            self._rest = self._lines[self._row][indent:]
            if self._rest == b"..." and not indent:
                break
            key = self._key(indent)
            fields[key] = self._value(indent, deeper)
        if depth > indent:
            raise self._error("more indented than a field can be")
        return fields

    def _skip(self) -> int:
        """Pass empty lines; the indentation of the next, -1 at the end."""
        while self._row < len(self._lines):
            line = self._lines[self._row]
            bare = line.lstrip(b" ")
            if bare:
                return len(line) - len(bare)
            self._row += 1
        return -1

    def _next(self) -> None:
        self._row += 1
        self._rest = b""

    def _properties(self) -> bytes:
        """The tag in front of a value; anchors are remembered by ``_value``."""
        if self._rest[:1] == b"!":
            tag, _, self._rest = self._rest.partition(b" ")
            self._rest = self._rest.lstrip(b" ")
            return tag
        return b""

    def _key(self, indent: int) -> bytes:
        if self._rest.startswith(b"? "):
            # A key that cannot stand before a colon: too long, or binary.
            self._rest = self._rest[2:].lstrip(b" ")
            key = self._scalar(indent, self._properties())
            if self._skip() != indent or self._lines[self._row][indent : indent + 1] != b":":
                raise self._error("a key without a value")
            self._rest = self._lines[self._row][indent + 1 :].lstrip(b" ")
            return key
        tag = self._properties()
        quote = self._rest[:1]
        if quote in (b'"', b"'"):
            key = self._quoted(quote)
            if not self._rest.startswith(b":"):
                raise self._error("a key without a colon")
            self._rest = self._rest[1:].lstrip(b" ")
            return self._typed(key, tag)
        key, colon, rest = self._rest.partition(b": ")
        if not colon:
            if not self._rest.endswith(b":"):
                raise self._error("a key without a colon")
            key = self._rest[:-1]
        if not key or key[:1] in b"[{":
            raise self._error("a key that is no text")
        self._rest = rest.lstrip(b" ")
        return self._typed(key, tag)

    def _value(self, indent: int, deeper: bool) -> bytes | dict[bytes, bytes]:
        anchor = b""
        if self._rest[:1] == b"&":
            anchor, _, self._rest = self._rest[1:].partition(b" ")
            self._rest = self._rest.lstrip(b" ")
        tag = self._properties()
        if not self._rest:
            self._next()
            below = self._skip()
            if below > indent and tag in _MAP:
                return self._texts(below, deeper)
            if below > indent:
                raise self._error("text that belongs to no field")
            return self._typed(b"", tag)
        if self._rest.rstrip(b" ") == b"{}" and tag in _MAP:
            self._next()
            return {}
        if self._rest[:1] == b"*":
            name = self._rest[1:].rstrip(b" ")
            if name not in self._anchors:
                raise self._error("a reference to nothing before it")
            self._next()
            return self._anchors[name]
        value = self._scalar(indent, tag)
        if anchor:
            self._anchors[anchor] = value
        return value

    def _texts(self, indent: int, deeper: bool) -> dict[bytes, bytes]:
        if not deeper:
            raise self._error("mappings nested deeper than headers")
        fields = self._mapping(indent, False)
        return {name: value for name, value in fields.items() if isinstance(value, bytes)}

    def _scalar(self, indent: int, tag: bytes) -> bytes:
        """The text that starts at ``_rest``; afterwards the line behind it is next."""
        start = self._rest[:1]
        if start == b"|":
            return self._typed(self._block(indent), tag)
        if start in (b'"', b"'"):
            value = self._quoted(start)
            if self._rest.strip(b" \r"):
                raise self._error("text behind the closing quote")
            self._next()
            return self._typed(value, tag)
        if start in (b"[", b"{", b">"):
            raise self._error("a list, a mapping in braces or a folded block, which no frame is written with")
        parts = [self._rest.strip(b" \t")]
        self._next()
        while self._row < len(self._lines) and len(line := self._lines[self._row].lstrip(b" ")):
            if len(self._lines[self._row]) - len(line) <= indent:
                break
            parts.append(line.strip(b" \t"))
            self._row += 1
        return self._typed(b" ".join(parts), tag)

    def _typed(self, value: bytes, tag: bytes) -> bytes:
        if tag in _TEXT:
            return value
        if tag not in _BINARY:
            raise self._error(f"tag {tag[:60]!r}, which no text of a message has")
        try:
            return b64decode(value.translate(None, b" \r\n\t"), validate=True)
        except binascii.Error as problem:
            raise self._error(f"binary text that is not base64: {problem}") from None

    def _block(self, indent: int) -> bytes:
        """A literal block: whole lines, indented two deeper than the mapping that they are in.

        The depth is not taken from the first line as in general YAML: Syck says nothing when that line starts
        with blanks of its own.
        """
        marks = self._rest.rstrip(b" ")[1:]
        depth = indent + 2
        for mark in (marks[:1], marks[1:2]):
            if mark.isdigit() and mark != b"0":
                depth = indent + int(mark)
        if len(marks) > 2 or marks.strip(b"+-0123456789"):
            raise self._error("a block with marks that Ruby does not write")
        self._next()
        lines: list[bytes] = []
        while self._row < len(self._lines):
            line = self._lines[self._row]
            if not line.startswith(b" " * depth) and line.strip(b" ") and not self._separates(line[:3]):
                break
            lines.append(line)
            self._row += 1
        if b"+" not in marks:
            # Syck leaves an empty line, without even the indentation, behind a block.
            while lines and not lines[-1]:
                del lines[-1]
        # What is not indented starts with a line separator, which is all of that line for Psych.
        lines = [line if self._separates(line[:3]) else line[depth:] for line in lines]
        text = b"\n".join(lines)
        unended = self._row == len(self._lines) and not self._ended and self._separates(text[-3:])
        if b"-" not in marks and (lines or b"+" not in marks) and not unended:
            # No lines at all are still one line end: an empty text would be in quotes.
            text += b"\n"
        return self._separated(text, depth)

    def _separates(self, octets: bytes) -> bool:
        """Whether Psych took ``octets`` for a line end like any other."""
        return not self._octets and octets in _SEPARATORS

    def _separated(self, text: bytes, depth: int = 0) -> bytes:
        if self._octets or b"\xe2\x80" not in text:
            return text
        if depth:
            return re.sub(rb"(\xe2\x80[\xa8\xa9]) {%d}" % depth, rb"\1", text)
        return _SEPARATOR.sub(rb"\1", text)

    def _quoted(self, quote: bytes) -> bytes:
        """A quoted text, over as many lines as it takes; what follows the closing quote is left in ``_rest``."""
        first = self._row
        parts: list[bytes] = []
        line = self._rest[1:]
        while (end := _closing(line, quote)) < 0:
            parts.append(line)
            self._row += 1
            if self._row == len(self._lines):
                self._row = first
                raise self._error("a quote that is never closed")
            line = self._lines[self._row]
        parts.append(line[:end])
        self._rest = line[end + 1 :]
        if quote == b"'":
            return self._separated(_unwrap(parts, False).replace(b"''", b"'"))
        return self._unescape(_unwrap(parts, True))

    def _unescape(self, text: bytes) -> bytes:
        if b"\\" not in text:
            return text

        def meant(escape: re.Match[bytes]) -> bytes:
            octet, short, long, letter = escape.groups()
            if octet is not None:
                return bytes((int(octet, 16),)) if self._octets else chr(int(octet, 16)).encode()
            if letter is None:
                code = int(short or long, 16)
                if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                    raise self._error(f"escape {escape[0]!r}, which is no character")
                return chr(code).encode()
            known = _LETTERS.get(letter)
            if known is None:
                raise self._error(f"escape {escape[0]!r}, which YAML does not have")
            return known

        return _ESCAPE.sub(meant, text)


def _closing(line: bytes, quote: bytes) -> int:
    """Where in ``line`` the quoted text ends, -1 when it goes on in the next."""
    at = 0
    if quote == b"'":
        while (at := line.find(b"'", at)) >= 0 and line[at + 1 : at + 2] == b"'":
            at += 2
        return at
    while (found := _SPECIAL.search(line, at)) is not None:
        if found[0] == b'"':
            return found.start()
        at = found.end() + 1
    return -1


def _unwrap(parts: list[bytes], escapes: bool) -> bytes:
    """The lines of a quoted text as one: a line end is a blank, n empty lines are n line ends, and with
    ``escapes`` a backslash at the end of a line joins it to the next.
    """
    if len(parts) == 1:
        return parts[0]
    out: list[bytes] = []
    glue = b""
    empty = 0
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        line = part.lstrip(b" \t") if number else part
        joined = False
        if not last:
            joined = escapes and (len(line) - len(line.rstrip(b"\\"))) % 2 == 1
            bare = line.rstrip(b" \t")
            if joined:
                line = line[:-1]
            elif escapes and (len(bare) - len(bare.rstrip(b"\\"))) % 2 == 1:
                line = bare + b" "
            else:
                line = bare
        if number and not line and not last and not joined:
            empty += 1
            continue
        out.append(b"\n" * empty or glue)
        out.append(line)
        glue = b"" if joined else b" "
        empty = 0
    return b"".join(out)
