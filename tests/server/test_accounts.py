"""Who is let in by accounts of each kind, seen by clients of a running server."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jwt
import pytest

LIMIT = 20.0


class Client:
    """Speaks literal STOMP."""

    def __init__(self, server: Any) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), LIMIT)
        self._rest = b""

    def say(self, text: str) -> None:
        self.socket.sendall(text.encode() + b"\0")

    def hear(self) -> str:
        """The next frame, without heart-beats; "" at the end."""
        while b"\0" not in self._rest:
            data = self.socket.recv(65536)
            if not data:
                return ""
            self._rest += data
        frame, self._rest = self._rest.split(b"\0", 1)
        return frame.decode().lstrip("\n")

    def connect(self, login: str | None = None, passcode: str | None = None, more: str = "") -> str:
        headers = "".join(
            f"{name}:{value}\n"
            for name, value in (("login", login), ("passcode", passcode))
            if value is not None
        )
        self.say(f"CONNECT\naccept-version:1.2\nhost:h\n{headers}{more}\n")
        return self.hear()

    def close(self) -> None:
        self.socket.close()


Connect = Callable[..., Client]


@pytest.fixture
def client() -> Iterator[Callable[[Any], Client]]:
    with ExitStack() as stack:

        def make(server: Any) -> Client:
            made = Client(server)
            stack.callback(made.close)
            return made

        yield make


def etc(directory: Path, **files: str) -> None:
    folder = directory / "etc"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / f".{name}"
        path.write_text(text)
        path.chmod(0o600)


def token_line(name: str, token: str) -> str:
    return f"{name}:$sha256:{hashlib.sha256(token.encode()).hexdigest()}\n"


def login_of(answer: str, server: Any) -> str:
    """As whom the log says that the one who got that answer is connected."""
    assert answer.startswith("CONNECTED\n"), answer
    return str(server.wait_for_log(r"Connected \S+ with STOMP 1.2 as (\S+)")[1])


# Tokens


def test_a_token_is_a_passcode(start_server: Any, tmp_path: Path, client: Any) -> None:
    etc(tmp_path, tokens=token_line("grafana", "secret"))
    server = start_server("-a", "--accounts=tokens", directory=tmp_path)
    assert login_of(client(server).connect(None, "secret"), server) == "grafana"
    assert client(server).connect("grafana", "secret").startswith("CONNECTED")
    assert client(server).connect("", "secret").startswith("CONNECTED")
    for login, passcode in [("other", "secret"), ("grafana", "wrong"), ("grafana", ""), ("grafana", None)]:
        assert client(server).connect(login, passcode).startswith("ERROR\nmessage:Invalid Login\n")
    assert "secret" not in server.log()


def test_logins_and_tokens_stand_beside_each_other(start_server: Any, tmp_path: Path, client: Any) -> None:
    etc(tmp_path, passwd="alice:word\n", tokens=token_line("alice", "secret") + token_line("bob", "other"))
    server = start_server("-a", "--accounts=passwd,tokens", directory=tmp_path)
    for login, passcode in [("alice", "word"), ("alice", "secret"), (None, "other")]:
        assert client(server).connect(login, passcode).startswith("CONNECTED"), (login, passcode)
    assert client(server).connect("bob", "word").startswith("ERROR\nmessage:Invalid Login\n")


def test_tokens_are_not_asked_without_the_option(start_server: Any, tmp_path: Path, client: Any) -> None:
    etc(tmp_path, passwd="alice:word\n", tokens=token_line("bob", "other"))
    server = start_server("-a", directory=tmp_path)
    assert client(server).connect("bob", "other").startswith("ERROR\nmessage:Invalid Login\n")


@pytest.mark.parametrize("by_signal", [True, False])
def test_a_changed_file_of_tokens_is_taken_over(
    start_server: Any, tmp_path: Path, client: Any, by_signal: bool
) -> None:
    etc(tmp_path, tokens=token_line("a", "one"))
    server = start_server("-a", "--accounts=tokens", directory=tmp_path)
    stays = client(server)
    assert stays.connect(None, "one").startswith("CONNECTED")
    etc(tmp_path, tokens=token_line("b", "two"))
    if by_signal:
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_log("configuration and users read again")
    else:
        server.wait_for_log("a file of accounts changed, and was read again")
    assert client(server).connect(None, "two").startswith("CONNECTED")
    assert client(server).connect(None, "one").startswith("ERROR\nmessage:Invalid Login\n")
    stays.say("SEND\ndestination:/queue/a\nreceipt:r\n\n")
    assert stays.hear().startswith("RECEIPT")


def test_an_unknown_place_of_accounts_ends_the_start(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "stompserver", "-w", str(tmp_path), "-a", "--accounts=tokns", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "accounts: unknown place 'tokns'; known: passwd, tokens" in done.stderr
    assert "did you mean tokens?" in done.stderr


# JSON web tokens

SECRET = "0123456789abcdef0123456789abcdef"


def web_token(login: str, seconds: float = 3600, **more: Any) -> str:
    return jwt.encode({"sub": login, "exp": time.time() + seconds, "aud": "broker", **more}, SECRET, "HS256")


@pytest.fixture
def start_with_jwt(start_server: Any, tmp_path: Path) -> Callable[..., Any]:
    def start(*options: str) -> Any:
        etc(tmp_path)
        (tmp_path / "etc" / "jwt.secret").write_text(SECRET)
        words = [
            "-a",
            "--accounts=jwt",
            "--jwt-key=jwt.secret",
            "--jwt-algorithms=HS256",
            "--jwt-audience=broker",
        ]
        return start_server(*words, *options, directory=tmp_path)

    return start


def test_a_web_token_is_a_passcode(start_with_jwt: Any, client: Any) -> None:
    server = start_with_jwt()
    answer = client(server).connect(None, web_token("alice"))
    assert login_of(answer, server) == "alice"
    assert 3590 <= int(answer.partition("\nexpires-in:")[2].partition("\n")[0]) <= 3600
    assert client(server).connect("alice", web_token("alice")).startswith("CONNECTED")
    for login, passcode in [("bob", web_token("alice")), (None, web_token("alice", -1)), (None, "a.b.c")]:
        assert client(server).connect(login, passcode).startswith("ERROR\nmessage:Invalid Login\n")
    server.wait_for_log("a JWT was refused: it has expired")
    assert "eyJ" not in server.log()


def test_a_session_ends_with_its_token_unless_it_is_renewed(start_with_jwt: Any, client: Any) -> None:
    server = start_with_jwt("--expiry-warning=2", "--management=off")
    ends, goes_on = client(server), client(server)
    for each in (ends, goes_on):
        assert each.connect(None, web_token("alice", 3)).startswith("CONNECTED")
        each.say("SUBSCRIBE\nid:w\ndestination:/temp-queue/stompserver.session\n\n")
    for each in (ends, goes_on):
        warning = each.hear()
        assert warning.startswith("MESSAGE\n")
        assert json.loads(warning.partition("\n\n")[2])["action"] == "expires"
    goes_on.say(
        "SEND\ndestination:/queue/stompserver.management\naction:token\nreceipt:r\n"
        f"passcode:{web_token('alice', 60)}\n\n"
    )
    assert goes_on.hear().startswith("RECEIPT\nreceipt-id:r\n\n")
    assert ends.hear().startswith("ERROR\nmessage:Your login has expired\n")
    assert ends.hear() == ""
    goes_on.say("SEND\ndestination:/queue/a\nreceipt:still\n\n")
    assert goes_on.hear().startswith("RECEIPT\nreceipt-id:still\n")
    server.wait_for_log("Renewed the login of alice")
    assert "eyJ" not in server.log()


def test_a_traced_token_is_masked(start_with_jwt: Any, client: Any) -> None:
    server = start_with_jwt("-d")
    here = client(server)
    assert here.connect(None, web_token("alice")).startswith("CONNECTED")
    here.say(
        "SEND\ndestination:/queue/stompserver.management\naction:token\nreceipt:r\n"
        f"passcode:{web_token('alice')}\n\n"
    )
    assert here.hear().startswith("RECEIPT")
    assert "eyJ" not in server.log()


def test_a_new_key_is_taken_over_and_a_bad_one_is_not(start_with_jwt: Any, client: Any) -> None:
    server = start_with_jwt()
    path = server.directory / "etc" / "jwt.secret"
    path.write_text("short")
    server.wait_for_log(
        "a file of accounts changed, and cannot be used; the old one stays in force: .*has 5 octets"
    )
    assert client(server).connect(None, web_token("alice")).startswith("CONNECTED")
    path.write_text("x" * 32)
    server.wait_for_log("a file of accounts changed, and was read again")
    assert client(server).connect(None, web_token("alice")).startswith("ERROR")
    new = jwt.encode({"sub": "alice", "aud": "broker"}, "x" * 32, "HS256")
    assert client(server).connect(None, new).startswith("CONNECTED")


# Limits of a login


@pytest.fixture
def start_limited(start_server: Any, tmp_path: Path) -> Callable[..., Any]:
    def start(file: str, *options: str) -> Any:
        etc(tmp_path, passwd="alice:a\nbob:b\n")
        (tmp_path / "stompserver.conf").write_text("auth: true\n" + file)
        return start_server(*options, directory=tmp_path)

    return start


def closed(client: Client) -> None:
    """Wait until the server has let it go."""
    client.say("DISCONNECT\nreceipt:bye\n\n")
    while client.hear():
        pass
    client.close()


def test_connections_of_a_login(start_limited: Any, client: Any) -> None:
    server = start_limited("max-connections-per-user: 2\nusers:\n  bob:\n    max-connections: 1\n")
    first, second = client(server), client(server)
    assert first.connect("alice", "a").startswith("CONNECTED")
    assert second.connect("alice", "a").startswith("CONNECTED")
    refused = client(server).connect("alice", "a")
    assert refused.startswith("ERROR\nmessage:Too many connections of your login\n")
    assert "This login may have 2 connections at once" in refused
    # Others have their own, and wrong passcodes take no place.
    assert client(server).connect("alice", "wrong").startswith("ERROR\nmessage:Invalid Login\n")
    assert client(server).connect("bob", "b").startswith("CONNECTED")
    assert (
        client(server).connect("bob", "b").startswith("ERROR\nmessage:Too many connections of your login\n")
    )
    closed(first)
    assert client(server).connect("alice", "a").startswith("CONNECTED")


def test_subscriptions_of_a_login_on_all_its_connections(start_limited: Any, client: Any) -> None:
    server = start_limited("users:\n  alice: {max-subscriptions: 3}\n")

    def subscribe(each: Client, id: str) -> str:
        each.say(f"SUBSCRIBE\nid:{id}\ndestination:/queue/{id}\nreceipt:r\n\n")
        return each.hear().partition("\n\n")[0]

    one, two, other = client(server), client(server), client(server)
    for each, login, passcode in [(one, "alice", "a"), (two, "alice", "a"), (other, "bob", "b")]:
        assert each.connect(login, passcode).startswith("CONNECTED")
    assert subscribe(one, "1") == subscribe(one, "2") == subscribe(two, "3") == "RECEIPT\nreceipt-id:r"
    assert all(subscribe(other, str(number)) == "RECEIPT\nreceipt-id:r" for number in range(5))
    two.say("UNSUBSCRIBE\nid:3\nreceipt:u\n\n")
    assert two.hear().startswith("RECEIPT\nreceipt-id:u")
    assert subscribe(two, "4") == "RECEIPT\nreceipt-id:r"
    assert "message:Too many subscriptions of your login\n" in subscribe(one, "5")
    assert one.hear() == ""
    # Those of the connection that ended with it are free again.
    assert subscribe(two, "6") == subscribe(two, "7") == "RECEIPT\nreceipt-id:r"
    assert "message:Too many subscriptions of your login\n" in subscribe(two, "8")


@pytest.mark.parametrize(
    ("option", "count", "size"), [("max-message-rate: 100", 300, 1), ("max-byte-rate: 100kB", 80, 5000)]
)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_who_sends_too_fast_is_read_more_slowly_and_nothing_is_lost(
    start_limited: Any, client: Any, option: str, count: int, size: int, loop: str
) -> None:
    server = start_limited(f"users:\n  alice:\n    {option}\n", f"--loop={loop}")
    here, listens, free = client(server), client(server), client(server)
    for each, login, passcode in [(here, "alice", "a"), (listens, "bob", "b"), (free, "bob", "b")]:
        assert each.connect(login, passcode).startswith("CONNECTED")
    listens.say("SUBSCRIBE\nid:s\ndestination:/queue/a\nreceipt:r\n\n")
    assert listens.hear().startswith("RECEIPT")
    # One at a time, as a read takes all that is there.
    began = time.monotonic()
    for number in range(count):
        here.say(f"SEND\ndestination:/queue/a\nreceipt:{number}\n\n{number} {'x' * size}")
        if number % 20 == 19:
            while not here.hear().startswith(f"RECEIPT\nreceipt-id:{number}\n"):
                pass
    assert time.monotonic() - began >= 1.5
    for number in range(count):
        assert listens.hear().partition("\n\n")[2].startswith(f"{number} ")
    began = time.monotonic()
    for number in range(count):
        free.say(f"SEND\ndestination:/queue/b\nreceipt:{number}\n\n{'x' * size}")
    while not free.hear().startswith(f"RECEIPT\nreceipt-id:{count - 1}\n"):
        pass
    assert time.monotonic() - began < 1.5


def test_who_comes_back_still_waits_for_what_it_sent(start_limited: Any, client: Any) -> None:
    server = start_limited("max-message-rate: 10\n")
    here = client(server)
    assert here.connect("alice", "a").startswith("CONNECTED")
    here.say("SEND\ndestination:/queue/a\n\n\0" * 29 + "SEND\ndestination:/queue/a\nreceipt:r\n\n")
    assert here.hear().startswith("RECEIPT")
    here.close()
    began = time.monotonic()
    again = client(server)
    assert again.connect("alice", "a").startswith("CONNECTED")
    again.say("SEND\ndestination:/queue/a\nreceipt:r\n\n")
    assert again.hear().startswith("RECEIPT")
    assert time.monotonic() - began > 1.0


def test_limits_are_taken_over_by_sighup(start_limited: Any, client: Any, tmp_path: Path) -> None:
    server = start_limited("users:\n  alice: {max-connections: 1}\n")
    assert client(server).connect("alice", "a").startswith("CONNECTED")
    (tmp_path / "stompserver.conf").write_text("auth: true\nusers:\n  alice: {max-connections: 2}\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("configuration and users read again; changed: users")
    assert client(server).connect("alice", "a").startswith("CONNECTED")
    assert (
        client(server).connect("alice", "a").startswith("ERROR\nmessage:Too many connections of your login\n")
    )
