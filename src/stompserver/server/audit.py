"""The audit: who connected, was refused, managed or changed what, as JSON lines in a file of its own.

A line has ``time``, ``event``, and what is known of ``address``, ``connection``, ``login``; never a passcode. A
thread writes them, so a slow disk keeps nobody waiting. What is too much, of one address or in all, is counted, and
one line tells how many were left out.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stompserver.server.log_rate import TOLD, WINDOW
from stompserver.server.origin import origin_of
from stompserver.server.process.logs import shortened

log = logging.getLogger("stompserver")

MOST_WAITING: Final = 4 << 20
"""Bytes that wait to be written; lines beyond that are left out, and counted."""

MOST: Final = 1000
"""Lines of one event that one address may cause in WINDOW, where nothing else is said."""

MOST_OF: Final = {"refused": 100}

ALWAYS: Final = frozenset(("managed", "renewed", "reloaded", "reload_failed", "started", "stopped"))
"""Events that are left out only where there is no room."""

FLUSH: Final = 2.0
"""Seconds that the end of the server waits for what is still to be written."""

LONGEST: Final = 500
"""Characters of one field."""


class Audit:
    """Appends to the file ``path``. ``wall`` is Unix time in s. Raises OSError when it cannot be opened."""

    def __init__(
        self, path: Path, loop: asyncio.AbstractEventLoop, wall: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self._loop = loop
        self._wall = wall
        self._file = _open(path)
        self._changed = threading.Condition()
        self._lines: deque[tuple[bytes, int]] = deque()
        """Each with how many it stands for."""
        self._size = 0
        self._lost = 0
        self._writing = False
        self._ended = False
        self._failed = False
        self._counts: dict[tuple[str, str], int] = {}
        self._over: dict[tuple[str, str], int] = {}
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()

    def note(
        self, event: str, address: str = "", connection: str = "", login: str | None = None, **fields: object
    ) -> None:
        """Add a line, unless there were too many like it from that address."""
        if address and event not in ALWAYS and not self._allows(origin_of(address), event):
            return
        known = {"address": address, "connection": connection, "login": login or ""}
        self._add(event, {name: value for name, value in known.items() if value} | fields)

    def reopen(self, path: Path) -> None:
        """Go on in this file, which may be a new one of the same name. Raises OSError; the old one goes on then."""
        file = _open(path)
        with self._changed:
            old, self._file = self._file, file
            self.path = path
            os.close(old)

    def close(self) -> None:
        """Write what waits, within FLUSH s. Nothing is noted any more. May be called again."""
        if self._ended:
            return
        self._end(self._loop.time())
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join(FLUSH)
        if not self._thread.is_alive():
            os.close(self._file)

    def _allows(self, who: str, event: str) -> bool:
        now = self._loop.time()
        if now >= self._until:
            self._end(now)
        key = (who, event)
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count <= MOST_OF.get(event, MOST):
            return True
        self._over[key] = self._over.get(key, 0) + 1
        if self._timer is None:
            self._timer = self._loop.call_at(self._until, self._end, self._until)
        return False

    def _end(self, now: float) -> None:
        """A window is over: tell what was left out in it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._until = now + WINDOW
        self._counts.clear()
        over = sorted(self._over.items(), key=lambda each: each[1], reverse=True)
        self._over.clear()
        for (who, event), count in over[:TOLD]:
            self._add("omitted", {"address": who, "of": event, "count": count})
        if over[TOLD:]:
            self._add(
                "omitted", {"count": sum(count for _, count in over[TOLD:]), "addresses": len(over) - TOLD}
            )

    def _add(self, event: str, fields: dict[str, object]) -> None:
        line = _line(self._wall(), event, fields)
        with self._changed:
            if self._size + len(line) > MOST_WAITING:
                self._lost += 1
                return
            if self._lost:
                told = _line(self._wall(), "omitted", {"count": self._lost})
                self._lines.append((told, self._lost))
                self._lost = 0
                self._size += len(told)
            self._lines.append((line, 1))
            self._size += len(line)
            self._changed.notify_all()

    def _write(self) -> None:
        """What the thread does."""
        while True:
            with self._changed:
                while not self._lines and not self._ended:
                    self._changed.wait()
                if not self._lines:
                    return
                batch = b"".join([line for line, _ in self._lines])
                count = len(self._lines)
                file = os.dup(self._file)
            problem = _push(file, batch)
            os.close(file)
            with self._changed:
                for _ in range(count):
                    line, meant = self._lines.popleft()
                    self._size -= len(line)
                    if problem is not None:
                        self._lost += meant
                told = self._failed
                self._failed = problem is not None
                self._changed.notify_all()
            if problem is not None and not told:
                log.error(
                    "cannot write the audit %s: %s; what happens meanwhile is counted",
                    self.path,
                    problem.strerror,
                    extra={"event": "audit_failed"},
                )


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o640)


def _push(file: int, octets: bytes) -> OSError | None:
    view = memoryview(octets)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError as problem:
        return problem
    return None


def _line(now: float, event: str, fields: dict[str, object]) -> bytes:
    whole = int(now)
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((now - whole) * 1000):03d}Z"
    shown = {
        name: shortened(value, LONGEST) if isinstance(value, str) else value for name, value in fields.items()
    }
    return json.dumps({"time": when, "event": event, **shown}, default=str).encode() + b"\n"
