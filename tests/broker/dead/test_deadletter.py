"""A message on its way to the dead letter queue and back."""

from __future__ import annotations

from stompserver.broker.dead.letter import letter, revived
from stompserver.broker.message import Message
from stompserver.session.frames import head
from stompserver.wire.headers import TEXT_12


def test_there_and_back() -> None:
    message = Message("/queue/a", {"colour": "red"}, b"body", 10, plain=True)
    message.group, message.priority, message.attempts, message.failed = "g", 7, 3, 500
    message.extras = {"more": "kept"}
    dead = letter(message, "/queue/dead", "/queue/a", "rejected", "no: such order", 900)
    assert dead.headers == {
        "colour": "red",
        "original-destination": "/queue/a",
        "dead-letter-reason": "rejected",
        "dead-letter-cause": "no: such order",
        "dlqDeliveryFailureCause": "no: such order",
        "delivery-count": "3",
        "first-failure": "500",
        "last-failure": "900",
    }
    assert b"\ndead-letter-cause:no\\c such order\n" in head(dead, TEXT_12)
    assert (dead.group, dead.priority, dead.attempts, dead.expires) == ("", 7, 0, 0)
    assert (message.headers, message.group) == ({"colour": "red"}, "g")
    kept = dead.kept()
    assert kept is not None
    stored = Message(dead.destination, dead.headers, dead.body, dead.size)
    stored.regain(kept)
    back = revived(stored, 1000)
    assert (dead.destination, back.destination) == ("/queue/dead", "/queue/a")
    assert (back.headers, back.group, back.priority) == ({"colour": "red"}, "g", 7)
    assert back.extras == {"more": "kept"}
