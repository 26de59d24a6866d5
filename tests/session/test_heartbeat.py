"""Time as plain numbers: the login timeout and heart-beats both ways."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.errors import ProtocolError
from stompserver.session.heartbeat import LONGEST, parse

WEEK = 7 * 24 * 3600.0


def connect(new_world: Any, client: str, server: tuple[int, int], version: str = "1.2") -> Any:
    """A peer that asked for ``client``; its CONNECTED is out."""
    peer = new_world(heart_beat=server).stranger()
    hello = f"CONNECT\naccept-version:{version}\nhost:h\nheart-beat:{client}\n\n\0"
    reply = peer.get(hello.encode(), "CONNECTED")
    assert reply["heart-beat"] == f"{server[0]},{server[1]}", "what we can and want, not what follows from it"
    return peer


def run(peer: Any, seconds: float, hear: bool = True) -> list[tuple[float, bytes]]:
    """What is written and when, with the timer as its only cause; ``hear``: the client never seems dead."""
    start, written = peer.now, []
    while True:
        if hear:
            peer.session.receive(b"\n", peer.now)
        due = peer.session.tick(peer.now)
        octets = peer.take()
        if octets:
            written.append((peer.now - start, octets))
            peer.session.written(peer.now)
        if due is None or due > start + seconds:
            return written
        assert due > peer.now, "a timer that does not move"
        peer.now = due


# The login


@pytest.mark.parametrize("timeout", [0.5, 10.0])
def test_login_timeout(new_world: Any, timeout: float) -> None:
    peer = new_world(login_timeout=timeout).stranger()
    due = peer.session.tick(peer.now)
    assert due == peer.now + timeout
    peer.now = due - 0.001
    peer.send(b"CONNECT\nlog")
    assert peer.session.tick(peer.now) == due
    assert peer.read() == []
    peer.now = due
    assert peer.session.tick(peer.now) is None
    (error,) = peer.read()
    assert error["message"] == "No CONNECT in time"
    assert not error.has("receipt-id")
    assert peer.session.closing


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_no_timer_without_heart_beats(world: Any, version: str) -> None:
    """After CONNECTED nothing is due: neither the login nor anything else, for ever."""
    peer = world.connect(version)
    assert peer.session.tick(peer.now + 1e9) is None
    assert peer.read() == []


def test_no_timer_while_a_login_is_checked(new_world: Any) -> None:
    peer = new_world(authenticate=True).stranger()
    peer.send(b"CONNECT\naccept-version:1.2\nheart-beat:1,1\nhost:h\n\n\0")
    assert peer.session.tick(peer.now + 1e9) is None
    assert peer.take() == b""


# Negotiation


@pytest.mark.parametrize(
    ("client", "server", "send", "expect"),
    [
        ("0,0", (1000, 1000), 0, 0),
        ("1000,0", (0, 0), 0, 0),
        ("5000,0", (1000, 1000), 0, 5.0),
        ("0,5000", (1000, 1000), 5.0, 0),
        ("100,100", (1000, 2000), 1.0, 2.0),
        ("4000,3000", (1000, 2000), 3.0, 4.0),
        ("4000,3000", (0, 2000), 0, 4.0),
        ("4000,3000", (1000, 0), 3.0, 0),
        ("1,1", (1, 1), 0.001, 0.001),
        (" 10 , 20 ", (1, 1), 0.02, 0.01),
        ("00010,0020", (1, 1), 0.02, 0.01),
        ("86400000,86400000", (1000, 1000), 86400.0, 86400.0),
        ("99999999999999999999,99999999999999999999", (1000, 1000), WEEK, WEEK),
    ],
)
def test_intervals(new_world: Any, client: str, server: tuple[int, int], send: float, expect: float) -> None:
    """MAX of what one can and the other wants, and none if either is 0."""
    peer = connect(new_world, client, server)
    written = run(peer, 10 * (send or 1))
    if send:
        gaps = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(written)]
        assert len(written) >= 10
        assert max(gaps) <= send
        assert min(gaps) > send / 2
        assert {octets for _, octets in written} == {b"\n"}
    else:
        assert written == []
    heard = peer.now
    peer.session.receive(b"\n", heard)
    patience = max(2 * expect, expect + 5)
    for silence, alive in ((patience * 0.999, True), (patience, not expect)):
        peer.now = heard + silence
        peer.session.written(peer.now)
        peer.session.tick(peer.now)
        assert (peer.state == "connected") is alive, silence


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        "1",
        "1,",
        ",1",
        "1,2,3",
        "-1,0",
        "0,-1",
        "+1,0",
        "1.5,0",
        "1e3,0",
        "a,b",
        "1;2",
        "٣,0",
        "1,²",
        "0x1,0",
    ],
)
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_what_is_not_two_numbers(world: Any, value: str, version: str) -> None:
    peer = world.stranger()
    hello = f"CONNECT\naccept-version:{version}\nhost:h\nheart-beat:{value}\n\n\0"
    error = peer.fails(hello.encode())
    assert "heart-beat" in error["message"]


@given(st.text(alphabet="0123456789, +-.x", max_size=30) | st.text(max_size=10))
def test_the_header_is_read_or_refused(value: str) -> None:
    try:
        numbers = parse(value)
    except ProtocolError:
        return
    assert all(0 <= number <= LONGEST for number in numbers)


@pytest.mark.parametrize("header", [b"", b"accept-version:1.0\n"])
def test_1_0_has_none(new_world: Any, header: bytes) -> None:
    """Even if the header was sent, and whatever is in it."""
    peer = new_world(heart_beat=(1, 1)).stranger()
    reply = peer.get(b"CONNECT\n" + header + b"heart-beat:1,what\n\n\0", "CONNECTED")
    assert not reply.has("heart-beat")
    assert peer.session.tick(peer.now + 1e9) is None
    assert peer.read() == []


# From the client


@pytest.mark.parametrize(
    "octets", [b"\n", b"\r\n", b"SEND\ndest", b"\0", b"SEND\ndestination:/queue/q\ncontent-length:99\n\nhalf"]
)
def test_any_octet_is_life(new_world: Any, octets: bytes) -> None:
    peer = connect(new_world, "1000,0", (0, 1000))
    peer.now += 5.9
    peer.send(octets)
    peer.now += 5.9
    assert peer.session.tick(peer.now) == pytest.approx(peer.now + 0.1)
    peer.now += 0.1
    peer.session.tick(peer.now)
    (error,) = peer.read()
    assert error["message"] == "No heart-beat in time"


def test_the_error_of_a_silent_client_names_no_receipt(new_world: Any) -> None:
    """The frame that had one was answered long before."""
    peer = connect(new_world, "1000,0", (0, 1000))
    peer.get(b"SEND\ndestination:/queue/q\nreceipt:r\n\nx\0")
    peer.now += 6
    peer.session.tick(peer.now)
    (error,) = peer.read()
    assert not error.has("receipt-id")


def test_silence_is_not_counted_while_we_do_not_read(new_world: Any) -> None:
    peer = connect(new_world, "1000,0", (0, 1000))
    peer.session.reading(False, peer.now)
    for _ in range(5):
        due = peer.session.tick(peer.now)
        assert due > peer.now
        peer.now += 1000
    peer.session.reading(True, peer.now)  # what was said meanwhile waits in the kernel
    peer.now += 5.9
    assert peer.session.tick(peer.now) is not None
    assert peer.state == "connected"
    peer.now += 0.2
    assert peer.session.tick(peer.now) is None
    assert peer.state == "failed"


# To the client


def test_other_frames_count_as_beats(new_world: Any) -> None:
    """An EOL is written only when nothing else was for the interval."""
    peer = connect(new_world, "0,1000", (1000, 0))
    for _ in range(20):
        peer.now += 0.5
        peer.get(b"SEND\ndestination:/topic/t\nreceipt:r\n\n\0")
        due = peer.session.tick(peer.now)
        assert peer.now < due <= peer.now + 1
        assert peer.take() == b""
    ((when, octets),) = run(peer, 1.0)
    assert octets == b"\n"
    assert 0.5 < when <= 1


def test_never_before_connected(new_world: Any) -> None:
    peer = new_world(heart_beat=(1, 1)).stranger()
    peer.send(b"CONNECT\naccept-version:1.2\nhost:h\nheart-beat:1,1\n")
    peer.now += 9
    peer.session.tick(peer.now)
    assert peer.take() == b""
    peer.send(b"\n\0")
    peer.session.tick(peer.now)
    assert peer.take().startswith(b"CONNECTED\n")


def test_never_inside_a_frame(new_world: Any, read_octets: Any) -> None:
    """The frames that wait are themselves the sign of life; an EOL comes after them at most."""
    peer = connect(new_world, "0,1", (1, 0))
    peer.subscribe("/queue/q")
    for size in range(50):
        peer.publish("/queue/q", b"\n" * size)
        peer.now += 0.002
        peer.session.tick(peer.now)
        octets = peer.take() if size % 7 == 6 else b""
        if octets:
            replies, beats = read_octets(octets)
            assert [len(r.body) for r in replies] == list(range(size - 6, size + 1))
            assert beats <= 1
            assert not octets.startswith(b"\n")


@pytest.mark.parametrize("end", [b"DISCONNECT\n\n\0", b"\x01", None])
def test_none_after_the_end(new_world: Any, end: bytes | None) -> None:
    peer = connect(new_world, "1,1", (1, 1))
    if end is None:
        peer.session.end_of_stream()
    else:
        peer.send(end)
    peer.take()
    assert peer.session.tick(peer.now + 1e6) is None
    assert peer.take() == b""
