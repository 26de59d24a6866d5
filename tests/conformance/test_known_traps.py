"""What other servers are known to get wrong (data/traps.yaml), one test a row."""

from __future__ import annotations

import contextlib

import psutil
import pytest


@pytest.mark.row("receipt-before-processing")
def test_receipt_before_processing(connect, version, queue):
    client, other = connect(version), connect(version)
    other.subscribe(queue)
    client.begin("t")
    client.send(
        f"SEND\ndestination:{queue}\ntransaction:t\nreceipt:1\n\nhello\0COMMIT\ntransaction:t\nreceipt:2\n\n\0"
    )
    client.receipt("1")
    client.receipt("2")
    assert other.bodies() == ["hello"]
    client.nothing()


@pytest.mark.row("ack-across-subscriptions")
def test_ack_across_subscriptions(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.subscribe(queue + "a", "a", "client")
    client.subscribe(queue + "b", "b", "client")
    client.publish(queue + "a", "a")
    client.publish(queue + "b", "b")
    client.ack(client.messages("a", "b")[1])
    client.disconnect()
    heir.subscribe(queue + "a", "a")
    heir.subscribe(queue + "b", "b")
    assert heir.bodies() == ["a"]


@pytest.mark.row("unknown-id-acks-all")
def test_unknown_id_acks_all(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.subscribe(queue, ack="client", more="prefetch-count:9\n")
    client.publish(queue, *"123")
    client.messages(*"123")
    client.send("ACK\nid:no-such\nmessage-id:no-such\nsubscription:s\n\n\0")
    client.error()
    heir.subscribe(queue)
    assert heir.bodies() == ["1", "2", "3"]


@pytest.mark.row("nack-is-ack")
@pytest.mark.versions("1.1", "1.2")
def test_nack_is_ack(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.subscribe(queue, ack="client-individual")
    client.publish(queue, "hello")
    client.nack(client.message("hello"))
    client.message("hello", redelivered="true")
    client.disconnect()
    heir.subscribe(queue)
    heir.message("hello")


@pytest.mark.row("individual-as-auto")
@pytest.mark.versions("1.1", "1.2")
def test_individual_as_auto(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.subscribe(queue, ack="client-individual")
    client.publish(queue, "1", "2")
    client.ack(client.messages("1", "2")[1])
    client.disconnect()
    heir.subscribe(queue)
    assert heir.bodies() == ["1"]


@pytest.mark.row("ack-needs-message-id-in-1.2")
@pytest.mark.versions("1.2")
def test_ack_needs_message_id_in_1_2(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.subscribe(queue, ack="client-individual")
    client.publish(queue, "hello")
    client.send(f"ACK\nid:{client.message('hello')['ack']}\nreceipt:r\n\n\0")
    client.receipt("r")
    client.disconnect()
    heir.subscribe(queue)
    heir.nothing()


@pytest.mark.row("unsubscribe-needs-destination")
@pytest.mark.versions("1.1", "1.2")
def test_unsubscribe_needs_destination(connect, version, queue):
    client = connect(version)
    client.subscribe(queue, "7")
    client.send("UNSUBSCRIBE\nid:7\nreceipt:r\n\n\0")
    client.receipt("r")


@pytest.mark.row("host-must-be-fqdn")
@pytest.mark.parametrize("host", ["localhost", "/", "broker.example.org", "127.0.0.1"])
def test_host_must_be_fqdn(dial, version, host):
    client = dial()
    client.send(f"CONNECT\naccept-version:{version}\nhost:{host}\n\n\0")
    client.expect("CONNECTED", version=version)


@pytest.mark.row("colon-in-value")
def test_colon_in_value(connect, version, queue):
    client, other = connect(version), connect("1.0")
    other.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\nurl:http://a:80/\n\nhello\0")
    assert b"\nurl:http://a:80/\n" in other.message("hello").raw


@pytest.mark.row("connect-unescaped")
@pytest.mark.parametrize("passcode", ["a\\tb", "a\\", "\\x\\y:z", "\\\\n"])
def test_connect_unescaped(serve, dial, hello, version, passcode):
    client = dial(serve("-a", passwd=f"user: {passcode}\n"))
    client.send(hello(version, f"login:user\npasscode:{passcode}\n"))
    client.expect("CONNECTED")


@pytest.mark.row("escaped-1.0-output")
def test_escaped_1_0_output(connect, queue):
    client = connect("1.0")
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\nx:a:b\\c\\n\\\\\nreceipt:\\:\n\nhello\0")
    assert b"\nx:a:b\\c\\n\\\\\n" in client.message("hello").raw
    assert b"\nreceipt-id:\\:\n" in client.expect("RECEIPT").raw


@pytest.mark.row("undefined-escapes-pass")
@pytest.mark.versions("1.1", "1.2")
def test_undefined_escapes_pass(connect, version, queue):
    client = connect(version)
    client.send(f"SEND\ndestination:{queue}\nx:a\\qb\n\nhello\0")
    client.error("\\q")


@pytest.mark.row("length-resynchronised")
def test_length_resynchronised(connect, version, queue):
    client, other = connect(version), connect(version)
    send = f"SEND\ndestination:{queue}\n"
    client.send(f"{send}content-length:2\n\nhello\0{send}\nnext\0")
    client.error("content-length")
    other.subscribe(queue)
    other.nothing()


@pytest.mark.row("length-only-on-send")
def test_length_only_on_send(connect, version, queue):
    client = connect(version)
    client.send(
        f"SUBSCRIBE\nid:1\ndestination:{queue}\ncontent-length:6\n\nN\0ON\n\n\0BEGIN\ntransaction:t\nreceipt:r\n\n\0"
    )
    client.receipt("r")


@pytest.mark.row("error-without-close")
@pytest.mark.parametrize(
    "frame", ["SEND\n\n\0", "ACK\nid:1\nmessage-id:1\nsubscription:1\n\n\0", "ABORT\ntransaction:t\n\n\0"]
)
def test_error_without_close(connect, version, frame):
    client = connect(version)
    client.send(frame)
    client.error()


@pytest.mark.row("error-without-receipt-id")
@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE", "ACK", "BEGIN", "COMMIT", "ABORT", "MESSAGE"])
def test_error_without_receipt_id(connect, version, command):
    client = connect(version)
    client.send(f"{command}\nreceipt:r-7\n\n\0")
    assert client.error()["receipt-id"] == "r-7"


@pytest.mark.row("close-without-error")
@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"FETCH / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff" * 70_000,
        b"SSH-2.0-x\r\n\r\n\0",
    ],
    ids=["tls", "http", "octets", "ssh"],
)
def test_close_without_error(dial, connect, version, junk):
    client = dial()
    client.send(junk)
    client.error()
    client = connect(version)
    client.send(b"S\x01ND\nx\n\n\0")
    client.error()


@pytest.mark.row("trace-in-error")
def test_trace_in_error(connect, version):
    client = connect(version, "login:a\npasscode:Secret-77\n")
    client.send("SUBSCRIBE\ndestination:\nid:\nack:\nx\n\n\0")
    assert b"Secret-77" not in client.error().raw  # error() looks for traces


@pytest.mark.row("beats-rounded-or-echoed")
@pytest.mark.versions("1.1", "1.2")
def test_beats_rounded_or_echoed(connect, serve, version):
    client = connect(version, "heart-beat:1234,70\n", to=serve("--heart-beat=50,50"))
    assert client.connected["heart-beat"] == "50,50"
    assert [client.octet() for _ in range(12)] == [b"\n"] * 12  # 12 s if they were rounded up


@pytest.mark.row("idle-1.0-killed")
def test_idle_1_0_killed(connect, serve, dial):
    server = serve("--login-timeout=0.5", "--heart-beat=50,50")
    client = connect("1.0", "heart-beat:50,50\n", to=server)
    late = dial(server)
    late.error()  # half a second and more than one interval later
    client.nothing()


@pytest.mark.row("ack-in-transaction-ignored")
def test_ack_in_transaction_ignored(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.subscribe(queue, ack="client")
    client.publish(queue, "hello")
    client.begin("t")
    client.ack(client.message("hello"), "transaction:t\n")
    client.disconnect()
    heir.subscribe(queue)
    heir.message("hello")


@pytest.mark.row("commit-not-atomic")
def test_commit_not_atomic(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.subscribe(queue, ack="client")
    client.publish(queue, "in")
    message = client.message("in")
    client.begin("t")
    client.send(f"SEND\ndestination:{queue}-out\ntransaction:t\n\nout\0")
    client.ack(message, "transaction:t\n")
    client.ack(message)
    client.send("COMMIT\ntransaction:t\n\n\0")
    client.error()
    heir.subscribe(f"{queue}-out")
    heir.nothing()


@pytest.mark.row("auto-without-message-id")
def test_auto_without_message_id(connect, version, queue, topic):
    client = connect(version)
    client.subscribe(queue, "1")
    client.subscribe(topic, "2")
    client.publish(queue, "direct")
    client.publish(topic, "topic")
    assert all(message["message-id"] for message in client.messages("direct", "topic"))


@pytest.mark.row("requeue-at-the-tail")
def test_requeue_at_the_tail(connect, version, queue):
    client, heir = connect(version), connect(version)
    client.publish(queue, *"12345")
    client.subscribe(queue, ack="client", more="prefetch-count:2\n")
    client.messages("1", "2")
    client.disconnect()
    heir.subscribe(queue)
    heir.messages(*"12345")


@pytest.mark.row("last-header-wins")
def test_last_header_wins(connect, version, queue):
    client = connect(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\ndestination:/queue/elsewhere\nreceipt:1\nreceipt:2\n\nhello\0")
    client.message("hello", destination=queue)
    client.receipt("1")


@pytest.mark.row("auto-drains-into-slow-socket")
def test_auto_drains_into_slow_socket(connect, version, queue):
    slow, client, heir = connect(version), connect(version), connect(version)
    process = psutil.Process(client.server.process.pid)
    body = "x" * 10_000
    client.send(f"SUBSCRIBE\nid:x\ndestination:{queue}\n\n\0UNSUBSCRIBE\nid:x\n\n\0")
    client.publish(queue, *[body] * 5000)
    before = process.memory_info().rss
    slow.send(f"SUBSCRIBE\nid:s\ndestination:{queue}\nack:auto\n\n\0")
    client.publish(queue, *[body] * 500)  # meanwhile it goes on
    heir.subscribe(queue)
    heir.messages(*[body] * 3000)  # most of it was still in the queue
    assert process.memory_info().rss - before < 32 << 20
    with contextlib.suppress(OSError):
        slow.abort()


@pytest.mark.row("monitor-silently-off")
def test_monitor_silently_off(connect, serve, version, queue):
    client = connect(version, to=serve("--monitor-interval=0.1"))
    client.publish(queue, "1", "2")
    client.subscribe("/queue/monitor")
    text = client.message().body.decode()
    blocks = [dict(line.split(": ") for line in block.split("\n")) for block in text.strip().split("\n\n")]
    assert {"Queue": queue, "size": "2", "dequeued": "0", "enqueued": "2"} in blocks
