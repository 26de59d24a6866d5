"""Ops as octets: what was written once is read and written again; damage is told with its place."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.broker.oplog import DROP, MARK, PUT, REMOVE, Op
from stompserver.errors import StoreDamaged
from stompserver.stores.ops import NAME, TRANSIENT, decode_ops, encode_ops
from stompserver.stores.record import decode, encode
from stompserver.testing import message
from stompserver.testing.double import facts

RECORD = bytes.fromhex(
    "01 03 00000005 00000002 0000000000000007 0000000000000400 00000026 0000000000000004 3830b275"
    "2f71756575652f61 00 64657374696e6174696f6e 00 2f71756575652f61 00 6e616d65 00 ff c3a9 00ff0a00"
)
"""That of test_record.py."""

WRITTEN = (
    bytes.fromhex("09 0000000000000000 0000000000000008 0000000000000000")
    + b"/queue/a"
    + bytes.fromhex("01 0000000000000009 0000000000000054 0000000000000400")
    + RECORD
    + bytes.fromhex("02 0000000000000009 0000000000000003 0000000000000000")
    + bytes.fromhex("09 0000000000000000 000000000000000a 0000000000000000")
    + b"/queue/\xff\xc3\xa9"
    + bytes.fromhex("03 000000000000000c 0000000000000000 0000000000000123")
    + bytes.fromhex("04 0000000000000000 0000000000000000 0000000000000000")
)
"""A payload of version 1, as it has been since the dbm store began: it must stay readable."""

ENTRIES = [
    (PUT, "/queue/a", 9, 84, 1024, 58),
    (MARK, "/queue/a", 9, 3, 0, 167),
    (REMOVE, "/queue/\udcffé", 12, 0, 0x123, 227),
    (DROP, "/queue/\udcffé", 0, 0, 0, 252),
]
"""Kind, queue, key, value, size, and where the record is, or what follows would be."""


def test_what_the_first_version_wrote_is_read() -> None:
    assert decode_ops(WRITTEN) == ENTRIES


def test_it_is_written_like_that_again() -> None:
    put = decode(9, RECORD)
    ops = [
        Op(PUT, "/queue/a", 9, put, put.size),
        # What a kind does not have is not written.
        Op(MARK, "/queue/a", 9, None, 77, 3),
        Op(REMOVE, "/queue/\udcffé", 12, None, 0x123, 5),
        Op(DROP, "/queue/\udcffé", 0, None),
    ]
    assert encode_ops(ops) == (WRITTEN, ENTRIES)


NAMES = st.one_of(
    st.sampled_from(["/queue/a", "/queue/b", ""]), st.text(max_size=5).map(lambda n: n + "\udcff")
)
PUTS = st.builds(
    lambda name, key, body, persistent: Op(PUT, name, key, message(key, body, persistent=persistent)),
    NAMES,
    st.integers(1, (1 << 63) - 1),
    st.binary(max_size=40),
    st.booleans(),
)
OTHERS = st.builds(
    lambda kind, name, key, size, attempts: Op(kind, name, key, None, size, attempts),
    st.sampled_from([MARK, REMOVE, DROP]),
    NAMES,
    st.integers(0, (1 << 63) - 1),
    st.integers(0, (1 << 63) - 1),
    st.integers(0, (1 << 31) - 1),
)


@given(st.lists(st.one_of(PUTS, OTHERS), max_size=9))
def test_what_goes_in_comes_out(ops: list[Op]) -> None:
    payload, entries = encode_ops(ops)
    assert decode_ops(payload) == entries
    for op, (kind, queue, key, value, size, at) in zip(ops, entries, strict=True):
        assert (queue, key) == (op.queue, op.key)
        if op.message is None:
            assert kind == op.kind
            assert value == (op.attempts if kind == MARK else 0)
            assert size == (op.size if kind == REMOVE else 0)
        else:
            assert kind == (PUT if op.message.persistent else TRANSIENT)
            assert size == op.message.size
            assert payload[at : at + value] == encode(op.message)
            assert facts(decode(key, payload[at : at + value])) == facts(op.message)


ENTRY = struct.Struct(">BQQQ")
NAMED = ENTRY.pack(NAME, 0, 1, 0) + b"q"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"\1", "entry at octet 0 is cut short"),
        (NAMED + ENTRY.pack(MARK, 1, 2, 0)[:-1], "entry at octet 26 is cut short"),
        (
            ENTRY.pack(NAME, 0, 2, 0) + b"q",
            "entry at octet 0 should have 2 octets behind it; 1 are there",
        ),
        (
            NAMED + ENTRY.pack(PUT, 1, 4, 9) + b"abc",
            "entry at octet 26 should have 4 octets behind it; 3 are there",
        ),
        (
            NAMED + ENTRY.pack(TRANSIENT, 1, 1 << 63, 9) + b"abc",
            f"entry at octet 26 should have {1 << 63} octets behind it; 3 are there",
        ),
        (NAMED + ENTRY.pack(8, 0, 0, 0), "entry at octet 26 is of an unknown kind, 8"),
        (NAMED + ENTRY.pack(0, 0, 0, 0), "entry at octet 26 is of an unknown kind, 0"),
        (ENTRY.pack(DROP, 0, 0, 0), "entry at octet 0 has no queue: no name comes before it"),
    ],
)
def test_damage_is_told_with_its_place(payload: bytes, said: str) -> None:
    with pytest.raises(StoreDamaged) as raised:
        decode_ops(payload)
    assert str(raised.value) == said


@given(st.integers(0, len(WRITTEN) - 1), st.binary(min_size=1, max_size=1))
def test_any_octets_are_entries_or_damage(at: int, octet: bytes) -> None:
    for payload in (WRITTEN[:at], WRITTEN[:at] + octet + WRITTEN[at + 1 :], WRITTEN[at:]):
        try:
            entries = decode_ops(payload)
        except StoreDamaged:
            continue
        assert all(place <= len(payload) for *_, place in entries)
