"""Clients that are not logged in: a share of their own, and the oldest make room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.server.strangers import GRACE, PART, Strangers

MakeShell = Callable[..., Any]
MIB = 1024 * 1024
SHARE = MIB
PARTIAL = b"CONNECT\naccept-version:1.2\nhost:h\nx:" + b"y" * 60_000


def test_what_strangers_hold_is_not_counted_as_messages(shell: MakeShell) -> None:
    here = shell(max_memory_before_login=SHARE)
    clients = [here.open(f"192.0.2.{number}") for number in range(10)]
    for client in clients:
        client.send(PARTIAL)
    assert here.used == 0
    assert here.server.strangers.held == 10 * len(PARTIAL)
    clients[0].send(b"\n\n\0SEND\ndestination:/queue/a\ncontent-length:100000\n\n" + b"x" * 70_000)
    assert here.used >= 70_000, "from CONNECTED on it is"
    assert here.server.strangers.held == 9 * len(PARTIAL)


def test_the_oldest_of_an_address_are_closed_first(shell: MakeShell) -> None:
    here = shell(max_memory_before_login=SHARE)
    other = here.open("192.0.2.1")
    other.send(PARTIAL)
    silent = here.open("192.0.2.2")
    crowd = [here.open("192.0.2.2") for _ in range(10)]
    for client in crowd:
        client.send(PARTIAL)
    fit = SHARE // PART // len(PARTIAL)
    assert all("Too much was sent before a login" in client.error() for client in crowd[:-fit])
    assert all(client.got == b"" for client in (*crowd[-fit:], silent, other))
    assert "max-memory-before-login" in crowd[0].error()
    assert str(SHARE // PART) in crowd[0].error()
    crowd[-1].send(b"\n\n\0")
    assert crowd[-1].got.startswith(b"CONNECTED\n")


def test_the_oldest_of_all_are_closed_when_the_share_is_full(shell: MakeShell) -> None:
    here = shell(max_memory_before_login=SHARE)
    crowd = [here.open(f"192.0.2.{number}") for number in range(30)]
    for client in crowd:
        client.send(PARTIAL)
    fit = SHARE // len(PARTIAL)
    assert [bool(client.got) for client in crowd] == [True] * (30 - fit) + [False] * fit
    assert here.server.strangers.held <= SHARE


def test_one_network_of_ipv6_is_one_origin(shell: MakeShell) -> None:
    here = shell(max_memory_before_login=SHARE)
    crowd = [here.open(f"2001:db8::{number}") for number in range(10)]
    for client in crowd:
        client.send(PARTIAL)
    assert sum(bool(client.got) for client in crowd) == 10 - SHARE // PART // len(PARTIAL)


def test_a_login_that_is_checked_is_held_too(shell: MakeShell) -> None:
    here = shell(auth=True, max_memory_before_login=SHARE)
    client = here.open()
    client.send(b"CONNECT\naccept-version:1.2\nhost:h\nlogin:me\npasscode:" + b"x" * 50_000 + b"\n\n\0more")
    assert 50_000 < here.server.strangers.held < 51_000
    client.drop()
    assert here.server.strangers.held == 0


def test_who_has_a_place_and_no_login_makes_room(shell: MakeShell) -> None:
    here = shell(max_connections=3)
    known = here.connect()
    idle = [here.open(), here.open()]
    refused = here.open()
    assert "max-connections" in refused.error(), "they came just now, and may still log in"
    refused.drop()
    here.advance(GRACE)
    assert here.connect().got.startswith(b"CONNECTED\n")
    assert idle[0].aborted and not idle[1].aborted
    assert here.connect().got.startswith(b"CONNECTED\n")
    assert idle[1].aborted
    assert "max-connections" in here.open().error(), "all of them are logged in"
    assert not known.aborted


def test_who_is_not_logged_in_makes_room_for_its_own_address(shell: MakeShell) -> None:
    here = shell(max_connections_per_address=2)
    other = here.open("192.0.2.1")
    idle = [here.open("192.0.2.2"), here.open("192.0.2.2")]
    here.advance(GRACE)
    assert here.connect(address="192.0.2.2").got.startswith(b"CONNECTED\n")
    assert idle[0].aborted and not idle[1].aborted and not other.aborted


class Somebody:
    def __init__(self, address: str) -> None:
        self.address = address
        self.ended = ""

    def refuse(self, error: Exception) -> bool:
        self.ended = "refused"
        return True

    def abort(self) -> None:
        self.ended = "aborted"


@pytest.mark.parametrize("sizes", [[300_000], [1, 300_000], [200_000, 100_000]])
def test_who_holds_too_much_alone_is_closed_itself(sizes: list[int]) -> None:
    strangers = Strangers(SHARE, lambda: 0.0)
    one = Somebody("192.0.2.1")
    strangers.hold(one, 5)
    assert strangers.held == 0, "nobody knows it"
    strangers.enter(one)
    for size in sizes:
        strangers.hold(one, size)
    assert (one.ended == "refused") == (max(sizes) > SHARE // PART)
    strangers.leave(one)
    strangers.leave(one)
    assert strangers.held == 0
    assert not strangers.make_room()
