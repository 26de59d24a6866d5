"""The leaves that servers run in C when they are compiled, and their twins in Python: one table holds for both."""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stompserver.cli import core
from stompserver.session import outbox
from stompserver.wire import leaf, parser

LEAVES: list[ModuleType] = [leaf]
if core() == "compiled":
    LEAVES.append(importlib.import_module("stompserver.wire._leaf"))

both = pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)

LONG = "n" * 65
SPLITS = {
    b"": ("", {}),
    b"\n": None,
    b"ABORT": ("ABORT", {}),
    b"SEND\ndestination:/queue/a": ("SEND", {"destination": "/queue/a"}),
    b"SEND\ndestination:/queue/a\ncontent-length:3\nx:": (
        "SEND",
        {"destination": "/queue/a", "content-length": "3", "x": ""},
    ),
    "SENDÉ\ndestination:/queue/ü\nñ:😀\nx:\U0010ffff".encode(): (
        "SENDÉ",
        {"destination": "/queue/ü", "ñ": "😀", "x": "\U0010ffff"},
    ),
    b"SE:ND::\na:b": ("SE:ND::", {"a": "b"}),
    b"SEND\n\na:b": None,
    b"SEND\na:b\n": None,
    b"SEND\na": None,
    b"SEND\n:b": None,
    b"SEND\n:": None,
    b"SEND\n::": None,
    b"SEND\na:b:c": None,
    b"SEND\na::": None,
    b"SEND\na:b\na:c": None,
    b"SEND\na:b\nc:d\na:b": None,
    "SEND\né:b\né:c".encode(): None,
    b"SEND\r\na:b": None,
    b"SEND\na:b\r": None,
    b"SEND\na:b\\n": None,
    b"SEND\\\na:b": None,
    b"SEND\na\0:b": None,
    b"SEND\na:\0": None,
    b"SEND\na:\xff": None,
    b"SEND\n\xc3:b": None,
    b"SE\xc3\na:b": None,
    b"SEND\na:\xc3\nb:\xa9": None,
    b"SEND\na:\xed\xa0\x80": None,
    b"SEND\na:\xc0\xaf": None,
    b"SEND\na:\xf4\x90\x80\x80": None,
    b"SEND\na:\x7f\x01": ("SEND", {"a": "\x7f\x01"}),
    f"{LONG}\n{LONG}:{LONG}\ndestination:{LONG}".encode(): (LONG, {LONG: LONG, "destination": LONG}),
    b"SEND\na:1\nb:2\nc:3\nd:4\ne:5": None,
}
BLANKS = (b"SEND \na:b", b"SEND\na :b", b"SEND\na: b", b"SEND\na:b\t", b"SEND\na b:c", b"\tSEND")

PIECES = st.one_of(
    st.sampled_from(
        [b"\n", b":", b"\n", b":", b"destination", b"content-length", b"SEND", b"a", b"/queue/a"]
    ),
    st.sampled_from(
        [b"\r", b"\\", b"\0", b" ", b"\t", b"\xc3", b"\xa9", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xff"]
    ),
    st.characters(codec="utf-8").map(str.encode),
    st.binary(max_size=3),
    st.text("abc:\n", min_size=1, max_size=80).map(str.encode),
)
HEADERS = st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=5)


ENDS = [
    (b"", 0, -1),
    (b"\n", 0, -1),
    (b"\n\n", 0, 0),
    (b"\n\n", 1, -1),
    (b"\n\n", 2, -1),
    (b"\n\n", 9, -1),
    (b"SEND\na:b\n\nbody\n\n", 0, 8),
    (b"SEND\na:b\n\nbody\n\n", 8, 8),
    (b"SEND\na:b\n\nbody\n\n", 9, 14),
    (b"SEND\na:b\n\r\n\0", 0, -1),
    (b"a\n\n\n", 2, 2),
    (b"a\n\0\n\n", 0, 3),
    (b"a\nb", 0, -1),
]
NUMBERS = {
    "0": 0,
    "7": 7,
    "007": 7,
    "100": 100,
    "999999999999999": 999999999999999,
    "1000000000000000": -1,
    "0000000000000001": -1,
    "": -1,
    "-1": -1,
    "+1": -1,
    " 1": -1,
    "1 ": -1,
    "1_0": -1,
    "1e3": -1,
    "0x1": -1,
    "1/": -1,
    "1:": -1,
    "1\0": -1,
    "\u0661": -1,
    "1\u0661": -1,
    "\u00b2": -1,
    "\uff11": -1,
}


def test_compiled_servers_run_the_one_in_c() -> None:
    assert len(LEAVES) == (2 if core() == "compiled" else 1)
    assert vars(parser)["split"] is LEAVES[-1].split
    assert vars(parser)["block_end"] is LEAVES[-1].end
    assert vars(parser)["whole"] is LEAVES[-1].whole
    assert vars(outbox)["encode_plain"] is LEAVES[-1].head
    assert core() == "interpreted" or not str(LEAVES[-1].__file__).endswith(".py")


@both
@pytest.mark.parametrize(("octets", "start", "wanted"), ENDS)
def test_end(leaf: ModuleType, octets: bytes, start: int, wanted: int) -> None:
    assert leaf.end(octets, start) == wanted


@given(st.lists(st.sampled_from([b"\n", b"a", b"\r", b"\0"]), max_size=20), st.integers(0, 22))
def test_both_find_the_same_end(pieces: list[bytes], start: int) -> None:
    octets = b"".join(pieces)
    for each in LEAVES:
        assert each.end(octets, start) == octets.find(b"\n\n", start)


@both
@pytest.mark.parametrize("text", NUMBERS, ids=ascii)
def test_whole(leaf: ModuleType, text: str) -> None:
    assert leaf.whole(text) == NUMBERS[text]


@given(
    st.one_of(st.text("0123456789", max_size=17), st.text("019 +-_.\u0660", max_size=5), st.text(max_size=3))
)
def test_both_read_the_same_number(text: str) -> None:
    wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1
    for each in LEAVES:
        assert each.whole(text) == wanted


@both
@pytest.mark.parametrize("block", SPLITS, ids=repr)
def test_split(leaf: ModuleType, block: bytes) -> None:
    # Twice, as names may come from a cache the second time.
    for _ in range(2):
        found = leaf.split(block, 4, False)
        assert found == SPLITS[block]
        assert found is None or list(found[1]) == list(SPLITS[block][1])


@both
@pytest.mark.parametrize("block", BLANKS, ids=repr)
def test_blanks_want_a_closer_look_only_where_they_are_trimmed(leaf: ModuleType, block: bytes) -> None:
    assert leaf.split(block, 4, True) is None
    command, _, line = block.decode().partition("\n")
    name, _, value = line.partition(":")
    assert leaf.split(block, 4, False) == (command, {name: value} if name else {})


@both
def test_a_block_has_as_many_headers_as_are_allowed(leaf: ModuleType) -> None:
    block = b"SEND\n" + b"\n".join(b"h%d:" % i for i in range(300))
    assert leaf.split(block, 299, False) is None
    assert leaf.split(block, 300, False) == ("SEND", {f"h{i}": "" for i in range(300)})
    assert leaf.split(b"SEND", 0, False) == ("SEND", {})
    assert leaf.split(b"SEND\na:b", 0, False) is None


@both
def test_texts_that_only_look_alike_are_not_taken_for_each_other(leaf: ModuleType) -> None:
    for i in range(2000):
        name, place = f"x{i % 700}y", f"/queue/{i % 900}/a"
        block = f"C{i}\n{name}:{i}\ndestination:{place}".encode()
        assert leaf.split(block, 4, False) == (f"C{i}", {name: str(i), "destination": place})


@example([b"SEND\ndestination:/queue/a\n", b"a:", b"\xff"], 3, False)
@given(st.lists(PIECES, max_size=24), st.integers(0, 6), st.booleans())
def test_both_split_alike(pieces: list[bytes], most: int, no_blanks: bool) -> None:
    block = b"".join(pieces)
    wanted = leaf.split(block, most, no_blanks)
    for other in LEAVES:
        found = other.split(block, most, no_blanks)
        assert found == wanted
        assert found is None or list(found[1]) == list(wanted[1])


@both
@pytest.mark.parametrize(
    ("destination", "headers", "block"),
    [
        ("/queue/a", {}, b"destination:/queue/a\nmessage-id:7\ncontent-length:0\n\n"),
        ("/queue/a", {"": ""}, b"destination:/queue/a\nmessage-id:7\ncontent-length:0\n:\n\n"),
        (
            "",
            {"b": "1", "a": "x:y\n"},
            b"destination:\nmessage-id:7\ncontent-length:0\nb:1\na:x:y\n\n\n",
        ),
        (
            "/queue/ü",
            {"é": "ÿ", "€": "😀"},
            "destination:/queue/ü\nmessage-id:7\ncontent-length:0\né:ÿ\n€:😀\n\n".encode(),
        ),
        ("/queue/a", {"é": "1"}, "destination:/queue/a\nmessage-id:7\ncontent-length:0\né:1\n\n".encode()),
        ("/queue/a", {"1": "é"}, "destination:/queue/a\nmessage-id:7\ncontent-length:0\n1:é\n\n".encode()),
    ],
)
def test_head(leaf: ModuleType, destination: str, headers: dict[str, str], block: bytes) -> None:
    assert leaf.head(destination, 7, 0, headers) == block


@both
@pytest.mark.parametrize("number", [0, 1, 9, 10, 99, 100, (1 << 57) - 1, (1 << 63) - 1])
def test_numbers_in_a_head(leaf: ModuleType, number: int) -> None:
    block = f"destination:d\nmessage-id:{number}\ncontent-length:{number}\n\n".encode()
    assert leaf.head("d", number, number, {}) == block


@both
def test_text_that_is_no_utf_8_has_no_head(leaf: ModuleType) -> None:
    for destination, headers in (("\ud800", {}), ("d", {"\ud800": ""}), ("d", {"": "\udcff"})):
        with pytest.raises(UnicodeEncodeError):
            leaf.head(destination, 1, 1, headers)


@given(st.text(max_size=20), st.integers(0, 1 << 60), st.integers(0, 1 << 40), HEADERS)
def test_both_make_the_same_head(destination: str, number: int, length: int, headers: dict[str, str]) -> None:
    wanted = leaf.head(destination, number, length, headers)
    for other in LEAVES:
        assert other.head(destination, number, length, headers) == wanted


def test_c_refuses_what_is_not_of_its_types() -> None:
    # mypyc checks the types of what its own functions get, not what is in a dict.
    wrong: list[tuple[str, tuple[object, ...]]] = [
        ("end", (b"a",)),
        ("end", ("a", 0)),
        ("end", (b"a", "0")),
        ("whole", ()),
        ("whole", (b"1",)),
        ("whole", (1,)),
        ("split", ()),
        ("split", ("SEND", 1, False)),
        ("split", (b"SEND", "1", False)),
        ("split", (b"SEND", 1, False, 1)),
        ("head", ("d", 1, 1)),
        ("head", (b"d", 1, 1, {})),
        ("head", ("d", "1", 1, {})),
        ("head", ("d", 1, None, {})),
        ("head", ("d", 1, 1, [])),
        ("head", ("d", 1, 1, {b"a": "1"})),
        ("head", ("d", 1, 1, {"a": 1})),
        ("head", ("é", 1, 1, {"a": 1})),
        ("head", ("é", 1, 1, {1: "a"})),
    ]
    for in_c in LEAVES[1:]:
        for name, arguments in wrong:
            with pytest.raises(TypeError):
                getattr(in_c, name)(*arguments)
        for number in (-1, 1 << 64):
            with pytest.raises(OverflowError):
                in_c.head("d", number, 1, {})


def _use(leaf: ModuleType, rounds: int) -> None:
    for _ in range(rounds):
        for block in SPLITS:
            leaf.split(block, 4, True)
            leaf.end(block, 300)
            leaf.whole("1" * len(block))
        leaf.head("/queue/a", 1 << 50, 1 << 30, {"a": "1", "b": "2"})
        leaf.head("/queue/a", 1 << 50, 1 << 30, {"a": "1", "é": "2"})
        for text in ("\ud800", "d"):
            try:
                leaf.head(text, 1, 1, {"\udcff": ""})
            except UnicodeEncodeError:
                continue


@both
def test_no_memory_is_lost(leaf: ModuleType) -> None:
    block, destination, headers = b"SEND\ndestination:/queue/a\na:b", "/queue/aé", {"xyz": "zyx"}
    _use(leaf, 2)
    gc.collect()
    held = [sys.getrefcount(each) for each in (block, destination, headers, "zyx", None)]
    blocks = sys.getallocatedblocks()
    _use(leaf, 1000)
    for _ in range(1000):
        leaf.split(block, 4, False)
        leaf.head(destination, 1, 1, headers)
    gc.collect()
    # Losing one reference a round would be a thousand.
    assert sys.getallocatedblocks() - blocks < 500
    after = [sys.getrefcount(each) for each in (block, destination, headers, "zyx", None)]
    assert all(abs(new - old) < 500 for new, old in zip(after, held, strict=True)), (held, after)
