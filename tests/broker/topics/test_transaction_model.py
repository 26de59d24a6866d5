"""Random transactions against a model that knows nothing of the broker: all of each is there, or nothing of it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stompserver.broker import transaction
from stompserver.broker.broker import ACK, NACK, SEND, Action
from stompserver.broker.commit import UNDER_WAY, Committer
from stompserver.broker.oplog import FOREVER
from stompserver.broker.schedule.plan import Plan
from stompserver.broker.subscription import INDIVIDUAL, Subscription
from stompserver.broker.topics import retained
from stompserver.errors import Refused

DEAD = "/queue/dead"
GROUP = "/queue/Consumer.g.VirtualTopic.v"
PLACES = ["/queue/a", "/queue/b", "/queue/free", "/queue/free2", DEAD, GROUP]
TOPICS = ["/topic/t", "/topic/h", "/topic/VirtualTopic.v"]

REJECT = {"overflow": "reject"}
POLICIES: dict[str, dict[str, Any]] = {
    "/queue/>": {"deadletter": DEAD, "duplicate_window": 0, "expired": "drop"},
    "/dsub/>": {"deadletter": DEAD, "max_messages": 3, **REJECT},
    "/queue/a": {"max_messages": 2, "duplicate_window": 2, "expired": "deadletter", **REJECT},
    "/queue/b": {"max_bytes": 8, **REJECT},
    DEAD: {"max_messages": 2, **REJECT},
    GROUP: {"max_messages": 2, **REJECT},
    "/topic/>": {"duplicate_window": 0},
    "/topic/h": {"history_messages": 2},
}
MOST_MESSAGES = {"/queue/a": 2, DEAD: 2, GROUP: 2, "/dsub/some": 3, "/dsub/all": 3}
MOST_BYTES = {"/queue/b": 8}
MOST_RETAINED = 2
MOST_LATER = 2
COST = 1000  # bytes that the storage counts for a message beside its body, in these tests


class Send(NamedTuple):
    """A SEND to one destination, or several; ``id`` is for the detection of duplicates."""

    to: list[str]
    pad: int
    persistent: bool
    retain: str
    id: str
    late: bool
    chosen: bool
    later: bool


class Settle(NamedTuple):
    """What becomes of a delivery; ``which`` of those there are."""

    kind: str
    which: int


class Item(NamedTuple):
    order: int
    body: bytes
    persistent: bool


class TooMuch(Exception):
    """The model refuses."""


class Model:
    """What is where, by the names of queues; nothing of it is shared with the broker."""

    def __init__(self) -> None:
        self.order = 0
        self.waiting: dict[str, list[Item]] = {name: [] for name in [*PLACES, *MOST_MESSAGES]}
        self.held: list[tuple[str, Item]] = []
        self.retained: dict[str, bytes] = {}
        self.history: list[bytes] = []
        self.known: list[str] = []
        self.later: list[bytes] = []
        self.heard: list[bytes] = []

    def enter(self, name: str, body: bytes, persistent: bool) -> None:
        self.order += 1
        self.waiting[name].append(Item(self.order, body, persistent))

    def back(self, name: str, item: Item) -> None:
        self.waiting[name].append(item)
        self.waiting[name].sort()

    def feeds(self, topic: str, chosen: bool) -> list[str]:
        names = ["/dsub/all"]
        if topic == "/topic/t" and chosen:
            names.append("/dsub/some")
        if topic == "/topic/VirtualTopic.v":
            names.append(GROUP)
        return names

    def fits(self, name: str, bodies: list[bytes]) -> bool:
        most = MOST_MESSAGES.get(name)
        if most is not None and len(self.waiting[name]) + len(bodies) > most:
            return False
        there = [item.body for item in self.waiting[name]] + [i.body for n, i in self.held if n == name]
        return name not in MOST_BYTES or sum(map(len, there + bodies)) <= MOST_BYTES[name]

    def full(self, name: str) -> bool:
        return not self.fits(name, [b"x" * 9])

    def sends(
        self, parts: list[tuple[Send, str, bytes]], room: int, in_use: set[str], queues: int, alone: bool
    ) -> None:
        """Raise TooMuch when these do not fit; ``alone``: it is one, not in a transaction."""
        entering: dict[str, list[bytes]] = {}
        fresh: set[str] = set()
        topics = set(self.retained)
        bytes, later = 0, 0
        for send, name, body in parts:
            size = COST + len(body)
            if send.later:
                later += 1
                bytes += size
                continue
            if name.startswith("/queue/"):
                # For what is too late no queue is made.
                if not (send.late and alone):
                    fresh.add(name)
                if not send.late:
                    entering.setdefault(name, []).append(body)
                    bytes += size if send.persistent else 0
            elif not send.late:
                for feed in self.feeds(name, send.chosen):
                    entering.setdefault(feed, []).append(body)
                    bytes += size if send.persistent else 0
                if name == "/topic/h":
                    bytes += size
                if send.retain == "set":
                    topics.add(name)
                    bytes += size
        if (
            bytes > room
            or len(self.later) + later > MOST_LATER
            or len(topics) > max(MOST_RETAINED, len(self.retained))
            or (fresh - in_use and len(in_use | fresh) > queues)
            or not all(self.fits(name, bodies) for name, bodies in entering.items())
        ):
            raise TooMuch

    def originals(self, parts: list[tuple[Send, str, bytes]]) -> set[int]:
        """Which of ``parts`` are no duplicates."""
        known = set(self.known)
        found = set()
        for at, (send, name, _) in enumerate(parts):
            if send.id and name == "/queue/a" and not send.later:
                if send.id in known:
                    continue
                if not send.late:
                    known.add(send.id)
            found.add(at)
        return found

    def send(self, send: Send, name: str, body: bytes) -> None:
        if send.later:
            self.later.append(body)
        elif name.startswith("/queue/"):
            if not send.late:
                self.enter(name, body, send.persistent)
            elif name == "/queue/a":
                self.enter(DEAD, body, send.persistent)
            if send.id and name == "/queue/a" and not send.late:
                self.known = [*self.known, send.id][-2:]
        elif not send.late:
            for feed in self.feeds(name, send.chosen):
                self.enter(feed, body, send.persistent)
            if name == "/topic/t":
                self.heard.append(body)
            if name == "/topic/h":
                self.history = [*self.history, body][-2:]
            if send.retain == "set":
                self.retained[name] = body
            elif send.retain == "remove":
                self.retained.pop(name, None)

    def settle(self, kind: str, name: str, item: Item) -> None:
        self.held.remove((name, item))
        if kind == "return" or (kind == "dead" and name == DEAD):
            self.back(name, item)
        elif kind == "dead":
            self.enter(DEAD, item.body, item.persistent)

    def restart(self) -> None:
        for name, item in self.held:
            self.back(name, item)
        self.held = []


SENDS = st.builds(
    Send,
    st.lists(st.sampled_from(PLACES + TOPICS), min_size=1, max_size=3, unique=True),
    st.integers(0, 4),
    st.booleans(),
    st.sampled_from(["", "", "set", "remove"]),
    st.sampled_from(["", "x", "y", "z"]),
    st.sampled_from([False, False, False, True]),
    st.booleans(),
    st.sampled_from([False, False, False, False, True]),
)
SETTLES = st.builds(Settle, st.sampled_from(["ack", "return", "dead"]), st.integers(0, 5))
STEPS = st.one_of(
    st.tuples(
        st.just("commit"),
        st.lists(st.one_of(SENDS, SENDS, SETTLES), min_size=1, max_size=5),
        st.sampled_from([FOREVER, FOREVER, 0, 2 * COST + 8, 4 * COST + 16]),
        st.sampled_from([100, 100, 6, 8]),
    ),
    st.tuples(st.just("fetch"), st.sampled_from([*PLACES, *MOST_MESSAGES])),
    st.tuples(st.just("restart")),
    st.tuples(st.just("kill_in"), st.integers(1, 8)),
)


class Waiting(Committer):
    """Who waits for a transaction that is done in slices."""

    def __init__(self) -> None:
        self.over = False
        self.error: Refused | None = None

    def gone(self) -> bool:
        return False

    def begun(self) -> None:
        assert not self.over

    def applied(self, position: int) -> None:
        assert not self.over
        self.over = True

    def refused(self, error: Refused) -> None:
        assert not self.over
        self.over = True
        self.error = error


class House:
    """The broker and the model side by side. ``sliced``: transactions are done in the smallest slices there are, with
    a commit of the store between them; ``cut`` is after how many of them the next one is killed.
    """

    def __init__(self, world: Any, client: type[Any], sliced: bool = False) -> None:
        self.sliced = sliced
        self.cut = 0

        class Looker(client):  # type: ignore[misc]  # a fixture gives the class
            def ended(self, subscription: Subscription) -> None:
                """A browser has seen everything."""

        self.world = world
        self.client: type[Any] = Looker
        self.model = Model()
        self.bodies = 0
        self.held: dict[Item, Any] = {}
        world.rules["max_scheduled"] = MOST_LATER
        world.policies(given=POLICIES)
        for name, topic, wishes in (
            ("all", "/topic/>", {}),
            ("some", "/topic/t", {"selector": "chosen = 'yes'"}),
        ):
            world.unsubscribe(world.subscribe(Looker(), topic, INDIVIDUAL, durable=name, **wishes))
        world.unsubscribe(world.subscribe(Looker(), GROUP))
        self.begin()

    def begin(self) -> None:
        """What is connected after a start."""
        self.taker = self.client()
        self.listener = self.client()
        self.world.subscribe(self.listener, "/topic/t")
        # What was retained is heard at once.
        self.listener.take()
        self.model.heard = []
        self.held = {}

    def message(self, send: Send, name: str, body: bytes) -> Any:
        headers = {"chosen": "yes"} if send.chosen else {}
        message = self.world.message(name, body, headers=headers, persistent=send.persistent)
        extras = {}
        if send.retain and name.startswith("/topic/"):
            extras["retain"] = send.retain
        if send.id and name == "/queue/a" and not send.later:
            extras["dedup"] = send.id
        message.extras = extras or None
        message.expires = self.world.now if send.late and not send.later else 0
        return message

    def commit(self, parts: list[Send | Settle], room: int, queues: int) -> None:
        world, model = self.world, self.model
        broker = world.broker
        broker.room = room
        broker.rules.max_queues = queues
        actions: list[Action] = []
        done: list[tuple[Any, ...]] = []
        all_sends: list[tuple[Send, str, bytes]] = []
        settled: list[Item] = []
        for part in parts:
            if isinstance(part, Settle):
                free = [pair for pair in model.held if pair[1] not in settled]
                if not free:
                    continue
                name, item = free[part.which % len(free)]
                settled.append(item)
                kind = ACK if part.kind == "ack" else NACK
                actions.append(Action(kind, None, self.held[item], part.kind == "return"))
                done.append((part.kind, name, item))
                continue
            self.bodies += 1
            body = b"%d" % self.bodies + b"." * part.pad
            for name in part.to:
                plan = Plan(0, 1 << 40) if part.later else None
                actions.append(Action(SEND, self.message(part, name, body), plan=plan))
                done.append(("send", len(all_sends)))
                all_sends.append((part, name, body))
        in_use = {name for name, queue in broker.queues.items() if not queue.idle}
        after = deepcopy(model)
        try:
            real = after.originals(all_sends)
            sends = [each for at, each in enumerate(all_sends) if at in real]
            after.sends(sends, room, in_use, queues, len(actions) == 1)
            for kind, *what in done:
                if kind != "send":
                    after.settle(kind, *what)
                elif what[0] in real:
                    after.send(*all_sends[what[0]])
        except TooMuch:
            position = broker.log.position
            self.cut = 0
            with pytest.raises(Refused):
                self.apply(actions)
            assert broker.log.position == position
        else:
            if not self.apply(actions):
                # Nothing of it was kept.
                world.restart()
                model.restart()
                self.begin()
                self.forget_unkept()
                return
            self.model = after
            for item in settled:
                del self.held[item]
        broker.room = FOREVER
        broker.rules.max_queues = 100
        world.feed()

    def apply(self, actions: list[Action]) -> bool:
        """As a client's frames do it: a SEND alone needs no transaction. False when it was cut off."""
        alone = actions[0] if len(actions) == 1 else None
        if alone is not None and alone.message is not None and alone.plan is None:
            self.world.broker.send(alone.message)
        elif not self.sliced:
            self.world.broker.apply(actions)
        else:
            return self.in_slices(actions)
        return True

    def in_slices(self, actions: list[Action]) -> bool:
        waiting = Waiting()
        cut, self.cut = self.cut, 0
        if self.world.broker.apply(actions, committer=waiting) != UNDER_WAY:
            return True
        while not waiting.over:
            self.world.pass_time(1)
            self.world.feed()
            cut -= 1
            if cut == 0 and not waiting.over:
                return False
        if waiting.error is not None:
            raise waiting.error
        return True

    def kill_in(self, slices: int) -> None:
        """Kill the next transaction that is done in slices after so many of them, if that is before its end."""
        if self.sliced and self.world.kept:
            self.cut = slices

    def fetch(self, name: str) -> None:
        """Deliver one message of that queue, and have it unsettled."""
        waiting = self.model.waiting[name]
        if not waiting:
            return
        self.world.unsubscribe(self.world.subscribe(self.taker, name, INDIVIDUAL, 1))
        item = waiting.pop(0)
        (_, message) = self.taker.got.pop()
        assert (message.body, self.taker.got) == (item.body, [])
        self.held[item] = self.taker.deliveries.popitem()[1]
        self.model.held.append((name, item))

    def restart(self) -> None:
        self.compare()
        self.world.restart()
        if self.world.kept:
            self.model.restart()
            self.begin()
            self.forget_unkept()

    def forget_unkept(self) -> None:
        """What need not survive does so where memory had no room for it."""
        for name, items in self.model.waiting.items():
            there = self.look(name, browser=True) if name in self.world.broker.queues else []
            self.model.waiting[name] = [each for each in items if each.persistent or each.body in there]

    def look(self, name: str, **wishes: Any) -> list[bytes]:
        client = self.client()
        self.world.unsubscribe(self.world.subscribe(client, name, **wishes))
        found: list[bytes] = client.take()
        return found

    def compare(self) -> None:
        model, broker = self.model, self.world.broker
        assert self.listener.take() == model.heard
        model.heard = []
        for name, items in model.waiting.items():
            there = self.look(name, browser=True) if name in broker.queues else []
            assert there == [item.body for item in items], name
        for topic in TOPICS:
            assert self.look(topic) == ([model.retained[topic]] if topic in model.retained else [])
        assert self.look("/topic/h", replay="first") == model.history
        assert len(broker.schedule.entries) == len(model.later)
        for name in model.waiting:
            if name.startswith("/queue/") and model.full(name):
                with pytest.raises(Refused, match="is full"):
                    self.world.send(name, b"x" * 9)


def plain(to: str) -> Send:
    return Send([to], 0, True, "", "", False, True, False)


LETTER_FIRST: list[Any] = [
    ("commit", [plain("/queue/a")], FOREVER, 100),
    ("commit", [plain(DEAD)], FOREVER, 100),
    ("fetch", "/queue/a"),
    # The dead letter takes the place that the SEND was let in for.
    ("commit", [Settle("dead", 0), plain(DEAD)], FOREVER, 100),
]

IDLE_AGAIN: list[Any] = [
    ("commit", [plain("/queue/b")], FOREVER, 100),
    ("fetch", "/queue/b"),
    ("commit", [Settle("ack", 0)], FOREVER, 100),
    ("commit", [plain("/queue/a"), plain("/queue/free"), plain("/queue/free2")], FOREVER, 100),
    # Empty and unused, /queue/b is idle: to send to it takes a place among those in use.
    ("commit", [plain("/queue/b")], FOREVER, 5),
]


@pytest.mark.parametrize("sliced", [False, True], ids=["at once", "in slices"])
@pytest.mark.parametrize("kept", [False, True], ids=["memory", "store"])
@example(steps=LETTER_FIRST)
@example(steps=IDLE_AGAIN)
@given(steps=st.lists(STEPS, max_size=12))
def test_all_of_a_transaction_is_there_or_nothing(
    new_world: Any, new_client: type[Any], kept: bool, sliced: bool, steps: list[Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retained, "MOST", MOST_RETAINED)
        if sliced:
            patch.setattr(transaction, "COPIES", 1)
        house = House(new_world(kept), new_client, sliced)
        for what, *how in steps:
            getattr(house, what)(*how)
            house.compare()
        house.restart()
        house.compare()
