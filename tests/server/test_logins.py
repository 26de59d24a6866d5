"""The line of logins: who is hashed, in which order, and what is told when; time is moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from stompserver.errors import Refused
from stompserver.security.users import Users
from stompserver.server import logins as module
from stompserver.server.login_line import LoginLine
from stompserver.server.logins import WRONG_LOGIN, Logins, Waiting
from stompserver.server.origin import origin_of
from stompserver.server.spread import SHARE, Spread
from stompserver.session.principal import Principal

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
RESET = struct.pack("ii", 1, 0)


class Client:
    """Somebody who logs in: what it was told, and when."""

    def __init__(self, here: Hall, address: str) -> None:
        self.here = here
        self.address = address
        self.told = ""
        self.at = 0.0
        self.aborted = False
        self.waiting: Waiting | None = None
        self.near: socket.socket | None = None

    def fileno(self) -> int:
        return self.near.fileno() if self.near is not None else -1

    def abort(self) -> None:
        self.aborted = True

    def answer(self, principal: Principal | None, problem: Refused | None) -> None:
        assert not self.told
        self.told = principal.login or "" if principal else "busy" if problem else "invalid"
        self.at = self.here.loop.now

    def over_a_socket(self) -> socket.socket:
        """The client's end of one."""
        far, self.near = socket.socketpair()
        return far

    def close(self) -> None:
        if self.near is not None:
            self.near.close()


class Hall:
    """Logins whose hashes are done when the test says so, one after the other in the order of their start."""

    def __init__(self, loop: Any, users: Users, few: int, patience: float) -> None:
        self.loop = loop
        self.users = users
        self.clients: list[Client] = []
        self.hashed: list[str] = []
        self.started: list[tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]] = []
        self.logins = loop.run_until_complete(self._make(few, patience))
        loop.run_in_executor = self._start

    async def _make(self, few: int, patience: float) -> Logins:
        return Logins(self.users, few, patience, Spread(self.loop))

    def _start(self, _: object, work: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        future = self.loop.create_future()
        self.started.append((future, work, arguments))
        self.hashed.append(arguments[0])
        return future

    def log_in(self, login: str, passcode: str, address: str = "192.0.2.1") -> Client:
        client = Client(self, address)
        self.clients.append(client)
        client.waiting = self.logins.check(client, login, passcode, client.answer)
        self.loop.turn(2)
        return client

    def finish(self, hashes: int = 1) -> None:
        """Let so many hashes be done."""
        for _ in range(hashes):
            future, work, arguments = self.started.pop(0)
            future.set_result(work(*arguments))
            self.loop.turn(3)

    def finish_all(self) -> int:
        done = 0
        while self.started:
            self.finish()
            done += 1
        return done

    def told(self) -> list[str]:
        return [client.told for client in self.clients]

    def close(self) -> None:
        """Nothing may be left. May be called again."""
        self.logins.close()
        for client in self.clients:
            client.close()
        for future, _, _ in self.started:
            future.cancel()
        self.loop.turn(3)
        assert self.loop.timers() == 0, "a timer is left"


@pytest.fixture
def users(tmp_path: Path) -> Users:
    path = tmp_path / ".passwd"
    lines = [f"{name}:{CHEAP.hash(name + name)}" for name in ("alice", "bob", "carol")]
    path.write_text("\n".join([*lines, "plain:text"]))
    path.chmod(0o600)
    return Users.load(path)


@pytest.fixture
def hall(hand_loop: Any, users: Users) -> Iterator[Callable[..., Hall]]:
    halls: list[Hall] = []

    def make(few: int = 3, patience: float = 10.0) -> Hall:
        halls.append(Hall(hand_loop, users, few, patience))
        return halls[-1]

    yield make
    for each in halls:
        each.close()


def test_a_right_login_is_answered_when_it_is_hashed(hall: Callable[..., Hall]) -> None:
    here = hall()
    client = here.log_in("alice", "alicealice")
    assert client.told == ""
    here.finish()
    assert client.told == "alice"


def test_what_is_known_to_be_right_waits_for_nobody(hall: Callable[..., Hall]) -> None:
    here = hall()
    here.log_in("alice", "alicealice")
    here.finish()
    for number in range(50):
        here.log_in("bob", f"wrong {number}")
    hashes = here.logins.hashes
    assert here.log_in("alice", "alicealice").told == "alice"
    assert here.log_in("plain", "text").told == "plain"
    assert here.logins.hashes == hashes


def test_a_right_login_waits_for_few_of_many_wrong_ones(hall: Callable[..., Hall]) -> None:
    """From the same address, whatever names the others give."""
    here = hall(few=3)
    for number in range(500):
        here.log_in(f"nobody {number}", "wrong")
        here.log_in("bob", f"wrong {number}")
    right = here.log_in("alice", "alicealice")
    hashes = 0
    while not right.told:
        here.finish()
        hashes += 1
    assert right.told == "alice"
    # What was in work, what was promised, and one of bob's.
    assert hashes <= module.THREADS + 3 + 2


def test_a_right_login_among_wrong_ones_of_its_own_name(hall: Callable[..., Hall]) -> None:
    here = hall(few=3)
    for number in range(500):
        here.log_in("alice", f"wrong {number}")
    right = here.log_in("alice", "alicealice")
    here.finish(module.THREADS + 3 + 1)
    assert right.told == "alice"


def test_each_address_has_its_turn(hall: Callable[..., Hall]) -> None:
    here = hall(few=3)
    for number in range(100):
        here.log_in("bob", f"wrong {number}", "192.0.2.66")
    right = here.log_in("alice", "alicealice", "192.0.2.1")
    here.finish(module.THREADS + 3)
    assert right.told == "alice"


def test_what_is_wrong_is_told_after_a_second_and_the_same_for_all(hall: Callable[..., Hall]) -> None:
    """Neither the words nor the time depend on whether the login exists, how many wait, or when it was hashed."""
    told = []
    for login in ("bob", "nobody", "plain"):
        here = hall(few=3)
        began = here.loop.now
        for number in range(10):
            here.log_in(login, f"wrong {number}")
        here.finish_all()
        here.loop.advance(0.99)
        assert here.told() == [""] * 10
        here.loop.advance(0.02)
        told.append([(client.told, round(client.at - began, 6)) for client in here.clients])
        here.close()
    assert [text for text, _ in told[0]] == ["invalid"] * 3 + ["busy"] * 7
    assert told[0] == told[1] == told[2]


def test_wrong_ones_that_exist_and_that_do_not_cost_the_same_number_of_hashes(
    hall: Callable[..., Hall],
) -> None:
    counts = []
    for login in ("bob", "nobody", "plain"):
        here = hall(few=3)
        for number in range(100):
            here.log_in(login, f"wrong {number}")
        counts.append(here.finish_all())
        here.close()
    assert len(set(counts)) == 1
    assert counts[0] <= 2 * 3 + module.THREADS


def test_what_nobody_waits_for_any_more_is_not_hashed(hall: Callable[..., Hall]) -> None:
    here = hall(few=3)
    for number in range(100):
        here.log_in(f"nobody {number}", "wrong")
    here.loop.advance(1.1)
    assert set(here.told()) >= {"busy"}
    assert here.finish_all() == module.THREADS, "only those that had begun"
    assert "" not in here.told()


def test_one_hash_for_all_that_send_the_same(hall: Callable[..., Hall]) -> None:
    here = hall(few=3)
    for _ in range(50):
        here.log_in("alice", "alicealice")
        here.log_in("bob", "wrong")
    assert here.finish_all() == 2
    assert here.told()[::2] == ["alice"] * 50
    here.log_in("bob", "wrong")
    assert here.finish_all() == 0, "it was wrong a moment ago"
    here.loop.advance(1.1)
    assert here.told()[1::2] == ["invalid"] * 50


@pytest.mark.parametrize(("passcode", "answer"), [("wrong", "invalid"), ("alicealice", "right")])
def test_answers_to_many_at_once_are_spread_over_turns(
    hall: Callable[..., Hall], hand_loop: Any, passcode: str, answer: str
) -> None:
    here = hall()
    clients = [here.log_in("alice", passcode) for _ in range(20)]
    told: list[str] = []

    def answered(principal: Principal | None, problem: Refused | None) -> None:
        assert problem is None
        told.append("right" if principal else "invalid")
        hand_loop.now += SHARE / 2

    for client in clients:
        assert client.waiting is not None
        client.waiting.answer = answered
    here.finish()
    if answer == "invalid":
        hand_loop.now += WRONG_LOGIN
        hand_loop.turn()
    before = len(told)
    hand_loop.turn()
    assert 0 < len(told) <= before + 2 <= 10
    hand_loop.turn(20)
    assert told == [answer] * 20


def test_who_hung_up_is_dropped_from_the_line(hall: Callable[..., Hall]) -> None:
    here = hall(few=1000)
    here.log_in("carol", "wrong")
    here.log_in("carol", "wrong too")
    gone = [here.log_in("bob", f"wrong {number}") for number in range(100)]
    for client in gone:
        client.over_a_socket().close()
    assert here.log_in("alice", "alicealice").told == ""
    assert here.finish_all() == 3
    assert here.clients[-1].told == "alice"
    assert all(client.aborted and not client.told for client in gone)


def test_who_closed_only_its_half_is_answered(hall: Callable[..., Hall]) -> None:
    here = hall(few=1)
    here.log_in("carol", "wrong")
    here.log_in("carol", "wrong too")
    right = here.log_in("alice", "alicealice", "192.0.2.7")
    beyond = [here.log_in("bob", f"wrong {number}", "192.0.2.8") for number in range(2)]
    ends = [client.over_a_socket() for client in (right, *beyond)]
    for end in ends:
        end.shutdown(socket.SHUT_WR)
    assert here.finish_all() == 4, "the promised ones, and what was in work"
    assert right.told == "alice"
    here.loop.advance(1.1)
    assert [client.told for client in beyond] == ["invalid", "busy"]
    for end in ends:
        end.close()


def test_who_leaves_while_it_is_hashed(hall: Callable[..., Hall]) -> None:
    here = hall()
    client = here.log_in("alice", "alicealice")
    assert client.waiting is not None
    client.waiting.cancel()
    client.waiting.cancel()
    here.finish()
    here.loop.advance(2)
    assert client.told == ""


def test_a_promise_has_an_end(hall: Callable[..., Hall]) -> None:
    """login-timeout also covers the hash of a machine that cannot keep up."""
    here = hall(patience=10.0)
    client = here.log_in("bob", "wrong")
    here.loop.advance(1)
    here.loop.advance(8.9)
    assert client.told == ""
    here.loop.advance(0.2)
    assert client.told == "busy"
    here.finish()


def test_a_late_hash_is_answered_when_it_is_done(hall: Callable[..., Hall]) -> None:
    here = hall()
    client, other = here.log_in("bob", "wrong"), here.log_in("alice", "alicealice")
    here.loop.advance(5)
    here.finish(2)
    assert (client.told, other.told) == ("invalid", "alice")


def test_few_promises_when_hashes_are_expensive(hall: Callable[..., Hall]) -> None:
    """Most are kept within the second after which the others are answered."""
    here = hall(few=100)
    here.log_in("carol", "wrong")
    here.loop.now += 0.5
    here.finish()
    here.loop.advance(1)
    for number in range(20):
        here.log_in("bob", f"wrong {number}")
    here.finish_all()
    here.loop.advance(1.1)
    assert here.told()[1:] == ["invalid"] * 16 + ["busy"] * 4


def test_new_users_are_asked_from_then_on(hall: Callable[..., Hall], tmp_path: Path) -> None:
    here = hall()
    here.log_in("alice", "alicealice")
    here.finish()
    here.log_in("bob", "new passcode")
    here.finish()
    path = tmp_path / ".passwd"
    lines = path.read_text().splitlines()
    path.write_text(f"{lines[0]}\nbob:{CHEAP.hash('new passcode')}\ncarol:{CHEAP.hash('x')}\n")
    here.logins.users = Users.load(path)
    assert here.log_in("alice", "alicealice").told == "alice", "its line is the same"
    here.log_in("bob", "new passcode")
    here.finish()
    assert here.clients[-1].told == "bob", "what was wrong a moment ago is right now"
    assert here.log_in("plain", "text").told == ""


def test_a_hash_that_fails_is_a_wrong_login(
    hall: Callable[..., Hall], caplog: pytest.LogCaptureFixture
) -> None:
    here = hall()
    client = here.log_in("alice", "alicealice")
    future, _, _ = here.started.pop()
    future.set_exception(MemoryError("none left"))
    here.loop.advance(1.1)
    assert client.told == "invalid"
    assert "could not be checked" in caplog.text


class Claim:
    def __init__(self, origin: str, login: str) -> None:
        self.origin = origin
        self.login = login


def test_the_line_takes_turns_by_origin_and_by_login() -> None:
    line: LoginLine[Claim] = LoginLine()
    for login in ("a", "a", "a", "b"):
        line.add(Claim("near", login), 10)
    line.add(Claim("far", "c"), 10)
    order = []
    while (claim := line.take()) is not None:
        order.append((claim.origin, claim.login))
    assert order == [("near", "a"), ("far", "c"), ("near", "b"), ("near", "a"), ("near", "a")]


def test_of_a_login_that_many_try_one_gives_way() -> None:
    line: LoginLine[Claim] = LoginLine()
    rare = Claim("near", "rare")
    line.add(rare, 3)
    for _ in range(100):
        line.add(Claim("near", "tried"), 3)
    line.add(Claim("far", "other"), 3)
    found = []
    while (claim := line.take()) is not None:
        found.append(claim)
    assert rare in found
    assert len(found) == 4
    line.discard(rare)


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("?", "?"),
        ("a:b", "a:b"),
    ],
)
def test_where_clients_come_from(address: str, origin: str) -> None:
    assert origin_of(address) == origin


def test_threads_give_way_or_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(module.os, "getpriority", lambda *each: 3)
    monkeypatch.setattr(module.os, "setpriority", lambda *each: given.append(each[2]))
    module._give_way()
    assert given in ([3 + module.NICE], []), "also where the server gives way itself"


def test_a_client_that_resets_is_gone() -> None:
    from stompserver.server.hang_up import is_gone, sends_no_more

    with socket.create_server(("127.0.0.1", 0)) as door:
        client = socket.create_connection(door.getsockname())
        server, _ = door.accept()
        with server:
            assert not is_gone(server.fileno()) and not sends_no_more(server.fileno())
            client.shutdown(socket.SHUT_WR)
            assert sends_no_more(server.fileno()) and not is_gone(server.fileno())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
            assert is_gone(server.fileno())
        with contextlib.suppress(OSError):
            assert not is_gone(server.fileno()), "closed here"
