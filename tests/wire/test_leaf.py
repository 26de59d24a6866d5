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

leaf_in_python = leaf
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
    assert vars(parser)["like"] is LEAVES[-1].like
    assert vars(parser)["plain_ack"] is LEAVES[-1].ack
    assert vars(outbox)["encode_plain"] is LEAVES[-1].head
    assert vars(outbox)["relayed"] is LEAVES[-1].relayed
    assert vars(outbox)["encode_message"] is LEAVES[-1].message
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


SHAPE = b"\0\2\0\x0cdestination:\1\x0fcontent-length:\1\2n:\1"
ANSWERED = b"\0\4\2\x0cdestination:\1\x08receipt:\1\x0fpersistent:true\0\x0fcontent-length:\1\2n:\1"
FRAME = b"SEND\ndestination:/queue/a\ncontent-length:2\nn:7\n\nhi\0"
SHAPES = {
    b"SEND\ndestination:/queue/a\ncontent-length:1\nn:0": SHAPE,
    b"SEND\ndestination:\na\\c:\ncontent-length:": b"\0\3\0\x0cdestination:\1\4a\\c:\1\x0fcontent-length:\1",
    b"SEND\ndestination:\nreceipt:r\npersistent:true\ncontent-length:\nn:": ANSWERED,
    b"SEND\ndestination:\ncontent-length:\n" + b"x" * 101: b"",
    b"SEND\ndestination:/queue/a\nn:0": b"",
    b"SEND\ncontent-length:1\ndestination:/queue/a": b"",
    b"ACK\ndestination:/queue/a\ncontent-length:1": b"",
    b"SEND": b"",
    b"": b"",
    b"SEND\ndestination:a\ncontent-length:1\n" + b"a:\n" * 200: b"",
}
LIKES = {
    FRAME: (len(FRAME), "/queue/a", None, b"content-length:2\nn:7\n", b"hi"),
    FRAME + b"SEND": (len(FRAME), "/queue/a", None, b"content-length:2\nn:7\n", b"hi"),
    FRAME.replace(b"hi", b"\0\n"): (len(FRAME), "/queue/a", None, b"content-length:2\nn:7\n", b"\0\n"),
    FRAME.replace(b"7", b""): (len(FRAME) - 1, "/queue/a", None, b"content-length:2\nn:\n", b"hi"),
    FRAME.replace(b"/queue/a", b"x"): (len(FRAME) - 7, "x", None, b"content-length:2\nn:7\n", b"hi"),
    FRAME.replace(b"/queue/a", b"x" * 99): (
        len(FRAME) + 91,
        "x" * 99,
        None,
        b"content-length:2\nn:7\n",
        b"hi",
    ),
    FRAME.replace(b":2\n", b":0\n").replace(b"hi", b""): (
        len(FRAME) - 2,
        "/queue/a",
        None,
        b"content-length:0\nn:7\n",
        b"",
    ),
    FRAME.replace(b":2", b":02"): None,
    FRAME.replace(b"/queue/a", b""): None,
    FRAME.replace(b":2", b":"): None,
    FRAME.replace(b":2", b":3"): None,
    FRAME.replace(b":2", b":1"): None,
    FRAME.replace(b":2", b": 2"): None,
    FRAME.replace(b":2", b":" + b"9" * 15): None,
    FRAME.replace(b":2", b":" + b"0" * 16): None,
    FRAME.replace(b":7", b":\xc3\xbc"): None,
    FRAME.replace(b":7", b":a:b"): None,
    FRAME.replace(b":7", b":\\n"): None,
    FRAME.replace(b":7", b":7\r"): None,
    FRAME.replace(b":7", b":\0"): None,
    FRAME.replace(b"n:7", b"m:7"): None,
    FRAME.replace(b"n:7\n", b""): None,
    FRAME.replace(b"n:7", b"n:7\nn:8"): None,
    FRAME.replace(b"SEND", b"send"): None,
    b"\n" + FRAME: None,
    b"": None,
    **{FRAME[:end]: None for end in range(1, len(FRAME))},
}
ACKS = {
    b"ACK\nid:1\n\n\0": (11, "1"),
    b"ACK\nid:12345678901234567890\n\n\0\n": (30, "12345678901234567890"),
    b"ACK\nid:123456789012345678901\n\n\0": None,
    b"ACK\nid:\n\n\0": None,
    b"ACK\nid:a\n\n\0": None,
    b"ACK\nid:1\n\nx\0": None,
    b"ACK\nid:1\nreceipt:1\n\n\0": None,
    b"ACK\nid:1\r\n\r\n\0": None,
    b"ack\nid:1\n\n\0": None,
    b"NACK\nid:1\n\n\0": None,
    b"ACK\nid:1\n\n": None,
    b"ACK\nid:1\n": None,
    b"ACK\nid:1": None,
    b"ACK\nid:": None,
    b"ACK": None,
    b"": None,
}


@pytest.mark.parametrize("block", SHAPES, ids=lambda block: repr(block[:60]))
def test_shape(block: bytes) -> None:
    assert leaf.shape(block, False) == SHAPES[block]
    assert leaf.shape(block, True) == (b"\1" + SHAPES[block][1:] if SHAPES[block] else b"")


@both
@pytest.mark.parametrize("octets", LIKES, ids=repr)
def test_like(leaf: ModuleType, octets: bytes) -> None:
    for _ in range(2):
        assert leaf.like(octets, 0, SHAPE, 99, 99) == LIKES[octets] or len(octets) > 110
    wanted = LIKES[octets]
    found = leaf.like(b"abc" + octets, 3, SHAPE, 999, 99)
    assert found == (wanted and (wanted[0] + 3, *wanted[1:]))


ASKING = b"SEND\ndestination:/queue/a\nreceipt:r-1\npersistent:true\ncontent-length:2\nn:7\n\nhi\0"


@both
def test_like_with_a_receipt(leaf: ModuleType) -> None:
    lines = b"persistent:true\ncontent-length:2\nn:7\n"
    assert leaf.like(ASKING, 0, ANSWERED, 99, 99) == (len(ASKING), "/queue/a", "r-1", lines, b"hi")
    empty = ASKING.replace(b"r-1", b"")
    assert leaf.like(empty, 0, ANSWERED, 99, 99) == (len(empty), "/queue/a", "", lines, b"hi")
    for old, new in (
        (b"true", b"tru"),
        (b"true", b"truer"),
        (b"true", b"false"),
        (b"r-1", b"\xc3\xbc"),
        (b"r-1", b"a:b"),
    ):
        assert leaf.like(ASKING.replace(old, new), 0, ANSWERED, 99, 99) is None
    for end in range(len(ASKING)):
        assert leaf.like(ASKING[:end], 0, ANSWERED, 99, 99) is None
    # Wherever the receipt stands.
    others = [b"content-length:2\n", b"n:7\n"]
    for place in range(3):
        each = [*others[:place], b"receipt:x\n", *others[place:]]
        octets = b"SEND\ndestination:/queue/a\n" + b"".join(each) + b"\nhi\0"
        shape = leaf_in_python.shape(octets.partition(b"\n\n")[0], False)
        found = leaf.like(octets, 0, shape, 99, 99)
        assert found == (len(octets), "/queue/a", "x", b"".join(others), b"hi")


@both
def test_like_knows_limits_and_blanks(leaf: ModuleType) -> None:
    header = len(FRAME) - 5
    assert leaf.like(FRAME, 0, SHAPE, header, 2)
    assert leaf.like(FRAME, 0, SHAPE, header - 1, 2) is None
    assert leaf.like(FRAME, 0, SHAPE, header, 1) is None
    for value in (b" 7", b"7\t"):
        octets = FRAME.replace(b":7", b":" + value)
        assert leaf.like(octets, 0, SHAPE, 99, 99)[3] == b"content-length:2\nn:" + value + b"\n"
        assert leaf.like(octets, 0, b"\1" + SHAPE[1:], 99, 99) is None


def test_patterns_of_shapes_are_bounded() -> None:
    before = dict(leaf._patterns)
    for number in range(2 * leaf.SHAPES):
        shape = leaf.shape(b"SEND\ndestination:a\ncontent-length:0\nx%d:" % number, False)
        assert leaf.like(b"SEND\ndestination:a\ncontent-length:0\nx%d:\n\n\0" % number, 0, shape, 99, 99)
    assert len(leaf._patterns) == leaf.SHAPES
    leaf._patterns.clear()
    leaf._patterns.update(before)


@both
@pytest.mark.parametrize("octets", ACKS, ids=repr)
def test_ack(leaf: ModuleType, octets: bytes) -> None:
    assert leaf.ack(octets, 0) == ACKS[octets]
    wanted = ACKS[octets]
    assert leaf.ack(b"ACK" + octets, 3) == (wanted and (wanted[0] + 3, wanted[1]))


@given(
    st.lists(
        st.one_of(PIECES, st.sampled_from([FRAME, ASKING, b"ACK\nid:1\n\n\0", b"n:", b"7"])), max_size=9
    ),
    st.integers(0, 9),
)
def test_both_find_the_same_frames(pieces: list[bytes], start: int) -> None:
    octets = b"".join(pieces)
    for shape in (SHAPE, b"\1" + SHAPE[1:], ANSWERED):
        wanted = leaf.like(octets, start, shape, 99, 99), leaf.ack(octets, start)
        for other in LEAVES:
            assert (other.like(octets, start, shape, 99, 99), other.ack(octets, start)) == wanted


@both
def test_relayed(leaf: ModuleType) -> None:
    for destination, number in (("/queue/a", 0), ("", 1 << 57), ("/queue/é😀", 99)):
        block = f"destination:{destination}\nmessage-id:{number}\na:b\n\n".encode()
        assert leaf.relayed(destination, number, b"a:b\n") == block
    with pytest.raises(UnicodeEncodeError):
        leaf.relayed("\udcff", 1, b"")


@both
def test_message(leaf: ModuleType) -> None:
    for destination, number, body in (
        ("/queue/a", 0, b""),
        ("", 1 << 57, b"\0\n"),
        ("/queue/é😀", 99, b"x" * 600),
    ):
        for ack, line in ((0, ""), (1, "ack:1\n"), (1 << 60, f"ack:{1 << 60}\n")):
            head = f"MESSAGE\n{line}destination:{destination}\nmessage-id:{number}\na:b\n\n".encode()
            frame = leaf.message(b"MESSAGE\n", ack, destination, number, b"a:b\n", body)
            assert frame == head + body + b"\0\n"
    with pytest.raises(UnicodeEncodeError):
        leaf.message(b"", 0, "\udcff", 1, b"", b"")


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
        ("like", (b"", 0, b"", 1)),
        ("like", ("", 0, b"", 1, 1)),
        ("like", (b"", 0, "", 1, 1)),
        ("like", (b"", "0", b"", 1, 1)),
        ("ack", (b"",)),
        ("ack", ("", 0)),
        ("ack", (b"", "0")),
        ("relayed", ("d", 1)),
        ("relayed", (b"d", 1, b"")),
        ("relayed", ("d", "1", b"")),
        ("relayed", ("d", 1, "")),
        ("message", (b"", 0, "d", 1, b"")),
        ("message", ("", 0, "d", 1, b"", b"")),
        ("message", (b"", "0", "d", 1, b"", b"")),
        ("message", (b"", 0, b"d", 1, b"", b"")),
        ("message", (b"", 0, "d", None, b"", b"")),
        ("message", (b"", 0, "d", 1, "", b"")),
        ("message", (b"", 0, "d", 1, b"", "")),
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
        leaf.like(ASKING, 0, ANSWERED, 99, 99)
        for octets in (*LIKES, *ACKS):
            leaf.like(octets, 0, SHAPE, 99, 99)
            leaf.ack(octets, 0)
        leaf.relayed("/queue/é", 1 << 50, b"a:b\n")
        leaf.message(b"MESSAGE\n", 1 << 40, "/queue/é", 1 << 50, b"a:b\n", b"body")
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
