"""Queues that deliver nothing for now, also after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.destination import SYSTEM
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.register import Register
from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker

PAUSES: Final = SYSTEM + "pauses"
"""The queue of the store that names them."""


class Pauses:
    """Pauses queues and remembers which."""

    __slots__ = ("_broker", "_register")

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._register = Register(broker.log, PAUSES)

    def pause(self, name: str) -> int:
        """Let the queue ``name`` deliver nothing; made when there is none, so that what comes waits. Returns the op's
        number. Raises Refused when there are too many queues.
        """
        broker = self._broker
        queue = broker.queue(name)
        if queue.paused:
            return broker.log.number
        queue.pause()
        if queue.idle:
            broker._use(queue)
        entry = Message(name, {}, b"", OVERHEAD + len(name))
        broker.place(entry)
        entry.number = broker.fresh()
        return self._register.set(name, entry)

    def resume(self, name: str) -> int:
        """Let it deliver again; return the op's number."""
        queue = self._broker.queues.get(name)
        number = self._register.remove(name)
        if queue is not None and queue.paused:
            queue.unpause()
        return number

    def forget(self, name: str) -> None:
        """The queue is no more."""
        self._register.remove(name)

    def restore(self, messages: list[Message]) -> list[str]:
        """Pause again what was paused; return what could not be."""
        self._register.restore(messages)
        faults: list[str] = []
        for name in list(self._register.entries):
            try:
                queue = self._broker.queue(name)
            except Refused as problem:
                faults.append(f"{name} is not paused any more: {problem}")
                self._register.remove(name)
                continue
            queue.pause()
            if queue.idle:
                self._broker._use(queue)
        return faults
