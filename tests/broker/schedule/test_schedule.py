"""Messages for later, as the broker keeps and sends them; time is a number here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stompserver.broker.broker import ACK, SEND, Action, Broker, Rules
from stompserver.broker.message import Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.queues.window import Reader, Window
from stompserver.broker.schedule.plan import ENDLESS, Plan
from stompserver.broker.schedule.schedule import AHEAD, SCHEDULE
from stompserver.broker.subscription import AUTO, INDIVIDUAL, Subscription, Wish
from stompserver.errors import ProtocolError, Refused
from stompserver.manage.browse import BrowseSchedule

MINUTE = 60_000
START = 1_000_000 * MINUTE


def each_minute(spec: str, after: int) -> int:
    """A cron that knows ``* * * * *`` and ``never``."""
    if spec == "never":
        return 0
    if spec != "* * * * *":
        raise ValueError("bad minute")
    return (after // MINUTE + 1) * MINUTE


class World:
    """A broker with a store that is a dictionary, both of which may be restarted."""

    def __init__(self, new_store: Callable[[], Any], keeps: bool = True, **rules: Any) -> None:
        self.store = new_store()
        self.keeps = keeps
        self.rules = Rules(**rules)
        self.now = START
        self.start(1)

    def start(self, first: int) -> None:
        window = Window() if self.keeps else None
        self.broker = Broker(self.rules, OpLog(self.keeps), first, window)
        self.broker.schedule.next_cron = each_minute
        self.broker.tick(self.now)

    def commit(self) -> None:
        """What the pump does: ops to the store, then what readers want."""
        log = self.broker.log
        while True:
            number, ops = log.drain()
            self.store.commit(ops)
            self.broker.memory.used -= sum(op.size for op in ops if op.paged)
            log.committed(number, sum(op.size for op in ops if op.message is not None))
            window = self.broker.window
            asking = window.take_asking() if window is not None else []
            if not asking:
                return
            for reader in asking:
                self.feed(reader)

    def feed(self, reader: Reader) -> None:
        most, room = reader.room()
        held = self.store.queues.get(reader.name, {})
        found = []
        for key in sorted(held):
            if key > reader.after() and len(found) < most and room > 0:
                found.append(twin(held[key]))
                room -= found[-1].size
        if found:
            reader.load(found, found[-1].key, [])
        else:
            reader.all_read()

    def restart(self) -> None:
        """Begin anew with what was committed."""
        held = self.store.queues
        self.start(self.broker.number + 1000)
        for name, messages in held.items():
            if messages and name != SCHEDULE:
                self.broker.restore(name, len(messages), min(messages), max(messages))
        for message in held.get(SCHEDULE, {}).values():
            assert self.broker.recall(SCHEDULE, [twin(message)]) == []

    def send(self, body: bytes, plan: Plan, destination: str = "/queue/a", **attributes: Any) -> Message:
        message = Message(destination, {"x": "1"}, body, 1000 + len(body), True)
        for name, value in attributes.items():
            setattr(message, name, value)
        self.broker.apply([Action(SEND, message, plan=plan)])
        return message

    def until(self, now: int) -> None:
        """Let the time go on to ``now``, with every alarm at its time."""
        while True:
            self.commit()
            next = self.broker.deadlines.next()
            if next is None or next > now:
                break
            self.now = max(self.now, next)
            self.broker.tick(self.now)
        self.now = now
        self.broker.tick(now)
        self.commit()

    @property
    def kept(self) -> list[bytes]:
        return [message.body for message in self.store.queues.get(SCHEDULE, {}).values()]


def twin(message: Message) -> Message:
    """What a store would give back."""
    read = Message(message.destination, dict(message.headers), message.body, message.size, message.plain)
    read.persistent = message.persistent
    read.exceptions = message.exceptions
    read.regain(dict(message.kept() or {}))
    read.number, read.key, read.attempts, read.stored = message.number, message.key, message.attempts, True
    return read


@pytest.fixture
def new_world(new_store: Callable[[], Any]) -> Callable[..., World]:
    def make(**options: Any) -> World:
        return World(new_store, **options)

    return make


@pytest.fixture(params=[True, False], ids=["stored", "memory"])
def world(request: pytest.FixtureRequest, new_world: Callable[..., World]) -> World:
    return new_world(keeps=request.param)


@pytest.fixture
def listen(new_consumer: Any) -> Callable[..., Any]:
    def subscribe(world: World, destination: str = "/queue/a") -> Any:
        consumer = new_consumer()
        subscription = Subscription(consumer, Wish("1", destination, AUTO, 0))
        world.broker.subscribe(subscription)
        world.broker.start(subscription)
        return consumer

    return subscribe


def test_a_delay(world: World, listen: Any) -> None:
    consumer = listen(world)
    sent = world.send(b"late", Plan(delay=5000), priority=7, group="g")
    world.until(START + 4999)
    assert consumer.got == []
    world.until(START + 5000)
    (got,) = [message for _, message in consumer.got]
    assert (got.body, got.priority, got.group) == (b"late", 7, "g")
    assert got.headers == {"x": "1", "scheduledJobId": str(sent.number)}
    assert got.number != sent.number
    assert world.broker.schedule.entries == {}
    assert world.broker.deadlines.next() is None
    assert world.kept == []
    assert world.broker.memory.used == 0


def test_the_earliest_goes_first(world: World, listen: Any) -> None:
    consumer = listen(world)
    for at in (300, 100, 200, 100, 400):
        world.send(b"%d" % at, Plan(at=START + at))
    world.send(b"past", Plan(at=5))
    world.until(START + 1)
    assert consumer.bodies() == [b"past"]
    world.until(START + 1000)
    assert consumer.bodies() == [b"past", b"100", b"100", b"200", b"300", b"400"]


def test_a_topic_gets_it_too(world: World, listen: Any) -> None:
    consumer = listen(world, "/topic/t")
    world.send(b"now", Plan(delay=10), "/topic/t")
    world.until(START + 10)
    assert consumer.bodies() == [b"now"]


def test_repeats(world: World, listen: Any) -> None:
    consumer = listen(world)
    sent = world.send(b"x", Plan(delay=100, period=1000, repeat=3))
    times = []
    consumer.heard = lambda subscription, message: times.append(world.now - START)
    world.until(START + 10_000)
    assert times == [100, 1100, 2100, 3100]
    assert {message.headers["scheduledJobId"] for _, message in consumer.got} == {str(sent.number)}
    assert len({message.number for _, message in consumer.got}) == 4
    assert world.broker.schedule.entries == {}
    assert world.kept == []


def test_a_period_without_delay_begins_after_it(world: World, listen: Any) -> None:
    consumer = listen(world)
    world.send(b"x", Plan(period=1000, repeat=ENDLESS))
    world.until(START + 999)
    assert consumer.got == []
    world.until(START + 50_000)
    assert len(consumer.got) == 50
    assert len(world.broker.schedule.entries) == 1


def test_cron(world: World, listen: Any) -> None:
    consumer = listen(world)
    times = []
    consumer.heard = lambda subscription, message: times.append(world.now - START)
    world.now += 1
    world.broker.tick(world.now)
    world.send(b"x", Plan(cron="* * * * *"))
    world.until(START + 3 * MINUTE)
    assert times == [MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert len(world.broker.schedule.entries) == 1


def test_each_time_of_cron_begins_a_series(world: World, listen: Any) -> None:
    consumer = listen(world)
    times = []
    consumer.heard = lambda subscription, message: times.append(world.now - START)
    world.send(b"x", Plan(cron="* * * * *", delay=1000, period=2000, repeat=2))
    world.until(START + 3 * MINUTE)
    series = [1000, 3000, 5000]
    assert times == [minute * MINUTE + at for minute in (1, 2) for at in series]
    (job,) = {message.headers["scheduledJobId"] for _, message in consumer.got}
    world.until(START + 3 * MINUTE + 1500)
    assert world.broker.schedule.cancel(int(job)) == 2
    world.until(START + 9 * MINUTE)
    assert len(times) == 7


def test_life_counts_from_the_delivery(world: World, listen: Any) -> None:
    consumer = listen(world)
    world.send(b"x", Plan(delay=10_000, ttl=500))
    world.until(START + 10_000)
    assert [message.expires for _, message in consumer.got] == [START + 10_500]


# Restart


def test_what_is_for_later_survives(new_world: Callable[..., World], listen: Any) -> None:
    world = new_world()
    world.send(b"one", Plan(delay=1000))
    world.send(b"two", Plan(delay=9000), persistent=False)
    world.send(b"three", Plan(delay=500, period=1000, repeat=9))
    world.until(START + 600)
    assert sorted(world.kept) == [b"one", b"three", b"two"]
    world.now = START + 4000
    world.restart()
    consumer = listen(world)
    world.until(START + 4001)
    # Overdue: at once, in the order of their times; of what was missed of a series, one.
    assert consumer.bodies() == [b"three", b"one", b"three"]
    world.until(START + 20_000)
    assert consumer.bodies().count(b"three") == 10
    (two,) = [message for _, message in consumer.got if message.body == b"two"]
    assert not two.persistent
    assert world.kept == []


def test_a_series_that_an_earlier_version_kept_with_its_id_comes_whole(
    new_world: Callable[..., World], listen: Any
) -> None:
    world = new_world()
    world.send(b"x", Plan(delay=1000, period=100, repeat=3))
    world.commit()
    (kept,) = world.store.queues[SCHEDULE].values()
    kept.extras["dedup"] = "id"
    world.restart()
    consumer = listen(world)
    world.until(START + 2000)
    assert consumer.bodies() == [b"x"] * 4


def test_it_is_in_one_place_or_the_other(new_world: Callable[..., World]) -> None:
    world = new_world()
    world.send(b"x", Plan(delay=1000, period=1000, repeat=1))
    world.until(START + 999)
    world.broker.tick(START + 1000)
    ops = world.broker.log.drain()[1]
    assert {op.queue for op in ops} == {SCHEDULE, "/queue/a"}
    assert len({op.group for op in ops}) == 1
    assert ops[0].group


# Paging


def test_what_is_far_off_is_left_to_the_store(new_world: Callable[..., World], listen: Any) -> None:
    world = new_world(memory_limit=1_200_000)
    schedule = world.broker.schedule
    for n in range(300):
        world.send(b"%d" % n, Plan(delay=60_000 + n), size=1000)
        if n % 50 == 49:
            world.commit()
    assert schedule.away > 200
    assert schedule.held <= schedule.budget + 50_000
    consumer = listen(world)
    world.until(START + 60_150)
    assert consumer.bodies() == [b"%d" % n for n in range(151)]
    world.until(START + 70_000)
    assert consumer.bodies() == [b"%d" % n for n in range(300)]
    assert (world.broker.memory.used, schedule.away, schedule.held) == (0, 0, 0)
    assert world.kept == []


def test_what_is_far_off_can_be_cancelled(new_world: Callable[..., World], listen: Any) -> None:
    world = new_world(memory_limit=200_000)
    sent = [world.send(b"%d" % n, Plan(delay=60_000)) for n in range(50)]
    world.commit()
    world.send(b"last", Plan(delay=60_000))
    schedule = world.broker.schedule
    assert schedule.entries[sent[3].key].message is None
    assert schedule.cancel(sent[3].number) == 1
    assert schedule.cancel(sent[3].number) == 0
    consumer = listen(world)
    world.until(START + 60_000 - AHEAD + 1)
    # Some are on their way from the store now.
    assert schedule.cancel(sent[5].number) == 1
    assert schedule.forget([entry.key for entry in schedule.jobs(0, START + 70_000)]) == 49
    world.until(START + 70_000)
    assert consumer.got == []
    assert (world.broker.memory.used, world.kept, schedule.away) == (0, [], 0)


def test_a_message_that_the_store_lost_holds_up_nothing(new_world: Callable[..., World], listen: Any) -> None:
    world = new_world(memory_limit=200_000)
    sent = [world.send(b"%d" % n, Plan(delay=60_000)) for n in range(50)]
    world.commit()
    world.send(b"50", Plan(delay=60_000))
    for key in (sent[0].key, sent[7].key):
        del world.store.queues[SCHEDULE][key]
    world.broker.schedule.relieve()
    consumer = listen(world)
    world.until(START + 60_100)
    assert consumer.bodies() == [b"%d" % n for n in range(51) if n not in (0, 7)]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_all_come_once_in_order_whatever_happens(
    new_store: Any, new_consumer: Any, data: st.DataObject
) -> None:
    world = World(new_store, memory_limit=240_000)
    due: dict[bytes, int] = {}
    seen: list[tuple[int, bytes]] = []

    def listen() -> None:
        consumer = new_consumer()
        consumer.heard = lambda subscription, message: seen.append((world.now, message.body))
        subscription = Subscription(consumer, Wish("1", "/queue/a", AUTO, 0))
        world.broker.subscribe(subscription)
        world.broker.start(subscription)

    listen()
    for step in range(data.draw(st.integers(1, 60))):
        what = data.draw(st.sampled_from(["send", "send", "send", "commit", "wait", "cancel", "restart"]))
        if what == "send":
            delay = data.draw(st.integers(0, 20_000))
            body = b"%d" % step
            world.send(body, Plan(delay=delay or 1))
            due[body] = world.now + (delay or 1)
        elif what == "commit":
            world.commit()
        elif what == "wait":
            world.until(world.now + data.draw(st.integers(0, 5000)))
        elif what == "cancel" and world.broker.schedule.entries:
            entry = data.draw(st.sampled_from(sorted(world.broker.schedule.entries)))
            world.commit()
            body = world.store.queues[SCHEDULE][entry].body
            world.broker.schedule.cancel(entry)
            del due[body]
        elif what == "restart":
            world.commit()
            world.restart()
            listen()
    world.until(world.now + 30_000)
    assert sorted(body for _, body in seen) == sorted(due)
    assert all(at >= due[body] for at, body in seen)
    assert (world.kept, world.broker.schedule.entries, world.broker.memory.used) == ([], {}, 0)


# Transactions, limits


def test_a_transaction_takes_it_along(world: World, listen: Any, new_consumer: Any) -> None:
    holder = new_consumer()
    subscription = Subscription(holder, Wish("1", "/queue/work", INDIVIDUAL, 10))
    world.broker.subscribe(subscription)
    world.broker.start(subscription)
    world.broker.send(Message("/queue/work", {}, b"job", 1000))
    world.commit()
    delivery = holder.take(1)
    late = Message("/queue/a", {}, b"late", 1000)
    now = Message("/queue/b", {}, b"now", 1000)
    actions = [Action(SEND, late, plan=Plan(delay=1000)), Action(SEND, now), Action(ACK, None, delivery)]
    world.broker.apply(actions)
    if world.keeps:
        ops = world.broker.log.drain()[1]
        assert [op.queue for op in ops] == [SCHEDULE, "/queue/b", "/queue/work"]
        assert len({op.group for op in ops}) == 1
        return
    consumer = listen(world)
    world.until(START + 1000)
    assert consumer.bodies() == [b"late"]


def test_a_transaction_with_too_many_does_nothing(new_world: Callable[..., World]) -> None:
    world = new_world(max_scheduled=2)
    world.send(b"x", Plan(delay=1))
    number = world.broker.log.position
    messages = [Message("/queue/a", {}, b"", 1000) for _ in range(3)]
    with pytest.raises(Refused, match="Too many scheduled"):
        world.broker.apply(
            [Action(SEND, messages[0])] + [Action(SEND, each, plan=Plan(delay=9)) for each in messages[1:]]
        )
    assert world.broker.log.position == number


def test_a_full_storage_takes_nothing_and_loses_nothing(new_world: Callable[..., World], listen: Any) -> None:
    world = new_world()
    world.send(b"x", Plan(delay=1000))
    world.commit()
    world.broker.room = 0
    with pytest.raises(Refused, match="storage is full"):
        world.send(b"y", Plan(delay=1000))
    world.until(START + 5000)
    assert world.kept == [b"x"]
    world.broker.room = 1 << 30
    consumer = listen(world)
    world.until(START + 10_000)
    assert consumer.bodies() == [b"x"]
    assert world.kept == []


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(cron="61 * * * *"), "bad minute"),
        (Plan(cron="never"), "never fires"),
        (Plan(cron="* * * * *", period=5, repeat=ENDLESS), "series without end"),
        (Plan(delay=1 << 52), "never comes"),
    ],
)
def test_what_cannot_be_followed(world: World, plan: Plan, said: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        world.broker.schedule.examine(plan)
    assert said in raised.value.explanation()


def test_cancelling_leaves_nothing_behind(world: World) -> None:
    keys = [world.send(b"", Plan(delay=10_000)).number for _ in range(5000)]
    for key in keys[:-1]:
        assert world.broker.schedule.cancel(key) == 1
    assert world.broker.schedule._far.count() < 2500
    assert [entry.job for entry in world.broker.schedule.jobs(0, START * 2)] == keys[-1:]
    assert world.broker.schedule.jobs(0, START) == []


@pytest.mark.parametrize("memory_limit", [1_200_000, 1 << 30], ids=["paged", "in memory"])
def test_a_look_at_all_of_them(new_world: Callable[..., World], listen: Any, memory_limit: int) -> None:
    world = new_world(memory_limit=memory_limit)
    for n in range(300):
        world.send(b"%d" % n, Plan(at=START + 100_000 + n * 7 % 300))
        world.commit()
    world.send(b"cron", Plan(cron="* * * * *", period=5, repeat=2))
    consumer = listen(world, "/topic/answer")
    browse = BrowseSchedule(world.broker, "/topic/answer", "c", START + 100_000, START + 200_000)
    gone = sorted(world.broker.schedule.entries)[70]
    world.broker.schedule.cancel(gone)
    browse.start()
    world.until(START + 1000)
    messages = [message for _, message in consumer.got]
    times = [int(message.headers["AMQ_SCHEDULED_TIME"]) for message in messages]
    assert len(times) == 299
    assert times == sorted(times)
    assert {message.headers["correlation-id"] for message in messages} == {"c"}
    assert {message.headers["original-destination"] for message in messages} == {"/queue/a"}
    assert {message.headers["scheduledJobId"] for message in messages} == {
        str(entry.job) for entry in world.broker.schedule.entries.values() if entry.plan is None
    }
    assert all(message.extras is None for message in messages)
    assert len(world.broker.schedule.entries) == 300
