"""A running server whose database is killed: producers wait, no receipt is lost, and it goes on afterwards."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MESSAGES = 200


class Client:
    """A STOMP 1.2 client that reads frames as they come."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._read = b""
        self.send("CONNECT", {"accept-version": "1.2", "host": "x"})
        assert self.frame()[0] == "CONNECTED"

    def send(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        self.socket.sendall(f"{command}\n{lines}\n".encode() + body + b"\0")

    def frame(self) -> tuple[str, dict[str, str], bytes]:
        while b"\0" not in self._read:
            octets = self.socket.recv(65536)
            assert octets, f"the server closed the connection: {self._read!r}"
            self._read += octets
        frame, _, self._read = self._read.partition(b"\0")
        head, _, body = frame.lstrip(b"\n").partition(b"\n\n")
        command, *lines = head.decode().split("\n")
        return command, dict(line.split(":", 1) for line in lines), body

    def receipts(self, expected: int) -> list[str]:
        found = []
        while len(found) < expected:
            command, headers, _ = self.frame()
            assert command == "RECEIPT"
            found.append(headers["receipt-id"])
        return found


@pytest.fixture(params=["postgresql", pytest.param("mariadb", marks=pytest.mark.long)])
def database(request: pytest.FixtureRequest) -> Any:
    server = request.getfixturevalue(request.param)
    if not server.private:
        pytest.skip("not our server to kill")
    return server


def test_the_database_is_killed_under_a_server(
    database: Any, tmp_path: Path, start_server: Callable[..., Any]
) -> None:
    place = database.place(tmp_path)
    options = ("-q", "activerecord", "-s", str(place.storage))
    server = start_server(*options, directory=tmp_path)
    producer = Client(server.port)

    def produce(first: int, headers: dict[str, str]) -> None:
        for number in range(first, first + MESSAGES):
            producer.send(
                "SEND", {"destination": "/queue/a", "receipt": str(number), **headers}, b"%d" % number
            )

    produce(0, {})
    assert producer.receipts(MESSAGES) == [str(number) for number in range(MESSAGES)]
    database.kill()
    produce(MESSAGES, {})
    server.wait_for_log("The database is away, producers wait", 60)
    # No receipt while the database is away.
    producer.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        producer.frame()
    producer.socket.settimeout(60)
    database.start()
    assert producer.receipts(MESSAGES) == [str(number) for number in range(MESSAGES, 2 * MESSAGES)]
    server.wait_for_log("The database is back", 60)

    server.kill()
    server = start_server(*options, directory=tmp_path)
    consumer = Client(server.port)
    consumer.send("SUBSCRIBE", {"destination": "/queue/a", "id": "1", "ack": "client-individual"})
    for number in range(2 * MESSAGES):
        command, headers, body = consumer.frame()
        assert (command, body) == ("MESSAGE", b"%d" % number)
        consumer.send("ACK", {"id": headers["ack"]})
    consumer.send("DISCONNECT", {"receipt": "bye"})
    assert consumer.receipts(1) == ["bye"]
    for client in (producer, consumer):
        client.socket.close()
    server.stop()


def test_no_database_at_the_start(database: Any, tmp_path: Path, start_server: Callable[..., Any]) -> None:
    place = database.place(tmp_path)
    text = (place.etc / "database.yml").read_text()
    (place.etc / "database.yml").write_text(text.replace("database: ", "database: no_"))
    with pytest.raises(Exception, match="no_stompserver_test") as caught:
        start_server("-q", "activerecord", "-s", str(place.storage), directory=tmp_path)
    assert "Traceback" not in str(caught.value)
