"""django-stomp writes bare names, which mean queues to it; its command `pubsub` connects again after each loss."""

from __future__ import annotations

from typing import Any

import pytest
from environments import HERE, python

pytestmark = pytest.mark.long
ROOM = HERE / "django_stomp"


def test_publisher_and_consumer(start_broker: Any, start_program: Any) -> None:
    """Orders wait for the consumer, one is in work when the server is killed, one is refused to DLQ.orders-77."""
    interpreter = python("django_stomp")
    broker = start_broker("--dialect", "rabbitmq")
    site = {"PYTHONPATH": ROOM, "DJANGO_SETTINGS_MODULE": "site_settings", "STOMP_PORT": broker.port}

    publisher = start_program(interpreter, ROOM / "publish.py", **site)
    for number in ("1", "2", "long", "bad", "3"):
        publisher.say(f"orders-77 {number}")
    broker.wait_until_stored("/queue/orders-77", 5, "x-dead-letter-routing-key:DLQ.orders-77\n")

    consumer = start_program(interpreter, "-m", "django", "pubsub", "orders-77", "callbacks.fill", **site)
    consumer.wait_for("^working$")
    broker.die_and_return()
    consumer.say("go on")
    publisher.say("orders-77 4")
    consumer.wait_for("^filled 4$")
    publisher.say("orders-77 5")
    consumer.wait_for("^filled 5$")

    publisher.end()
    consumer.kill()  # SIGTERM closes its connection, and its own loop opens the next one
    filled = consumer.all("^filled (.*)")
    assert sorted(set(filled)) == ["1", "2", "3", "4", "5", "long"], consumer
    assert len(consumer.all("^got (long) of /queue/orders-77$")) == 2
    assert broker.take_all("/queue/orders-77") == []
    ((dead, body),) = broker.take_frames("/queue/DLQ.orders-77")
    assert body == '{"number": "bad"}'
    assert (dead["destination"], dead["original-destination"]) == ("/queue/DLQ.orders-77", "/queue/orders-77")
