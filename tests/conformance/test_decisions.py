"""What the specifications leave open and this server has decided."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "frame",
    [
        "SEND\r\ndestination:{}\r\n\r\nhello\0",
        "SEND\ndestination:{}\nurl:a:b:c\n\nhello\0",
        "BEGIN\ntransaction:t\n\nbody\0SEND\ndestination:{}\n\nhello\0",
        "\0\0\n\0SEND\ndestination:{}\n\nhello\0",
    ],
    ids=["crlf", "raw colon", "body", "stray nul"],
)
def test_lenient_by_default(connect, version, queue, frame):
    client = connect(version)
    client.subscribe(queue)
    client.send(frame.format(queue))
    client.message("hello")


@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize(
    "headers",
    [
        "accept-version:{}\n",
        "accept-version: {} , 9.9\nhost:x\n",
        "accept-version:{}\nhost:x\nheart-beat:0, 0\n",
    ],
    ids=["no host", "spaces in accept-version", "space in heart-beat"],
)
def test_lenient_when_connecting(dial, strict, version, headers):
    client, other = dial(), dial(strict)
    client.send(f"CONNECT\n{headers.format(version)}\n\0")
    client.expect("CONNECTED", version=version)
    other.send(f"CONNECT\n{headers.format(version)}\n\0")
    other.error()


@pytest.mark.parametrize("sent", ["a:b", "a\\cb"])
def test_a_passcode_is_compared_literally_then_unescaped(serve, dial, hello, version, sent):
    client = dial(serve("-a", passwd="colon: a:b\n"))
    client.send(hello(version, f"login:colon\npasscode:{sent}\n"))
    client.expect("CONNECTED")


def test_a_literal_backslash_passcode_is_not_the_unescaped_one(serve, dial, hello):
    server = serve("-a", passwd="slash: a\\\\cb\n")
    client, other = dial(server), dial(server)
    client.send(hello("1.2", "login:slash\npasscode:a\\\\cb\n"))
    client.expect("CONNECTED")
    other.send(hello("1.2", "login:slash\npasscode:a:b\n"))
    other.error()


def test_message_id_stays_ack_changes(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.subscribe(queue, ack="client")
    client.publish(queue, "hello")
    first = client.message("hello")
    client.close()
    heir.subscribe(queue, ack="client")
    again = heir.message("hello", redelivered="true", message_id=first["message-id"])
    heir.ack(again)
    heir.nothing()


@pytest.mark.versions("1.1")
def test_in_1_1_message_id_and_subscription_name_the_delivery(connect, version, topic):
    client = connect(version)
    client.subscribe(topic, "a", "client")
    client.subscribe(topic, "b", "client")
    client.publish(topic, "hello")
    first, second = client.messages("hello", "hello")
    assert {first["subscription"], second["subscription"]} == {"a", "b"}
    client.nothing()


@pytest.mark.versions("1.0")
def test_in_1_0_all_subscriptions_are_searched(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.send(
        f"SUBSCRIBE\ndestination:{queue}a\nack:client\n\n\0SUBSCRIBE\ndestination:{queue}b\nack:client\n\n\0"
    )
    client.publish(queue + "a", "a")
    client.publish(queue + "b", "b")
    first, second = client.messages("a", "b")
    client.ack(second)
    client.ack(first)
    client.disconnect()
    heir.subscribe(queue + "a", "a")
    heir.subscribe(queue + "b", "b")
    heir.nothing()


@pytest.mark.versions("1.0")
def test_in_1_0_each_subscription_has_one_message_at_a_time(connect, version, queue):
    client = connect(version)
    client.send(f"SUBSCRIBE\ndestination:{queue}\nack:client\n\n\0")
    client.publish(queue, *"123")
    for body in "123":
        message = client.message(body)
        client.nothing()
        client.ack(message)
    client.nothing()


def test_late_ack_after_unsubscribe(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.subscribe(queue, ack="client")
    client.publish(queue, "hello")
    message = client.message("hello")
    client.unsubscribe()
    client.ack(message)
    client.disconnect()
    heir.subscribe(queue)
    heir.nothing()


@pytest.mark.versions("1.1", "1.2")
def test_nack_redelivers_at_the_original_place(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.subscribe(queue, ack="client-individual", more="prefetch-count:2\n")
    client.publish(queue, *"1234")
    first, _ = client.messages("1", "2")
    client.nack(first)
    client.message("1", redelivered="true")
    client.disconnect()
    heir.subscribe(queue)
    heir.messages(*"1234")


@pytest.mark.versions("1.1", "1.2")
def test_nack_without_requeue_goes_to_the_dead_letter_queue_now(connect, serve, version, queue):
    server = serve("--deadletter=/queue/conformance-dead")
    client, heir = connect(version, to=server), connect(version, to=server)
    client.subscribe(queue, ack="client-individual")
    client.publish(queue, "dead", more="x:1\n")
    client.nack(client.message("dead"), "requeue:false\n")
    client.nothing()
    heir.subscribe("/queue/conformance-dead")
    heir.message(
        "dead", **{"destination": "/queue/conformance-dead", "original-destination": queue, "x": "1"}
    )


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_max_exceptions_of_the_original(connect, version, queue, limit):
    """max-exceptions:N is delivered at most N + 1 times, then it is a dead letter."""
    sender, heir = connect(version), connect(version)
    sender.publish(queue, "bad", more=f"max-exceptions:{limit}\n")
    sender.publish(queue, "good")
    for attempt in range(limit + 1):
        client = connect(version)
        client.subscribe(queue, ack="client", more="prefetch-count:1\n")
        assert client.message("bad").values("redelivered") == (["true"] if attempt else [])
        client.disconnect()
    heir.subscribe(queue)
    assert heir.bodies() == ["good"]
    heir.subscribe("/queue/deadletter", "d")
    assert [dead.body for dead in heir.barrier() if dead["original-destination"] == queue] == [b"bad"]


def test_max_redeliveries_is_the_same_for_all(connect, serve, version, queue):
    server = serve("--max-redeliveries=1")
    sender, heir = connect(version, to=server), connect(version, to=server)
    sender.publish(queue, "bad")
    for _ in range(2):
        client = connect(version, to=server)
        client.subscribe(queue, ack="client")
        client.message("bad")
        client.disconnect()
    heir.subscribe(queue)
    heir.nothing()
    heir.subscribe("/queue/deadletter", "d")
    assert [dead.body for dead in heir.barrier() if dead["original-destination"] == queue] == [b"bad"]


@pytest.mark.parametrize("ack", ["auto", "client"])
def test_bare_destinations_are_topics(connect, version, queue, ack):
    name = queue.rpartition("/")[2]
    client, late = connect(version), connect(version)
    client.subscribe(name, ack=ack)
    client.publish(name, "hello")
    client.message("hello", destination=name)
    late.subscribe(name)
    late.nothing()


def test_bare_destinations_are_queues_when_told_so(connect, serve, version, queue):
    server = serve("--bare-destination=queue")
    name = queue.rpartition("/")[2]
    client, other = connect(version, to=server), connect(version, to=server)
    client.publish(name, "hello")
    other.subscribe(name)
    other.message("hello", destination=name)


@pytest.mark.parametrize("frame", ["SEND\ndestination:{}\n\nx\0", "SUBSCRIBE\nid:1\ndestination:{}\n\n\0"])
def test_bare_destinations_are_errors_when_told_so(connect, serve, version, queue, frame):
    server = serve("--bare-destination=error")
    client = connect(version, to=server)
    client.publish(queue, "hello")
    client.send(frame.format("bare"))
    client.error("bare")


@pytest.mark.parametrize("frame", ["NONSENSE\nreceipt:r\n\n\0", "SEND\nreceipt:r\n\n\0"])
def test_error_has_the_receipt_id_and_closes(connect, version, frame):
    client = connect(version)
    client.send(frame)
    assert client.error()["receipt-id"] == "r"


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", None])
def test_the_body_is_never_changed(connect, version, queue, kind):
    client = connect(version)
    client.subscribe(queue)
    content_type = f"content-type:{kind}\n" if kind else ""
    body = b"\xff\xfe \r\n \xe9 \xc3\xa9"
    client.send(f"SEND\ndestination:{queue}\n{content_type}\n".encode() + body + b"\0")
    client.message(body)


@pytest.mark.versions("1.1", "1.2")
def test_what_1_0_cannot_carry_is_replaced_and_marked(connect, version, queue):
    client, old, new = connect(version), connect("1.0"), connect("1.2")
    old.subscribe(queue)
    frame = f"SEND\ndestination:{queue}\nx:a\\nb\n\nhello\0"
    client.send(frame)
    old.message("hello", x="a b", x_sanitized="true")
    old.unsubscribe()
    new.subscribe(queue)
    client.send(frame)
    assert not new.message("hello", x="a\\nb").has("x-sanitized")


@pytest.mark.parametrize("ack", ["auto", "client"])
def test_dispatch_is_fair_among_the_ready(connect, version, queue, ack):
    clients = [connect(version) for _ in range(3)]
    for client in clients:
        client.subscribe(queue, ack=ack, more="prefetch-count:100\n")
    clients[0].publish(queue, *map(str, range(30)))
    assert [len(client.bodies()) for client in clients] == [10, 10, 10]


@pytest.mark.parametrize("name", ["/queue/x{}", "/queuex{}", "/queue-{}", "/queues/{}"])
def test_what_begins_with_queue_is_a_queue(connect, version, queue, name):
    destination = name.format(queue.rpartition("/")[2])
    client = connect(version)
    client.publish(destination, "hello")
    client.subscribe(destination)
    client.message("hello", destination=destination)
