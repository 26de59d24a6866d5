"""ACK and NACK (lines 125 to 137)."""

from __future__ import annotations

import pytest


def errs(client, *words):
    """The ERROR that comes after deliveries and receipts that may still be under way."""
    client.pending.clear()
    return client.error(*words)


@pytest.mark.line(125)
@pytest.mark.versions("1.0")
@pytest.mark.parametrize("headers", ["", "id:1\n", "subscription:s\n"], ids=repr)
def test_125_message_id_is_required(given, left, version, headers):
    client, _ = given(version)
    client.send(f"ACK\n{headers}receipt:r\n\n\0")
    assert client.error("message-id", "ACK")["receipt-id"] == "r"
    assert left(client) == "123"


@pytest.mark.line(125)
@pytest.mark.versions("1.0")
def test_125_message_id_is_enough(given, left, version):
    client, messages = given(version)
    client.send(f"ACK\nmessage-id:{messages[2]['message-id']}\nreceipt:r\n\n\0")
    client.receipt("r")
    assert left(client) == ""


@pytest.mark.line(126)
@pytest.mark.versions("1.1")
@pytest.mark.parametrize("command", ["ACK", "NACK"])
@pytest.mark.parametrize("missing", ["message-id", "subscription"])
def test_126_message_id_and_subscription_are_required_when_strict(
    given, left, strict, version, command, missing
):
    client, messages = given(version, to=strict)
    headers = {"message-id": messages[0]["message-id"], "subscription": "s"}
    del headers[missing]
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    client.send(f"{command}\n{lines}receipt:r\n\n\0")
    assert client.error(missing, command)["receipt-id"] == "r"
    assert left(client, to=strict) == "123"


@pytest.mark.line(126)
@pytest.mark.versions("1.1")
def test_126_message_id_is_required(given, left, version):
    """What says no message at all means none."""
    client, _ = given(version)
    client.send("ACK\nsubscription:s\nreceipt:r\n\n\0")
    assert client.error("message-id", "ACK")["receipt-id"] == "r"
    assert left(client) == "123"


@pytest.mark.line(127)
@pytest.mark.versions("1.2")
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_127_id_is_required_when_strict(given, left, strict, version, command):
    client, messages = given(version, to=strict)
    client.send(f"{command}\nmessage-id:{messages[0]['message-id']}\nsubscription:s\nreceipt:r\n\n\0")
    assert client.error("id", command)["receipt-id"] == "r"
    assert left(client, to=strict) == "123"


@pytest.mark.line(127)
@pytest.mark.versions("1.2")
def test_127_id_is_required(given, left, version):
    """What says no message at all means none."""
    client, _ = given(version)
    client.send("ACK\nsubscription:s\nreceipt:r\n\n\0")
    assert client.error("id", "ACK")["receipt-id"] == "r"
    assert left(client) == "123"


@pytest.mark.line(127)
@pytest.mark.versions("1.2")
def test_127_id_is_enough(given, left, version):
    client, messages = given(version, "client-individual")
    client.send(f"ACK\nid:{messages[1]['ack']}\nreceipt:r\n\n\0")
    client.receipt("r")
    assert left(client) == "13"


@pytest.mark.line(128)
@pytest.mark.versions("1.0")
def test_128_no_nack_in_1_0(given, left, version):
    client, messages = given(version)
    client.send(f"NACK\nmessage-id:{messages[0]['message-id']}\nreceipt:r\n\n\0")
    assert client.error("NACK")["receipt-id"] == "r"
    assert left(client) == "123"


@pytest.mark.line(129)
@pytest.mark.parametrize("ack", ["auto", ""])
def test_129_auto_needs_no_ack(connect, left, version, queue, ack):
    client = connect(version)
    client.send(f"SUBSCRIBE\nid:s\ndestination:{queue}\n{'ack:auto' if ack else 'x:y'}\n\n\0")
    client.publish(queue, *"12345")
    client.messages(*"12345")
    assert left(client) == ""


@pytest.mark.line(130)
@pytest.mark.versions("1.0", "1.1")
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_130_ack_of_an_auto_delivery_is_ignored(connect, left, version, queue, command):
    if (version, command) == ("1.0", "NACK"):
        command = "ACK"
    client = connect(version)
    client.subscribe(queue, ack="auto")
    client.publish(queue, "hello")
    number = client.message("hello")["message-id"]
    client.send(f"{command}\nmessage-id:{number}\nsubscription:s\nreceipt:r\n\n\0")
    client.receipt("r")
    assert left(client) == ""


@pytest.mark.line(130)
@pytest.mark.versions("1.2")
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_130_an_auto_delivery_has_no_id_in_1_2(connect, version, queue, command):
    """Who says its message-id, which settles nothing, is not thrown out for it; with any other id he is."""
    client = connect(version)
    client.subscribe(queue, ack="auto")
    client.publish(queue, "hello")
    message = client.message("hello")
    assert not message.has("ack")
    client.send(f"{command}\nid:{message['message-id']}\nreceipt:r\n\n\0")
    assert not client.receipt("r").has("warning")
    client.send(f"{command}\nid:{message['message-id']}9\n\n\0")
    client.error("id")


@pytest.mark.line(130)
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_130_ack_of_an_auto_delivery_is_refused_when_strict(connect, strict, version, queue, command):
    if (version, command) == ("1.0", "NACK"):
        command = "ACK"
    client = connect(version, to=strict)
    client.subscribe(queue, ack="auto")
    client.publish(queue, "hello")
    number = client.message("hello")["message-id"]
    client.send(f"{command}\nmessage-id:{number}\nid:{number}\nsubscription:s\nreceipt:r\n\n\0")
    client.error(command)


@pytest.mark.line(126, 127)
@pytest.mark.versions("1.1", "1.2")
def test_126_what_comes_from_a_topic_can_be_acknowledged_once(connect, version, topic):
    client = connect(version)
    client.subscribe(topic, ack="client-individual")
    client.publish(topic, "hello")
    message = client.message("hello")
    client.ack(message, "receipt:r\n")
    client.receipt("r")
    client.ack(message)
    client.error("ACK")


@pytest.mark.line(130)
@pytest.mark.versions("1.0")
def test_130_ack_of_what_came_from_a_topic_in_1_0_is_ignored(connect, strict, version, topic):
    for server in (None, strict):
        client = connect(version, to=server)
        client.subscribe(topic, ack="client")
        client.publish(topic, "hello")
        client.ack(client.message("hello"), "receipt:r\n")
        client.receipt("r")


@pytest.mark.line(131)
def test_131_client_is_cumulative(given, left, version):
    client, messages = given(version, "client", "12345")
    client.ack(messages[2])
    assert left(client) == "45"


@pytest.mark.line(131)
def test_131_only_within_the_subscription(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.subscribe(queue, "1", "client", "prefetch-count:9\n")
    client.subscribe(queue + "x", "2", "client", "prefetch-count:9\n")
    client.publish(queue, "a", "b")
    client.messages("a", "b")
    client.publish(queue + "x", "c", "d")
    messages = client.messages("c", "d")
    client.ack(messages[1])
    client.disconnect()
    heir.subscribe(queue, "1")
    heir.subscribe(queue + "x", "2")
    assert heir.bodies() == ["a", "b"]


@pytest.mark.line(131)
def test_131_also_of_two_subscriptions_to_one_queue(connect, left, version, queue):
    client = connect(version)
    client.subscribe(queue, "1", "client", "prefetch-count:9\n")
    client.subscribe(queue, "2", "client", "prefetch-count:9\n")
    client.publish(queue, *"1234")
    messages = client.messages(*"1234")
    mine = [message for message in messages if message["subscription"] == messages[3]["subscription"]]
    assert len(mine) == 2  # in turns
    client.ack(messages[3])
    kept = [message.body.decode() for message in messages if message not in mine]
    assert left(client) == "".join(kept)


@pytest.mark.line(132)
@pytest.mark.versions("1.1", "1.2")
def test_132_nack_is_cumulative_too(given, left, version):
    client, messages = given(version, "client", "12345")
    client.ack(messages[0])
    client.nack(messages[2])
    again = client.messages("2", "3")
    assert [message["redelivered"] for message in again] == ["true"] * 2
    client.nothing()
    assert left(client) == "2345"


@pytest.mark.line(133)
@pytest.mark.versions("1.1", "1.2")
def test_133_client_individual_settles_one(given, left, version):
    client, messages = given(version, "client-individual", "12345")
    client.ack(messages[3])
    client.ack(messages[1])
    assert left(client) == "135"


@pytest.mark.line(133)
@pytest.mark.versions("1.1", "1.2")
def test_133_nack_settles_one(given, left, version):
    client, messages = given(version, "client-individual", "12345")
    client.nack(messages[3])
    again = client.message("4", redelivered="true")
    client.nothing()
    client.ack(again)
    assert left(client) == "1235"


@pytest.mark.line(134)
@pytest.mark.parametrize("ack", ["client", "client-individual"])
def test_134_consumed_only_after_ack(given, left, version, ack):
    client, messages = given(version, "client" if version == "1.0" else ack, "12")
    client.nothing()
    client.ack(messages[0])
    assert left(client) == "2"


@pytest.mark.line(135)
@pytest.mark.parametrize("end", ["close", "abort", "disconnect"])
def test_135_connection_lost_before_ack(given, connect, version, queue, end):
    client, _ = given(version, "client", "12")
    heir = connect(version)
    heir.subscribe(queue, ack="client", more="prefetch-count:9\n")
    getattr(client, end)()
    again = heir.messages("1", "2")
    assert [message["redelivered"] for message in again] == ["true", "true"]
    heir.ack(again[1])
    heir.nothing()


@pytest.mark.line(135)
def test_135_redelivered_is_true_or_absent(given, version):
    _, messages = given(version, "client", "12")
    assert [message.values("redelivered") for message in messages] == [[], []]


def literal(version, number, subscription="s"):
    """The headers that name a delivery."""
    return {
        "1.0": f"message-id:{number}\n",
        "1.1": f"message-id:{number}\nsubscription:{subscription}\n",
        "1.2": f"id:{number}\n",
    }[version]


@pytest.mark.line(136)
@pytest.mark.parametrize("command", ["ACK", "NACK"])
@pytest.mark.parametrize("ack", ["client", "client-individual"])
@pytest.mark.parametrize(
    "number", ["nope", "", "0", "-1", "999999999", "1e3", "٣"], ids=lambda number: number or "empty"
)
def test_136_an_unknown_id(given, left, version, command, ack, number):
    if version == "1.0":
        command, ack = "ACK", "client"
    client, _ = given(version, ack)
    client.send(f"{command}\n{literal(version, number)}receipt:r\n\n\0")
    assert errs(client, command)["receipt-id"] == "r"
    assert left(client) == "123"


@pytest.mark.line(136)
@pytest.mark.versions("1.1")
def test_136_an_unknown_subscription(given, left, version):
    client, messages = given(version)
    client.send(f"ACK\nmessage-id:{messages[0]['message-id']}\nsubscription:nonesuch\n\n\0")
    client.error("nonesuch")
    assert left(client) == "123"


@pytest.mark.line(136)
def test_136_a_foreign_id(given, connect, left, version, queue):
    """In 1.2 it is known to be one; so says what an application was late with on an earlier connection of its own."""
    client, messages = given(version)
    other = connect(version)
    other.subscribe(queue + "x", ack="client")
    other.ack(messages[1], "receipt:r\n")
    if version == "1.2":
        assert "another connection" in other.receipt("r")["warning"]
    else:
        other.error("ACK")
    assert left(client) == "123"


@pytest.mark.line(136)
@pytest.mark.parametrize("command", ["ACK", "NACK"])
@pytest.mark.parametrize("ack", ["client", "client-individual"])
def test_136_an_id_that_is_settled(given, left, version, command, ack):
    if version == "1.0":
        command, ack = "ACK", "client"
    client, messages = given(version, ack)
    client.ack(messages[1])
    client.settle(messages[1], command)
    errs(client, command)
    assert left(client) == ("3" if ack == "client" else "13")


@pytest.mark.line(136)
def test_136_an_id_that_was_settled_cumulatively(given, left, version):
    client, messages = given(version)
    client.ack(messages[1])
    client.ack(messages[0])
    errs(client, "ACK")
    assert left(client) == "3"


@pytest.mark.line(137)
@pytest.mark.versions("1.1", "1.2")
def test_137_cumulative_ack_after_nacks_in_between(given, left, version):
    client, messages = given(version, "client", "12345")
    client.ack(messages[1])
    client.nack(messages[3])
    again = client.messages("3", "4")
    client.ack(messages[4])
    client.nothing()
    client.ack(again[0])
    assert left(client) == "4"


@pytest.mark.line(137)
@pytest.mark.versions("1.1", "1.2")
def test_137_the_later_delivery_covers_the_earlier_ones(given, left, version):
    client, messages = given(version, "client", "1234")
    client.nack(messages[1])
    again = client.messages("1", "2")
    client.ack(again[1])  # sent after 3 and 4
    assert left(client) == ""
