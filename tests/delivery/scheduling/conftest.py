"""The client of these tests, and stompctl."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import wire


class Client(wire.Client):
    """Its subscriptions are called as their destinations."""

    def subscribe(self, destination: str, more: str = "", ack: str = "auto") -> wire.Frame:  # type: ignore[override]  # fewer arguments: the id is the destination
        return super().subscribe(destination, destination, more, ack)

    def fails(self, text: str) -> str:
        """Send a frame that is answered by ERROR; what that says."""
        self.send(text)
        return self.expect("ERROR").body

    def manage(self, action: str, **headers: str) -> dict[str, Any]:
        """The answer to a frame for the server itself."""
        number = f"m{next(wire.numbers)}"
        more = "".join(f"{name}:{value}\n" for name, value in headers.items())
        self.send(
            f"SEND\ndestination:/queue/stompserver.management\naction:{action}\n"
            f"reply-to:/temp-queue/answers\ncorrelation-id:{number}\n{more}\n\0"
        )
        frame = self.expect("MESSAGE")
        assert frame["correlation-id"] == number
        assert frame["content-type"] == "application/json"
        answer: dict[str, Any] = json.loads(frame.body)
        return answer


@pytest.fixture
def client_class() -> type[Client]:
    return Client


@pytest.fixture
def new_client() -> Iterator[Callable[[int], Client]]:
    """``new_client(port)`` gives a connection that is closed after the test."""
    made: list[Client] = []

    def connect(port: int) -> Client:
        made.append(Client(port))
        return made[-1]

    yield connect
    for client in made:
        client.close()
