"""The contract between a session and its shell: whoever carries octets between a client and a session, and knows the
time. A socket's connection is one, a test another.

The shell calls verbs and asks questions; it sets nothing. ``now`` is any clock in seconds, the same for all calls.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

from mypy_extensions import trait

from stompserver.errors import ClientError
from stompserver.manage.connection import Connection
from stompserver.session.events import Event
from stompserver.session.outbox import UNLIMITED
from stompserver.session.principal import Principal

ANSWERS_HIGH: Final = 256 * 1024
"""Bytes of answers that wait for the socket above which a client is to be read no more until the socket took them."""


@trait
class Talk:
    """A client's conversation, as its shell sees it. A session that has something new to be written puts itself into
    ``Roster.dirty``, once until it hears ``noticed``.
    """

    __slots__ = ()

    # Octets in

    @abstractmethod
    def begin(self, data: bytes, now: float) -> bool:
        """Take bytes from the client, and do one step of what the frames in them say: few frames that do not take
        long, or one that does. Whether there is ``more``, while which it is not to be called again.
        """

    @abstractmethod
    def go_on(self) -> bool:
        """Do one more step of what was taken, if there is ``more``; whether there is more after that."""

    @abstractmethod
    def end_of_stream(self) -> None:
        """The client will send no more, or the server is going: as after DISCONNECT, without a word."""

    @abstractmethod
    def reading(self, on: bool, now: float) -> None:
        """Whether the shell reads from the client, from now on: the silence of one that is not read tells nothing."""

    @abstractmethod
    def lost(self) -> None:
        """The connection is gone: put back what was not settled, abort transactions. May be called again."""

    # Octets out

    @abstractmethod
    def noticed(self) -> None:
        """The shell has seen that there is something to be written; for what is new from now on it is told again."""

    @abstractmethod
    def take_pieces(
        self, large: int, most: int = UNLIMITED, cut: bool = False, framed: bool = False
    ) -> list[bytes]:
        """The octets to send now: all, or where that is more than ``most`` bytes about so many. Bodies of ``large``
        bytes or more are pieces of their own, what is between them is in one; with ``cut`` a piece may end within a
        body, with ``framed`` the last one ends with a frame. They are the shell's from now on.
        """

    @abstractmethod
    def take_whole(self, large: int, most: int, now: float) -> bytes:
        """All octets to send at ``now``, where that is the usual case and nothing else is to be thought of: there are
        ``most`` bytes at most, one piece is better than several (``large`` as in ``take_pieces``), and the
        conversation goes on. They count as written, and the way to the client as one that takes more. Else nothing,
        and all is as before.
        """

    @abstractmethod
    def written(self, now: float) -> None:
        """What was taken is on its way to the client."""

    @abstractmethod
    def writable(self, on: bool) -> None:
        """Whether the way to the client can take more. While it cannot, the shell says so at each turn in which there
        is something to be written, so that a subscriber of a topic that falls too far behind is found.
        """

    # Time, the store, logins

    @abstractmethod
    def tick(self, now: float) -> float | None:
        """Do what is due at ``now``; return when to be called next, None when nothing is to come."""

    @abstractmethod
    def durable(self, position: int) -> None:
        """What was logged up to ``position`` is durable: what waited for it goes out."""

    @abstractmethod
    def calls_itself(self, login: str | None) -> None:
        """It is that ``login`` whose passcode is checked, which its client gave in another way than by CONNECT."""

    @abstractmethod
    def authenticated(self, principal: Principal | None, now: float, rights: Principal | None = None) -> None:
        """Whose ``credentials`` they are, None for nobody's, and ``rights``, the same with what it may do, None for
        everything. Frames that waited are processed, the first step of them
        at once.
        """

    @abstractmethod
    def entitle(self, principal: Principal) -> None:
        """What its client may do from now on, who is the same as before. Before CONNECTED it is who connects where no
        login is checked; later the conversation ends where the client has what it may not have any more.
        """

    @abstractmethod
    def renewed(self, principal: Principal | None, problem: ClientError | None, now: float) -> None:
        """Whose ``renewal_passcode`` that is, None for nobody's, or why that is not known."""

    @abstractmethod
    def refuse(self, error: ClientError) -> None:
        """End the conversation with an ERROR, for a reason of the shell's."""

    @abstractmethod
    def unblock(self) -> None:
        """The client does not wait for room in a queue, or not any more."""

    @abstractmethod
    def events(self) -> list[Event]:
        """What happened since the last call, in order."""

    # Questions

    @abstractmethod
    def whose(self) -> Principal:
        """Who its client is."""

    @abstractmethod
    def describe(self, address: str, buffered: int, held: bool, now: float) -> Connection | None:
        """What is told of it to those who manage the server, with what only the shell knows: the ``address``, octets
        that were taken and are still ``buffered``, whether it is ``held`` back from sending. None when it ends.
        """

    @property
    @abstractmethod
    def closing(self) -> bool:
        """Whether nothing is left but to write what there is and to close."""

    @property
    @abstractmethod
    def connected(self) -> bool:
        """Whether CONNECTED was sent, and the conversation goes on."""

    @property
    @abstractmethod
    def credentials(self) -> tuple[str | None, str | None] | None:
        """Login and passcode that the shell is to check; None when there is nothing to check."""

    @property
    @abstractmethod
    def renewal_passcode(self) -> str | None:
        """A new token of the same login, that the shell is to check after Renewing; None when there is none."""

    @property
    @abstractmethod
    def principal_login(self) -> str | None:
        """Who the client was found to be."""

    @property
    @abstractmethod
    def beats(self) -> bool:
        """Whether heart-beats were agreed, of either side."""

    @property
    @abstractmethod
    def unsettled(self) -> int:
        """How many deliveries the client has not settled."""

    @property
    @abstractmethod
    def sent(self) -> int:
        """How many SENDs there were so far."""

    @property
    @abstractmethod
    def blocked(self) -> bool:
        """Whether a queue that the client sent to is full and lets its producers wait."""

    @property
    @abstractmethod
    def answers(self) -> int:
        """Bytes that wait to be written, or for the store before that, and are no messages: what the client asked for
        faster than it reads.
        """

    @property
    @abstractmethod
    def more(self) -> bool:
        """Whether there is more to do of what was taken from the client."""

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether there is ``more``, and what is under way has to be done before it: ``go_on`` does nothing. It puts
        itself into ``Roster.dirty`` when that is done.
        """

    @property
    @abstractmethod
    def unsent(self) -> bool:
        """Whether there is anything to ``take_pieces`` of."""

    @property
    @abstractmethod
    def unwritten(self) -> int:
        """Bytes that wait to be written and do not count as memory yet."""

    @property
    @abstractmethod
    def unfinished(self) -> int:
        """Bytes of a frame that is not complete, of frames that wait for another step, and of a CONNECT that is not
        answered.
        """

    @property
    @abstractmethod
    def hurried(self) -> bool:
        """Whether something is due earlier than the last ``tick`` said, so that it is to be called again."""

    @abstractmethod
    def sends(self, data: bytes) -> bool:
        """Whether ``data``, when it comes next, begins with a SEND frame or the rest of one, or with the BEGIN that
        SENDs usually follow.
        """
