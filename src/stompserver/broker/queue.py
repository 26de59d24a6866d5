"""A queue: messages in the order of their keys, each to one of its subscriptions."""

from __future__ import annotations

from heapq import heappop, heappush

from stompserver.broker import overflow, redelivery
from stompserver.broker.backlog import Expiry, Keeper
from stompserver.broker.deadlines import Clock, Deadlines, Timed
from stompserver.broker.matching import Matching
from stompserver.broker.memory import Memory
from stompserver.broker.message import DEAD, NUMBER, OUT, OVERHEAD, RESERVED, WAITING, Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.policy import Policy
from stompserver.broker.served import Served
from stompserver.broker.subscription import AUTO, Delivery, Subscription
from stompserver.broker.sweep import Sweep
from stompserver.broker.window import Window


class Queue(Served):
    """Gives each message to one of its subscriptions, and keeps it until that has settled it."""

    __slots__ = (
        "deleted",
        "purged",
        "rested",
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
        super().__init__(name, log, memory, window, policy, clock, deadlines, keeper)
        self.rested: int = 0
        """When it became idle, in ms."""
        self.deleted = False
        self.purged: int = 0
        """Number up to which messages that only the store has are not wanted any more."""

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
                size: int = message.size
                self.enqueued += 1
                self.total += size
                self.bytes += size
                self.memory.used += size
                if message.key > self.tail:
                    self.tail = message.key
                if log.recording:
                    log.put(self.name, message)
                if subscription.window:
                    self.hand(subscription, message)
                else:
                    message.state = OUT
                    subscription.credit -= 1
                    self.unacked += 1
                    subscription.consumer.deliver(subscription, message)
                return log.number
        self.enqueued += 1
        self.waiting += 1
        self.total += message.size
        if self._overflows(message):
            return self._page(message)
        self._admit(message)
        self._append(message)
        if message.expires:
            self.deadlines.add(Expiry(message.expires, self, message))
        number = log.put(self.name, message)
        window = self.window
        if window is not None and self.waiting - self.paged > 2 * window.count:
            self._evict(window)
        return number

    def _send_oddly(self, message: Message) -> int:
        """The same for a queue with selectors, groups, last values or browsers."""
        if self.matching is None and (message.group or self.odd):
            self.begin_matching()
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
            self.deadlines.add(Expiry(message.expires, self, message))
        if old is not None:
            self.lose(old, "replaced")
        if alone:
            self.log.end()
        window = self.window
        crowded = window is not None and self.waiting - self.paged > 2 * window.count
        if window is not None and crowded and self.values is None and matching.spent():
            self._evict(window)
        return max(number, self.log.number)

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

    def load(self, messages: list[Message], last: int, lost: list[int]) -> None:
        """Take what the store read for the window; what cannot be read is counted no more."""
        self.hungry = False
        if self.deleted:
            return
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
            self.begin_matching()
        matching = self.matching
        if message.key & NUMBER <= self.purged or (self.values is not None and self._outdated(message)):
            self.total -= message.size
            self.dequeued += 1
            self.log.remove(self.name, message)
            return 1
        self.paged -= 1
        if message.expires:
            self.deadlines.add(Expiry(message.expires, self, message))
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

    # Who gets what

    def add(self, subscription: Subscription) -> None:
        """Let ``subscription`` have its turns; nothing is delivered before the next ``dispatch``."""
        subscription.queue = self
        super().add(subscription)

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
        if self.odd and self.values is not None and self.paged:
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
        self.odd = True
        self.matching = Matching(self)
        for subscription in self.subscriptions:
            if subscription.ring is None:
                subscription.ring = self.ring

    def settle_down(self) -> None:
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
                self.begin_matching()

    # Settling

    def settle(self, delivery: Delivery) -> int:
        """The delivery is consumed: forget its message, return the op's number."""
        self._release(delivery)
        if self.odd:
            self._forget(delivery.message)
            return self.log.number
        # The same in one step (bench: individual).
        message = delivery.message
        size: int = message.size
        self.dequeued += 1
        self.bytes -= size
        self.total -= size
        self.memory.used -= size
        return self.log.remove(self.name, message)

    def settle_all(self, subscription: Subscription, deliveries: list[Delivery]) -> int:
        """The same for several of one subscription (bench: cumulative)."""
        log = self.log
        if self.odd or subscription.window:
            for delivery in deliveries:
                self.settle(delivery)
            return log.number
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
        self.memory.used -= bytes
        subscription.credit += count
        if not subscription.waiting:
            self.offer(subscription)
        return log.number

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
            # Most of what a consumer had that is gone never failed.
            gone = delivery.subscription.closed
            delay = 0 if gone else redelivery.delay(policy, message.attempts, message.number)
        if delay > 0:
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
                self.begin_matching()
            assert self.matching is not None
            self.matching.block(message)
        if strictly:
            self.blocked += 1
            self.stop()
        self.deadlines.add(_Delayed(self.clock.now + delay, self, message, strictly))

    def come_back(self, message: Message, strictly: bool) -> None:
        """The time of a redelivery has come."""
        self.delayed -= 1
        if self.deleted:
            self.memory.used -= message.size
            return
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
            self.deadlines.add(Expiry(message.expires, self, message))
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
            subscription.give_back(delivery.message.size - OVERHEAD)
        else:
            subscription.credit += 1
        if self.matching is not None and delivery.message.group:
            self.matching.released(delivery.message)
        if not subscription.waiting:
            self.offer(subscription)

    def _dead_letters(self) -> bool:
        return self.policy.overflow == overflow.DEAD_LETTER

    def purge(self) -> int:
        """Give up all that waits; return how many messages that are. What is delivered stays."""
        count = self.waiting
        self.purged = self.newest
        for message in self._in_memory():
            self.lose(message, "purged")
        self.ready.clear()
        self.returned.clear()
        if self.matching is not None:
            self.matching.general.keys.clear()
        if self.paged and self.window is not None:
            self.sweep = Sweep(self, self.window, True)
            self.sweep.start()
        return count

    def _in_memory(self) -> list[Message]:
        """All messages in memory that wait, wherever they stand."""
        found = self.standing()
        if self.matching is not None:
            for group in self.matching.groups.values():
                found.extend(group.line.all(RESERVED))
            for subscription in self.subscriptions:
                if subscription.own is not None:
                    found.extend(subscription.own.all(RESERVED))
        return found

    def abandon(self) -> None:
        """Be no more. What is delivered may still be settled."""
        self.deleted = True
        for message in self._in_memory():
            message.state = DEAD
            self.memory.used -= message.size

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
