"""What fails at a topic's subscription, and where it can go back to."""

from __future__ import annotations

from typing import Any

from stompserver.broker.subscription import INDIVIDUAL
from stompserver.manage.redrive import Redrive

DEAD = "/queue/deadletter"


def test_a_durable_subscription_gets_its_own_back_and_a_topic_nothing(
    memory_world: Any, new_client: Any
) -> None:
    world, client = memory_world, new_client()
    world.subscribe(client, "/topic/*", INDIVIDUAL)
    world.subscribe(client, "/topic/a", INDIVIDUAL, durable="x")
    world.send("/topic/a", b"1")
    for _ in range(2):
        world.broker.nack([client.deliveries.pop(next(iter(client.deliveries)))], False)
    assert client.take() == [b"1", b"1"]
    dead = world.broker.queues[DEAD].standing()
    assert [message.headers["original-destination"] for message in dead] == ["/topic/a", "/dsub/x"]
    redrive = Redrive(world.broker, world.broker.queues[DEAD])
    redrive.start()
    assert (redrive.over, redrive.moved, redrive.left, redrive.problem) == (True, 1, 1, "")
    assert client.names() == [("/topic/a", b"1")]
    (delivery,) = client.deliveries.values()
    assert delivery.subscription.queue is world.broker.queues["/dsub/x"]
