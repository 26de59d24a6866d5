"""Wrong logins by the hundred keep nobody else out, whoever they say they are."""

from __future__ import annotations

import re
import selectors
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from argon2 import PasswordHasher

RESET = struct.pack("ii", 1, 0)
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
DEAR = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
LIMIT = 60.0


class Crowd:
    """Clients that log in to one server. ``answers`` are what they got, in the order in which it was read."""

    def __init__(self, server: Any) -> None:
        self.port = server.port
        self._process = psutil.Process(server.process.pid)
        self.answers: list[str] = []
        self.texts: dict[socket.socket, str] = {}
        self._stack = ExitStack()
        self._selector = self._stack.enter_context(selectors.DefaultSelector())

    def log_in(self, login: str, passcode: str, name: str = "") -> socket.socket:
        client = self._stack.enter_context(socket.create_connection(("127.0.0.1", self.port), LIMIT))
        frame = f"CONNECT\naccept-version:1.2\nhost:h\nlogin:{login}\npasscode:{passcode}\n\n\0"
        client.sendall(frame.encode())
        self._selector.register(client, selectors.EVENT_READ, name or login)
        return client

    def abandon(self, login: str, passcode: str) -> None:
        """Log in, and reset the connection."""
        client = self.log_in(login, passcode)
        self._selector.unregister(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()

    def read(self, until: str = "") -> list[str]:
        """Read until that client was answered, or everybody was."""
        while self._selector.get_map() and until not in [each.split()[0] for each in self.answers]:
            events = self._selector.select(LIMIT)
            assert events, f"no answer, after {len(self.answers)}"
            for key, _ in events:
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                data = self.texts[sock] = sock.recv(65536).decode()
                self._selector.unregister(sock)
                said = re.search(r"message:([^\n]*)", data)
                self.answers.append(f"{key.data} {said[1] if said else data.partition(chr(10))[0]}")
        return self.answers

    def cpu(self) -> float:
        """Seconds that the server has computed."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def crowd(start_server: Any, tmp_path: Path) -> Iterator[Any]:
    """`crowd(*options)`: a server whose hashes are expensive, but for that of alice, and its clients."""
    crowds: list[Crowd] = []

    def make(*options: str) -> Crowd:
        (tmp_path / "etc").mkdir()
        passwords = tmp_path / "etc" / ".passwd"
        passwords.write_text(f"alice:{CHEAP.hash('right')}\nbob:{DEAR.hash('right')}\nplain:right\n")
        passwords.chmod(0o600)
        crowds.append(Crowd(start_server("-a", *options, directory=tmp_path)))
        return crowds[-1]

    yield make
    for each in crowds:
        each.close()


def cost_of_a_hash() -> float:
    """Seconds of CPU."""
    encoded = DEAR.hash("x")
    began = time.process_time()
    for _ in range(5):
        DEAR.verify(encoded, "x")
    return (time.process_time() - began) / 5


@pytest.mark.parametrize("wrong", ["bob", "nobody", "nobody {}", "plain"])
def test_a_right_login_does_not_wait_until_all_wrong_ones_are_hashed(crowd: Any, wrong: str) -> None:
    """The first of that login since the start: the server has to compute a hash to know."""
    here = crowd()
    before = here.cpu()
    for number in range(300):
        here.log_in(wrong.format(number), f"wrong {number}", "wrong")
    tries = 0
    while "right CONNECTED" not in here.answers:
        tries += 1
        assert tries < 10, "told that the server is busy each time"
        here.answers.clear()
        here.log_in("alice", "right", "right")
        here.read(until="right")
    assert here.cpu() - before < 150 * cost_of_a_hash()


def test_abandoned_logins_are_not_waited_for(crowd: Any) -> None:
    here = crowd()
    for number in range(300):
        here.abandon("bob", f"wrong {number}")
    here.log_in("bob", "late", "wrong")
    here.log_in("alice", "right", "right")
    assert here.read() == ["right CONNECTED", "wrong Invalid Login"]


def test_a_login_known_to_be_right_waits_for_nobody(crowd: Any) -> None:
    here = crowd()
    here.log_in("bob", "right", "first")
    assert here.read() == ["first CONNECTED"]
    for number in range(100):
        here.log_in("bob", f"wrong {number}", "wrong")
    here.log_in("bob", "right", "again")
    here.log_in("plain", "right", "plain")
    answers = here.read(until="plain")
    assert "again CONNECTED" in answers and "plain CONNECTED" in answers
    assert len(answers) < 100


def test_many_of_one_address_are_told_that_the_server_is_busy(crowd: Any) -> None:
    here = crowd("--max-logins-per-address=3")
    clients = [here.log_in("bob", f"wrong {number}", "wrong") for number in range(60)]
    answers = here.read()
    assert set(answers) == {"wrong Invalid Login", "wrong Too busy to check your login"}
    # More than three where the machine needs more than a second for all of them to come.
    assert answers.count("wrong Too busy to check your login") >= 30
    assert len(clients) == len(answers)


def test_what_is_told_does_not_depend_on_the_login(crowd: Any) -> None:
    here = crowd("--max-logins-per-address=4")
    for login in ("bob", "nobody", "plain", "alice"):
        here.log_in(login, "wrong", login)
    assert sorted(here.read()) == [f"{each} Invalid Login" for each in ("alice", "bob", "nobody", "plain")]


def test_the_error_says_what_to_do(crowd: Any) -> None:
    here = crowd("--max-logins-per-address=1")
    for number in range(20):
        client = here.log_in("bob", f"wrong {number}\nreceipt:7")
    here.read()
    text = here.texts[client]
    assert "message:Too busy to check your login\nreceipt-id:7\n" in text
    assert "Where: headers login and passcode" in text
    assert "max-logins-per-address" in text
    assert "Fix: Connect again in a few seconds." in text


def test_different_costs_are_told_at_the_start(start_server: Any, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    passwords = tmp_path / "etc" / ".passwd"
    passwords.write_text(f"alice:{CHEAP.hash('right')}\nbob:{DEAR.hash('right')}\n")
    passwords.chmod(0o600)
    server = start_server("-a", directory=tmp_path)
    assert "hashes of different cost: alice can be tried faster" in server.log()
