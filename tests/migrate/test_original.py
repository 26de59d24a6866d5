"""What a stored frame becomes here."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.broker.message import OVERHEAD, Message
from stompserver.migrate.frame import Frame
from stompserver.migrate.order import merge, stamp
from stompserver.migrate.original import Item, Notes, item
from stompserver.session.dialect.headers import PRIVATE


def taken(headers: dict[bytes, bytes], notes: Notes | None = None) -> Message:
    return item("id", "/queue/a", Frame(headers, b"body"), 0, notes or Notes()).message


def test_headers_that_are_never_forwarded_are_dropped() -> None:
    headers = {name.encode(): b"x" for name in PRIVATE} | {b"destination": b"/queue/a", b"a": b"b"}
    assert taken(headers).headers == {"a": "b"}


def test_what_the_original_split_at_the_last_colon_is_split_at_the_first() -> None:
    headers = {b"destination": b"/queue/a", b"url:http": b"//h", b"a:b:c": b"d", b"receipt:1": b"2"}
    assert taken(headers).headers == {"url": "http://h", "a": "b:c:d"}


def test_of_a_repeated_header_the_first_counts() -> None:
    assert taken({b"a": b"1", b"a:b": b"2"}).headers == {"a": "1"}


def test_what_the_sender_did_not_want_kept_was_kept_and_is() -> None:
    for value in (b"true", b"false"):
        message = taken({b"persistent": value})
        assert message.persistent
        assert message.headers == {"persistent": value.decode()}


def test_nuls_and_headers_without_a_name_are_repaired() -> None:
    notes = Notes()
    assert taken({b"a\0b": b"c\0", b"": b"x", b":y": b"z"}, notes).headers == {"a b": "c "}
    assert [(note.kind, note.places) for note in notes.all()] == [
        ("repaired", ["id"]),
        ("repaired", ["id", "id"]),
    ]


def test_octets_that_are_no_utf_8_are_kept() -> None:
    message = taken({b"k\xff": b"\xe9"})
    assert message.headers == {"k\udcff": "\udce9"}
    assert not message.plain


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        (b"a", b"b", True),
        (b"a", "é".encode(), True),
        (b"a", b"b:c", False),
        (b"a", b"\\", False),
        (b"a", b"\r", False),
    ],
)
def test_plain_is_what_no_version_escapes(name: bytes, value: bytes, plain: bool) -> None:
    assert taken({name: value}).plain is plain


@pytest.mark.parametrize(
    ("value", "exceptions"), [(b"3", 3), (b"0", 0), (b"", -1), (b"x", -1), (b"-1", -1), (b" 7 ", 7)]
)
def test_max_exceptions(value: bytes, exceptions: int) -> None:
    assert taken({b"max-exceptions": value}).exceptions == exceptions


def test_size_counts_text_and_body() -> None:
    message = taken({b"destination": b"/queue/a", b"a": b"bc"})
    assert message.size == len("/queue/a") + len("a:bc\n") + len(b"body") + OVERHEAD


def test_stamps() -> None:
    ids = [
        "h-x-9-5-3",
        "h-10-000001-1",
        "h-10-000001-2",
        "h-10-000002-1",
        "h-11-0-0",
        "h-11-0-0-" + "9" * 30,
        "other",
    ]
    assert sorted(set(ids), key=stamp) == ids
    assert stamp("h-1-2-" + "9" * 400)[0] == 1 << 62


def test_merging() -> None:
    def items(*numbers: int) -> list[Item]:
        return [Item(f"h-{number}-0-0", None) for number in numbers]  # type: ignore[arg-type]

    def merged(listed: Any, recovered: Any) -> list[int]:
        return [int(one.id.split("-")[1]) for one in merge(items(*listed), items(*recovered))]

    assert merged([], [3, 1]) == [1, 3]
    assert merged([2, 4], [5, 3, 1]) == [1, 2, 3, 4, 5]
    assert merged([9, 2, 4], [3, 10]) == [3, 9, 2, 4, 10]
