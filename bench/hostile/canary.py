"""The client beside an attack: it sends itself one message at a time. `python -m bench.hostile.canary PORT HEADERS`.

`begin` on standard input forgets what was measured; `end` has it print a line of JSON: `count`, `longest` and `p99`
in seconds of the messages that came since, and for how long it has been `waiting` for the last one.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

from bench.hostile.wire import Wire, send, subscribe
from bench.latency import percentile

PAUSE = 0.001
"""Seconds between two messages: it shall not be the load."""
FOREVER = 86400.0


class Canary:
    def __init__(self, port: int, headers: bytes) -> None:
        self.wire = Wire(port, time.monotonic() + 30, headers=headers)
        self.wire.until = time.monotonic() + FOREVER
        self.wire.done(subscribe(b"/queue/canary"))
        self.times: list[int] = []
        self.began = 0

    def run(self) -> None:
        print("ready", flush=True)
        sock = self.wire.sock
        frame = send(b"/queue/canary", b"chirp")
        told = b""
        while True:
            self.began = time.perf_counter_ns()
            sock.send(frame)
            got = b""
            while b"chirp\0" not in got:
                for ready in select.select([sock.fileno(), 0], [], [])[0]:
                    if ready:
                        data = sock.recv(65536)
                        if not data:
                            sys.exit("the server closed the connection")
                        got += data
                    else:
                        told = self.told(told)
            self.times.append(time.perf_counter_ns() - self.began)
            self.began = 0
            if select.select([0], [], [], PAUSE)[0]:
                told = self.told(told)

    def told(self, before: bytes) -> bytes:
        """Do what standard input says; the rest of its last line."""
        data = os.read(0, 1024)
        if not data:
            sys.exit(0)
        *lines, rest = (before + data).split(b"\n")
        for line in lines:
            if line == b"begin":
                self.times.clear()
            else:
                waiting = time.perf_counter_ns() - self.began if self.began else 0
                times = sorted(self.times)
                found = {
                    "count": len(times),
                    "longest": times[-1] / 1e9 if times else 0.0,
                    "p99": percentile(times, 0.99) / 1e9 if times else 0.0,
                    "waiting": waiting / 1e9,
                }
                print(json.dumps(found), flush=True)
        return rest


if __name__ == "__main__":
    Canary(int(sys.argv[1]), sys.argv[2].encode()).run()
