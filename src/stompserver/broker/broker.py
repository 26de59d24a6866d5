"""The broker: plain synchronous verbs on queues and topics. Nothing in it waits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from stompserver.broker import transaction
from stompserver.broker.commit import UNDER_WAY, Commit, Committer
from stompserver.broker.dead import letter as deadletter
from stompserver.broker.deadlines import JUMP
from stompserver.broker.departure import Departure
from stompserver.broker.desk import Desk
from stompserver.broker.in_work import in_work
from stompserver.broker.kept import duplicates
from stompserver.broker.kept.jumps import Jumps
from stompserver.broker.kept.pauses import Pauses
from stompserver.broker.kept.properties import Properties
from stompserver.broker.message import DUPLICATE, NORMAL_LANE, NUMBER, Message
from stompserver.broker.moment import number_at
from stompserver.broker.names.destination import DURABLE, MONITOR, QUEUE
from stompserver.broker.names.pattern import is_pattern
from stompserver.broker.names.rules import Rules, naming_of
from stompserver.broker.oplog import OpLog
from stompserver.broker.queues import overflow
from stompserver.broker.queues.groups import Resting
from stompserver.broker.queues.idle import Idle
from stompserver.broker.queues.queue import COST, Queue, queue_of
from stompserver.broker.queues.restraint import Restraint
from stompserver.broker.queues.shared import Shared
from stompserver.broker.queues.watch import Watches
from stompserver.broker.queues.window import Window
from stompserver.broker.returns import Returns
from stompserver.broker.schedule.plan import Plan
from stompserver.broker.schedule.schedule import Schedule
from stompserver.broker.slices import BUDGET
from stompserver.broker.subscription import Consumer, Delivery, Granted, Subscription
from stompserver.broker.topics.fanout import Fanout, pattern_sent_to
from stompserver.broker.topics.feed import virtual_topic
from stompserver.broker.topics.filling import Subscriber
from stompserver.broker.topics.topic import Topic
from stompserver.broker.transaction import ACK, NACK, SEND, Action, Needs
from stompserver.errors import Refused

__all__ = ["ACK", "NACK", "SEND", "Action", "Broker", "Rules"]

_LAST_VALUE: Final = "last-value"
"""In a message's extras: that its queue is to be a last-value queue."""

MANY: Final = 100
"""Subscriptions of a consumer that end at once when it is gone."""

NEW: Final = 32
"""Units of work that a new queue counts for."""


class Broker(Desk):
    """All queues and topics. Each verb returns the position of the newest op it logged; the change is durable
    when ``log.durable`` has reached that position.

    ``first`` is the first message number: the shell picks one that no earlier run can have given.
    """

    __slots__ = (
        "dated",
        "denied",
        "duplicates",
        "epoch",
        "fanout",
        "idle",
        "jumps",
        "naming",
        "pauses",
        "properties",
        "restraint",
        "returns",
        "schedule",
        "shared",
        "topics",
        "watches",
    )

    def __init__(self, rules: Rules, log: OpLog, first: int = 1, window: Window | None = None) -> None:
        super().__init__(rules, log, first, window)
        self.naming = naming_of(rules)
        self.returns = Returns(self)
        resting = Resting(self.memory)
        self.restraint = Restraint(self.memory, self.slices, self._offer, self._serve)
        self.shared = Shared(
            log,
            self.memory,
            self.clock,
            self.deadlines,
            self.slices,
            self.returns,
            resting,
            window,
            self.restraint if window is not None else None,
        )
        self.properties = Properties(self)
        self.duplicates = duplicates.Duplicates(self)
        self.watches = Watches(self.queues, self.slices, self.retire)
        self.watches.idle = self._harmless(rules)
        self.idle = Idle(
            self.queues,
            self.memory,
            self.clock,
            self.deadlines,
            rules.idle_queues,
            self.properties.forget,
            self.delete,
        )
        self.fanout = Fanout(self, self.returns, resting, self.properties)
        self.topics: dict[str, Topic] = self.fanout.topics
        self.schedule = Schedule(self, self.send)
        self.pauses = Pauses(self)
        self.jumps = Jumps(self)
        self.epoch: int = 0
        """Counts the changes of rules, names and rights, for those who remember what follows from them."""
        self.denied: int = 0
        """What clients asked for and had no right to, since the start."""
        self.dated = rules.dated
        """Whether the numbers of messages tell when they came."""

    def _harmless(self, rules: Rules) -> int:
        """How many queues that only patterns subscribe to, and where nothing waits, are left alone. They are in use
        and so in no share of the memory, but no consumer can take them: as many as fit into that of idle ones.
        """
        return min(rules.idle_queues, self.memory.idle.most // COST)

    def adjust(self, rules: Rules) -> None:
        """Take other rules while running; they hold for what happens from now on."""
        self.rules = rules
        self.dated = self.dated or rules.dated
        self.naming = naming_of(rules)
        self._told.clear()
        self.memory.resize(rules.memory_limit)
        self.idle.most = rules.idle_queues
        self.watches.idle = self._harmless(rules)
        self.reroute()
        self.fanout.adjust()
        for queue in self.queues.values():
            queue.follow(self.properties.policy(queue.name))

    def reroute(self) -> None:
        """Rules, names or somebody's rights are others: what sessions remember of destinations is true no more."""
        self.epoch += 1
        self.fanout.change()
        for queue in self.queues.values():
            queue.drop_routes()

    def look(self, now: int, steady: int) -> None:
        """The time, in ms: ``now`` by the clock on the wall (Unix time), which may have been set; ``steady`` by one
        that is not, and that showed the same when the server was started.
        """
        clock = self.clock
        clock.now = now
        clock.shift = now - steady
        if self.dated:
            self.number = max(self.number, number_at(now))
        by: int = clock.shift - clock.known
        if not -JUMP < by < JUMP:
            self._follow(by)

    def date(self) -> None:
        """From now on the numbers of messages tell when they came: somebody asks for that."""
        if not self.dated:
            self.dated = True
            self.number = max(self.number, number_at(self.now))

    def _follow(self, by: int) -> None:
        """The clock on the wall was set by ``by`` ms: what has a time of day follows it, what lasts does not."""
        self.clock.known += by
        self.jumps.note(by)
        self.deadlines.follow(by)
        self.schedule.follow(by)
        for queue in self.queues.values():
            queue.look_again()

    def tick(self, now: int) -> int | None:
        """Do what is due at ``now`` (Unix time in ms); return when to be called next, None for never."""
        self.clock.now = now
        return self.deadlines.run(self.clock.steady)

    def take(self, queue: Queue, message: Message, sender: Consumer) -> int:
        """Send a message that asks for nothing special to ``queue``, by the shortest way (bench: auto)."""
        if queue.guarded or queue.idle:
            return self.send(message, sender)
        if message.size > self.room and message.persistent:
            raise self.no_room(message.size)
        return self._place(queue, message)

    def _place(self, queue: Queue, message: Message) -> int:
        """Send a message that asks for nothing special, for which there is room, to a ``queue`` in use that is not
        guarded.
        """
        self.enqueued += 1
        number: int = self.number + 1
        self.number = number
        message.number = number
        message.key = number | NORMAL_LANE
        if queue.special:
            self.work += queue.effort()
        return queue.send(message)

    def send(
        self,
        message: Message,
        sender: Consumer | None = None,
        admitted: bool = False,
        examined: bool = False,
    ) -> int:
        """Give ``message`` its number and place, and deliver it to whoever can take it.

        Raises Refused when its destination may not exist, or is full; not when it was ``admitted`` with its
        transaction. ``examined`` is set by ``_send_specially``.
        """
        if (message.extras is not None or message.expires) and not examined:
            return self._send_specially(message, sender, admitted)
        name = message.destination
        queue = self.queues.get(name)
        if queue is None:
            topic = self.topics.get(name)
            if topic is not None and topic.epoch == self.fanout.epoch and message.extras is None:
                # Nobody chooses and nothing is kept (bench: fanout5).
                self.assign(message)
                self.work += topic.effort()
                topic.send(message)
                return self.log.position
            if topic is not None or self.naming.kind(name) != QUEUE:
                return self.fanout.send(message, sender, admitted)
            if is_pattern(name):
                raise pattern_sent_to(name)
            if message.size > self.room and message.persistent and not admitted:
                raise self.no_room(message.size)
            queue = self.queue(name, admitted)
        elif message.size > self.room and message.persistent and not admitted:
            raise self.no_room(message.size)
        if queue.guarded and not self.admit(queue, message, sender, admitted):
            return self.log.position
        idle = queue.idle
        if idle and not admitted:
            self.check_room(1)
        self.assign(message)
        self.work += queue.effort()
        if queue.rank is not None:
            message.key = queue.rank.place(message)
        queue.send(message)
        if idle:
            self.use(queue)
        return self.log.position

    def _send_specially(self, message: Message, sender: Consumer | None, admitted: bool) -> int:
        """Send a message that may be a duplicate, have expired, or replace another. Returns the
        position of the last op.
        """
        name = message.destination
        policy = self.rules.policies.find(name)
        extras = message.extras
        id = extras.pop(DUPLICATE, "") if extras is not None else ""
        if not extras:
            message.extras = None
        if id and self.duplicates.seen(name, id, self.clock.now, policy.duplicate_time):
            return self.log.position
        with self.log.transaction():
            if message.expires:
                # It may have waited in a transaction while the clock was set.
                message.expires = self.clock.expiry(message)
                message.number = 0
            if self.clock.is_over(message):
                if self.naming.kind(name) == QUEUE:
                    self._check_name(name)
                    self.assign(message)
                    policy = self.properties.policy(name)
                    self.returns.bury(name, policy, message, deadletter.EXPIRED, "")
                return self.log.position
            if extras and _LAST_VALUE in extras and self.naming.kind(name) == QUEUE:
                self._check_name(name)
                self.queue(name, admitted).keep_last_values()
            self.send(message, sender, admitted, True)
            if id:
                self.duplicates.note(name, id, self.fresh(), self.clock.now, policy.duplicate_window)
        return self.log.position

    def _check_name(self, name: str) -> None:
        """Raises Refused when there is no queue ``name`` and never will be."""
        if name not in self.queues:
            if is_pattern(name):
                raise pattern_sent_to(name)
            if name.startswith(DURABLE):
                raise self.fanout.durables.none_such(name)

    def admit(
        self, queue: Queue, message: Message, sender: Consumer | None = None, admitted: bool = False
    ) -> bool:
        """See whether ``queue`` has room for ``message``, and make it where its policy says so; false when it is to
        be dropped. Raises Refused when its sender is to hear of it, unless it was ``admitted`` before.
        """
        if queue.name.startswith(DURABLE):
            raise self.fanout.durables.sent_to(queue.name)
        policy = queue.policy
        policy.limit_time(message, self.clock.now)
        problem = None if admitted else overflow.refused(queue, message.size)
        if problem is not None:
            raise problem
        if policy.overflow == overflow.REJECT:
            return True
        if policy.overflow == overflow.BLOCK:
            if sender is not None and overflow.over(queue, message.size):
                sender.choked = queue
            return True
        return overflow.make_room(queue, message.size)

    def put(self, queue: Queue, copy: Message, lasting: bool = False) -> None:
        """Let ``queue`` have a copy of a message that was sent elsewhere, which is refused no more; ``lasting`` when
        it is not to expire there.
        """
        if not lasting:
            queue.policy.limit_time(copy, self.clock.now - self.clock.moved(copy.number))
        kind = queue.policy.overflow
        if kind != overflow.REJECT and kind != overflow.BLOCK and not overflow.make_room(queue, copy.size):
            return
        if queue.rank is not None:
            copy.key = queue.rank.place(copy)
        queue.send(copy)
        if queue.idle:
            self.use(queue)

    def queue(self, name: str, admitted: bool = False) -> Queue:
        """The queue of that name, to be used: made when there is none.

        Raises Refused when too many are in use and it is not one of them, unless it was ``admitted`` with its
        transaction.
        """
        queue = self.queues.get(name)
        if queue is None and name.startswith(DURABLE):
            raise self.fanout.durables.none_such(name)
        if not admitted and (queue is None or queue.idle):
            self.check_room(1)
        if queue is None:
            queue = self.make(name)
            self.idle.begin(queue)
        return queue

    def make(self, name: str) -> Queue:
        """A new queue of that name, however many there are."""
        self.work += NEW
        queue = self.queues[name] = Queue(name, self.shared, self.properties.policy(name))
        self.memory.fixed += queue.cost
        queue.follow(queue.policy)
        if self.watches.owners:
            self._announce(queue)
        return queue

    def _announce(self, queue: Queue) -> None:
        """Let those who watch for new queues have ``queue``; others may be left for that, and be unused then."""
        self.work += 4 * self.watches.seen(queue)

    def check_room(self, more: int) -> None:
        """Raises Refused when ``more`` queues are too many."""
        if len(self.queues) - len(self.idle) + more > self.rules.max_queues:
            raise Refused(
                "Too many queues",
                where="header destination",
                rule=f"This server holds {self.rules.max_queues} queues (max-queues)",
                fix="Use fewer names, consume what old ones hold, or ask the administrator to raise that option.",
            )

    def restore(self, name: str, count: int, lowest: int, highest: int, bytes: int = 0) -> None:
        """A queue that a store holds from an earlier run: ``count`` messages of ``bytes`` with keys from ``lowest``
        to ``highest``. New messages get numbers above them.
        """
        self.number = max(self.number, highest & NUMBER)
        self.clock.first = self.number
        if name == MONITOR:
            # A client of an earlier version could make a queue of it. Reports would go there, and to nobody.
            return
        queue = self.make(name)
        queue.restore(count, lowest, highest, bytes)
        if queue.values is not None:
            queue.dispatch()

    def recall(self, name: str, messages: list[Message]) -> list[str]:
        """Take back what the system queue ``name`` has of an earlier run, after all other queues; return what of it
        cannot be used, as text.
        """
        for message in messages:
            self.number = max(self.number, message.key & NUMBER)
        self.clock.first = self.number
        restorer = self.restorers.get(name) or self.restorers.get(name[: name.find(":") + 1])
        return restorer(name, messages) if restorer is not None else [f"{name} is not known"]

    def subscribe(self, subscription: Subscription, subscriber: Subscriber | None = None) -> Granted:
        """Register ``subscription``; it gets nothing of a queue's backlog before ``start``.

        One that begins with very much that topics kept is granted at the position UNDER_WAY if somebody waits for it:
        it is registered in slices, and ``subscriber`` hears of it.

        Raises Refused when the destination may not exist.
        """
        before: int = self.log.position
        warning = self._register(subscription, subscriber)
        if warning is None:
            return Granted(UNDER_WAY, "")
        position: int = self.log.position
        # What others have sent meanwhile need not be durable before its client is told.
        return Granted(position if position > before else 0, warning)

    def _register(self, subscription: Subscription, subscriber: Subscriber | None) -> str | None:
        wish = subscription.wish
        name = wish.destination
        if self.naming.kind(name) != QUEUE:
            return self.fanout.subscribe(subscription, subscriber)
        if is_pattern(name) and not virtual_topic(name):
            return self.watches.subscribe(subscription)
        warning = ""
        if wish.properties is not None and not is_pattern(name):
            warning = self.properties.ask(name, wish.properties)
        queue = self.queue(name)
        self.fanout.durables.bind_virtual(name)
        if wish.auto_delete:
            queue.passing = True
        if wish.browser:
            queue.look(subscription, self.number)
        else:
            queue.add(subscription)
        self.use(queue)
        return warning

    def start(self, subscription: Subscription) -> None:
        """Deliver what waits for ``subscription``."""
        if subscription.of_topic:
            self.fanout.start(subscription)
        elif subscription in self.watches.owners:
            self.watches.start(subscription)
        elif subscription.queue is not None:
            queue_of(subscription).dispatch(subscription)

    def _offer(self, subscription: Subscription) -> None:
        """``subscription`` of a queue has credit again."""
        queue_of(subscription).offer(subscription)

    def _serve(self, subscription: Subscription) -> None:
        """Likewise, and nobody delivers to it now."""
        queue = queue_of(subscription)
        queue.offer(subscription)
        if queue.waiting:
            queue.dispatch(subscription)

    def unsubscribe(self, subscription: Subscription) -> int:
        """Deliver nothing more to ``subscription``; what it was handed stays its to settle."""
        for queue in self._end(subscription, False):
            if queue.waiting:
                queue.dispatch()
            self.retire(queue)
        return self.log.position

    def _end(self, subscription: Subscription, later: bool) -> list[Queue]:
        """End ``subscription``; return the queues where others may have now what it was to get. ``later``: those of a
        pattern are seen to in slices.
        """
        if subscription.of_topic:
            self.fanout.unsubscribe(subscription)
        elif subscription in self.watches.owners:
            return self.watches.unsubscribe(subscription, later)
        elif subscription.queue is not None:
            queue = queue_of(subscription)
            queue.discard(subscription)
            if queue.deleted:
                return []
            last = not queue.subscriptions and not subscription.looking
            if last and (queue.passing or queue.policy.auto_delete):
                queue.overdue = True
            if not queue.overdue or queue.browsers:
                return [queue]
            self.delete(queue)
        return []

    def nack(self, deliveries: list[Delivery], requeue: bool = True, delay: int = -1, cause: str = "") -> int:
        """The messages of ``deliveries`` (of one subscription) are not consumed: back to their places, or to
        the dead letter queue when they may not come back (``requeue`` false, ``max-exceptions``,
        ``max_redeliveries``). All are back before one is delivered again, which keeps their order.

        They wait ``delay`` ms before that, or as long as the policy says (-1); ``cause`` is the client's word for
        what was wrong with them.
        """
        return self.returns.nack(deliveries, requeue, delay, cause)

    def put_back(
        self, deliveries: list[Delivery], requeue: bool, delay: int, cause: str, then: Callable[[], None]
    ) -> None:
        """The same of very many messages, of any subscriptions, in slices; ``then`` is called when it is done."""
        departure = Departure(self, self.returns, deliveries, requeue, delay, cause, then)
        if departure.slice(BUDGET):
            self.slices.add(departure)

    def touch(self, deliveries: list[Delivery]) -> int:
        """The leases of ``deliveries`` begin anew."""
        for delivery in deliveries:
            lease = delivery.subscription.lease
            if lease is not None:
                lease.add(delivery)
        return self.log.position

    def ack(self, delivery: Delivery) -> int:
        """The delivery's message is consumed."""
        queue = queue_of(delivery.subscription)
        queue.settle(delivery)
        if queue.waiting:
            queue.dispatch(delivery.subscription)
        elif not queue.subscriptions:
            self.retire(queue)
        return self.log.position

    def ack_all(self, subscription: Subscription, deliveries: list[Delivery]) -> int:
        """The messages of ``deliveries``, all of ``subscription``, are consumed."""
        queue = queue_of(subscription)
        queue.settle_all(subscription, deliveries)
        if queue.waiting:
            queue.dispatch(subscription)
        elif not queue.subscriptions:
            self.retire(queue)
        return self.log.position

    def apply(
        self,
        actions: list[Action],
        sender: Consumer | None = None,
        held: int = 0,
        committer: Committer | None = None,
    ) -> int:
        """A transaction: all of ``actions`` or none, as one batch of the log. Its messages are in memory already with
        ``held`` bytes, which are not counted any more.

        A long one returns UNDER_WAY if somebody waits for it: it is done in slices, and counts its ``held`` bytes
        until ``committer`` hears that it has begun. What was found to fit then is done, though others may have taken
        the room meanwhile.

        Raises Refused, with nothing done, when one of them cannot be done.
        """
        needs = Needs(self, self.naming, self.properties, self.duplicates, self.fanout, sender)
        most: int = transaction.COPIES
        seen: int = 0
        for action in actions:
            if needs.work > most and committer is not None:
                break
            needs.add(action)
            seen += 1
        if committer is not None and (seen < len(actions) or needs.work > most):
            self.slices.add(
                Commit(
                    self,
                    actions,
                    needs,
                    seen,
                    partial(self._admit_all, needs, held, held),
                    partial(self._do, sender),
                    committer,
                )
            )
            return UNDER_WAY
        self._admit_all(needs, held, 0)
        queue: Queue | None = None
        with self.log.transaction():
            for action in needs.actions:
                message = action.message
                if message is not None and action.plan is None:
                    if (
                        queue is None
                        or queue.name != message.destination
                        or queue.deleted
                        or queue.guarded
                        or queue.idle
                        or message.extras is not None
                        or message.expires
                    ):
                        self.send(message, sender, True)
                        queue = self.queues.get(message.destination)
                    else:
                        # Most send to one queue (bench: clients).
                        self._place(queue, message)
                else:
                    self._do(sender, action)
        return self.log.position

    def _admit_all(self, needs: Needs, held: int, counted: int) -> None:
        """Raises Refused when there is no room for all that is needed, of which ``held`` bytes were there before and
        ``counted`` bytes are counted now.
        """
        if needs.queues:
            self.check_room(len(needs.queues))
        if needs.held > held:
            self.memory.check(needs.held - counted)
        if needs.later:
            self.schedule.check(needs.later, needs.later_bytes)

    def _do(self, sender: Consumer | None, action: Action) -> None:
        """Do one action of a transaction that was admitted."""
        if action.message is not None and action.plan is not None:
            self._send_later(action.message, action.plan)
        elif action.message is not None:
            self.send(action.message, sender, True)
        elif action.delivery is not None:
            if action.kind == ACK:
                self.ack(action.delivery)
            else:
                self.nack([action.delivery], action.requeue, action.delay, action.cause)

    def _send_later(self, message: Message, plan: Plan) -> None:
        """Give ``message`` to the schedule. Its id counts now: what comes of it at its times has none."""
        extras = message.extras
        id = extras.pop(DUPLICATE, "") if extras is not None else ""
        if not id:
            self.schedule.add(message, plan)
            return
        name = message.destination
        policy = self.rules.policies.find(name)
        if self.duplicates.seen(name, id, self.clock.now, policy.duplicate_time):
            return
        with self.log.transaction():
            self.schedule.add(message, plan)
            self.duplicates.note(name, id, self.fresh(), self.clock.now, policy.duplicate_window)

    def resume(self, consumer: Consumer) -> None:
        """``consumer`` can take messages again: deliver what its queues hold for it."""
        stalled = consumer.stalled
        if not stalled:
            return
        consumer.stalled = []
        for seen, subscription in enumerate(stalled):
            if not consumer.ready:
                # The others have their turn when it can take more again, before those that have had it now.
                consumer.stalled = stalled[seen:] + consumer.stalled
                break
            if subscription.queue is not None:
                queue = queue_of(subscription)
                queue.offer(subscription)
                queue.dispatch(subscription)
            elif subscription in self.watches.owners:
                self.watches.resume(subscription)

    def drop(self, consumer: Consumer) -> int:
        """``consumer`` is gone: end its subscriptions and put back what it has not settled, of which only what can
        have been in work counts as an attempt; in slices where that is much.
        """
        consumer.ready = False
        subscriptions = list(consumer.subscriptions.values())
        consumer.subscriptions.clear()
        consumer.stalled = []
        deliveries = list(consumer.deliveries.values())
        consumer.deliveries.clear()
        counting = in_work(deliveries)
        wide = len(subscriptions) > MANY or self.watches.width(subscriptions) > BUDGET
        if wide or len(deliveries) > BUDGET:
            departure = Departure(self, self.returns, deliveries, counting=counting)
            if wide:
                departure.end(subscriptions, self._leave)
            else:
                for subscription in subscriptions:
                    self._leave(subscription)
            self.slices.add(departure)
            return self.log.position
        queues: dict[str, Queue] = {}
        for subscription in subscriptions:
            for queue in self._end(subscription, False):
                queues[queue.name] = queue
        # Whoever comes after it gets what it had first.
        for delivery in deliveries:
            if not delivery.settled:
                self.returns.give_back(delivery, True, counts=delivery in counting)
                had = queue_of(delivery.subscription)
                queues[had.name] = had
        for queue in queues.values():
            queue.dispatch()
            self.retire(queue)
        return self.log.position

    def _leave(self, subscription: Subscription) -> None:
        """End a subscription whose consumer is gone."""
        for queue in self._end(subscription, True):
            if queue.waiting:
                queue.dispatch()
            self.retire(queue)
        # Some of its others may have missed their turn before they were ended.
        subscription.consumer.stalled.clear()

    def retire(self, queue: Queue) -> None:
        """Let ``queue`` be idle, if nobody uses it."""
        self.idle.retire(queue)

    def delete(self, queue: Queue) -> None:
        """Let ``queue`` be no more, with all that waits in it. What is delivered may still be settled."""
        self.fanout.durables.unbind(queue.name)
        self.watches.forget(queue)
        queue.abandon()
        self.log.drop(queue.name)
        self.idle.use(queue)
        if self.queues.pop(queue.name, None) is not None:
            self.memory.fixed -= queue.cost
        queue.drop_routes()
        self.properties.forget(queue.name)
        self.duplicates.forget(queue.name)

    def forget_durable(self, name: str) -> int:
        """Delete the durable subscription that people call ``name``, and what waits for it. Raises Refused when there
        is none, or several are called so, or it is in use.
        """
        fed = self.fanout.durables.find(name)
        if fed is None:
            raise self.fanout.durables.unknown(name)
        return self.fanout.durables.forget(fed)

    def use(self, queue: Queue) -> None:
        """``queue`` is in use (again), if it was idle."""
        if queue.idle:
            self.idle.use(queue)
            if self.watches.owners:
                self._announce(queue)
                queue.dispatch()

    def is_queue(self, destination: str) -> bool:
        """Whether that name is a queue's. Raises Refused when it is neither a queue's nor a topic's."""
        return self.naming.kind(destination) == QUEUE

    def listened(self, destination: str) -> bool:
        """Whether a topic has subscriptions."""
        return destination in self.topics
