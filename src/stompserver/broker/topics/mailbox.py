"""The queue of one subscription to a topic, where the client's socket alone would not do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.names.policy import Policy
from stompserver.broker.queues.overflow import DROPPED
from stompserver.broker.queues.queue import Queue
from stompserver.broker.queues.shared import Shared
from stompserver.broker.selectors.selector import Selector
from stompserver.broker.slices import Sliced
from stompserver.broker.subscription import Consumer, Subscription
from stompserver.broker.topics.choice import Choice
from stompserver.broker.topics.replay import Replay

DISCONNECT: Final = "disconnect"
DROP_OLDEST: Final = "drop-oldest"
BLOCK: Final = "block"

PAGE: Final = 64
"""Messages that a replay brings at a time."""

PAGES: Final = 8
"""Pages that are looked through in one go, when a selector takes next to nothing of them."""

ASKED: Final = 4000
"""Units of work of a selector (``Selector.cost``) in one go: some milliseconds."""


class Mailbox(Queue):
    """``owner``'s alone, and in memory alone: credit, redelivery and order are a queue's.

    ``slow`` says what is done when more than ``lag`` bytes wait: the owner is told (``disconnect``), it misses the
    oldest (``drop-oldest``), or who sends waits until it has room (``block``). It misses the oldest in any case when
    more than ``pending`` messages wait (0: any number may).

    It lives no longer than the subscription: what mailboxes share has a log that records nothing, and no window.
    """

    __slots__ = (
        "_over",
        "lag",
        "no_local",
        "owner",
        "owner_rank",
        "pending",
        "reading",
        "replay",
        "selector",
        "slow",
    )

    def __init__(self, owner: Subscription, shared: Shared, policy: Policy, lag: int) -> None:
        super().__init__(owner.destination, shared, policy)
        self.owner: Subscription | None = owner
        """None once it is closed: what was delivered may still be settled, so its owner keeps it."""
        self.owner_rank: int = 0
        """That of its owner among the subscriptions of a topic."""
        self.lag: int = lag
        self.slow: str = policy.slow
        self.rule(policy, lag)
        self.pending: int = owner.wish.pending
        self.no_local = owner.no_local
        # What does not match is not even put in.
        self.selector: Selector | None = owner.selector
        owner.selector = None
        self.replay: Replay | None = None
        self._over: Callable[[Mailbox, bool], None] | None = None
        self.reading = False
        """Whether more of the replay is looked through soon."""
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
        owner = self.owner
        if owner is None or (self.no_local and sender is owner.consumer):
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
            if not self.shed(DROPPED):
                break
        owner = self.owner
        if owner is not None and self.slow == DISCONNECT and self.bytes - newest > self.lag:
            owner.consumer.lag(owner)

    def begin(self, replay: Replay, over: Callable[[Mailbox, bool], None]) -> None:
        """Deliver what ``replay`` has first; ``over`` is called when it has nothing more, with whether there was a
        history for it at all.
        """
        self.replay = replay
        self.memory.subscriptions.take(replay.weight)
        self._over = over

    def dispatch(self, subscription: Subscription | None = None) -> None:
        """Deliver what is here, then what a replay still has."""
        super().dispatch(subscription)
        if self.replay is not None and not self.reading:
            self.read_on()

    def read_on(self) -> bool:
        """Deliver what a replay still has, and look through no more than a part of it; whether there is more that
        can be looked at now.
        """
        pages: int = max(1, min(PAGES, ASKED // (PAGE * (1 + self._cost))))
        most: int = max(1, min(PAGE, ASKED // (1 + self._cost)))
        replay = self.replay
        if replay is not None and not replay.look(ASKED):
            pages = 0
        while self.replay is not None and not self.waiting:
            if not pages:
                if not self.reading:
                    self.reading = True
                    self.slices.add(_Reading(self))
                return True
            pages -= 1
            page = self.replay.take(most, self.clock.now)
            if not page and self.replay.over:
                self._end_replay(self.replay)
                break
            for message in page:
                if self.selector is None or self.selector.matches(message):
                    self.send(message.copy())
            super().dispatch(None)
        self.reading = False
        return False

    def topics(self) -> set[str]:
        """The topics of what waits for its owner here, or in a replay that is not over."""
        names = {message.destination for message in self._in_memory()}
        if self.returning is not None:
            names.update([delayed.message.destination for delayed in self.returning])
        if self.replay is not None:
            names.update(self.replay.topics())
        return names

    def _let_go_of_replay(self) -> None:
        if self.replay is not None:
            self.memory.subscriptions.give(self.replay.weight)
            self.replay = None

    def _end_replay(self, replay: Replay) -> None:
        self._let_go_of_replay()
        over = self._over
        self._over = None
        if over is not None:
            over(self, len(replay.histories) > 0)

    @property
    def _cost(self) -> int:
        return self.selector.cost if self.selector is not None else 0

    def ask(self, left: deque[Message], choice: Choice) -> bool:
        """Take some of ``left``; whether there are more."""
        most: int = ASKED
        while left and most > 0 and not self.deleted:
            message = left.popleft()
            name = message.destination
            most -= self._cost + choice.effort(name)
            if self.clock.is_over(message) or not choice.has(name) or not self.wants(message, None):
                continue
            if self.blocked:
                # Nothing is delivered yet, so nobody is slow.
                self.send(message.copy())
            else:
                self.post(message)
        return len(left) > 0 and not self.deleted

    def close(self) -> None:
        """Deliver nothing more; what waits is let go."""
        self._let_go_of_replay()
        self._over = None
        self.abandon()
        self.waiting = 0
        self.held = 0
        if self.owner is not None:
            self.discard(self.owner)
            self.owner = None


class _Reading(Sliced):
    """Looks through a replay."""

    __slots__ = ("_box",)

    def __init__(self, box: Mailbox) -> None:
        self._box = box

    def slice(self, budget: int) -> bool:
        """Look through some of it."""
        return not self._box.deleted and self._box.read_on()
