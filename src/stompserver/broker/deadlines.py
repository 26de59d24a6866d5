"""What is to happen after a time, or at a time: one heap for leases, delays, expiry and removals."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Final

from mypy_extensions import mypyc_attr

from stompserver.broker.message import DATED, Message
from stompserver.broker.places import NEVER, STEPS, Places

_FEW: Final = 64

SLICE: Final = 200
"""What is done at most in one go, where much is due at once; other work comes between."""


JUMP: Final = 100
"""By how many ms the clock on the wall and the steady one must disagree for the former to have been set. Less is
what a system does to bring it right without a jump.
"""


class Clock:
    """The time as the shell tells it: ``now`` is Unix time in ms, as the clock on the wall has it.

    That clock may be set while the server runs. ``shift`` is by how many ms it was, in sum; without that, ``steady``
    goes on as time does. ``known`` is as much of it as was a jump.

    What a message says of its time is written in its store for good, by the clock of when it came. ``jumps`` tell by
    how much that is wrong now: each has two numbers of messages, and by how many ms the clock was set after those
    above the first, up to the second, had come. ``first`` is the number up to which messages are of an earlier run.
    """

    __slots__ = ("first", "jumps", "known", "now", "shift")

    def __init__(self, now: int = 0) -> None:
        self.now: int = now
        self.shift: int = 0
        self.known: int = 0
        self.first: int = 0
        self.jumps: list[tuple[int, int, int]] = []

    @property
    def steady(self) -> int:
        """A time in ms that only ever grows, for all that lasts so and so long."""
        return self.now - self.shift

    def moved(self, number: int) -> int:
        """By how many ms the clock was set since the message ``number`` came, in its own run."""
        by: int = 0
        for after, upto, each in self.jumps:
            if after < number <= upto:
                by += each
        return by

    def expiry(self, message: Message) -> int:
        """When ``message`` expires, as the clock on the wall is now (Unix ms); 0 for never."""
        expires: int = message.expires
        if not self.jumps or not expires or (message.extras is not None and DATED in message.extras):
            return expires
        return expires + self.moved(message.number)

    def is_over(self, message: Message) -> bool:
        """Whether ``message`` has expired."""
        return message.expires != 0 and self.expiry(message) <= self.now

    def is_dated(self, message: Message) -> bool:
        """Whether the clock on the wall alone says when ``message`` expires: because it said so, or because it came
        in an earlier run, of which nothing else is left.
        """
        return message.number <= self.first or (message.extras is not None and DATED in message.extras)


@mypyc_attr(allow_interpreted_subclasses=True)
class Timed(metaclass=ABCMeta):
    """Something to be done ``when`` the steady clock has come to that (ms). ``dated``: it was asked for by the clock
    on the wall, and follows it.

    ``ticket`` is its number among the deadlines, 0 while it is not one of them.
    """

    __slots__ = ("dated", "ticket", "when")

    def __init__(self) -> None:
        self.when: int = 0
        self.ticket: int = 0
        self.dated = False

    @property
    def live(self) -> bool:
        """Whether it is still to be done."""
        return self.ticket != 0

    @abstractmethod
    def due(self, now: int) -> None:
        """Do what was to be done at ``when``; ``now`` is the steady clock's. May add others, and itself again."""


class _Tickets(Places):
    """When something is due, and its ticket."""

    __slots__ = ("_live",)

    def __init__(self, live: dict[int, Timed]) -> None:
        super().__init__()
        self._live = live

    def stands(self, when: int, number: int) -> bool:
        """Whether it is still to be done."""
        return number in self._live


class Deadlines:
    """All that is timed, the earliest first.

    What is cancelled is let go at once. Two numbers of it stay in the heap; when there are more of these than of what
    is still to come they are looked for, some with each that is cancelled.
    """

    __slots__ = ("_clock", "_count", "_dated", "_live", "_places", "sooner")

    def __init__(self, clock: Clock) -> None:
        self.sooner = False
        """Whether something is due earlier than all there was before; who keeps the time takes it back."""
        self._clock = clock
        self._live: dict[int, Timed] = {}
        self._places = _Tickets(self._live)
        self._count: int = 0
        self._dated: int = 0
        """How many follow the clock on the wall."""

    def __len__(self) -> int:
        return len(self._live)

    @property
    def places(self) -> int:
        """How many places the heap has, those of what was cancelled among them."""
        return self._places.count()

    def after(self, delay: int, timed: Timed) -> None:
        """Have ``timed`` done in ``delay`` ms, however the clock on the wall is set meanwhile; not earlier, if it was
        to be done at another time.
        """
        self._add(self._clock.steady + delay, timed, False)

    def at(self, time: int, timed: Timed) -> None:
        """Have ``timed`` done at ``time`` (Unix time in ms) by the clock on the wall; not at another time that it was
        to be done at.
        """
        self._add(time - self._clock.known, timed, True)

    def _add(self, when: int, timed: Timed, dated: bool) -> None:
        if timed.ticket:
            self.cancel(timed)
        count: int = self._count + 1
        self._count = count
        timed.when = when
        timed.ticket = count
        timed.dated = dated
        if dated:
            self._dated += 1
        self._live[count] = timed
        if when < self._places.next():
            self.sooner = True
        self._places.push(when, count)

    def cancel(self, timed: Timed) -> None:
        """Forget ``timed``. What was done or cancelled already is no error."""
        if not timed.ticket:
            return
        live = self._live
        del live[timed.ticket]
        timed.ticket = 0
        if timed.dated:
            self._dated -= 1
        places = self._places
        if places.count() > 2 * len(live) + _FEW:
            places.look()
        places.sweep(STEPS)

    def run(self, now: int, most: int = SLICE) -> int | None:
        """Do what is due at ``now`` by the steady clock, in the order of its times, but not more than ``most``;
        return when the next is due, None for never.
        """
        while most > 0 and self._places.next() <= now:
            timed = self._live.pop(self._places.pop()[1], None)
            if timed is not None:
                most -= 1
                timed.ticket = 0
                if timed.dated:
                    self._dated -= 1
                timed.due(now)
        return self.next()

    def next(self) -> int | None:
        """When the next is due by the steady clock, in ms; None for never."""
        when: int = self._places.settle()
        return when if when < NEVER else None

    def follow(self, by: int) -> None:
        """The clock on the wall was set by ``by`` ms: what it is to be done by comes so much earlier."""
        if not self._dated:
            return
        places: list[tuple[int, int]] = []
        for ticket, timed in self._live.items():
            if timed.dated:
                timed.when -= by
            places.append((timed.when, ticket))
        self._places.fill(places)
        self.sooner = True
