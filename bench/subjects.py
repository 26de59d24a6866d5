"""The servers that can be measured.  A new one is one more record, here or in `peers.py`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.confirmed.servers import SERVERS
from bench.peers import PEERS
from bench.subject import Subject

ROOT = Path(__file__).resolve().parent.parent
FORGETS = "keeps messages in memory, a restart forgets them"
IN_MEMORY = dict.fromkeys(
    ("backlog", "million", "persistent", "persistent-fill", "confirmed", "confirmed-fill"), FORGETS
)


@dataclass(frozen=True, slots=True)
class Home:
    """Where a stompserver is: an interpreter, and what to put before its own packages (empty: nothing)."""

    python: str = sys.executable
    path: str = str(ROOT / "src")

    def missing(self) -> str:
        if self.path and not (Path(self.path) / "stompserver" / "__main__.py").exists():
            return f"{self.path}/stompserver/__main__.py does not exist"
        return "" if Path(self.python).exists() else f"{self.python} does not exist"

    def compiled(self) -> bool:
        """Whether the server says so of itself."""
        path = {"PYTHONPATH": self.path} if self.path else {}
        done = subprocess.run(
            [self.python, "-m", "stompserver", "--version"],
            env={**os.environ, **path},
            capture_output=True,
            text=True,
            check=False,
        )
        return "(compiled)" in done.stdout


SOURCE = Home()
STORES: dict[str, Sequence[str]] = {
    "": (),
    "-asyncio": ("--loop", "asyncio"),
    "-lmdb": ("-q", "lmdb"),
    "-file": ("-q", "file"),
    "-sqlite": ("-q", "activerecord"),
    "-dbm": ("-q", "dbm"),
}


def stompserver(name: str, home: Home, options: Sequence[str] = ()) -> Subject:
    """The server of `home` with further options."""
    return Subject(
        name=name,
        command=lambda port, directory: [
            *(home.python, "-m", "stompserver", "-b", "127.0.0.1", "-p", str(port), "-w", str(directory)),
            *options,
        ],
        environment={"PYTHONPATH": home.path} if home.path else {},
        missing=home.missing,
        # An LMDB with a million messages may take its time.
        start_seconds=60,
        # One file a message: what was taken is forgotten so slowly that the answer to a DISCONNECT waits for it.
        patience=60 if "file" in options else 10,
        cannot={} if "-q" in options else IN_MEMORY,
    )


def known(home: Home = SOURCE) -> dict[str, Subject]:
    """All subjects by name; `stompserver*` are of `home`, `stompserver*-pure` of the source."""
    own = [stompserver(f"stompserver{store}", home, options) for store, options in STORES.items()]
    pure = [stompserver(f"stompserver{store}-pure", SOURCE, STORES[store]) for store in ("", "-lmdb")]
    return {subject.name: subject for subject in (*own, *pure, *YARDSTICKS, *PEERS.values(), *SERVERS)}


def prototype_directory() -> Path:
    """Where the prototype of the design lies: BENCH_PROTOTYPE, else beside the repository."""
    return Path(os.environ.get("BENCH_PROTOTYPE") or ROOT.parent / "shared" / "prototype").resolve()


def _prototype_missing() -> str:
    run = prototype_directory() / "run.py"
    return "" if run.exists() else f"{run} does not exist (set BENCH_PROTOTYPE to its directory)"


YARDSTICKS = (
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
            "clients": "understands the benchmark's own frames only",
            **IN_MEMORY,
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
            "cumulative": "copies bytes, knows no acknowledgements",
            "clients": "copies bytes, knows no acknowledgements",
            "persistent": "copies bytes, holds none",
            "persistent-fill": "copies bytes, holds none",
            "million": "copies bytes, holds none",
            "transactions": "copies bytes, knows no transactions",
            "crowd": "copies all bytes to everybody",
            "growth": "copies all bytes to everybody",
        },
    ),
    Subject(
        name="echo",
        command=lambda port, directory: [
            "/bin/sh",
            "-c",
            f'cc -O2 -o "$1/echo" "$2" && exec "$1/echo" {port}',
            "echo",
            str(directory),
            str(ROOT / "bench" / "echo.c"),
        ],
        missing=lambda: "" if shutil.which("cc") else "there is no C compiler",
        # A read of more than one frame would be too much for it.
        only=("latency",),
    ),
)

SUBJECTS = known()
