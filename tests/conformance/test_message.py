"""MESSAGE (lines 117 to 124)."""

from __future__ import annotations

import pytest


@pytest.mark.line(117)
@pytest.mark.parametrize(
    "name", ["/queue/{}", "/queue{}", "/topic/{}", "{}", "/a b/{}", "/Queue/{}", "/queue/{}:x", "queue:{}"]
)
def test_117_destination_as_sent(connect, version, queue, name):
    client = connect(version)
    destination = name.format(queue.rpartition("/")[2])
    client.subscribe(destination)
    client.publish(destination, "hello")
    escaped = destination if version == "1.0" else destination.replace(":", r"\c")
    assert client.message("hello").values("destination") == [escaped]


@pytest.mark.line(118)
@pytest.mark.parametrize("ack", ["auto", "client"])
def test_118_message_id_is_unique(connect, version, queue, topic, ack):
    client = connect(version)
    for number, destination in enumerate((queue, queue + "x", topic)):
        client.subscribe(destination, str(number), ack, "prefetch-count:100\n")
        client.publish(destination, *["same"] * 5)
    identities = [client.message("same")["message-id"] for _ in range(15)]
    assert len(set(identities)) == 15
    assert all(identities)


@pytest.mark.line(118, 135)
def test_118_and_the_same_when_delivered_again(connect, version, queue):
    first, second = connect(version), connect(version)
    first.subscribe(queue, ack="client")
    first.publish(queue, "hello")
    number = first.message("hello")["message-id"]
    first.close()
    second.subscribe(queue)
    second.message("hello", message_id=number, redelivered="true")


@pytest.mark.line(119)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("number", ["0", "sub-1", "ü", "with space", " "])
def test_119_subscription_is_the_id(connect, version, queue, topic, number):
    client = connect(version)
    client.subscribe(queue, number, "client")
    client.subscribe(topic, number + "x")
    client.publish(queue, "queue")
    client.message("queue", subscription=number)
    client.publish(topic, "topic")
    client.message("topic", subscription=number + "x")


@pytest.mark.line(120)
@pytest.mark.versions("1.2")
@pytest.mark.parametrize("ack", ["client", "client-individual"])
def test_120_ack_header(connect, version, queue, ack):
    client = connect(version)
    client.subscribe(queue, ack=ack)
    client.publish(queue, *"12345")
    messages = client.messages(*"12345")
    assert len({message["ack"] for message in messages}) == 5
    client.nack(messages[4])
    again = client.messages(*("12345" if ack == "client" else "5"))  # NACK is cumulative, as ACK
    assert len({message["ack"] for message in messages + again}) == 5 + len(again)


@pytest.mark.line(120)
@pytest.mark.versions("1.2")
@pytest.mark.parametrize("ack", ["client", "client-individual"])
def test_120_also_on_topics(connect, version, topic, ack):
    client = connect(version)
    client.subscribe(topic, ack=ack)
    client.publish(topic, *"123")
    messages = client.messages(*"123")
    assert len({message["ack"] for message in messages}) == 3
    client.ack(messages[1], "receipt:r\n")
    client.receipt("r")


@pytest.mark.line(121)
def test_121_no_ack_header_otherwise(connect, version, queue):
    client = connect(version)
    client.subscribe(queue, "1", "auto")
    client.publish(queue, "auto")
    assert not client.message("auto").has("ack")
    client.unsubscribe("1")
    client.subscribe(queue, "2", "client")
    client.publish(queue, "client")
    assert client.message("client").has("ack") == (version == "1.2")


@pytest.mark.line(122)
@pytest.mark.parametrize("kind", ["queue", "topic", "stored", "committed"])
def test_122_all_user_headers(connect, version, queue, topic, kind):
    client = connect(version)
    destination = topic if kind == "topic" else queue
    if kind != "stored":
        client.subscribe(destination)
    in_transaction = "transaction:t\n" if kind == "committed" else ""
    client.begin("t")
    headers = "".join(f"header-{number}:value {number}\n" for number in range(80))
    client.send(
        f"SEND\ndestination:{destination}\n{in_transaction}{headers}\nhello\0COMMIT\ntransaction:t\n\n\0"
    )
    if kind == "stored":
        client.subscribe(destination)
    message = client.message("hello")
    got = [pair for pair in message.headers if pair[0].startswith("header-")]
    assert got == [(f"header-{number}", f"value {number}") for number in range(80)]


@pytest.mark.line(123)
@pytest.mark.parametrize("kind", ["queue", "topic", "stored"])
@pytest.mark.parametrize("ack", ["auto", "client"])
def test_123_order(connect, version, queue, topic, kind, ack):
    client, other = connect(version), connect(version)
    destination = topic if kind == "topic" else queue
    if kind != "stored":
        client.subscribe(destination, ack=ack, more="prefetch-count:1000\n")
    bodies = [str(number) for number in range(500)]
    other.publish(destination, *bodies)
    if kind == "stored":
        client.subscribe(destination, ack=ack, more="prefetch-count:1000\n")
    client.messages(*bodies)
    client.nothing()


@pytest.mark.line(123)
def test_123_order_of_what_comes_back(connect, version, queue):
    first, second = connect(version), connect(version)
    first.subscribe(queue, ack="client", more="prefetch-count:3\n")
    first.publish(queue, *"12345")
    first.messages(*"123")
    first.disconnect()
    second.subscribe(queue)
    assert [message.values("redelivered") for message in second.messages(*"12345")] == [["true"]] * 3 + [
        []
    ] * 2


@pytest.mark.line(124)
def test_124_content_length_and_content_type(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\ncontent-type:text/plain;charset=utf-8\n\né\0")
    message = client.message("é")
    assert message.values("content-length") == ["2"]
    assert message.values("content-type") == ["text/plain;charset=utf-8"]
