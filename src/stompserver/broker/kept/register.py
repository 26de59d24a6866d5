"""Small things that must survive, each under a name: messages in a system queue that nobody subscribes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.message import Message

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk, Restorer

_NAME: Final = "name"


class Register:
    """``entries`` by name, kept in the system queue ``queue`` of the store and read back at the start.

    The name of an entry is in its message's ``extras``, under ``name``. ``restorer`` is called with what the store
    has of an earlier run, and passes it on to ``restore``.
    """

    __slots__ = ("entries", "log", "queue")

    def __init__(self, desk: Desk, queue: str, restorer: Restorer) -> None:
        self.log = desk.log
        self.queue = queue
        desk.restorers[queue] = restorer
        self.entries: dict[str, Message] = {}

    def set(self, name: str, message: Message) -> int:
        """Put ``message``, which has its key from the broker, in the place of what had that name; return the
        newest op's position.
        """
        extras = message.extras
        if extras is None:
            extras = message.extras = {}
        extras[_NAME] = name
        # An entry is asked for after a restart whatever its sender wished.
        message.persistent = True
        old = self.entries.get(name)
        with self.log.transaction():
            number = self.log.put(self.queue, message)
            if old is not None:
                number = self.log.remove(self.queue, old)
        self.entries[name] = message
        return number

    def remove(self, name: str) -> int:
        """Forget that entry, if there is one; return the newest op's position."""
        old = self.entries.pop(name, None)
        if old is None:
            return self.log.position
        return self.log.remove(self.queue, old)

    def restore(self, messages: list[Message]) -> None:
        """Take back what the store has of an earlier run, in the order of the keys."""
        for message in messages:
            message.stored = True
            name = message.extras.get(_NAME, "") if message.extras is not None else ""
            old = self.entries.get(name)
            if old is not None:
                self.log.remove(self.queue, old)
            self.entries[name] = message
