"""What there is of connections, and the end of one, over whatever carries them."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.errors import ClientError, Refused
from stompserver.manage import connections
from stompserver.manage.connection import Connection


class Carried(connections.Connections):
    """``open`` by id; ``closed`` are the errors that some were ended with."""

    def __init__(self, ids: list[str]) -> None:
        self.open = {id: Connection(id, "127.0.0.1", 3, "alice", "", "1.2", 1, 2, 300, False) for id in ids}
        self.closed: dict[str, ClientError] = {}
        self.asked = 0

    def keys(self) -> list[str]:
        return list(self.open)

    def find(self, key: str) -> Connection | None:
        self.asked += 1
        return self.open.get(key)

    def close(self, key: str, error: ClientError) -> bool:
        self.closed[key] = error
        return self.open.pop(key, None) is not None


def test_rows_are_made_in_slices_and_what_goes_meanwhile_has_none(new_world: Any) -> None:
    carried = Carried([str(number) for number in range(1200)])
    listing = connections.Connected(new_world().broker, carried)
    assert listing.step(500)
    assert carried.asked <= 1000
    del carried.open["1100"]
    while listing.step(500):
        pass
    assert listing.over
    assert [row["id"] for row in listing.rows] == [str(n) for n in range(1200) if n != 1100]
    assert listing.rows[0] == {
        "id": "0",
        "address": "127.0.0.1",
        "age": 3,
        "login": "alice",
        "client_id": "",
        "version": "1.2",
        "subscriptions": 1,
        "unsettled": 2,
        "waiting": 300,
        "held": False,
        "tls": "",
    }


def test_one_is_ended_with_the_reason() -> None:
    carried = Carried(["a", "b"])
    connections.close(carried, "a", "maintenance at noon")
    assert list(carried.open) == ["b"]
    assert "maintenance at noon" in str(carried.closed["a"])
    with pytest.raises(Refused, match="There is no connection a"):
        connections.close(carried, "a", "once more")
