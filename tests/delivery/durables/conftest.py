"""The client of these tests: messages may come before a receipt."""

from __future__ import annotations

import json
from typing import Any

import pytest

import wire


class Client(wire.Client):
    def ask(self, action: str, more: str = "") -> Any:
        """What the server answers to a management frame."""
        self.send("SUBSCRIBE\nid:answers\ndestination:/temp-queue/answers\n\n\0")
        self.send(
            "SEND\ndestination:/queue/stompserver.management\nreply-to:/temp-queue/answers\n"
            f"action:{action}\n{more}\n\0"
        )
        answer = json.loads(self.expect("MESSAGE").body)
        self.receipt("UNSUBSCRIBE\nid:answers\n\n\0")
        return answer


@pytest.fixture
def client_class() -> type[Client]:
    return Client
