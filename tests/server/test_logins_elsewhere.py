"""The line of logins where accounts are elsewhere: who is asked for, how many at once, and what is told when. Time is
moved by hand, and the place answers when the test says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stompserver.errors import Refused
from stompserver.security.account import Account, Attempt, Elsewhere
from stompserver.security.accounts import Accounts
from stompserver.server.logins import ASKED, WRONG_LOGIN, Logins
from stompserver.server.spread import Spread
from stompserver.session.principal import Principal

KEEP = 60.0


class Place(Elsewhere):
    """Knows who has his own name as passcode, and says so when the test does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, asyncio.Future[Account | None]]] = []
        self.closed: set[str] = set()

    async def log_in(self, attempt: Attempt) -> Account | None:
        future: asyncio.Future[Account | None] = asyncio.get_running_loop().create_future()
        self.asked.append((attempt.login, future))
        await future
        right = attempt.login == attempt.passcode and attempt.login not in self.closed
        return Account(attempt.login) if right else None

    @property
    def names(self) -> list[str]:
        return [login for login, _ in self.asked]


class Client:
    def __init__(self, loop: Any, address: str) -> None:
        self.loop = loop
        self.address = address
        self.told = ""
        self.at = 0.0

    def fileno(self) -> int:
        return -1

    def abort(self) -> None:
        raise AssertionError("nobody here is gone")

    def answer(self, principal: Principal | None, problem: Refused | None) -> None:
        assert not self.told
        self.told = principal.login or "" if principal else problem.summary if problem else "invalid"
        self.at = self.loop.now


class Hall:
    def __init__(self, loop: Any, few: int) -> None:
        self.loop = loop
        self.place = Place()
        self.told: list[str] = []
        self.accounts = Accounts(None, [], [self.place], 5.0, KEEP, lambda: loop.now, self.told.append)
        self.logins = loop.run_until_complete(self._make(few))

    async def _make(self, few: int) -> Logins:
        return Logins(self.accounts, few, 10.0, Spread(self.loop))

    def log_in(self, login: str, passcode: str, address: str = "192.0.2.1") -> Client:
        client = Client(self.loop, address)
        self.logins.check(client, login, passcode, client.answer)
        self.loop.turn(4)
        return client

    def let_answer(self, login: str) -> None:
        for each in [each for each in self.place.asked if each[0] == login]:
            self.place.asked.remove(each)
            each[1].set_result(None)
        self.loop.turn(6)

    def close(self) -> None:
        self.logins.close()
        self.loop.turn(6)
        assert self.loop.timers() == 0, "a timer is left"


@pytest.fixture
def hall(hand_loop: Any) -> Iterator[Callable[..., Hall]]:
    made: list[Hall] = []

    def make(few: int = 3) -> Hall:
        made.append(Hall(hand_loop, few))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_right_login_is_answered_when_the_place_has_answered(hall: Callable[..., Hall]) -> None:
    here = hall()
    client = here.log_in("alice", "alice")
    assert here.place.names == ["alice"] and not client.told
    here.let_answer("alice")
    assert client.told == "alice"


def test_a_wrong_one_is_told_after_a_second_however_fast_the_place_was(hall: Callable[..., Hall]) -> None:
    here = hall()
    began = here.loop.now
    client = here.log_in("alice", "wrong")
    here.let_answer("alice")
    assert not client.told
    here.loop.advance(WRONG_LOGIN)
    assert (client.told, client.at) == ("invalid", began + WRONG_LOGIN)


def test_a_place_that_is_slow_is_waited_for_up_to_its_deadline(hall: Callable[..., Hall]) -> None:
    here = hall()
    client = here.log_in("alice", "alice")
    here.loop.advance(4.9)
    assert not client.told
    here.loop.advance(0.2)
    assert client.told == "Your login cannot be checked now"
    assert here.told == ["accounts: elsewhere did not answer within 5 s"]


def test_so_many_are_asked_for_at_once(hall: Callable[..., Hall]) -> None:
    here = hall()
    for number in range(ASKED + 10):
        here.log_in(f"n{number}", "x", f"192.0.{number}.1")
    assert len(here.place.asked) == ASKED
    here.let_answer("n0")
    assert len(here.place.asked) == ASKED


def test_of_one_address_a_few_are_promised_and_a_few_wait(hall: Callable[..., Hall]) -> None:
    here = hall(few=3)
    for number in range(ASKED):
        here.log_in(f"other{number}", "x", f"192.0.{number}.1")
    flood = [here.log_in(f"n{number}", "x", "198.51.100.1") for number in range(20)]
    here.loop.advance(WRONG_LOGIN)
    told = [client.told for client in flood]
    # All are busy: nothing tells who was asked for.
    assert told.count("Too busy to check your login") == 17
    assert told.count("") == 3


def test_who_was_right_before_is_let_in_without_a_question_for_a_while(hall: Callable[..., Hall]) -> None:
    here = hall()
    here.log_in("alice", "alice")
    here.let_answer("alice")
    here.loop.advance(KEEP - 1)
    assert here.log_in("alice", "alice").told == "alice"
    assert here.place.names == []
    # Another passcode of the same login is another matter.
    assert not here.log_in("alice", "wrong").told
    assert here.place.names == ["alice"]
    here.let_answer("alice")
    here.loop.advance(1.5)
    assert not here.log_in("alice", "alice").told
    assert here.place.names == ["alice"]
    here.let_answer("alice")


def test_who_was_right_before_is_asked_for_before_all_others(hall: Callable[..., Hall]) -> None:
    """Also when that is long ago, and his address is the one of a flood."""
    here = hall(few=3)
    here.log_in("alice", "alice")
    here.let_answer("alice")
    here.loop.advance(KEEP + 1)
    for number in range(ASKED):
        here.log_in(f"busy{number}", "x", f"192.0.{number}.1")
    for number in range(50):
        here.log_in(f"flood{number}", "x")
    alice = here.log_in("alice", "alice")
    assert "alice" not in here.place.names
    here.let_answer("busy0")
    assert here.place.names[-1] == "alice"
    here.let_answer("alice")
    assert alice.told == "alice"


def test_who_was_right_and_is_no_more_is_forgotten(hall: Callable[..., Hall]) -> None:
    here = hall()
    here.log_in("alice", "alice")
    here.let_answer("alice")
    assert here.accounts.knew("alice", "alice")
    here.loop.advance(KEEP + 1)
    here.place.closed.add("alice")
    client = here.log_in("alice", "alice")
    here.let_answer("alice")
    here.loop.advance(WRONG_LOGIN)
    assert client.told == "invalid"
    assert not here.accounts.knew("alice", "alice")


def test_a_login_without_a_passcode_is_not_asked_for(hall: Callable[..., Hall]) -> None:
    here = hall()
    client = here.log_in("alice", "")
    here.loop.advance(WRONG_LOGIN)
    assert client.told == "invalid"
    assert here.place.names == []


def test_the_same_login_of_many_clients_is_one_question(hall: Callable[..., Hall]) -> None:
    here = hall()
    clients = [here.log_in("alice", "alice") for _ in range(10)]
    assert here.place.names == ["alice"]
    here.let_answer("alice")
    assert [client.told for client in clients] == ["alice"] * 10
