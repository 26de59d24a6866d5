"""The client of these tests, and stompctl."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import wire
from stompserver.ctl.live import COMMANDS
from stompserver.ctl.main import main
from stompserver.ctl.store import store


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


@pytest.fixture
def stompctl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """``stompctl(*words, code=)`` runs it; what it printed."""
    monkeypatch.chdir(tmp_path)
    for command in (store, *COMMANDS):
        main.add_command(command)

    def run(*words: str, code: int = 0) -> str:
        ended = CliRunner().invoke(main, list(words), prog_name="stompctl")
        assert ended.exit_code == code, ended.output
        return ended.output

    return run
