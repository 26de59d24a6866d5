"""Header blocks to text and back, where nothing is escaped: what a profile of the server shows first (bench: auto).

``_leaf.c`` has the same functions in C, and compiled servers run those.
"""

from __future__ import annotations


def end(octets: bytes, start: int) -> int:
    """Where the empty line after a header block begins, at ``start`` (0 or more) or later; -1 if there is none."""
    return octets.find(b"\n\n", start)


def whole(text: str) -> int:
    """The number that ``text`` is in up to 15 digits; -1 when it is anything else."""
    return int(text) if text.isdigit() and text.isascii() and len(text) < 16 else -1


def split(block: bytes, max_headers: int, no_blanks: bool) -> tuple[str, dict[str, str]] | None:
    """The command and headers of a block that needs no decoding beyond UTF-8; None when it wants a closer look.

    That is when it has more than ``max_headers``, or with ``no_blanks`` a blank or tab anywhere.
    """
    try:
        head: str = block.decode()
        # Containment in a str costs a tenth of that in bytes; exactly one colon a line makes it plain.
        if "\r" in head or "\\" in head or "\0" in head:
            return None
        lines = head.split("\n")
        command = lines[0]
        del lines[0]
        headers: dict[str, str] = {}
        for line in lines:
            name, value = line.split(":")
            headers[name] = value
    except ValueError:
        # Includes UnicodeDecodeError.
        return None
    count: int = len(lines)
    if count != len(headers) or count > max_headers or "" in headers:
        return None
    if no_blanks and (" " in head or "\t" in head):
        return None
    return command, headers


def head(destination: str, number: int, length: int, headers: dict[str, str]) -> bytes:
    """The header lines of message ``number`` with a body of ``length`` bytes, nothing escaped, and the empty line.

    Raises UnicodeEncodeError for text that is no UTF-8.
    """
    parts = [f"destination:{destination}\nmessage-id:{number}\ncontent-length:{length}\n"]
    parts.extend([f"{name}:{value}\n" for name, value in headers.items()])
    parts.append("\n")
    return "".join(parts).encode()
