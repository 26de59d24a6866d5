"""Logins that expire: the warning, the end, and the new token. Time is what the test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from stompserver.errors import Refused
from stompserver.session.events import Renewed, Renewing, Warned
from stompserver.session.principal import Principal

UNIX = 1_800_000_000
MANAGEMENT = "/queue/stompserver.management"


class Clock:
    """Both clocks, of the session and on the wall, move together."""

    def __init__(self, world: Any) -> None:
        self.world = world
        world.broker.clock.now = UNIX * 1000

    def connect(self, seconds: float | None, hello: bytes = b"") -> Any:
        client = self.world.stranger()
        client.send(b"CONNECT\naccept-version:1.2\nhost:h\npasscode:token\n" + hello + b"\n\0")
        client.session.authenticated(self.principal(seconds), client.now)
        (client.connected,) = client.read()
        client.due = client.session.tick(client.now)
        return client

    @staticmethod
    def principal(seconds: float | None, login: str = "alice") -> Principal:
        return Principal(login, frozenset(), None if seconds is None else UNIX + seconds)

    def go(self, client: Any, seconds: float) -> Any:
        client.now += seconds
        self.world.broker.clock.now += int(seconds * 1000)
        client.due = client.session.tick(client.now)
        return client.due


@pytest.fixture
def clock(new_world: Callable[..., Any]) -> Clock:
    return Clock(new_world(authenticate=True, expiry_warning=60.0, management="off"))


def test_connected_says_how_long_the_login_is_good_for(clock: Clock) -> None:
    assert clock.connect(3600.5).connected["expires-in"] == "3600"
    assert not clock.connect(None).connected.has("expires-in")


def test_the_session_ends_with_its_login(clock: Clock) -> None:
    client = clock.connect(3600)
    assert client.due == client.now + 3540
    assert clock.go(client, 3540) == client.now + 60
    assert client.events(Warned)[0].text == "The login expires in 60 s"
    clock.go(client, 59.5)
    assert client.read() == []
    clock.go(client, 0.5)
    (error,) = client.read()
    assert (error.command, error["message"]) == ("ERROR", "Your login has expired")


def test_who_is_subscribed_for_it_is_warned_once(clock: Clock) -> None:
    client = clock.connect(100)
    client.subscribe("/temp-queue/stompserver.session")
    clock.go(client, 41)
    (warning,) = client.read()
    assert (warning.command, warning["subscription"]) == ("MESSAGE", "s")
    assert json.loads(warning.body) == {"action": "expires", "expires-in": 59}
    clock.go(client, 10)
    assert client.read() == []


def test_a_login_that_ends_sooner_is_warned_of_at_once(clock: Clock) -> None:
    client = clock.connect(30)
    assert client.events(Warned)[0].text == "The login expires in 30 s"
    assert client.due == client.now + 30


def test_one_that_expires_while_it_is_checked_is_ended_at_once(clock: Clock) -> None:
    client = clock.world.stranger()
    client.send(b"CONNECT\naccept-version:1.2\nhost:h\npasscode:token\n\n\0")
    client.session.authenticated(clock.principal(-1), client.now)
    client.session.tick(client.now)
    assert [reply.command for reply in client.read()] == ["CONNECTED", "ERROR"]


def renew(client: Any, token: str = "new", more: str = "receipt:r\n") -> None:
    client.send(f"SEND\ndestination:{MANAGEMENT}\naction:token\npasscode:{token}\n{more}\n\0".encode())


def test_a_new_token_prolongs_the_session(clock: Clock) -> None:
    """Also where nobody may manage the server."""
    client = clock.connect(100)
    client.subscribe("/temp-queue/a")
    clock.go(client, 50)
    renew(client, more="receipt:r\nreply-to:/temp-queue/a\n")
    assert client.read() == []
    assert client.events(Renewing)
    assert client.session.renewal_passcode == "new"
    client.session.renewed(clock.principal(1000), None, client.now)
    answer, receipt = client.read()
    assert json.loads(answer.body) == {"action": "token", "login": "alice", "expires-in": 950}
    assert (receipt.command, receipt["receipt-id"], receipt.has("warning")) == ("RECEIPT", "r", False)
    assert client.events(Renewed)[0].problem == ""
    clock.go(client, 60)
    assert client.state == "connected"
    assert clock.go(client, 831) == client.now + 59
    assert client.events(Warned)[0].text == "The login expires in 59 s"
    clock.go(client, 59)
    assert client.read()[-1]["message"] == "Your login has expired"


@pytest.mark.parametrize(
    ("principal", "problem", "text"),
    [
        (None, None, "Invalid Login"),
        (Principal("bob"), None, "The new token is not of your login"),
        (None, Refused("Too busy to check your login"), "Too busy to check your login"),
    ],
)
def test_a_token_that_is_refused_changes_nothing(
    clock: Clock, principal: Principal | None, problem: Refused | None, text: str
) -> None:
    client = clock.connect(100)
    client.subscribe("/temp-queue/a")
    renew(client, more="receipt:r\nreply-to:/temp-queue/a\n")
    client.session.renewed(principal, problem, client.now)
    answer, receipt = client.read()
    assert json.loads(answer.body)["error"] == text
    assert receipt["warning"] == text
    assert client.session.principal.login == "alice"
    clock.go(client, 100)
    assert client.read()[-1]["message"] == "Your login has expired"


def test_one_token_is_checked_at_a_time_and_other_frames_go_on(clock: Clock) -> None:
    client = clock.connect(100)
    renew(client, "one", "receipt:1\n")
    client.send(b"SEND\ndestination:/queue/a\nreceipt:2\n\n\0")
    assert [reply["receipt-id"] for reply in client.read()] == ["2"]
    renew(client, "two", "receipt:3\n")
    assert client.session.renewal_passcode == "one"
    client.session.renewed(clock.principal(200), None, client.now)
    while client.session.more:
        client.session.go_on()
    assert client.session.renewal_passcode == "two"
    client.session.renewed(clock.principal(300), None, client.now)
    assert [reply["receipt-id"] for reply in client.read()] == ["1", "3"]


def test_an_answer_for_one_that_is_gone_is_let_go(clock: Clock) -> None:
    client = clock.connect(100)
    renew(client)
    client.session.lost()
    client.session.renewed(clock.principal(200), None, client.now)
    assert client.read() == []


def test_a_renewal_without_a_token_is_told_so(clock: Clock) -> None:
    client = clock.connect(100)
    client.subscribe("/temp-queue/a")
    client.send(f"SEND\ndestination:{MANAGEMENT}\naction:token\nreply-to:/temp-queue/a\n\n\0".encode())
    (answer,) = client.read()
    assert json.loads(answer.body)["error"] == "A management frame without passcode"


def test_a_login_without_an_end_is_renewed_as_well(clock: Clock) -> None:
    client = clock.connect(None)
    renew(client)
    client.session.renewed(Principal("alice"), None, client.now)
    assert client.read()[0].command == "RECEIPT"
    assert client.session.tick(client.now) is None


class Nobody(Principal):
    """May do nothing."""

    def may(self, verb: str, name: str) -> bool:
        return False


@pytest.mark.parametrize(
    ("destination", "action", "may"),
    [
        (MANAGEMENT, "token", True),
        (MANAGEMENT, "queues", False),
        ("ActiveMQ.Scheduler.Management", "token", False),
        ("/queue/a", "token", False),
    ],
)
def test_a_new_token_needs_no_right_and_is_no_way_around_one(
    clock: Clock, destination: str, action: str, may: bool
) -> None:
    client = clock.world.stranger()
    client.send(b"CONNECT\naccept-version:1.2\nhost:h\npasscode:token\n\n\0")
    client.session.authenticated(Nobody("alice"), client.now)
    client.read()
    client.send(f"SEND\ndestination:{destination}\naction:{action}\npasscode:new\n\n\0".encode())
    replies = client.read()
    assert (replies == []) == may
    if not may:
        assert replies[0]["message"].startswith("You may not send to")
