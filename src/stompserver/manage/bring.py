"""What waits for a durable subscription of an earlier version, on its way to the queue that it has now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.broker.message import NUMBER, Message
from stompserver.manage.walk import Walk

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.topics.feed import Fed


class Bringing(Walk):
    """Brings all that waits in the queue of ``past`` to its heir's, in its order and with its attempts.

    What is sent to the topic meanwhile comes by the old queue too, so that it stays behind what was before it. When
    that is empty the topic feeds the heir. If the server ends before, the next SUBSCRIBE begins anew.
    """

    __slots__ = ("_moved", "_past")

    def __init__(self, broker: Broker, past: Fed) -> None:
        super().__init__(broker, broker.fanout.durables.queue_of(past))
        self._past = past
        self._moved: int = 0

    def visit(self, message: Message, paged: bool) -> None:
        """Bring it. There is room for it, since it leaves the other in the same step."""
        heir = self._past.heir
        if heir is None:
            self.finish()
            return
        broker = self.broker
        twin = message.copy()
        twin.attempts = message.attempts
        broker.place(twin)
        # Copies of one message may meet there, and must be told apart.
        twin.number = twin.key & NUMBER
        twin.head = None
        twin.variants = None
        # By its new number nobody knows how the clock was set before.
        twin.expires = broker.clock.expiry(message)
        with broker.log.transaction():
            if paged:
                self.queue.lose_paged(message, "dropped")
            else:
                self.queue.lose(message, "dropped")
            broker.put(broker.fanout.durables.queue_of(heir), twin, True)
        self._moved += 1

    def finish(self, problem: str = "") -> None:
        """All that was there at the beginning is gone: bring what came later, or let the topic feed the heir."""
        if self.over:
            return
        super().finish(problem)
        queue, broker = self.queue, self.broker
        heir = self._past.heir
        if queue.deleted or heir is None:
            return
        if queue.waiting and self._moved:
            Bringing(broker, self._past).start()
            return
        with broker.log.transaction():
            if queue.paused:
                broker.pauses.pause(heir.queue)
                broker.pauses.resume(queue.name)
            if queue.waiting:
                # It cannot be read, so it stays.
                broker.tell(f"{queue.waiting} messages of {queue.name[:200]} cannot be read, and stay there")
                broker.fanout.durables.unbind(queue.name)
                queue.bound = False
            else:
                broker.delete(queue)
