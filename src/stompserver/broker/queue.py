"""A queue: messages in the order of their keys, each to one of its subscriptions."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import Final

from stompserver.broker import overflow, redelivery
from stompserver.broker.browse import Browse
from stompserver.broker.deadlines import Clock, Deadlines, Timed
from stompserver.broker.destination import DURABLE
from stompserver.broker.matching import Matching
from stompserver.broker.memory import Memory
from stompserver.broker.message import DEAD, OUT, OVERHEAD, RESERVED, WAITING, Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.policy import Policy
from stompserver.broker.ring import Ring, Tiers
from stompserver.broker.subscription import AUTO, Delivery, Subscription
from stompserver.broker.sweep import Sweep
from stompserver.broker.window import Reader, Window

ROUND: Final = 60_000
"""Milliseconds at least between two looks for what expired in the store."""


class Keeper:
    """What a queue asks of the broker that keeps it."""

    __slots__ = ()

    def bury(self, queue: Queue, message: Message, reason: str, cause: str) -> None:
        """``message`` left ``queue`` for good without being consumed: see whether a dead letter queue takes it."""

    def overdue(self, deliveries: list[Delivery]) -> None:
        """The leases of ``deliveries``, all of one subscription, ended."""


class Queue(Reader):
    """Ready messages are in key order: ``ready`` in the order they came, ``returned`` (a heap) those that were
    delivered and came back, and those of a higher priority. With a store behind it only a window is in memory:
    messages above its tail are ``paged``, counted here and found in the store.

    ``window`` says how much may be in memory; without one all is. ``policy`` has its rules. ``matching`` is there
    while selectors or message groups decide who may have what.
    """

    __slots__ = (
        "active",
        "blocked",
        "browsers",
        "bytes",
        "clock",
        "deadlines",
        "delayed",
        "deleted",
        "dequeued",
        "enqueued",
        "exclusive",
        "guarded",
        "held",
        "idle",
        "keeper",
        "last",
        "log",
        "matching",
        "memory",
        "mortal",
        "odd",
        "paged",
        "passed",
        "passing",
        "paused",
        "policy",
        "ready",
        "rested",
        "returned",
        "ring",
        "stopped",
        "subscriptions",
        "sweep",
        "tail",
        "total",
        "unacked",
        "values",
        "waiting",
        "window",
    )

    def __init__(
        self,
        name: str,
        log: OpLog,
        memory: Memory,
        window: Window | None = None,
        policy: Policy | None = None,
        clock: Clock | None = None,
        deadlines: Deadlines | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        super().__init__(name)
        self.log = log
        self.memory = memory
        self.window = window
        self.policy: Policy = policy or Policy()
        self.clock: Clock = clock or Clock()
        self.deadlines: Deadlines = deadlines or Deadlines()
        self.keeper: Keeper = keeper or Keeper()
        self.ready: deque[Message] = deque()
        self.returned: list[tuple[int, Message]] = []
        self.paged: int = 0
        self.tail: int = 0
        """Key of the newest message that is, or was, in the window."""
        self.last: int = 0
        """Highest key that was paged."""
        self.waiting: int = 0
        """Messages ready, returned and paged: not those that are delivered and not settled, nor ``delayed`` ones."""
        self.delayed: int = 0
        """Messages that wait for the time of their redelivery."""
        self.passed: int = 0
        """Messages that were consumed as they came; neither ``enqueued`` nor ``dequeued`` counts them."""
        self.subscriptions: list[Subscription] = []
        self.browsers: list[Subscription] = []
        self.ring: Ring = Ring()
        self.enqueued: int = 0
        self.dequeued: int = 0
        self.unacked: int = 0
        self.bytes: int = 0
        """Bytes of its messages in memory, ready or unacked."""
        self.held: int = 0
        """Of these, bytes of what is ready."""
        self.total: int = 0
        """Bytes of its messages, also of those in the store."""
        self.idle = False
        self.rested: int = 0
        """When it became idle, in ms."""
        self.deleted = False
        self.passing = False
        """Whether it goes with its last subscription."""
        self.mortal: int = 0
        """When the first of the messages that only the store has expires, as far as is known; 0 for never."""
        self.odd = False
        """Whether a message that comes needs more than a place in line."""
        self.matching: Matching | None = None
        self.values: dict[str, Message] | None = None
        """The newest message of each key of a last-value queue."""
        self.guarded = False
        """Whether a message needs room under the policy's limits."""
        self.sweep: Sweep | None = None
        self.exclusive = self.policy.exclusive
        self.active: Subscription | None = None
        """The one that is served while the queue is ``exclusive``."""
        self.paused = False
        self.blocked: int = 0
        """Messages whose redelivery the whole queue waits for."""
        self.stopped = False
        """Whether nobody gets anything now."""

    def follow(self, policy: Policy) -> None:
        """Take the rules of ``policy`` from now on."""
        self.policy = policy
        self.guarded = (
            policy.max_messages > 0
            or policy.max_bytes > 0
            or policy.ttl > 0
            or policy.max_ttl > 0
            or self.name.startswith(DURABLE)
        )
        if policy.last_value:
            self.keep_last_values()
        exclusive = policy.exclusive or any(each.exclusive for each in self.subscriptions)
        if exclusive != self.exclusive:
            self.exclusive = exclusive
            if exclusive:
                self._choose()
            else:
                self.active = None
                for each in self.subscriptions:
                    self.offer(each)
            self.dispatch(None)

    # What comes

    def send(self, message: Message) -> int:
        """Take a new message (its key is above all others of its priority); return the newest op's number."""
        log = self.log
        if self.odd or message.group:
            return self._send_oddly(message)
        if not self.waiting:
            # FIFO without a detour: nothing waits before it and somebody can take it (bench: auto, queues).
            subscription = self.ring.pick()
            if subscription is not None:
                if subscription.mode == AUTO:
                    # Consumed as it comes: its PUT and REMOVE would cancel, so neither is logged.
                    self.passed += 1
                    subscription.consumer.deliver(subscription, message)
                    return log.number
                self.enqueued += 1
                self.total += message.size
                log.put(self.name, message)
                self._admit(message)
                self.hand(subscription, message)
                return log.number
        self.enqueued += 1
        self.waiting += 1
        self.total += message.size
        if self._overflows(message):
            return self._page(message)
        self._admit(message)
        self._append(message)
        if message.expires:
            self.deadlines.add(_Expiry(message.expires, self, message))
        number = log.put(self.name, message)
        window = self.window
        if window is not None and self.waiting - self.paged > 2 * window.count:
            self._evict(window)
        return number

    def _send_oddly(self, message: Message) -> int:
        """The same for a queue with selectors, groups, last values or browsers."""
        if self.matching is None and (message.group or self.odd):
            self._match()
        matching = self.matching
        assert matching is not None
        for browser in self.browsers:
            if browser.browse is not None:
                browser.browse.come(message)
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
            matching.apart[message.key] = 0
            self.hand(taker, message)
            return self.log.number
        alone = self.log.begin()
        old = self.replaces(message)
        number = self.log.put(self.name, message)
        self.waiting += 1
        self.held += message.size
        self._admit(message)
        matching.send(message)
        if message.expires and message.state < OUT:
            self.deadlines.add(_Expiry(message.expires, self, message))
        if old is not None:
            self.lose(old, "replaced")
        if alone:
            self.log.end()
        window = self.window
        crowded = window is not None and self.waiting - self.paged > 2 * window.count
        if window is not None and crowded and self.values is None and matching.spent():
            self._evict(window)
        return max(number, self.log.number)

    def _overflows(self, message: Message) -> bool:
        """Whether the window has no room for it."""
        window = self.window
        if window is None or message.key < self.tail or (self.values is not None and not self.paged):
            return False
        return (
            self.paged > 0
            or self.waiting > window.count
            or self.held + message.size > window.bytes
            # Memory is for what somebody will take: many small backlogs must not keep all who send waiting.
            or (not self.subscriptions and self.memory.used > self.memory.ample)
        )

    def _page(self, message: Message) -> int:
        self.paged += 1
        key: int = message.key
        if key > self.last:
            self.last = key
        self.passed_by(key)
        if message.expires:
            self.expect(message.expires)
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
            self.matching = Matching(self)

    def standing(self) -> list[Message]:
        """The waiting messages that are in memory, in the order of their keys."""
        found = [message for message in self.ready if message.state == WAITING]
        if self.returned:
            found.extend([message for _, message in self.returned if message.state == WAITING])
            found.sort(key=_key)
        return found

    def _admit(self, message: Message) -> None:
        size: int = message.size
        self.bytes += size
        self.memory.used += size
        if message.key > self.tail:
            self.tail = message.key

    def _append(self, message: Message) -> None:
        self.held += message.size
        ready = self.ready
        if not ready or message.key > ready[-1].key:
            ready.append(message)
        else:
            heappush(self.returned, (message.key, message))

    def detach(self, message: Message) -> None:
        """Take in a message from the store before the window comes to it."""
        assert self.matching is not None
        self.matching.apart[message.key] = 0
        message.stored = True
        self.paged -= 1
        self.bytes += message.size
        self.held += message.size
        self.memory.used += message.size

    # The window

    def restore(self, count: int, lowest: int, highest: int, bytes: int) -> None:
        """Begin with ``count`` messages in the store, with keys from ``lowest`` to ``highest``."""
        self.waiting += count
        self.paged += count
        self.enqueued += count
        self.total += bytes
        self.tail = lowest - 1
        self.last = highest

    def after(self) -> int:
        """The window's tail."""
        return self.tail

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Take what the store read for the window; what cannot be read is counted no more."""
        self.hungry = False
        late: int = self.late
        apart: dict[int, int] | None = None
        matching = self.matching
        if matching is not None:
            matching.prune()
            apart = matching.apart
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
        while self.guarded and overflow.over(self, 0, 0) and self.shed(self._dead_letters()):
            pass
        self.dispatch(None)

    def _take_in(self, message: Message) -> int:
        """A message from the store into the line; 1 when it is not wanted there any more."""
        if message.group and self.matching is None:
            self._match()
        matching = self.matching
        if self.values is not None and self._outdated(message):
            self.total -= message.size
            self.dequeued += 1
            self.log.remove(self.name, message)
            return 1
        self.paged -= 1
        if message.expires:
            self.deadlines.add(_Expiry(message.expires, self, message))
        self._admit(message)
        if matching is None:
            self._append(message)
        else:
            self.held += message.size
            matching.loaded(message)
        return 0

    def all_read(self) -> None:
        """What was counted and is not in the store is counted no more."""
        self.hungry = False
        self.waiting -= self.paged
        self.paged = 0
        self.dispatch(None)

    def room(self) -> tuple[int, int]:
        """Messages and bytes that the window may take."""
        window = self.window
        if window is None:
            return 0, 0
        return max(1, window.count - len(self.ready)), max(1, window.bytes - self.held)

    def _look(self, window: Window) -> None:
        """Ask for paged messages when the window runs low and somebody listens."""
        if self.hungry:
            return
        if self.values is None:
            if len(self.ready) > window.count // 2 or self.held > window.bytes // 2:
                return
            # Groups that wait must not bring the whole queue into memory.
            if self.matching is not None and self.waiting - self.paged > 16 * window.count:
                return
        self.want(window)

    # Who gets what

    def hand(self, subscription: Subscription, message: Message) -> None:
        """Deliver ``message``; with AUTO it is consumed by that (STOMP 1.2, SUBSCRIBE ack header)."""
        message.state = OUT
        if subscription.mode == AUTO:
            self._forget(message)
        else:
            subscription.credit -= 1
            self.unacked += 1
            if subscription.window:
                subscription.bound += message.size - OVERHEAD
                if subscription.bound >= subscription.window and not subscription.spare:
                    subscription.spare = subscription.credit
                    subscription.credit = 0
        subscription.consumer.deliver(subscription, message)

    def dispatch(self, subscription: Subscription | None = None) -> None:
        """Deliver until the messages or those who can take them run out; ``subscription`` may be the only one that
        can take more than before.
        """
        if subscription is not None and subscription.browse is not None:
            subscription.browse.go()
            return
        if self.matching is not None:
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

    def add(self, subscription: Subscription) -> None:
        """Let ``subscription`` have its turns; nothing is delivered before the next ``dispatch``."""
        subscription.queue = self
        if subscription.auto_delete:
            self.passing = True
        if subscription.browser:
            self.odd = True
            self.browsers.append(subscription)
            subscription.browse = Browse(self, subscription)
            return
        self.subscriptions.append(subscription)
        if subscription.priority and not isinstance(self.ring, Tiers):
            members = self.ring.members[:]
            self.ring.clear()
            self.ring = Tiers()
            for member in self.subscriptions:
                if member.filter is None:
                    member.ring = self.ring
            for member in members:
                self.ring.offer(member)
        if subscription.selector is not None and self.matching is None:
            self._match()
        subscription.ring = self.ring if self.matching is None else self.matching.add(subscription)
        if subscription.exclusive:
            self.exclusive = True
        if self.exclusive:
            self._choose()
        self.offer(subscription)

    def _match(self) -> None:
        self.odd = True
        self.matching = Matching(self)
        for subscription in self.subscriptions:
            if subscription.ring is None:
                subscription.ring = self.ring

    def _choose(self) -> None:
        """See who is served alone: the first of those that asked for it, of the highest priority."""
        asked = [each for each in self.subscriptions if each.exclusive] or self.subscriptions
        best: Subscription | None = None
        for each in asked:
            if best is None or each.priority > best.priority:
                best = each
        current = self.active
        if (
            current is not None
            and best is not None
            and not current.closed
            and current.exclusive == best.exclusive
            and current.priority >= best.priority
        ):
            return
        self.active = best
        for each in self.subscriptions:
            if each is not best and each.ring is not None:
                each.ring.withdraw(each)
        if best is not None:
            self.offer(best)

    def offer(self, subscription: Subscription) -> None:
        """Put a subscription that may take a message again into the round."""
        if subscription.waiting or subscription.closed or subscription.browser or self.stopped:
            return
        if self.exclusive and subscription is not self.active:
            return
        ring = subscription.ring
        if ring is not None:
            ring.offer(subscription)

    def discard(self, subscription: Subscription) -> None:
        """Deliver nothing more to ``subscription``."""
        subscription.closed = True
        if subscription.browser:
            self.browsers.remove(subscription)
            self._settle_down()
            return
        self.subscriptions.remove(subscription)
        if subscription.ring is not None:
            subscription.ring.withdraw(subscription)
        if self.matching is not None:
            self.matching.discard(subscription)
        if self.exclusive:
            self.exclusive = self.policy.exclusive or any(each.exclusive for each in self.subscriptions)
            if subscription is self.active:
                self.active = None
            if self.exclusive:
                self._choose()
            else:
                self.active = None
                for each in self.subscriptions:
                    self.offer(each)
        if self.waiting:
            self.dispatch(None)
        self._settle_down()

    def _settle_down(self) -> None:
        """Be a plain queue again when nothing speaks against it."""
        matching = self.matching
        if matching is not None and not self.browsers and matching.spent():
            standing = self.standing()
            self.matching = None
            self.ready.clear()
            self.ready.extend(standing)
            self.returned.clear()
            grouped = any(message.group for message in standing)
            self.odd = grouped or self.values is not None
            if grouped:
                self._match()

    # Settling

    def settle(self, delivery: Delivery) -> int:
        """The delivery is consumed: forget its message, return the op's number."""
        self._release(delivery)
        self._forget(delivery.message)
        return self.log.number

    def put_back(self, delivery: Delivery, delay: int = -1) -> int:
        """The delivery failed: its message is ready again at its old place with one more attempt; in ``delay`` ms,
        or when the policy says so (-1).
        """
        message = delivery.message
        policy = delivery.subscription.policy or self.policy
        message.attempts += 1
        if not message.failed:
            message.failed = self.clock.now
        number = self.log.mark(self.name, message)
        if delay < 0:
            delay = redelivery.delay(policy, message.attempts, message.number)
        if delay > 0 and not delivery.subscription.closed:
            self._hold(message, delay, policy.strict_order)
            self._release(delivery)
        else:
            self._release(delivery)
            self._stand(message)
        return number

    def _hold(self, message: Message, delay: int, strictly: bool) -> None:
        self.delayed += 1
        if message.group:
            if self.matching is None:
                self._match()
            assert self.matching is not None
            self.matching.block(message)
        if strictly:
            self.blocked += 1
            self.stop()
        self.deadlines.add(_Delayed(self.clock.now + delay, self, message, strictly))

    def come_back(self, message: Message, strictly: bool) -> None:
        """The time of a redelivery has come."""
        self.delayed -= 1
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
        if message.expires:
            self.deadlines.add(_Expiry(message.expires, self, message))
        if self.matching is not None:
            self.matching.back(message)
        else:
            heappush(self.returned, (message.key, message))

    def forsake(self, delivery: Delivery) -> Message:
        """The delivery failed for good: give up its message, which leaves this queue."""
        message = delivery.message
        self._release(delivery)
        message.attempts += 1
        if not message.failed:
            message.failed = self.clock.now
        self._forget(message)
        return message

    def _release(self, delivery: Delivery) -> None:
        subscription = delivery.subscription
        delivery.settled = True
        self.unacked -= 1
        if subscription.window:
            subscription.bound -= delivery.message.size - OVERHEAD
            if subscription.spare and subscription.bound < subscription.window:
                subscription.credit += subscription.spare
                subscription.spare = 0
        if subscription.spare:
            subscription.spare += 1
        else:
            subscription.credit += 1
        if delivery.message.group and self.matching is not None:
            self.matching.released(delivery.message)
        if not subscription.waiting:
            self.offer(subscription)

    def _forget(self, message: Message) -> None:
        size: int = message.size
        self.dequeued += 1
        self.bytes -= size
        self.total -= size
        self.memory.used -= size
        number = self.log.remove(self.name, message)
        if self.matching is not None:
            self.matching.left(message, number)
        if self.values is not None:
            self._forget_value(message)

    # Time

    def lapsed(self, message: Message) -> bool:
        """Whether its time is over."""
        return message.expires != 0 and message.expires <= self.clock.now

    def stale(self, message: Message) -> bool:
        """Whether the time of a waiting message is over; then it is gone."""
        if not message.expires or message.expires > self.clock.now:
            return False
        self.lose(message, "expired")
        return True

    def expect(self, expires: int) -> None:
        """Look through the store when something in it expires, but not all the time."""
        if self.window is None or (self.mortal and self.mortal <= expires):
            return
        self.mortal = expires
        self.deadlines.add(_Round(max(expires, self.clock.now + ROUND), self))

    def go_round(self) -> None:
        """It is time to look."""
        if self.sweep is None and self.window is not None and self.paged and self.mortal <= self.clock.now:
            self.mortal = 0
            self.sweep = Sweep(self, self.window, False)
            self.sweep.start()

    def lose(self, message: Message, reason: str) -> None:
        """Give up a waiting message that is in memory, wherever it stands."""
        message.state = DEAD
        self.waiting -= 1
        self.held -= message.size
        alone = self.log.begin()
        self._forget(message)
        self.keeper.bury(self, message, reason, "")
        if alone:
            self.log.end()

    def lose_paged(self, message: Message, reason: str) -> None:
        """Give up a message that only the store has."""
        if self.matching is not None and message.key in self.matching.apart:
            return
        if message.key <= self.tail:
            return
        message.stored = True
        self.paged -= 1
        self.waiting -= 1
        self.total -= message.size
        self.dequeued += 1
        alone = self.log.begin()
        self.log.remove(self.name, message)
        if self.matching is not None:
            # Nothing may find it in what is read already.
            self.matching.apart[message.key] = self.log.number
        self.keeper.bury(self, message, reason, "")
        if alone:
            self.log.end()

    def shed(self, dead: bool) -> bool:
        """Give up the oldest message that waits, to the dead letter queue if it is to be ``dead``; false when it has
        to be read first, or there is none.
        """
        first: Message | None = None
        for message in self.ready:
            if message.state == WAITING:
                first = message
                break
        for _, message in self.returned:
            if message.state == WAITING and (first is None or message.key < first.key):
                first = message
        if first is not None:
            self.lose(first, overflow.OVERFLOW if dead else "dropped")
            return True
        if self.paged and self.window is not None:
            self.want(self.window)
        return False

    def _dead_letters(self) -> bool:
        return self.policy.overflow == overflow.DEAD_LETTER

    def purge(self) -> int:
        """Give up all that waits; return how many messages that are. What is delivered stays."""
        count = self.waiting
        standing = self.standing()
        if self.matching is not None:
            for group in self.matching.groups.values():
                standing.extend(group.line.all(RESERVED))
            for subscription in self.subscriptions:
                if subscription.own is not None:
                    standing.extend(subscription.own.all(RESERVED))
        for message in standing:
            self.lose(message, "purged")
        self.ready.clear()
        self.returned.clear()
        if self.matching is not None:
            self.matching.general.keys.clear()
        if self.paged and self.window is not None:
            self.sweep = Sweep(self, self.window, True)
            self.sweep.start()
        return count

    # Pausing

    def pause(self) -> None:
        """Deliver nothing until ``unpause``; what is delivered may be settled, and messages may come."""
        self.paused = True
        self.stop()

    def unpause(self) -> None:
        """Deliver again."""
        self.paused = False
        self.go_on()
        self.dispatch(None)

    def stop(self) -> None:
        """Take everybody's turns away."""
        self.stopped = True
        for subscription in self.subscriptions:
            if subscription.ring is not None:
                subscription.ring.withdraw(subscription)

    def go_on(self) -> None:
        """Give them back, if nothing else speaks against it."""
        if self.stopped and not self.paused and not self.blocked:
            self.stopped = False
            for subscription in self.subscriptions:
                self.offer(subscription)

    def unused(self) -> bool:
        """Whether nobody would miss it: nothing waits, nothing is delivered, nobody listens."""
        return (
            not self.subscriptions
            and not self.unacked
            and not self.waiting
            and not self.delayed
            and not self.browsers
            and not self.paused
        )

    # Last values

    def keep_last_values(self) -> None:
        """Be a last-value queue: of the messages with the same key only the newest waits. All are in memory."""
        if self.values is not None:
            return
        self.values = {}
        self.odd = True
        standing = self.standing()
        for message in standing:
            if self._outdated(message):
                self.lose(message, "replaced")
        if self.paged and self.window is not None:
            self._look(self.window)

    def _value_of(self, message: Message) -> str | None:
        if self.policy.last_value:
            value = message.headers.get(self.policy.last_value)
            if value is not None:
                return value
        return message.headers.get("_AMQ_LVQ_NAME")

    def replaces(self, message: Message) -> Message | None:
        """The waiting message that a new one takes the place of; the new one is the last value from now on."""
        values = self.values
        if values is None:
            return None
        value = self._value_of(message)
        if value is None:
            return None
        old = values.get(value)
        values[value] = message
        return old if old is not None and old.state < OUT else None

    def _outdated(self, message: Message) -> bool:
        """Whether a newer message with its key is known; else it is the newest itself."""
        values = self.values
        value = self._value_of(message)
        if values is None or value is None:
            return False
        known = values.get(value)
        if known is not None and known.key > message.key:
            return True
        values[value] = message
        if known is not None and known.key < message.key and known.state < OUT:
            self.lose(known, "replaced")
        return False

    def _forget_value(self, message: Message) -> None:
        value = self._value_of(message)
        if self.values is not None and value is not None and self.values.get(value) is message:
            del self.values[value]


class _Delayed(Timed):
    """A message on its way back."""

    __slots__ = ("_message", "_queue", "_strictly")

    def __init__(self, when: int, queue: Queue, message: Message, strictly: bool) -> None:
        super().__init__(when)
        self._queue = queue
        self._message = message
        self._strictly = strictly

    def due(self, now: int) -> None:
        self._queue.come_back(self._message, self._strictly)


class _Expiry(Timed):
    """The end of a message's time."""

    __slots__ = ("_message", "_queue")

    def __init__(self, when: int, queue: Queue, message: Message) -> None:
        super().__init__(when)
        self._queue = queue
        self._message = message

    def due(self, now: int) -> None:
        if self._message.state < OUT:
            self._queue.lose(self._message, "expired")


class _Round(Timed):
    """A look at what expired in the store."""

    __slots__ = ("_queue",)

    def __init__(self, when: int, queue: Queue) -> None:
        super().__init__(when)
        self._queue = queue

    def due(self, now: int) -> None:
        self._queue.go_round()


def _key(message: Message) -> int:
    return message.key
