"""An ACK only after the RECEIPT, in the order of the deliveries, and by the names that each version has."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from scripted import Wire

ACK = {
    "": ("message-id", "subscription"),
    "1.0": ("message-id", "subscription"),
    "1.1": ("message-id", "subscription"),
    "1.2": ("id", "message-id", "subscription"),
}


def send_all(wire: Wire, count: int, subscription: str = "move-0") -> None:
    for n in range(count):
        wire.say(
            f"MESSAGE\nsubscription:{subscription}\nack:a{n}\nmessage-id:m{n}\ndestination:/queue/x\n\nbody {n}\0"
        )


def keep_acks(wire: Wire, count: int) -> None:
    for _ in range(count):
        _, headers, _ = wire.expect("ACK")
        wire.events.append("ack " + headers.get("id", headers.get("message-id", "")))


def receive(wire: Wire, count: int) -> None:
    """A new broker that answers each SEND at once."""
    wire.greet()
    for _ in range(count):
        _, headers, body = wire.expect("SEND")
        wire.events.append("receipt " + body.decode())
        wire.say(f"RECEIPT\nreceipt-id:{headers['receipt']}\n\n\0")
    wire.expect("DISCONNECT")


@pytest.mark.parametrize("version", ACK)
def test_an_ack_comes_after_the_receipt(
    version: str, scripted: Any, stompctl: Callable[..., Any], events: list[str]
) -> None:
    def old(wire: Wire) -> None:
        said = wire.greet(version)
        assert said["accept-version"] == "1.0,1.1,1.2"
        asked = wire.subscribed()
        assert asked["destination"] == "/queue/x"
        assert asked["ack"] == "client"
        assert asked["prefetch-count"] == asked["activemq.prefetchSize"] == "7"
        for n in range(3):
            wire.say(
                f"MESSAGE\nsubscription:move-0\nack:a{n}\nmessage-id:m{n}\ndestination:/queue/x\n\nbody {n}\0"
            )
            _, headers, _ = wire.expect("ACK")
            assert tuple(headers) == ACK[version]
            events.append(f"ack {n}")
        wire.goodbye()

    ended = stompctl(
        *("--from", f"stomp://127.0.0.1:{scripted(old).port}", "--idle", "0.1", "--prefetch", "7"),
        *("--to", f"stomp://127.0.0.1:{scripted(lambda wire: receive(wire, 3)).port}", "/queue/x"),
    )
    assert ended.stdout == "           3  /queue/x to /queue/x\n"
    assert ended.stderr == ""
    assert events == [f"{what} {n}" for n in range(3) for what in ("receipt body", "ack")]


def test_acks_keep_the_order_of_deliveries_when_receipts_do_not(
    scripted: Any, stompctl: Callable[..., Any], events: list[str]
) -> None:
    def old(wire: Wire) -> None:
        wire.greet()
        wire.subscribed()
        wire.subscribed()
        for n, name in enumerate(("move-0", "move-1", "move-0", "move-1")):
            wire.say(
                f"MESSAGE\nsubscription:{name}\nack:a{n}\nmessage-id:m{n}\ndestination:/queue/d\n\n{n}\0"
            )
        keep_acks(wire, 4)
        wire.goodbye()

    def new(wire: Wire) -> None:
        wire.greet()
        sent = [wire.expect("SEND") for _ in range(4)]
        assert [headers["destination"] for _, headers, _ in sent] == ["/queue/x", "/queue/z"] * 2
        for n in (3, 1, 2):
            events.append(f"receipt {n}")
            wire.say(f"RECEIPT\nreceipt-id:{sent[n][1]['receipt']}\n\n\0")
        # Whoever acknowledged by the receipts would have done so by now: this goes to him and comes back.
        wire.say("\n" * 1000)
        events.append("receipt 0")
        wire.say(f"RECEIPT\nreceipt-id:{sent[0][1]['receipt']}\n\n\0")
        wire.expect("DISCONNECT")

    ended = stompctl(
        *("--from", f"stomp://127.0.0.1:{scripted(old).port}", "--idle", "0.1", "--json"),
        *("--to", f"stomp://127.0.0.1:{scripted(new).port}", "/queue/x", "/queue/y=/queue/z"),
    )
    assert events == [
        "receipt 3",
        "receipt 1",
        "receipt 2",
        "receipt 0",
        "ack a0",
        "ack a1",
        "ack a2",
        "ack a3",
    ]
    assert json.loads(ended.stdout) == {
        "moved": 4,
        "ended": "empty",
        "doubtful": False,
        "queues": [
            {"from": "/queue/x", "to": "/queue/x", "moved": 2},
            {"from": "/queue/y", "to": "/queue/z", "moved": 2},
        ],
    }


def test_an_old_one_without_subscription_headers(
    scripted: Any, stompctl: Callable[..., Any], events: list[str]
) -> None:
    # As the original: STOMP 1.0, one message at a time, the destination alone says which queue it is.
    def old(wire: Wire) -> None:
        wire.greet("")
        wire.subscribed()
        wire.subscribed()
        for n, name in enumerate(("/queue/y", "/queue/x")):
            wire.say(f"MESSAGE\nmessage-id: wow-{n}\ndestination: {name}\ncontent-length: 1\n\n{n}\0\n")
            _, headers, _ = wire.expect("ACK")
            assert headers == {"message-id": f"wow-{n}"}
        wire.goodbye()

    def new(wire: Wire) -> None:
        wire.greet()
        for name in ("/queue/y", "/queue/x"):
            _, headers, _ = wire.expect("SEND")
            assert headers["destination"] == name
            wire.say(f"RECEIPT\nreceipt-id:{headers['receipt']}\n\n\0")
        wire.expect("DISCONNECT")

    stompctl(
        *("--from", f"stomp://127.0.0.1:{scripted(old).port}", "--idle", "0.1"),
        *("--to", f"stomp://127.0.0.1:{scripted(new).port}", "/queue/x", "/queue/y"),
    )


def test_a_message_that_comes_at_the_end_stays(
    scripted: Any, stompctl: Callable[..., Any], events: list[str]
) -> None:
    def old(wire: Wire) -> None:
        wire.greet()
        wire.subscribed()
        wire.expect("DISCONNECT")
        send_all(wire, 1)
        wire.say("RECEIPT\nreceipt-id:goodbye\n\n\0")
        with pytest.raises(EOFError):
            wire.hear()

    ended = stompctl(
        *("--from", f"stomp://127.0.0.1:{scripted(old).port}", "--idle", "0.1"),
        *("--to", f"stomp://127.0.0.1:{scripted(lambda wire: receive(wire, 0)).port}", "/queue/x"),
    )
    assert ended.stdout == "           0  /queue/x to /queue/x\n"
