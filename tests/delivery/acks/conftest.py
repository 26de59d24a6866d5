"""The client of these tests, and servers for all those that need none of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wire import Client

numbers = itertools.count(1)


@pytest.fixture
def client_class() -> type[Client]:
    return Client


class Room:
    """Names of its own on a server that others use, too."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.queue = f"/queue/room{next(numbers)}"
        self.topic = f"/topic/room{next(numbers)}"
        self._clients: list[Client] = []

    def connect(self, *who: str) -> Client:
        self._clients.append(Client(self.server.port, *who))
        return self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            # What the log says of it must not come while the next test looks there.
            client.part()


@pytest.fixture(scope="session")
def building(start_shared_server: Any) -> Callable[..., Any]:
    """The server with these options."""
    servers: dict[tuple[str, ...], Any] = {}

    def find(*options: str) -> Any:
        if options not in servers:
            servers[options] = start_shared_server("--monitor-interval=0", *options)
        return servers[options]

    return find


@pytest.fixture(params=["memory", "lmdb"])
def room(request: pytest.FixtureRequest, building: Callable[..., Any]) -> Iterator[Room]:
    """With the options that the test's mark says."""
    mark = request.node.get_closest_marker("room")
    made = Room(building("-q", request.param, *(mark.args if mark else ())))
    yield made
    made.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "room(*words): options of the server of a room")
