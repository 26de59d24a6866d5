"""The stores' leaf that compiled servers run in C, and its twin in Python: properties hold for both."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.leaves import leaf_in_c_of, sanitized, source_of

from stompserver.broker.message import Message
from stompserver.cli import core
from stompserver.stores import leaf as leaf_in_python
from stompserver.stores import native, record
from stompserver.testing.double import facts

HERE = Path(__file__).parent
SECONDS = 10.0

LINES = b"n:7\ncontent-length:2\nx:\n"
RECORD = (
    bytes.fromhex("01 03 ffffffff 00000000 0000000000000007 0000000000000400 0000000f 0000000000000002")
    + struct.pack(
        ">I",
        crc32(
            b"/queue/a\0n\x007\0x\0hi",
            crc32(
                bytes.fromhex(
                    "01 03 ffffffff 00000000 0000000000000007 0000000000000400 0000000f 0000000000000002"
                )
            ),
        ),
    )
    + b"/queue/a\0n\x007\0x\0hi"
)

TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("\0\n:\\\r"), max_size=9)
LINE = st.one_of(
    st.builds(lambda name, value: f"{name}:{value}\n".encode(), TEXT, TEXT),
    st.sampled_from(
        [
            b"content-length:2\n",
            b"content-length:2\n",
            b"content-length\n",
            b"content-length:2:\n",
            b"\n",
            b"a",
            b":\n",
            b"a:\xff\n",
        ]
    ),
)


@pytest.fixture(scope="module")
def in_c() -> ModuleType:
    return leaf_in_c_of(leaf_in_python)


@pytest.fixture(scope="module", params=["python", "c"])
def leaf(request: pytest.FixtureRequest) -> ModuleType:
    """Each of the two."""
    if request.param == "python":
        return leaf_in_python
    module: ModuleType = request.getfixturevalue("in_c")
    return module


def test_compiled_servers_run_the_one_in_c(in_c: ModuleType) -> None:
    run = in_c if core() == "compiled" else leaf_in_python
    for name in native.__all__:
        assert getattr(native, name) is getattr(run, name)


def test_the_record_of_a_plain_message(leaf: ModuleType) -> None:
    assert leaf.encode_relayed("/queue/a", LINES, b"hi", 3, -1, 0, 7, 1024) == RECORD
    found = leaf.decode_plain(RECORD, "")
    assert found == ("/queue/a", b"content-length:2\nn:7\nx:\n", b"hi", True, -1, 0, 7, 1024)


def test_a_known_destination_is_the_same_object(leaf: ModuleType) -> None:
    known = "/queue/" + chr(97)
    assert leaf.decode_plain(RECORD, known)[0] is known


@pytest.mark.parametrize(
    ("destination", "lines"),
    [
        ("/queue/a", b"n:7\n"),
        ("/queue/a", b""),
        ("/queue/a", b"content-length:2"),
        ("/queue/a", b"content-length:2\na:b"),
        ("/queue/a", b"content-length:2\na\n"),
        ("/queue/a", b"content-length:2\na:b:c\n"),
        ("/queue/a", b"content-length:2\na:\\c\n"),
        ("/queue/a", b"content-length:2\na:\0\n"),
        ("/queue/a\0b", LINES),
        ("/queue/\udcff", LINES),
    ],
)
def test_what_wants_a_closer_look(leaf: ModuleType, destination: str, lines: bytes) -> None:
    assert leaf.encode_relayed(destination, lines, b"hi", 3, -1, 0, 7, 1024) is None


@pytest.mark.parametrize("place", range(len(RECORD)))
def test_one_octet_of_a_record_is_another(leaf: ModuleType, place: int) -> None:
    spoiled = bytearray(RECORD)
    spoiled[place] ^= 4
    assert leaf.decode_plain(bytes(spoiled), "") is None
    assert leaf.decode_plain(RECORD[:place], "") is None
    assert leaf.decode_plain(RECORD + RECORD[:place] + b"x", "") is None


@pytest.mark.parametrize(
    "text",
    [
        b"/queue/a\0content-length\0002",
        b"/queue/a\0n",
        b"/queue/\xc3\xbc",
        b"/queue/a\0n\0a:b",
        b"/queue/a\0n\0a\nb",
        b"/queue/a\0n\0a\\b",
        b"/queue/a\0n\0a\rb",
    ],
)
def test_what_is_read_with_a_closer_look(leaf: ModuleType, text: bytes) -> None:
    head = RECORD[:26] + struct.pack(">IQ", len(text), 2)
    octets = head + struct.pack(">I", crc32(text + b"hi", crc32(head))) + text + b"hi"
    assert leaf.decode_plain(octets, "") is None
    if text != b"/queue/a\0n":
        assert record.decode(7, octets).body == b"hi"


@example("/queue/a", [LINES], b"hi", True)
@given(
    destination=st.text(max_size=9),
    lines=st.lists(LINE, max_size=4),
    body=st.binary(max_size=40),
    plain=st.booleans(),
)
def test_both_write_and_read_the_same(
    in_c: ModuleType, destination: str, lines: list[bytes], body: bytes, plain: bool
) -> None:
    arguments = (destination, b"".join(lines), body, 2 + plain, -1, 5, 1 << 57, 1 << 40)
    octets = in_c.encode_relayed(*arguments)
    assert octets == leaf_in_python.encode_relayed(*arguments)
    if octets is not None:
        found = in_c.decode_plain(octets, "/queue/a")
        assert found == leaf_in_python.decode_plain(octets, "/queue/a")


NAMES = st.text(st.characters(codec="ascii", exclude_characters="\0\n\r:\\"), min_size=1, max_size=9)


@given(
    headers=st.dictionaries(
        NAMES.filter(lambda name: not name.startswith("content-length")), NAMES | st.just(""), max_size=4
    ),
    body=st.binary(max_size=40),
    persistent=st.booleans(),
)
def test_the_short_way_and_the_long_way_are_one(
    headers: dict[str, str], body: bytes, persistent: bool
) -> None:
    """The same message as its sender's lines, and as a dictionary: one record, and one message read from it."""
    relayed = Message("/queue/a", None, body, 1000, True, persistent)
    relayed.lines = b"".join([f"{name}:{value}\n".encode() for name, value in headers.items()])
    relayed.lines += b"content-length:%d\n" % len(body)
    looked_at = Message("/queue/a", dict(headers), body, 1000, True, persistent)
    for each in (relayed, looked_at):
        each.number = each.key = 7
        each.stored = True
    octets = record.encode(relayed)
    assert octets == record.encode(looked_at)
    assert facts(record.decode(7, octets)) == facts(looked_at)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("encode_relayed", ()),
        ("encode_relayed", (b"/queue/a", LINES, b"hi", 3, -1, 0, 7, 1024)),
        ("encode_relayed", ("/queue/a", "a:b", b"hi", 3, -1, 0, 7, 1024)),
        ("encode_relayed", ("/queue/a", LINES, b"hi", 3, -1, 0, 7, "1024")),
        ("decode_plain", (RECORD,)),
        ("decode_plain", ("record", "")),
        ("decode_plain", (RECORD, b"")),
    ],
)
def test_c_refuses_what_is_not_of_its_types(
    in_c: ModuleType, function: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(TypeError):
        getattr(in_c, function)(*arguments)


@pytest.mark.parametrize(
    "numbers", [(1 << 31, 0, 7, 9), (-1, 1 << 32, 7, 9), (-1, -1, 7, 9), (-1, 0, 1 << 64, 9), (-1, 0, 7, -1)]
)
def test_numbers_that_a_head_has_no_room_for(leaf: ModuleType, numbers: tuple[int, ...]) -> None:
    with pytest.raises((OverflowError, struct.error)):
        leaf.encode_relayed("/queue/a", LINES, b"hi", 3, *numbers)


@pytest.mark.long
def test_records_that_no_store_has(tmp_path: Path) -> None:
    seed = int(os.environ.get("FUZZ_SEED", time.time_ns() % 1_000_000_000))
    done = sanitized(HERE / "sanitized.py", source_of(leaf_in_python), tmp_path, seed, SECONDS)
    assert done.returncode == 0, f"seed {seed}:\n{done.stdout[-2000:]}\n{done.stderr[-5000:]}"
    assert int(done.stdout) > 5_000
