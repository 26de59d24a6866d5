"""What the parts of a server may ask of a connection, and why a connection may not be read."""

from __future__ import annotations

from typing import Final, Protocol

from stompserver.session.talk import Talk

# Why a connection is not read; several at once are one number.
LOGIN: Final = 1
"""Its login is being checked."""

THROTTLED: Final = 2
"""Memory for messages is short, or the storage is behind."""

UNREAD: Final = 4
"""Its client does not read the answers to what it sends."""

TURN: Final = 8
"""It has been read enough for this turn of the loop."""

RATED: Final = 32
"""Its login sent more in a second than it may."""

CHOKED: Final = 16
"""It sent to a queue that is full and lets its producers wait."""


class Peer(Protocol):
    """A connection, as those see it who decide when it is read and written.

    ``session`` is None once it is lost. ``gone`` tells that the client is known to have left, although not all it
    sent was read.
    """

    session: Talk | None
    gone: bool

    @property
    def holds(self) -> int:
        """Bytes of memory that only this client can give back: its unfinished frame."""

    @property
    def may_wait(self) -> bool:
        """Whether nobody else has to wait when this client is not read."""

    def go_on(self) -> None:
        """It has rested: do more of what was read of it, and read it again when that is all."""

    def flush(self) -> None:
        """Write what its session has to say, and close when that was all."""

    def abort(self) -> None:
        """Cut it without a word."""

    def hold(self, reason: int) -> None:
        """Stop reading for ``reason``: LOGIN, THROTTLED, UNREAD, TURN, CHOKED or RATED."""

    def release(self, reason: int) -> None:
        """Read again, unless there is another reason not to."""

    def burden(self) -> int:
        """Bytes that it makes the server hold because its client does not read, or does not go on with a frame, for
        long. Asked once a second while others wait.
        """

    def dismiss(self) -> None:
        """Cut it with an ERROR, because its burden keeps others waiting."""

    def sends_next(self) -> bool:
        """Whether what its client says next, which was not read yet, is or may be a SEND."""

    def fileno(self) -> int:
        """The socket's number; negative when it is closed."""
