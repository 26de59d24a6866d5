"""Messages for later: each waits in a system queue of the store until its time, and is sent then."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

from stompserver.broker.deadlines import Timed
from stompserver.broker.message import DATED, DUPLICATE, Message
from stompserver.broker.names.destination import SYSTEM
from stompserver.broker.places import NEVER, STEPS, Places
from stompserver.broker.schedule.fetch import Fetch, Taker
from stompserver.broker.schedule.plan import DATE, ENDLESS, NAMES, Plan, number, regain
from stompserver.errors import ProtocolError, Refused

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk

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
    ``message`` while that is in memory. ``op`` is what made it durable; ``plan`` is None when it is due once. It is
    due at a time of day (``dated``), or so and so long after it came.
    """

    __slots__ = ("dated", "destination", "due", "job", "key", "message", "op", "plan", "size", "wait")

    def __init__(
        self, key: int, due: int, job: int, message: Message, op: int, plan: Plan | None, dated: bool
    ) -> None:
        self.dated = dated
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

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule

    def due(self, now: int) -> None:
        """Wake the schedule."""
        self.schedule.wake()


class _Far(Places):
    """When entries are due, and their keys."""

    __slots__ = ("_entries",)

    def __init__(self, entries: dict[int, Entry]) -> None:
        super().__init__()
        self._entries = entries

    def stands(self, when: int, number: int) -> bool:
        """Whether it is still due then."""
        entry = self._entries.get(number)
        return entry is not None and entry.due == when


class Schedule(Taker):
    """``entries`` by their keys; with a store behind it only ``budget`` bytes of them are in memory, and what is
    soon due.

    A job is a SEND: it has one entry, or two while a series that ``cron`` began is under way.
    """

    __slots__ = (
        "_alarm",
        "_dead",
        "_desk",
        "_far",
        "_fetch",
        "_fresh",
        "_later",
        "_near",
        "_near_bytes",
        "_send",
        "_woken",
        "away",
        "entries",
        "held",
        "next_cron",
    )

    def __init__(self, desk: Desk, send: Callable[[Message], int]) -> None:
        self._desk = desk
        self._send = send
        self.next_cron: Callable[[str, int], int] = _no_cron
        """When a cron line fires next after a Unix time (both in ms), 0 for never; the shell, which knows the local
        time, brings it. Raises ValueError for what is none.
        """
        self.entries: dict[int, Entry] = {}
        self._later: dict[int, set[int]] = {}
        """Keys of a job's entries, where they are not the one that has the job's own number."""
        self._far = _Far(self.entries)
        self._near: list[tuple[int, int, int]] = []
        """When due, key and size of those that are read ahead, or are being read; a heap."""
        self._near_bytes: int = 0
        self._dead: int = 0
        """Cancelled entries that still have a place."""
        self._fresh: OrderedDict[int, Entry] = OrderedDict()
        """Those in memory that may be left to the store, in the order in which they become durable."""
        self.held: int = 0
        """Bytes of messages in memory."""
        self.away: int = 0
        """How many are only in the store."""
        self._alarm = _Alarm(self)
        self._woken: int = 0
        """When it is to be woken, if it is (Unix ms)."""
        self._fetch: Fetch | None = None
        if desk.window is not None:
            self._fetch = Fetch(SCHEDULE, desk.window, self)
        desk.restorers[SCHEDULE] = self._restore

    # In

    def examine(self, plan: Plan) -> None:
        """Raise ProtocolError when ``plan`` cannot be followed, ever."""
        if max(plan.at, plan.delay, plan.period) > _END:
            raise ProtocolError(
                "A scheduled time that never comes",
                where="the headers AMQ_SCHEDULED_..., x-delay",
                rule=f"Times are milliseconds, and before the year 10000: at most {_END}",
                fix="Send milliseconds; microseconds and nanoseconds are too long.",
            )
        if not plan.cron:
            return
        problem = "it never fires"
        try:
            found = self.next_cron(plan.cron, self._desk.now)
        except ValueError as error:
            found = 0
            problem = str(error)
        if not found:
            raise ProtocolError(
                f"Not a time of cron: {plan.cron[:80]!r}",
                where=f"header AMQ_SCHEDULED_CRON: {problem}",
                rule="Five fields as in crontab(5): minute hour day-of-month month day-of-week, in the server's local"
                " time",
                fix="Send for example 0 * * * * (every hour) or 30 6 * * MON-FRI.",
            )
        if plan.repeat < 0:
            raise ProtocolError(
                "A series without end that cron begins again and again",
                where="header AMQ_SCHEDULED_REPEAT",
                rule="With AMQ_SCHEDULED_CRON, AMQ_SCHEDULED_REPEAT says how often more each time",
                fix="Send AMQ_SCHEDULED_REPEAT with 0 or more, or leave AMQ_SCHEDULED_PERIOD out.",
            )

    def first(self, plan: Plan) -> int:
        """When ``plan``, which can be followed, is due for the first time, were it begun now; Unix time in ms."""
        now: int = self._desk.now
        if plan.cron:
            return self.next_cron(plan.cron, max(now, plan.at)) + plan.delay
        return plan.at if plan.at else now + (plan.delay if plan.delay else plan.period)

    def examine_end(self, plan: Plan, expires: int) -> None:
        """Raise ProtocolError when a message that is in time now (``expires``: Unix time in ms; 0 is never) would
        be too late at its first time already. ``plan`` is one that ``examine`` took.
        """
        if self._desk.now < expires <= self.first(plan):
            raise ProtocolError(
                "A message for later that expires before its time",
                where=f"header expires: {expires}",
                rule="What is sent later is still wanted at that time",
                fix="Send a later time in expires; or ttl instead, with the milliseconds it may wait from then on.",
            )

    def check(self, more: int, size: int) -> None:
        """Raise Refused when ``more`` messages, of ``size`` bytes all together, are too many."""
        desk = self._desk
        if len(self.entries) + more > desk.rules.max_scheduled:
            raise Refused(
                "Too many scheduled messages",
                where="the schedule",
                rule=f"This server keeps {desk.rules.max_scheduled} messages for later (max-scheduled)",
                fix="Schedule fewer, cancel old ones (stompctl schedule), or ask the administrator to raise that"
                " option.",
            )
        share = desk.memory.schedule
        taken: int = more * STUB
        if self._fetch is None:
            taken += size
        else:
            # What is above the budget is left to the store as soon as it is there.
            taken -= max(0, self.held - self.budget)
        if not share.fits(taken):
            raise Refused(
                "Scheduled messages take too much memory",
                where="the schedule",
                rule=f"This server keeps {share.most} bytes for the schedule (3/16 of memory-limit); a message that"
                f" is in the store takes {STUB} of them",
                fix="Schedule fewer, cancel old ones (stompctl schedule), or ask the administrator to raise that"
                " option.",
            )

    def add(self, message: Message, plan: Plan) -> int:
        """Keep ``message``, for which there is room, until its time; return the op's position. It survives a restart
        even when it asked not to be kept: its sender counts on the future.
        """
        desk = self._desk
        message.number = message.key = desk.fresh()
        due = self.first(plan)
        extras = {} if message.extras is None else message.extras
        message.extras = extras
        if not message.persistent:
            message.persistent = True
            extras["transient"] = "1"
        plan.describe(extras)
        dated = plan.at != 0 or plan.cron != ""
        self._put(message, message.number, due, plan if plan.again() else None, dated)
        self.relieve()
        self._wake()
        return desk.log.position

    def _put(self, message: Message, job: int, due: int, plan: Plan | None, dated: bool) -> None:
        extras = message.extras
        assert extras is not None
        extras["due"] = str(due)
        extras["job"] = str(job)
        if dated:
            extras[DATE] = "1"
        number = self._desk.log.put(SCHEDULE, message)
        self._take(Entry(message.key, due, job, message, number, plan, dated))

    def _take(self, entry: Entry) -> None:
        self.entries[entry.key] = entry
        if entry.key != entry.job:
            self._later.setdefault(entry.job, set()).add(entry.key)
        self.held += entry.size
        self._desk.memory.schedule.take(entry.size + STUB)
        if self._fetch is not None:
            self._fresh[entry.key] = entry
        self._far.push(entry.due, entry.key)

    def _restore(self, name: str, messages: list[Message]) -> list[str]:
        """Take back what the store has of an earlier run; in as many parts as one likes."""
        for message in messages:
            message.stored = True
            extras = message.extras if message.extras is not None else {}
            plan = regain(extras)
            job = number(extras, "job") or message.key
            due: int = number(extras, "due")
            if DATE not in extras:
                # By the clock of when it was sent. From now on there is no other than that on the wall.
                due += self._desk.clock.moved(message.number)
            entry = Entry(message.key, due, job, message, 0, plan if plan.again() else None, True)
            self._take(entry)
        self.relieve()
        self._wake()
        return []

    @property
    def budget(self) -> int:
        """Bytes of messages that may be in memory while they are not soon due."""
        return self._desk.memory.limit // 16

    def relieve(self) -> None:
        """Leave to the store what is above the budget, and durable. Called when something became so, too: those
        who wait for memory send nothing that would ask for it.
        """
        if self._fetch is None or self.held <= self.budget:
            return
        durable: int = self._desk.log.durable
        soon: int = self._desk.now + AHEAD
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
                self._desk.memory.schedule.give(entry.size)

    def follow(self, by: int) -> None:
        """The clock on the wall was set by ``by`` ms: what is due so and so long after it came is due then by the new
        time, too. What is due at a time of day may be due now, or later than it was.
        """
        for entry in self.entries.values():
            if not entry.dated:
                entry.due += by
        self._near = [at for at in self._near if at[1] in self.entries]
        self._near = [(self.entries[at[1]].due, at[1], at[2]) for at in self._near]
        near = {at[1] for at in self._near}
        self._far.fill([(entry.due, key) for key, entry in self.entries.items() if key not in near])
        heapify(self._near)
        self._near_bytes = sum([at[2] for at in self._near])
        self._dead = 0
        self._wake()

    # Out

    def wake(self) -> None:
        """It may be time."""
        self.run(self._desk.now)

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
        while far.next() <= soon:
            full = len(near) >= NEAR or self._near_bytes >= NEAR_BYTES
            if full and far.next() >= near[0][0]:
                break
            at = far.pop()
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
                self._desk.memory.schedule.take(entry.size)
        for key in lost:
            # It cannot be read; the pump has said so, and it stays in the store for whoever can fix it.
            entry = self.entries.get(key)
            if entry is not None:
                self._forget(entry)
        self.run(self._desk.now)

    def _fire(self, entry: Entry, message: Message, now: int) -> None:
        desk = self._desk
        with desk.log.transaction():
            try:
                self._send(self._delivered(entry, message, now))
                self._forget(entry)
                desk.log.remove(SCHEDULE, message)
                if entry.plan is not None:
                    self._go_on(entry, entry.plan, message, now)
            except Refused:
                # No room, or a limit of the queue: it is not lost, and others go first.
                self._far.push(now + entry.wait, entry.key)
                entry.due = now + entry.wait
                entry.dated = False
                entry.wait = min(2 * entry.wait, PATIENCE)

    def _delivered(self, entry: Entry, message: Message, now: int) -> Message:
        twin = message.copy()
        twin.number = 0
        twin.headers = {**message.headers, JOB: str(entry.job)}
        twin.head = None
        twin.variants = None
        extras = twin.extras if twin.extras is not None else {}
        ttl = number(extras, "ttl")
        if ttl:
            if not message.expires and message.headers.get("expires", "0").strip(" 0"):
                # It is a span from the delivery on (delayed-expires).
                twin.headers["expires"] = str(now + ttl)
            twin.expires = now + ttl
            extras.pop(DATED, None)
        if "transient" in extras:
            twin.persistent = False
        for name in NAMES:
            extras.pop(name, None)
        # Its id counted when its SEND was accepted; earlier versions kept it until now.
        extras.pop(DUPLICATE, None)
        twin.extras = extras or None
        return twin

    def _go_on(self, entry: Entry, plan: Plan, message: Message, now: int) -> None:
        """Its next time, and the series that cron begins now."""
        due: int = entry.due
        if plan.cron:
            next: int = self.next_cron(plan.cron, now - plan.delay)
            if next:
                self._again(entry, plan, message, next + plan.delay, True)
        if plan.repeat:
            left: int = plan.repeat - 1 if plan.repeat > 0 else ENDLESS
            # Times that passed while the server was down are made up for, but not all at once.
            missed: int = max(0, (now - due) // plan.period) if plan.period else 0
            series = Plan(0, plan.period, left, "", 0, plan.ttl)
            self._again(entry, series, message, due + (missed + 1) * plan.period, False)

    def _again(self, entry: Entry, plan: Plan, message: Message, due: int, dated: bool) -> None:
        twin = message.copy()
        extras = {name: value for name, value in (message.extras or {}).items() if name not in NAMES}
        if message.extras is not None and "transient" in message.extras:
            extras["transient"] = "1"
        plan.describe(extras)
        twin.extras = extras
        twin.number = twin.key = self._desk.fresh()
        self._put(twin, entry.job, due, plan if plan.again() else None, dated)

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
        self._desk.memory.schedule.give(STUB)
        if entry.message is None:
            self.away -= 1
        else:
            self.held -= entry.size
            self._desk.memory.schedule.give(entry.size)

    def _wake(self) -> None:
        """Set the alarm for what comes next."""
        when: int = 0
        near = self._near
        if near:
            entry = self.entries.get(near[0][1])
            # What is on its way from the store wakes us when it comes.
            if entry is None or entry.message is not None:
                when = near[0][0]
        first: int = self._far.next()
        if first < NEVER and len(near) < NEAR and self._near_bytes < NEAR_BYTES:
            next: int = first - (AHEAD if self.away else 0)
            when = min(when, next) if when else next
        if when:
            # Not again in the same run: other work comes between.
            when = max(when, self._desk.now + 1)
            if not self._alarm.live or when != self._woken:
                self._woken = when
                self._desk.deadlines.at(when, self._alarm)
        else:
            self._desk.deadlines.cancel(self._alarm)

    # Looking and cancelling

    def jobs(self, start: int, end: int) -> list[Entry]:
        """What is due from ``start`` to ``end`` (Unix ms), in the order of the times."""
        found = [
            (entry.due, entry.key, entry) for entry in self.entries.values() if start <= entry.due <= end
        ]
        found.sort()
        return [each[2] for each in found]

    def of_job(self, job: int) -> Entry | None:
        """The entry of a job, or the first of what is yet to come of it; None when there is none."""
        entry = self.entries.get(job)
        if entry is None:
            for key in self._later.get(job, ()):
                return self.entries.get(key)
        return entry

    def cancel(self, job: int) -> int:
        """Forget a job; how many messages that were."""
        keys = list(self._later.get(job, ()))
        if job in self.entries:
            keys.append(job)
        return self.forget(keys)

    def forget(self, keys: list[int]) -> int:
        """Forget the entries with these ``keys``, all or none if the server ends meanwhile; how many they are."""
        log = self._desk.log
        with log.transaction():
            for key in keys:
                entry = self.entries[key]
                message = entry.message
                if message is None:
                    message = Message("", {}, b"", entry.size)
                    message.key = key
                    message.stored = True
                log.remove(SCHEDULE, message)
                self._forget(entry)
        self._dead += len(keys)
        if self._dead > _DEAD and self._dead > len(self.entries):
            self._far.look()
            self._sweep_near()
        self._dead -= self._far.sweep(STEPS * len(keys))
        self._wake()
        return len(keys)

    def _sweep_near(self) -> None:
        """Take out of those that are read ahead what was cancelled: they are never many."""
        near = [at for at in self._near if self._far.stands(at[0], at[1])]
        if len(near) < len(self._near):
            self._dead -= len(self._near) - len(near)
            self._near = near
            heapify(near)
            self._near_bytes = sum([at[2] for at in near])
