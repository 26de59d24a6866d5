"""SUBSCRIBE and UNSUBSCRIBE (lines 101 to 116)."""

from __future__ import annotations

import pytest


@pytest.mark.line(101)
def test_101_destination_is_required(connect, version):
    client = connect(version)
    client.send("SUBSCRIBE\nid:1\nreceipt:r\n\n\0")
    assert client.error("destination", "SUBSCRIBE")["receipt-id"] == "r"


@pytest.mark.line(102)
@pytest.mark.versions("1.1", "1.2")
def test_102_id_is_required(connect, version, queue):
    client = connect(version)
    client.send(f"SUBSCRIBE\ndestination:{queue}\nreceipt:r\n\n\0")
    assert client.error("id", "SUBSCRIBE")["receipt-id"] == "r"


@pytest.mark.line(102)
@pytest.mark.versions("1.0")
def test_102_id_is_optional_in_1_0(connect, version, queue):
    client = connect(version)
    client.send(f"SUBSCRIBE\ndestination:{queue}\nreceipt:r\n\n\0")
    client.receipt("r")
    client.publish(queue, "hello")
    assert not client.message("hello").has("subscription")


@pytest.mark.line(103)
@pytest.mark.versions("1.1", "1.2")
def test_103_a_duplicate_id(connect, version, queue):
    client = connect(version)
    client.subscribe(queue, "1")
    client.send(f"SUBSCRIBE\nid:1\ndestination:{queue}x\nreceipt:r\n\n\0")
    assert client.error("id", "1")["receipt-id"] == "r"


@pytest.mark.line(103)
@pytest.mark.versions("1.0")
def test_103_a_duplicate_id_is_a_further_subscription_in_1_0(connect, version, queue):
    client = connect(version)
    client.subscribe(queue, "1")
    client.subscribe(queue + "x", "1")
    client.publish(queue, "a")
    client.publish(queue + "x", "b")
    assert client.messages("a", "b")[1]["subscription"] == "1"


@pytest.mark.line(104)
def test_104_ids_belong_to_the_connection_and_can_be_used_again(connect, version, queue):
    client, other = connect(version), connect(version)
    client.subscribe(queue, "1")
    other.subscribe(queue + "x", "1")
    client.unsubscribe("1")
    client.subscribe(queue + "y", "1")
    client.publish(queue + "x", "other's")
    client.publish(queue + "y", "client's")
    client.message("client's", subscription="1")
    other.message("other's", subscription="1")


@pytest.mark.line(104)
@pytest.mark.parametrize(
    ("near", "far"), [("1", "01"), ("1", " 1x"), ("a", "A"), ("id:1", "id:2"), ("x" * 1000, "x" * 1001)]
)
def test_104_ids_are_texts(connect, version, topic, near, far):
    client = connect(version)
    client.subscribe(topic, near)
    client.subscribe(topic, far)
    client.publish(topic, "hello")
    assert len({client.message("hello")["subscription"] for _ in range(2)}) == 2


@pytest.mark.line(105, 129)
@pytest.mark.parametrize("ack", ["", "ack:auto\n", "ack:client\n", "ack:client-individual\n"], ids=repr)
def test_105_the_ack_modes(connect, version, queue, ack):
    client, other = connect(version), connect(version)
    if (version, ack) == ("1.0", "ack:client-individual\n"):
        ack = "ack:client\n"  # 1.0 does not know it
    client.send(f"SUBSCRIBE\nid:1\ndestination:{queue}\n{ack}\n\0SEND\ndestination:{queue}\n\nhello\0")
    client.message("hello")
    client.disconnect()
    other.subscribe(queue)
    assert other.bodies() == (["hello"] if "client" in ack else [])


@pytest.mark.line(105)
@pytest.mark.versions("1.0")
def test_105_a_topic_waits_for_no_ack_in_1_0(connect, version, topic):
    """The original ignored the ack mode on topics; its clients never acknowledge what comes from there."""
    client, other = connect(version), connect(version)
    client.subscribe(topic, ack="client")
    bodies = [str(number) for number in range(300)]
    other.publish(topic, *bodies)
    assert client.bodies() == bodies


@pytest.mark.line(106, 107)
@pytest.mark.parametrize(
    "ack", ["nonsense", "AUTO", "Client", "individual", "", "auto,client", "client individual"]
)
def test_106_other_ack_modes(connect, version, queue, ack):
    client = connect(version)
    client.send(f"SUBSCRIBE\nid:1\ndestination:{queue}\nack:{ack}\nreceipt:r\n\n\0")
    assert client.error("ack", "client")["receipt-id"] == "r"


@pytest.mark.line(107, 181)
def test_107_a_subscription_that_cannot_be(serve, connect, version, queue):
    client = connect(version, to=serve("--max-subscriptions=2"))
    client.subscribe(queue, "1")
    client.subscribe(queue, "2")
    client.unsubscribe("1")
    client.subscribe(queue, "1")
    client.send(f"SUBSCRIBE\nid:3\ndestination:{queue}\nreceipt:r\n\n\0")
    assert client.error("subscriptions", "2")["receipt-id"] == "r"


@pytest.mark.line(108)
def test_108_unknown_headers_are_ignored(connect, version, queue):
    client = connect(version)
    client.subscribe(queue, more="x-unknown:1\nactivemq.dispatchAsync:true\ntransformation:jms-xml\nü:\n")
    client.publish(queue, "hello")
    client.message("hello")


@pytest.mark.line(109)
@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_109_everything_after_the_receipt_is_seen(connect, version, kind, queue, topic):
    destination = queue if kind == "queue" else topic
    client, other = connect(version), connect(version)
    for number in range(20):
        client.send(f"SUBSCRIBE\nid:{number}\ndestination:{destination}-{number}\nreceipt:r\n\n\0")
        client.receipt("r")
        other.publish(f"{destination}-{number}", str(number))
        client.message(str(number), subscription=str(number))


@pytest.mark.line(110)
@pytest.mark.versions("1.0")
def test_110_subscription_when_there_was_an_id_in_1_0(connect, version, queue):
    client = connect(version)
    client.send(f"SUBSCRIBE\nid:sub-7\ndestination:{queue}\n\n\0SEND\ndestination:{queue}\n\nhello\0")
    client.message("hello", subscription="sub-7")


@pytest.mark.line(111)
def test_111_two_subscriptions_two_copies(connect, version, topic):
    client, other = connect(version), connect(version)
    client.subscribe(topic, "1")
    client.subscribe(topic, "2")
    other.publish(topic, "hello")
    assert sorted(client.message("hello")["subscription"] for _ in range(2)) == ["1", "2"]
    client.unsubscribe("1")
    other.publish(topic, "again")
    client.message("again", subscription="2")
    client.nothing()


@pytest.mark.line(111)
@pytest.mark.versions("1.0")
def test_111_also_without_ids(connect, version, topic):
    client, other = connect(version), connect(version)
    client.send(f"SUBSCRIBE\ndestination:{topic}\n\n\0" * 2)
    client.nothing()
    other.publish(topic, "hello")
    client.messages("hello", "hello")
    client.nothing()


@pytest.mark.line(113)
@pytest.mark.versions("1.0")
@pytest.mark.parametrize("ids", ["", "id:7\n"], ids=repr)
@pytest.mark.parametrize("by", ["destination", "id"])
def test_113_unsubscribe_by_destination_or_id_in_1_0(connect, version, queue, ids, by):
    client, other = connect(version), connect(version)
    if by == "id" and not ids:
        ids = "id:8\n"
    client.send(f"SUBSCRIBE\ndestination:{queue}\n{ids}\n\0")
    client.send(
        f"UNSUBSCRIBE\n{f'destination:{queue}' if by == 'destination' else ids.strip()}\nreceipt:r\n\n\0"
    )
    client.receipt("r")
    other.publish(queue, "hello")
    client.nothing()
    other.subscribe(queue)
    other.message("hello")


@pytest.mark.line(113)
@pytest.mark.versions("1.0")
def test_113_unsubscribe_needs_one_of_them_in_1_0(connect, version):
    client = connect(version)
    client.send("UNSUBSCRIBE\nreceipt:r\n\n\0")
    assert client.error("UNSUBSCRIBE", "destination")["receipt-id"] == "r"


@pytest.mark.line(114)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("headers", ["destination:{}\n", ""], ids=repr)
def test_114_unsubscribe_needs_an_id(connect, version, queue, headers):
    client = connect(version)
    client.subscribe(queue, "1")
    client.send(f"UNSUBSCRIBE\n{headers.format(queue)}receipt:r\n\n\0")
    assert client.error("UNSUBSCRIBE", "id")["receipt-id"] == "r"


@pytest.mark.line(114)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("strictly", [True, False])
def test_114_unsubscribe_needs_a_known_id(connect, strict, version, queue, strictly):
    """Where it is not strict, it is told in the RECEIPT, and nothing happens."""
    server = {"to": strict} if strictly else {}
    client, other = connect(version, **server), connect(version, **server)
    other.subscribe(queue, "2")
    client.subscribe(queue, "1")
    client.send("UNSUBSCRIBE\nid:2\nreceipt:r\n\n\0")
    if strictly:
        assert client.error("UNSUBSCRIBE", "2")["receipt-id"] == "r"
    else:
        assert "no such subscription" in client.receipt("r")["warning"]
        client.unsubscribe("1")
    other.publish(queue, "hello")
    other.message("hello")


@pytest.mark.line(115)
@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_115_nothing_after_unsubscribe(connect, version, kind, queue, topic):
    destination = queue if kind == "queue" else topic
    client, other = connect(version), connect(version)
    client.subscribe(destination)
    other.send("".join(f"SEND\ndestination:{destination}\n\n{number}\0" for number in range(500)))
    client.unsubscribe()
    client.pending.clear()
    other.publish(destination, "late")
    client.nothing()


@pytest.mark.line(116)
def test_116_a_late_ack_is_not_fatal(connect, version, queue):
    client, other = connect(version), connect(version)
    client.subscribe(queue, ack="client")
    client.publish(queue, "hello")
    message = client.message("hello")
    client.unsubscribe()
    client.ack(message, "receipt:r\n")
    client.receipt("r")
    client.disconnect()
    other.subscribe(queue)
    other.nothing()


@pytest.mark.line(116)
@pytest.mark.parametrize("end", ["disconnect", "close", "abort"])
def test_116_what_was_not_acked_is_not_lost(connect, version, queue, end):
    client, other = connect(version), connect(version)
    client.subscribe(queue, ack="client", more="prefetch-count:2\n")
    client.publish(queue, "1", "2", "3")
    client.messages("1", "2")
    client.unsubscribe()
    getattr(client, end)()
    other.subscribe(queue)
    assert sorted(other.message().body for _ in range(3)) == [b"1", b"2", b"3"]
    other.nothing()
