"""ACK and NACK in transactions, prefetch credit, and what NACK does (lines 138 to 142)."""

from __future__ import annotations

import pytest


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
    dead = [message for message in heir.barrier() if message["original-destination"] == queue]
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
