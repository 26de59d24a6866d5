"""Counting what arrives, one scan per read, and checking the number of every message."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any, Protocol

from bench.frames import DIGITS, numbers

BUFFER_BYTES = 256 * 1024
TAIL_SHOWN = 300
CUMULATIVE = 100
"""Messages that one ACK of a `client` subscription acknowledges."""


class CountError(Exception):
    """A message was lost, repeated, reordered or damaged, or the server fell silent: a worthless run."""


class Receiver(Protocol):
    """Reads a socket and counts the numbered frames in what came."""

    count: int

    def read(self, sock: socket.socket) -> bytes:
        """Read once; return the acknowledgements to send (empty when none)."""


class Ack:
    """ACK frames made of a frame with `{ack}` or `{message-id}`, or both, where that header of the MESSAGE goes."""

    def __init__(self, frame: bytes) -> None:
        self._before, *rest = re.split(rb"\{(ack|message-id)\}", frame)
        if not rest:
            raise ValueError(f"an ACK that names no message: {frame!r}")
        self._names, self._after = rest[::2], rest[1::2]
        self._finds: list[Callable[[Any, int, int], list[bytes]]] = [
            re.compile(rb"\n%b:([^\n]*)" % name).findall for name in self._names
        ]

    def values(self, buffer: bytes | bytearray, end: int, wanted: int) -> list[list[bytes]]:
        """One list for each header that is needed; raises CountError unless each has as many as are wanted."""
        found = [find(buffer, 0, end) for find in self._finds]
        for name, values in zip(self._names, found, strict=True):
            if len(values) != wanted:
                raise CountError(f"{wanted} messages came with {len(values)} {name.decode()} headers")
        return found

    def frames(self, values: list[list[bytes]]) -> bytes:
        """One ACK for each message that has a value in each list."""
        if not values[0]:
            return b""
        if len(values) == 1:
            return self._before + (self._after[0] + self._before).join(values[0]) + self._after[0]
        form = self._before + b"".join(b"%b" + after for after in self._after)
        return b"".join([form % row for row in zip(*values, strict=True)])


EACH = b"ACK\nid:{ack}\n\n\0"
"""Of STOMP 1.2."""
UP_TO = b"ACK\nsubscription:1\nmessage-id:{message-id}\n\n\0"
"""Of STOMP 1.1."""


class FrameCounter:
    """Counts small frames: one compiled `findall` per read finds all numbers, one comparison checks them.

    With `total`, frames must come in order 0, 1, 2 ... and each read is checked at once; without it the
    numbers are kept in `found` for a check after the clock has stopped.  `acks` answers each message by an ACK;
    `cumulative` every so many, and the last, by one.  `ack` is another frame for it than EACH, or UP_TO.
    The body must hold no NUL and no line that starts like the header.
    """

    def __init__(
        self,
        total: int | None,
        *,
        header: bytes = b"seq",
        acks: bool = False,
        cumulative: int = 0,
        ack: bytes = b"",
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
        self._ack = Ack(ack or (UP_TO if cumulative else EACH))
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
        return self._ack.frames(self._values(end, wanted))

    def _answer_up_to(self, end: int, wanted: int) -> bytes:
        """Acknowledge each `cumulative`-th message of the stream, and so all before it, and the last."""
        before = self.count - wanted
        first = self.cumulative - 1 - before % self.cumulative
        last = [wanted - 1] if self.count == self.total and self.count % self.cumulative else []
        due = [*range(first, wanted, self.cumulative), *last]
        return self._ack.frames([[values[at] for at in due] for values in self._values(end, wanted)])

    def _values(self, end: int, wanted: int) -> list[list[bytes]]:
        try:
            return self._ack.values(self._buffer, end, wanted)
        except CountError as error:
            raise CountError(f"{error}{self.tail()}") from None

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
