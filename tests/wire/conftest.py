"""What these tests share: how a parser is driven, and the leaf in C, built where the core is not compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import NamedTuple

import pytest
from tests.leaves import leaf_in_c_of

from stompserver.wire import leaf as leaf_in_python
from stompserver.wire.frame import AnyFrame, Frame
from stompserver.wire.headers import TEXT_10, TEXT_10_STRICT, TEXT_11, TEXT_11_STRICT, TEXT_12
from stompserver.wire.parser import Limits, Parser

ROOMY = Limits(1 << 20, 100, 64 << 10)
TEXTS = {
    "1.0": TEXT_10,
    "1.1": TEXT_11,
    "1.2": TEXT_12,
    "1.0 strict": TEXT_10_STRICT,
    "1.1 strict": TEXT_11_STRICT,
    "1.2 strict": TEXT_12,
}

Parsed = tuple[str, dict[str, str], bytes]


class Outcome(NamedTuple):
    """The frames of a stream, and what its error said (None: no error)."""

    frames: list[Parsed]
    error: str | None

    def matches(self, frames: list[Parsed], error: str | None) -> bool:
        """Whether it is these frames and an error that begins so."""
        if self.error is None or error is None:
            return self.frames == frames and self.error is error
        return self.frames == frames and self.error.startswith(error)


def plain(frame: AnyFrame) -> Parsed:
    if not isinstance(frame, Frame):
        frame = frame.read()
    return frame.command, frame.headers, frame.body


def make(version: str, limits: Limits = ROOMY) -> Parser:
    """A parser as it is in a session of ``version``; ``connect`` for one that waits for CONNECT."""
    parser = Parser(limits, "strict" in version)
    if not version.startswith("connect"):
        parser.open(TEXTS[version], limits)
    return parser


def feed(parser: Parser, octets: bytes) -> list[Parsed]:
    """All frames that ``octets`` complete: before CONNECTED each call gives one at most."""
    found = [plain(frame) for frame in parser.feed(octets)]
    if found:
        while more := parser.feed(b""):
            found += [plain(frame) for frame in more]
    return found


@pytest.fixture(scope="session")
def make_parser() -> Callable[..., Parser]:
    return make


@pytest.fixture(scope="session")
def parse() -> Callable[..., Outcome]:
    """``parse(pieces, version, limits)``: the outcome of feeding ``pieces`` one after the other."""

    def run(pieces: Iterable[bytes], version: str, limits: Limits = ROOMY) -> Outcome:
        parser = make(version, limits)
        frames = [frame for piece in pieces for frame in feed(parser, piece)]
        return Outcome(frames, parser.error.summary if parser.error else None)

    return run


@pytest.fixture(scope="session")
def leaf_in_c() -> ModuleType:
    """``_leaf``: the one that this compiled server runs, else one that is built for the tests."""
    return leaf_in_c_of(leaf_in_python)


@pytest.fixture(scope="session", params=["python", "c"])
def leaf(request: pytest.FixtureRequest) -> ModuleType:
    """Each of the two."""
    if request.param == "python":
        return leaf_in_python
    module: ModuleType = request.getfixturevalue("leaf_in_c")
    return module
