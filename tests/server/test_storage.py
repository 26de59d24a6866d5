"""The pump, with a store whose every answer the test decides and a thread that runs when it is told to."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import Message
from stompserver.broker.oplog import DROP, MARK, PUT, REMOVE, Op, OpLog
from stompserver.broker.queues.window import Window
from stompserver.broker.schedule.schedule import STUB
from stompserver.errors import Refused, StoreAway, StoreError, StoreFull
from stompserver.server.storage.pump import UNDURABLE, WATCH, Pump
from stompserver.server.storage.reserve import Reserve
from stompserver.server.storage.trouble import LAST_RETRY, MARGIN, RETRY
from stompserver.session.roster import Roster
from stompserver.session.session import Session
from stompserver.session.settings import Settings
from stompserver.stores.base import STORES, Damage, Place, Stored, open_store


class ModelStore:
    """What is durable is in ``rows``; ``problems`` are raised by the next commits, one each."""

    keeps = True
    local = True
    most = 0
    swell = 1
    description = "a model"

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], Message] = {}
        self.attempts: dict[tuple[str, int], int] = {}
        self.batches: list[list[Op]] = []
        self.problems: list[StoreError | None] = []
        self.damaged: set[int] = set()
        self.syncs: list[bool] = []
        self.inside = 0
        self.gone: StoreError | None = None
        self.reads: list[tuple[str, int, int, int]] = []
        self.closed = False

    def load(self) -> list[Stored]:
        names = dict.fromkeys(name for name, _ in self.rows)
        found = []
        for name in names:
            keys = sorted(key for queue, key in self.rows if queue == name)
            found.append(Stored(name, len(keys), 0, keys[0], keys[-1]))
        return found

    def commit(self, ops: list[Op], sync: bool) -> None:
        if self.problems:
            problem = self.problems.pop(0)
            if problem is not None:
                raise problem
        self.batches.append(list(ops))
        self.syncs.append(sync)
        for op in ops:
            if op.kind == PUT:
                assert op.message is not None
                self.rows[op.queue, op.key] = op.message
            elif op.kind == MARK:
                self.attempts[op.queue, op.key] = op.attempts
            elif op.kind == REMOVE:
                self.rows.pop((op.queue, op.key), None)
            elif op.kind == DROP:
                self.rows = {place: m for place, m in self.rows.items() if place[0] != op.queue}

    def verify(self) -> None:
        if self.gone is not None:
            raise self.gone

    def spare(self) -> int:
        return self.inside

    def sync(self) -> None:
        self.syncs.append(True)

    def read(self, queue: str, after: int, limit: int, room: int) -> list[Message | Damage]:
        self.reads.append((queue, after, limit, room))
        keys = sorted(key for name, key in self.rows if name == queue and key > after)[:limit]
        found: list[Message | Damage] = []
        for key in keys:
            if key in self.damaged:
                found.append(Damage(key, f"row {key}", "torn"))
                continue
            message = self.rows[queue, key].copy()
            message.attempts = self.attempts.get((queue, key), 0)
            found.append(message)
        return found

    def scan(self) -> Iterator[tuple[str, Message | Damage]]:
        return iter(())

    def compact(self) -> tuple[int, int]:
        return 0, 0

    def close(self) -> None:
        self.closed = True


class Hand(Executor):
    """Runs what was submitted when told to, or at once."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.at_once = True

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, lambda: call(*args, **kwargs)))
        if self.at_once:
            self.run()
        return future

    def run(self) -> None:
        while self.waiting:
            future, call = self.waiting.pop(0)
            try:
                future.set_result(call())
            except BaseException as problem:
                future.set_exception(problem)


class FreeSpace(Reserve):
    """A reserve on a disk whose free bytes the test sets."""

    def __init__(self, directory: Path, bytes: int) -> None:
        super().__init__(directory, 0)
        self.size = bytes
        self.left = 1 << 40
        self.held = True

    def hold(self) -> bool:
        if not self.held and self.left > self.size:
            self.held = True
            self.left -= self.size
        return self.held

    def give_up(self) -> bool:
        if not self.held:
            return False
        self.held = False
        self.left += self.size
        return True

    def free(self) -> int:
        return self.left


class Rig:
    """A broker, its pump and clients, on a loop whose time is moved by hand."""

    def __init__(
        self, loop: Any, tmp_path: Path, store: ModelStore, window: int = 4, checkpoint: float = 0
    ) -> None:
        self.loop = loop
        self.store = store
        self.broker = Broker(Rules(), OpLog(True), 1, Window(window))
        for stored in store.load():
            self.broker.restore(stored.name, stored.count, stored.lowest, stored.highest)
        self.reserve = FreeSpace(tmp_path, 64 << 20)
        self.thread = Hand()
        self.resumed = 0
        self.failed = 0
        self.roster = Roster()
        self.pump = loop.run_until_complete(self._pump(checkpoint))

    async def _pump(self, checkpoint: float) -> Pump:
        return Pump(self.store, self.broker, self.reserve, checkpoint, self._resume, self._fail, self.thread)

    def _resume(self) -> None:
        self.resumed += 1

    def _fail(self) -> None:
        self.failed += 1

    def client(self) -> Session:
        session = Session(self.broker, self.roster, Settings(), "s", 0.0)
        self.say(session, "CONNECT\naccept-version:1.2\nhost:h\n\n\0")
        session.take_pieces(1 << 40)
        return session

    def say(self, session: Session, text: str) -> None:
        session.receive(text.encode(), 0.0)

    def turn(self) -> None:
        """A loop turn as the server's: what was committed is heard of, and the pump goes on."""
        self.pump.kick()
        self.loop.turn(3)

    def heard(self, session: Session) -> str:
        return b"".join(session.take_pieces(1 << 40)).decode()


@pytest.fixture
def store() -> ModelStore:
    return ModelStore()


@pytest.fixture
def rig(hand_loop: Any, tmp_path: Path, store: ModelStore) -> Rig:
    return Rig(hand_loop, tmp_path, store)


def send(body: str, *, queue: str = "/queue/a", more: str = "") -> str:
    return f"SEND\ndestination:{queue}\n{more}\n{body}\0"


def test_a_receipt_waits_for_the_commit(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    rig.thread.at_once = False
    rig.say(client, send("1", more="receipt:r1\n"))
    rig.turn()
    assert rig.heard(client) == ""
    assert not store.rows
    rig.thread.run()
    rig.turn()
    assert rig.heard(client) == "RECEIPT\nreceipt-id:r1\n\n\0\n"
    assert [m.body for m in store.rows.values()] == [b"1"]


def test_what_was_logged_at_the_start_is_committed_too(rig: Rig, store: ModelStore) -> None:
    """Before there was a pump: what the server itself remembers may change when it is read back."""
    broker = Broker(Rules(), OpLog(True), 1, Window(4))
    broker.send(Message("/queue/a", {}, b"early", 5))

    async def make() -> Pump:
        return Pump(store, broker, None, 0, lambda: None, lambda: None, rig.thread)

    rig.loop.run_until_complete(make()).kick()
    rig.loop.turn(3)
    assert [m.body for m in store.rows.values()] == [b"early"]
    assert broker.log.durable == broker.log.position


def test_what_comes_during_a_commit_is_one_batch(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    rig.thread.at_once = False
    rig.say(client, send("1"))
    rig.turn()
    for body in "2345":
        rig.say(client, send(body, more=f"receipt:{body}\n"))
        rig.turn()
    assert len(rig.thread.waiting) == 1
    rig.thread.run()
    rig.turn()
    assert rig.heard(client) == "", "these are in the second commit"
    rig.thread.run()
    rig.turn()
    assert [len(batch) for batch in store.batches] == [1, 4]
    assert rig.heard(client).count("RECEIPT") == 4


def test_receipts_and_the_error_after_them_keep_their_order(rig: Rig) -> None:
    client = rig.client()
    rig.thread.at_once = False
    rig.say(client, send("1", more="receipt:r1\n") + "BOGUS\n\n\0")
    rig.turn()
    assert rig.heard(client) == ""
    assert not client.closing
    rig.thread.run()
    rig.turn()
    text = rig.heard(client)
    assert text.startswith("RECEIPT\nreceipt-id:r1\n\n\0\nERROR\n")
    assert client.closing


def test_a_message_consumed_before_the_commit_is_never_written(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    rig.say(client, send("1") + "SUBSCRIBE\nid:s\ndestination:/queue/a\n\n\0" + send("2", more="receipt:r\n"))
    rig.turn()
    assert store.batches == []
    assert rig.heard(client).count("MESSAGE") == 2
    assert rig.broker.log.bytes == 0


def test_a_receipt_without_anything_to_write(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    rig.say(client, send("1", more="persistent:false\nreceipt:r\n"))
    rig.turn()
    assert rig.heard(client) == "RECEIPT\nreceipt-id:r\n\n\0\n"
    assert store.batches == []


def test_a_backlog_is_paged_and_comes_back_in_order(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    for number in range(50):
        rig.say(client, send(str(number)))
        rig.turn()
    queue = rig.broker.queues["/queue/a"]
    assert (len(queue.ready), queue.paged, queue.waiting) == (4, 46, 50)
    assert rig.broker.memory.used == sum(m.size for m in queue.ready)
    assert rig.broker.log.bytes == 0
    rig.say(client, "SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client-individual\nprefetch-count:3\n\n\0")
    got: list[str] = []
    for _ in range(200):
        rig.turn()
        frames = [frame for frame in rig.heard(client).split("\0\n") if frame.startswith("MESSAGE")]
        for frame in frames:
            got.append(frame.partition("\n\n")[2])
            ack = frame.partition("ack:")[2].partition("\n")[0]
            rig.say(client, f"ACK\nid:{ack}\n\n\0")
    assert got == [str(number) for number in range(50)]
    rig.turn()
    assert store.rows == {}
    assert rig.broker.memory.used == 0
    assert queue.waiting == queue.paged == queue.held == queue.bytes == 0


def test_messages_for_later_make_room_once_they_are_durable(rig: Rig, store: ModelStore) -> None:
    """Those who wait for memory send nothing more, and nothing else may be needed to give it back."""
    rig.broker.memory.resize(400_000)
    rig.thread.at_once = False
    client = rig.client()
    rig.broker.tick(1)
    for number in range(50):
        rig.say(client, send(str(number), more="x-delay:3600000\n"))
    rig.turn()
    schedule = rig.broker.schedule
    assert schedule.held > 2 * schedule.budget
    rig.thread.run()
    rig.turn()
    assert len(store.rows) == 50
    assert schedule.held <= schedule.budget
    assert rig.broker.memory.used == schedule.held + 50 * STUB


def test_what_waits_for_a_commit_is_a_part_of_the_memory(rig: Rig) -> None:
    rig.broker.memory.resize(80_000)
    rig.thread.at_once = False
    client = rig.client()
    while rig.broker.log.bytes <= 20_000:
        assert not rig.pump.pausing
        rig.say(client, send("1"))
    assert rig.pump.pausing
    rig.turn()
    rig.thread.run()
    rig.turn()
    assert not rig.pump.pausing


def test_what_is_not_persistent_goes_to_the_store_only_when_paged(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    for number in range(6):
        rig.say(client, send(str(number), more="persistent:false\n"))
    rig.turn()
    assert [m.body for m in store.rows.values()] == [b"4", b"5"]
    assert not any(m.persistent for m in store.rows.values())


def test_a_restart_reads_counts_and_then_what_is_wanted(
    hand_loop: Any, tmp_path: Path, store: ModelStore
) -> None:
    first = Rig(hand_loop, tmp_path, store)
    client = first.client()
    for number in range(10):
        first.say(client, send(str(number)))
    first.turn()
    store.attempts["/queue/a", min(key for _, key in store.rows)] = 2
    second = Rig(hand_loop, tmp_path, store)
    second.turn()
    assert store.reads == [], "nobody listens yet"
    queue = second.broker.queues["/queue/a"]
    assert (queue.waiting, queue.paged) == (10, 10)
    client = second.client()
    second.say(client, send("new"))
    second.say(client, "SUBSCRIBE\nid:s\ndestination:/queue/a\n\n\0")
    for _ in range(10):
        second.turn()
    frames = second.heard(client).split("\0\n")[:-1]
    assert [frame.partition("\n\n")[2] for frame in frames] == [*map(str, range(10)), "new"]
    assert ["redelivered:true" in frame for frame in frames] == [True] + [False] * 10
    numbers = [int(frame.partition("message-id:")[2].partition("\n")[0]) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert store.rows == {}


def test_damage_is_logged_left_and_passed_over(
    rig: Rig, store: ModelStore, caplog: pytest.LogCaptureFixture
) -> None:
    client = rig.client()
    for number in range(10):
        rig.say(client, send(str(number)))
    rig.turn()
    sixth, seventh = sorted(key for _, key in store.rows)[5:7]
    store.damaged = {sixth, seventh}
    rig.say(client, "SUBSCRIBE\nid:s\ndestination:/queue/a\n\n\0")
    for _ in range(10):
        rig.turn()
    bodies = [frame.partition("\n\n")[2] for frame in rig.heard(client).split("\0\n")[:-1]]
    assert bodies == ["0", "1", "2", "3", "4", "7", "8", "9"]
    assert sorted(key for _, key in store.rows) == [sixth, seventh]
    assert [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()] == [
        f"A stored message of /queue/a cannot be read and stays where it is: row {sixth}: torn",
        f"A stored message of /queue/a cannot be read and stays where it is: row {seventh}: torn",
    ]
    assert rig.broker.queues["/queue/a"].waiting == 0


def test_a_full_disk_writes_what_was_accepted_into_the_reserve_and_refuses_more(
    rig: Rig, store: ModelStore
) -> None:
    client = rig.client()
    consumer = rig.client()
    rig.say(client, send("1"))
    rig.turn()
    rig.reserve.left = 0
    store.problems = [StoreFull("no space left on device")]
    rig.say(client, send("2", more="receipt:r2\n"))
    rig.turn()
    assert not rig.reserve.held
    assert rig.heard(client) == "RECEIPT\nreceipt-id:r2\n\n\0\n"
    rig.reserve.left = 10 << 20
    rig.say(client, send("3", more="receipt:r3\n"))
    rig.turn()
    error = rig.heard(client)
    assert error.startswith("ERROR\nmessage:The storage is full\nreceipt-id:r3\n")
    rig.say(consumer, "SUBSCRIBE\nid:s\ndestination:/queue/a\n\n\0")
    rig.turn()
    assert rig.heard(consumer).count("MESSAGE") == 2
    assert store.rows == {}
    rig.reserve.left = 200 << 20
    hand = rig.loop
    hand.advance(RETRY)
    rig.turn()
    assert rig.reserve.held
    late = rig.client()
    rig.say(late, send("4", more="receipt:r4\n"))
    rig.turn()
    assert rig.heard(late) == "RECEIPT\nreceipt-id:r4\n\n\0\n"


def test_when_even_the_reserve_is_not_enough_receipts_wait_and_the_way_out_is_open(
    rig: Rig, store: ModelStore
) -> None:
    client = rig.client()
    consumer = rig.client()
    rig.say(client, send("old"))
    rig.turn()
    rig.say(consumer, "SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client-individual\n\n\0")
    rig.turn()
    rig.heard(consumer)
    store.problems = [StoreFull("full")] * 2 + [None, StoreFull("full")]
    rig.say(client, send("big", queue="/queue/b", more="receipt:big\n"))
    rig.say(consumer, "ACK\nid:1-1\n\n\0")
    rig.turn()
    assert store.rows == {}, "what was consumed could leave"
    assert rig.heard(client) == ""
    rig.loop.advance(RETRY)
    assert rig.heard(client) == "", "full again"
    rig.loop.advance(RETRY)
    rig.turn()
    assert rig.heard(client) == "RECEIPT\nreceipt-id:big\n\n\0\n"
    assert [m.body for m in store.rows.values()] == [b"big"]
    assert rig.broker.log.bytes == 0


@pytest.mark.parametrize("waiting", [True, False])
def test_what_was_consumed_leaves_in_parts_where_all_of_it_is_too_much(
    rig: Rig, store: ModelStore, waiting: bool
) -> None:
    """A database needs the more room for a moment the more is removed, and a full disk may have only some; whether
    something waits that cannot be written at all, or not.
    """
    client = rig.client()
    consumer = rig.client()
    for number in range(16):
        rig.say(client, send(f"{number}"))
    rig.turn()
    rig.say(consumer, "SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client-individual\n\n\0")
    rig.turn()
    rig.heard(consumer)
    commit = store.commit

    def small(batch: list[Op], sync: bool) -> None:
        if len(batch) > 3 or any(op.kind == PUT for op in batch):
            raise StoreFull("full")
        commit(batch, sync)

    store.commit = small  # type: ignore[method-assign]
    if waiting:
        rig.say(client, send("big", queue="/queue/b", more="receipt:big\n"))
    acks = "".join([f"ACK\nid:1-{number}\n\n\0" for number in range(1, 17)])
    rig.say(consumer, acks.replace("id:1-16\n", "id:1-16\nreceipt:last\n"))
    for _ in range(4):
        rig.turn()
        rig.loop.advance(RETRY)
    assert store.rows == {}, "all that was consumed could leave"
    assert rig.heard(client) == ""
    if not waiting:
        assert rig.heard(consumer) == "RECEIPT\nreceipt-id:last\n\n\0\n"
        return
    store.commit = commit  # type: ignore[method-assign]
    rig.loop.advance(RETRY)
    rig.turn()
    assert rig.heard(client) == "RECEIPT\nreceipt-id:big\n\n\0\n"
    assert [m.body for m in store.rows.values()] == [b"big"]
    assert rig.broker.log.bytes == 0


def test_the_reserve_is_for_what_is_consumed_too(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    rig.say(client, send("old"))
    rig.turn()
    rig.say(client, "SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client-individual\n\n\0")
    rig.turn()
    rig.heard(client)
    rig.reserve.left = 0
    rig.say(rig.client(), send("last", queue="/queue/b"))
    rig.turn()
    assert rig.broker.room == 0, "it is seen to be full, and no commit has failed"
    assert rig.reserve.held
    store.problems = [StoreFull("full")]
    rig.say(client, "ACK\nid:1-1\nreceipt:acked\n\n\0")
    rig.turn()
    assert not rig.reserve.held
    assert rig.heard(client) == "RECEIPT\nreceipt-id:acked\n\n\0\n"
    assert [m.body for m in store.rows.values()] == [b"last"]


def test_a_transaction_does_not_leave_in_parts_when_the_disk_is_full(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    rig.say(client, send("old"))
    rig.turn()
    rig.say(client, "SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client-individual\n\n\0")
    rig.turn()
    store.problems = [StoreFull("full")] * 4
    rig.say(
        client,
        "BEGIN\ntransaction:t\n\n\0ACK\nid:1-1\ntransaction:t\n\n\0"
        + send("new", queue="/queue/b", more="transaction:t\n")
        + "COMMIT\ntransaction:t\nreceipt:c\n\n\0",
    )
    rig.turn()
    assert [m.body for m in store.rows.values()] == [b"old"], "neither the ACK nor the SEND alone"
    rig.heard(client)
    for _ in range(3):
        rig.loop.advance(RETRY)
        rig.turn()
    assert [m.body for m in store.rows.values()] == [b"new"]
    assert "RECEIPT\nreceipt-id:c" in rig.heard(client)


def test_room_in_what_the_store_has_already_counts(rig: Rig, store: ModelStore) -> None:
    """The disk stays full for ever, since the store's file keeps all it ever had."""
    client = rig.client()
    rig.reserve.left = MARGIN
    rig.reserve.give_up()
    rig.reserve.bytes, rig.reserve.left = 64 << 20, MARGIN
    rig.say(client, send("1", more="receipt:1\n"))
    rig.turn()
    assert rig.broker.room == 0
    store.inside = 8 << 20
    rig.loop.advance(RETRY)
    rig.turn()
    assert rig.broker.room == 4 << 20, "half of it, since there is no reserve"
    rig.thread.at_once = False
    client = rig.client()
    rig.say(client, send("2" * 3_000_000, more="receipt:2\n"))
    rig.turn()
    assert rig.broker.room < 2 << 20, "what is on its way is not promised twice"
    rig.say(client, send("3" * 3_000_000, more="receipt:3\n"))
    rig.turn()
    rig.thread.run()
    rig.turn()
    text = rig.heard(client)
    assert "RECEIPT\nreceipt-id:2" in text
    assert "ERROR\n" in text
    assert "The storage is full" in text
    store.inside = 0
    rig.say(rig.client(), send("4"))
    rig.turn()
    rig.thread.run()
    rig.turn()
    assert rig.broker.room == 0


def test_who_is_refused_for_want_of_room_is_in_the_log(
    rig: Rig, store: ModelStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where there is room for something smaller; and nothing needs to be committed for it to go on."""
    caplog.set_level(logging.INFO, "stompserver.storage")
    rig.reserve.left = MARGIN + (1 << 20)
    rig.say(rig.client(), send("1"))
    rig.turn()
    assert rig.broker.room == 1 << 20
    for size in (3 << 20, 2 << 20, 2 << 20):
        rig.say(rig.client(), send("x" * size))
        rig.turn()
    (told,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "its producer is refused: it has 3" in told.getMessage()
    rig.say(rig.client(), send("x" * 1_200_000))
    rig.turn()
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 2
    caplog.clear()
    for _ in range(3):
        rig.loop.advance(RETRY)
        rig.turn()
    assert not caplog.records
    rig.reserve.left = MARGIN + (8 << 20)
    rig.loop.advance(RETRY)
    rig.turn()
    assert [record.getMessage() for record in caplog.records] == ["There is room for messages again"]
    assert rig.broker.room == 8 << 20


def test_a_store_that_swells_what_it_writes_promises_less(rig: Rig, store: ModelStore) -> None:
    store.swell = 2
    rig.reserve.left = MARGIN + (1 << 20)
    rig.pump = rig.loop.run_until_complete(rig._pump(0))
    assert rig.broker.room == 1 << 19


def test_a_storage_that_is_not_there_any_more_gives_no_receipt(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    store.gone = StoreError("data is not any more what this server has open")
    rig.say(client, send("1", more="receipt:1\n"))
    rig.turn()
    assert rig.heard(client) == ""
    assert rig.failed == 1
    rig.turn()
    assert rig.failed == 1


def test_a_storage_that_is_not_there_any_more_is_noticed_in_a_quiet_server(
    rig: Rig, store: ModelStore
) -> None:
    for _ in range(3):
        rig.loop.advance(WATCH)
        rig.loop.turn(3)
    assert rig.failed == 0
    store.gone = StoreError("data is not any more what this server has open")
    rig.loop.advance(WATCH)
    rig.loop.turn(3)
    assert rig.failed == 1


def test_a_transaction_larger_than_the_room_is_refused_whole(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    rig.broker.room = 1500
    rig.say(
        client,
        "BEGIN\ntransaction:t\n\n\0"
        + send("x" * 300, more="transaction:t\n")
        + send("x" * 300, more="transaction:t\n")
        + "COMMIT\ntransaction:t\nreceipt:c\n\n\0",
    )
    rig.turn()
    assert rig.heard(client).startswith("ERROR\nmessage:The storage is full\nreceipt-id:c\n")
    assert store.rows == {}
    assert not rig.broker.queues


def test_a_database_that_goes_away_pauses_and_loses_nothing(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    store.problems = [StoreAway("gone")] * 3
    rig.say(client, send("1", more="receipt:r1\n"))
    rig.turn()
    assert rig.pump.pausing
    assert rig.heard(client) == ""
    rig.say(client, send("2", more="receipt:r2\n"))
    waits = 0.0
    for wait in (0.1, 0.2, 0.4):
        assert rig.heard(client) == ""
        rig.loop.advance(wait)
        waits += wait
    rig.turn()
    assert rig.heard(client).count("RECEIPT") == 2
    assert not rig.pump.pausing
    assert [m.body for m in store.rows.values()] == [b"1", b"2"]
    assert rig.broker.room > 0


def test_the_wait_for_a_database_is_bounded(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    store.problems = [StoreAway("gone")] * 12
    rig.say(client, send("1", more="receipt:r1\n"))
    rig.turn()
    for _ in range(12):
        rig.loop.advance(LAST_RETRY)
    rig.turn()
    assert rig.heard(client).count("RECEIPT") == 1


def test_a_put_that_may_have_been_done_is_followed_by_its_remove(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    store.problems = [StoreAway("did it commit?")]
    rig.say(client, send("1"))
    rig.turn()
    rig.say(client, "SUBSCRIBE\nid:s\ndestination:/queue/a\n\n\0")
    rig.loop.advance(1)
    rig.turn()
    assert [op.kind for op in store.batches[0]] == [PUT, REMOVE]


def test_a_broken_store_makes_no_promise_and_ends_the_server(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    store.problems = [StoreError("input/output error")]
    rig.say(client, send("1", more="receipt:r1\n"))
    rig.turn()
    assert rig.failed == 1
    assert rig.heard(client) == ""
    rig.say(client, send("2", more="receipt:r2\n"))
    rig.turn()
    assert "RECEIPT" not in rig.heard(client)
    assert store.batches == []


def test_producers_pause_while_too_much_is_not_durable(rig: Rig) -> None:
    client = rig.client()
    rig.thread.at_once = False
    rig.say(client, send("1"))
    rig.turn()
    body = "x" * (1 << 20)
    for _ in range((UNDURABLE >> 20) + 1):
        rig.say(client, send(body))
    assert rig.pump.pausing
    rig.thread.at_once = True
    rig.thread.run()
    rig.turn()
    rig.turn()
    assert not rig.pump.pausing
    assert rig.resumed


def test_a_checkpoint_lets_receipts_go_before_the_sync(
    hand_loop: Any, tmp_path: Path, store: ModelStore
) -> None:
    rig = Rig(hand_loop, tmp_path, store, checkpoint=30)
    client = rig.client()
    rig.say(client, send("1", more="receipt:r1\n"))
    rig.turn()
    assert "RECEIPT" in rig.heard(client)
    assert store.syncs == [False]
    hand_loop.advance(30)
    assert store.syncs == [False, True]
    hand_loop.advance(60)
    assert store.syncs == [False, True], "nothing new to sync"


def test_a_large_batch_is_cut_but_no_transaction(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    store.most = 3
    rig.thread.at_once = False
    rig.say(client, send("0"))
    rig.turn()
    for body in "12":
        rig.say(client, send(body, more=f"receipt:{body}\n"))
    rig.say(client, "BEGIN\ntransaction:t\n\n\0")
    for body in "345":
        rig.say(client, send(body, more="transaction:t\n"))
    rig.say(client, "COMMIT\ntransaction:t\nreceipt:c\n\n\0")
    for body in "6789":
        rig.say(client, send(body, more=f"receipt:{body}\n"))
    heard = []
    for _ in range(4):
        rig.thread.run()
        rig.turn()
        heard.append(re.findall("receipt-id:(.)", rig.heard(client)))
    assert [[op.message.body.decode() for op in batch if op.message] for batch in store.batches] == [
        ["0"],
        ["1", "2", "3", "4", "5"],
        ["6", "7", "8"],
        ["9"],
    ]
    assert heard == [[], ["1", "2", "c"], ["6", "7", "8"], ["9"]]


def test_what_is_cut_off_still_cancels(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    store.most = 2
    rig.thread.at_once = False
    for body in "12345":
        rig.say(client, send(body))
    rig.turn()
    rig.say(client, "SUBSCRIBE\nid:s\ndestination:/queue/a\n\n\0")
    rig.thread.at_once = True
    rig.thread.run()
    for _ in range(6):
        rig.turn()
    assert [op.message.body for batch in store.batches for op in batch if op.message] == [b"1", b"2", b"5"]
    assert store.rows == {}
    assert rig.broker.log.bytes == 0


def test_close_commits_what_is_left(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    rig.say(client, send("1"))
    assert rig.loop.run_until_complete(rig.pump.close(5))
    assert [m.body for m in store.rows.values()] == [b"1"]
    assert store.closed


def test_close_after_a_failure_says_so(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    store.problems = [StoreError("broken")]
    rig.say(client, send("1"))
    rig.turn()
    assert not rig.loop.run_until_complete(rig.pump.close(5))
    assert store.closed


def test_attempts_of_a_waiting_put_are_written_with_it(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    consumer = rig.client()
    rig.say(consumer, "SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client-individual\n\n\0")
    store.problems = [StoreFull("full"), StoreFull("full")]
    rig.say(client, send("1"))
    rig.turn()
    rig.say(consumer, "NACK\nid:1-1\n\n\0")
    rig.loop.advance(RETRY)
    rig.turn()
    assert [m.attempts for m in store.rows.values()] == [1]


def test_the_reserve_is_a_file_that_takes_its_space(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, 1 << 20)
    assert reserve.hold()
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size == 1 << 20
    assert file.stat().st_blocks * 512 >= 1 << 20
    assert file.stat().st_mode & 0o777 == 0o600
    assert reserve.hold(), "it is held already"
    reserve.give_up()
    assert not list(tmp_path.iterdir())
    reserve.give_up()
    assert reserve.free() > 0


def test_a_reserve_is_a_part_of_a_small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = os.statvfs_result((4096, 4096, 100, 50, 50, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: size)
    reserve = Reserve(tmp_path, 64 << 20)
    assert not reserve.held
    assert reserve.hold()
    assert reserve.held
    assert (tmp_path / "reserve").stat().st_size == reserve.bytes == 25 * 4096


def test_a_reserve_larger_than_the_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int, start: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert not Reserve(tmp_path, 1 << 55).hold()
    assert not list(tmp_path.iterdir())
    assert not Reserve(tmp_path / "missing", 1).hold()
    assert Reserve(tmp_path, 0).hold()


def test_a_full_broker_refuses_only_what_must_be_kept(rig: Rig) -> None:
    rig.broker.room = 0
    message = Message("/queue/a", {}, b"", 1000)
    with pytest.raises(Refused):
        rig.broker.send(message)
    rig.broker.send(Message("/queue/a", {}, b"", 1000, persistent=False))
    rig.broker.send(Message("/topic/a", {}, b"", 1000))


def test_a_dead_letter_leaves_one_queue_and_enters_the_other_or_neither(rig: Rig, store: ModelStore) -> None:
    client = rig.client()
    rig.say(client, send("1"))
    rig.turn()
    rig.say(client, "SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client-individual\n\n\0")
    rig.turn()
    store.problems = [StoreFull("full")] * 4
    rig.say(client, "NACK\nid:1-1\nrequeue:false\n\n\0")
    rig.turn()
    assert [place[0] for place in store.rows] == ["/queue/a"]
    for _ in range(3):
        rig.loop.advance(RETRY)
        rig.turn()
    assert [place[0] for place in store.rows] == ["/queue/deadletter"]


class Crashes(RuleBasedStateMachine):
    """Clients, broker, pump and a real store against what receipts promise, with crashes at any step."""

    kind: str
    new_loop: Callable[[], Any]

    @initialize()
    def start(self) -> None:
        self.loop = self.new_loop()
        self.directory = Path(tempfile.mkdtemp(prefix="stompserver-model-"))
        self.sent = 0
        self.kept: set[str] = set()
        """Bodies whose SEND got its receipt."""
        self.acked: set[str] = set()
        """Bodies whose ACK was sent."""
        self.gone: set[str] = set()
        """Bodies whose ACK got its receipt."""
        self.seen: dict[str, list[int]] = {"/queue/a": [], "/queue/b": []}
        """First deliveries since the last restart."""
        self.open()

    def open(self) -> None:
        self.store: Any = open_store(self.kind, Place(self.directory, self.directory / "etc"))
        self.rig = Rig(self.loop, self.directory, self.store)
        self.producer, self.consumer = self.rig.client(), self.rig.client()
        self.held: dict[str, str] = {}
        for queue in self.seen:
            self.seen[queue] = []

    def hear(self) -> None:
        self.rig.turn()
        for session in (self.producer, self.consumer):
            for frame in self.rig.heard(session).split("\0\n")[:-1]:
                head, _, body = frame.partition("\n\n")
                command, *lines = head.split("\n")
                headers = dict(line.split(":", 1) for line in lines)
                if command == "RECEIPT":
                    what, _, which = headers["receipt-id"].partition("-")
                    (self.kept if what == "sent" else self.gone).add(which)
                elif command == "MESSAGE":
                    self.held[headers["ack"]] = body
                    assert body not in self.gone, "an ACK with a receipt is for good"
                    if headers.get("redelivered") != "true":
                        self.seen[headers["destination"]].append(int(body))
                else:
                    raise AssertionError(frame)

    @rule(queue=st.sampled_from(["/queue/a", "/queue/b"]), count=st.integers(1, 12))
    def send(self, queue: str, count: int) -> None:
        for _ in range(count):
            self.sent += 1
            self.rig.say(self.producer, send(str(self.sent), queue=queue, more=f"receipt:sent-{self.sent}\n"))

    @rule(count=st.integers(2, 4))
    def commit_a_transaction(self, count: int) -> None:
        self.rig.say(self.producer, "BEGIN\ntransaction:t\n\n\0")
        for _ in range(count):
            self.sent += 1
            self.rig.say(self.producer, send(str(self.sent), more="transaction:t\n"))
        self.rig.say(self.producer, "COMMIT\ntransaction:t\n\n\0")

    @rule(queue=st.sampled_from(["/queue/a", "/queue/b"]), prefetch=st.integers(1, 5))
    def subscribe(self, queue: str, prefetch: int) -> None:
        if queue not in self.consumer.subscriptions:
            self.rig.say(
                self.consumer,
                f"SUBSCRIBE\nid:{queue}\ndestination:{queue}\nack:client-individual\nprefetch-count:{prefetch}\n\n\0",
            )

    @rule(data=st.data(), good=st.booleans())
    def settle(self, data: st.DataObject, good: bool) -> None:
        if not self.held:
            return
        ack = data.draw(st.sampled_from(sorted(self.held)))
        body = self.held.pop(ack)
        if good:
            self.acked.add(body)
            self.rig.say(self.consumer, f"ACK\nid:{ack}\nreceipt:gone-{body}\n\n\0")
        else:
            self.rig.say(self.consumer, f"NACK\nid:{ack}\n\n\0")

    @rule(times=st.integers(1, 3))
    def turn(self, times: int) -> None:
        for _ in range(times):
            self.hear()

    @rule()
    def hold_the_thread(self) -> None:
        self.rig.thread.at_once = False

    @rule()
    def let_the_thread_run(self) -> None:
        self.rig.thread.at_once = True
        self.rig.thread.run()
        self.hear()

    @rule()
    def lose_the_consumer(self) -> None:
        self.consumer.lost()
        self.held.clear()
        self.consumer = self.rig.client()

    @rule()
    def crash(self) -> None:
        self.store.close()
        self.open()

    @rule()
    def restart(self) -> None:
        self.rig.thread.at_once = True
        self.rig.thread.run()
        self.hear()
        for session in (self.producer, self.consumer):
            session.lost()
        assert self.loop.run_until_complete(self.rig.pump.close(5))
        self.open()

    @invariant()
    def first_deliveries_are_in_order(self) -> None:
        for bodies in self.seen.values():
            assert bodies == sorted(bodies)

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        self.crash()
        for queue in self.seen:
            self.subscribe(queue, 1000)
        got: list[str] = []
        for _ in range(200):
            self.hear()
            if not self.held:
                break
            for ack, body in list(self.held.items()):
                got.append(body)
                del self.held[ack]
                self.rig.say(self.consumer, f"ACK\nid:{ack}\n\n\0")
        assert len(got) == len(set(got))
        assert self.kept - self.acked <= set(got), "what got a receipt is there"
        assert not self.gone & set(got)
        assert {int(body) for body in got} <= set(range(1, self.sent + 1))
        self.hear()
        assert self.rig.broker.memory.used == 0
        self.store.close()
        self.loop.close()
        shutil.rmtree(self.directory)


def model(kind: str, new_loop: type) -> Any:
    return type(f"Crashes{kind.title()}", (Crashes,), {"kind": kind, "new_loop": new_loop})


@pytest.mark.parametrize("kind", ["lmdb", "dbm"])
def test_receipts_hold_whenever_it_crashes(kind: str, new_loop: type) -> None:
    run_state_machine_as_test(
        model(kind, new_loop), settings=settings(max_examples=25, stateful_step_count=30, deadline=None)
    )


@pytest.mark.long
@pytest.mark.parametrize("kind", sorted(set(STORES) - {"memory"}))
def test_receipts_hold_whenever_it_crashes_for_long(kind: str, new_loop: type) -> None:
    steps = settings(max_examples=60 if kind != "lmdb" else 300, stateful_step_count=60, deadline=None)
    run_state_machine_as_test(model(kind, new_loop), settings=steps)
