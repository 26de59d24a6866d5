"""The reader of the queue type file, with indexes and directories as crashes and bugs leave them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stompserver.errors import StoreForeign
from stompserver.migrate import read
from stompserver.migrate.original import Note, Original


@pytest.fixture
def storage(tmp_path: Path, ruby: Any) -> Any:
    """Makes a storage: an index (by queue the ids), and message files by path."""

    def make(index: dict[str, list[str]], files: dict[str, bytes], **more: Any) -> Path:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
        (tmp_path / "qinfo").write_bytes(ruby.qinfo(index, **more))
        return tmp_path

    return make


def bodies(original: Original) -> dict[str, list[bytes]]:
    return {queue.name: [item.message.body for item in queue.items] for queue in original.queues}


def note(original: Original, kind: str, words: str) -> Note:
    (found,) = [one for one in original.notes if one.kind == kind and words in one.reason]
    return found


A1, A2, A3, A4 = "h-100-000001-1", "h-100-000002-2", "h-101-000001-3", "h-102-000001-4"


def test_the_order_is_the_indexs(storage: Any, ruby: Any) -> None:
    files = {f"_queue_a/{id}": ruby.file("/queue/a", id, id.encode()) for id in (A1, A2, A3)}
    assert bodies(read(storage({"/queue/a": [A3, A1, A2]}, files))) == {
        "/queue/a": [A3.encode(), A1.encode(), A2.encode()]
    }


def test_what_is_listed_and_missing_is_skipped(storage: Any, ruby: Any) -> None:
    original = read(storage({"/queue/a": [A1, A2]}, {f"_queue_a/{A2}": ruby.file("/queue/a", A2, b"2")}))
    assert bodies(original) == {"/queue/a": [b"2"]}
    assert note(original, "left", "no such file").places == [A1]


def test_what_is_not_listed_is_recovered_in_its_place(storage: Any, ruby: Any) -> None:
    ids = (A1, A2, A3, A4)
    files = {f"_queue_a/{id}": ruby.file("/queue/a", id, id.encode()) for id in ids}
    files |= {f"_queue_b/{A1}": ruby.file("/queue/b", A1, b"b")}
    original = read(storage({"/queue/a": [A3, A2]}, files))
    assert bodies(original) == {
        "/queue/a": [A1.encode(), A3.encode(), A2.encode(), A4.encode()],
        "/queue/b": [b"b"],
    }
    (a, b) = [one for one in original.notes if one.kind == "repaired"]
    assert (a.queue, a.places, b.queue, b.places) == ("/queue/a", [A1, A4], "/queue/b", [A1])


def test_two_queues_in_one_directory(storage: Any, ruby: Any) -> None:
    files = {
        f"_queue_a_b/{A1}": ruby.file("/queue/a_b", A1, b"1"),
        f"_queue_a_b/{A2}": ruby.file("/queue/a/b", A2, b"2"),
        f"_queue_a_b/{A3}": ruby.file("/queue/a_b", A3, b"3"),
        f"_queue_a_b/{A4}": ruby.file("/queue/a/b", A4, b"4"),
    }
    original = read(storage({"/queue/a_b": [A1], "/queue/a/b": [A2, A4]}, files))
    assert bodies(original) == {"/queue/a_b": [b"1", b"3"], "/queue/a/b": [b"2", b"4"]}
    assert note(original, "repaired", "not listed").queue == "/queue/a_b"


@pytest.mark.parametrize(
    "folder",
    [b"/srv/old/machine/_queue_a", b"C:\\old\\_queue_a", b"/elsewhere/gone", b"/", b"..", b"/x/..", b""],
)
def test_the_directory_of_another_machine_is_not_followed(storage: Any, ruby: Any, folder: bytes) -> None:
    made = storage({"/queue/a": [A1]}, {f"_queue_a/{A1}": ruby.file("/queue/a", A1, b"here")})
    (made / "qinfo").write_bytes(ruby.qinfo({"/queue/a": [A1]}, queue_dir=folder))
    original = read(made)
    assert bodies(original) == {"/queue/a": [b"here"]}
    assert original.notes == []


@pytest.mark.parametrize("id", ["../secret", "../../etc/passwd", "..", ".", "", "/etc/passwd", "a\0b"])
def test_no_id_leads_out_of_the_directory(storage: Any, ruby: Any, id: str) -> None:
    made = storage({"/queue/a": [id]}, {f"_queue_a/{A1}": ruby.file("/queue/a", A1, b"1")})
    (made / "secret").write_bytes(ruby.file("/queue/a", "x", b"secret"))
    original = read(made)
    assert bodies(original) == {"/queue/a": [b"1"]}
    assert note(original, "left", "no such file").places == [id]


def test_dead_letters_are_dead_letters_though_they_name_their_old_queue(storage: Any, ruby: Any) -> None:
    files = {
        f"_queue_deadletter/{A1}": ruby.file("/queue/a", A1, b"1"),
        f"_queue_deadletter/{A2}": ruby.file("/queue/a", A2, b"2"),
    }
    original = read(storage({"/queue/deadletter": [A1]}, files))
    assert bodies(original) == {"/queue/deadletter": [b"1", b"2"]}
    assert {item.message.destination for item in original.queues[0].items} == {"/queue/a"}


def test_returns_and_the_forks_fields(storage: Any, ruby: Any) -> None:
    made = storage(
        {"/queue/a": [A1]},
        {f"_queue_a/{A1}": ruby.file("/queue/a", A1, b"", max_exceptions="4", session="ssng_1")},
    )
    frames = {
        b"/queue/a": {A1.encode(): {"exceptions": 2, "requeued": 2, "client_id": b"c", "expires": b"0"}}
    }
    queue = {"size": 1, "frames": [A1.encode()], "msgid": 0, "enqueued": 1, "dequeued": -1, "exceptions": 2}
    (made / "qinfo").write_bytes(ruby.dump({"frames": frames, "queues": {b"/queue/a": queue}}))
    ((item,),) = [queue.items for queue in read(made).queues]
    assert (item.message.exceptions, item.message.attempts) == (4, 2)
    assert item.message.headers == {"max-exceptions": "4", "session": "ssng_1"}


def test_files_that_are_no_messages_are_named_and_left(storage: Any, ruby: Any, tmp_path: Path) -> None:
    good = ruby.file("/queue/a", A1, b"good")
    bad = {
        "empty": b"",
        "short": b"0000",
        "text": b"Some notes that somebody left here.",
        "cut": good[:-1],
        "long": b"ffffffffffffffff" + good[16:],
        "class": b"0000000900000000\x04\x08c\x0bString",
        "foreign": b"%08x00000000" % 9 + b"\x04\x08o:\x06X\x00" + b"\0" * 9,
    }
    files = {f"_queue_a/{A1}": good} | {f"_queue_a/{name}": content for name, content in bad.items()}
    made = storage({"/queue/a": [A1]}, files)
    (made / "_queue_a/link").symlink_to(made / f"_queue_a/{A1}")
    os.mkfifo(made / "_queue_a/pipe")
    (made / "_queue_a/folder").mkdir()
    (made / "notes.txt").write_text("not ours")
    original = read(made)
    assert bodies(original) == {"/queue/a": [b"good"]}
    left = {place.removeprefix("_queue_a/"): one.reason for one in original.notes for place in one.places}
    assert set(left) == {*bad, "link", "pipe", "folder"}
    assert left["cut"] == f"byte {len(good) - 1}: cut off: a message of {len(good)} bytes"
    assert left["text"].startswith("byte 0: b'Some not' is no length in hexadecimal")
    assert "byte 18: a class" in left["class"]
    assert "class X, not a StompFrame" in left["foreign"]
    assert {one.kind for one in original.notes} == {"left"}


def test_more_than_the_lengths_say_is_ignored_as_the_original_did(storage: Any, ruby: Any) -> None:
    files = {f"_queue_a/{A1}": ruby.file("/queue/a", A1, b"body") + b"rest"}
    assert bodies(read(storage({"/queue/a": [A1]}, files))) == {"/queue/a": [b"body"]}


def test_a_message_file_cut_anywhere_is_left(storage: Any, ruby: Any) -> None:
    content = ruby.file("/queue/a", A1, b"body")
    made = storage({"/queue/a": [A1]}, {f"_queue_a/{A1}": content})
    for length in range(len(content)):
        (made / f"_queue_a/{A1}").write_bytes(content[:length])
        original = read(made)
        assert original.queues == []
        assert [(one.kind, one.places) for one in original.notes] == [("left", [f"_queue_a/{A1}"])]


def test_without_an_index_all_files_are_taken(storage: Any, ruby: Any) -> None:
    files = {
        f"_queue_b/{A2}": ruby.file("/queue/b", A2, b"2"),
        f"_queue_b/{A1}": ruby.file("/queue/b", A1, b"1"),
        f"_queue_a/{A3}": ruby.file("/queue/a", A3, b"3"),
        "_queue_c/other": b"",
    }
    made = storage({}, files)
    (made / "qinfo").unlink()
    original = read(made)
    assert bodies(original) == {"/queue/a": [b"3"], "/queue/b": [b"1", b"2"]}
    assert note(original, "repaired", "no index").places == ["qinfo"]


def test_the_index_of_an_interrupted_save_is_better_than_none(storage: Any, ruby: Any) -> None:
    files = {f"_queue_a/{id}": ruby.file("/queue/a", id, id.encode()) for id in (A1, A2)}
    made = storage({"/queue/a": [A2, A1]}, files)
    (made / "qinfo").rename(made / "qinfo.new")
    for content in (None, b"", b"\x04\x08{\x07:"):
        if content is not None:
            (made / "qinfo").write_bytes(content)
        original = read(made)
        assert bodies(original) == {"/queue/a": [A2.encode(), A1.encode()]}
        assert note(original, "repaired", "interrupted save").places == ["qinfo.new"]


@pytest.mark.parametrize(
    "index",
    [
        [],
        {},
        {"queues": []},
        {"queues": {}, "frames": []},
        {"queues": {b"/queue/a": []}, "frames": {}},
        {"queues": {b"/queue/a": {}}, "frames": {}},
        {"queues": {b"/queue/a": {"frames": [1]}}, "frames": {}},
        {"queues": {"sym": {"frames": []}}, "frames": {}},
        {"queues": {b"/queue/a": {"frames": []}}, "frames": {b"/queue/a": []}},
    ],
)
def test_an_index_of_another_shape_is_none(storage: Any, ruby: Any, index: Any) -> None:
    made = storage({}, {f"_queue_a/{A1}": ruby.file("/queue/a", A1, b"1")})
    (made / "qinfo").write_bytes(ruby.dump(index))
    original = read(made)
    assert bodies(original) == {"/queue/a": [b"1"]}
    assert note(original, "repaired", "no index").places == ["qinfo"]


@pytest.mark.parametrize("count", [-1, 1 << 29, b"two", None])
def test_odd_counts_in_the_index_are_harmless(storage: Any, ruby: Any, count: Any) -> None:
    made = storage({"/queue/a": [A1]}, {f"_queue_a/{A1}": ruby.file("/queue/a", A1, b"1")})
    (made / "qinfo").write_bytes(ruby.qinfo({"/queue/a": [A1]}, {A1: count}))
    ((item,),) = [queue.items for queue in read(made).queues]
    assert item.message.attempts == (count if count == 1 << 29 else 0)


@pytest.mark.parametrize(
    ("queue", "words"),
    [("/queue/monitor", "monitor"), ("/topic/x", "start with /queue"), ("x", "start with /queue")],
)
def test_what_nobody_could_get_here_is_left(storage: Any, ruby: Any, queue: str, words: str) -> None:
    folder = queue.replace("/", "_")
    files = {
        f"{folder}/{A1}": ruby.file(queue, A1, b"1"),
        f"_queue_a/{A1}": ruby.file("/queue/a", A1, b"a"),
        f"_queue_a/{A2}": ruby.file(queue, A2, b"2"),
    }
    original = read(storage({queue: [A1], "/queue/a": [A1]}, files))
    assert bodies(original) == {"/queue/a": [b"a"]}
    assert {place for one in original.notes for place in one.places if words in one.reason} == {
        "1 messages",
        f"_queue_a/{A2}",
    }


def test_an_unlisted_message_without_a_destination_is_left(storage: Any, ruby: Any) -> None:
    frame = ruby.frame({b"message-id": A1.encode()})
    content = b"%08x%08x" % (len(frame), 0) + frame
    original = read(storage({}, {f"_queue_a/{A1}": content}))
    assert original.queues == []
    assert "no destination" in original.notes[0].reason


def test_a_queue_that_the_index_lists_twice_or_an_id_listed_twice(storage: Any, ruby: Any) -> None:
    original = read(storage({"/queue/a": [A1, A1]}, {f"_queue_a/{A1}": ruby.file("/queue/a", A1, b"1")}))
    assert bodies(original) == {"/queue/a": [b"1"]}
    assert note(original, "left", "no such file").places == [A1]


def test_names_of_any_octets(storage: Any, ruby: Any) -> None:
    name = "/queue/f\udce9t\udcff é"
    folder = os.fsdecode(name.replace("/", "_").encode("utf-8", "surrogateescape"))
    frame = ruby.frame({b"destination": name.encode("utf-8", "surrogateescape")})
    files = {f"{folder}/{A1}": b"%08x00000001" % len(frame) + frame + b"x"}
    made = storage({}, files)
    queue = {"size": 1, "frames": [A1.encode()], "msgid": 2}
    octets = name.encode("utf-8", "surrogateescape")
    (made / "qinfo").write_bytes(ruby.dump({"queues": {octets: queue}, "frames": {}}))
    original = read(made)
    assert bodies(original) == {name: [b"x"]}
    assert original.notes == []


def test_an_index_that_lists_messages_and_no_directories(storage: Any) -> None:
    original = read(storage({"/queue/a": [A1]}, {}))
    assert (original.kind, original.queues) == ("file", [])
    assert original.notes[0].places == [A1]


def test_a_directory_with_nothing_of_the_original_is_refused(tmp_path: Path, storage: Any) -> None:
    with pytest.raises(StoreForeign, match="no storage of the original"):
        read(tmp_path)
    (tmp_path / "_queue_x").mkdir()
    (tmp_path / "_queue_x/other").write_bytes(b"not a message")
    with pytest.raises(StoreForeign, match="no storage of the original"):
        read(tmp_path)
    with pytest.raises(StoreForeign, match="no such file"):
        read(tmp_path / "missing")
