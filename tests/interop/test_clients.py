"""Third-party STOMP clients of five languages against a started server; README.md tells the scenarios.

Each (client, version, scenario) is a process of its own that prints what the client saw as JSON; what it should
have seen is asserted here, the same for all.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from clients import AT_ONCE, CLIENTS, VERSIONS, address, run

pytestmark = pytest.mark.interop


def numbered(first: int, last: int) -> list[str]:
    return [f"message {number}" for number in range(first, last + 1)]


EVERY_OCTET = (bytes(range(256)) * 2).hex()


def saw_error(facts: Any) -> None:
    """ERROR names what was wrong, teaches, answers the receipt and ends the connection; null: the client hides it."""
    assert "no such transaction" in facts["message"]
    assert "Traceback" not in str(facts)
    assert facts["receipt-id"] in (None, "the commit")
    assert facts["body"] is None or len(facts["body"]) > len("no such transaction")
    assert facts["closed"] is not False


def saw_receipts(facts: Any) -> None:
    known = ["subscribed", "a receipt", "begun", "committed", "unsubscribed", "bye"]
    assert {"subscribed", "a receipt", "unsubscribed"} <= set(facts["receipts"])
    assert facts["receipts"] == [name for name in known if name in facts["receipts"]]


def equal(**expected: Any) -> Callable[[Any], None]:
    def check(facts: Any) -> None:
        assert {name: facts[name] for name in expected} == expected

    return check


CHECKS: dict[str, Callable[[Any], None]] = {
    "order": equal(bodies=numbered(1, 50)),
    "topic_to_two": equal(first=numbered(1, 3), second=numbered(1, 3)),
    "ack_client": equal(received=numbered(1, 3), left=["message 4", "message 5", "END"]),
    "ack_individual": equal(received=numbered(1, 4), left=["message 1", "message 3", "END"]),
    "nack": equal(
        deliveries=[["message 1", "false"], ["message 2", "false"], ["message 1", "true"]], left=["END"]
    ),
    "unsubscribe": equal(left=["later", "END"]),
    "transaction_commit": equal(bodies=["outside", "inside 1", "inside 2"]),
    "transaction_abort": equal(left=["after", "END"]),
    "transaction_ack": equal(**{"after abort": ["message 1", "END"], "after commit": ["END"]}),
    "binary": equal(bodies=[EVERY_OCTET, "", "Grüße €\n".encode().hex()]),
    "receipts": saw_receipts,
    "error": saw_error,
}
NOT_IN_10 = {"ack_individual", "nack"}  # neither the ack mode nor the command exists there


# The older versions are long but for one client: the scenarios are the same, and the server's part is in
# tests/conformance.
def marks_of(name: str, version: str) -> list[pytest.MarkDecorator]:
    return [] if version == "1.2" or name == "stomp.py" else [pytest.mark.long]


each_client = pytest.mark.parametrize("name", CLIENTS)
each_client_and_version = pytest.mark.parametrize(
    ("name", "version"),
    [
        pytest.param(name, version, marks=marks_of(name, version), id=f"{name}-{version}")
        for name in CLIENTS
        for version in VERSIONS
    ],
)


Facts = Callable[[str, str, str], Any]


@pytest.fixture(scope="session")
def facts_of(request: pytest.FixtureRequest, server: Any) -> Iterator[Facts]:
    """Runs the scenarios of all collected tests a few at a time: most of their seconds are starts of interpreters."""
    collected = [item for item in request.session.items if isinstance(item, pytest.Function)]
    wanted = [item.callspec.params for item in collected if item.originalname == "test_scenario"]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {tuple(each.values()): pool.submit(run, **each, address=address(server)) for each in wanted}
        yield lambda *key: runs[key].result()
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(
    ("name", "version", "scenario"),
    [
        pytest.param(
            name, version, scenario, marks=marks_of(name, version), id=f"{name}-{version}-{scenario}"
        )
        for name in CLIENTS
        for version in VERSIONS
        for scenario in CHECKS
        if version != "1.0" or scenario not in NOT_IN_10
    ],
)
def test_scenario(name: str, version: str, scenario: str, facts_of: Facts) -> None:
    facts = facts_of(name, version, scenario)
    CHECKS[scenario](facts)
    assert facts.get("version", version) == version


@each_client_and_version
def test_headers_arrive_as_they_were_sent(name: str, version: str, server: Any) -> None:
    names = CLIENTS[name].headers[version]
    facts = run(name, version, "headers", address(server), headers=",".join(names))
    assert set(facts["sent"]) == set(names)
    assert facts["received"] == facts["sent"]


def test_perl_sends_in_a_transaction_of_its_own(server: Any) -> None:
    """`send_transactional`: the receipt of a SEND inside a transaction must come before its COMMIT."""
    assert run("Net::Stomp", "1.0", "transactional", address(server)) == {
        "done": True,
        "left": ["all of it", "END"],
    }


# Logins


LOGIN = ("guest", "pa:ss\\word")


@pytest.fixture(scope="session")
def guarded_server(start_shared_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that asks for a login; the passcode has what clients and servers escape differently."""
    directory = tmp_path_factory.mktemp("guarded")
    (directory / "etc").mkdir()
    login, passcode = LOGIN
    (directory / "etc" / ".passwd").write_text(f"{login}: {passcode}\n")
    return start_shared_server("-a", directory=directory)


@each_client_and_version
def test_login(name: str, version: str, guarded_server: Any) -> None:
    login, passcode = LOGIN
    facts = run(name, version, "login", address(guarded_server), login=login, passcode=passcode)
    assert facts == {"connected": True, "text": ""}


@each_client
def test_wrong_login(name: str, guarded_server: Any) -> None:
    """In one version only: the answer takes its time."""
    login, _ = LOGIN
    facts = run(name, "1.1", "login", address(guarded_server), login=login, passcode="wrong")
    assert not facts["connected"]
    if CLIENTS[name].tells_why:
        assert "login" in facts["text"].lower()


# Heart-beats


class Relay:
    """A TCP relay to the server that counts the heart-beats which pass: reads of nothing but line ends."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.beats = {"client": 0, "server": 0}
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        server = socket.create_connection(self._target)
        self._sockets += [client, server]
        copies = [("client", client, server), ("server", server, client)]
        for copy in copies:
            self._threads.append(threading.Thread(target=self._copy, args=copy))
            self._threads[-1].start()

    def _copy(self, sender: str, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.beats[sender] += not data.strip(b"\r\n")
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            sink.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()


@pytest.fixture(scope="session")
def beating_server(start_shared_server: Any) -> Any:
    """A server that beats faster, and wants to be told faster, than by default."""
    return start_shared_server("--heart-beat", "100,100", "--monitor-interval", "0.5")


@pytest.fixture
def relay(beating_server: Any) -> Iterator[Relay]:
    one = Relay(address(beating_server))
    yield one
    one.close()


BEATING = [name for name, client in CLIENTS.items() if "heartbeat" not in client.lacks]


@pytest.mark.parametrize("name", BEATING)
@pytest.mark.parametrize("version", [pytest.param("1.1", marks=pytest.mark.long), "1.2"])
def test_heart_beats_pass_both_ways(name: str, version: str, relay: Relay) -> None:
    assert run(name, version, "heartbeat", relay.address, idle="1.7") == {"body": "still here"}
    assert relay.beats["client"] >= 2
    assert relay.beats["server"] >= 2


@pytest.mark.long
@pytest.mark.parametrize("name", BEATING)
def test_heart_beats_keep_the_connection(name: str, beating_server: Any) -> None:
    """Longer than a server waits for a client that has fallen silent (interval + 5 s)."""
    assert run(name, "1.2", "heartbeat", address(beating_server), idle="8") == {"body": "still here"}


# Several clients and the server's own word


@pytest.mark.parametrize("name", [name for name, client in CLIENTS.items() if "monitor" not in client.lacks])
def test_monitor_tells_of_a_queue(name: str, beating_server: Any) -> None:
    key = f"monitored-{uuid4().hex}"
    told = run(name, "1.2", "monitor", address(beating_server), key)["body"]
    block = told[told.index(f"Queue: /queue/{key}\n") :].split("\n\n")[0].splitlines()
    assert block == [f"Queue: /queue/{key}", "size: 1", "dequeued: 0", "enqueued: 1"]


NAMES = list(CLIENTS)


@pytest.mark.parametrize(("sender", "receiver"), list(zip(NAMES, NAMES[1:] + NAMES[:1], strict=True)))
@pytest.mark.parametrize(
    "versions",
    [
        pytest.param(("1.2", "1.0"), marks=pytest.mark.long),
        ("1.0", "1.2"),
        pytest.param(("1.1", "1.2"), marks=pytest.mark.long),
    ],
    ids="to".join,
)
def test_from_one_language_to_another(
    sender: str, receiver: str, versions: tuple[str, str], server: Any
) -> None:
    key = f"across-{uuid4().hex}"
    sent = run(sender, versions[0], "produce", address(server), key)
    assert run(receiver, versions[1], "consume", address(server), key) == sent
