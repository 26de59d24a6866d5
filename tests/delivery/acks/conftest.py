"""The client of these tests."""

from __future__ import annotations

import pytest

from wire import Client


@pytest.fixture
def client_class() -> type[Client]:
    return Client
