"""Somebody sets the clock of the machine while clients talk to the server, which sees it by itself."""

from __future__ import annotations

from typing import Any

import pytest

HOUR = 3600.0
BACK_AND_FORTH = pytest.mark.parametrize("by", [-HOUR, 2 * HOUR])
SUBSCRIBE = b"SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\n%b\n\0"
SEND = b"SEND\ndestination:/queue/a\n%b\nbody\0"


def pass_by(shell: Any, seconds: float) -> None:
    """Time goes on, in steps, as a loop sees it."""
    for _ in range(int(seconds * 10)):
        shell.advance(0.1)


def set_clock(shell: Any, by: float) -> None:
    shell.ahead += by


@BACK_AND_FORTH
def test_an_ack_timeout_and_a_delay_of_a_nack(shell: Any, by: float) -> None:
    server = shell()
    wire = server.connect()
    wire.send(SUBSCRIBE % b"ack-timeout:1500\n", SEND % b"")
    assert len(wire.bodies()) == 1
    set_clock(server, by)
    pass_by(server, 1.3)
    assert len(wire.bodies()) == 1
    pass_by(server, 0.4)
    assert len(wire.bodies()) == 2
    wire.send(b"NACK\nid:%b\ndelay:1500\n\n\0" % wire.acks()[1])
    set_clock(server, -by)
    pass_by(server, 1.3)
    assert len(wire.bodies()) == 2
    pass_by(server, 0.4)
    assert len(wire.bodies()) == 3
    wire.send(b"ACK\nid:%b\n\n\0" % wire.acks()[2])


@BACK_AND_FORTH
def test_a_scheduled_delay(shell: Any, by: float) -> None:
    server = shell()
    wire = server.connect()
    wire.send(SUBSCRIBE % b"", SEND % b"AMQ_SCHEDULED_DELAY:1500\n")
    set_clock(server, by)
    pass_by(server, 1.3)
    assert wire.bodies() == []
    pass_by(server, 0.4)
    assert len(wire.bodies()) == 1
    wire.send(b"ACK\nid:%b\n\n\0" % wire.acks()[0])


@BACK_AND_FORTH
@pytest.mark.parametrize("transacted", [False, True])
def test_a_time_to_live(shell: Any, by: float, transacted: bool) -> None:
    server = shell()
    wire = server.connect()
    if transacted:
        wire.send(b"BEGIN\ntransaction:t\n\n\0", SEND % b"ttl:3000000\ntransaction:t\n")
        set_clock(server, by)
        wire.send(b"COMMIT\ntransaction:t\n\n\0")
    else:
        wire.send(SEND % b"ttl:3000000\n")
        set_clock(server, by)
    server.advance(2999.0)
    wire.send(SUBSCRIBE % b"")
    assert len(wire.bodies()) == 1
    wire.send(b"NACK\nid:%b\ndelay:10000\n\n\0" % wire.acks()[0])
    server.advance(2)
    pass_by(server, 12)
    assert len(wire.bodies()) == 1


@pytest.mark.parametrize(("by", "left"), [(-HOUR, 1), (HOUR / 2, 1), (2 * HOUR, 0)])
def test_a_time_of_day(shell: Any, by: float, left: int) -> None:
    server = shell()
    wire = server.connect()
    wall = 1_700_000_000 + server.loop.now
    wire.send(SEND % (b"expires:%d\n" % ((wall + HOUR) * 1000)))
    set_clock(server, by)
    # Nobody tells of it: the server looks once a second.
    server.advance(1.0)
    pass_by(server, 0.2)
    assert server.server.broker.queues["/queue/a"].waiting == left
    wire.send(SUBSCRIBE.replace(b"client-individual", b"auto") % b"")
    assert len(wire.bodies()) == left


def test_a_heart_beat_has_nothing_to_do_with_it(shell: Any) -> None:
    server = shell()
    wire = server.connect("1.2", b"heart-beat:1000,0\n")
    for by in (HOUR, -2 * HOUR, 24 * HOUR):
        set_clock(server, by)
        server.advance(5.0)
        wire.send(b"\n")
    assert wire.error() == ""
    server.advance(7.0)
    assert "heart-beat" in wire.error()


def test_timestamps_are_the_wall_clock_s(shell: Any) -> None:
    server = shell()
    set_clock(server, HOUR)
    wire = server.connect()
    wire.send(b"\n")
    assert server.server.broker.now == int((1_700_000_000 + server.loop.now + HOUR) * 1000)
    set_clock(server, 0.05)
    wire.send(b"\n")
    assert server.server.broker.now == int((1_700_000_000 + server.loop.now + server.ahead) * 1000)
