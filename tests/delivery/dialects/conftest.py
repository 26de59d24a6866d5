"""The client of these tests."""

from __future__ import annotations

import pytest

from wire import Frame, StrictClient


class Client(StrictClient):
    def message(self, body: str) -> Frame:
        frame = self.expect("MESSAGE")
        assert frame.body == body, frame
        return frame


@pytest.fixture
def client_class() -> type[Client]:
    return Client
