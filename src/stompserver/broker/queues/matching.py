"""Who may have which message of a queue, where not everybody may have every one: selectors and message groups."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from stompserver.broker.message import RESERVED, WAITING, Message
from stompserver.broker.queues.disposal import Disposal
from stompserver.broker.queues.groups import Group, Grouping, Holder, weight
from stompserver.broker.queues.line import ALL, Line
from stompserver.broker.queues.ring import Ring
from stompserver.broker.queues.window import Reader
from stompserver.broker.slices import BUDGET, Sliced
from stompserver.broker.subscription import AUTO, Subscription

if TYPE_CHECKING:
    from stompserver.broker.queues.queue import Queue
    from stompserver.broker.selectors.selector import Selector

SCAN: Final = (1024, 4 << 20)
"""Messages and bytes that a selector looks through in the store at a time."""

# Not Final, because a test lowers it: compiled, a Final is written into the code.
GROUPS: int = 100_000
"""Groups of a queue whose consumers are remembered."""

# Not Final, because a test lowers it: compiled, a Final is written into the code.
AT_ONCE: int = 2000
"""Units of work (``Filter.effort``) that are done in one go: some milliseconds."""

SKIPPED: Final = 10
"""How many messages that wait no more are passed in the time that one takes that is asked."""


class Filter(Reader):
    """The subscriptions of a queue with the same selector. ``line`` has the messages in memory that match; those in
    the store it looks through up to ``cursor`` on its own, taking what matches and leaving the rest there.
    """

    __slots__ = ("again", "cursor", "left", "line", "members", "queue", "ring", "selector")

    def __init__(self, queue: Queue, selector: Selector) -> None:
        super().__init__(queue.name)
        self.queue = queue
        self.selector = selector
        self.line = Line()
        self.ring = Ring()
        self.members: int = 0
        self.cursor: int = 0
        self.left: int = 0
        """The lowest key of what it left in the store for the owners of groups; 0 for none."""
        self.again = False
        """Whether that is to be read again, and what comes from the store now is not."""

    def complete(self) -> bool:
        """Whether it has been asked of all that waits in memory."""
        return self.line.upto == ALL

    def effort(self) -> int:
        """What asking it counts for, in units of work; one is some microseconds."""
        return 4 + self.selector.cost // 4

    def after(self) -> int:
        """Behind what it and the window have seen."""
        return max(self.cursor, self.queue.tail)

    def room(self) -> tuple[int, int]:
        """Messages and bytes of a page: always as many, because what does not match is not kept."""
        return SCAN

    def leave(self, key: int) -> None:
        """What has that ``key`` matches, and is for another."""
        if not self.left or key < self.left:
            self.left = key

    def look_again(self) -> None:
        """What was left for another may be for this one now."""
        if self.left:
            self.cursor = min(self.cursor, self.left - 1)
            self.left = 0
            self.again = self.asking

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Take what matches, as long as somebody can have it."""
        self.asking = False
        matching = self.queue.matching
        if matching is None or not self.members:
            return
        if self.again:
            self.again = False
            matching.serve(self)
        else:
            matching.scan(self, messages, last)

    def all_read(self) -> None:
        """Nothing is left to look through."""
        self.asking = False
        if not self.again:
            self.cursor = max(self.cursor, self.queue.last)
            return
        self.again = False
        if self.queue.matching is not None and self.members:
            self.queue.matching.serve(self)


class Matching(Grouping):
    """What a queue needs beside first come, first served. ``general`` is its own line; a message that a filter or a
    group took from it stands there until it is passed, and does not count.
    """

    __slots__ = (
        "_era",
        "_holders",
        "_keeping",
        "_quiet",
        "_resting",
        "_turn",
        "effort",
        "filters",
        "general",
        "groups",
        "moving",
        "own",
        "queue",
        "stirred",
    )

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._resting = queue.resting
        self.filters: dict[str, Filter] = {}
        self.effort: int = 0
        """What asking all of them counts for, in units of work (``Desk.work``)."""
        self.groups: dict[str, Group] = {}
        self._quiet: OrderedDict[str, None] = OrderedDict()
        """Those of them that are not busy, the one that is so for longest first."""
        self._keeping: set[str] = set()
        """Those that keep back messages in their lines."""
        self._era: int = 0
        """How often all owners were dismissed."""
        self._holders: dict[Subscription, Holder] = {}
        """Of those that have groups, or had some."""
        queue.apart = {}
        self.own: dict[Subscription, Line] = {}
        """Messages of the groups that each has; for those that had some to wait for them."""
        self.moving: deque[Line] = deque()
        """Lines whose messages anybody may have again, and which go back to their places. While that takes more than
        one go the queue delivers nothing: they come in their order.
        """
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

    # Subscriptions

    def add(self, subscription: Subscription) -> None:
        """``subscription`` is new: its turns are with those of the same selector, or with all that have none."""
        queue = self.queue
        if queue.policy.group_rebalance:
            self.unassign(None)
        if subscription.selector is None:
            return
        filter = self.filters.get(subscription.selector.text)
        if filter is None:
            filter = self.filters[subscription.selector.text] = Filter(queue, subscription.selector)
            self.effort += filter.effort()
            filter.cursor = queue.tail
            Sift(self, filter).begin()
        filter.members += 1

    def _filter_of(self, subscription: Subscription) -> Filter | None:
        """None for one without a selector, and for one that is gone, of which deliveries may still be settled."""
        selector = subscription.selector
        return self.filters.get(selector.text) if selector is not None else None

    def discard(self, subscription: Subscription) -> None:
        """``subscription`` is gone: its groups are free, its selector with the last that had it."""
        filter = self._filter_of(subscription)
        if filter is not None:
            filter.members -= 1
            if not filter.members:
                del self.filters[filter.selector.text]
                self.effort -= filter.effort()
        holder = self._holders.pop(subscription, None)
        if holder is not None:
            holder.subscription = None
        self.unassign(subscription)

    def unassign(self, subscription: Subscription | None) -> None:
        """Take its groups from ``subscription``, or from everybody."""
        if subscription is None:
            self._era += 1
            self._free(list(self.own.values()))
            self.own.clear()
        elif subscription in self.own:
            self._free([self.own.pop(subscription)])
        self._look_again()
        self.stirred = True

    def spent(self) -> bool:
        """Whether the queue has no more need of it."""
        if self.filters or self.queue.apart or self.queue.subscriptions or self.moving:
            return False
        return len(self._quiet) == len(self.groups)

    # Lines that end

    def kept(self) -> list[Line]:
        """The lines of messages that not everybody may have."""
        found = [line for line in [self.groups[name].line for name in self._keeping] if line is not None]
        found.extend(self.own.values())
        found.extend(self.moving)
        return found

    def _free(self, lines: list[Line], later: bool = False) -> None:
        """Anybody may have again what stands in ``lines``: put it back, at once if it is not much and not to be done
        ``later``.
        """
        if self.queue.deleted or not lines:
            # They go with the queue.
            self.moving.extend(lines)
            return
        under_way = len(self.moving) > 0
        self.moving.extend(lines)
        if under_way:
            return
        if not later and sum([len(line) for line in lines]) <= self._pace():
            self.move(ALL)
        else:
            self.queue.block()
            self.queue.slices.add(Move(self))

    def _pace(self) -> int:
        """How many messages are put back in one go: each is asked of all selectors."""
        return max(AT_ONCE // (4 + self.effort), 1)

    def move(self, most: int) -> None:
        """Put back up to ``most`` of those that anybody may have again."""
        moving = self.moving
        while moving and most > 0:
            line = moving[0]
            message = line.first(RESERVED)
            if message is None:
                moving.popleft()
            else:
                most -= 1
                line.shift()
                self.back(message)

    def move_some(self) -> bool:
        """Put back some; whether there are more. With the last one the queue delivers again."""
        queue = self.queue
        if queue.deleted:
            return False
        self.move(self._pace())
        if self.moving:
            return True
        queue.unblock()
        queue.settle_down()
        queue.dispatch()
        return False

    def disperse(self) -> None:
        """Its queue has no more need of it: let go of its groups, in slices where they are many."""
        if len(self.groups) > BUDGET:
            self.queue.slices.add(Disposal(self.let_go))
        else:
            self.forget_groups()

    def forget_groups(self) -> None:
        """Let go of them, as they are few, and nobody needs them any more."""
        for name in self.groups:
            self._resting.share.give(weight(name))
        self.groups.clear()
        self._quiet.clear()
        self._resting.discard(self)

    def abandon(self) -> None:
        """Its queue is no more: let go of groups, and of what selectors, groups and their owners have, in slices."""
        self.moving.extend(self.own.values())
        self.own.clear()
        for filter in self.filters.values():
            self.moving.append(filter.line)
            filter.line = Line()
        self.queue.slices.add(Disposal(self.let_go))

    def let_go(self) -> bool:
        """Let go of one message or group; false when there is none left."""
        if self.moving:
            message = self.moving[0].take()
            if message is None:
                self.moving.popleft()
            elif message.state == RESERVED:
                self.queue.let_go_of(message)
            return True
        if not self.groups:
            return False
        name, group = self.groups.popitem()
        self._stir(name)
        self._keeping.discard(name)
        self._resting.share.give(weight(name))
        if group.line is not None:
            self.moving.append(group.line)
        return True

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
            self._own(group, subscription)
        self._give(subscription, message)

    def straight(self, message: Message) -> Subscription | None:
        """Who takes a message of a group that came, when nobody has a selector, nothing waits, and nothing of the
        group is kept back; it counts as delivered then. None leaves it to ``send``.
        """
        if self.filters or self.moving:
            return None
        group = self._group(message)
        owner = self._owner(group)
        if group.blocked or group.closing or group.due or group.line is not None:
            return None
        if owner is not None:
            own = self.own.get(owner)
            if (own is not None and own.first(RESERVED) is not None) or not self._able(owner):
                return None
        elif group.out or (owner := self.queue.ring.pick()) is None:
            return None
        else:
            self._own(group, owner)
        if owner.mode != AUTO:
            group.out += 1
            self._stir(message.group)
        return owner

    def claim(self, message: Message) -> Subscription | None:
        """Who takes a message that would go to the store for want of room: a selector that has seen all there."""
        queue = self.queue
        found: Subscription | None = None
        for filter in self.filters.values():
            if not filter.selector.matches(message):
                if filter.cursor >= queue.last and not filter.asking:
                    filter.cursor = max(filter.cursor, message.key)
            elif message.key <= filter.cursor:
                filter.cursor = message.key - 1
                self._scan_on(filter)
            elif (
                found is None
                and not message.group
                and not filter.asking
                and filter.cursor >= queue.last
                and filter.complete()
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
            kept = self._keep(message, group, None, False)
            if not kept:
                self._place(message, None)
            # Its owner may be gone, and with it what was due.
            self._unblock(group, message.group)
            return
        self._place(message, None)

    def loaded(self, message: Message) -> None:
        """A message that the window read."""
        message.state = WAITING
        self.general.push(message)
        for filter in self.filters.values():
            unseen = message.key > filter.cursor or 0 < filter.left <= message.key
            if unseen and filter.selector.matches(message):
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
            # Two for each that comes, so that they become fewer again when there were too many that were busy.
            for _ in range(2):
                if len(self.groups) >= GROUPS and self._quiet:
                    self.forget_resting()
            self._resting.make_room()
            group = self.groups[message.group] = Group()
            self._resting.share.take(weight(message.group))
            self._rest(message.group)
        return group

    def forget_resting(self) -> None:
        """Forget the group that rests for longest, of which there is one."""
        name = next(iter(self._quiet))
        self._stir(name)
        del self.groups[name]
        self._keeping.discard(name)
        self._resting.share.give(weight(name))

    def _rest(self, name: str) -> None:
        """Nothing of the group ``name`` is on its way."""
        if not self._quiet:
            self._resting.add(self)
        self._quiet[name] = None

    def _stir(self, name: str) -> None:
        """Something of the group ``name`` is on its way, or it is no more."""
        quiet = self._quiet
        if name in quiet:
            del quiet[name]
            if not quiet:
                self._resting.discard(self)

    def _owner(self, group: Group) -> Subscription | None:
        """Who has ``group``, if anybody still does."""
        holder = group.holder
        if holder is not None:
            owner = holder.subscription
            if owner is None or owner.closed or group.era != self._era:
                # What was due is anybody's again.
                group.due = 0
            elif not group.closing or group.due:
                return owner
            group.holder = None
            group.closing = False
        return None

    def _own(self, group: Group, subscription: Subscription) -> None:
        holder = self._holders.get(subscription)
        if holder is None:
            holder = self._holders[subscription] = Holder(subscription)
        if group.holder is not holder:
            if group.holder is not None:
                self._look_again()
            group.holder = holder
        group.era = self._era

    def _look_again(self) -> None:
        """Groups are others' now: what was left in the store for those who had them is to be found again."""
        for filter in self.filters.values():
            filter.look_again()

    def _keep(self, message: Message, group: Group, taker: Subscription | None, at_once: bool = True) -> bool:
        """See to a message whose group says where it goes, unless that is ``taker``; whether that was done. It may be
        delivered ``at_once`` when no earlier one of the group can wait elsewhere.
        """
        owner = self._owner(group)
        wanted = owner is not None and _wants(owner, message)
        if group.blocked or group.closing or group.is_behind(message) or (not wanted and group.busy()):
            group.keep_back(message)
            self._keeping.add(message.group)
            return True
        if owner is None or owner is taker or not wanted:
            return False
        message.state = RESERVED
        own = self.own.get(owner)
        if own is None:
            own = self.own[owner] = Line()
        filter = self._filter_of(owner)
        if filter is not None and not filter.complete():
            # Earlier ones of the group may not be found yet.
            at_once = False
        if at_once and own.first(RESERVED) is None and self._able(owner):
            self._give(owner, message)
        else:
            own.push(message)
            group.due += 1
            self._stir(message.group)
        return True

    def _able(self, subscription: Subscription) -> bool:
        """Whether it can take a message now; when only its socket is full it is noted as waiting for that."""
        if subscription.credit <= 0 or self.queue.stopped:
            return False
        if subscription.consumer.ready:
            return True
        if subscription.waiting:
            self.queue.withdraw(subscription)
            subscription.consumer.stalled.append(subscription)
        return False

    def _pick(self, fits: list[Filter]) -> Subscription | None:
        """Somebody of the general ring or of ``fits``; who is asked first changes each time."""
        count = len(fits) + 1
        self._turn += 1
        for step in range(count):
            at = (self._turn + step) % count
            if at and not fits[at - 1].complete():
                continue
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
            if message.extras is not None and "group-close" in message.extras:
                group.closing = group.holder is not None
            if subscription.mode != AUTO:
                group.out += 1
                self._stir(message.group)
        queue.hand(subscription, message)
        queue.leave(message)
        if message.group and subscription.mode == AUTO:
            self._unblock(self._group(message), message.group, True)

    def close_up(self) -> None:
        """Send away who stands in a line and is not meant, so that lines do not grow for ever."""
        _keep_only(self.general, WAITING)
        for filter in self.filters.values():
            _keep_only(filter.line, WAITING)
        for line in self.kept():
            _keep_only(line, RESERVED)

    def released(self, message: Message) -> None:
        """A delivery of a grouped ``message`` was settled or came back."""
        group = self.groups.get(message.group)
        if group is not None and group.out:
            group.out -= 1
            self._unblock(group, message.group)

    def losing(self, message: Message) -> None:
        """A grouped ``message`` that waits is about to be given up."""
        group = self.groups.get(message.group)
        owner = self._owner(group) if group is not None else None
        own = self.own.get(owner) if owner is not None else None
        if group is not None and own is not None and group.due and message.key in own.keys:
            group.due -= 1

    def lost(self, name: str) -> None:
        """A message of the group ``name`` was given up: what it kept back may go on."""
        group = self.groups.get(name)
        if group is not None:
            self._unblock(group, name, True)

    def block(self, message: Message) -> None:
        """``message`` waits for its redelivery: its group waits with it."""
        self._group(message).blocked += 1
        self._stir(message.group)

    def unblock(self, message: Message) -> None:
        """The time of ``message`` has come, or it is gone."""
        group = self._group(message)
        group.blocked -= 1
        self._unblock(group, message.group)

    def _unblock(self, group: Group, name: str, later: bool = False) -> None:
        """Let go on what ``group``, of that ``name``, keeps back, if it may; ``later`` where nobody delivers next."""
        owner = self._owner(group)
        if not group.busy() and name not in self._quiet:
            self._rest(name)
        line = group.line
        if line is None or group.blocked:
            return
        first = line.first(RESERVED)
        if first is not None and (owner is None or group.closing or not _wants(owner, first)):
            if group.busy():
                return
            if owner is not None:
                # What is behind the first goes where that goes.
                group.holder = None
                self._look_again()
        group.line = None
        self._keeping.discard(name)
        if first is not None:
            self._free([line], later)
            self.stirred = True

    # Deliveries

    def dispatch(self, subscription: Subscription | None) -> None:
        """Deliver to ``subscription`` what it can have now, or to everybody."""
        if self.queue.stopped:
            return
        if subscription is not None and not self.stirred:
            if subscription in self.own and not self._serve_own(subscription):
                return
            filter = self._filter_of(subscription)
            if filter is None:
                self._serve(self.queue.ring, self.general)
            else:
                self.serve(filter)
            return
        self.stirred = False
        for each in self.queue.subscriptions[:]:
            if each in self.own and not each.closed:
                self._serve_own(each)
        self._serve(self.queue.ring, self.general)
        for filter in list(self.filters.values()):
            self.serve(filter)

    def _serve_own(self, subscription: Subscription) -> bool:
        """Give it what its groups hold for it; whether it could take more."""
        filter = self._filter_of(subscription)
        while self._able(subscription):
            own = self.own.get(subscription)
            message = own.first(RESERVED) if own is not None else None
            if own is None or message is None:
                return True
            # Earlier ones of a group may still stand in the line that its owner is served from.
            ring = self.queue.ring if filter is None else filter.ring
            line = self.general if filter is None else filter.line
            if message.key > line.upto:
                return True
            if self._first_before(line, message.key):
                if not self._serve_first(ring, line):
                    return False
                continue
            own.shift()
            group = self._group(message)
            group.due = max(group.due - 1, 0)
            if self.queue.stale(message):
                continue
            if group.blocked:
                group.keep_back(message)
                self._keeping.add(message.group)
                continue
            self._give(subscription, message)
        return False

    def _first_before(self, line: Line, key: int) -> bool:
        """Whether the first in ``line`` can be had and goes before ``key``."""
        message = line.first(WAITING)
        return message is not None and message.key < key and not self._behind_window(line, message)

    def _behind_window(self, line: Line, message: Message) -> bool:
        """Whether what the store has, or was not asked yet, goes before ``message``, the first in ``line``."""
        queue = self.queue
        if message.key > line.upto:
            return True
        return line is self.general and queue.paged > 0 and message.key > queue.tail

    def _serve(self, ring: Ring, line: Line) -> None:
        while self._serve_first(ring, line):
            pass

    def _serve_first(self, ring: Ring, line: Line) -> bool:
        """See to the first in ``line``: to somebody of ``ring``, or to the owner of its group. False when there is
        none, or nobody to take it.
        """
        message = line.first(WAITING)
        if message is None or self._behind_window(line, message):
            return False
        subscription = ring.pick()
        if subscription is None:
            return False
        line.shift()
        if self.queue.stale(message):
            return True
        if message.group:
            group = self._group(message)
            if self._keep(message, group, subscription):
                return True
            self._own(group, subscription)
        self._give(subscription, message)
        return True

    def serve(self, filter: Filter) -> None:
        """Deliver what ``filter`` has for those that can take it."""
        self._serve(filter.ring, filter.line)
        self._scan_on(filter)

    def _scan_on(self, filter: Filter) -> None:
        queue = self.queue
        window = queue.window
        if (
            window is not None
            and queue.paged
            and filter.ring.members
            and not (queue.memory.used > queue.memory.low and queue.laden())
            and filter.complete()
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
            if key <= queue.tail or queue.is_apart(key):
                continue
            if filter.selector.matches(message) and not queue.lapsed(message):
                subscription = filter.ring.pick()
                if subscription is None:
                    filter.cursor = key - 1
                    return
                if message.group:
                    group = self._group(message)
                    owner = self._owner(group)
                    if (
                        owner is not None
                        and owner is not subscription
                        and self._filter_of(owner) is not filter
                        and _wants(owner, message)
                    ):
                        # It gets there by its own way.
                        filter.leave(key)
                        continue
                    queue.detach(message)
                    if self._keep(message, group, subscription):
                        continue
                    self._own(group, subscription)
                else:
                    queue.detach(message)
                self._give(subscription, message)
        filter.cursor = max(filter.cursor, min(last, late - 1))
        self._scan_on(filter)


class Sift(Sliced):
    """Asks the selector of ``filter`` of each message that waits in memory when its first subscription comes, a part
    at a time. What is not asked yet, and what came later, waits: ``upto`` of its line says how far it may be served.
    """

    __slots__ = ("_filter", "_left", "_matching")

    def __init__(self, matching: Matching, filter: Filter) -> None:
        self._matching = matching
        self._filter = filter
        self._left: list[Message] = matching.general.all(WAITING)
        """Those that were not asked, the last one first, so that none is held longer than that."""
        self._left.reverse()

    def begin(self) -> None:
        """Do all of it, when that is not much; else the first part soon."""
        filter = self._filter
        if len(self._left) * filter.effort() <= AT_ONCE:
            self._ask(len(self._left))
        else:
            filter.line.upto = -1
            self._matching.queue.slices.add(self)

    def slice(self, budget: int) -> bool:
        """Ask some, and deliver what is found so far."""
        matching = self._matching
        filter = self._filter
        queue = matching.queue
        if queue.deleted or queue.matching is not matching or not filter.members:
            self._left.clear()
            return False
        self._ask(max(AT_ONCE // filter.effort(), 1))
        if filter.complete():
            # Groups may have waited for it.
            queue.dispatch()
        elif not queue.stopped:
            matching.serve(filter)
        return len(self._left) > 0

    def _ask(self, most: int) -> None:
        filter = self._filter
        line = filter.line
        left = self._left
        most *= SKIPPED
        while left and most > 0:
            message = left.pop()
            line.upto = message.key
            if message.state != WAITING:
                most -= 1
                continue
            most -= SKIPPED
            if filter.selector.matches(message):
                line.push(message)
        if not left:
            line.upto = ALL


class Move(Sliced):
    """Puts messages back that anybody may have again."""

    __slots__ = ("_matching",)

    def __init__(self, matching: Matching) -> None:
        self._matching = matching

    def slice(self, budget: int) -> bool:
        """Put back some."""
        return self._matching.move_some()


def _wants(owner: Subscription, message: Message) -> bool:
    return owner.selector is None or owner.selector.matches(message)


def _keep_only(line: Line, state: int) -> None:
    """Let only those stand in ``line`` that are in ``state``."""
    kept = line.all(state)
    line.clear()
    for message in kept:
        line.push(message)
