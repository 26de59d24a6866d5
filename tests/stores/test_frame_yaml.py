"""The YAML of the frame column: what is written, read back, and read of what others wrote."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stompserver.errors import StoreDamaged
from stompserver.stores.sql import frame_yaml

HEADERS = {"destination": "/queue/r", "message-id": "7"}

octets = st.binary(max_size=20).map(lambda octets: octets.decode("utf-8", "surrogateescape"))
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | octets
headers = st.dictionaries(text, text, max_size=5)


def test_a_frame_is_yaml_that_people_can_read() -> None:
    written = frame_yaml.dump({"destination": "/queue/r", "x y": "1"}, b"two\nlines")
    assert written == (
        '---\ncommand: MESSAGE\nheaders:\n  destination: "/queue/r"\n  "x y": "1"\nbody: "two\\nlines"\n'
    )


@given(headers, st.binary() | st.text(st.characters(exclude_categories=["Cs"])).map(str.encode) | st.none())
def test_every_frame_comes_back_by_both_ways(headers: dict[str, str], body: bytes | None) -> None:
    written = frame_yaml.dump(headers, body)
    read = frame_yaml.load(written)
    assert read == (headers, body)
    assert list(read[0]) == list(headers)
    assert frame_yaml.load("# as any other YAML\n" + written) == (headers, body)


@pytest.mark.parametrize("length", [999, 1000, 1023, 1025, 5000])
def test_names_longer_than_a_simple_key(length: int) -> None:
    headers = {"x" * length: "long", "y": "z"}
    written = frame_yaml.dump(headers, b"")
    assert frame_yaml.load(written) == (headers, b"")
    assert yaml.safe_load(written)["headers"] == headers


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", str),
        (b"text", str),
        ("caf\u00e9 \u20ac \U0001f418".encode(), str),
        (b"a\0b", bytes),
        (b"latin-1 \xe9", bytes),
        (b"\x01" * 1000, bytes),
        (b"\x1b[31mred\x1b[0m" + b"x" * 100, str),
    ],
)
def test_bodies_are_text_where_they_can_be(body: bytes, kind: type) -> None:
    # What Ruby calls !binary is !!binary in Python.
    found = yaml.safe_load(frame_yaml.dump(HEADERS, body).replace(" !binary", " !!binary"))["body"]
    assert isinstance(found, kind)
    assert found in (body, body.decode("utf-8", "replace"))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("body: |\n  line\n  line\n", b"line\nline\n"),
        ("body: 1_000\n", b"1_000"),
        ("body: ~\n", b"~"),
        ("body: !binary |-\n  YWIAY2QA/8MK\n", b"ab\0cd\0\xff\xc3\n"),
        ("body: 2001-01-01\n", b"2001-01-01"),
        ("body: 'it''s'\n", b"it's"),
        ("", None),
    ],
)
def test_rows_that_rails_saved_again(body: str, expected: bytes | None) -> None:
    saved = "---\ncommand: MESSAGE\nheaders:\n  destination: \"/queue/r\"\n  receipt: '1'\n  yes: no\n" + body
    assert frame_yaml.load(saved) == ({"destination": "/queue/r", "receipt": "1", "yes": "no"}, expected)


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "text",
        "--- !ruby/object:StompServer::StompFrame\nheaders: {}\nbody: x\n",
        "---\nheaders: {}\nbody: !ruby/object:Object {}\n",
        "---\nheaders: []\nbody: x\n",
        "---\nheaders: {}\nbody: []\n",
        "---\nheaders:\n  a: {}\nbody: x\n",
        "---\nheaders: {}\nbody: \"cut",
        "---\nheaders: {a: *nothing}\nbody: x\n",
        "---\nheaders: {}\nbody: \x01\n",
        "---\n? {a: b}\n: c\n",
        "---\nheaders: {}\nbody: \udcff\n",
        "---\nheaders: {}\nbody: !!timestamp x\n",
        "[" * 100_000,
        "{headers: " * 100_000,
        "headers: {}\nbody: " + "[" * 100_000,
        "&a [*a]",
    ],
)  # fmt: skip
def test_what_is_no_frame_is_damage(damaged: str) -> None:
    with pytest.raises(StoreDamaged):
        frame_yaml.load(damaged)


@given(st.integers(0, 200), st.integers(0, 255))
def test_one_wrong_octet_never_breaks_out(at: int, octet: int) -> None:
    written = bytearray(frame_yaml.dump({**HEADERS, "binary": "x\udce9", 'q"': "\\"}, b"a\0b").encode())
    written[at % len(written)] = octet
    with contextlib.suppress(StoreDamaged):
        frame_yaml.load(written.decode("utf-8", "replace"))
