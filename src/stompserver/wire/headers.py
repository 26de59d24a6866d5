"""How header text is written: the escapes, blanks and line ends in which the STOMP versions differ."""

from __future__ import annotations

from typing import Final

from stompserver.errors import ProtocolError

SANITIZED: Final = ("x-sanitized", "true")
"""Added to a MESSAGE whose headers held line ends, or a colon in a name, that the receiver's version cannot
express."""


class Text:
    """The text rules of one version (STOMP 1.1 and 1.2, Value Encoding; 1.0 has none).

    ``decode`` maps the letter after a backslash to its character and is empty where nothing is escaped;
    ``encode`` maps characters to what the receiver gets; ``trim`` strips blanks around values; ``crlf``
    accepts CR LF as a line end; ``bare_cr`` allows a CR inside a header line; ``octets`` keeps header
    bytes that are not UTF-8 instead of refusing them.
    """

    __slots__ = ("bare_cr", "crlf", "decode", "encode", "names", "octets", "trim", "version")

    def __init__(
        self,
        version: str,
        decode: dict[str, str],
        encode: dict[int, str],
        trim: bool,
        crlf: bool,
        bare_cr: bool,
        octets: bool,
    ) -> None:
        self.version = version
        self.decode = decode
        self.encode = encode
        # A colon ends a name, so where nothing is escaped it cannot be in one. A CR that is not escaped may end a
        # line for a tolerant receiver: a name behind it would be another header's.
        self.names = {58: " ", 13: " ", **encode}
        self.trim = trim
        self.crlf = crlf
        self.bare_cr = bare_cr
        self.octets = octets

    def unescape(self, text: str) -> str:
        """Undo the escapes of ``text`` in one pass from the left.

        Raises ProtocolError for an escape that the version does not define (a fatal protocol error).
        """
        if not self.decode or "\\" not in text:
            return text
        parts: list[str] = []
        at = 0
        while True:
            backslash = text.find("\\", at)
            if backslash < 0:
                parts.append(text[at:])
                return "".join(parts)
            parts.append(text[at:backslash])
            letter = text[backslash + 1 : backslash + 2]
            meant = self.decode.get(letter)
            if meant is None:
                raise ProtocolError(
                    "Undefined escape \\" + letter + " in a header",
                    where="header line " + repr(text[:60]),
                    rule="STOMP "
                    + self.version
                    + ", Value Encoding: only "
                    + " ".join("\\" + known for known in self.decode)
                    + " are defined",
                    fix="Write a backslash as two backslashes.",
                )
            parts.append(meant)
            at = backslash + 2

    def line(self, name: str, value: str) -> str:
        """One header line with its line end, escaped for this version."""
        return name.translate(self.names) + ":" + value.translate(self.encode) + "\n"

    def loses(self, name: str, value: str) -> bool:
        """Whether a header holds something that this version can only replace by a blank."""
        encode = self.encode
        names = self.names
        return (
            ("\n" in value and encode.get(10) == " ")
            or ("\r" in value and encode.get(13) == " ")
            or ("\n" in name and names[10] == " ")
            or ("\r" in name and names[13] == " ")
            or (":" in name and names[58] == " ")
        )

    def octetize(self, text: str) -> bytes:
        """Header text as octets; what came in as octets that are no UTF-8 leaves as the same to 1.0 only."""
        return text.encode("utf-8", "surrogateescape" if self.octets else "replace")


# A 1.0 frame cannot express a line end in a header: a blank keeps foreign text from becoming a header line of its own
# (header injection). A 1.1 frame has a CR in a value as it is: a header-value there is any octet but LF and colon
# (STOMP 1.1, Augmented BNF).
_BLANKS: Final = {10: " ", 13: " ", 0: " "}
_ENCODE_11: Final = {92: "\\\\", 10: "\\n", 58: "\\c", 0: " "}
_ENCODE_12: Final = {92: "\\\\", 10: "\\n", 58: "\\c", 13: "\\r", 0: " "}
_DECODE_11: Final = {"n": "\n", "c": ":", "\\": "\\"}
_DECODE_12: Final = {"n": "\n", "c": ":", "\\": "\\", "r": "\r"}

RAW: Final = Text("", {}, _BLANKS, False, True, True, True)
"""CONNECT, STOMP and CONNECTED are never escaped, whatever the version (Value Encoding)."""

TEXT_10: Final = Text("1.0", {}, _BLANKS, True, True, True, True)
TEXT_11: Final = Text("1.1", _DECODE_11, _ENCODE_11, False, True, True, False)
TEXT_12: Final = Text("1.2", _DECODE_12, _ENCODE_12, False, True, False, False)
TEXT_10_STRICT: Final = Text("1.0", {}, _BLANKS, True, False, True, True)
TEXT_11_STRICT: Final = Text("1.1", _DECODE_11, _ENCODE_11, False, False, True, False)


def encode_frame(command: str, headers: list[tuple[str, str]], body: bytes, text: Text) -> bytes:
    """A server frame as octets; the line feed after its NUL is the original's habit and legal everywhere."""
    lines = [command + "\n"]
    lines.extend([text.line(name, value) for name, value in headers])
    lines.append("\n")
    return text.octetize("".join(lines)) + body + b"\0\n"


def encode_block(headers: dict[str, str], text: Text) -> bytes:
    """The header lines of ``headers`` as octets, escaped for ``text``, without the empty line."""
    lines = [text.line(name, value) for name, value in headers.items()]
    for name, value in headers.items():
        if text.loses(name, value):
            lines.append(SANITIZED[0] + ":" + SANITIZED[1] + "\n")
            break
    return text.octetize("".join(lines))
