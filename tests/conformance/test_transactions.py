"""BEGIN, COMMIT and ABORT (lines 143 to 154)."""

from __future__ import annotations

import pytest


def commit(client, transaction="t"):
    client.send(f"COMMIT\ntransaction:{transaction}\nreceipt:commit\n\n\0")
    client.wait_receipt("commit")


def enclose(client, transaction, destination, *bodies):
    for body in bodies:
        client.send(f"SEND\ndestination:{destination}\ntransaction:{transaction}\n\n{body}\0")


@pytest.mark.line(143)
@pytest.mark.parametrize("command", ["BEGIN", "COMMIT", "ABORT"])
def test_143_transaction_is_required(connect, version, command):
    client = connect(version)
    client.send(f"{command}\nreceipt:r\n\n\0")
    assert client.error(command, "transaction")["receipt-id"] == "r"


@pytest.mark.line(144)
def test_144_begin_of_an_open_id(connect, version):
    client = connect(version)
    client.begin("t")
    client.send("BEGIN\ntransaction:t\nreceipt:r\n\n\0")
    assert client.error("BEGIN", "t")["receipt-id"] == "r"


@pytest.mark.line(145)
@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_145_an_id_is_free_again(connect, version, queue, end):
    client = connect(version)
    client.subscribe(queue)
    for number in range(3):
        client.begin("t")
        enclose(client, "t", queue, str(number))
        client.send(f"{end}\ntransaction:t\n\n\0")
    assert client.bodies() == (["0", "1", "2"] if end == "COMMIT" else [])


@pytest.mark.line(145)
def test_145_ids_belong_to_the_connection(connect, version, queue):
    client, other = connect(version), connect(version)
    client.begin("t")
    other.begin("t")
    enclose(client, "t", queue, "client's")
    enclose(other, "t", queue, "other's")
    client.send("ABORT\ntransaction:t\n\n\0")
    commit(other)
    client.subscribe(queue)
    assert client.bodies() == ["other's"]


@pytest.mark.line(146)
@pytest.mark.parametrize("command", ["COMMIT", "ABORT"])
def test_146_an_unknown_id(connect, version, command):
    client, other = connect(version), connect(version)
    other.begin("t")
    client.send(f"{command}\ntransaction:t\nreceipt:r\n\n\0")
    assert client.error(command, "t")["receipt-id"] == "r"
    commit(other)


@pytest.mark.line(146)
@pytest.mark.parametrize("command", ["COMMIT", "ABORT"])
@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_146_an_id_that_has_ended(connect, version, command, end):
    client = connect(version)
    client.begin("t")
    client.send(f"{end}\ntransaction:t\n\n\0{command}\ntransaction:t\nreceipt:r\n\n\0")
    assert client.error(command, "t")["receipt-id"] == "r"


@pytest.mark.line(147)
def test_147_nothing_is_visible_before_commit(connect, version, queue, topic):
    client, other = connect(version), connect(version)
    other.subscribe(queue, "1")
    other.subscribe(topic, "2")
    client.publish(queue, "mine")
    message = other.message("mine")
    assert message["destination"] == queue
    client.begin("t")
    enclose(client, "t", queue, "1", "2")
    enclose(client, "t", topic, "3")
    client.nothing()
    other.nothing()
    commit(client)
    assert other.bodies() == ["1", "2", "3"]


@pytest.mark.line(147)
def test_147_sends_and_acks_together(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.subscribe(queue, ack="client", more="prefetch-count:9\n")
    client.publish(queue, "in")
    message = client.message("in")
    client.begin("t")
    enclose(client, "t", queue + "out", "out")
    client.ack(message, "transaction:t\n")
    commit(client)
    client.disconnect()
    heir.subscribe(queue, "1")
    heir.subscribe(queue + "out", "2")
    assert heir.bodies() == ["out"]


@pytest.mark.line(148)
@pytest.mark.parametrize("order", ["ack last", "ack first"])
def test_148_one_failing_action_fails_all(connect, version, queue, order):
    client, heir = connect(version), connect(version)
    client.subscribe(queue, ack="client", more="prefetch-count:9\n")
    client.publish(queue, "1", "2")
    first, _ = client.messages("1", "2")
    client.begin("t")
    if order == "ack last":
        enclose(client, "t", queue + "out", "a")
    client.ack(first, "transaction:t\n")
    if order == "ack first":
        enclose(client, "t", queue + "out", "a")
    client.nothing()
    # settled elsewhere meanwhile: either this or the COMMIT must fail, and then nothing of it happened
    client.ack(first)
    client.send("COMMIT\ntransaction:t\nreceipt:r\n\n\0")
    client.error()
    heir.subscribe(queue + "out", "1")
    heir.nothing()
    heir.subscribe(queue, "2")
    assert heir.bodies() in (["1", "2"], ["2"])


@pytest.mark.line(149)
def test_149_abort_discards(connect, version, queue, topic):
    client, other = connect(version), connect(version)
    other.subscribe(queue, "1")
    other.subscribe(topic, "2")
    client.begin("t")
    enclose(client, "t", queue, "1", "2")
    enclose(client, "t", topic, "3")
    client.send("ABORT\ntransaction:t\nreceipt:r\n\n\0")
    client.receipt("r")
    other.nothing()


@pytest.mark.line(150)
@pytest.mark.parametrize("end", ["disconnect", "close", "abort", "error"])
def test_150_the_end_of_the_connection_aborts(connect, version, queue, end):
    client, other = connect(version), connect(version)
    client.begin("t")
    enclose(client, "t", queue, "1")
    client.nothing()
    if end == "error":
        client.send("NONSENSE\n\n\0")
        client.error()
    else:
        getattr(client, end)()
    other.subscribe(queue)
    other.nothing()


@pytest.mark.line(151)
def test_151_several_at_once(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    for transaction in "abc":
        client.begin(transaction)
    for number in range(3):
        for transaction in "abc":
            enclose(client, transaction, queue, f"{transaction}{number}")
        client.send(f"SEND\ndestination:{queue}\n\nnow {number}\0")
    assert client.bodies() == ["now 0", "now 1", "now 2"]
    commit(client, "b")
    assert client.bodies() == ["b0", "b1", "b2"]
    client.send("ABORT\ntransaction:a\n\n\0")
    commit(client, "c")
    assert client.bodies() == ["c0", "c1", "c2"]


@pytest.mark.line(152)
@pytest.mark.parametrize("transaction", ["open", "unknown"])
def test_152_transaction_without_meaning(connect, version, queue, transaction):
    client = connect(version)
    client.begin("open")
    client.send(f"SUBSCRIBE\nid:s\ndestination:{queue}\ntransaction:{transaction}\nreceipt:1\n\n\0")
    client.receipt("1")
    client.publish(queue, "hello")
    client.message("hello")
    client.send(f"UNSUBSCRIBE\nid:s\ntransaction:{transaction}\nreceipt:2\n\n\0")
    client.receipt("2")
    client.publish(queue, "hello")
    client.nothing()
    client.send(f"DISCONNECT\ntransaction:{transaction}\nreceipt:3\n\n\0")
    client.receipt("3")
    client.closed()


@pytest.mark.line(153)
@pytest.mark.parametrize("end", ["COMMIT", "ABORT"])
def test_153_one_receipt_each(connect, version, queue, end):
    client = connect(version)
    client.subscribe(queue, ack="client")
    client.publish(queue, "hello")
    message = client.message("hello")
    client.send("BEGIN\ntransaction:t\nreceipt:1\n\n\0")
    client.receipt("1")
    client.send("SEND\ndestination:/topic/x\ntransaction:t\nreceipt:2\n\nhello\0")
    client.receipt("2")
    client.ack(message, "transaction:t\nreceipt:3\n")
    client.receipt("3")
    client.send(f"{end}\ntransaction:t\nreceipt:4\n\n\0")
    client.receipt("4")
    client.nothing()


@pytest.mark.line(154, 181)
def test_154_limit_of_open_transactions(serve, connect, version):
    client = connect(version, to=serve("--max-transactions=2"))
    client.begin("1")
    client.begin("2")
    client.send("ABORT\ntransaction:1\n\n\0")
    client.begin("3")
    client.send("BEGIN\ntransaction:4\nreceipt:r\n\n\0")
    assert client.error("transactions", "2")["receipt-id"] == "r"


@pytest.mark.line(154, 181)
def test_154_limit_of_frames(serve, connect, version, queue):
    server = serve("--max-transaction-frames=3")
    client, other = connect(version, to=server), connect(version, to=server)
    client.begin("t")
    enclose(client, "t", queue, "1", "2", "3")
    commit(client)
    client.begin("t")
    enclose(client, "t", queue, "4", "5", "6")
    client.nothing()
    client.send(f"SEND\ndestination:{queue}\ntransaction:t\nreceipt:r\n\n7\0")
    assert client.error("transaction", "3")["receipt-id"] == "r"
    other.subscribe(queue)
    assert other.bodies() == ["1", "2", "3"]


@pytest.mark.line(154, 181)
def test_154_limit_of_octets(serve, connect, version, queue):
    server = serve("--max-transaction-bytes=64KiB")
    client, other = connect(version, to=server), connect(version, to=server)
    client.begin("t")
    for _ in range(3):
        enclose(client, "t", queue, "x" * 16384)
    client.nothing()
    client.send(f"SEND\ndestination:{queue}\ntransaction:t\nreceipt:r\n\n{'x' * 32768}\0")
    assert client.error("transaction")["receipt-id"] == "r"
    other.subscribe(queue)
    other.nothing()
