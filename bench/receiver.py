"""Counting what arrives, one scan per read, and checking the number of every message."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any, Protocol

from bench.frames import DIGITS, numbers

BUFFER_BYTES = 256 * 1024
TAIL_SHOWN = 300


class CountError(Exception):
    """A message was lost, repeated, reordered or damaged, or the server fell silent: a worthless run."""


class Receiver(Protocol):
    """Reads a socket and counts the numbered frames in what came."""

    count: int

    def read(self, sock: socket.socket) -> bytes:
        """Read once; return the acknowledgements to send (empty when none)."""


class FrameCounter:
    """Counts small frames: one compiled `findall` per read finds all numbers, one comparison checks them.

    With `total`, frames must come in order 0, 1, 2 ... and each read is checked at once; without it the
    numbers are kept in `found` for a check after the clock has stopped.  `acks` answers each frame's `ack`
    header; `cumulative` answers every so many messages, and the last, by one ACK of STOMP 1.1.  The body must hold no
    NUL and no line that starts like the header.
    """

    def __init__(
        self, total: int | None, *, header: bytes = b"seq", acks: bool = False, cumulative: int = 0
    ) -> None:
        self.count = 0
        self.found: list[bytes] = []
        self.expected = numbers(total) if total is not None else None
        self.acks = acks
        self._find: Callable[[Any, int, int], list[bytes]] = re.compile(
            rb"\n%s:(\d{%d})" % (header, DIGITS)
        ).findall
        self.total = total
        self.cumulative = cumulative
        self._find_ids: Callable[[Any, int, int], list[bytes]] = re.compile(rb"\nmessage-id:([^\n]*)").findall
        self._find_acks: Callable[[Any, int, int], list[bytes]] = re.compile(rb"\nack:([^\n]*)").findall
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._end = 0

    def read(self, sock: socket.socket) -> bytes:
        buffer, start = self._buffer, self._filled
        size = sock.recv_into(self._view[start:])
        if size == 0:
            raise CountError(f"the server closed the connection after {self.count:,} frames{self.tail()}")
        filled = start + size
        end = buffer.rfind(b"\0", start, filled) + 1
        if end == 0:
            if filled == BUFFER_BYTES:
                raise CountError(f"{filled:,} bytes without the end of a frame")
            self._filled = filled
            return b""
        found = self._find(buffer, 0, end)
        if self.expected is None:
            self.found += found
        else:
            first = self.count * DIGITS
            digits = b"".join(found)
            if self.expected[first : first + len(digits)] != digits:
                raise CountError(explain(self.count, found, len(self.expected) // DIGITS))
        self.count += len(found)
        answer = b""
        if self.acks:
            answer = self._answer(end, len(found))
        elif self.cumulative:
            answer = self._answer_up_to(end, len(found))
        rest = filled - end
        if rest:
            buffer[:rest] = buffer[end:filled]
        self._filled = rest
        self._end = end
        return answer

    def _answer(self, end: int, wanted: int) -> bytes:
        ids = self._find_acks(self._buffer, 0, end)
        if len(ids) != wanted:
            raise CountError(f"{wanted} messages came with {len(ids)} ack headers{self.tail()}")
        return b"ACK\nid:" + b"\n\n\0ACK\nid:".join(ids) + b"\n\n\0" if ids else b""

    def _answer_up_to(self, end: int, wanted: int) -> bytes:
        """Acknowledge each `cumulative`-th message of the stream, and so all before it, and the last."""
        ids = self._find_ids(self._buffer, 0, end)
        if len(ids) != wanted:
            raise CountError(f"{wanted} messages came with {len(ids)} message-id headers{self.tail()}")
        before = self.count - wanted
        due = [
            ids[at] for at in range(self.cumulative - 1 - before % self.cumulative, wanted, self.cumulative)
        ]
        if self.count == self.total and self.count % self.cumulative:
            due.append(ids[-1])
        return b"".join([b"ACK\nsubscription:1\nmessage-id:%s\n\n\0" % id for id in due])

    def tail(self) -> str:
        """The last bytes of the last read, for an error message: an ERROR frame is there if one came."""
        last = bytes(self._buffer[max(0, self._end - TAIL_SHOWN) : self._end])
        return f"; last bytes read: {last!r}" if last else ""


class BodySkipper:
    """Counts large frames: reads header blocks, then lets `content-length` bytes pass unread.

    Checks the order and number of each frame, and that a NUL stands where its length says.
    """

    def __init__(self, total: int) -> None:
        self.count = 0
        self.total = total
        self._buffer = bytearray(4 * BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._missing = 0

    def read(self, sock: socket.socket) -> bytes:
        buffer = self._buffer
        size = sock.recv_into(self._view[self._filled :])
        if size == 0:
            raise CountError(f"the server closed the connection after {self.count:,} frames")
        filled = self._filled + size
        at = 0
        while at < filled:
            if self._missing:
                step = min(self._missing, filled - at)
                at += step
                self._missing -= step
                if self._missing:
                    break
                if buffer[at - 1]:
                    raise CountError(
                        f"frame {self.count:,} does not end with NUL where its content-length says"
                    )
                self.count += 1
            elif buffer[at] == 10:
                at += 1
            else:
                blank = buffer.find(b"\n\n", at, filled)
                if blank < 0:
                    break
                self._head(bytes(buffer[at : blank + 1]))
                at = blank + 2
        rest = filled - at
        if rest:
            buffer[:rest] = buffer[at:filled]
        self._filled = rest
        return b""

    def _head(self, head: bytes) -> None:
        length = re.search(rb"\ncontent-length:(\d+)\n", head)
        number = re.search(rb"\nseq:(\d+)\n", head)
        if length is None or number is None:
            raise CountError(f"a frame without content-length or seq: {head[:TAIL_SHOWN]!r}")
        if int(number[1]) != self.count:
            raise CountError(explain(self.count, [number[1]], self.total))
        self._missing = int(length[1]) + 1


def explain(seen: int, found: list[bytes], total: int) -> str:
    """What is wrong with the numbers in `found` when `seen`, `seen + 1` ... were due."""
    for due, digits in enumerate(found, seen):
        number = int(digits)
        if due >= total:
            return f"message {number:,} came after all {total:,} had been received: a duplicate"
        if number < due:
            return (
                f"message {number:,} came again (or late) when {due:,} was due: a duplicate or out of order"
            )
        if number > due:
            return f"message {number:,} came when {due:,} was due: {number - due:,} lost or out of order"
    return "the numbers are in order"


def check_collected(found: list[bytes], wanted: list[bytes], where: str) -> None:
    """Raise CountError unless the numbers gathered, in any order, are those that were to come."""
    if sorted(found) == sorted(wanted):
        return
    lost = set(wanted) - set(found)
    foreign = set(found) - set(wanted)
    twice = len(found) - len(set(found))
    raise CountError(
        f"{where}: {len(lost):,} lost, {twice:,} received twice, {len(foreign):,} belong elsewhere"
    )
