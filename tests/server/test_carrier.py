"""A connection whose octets are carried by something else, and transports that know no half-close."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.errors import ClientError, ProtocolError

MIB = 1024 * 1024
MakeShell = Callable[..., Any]
HELLO = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"
END = b"\xff\xff"
PING, PONG = b"\xff\xfe", b"\xff\xfd"


def veiled(data: bytes) -> bytes:
    return bytes(octet ^ 0x5A for octet in data)


def packed(data: bytes) -> bytes:
    """Units of at most 1000 octets: their length in two, then the octets, each veiled."""
    units = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    return b"".join(len(unit).to_bytes(2, "big") + veiled(unit) for unit in units)


class Units:
    """A carrier of such units; END says that no more come, PING is answered with PONG."""

    def __init__(self) -> None:
        self.ended = False
        self.fault: ProtocolError | None = None
        self.holds = 0
        self.more = False
        self.credentials: tuple[str | None, str | None] | None = None
        self._rest = b""
        self._answers: list[bytes] = []

    def greeting(self) -> bytes:
        return b"hello\n"

    def received(self, data: bytes) -> bytes:
        self._rest += data
        found = b""
        while len(self._rest) >= 2 and not self.ended:
            length = int.from_bytes(self._rest[:2], "big")
            if self._rest[:2] in (END, PING):
                self.ended = self._rest[:2] == END
                self._answers += [PONG] * (not self.ended)
                length = 0
            elif length > 1000:
                self.fault = ProtocolError(
                    "No such unit",
                    where="the carrier",
                    rule="Units have 1000 octets",
                    fix="Send shorter ones.",
                )
                self.ended = True
                break
            elif len(self._rest) < 2 + length:
                break
            found += veiled(self._rest[2 : 2 + length])
            self._rest = self._rest[2 + length :]
        return found

    def wrapped(self, pieces: list[bytes]) -> list[bytes]:
        answers, self._answers = self._answers, []
        return answers + [packed(piece) for piece in pieces]

    def tick(self, now: float, beats: bool) -> float | None:
        return None

    def grow(self, limit: int) -> None:
        assert limit > 64 * 1024

    def farewell(self, error: ClientError | None, ours: bool) -> bytes:
        return b"bye\n"

    def close(self) -> None:
        self.ended = True


def said(got: bytes) -> tuple[bytes, bytes]:
    """What the server said in STOMP, and what is left behind the units."""
    assert got.startswith(b"hello\n")
    rest, stomp = got[6:], b""
    while rest and rest[:2] != b"by":
        length = int.from_bytes(rest[:2], "big")
        if rest[:2] == PONG:
            length = 0
        stomp += veiled(rest[2 : 2 + length])
        rest = rest[2 + length :]
    return stomp, rest


def send(body: bytes, destination: bytes = b"/queue/a", more: bytes = b"") -> bytes:
    return b"SEND\ndestination:%b\n%bcontent-length:%d\n\n%b\0" % (destination, more, len(body), body)


@pytest.mark.parametrize("cut", [1, 2, 7, 5000])
def test_what_a_carrier_brings_is_what_a_plain_connection_brings(shell: MakeShell, cut: int) -> None:
    here = shell()
    client = here.open(carrier=Units())
    assert client.got == b"hello\n", "said before anything is asked"
    stream = packed(
        HELLO
        + b"SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0"
        + send(b"x" * 2500, more=b"receipt:r\n")
        + b"DISCONNECT\nreceipt:bye\n\n\0"
    )
    client.send(*[stream[start : start + cut] for start in range(0, len(stream), cut)])
    stomp, rest = said(client.got)
    assert stomp.startswith(b"CONNECTED\nversion:1.2\n")
    assert b"\n\n" + b"x" * 2500 + b"\0" in stomp
    assert b"RECEIPT\nreceipt-id:r\n\n\0" in stomp
    assert stomp.endswith(b"RECEIPT\nreceipt-id:bye\n\n\0\n")
    assert rest == b"bye\n"
    assert client.half_closed


def test_a_carrier_answers_for_itself(shell: MakeShell) -> None:
    here = shell(heart_beat="0,1000")
    client = here.open(carrier=Units())
    client.send(packed(HELLO.replace(b"\n\n", b"\nheart-beat:1000,0\n\n")))
    before = client.got
    here.advance(5.9)
    client.send(PING)
    assert client.got == before + PONG
    here.advance(5.9)
    assert client.got == before + PONG, "it was a sign of life"


def test_what_a_carrier_does_not_understand_is_an_error_of_its_client(shell: MakeShell) -> None:
    here = shell()
    client = here.open(carrier=Units())
    client.send(packed(HELLO))
    client.send(b"\x80\0" + bytes(100))
    stomp, rest = said(client.got)
    assert b"ERROR\nmessage:No such unit\n" in stomp
    assert rest == b"bye\n"
    assert client.half_closed


def test_the_end_of_a_carrier_is_the_end_of_the_stream(shell: MakeShell) -> None:
    here = shell()
    client = here.open(carrier=Units())
    client.send(
        packed(HELLO + send(b"one", more=b"receipt:r\n") + b"SEND\ndestination:/queue/a\n\nhalf") + END
    )
    stomp, rest = said(client.got)
    assert stomp.endswith(b"RECEIPT\nreceipt-id:r\n\n\0\n")
    assert rest == b"bye\n"
    assert client.lost and not client.aborted


def test_what_waits_for_memory_has_been_through_the_carrier_once(shell: MakeShell) -> None:
    """What a producer is judged by is STOMP, not what carries it, and the end waits for it."""
    here = shell(memory_limit=MIB)
    first = here.connect()
    first.send(send(b"x" * 900_000))
    carried = here.open(carrier=Units())
    carried.send(packed(HELLO))
    carried.send(packed(send(b"late", more=b"receipt:late\n")) + END)
    assert not carried.reading
    assert b"RECEIPT" not in said(carried.got)[0]
    consumer = here.connect()
    consumer.send(b"SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0")
    here.turn(5)
    stomp, rest = said(carried.got)
    assert b"RECEIPT\nreceipt-id:late\n" in stomp
    assert rest == b"bye\n"
    assert consumer.bodies()[-1] == b"late"


# Transports without a half-close, as TLS ones are


def test_an_error_closes_a_transport_that_has_no_half_close(
    shell: MakeShell, caplog: pytest.LogCaptureFixture
) -> None:
    here = shell()
    client = here.open(half_closes=False)
    client.send(HELLO + b"NONSENSE\n\n\0")
    assert "NONSENSE" in client.error()
    assert client.closing and not client.half_closed and not client.aborted
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_closed_transport_that_is_not_let_go_is_cut_after_the_linger(shell: MakeShell) -> None:
    here = shell(linger=2)
    client = here.open(half_closes=False)
    client.send(HELLO)
    client.stalled = True
    client.send(b"NONSENSE\n\n\0")
    here.advance(1.9)
    assert client.closing and not client.aborted and not client.lost
    here.advance(0.2)
    assert client.aborted and client.lost


def test_the_end_of_a_stream_is_answered_before_it_closes(shell: MakeShell) -> None:
    here = shell()
    client = here.open(half_closes=False)
    client.send(HELLO)
    client.protocol.data_received(send(b"one", more=b"receipt:r\n"))
    client.end()
    assert client.receipts() == [b"r"]
    assert client.lost and not client.aborted


class Parts(Units):
    """Gives one unit at a time, as WebSocket does of what is compressed."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self._parts: list[bytes] = []

    @property
    def more(self) -> bool:  # type: ignore[override]
        return bool(self._parts) and not self.ended

    @more.setter
    def more(self, value: bool) -> None:
        pass

    def received(self, data: bytes) -> bytes:
        self.asked += 1
        if data:
            self._parts += [data[start : start + 1002] for start in range(0, len(data), 1002)]
        return super().received(self._parts.pop(0)) if self._parts else b""


def test_nothing_more_is_made_of_what_was_read_after_an_error(shell: MakeShell) -> None:
    here = shell()
    carrier = Parts()
    client = here.open(carrier=carrier)
    client.send(packed(HELLO))
    client.send(packed(b"NO COMMAND\n\n\0" + bytes(50_000)))
    here.turn(100)
    assert b"ERROR\n" in said(client.got)[0]
    assert carrier.asked < 5


def test_who_reads_nothing_and_is_lost_has_all_done_that_was_read(shell: MakeShell) -> None:
    here = shell()
    client = here.open(carrier=Parts())
    client.send(packed(HELLO))
    client.stalled = True
    client.send(packed(send(b"", more=b"receipt:" + b"r" * 2000 + b"\n") * 300))
    here.turn(2000)
    queue = here.server.broker.queues["/queue/a"]
    assert 0 < queue.waiting < 300, "its answers are too many"
    client.drop()
    here.turn(2000)
    assert queue.waiting == 300
