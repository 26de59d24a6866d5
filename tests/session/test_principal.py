"""What a client may do is asked of its principal: for each way to a destination, before anything is done."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import stompserver
from stompserver.broker.broker import Rules
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies
from stompserver.session.commands import expiring, management
from stompserver.session.principal import VERBS, Principal
from stompserver.session.state import TABLE
from stompserver.wire.alike import LEARN

Asked = list[tuple[str, str]]


class Recorder(Principal):
    """Notes what it is asked, and says yes but to what is ``denied``."""

    def __init__(self, *denied: tuple[str, str]) -> None:
        super().__init__("me")
        self.asked: Asked = []
        self.denied = set(denied)
        self.nothing = False

    def may(self, verb: str, name: str) -> bool:
        assert verb in VERBS
        self.asked.append((verb, name))
        return not self.nothing and (verb, name) not in self.denied


class Way(NamedTuple):
    """A way to a destination: frames, and what is asked for when the last of them comes."""

    name: str
    frames: tuple[bytes, ...]
    asked: tuple[tuple[str, str], ...]


def send(destination: str, more: str = "", body: str = "x") -> bytes:
    return f"SEND\ndestination:{destination}\n{more}\n{body}\0".encode()


def subscribe(destination: str, more: str = "") -> bytes:
    return f"SUBSCRIBE\nid:s\ndestination:{destination}\n{more}\n\0".encode()


def do(action: str, more: str = "") -> bytes:
    return send("/queue/stompserver.management", f"action:{action}\n{more}", "")


def scheduler(action: str, more: str = "") -> bytes:
    return send("ActiveMQ.Scheduler.Management", f"AMQ_SCHEDULER_ACTION:{action}\n{more}", "")


DOING = {
    "send": "send to",
    "consume": "subscribe to",
    "browse": "browse",
    "create": "create",
    "durable": "have the durable subscription",
    "manage": "manage",
    "view": "view",
}
OURS = ("send", "/queue/stompserver.management")
THEIRS = ("send", "ActiveMQ.Scheduler.Management")
BEGIN = b"BEGIN\ntransaction:t\n\n\0"
OWN = "/queue/$temp/session-1/a"
LATER = send("/queue/a", "AMQ_SCHEDULED_DELAY:1000\n")
WAYS = (
    Way("queue", (send("/queue/a"),), (("send", "/queue/a"),)),
    Way("new queue", (send("/queue/new"),), (("send", "/queue/new"), ("create", "/queue/new"))),
    Way("special", (send("/queue/a", "priority:7\n"),), (("send", "/queue/a"),)),
    Way("alias", (send("queue://a"),), (("send", "/queue/a"),)),
    Way("RabbitMQ's queue", (send("/amq/queue/a"),), (("send", "/queue/a"),)),
    Way("exchange", (send("/exchange/amq.topic/k"),), (("send", "/topic/k"),)),
    Way("composite", (send("/queue/a,/topic/a"),), (("send", "/queue/a"), ("send", "/topic/a"))),
    Way("transaction", (BEGIN, send("/queue/a", "transaction:t\n")), (("send", "/queue/a"),)),
    Way("scheduled", (LATER,), (("send", "/queue/a"),)),
    Way("topic", (send("/topic/a"),), (("send", "/topic/a"),)),
    Way("retained", (send("/topic/a", "retain:set\n"),), (("send", "/topic/a"),)),
    Way("virtual topic", (send("VirtualTopic.a"),), (("send", "/topic/VirtualTopic.a"),)),
    Way(
        "properties",
        (send("/queue/p", "x-expires:9\n"),),
        (("send", "/queue/p"), ("create", "/queue/p"), ("consume", "/queue/p")),
    ),
    Way(
        "dead letters elsewhere",
        (send("/queue/a", "x-dead-letter-routing-key:g\n"),),
        (("send", "/queue/a"), ("consume", "/queue/a"), ("send", "/queue/g"), ("create", "/queue/g")),
    ),
    Way(
        "last values",
        (send("/queue/a", "_AMQ_LVQ_NAME:k\n"),),
        (("send", "/queue/a"), ("consume", "/queue/a")),
    ),
    Way(
        "browser with properties",
        (subscribe("/queue/a", "browser:true\nx-expires:9\nauto-delete:true\n"),),
        (("browse", "/queue/a"), ("consume", "/queue/a"), ("consume", "/queue/a")),
    ),
    Way("durable's queue", (send("/topic/a::d"),), (("send", "/dsub/~d/topic/a"),)),
    Way("another's temporary", (send("/queue/$temp/s/a"),), (("send", "/queue/$temp/s/a"),)),
    Way(
        "temporary reply-to",
        (send("/queue/a", "reply-to:/temp-queue/a\n"),),
        (("send", "/queue/a"), ("consume", OWN)),
    ),
    Way("to a queue", (subscribe("/queue/a"),), (("consume", "/queue/a"),)),
    Way("to a new queue", (subscribe("/queue/n"),), (("consume", "/queue/n"), ("create", "/queue/n"))),
    Way("to a topic", (subscribe("/topic/a"),), (("consume", "/topic/a"),)),
    Way("to both", (subscribe("/queue/a,/topic/a"),), (("consume", "/queue/a"), ("consume", "/topic/a"))),
    Way("to a pattern", (subscribe("/queue/a.*"),), (("consume", "/queue/a.*"), ("consume", "/queue/a.b"))),
    Way("to topics", (subscribe("/topic/a.>"),), (("consume", "/topic/a.>"),)),
    Way("browser", (subscribe("/queue/a", "browser:true\n"),), (("browse", "/queue/a"),)),
    Way("monitor", (subscribe("/queue/monitor"),), (("consume", "/queue/monitor"),)),
    Way("temporary", (subscribe("/temp-queue/a"),), (("consume", OWN),)),
    Way("login's", (subscribe("/user/topic/a"),), (("consume", "/topic/$user/me/a"),)),
    Way(
        "durable",
        (subscribe("/topic/a", "durable-subscription-name:d\n"),),
        (("consume", "/topic/a"), ("durable", "/topic/a")),
    ),
    Way(
        "durable with a queue that is named",
        (subscribe("/topic/a", "x-queue-name:n\ndurable:true\n"),),
        (
            ("consume", "/topic/a"),
            ("durable", "/topic/a"),
            ("durable", "/queue/n"),
            ("consume", "/queue/n"),
            ("send", "/queue/n"),
            ("create", "/queue/n"),
        ),
    ),
    Way(
        "durable of two topics",
        (subscribe("/topic/a,/topic/b", "durable:true\n"),),
        (("consume", "/topic/a"), ("consume", "/topic/b"), ("durable", "/topic/a"), ("durable", "/topic/b")),
    ),
    Way(
        "durable's queue itself",
        (subscribe("/dsub/old"),),
        (("consume", "/topic/old"), ("consume", "/topic/old")),
    ),
    Way(
        "durable of another topic",
        (subscribe("/topic/a", "durable-subscription-name:old\n"),),
        (
            ("consume", "/topic/a"),
            ("durable", "/topic/a"),
            ("durable", "/topic/old"),
            ("consume", "/topic/old"),
        ),
    ),
    Way(
        "end of a durable",
        (b"UNSUBSCRIBE\nid:x\ndurable-subscription-name:old\n\n\0",),
        (("durable", "/topic/old"),),
    ),
    Way(
        "virtual topic's group",
        (subscribe("Consumer.g.VirtualTopic.a"),),
        (
            ("consume", "/queue/Consumer.g.VirtualTopic.a"),
            ("consume", "/topic/VirtualTopic.a"),
            ("create", "/queue/Consumer.g.VirtualTopic.a"),
        ),
    ),
    Way("server", (do("server"),), (OURS, ("view", "$server"))),
    Way("can", (do("can", "who:a\nverb:send\nqueue:/queue/a\n"),), (OURS, ("view", "$server"))),
    Way("queues", (do("queues"),), (OURS, ("view", "#"))),
    Way("durables", (do("durables"),), (OURS, ("view", "#"))),
    Way("schedule-list", (do("schedule-list"),), (OURS, ("view", "#"))),
    Way("answer", (do("queues", "reply-to:/queue/a\n"),), (OURS, ("send", "/queue/a"), ("view", "#"))),
    Way("pause", (do("pause", "queue:a\n"),), (OURS, ("manage", "/queue/a"))),
    Way("resume", (do("resume", "queue:a\n"),), (OURS, ("manage", "/queue/a"))),
    Way("purge", (do("purge", "queue:a\n"),), (OURS, ("manage", "/queue/a"))),
    Way("delete", (do("delete", "queue:a\n"),), (OURS, ("manage", "/queue/a"))),
    Way("redrive", (do("redrive"),), (OURS, ("manage", "/queue/dead"))),
    Way("redrive of one", (do("redrive", "queue:a\n"),), (OURS, ("manage", "/queue/a"))),
    Way("durable-delete", (do("durable-delete", "name:old\n"),), (OURS, ("manage", "/topic/old"))),
    Way("schedule-cancel", (do("schedule-cancel", "id:JOB\n"),), (OURS, ("manage", "/queue/later"))),
    Way("cancel all", (do("schedule-cancel", "all:true\n"),), (OURS, ("manage", "#"))),
    Way(
        "BROWSE",
        (scheduler("BROWSE", "reply-to:/queue/a\n"),),
        (THEIRS, ("send", "/queue/a"), ("browse", "#")),
    ),
    Way("REMOVE", (scheduler("REMOVE", "scheduledJobId:JOB\n"),), (THEIRS, ("manage", "/queue/later"))),
    Way("REMOVEALL", (scheduler("REMOVEALL"),), (THEIRS, ("manage", "#"))),
)


SHAPING = {
    ("properties", ("consume", "/queue/p")),
    ("dead letters elsewhere", ("consume", "/queue/a")),
    ("dead letters elsewhere", ("send", "/queue/g")),
    ("dead letters elsewhere", ("create", "/queue/g")),
    ("last values", ("consume", "/queue/a")),
    ("browser with properties", ("consume", "/queue/a")),
}
"""Without these rights a warning is all."""


def connect(new_world: Callable[..., Any], *denied: tuple[str, str]) -> tuple[Any, Recorder]:
    """A client of a broker where there is something of each kind."""
    world = new_world(Rules(deadletter="/queue/dead"), management="all", authenticate=True)
    peer = world.stranger()
    peer.send(b"CONNECT\naccept-version:1.2\nhost:h\nlogin:me\n\n\0")
    principal = Recorder(*denied)
    peer.session.authenticated(principal, peer.now)
    other = world.stranger()
    other.send(b"CONNECT\naccept-version:1.2\nhost:h\nlogin:me\n\n\0")
    other.session.authenticated(Principal("other"), other.now)
    for name in ("/queue/a", "/queue/a.b", "/queue/dead"):
        other.publish(name, b"old")
    other.send(send("/queue/later", "AMQ_SCHEDULED_DELAY:100000\n"))
    other.subscribe("/topic/old", more="durable-subscription-name:old\n", id="old")
    other.send(b"UNSUBSCRIBE\nid:old\n\n\0")
    peer.read()
    return peer, principal


def play(peer: Any, way: Way) -> list[Any]:
    *before, last = way.frames
    for frame in before:
        peer.ask(frame)
    (job,) = peer.world.broker.schedule.entries
    return list(peer.ask(last.replace(b"JOB", str(job).encode())))


def state(world: Any) -> Any:
    """What is in the broker."""
    broker = world.broker
    return (
        {
            queue.name: (queue.waiting, len(queue.subscriptions), queue.paused)
            for queue in broker.queues.values()
        },
        sorted(broker.schedule.entries),
        sorted(broker.fanout.durables.fed),
        {topic.name: topic.subscriptions for topic in broker.topics.values()},
        sorted(broker.fanout.retained.register.entries),
        sum(len(peer.session.subscriptions) for peer in world.peers),
        broker.memory.used,
    )


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_each_way_asks_for_its_right(new_world: Callable[..., Any], way: Way) -> None:
    peer, principal = connect(new_world)
    play(peer, way)
    assert principal.asked == list(way.asked)


@pytest.mark.parametrize(
    ("way", "right"),
    [(way, right) for way in WAYS for right in way.asked],
    ids=lambda value: value.name if isinstance(value, Way) else "-".join(value),
)
def test_without_one_of_its_rights_nothing_happens(
    new_world: Callable[..., Any], way: Way, right: tuple[str, str]
) -> None:
    peer, _ = connect(new_world, right)
    before = state(peer.world)
    replies = play(peer, way)
    if way.name == "to a pattern" and right == ("consume", "/queue/a.b"):
        # Left out, and no error: others may fit.
        assert replies == []
        assert not peer.world.broker.queues["/queue/a.b"].subscriptions
        return
    if (way.name, right) in SHAPING:
        # The message goes, and the browser looks; but queues are no others than before.
        assert {reply.command for reply in replies} <= {"MESSAGE"}
        assert not peer.world.broker.properties.given
        assert [queue for queue in peer.world.broker.queues.values() if queue.passing or queue.values] == []
        return
    assert [reply.command for reply in replies] == ["ERROR"]
    assert replies[0]["message"] == f"You may not {DOING[right[0]]} {right[1]}"
    peer.session.lost()
    assert state(peer.world) == before


def test_learned_sends_ask_once(new_world: Callable[..., Any]) -> None:
    peer, principal = connect(new_world)
    frame = b"SEND\ndestination:/queue/a\ncontent-length:1\n\nx\0"
    topic = frame.replace(b"/queue/a", b"/topic/a")
    for each in (frame, topic):
        peer.send(each * (LEARN + 9))
    assert peer.session.parser.learned
    assert principal.asked == [("send", "/queue/a"), ("send", "/topic/a")]
    principal.nothing = True
    peer.world.broker.reroute()
    (error,) = peer.ask(frame)
    assert error["message"] == "You may not send to /queue/a"


@pytest.mark.parametrize("place", ["/queue/a", "/topic/a"])
def test_a_right_that_is_taken_away_is_asked_for_again(new_world: Callable[..., Any], place: str) -> None:
    peer, principal = connect(new_world)
    peer.publish(place, b"", b"")
    principal.nothing = True
    peer.publish(place, b"")
    assert peer.state == "connected"
    peer.world.broker.reroute()
    peer.fails(send(place))


def test_a_right_is_nobody_elses(new_world: Callable[..., Any]) -> None:
    peer, principal = connect(new_world)
    peer.world.peers[1].publish("/queue/a", b"", b"")
    principal.nothing = True
    peer.fails(send("/queue/a"))


@pytest.mark.parametrize("kind", ["queue", "topic"])
@pytest.mark.parametrize("more", ["", "selector:1=1\n", "ack:client-individual\n"])
def test_a_pattern_has_only_what_the_client_may_have(
    new_world: Callable[..., Any], kind: str, more: str
) -> None:
    shut = f"/{kind}/p.shut"
    peer, principal = connect(new_world, ("consume", shut))
    other = peer.world.peers[1]
    other.publish(shut, b"before")
    peer.send(subscribe(f"/{kind}/p.>", more))
    for name in (f"/{kind}/p.open", shut, f"/{kind}/p.open"):
        other.publish(name, name.encode())
    assert peer.messages() == [f"/{kind}/p.open".encode()] * 2
    if kind == "topic":
        # A queue may be left when it is idle, and joined again.
        assert principal.asked.count(("consume", "/topic/p.open")) == 1, "once a name, not once a message"


def test_what_topics_keep_comes_only_from_those_the_client_may_have(new_world: Callable[..., Any]) -> None:
    for more, publish in (("", "retain:set\n"), ("x-stream-offset:first\n", "")):
        peer, _ = connect(new_world, ("consume", "/topic/p.shut"))
        policies = Policies([(Pattern("/topic/p.>"), {"history_messages": 10} if more else {})])
        peer.world.broker.adjust(Rules(policies=policies))
        other = peer.world.peers[1]
        for name in ("/topic/p.open", "/topic/p.shut"):
            other.send(send(name, publish, name))
        peer.send(subscribe("/topic/p.>", more))
        assert peer.messages() == [b"/topic/p.open"]


ASKING = frozenset(
    (
        "_ask_all",
        "ask",
        "may",
        "may_all",
        "may_consume",
        "sees",
        "withdrawn",
        "may_shape",
        "to_answer",
        "to_durable",
        "to_send",
        "to_shape",
        "to_subscribe",
        "to_subscribe_durably",
    )
)


def test_every_place_that_asks_is_known() -> None:
    """A new one belongs into WAYS, too."""
    found: set[str] = set()
    source = Path(stompserver.__file__).parent
    for folder in ("broker", "manage", "session"):
        for path in sorted((source / folder).rglob("*.py")):
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.FunctionDef) and any(map(_asks, ast.walk(function))):
                    found.add(f"{path.relative_to(source)} {function.name}")
    assert found == FOUND


def _asks(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        return node.func.id in ASKING
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in ASKING:
        return False
    # Not what asks a store for messages.
    return node.func.attr != "ask" or ast.unparse(node.func.value) == "asking"


FOUND = {
    "broker/queues/watch.py _join",
    "broker/queues/watch.py reconsider",
    "broker/topics/choice.py has",
    "broker/topics/topic.py resolve",
    "session/asking.py _ask_all",
    "session/asking.py _may_bury",
    "session/asking.py _to_create",
    "session/asking.py _to_have",
    "session/asking.py _to_keep",
    "session/asking.py ask",
    "session/asking.py left_out",
    "session/asking.py may",
    "session/asking.py may_all",
    "session/asking.py may_consume",
    "session/asking.py may_shape",
    "session/asking.py sees",
    "session/asking.py to_answer",
    "session/asking.py to_durable",
    "session/asking.py to_send",
    "session/asking.py to_shape",
    "session/asking.py to_subscribe",
    "session/asking.py to_subscribe_durably",
    "session/asking.py withdrawn",
    "session/commands/entering.py granted",
    "session/commands/management.py _ask_to_cancel",
    "session/commands/management.py _can",
    "session/commands/management.py _delete",
    "session/commands/management.py _durable_delete",
    "session/commands/management.py _durables",
    "session/commands/management.py _pause",
    "session/commands/management.py _purge",
    "session/commands/management.py _queues",
    "session/commands/management.py _redrive",
    "session/commands/management.py _reply_to",
    "session/commands/management.py _resume",
    "session/commands/management.py _schedule_cancel",
    "session/commands/management.py _schedule_list",
    "session/commands/management.py _scheduler",
    "session/commands/management.py _server",
    "session/commands/sending.py _check_last_value",
    "session/commands/sending.py send",
    "session/commands/subscribing.py _forget",
    "session/commands/subscribing.py _wish",
    "session/commands/subscribing.py subscribe_to",
    "session/principal.py may_all",
    "session/session.py entitle",
    "session/session.py may_consume",
}


def test_each_verb_is_asked_for() -> None:
    assert {verb for way in WAYS for verb, _ in way.asked} == set(VERBS)


def test_each_command_asks_or_needs_no_right() -> None:
    """What is settled was delivered, and what is committed was asked for when it was sent."""
    played = {frame.partition(b"\n")[0].decode() for way in WAYS for frame in way.frames}
    free = {"ABORT", "ACK", "BEGIN", "COMMIT", "CONNECT", "DISCONNECT", "NACK", "STOMP"}
    assert played | free == {command for cells in TABLE.values() for command in cells}


def test_each_action_is_one_of_the_ways() -> None:
    played = " ".join(way.frames[-1].decode() for way in WAYS)
    # Who is in may always show anew who he is: it takes no right.
    for action in set(management._ACTIONS) - {expiring.ACTION}:
        assert f"action:{action}\n" in played, action
