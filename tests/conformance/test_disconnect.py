"""DISCONNECT and the end of connections (lines 172 to 176)."""

from __future__ import annotations

import pytest


@pytest.mark.line(172)
def test_172_receipt_then_close(connect, version, queue):
    client, other = connect(version), connect(version)
    client.send(
        f"SEND\ndestination:{queue}\n\n1\0SEND\ndestination:{queue}\n\n2\0DISCONNECT\nreceipt:bye\n\n\0"
    )
    client.receipt("bye")
    client.closed()
    other.subscribe(queue)
    assert other.bodies() == ["1", "2"]


@pytest.mark.line(172)
def test_172_what_is_still_to_come_is_not_lost(connect, version, queue):
    """Messages of the last frames come before the RECEIPT, or stay in the queue."""
    client, other = connect(version), connect(version)
    client.subscribe(queue)
    sends = "".join(f"SEND\ndestination:{queue}\n\n{number}\0" for number in range(300))
    client.send(sends + "DISCONNECT\nreceipt:r\n\n\0")
    client.wait_receipt("r")
    came = [frame.body.decode() for frame in client.pending]
    client.pending.clear()
    client.closed()
    other.subscribe(queue)
    assert came + other.bodies() == [str(number) for number in range(300)]


@pytest.mark.line(173)
@pytest.mark.parametrize("receipt", ["", "receipt:r\n"], ids=["without", "with"])
@pytest.mark.parametrize(
    "after",
    [
        "SEND\ndestination:{}\nreceipt:s\n\nhello\0",
        "NONSENSE\n\n\0",
        "DISCONNECT\nreceipt:s\n\n\0",
        "\0\0\xff\xff",
    ],
)
def test_173_frames_after_it_are_ignored(connect, version, queue, receipt, after):
    client, other = connect(version), connect(version)
    client.send(f"DISCONNECT\n{receipt}\n\0" + after.format(queue) * 3)
    if receipt:
        client.receipt("r")
    client.closed()
    other.subscribe(queue)
    other.nothing()


@pytest.mark.line(174)
def test_174_without_receipt(connect, version, queue):
    client, other = connect(version), connect(version)
    client.subscribe(queue, ack="client", more="prefetch-count:9\n")
    client.publish(queue, "1", "2")
    client.messages("1", "2")
    client.send("DISCONNECT\n\n\0")
    client.closed()
    other.subscribe(queue)
    assert other.bodies() == ["1", "2"]


@pytest.mark.line(175)
def test_175_quick_reconnects(connect, version, queue):
    for number in range(100):
        client = connect(version)
        client.subscribe(queue, ack="client")
        client.publish(queue, str(number))
        client.ack(client.message(str(number)))
        client.disconnect()


@pytest.mark.line(175)
def test_175_connections_linger_only_shortly(serve, connect, admitted, version):
    """A client that never closes its side after DISCONNECT does not hold a place for long."""
    server = serve("--max-connections=3", "--linger=0.3")
    clients = [connect(version, to=server) for _ in range(3)]
    for client in clients:
        client.send("DISCONNECT\nreceipt:r\n\n\0")
        client.receipt("r")
        client.closed()
    for _ in range(3):
        admitted(server, version)


@pytest.mark.line(176)
@pytest.mark.parametrize("end", ["close", "abort", "half close"])
def test_176_closed_without_disconnect(connect, version, queue, end):
    client, other = connect(version), connect(version)
    client.subscribe(queue, ack="client", more="prefetch-count:9\n")
    client.publish(queue, "un-acked")
    client.message("un-acked")
    client.send(f"SEND\ndestination:{queue}x\nreceipt:r\n\nwhole\0")
    client.receipt("r")
    client.send(f"SEND\ndestination:{queue}x\n\ntorn")
    if end == "half close":
        client.socket.shutdown(1)
        client.closed()
    else:
        getattr(client, end)()
    other.subscribe(queue, "1")
    other.message("un-acked", redelivered="true")
    other.subscribe(queue + "x", "2")
    assert other.bodies() == ["whole"]


@pytest.mark.line(176)
@pytest.mark.parametrize(
    "cut", ["SEND", "SEND\n", "SEND\ndestination:{}", "SEND\ndestination:{}\ncontent-length:5\n\nhello"]
)
def test_176_a_torn_frame_is_dropped_without_an_answer(connect, version, queue, cut):
    client, other = connect(version), connect(version)
    client.send(cut.format(queue))
    client.socket.shutdown(1)
    client.closed()
    other.subscribe(queue)
    other.nothing()
