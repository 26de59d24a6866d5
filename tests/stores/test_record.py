"""The record that lmdb and dbm share."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.errors import StoreDamaged, StoreError, StoreForeign
from stompserver.stores.record import decode, encode
from stompserver.testing import message
from stompserver.testing.double import facts

WRITTEN = bytes.fromhex(
    "01 03 00000005 00000002 0000000000000007 0000000000000400 00000026 0000000000000004 3830b275"
    "2f71756575652f61 00 64657374696e6174696f6e 00 2f71756575652f61 00 6e616d65 00 ff c3a9 00ff0a00"
)
"""A record of format 1, put down when that format was made: it must stay readable."""

WRITTEN_2 = (
    bytes.fromhex(
        "02 06 ffffffff 00000000 0000000000000007 0000000000000400 0000003d 0000000000000002 5050c18e"
    )
    + b"/queue/a\x004\x00due\x005\x00priority\x008\x00expires\x001700000000000\x00group\x00g\x00a\x00b"
    + b"hi"
)
"""The same of format 2, which only messages have that keep something beside their headers."""

TEXT = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("\udc80\udcff\n\\:"),
)


def test_what_the_first_format_wrote_is_read() -> None:
    read = decode(9, WRITTEN)
    headers = {"destination": "/queue/a", "name": "\udcff\u00e9"}
    due = message(9, b"\0\xff\n\0", headers, plain=True, exceptions=5, attempts=2, number=7)
    due.size = 1024
    assert facts(read) == facts(due)
    assert encode(read) == WRITTEN


def test_what_the_second_format_wrote_is_read() -> None:
    read = decode(9, WRITTEN_2)
    kept = {"due": "5", "priority": "8", "expires": "1700000000000", "group": "g"}
    due = message(9, b"hi", {"a": "b"}, number=7, kept=kept)
    due.size = 1024
    assert facts(read) == facts(due)
    assert (read.priority, read.expires, read.group, read.extras) == (8, 1700000000000, "g", {"due": "5"})
    assert encode(read) == WRITTEN_2


@given(
    destination=TEXT,
    headers=st.dictionaries(TEXT, TEXT),
    body=st.binary(max_size=300),
    plain=st.booleans(),
    persistent=st.booleans(),
    exceptions=st.integers(-1, 2**31 - 1),
    attempts=st.integers(0, 2**31 - 1),
    number=st.integers(0, 2**63 - 1),
    size=st.integers(0, 2**63 - 1),
    extras=st.dictionaries(TEXT.filter(lambda name: name not in ("priority", "expires", "group")), TEXT),
    priority=st.integers(0, 9),
)
def test_what_goes_in_comes_out(
    destination: str,
    headers: dict[str, str],
    body: bytes,
    plain: bool,
    persistent: bool,
    exceptions: int,
    attempts: int,
    number: int,
    size: int,
    extras: dict[str, str],
    priority: int,
) -> None:
    made = message(
        5,
        body,
        headers,
        destination=destination,
        plain=plain,
        persistent=persistent,
        exceptions=exceptions,
        attempts=attempts,
        number=number,
    )
    made.size = size
    made.extras = extras or None
    made.priority = priority
    read = decode(5, encode(made))
    assert facts(read) == facts(made)
    assert read.stored


def test_a_flipped_bit_anywhere_is_damage() -> None:
    record = encode(message(1, b"body \x00\xff", {"name": "value", "other": "\u00e9"}, kept={"group": "g"}))
    for place in range(len(record)):
        for bit in range(8):
            spoiled = bytearray(record)
            spoiled[place] ^= 1 << bit
            with pytest.raises(StoreError) as raised:
                decode(1, bytes(spoiled))
            assert isinstance(raised.value, StoreForeign if place == 0 else StoreDamaged)


def test_a_record_cut_or_lengthened_is_damage() -> None:
    record = encode(message(1, b"body", {"name": "value"}))
    for length in range(len(record)):
        with pytest.raises(StoreDamaged):
            decode(1, record[:length])
    with pytest.raises(StoreDamaged, match="should have"):
        decode(1, record + b"\0")


def test_a_newer_format_is_foreign() -> None:
    head = struct.pack(">BBiIQQIQ", 3, 0, -1, 0, 1, 1, 0, 0)
    with pytest.raises(StoreForeign, match="record format 3"):
        decode(1, head + struct.pack(">I", crc32(head)))
