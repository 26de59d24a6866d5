"""Header text as each version writes it, against the rules written down once more: STOMP, Value Encoding."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.errors import ProtocolError
from stompserver.wire.headers import RAW, TEXT_10, TEXT_11, TEXT_12, Text, encode_block, encode_frame

TEXTS = {"raw": RAW, "1.0": TEXT_10, "1.1": TEXT_11, "1.2": TEXT_12}
VERSIONS = ("1.0", "1.1", "1.2")
ANY = st.text(
    alphabet=st.one_of(st.sampled_from("\\:\n\rcnrt\0 "), st.characters(codec="utf-8")), max_size=12
)


def unescape(version: str, text: str) -> str | None:
    """The rules, one character after the other; None where they say it is a fatal error."""
    defined = {"1.0": {}, "1.1": {"n": "\n", "c": ":", "\\": "\\"}}
    letters = defined["1.0"] if version in ("1.0", "raw") else {**defined["1.1"]}
    if version == "1.2":
        letters["r"] = "\r"
    if not letters:
        return text
    out, characters = "", iter(text)
    for character in characters:
        if character == "\\":
            letter = next(characters, "")
            if letter not in letters:
                return None
            character = letters[letter]
        out += character
    return out


def lines(octets: bytes) -> list[tuple[str, str]]:
    """Header lines as a client splits them, before it unescapes."""
    text = octets.decode()
    assert text.endswith("\n")
    pairs = [line.partition(":") for line in text[:-1].split("\n")]
    assert all(colon for _, colon, _ in pairs), octets
    return [(name, value) for name, _, value in pairs]


@given(ANY, st.sampled_from(["raw", *VERSIONS]))
def test_unescape(text: str, version: str) -> None:
    wanted = unescape(version, text)
    if wanted is None:
        with pytest.raises(ProtocolError, match="Undefined escape"):
            TEXTS[version].unescape(text)
    else:
        assert TEXTS[version].unescape(text) == wanted


@given(ANY, ANY, st.sampled_from(["raw", *VERSIONS]))
def test_a_header_is_one_line_and_means_what_it_did(name: str, value: str, version: str) -> None:
    """Whatever is in it: what a version cannot express becomes a blank, nothing becomes a line of its own."""
    text = TEXTS[version]
    ((got_name, got_value),) = lines(text.line(name, value).encode())
    lost = {"1.0": "\n\r\0", "raw": "\n\r\0", "1.1": "\0", "1.2": "\0"}[version]
    for character in lost:
        value = value.replace(character, " ")
    for character in {"1.0": ":", "raw": ":", "1.1": "\r", "1.2": ""}[version] + lost:
        name = name.replace(character, " ")
    assert (unescape(version, got_name), unescape(version, got_value)) == (name, value)
    assert "\0" not in got_name + got_value
    assert "\r" not in got_name
    assert version == "1.1" or "\r" not in got_value


@given(st.text(alphabet="\\:\nabcn ", min_size=1, max_size=12), st.sampled_from(["1.1", "1.2"]))
def test_what_we_write_we_read(make_parser: Any, text: str, version: str) -> None:
    octets = encode_frame("MESSAGE", [(text, text)], b"\0body\0", TEXTS[version])
    head, _, rest = octets.partition(b"\n\n")
    counted = head + b"\ncontent-length:6\n\n" + rest
    (frame,) = make_parser(version).feed(counted)
    assert frame.headers == {text: text, "content-length": "6"}
    assert frame.body == b"\0body\0"


@given(
    st.dictionaries(st.text(alphabet="ab\\:\n\r", min_size=1, max_size=6), ANY, min_size=1, max_size=4),
    st.sampled_from(VERSIONS),
)
def test_a_block_says_when_something_was_lost(headers: dict[str, str], version: str) -> None:
    names, values = "".join(headers), "".join(headers.values())
    lost = any(c in values for c in {"1.0": "\n\r", "1.1": "", "1.2": ""}[version])
    lost = lost or any(c in names for c in {"1.0": "\n\r:", "1.1": "\r", "1.2": ""}[version])
    found = lines(encode_block(headers, TEXTS[version]))
    assert found[len(headers) :] == [("x-sanitized", "true")] * lost


@given(st.binary(max_size=20))
def test_octets_go_through_1_0_as_they_are(make_parser: Any, octets: bytes) -> None:
    for octet in b"\n\r\0":
        octets = octets.replace(bytes([octet]), b"")
    octets = octets.strip(b" \t")
    (frame,) = make_parser("1.0").feed(b"A\nb:%b\n\n\0" % octets)
    assert encode_block(frame.headers, TEXT_10) == b"b:" + octets + b"\n"
    for text in (TEXT_11, TEXT_12):
        encode_block(frame.headers, text).decode()


@pytest.mark.parametrize("text", [TEXT_11, TEXT_12])
def test_the_error_of_an_escape_says_what_there_is(text: Text) -> None:
    with pytest.raises(ProtocolError) as caught:
        text.unescape("a\\tb")
    assert "\\n \\c \\\\" in caught.value.rule
    assert ("\\r" in caught.value.rule) is (text is TEXT_12)
    assert text.version in caught.value.rule


def test_a_frame_of_ours() -> None:
    octets = encode_frame("ERROR", [("message", "a:b\\\nc"), ("x", "")], b"body\0", TEXT_12)
    assert octets == b"ERROR\nmessage:a\\cb\\\\\\nc\nx:\n\nbody\0\0\n"
    assert (
        encode_frame("CONNECTED", [("session", "a:b\\c")], b"", RAW) == b"CONNECTED\nsession:a:b\\c\n\n\0\n"
    )
