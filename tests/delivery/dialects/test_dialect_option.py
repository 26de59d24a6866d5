"""``dialect``: what clients see who come from another broker, on memory and over a kill."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

import wire


@pytest.fixture
def client_class() -> type[wire.Client]:
    return wire.Client


def answer(port: int, more: str = "") -> str:
    """What the server says to CONNECT with these header lines, and to DISCONNECT."""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(f"CONNECT\naccept-version:1.2\nhost:h\n{more}\n\0DISCONNECT\n\n\0".encode())
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


def server_header(port: int) -> str:
    """What CONNECTED says the server is."""
    (found,) = re.findall(r"^server:(.*)$", answer(port), re.MULTILINE)
    return str(found)


@pytest.mark.options("--dialect=activemq")
def test_as_activemq(house: Any) -> None:
    assert server_header(house.server.port) == "ActiveMQ/5.17.2"
    client = house.connect()
    client.publish("orders", "give up", "priority:7\n")
    client.publish("orders", "wait")
    client.subscribe("orders", ack="client-individual")
    refused, waiting = client.take(2)
    assert (refused["destination"], refused["priority"], refused["expires"]) == ("/queue/orders", "7", "0")
    assert not refused.has("redelivered")
    client.receipt(f"NACK\nid:{refused['ack']}\n\n\0")
    client.nothing()
    house.restart()
    client = house.connect()
    client.subscribe("ActiveMQ.DLQ", "dead")
    (dead,) = client.take(1)
    assert (dead.body, dead["original-destination"]) == ("give up", "/queue/orders")
    if house.keeps:
        client.subscribe("/queue/orders")
        (again,) = client.take(1)
        assert (again.body, again["timestamp"]) == ("wait", waiting["timestamp"])
    first = house.connect("client-id:me\n")
    assert "message:Client id is in use" in answer(house.server.port, "client-id:me\n")
    first.nothing()


@pytest.mark.options("--dialect=rabbitmq")
def test_as_rabbitmq(house: Any) -> None:
    assert server_header(house.server.port) == "RabbitMQ/3.10.8"
    first, second = house.connect("client-id:me\n"), house.connect("client-id:me\n")
    for number in range(150):
        first.send(f"SEND\ndestination:orders\n\n{number}\0")
    second.subscribe("/queue/orders", ack="client")
    messages = second.take(150)
    assert {message["redelivered"] for message in messages} == {"false"}
    assert not any(message.has("timestamp") for message in messages)
    second.receipt(f"NACK\nid:{messages[0]['ack']}\n\n\0")
    (again,) = second.take(1)
    assert (again.body, again["redelivered"]) == ("0", "true")
    first.send("SUBSCRIBE\nid:1\ndestination:/topic/a.>\n\n\0")
    assert "* and #" in first.error().body


@pytest.mark.options("--dialect=artemis")
def test_as_artemis(house: Any) -> None:
    assert server_header(house.server.port) == "ActiveMQ-Artemis/2.32.0"
    client = house.connect()
    for priority in (1, 4, 9):
        client.publish("/queue/a", str(priority), f"priority:{priority}\n")
    client.publish("/queue/a", "none")
    house.restart()
    if house.keeps:
        client = house.connect()
    client.subscribe("/queue/a")
    messages = client.take(4)
    assert [message.body for message in messages] == ["9", "4", "none", "1"]
    assert messages[2]["priority"] == "4" and messages[2]["redelivered"] == "false"


@pytest.mark.options("--dialect=apollo")
def test_as_apollo(house: Any) -> None:
    assert server_header(house.server.port) == "apache-apollo/1.7.1"
    client = house.connect()
    client.publish("/queue/a", "x")
    client.subscribe("/queue/a", ack="client")
    for more in ("", "requeue:false\n"):
        (message,) = client.take(1)
        client.receipt(f"NACK\nid:{message['ack']}\n{more}\n\0")
    client.subscribe("/queue/dlq.a", "dead", ack="client")
    (dead,) = client.take(1)
    client.receipt(f"NACK\nid:{dead['ack']}\nrequeue:false\n\n\0")
    assert client.take(1)[0].body == "x"
    client.send("SEND\ndestination:orders\n\nx\0")
    assert "neither a queue nor a topic" in client.error().body


FILE = """\
server-header: mine
listeners:
- {{port: 0, name: active, dialect: activemq, server-header: other}}
- {{port: 0, name: rabbit, dialect: {}}}
"""


def test_each_listener_has_its_own(start_server: Any, tmp_path: Path) -> None:
    (tmp_path / "stompserver.conf").write_text(FILE.format("rabbitmq"))
    server = start_server("--monitor-interval=0", directory=tmp_path)
    server.wait_for_log(r"port \d+ \(rabbit\)")
    at = {name: int(port) for port, name in re.findall(r"port (\d+)(?: \((\w+)\))?", server.log())}
    assert {name: server_header(port) for name, port in at.items()} == {
        "": "mine", "active": "other", "rabbit": "RabbitMQ/3.10.8"
    }  # fmt: skip
    plain, active, rabbit = wire.Client(at[""]), wire.Client(at["active"]), wire.Client(at["rabbit"])
    assert "queue/orders" in plain.publish("orders", "to a topic, which nobody hears")["warning"]
    rabbit.publish("orders", "to a queue")
    active.subscribe("orders", ack="client")
    (message,) = active.take(1)
    assert message.has("timestamp") and message.has("priority") and not message.has("redelivered")
    active.receipt(f"NACK\nid:{message['ack']}\n\n\0")
    plain.subscribe("/queue/deadletter", "dead")
    (dead,) = plain.take(1)
    assert dead.body == "to a queue" and not dead.has("timestamp") and not dead.has("priority")
    # SIGHUP: other words, for connections from then on; what is of queues, at once.
    (tmp_path / "stompserver.conf").write_text("dialect: artemis\n" + FILE.format("apollo"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("read again; changed: .*dialect.*, listeners")
    assert server_header(at["rabbit"]) == "apache-apollo/1.7.1"
    assert server_header(at[""]) == "mine"
    active.leave()
    rabbit.publish("orders", "late", "priority:1\n")
    rabbit.publish("orders", "soon", "priority:9\n")
    plain.subscribe("/queue/orders")
    assert [plain.frame().body for _ in range(2)] == ["soon", "late"]
    for client in (plain, active, rabbit):
        client.close()
