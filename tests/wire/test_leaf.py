"""The leaf that compiled servers run in C, and its twin in Python: one table, and properties, hold for both."""

from __future__ import annotations

import gc
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from stompserver.cli import core
from stompserver.session import frames, session
from stompserver.wire import alike, native, parser
from stompserver.wire import leaf as leaf_in_python

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
    "SENDÉ\ndestination:/queue/ü\neñe:😀\nx:\U0010ffff".encode(): (
        "SENDÉ",
        {"destination": "/queue/ü", "eñe": "😀", "x": "\U0010ffff"},
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
EDGES = (b" a", b"a ", b"\ta", b"a\x0b", b"\x7fa", b"a\xc2\xa0", b"\xef\xbb\xbfa", b"\xc3\xa9a", b" ")
BLANKS = (b"SEND\na: b", b"SEND\na:b\t", b"SEND\na:\t", b"SEND\na: b c ")
INNER = (b"SEND \na:b", b"SEND\na b:c", b"SEND\na:b c", b"\tSEND")

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


def test_compiled_servers_run_the_one_in_c(leaf_in_c: ModuleType) -> None:
    run = leaf_in_c if core() == "compiled" else leaf_in_python
    for name in native.__all__:
        assert getattr(native, name) is getattr(run, name)
    for name in ("any_ack", "block_end", "like", "plain_ack", "split", "whole"):
        assert vars(parser)[name] is getattr(native, name)
    for name in ("encode_head", "encode_relayed"):
        assert vars(frames)[name] is getattr(native, name)
    assert vars(session)["encode_message"] is native.encode_message


def test_the_one_in_c_is_no_python(leaf_in_c: ModuleType) -> None:
    assert not str(leaf_in_c.__file__).endswith(".py")
    assert sorted(name for name in vars(leaf_in_c) if not name.startswith("_")) == sorted(native.__all__)


def outcome(leaf: ModuleType, name: str, *arguments: object) -> object:
    """What a function of the leaf returns; that it raised is an outcome, too."""
    try:
        return getattr(leaf, name)(*arguments)
    except UnicodeEncodeError:
        return UnicodeEncodeError


@pytest.mark.parametrize(("octets", "start", "wanted"), ENDS)
def test_end(leaf: ModuleType, octets: bytes, start: int, wanted: int) -> None:
    assert leaf.block_end(octets, start) == wanted


@given(st.lists(st.sampled_from([b"\n", b"a", b"\r", b"\0"]), max_size=20), st.integers(0, 22))
def test_an_end_is_where_the_empty_line_is(leaf: ModuleType, pieces: list[bytes], start: int) -> None:
    octets = b"".join(pieces)
    assert leaf.block_end(octets, start) == octets.find(b"\n\n", start)


@pytest.mark.parametrize("text", NUMBERS, ids=ascii)
def test_whole(leaf: ModuleType, text: str) -> None:
    assert leaf.whole(text) == NUMBERS[text]


@given(
    st.one_of(st.text("0123456789", max_size=17), st.text("019 +-_.\u0660", max_size=5), st.text(max_size=3))
)
def test_a_number_is_up_to_15_digits(leaf: ModuleType, text: str) -> None:
    wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1
    assert leaf.whole(text) == wanted


@pytest.mark.parametrize("block", SPLITS, ids=repr)
def test_split(leaf: ModuleType, block: bytes) -> None:
    # Twice, as names may come from a cache the second time.
    for _ in range(2):
        found = leaf.split(block, 4, False)
        assert found == SPLITS[block]
        assert found is None or list(found[1]) == list(SPLITS[block][1])


@pytest.mark.parametrize("block", INNER, ids=repr)
def test_blanks_inside_want_none(leaf: ModuleType, block: bytes) -> None:
    assert leaf.split(block, 4, True) == leaf.split(block, 4, False) is not None


@pytest.mark.parametrize("block", BLANKS, ids=repr)
def test_blanks_want_a_closer_look_only_where_they_are_trimmed(leaf: ModuleType, block: bytes) -> None:
    assert leaf.split(block, 4, True) is None
    command, _, line = block.decode().partition("\n")
    name, _, value = line.partition(":")
    assert leaf.split(block, 4, False) == (command, {name: value} if name else {})


@pytest.mark.parametrize("name", EDGES, ids=repr)
def test_a_name_with_something_around_it_wants_a_closer_look(leaf: ModuleType, name: bytes) -> None:
    assert leaf.split(b"SEND\n" + name + b":b", 4, False) is None
    assert leaf.split(b"SEND\na:b\n" + name + b":", 4, False) is None
    assert leaf.split(b"SEND\na:" + name, 4, False) == ("SEND", {"a": name.decode()})


def test_a_block_has_as_many_headers_as_are_allowed(leaf: ModuleType) -> None:
    block = b"SEND\n" + b"\n".join(b"h%d:" % i for i in range(300))
    assert leaf.split(block, 299, False) is None
    assert leaf.split(block, 300, False) == ("SEND", {f"h{i}": "" for i in range(300)})
    assert leaf.split(b"SEND", 0, False) == ("SEND", {})
    assert leaf.split(b"SEND\na:b", 0, False) is None


def test_texts_that_only_look_alike_are_not_taken_for_each_other(leaf: ModuleType) -> None:
    for i in range(2000):
        name, place = f"x{i % 700}y", f"/queue/{i % 900}/a"
        block = f"C{i}\n{name}:{i}\ndestination:{place}".encode()
        assert leaf.split(block, 4, False) == (f"C{i}", {name: str(i), "destination": place})


@example([b"SEND\ndestination:/queue/a\n", b"a:", b"\xff"], 3, False)
@given(st.lists(PIECES, max_size=24), st.integers(0, 6), st.booleans())
def test_both_split_alike(leaf_in_c: ModuleType, pieces: list[bytes], most: int, no_blanks: bool) -> None:
    block = b"".join(pieces)
    wanted = leaf_in_python.split(block, most, no_blanks)
    found = leaf_in_c.split(block, most, no_blanks)
    assert found == wanted
    assert found is None or wanted is None or list(found[1]) == list(wanted[1])


@pytest.mark.parametrize(
    ("destination", "headers", "block"),
    [
        ("/queue/a", {}, b"destination:/queue/a\nmessage-id:7\ncontent-length:0\n\n"),
        ("/queue/a", {"": ""}, b"destination:/queue/a\nmessage-id:7\ncontent-length:0\n:\n\n"),
        ("", {"b": " 1\t", "a": ""}, b"destination:\nmessage-id:7\ncontent-length:0\nb: 1\t\na:\n\n"),
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
    assert leaf.encode_head(destination, 7, 0, headers) == block


@pytest.mark.parametrize("number", [0, 1, 9, 10, 99, 100, (1 << 57) - 1, (1 << 63) - 1])
def test_numbers_in_a_head(leaf: ModuleType, number: int) -> None:
    block = f"destination:d\nmessage-id:{number}\ncontent-length:{number}\n\n".encode()
    assert leaf.encode_head("d", number, number, {}) == block


@pytest.mark.parametrize("text", [*"\\\r\n:\0", "\ud800", "a\ndestination:b", "é:", "€\0", "😀\udcff"])
def test_text_that_cannot_be_written_as_it_stands_has_no_head(leaf: ModuleType, text: str) -> None:
    for destination, headers in (
        (text, {}),
        ("d", {text: ""}),
        ("d", {"a": text}),
        ("é", {"€": "1", "a": text}),
    ):
        assert leaf.encode_head(destination, 1, 1, headers) is None


# Surrogates are no text in UTF-8: both say so.
TEXTS = st.one_of(st.text(max_size=20), st.text(st.characters(), max_size=3))
NUMBERS_OF_MESSAGES = st.one_of(st.integers(0, 99), st.integers(0, (1 << 64) - 1))


@given(
    TEXTS,
    NUMBERS_OF_MESSAGES,
    NUMBERS_OF_MESSAGES,
    st.one_of(HEADERS, st.dictionaries(TEXTS, TEXTS, max_size=2)),
)
def test_both_make_the_same_head(
    leaf_in_c: ModuleType, destination: str, number: int, length: int, headers: dict[str, str]
) -> None:
    arguments = ("encode_head", destination, number, length, headers)
    assert outcome(leaf_in_c, *arguments) == outcome(leaf_in_python, *arguments)


@given(TEXTS, NUMBERS_OF_MESSAGES, st.binary(max_size=40))
def test_both_relay_the_same(leaf_in_c: ModuleType, destination: str, number: int, lines: bytes) -> None:
    arguments = ("encode_relayed", destination, number, lines)
    assert outcome(leaf_in_c, *arguments) == outcome(leaf_in_python, *arguments)


@given(
    st.binary(max_size=20),
    NUMBERS_OF_MESSAGES,
    TEXTS,
    NUMBERS_OF_MESSAGES,
    st.binary(max_size=40),
    st.binary(),
)
def test_both_make_the_same_message(
    leaf_in_c: ModuleType, prefix: bytes, ack: int, destination: str, number: int, lines: bytes, body: bytes
) -> None:
    arguments = ("encode_message", prefix, ack, destination, number, lines, body)
    assert outcome(leaf_in_c, *arguments) == outcome(leaf_in_python, *arguments)


SHAPE = b"\0\x0cdestination:\3\x0fcontent-length:\2\2n:\1"
ANSWERED = b"\0\x0cdestination:\3\x08receipt:\4\x0fpersistent:true\0\x0fcontent-length:\2\2n:\1"
UNSIZED = b"\0\x0ctransaction:\5\2g:\6\x0cdestination:\3\2n:\1"
FRAME = b"SEND\ndestination:/queue/a\ncontent-length:2\nn:7\n\nhi\0"
SHAPES = {
    b"SEND\ndestination:/queue/a\ncontent-length:1\nn:0": SHAPE,
    b"SEND\ndestination:\nreceipt:r\npersistent:true\ncontent-length:\nn:": ANSWERED,
    b"SEND\ntransaction:t\ng:1\ndestination:/queue/a\nn:\\c\xc3\xbc": UNSIZED,
    b"SEND\ndestination:\na\\c:\ncontent-length:": b"",
    b"SEND\ndestination:\n\xc3\xbc:\ncontent-length:": b"",
    b"SEND\ndestination:\n n:": b"",
    b"SEND\ndestination:\nn\x7f:": b"",
    b"SEND\ndestination:\nn:1\nn:2": b"",
    b"SEND\ndestination:\npersistent:tr\\cue": b"",
    b"SEND\ndestination:\npersistent:\xc3\xbc": b"",
    b"SEND\ndestination:\npersistent:true\r": b"",
    b"SEND\ndestination:\npersistent:" + b"x" * 90: b"",
    b"SEND\ndestination:\ncontent-length:\n" + b"x" * 101: b"",
    b"SEND\nn:0": b"",
    b"ACK\ndestination:/queue/a\ncontent-length:1": b"",
    b"SEND": b"",
    b"": b"",
    b"SEND\ndestination:a\ncontent-length:1\n" + b"a:\n" * 200: b"",
    b"SEND\ndestination:a" + b"".join([b"\n%d%s:" % (number, b"x" * 90) for number in range(11)]): b"",
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
    FRAME.replace(b":7", b":\xc3\xbc"): (
        len(FRAME) + 1,
        "/queue/a",
        None,
        b"content-length:2\nn:\xc3\xbc\n",
        b"hi",
    ),
    FRAME.replace(b":7", b":\\n\\c\\\\"): (
        len(FRAME) + 5,
        "/queue/a",
        None,
        b"content-length:2\nn:\\n\\c\\\\\n",
        b"hi",
    ),
    FRAME.replace(b":7", b":\xff"): None,
    FRAME.replace(b":7", b":\xed\xa0\x80"): None,
    FRAME.replace(b":7", b":\xc0\x80"): None,
    FRAME.replace(b":7", b":\xe2\x82"): None,
    FRAME.replace(b":7", b":a:b"): None,
    FRAME.replace(b":7", b":\\r"): None,
    FRAME.replace(b":7", b":\\t"): None,
    FRAME.replace(b":7", b":\\"): None,
    FRAME.replace(b"/queue/a", b"\xc3\xbc"): None,
    FRAME.replace(b"/queue/a", b"a\\c"): None,
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
    b"ACK\nid:1\n\n\0": "1",
    b"ACK\nid:1a6f02c4d3b-12\n\n\0\n": "1a6f02c4d3b-12",
    b"ACK\nid:" + 40 * b"7" + b"\n\n\0": 40 * "7",
    b"ACK\nid:" + 41 * b"7" + b"\n\n\0": None,
    b"ACK\nid:!~[]9;\n\n\0": "!~[]9;",
    b"ACK\nid:\n\n\0": None,
    b"ACK\nid:a:b\n\n\0": None,
    b"ACK\nid:a\\c\n\n\0": None,
    b"ACK\nid: a\n\n\0": None,
    b"ACK\nid:a\t\n\n\0": None,
    b"ACK\nid:\xc3\xbc\n\n\0": None,
    b"ACK\nid:\x7f\n\n\0": None,
    b"ACK\nid:a\0b\n\n\0": None,
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


def like(
    leaf: ModuleType, octets: bytes, start: int, shape: bytes, most_header: int, most_body: int
) -> tuple[Any, ...] | None:
    """Of a frame without transaction and group: where it ends, destination, receipt, lines and body."""
    found = leaf.like(octets, start, (shape,), most_header, most_body)
    if found is None:
        return None
    stop, bits, place, receipt, lines, body, others = found
    assert others is None
    assert bits == (leaf_in_python.ESCAPED if b"\\" in lines else 0)
    return stop, place, receipt, lines, body


ANY_ACKS = {
    b"ACK\nid:1\n\n\0": ("1", None, None, None),
    b"ACK\nid:1-2\nsubscription:sub-0\n\n\0\n": ("1-2", None, "sub-0", None),
    b"ACK\nmessage-id:7\ncontent-length:0\ncontent-type:text/plain; charset=UTF-8\n\n\0": (
        None,
        "7",
        None,
        None,
    ),
    b"ACK\ndestination:/queue/a\nmessage-id:7\n\n\0": (None, "7", None, None),
    b"ACK\nreceipt:r\nid:1\nmessage-id:7\nsubscription:s\n\n\0": ("1", "7", "s", "r"),
    b"ACK\n\n\0": None,
    b"ACK\nid:" + 300 * b"7" + b"\n\n\0": (300 * "7", None, None, None),
    b"ACK\nid:1\nid:2\n\n\0": None,
    b"ACK\ndestination:1\ndestination:1\n\n\0": None,
    b"ACK\nid:1\ncontent-length:1\n\n\0": None,
    b"ACK\nid:1\ncontent-length:0\ncontent-length:0\n\n\0": None,
    b"ACK\nid:1\ncontent-length:00\n\n\0": None,
    b"ACK\nid:1\ntransaction:t\n\n\0": None,
    b"ACK\nid:1\nnone:1\n\n\0": None,
    b"ACK\nid:1\nnone\n\n\0": None,
    b"ACK\nid:\n\n\0": None,
    b"ACK\nid:a:b\n\n\0": None,
    b"ACK\nid:a\\c\n\n\0": None,
    b"ACK\nid: a\n\n\0": None,
    b"ACK\nid:a\t\n\n\0": None,
    b"ACK\nid:\xc3\xbc\n\n\0": None,
    b"ACK\nid:a\0b\n\n\0": None,
    b"ACK\nid:1\n\nx\0": None,
    b"ACK\nid:1\r\n\r\n\0": None,
    b"ack\nid:1\n\n\0": None,
    b"NACK\nid:1\n\n\0": None,
    b"ACK\nid:1\nreceipt:2\n\n": None,
    b"ACK\nid:1\n": None,
    b"ACK\nid:": None,
    b"ACK\n": None,
    b"": None,
}


@pytest.mark.parametrize("octets", ANY_ACKS, ids=lambda octets: repr(octets[:80]))
def test_any_ack(leaf: ModuleType, octets: bytes) -> None:
    values = ANY_ACKS[octets]
    for before in (b"", b"ACK\n"):
        wanted = None if values is None else (len(before) + octets.index(b"\0") + 1, *values)
        assert leaf.any_ack(before + octets, len(before)) == wanted


ACK_LINES = st.one_of(
    st.sampled_from(sorted({line for octets in ANY_ACKS for line in octets.split(b"\n")[1:-2]})),
    st.builds(
        lambda name, value: name + b":" + value, st.sampled_from([b"id", b"receipt"]), st.binary(max_size=3)
    ),
)


@given(
    st.lists(ACK_LINES, max_size=5), st.sampled_from([b"\n\n\0", b"\n\n\0", b"\n\n\0\n", b"\n\n", b"\n\nx\0"])
)
def test_both_read_the_same_of_any_ack(leaf_in_c: ModuleType, lines: list[bytes], end: bytes) -> None:
    octets = b"\n".join([b"ACK", *lines]) + end
    found = leaf_in_c.any_ack(octets, 0)
    assert found == leaf_in_python.any_ack(octets, 0)
    if found is not None:
        command, headers = leaf_in_python.split(octets[: found[0] - 3], 99, True) or ("", {})
        assert command == "ACK"
        names = ("id", "message-id", "subscription", "receipt")
        assert list(found[1:]) == [headers.get(name) for name in names]


@pytest.mark.parametrize("block", SHAPES, ids=lambda block: repr(block[:60]))
def test_shape(block: bytes) -> None:
    whole = {b"persistent"}
    assert alike.shape(block, False, whole, b"g") == SHAPES[block]
    assert alike.shape(block, True, whole, b"g") == (b"\1" + SHAPES[block][1:] if SHAPES[block] else b"")


@pytest.mark.parametrize("octets", LIKES, ids=repr)
def test_like(leaf: ModuleType, octets: bytes) -> None:
    for _ in range(2):
        assert like(leaf, octets, 0, SHAPE, 99, 99) == LIKES[octets] or len(octets) > 110
    wanted = LIKES[octets]
    found = like(leaf, b"abc" + octets, 3, SHAPE, 999, 99)
    assert found == (wanted and (wanted[0] + 3, *wanted[1:]))


ASKING = b"SEND\ndestination:/queue/a\nreceipt:r-1\npersistent:true\ncontent-length:2\nn:7\n\nhi\0"


def test_like_with_a_receipt(leaf: ModuleType) -> None:
    lines = b"persistent:true\ncontent-length:2\nn:7\n"
    assert like(leaf, ASKING, 0, ANSWERED, 99, 99) == (len(ASKING), "/queue/a", "r-1", lines, b"hi")
    empty = ASKING.replace(b"r-1", b"")
    assert like(leaf, empty, 0, ANSWERED, 99, 99) == (len(empty), "/queue/a", "", lines, b"hi")
    for old, new in (
        (b"true", b"tru"),
        (b"true", b"truer"),
        (b"true", b"false"),
        (b"r-1", b"\xc3\xbc"),
        (b"r-1", b"a:b"),
    ):
        assert like(leaf, ASKING.replace(old, new), 0, ANSWERED, 99, 99) is None
    for end in range(len(ASKING)):
        assert like(leaf, ASKING[:end], 0, ANSWERED, 99, 99) is None
    # Wherever the receipt stands.
    others = [b"content-length:2\n", b"n:7\n"]
    for place in range(3):
        each = [*others[:place], b"receipt:x\n", *others[place:]]
        octets = b"SEND\ndestination:/queue/a\n" + b"".join(each) + b"\nhi\0"
        shape = alike.shape(octets.partition(b"\n\n")[0], False, {b"persistent"})
        found = like(leaf, octets, 0, shape, 99, 99)
        assert found == (len(octets), "/queue/a", "x", b"".join(others), b"hi")


def test_like_knows_limits_and_blanks(leaf: ModuleType) -> None:
    header = len(FRAME) - 5
    assert like(leaf, FRAME, 0, SHAPE, header, 2)
    assert like(leaf, FRAME, 0, SHAPE, header - 1, 2) is None
    assert like(leaf, FRAME, 0, SHAPE, header, 1) is None
    for value in (b" 7", b"7\t", b"7 7"):
        octets = FRAME.replace(b":7", b":" + value)
        found = like(leaf, octets, 0, SHAPE, 99, 99)
        assert found is not None and found[3] == b"content-length:2\nn:" + value + b"\n"
        # In 1.0 those around a value are none of it.
        assert (like(leaf, octets, 0, b"\1" + SHAPE[1:], 99, 99) is None) == (value != b"7 7")


def test_like_of_any_header(leaf: ModuleType) -> None:
    """Without content-length, with a transaction and a group, and values that are escaped or not ASCII."""
    start = b"SEND\ntransaction:t\ng:1\ndestination:/queue/a\nn:"
    octets = start + b"\\c\xc3\xbc\n\nhi\0\0"
    wanted = (len(octets) - 1, 4, "/queue/a", None)
    lines = b"g:1\nn:\\c\xc3\xbc\ncontent-length:2\n"
    rest = (lines, b"hi", ("t", "1"))
    assert leaf.like(octets, 0, (UNSIZED,), 99, 99) == (*wanted, *rest)
    assert leaf.like(octets, 0, (SHAPE, ANSWERED, UNSIZED), 99, 99) == (wanted[0], 20, *wanted[2:], *rest)
    assert leaf.like(octets, 0, (UNSIZED,), 99, 2)
    assert leaf.like(octets, 0, (UNSIZED,), 99, 1) is None
    assert leaf.like(octets[:-2], 0, (UNSIZED,), 99, 99) is None
    assert leaf.like(octets, 0, (), 99, 99) is None
    for text, bits in (("\u00ff", 0), ("\u0100", 1), ("\uffff", 1), ("\U00010000", 2), ("\U0010ffff", 2)):
        found = leaf.like(start + text.encode() + b"\n\n\0", 0, (UNSIZED,), 99, 99)
        assert found is not None and found[1] == bits
    for value in (
        b"\xf4\x90\x80\x80",
        b"\xf0\x80\x80\x80",
        b"\xe0\x80\x80",
        b"\x80",
        b"\xc3",
        b"\xf5\x80\x80\x80",
    ):
        assert leaf.like(start + value + b"\n\n\0", 0, (UNSIZED,), 99, 99) is None


def test_patterns_of_shapes_are_bounded() -> None:
    leaf = leaf_in_python
    before = dict(leaf._patterns)
    for number in range(2 * leaf.SHAPES):
        shape = alike.shape(b"SEND\ndestination:a\ncontent-length:0\nx%d:" % number, False)
        assert leaf.like(b"SEND\ndestination:a\ncontent-length:0\nx%d:\n\n\0" % number, 0, (shape,), 99, 99)
    assert len(leaf._patterns) == leaf.SHAPES
    leaf._patterns.clear()
    leaf._patterns.update(before)


@pytest.mark.parametrize("octets", ACKS, ids=repr)
def test_ack(leaf: ModuleType, octets: bytes) -> None:
    assert leaf.plain_ack(octets, 0) == ACKS[octets]
    assert leaf.plain_ack(b"ACK" + octets, 3) == ACKS[octets]


@given(
    st.lists(
        st.one_of(PIECES, st.sampled_from([FRAME, ASKING, b"ACK\nid:1\n\n\0", b"n:", b"7"])), max_size=9
    ),
    st.integers(0, 9),
)
def test_both_find_the_same_frames(leaf_in_c: ModuleType, pieces: list[bytes], start: int) -> None:
    octets = b"".join(pieces)
    assert leaf_in_c.plain_ack(octets, start) == leaf_in_python.plain_ack(octets, start)
    for shapes in ((SHAPE,), (b"\1" + SHAPE[1:],), (ANSWERED, UNSIZED), (UNSIZED, SHAPE)):
        wanted = leaf_in_python.like(octets, start, shapes, 99, 99)
        assert leaf_in_c.like(octets, start, shapes, 99, 99) == wanted


@given(
    st.sampled_from([b"", b"A", b"SEND\n\n\0"]),
    st.sampled_from([b"ACK\nid:", b"ACK\nid:", b"NACK\nid:", b"ACK\nID:"]),
    st.one_of(
        st.sampled_from([1, 39, 40, 40, 41, 42]).map(lambda size: "1" * size),
        st.text("0123456789abcdef-", max_size=42),
        st.text("0-a!/9:;[\\]~\x7f\x80ü \t\r\0\x01", max_size=8),
    ),
    st.sampled_from([b"\n\n\0", b"\n\n\0", b"\n\n\0ACK\nid:2\n\n\0", b"\n\n", b"\n\0", b"\n\nx\0"]),
)
def test_an_ack_is_read_where_it_is_plain(
    leaf: ModuleType, before: bytes, start: bytes, name: str, end: bytes
) -> None:
    octets = before + start + name.encode() + end
    known = all("!" <= letter <= "~" and letter not in ":\\" for letter in name)
    plain = start == b"ACK\nid:" and known and 0 < len(name) <= 40 and end.startswith(b"\n\n\0")
    assert leaf.plain_ack(octets, len(before)) == (name if plain else None)
    assert not plain or len(octets) - len(before) >= len(name) + leaf_in_python.ACK_MORE


NAMES = st.one_of(
    st.sampled_from(
        [b"n", b"receipt", b"receipt", b"content-type", b"a b", b"\xc3\xbc", b"x" * 100, b"x" * 101]
    ),
    st.text("abc.-_", min_size=1, max_size=4).map(str.encode),
)
CLEAN = st.one_of(st.text("abc019/-", max_size=12).map(str.encode), st.just(b"v" * 300))
ANY_VALUE = st.one_of(
    CLEAN,
    st.sampled_from(
        [
            b"true",
            b"truer",
            b"tru",
            b" x",
            b"x\t",
            b"a:b",
            b"\\c",
            b"\r",
            b"\0",
            b"\xc3\xbc",
            b"\xff",
            b"\n",
            b"x\ny:",
        ]
    ),
    st.binary(max_size=3),
)
BODIES = st.one_of(st.just(b""), st.binary(max_size=9), st.sampled_from([b"\0", b"\n\n\0", b"b" * 300]))


WHOLE = {b"persistent"}
ROLES = (b"destination", b"receipt", b"transaction", b"g")
"""Names of which `like` says the values."""


def roles_of(found: tuple[Any, ...]) -> list[str | None]:
    """Their values, as `like` says them."""
    return [found[2], found[3], *(found[6] or (None, None))]


def send(names: list[bytes], values: list[bytes], length: bytes, body: bytes) -> bytes:
    """A SEND with those headers, of which content-length has ``length``."""
    lines = [b"SEND"]
    for name, value in zip(names, values, strict=True):
        lines.append(name + b":" + (length if name == b"content-length" else value))
    return b"\n".join([*lines, b"", body]) + b"\0"


@st.composite
def lessons(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """The header block of a SEND, as one from which a shape is learned, and its names."""
    some = st.sampled_from([b"persistent", b"content-length", b"content-length", b"transaction", b"g"])
    names = draw(st.lists(st.one_of(some, NAMES), max_size=6, unique=True))
    names.insert(draw(st.integers(0, len(names))), b"destination")
    return send(names, [b"true"] * len(names), b"0", b"").partition(b"\n\n")[0], names


def read_of(found: tuple[Any, ...]) -> dict[str, str]:
    """The headers that `like` has found."""
    read = {}
    for line in found[4].decode().split("\n")[:-1]:
        name, _, value = line.partition(":")
        for escape, meant in ((r"\\", "\0"), (r"\c", ":"), (r"\n", "\n"), ("\0", "\\")):
            value = value.replace(escape, meant)
        read[name] = value
    for name, value in zip(ROLES, roles_of(found), strict=True):
        if value is not None:
            assert read.setdefault(name.decode(), value) == value
    return read


@given(st.data(), lessons(), st.booleans(), BODIES, st.sampled_from([b"", b"SEND\n", b"\n"]))
def test_both_read_the_same_of_any_shape(
    leaf_in_c: ModuleType,
    data: Any,
    lesson: tuple[bytes, list[bytes]],
    no_blanks: bool,
    body: bytes,
    after: bytes,
) -> None:
    block, names = lesson
    shape = alike.shape(block, no_blanks, WHOLE, b"g")
    # Nothing is learned of others.
    assume(shape and leaf_in_python.split(block, 99, no_blanks))
    values = [b"true" if name == b"persistent" else data.draw(CLEAN) for name in names]
    values[names.index(b"destination")] = b"/queue/b"
    length = b"%d" % len(body)
    # One thing is not as it should be, or none.
    change = data.draw(st.sampled_from(["none", "value", "place", "length", "persistent", "short", "octet"]))
    if change == "value":
        values[data.draw(st.integers(0, len(values) - 1))] = data.draw(ANY_VALUE)
    elif change == "persistent" and b"persistent" in names:
        values[names.index(b"persistent")] = data.draw(st.sampled_from([b"truer", b"truer", b"tru", b""]))
    elif change == "place":
        values[names.index(b"destination")] = data.draw(ANY_VALUE)
    elif change == "length":
        length = data.draw(
            st.sampled_from([b"0", b"01", b"", b"1x", b"9" * 15, b"9" * 16, b"%d" % (len(body) + 1)])
        )
    octets = send(names, values, length, body)
    if change == "short":
        octets = octets[: -data.draw(st.integers(1, 2))]
    elif change == "octet":
        at = data.draw(st.integers(0, len(octets)))
        octets = octets[:at] + data.draw(st.binary(max_size=1)) + octets[at + data.draw(st.integers(0, 1)) :]
    else:
        octets += after
    most_header, most_body = data.draw(st.sampled_from([(9999, 999)] * 4 + [(60, 999), (9999, 3)]))
    found = leaf_in_c.like(octets, 0, (shape,), most_header, most_body)
    assert found == leaf_in_python.like(octets, 0, (shape,), most_header, most_body)
    if found is not None:
        # What it says is what a closer look finds.
        stop, content = found[0], found[5]
        end = octets.index(b"\n\n")
        read = read_of(found)
        if b"\\" not in octets[:end]:
            wanted = leaf_in_python.split(octets[:end], 999, no_blanks)
            assert wanted is not None
            assert wanted[1].get("content-length") in (None, read["content-length"])
            assert wanted == ("SEND", {name: read[name] for name in wanted[1]})
            assert len(read) - len(wanted[1]) == (b"content-length" not in names)
        assert int(read["content-length"]) == len(content) == stop - end - 3
        assert content == octets[end + 2 : stop - 1]
        assert end <= most_header and len(content) <= most_body


@given(st.data(), lessons(), st.booleans(), BODIES)
def test_what_differs_in_values_alone_is_of_the_shape(
    leaf: ModuleType, data: Any, lesson: tuple[bytes, list[bytes]], no_blanks: bool, body: bytes
) -> None:
    block, names = lesson
    shape = alike.shape(block, no_blanks, WHOLE, b"g")
    # Nothing is learned of others.
    assume(shape and leaf_in_python.split(block, 99, no_blanks))
    sized = b"content-length" in names
    assume(sized or b"\0" not in body)
    values = [b"true" if name == b"persistent" else data.draw(CLEAN) for name in names]
    values[names.index(b"destination")] = b"/queue/b"
    octets = send(names, values, b"%d" % len(body), body)
    found = leaf.like(octets, 0, (shape,), 9999, 999)
    cut = (b"destination", b"receipt", b"transaction")
    kept = [each for each in zip(names, values, strict=True) if each[0] not in cut]
    lines = [n + b":" + (b"%d" % len(body) if n == b"content-length" else v) + b"\n" for n, v in kept]
    if not sized:
        lines.append(b"content-length:%d\n" % len(body))
    assert found is not None
    said = dict(zip(names, values, strict=True))
    assert roles_of(found) == [said[name].decode() if name in said else None for name in ROLES]
    assert (found[0], found[1], found[4], found[5]) == (len(octets), 0, b"".join(lines), body)


def test_relayed(leaf: ModuleType) -> None:
    for destination, number in (("/queue/a", 0), ("", 1 << 57), ("/queue/é😀", 99)):
        block = f"destination:{destination}\nmessage-id:{number}\na:b\n\n".encode()
        assert leaf.encode_relayed(destination, number, b"a:b\n") == block
    with pytest.raises(UnicodeEncodeError):
        leaf.encode_relayed("\udcff", 1, b"")


def test_message(leaf: ModuleType) -> None:
    for destination, number, body in (
        ("/queue/a", 0, b""),
        ("", 1 << 57, b"\0\n"),
        ("/queue/é😀", 99, b"x" * 600),
    ):
        for ack, start, line in (
            (0, "", ""),
            (1, "ack:f-", "ack:f-1\n"),
            (1 << 60, "ack:f-", f"ack:f-{1 << 60}\n"),
        ):
            head = f"MESSAGE\n{line}destination:{destination}\nmessage-id:{number}\na:b\n\n".encode()
            prefix = b"MESSAGE\n" + start.encode()
            frame = leaf.encode_message(prefix, ack, destination, number, b"a:b\n", body)
            assert frame == head + body + b"\0\n"
    with pytest.raises(UnicodeEncodeError):
        leaf.encode_message(b"", 0, "\udcff", 1, b"", b"")


def test_c_refuses_what_is_not_of_its_types(leaf_in_c: ModuleType) -> None:
    # mypyc checks the types of what its own functions get, not what is in a dict.
    wrong: list[tuple[str, tuple[object, ...]]] = [
        ("block_end", (b"a",)),
        ("block_end", ("a", 0)),
        ("block_end", (b"a", "0")),
        ("whole", ()),
        ("whole", (b"1",)),
        ("whole", (1,)),
        ("split", ()),
        ("split", ("SEND", 1, False)),
        ("split", (b"SEND", "1", False)),
        ("split", (b"SEND", 1, False, 1)),
        ("encode_head", ("d", 1, 1)),
        ("encode_head", (b"d", 1, 1, {})),
        ("encode_head", ("d", "1", 1, {})),
        ("encode_head", ("d", 1, None, {})),
        ("encode_head", ("d", 1, 1, [])),
        ("encode_head", ("d", 1, 1, {b"a": "1"})),
        ("encode_head", ("d", 1, 1, {"a": 1})),
        ("encode_head", ("é", 1, 1, {"a": 1})),
        ("encode_head", ("é", 1, 1, {1: "a"})),
        ("like", (b"", 0, (b"",), 1)),
        ("like", ("", 0, (b"",), 1, 1)),
        ("like", (b"", 0, b"", 1, 1)),
        ("like", (FRAME, 0, ("",), 1, 1)),
        ("like", (FRAME, 0, (b"",), 1, 1)),
        ("like", (b"", "0", (b"",), 1, 1)),
        ("plain_ack", (b"",)),
        ("plain_ack", ("", 0)),
        ("plain_ack", (b"", "0")),
        ("any_ack", (b"",)),
        ("any_ack", ("", 0)),
        ("any_ack", (b"", "0")),
        ("encode_relayed", ("d", 1)),
        ("encode_relayed", (b"d", 1, b"")),
        ("encode_relayed", ("d", "1", b"")),
        ("encode_relayed", ("d", 1, "")),
        ("encode_message", (b"", 0, "d", 1, b"")),
        ("encode_message", ("", 0, "d", 1, b"", b"")),
        ("encode_message", (b"", "0", "d", 1, b"", b"")),
        ("encode_message", (b"", 0, b"d", 1, b"", b"")),
        ("encode_message", (b"", 0, "d", None, b"", b"")),
        ("encode_message", (b"", 0, "d", 1, "", b"")),
        ("encode_message", (b"", 0, "d", 1, b"", "")),
    ]
    for name, arguments in wrong:
        with pytest.raises(TypeError):
            getattr(leaf_in_c, name)(*arguments)
    for number in (-1, 1 << 64):
        with pytest.raises(OverflowError):
            leaf_in_c.encode_head("d", number, 1, {})


def _use(leaf: ModuleType, rounds: int) -> None:
    for _ in range(rounds):
        for block in SPLITS:
            leaf.split(block, 4, True)
            leaf.block_end(block, 300)
            leaf.whole("1" * len(block))
        leaf.like(ASKING, 0, (SHAPE, ANSWERED), 99, 99)
        for octets in (*LIKES, *ACKS):
            leaf.like(octets, 0, (SHAPE, UNSIZED), 99, 99)
            leaf.plain_ack(octets, 0)
        for octets in ANY_ACKS:
            leaf.any_ack(octets, 0)
        leaf.encode_relayed("/queue/é", 1 << 50, b"a:b\n")
        leaf.encode_message(b"MESSAGE\n", 1 << 40, "/queue/é", 1 << 50, b"a:b\n", b"body")
        leaf.encode_head("/queue/a", 1 << 50, 1 << 30, {"a": "1", "b": "2"})
        leaf.encode_head("/queue/a", 1 << 50, 1 << 30, {"a": "1", "é": "2"})
        leaf.encode_head("d", 1, 1, {"\udcff": ""})
        leaf.encode_head("/queue/a", 1, 1, {"é": "1", "b": "2\n"})


def test_no_memory_is_lost(leaf: ModuleType) -> None:
    block, destination, headers = b"SEND\ndestination:/queue/a\na:b", "/queue/aé", {"xyz": "zyx"}
    _use(leaf, 2)
    gc.collect()
    held = [sys.getrefcount(each) for each in (block, destination, headers, "zyx", None)]
    blocks = sys.getallocatedblocks()
    _use(leaf, 1000)
    for _ in range(1000):
        leaf.split(block, 4, False)
        leaf.encode_head(destination, 1, 1, headers)
    gc.collect()
    # Losing one reference a round would be a thousand.
    assert sys.getallocatedblocks() - blocks < 500
    after = [sys.getrefcount(each) for each in (block, destination, headers, "zyx", None)]
    assert all(abs(new - old) < 500 for new, old in zip(after, held, strict=True)), (held, after)
