"""The servers that can be measured.  A new peer is one more record in this file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FORGETS = "keeps messages in memory, a restart forgets them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """How to start one server and how to talk to it.

    `command(port, directory)` gives the arguments; `directory` is empty, temporary and the working
    directory, so a peer that needs configuration files writes them there.  It is ready when a CONNECT is
    answered by CONNECTED.
    """

    name: str
    command: Callable[[int, Path], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: Callable[[], str] = lambda: ""
    """Why it cannot be started on this machine; empty when it can."""
    start_seconds: float = 15.0
    warm_up_seconds: float = 0.5
    """Load before the first counted round of each scenario; a JVM wants 20."""
    version: str = "1.2"
    connect_headers: tuple[tuple[str, str], ...] = (("host", "localhost"),)
    subscribe_headers: tuple[tuple[str, str], ...] = ()
    prefetch_header: str = "prefetch-count"
    queue_prefix: str = "/queue/"
    topic_prefix: str = "/topic/"
    cannot: Mapping[str, str] = field(default_factory=dict)
    """Scenario -> reason, for what it cannot do: the table shows a dash and the reason, never a zero."""


def prototype_directory() -> Path:
    """Where the prototype of the design lies: BENCH_PROTOTYPE, else beside the repository."""
    return Path(os.environ.get("BENCH_PROTOTYPE") or ROOT.parent / "shared" / "prototype").resolve()


def _prototype_missing() -> str:
    run = prototype_directory() / "run.py"
    return "" if run.exists() else f"{run} does not exist (set BENCH_PROTOTYPE to its directory)"


def _stompserver_missing() -> str:
    return (
        ""
        if (ROOT / "src" / "stompserver" / "__main__.py").exists()
        else "src/stompserver/__main__.py does not exist"
    )


def _stompserver(name: str, *options: str) -> Subject:
    return Subject(
        name=name,
        command=lambda port, directory: [
            *(sys.executable, "-m", "stompserver", "-b", "127.0.0.1", "-p", str(port), "-w", str(directory)),
            *options,
        ],
        environment={"PYTHONPATH": str(ROOT / "src")},
        missing=_stompserver_missing,
        cannot={} if "-q" in options else {"backlog": FORGETS},
    )


SUBJECTS: dict[str, Subject] = {
    subject.name: subject
    for subject in (
        _stompserver("stompserver"),
        _stompserver("stompserver-asyncio", "--loop", "asyncio"),
        _stompserver("stompserver-lmdb", "-q", "lmdb"),
        _stompserver("stompserver-file", "-q", "file"),
        _stompserver("stompserver-sqlite", "-q", "activerecord"),
        _stompserver("stompserver-dbm", "-q", "dbm"),
        Subject(
            name="prototype",
            command=lambda port, directory: [
                sys.executable,
                str(prototype_directory() / "run.py"),
                str(port),
            ],
            environment={"PYTHONDONTWRITEBYTECODE": "1"},
            missing=_prototype_missing,
            cannot={
                "fanout5": "has no topics",
                "backlog": FORGETS,
            },
        ),
        Subject(
            name="relay",
            command=lambda port, directory: [sys.executable, str(ROOT / "bench" / "relay.py"), str(port)],
            cannot={
                "individual": "copies bytes, knows no acknowledgements",
                "receipt": "copies bytes, knows no receipts",
                "fill": "copies bytes, knows no receipts",
                "drain": "copies bytes, holds none",
                "backlog": "copies bytes, holds none",
                "queues": "copies bytes, knows no queues",
                "idle": "holds nothing for a connection",
            },
        ),
    )
}
