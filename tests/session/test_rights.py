"""Whatever is subscribed to, sent, and allowed or not any more: nobody gets what he may not consume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stompserver.broker.broker import Rules
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies
from stompserver.security.permissions import Grant, Permissions, Rule, Term
from stompserver.session.events import Denied

PLACES = (
    "/queue/a",
    "/queue/a.b",
    "/queue/b",
    "/topic/a",
    "/topic/a.b",
    "/topic/b",
    "/topic/VirtualTopic.a",
    "/queue/Consumer.g.VirtualTopic.a",
)
PATTERNS = (
    "#",
    "/queue/#",
    "/topic/#",
    "/queue/*",
    "/topic/a.>",
    "/queue/a.>",
    "/topic/*.b",
    "/topic/VirtualTopic.>",
    *PLACES,
)
SUBSCRIBED = (
    *PLACES,
    "/queue/>",
    "/queue/a.*",
    "/topic/>",
    "/topic/a.*",
    "/topic/*",
    "/queue/*.g.>",
    "/queue/Consumer.g.VirtualTopic.>",
    "/queue/a,/topic/b",
    "/topic/a,/topic/a.b",
    "/dsub/me.d",
    "/topic/a::d",
    "/exchange/amq.topic/a.b",
    "jms.queue.a",
)
MORE = (
    "",
    "ack:client\n",
    "ack:client-individual\n",
    "browser:true\n",
    "durable-subscription-name:d\n",
    "durable:true\n",
    "x-queue-name:b\ndurable:true\n",
    "x-stream-offset:first\nack:client\n",
    "selector:1=1\n",
    "exclusive:true\n",
    "no-local:true\n",
)

VERBS = ("consume", "browse", "durable", "create", "send")
ALL = {"#": dict.fromkeys(VERBS, True)}
exceptions = st.dictionaries(
    st.sampled_from(PATTERNS[1:]),
    st.one_of(
        st.just({"consume": False}),
        st.just({"consume": False}),
        st.dictionaries(st.sampled_from(VERBS), st.booleans(), min_size=1, max_size=2),
    ),
    max_size=2,
)
rules = st.one_of(
    exceptions.map(lambda said: {**ALL, **said}),
    exceptions.map(lambda said: {**ALL, **said}),
    exceptions.map(lambda said: {**said, "/topic/#": {"consume": True}}),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.just(""), st.sampled_from(("", "", "retain:set\n"))),
        st.tuples(st.just("subscribe"), st.sampled_from(("/topic/>", "/queue/>")), st.sampled_from(MORE[:3])),
        st.tuples(st.just("subscribe"), st.sampled_from(SUBSCRIBED), st.sampled_from(MORE)),
        st.tuples(st.just("rules"), rules, st.just("")),
        st.tuples(st.just("leave"), st.just(""), st.just("")),
        st.tuples(st.just("settle"), st.sampled_from(("ACK", "NACK")), st.just("")),
    ),
    min_size=4,
    max_size=12,
)


def permissions(said: dict[str, dict[str, bool]]) -> Permissions:
    """``me`` may, or may not; ``root`` may everything."""
    made = []
    for pattern, verbs in said.items():
        grants = {
            verb: Grant((Term("me"), Term("root")) if may else (Term("root"),), "line")
            for verb, may in verbs.items()
        }
        made.append(Rule(pattern, "line", grants))
    return Permissions(made)


class Play:
    """Root sends without asking; ``me`` is asked, and comes again when it was told that it may not."""

    def __init__(self, world: Any, said: dict[str, dict[str, bool]]) -> None:
        self.world = world
        self.permissions = permissions(said)
        self.root = world.connect("1.2")
        self.count = 0
        self.seen = 0
        self.enter()

    def enter(self) -> None:
        self.count += 1
        self.me = self.world.stranger()
        self.me.session.entitle(self.permissions.rights("me"))
        self.me.send(b"CONNECT\naccept-version:1.2\nhost:h\nclient-id:me\n\n\0")
        self.read()

    def read(self) -> None:
        """What has come by now is what one may consume, or look at."""
        rights = self.permissions.rights("me")
        acks = []
        for reply in self.me.read():
            if reply.command != "MESSAGE" or reply.has("browser"):
                continue
            place = reply.body.decode()
            self.seen += 1
            assert rights.may("consume", place) or rights.may("browse", place), (place, reply)
            if reply.has("ack"):
                acks.append(reply["ack"])
        self.acks = acks
        if self.me.state != "connected":
            self.me.session.lost()
            self.enter()

    def do(self, step: tuple[str, Any, str]) -> None:
        what, where, more = step
        if what == "publish":
            for place in PLACES:
                self.root.send(f"SEND\ndestination:{place}\n{more}\n{place}\0".encode())
        elif what == "subscribe":
            id = f"s{self.me.session.named}-{len(self.me.session.subscriptions)}-{self.seen}"
            self.me.send(f"SUBSCRIBE\nid:{id}\ndestination:{where}\n{more}\n\0".encode())
        elif what == "rules":
            self.permissions = permissions(where)
            # What is at the socket's end already was sent before.
            self.me.read()
            self.me.session.entitle(self.permissions.rights("me"))
            self.world.broker.adjust(self.world.broker.rules)
        elif what == "leave":
            self.me.session.lost()
            self.enter()
        else:
            for ack in self.acks:
                self.me.send(f"{where}\nid:{ack}\n\n\0".encode())
        self.world.broker.slices.finish()
        self.read()


@settings(max_examples=300, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules, steps)
def test_nobody_gets_what_he_may_not_consume(
    new_world: Callable[..., Any], said: dict[str, dict[str, bool]], script: list[tuple[str, Any, str]]
) -> None:
    policies = Policies([(Pattern("/topic/>"), {"history_messages": 5})])
    play = Play(new_world(Rules(policies=policies, deadletter="/queue/dead")), said)
    for step in script:
        play.do(step)


wanted = st.lists(
    st.tuples(st.just("subscribe"), st.sampled_from(SUBSCRIBED), st.sampled_from(MORE)),
    min_size=1,
    max_size=3,
)
PUBLISH = ("publish", "", "")
RETAIN = ("publish", "", "retain:set\n")


@settings(max_examples=300, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(wanted, exceptions, st.booleans())
def test_nobody_goes_on_with_what_is_shut(
    new_world: Callable[..., Any], before: list[tuple[str, Any, str]], shut: Any, small: bool
) -> None:
    """Subscribed while everything is open, then something is shut; and the other way round."""
    policies = Policies([(Pattern("/topic/>"), {"history_messages": 5})])
    later = ("rules", {**ALL, **shut}, "")
    more = [(what, where, more + "prefetch-count:1\n" * small) for what, where, more in before]
    settle = ("settle", "ACK", "")
    for said, script in (
        (ALL, [RETAIN, *more, PUBLISH, later, settle, PUBLISH, settle, PUBLISH]),
        ({**ALL, **shut}, [RETAIN, *more, PUBLISH, settle, PUBLISH, ("leave", "", ""), *more]),
    ):
        play = Play(new_world(Rules(policies=policies, deadletter="/queue/dead")), said)
        for step in script:
            play.do(step)


def test_what_waits_for_a_pattern_is_not_delivered_when_it_is_shut(new_world: Callable[..., Any]) -> None:
    play = Play(new_world(), {"/topic/#": {"consume": True}})
    play.me.send(b"SUBSCRIBE\nid:s\ndestination:/topic/>\nack:client\nprefetch-count:1\n\n\0")
    for name in ("/topic/a", "/topic/b"):
        play.root.send(f"SEND\ndestination:{name}\n\n{name}\0".encode())
    (first,) = play.me.read()
    shut = permissions({"/topic/#": {"consume": True}, "/topic/b": {"consume": False}})
    play.me.session.entitle(shut.rights("me"))
    (error,) = play.me.read()
    assert error["message"] == "You may not subscribe to /topic/b"
    assert first.body == b"/topic/a"


@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_what_one_has_and_may_goes_on(new_world: Callable[..., Any], kind: str) -> None:
    play = Play(new_world(), {"#": {"consume": True}})
    play.me.send(f"SUBSCRIBE\nid:s\ndestination:/{kind}/>\nack:client\nprefetch-count:1\n\n\0".encode())
    for _ in range(2):
        play.root.send(f"SEND\ndestination:/{kind}/a\n\n/{kind}/a\0".encode())
    (first,) = play.me.read()
    play.me.session.entitle(permissions({f"/{kind}/#": {"consume": True}}).rights("me"))
    play.me.send(f"ACK\nid:{first['ack']}\n\n\0".encode())
    assert play.me.messages() == [f"/{kind}/a".encode()]


def test_what_is_denied_is_an_event_and_events_are_bounded(new_world: Callable[..., Any]) -> None:
    observing = Permissions([], observes=True)
    peer = new_world().connect("1.2")
    peer.session.entitle(observing.rights("me"))
    for number in range(300):
        peer.publish(f"/topic/{number}", b"x")
    denied = peer.events(Denied)
    assert len(denied) == 99  # and Connected
    assert (denied[0].login, denied[0].verb, denied[0].destination) == ("me", "send", "/topic/0")
    assert denied[0].observed
    assert peer.world.broker.denied == 300


def test_a_group_of_a_pattern_is_one_queue_that_needs_the_right_for_all(
    new_world: Callable[..., Any],
) -> None:
    queue = "/queue/Consumer.g.VirtualTopic.>"
    said = {
        "/topic/#": {"consume": True},
        "/queue/Consumer.g.VirtualTopic.a": {"consume": True},
        "/queue/other": {"consume": True},
    }
    play = Play(new_world(), said)
    error = play.me.fails(f"SUBSCRIBE\nid:s\ndestination:{queue}\n\n\0".encode())
    assert error["message"] == f"You may not subscribe to all of {queue}"
    play.root.subscribe(queue)
    play.root.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    play.root.publish("/topic/VirtualTopic.a", b"x")
    play.enter()
    play.me.subscribe("/queue/>")
    assert play.me.messages() == []
    assert play.world.broker.queues[queue].waiting == 1
