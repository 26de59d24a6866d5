"""The report of an import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stompserver.migrate import Ledger, into, read


def test_what_was_taken_repaired_and_left(fixtures: Any, store: Any, tmp_path: Path) -> None:
    source = fixtures.path("file/ruby18_checkpoint60")
    report = into(read(source), store, 1, Ledger(tmp_path))
    assert report.lines() == [
        f"{source}: the original's storage of queue type file",
        "",
        "    messages            bytes  queue",
        "           3               12  /queue/cp",
        "           3               12  taken, in 1 queue",
        "",
        "Repaired:",
        "  /queue/cp: not listed in qinfo, but the file is there: vm-1795403539-624098-2,"
        " vm-1795403539-624159-3, vm-1795403539-624735-4",
        "",
        "Left where it is:",
        "  /queue/cp: listed in qinfo, but there is no such file: vm-1795403539-623814-1",
    ]
    again = into(read(source), store, 1, Ledger(tmp_path), dry=True)
    assert again.lines()[3:5] == [
        "           0                0  /queue/cp  (3 imported before)",
        "           0                0  would be taken, in 1 queue",
    ]
    assert json.loads(json.dumps(again.data()))["queues"] == [
        {"queue": "/queue/cp", "taken": 0, "bytes": 0, "already": 3}
    ]


def test_long_lists_are_shortened_and_names_are_safe_to_print(ruby: Any, store: Any, tmp_path: Path) -> None:
    ids = [f"h-1-1-{number}" for number in range(7)]
    (tmp_path / "qinfo").write_bytes(ruby.qinfo({"/queue/\x1b[31mred\n\udcff": ids}))
    report = into(read(tmp_path), store, 1, Ledger(tmp_path), dry=True)
    text = str(report)
    assert "h-1-1-0, h-1-1-1, h-1-1-2 and 4 more" in text
    assert "\x1b" not in text
    assert "/queue/\\x1b[31mred\\n\\udcff: listed" in text
    text.encode()
    assert len(report.data()["notes"][0]["places"]) == 7
