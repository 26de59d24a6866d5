"""Dead letters that have nowhere to go: full queues that hand on to each other, messages whose time goes round."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stompserver.broker.broker import SEND, Action
from stompserver.broker.message import Message
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies, Policy, Value
from stompserver.broker.subscription import INDIVIDUAL
from stompserver.errors import Refused

SIZE = 1000
Options = dict[str, Value]


def policies(**given: Options) -> Policies:
    return Policies([(Pattern(f"/queue/{name}"), options) for name, options in given.items()], Policy())


def hands_on(to: str, most: int = 1) -> Options:
    return {"max_messages": most, "overflow": "dead-letter", "deadletter": f"/queue/{to}"}


def send(world: Any, name: str, body: bytes) -> None:
    world.broker.send(Message(f"/queue/{name}", {}, body, SIZE))


def waiting(world: Any) -> dict[str, list[bytes]]:
    queues = world.broker.queues.items()
    return {
        name.removeprefix("/queue/"): [each.body for each in queue.standing()]
        for name, queue in queues
        if queue.waiting
    }


@pytest.mark.parametrize("count", [2, 3, 16])
def test_full_queues_in_a_circle_refuse_and_move_nothing(new_world: Any, count: int) -> None:
    names = [f"q{number}" for number in range(count)]
    after = dict(zip(names, [*names[1:], names[0]], strict=True))
    world = new_world(policies=policies(**{name: hands_on(after[name]) for name in names}))
    for name in names:
        send(world, name, name.encode())
    before = waiting(world)
    for name in names:
        with pytest.raises(Refused, match="full") as problem:
            send(world, name, b"more")
        assert "go round" in str(problem.value.rule)
    assert waiting(world) == before
    # One place is enough for all to move on by one.
    assert world.take("/queue/q1") == [b"q1"]
    send(world, "q0", b"more")
    assert waiting(world)["q0"] == [b"more"] and waiting(world)["q1"] == [b"q0"]


@pytest.mark.parametrize(("count", "taken"), [(16, True), (17, False), (300, False)])
def test_a_row_of_full_queues_has_a_length(new_world: Any, count: int, taken: bool) -> None:
    names = [f"q{number}" for number in range(count + 1)]
    rules = {name: hands_on(names[number + 1]) for number, name in enumerate(names[:-1])}
    world = new_world(policies=policies(**rules))
    for name in names[:-1]:
        send(world, name, name.encode())
    if taken:
        send(world, "q0", b"more")
        assert waiting(world)[names[-1]] == [names[-2].encode()]
    else:
        with pytest.raises(Refused):
            send(world, "q0", b"more")
        assert names[-1] not in waiting(world)


def test_a_transaction_is_refused_as_a_whole(new_world: Any, new_client: Any) -> None:
    world = new_world(policies=policies(a=hands_on("b"), b=hands_on("a")))
    send(world, "a", b"1")
    send(world, "b", b"2")
    actions = [Action(SEND, Message(f"/queue/{name}", {}, b"x", SIZE)) for name in ("free", "a")]
    with pytest.raises(Refused):
        world.broker.apply(actions, new_client())
    assert waiting(world) == {"a": [b"1"], "b": [b"2"]}


def test_a_dead_letter_that_nobody_can_take_stays_above_the_limit(new_world: Any, new_client: Any) -> None:
    """It is never refused, and the queues that it finds full would only hand each other their own."""
    world = new_world(policies=policies(a=hands_on("b"), b=hands_on("a"), source={"deadletter": "/queue/a"}))
    send(world, "a", b"1")
    send(world, "b", b"2")
    send(world, "source", b"3")
    send(world, "source", b"4")
    client = new_client()
    world.subscribe(client, "/queue/source", INDIVIDUAL)
    assert client.bodies() == [b"3", b"4"]
    world.broker.nack(list(client.deliveries.values()), False)
    assert waiting(world) == {"a": [b"1", b"3", b"4"], "b": [b"2"]}
    (note,) = world.broker.notes
    assert "/queue/a holds more" in note


def test_what_goes_round_by_its_time_comes_to_rest(new_world: Any) -> None:
    late: Options = {"ttl": 10, "expired": "deadletter"}
    world = new_world(
        policies=policies(a={**late, "deadletter": "/queue/b"}, b={**late, "deadletter": "/queue/a"})
    )
    send(world, "a", b"1")
    moves = 0
    for step in range(1, 100):
        before = waiting(world)
        world.broker.tick(world.broker.clock.now + 10)
        moves += waiting(world) != before
        assert sum(len(each) for each in waiting(world).values()) == 1, step
    assert moves == 17
    assert len(world.broker.notes) == 1


def test_a_limit_that_became_lower_costs_no_message_of_a_queue_that_rejects(
    new_world: Any, new_client: Any
) -> None:
    """Neither in memory nor when they are read from the store."""
    world = new_world(True)
    for number in range(40):
        send(world, "a", b"%d" % number)
    world.settle()
    world.broker.queues["/queue/a"].follow(Policy().changed({"max_messages": 5}))
    assert world.take("/queue/a") == [b"%d" % number for number in range(40)]


@settings(deadline=None, max_examples=150)
@given(
    following=st.lists(st.integers(0, 5), min_size=6, max_size=6),
    limits=st.lists(st.integers(1, 3), min_size=6, max_size=6),
    kinds=st.lists(
        st.sampled_from(["dead-letter", "dead-letter", "reject", "drop-tail"]), min_size=6, max_size=6
    ),
    sends=st.lists(st.integers(0, 5), max_size=60),
)
def test_any_web_of_dead_letter_queues_ends_and_keeps_all(
    new_world: Any, following: list[int], limits: list[int], kinds: list[str], sends: list[int]
) -> None:
    names = [f"q{number}" for number in range(6)]
    world = new_world(
        policies=policies(
            **{
                name: {**hands_on(names[following[number]], limits[number]), "overflow": kinds[number]}
                for number, name in enumerate(names)
                if following[number] != number
            }
        )
    )
    taken = 0
    for number in sends:
        try:
            send(world, names[number], b"")
        except Refused:
            continue
        taken += 1
    held = sum(len(each) for each in waiting(world).values())
    if "drop-tail" not in kinds:
        assert held == taken
    assert held <= taken
