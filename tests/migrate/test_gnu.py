"""The reader of GNU dbm's databases."""

from __future__ import annotations

import base64
import contextlib
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.migrate import gnu
from stompserver.migrate.gnu import Layout
from stompserver.migrate.unreadable import Unreadable

DATA = Path(__file__).parent / "data/dbm/debian31"
ORDERS = (DATA / "_queue_orders.pag").read_bytes()


@pytest.mark.parametrize("path", sorted(DATA.glob("*.pag")), ids=lambda path: path.name)
def test_what_ruby_wrote(fixtures: Any, path: Path) -> None:
    wanted = fixtures.manifest("dbm/debian31")["dbm_file_contents"][path.stem]
    pairs = gnu.read(path.read_bytes())
    assert pairs.damages == []
    assert pairs.values == {
        key.encode(): base64.b64decode(value["marshal_base64"]) for key, value in wanted.items()
    }


SCRIPT = """
import dbm.gnu
random.seed(int(sys.argv[2]))
out = []
for number in range(12):
    one = dbm.gnu.open(f"{sys.argv[1]}/{number}", ("n", "nf")[number % 2])
    pairs = {}
    for index in range((0, 1, 5, 1500)[number % 4]):
        key = b"vm-1-%d" % random.randrange(500)
        if random.random() < 0.05:
            key = random.choice([b"", b"a", b"abc", key * 50])
        value = random.randbytes(random.choice([0, 1, 50, 400, 3000, 20000]) if index < 200 else 20)
        one[key] = pairs[key] = value
        if random.random() < 0.2:
            del one[key], pairs[key]
    one.close()
    out.append([[base64.b64encode(part).decode() for part in pair] for pair in pairs.items()])
print(json.dumps(out))
"""


def test_what_the_library_writes(gnu_library: Any, tmp_path: Path) -> None:
    for number, pairs in enumerate(gnu_library.run(SCRIPT, str(tmp_path), "31")):
        found = gnu.read((tmp_path / str(number)).read_bytes())
        assert found.damages == []
        assert found.values == {base64.b64decode(key): base64.b64decode(value) for key, value in pairs}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("wide", "spare", "magic"),
    [
        (True, 16, 0x13579ACF),
        (True, 12, 0x13579ACF),
        (False, 8, 0x13579ACD),
        (True, 16, 0x13579ACE),
        (False, 8, 0x13579ACE),
        (True, 16, 0x13579AD1),
    ],
)
def test_files_of_other_machines(gnu_file: Any, order: str, wide: bool, spare: int, magic: int) -> None:
    pairs = {b"vm-1": b"one", b"vm-2": b"", b"a": b"x" * 100}
    found = gnu.read(gnu_file(pairs, order, wide, spare, magic))
    assert (found.values, found.damages) == (pairs, [])


def test_other_files_are_refused() -> None:
    for data in (b"", b"\x13\x57", b"GDBM" + bytes(60), b"\x00" * 100):
        with pytest.raises(Unreadable, match="no GNU dbm"):
            gnu.read(data)


@pytest.mark.parametrize(
    ("at", "number", "words"),
    [
        (4, 0, "blocks"),
        (16, 8, "directory"),
        (20, 3, "bits"),
        (24, 64, "buckets"),
        (28, 5, "buckets"),
        (8, 1 << 31, "cut off"),
    ],
)
def test_a_header_that_is_not_sound_is_refused(at: int, number: int, words: str) -> None:
    data = bytearray(ORDERS)
    struct.pack_into("<I", data, at, number)
    with pytest.raises(Unreadable, match=words):
        gnu.read(bytes(data))


def test_cut_files_give_what_is_whole() -> None:
    many = (DATA / "_queue_many.pag").read_bytes()
    whole = gnu.read(many).values
    for length in range(0, len(many), 1777):
        try:
            pairs = gnu.read(many[:length])
        except Unreadable:
            assert length < 8192
            continue
        assert pairs.damages or pairs.values == whole
        assert pairs.values.items() <= whole.items()


def test_elements_cannot_share_their_bytes(gnu_file: Any) -> None:
    layout = Layout("<", True, 16)
    data = bytearray(gnu_file({b"vm-%d" % n: b"x" * 500 for n in range(30)}))
    for number in range(30):
        place = 2048 + layout.table_at + number * layout.element.size
        layout.element.pack_into(data, place, number, b"vm-0", 3072, 4, len(data) - 3076)
    pairs = gnu.read(bytes(data))
    assert len(pairs.values) == 1
    assert pairs.damages


def test_an_element_of_another_key_is_damage() -> None:
    data = bytearray(ORDERS)
    at = data.index(b"vm-1")
    data[at] ^= 1
    pairs = gnu.read(bytes(data))
    assert len(pairs.damages) + len(pairs.values) in (6, 7)


SOURCES = [path.read_bytes() for path in sorted(DATA.glob("*.pag")) if path.stat().st_size < 50_000]


@given(st.sampled_from(SOURCES), st.data())
def test_damaged_files_give_pairs_or_an_error_of_ours(source: bytes, data: st.DataObject) -> None:
    octets = bytearray(source)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, 60) | st.integers(4096, 4200) | st.integers(8192, len(octets) - 5))
        new = data.draw(st.binary(min_size=1, max_size=4))
        octets[at : at + len(new)] = new
    try:
        pairs = gnu.read(bytes(octets))
    except Unreadable:
        return
    assert sum(len(key) + len(value) for key, value in pairs.values.items()) <= len(octets)


@given(st.binary(max_size=300))
def test_any_octets_give_pairs_or_an_error_of_ours(noise: bytes) -> None:
    with contextlib.suppress(Unreadable):
        gnu.read(ORDERS[:4] + noise)
    # A sound header and directory over noise.
    pairs = gnu.read(ORDERS[:8192] + (noise * 60)[:8192].ljust(8192, b"\1"))
    assert len(pairs.damages) <= 100
