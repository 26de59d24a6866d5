"""What may stand between a transport and a session: another protocol that carries STOMP's octets."""

from __future__ import annotations

from typing import Protocol


class Carrier(Protocol):
    """Turns what a transport reads into octets of STOMP, and octets of STOMP into what is written to it.

    It belongs to one connection and knows no STOMP. A plain TCP connection has none: its octets are STOMP's.
    ``ended`` turns true when the client has said, in the carrier's own way, that nothing more comes.
    """

    ended: bool

    def greeting(self) -> bytes:
        """What to write before anything else, or nothing."""

    def received(self, data: bytes) -> bytes:
        """The octets of STOMP in ``data``, which is what came next; those of a unit that is not complete may wait.

        Raises ProtocolError when it is not what the carrier expects: the client gets an ERROR, and nothing of it is
        taken any more.
        """

    def wrapped(self, pieces: list[bytes]) -> list[bytes]:
        """What to write for these pieces of STOMP, which go out together. Asked without any after each read: then it
        is what the carrier itself has to answer.
        """

    def farewell(self) -> bytes:
        """What to write behind all else, or nothing."""
