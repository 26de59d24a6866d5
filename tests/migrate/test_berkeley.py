"""The reader of Berkeley DB's hash databases."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.migrate import berkeley
from stompserver.migrate.unreadable import Unreadable

DATA = Path(__file__).parent / "data/dbm/ruby18"
PAGE = 4096


@pytest.fixture(scope="module")
def big() -> bytearray:
    """One message on several pages."""
    return bytearray((DATA / "_queue_big.db").read_bytes())


@pytest.mark.parametrize("path", sorted(DATA.glob("*.db")), ids=lambda path: path.name)
def test_what_ruby_wrote(fixtures: Any, path: Path) -> None:
    wanted = fixtures.manifest("dbm/ruby18")["dbm_file_contents"][path.stem]
    pairs = berkeley.read(path.read_bytes())
    assert pairs.damages == []
    assert pairs.values == {
        key.encode(): base64.b64decode(value["marshal_base64"]) for key, value in wanted.items()
    }


SCRIPT = """
from berkeleydb import db
random.seed(int(sys.argv[2]))
out = []
for number in range(24):
    one = db.DB()
    one.set_pagesize((512, 4096, 65536)[number % 3])
    one.set_lorder((1234, 4321)[number % 2])
    one.open(f"{sys.argv[1]}/{number}", dbtype=db.DB_HASH, flags=db.DB_CREATE)
    pairs = {}
    for _ in range((0, 1, 5, 200)[number % 4]):
        key = b"vm-1-%d" % random.randrange(150)
        value = random.randbytes(random.choice([0, 1, 50, 400, 3000, 20000]))
        one.put(key, value)
        pairs[key] = value
        if random.random() < 0.2:
            one.delete(key)
            del pairs[key]
    # Longer than a page, and each put once: the library itself loses such keys when they are put again.
    for index in range(number % 4):
        key = b"%d" % index * 5000
        pairs[key] = b"long"
        one.put(key, b"long")
    one.close()
    out.append([[base64.b64encode(part).decode() for part in pair] for pair in pairs.items()])
print(json.dumps(out))
"""


def test_what_the_library_writes(berkeley_library: Any, tmp_path: Path) -> None:
    for number, pairs in enumerate(berkeley_library.run(SCRIPT, str(tmp_path), "31")):
        found = berkeley.read((tmp_path / str(number)).read_bytes())
        assert found.damages == []
        assert found.values == {base64.b64decode(key): base64.b64decode(value) for key, value in pairs}


DUPLICATES = """
from berkeleydb import db
out = []
for number, flags in enumerate((db.DB_DUP, db.DB_DUPSORT, db.DB_DUP, db.DB_DUPSORT)):
    one = db.DB()
    one.set_pagesize((512, 4096)[number // 2])
    one.set_flags(flags)
    one.open(f"{sys.argv[1]}/{number}", dbtype=db.DB_HASH, flags=db.DB_CREATE)
    for key, count in ((b"few", 2), (b"many", 2000), (b"one", 1)):
        for index in range(count):
            one.put(key, key + b"%05d" % index)
    out.append([one.get(key).decode() for key in (b"few", b"many", b"one")])
    one.close()
print(json.dumps(out))
"""


def test_the_first_of_duplicates_counts(berkeley_library: Any, tmp_path: Path) -> None:
    for number, values in enumerate(berkeley_library.run(DUPLICATES, str(tmp_path))):
        found = berkeley.read((tmp_path / str(number)).read_bytes())
        assert found.damages == []
        assert found.values == dict(
            zip((b"few", b"many", b"one"), (value.encode() for value in values), strict=True)
        )


@pytest.mark.parametrize(
    ("at", "octets", "words"),
    [
        (12, b"\0\0\0\0", "no hash database"),
        (12, (0x053162).to_bytes(4, "little"), "no hash database"),
        (16, b"\x06", "version 6"),
        (20, b"\x01", "page size"),
        (24, b"\x01", "encrypted"),
        (26, b"\x01", "checksums"),
    ],
)
def test_a_first_page_that_is_not_sound_is_refused(
    big: bytearray, at: int, octets: bytes, words: str
) -> None:
    data = bytearray(big)
    data[at : at + len(octets)] = octets
    with pytest.raises(Unreadable, match=words):
        berkeley.read(bytes(data))


def test_a_first_page_that_is_cut_is_refused(big: bytearray) -> None:
    for length in range(512):
        with pytest.raises(Unreadable):
            berkeley.read(bytes(big[:length]))


def test_cut_files_give_what_is_whole(big: bytearray) -> None:
    many = (DATA / "_queue_many.db").read_bytes()
    whole = berkeley.read(many).values
    for length in range(512, len(many), 1777):
        pairs = berkeley.read(many[:length])
        assert pairs.damages
        assert pairs.values.items() <= whole.items()
    for length in range(PAGE, len(big), 1777):
        pairs = berkeley.read(bytes(big[:length]))
        assert pairs.damages
        assert pairs.values == {}


def overflow(data: bytearray) -> list[int]:
    """The numbers of overflow pages."""
    return [number for number in range(len(data) // PAGE) if data[number * PAGE + 25] == 7]


def test_pages_that_go_round_in_circles(big: bytearray) -> None:
    first, *_, last = overflow(big)
    data = bytearray(big)
    struct.pack_into("<I", data, last * PAGE + 16, first)
    pairs = berkeley.read(bytes(data))
    assert pairs.values == {}
    assert "used twice" in pairs.damages[0]


@pytest.mark.parametrize("next", [99, 1, 0])
def test_pages_that_lead_elsewhere(big: bytearray, next: int) -> None:
    data = bytearray(big)
    struct.pack_into("<I", data, overflow(big)[0] * PAGE + 16, next)
    pairs = berkeley.read(bytes(data))
    assert pairs.values == {}
    assert pairs.damages


def test_many_messages_cannot_share_the_same_pages() -> None:
    # A page of 512 bytes with items of a key and one off-page value each, all on the same pages.
    size = 512
    page = bytearray(size)
    items = [b"\x01%d" % number + b"x" * 8 for number in range(8)]
    spot = size
    spots = []
    for item in items:
        for part in (item, b"\x03\0\0\0" + struct.pack("<II", 2, 486)):
            spot -= len(part)
            page[spot : spot + len(part)] = part
            spots.append(spot)
    struct.pack_into("<IIIIIHHBB", page, 0, 0, 0, 1, 0, 0, len(spots), spot, 0, 13)
    struct.pack_into(f"<{len(spots)}H", page, 26, *spots)
    shared = bytearray(size)
    struct.pack_into("<IIIIIHHBB", shared, 0, 0, 0, 2, 0, 0, 1, 486, 0, 7)
    meta = bytearray(size)
    struct.pack_into("<IIIII", meta, 8, 0, berkeley.MAGIC, 9, size, 0)
    pairs = berkeley.read(bytes(meta + page + shared))
    assert len(pairs.values) == 1
    assert len(pairs.damages) == 7


SOURCES = [path.read_bytes() for path in sorted(DATA.glob("*.db")) if path.stat().st_size < 50_000]


@given(st.sampled_from(SOURCES), st.data())
def test_damaged_files_give_pairs_or_an_error_of_ours(source: bytes, data: st.DataObject) -> None:
    octets = bytearray(source)
    for _ in range(data.draw(st.integers(1, 6))):
        page = data.draw(st.integers(0, len(octets) // PAGE - 1)) * PAGE
        at = page + data.draw(st.integers(0, 80) | st.integers(0, PAGE - 5))
        new = data.draw(st.binary(min_size=1, max_size=4))
        octets[at : at + len(new)] = new
    try:
        pairs = berkeley.read(bytes(octets))
    except Unreadable:
        return
    assert sum(map(len, pairs.values.values())) <= len(octets)


@given(st.binary(max_size=3000), st.sampled_from(["<", ">"]))
def test_any_octets_give_pairs_or_an_error_of_ours(noise: bytes, order: str) -> None:
    meta = bytearray(512)
    struct.pack_into(order + "IIIII", meta, 8, 0, berkeley.MAGIC, 9, 512, 0)
    data = bytearray(meta + noise)
    for number in range(1, len(data) // 512):
        # Let pages look like pages, so that more than their heads is tried.
        struct.pack_into(order + "I", data, number * 512 + 8, number)
        data[number * 512 + 25] = (13, 2, 7, 12, 5, 3, 4, 6)[data[number * 512] % 8]
    pairs = berkeley.read(bytes(data))
    assert sum(map(len, pairs.values.values())) <= len(data)
