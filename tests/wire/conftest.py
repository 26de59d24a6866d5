"""What these tests share: how a parser is driven, and the leaf in C, built where the core is not compiled."""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from stompserver.cli import core
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


def compiler_command(source: Path, output: Path) -> list[str]:
    """How Python's own build would make an extension module of one file; CC in the environment chooses another
    compiler, as it does for pip.
    """
    known = sysconfig.get_config_vars("CC", "LDSHARED", "CFLAGS", "CCSHARED")
    own, link, flags, shared = (str(each or "") for each in known)
    if "CC" in os.environ:
        link = os.environ["CC"] + link.removeprefix(own)
    include = sysconfig.get_path("include")
    return [*shlex.split(f"{link} {flags} {shared}"), f"-I{include}", str(source), "-o", str(output)]


@pytest.fixture(scope="session")
def compiler() -> Callable[[Path, Path], list[str]]:
    """``compiler(source, output)``: the command that makes an extension module."""
    return compiler_command


def build_leaf() -> Path:
    """The extension module made of ``_leaf.c``, in a cache folder of this virtual environment: beside the source it
    would be run in place of ``leaf.py``. Made anew when the source or the way to compile it has changed.
    """
    source = Path(leaf_in_python.__file__).with_name("_leaf.c")
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    told = source.read_bytes() + repr(compiler_command(Path("_leaf.c"), Path("_leaf"))).encode()
    room = Path(sys.prefix, ".cache-leaf")
    made = room / (hashlib.sha256(told).hexdigest()[:16] + suffix)
    if not made.exists():
        room.mkdir(exist_ok=True)
        # Other processes of the same run may be at it, too.
        own = room / f"new-{os.getpid()}{suffix}"
        command = compiler_command(source, own)
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except OSError as problem:
            pytest.skip(f"the leaf in C is not tested: no C compiler ({problem})")
        if done.returncode and not python_h():
            pytest.skip("the leaf in C is not tested: no Python.h (Debian: python3-dev)")
        assert done.returncode == 0, f"{shlex.join(command)}:\n{done.stderr}"
        own.rename(made)
        for other in room.glob("[!n]*"):
            if other != made:
                other.unlink(missing_ok=True)
    return made


def python_h() -> bool:
    """Whether Python's headers are there; without them nothing in C is built, and that is no fault of ours."""
    return Path(sysconfig.get_path("include"), "Python.h").exists()


@pytest.fixture(scope="session")
def leaf_in_c() -> ModuleType:
    """``_leaf``: the one that this compiled server runs, else one that is built for the tests."""
    if core() == "compiled":
        return importlib.import_module("stompserver.wire._leaf")
    spec = importlib.util.spec_from_file_location("stompserver.wire._leaf", build_leaf())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", params=["python", "c"])
def leaf(request: pytest.FixtureRequest) -> ModuleType:
    """Each of the two."""
    if request.param == "python":
        return leaf_in_python
    module: ModuleType = request.getfixturevalue("leaf_in_c")
    return module
