"""ACK and NACK (lines 125 to 142)."""

from __future__ import annotations

import pytest

MANY = "prefetch-count:100\n"


@pytest.fixture
def given(connect, queue):
    """given(version, ack, bodies): a client that has these messages of its queue, un-acked."""

    def ready(version, ack="client", bodies="123"):
        client = connect(version)
        client.subscribe(queue, ack=ack, more=MANY)
        client.publish(queue, *bodies)
        return client, client.messages(*bodies)

    return ready


@pytest.fixture
def left(connect, queue):
    """left(client): what its queue holds when that client has gone."""

    def bodies(client):
        if not client.eof:
            client.disconnect()
        heir = connect("1.2")
        heir.subscribe(queue)
        return "".join(heir.bodies())

    return bodies


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
def test_126_message_id_and_subscription_are_required(given, left, version, command, missing):
    client, messages = given(version)
    headers = {"message-id": messages[0]["message-id"], "subscription": "s"}
    del headers[missing]
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    client.send(f"{command}\n{lines}receipt:r\n\n\0")
    assert client.error(missing, command)["receipt-id"] == "r"
    assert left(client) == "123"


@pytest.mark.line(127)
@pytest.mark.versions("1.2")
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_127_id_is_required(given, left, version, command):
    client, messages = given(version)
    client.send(f"{command}\nmessage-id:{messages[0]['message-id']}\nsubscription:s\nreceipt:r\n\n\0")
    assert client.error("id", command)["receipt-id"] == "r"
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
    client = connect(version)
    client.subscribe(queue, ack="auto")
    client.publish(queue, "hello")
    client.send(f"{command}\nid:{client.message('hello')['message-id']}\n\n\0")
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
    client.subscribe(queue, "1", "client", MANY)
    client.subscribe(queue + "x", "2", "client", MANY)
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
    client.subscribe(queue, "1", "client", MANY)
    client.subscribe(queue, "2", "client", MANY)
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
    heir.subscribe(queue, ack="client", more=MANY)
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
    client, messages = given(version)
    other = connect(version)
    other.subscribe(queue + "x", ack="client")
    other.ack(messages[1])
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


@pytest.mark.line(138)
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_138_unknown_transaction(given, left, version, command):
    if version == "1.0":
        command = "ACK"
    client, messages = given(version)
    client.settle(messages[0], command, "transaction:never\nreceipt:r\n")
    assert client.error("transaction", "never")["receipt-id"] == "r"
    assert left(client) == "123"


@pytest.mark.line(138, 139)
def test_138_ack_in_a_transaction_is_bound_to_it(given, left, version):
    client, messages = given(version)
    client.begin("t")
    client.ack(messages[1], "transaction:t\n")
    client.send("COMMIT\ntransaction:t\n\n\0")
    assert left(client) == "3"


@pytest.mark.line(138, 139)
@pytest.mark.parametrize("end", ["disconnect", "close", "abort"])
def test_139_without_commit_it_stays_pending(given, connect, version, queue, end):
    client, messages = given(version)
    heir = connect(version)
    heir.subscribe(queue)
    client.begin("t")
    client.ack(messages[1], "transaction:t\n")
    client.nothing()
    getattr(client, end)()
    heir.messages(*"123")


@pytest.mark.line(138, 139)
@pytest.mark.versions("1.1", "1.2")
def test_139_nack_in_a_transaction(given, left, version):
    client, messages = given(version, "client-individual")
    client.begin("t")
    client.nack(messages[1], "transaction:t\n")
    client.nothing()
    client.send("COMMIT\ntransaction:t\n\n\0")
    client.message("2", redelivered="true")
    assert left(client) == "123"


@pytest.mark.line(139)
def test_139_abort_makes_the_ids_valid_again(given, left, version):
    client, messages = given(version)
    client.begin("t")
    client.ack(messages[1], "transaction:t\n")
    client.send("ABORT\ntransaction:t\n\n\0")
    client.ack(messages[0])
    client.nothing()
    assert left(client) == "23"


@pytest.mark.line(140)
def test_140_cumulative_ack_covers_what_had_been_sent_when_it_came(given, left, version, queue):
    client, messages = given(version, "client", "123")
    client.begin("t")
    client.ack(messages[1], "transaction:t\n")
    client.publish(queue, "4")
    client.message("4")
    client.send("COMMIT\ntransaction:t\n\n\0")
    assert left(client) == "34"


@pytest.mark.line(140)
@pytest.mark.versions("1.1", "1.2")
def test_140_a_redelivery_before_commit_is_not_covered(given, connect, left, version, queue):
    client, messages = given(version, "client", "12")
    client.begin("t")
    client.ack(messages[1], "transaction:t\n")
    client.publish(queue, "3")
    third = client.message("3")
    client.nack(third)  # reaches over 1 and 2 only when the transaction has not taken them
    third = client.message("3", redelivered="true")
    client.send("COMMIT\ntransaction:t\n\n\0")
    assert left(client) == "3"


@pytest.mark.line(141)
def test_141_credit_returns_on_ack(connect, version, queue):
    client = connect(version)
    client.subscribe(queue, ack="client", more="prefetch-count:2\n")
    client.publish(queue, *"12345")
    first = client.messages("1", "2")
    client.nothing()
    client.ack(first[1])
    second = client.messages("3", "4")
    client.nothing()
    client.ack(second[0])
    client.message("5")


@pytest.mark.line(141)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("ack", ["client", "client-individual"])
def test_141_credit_returns_on_nack(connect, version, queue, ack):
    client = connect(version)
    client.subscribe(queue, ack=ack, more="prefetch-count:1\n")
    client.publish(queue, *"12")
    client.nack(client.message("1"))
    again = client.message("1", redelivered="true")
    client.nothing()
    client.nack(again, "requeue:false\n")
    client.message("2")
    client.nothing()


@pytest.mark.line(141)
def test_141_credit_returns_when_the_subscription_is_made_anew(connect, version, queue):
    client = connect(version)
    client.subscribe(queue, ack="client", more="prefetch-count:1\n")
    client.publish(queue, *"12")
    client.message("1")
    client.nothing()
    client.unsubscribe()
    client.subscribe(queue, ack="client", more="prefetch-count:1\n")
    assert client.message().body in (b"1", b"2")
    client.nothing()


@pytest.mark.line(141)
def test_141_credit_in_a_transaction_returns_at_commit(connect, version, queue):
    client = connect(version)
    client.subscribe(queue, ack="client", more="prefetch-count:1\n")
    client.publish(queue, *"12")
    client.begin("t")
    client.ack(client.message("1"), "transaction:t\n")
    client.nothing()
    client.send("COMMIT\ntransaction:t\n\n\0")
    client.message("2")


@pytest.mark.line(141)
def test_141_the_default_prefetch(connect, version, queue):
    client = connect(version)
    client.publish(queue, *map(str, range(120)))
    client.subscribe(queue, ack="client")
    assert len(client.bodies()) == (1 if version == "1.0" else 100)


@pytest.mark.line(142)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("requeue", ["", "requeue:true\n"], ids=["default", "true"])
def test_142_nack_delivers_again_at_the_old_place(given, left, version, requeue):
    client, messages = given(version, "client-individual", "123")
    client.nack(messages[0], requeue)
    client.message("1", redelivered="true", message_id=messages[0]["message-id"])
    assert left(client) == "123"


@pytest.mark.line(142)
@pytest.mark.versions("1.1", "1.2")
def test_142_nack_without_requeue_is_a_dead_letter(given, connect, left, version, queue):
    client, messages = given(version, "client-individual", "123")
    client.nack(messages[0], "requeue:false\n")
    client.nothing()
    assert left(client) == "23"
    heir = connect(version)
    heir.subscribe("/queue/deadletter")
    dead = [message for message in heir.barrier() if message["destination"] == queue]
    assert [message.body for message in dead] == [b"1"]


@pytest.mark.line(142)
@pytest.mark.versions("1.1", "1.2")
def test_142_nack_on_a_topic_delivers_to_the_same_subscription_again(connect, version, topic):
    client, other = connect(version), connect(version)
    client.subscribe(topic, ack="client-individual")
    other.subscribe(topic)
    client.publish(topic, "1", "2")
    client.nack(client.messages("1", "2")[0])
    client.message("1", redelivered="true")
    other.messages("1", "2")
    client.nothing()
    other.nothing()
