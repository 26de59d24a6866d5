"""A page of the storage that the disk spoiled costs messages of one queue: not the others, and not each start."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stompserver.stores.base import Place
from stompserver.stores.lmdb.store import LmdbStore

PAGE = os.sysconf("SC_PAGE_SIZE")
COUNT = 300


@pytest.mark.parametrize("octet", [0x00, 0xA5], ids=["zeros", "noise"])
def test_a_damaged_page_costs_messages_of_one_queue(
    octet: int,
    restart: Callable[..., Any],
    connect: Callable[..., Any],
    gone: type[Exception],
    tmp_path: Path,
) -> None:
    server = restart("lmdb")
    names = ["/queue/first", "/queue/hurt", "/queue/last"]
    bodies = {name: [f"{name} {number} {100 * 'x'}" for number in range(COUNT)] for name in names}
    for name in names:
        connect(server).put(name, bodies[name])
    server.stop()
    store = LmdbStore(Place(tmp_path / ".stompserver", tmp_path))
    # Else pages that are not in use could have the same messages.
    store.compact()
    store.close()
    file = tmp_path / ".stompserver/lmdb/data.mdb"
    octets = bytearray(file.read_bytes())
    at = octets.rindex(bodies["/queue/hurt"][COUNT // 2].encode()) // PAGE * PAGE
    octets[at : at + PAGE] = bytes([octet]) * PAGE
    file.write_bytes(octets)

    found: dict[str, list[str]] = {}
    for _ in range(3):
        # LMDB may end the process that looks at such a page; the third start looks itself.
        try:
            server = restart("lmdb")
            for name in names:
                if name not in found:
                    found[name] = connect(server).bodies(name)
            break
        except gone:
            server.process.wait(30)
            server.judged = True
    assert found["/queue/first"] == bodies["/queue/first"]
    assert found["/queue/last"] == bodies["/queue/last"]
    hurt = bodies["/queue/hurt"]
    assert found["/queue/hurt"] == [body for body in hurt if body in found["/queue/hurt"]]
    assert 0 < COUNT - len(found["/queue/hurt"]) < 40
    server.wait_for_log(
        rf"ERROR .*/damaged-1.mdb, page {at // PAGE}: .*, with messages of '/queue/hurt' from \d+"
    )
    server.wait_for_log(r"ERROR .*/damaged-1.mdb, \d+ of \d+ messages of '/queue/hurt' cannot be read")
    kept = (tmp_path / ".stompserver/lmdb/damaged-1.mdb").read_bytes()
    assert kept[at : at + PAGE] == octets[at : at + PAGE]

    # The queue works, and the next start has nothing to tell.
    connect(server).put("/queue/hurt", ["new"])
    server.kill()
    server = restart("lmdb")
    assert connect(server).bodies("/queue/hurt") == ["new"]
    assert " ERROR " not in server.stop()
