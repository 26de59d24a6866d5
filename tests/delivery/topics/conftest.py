"""The client of these tests."""

from __future__ import annotations

import pytest

from wire import Frame, StrictClient


class Client(StrictClient):
    """With a client-id if it has one."""

    def __init__(self, port: int, client_id: str = "") -> None:
        super().__init__(port, f"client-id:{client_id}\n" if client_id else "")

    def publish(self, destination: str, *bodies: str, more: str = "") -> None:  # type: ignore[override]  # several bodies
        for body in bodies:
            super().publish(destination, body, more)

    def places(self, count: int) -> list[tuple[str, str]]:
        return [(frame["destination"], frame.body) for frame in self.take(count)]

    def ack(self, frame: Frame) -> None:
        self.send(f"ACK\nid:{frame['ack']}\n\n\0")


@pytest.fixture
def client_class() -> type[Client]:
    return Client
