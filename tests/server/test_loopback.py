"""Which clients are on the server's own machine."""

from __future__ import annotations

import pytest

from stompserver.server.connection import is_loopback


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "::1%lo"])
def test_this_machine(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "::", "0.0.0.0", "?", ""])
def test_another(address: str) -> None:
    assert not is_loopback(address)
