"""A shape: the frames of one client in one use, as its file in `recorded` has them.

A file is text: lines `name: value`, then sections. A section's frame is as it was on the wire, with `^@` for NUL.
What differs from message to message is a mark in it:

- `{n}`: the message's number, 12 digits.
- `{uuid}`: what the client made up, 36 characters; in a transaction the same in all its frames.
- `{message-id}` and `{ack}`: the value of that header of the MESSAGE that is acknowledged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RECORDED = Path(__file__).parent / "recorded"
SUFFIX = ".frames"
QUEUE = b"/queue/bench"
"""The destination in all recorded frames."""
NUMBER, UUID = b"{n}", b"{uuid}"
MODES = ("auto", "client-individual", "client")
SECTION = re.compile(r"^== (.+) ==\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Shape:
    """`frames` has SEND, or `SUBSCRIBE auto` and `ACK client` by their modes, or both; BEGIN and COMMIT where the
    client sends in transactions.
    """

    name: str
    client: str
    """The library and its version."""
    about: str
    version: str
    """Of STOMP, as that client speaks it unless its user asks for another."""
    frames: Mapping[str, bytes]

    def modes(self) -> tuple[str, ...]:
        """The modes of acknowledgement in which this client's consumer was recorded."""
        return tuple(mode for mode in MODES if f"SUBSCRIBE {mode}" in self.frames)

    def transactional(self) -> bool:
        return "BEGIN" in self.frames


def text_of(shape: Shape) -> str:
    """The file of a shape. Raises ValueError for a frame that cannot be written so."""
    parts = [f"client: {shape.client}\nabout: {shape.about}\nversion: {shape.version}\n\n"]
    for name, frame in shape.frames.items():
        if b"^@" in frame or b"\r" in frame or frame.count(b"\0") != 1 or b"\n== " in frame:
            raise ValueError(f"{shape.name}: not to be written as text: {frame!r}")
        written = frame.replace(b"\0", b"^@").decode()
        parts.append(f"== {name} ==\n{written}\n")
    return "".join(parts)


def shape_of(name: str, text: str) -> Shape:
    """What a file says. Raises ValueError when it is not as `text_of` writes it."""
    head, *sections = SECTION.split(text)
    facts = dict(line.split(": ", 1) for line in head.splitlines() if line)
    frames = {
        title: frame.removesuffix("\n").encode().replace(b"^@", b"\0")
        for title, frame in zip(sections[::2], sections[1::2], strict=True)
    }
    if set(facts) != {"client", "about", "version"} or not frames:
        raise ValueError(f"{name}: not the file of a shape")
    return Shape(name, facts["client"], facts["about"], facts["version"], frames)


def recorded(folder: Path = RECORDED) -> dict[str, Shape]:
    """All shapes by name."""
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    names = [path.name.removesuffix(SUFFIX) for path in paths]
    return {name: shape_of(name, path.read_text("utf-8")) for name, path in zip(names, paths, strict=True)}
