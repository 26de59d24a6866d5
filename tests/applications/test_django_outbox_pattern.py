"""django-outbox-pattern acknowledges by message-id in STOMP 1.2, where the standard wants the value of `ack`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from environments import HERE, python

pytestmark = pytest.mark.long
ROOM = HERE / "django_outbox_pattern"
DESTINATION = "/topic/shop.orders"
QUEUE = "/queue/shop.orders"  # what `x-queue-name` of its SUBSCRIBE makes


def test_outbox_to_inbox(start_broker: Any, start_program: Any, tmp_path: Path) -> None:
    """Events go from one table to the other; one is in work when the server is killed, one is refused."""
    interpreter = python("django_outbox_pattern")
    broker = start_broker("--dialect", "rabbitmq")
    database = tmp_path / "site.sqlite"
    site = {
        "PYTHONPATH": ROOM,
        "DJANGO_SETTINGS_MODULE": "site_settings",
        "STOMP_PORT": broker.port,
        "DATABASE": database,
    }
    start_program(interpreter, "-m", "django", "migrate", "--verbosity", 0, **site).wait_for_end()

    consumer = start_program(interpreter, "-m", "django", "subscribe", "callbacks.keep", DESTINATION, **site)
    consumer.wait_for_error("^Consumer started")
    outbox = start_program(interpreter, ROOM / "publish.py", **site)
    publisher = start_program(interpreter, "-m", "django", "publish", **site)
    for number in ("1", "2", "bad", "long", "3"):
        outbox.say(f"{DESTINATION} {number}")
    consumer.wait_for("^working$")
    publisher.wait_for_error("^Message published", times=5)
    broker.wait_until_stored(QUEUE, 1)  # the last: who looks does not see what is in work
    broker.die_and_return()
    consumer.say("go on")
    consumer.wait_for("^kept long$")

    outbox.say(f"{DESTINATION} 4")
    consumer.wait_for("^kept 4$")
    outbox.end()
    consumer.end(signal.SIGTERM)
    assert consumer.all("^kept (.*)") == ["1", "2", "long", "3", "4"], (
        consumer
    )  # its table knows what it has had
    assert broker.take_all(QUEUE) == []
    ((dead, body),) = broker.take_frames("/queue/DLQ.shop.orders")
    assert body == '{"number": "bad"}'
    assert dead["destination"] == "/queue/DLQ.shop.orders"
