"""Which SENDs mean no more than those before them did, so that they can be read in one step (see ``wire.alike``)."""

from __future__ import annotations

from typing import Final, cast

from stompserver.broker.message import NORMAL, Message
from stompserver.session.client import Client
from stompserver.session.commands.sending import TEMPORARY
from stompserver.session.dialect import headers as dialect
from stompserver.session.dialect import values
from stompserver.wire.frame import Lesson
from stompserver.wire.parser import Parser

_GROUP: Final = frozenset(dialect.GROUP)
_TRUTHS: Final = frozenset(dialect.PERSISTENT)
_SPANS: Final = frozenset(dialect.RELATIVE)


class Meaning(Lesson):
    """What header lines that are equal in many SENDs say about each of their messages: ``persistent``, ``priority``
    and ``exceptions`` as a Message has them, and in how many ms it expires (``life``; -1: never).
    """

    __slots__ = ("exceptions", "life", "persistent", "priority")

    def __init__(self) -> None:
        self.persistent = True
        self.priority: int = NORMAL
        self.exceptions: int = -1
        self.life: int = -1

    def matters(self) -> bool:
        """Whether a message is another by it than without."""
        return not self.persistent or self.priority != NORMAL or self.exceptions >= 0 or self.life >= 0


def learn(parser: Parser, session: Client, block: bytes, headers: dict[str, str]) -> None:
    """Have the ``parser`` of ``session`` read SENDs like the one with this header ``block`` in one step, if they say
    nothing that has to be looked at each time. Its destination is one that the session remembers, and not among its
    ``headers``.
    """
    meaning = Meaning()
    whole: set[bytes] = set()
    group = b""
    special = dialect.SPECIAL.intersection(headers)
    for name in special:
        value = headers[name]
        if name == "transaction":
            continue
        if name in _GROUP:
            if group or not value:
                return
            group = name.encode()
            continue
        if not _read(session, meaning, name, value):
            return
        whole.add(name.encode())
    if len(_TRUTHS & special) > 1 or len(_SPANS & special) > 1:
        # Which of them counts is decided elsewhere.
        return
    told = group or "transaction" in headers or meaning.matters()
    parser.learn(block, whole, group, meaning if told else None)


def _read(session: Client, meaning: Meaning, name: str, value: str) -> bool:
    """Let ``meaning`` have what this header says; false when that is not the same for each message, or for none."""
    if name in _TRUTHS:
        if not values.is_truth(value):
            return False
        meaning.persistent = values.truth(value, True)
        return True
    if name == "priority":
        place = values.whole(value)
        if place is None or not 0 <= place <= 9:
            return False
        meaning.priority = place
        return True
    if name == "expires":
        return values.whole(value) == 0
    if name in _SPANS:
        span = values.whole(value)
        # x-message-ttl is a property of the queue as well.
        if span is None or span < 0 or name in dialect.PROPERTIES:
            return False
        meaning.life = span
        return True
    if name == "max-exceptions":
        count = values.whole(value)
        if count is None or count < 0:
            return False
        meaning.exceptions = count
        return True
    if name == "reply-to":
        return not value.startswith(TEMPORARY)
    if name == "user-id":
        return value == (session.login or "")
    return False


def apply(lesson: Lesson, message: Message, now: int) -> None:
    """Let ``message``, which came at ``now`` (Unix ms), be as ``lesson`` says."""
    meaning = cast(Meaning, lesson)
    message.persistent = meaning.persistent
    message.priority = meaning.priority
    message.exceptions = meaning.exceptions
    if meaning.life >= 0:
        message.expires = now + meaning.life
