"""The reader of Ruby's Marshal format."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.migrate import marshal
from stompserver.migrate.frame import from_marshal
from stompserver.migrate.marshal import Object, Symbol
from stompserver.migrate.unreadable import Unreadable

DATA = Path(__file__).parent / "data"


def load(octets: bytes) -> Any:
    return marshal.load(b"\x04\x08" + octets)


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"0", None),
        (b"T", True),
        (b"F", False),
        (b"i\x00", 0),
        (b"i\x06", 1),
        (b"i\x7f", 122),
        (b"i\x01\x7b", 123),
        (b"i\x01\xff", 255),
        (b"i\x02\x00\x01", 256),
        (b"i\xfa", -1),
        (b"i\x80", -123),
        (b"i\xff\x84", -124),
        (b"i\xff\x00", -256),
        (b"i\xfe\xff\xfe", -257),
        (b"i\x04\xff\xff\xff\x3f", (1 << 30) - 1),
        (b"i\xfc\x00\x00\x00\xc0", -(1 << 30)),
        (b"l+\x07\x00\x00\x00\x40", 1 << 30),
        (b"l-\x07\x01\x00\x00\x40", -(1 << 30) - 1),
        (b'"\x08abc', b"abc"),
        (b'"\x00', b""),
        (b'I"\x08abc\x06:\x06ET', b"abc"),
        (b'I"\x08abc\x06:\x06EF', b"abc"),
        (b'I"\x06\xe9\x06:\rencoding"\x0fISO-8859-1', b"\xe9"),
        (b":\x08abc", Symbol("abc")),
        (b"I:\x07\xc3\xa9\x06:\x06ET", Symbol("é")),
        (b"[\x08i\x06:\x06a;\x00", [1, Symbol("a"), Symbol("a")]),
        (b'[\x07"\x06x@\x06', [b"x", b"x"]),
        (b'{\x06:\x06a"\x06b', {Symbol("a"): b"b"}),
        (b"{\x00", {}),
    ],
)
def test_values(octets: bytes, value: object) -> None:
    found = load(octets)
    assert found == value
    assert type(found) is type(value)


def test_links_count_what_ruby_counts() -> None:
    # Array (0), string with encoding (1), hash (2), its key (3), encoding's name (5) of a string (4).
    octets = b'[\x0aI"\x06a\x06:\x06ET{\x06"\x06ki\x06I"\x06b\x06:\rencoding"\x06c@\x06@\x0a'
    assert load(octets) == [b"a", {b"k": 1}, b"b", b"a", b"c"]


def test_an_object_stays_data() -> None:
    found = load(b'o:\x06X\x06:\x07@a"\x06b')
    assert isinstance(found, Object)
    assert (found.name, found.fields) == ("X", {"@a": b"b"})


@pytest.mark.parametrize(
    ("octets", "at", "words"),
    [
        (b"c\x0bString", 2, "a class"),
        (b"m\x0bKernel", 2, "a module"),
        (b"u:\x09Time\x0d12345678", 2, "loader of its own"),
        (b"U:\x09Gem::X[\x00", 2, "loader of its own"),
        (b"C:\x08Foo[\x00", 2, "subclass"),
        (b"e:\x08Modo:\x06X\x00", 2, "extended"),
        (b"S:\x08Foo\x06:\x06ai\x06", 2, "a struct"),
        (b"/\x06a\x00", 2, "a regular expression"),
        (b"}\x00i\x06", 2, "default value"),
        (b"f\x081.5", 2, "a float"),
        (b"[\x06c\x0bString", 4, "a class"),
        (b"\x00", 2, "type"),
        (b"[\x06@\x00", 4, "no string"),
        (b"[\x07[\x00@\x06", 6, "no string"),
        (b"[\x06@\x0a", 4, "no string"),
        (b"[\x06@\xfa", 4, "no string"),
        (b";\x00", 2, "link to symbol"),
        (b'"\x09abc', 3, "length of 4"),
        (b'"\xfa', 3, "length of -1"),
        (b"[\x04\xff\xff\xff\x7f", 3, "length"),
        (b"{\x06[\x00i\x06", 4, "neither a string nor a symbol"),
        (b"{\x06i\x06i\x06", 4, "neither a string nor a symbol"),
        (b'o"\x06X\x00', 3, "name is missing"),
        (b"I[\x00\x00", 3, "instance variables"),
        (b"l+\x20" + b"\xff" * 80, 4, "128 bits"),
        (b"i\x02\x01", 4, "cut off"),
        (b"", 2, "cut off"),
    ],
)
def test_everything_else_is_refused_with_its_offset(octets: bytes, at: int, words: str) -> None:
    with pytest.raises(Unreadable, match=words) as refused:
        load(octets)
    assert refused.value.at == at
    assert str(refused.value).startswith(f"byte {at}: ")


@pytest.mark.parametrize(
    "start", [b"", b"\x04", b"\x03\x08i\x00", b"\x04\x09i\x00", b"{}", b"\x80\x04K\x01."]
)
def test_other_formats_are_refused(start: bytes) -> None:
    with pytest.raises(Unreadable):
        marshal.load(start)


def test_what_follows_is_ignored_as_ruby_does() -> None:
    assert load(b"i\x06and more") == 1


def test_offsets_count_from_where_the_stream_starts() -> None:
    with pytest.raises(Unreadable, match="byte 18"):
        marshal.load(b"\x04\x08c\x06X", 16)


def test_nesting_has_a_limit() -> None:
    deepest = b"[\x06" * (marshal.DEPTH - 1) + b"[\x00"
    load(deepest)
    with pytest.raises(Unreadable, match="nested"):
        load(b"[\x06" + deepest)
    with pytest.raises(Unreadable, match="nested"):
        load(b"[\x06" * 1_000_000 + b"0")


def test_a_frame_is_an_object_of_its_class(ruby: Any) -> None:
    with pytest.raises(Unreadable, match="class Gem::Installer"):
        from_marshal(marshal.load(ruby.dump(("Gem::Installer", {"@headers": {}}))))
    with pytest.raises(Unreadable, match="a list"):
        from_marshal(marshal.load(ruby.dump([])))
    with pytest.raises(Unreadable, match="without headers"):
        from_marshal(marshal.load(ruby.dump(("StompServer::StompFrame", {"@body": b""}))))
    with pytest.raises(Unreadable, match="no text"):
        from_marshal(marshal.load(ruby.frame({b"a": [b"b"]})))
    frame = from_marshal(marshal.load(ruby.frame({b"a": 1, b"b": None, b"c": True, b"d": "sym"}, None)))
    assert (frame.headers, frame.body) == ({b"a": b"1", b"b": b"", b"c": b"true", b"d": b"sym"}, b"")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 30), (1 << 30) - 1)
    | st.binary(max_size=300)
    | st.binary(max_size=20).map(lambda octets: (octets,)),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.binary(max_size=9), inner, max_size=5),
    max_leaves=20,
).filter(lambda value: depth(value) < marshal.DEPTH)


def depth(value: Any) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, parts), default=0)


def plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return value[0]
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value


@given(values)
def test_what_is_written_is_read(ruby: Any, value: Any) -> None:
    octets = ruby.dump(value)
    assert marshal.load(octets) == plain(value)


@given(st.binary(max_size=200))
def test_any_octets_give_a_value_or_an_error_of_ours(refusal: Any, octets: bytes) -> None:
    refused = refusal(load, octets)
    assert refused is None or 0 <= refused.at <= len(octets) + 2


STREAMS = [
    (DATA / "file/ruby18/qinfo").read_bytes(),
    (DATA / "file/debian31/qinfo").read_bytes(),
    *[path.read_bytes()[16:] for path in sorted((DATA / "file/debian31/_queue_orders").iterdir())],
    *[path.read_bytes()[16:] for path in sorted((DATA / "file/ruby18/_queue_orders").iterdir())],
]


@given(st.sampled_from(STREAMS), st.data())
def test_damaged_streams_give_a_value_or_an_error_of_ours(
    refusal: Any, stream: bytes, data: st.DataObject
) -> None:
    octets = bytearray(stream)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(octets), 400) - 1))
        octets[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        if not octets:
            break
    refused = refusal(lambda: from_marshal(marshal.load(bytes(octets))))
    assert refused is None or 0 <= refused.at <= len(octets)


@pytest.mark.parametrize("stream", STREAMS[2:6])
def test_a_stream_cut_anywhere_is_refused(stream: bytes) -> None:
    end = len(stream) - len(stream.partition(b"ET;\x0cT")[2])
    for length in range(min(end, 100)):
        with pytest.raises(Unreadable):
            marshal.load(stream[:length])


SCRIPT = r"""
module StompServer; class StompFrame; attr_accessor :command, :headers, :body; end; end
require 'base64'
shared = "shared"
[ {:a=>shared, :b=>shared, "k"=>[1, -1, 255, 256, -256, -257, 2**30-1, 2**30, -2**30, -2**30-1, 2**40]},
  ["x".b, "é", "é".encode("ISO-8859-1"), "plain".force_encoding("US-ASCII"), :sym, :"é", nil, true, false],
].each { |value| puts Base64.strict_encode64(Marshal.dump(value)) }
"""


def test_a_real_ruby(ruby_command: str) -> None:
    done = subprocess.run([ruby_command, "-e", SCRIPT], capture_output=True, check=True, timeout=60)
    first, second = [marshal.load(base64.b64decode(line)) for line in done.stdout.split()]
    big = 1 << 30
    numbers = [1, -1, 255, 256, -256, -257, big - 1, big, -big, -big - 1, 1 << 40]
    assert first == {Symbol("a"): b"shared", Symbol("b"): b"shared", b"k": numbers}
    accents = ["é".encode(), b"\xe9"]
    assert second == [b"x", *accents, b"plain", Symbol("sym"), Symbol("é"), None, True, False]
