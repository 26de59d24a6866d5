"""Queues that deliver nothing for now, also after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.kept.register import Register
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.names.destination import SYSTEM
from stompserver.errors import Refused

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk

PAUSES: Final = SYSTEM + "pauses"
"""The queue of the store that names them."""


class Pauses:
    """Pauses queues and remembers which."""

    __slots__ = ("_desk", "_register")

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._register = Register(desk, PAUSES, self._restore)

    def pause(self, name: str) -> int:
        """Let the queue ``name`` deliver nothing; made when there is none, so that what comes waits. Returns the op's
        number. Raises Refused when there are too many queues.
        """
        desk = self._desk
        queue = desk.queue(name)
        if queue.paused:
            return desk.log.position
        queue.pause()
        desk.use(queue)
        entry = Message(name, {}, b"", OVERHEAD + len(name))
        desk.place(entry)
        entry.number = desk.fresh()
        return self._register.set(name, entry)

    def resume(self, name: str) -> int:
        """Let it deliver again; return the op's position."""
        queue = self._desk.queues.get(name)
        number = self._register.remove(name)
        if queue is not None and queue.paused:
            queue.unpause()
        return number

    def forget(self, name: str) -> None:
        """The queue is no more."""
        self._register.remove(name)

    def _restore(self, name: str, messages: list[Message]) -> list[str]:
        """Pause again what was paused; return what could not be."""
        self._register.restore(messages)
        faults: list[str] = []
        for paused in list(self._register.entries):
            try:
                queue = self._desk.queue(paused)
            except Refused as problem:
                faults.append(f"{paused} is not paused any more: {problem}")
                self._register.remove(paused)
                continue
            queue.pause()
            self._desk.use(queue)
        return faults
