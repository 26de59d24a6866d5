"""What fails at a topic's subscription, and where it can go back to."""

from __future__ import annotations

from typing import Any

from stompserver.broker.redrive import Asker, Redrive
from stompserver.broker.subscription import INDIVIDUAL

DEAD = "/queue/deadletter"


class Heard(Asker):
    def __init__(self) -> None:
        self.said: list[tuple[int, int, str]] = []

    def redriven(self, moved: int, left: int, problem: str) -> None:
        self.said.append((moved, left, problem))


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
    heard = Heard()
    Redrive(world.broker, world.broker.queues[DEAD], 0, 0, heard).start()
    assert heard.said == [(1, 1, "")]
    assert client.names() == [("/topic/a", b"1")]
    assert next(iter(client.deliveries.values())).subscription.durable == "x"
