"""Limits (lines 177 to 182)."""

from __future__ import annotations

import psutil
import pytest


@pytest.fixture
def small(serve):
    return serve(
        "--max-headers=10", "--max-header-bytes=2KiB", "--max-body=64KiB", "--max-body-before-login=1KiB"
    )


def lines(count, name="h"):
    return "".join(f"{name}{number}:x\n" for number in range(count))


@pytest.mark.line(177)
@pytest.mark.parametrize(("count", "good"), [(8, True), (11, False), (150, False)])
def test_177_number_of_headers(connect, small, version, count, good):
    client = connect(version, to=small)
    client.send(f"SEND\ndestination:/topic/x\nreceipt:r\n{lines(count)}\n\0")
    if good:
        client.receipt("r")
    else:
        client.error("headers", "10")


@pytest.mark.line(177, 182)
@pytest.mark.parametrize(("octets", "good"), [(1800, True), (2100, False), (100_000, False)])
@pytest.mark.parametrize("where", ["x:", "receipt:", "destination:/topic/x\ny:"])
def test_177_octets_of_headers(connect, small, version, octets, good, where):
    client = connect(version, to=small)
    client.send(f"SEND\n{where}{'y' * octets}\nreceipt:r\ndestination:/topic/x\n\n\0")
    if good:
        client.expect("RECEIPT")
    else:
        client.error("header", "2048")


@pytest.mark.line(177)
@pytest.mark.parametrize("length", [True, False], ids=["with", "without"])
@pytest.mark.parametrize(("octets", "good"), [(65536, True), (65537, False), (200_000, False)])
def test_177_octets_of_the_body(connect, small, version, length, octets, good):
    client = connect(version, to=small)
    header = f"content-length:{octets}\n" if length else ""
    client.send(f"SEND\ndestination:/topic/x\nreceipt:r\n{header}\n{'x' * octets}\0")
    if good:
        client.receipt("r")
    else:
        client.error("body", "65536")


@pytest.mark.line(178)
@pytest.mark.parametrize(
    "endless", ["x", "SEND\nx:y", "SEND\nx", "SEND\nx:", "SEND\n" + "a:b\n" * 5], ids=repr
)
def test_178_refused_before_the_frame_ends(connect, small, version, endless):
    """No NUL, no end of line ever comes, and yet the answer does."""
    client = connect(version, to=small)
    client.send(endless + ("c:d\n" * 500 if endless.endswith("\n") else "x" * 5000))
    client.error()


@pytest.mark.line(178)
def test_178_a_body_without_length_is_refused_before_it_ends(connect, small, version):
    client = connect(version, to=small)
    client.send("SEND\ndestination:/topic/x\n\n" + "x" * 66_000)
    client.error("body", "65536")


@pytest.mark.line(178)
@pytest.mark.parametrize("endless", ["x", "\nSTOMP\nx:y", "CONNECT\nx"], ids=repr)
def test_178_before_login_too(dial, small, endless):
    client = dial(small)
    client.send(endless + "x" * 5000)
    client.error()


@pytest.mark.line(178)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"], ids=repr)
def test_178_endless_eols_cost_no_memory(connect, dial, version, end):
    client = connect(version)
    process = psutil.Process(client.server.process.pid)
    client.send(end * 10_000)
    client.nothing()
    before = process.memory_info().rss
    for _ in range(10):
        client.send(end * 300_000)
    client.nothing()
    assert process.memory_info().rss - before < 8 << 20


@pytest.mark.line(179)
@pytest.mark.parametrize("octets", [65537, 10**9, 10**18])
def test_179_a_content_length_above_the_limit_at_once(connect, small, version, octets):
    client = connect(version, to=small)
    client.send(f"SEND\ndestination:/topic/x\nreceipt:r\ncontent-length:{octets}\n\n")
    assert client.error("body", "65536")["receipt-id"] == "r"


@pytest.mark.line(180)
@pytest.mark.parametrize("octets", [1025, 60_000])
def test_180_smaller_before_login(dial, connect, small, hello, version, octets):
    client = dial(small)
    client.send(hello(version, f"content-length:{octets}\n")[:-1])
    client.error("1024")
    connect(version, f"content-length:{0}\n", to=small).nothing()


def flood(client, frame, most):
    """Sends the frame again and again until the server reads no more; whether it stopped before ``most`` octets."""
    client.socket.settimeout(0.5)
    octets = frame.encode() * (1 + 100_000 // len(frame))
    sent = 0
    while sent < most:
        try:
            sent += client.socket.send(octets[sent % len(frame) :])
        except TimeoutError:
            return True
    return False


@pytest.mark.line(182)
@pytest.mark.versions("1.0", "1.2")
def test_182_a_client_that_does_not_read_its_receipts_is_not_read(connect, version):
    client, other = connect(version), connect(version)
    process = psutil.Process(client.server.process.pid)
    before = process.memory_info().rss
    assert flood(client, f"SEND\ndestination:/topic/x\nreceipt:{'r' * 5000}\n\n\0", 100 << 20)
    assert process.memory_info().rss - before < 32 << 20
    other.nothing()


@pytest.mark.line(182)
@pytest.mark.versions("1.0", "1.1", "1.2")
def test_182_a_slow_subscriber_of_a_topic_is_told_and_closed(serve, connect, version, topic):
    server = serve("--slow-subscriber-limit=1MiB")
    slow, quick, sender = (
        connect(version, to=server),
        connect(version, to=server),
        connect(version, to=server),
    )
    slow.subscribe(topic)
    quick.subscribe(topic)
    body = "x" * 100_000
    for _ in range(300):
        sender.publish(topic, body)
        quick.message(body)
    came = [slow.frame()]
    while came[-1].command == "MESSAGE":
        came.append(slow.frame())
    slow.pending.append(came[-1])
    slow.error(topic)
    assert len(came) < 300
    sender.nothing()


@pytest.mark.line(181)
def test_181_connections_in_all(serve, dial, connect, admitted, version):
    server = serve("--max-connections=2")
    first, _ = connect(version, to=server), connect(version, to=server)
    third = dial(server)
    third.error("connections", "2")
    third.close()
    first.disconnect()
    admitted(server, version)


@pytest.mark.line(181)
def test_181_connections_of_an_address(serve, dial, connect, admitted, version):
    server = serve("--max-connections-per-address=2")
    first, _ = connect(version, to=server), connect(version, to=server)
    third = dial(server)
    third.error("connections", "2", "address")
    third.close()
    first.disconnect()
    admitted(server, version)
