"""What keeps others from logging in, or has them cut off: wrong logins, and a server that was held up."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from bench.hostile.attack import Attack
from bench.hostile.stage import LOGIN, Stage
from bench.hostile.wire import HELLO, Wire, ready

WRONG = HELLO["1.2"] % b"login:nobody\npasscode:wrong\n"


LOGIN_SECONDS = 1.0
"""Below which a right login is to be answered."""


def right(stage: Stage) -> str:
    """How long a right login takes now."""
    start = time.monotonic()
    stage.missed = "late"
    stage.connect(headers=LOGIN)
    took = time.monotonic() - start
    if took < LOGIN_SECONDS:
        stage.missed = ""
    return f"a right login took {took:.2f} s"


def wrong(stage: Stage) -> str:
    """2,000 wrong logins at once, of clients that wait for the answer."""
    wires = [stage.connect(hello=False) for _ in range(stage.count(2000))]
    stage.begin()
    for wire in wires:
        wire.say(WRONG)
    return right(stage)


def abandoned(stage: Stage) -> str:
    """1,000 wrong logins by clients that hang up at once."""
    stage.begin()
    for _ in range(stage.count(1000)):
        wire = stage.connect(hello=False)
        wire.say(WRONG)
        wire.close(hard=True)
    return right(stage)


def beating(stage: Stage, count: int, hold: float, beats: bytes = b"heart-beat:1000,0\n") -> list[Wire]:
    """So many clients that send a heart-beat each half second while the server stands still for `hold` seconds.
    Those that are still connected afterwards.
    """
    wires = stage.connect_many(count, beats)
    stage.begin()
    os.kill(stage.process.pid, signal.SIGSTOP)
    end = time.monotonic() + hold
    while time.monotonic() < end:
        for wire in wires:
            wire.sock.send(b"\n")
        time.sleep(0.5)
    os.kill(stage.process.pid, signal.SIGCONT)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        for wire in wires:
            with suppress(OSError):
                wire.sock.send(b"\n")
        time.sleep(0.5)
    return [wire for wire in wires if not ready(wire.sock.fileno(), 0)]


def stopped(stage: Stage) -> str:
    """SIGSTOP for 12 s, as a suspended machine."""
    count = 50
    left = beating(stage, count, 12 * max(stage.scale, 0.05))
    stage.missed = "cut" if len(left) < count else ""
    return f"{count - len(left)} of {count} cut"


ATTACKS = (
    Attack("wrong logins", "2,000 wrong logins at once, then a right one", wrong, auth=True, seconds=120),
    Attack(
        "abandoned logins",
        "1,000 wrong logins that hang up, then a right one",
        abandoned,
        auth=True,
        seconds=60,
    ),
    Attack("stopped", "50 clients with heart-beats, the server stands still for 12 s", stopped, held=True),
)
