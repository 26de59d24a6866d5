"""What may stand between a transport and a session: another protocol that carries STOMP's octets."""

from __future__ import annotations

from typing import Protocol

from stompserver.errors import ClientError


class Carrier(Protocol):
    """Turns what a transport reads into octets of STOMP, and octets of STOMP into what is written to it.

    It belongs to one connection and knows no STOMP. A plain TCP connection has none: its octets are STOMP's.
    ``ended`` turns true when nothing more comes: because the client has said so, in the carrier's own way, or because
    what came is not what the carrier expects. Then ``fault`` says why, for an ERROR behind the answers to what came
    before it.
    """

    @property
    def ended(self) -> bool: ...

    @property
    def fault(self) -> ClientError | None: ...

    @property
    def more(self) -> bool:
        """Whether there is more of STOMP in what was received: it comes when nothing is."""

    @property
    def holds(self) -> int:
        """Octets that wait for others before STOMP begins."""

    @property
    def credentials(self) -> tuple[str | None, str | None] | None:
        """Login and passcode for a client whose CONNECT has none."""

    def greeting(self) -> bytes:
        """What to write before anything else, or nothing."""

    def received(self, data: bytes) -> bytes:
        """The octets of STOMP in ``data``, which is what came next; those of a unit that is not complete may wait."""

    def wrapped(self, pieces: list[bytes]) -> list[bytes]:
        """What to write for these pieces of STOMP, which are whole frames and go out together. Asked without any
        after each read: then it is what the carrier itself has to answer.
        """

    def tick(self, now: float, beats: bool) -> float | None:
        """Do what is due at ``now`` where the client is logged in; when to be called next, None when nothing is to
        come. ``beats``: there are heart-beats of STOMP.
        """

    def grow(self, limit: int) -> None:
        """The client is logged in, and its frames may have so many bytes."""

    def farewell(self, error: ClientError | None, ours: bool) -> bytes:
        """What to write behind all else, or nothing. ``error`` is what the client was told; ``ours``: it is the
        server that cannot go on, for reasons of its own.
        """

    def close(self) -> None:
        """The connection is gone."""
