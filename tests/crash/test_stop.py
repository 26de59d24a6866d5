"""An orderly end keeps all that was accepted; what asked not to be kept is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_what_was_accepted_is_there_after_a_stop(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    server = restart(kind)
    client = connect(server)
    client.put("/queue/kept", [str(number) for number in range(500)])
    client.subscribe("/queue/kept", "client-individual")
    frames = [client.next() for _ in range(50)]
    client.settle("ACK", frames[3])
    client.settle("NACK", frames[7])
    # Without a receipt: the answer to the last of them is the only sign that the server has read it.
    client.send("".join(f"SEND\ndestination:/queue/quiet\n\n{number}\0" for number in range(99)))
    client.send("SEND\ndestination:/queue/quiet\nreceipt:last\n\n99\0")
    while client.next().command != "RECEIPT":
        pass
    server.stop()
    client = connect(restart(kind))
    again = client.drain("/queue/kept")
    assert [frame.body.decode() for frame in again] == [str(number) for number in range(500) if number != 3]
    ids = {frame.body: frame.headers["message-id"] for frame in again}
    assert all(ids[frame.body] == frame.headers["message-id"] for frame in frames if frame.body != b"3")
    # Those handed out and not settled came back when their subscriber was cut off.
    assert [f.headers.get("redelivered") for f in again[:10]] == ["true"] * 10
    assert "redelivered" not in again[-1].headers
    assert client.bodies("/queue/quiet") == [str(number) for number in range(100)]


def test_a_message_keeps_its_octets_and_headers(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    body = bytes(range(256)) * 5
    server = restart(kind)
    client = connect(server)
    client.send(
        b"SEND\ndestination:/queue/\xc3\xa4 b/../c\\c\nx-text:\xe2\x82\xac\\n\\c\\\\\nx-text:second\n"
        b"content-length:%d\ncontent-type:application/x-stuff\nreceipt:1\n\n%s\0" % (len(body), body)
    )
    client.expect("RECEIPT", "1")
    server.kill()
    client = connect(restart(kind))
    (frame,) = client.drain("/queue/ä b/../c\\c")
    assert frame.body == body
    assert frame.headers["destination"] == "/queue/ä b/../c\\c"
    assert frame.headers["x-text"] == "€\\n\\c\\\\"
    assert frame.headers["content-type"] == "application/x-stuff"


def test_what_asked_not_to_be_kept_is_gone_after_a_restart(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    # More than a window holds, so that some of them went to the disk.
    server = restart(kind, "--memory-limit=2MiB")
    client = connect(server)
    fleeting = [f"{number} {1000 * 'x'}" for number in range(1500)]
    client.put("/queue/mixed", fleeting[:1000], "persistent:false\n")
    client.put("/queue/mixed", ["kept 1"])
    client.put("/queue/mixed", fleeting[1000:], "persistent:false\n")
    client.put("/queue/mixed", ["kept 2"])
    client.subscribe("/queue/mixed", "client-individual", "prefetch-count:5\n")
    assert [client.next().body.decode() for _ in range(5)] == fleeting[:5]
    server.stop()
    server = restart(kind, "--memory-limit=2MiB")
    client = connect(server)
    assert client.bodies("/queue/mixed") == ["kept 1", "kept 2"]
    client.put("/queue/mixed", fleeting, "persistent:false\n")
    server.kill()
    assert connect(restart(kind)).bodies("/queue/mixed") == []


def test_what_asked_not_to_be_kept_comes_in_order_while_the_server_lives(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    client = connect(restart(kind, "--memory-limit=2MiB"))
    bodies = [f"{number} {1000 * 'x'}" for number in range(2000)]
    for start in range(0, 2000, 200):
        client.put("/queue/mixed", bodies[start : start + 100], "persistent:false\n")
        client.put("/queue/mixed", bodies[start + 100 : start + 200])
    assert client.bodies("/queue/mixed") == bodies


def test_with_a_checkpoint_receipts_do_not_wait_for_it(
    kind: str, restart: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    server = restart(kind, "--checkpoint=3600")
    client = connect(server)
    client.put("/queue/kept", [str(number) for number in range(300)], outstanding=0)
    server.stop()
    server = restart(kind, "-c", "3600")
    client = connect(server)
    client.put("/queue/kept", ["300"])
    # The system has what was written: only a power cut would lose it.
    server.kill()
    client = connect(restart(kind))
    assert client.bodies("/queue/kept") == [str(number) for number in range(301)]
