"""What connections cost: memory of those that do nothing, and how fast new ones are made."""

from __future__ import annotations

import time
from contextlib import ExitStack

from bench import frames
from bench.case import Sample, open_link
from bench.link import dial
from bench.receiver import CountError
from bench.target import Target

AT_A_TIME = 50
GOODBYE = b"DISCONNECT\nreceipt:goodbye\n\n\0"


def idle(target: Target, connections: int) -> Sample:
    """Memory per connection that logged in and does nothing, in KiB; heart-beats off."""
    # First use of each code path loads and allocates things that later connections share.
    warm = [target.connect() for _ in range(50)]
    for link in warm:
        link.goodbye()
    rss_before, pss_before = target.memory()
    cpu, own, start = target.cpu_seconds(), time.process_time(), time.perf_counter()
    with ExitStack() as stack:
        for _ in range(connections):
            open_link(stack, target)
        seconds = time.perf_counter() - start
        own = time.process_time() - own
        server = target.cpu_seconds() - cpu
        rss, pss = target.memory()
    values = {
        "idle RSS": (rss - rss_before) / connections / 1024,
        "idle PSS": (pss - pss_before) / connections / 1024,
    }
    return Sample(values, connections, seconds, own / seconds, server / seconds)


def connect_rate(target: Target, connections: int) -> Sample:
    """Connect, log in, DISCONNECT with a receipt, close; 50 connections at a time."""
    subject = target.subject
    connect = frames.connect(subject.version, subject.connect_headers)
    cpu, own, start = target.cpu_seconds(), time.process_time(), time.perf_counter()
    for first in range(0, connections, AT_A_TIME):
        with ExitStack() as stack:
            count = min(AT_A_TIME, connections - first)
            socks = [stack.enter_context(dial(target.port, subject.patience)) for _ in range(count)]
            for words, answer in ((connect, b"CONNECTED\n"), (GOODBYE, b"RECEIPT\n")):
                for sock in socks:
                    sock.sendall(words)
                for sock in socks:
                    data = b""
                    while b"\0" not in data:
                        more = sock.recv(65536)
                        if not more:
                            raise CountError(f"the server closed the connection: {data[-300:]!r}")
                        data += more
                    if not data.lstrip(b"\n").startswith(answer):
                        raise CountError(f"expected {answer.decode().strip()}, got {data[:300]!r}")
    seconds = time.perf_counter() - start
    own = time.process_time() - own
    server = target.cpu_seconds() - cpu
    return Sample({"connects": connections / seconds}, connections, seconds, own / seconds, server / seconds)
