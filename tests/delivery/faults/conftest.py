"""A server for each dialect on each storage, for all tests of this folder, and names on it that no other test has."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wire import Client

DIALECTS = ("original", "rabbitmq", "activemq", "artemis", "apollo")
numbers = itertools.count(1)


class Building:
    """One server, which is started again where it keeps anything."""

    def __init__(self, start: Any, dialect: str, store: str, directory: Path) -> None:
        self.dialect = dialect
        self.keeps = store != "memory"
        self._start = start
        self._options = (f"--dialect={dialect}", "-q", store, "--monitor-interval=0", "--linger=0.1")
        self._directory = directory
        self.server = start(*self._options, directory=directory)

    def restart(self) -> None:
        self.server.kill()
        self.server = self._start(*self._options, directory=self._directory)


class Place:
    """Names of its own on a server of this dialect that others use, too."""

    def __init__(self, building: Building) -> None:
        self.dialect = building.dialect
        self.keeps = building.keeps
        self.name = f"place{next(numbers)}"
        self.queue = f"/queue/{self.name}"
        self.topic = f"/topic/{self.name}"
        self._building = building
        self._clients: list[Client] = []

    @property
    def server(self) -> Any:
        return self._building.server

    def connect(self, more: str = "", version: str = "1.2") -> Client:
        self._clients.append(Client(self.server.port, more, version))
        return self._clients[-1]

    def restart(self) -> None:
        """All connections end. Where the server keeps anything, it is killed and started again."""
        self.close()
        if self.keeps:
            self._building.restart()

    def close(self) -> None:
        for client in self._clients:
            client.part()
        self._clients.clear()

    def left(self, destination: str, count: int, more: str = "") -> list[str]:
        """What is in there; it is not any more."""
        client = self.connect()
        client.subscribe(destination, more=more)
        bodies = client.bodies(count)
        client.leave()
        return bodies

    def dead(self, origin: str) -> list[str]:
        """The bodies of the dead letters of this queue, all of which are there by now; they stay."""
        client = self.connect()
        client.subscribe(
            self.dead_letters(origin),
            more=f"browser:true\nselector:original-destination = '{origin}'\n",
        )
        bodies = []
        while not (frame := client.expect("MESSAGE")).has("browser"):
            bodies.append(frame.body)
        client.leave()
        return bodies

    def dead_letters(self, origin: str) -> str:
        """Where dead letters of this queue go."""
        return {
            "original": "/queue/deadletter",
            "rabbitmq": "/queue/deadletter",
            "activemq": "/queue/ActiveMQ.DLQ",
            "artemis": "/queue/DLQ",
            "apollo": "/queue/dlq." + origin.removeprefix("/queue/"),
        }[self.dialect]


@pytest.fixture(
    scope="session",
    params=[(dialect, store) for store in ("memory", "lmdb") for dialect in DIALECTS],
    ids="-".join,
)
def building(
    request: pytest.FixtureRequest, start_shared_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Building]:
    """The tests of each follow one another, in all modules, so that one server is there at a time."""
    dialect, store = request.param
    made = Building(start_shared_server, dialect, store, tmp_path_factory.mktemp("server"))
    yield made
    made.server.stop()


@pytest.fixture
def place(building: Building) -> Iterator[Place]:
    made = Place(building)
    yield made
    made.close()
