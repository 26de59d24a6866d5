"""The queue of one subscription to a topic, where the client's socket alone would not do."""

from __future__ import annotations

from typing import Final

from stompserver.broker.backlog import Keeper
from stompserver.broker.deadlines import Clock, Deadlines
from stompserver.broker.memory import Memory
from stompserver.broker.message import DEAD, OVERHEAD, Message
from stompserver.broker.oplog import OpLog
from stompserver.broker.policy import Policy
from stompserver.broker.queue import Queue
from stompserver.broker.replay import Replay
from stompserver.broker.selector import Selector
from stompserver.broker.subscription import Consumer, Subscription

DISCONNECT: Final = "disconnect"
DROP_OLDEST: Final = "drop-oldest"
BLOCK: Final = "block"

PAGE: Final = 64
"""Messages that a replay brings at a time."""


class Mailbox(Queue):
    """``owner``'s alone, and in memory alone: credit, redelivery and order are a queue's.

    ``slow`` says what is done when more than ``lag`` bytes wait: the owner is told (``disconnect``), it misses the
    oldest (``drop-oldest``), or who sends waits until it has room (``block``). It misses the oldest in any case when
    more than ``pending`` messages wait (0: any number may).
    """

    __slots__ = ("lag", "no_local", "owner", "pending", "replay", "selector", "slow")

    def __init__(
        self,
        owner: Subscription,
        memory: Memory,
        policy: Policy,
        clock: Clock,
        deadlines: Deadlines,
        keeper: Keeper,
        lag: int,
    ) -> None:
        # Not logged: it lives no longer than the subscription.
        super().__init__(owner.destination, OpLog(), memory, None, policy, clock, deadlines, keeper)
        self.owner = owner
        self.lag: int = lag
        self.slow: str = policy.slow
        self.rule(policy, lag)
        self.pending: int = owner.pending
        self.no_local = owner.no_local
        # What does not match is not even put in.
        self.selector: Selector | None = owner.selector
        owner.selector = None
        self.replay: Replay | None = None
        self.add(owner)

    def rule(self, policy: Policy, lag: int) -> None:
        """Follow these rules from now on."""
        self.lag = lag
        self.slow = policy.slow
        # A queue's limits are none of a topic's; who sends is kept waiting as by a queue that is full. Its bytes
        # are those of messages alone, so their count has a limit for what they cost beside.
        most: int = max(1, lag // OVERHEAD)
        self.policy = policy.changed({"max_messages": most, "max_bytes": lag, "overflow": self.slow})

    @property
    def chooses(self) -> bool:
        """Whether it does not want every message."""
        return self.selector is not None or self.no_local

    def wants(self, message: Message, sender: Consumer | None) -> bool:
        """Whether ``message``, sent by ``sender``, is for its owner."""
        if self.no_local and sender is self.owner.consumer:
            return False
        return self.selector is None or self.selector.matches(message)

    def post(self, message: Message) -> None:
        """Take a copy of ``message``."""
        twin = message.copy()
        self.send(twin)
        # Encoded for the first who got it at once, and so for the others.
        message.head = twin.head
        message.variants = twin.variants
        # Not counting this one: a single large message is no lag.
        if self.bytes - message.size > self.lag or 0 < self.pending < self.waiting:
            self._too_much(message.size)

    def _too_much(self, newest: int) -> None:
        while 0 < self.pending < self.waiting or (
            self.slow == DROP_OLDEST and self.waiting > 1 and self.held - newest > self.lag
        ):
            if not self.shed(False):
                break
        if self.slow == DISCONNECT and self.bytes - newest > self.lag:
            self.owner.consumer.lag(self.owner)

    def dispatch(self, subscription: Subscription | None = None) -> None:
        """Deliver what is here, then what a replay still has."""
        super().dispatch(subscription)
        while self.replay is not None and not self.waiting:
            page = self.replay.take(PAGE, self.clock.now)
            if not page:
                self.replay = None
                return
            for message in page:
                if self.selector is None or self.selector.matches(message):
                    self.send(message.copy())
            super().dispatch(None)

    def close(self) -> None:
        """Deliver nothing more; what waits is let go."""
        self.replay = None
        for message in self.standing():
            message.state = DEAD
            self.memory.used -= message.size
        self.ready.clear()
        self.returned.clear()
        self.waiting = 0
        self.held = 0
        self.deleted = True
        self.discard(self.owner)
