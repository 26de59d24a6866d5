"""Plays a page: does what it tells a reader to do, and compares what it says will be seen.

A fenced block is, by its language:

``console``  what is typed and what is answered. ``$ stompserver ...`` in the foreground starts a server, and so does
             ``$ make run``; everything else goes to one bash that lives as long as the page; ``> `` continues a
             command.
``log``      lines of the newest server's log, in any order.
anything else with ``title="name"``: a file of that name in the folder of the page's commands.

What differs from run to run (sessions, message ids, hashes, times) is compared by its form; ports of the page are
replaced by free ones.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 30.0  # after which an answer that does not come is a failure; never waited for when all is well
PORT = re.compile(r"\b616\d\d\b")
FENCE = re.compile(r"^```(\w*)(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_A_START = ("--check", "--hash-password", "--make-certificate", "--version", "--help", "--daemon", "|")

VARYING = {
    r"^session:[0-9a-f]{32}$": "session:SESSION",
    r"^ack:[0-9a-f]+-(\d+)$": r"ack:MARK-\1",
    r"\b[0-9a-f]{32}\b": "SESSION",
    r"\bsst_[\w-]{43}": "TOKEN",
    r"\b\d{15,20}\b": "NUMBER",
    r"(?<=-failure:)\d{13}\b": "MILLISECONDS",
    r"stompserver/\d[\w.]*": "stompserver/VERSION",
    r"^stompserver \d[\w.]* \((compiled|interpreted)\)$": "stompserver VERSION",
    r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$[\w+/]+\$[\w+/]+": r"HASH(\1,\2,\3)",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d": "TIME",
    r"(?<== )/\S+": "/PATH",
}


class Block(NamedTuple):
    """A fenced block of a page: its language, the name of its file if it has one, and its text."""

    language: str
    title: str
    text: str


def blocks_of(text: str) -> list[Block]:
    found = []
    for language, rest, body in FENCE.findall(text):
        title = re.search(r'title="([^"]+)"', rest)
        found.append(Block(language, title[1] if title else "", body))
    return found


def exchanges_of(text: str) -> list[tuple[str, str]]:
    """What is typed, and what is answered, of a console block."""
    exchanges: list[tuple[str, str]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            exchanges.append((line[2:], ""))
        elif line.startswith("> ") and exchanges and not exchanges[-1][1]:
            exchanges[-1] = (exchanges[-1][0] + line[2:], "")
        else:
            typed, answer = exchanges[-1]
            exchanges[-1] = (typed, answer + line)
    return exchanges


def form_of(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, form in VARYING.items():
        text = re.sub(pattern, form, text, flags=re.MULTILINE)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Shell:
    """One bash; `run(command)` returns what it printed, errors too."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.rest = b""

    def run(self, command: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        mark = b"\nend of the answer\n"
        self.process.stdin.write(command.encode() + b"\nprintf '\\nend of the answer\\n'\n")
        self.process.stdin.flush()
        until = time.monotonic() + SECONDS
        while mark not in self.rest:
            readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))
            if not readable:
                pytest.fail(f"no end of {command!r} within {SECONDS:g} s; it said {self.rest!r}")
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                pytest.fail(f"the shell ended at {command!r}; it said {self.rest!r}")
            self.rest += chunk
        answer, _, self.rest = self.rest.partition(mark)
        return answer.decode("utf-8", "replace")

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.stdin.close()
        self.process.stdout.close()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self.process.kill()
        self.process.wait()


class Player:
    """Plays pages in a folder of their own."""

    def __init__(self, directory: Path, start_server: Callable[..., Any]) -> None:
        self.directory = directory
        self.start_server = start_server
        self.server: Any = None
        self.ports: dict[str, str] = {}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STOMPSERVER_")}
        environment["PATH"] = str(Path(sys.executable).parent) + os.pathsep + environment["PATH"]
        environment["NODE_PATH"] = str(ROOT / "tests/interop/node/node_modules")
        environment["COLUMNS"] = "80"
        self.environment = environment
        self.shell = Shell(directory, environment)

    def in_a_checkout(self) -> None:
        """Go on as somebody who has run ``make run`` in this folder: the commands are in .venv-run, on no PATH."""
        ours = Path(sys.executable).parent
        (self.directory / ".venv-run").mkdir()
        (self.directory / ".venv-run/bin").symlink_to(ours)
        others = [folder for folder in self.environment["PATH"].split(os.pathsep) if Path(folder) != ours]
        self.shell.close()
        self.shell = Shell(self.directory, {**self.environment, "PATH": os.pathsep.join(others)})
        for command in ("stompserver", "stompctl"):
            assert self.shell.run(f"command -v {command}").strip() == ""

    def play(self, page: Path) -> None:
        self.play_blocks(blocks_of(page.read_text()))

    def play_blocks(self, blocks: list[Block]) -> None:
        for block in blocks:
            if block.title:
                (self.directory / block.title).write_text(self.ours(block.text))
            elif block.language == "console":
                for typed, answer in exchanges_of(block.text):
                    self.exchange(typed, answer)
            elif block.language == "log":
                for line in block.text.splitlines():
                    self.logged(line)

    def exchange(self, typed: str, answer: str) -> None:
        words = shlex.split(typed, comments=True)
        if words == ["make", "run"]:
            words = ["stompserver"]
        if words[:1] == ["stompserver"] and not any(word in NOT_A_START for word in words):
            self.start(words[1:])
            self.logged_lines(answer)
            return
        said = self.theirs(self.shell.run(self.ours(typed)))
        assert form_of(said) == form_of(answer), f"$ {typed}said\n{said}\nthe page says\n{answer}"

    def start(self, options: list[str]) -> None:
        if self.server is not None:
            self.server.stop()
        port = "61613"
        if "-p" in options:
            at = options.index("-p")
            port = options[at + 1]
            del options[at : at + 2]
        self.server = self.start_server(*options, "--monitor-interval=0.1", directory=self.directory)
        self.ports[port] = str(self.server.port)

    def logged_lines(self, text: str) -> None:
        for line in text.splitlines():
            self.logged(line)

    def logged(self, line: str) -> None:
        pattern = re.escape(form_of(line))
        for form, expression in {
            "TIME": r"\S+",
            "SESSION": "[0-9a-f]{32}",
            "NUMBER": r"\d{15,20}",
            "VERSION": r"\d[\w.]*",
        }.items():
            pattern = pattern.replace(form, expression)
        self.server.wait_for_log(self.ours(pattern))

    def ours(self, text: str) -> str:
        """The text with the ports of this run."""
        for port in PORT.findall(text):
            self.ports.setdefault(port, str(free_port()))
        return PORT.sub(lambda match: self.ports[match[0]], text)

    def theirs(self, text: str) -> str:
        """The text with the ports of the page."""
        for port, ours in self.ports.items():
            text = re.sub(rf"\b{ours}\b", port, text)
        return text

    def close(self) -> None:
        daemons = list(self.directory.rglob("*.pid"))
        own = self.server.process.pid if self.server is not None else 0
        self.shell.close()
        for pid_file in daemons:
            with contextlib.suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
                pid = int(pid_file.read_text())
                if pid != own:
                    process = psutil.Process(pid)
                    process.terminate()
                    process.wait(SECONDS)


@pytest.fixture
def player(tmp_path: Path, start_server: Callable[..., Any]) -> Iterator[Player]:
    """`player.play(path)` plays a page."""
    one = Player(tmp_path, start_server)
    yield one
    one.close()


@pytest.fixture
def blocks() -> Callable[[str], list[Block]]:
    """The fenced blocks of a text."""
    return blocks_of
