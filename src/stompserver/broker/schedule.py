"""Messages for later: each waits in a system queue of the store until its time, and is sent then."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

from stompserver.broker.deadlines import Timed
from stompserver.broker.destination import SYSTEM
from stompserver.broker.fetch import Fetch, Taker
from stompserver.broker.message import Message
from stompserver.broker.plan import ENDLESS, NAMES, Plan, number, regain
from stompserver.errors import ProtocolError, Refused

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker

SCHEDULE: Final = SYSTEM + "schedule"
"""The queue of the store that has them."""

JOB: Final = "scheduledJobId"
"""The header by which a delivered message names what it came from, as in ActiveMQ."""

AHEAD: Final = 2000
"""ms before its time that a message is read from the store."""

STEP: Final = 500
"""Messages sent in one go; other work comes between."""

NEAR: Final = 4096
"""Messages that are read ahead at most, and their bytes."""
NEAR_BYTES: Final = 16 << 20

STUB: Final = 450
"""Bytes of memory that a message for later takes beside itself, also when it is only in the store."""

RETRY: Final = 1000
PATIENCE: Final = 60_000
"""ms until a message is tried again that cannot be sent: from RETRY, doubling, to PATIENCE."""

_DEAD: Final = 1000

_END: Final = 253_402_300_799_999
"""The last ms of the year 9999."""


def _no_cron(spec: str, after: int) -> int:
    raise ValueError("this server knows no cron")


class Entry:
    """One message for later: its ``key`` in the store, when it is ``due`` (Unix ms), whose ``job`` it is, and its
    ``message`` while that is in memory. ``op`` is what made it durable; ``plan`` is None when it is due once.
    """

    __slots__ = ("destination", "due", "job", "key", "message", "op", "plan", "size", "wait")

    def __init__(self, key: int, due: int, job: int, message: Message, op: int, plan: Plan | None) -> None:
        self.key: int = key
        self.due: int = due
        self.job: int = job
        self.message: Message | None = message
        self.destination = message.destination
        self.size: int = message.size
        self.op: int = op
        self.plan = plan
        self.wait: int = RETRY


class _Alarm(Timed):
    __slots__ = ("schedule",)

    def __init__(self, when: int, schedule: Schedule) -> None:
        super().__init__(when)
        self.schedule = schedule

    def due(self, now: int) -> None:
        """Wake the schedule."""
        self.schedule.run(now)


class Schedule(Taker):
    """``entries`` by their keys; with a store behind it only ``budget`` bytes of them are in memory, and what is
    soon due.

    A job is a SEND: it has one entry, or two while a series that ``cron`` began is under way.
    """

    __slots__ = (
        "_alarm",
        "_broker",
        "_dead",
        "_far",
        "_fetch",
        "_fresh",
        "_later",
        "_near",
        "_near_bytes",
        "away",
        "entries",
        "held",
        "next_cron",
    )

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.next_cron: Callable[[str, int], int] = _no_cron
        """When a cron line fires next after a Unix time (both in ms), 0 for never; the shell, which knows the local
        time, brings it. Raises ValueError for what is none.
        """
        self.entries: dict[int, Entry] = {}
        self._later: dict[int, set[int]] = {}
        """Keys of a job's entries, where they are not the one that has the job's own number."""
        self._far: list[tuple[int, int]] = []
        """When due and key, a heap."""
        self._near: list[tuple[int, int, int]] = []
        """The same, with the size, for those that are, or are being, read ahead."""
        self._near_bytes: int = 0
        self._dead: int = 0
        """Cancelled entries that are still in a heap."""
        self._fresh: OrderedDict[int, Entry] = OrderedDict()
        """Those in memory that may be left to the store, in the order in which they become durable."""
        self.held: int = 0
        """Bytes of messages in memory."""
        self.away: int = 0
        """How many are only in the store."""
        self._alarm: _Alarm | None = None
        self._fetch: Fetch | None = None
        if broker.window is not None:
            self._fetch = Fetch(SCHEDULE, broker.window, self)

    # In

    def examine(self, plan: Plan) -> None:
        """Raise ProtocolError when ``plan`` cannot be followed, ever."""
        if max(plan.at, plan.delay, plan.period) > _END:
            raise ProtocolError(
                "A scheduled time that never comes",
                where="the headers AMQ_SCHEDULED_..., x-delay",
                rule=f"Times are milliseconds, and before the year 10000: at most {_END}",
                mend="Send milliseconds; microseconds and nanoseconds are too long.",
            )
        if not plan.cron:
            return
        problem = "it never fires"
        try:
            found = self.next_cron(plan.cron, self._broker.now)
        except ValueError as error:
            found = 0
            problem = str(error)
        if not found:
            raise ProtocolError(
                f"Not a time of cron: {plan.cron[:80]!r}",
                where=f"header AMQ_SCHEDULED_CRON: {problem}",
                rule="Five fields as in crontab(5): minute hour day-of-month month day-of-week, in the server's local"
                " time",
                mend="Send for example 0 * * * * (every hour) or 30 6 * * MON-FRI.",
            )
        if plan.repeat < 0:
            raise ProtocolError(
                "A series without end that cron begins again and again",
                where="header AMQ_SCHEDULED_REPEAT",
                rule="With AMQ_SCHEDULED_CRON, AMQ_SCHEDULED_REPEAT says how often more each time",
                mend="Send AMQ_SCHEDULED_REPEAT with 0 or more, or leave AMQ_SCHEDULED_PERIOD out.",
            )

    def check(self, more: int, size: int) -> None:
        """Raise Refused when there is no room for ``more`` messages of ``size`` bytes together."""
        broker = self._broker
        if len(self.entries) + more > broker.rules.max_scheduled:
            raise Refused(
                "Too many scheduled messages",
                where="the schedule",
                rule=f"This server keeps {broker.rules.max_scheduled} messages for later (max-scheduled)",
                mend="Schedule fewer, cancel old ones (stompctl schedule), or ask the administrator to raise that"
                " option.",
            )
        broker.check_storage(size)

    def add(self, message: Message, plan: Plan) -> int:
        """Keep ``message`` until its time; return the op's number. It survives a restart even when it asked not to
        be kept: its sender counts on the future. Raises Refused when there are too many, or no room.
        """
        self.check(1, message.size)
        broker = self._broker
        now: int = broker.now
        message.number = message.key = broker.fresh()
        due = plan.at if plan.at else now + (plan.delay if plan.delay or plan.cron else plan.period)
        if plan.cron:
            due = self.next_cron(plan.cron, max(now, plan.at)) + plan.delay
        extras = {} if message.extras is None else message.extras
        message.extras = extras
        if not message.persistent:
            message.persistent = True
            extras["transient"] = "1"
        plan.describe(extras)
        self._put(message, message.number, due, plan if plan.again() else None)
        self.relieve()
        self._wake()
        return broker.log.number

    def _put(self, message: Message, job: int, due: int, plan: Plan | None) -> None:
        extras = message.extras
        assert extras is not None
        extras["due"] = str(due)
        extras["job"] = str(job)
        number = self._broker.log.put(SCHEDULE, message)
        self._take(Entry(message.key, due, job, message, number, plan))

    def _take(self, entry: Entry) -> None:
        self.entries[entry.key] = entry
        if entry.key != entry.job:
            self._later.setdefault(entry.job, set()).add(entry.key)
        self.held += entry.size
        self._broker.memory.used += entry.size + STUB
        if self._fetch is not None:
            self._fresh[entry.key] = entry
        heappush(self._far, (entry.due, entry.key))

    def restore(self, messages: list[Message]) -> None:
        """Take back what the store has of an earlier run; in as many parts as one likes."""
        for message in messages:
            message.stored = True
            extras = message.extras if message.extras is not None else {}
            plan = regain(extras)
            job = number(extras, "job") or message.key
            entry = Entry(message.key, number(extras, "due"), job, message, 0, plan if plan.again() else None)
            self._take(entry)
        self.relieve()
        self._wake()

    @property
    def budget(self) -> int:
        """Bytes of messages that may be in memory while they are not soon due."""
        return self._broker.memory.ample // 4

    def relieve(self) -> None:
        """Leave to the store what is above the budget, and durable. Called when something became so, too: those
        who wait for memory send nothing that would ask for it.
        """
        if self._fetch is None or self.held <= self.budget:
            return
        durable: int = self._broker.log.durable
        soon: int = self._broker.now + AHEAD
        fresh = self._fresh
        while fresh and self.held > self.budget:
            key, entry = fresh.popitem(last=False)
            if entry.op > durable:
                fresh[key] = entry
                fresh.move_to_end(key, last=False)
                return
            if entry.due > soon:
                entry.message = None
                self.away += 1
                self.held -= entry.size
                self._broker.memory.used -= entry.size

    # Out

    def run(self, now: int) -> None:
        """Send what is due at ``now``, in the order of the times."""
        self._approach(now)
        near = self._near
        steps: int = STEP
        while near and near[0][0] <= now and steps:
            entry = self.entries.get(near[0][1])
            if entry is not None and entry.due == near[0][0]:
                if entry.message is None:
                    # Still on its way from the store; what is due after it comes after it.
                    break
                steps -= 1
                self._near_bytes -= heappop(near)[2]
                self._fire(entry, entry.message, now)
            else:
                self._near_bytes -= heappop(near)[2]
                self._dead -= 1
            if not near:
                self._approach(now)
        self.relieve()
        self._wake()

    def _approach(self, now: int) -> None:
        """Have what is soon due read from the store, no more of it than is good."""
        far = self._far
        near = self._near
        soon: int = now + AHEAD
        keys: list[int] = []
        while far and far[0][0] <= soon:
            full = len(near) >= NEAR or self._near_bytes >= NEAR_BYTES
            if full and far[0][0] >= near[0][0]:
                break
            at = heappop(far)
            entry = self.entries.get(at[1])
            if entry is None or entry.due != at[0]:
                self._dead -= 1
                continue
            heappush(near, (entry.due, entry.key, entry.size))
            self._near_bytes += entry.size
            self._fresh.pop(entry.key, None)
            if entry.message is None:
                keys.append(entry.key)
        if self._fetch is not None:
            self._fetch.ask(keys)

    def taken(self, messages: list[Message], lost: list[int]) -> None:
        """What was read from the store."""
        for message in messages:
            entry = self.entries.get(message.key)
            if entry is not None and entry.message is None:
                message.stored = True
                entry.message = message
                self.away -= 1
                self.held += entry.size
                self._broker.memory.used += entry.size
        for key in lost:
            # It cannot be read; the pump has said so, and it stays in the store for whoever can mend it.
            entry = self.entries.get(key)
            if entry is not None:
                self._forget(entry)
        self.run(self._broker.now)

    def _fire(self, entry: Entry, message: Message, now: int) -> None:
        broker = self._broker
        alone = broker.log.begin()
        try:
            broker.send(self._delivered(entry, message, now))
            self._forget(entry)
            broker.log.remove(SCHEDULE, message)
            if entry.plan is not None:
                self._go_on(entry, entry.plan, message, now)
        except Refused:
            # No room, or a limit of the queue: it is not lost, and others go first.
            heappush(self._far, (now + entry.wait, entry.key))
            entry.due = now + entry.wait
            entry.wait = min(2 * entry.wait, PATIENCE)
        finally:
            if alone:
                broker.log.end()

    def _delivered(self, entry: Entry, message: Message, now: int) -> Message:
        twin = message.copy()
        twin.headers = {**message.headers, JOB: str(entry.job)}
        twin.head = None
        twin.variants = None
        extras = twin.extras if twin.extras is not None else {}
        ttl = number(extras, "ttl")
        if ttl:
            twin.expires = now + ttl
        if "transient" in extras:
            twin.persistent = False
        for name in NAMES:
            extras.pop(name, None)
        twin.extras = extras or None
        return twin

    def _go_on(self, entry: Entry, plan: Plan, message: Message, now: int) -> None:
        """Its next time, and the series that cron begins now."""
        due: int = entry.due
        if plan.cron:
            next: int = self.next_cron(plan.cron, now - plan.delay)
            if next:
                self._again(entry, plan, message, next + plan.delay)
        if plan.repeat:
            left: int = plan.repeat - 1 if plan.repeat > 0 else ENDLESS
            # Times that passed while the server was down are made up for, but not all at once.
            missed: int = max(0, (now - due) // plan.period)
            series = Plan(0, plan.period, left, "", 0, plan.ttl)
            self._again(entry, series, message, due + (missed + 1) * plan.period)

    def _again(self, entry: Entry, plan: Plan, message: Message, due: int) -> None:
        twin = message.copy()
        extras = {name: value for name, value in (message.extras or {}).items() if name not in NAMES}
        if message.extras is not None and "transient" in message.extras:
            extras["transient"] = "1"
        plan.describe(extras)
        twin.extras = extras
        twin.number = twin.key = self._broker.fresh()
        self._put(twin, entry.job, due, plan if plan.again() else None)

    def _forget(self, entry: Entry) -> None:
        key: int = entry.key
        del self.entries[key]
        self._fresh.pop(key, None)
        if key != entry.job:
            keys = self._later.get(entry.job)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._later[entry.job]
        self._broker.memory.used -= STUB
        if entry.message is None:
            self.away -= 1
        else:
            self.held -= entry.size
            self._broker.memory.used -= entry.size

    def _wake(self) -> None:
        """Set the alarm for what comes next."""
        when: int = 0
        near = self._near
        if near:
            entry = self.entries.get(near[0][1])
            # What is on its way from the store wakes us when it comes.
            if entry is None or entry.message is not None:
                when = near[0][0]
        if self._far and len(near) < NEAR and self._near_bytes < NEAR_BYTES:
            next: int = self._far[0][0] - (AHEAD if self.away else 0)
            when = min(when, next) if when else next
        alarm = self._alarm
        if alarm is not None and alarm.live:
            if alarm.when == when:
                return
            self._broker.deadlines.cancel(alarm)
        if when:
            # Not again in the same run: other work comes between.
            when = max(when, self._broker.now + 1)
            self._alarm = _Alarm(when, self)
            self._broker.deadlines.add(self._alarm)

    # Looking and cancelling

    def jobs(self, start: int, end: int) -> list[Entry]:
        """What is due from ``start`` to ``end`` (Unix ms), in the order of the times."""
        found = [
            (entry.due, entry.key, entry) for entry in self.entries.values() if start <= entry.due <= end
        ]
        found.sort()
        return [each[2] for each in found]

    def cancel(self, job: int) -> int:
        """Forget a job; how many messages that were."""
        keys = list(self._later.get(job, ()))
        if job in self.entries:
            keys.append(job)
        return self._cancel(keys)

    def clear(self, start: int, end: int) -> int:
        """Forget what is due from ``start`` to ``end``; how many messages that were."""
        return self._cancel([entry.key for entry in self.jobs(start, end)])

    def _cancel(self, keys: list[int]) -> int:
        log = self._broker.log
        alone = log.begin()
        for key in keys:
            entry = self.entries[key]
            message = entry.message
            if message is None:
                message = Message("", {}, b"", entry.size)
                message.key = key
                message.stored = True
            log.remove(SCHEDULE, message)
            self._forget(entry)
        if alone:
            log.end()
        self._dead += len(keys)
        if self._dead > _DEAD and self._dead > len(self.entries):
            self._sweep()
        self._wake()
        return len(keys)

    def _sweep(self) -> None:
        """Take out of the heaps what was cancelled."""
        entries = self.entries
        self._far = [at for at in self._far if at[1] in entries and entries[at[1]].due == at[0]]
        self._near = [at for at in self._near if at[1] in entries and entries[at[1]].due == at[0]]
        heapify(self._far)
        heapify(self._near)
        self._near_bytes = sum([at[2] for at in self._near])
        self._dead = 0
