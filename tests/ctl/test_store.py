"""`stompctl store` on stores that a server could have left."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.oplog import PUT, Op
from stompserver.ctl.main import main
from stompserver.ctl.store import store as store_group
from stompserver.stores.base import STORES, Place, open_store
from stompserver.stores.lock import Lock

KINDS = sorted(set(STORES) - {"memory"})
ORIGINAL = Path(__file__).parent.parent / "migrate" / "data" / "file" / "ruby18"

Ctl = Callable[..., Result]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ctl:
    monkeypatch.chdir(tmp_path)
    main.add_command(store_group)

    def run(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, list(words), prog_name="stompctl")
        assert result.exit_code == code, result.output
        return result

    return run


def message(key: int, body: bytes = b"hello", **headers: str) -> Message:
    made = Message("/queue/a", headers, body, len(body) + OVERHEAD, True)
    made.key = made.number = key
    return made


def fill(kind: str, storage: Path, rows: list[tuple[str, Message]]) -> None:
    storage.mkdir(parents=True, exist_ok=True)
    there = open_store(kind, Place(storage, storage.parent / "etc"))
    there.load()
    there.commit([Op(PUT, queue, each.key, each, each.size) for queue, each in rows], True)
    there.close()


def content(kind: str, storage: Path) -> list[tuple[str, int, bytes, dict[str, str], int]]:
    there = open_store(kind, Place(storage, storage.parent / "etc"))
    there.load()
    rows = []
    for queue, each in there.scan():
        assert isinstance(each, Message)
        rows.append((queue, each.key, each.body, each.headers, each.attempts))
    there.close()
    return sorted(rows, key=lambda row: row[1])


def test_stats(ctl: Ctl, kind: str, tmp_path: Path) -> None:
    fill(
        kind,
        tmp_path / ".stompserver",
        [("/queue/b", message(n)) for n in (1, 2)]
        + [("/queue/a", message(3)), ("$stompserver/retained", message(4))],
    )
    size = 5 + OVERHEAD
    assert json.loads(ctl("-q", kind, "store", "stats", "--json").stdout) == {
        "queues": {
            "/queue/a": {"messages": 1, "bytes": size},
            "/queue/b": {"messages": 2, "bytes": 2 * size},
        }
    }
    lines = ctl("-q", kind, "store", "stats").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["messages", "bytes", "queue"],
        ["1", f"{size:,}", "/queue/a"],
        ["2", f"{2 * size:,}", "/queue/b"],
        ["3", f"{3 * size:,}", "in", "2", "queues"],
    ]


def test_check_of_a_sound_store(ctl: Ctl, kind: str, tmp_path: Path) -> None:
    fill(kind, tmp_path / ".stompserver", [("/queue/a", message(n)) for n in range(1, 11)])
    assert ctl("-q", kind, "store", "check").stdout == "10 messages can be read, 0 damages\n"


@pytest.mark.parametrize("target", KINDS)
def test_messages_move_between_kinds_of_stores(ctl: Ctl, kind: str, target: str, tmp_path: Path) -> None:
    rows = [
        ("/queue/b", message(5, b"\x00\xff", a="1")),
        ("/queue/a", message(3, "é".encode(), x="line\nfeed", y="")),
        ("/queue/a/b", message(4, b"")),
    ]
    rows[0][1].attempts = 2
    fill(kind, tmp_path / "from", rows)
    ctl("-q", kind, "-s", "from", "store", "export", "out.jsonl")
    text = (tmp_path / "out.jsonl").read_text()
    assert len(text.splitlines()) == 4
    result = ctl("-q", target, "-s", "to", "store", "import", "out.jsonl")
    assert "3 messages imported" in result.output
    assert content(target, tmp_path / "to") == content(kind, tmp_path / "from")
    ctl("-q", target, "-s", "to", "store", "import", "out.jsonl")
    assert len(content(target, tmp_path / "to")) == 3, "the same file adds nothing"


def test_export_to_the_standard_output(ctl: Ctl, tmp_path: Path) -> None:
    fill("lmdb", tmp_path / ".stompserver", [("/queue/a", message(1))])
    lines = ctl("-q", "lmdb", "store", "export", "-").stdout.splitlines()
    assert json.loads(lines[0]) == {"stompserver-export": 1}
    assert json.loads(lines[1])["body"] == "hello"


def test_a_number_that_is_taken_stops_the_import_unless_renumbered(ctl: Ctl, tmp_path: Path) -> None:
    fill("lmdb", tmp_path / "one", [("/queue/a", message(7, b"one")), ("/queue/a", message(8, b"two"))])
    fill("lmdb", tmp_path / "other", [("/queue/a", message(7, b"other"))])
    ctl("-q", "lmdb", "-s", "one", "store", "export", "out.jsonl")
    result = ctl("-q", "lmdb", "-s", "other", "store", "import", "out.jsonl", code=1)
    assert "number 7 of the file is another message's in /queue/a already" in result.output
    assert [row[2] for row in content("lmdb", tmp_path / "other")] == [b"other"]
    ctl("-q", "lmdb", "-s", "other", "store", "import", "--renumber", "out.jsonl")
    assert [(row[1], row[2]) for row in content("lmdb", tmp_path / "other")] == [
        (7, b"other"),
        (8, b"one"),
        (9, b"two"),
    ]


def test_a_bad_file_changes_nothing(ctl: Ctl, tmp_path: Path) -> None:
    fill("lmdb", tmp_path / "one", [("/queue/a", message(n)) for n in range(1, 4)])
    ctl("-q", "lmdb", "-s", "one", "store", "export", "out.jsonl")
    with open(tmp_path / "out.jsonl", "a") as file:
        file.write('{"queue": "/queue/a"}\n')
    result = ctl("-q", "lmdb", "-s", "to", "store", "import", "out.jsonl", code=1)
    assert "line 5: not a message" in result.output
    result = ctl("-q", "lmdb", "-s", "to", "store", "stats", code=0)
    assert "in 0 queues" in result.output


def test_compact(ctl: Ctl, kind: str, tmp_path: Path) -> None:
    fill(kind, tmp_path / ".stompserver", [("/queue/a", message(n)) for n in range(1, 4)])
    assert "bytes before" in ctl("-q", kind, "store", "compact").output
    assert len(content(kind, tmp_path / ".stompserver")) == 3


def test_a_running_server_keeps_others_off(ctl: Ctl, tmp_path: Path) -> None:
    fill("lmdb", tmp_path / ".stompserver", [("/queue/a", message(1))])
    lock = Lock(tmp_path / ".stompserver")
    try:
        for words in (("stats",), ("check",), ("export", "-"), ("compact",)):
            result = ctl("-q", "lmdb", "store", *words, code=1)
            assert "is in use by process" in result.output
    finally:
        lock.release()


def test_what_cannot_be_meant(ctl: Ctl, tmp_path: Path) -> None:
    assert "queue type is memory" in ctl("store", "stats", code=1).output
    assert "there is no storage" in ctl("-q", "lmdb", "store", "stats", code=1).output
    assert "unknown queue type" in ctl("-q", "bogus", "store", "stats", code=2).output
    assert not list(tmp_path.iterdir()), "nothing is made by looking"


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ORIGINAL, tmp_path / "ruby"))


def test_the_originals_storage_is_taken_over_once(
    ctl: Ctl, kind: str, original: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in original.rglob("*") if path.is_file()}
    dry = ctl("store", "import-original", "--dry-run", str(original)).output
    assert "164           31,742  would be taken, in 8 queues" in dry
    assert not (tmp_path / ".stompserver").exists()
    result = ctl("-q", kind, "store", "import-original", "--json", str(original))
    report = json.loads(result.stdout)
    assert sum(line["taken"] for line in report["queues"]) == 164
    rows = content(kind, tmp_path / ".stompserver")
    many = [row for row in rows if row[0] == "/queue/many"]
    assert [row[3]["seq"] for row in many] == [str(number) for number in range(150)]
    assert ctl("-q", kind, "store", "import-original", str(original)).output.count("imported before") == 8
    assert content(kind, tmp_path / ".stompserver") == rows
    assert {path: path.read_bytes() for path in original.rglob("*") if path.is_file()} == before


def test_a_folder_without_an_original(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = ctl("-q", "lmdb", "store", "import-original", "empty", code=1)
    assert "is no storage of the original stompserver" in result.output
