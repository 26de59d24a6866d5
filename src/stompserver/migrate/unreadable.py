"""What a reader raises for octets that are not what the original wrote."""

from __future__ import annotations

from stompserver.errors import StoreDamaged


class Unreadable(StoreDamaged):
    """Octets that are cut off, damaged or of a kind that the original never wrote, ``at`` a byte offset."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(f"byte {at}: {reason}")
        self.at: int = at
        self.reason = reason
