"""Lines written to a file that may not take them: a pipe or terminal that nobody reads must keep nobody waiting."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

MOST: Final = 1024 * 1024
"""Bytes that wait at most; lines beyond that are lost, and counted."""

PIECE: Final = 4096
"""Bytes that a pipe takes at once when it takes any (on Linux; POSIX has at least 512)."""

PAUSE: Final = 1.0
"""Seconds after which it is looked whether the file is another one now."""

REST: Final = 0.005
"""Seconds between two looks at a file that takes little at once."""


class Output:
    """Writes lines at once where the file takes them, as files on a disk do. Where it does not, lines wait, and a
    thread writes them when it does. Its calls may come from any thread.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._lost = 0
        self._say_lost: Callable[[int], bytes] | None = None
        self._number = -1
        self._thread: threading.Thread | None = None

    def write(self, number: int, line: bytes, say_lost: Callable[[int], bytes]) -> None:
        """Write ``line`` to the open file of that number. ``say_lost`` makes the line that tells how many were
        lost.
        """
        with self._changed:
            self._number = number
            self._say_lost = say_lost
            if not self._waiting:
                line = _push(number, line)
                if not line:
                    return
            elif self._size + len(line) > MOST:
                self._lost += 1
                return
            self._waiting.append(line)
            self._size += len(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._drain, name="log", daemon=True)
                self._thread.start()

    def flush(self, seconds: float) -> None:
        """Wait until nothing waits, but not longer than that."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._waiting and (rest := until - time.monotonic()) > 0:
                self._changed.wait(rest)

    def _drain(self) -> None:
        while True:
            _takes(self._number, PAUSE)
            with self._changed:
                while self._waiting:
                    first = self._waiting.popleft()
                    rest = _push(self._number, first)
                    self._size -= len(first) - len(rest)
                    if rest:
                        self._waiting.appendleft(rest)
                        break
                    if not self._waiting and self._lost and self._say_lost is not None:
                        told = self._say_lost(self._lost)
                        self._lost = 0
                        self._waiting.append(told)
                        self._size += len(told)
                else:
                    self._thread = None
                    self._changed.notify_all()
                    return
            time.sleep(REST)


def _push(number: int, octets: bytes) -> bytes:
    """Write as much as the file takes; returns the rest. What cannot be written at all is gone: nobody is left to
    tell.
    """
    while octets and _takes(number, 0):
        try:
            octets = octets[os.write(number, octets[:PIECE]) :]
        except BlockingIOError:
            break
        except OSError:
            return b""
    return octets


def _takes(number: int, seconds: float) -> bool:
    """Whether the file takes a piece, after at most that time. Also when writing fails at once."""
    poll = select.poll()
    with contextlib.suppress(OSError, ValueError):
        poll.register(number, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))
    return True
