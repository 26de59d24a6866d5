"""What a receipt promises: the disk was told to keep the message before the client is told that it is kept.

Seen from outside, in the system calls of a server that runs under strace.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

READS = ("read", "recvfrom", "recvmsg")
WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2")
SAYS = (*WRITES, "sendto", "sendmsg")
SYNCS = ("fsync", "fdatasync", "msync", "sync_file_range")
SHOWN = 9000  # octets of each argument that strace writes down: more than a page of a store

LINE = re.compile(r"(?P<thread>\d+) +(?P<text>.*)")
UNFINISHED = re.compile(r" *<unfinished \.\.\.>$")
RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
CALL = re.compile(r"(?P<name>\w+)\((?:\d+<(?P<path>[^>]*)>)?(?P<rest>.*)\) += (?P<result>-?\d+|\?)")


class Call(NamedTuple):
    """A system call, with the numbers of the lines where it began and where it ended."""

    name: str
    path: str
    text: str
    good: bool
    began: int
    ended: int


def parsed(trace: str) -> list[Call]:
    """The calls in the order of their ends; those that never ended are left out."""
    found: list[Call] = []
    open_calls: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(trace.splitlines()):
        parts = LINE.fullmatch(line)
        if parts is None:
            continue
        thread, text = parts["thread"], parts["text"]
        began = number
        if UNFINISHED.search(text):
            open_calls[thread] = (number, UNFINISHED.sub("", text))
            continue
        if resumed := RESUMED.match(text):
            began, start = open_calls.pop(thread)
            text = start + text[resumed.end() :]
        if call := CALL.match(text):
            good = call["result"].isdigit()
            found.append(Call(call["name"], call["path"] or "", call["rest"], good, began, number))
    return found


class Traced:
    """A server under strace; ``calls`` stops it."""

    def __init__(self, server: Any, trace: Path, storage: Path) -> None:
        self.server = server
        self.trace = trace
        self.storage = str(storage)
        self._calls: list[Call] = []

    def calls(self) -> list[Call]:
        # The tracer has the server's stderr too: when that has ended, so has the trace.
        if not self._calls:
            self.server.stop()
            self._calls = parsed(self.trace.read_text("ascii", "replace"))
        return self._calls

    def syncs(self, after: int, before: int | None = None) -> list[Call]:
        """The successful syncs of the storage that began and ended between two lines."""
        return [
            call
            for call in self.calls()
            if call.name in SYNCS and call.good and call.path.startswith(self.storage)
            if call.began > after and (before is None or call.ended < before)
        ]

    def written(self, after: int, before: int) -> list[Call]:
        """The writes to files of the storage that ended between two lines."""
        return [
            call
            for call in self.calls()
            if call.name in WRITES and call.path.startswith(self.storage) and after < call.ended < before
        ]

    def between(self, receipt: str) -> tuple[int, int]:
        """The lines where the frame that asks for the receipt had been read, and where its RECEIPT began."""
        (asked,) = [
            call for call in self.calls() if call.name in READS and f"receipt:{receipt}\\n" in call.text
        ]
        (given,) = [
            call for call in self.calls() if call.name in SAYS and f"receipt-id:{receipt}\\n" in call.text
        ]
        assert asked.ended < given.began
        return asked.ended, given.began

    def check(self, receipt: str, body: str = "") -> None:
        """Whether all that was written for this receipt was synced before it, of which ``body`` is a part."""
        after, before = self.between(receipt)
        syncs = self.syncs(after, before)
        assert syncs, f"no sync before the receipt {receipt}"
        written = self.written(after, before)
        assert body in "".join(call.text for call in written)
        for call in written:
            assert any(sync.path == call.path and sync.began > call.ended for sync in syncs), call


@pytest.fixture
def traced(
    restart: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Traced]:
    """``traced(kind, *options)`` starts a server under strace."""
    if shutil.which("strace") is None:
        pytest.skip("no strace here: apt-get install strace")

    def start(kind: str, *options: str) -> Traced:
        trace = tmp_path / "trace"
        wanted = ",".join((*READS, *SAYS, *SYNCS))
        # -D: the server stays our child, and the signals that end it reach it instead of the tracer.
        command = ["strace", "-D", "-f", "-y", "-s", str(SHOWN), "-e", f"trace={wanted}", "-o", str(trace)]
        program = tmp_path / "python-under-strace"
        program.write_text(f'#!/bin/sh\nexec {shlex.join([*command, sys.executable])} "$@"\n')
        program.chmod(0o755)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", str(program))
            server = restart(kind, *options)
        return Traced(server, trace, tmp_path / ".stompserver")

    return start


@pytest.fixture
def told(traced: Callable[..., Traced], connect: Callable[[Any], Any]) -> Callable[..., Traced]:
    """``told(kind, *options)``: a server that gave the receipts ``sent`` and ``acked``, and is stopped."""

    def tell(kind: str, *options: str) -> Traced:
        here = traced(kind, *options)
        client = connect(here.server)
        client.send("SEND\ndestination:/queue/a\nreceipt:sent\n\nthe body of it\0")
        client.expect("RECEIPT", "sent")
        client.subscribe("/queue/a", "client-individual")
        frame = client.expect("MESSAGE")
        client.send(f"ACK\nid:{frame.headers['ack']}\nreceipt:acked\n\n\0")
        client.expect("RECEIPT", "acked")
        here.calls()
        return here

    return tell


@pytest.mark.every_kind
def test_receipts_come_after_the_sync(kind: str, told: Callable[..., Traced]) -> None:
    here = told(kind)
    here.check("sent", "the body of it")
    here.check("acked")


def test_with_a_checkpoint_receipts_do_not_wait_for_it(kind: str, told: Callable[..., Traced]) -> None:
    here = told(kind, "-c", "3600")
    for receipt in ("sent", "acked"):
        after, before = here.between(receipt)
        # Some sync what makes a later loss small, before they write: the directory of a new log, LMDB's data pages.
        if kind in ("lmdb", "dbm"):
            after = max(call.ended for call in here.written(after, before))
        assert here.syncs(after, before) == []
    with pytest.raises(AssertionError, match=r"no sync before the receipt sent|Call\("):
        here.check("sent", "the body of it")
    _, last = here.between("acked")
    assert here.syncs(last), "no sync when the server stopped"


def test_memory_has_nothing_to_sync(told: Callable[..., Traced]) -> None:
    """And so the tests above can fail."""
    here = told("memory")
    assert here.syncs(-1) == []
    with pytest.raises(AssertionError, match="no sync before the receipt sent"):
        here.check("sent")


def test_calls_of_threads_are_told_apart() -> None:
    """A sync counts from its begin to its end, wherever other threads' calls come between."""
    trace = (
        '7  read(5<socket:[1]>, "SEND", 9)  = 4\n'
        "8  fdatasync(3</s/a> <unfinished ...>\n"
        '7  write(5<socket:[1]>, "RECEIPT", 7 <unfinished ...>\n'
        "8  <... fdatasync resumed>)         = 0\n"
        "7  <... write resumed>)             = 7\n"
        "8  fsync(3</s/b>)                   = -1 EIO (Input/output error)\n"
        "7  +++ exited with 0 +++\n"
    )
    found = [(call.name, call.path, call.good, call.began, call.ended) for call in parsed(trace)]
    assert found == [
        ("read", "socket:[1]", True, 0, 0),
        ("fdatasync", "/s/a", True, 1, 3),
        ("write", "socket:[1]", True, 2, 4),
        ("fsync", "/s/b", False, 5, 5),
    ]
