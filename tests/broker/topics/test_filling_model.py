"""A durable subscription is filled while others send, against a model that knows nothing of the broker: in order,
nothing missing, nothing twice, and after a kill all of it or nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stompserver.broker.subscription import INDIVIDUAL
from stompserver.broker.topics import filling

TOPICS = ["/topic/s.a", "/topic/s.b", "/topic/other"]
KEPT = 6

STEPS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(TOPICS)),
    st.tuples(st.just("send"), st.sampled_from(TOPICS)),
    st.tuples(st.just("turn")),
    st.tuples(st.just("turn")),
    st.tuples(st.just("begin")),
    st.tuples(st.just("leave")),
    st.tuples(st.just("kill")),
)


class Model:
    """``histories`` have the newest of each topic. ``found`` is what a durable subscription has that is not there yet
    for its client, ``bound`` whether what is sent goes there; ``waiting`` what waits for it when it is there.
    """

    def __init__(self) -> None:
        self.histories: dict[str, list[int]] = {topic: [] for topic in TOPICS}
        self.found: list[int] | None = None
        self.bound = False
        self.waiting: list[int] | None = None

    def send(self, topic: str, number: int) -> None:
        self.histories[topic] = [*self.histories[topic], number][-KEPT:]
        if topic == "/topic/other":
            return
        if self.waiting is not None:
            self.waiting.append(number)
        elif self.found is not None and self.bound:
            self.found.append(number)

    def look(self) -> None:
        assert self.found is not None
        last = max(self.found, default=-1)
        there = sorted(self.histories["/topic/s.a"] + self.histories["/topic/s.b"])
        self.found += [number for number in there if number > last]


class House:
    """The broker and the model side by side."""

    def __init__(self, world: Any, new_client: type[Any], name: str) -> None:
        self.world = world
        self.new_client = new_client
        self.model = Model()
        self.name = name
        self.sent: list[tuple[int, str, int]] = []
        self.entering: Any = None
        world.policies(given={"/topic/>": {"history_messages": KEPT}})

    def send(self, topic: str) -> None:
        number = len(self.sent)
        self.model.send(topic, number)
        self.sent.append((self.world.send(topic, b"%d" % number), topic, number))

    def begin(self) -> None:
        if self.entering is not None or self.model.waiting is not None:
            return
        client = self.new_client()
        client.ready = False
        self.model.found = []
        self.model.look()
        self.entering = self.world.begin(
            client, self.name, INDIVIDUAL, topics=[self.name, "/topic/s.b"], durable="x", replay="first"
        )
        self.see()

    def turn(self) -> None:
        self.world.pass_time(1)
        self.world.commit()
        if self.entering is not None and not self.model.bound:
            self.model.look()
            self.model.bound = True
        self.see()

    def see(self) -> None:
        if self.entering is not None and not self.entering.waiting:
            model = self.model
            assert self.entering.error is None
            if not self.entering.lost:
                model.waiting = model.found
            self.entering = None
            model.found, model.bound = None, False

    def leave(self) -> None:
        if self.entering is not None:
            self.entering.lost = True
            self.turn()
            assert self.entering is None

    def kill(self) -> None:
        world = self.world
        world.commit()
        durable = world.broker.log.durable
        world.restart()
        if not world.kept:
            return
        self.entering = None
        after = Model()
        for position, topic, number in self.sent:
            if position <= durable:
                after.send(topic, number)
        after.waiting = self.model.waiting
        self.model = after
        # Positions begin anew: what is there is there for good, and what is gone never comes.
        self.sent = [
            (0 if position <= durable else 1 << 62, topic, number) for position, topic, number in self.sent
        ]

    def compare(self) -> None:
        durables = self.world.broker.fanout.durables
        for topic, numbers in self.model.histories.items():
            history = self.world.broker.fanout.histories.get(topic)
            bodies = [int(message.body) for message in history.messages[history.start :]] if history else []
            assert bodies == numbers
        if self.model.waiting is None:
            assert self.entering is not None or not durables.fed
            return
        queue = self.world.broker.queues["/dsub/x"]
        assert queue.waiting + queue.unacked == len(self.model.waiting)

    def end(self) -> None:
        while self.entering is not None:
            self.turn()
        self.compare()
        if self.model.waiting is not None:
            client = self.new_client()
            self.world.subscribe(client, self.name, topics=[self.name, "/topic/s.b"], durable="x")
            assert [int(body) for body in client.take()] == self.model.waiting


@pytest.mark.parametrize("name", ["/topic/s.a", "/topic/s.*"])
@pytest.mark.parametrize("kept", [False, True], ids=["memory", "store"])
@example(steps=[*[("send", "/topic/s.b")] * 2, ("begin",), ("send", "/topic/s.a"), ("send", "/topic/s.b")])
@example(
    steps=[*[("send", "/topic/s.a")] * 4, ("begin",), ("turn",), *[("send", "/topic/s.a")] * 9, ("turn",)]
)
@example(
    steps=[
        *[("send", "/topic/s.b")] * 4,
        ("begin",),
        ("turn",),
        ("send", "/topic/s.a"),
        ("kill",),
        ("begin",),
    ]
)
@given(steps=st.lists(STEPS, max_size=40))
def test_it_has_all_in_order_or_is_not_there(
    new_world: Any, new_client: type[Any], name: str, kept: bool, steps: list[Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filling, "COPIES", 1)
        house = House(new_world(kept), new_client, name)
        for what, *how in steps:
            getattr(house, what)(*how)
            house.compare()
        house.end()
