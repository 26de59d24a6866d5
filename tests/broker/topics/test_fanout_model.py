"""Who gets what, against a model that looks at every subscription for every message."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stompserver.broker.names.pattern import Pattern
from stompserver.broker.subscription import AUTO, INDIVIDUAL
from stompserver.broker.topics import fanout

NAMES = ["/topic/a", "/topic/b", "/topic/a.x", "/topic/a.y", "/topic/c.d.e"]
DESTINATIONS = [*NAMES, "/topic/*", "/topic/a.*", "/topic/#", "/topic/>", "/topic/*.x", "/topic/#.e"]
POLICIES: list[Any] = [{}, {"/topic/a.>": {"history_messages": 3}}, {"/topic/>": {"retain": True}}]

STEPS = st.one_of(
    st.tuples(st.just("subscribe"), st.sampled_from(DESTINATIONS), st.sampled_from([AUTO, INDIVIDUAL])),
    st.tuples(st.just("choose"), st.sampled_from(DESTINATIONS), st.sampled_from([AUTO, INDIVIDUAL])),
    st.tuples(st.just("durable"), st.sampled_from(DESTINATIONS), st.integers(0, 2)),
    st.tuples(st.just("end"), st.integers(0, 20), st.none()),
    st.tuples(st.just("policies"), st.sampled_from(POLICIES), st.none()),
    st.tuples(st.just("send"), st.sampled_from(NAMES), st.booleans()),
    st.tuples(st.just("send"), st.sampled_from(NAMES), st.booleans()),
)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(STEPS, max_size=40))
def test_everybody_gets_each_message_once(
    new_world: Any, new_client: Any, monkeypatch: Any, steps: Any
) -> None:
    monkeypatch.setattr(fanout, "PASSING", 2)
    world = new_world(False)
    client = new_client()
    open_ones: list[Any] = []
    durables: dict[str, Pattern] = {}
    expected: dict[str, int] = {}
    count = 0
    for verb, what, how in steps:
        if verb == "subscribe":
            open_ones.append((Pattern(what), world.subscribe(client, what, how), False))
        elif verb == "choose":
            open_ones.append((Pattern(what), world.subscribe(client, what, how, selector="n = 1"), True))
        elif verb == "durable":
            name = f"d{how}"
            world.unsubscribe(world.subscribe(client, what, durable=name))
            if name not in durables or durables[name].text != what:
                expected[name] = world.broker.queues["/dsub/" + name].waiting
            else:
                expected[name] = 0
            durables[name] = Pattern(what)
        elif verb == "end" and open_ones:
            world.unsubscribe(open_ones.pop(what % len(open_ones))[1])
        elif verb == "policies":
            world.policies(given=what)
        elif verb == "send":
            client.got.clear()
            count += 1
            world.send(what, b"%d" % count, headers={"n": "1"} if how else {})
            wanted = sorted(
                s.id for pattern, s, picky in open_ones if pattern.matches(what) and (how or not picky)
            )
            assert sorted(s.id for s, _ in client.got) == wanted
            assert {message.body for _, message in client.got} <= {b"%d" % count}
            for name, pattern in durables.items():
                expected[name] += pattern.matches(what)
                assert world.broker.queues["/dsub/" + name].waiting == expected[name]
        client.got.clear()
    world.broker.drop(client)
    for name in durables:
        world.broker.forget_durable(name)
    world.policies(given={})
    for name in list(world.broker.fanout.retained.register.entries):
        world.send(name, retain="remove")
    for name in list(world.broker.fanout.histories):
        world.send(name)
    assert not world.broker.topics and not world.broker.memory.used
    assert not world.broker.fanout.passing and not world.broker.fanout.resolved
    assert not world.broker.fanout.wildcards.texts
