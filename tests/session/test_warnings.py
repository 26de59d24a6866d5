"""Of which frame a warning speaks."""

from __future__ import annotations

from typing import Any

NOW = 1_700_000_000_000


def test_a_late_ack_without_a_receipt_leaves_no_warning_for_the_next_frame(world: Any) -> None:
    peer = world.connect("1.2")
    world.broker.clock.now = NOW
    peer.subscribe("/queue/a", "client", more="ack-timeout:1000\n")
    peer.publish("/queue/a", b"x")
    (late,) = peer.read()
    world.broker.tick(NOW + 1000)
    peer.read()
    peer.send(f"ACK\nid:{late['ack']}\n\n\0".encode())
    answer = peer.get(b"SEND\ndestination:/queue/b\nreceipt:r\n\n\0")
    assert answer.headers == [("receipt-id", "r")]
