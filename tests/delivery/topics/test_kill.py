"""A server that is killed while topics are in use: what one SEND makes is all there, or nothing of it."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("house", ["lmdb"], indirect=True)
@pytest.mark.policies("  /topic/k:\n    history-messages: 100000\n")
def test_all_copies_of_a_message_or_none(house: Any) -> None:
    for name in "abc":
        client = house.connect()
        client.subscribe("/topic/k" if name != "c" else "/topic/*", name, "durable:true\n")
        client.leave()
    sender = house.connect()
    sends = [f"SEND\ndestination:/topic/k\nretain:set\nreceipt:{n}\n\n{n}\0" for n in range(2000)]
    sender.send("".join(sends))
    receipts = [int(sender.expect("RECEIPT")["receipt-id"]) for _ in range(200)]
    assert receipts == list(range(200))
    house.restart()

    sender = house.connect()
    client = house.connect()
    client.subscribe("/topic/k", "retained")
    newest = int(client.expect("MESSAGE").body)
    client.receipt("UNSUBSCRIBE\nid:retained\n\n\0")
    assert newest >= 199
    sender.publish("/topic/k", "end")
    for destination in ("/dsub/a", "/dsub/b", "/dsub/c", "/topic/k"):
        client.subscribe(
            destination, destination, "x-stream-offset:first\n" if "topic" in destination else ""
        )
        bodies: list[str] = []
        while not bodies or bodies[-1] != "end":
            bodies.append(client.expect("MESSAGE").body)
        assert bodies[:-1] == [str(number) for number in range(newest + 1)]
