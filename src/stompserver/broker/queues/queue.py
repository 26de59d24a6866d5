"""A queue: messages in the order of their keys, each to one of its subscriptions."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

from stompserver.broker.deadlines import Timed
from stompserver.broker.message import DEAD, NUMBER, OUT, OVERHEAD, RESERVED, SPARED, WAITING, Message
from stompserver.broker.names.destination import DURABLE
from stompserver.broker.names.policy import Policy
from stompserver.broker.queues import overflow
from stompserver.broker.queues.backlog import Backlog
from stompserver.broker.queues.browse import Browse
from stompserver.broker.queues.candidates import Candidates
from stompserver.broker.queues.disposal import Disposal
from stompserver.broker.queues.lease import Timeout
from stompserver.broker.queues.line import Line
from stompserver.broker.queues.matching import Matching
from stompserver.broker.queues.rank import Rank, rank_of
from stompserver.broker.queues.ring import Ring, Tiers
from stompserver.broker.queues.route import RouteTable
from stompserver.broker.queues.shared import Shared
from stompserver.broker.queues.window import Window
from stompserver.broker.slices import BUDGET
from stompserver.broker.subscription import AUTO, DELIVERY, Delivery, Source, Subscription, append, remove

# Not Final, because a test lowers it: compiled, a Final is written into the code.
SETTLING: int = 10_000
"""Messages in line, in memory, above which a queue does not look whether it could be a plain one again."""


COST: Final = 2000
"""Bytes of memory that a queue takes beside its name and what is in it (measured: 1,500 to 1,900)."""


_SLOWED: Final = (
    "so it waits a little longer each time (policy redelivery-delay; max-redeliveries has an end to it)"
)


class Queue(Backlog, Source):
    """Gives each message to one of its ``subscriptions``, and keeps it until that has settled it; ``browsers`` only
    look.

    ``exclusive`` tells that only ``active`` is served; ``stopped`` that nobody is, because it is ``paused`` or
    ``blocked`` messages wait for their redelivery before all others. ``matching`` is there while selectors or message
    groups decide who may have what.
    """

    __slots__ = (
        "_asking",
        "_candidates",
        "active",
        "blocked",
        "bound",
        "browsers",
        "deleted",
        "ending",
        "exclusive",
        "expiry",
        "matching",
        "overdue",
        "passing",
        "paused",
        "purged",
        "rank",
        "rested",
        "returning",
        "routes",
        "stopped",
    )

    def __init__(self, name: str, shared: Shared, policy: Policy) -> None:
        super().__init__(name, shared, policy)
        self.matching: Matching | None = None
        self.rank: Rank | None = None
        """What places messages have, where they have priorities."""
        self.routes: set[RouteTable] | None = None
        """Where the way to it is remembered, if anywhere."""
        self.browsers: dict[Subscription, Browse] = {}
        self.exclusive = self.policy.exclusive
        self.active: Subscription | None = None
        self._candidates: Candidates | None = None
        """Who may be that, while it is exclusive."""
        self._asking: int = 0
        """Subscriptions that want to be served alone."""
        self.paused = False
        self.blocked: int = 0
        self.stopped = False
        self.passing = False
        """Whether it goes with its last subscription."""
        self.overdue = False
        """Whether that has ended, and the queue stays for those who still look."""
        self.bound = False
        """Whether it is a durable subscription's, and so there however long nobody uses it."""
        self.expiry: int = 0
        """Then for how many ms it may be empty and unused, if its subscriber said so; 0 for ever."""
        self.rested: int = 0
        """When it became idle, in ms of the steady clock."""
        self.ending: Timed | None = None
        """What ends it when it was idle for long enough."""
        self.returning: set[_Delayed] | None = None
        """Messages that wait for the time of their redelivery; None until there are some."""
        self.deleted = False
        self.purged: int = 0
        """Number up to which messages that only the store has are not wanted any more."""

    @property
    def cost(self) -> int:
        """Bytes of memory that it takes, beside what is in it."""
        return COST + len(self.name)

    # What holds for it

    def follow(self, policy: Policy) -> None:
        """Take the rules of ``policy`` from now on."""
        self.policy = policy
        # What waits keeps the place it has.
        self.rank = rank_of(policy)
        self.drop_routes()
        self.guarded = (
            policy.max_messages > 0
            or policy.max_bytes > 0
            or policy.ttl > 0
            or policy.max_ttl > 0
            or self.rank is not None
            or self.name.startswith(DURABLE)
        )
        if policy.last_value:
            self.keep_last_values()
        exclusive = policy.exclusive or self._asking > 0
        if exclusive != self.exclusive:
            self.exclusive = exclusive
            self._candidates = None
            if exclusive:
                self._choose()
            else:
                self.active = None
                for each in self.subscriptions:
                    self.offer(each)
            self.dispatch(None)

    def remembered_by(self, table: RouteTable) -> None:
        """``table`` has the way here now, and is to hear when that is true no more."""
        if self.routes is None:
            self.routes = {table}
        else:
            self.routes.add(table)

    def forgotten_by(self, table: RouteTable) -> None:
        """``table`` does not have it any more."""
        if self.routes is not None:
            self.routes.discard(table)

    def drop_routes(self) -> None:
        """Whoever remembers the way here has to look again."""
        tables = self.routes
        if tables is not None:
            self.routes = None
            for table in tables:
                table.drop(self.name)

    # What comes

    def effort(self) -> int:
        """What a message that comes counts for, in units of work (``Desk.work``)."""
        matching = self.matching
        return len(self.browsers) + 4 + matching.effort if matching is not None else 4

    def send(self, message: Message) -> int:
        """Take a new message (its key is above all others of its priority); return the newest op's position."""
        log = self.log
        odd = self.special or message.group != ""
        if not self.waiting:
            # FIFO without a detour: nothing waits before it and somebody can take it (bench: auto, queues).
            subscription = self._straight(message) if odd else self.ring.pick()
            if subscription is not None:
                if subscription.mode == AUTO:
                    # Consumed as it comes: its PUT and REMOVE would cancel, so neither is logged.
                    self.passed += 1
                    subscription.consumer.deliver(subscription, message)
                    return log.position
                size: int = message.size
                self.enqueued += 1
                self.total += size
                self.bytes += size
                memory = self.memory
                used: int = memory.used + (size + DELIVERY)
                memory.used = used
                if message.key > self.tail:
                    self.tail = message.key
                if log.recording:
                    log.put(self.name, message)
                if subscription.window:
                    memory.used = used - DELIVERY
                    self.hand(subscription, message)
                else:
                    message.state = OUT
                    subscription.credit -= 1
                    self.unacked += 1
                    subscription.consumer.deliver(subscription, message)
                    if used > memory.strict:
                        self._restrain(subscription, size)
                return log.position
        if odd:
            return self._send_oddly(message)
        self.enqueued += 1
        self.waiting += 1
        self.total += message.size
        if self._overflows(message):
            return self._page(message)
        self._admit(message)
        self._append(message)
        if message.expires:
            self._watch(message)
        number = log.put(self.name, message)
        window = self.window
        if window is not None and self.waiting - self.paged > 2 * window.count:
            self._evict(window)
        return number

    def _straight(self, message: Message) -> Subscription | None:
        """Who takes a ``message`` of a group, where nothing waits and that is all about it (bench: clients)."""
        if not message.group or message.extras is not None or self.browsers or self.values is not None:
            return None
        if self.matching is None:
            self.begin_matching()
        matching = self.matching
        assert matching is not None
        return matching.straight(message)

    def _send_oddly(self, message: Message) -> int:
        """Take a message into a queue with selectors, groups, last values or browsers; return its op's position."""
        if self.matching is None and (message.group or self.special):
            self.begin_matching()
        matching = self.matching
        assert matching is not None
        for browse in self.browsers.values():
            browse.come(message)
        self.enqueued += 1
        self.total += message.size
        if self._overflows(message):
            taker = matching.claim(message)
            if taker is None:
                self.waiting += 1
                return self._page(message)
            self.log.put(self.name, message)
            self.bytes += message.size
            self.memory.used += message.size
            self.set_apart(message.key)
            self.hand(taker, message)
            return self.log.position
        with self.log.transaction():
            old = self.replaces(message)
            number = self.log.put(self.name, message)
            self.waiting += 1
            self.held += message.size
            self._admit(message)
            matching.send(message)
            if message.expires and message.state < OUT:
                self._watch(message)
            if old is not None:
                self.lose(old, "replaced")
        window = self.window
        crowded = window is not None and self.waiting - self.paged > 2 * window.count
        if window is not None and crowded and self.values is None and matching.spent():
            self._evict(window)
        return max(number, self.log.position)

    def _page(self, message: Message) -> int:
        self.paged += 1
        key: int = message.key
        if key > self.last:
            self.last = key
        if key & NUMBER > self.newest:
            self.newest = key & NUMBER
        self.passed_by(key)
        if message.expires:
            self.expect(self.clock.expiry(message))
        if self.matching is not None:
            for filter in self.matching.filters.values():
                filter.passed_by(key)
        # In memory until the commit: the pump takes it off again.
        self.memory.used += message.size
        if self.subscriptions and self.window is not None:
            self._look(self.window)
        return self.log.put(self.name, message, True)

    def _evict(self, window: Window) -> None:
        """Let go of the messages with the highest keys: the store has them, and there are too many.

        Not while any is out: the window may not go back behind one that comes back by itself.
        """
        if self.unacked or self.delayed:
            return
        standing = self.standing()
        kept = standing[: window.count]
        tail = kept[-1].key
        for message in standing[window.count :]:
            # The object stands for nothing any more: the store's will be another.
            message.state = DEAD
            if message.expires:
                self._unwatch(message)
                self.expect(self.clock.expiry(message))
            self.bytes -= message.size
            self.held -= message.size
            self.paged += 1
            if message.stored:
                self.memory.used -= message.size
            else:
                # Nothing else has it now; the pump takes it off the memory.
                self.log.put(self.name, message, True)
            if message.key > self.last:
                self.last = message.key
            self.passed_by(message.key)
        self.ready.clear()
        self.ready.extend(kept)
        self.returned.clear()
        self.tail = tail
        if self.matching is not None:
            self.matching.disperse()
            self.matching = Matching(self)

    def passed_by(self, key: int) -> None:
        """A message with that key went to the store, or left it."""
        super().passed_by(key)
        for browse in self.browsers.values():
            browse.passed_by(key)

    def detach(self, message: Message) -> None:
        """Take in a message from the store before the window comes to it."""
        self.set_apart(message.key)
        message.stored = True
        self.paged -= 1
        self.bytes += message.size
        self.held += message.size
        self.memory.used += message.size
        if message.expires:
            self._watch(message)

    # The window

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Take what the store read for the window; what cannot be read is counted no more."""
        self.asking = False
        if self.deleted:
            return
        late: int = self.late
        self.prune()
        apart = self.apart
        gone: int = len([key for key in lost if key < late])
        for message in messages:
            if message.key >= late:
                break
            if apart is not None and message.key in apart:
                continue
            message.stored = True
            gone += self._take_in(message)
        self.paged -= gone
        self.waiting -= gone
        self.tail = max(self.tail, min(last, late - 1))
        if self.guarded:
            overflow.shrink(self)
        self.dispatch(None)

    def _take_in(self, message: Message) -> int:
        """A message from the store into the line; 1 when it is not wanted there any more."""
        if message.group and self.matching is None:
            self.begin_matching()
        matching = self.matching
        if message.key & NUMBER <= self.purged or (self.values is not None and self._outdated(message)):
            self.total -= message.size
            self.dequeued += 1
            self.log.remove(self.name, message)
            return 1
        self.paged -= 1
        if message.expires:
            self._watch(message)
        self._admit(message)
        if matching is None:
            self._append(message)
        else:
            self.held += message.size
            matching.loaded(message)
        return 0

    def all_read(self) -> None:
        """What was counted and is not in the store is counted no more."""
        self.asking = False
        self.waiting -= self.paged
        self.paged = 0
        self.dispatch(None)

    # Whose turn it is

    def add(self, subscription: Subscription) -> None:
        """Let ``subscription`` have its turns; nothing is delivered before the next ``dispatch``."""
        subscription.queue = self
        self.overdue = False
        append(self.subscriptions, subscription)
        timeout: int = subscription.wish.ack_timeout or self.policy.ack_timeout
        if timeout and subscription.mode != AUTO:
            subscription.lease = Timeout(timeout, self.clock, self.deadlines, self.keeper)
        if subscription.wish.priority and not isinstance(self.ring, Tiers):
            members = self.ring.members[:]
            self.ring.clear()
            self.ring = Tiers()
            for member in members:
                self.ring.offer(member)
        if subscription.selector is not None and self.matching is None:
            self.begin_matching()
        if self.matching is not None:
            self.matching.add(subscription)
        if subscription.wish.exclusive:
            self._asking += 1
        if self._asking:
            self.exclusive = True
        if self.exclusive:
            if self._candidates is not None:
                self._candidates.add(subscription)
            self._choose()
        self.offer(subscription)

    def look(self, subscription: Subscription, newest: int) -> None:
        """Let ``subscription`` see what there is from the next ``dispatch`` on, and take nothing. ``newest`` is the
        number of the newest message that anybody has sent.
        """
        subscription.queue = self
        subscription.looking = True
        self.special = True
        self.browsers[subscription] = Browse(self, subscription, newest)

    def _ring_of(self, subscription: Subscription) -> Ring:
        """Where it has its turns: with those of the same selector."""
        matching = self.matching
        if matching is None or subscription.selector is None:
            return self.ring
        return matching.filters[subscription.selector.text].ring

    def _choose(self) -> None:
        """See who is served alone: the first of those that asked for it, of the highest priority."""
        candidates = self._candidates
        if candidates is None:
            candidates = self._candidates = Candidates(self.subscriptions)
        best = candidates.best()
        current = self.active
        if (
            current is not None
            and best is not None
            and not current.closed
            and current.wish.exclusive == best.wish.exclusive
            and current.wish.priority >= best.wish.priority
        ):
            return
        self.active = best
        if self.matching is not None:
            # Groups go with it.
            self.matching.unassign(None)
        self._withdraw_all()
        if best is not None:
            self.offer(best)

    def offer(self, subscription: Subscription) -> None:
        """Put a subscription that may take a message again into the round."""
        if subscription.waiting or subscription.closed or subscription.looking or self.stopped:
            return
        if self.exclusive and subscription is not self.active:
            return
        ring = self.ring if subscription.selector is None else self._ring_of(subscription)
        ring.offer(subscription)

    def withdraw(self, subscription: Subscription) -> None:
        """Take its turns from a subscription until it is offered one again."""
        if subscription.waiting:
            self._ring_of(subscription).withdraw(subscription)

    def _withdraw_all(self) -> None:
        """Take the turns of all. One by one each would be looked for among the others."""
        self.ring.clear()
        if self.matching is not None:
            for filter in self.matching.filters.values():
                filter.ring.clear()

    def discard(self, subscription: Subscription) -> None:
        """Deliver nothing more to ``subscription``; others get what it leaves at the next ``dispatch``."""
        subscription.closed = True
        if subscription.withheld and self.restraint is not None:
            self.restraint.forget(subscription)
        if subscription.lease is not None:
            subscription.lease.close()
        if subscription.looking:
            del self.browsers[subscription]
            self.settle_down()
            return
        remove(self.subscriptions, subscription)
        self.withdraw(subscription)
        if self.matching is not None:
            self.matching.discard(subscription)
        if subscription.wish.exclusive:
            self._asking -= 1
        if self.exclusive:
            if self._candidates is not None:
                self._candidates.discard(self.subscriptions)
            self.exclusive = self.policy.exclusive or self._asking > 0
            if not self.exclusive:
                self._candidates = None
                self.active = None
                for each in self.subscriptions:
                    self.offer(each)
            elif subscription is self.active:
                self.active = None
                self._choose()
        self.settle_down()

    def pause(self) -> None:
        """Deliver nothing until ``unpause``; what is delivered may be settled, and messages may come."""
        self.paused = True
        self.stop()

    def unpause(self) -> None:
        """Deliver again."""
        self.paused = False
        self.go_on()
        self.dispatch(None)

    def block(self) -> None:
        """Deliver nothing until as many ``unblock``: what comes back goes before all others."""
        self.blocked += 1
        self.stop()

    def unblock(self) -> None:
        """One of those for whom it was blocked is done."""
        self.blocked -= 1
        self.go_on()

    def stop(self) -> None:
        """Serve no subscription until ``go_on``."""
        self.stopped = True
        self._withdraw_all()

    def go_on(self) -> None:
        """Serve subscriptions again, unless the queue is paused or blocked."""
        if self.stopped and not self.paused and not self.blocked:
            self.stopped = False
            for subscription in self.subscriptions:
                self.offer(subscription)

    # Delivering

    def hand(self, subscription: Subscription, message: Message) -> None:
        """Deliver ``message``; with AUTO it is consumed by that (STOMP 1.2, SUBSCRIBE ack header)."""
        message.state = OUT
        if message.expires:
            self._unwatch(message)
        if subscription.mode == AUTO:
            self._forget(message)
        else:
            subscription.credit -= 1
            self.unacked += 1
            self.memory.used += DELIVERY
            if subscription.window:
                subscription.bound += message.size - OVERHEAD
                if subscription.bound >= subscription.window and not subscription.spare:
                    subscription.spare = subscription.credit
                    subscription.credit = 0
        subscription.consumer.deliver(subscription, message)
        if self.memory.used > self.memory.strict:
            self._restrain(subscription, message.size)

    def _restrain(self, subscription: Subscription, size: int) -> None:
        """``subscription`` was handed a message of ``size`` bytes, and memory is short."""
        restraint = self.restraint
        if restraint is not None:
            restraint.weigh(subscription, size + DELIVERY)

    def dispatch(self, subscription: Subscription | None = None) -> None:
        """Deliver until the messages or those who can take them run out; ``subscription`` may be the only one that
        can take more than before.
        """
        if subscription is not None and subscription.looking:
            browse = self.browsers.get(subscription)
            if browse is not None:
                browse.go()
            return
        if self.special and self.values is not None and self.paged:
            # Only when all are known it is known which are the last.
            pass
        elif self.matching is not None:
            self.matching.dispatch(subscription)
        else:
            ready = self.ready
            returned = self.returned
            while ready or returned:
                taker = self.ring.pick()
                if taker is None:
                    break
                if returned and (not ready or returned[0][0] < ready[0].key):
                    message = heappop(returned)[1]
                else:
                    message = ready.popleft()
                if message.state or (message.expires and self.stale(message)):
                    continue
                self.waiting -= 1
                self.held -= message.size
                self.hand(taker, message)
        if self.paged and self.window is not None and (self.subscriptions or self.values is not None):
            self._look(self.window)

    def begin_matching(self) -> None:
        """Have selectors and groups decide from now on."""
        self.special = True
        self.matching = Matching(self)

    def settle_down(self) -> None:
        """Be a plain queue again when no selector, browser or group is left; not while so much waits in memory that
        each subscription which comes and goes would have all of it looked through.
        """
        matching = self.matching
        if self.deleted or len(self.ready) + len(self.returned) > SETTLING:
            return
        if matching is not None and not self.browsers and matching.spent():
            standing = self.standing()
            matching.disperse()
            self.matching = None
            self.apart = None
            self.ready.clear()
            self.ready.extend(standing)
            self.returned.clear()
            grouped = any(message.group for message in standing)
            self.special = grouped or self.values is not None
            if grouped:
                self.begin_matching()

    # Settling

    def settle(self, delivery: Delivery) -> int:
        """The delivery is consumed: forget its message, return the op's position."""
        self._release(delivery)
        if self.special:
            self._forget(delivery.message)
            return self.log.position
        # The same in one step (bench: individual).
        message = delivery.message
        size: int = message.size
        self.dequeued += 1
        self.bytes -= size
        self.total -= size
        self.memory.used -= size
        return self.log.remove(self.name, message)

    def settle_all(self, subscription: Subscription, deliveries: list[Delivery]) -> int:
        """Several deliveries of one subscription are consumed: forget their messages, return the position of the last
        op (bench: cumulative).
        """
        log = self.log
        if self.special or subscription.window or subscription.lease is not None:
            for delivery in deliveries:
                self.settle(delivery)
            return log.position
        bytes: int = 0
        for delivery in deliveries:
            delivery.settled = True
            message = delivery.message
            bytes += message.size
            if message.stored:
                log.remove(self.name, message)
        count: int = len(deliveries)
        self.dequeued += count
        self.unacked -= count
        self.bytes -= bytes
        self.total -= bytes
        self.memory.used -= bytes + DELIVERY * count
        subscription.credit += count
        if not subscription.waiting:
            self.offer(subscription)
        return log.position

    def put_back(self, delivery: Delivery, delay: int = -1) -> int:
        """The delivery failed: its message is ready again at its old place with one more attempt; in ``delay`` ms,
        or when the policy says so (-1).
        """
        message = delivery.message
        policy = delivery.subscription.wish.policy or self.policy
        message.try_again(self.clock.now)
        number = self.log.mark(self.name, message)
        if delay < 0:
            # Most of what a consumer had that is gone never failed.
            gone = delivery.subscription.closed
            delay = 0 if gone else policy.redelivery(message.tried, message.number)
            if delay and policy.redelivery_delay < 0:
                self.keeper.tell(f"{self.name[:200]}: a message is refused again and again, {_SLOWED}")
        if delay > 0:
            self._hold(message, delay, policy.strict_order)
            self._release(delivery)
        else:
            self._release(delivery)
            self._stand(message)
        return number

    def spare(self, delivery: Delivery) -> None:
        """The delivery came to nothing, and its message is not to blame: it is ready again at its old place, at once
        and with as many attempts as before.
        """
        message = delivery.message
        if not message.attempts:
            message.attempts = SPARED
            self.log.mark(self.name, message)
        self._release(delivery)
        self._stand(message)

    def _hold(self, message: Message, delay: int, strictly: bool) -> None:
        self.delayed += 1
        if message.group:
            if self.matching is None:
                self.begin_matching()
            assert self.matching is not None
            self.matching.block(message)
        if strictly:
            self.blocked += 1
            self.stop()
        delayed = _Delayed(self, message, strictly)
        if self.returning is None:
            self.returning = set()
        self.returning.add(delayed)
        self.deadlines.after(delay, delayed)

    def come_back(self, delayed: _Delayed) -> None:
        """The time of a redelivery has come."""
        if self.deleted:
            return
        message = delayed.message
        strictly = delayed.strictly
        self.delayed -= 1
        if self.returning is not None:
            self.returning.discard(delayed)
        self._stand(message)
        if message.group and self.matching is not None:
            self.matching.unblock(message)
        if strictly:
            self.blocked -= 1
            self.go_on()
        self.dispatch(None)

    def _stand(self, message: Message) -> None:
        self.waiting += 1
        self.held += message.size
        message.state = WAITING
        if self.values is not None and self._outdated(message):
            self.lose(message, "replaced")
            return
        if message.expires:
            self._watch(message)
        if self.matching is not None:
            self.matching.back(message)
        else:
            heappush(self.returned, (message.key, message))

    def lose(self, message: Message, reason: str) -> None:
        """Give up a waiting message that is in memory, wherever it stands."""
        matching = self.matching if message.group else None
        if matching is not None:
            matching.losing(message)
        super().lose(message, reason)
        if matching is not None:
            matching.lost(message.group)

    def forsake(self, delivery: Delivery) -> Message:
        """The delivery failed for good: give up its message, which leaves this queue."""
        message = delivery.message
        self._release(delivery)
        message.try_again(self.clock.now)
        self._forget(message)
        return message

    def _release(self, delivery: Delivery) -> None:
        subscription = delivery.subscription
        delivery.settled = True
        self.unacked -= 1
        self.memory.used -= DELIVERY
        if subscription.lease is not None:
            subscription.lease.remove(delivery)
        if subscription.window:
            subscription.give_back(delivery.message.size - OVERHEAD)
        else:
            subscription.credit += 1
        if self.matching is not None and delivery.message.group:
            self.matching.released(delivery.message)
        if not subscription.waiting:
            self.offer(subscription)

    def shed(self, reason: str) -> bool:
        """Give up the oldest message that waits; false when it has to be read first, or there is none."""
        self.tidy(len(self.ready) + len(self.returned))
        first: Message | None = self.ready[0] if self.ready else None
        if self.returned and (first is None or self.returned[0][0] < first.key):
            first = self.returned[0][1]
        if first is not None:
            self.lose(first, reason)
            return True
        if self.paged and self.window is not None:
            self.want(self.window)
        return False

    def tidy(self, most: int) -> None:
        """Let go of up to ``most`` messages at the head of the line that wait there no more."""
        keys = self.matching.general.keys if self.matching is not None else None
        ready = self.ready
        returned = self.returned
        while most > 0:
            most -= 1
            if ready and ready[0].state != WAITING:
                key = ready.popleft().key
            elif returned and returned[0][1].state != WAITING:
                key = heappop(returned)[0]
            else:
                return
            if keys is not None:
                keys.discard(key)

    def close_up(self) -> None:
        """Let go of all that stands in line and waits no more."""
        if self.matching is not None:
            self.matching.close_up()
        else:
            super().close_up()

    def has_paged(self, key: int) -> bool:
        """Whether the message that the store has with that key waits, and only the store has it."""
        return key > self.tail and key & NUMBER > self.purged and not self.is_apart(key) and not self.deleted

    def kept_back(self) -> list[Line]:
        """The lines of messages in memory that wait and not everybody may have."""
        return self.matching.kept() if self.matching is not None else []

    def _in_memory(self) -> list[Message]:
        """All messages in memory that wait, wherever they stand."""
        found = self.standing()
        for line in self.kept_back():
            found.extend(line.all(RESERVED))
        return found

    def abandon(self) -> None:
        """Be no more. What is delivered may still be settled. Of many messages the memory is given back in slices."""
        self.deleted = True
        matching = self.matching
        held = len(self.ready) + len(self.returned) + self.waiting - self.paged + self.delayed
        if held > BUDGET or (matching is not None and len(matching.groups) > BUDGET):
            self.pause()
            self.slices.add(Disposal(self.let_go))
            if matching is not None:
                matching.abandon()
            self.untie()
            return
        for message in self._in_memory():
            message.state = DEAD
            self.memory.used -= message.size
        if self.returning is not None:
            for delayed in self.returning:
                self.deadlines.cancel(delayed)
                delayed.message.state = DEAD
                self.memory.used -= delayed.message.size
            self.returning = None
            self.delayed = 0
        self.stop_watching()
        # Who has a message of it to settle keeps the queue itself, not what was in it.
        self.close_up()
        if self.values is not None:
            self.values.clear()
        if matching is not None:
            matching.forget_groups()
        self.untie()

    def untie(self) -> None:
        """Let go of what has it in turn, as it is no more, or forgotten: it goes with the last that has something of
        it to settle.
        """
        self._withdraw_all()
        self.end_rounds()
        self.matching = None
        self._candidates = None

    def let_go(self) -> bool:
        """Give back the memory of one message of a queue that is no more; false when there is none left."""
        returning = self.returning
        if self.ready:
            message = self.ready.popleft()
        elif self.returned:
            message = self.returned.pop()[1]
        elif returning:
            delayed = returning.pop()
            self.deadlines.cancel(delayed)
            message = delayed.message
            message.state = WAITING
        else:
            self.stop_watching()
            self.returning = None
            self.delayed = 0
            if self.values is not None:
                self.values.clear()
            return False
        if message.state < OUT:
            self.let_go_of(message)
        return True

    def let_go_of(self, message: Message) -> None:
        """Give back the memory of ``message``, which waits in a queue that is no more."""
        message.state = DEAD
        self.memory.used -= message.size
        if message.expires:
            self._unwatch(message)

    def expire(self, message: Message) -> None:
        """The time of ``message``, which waits, is over; in a queue that is no more it is let go in its turn."""
        if self.deleted:
            self._unwatch(message)
        else:
            super().expire(message)

    def in_use(self) -> bool:
        """Whether it has messages or somebody who takes them. Who only looks takes none."""
        return bool(self.subscriptions) or self.holds()

    def holds(self) -> bool:
        """Whether it has messages: they wait, or are delivered and not settled."""
        return self.waiting > 0 or self.unacked > 0 or self.delayed > 0

    def unused(self) -> bool:
        """Whether nobody would miss it: it is not in use, nobody looks, and nobody wants it paused."""
        return not self.in_use() and not self.browsers and not self.paused


def queue_of(subscription: Subscription) -> Queue:
    """The queue that ``subscription`` takes from, or took from."""
    queue = subscription.queue
    assert isinstance(queue, Queue)
    return queue


def blocks(source: Source | None) -> bool:
    """Whether those who send to it are to wait until it has room."""
    return (
        isinstance(source, Queue)
        and not source.deleted
        and source.policy.overflow == overflow.BLOCK
        and overflow.over(source, 0, 0)
    )


class _Delayed(Timed):
    """A message on its way back."""

    __slots__ = ("message", "queue", "strictly")

    def __init__(self, queue: Queue, message: Message, strictly: bool) -> None:
        super().__init__()
        self.queue = queue
        self.message = message
        self.strictly = strictly

    def due(self, now: int) -> None:
        self.queue.come_back(self)
