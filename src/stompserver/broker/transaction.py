"""What a transaction does, and whether all of it can be done: seen before anything of it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from stompserver.broker.message import DUPLICATE, Message
from stompserver.broker.names.destination import DURABLE, QUEUE
from stompserver.broker.names.pattern import is_pattern
from stompserver.broker.queues import overflow
from stompserver.broker.schedule.plan import Plan
from stompserver.broker.subscription import Consumer, Delivery
from stompserver.broker.topics.fanout import pattern_sent_to, retention
from stompserver.broker.topics.history import wanted

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk
    from stompserver.broker.kept.duplicates import Duplicates
    from stompserver.broker.kept.properties import Properties
    from stompserver.broker.names.destination import Naming
    from stompserver.broker.names.policy import Policy
    from stompserver.broker.queues.queue import Queue
    from stompserver.broker.topics.fanout import Fanout

# Not Final, because a test lowers it: compiled, a Final is written into the code.
COPIES: int = 4_000
"""Copies of messages, or what takes as long, that a transaction may need to be done at once, and in a slice if it
needs more.
"""

SEND: Final = 1
ACK: Final = 2
NACK: Final = 3

EACH: Final = 4
"""Units of work that an action counts for, beside its copies."""

LIGHT: Final = 8
"""Units of ``Desk.work`` that count for one."""


@mypyc_attr(acyclic=True)
class Action:
    """One part of a transaction: SEND of a message, or ACK or NACK of a delivery (for NACK with ``requeue``,
    ``delay`` and ``cause`` as Broker.nack takes them); a SEND with a ``plan`` is for later.
    """

    __slots__ = ("cause", "delay", "delivery", "kind", "message", "plan", "requeue")

    def __init__(
        self,
        kind: int,
        message: Message | None,
        delivery: Delivery | None = None,
        requeue: bool = True,
        delay: int = -1,
        cause: str = "",
        plan: Plan | None = None,
    ) -> None:
        self.kind: int = kind
        self.plan = plan
        self.message = message
        self.delivery = delivery
        self.requeue = requeue
        self.delay: int = delay
        self.cause = cause


class Needs:
    """What a transaction needs of everything that has a limit, added up. ``queues`` are those that it needs and that
    are not in use, ``later`` counts what goes to the schedule, with ``later_bytes`` in all, ``actions`` is what is to
    be done: all but duplicates. ``work`` is about how many copies it makes.

    It is added up as if nobody took a message meanwhile, and as if nothing went: what the transaction acknowledges,
    removes or replaces makes no room for what it sends. Not counted is what is never refused: dead letters, and what
    comes back by a NACK.
    """

    __slots__ = (
        "_bytes",
        "_desk",
        "_duplicates",
        "_entering",
        "_fanout",
        "_ids",
        "_naming",
        "_policy",
        "_properties",
        "_queue",
        "_retained",
        "_retaining",
        "_sender",
        "actions",
        "held",
        "later",
        "later_bytes",
        "queues",
        "work",
    )

    def __init__(
        self,
        desk: Desk,
        naming: Naming,
        properties: Properties,
        duplicates: Duplicates,
        fanout: Fanout,
        sender: Consumer | None,
    ) -> None:
        self._desk = desk
        self._naming = naming
        self._properties = properties
        self._duplicates = duplicates
        self._fanout = fanout
        self._sender = sender
        self.actions: list[Action] = []
        self.queues: dict[str, None] = {}
        self.work: int = 0
        self.later: int = 0
        self.later_bytes: int = 0
        self.held: int = 0
        """Bytes that queues will hold, all copies."""
        self._queue: Queue | None = None
        """The queue of the newest message, when by its ``_policy`` nothing but the sizes of messages counts."""
        self._policy: Policy | None = None
        self._bytes: int = 0
        """What will be written of messages, all copies."""
        self._entering: dict[str, list[int]] = {}
        """How many messages, and of how many bytes, come into each queue that refuses what is too much."""
        self._retained: set[str] = set()
        """Topics that have no retained message and get one."""
        self._retaining: int = 0
        """Bytes of messages that topics are to retain."""
        self._ids: set[tuple[str, str]] = set()
        """Destinations and the ids by which they will know messages again."""

    def add(self, action: Action) -> None:
        """Count what ``action`` needs. Raises Refused when that is too much, or cannot be done at all."""
        self.work += EACH
        message = action.message
        if message is not None:
            if action.plan is not None:
                if self._known(message, False):
                    return
                # Kept whether its sender wants that or not.
                self.later += action.plan.together()
                self.later_bytes += action.plan.together() * message.size
                self._write(message.size)
            elif not self._send(message):
                return
        self.actions.append(action)

    def _send(self, message: Message) -> bool:
        """Count ``message``; false when it is a duplicate, which needs nothing."""
        name = message.destination
        last = self._queue
        if (
            last is not None
            and last.name == name
            and last.policy is self._policy
            and not (last.idle or last.deleted or message.expires or message.extras)
        ):
            # Most send to one queue (bench: clients).
            if message.persistent:
                self._write(message.size)
            self.held += message.size
            return True
        to_queue = self._naming.kind(name) == QUEUE
        if to_queue:
            if name.startswith(DURABLE):
                raise self._fanout.durables.sent_to(name)
            if name not in self._desk.queues and is_pattern(name):
                raise pattern_sent_to(name)
        expired = self._desk.clock.is_over(message)
        if self._known(message, expired):
            return False
        if not to_queue:
            # Nobody gets what is too late.
            if not expired:
                self._publish(message)
            return True
        queue = self._desk.queues.get(name)
        if queue is None or queue.idle:
            self.queues[name] = None
        # What is too late becomes a dead letter at most.
        if not expired:
            if message.persistent:
                self._write(message.size)
            self.held += message.size
            if not self._enter(name, message.size) and queue is not None and not queue.idle:
                self._queue = queue
                self._policy = queue.policy
        return True

    def _known(self, message: Message, expired: bool) -> bool:
        """Whether a message with that id came before, or stands before it in this transaction. That is decided here
        for all of them: what is remembered may be forgotten again while they are sent.
        """
        extras = message.extras
        id = extras.get(DUPLICATE, "") if extras is not None else ""
        if not id:
            return False
        name = message.destination
        policy = self._desk.rules.policies.find(name)
        if (name, id) in self._ids or self._duplicates.seen(name, id, self._desk.now, policy.duplicate_time):
            return True
        if policy.duplicate_window > 0 and not expired:
            self._ids.add((name, id))
        return False

    def _publish(self, message: Message) -> None:
        """Count the copies that a topic makes of ``message``."""
        topic = self._fanout.find(message)
        if topic is None:
            return
        self.work += topic.effort() // LIGHT
        # Selectors may ask for it, so it is said now.
        topic.policy.limit_time(message, self._desk.now)
        size: int = message.size
        if wanted(topic.policy):
            self._write(size)
        if retention(topic, message) == "set":
            self._write(size)
            retained = self._fanout.retained
            if topic.name not in retained.register.entries:
                self._retained.add(topic.name)
            self._retaining += size
            retained.check(topic.name, self._retaining, len(self._retained))
        for feed in topic.takers(message, self._sender):
            if message.persistent:
                self._write(size)
            self.held += size
            self._enter(feed.queue, size)

    def _write(self, size: int) -> None:
        """Count what is written of one copy of a message."""
        self._bytes += size
        self._desk.check_storage(self._bytes)

    def _enter(self, name: str, size: int) -> bool:
        """Count a message of ``size`` bytes that comes into that queue; whether it has limits."""
        queue = self._desk.queues.get(name)
        policy = self._properties.policy(name) if queue is None else queue.policy
        if not (policy.max_messages or policy.max_bytes):
            return False
        entering = self._entering.get(name)
        if entering is None:
            entering = self._entering[name] = [0, 0]
        entering[0] += 1
        entering[1] += size
        problem = overflow.refused_by(policy, name, queue, entering[1], entering[0])
        if problem is not None:
            raise problem
        return True
