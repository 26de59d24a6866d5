"""Who may have which message of a queue, where not everybody may have every one: selectors and message groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.line import Line
from stompserver.broker.message import RESERVED, WAITING, Message
from stompserver.broker.ring import Ring
from stompserver.broker.subscription import AUTO, Subscription
from stompserver.broker.window import Reader

if TYPE_CHECKING:
    from stompserver.broker.queue import Queue
    from stompserver.broker.selector import Selector

SCAN: Final = (1024, 4 << 20)
"""Messages and bytes that a selector looks through in the store at a time."""

GROUPS: Final = 100_000
"""Groups of a queue whose consumers are remembered."""

STALE: Final = 1000


class Filter(Reader):
    """The subscriptions of a queue with the same selector. ``line`` has the messages in memory that match; those in
    the store it looks through up to ``cursor`` on its own, taking what matches and leaving the rest there.
    """

    __slots__ = ("cursor", "line", "members", "queue", "ring", "selector")

    def __init__(self, queue: Queue, selector: Selector) -> None:
        super().__init__(queue.name)
        self.queue = queue
        self.selector = selector
        self.line = Line()
        self.ring = Ring()
        self.members: int = 0
        self.cursor: int = 0

    def after(self) -> int:
        """Behind what it and the window have seen."""
        return max(self.cursor, self.queue.tail)

    def room(self) -> tuple[int, int]:
        """Always the same: what does not match is let go at once."""
        return SCAN

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Take what matches, as long as somebody can have it."""
        self.hungry = False
        matching = self.queue.matching
        if matching is not None and self.members:
            matching.scan(self, messages, last)

    def all_read(self) -> None:
        """Nothing is left to look through."""
        self.hungry = False
        self.cursor = max(self.cursor, self.queue.last)


class Group:
    """A message group: its messages go to ``owner``, in order. ``out`` are delivered and not settled; ``blocked``
    wait for their redelivery and keep back those in ``line``.
    """

    __slots__ = ("blocked", "line", "out", "owner")

    def __init__(self) -> None:
        self.owner: Subscription | None = None
        self.out: int = 0
        self.blocked: int = 0
        self.line = Line()


class Matching:
    """What a queue needs beside first come, first served. ``general`` is its own line; a message that a filter or a
    group took from it stands there until it is passed, and does not count.

    ``apart`` are the keys of messages in memory above the window's tail, with the number of the op that removed
    them (0: still here): when the window comes to their place in the store it leaves them out.
    """

    __slots__ = ("_taken", "_turn", "apart", "filters", "general", "groups", "queue", "stirred")

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.filters: dict[str, Filter] = {}
        self.groups: dict[str, Group] = {}
        self.apart: dict[int, int] = {}
        self.general = Line()
        self.general.ready = queue.ready
        self.general.returned = queue.returned
        for message in queue.ready:
            self.general.keys.add(message.key)
        for key, _ in queue.returned:
            self.general.keys.add(key)
        self.stirred = False
        """Whether more than one may have a message to get now."""
        self._turn: int = 0
        self._taken: int = 0

    # Subscriptions

    def add(self, subscription: Subscription) -> Ring:
        """The ring for ``subscription``: its selector's, or the queue's own."""
        queue = self.queue
        if queue.policy.group_rebalance:
            self.unassign(None)
        if subscription.selector is None:
            return queue.ring
        filter = self.filters.get(subscription.selector.text)
        if filter is None:
            filter = self.filters[subscription.selector.text] = Filter(queue, subscription.selector)
            filter.cursor = queue.tail
            for message in self.general.all(WAITING):
                if filter.selector.matches(message):
                    filter.line.push(message)
        filter.members += 1
        subscription.filter = filter
        return filter.ring

    def discard(self, subscription: Subscription) -> None:
        """``subscription`` is gone: its groups are free, its selector with the last that had it."""
        filter = subscription.filter
        if filter is not None:
            filter.members -= 1
            if not filter.members:
                del self.filters[filter.selector.text]
        self.unassign(subscription)

    def unassign(self, subscription: Subscription | None) -> None:
        """Take its groups from ``subscription``, or from everybody."""
        owners: list[Subscription] = []
        for group in self.groups.values():
            owner = group.owner
            if owner is not None and (subscription is None or owner is subscription):
                group.owner = None
                owners.append(owner)
        for owner in owners:
            own = owner.own
            owner.own = None
            if own is not None:
                for message in own.all(RESERVED):
                    self.back(message)
        self.stirred = True

    def spent(self) -> bool:
        """Whether the queue can do without again."""
        if self.filters or self.apart or self.queue.subscriptions:
            return False
        return all(not (group.out or group.blocked) for group in self.groups.values())

    # Messages

    def send(self, message: Message) -> None:
        """A message that came, is counted as waiting and above all that wait: to who may have it, or in line."""
        fits = [each for each in self.filters.values() if each.selector.matches(message)]
        group: Group | None = None
        if message.group:
            group = self._group(message)
            if self._keep(message, group, None):
                return
        subscription = self._pick(fits)
        if subscription is None:
            self._place(message, fits)
            return
        if group is not None:
            group.owner = subscription
        self._give(subscription, message)

    def claim(self, message: Message) -> Subscription | None:
        """Who takes a message that would go to the store for want of room: a selector that has seen all there."""
        queue = self.queue
        found: Subscription | None = None
        for filter in self.filters.values():
            if not filter.selector.matches(message):
                if filter.cursor >= queue.last and not filter.hungry:
                    filter.cursor = max(filter.cursor, message.key)
            elif message.key <= filter.cursor:
                filter.cursor = message.key - 1
                self._scan_on(filter)
            elif (
                found is None
                and not message.group
                and not filter.hungry
                and filter.cursor >= queue.last
                and filter.line.first(WAITING) is None
            ):
                found = filter.ring.pick()
                if found is not None:
                    filter.cursor = message.key
        return found

    def back(self, message: Message) -> None:
        """A message that waits (again): in line at its place."""
        if message.group:
            group = self._group(message)
            message.state = WAITING
            # Others of its group may come back with it, and go first.
            if self._keep(message, group, None, False):
                return
        self._place(message, None)

    def loaded(self, message: Message) -> None:
        """A message that the window read."""
        message.state = WAITING
        self.general.push(message)
        for filter in self.filters.values():
            if message.key > filter.cursor and filter.selector.matches(message):
                filter.line.push(message)

    def _place(self, message: Message, fits: list[Filter] | None) -> None:
        message.state = WAITING
        self.general.push(message)
        if fits is None:
            for filter in self.filters.values():
                if filter.selector.matches(message):
                    filter.line.push(message)
        else:
            for filter in fits:
                filter.line.push(message)

    def _group(self, message: Message) -> Group:
        group = self.groups.get(message.group)
        if group is None:
            if len(self.groups) >= GROUPS:
                self._forget_groups()
            group = self.groups[message.group] = Group()
        return group

    def _forget_groups(self) -> None:
        for name in [name for name, each in self.groups.items() if not (each.out or each.blocked)]:
            if self.groups[name].line.first(RESERVED) is None:
                del self.groups[name]

    def _keep(self, message: Message, group: Group, taker: Subscription | None, at_once: bool = True) -> bool:
        """See to a message whose group says where it goes, unless that is ``taker``; whether that was done. It may be
        delivered ``at_once`` when no earlier one of the group can wait elsewhere.
        """
        owner = group.owner
        if group.blocked or (owner is None and group.out):
            message.state = RESERVED
            group.line.push(message)
            return True
        if owner is None or owner is taker:
            return False
        if owner.selector is not None and not owner.selector.matches(message):
            return False
        message.state = RESERVED
        own = owner.own
        if own is None:
            own = owner.own = Line()
        if at_once and own.first(RESERVED) is None and self._able(owner):
            self._give(owner, message)
        else:
            own.push(message)
        return True

    def _able(self, subscription: Subscription) -> bool:
        """Whether it can take a message now; when only its socket is full it is noted as waiting for that."""
        if subscription.credit <= 0 or self.queue.stopped:
            return False
        if subscription.consumer.ready:
            return True
        if subscription.waiting and subscription.ring is not None:
            subscription.ring.withdraw(subscription)
            subscription.consumer.stalled.append(subscription)
        return False

    def _pick(self, fits: list[Filter]) -> Subscription | None:
        """Somebody of the general ring or of ``fits``; who is asked first changes each time."""
        count = len(fits) + 1
        self._turn += 1
        for step in range(count):
            at = (self._turn + step) % count
            ring = self.queue.ring if at == 0 else fits[at - 1].ring
            subscription = ring.pick()
            if subscription is not None:
                return subscription
        return None

    def _give(self, subscription: Subscription, message: Message) -> None:
        queue = self.queue
        queue.waiting -= 1
        queue.held -= message.size
        if message.group:
            group = self._group(message)
            if subscription.mode != AUTO:
                group.out += 1
            if message.extras is not None and "group-close" in message.extras:
                group.owner = None
        queue.hand(subscription, message)
        self._taken += 1
        if self._taken > STALE and self._taken > 2 * (queue.waiting - queue.paged):
            self._tidy()

    def _tidy(self) -> None:
        """Send away who stands in a line and is not meant, so that lines do not grow for ever."""
        self._taken = 0
        lines = [self.general]
        lines.extend([each.line for each in self.filters.values()])
        for line in lines:
            waiting = line.all(WAITING)
            line.clear()
            for message in waiting:
                line.push(message)

    def released(self, message: Message) -> None:
        """A delivery of a grouped ``message`` was settled or came back."""
        group = self.groups.get(message.group)
        if group is not None and group.out:
            group.out -= 1
            self._unblock(group)

    def block(self, message: Message) -> None:
        """``message`` waits for its redelivery: its group waits with it."""
        self._group(message).blocked += 1

    def unblock(self, message: Message) -> None:
        """The time of ``message`` has come, or it is gone."""
        group = self._group(message)
        group.blocked -= 1
        self._unblock(group)

    def _unblock(self, group: Group) -> None:
        if group.blocked or (group.owner is None and group.out):
            return
        if group.line.first(RESERVED) is not None:
            kept = group.line.all(RESERVED)
            group.line.clear()
            for message in kept:
                self.back(message)
            self.stirred = True

    def left(self, message: Message, number: int) -> None:
        """``message`` left the queue by op ``number``."""
        if message.key in self.apart:
            self.apart[message.key] = number

    def prune(self) -> None:
        """Forget what was apart where the store cannot show it any more."""
        if self.apart:
            tail, durable = self.queue.tail, self.queue.log.durable
            self.apart = {
                key: number for key, number in self.apart.items() if key > tail and not 0 < number <= durable
            }

    # Deliveries

    def dispatch(self, subscription: Subscription | None) -> None:
        """Deliver to ``subscription`` what it can have now, or to everybody."""
        if self.queue.stopped:
            return
        if subscription is not None and not self.stirred:
            if subscription.own is not None and not self._serve_own(subscription):
                return
            if subscription.filter is None:
                self._serve(self.queue.ring, self.general)
            else:
                self._serve_filter(subscription.filter)
            return
        self.stirred = False
        for each in self.queue.subscriptions[:]:
            if each.own is not None and not each.closed:
                self._serve_own(each)
        self._serve(self.queue.ring, self.general)
        for filter in list(self.filters.values()):
            self._serve_filter(filter)

    def _serve_own(self, subscription: Subscription) -> bool:
        """Give it what its groups hold for it; whether it could take more."""
        while self._able(subscription):
            own = subscription.own
            message = own.first(RESERVED) if own is not None else None
            if own is None or message is None:
                return True
            own.shift()
            if self.queue.stale(message):
                continue
            group = self._group(message)
            if group.blocked:
                group.line.push(message)
                continue
            self._give(subscription, message)
        return False

    def _serve(self, ring: Ring, line: Line) -> None:
        queue = self.queue
        while True:
            message = line.first(WAITING)
            if message is None or (line is self.general and queue.paged and message.key > queue.tail):
                return
            subscription = ring.pick()
            if subscription is None:
                return
            line.shift()
            if queue.stale(message):
                continue
            if message.group:
                group = self._group(message)
                if self._keep(message, group, subscription):
                    continue
                if group.owner is None:
                    group.owner = subscription
            self._give(subscription, message)

    def _serve_filter(self, filter: Filter) -> None:
        self._serve(filter.ring, filter.line)
        self._scan_on(filter)

    def _scan_on(self, filter: Filter) -> None:
        queue = self.queue
        window = queue.window
        if (
            window is not None
            and queue.paged
            and filter.ring.members
            and max(filter.cursor, queue.tail) < queue.last
            and filter.line.first(WAITING) is None
        ):
            filter.want(window)

    def scan(self, filter: Filter, messages: list[Message], last: int) -> None:
        """Look at what ``filter`` read from the store."""
        queue = self.queue
        late: int = filter.late
        for message in messages:
            key: int = message.key
            if key >= late:
                break
            if key <= queue.tail or key in self.apart:
                continue
            if filter.selector.matches(message) and not queue.lapsed(message):
                subscription = filter.ring.pick()
                if subscription is None:
                    filter.cursor = key - 1
                    return
                if message.group:
                    group = self._group(message)
                    owner = group.owner
                    if owner is not None and owner is not subscription and owner.filter is not filter:
                        # It gets there by its own way.
                        continue
                    queue.detach(message)
                    if self._keep(message, group, subscription):
                        continue
                    group.owner = subscription
                else:
                    queue.detach(message)
                self._give(subscription, message)
        filter.cursor = max(filter.cursor, min(last, late - 1))
        self._scan_on(filter)
