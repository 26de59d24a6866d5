"""The dbm store, with each library that is here: Berkeley DB needs the package berkeleydb, GNU dbm and ndbm a Python
that was built with them. STOMPSERVER_TEST_DBM names those that must be here (``berkeleydb,gnu,ndbm``).
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from stompserver.broker.message import Message
from stompserver.errors import StoreDamaged, StoreError, StoreForeign, StoreFull
from stompserver.stores.base import Damage, Place, Store, open_store
from stompserver.stores.dbm import engines as dbm_engines
from stompserver.stores.dbm.engines import ENGINES, Ndbm
from stompserver.testing import Double, StoreConformance, StoreMachine, drop, mark, message, put, remove

SMALL = 1 << 14
"""Makes segments every few commits."""

Q = "/queue/a"


def here() -> list[str]:
    """The libraries to test."""
    if "STOMPSERVER_TEST_DBM" in os.environ:
        return os.environ["STOMPSERVER_TEST_DBM"].split(",")
    found = []
    for name, engine in ENGINES.items():
        try:
            engine()
        except ImportError:
            continue
        found.append(name)
    return found


HERE = here()
NONE = "no dbm library here: pip install berkeleydb (needs libdb-dev), or a Python with GNU dbm"

dbm_store = pytest.importorskip("stompserver.stores.dbm.store", reason=NONE, exc_type=ImportError)
DbmStore = dbm_store.DbmStore


@pytest.fixture(params=HERE)
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


class Conformance(StoreConformance):
    @pytest.fixture(autouse=True, params=HERE)
    def library(self, request: pytest.FixtureRequest) -> None:
        self.engine: str = request.param


class TestConformance(Conformance):
    def open(self, place: Place) -> Store:
        return DbmStore(place, self.engine)


class TestConformanceWithManySegments(Conformance):
    largest = 1 << 20

    def open(self, place: Place) -> Store:
        return DbmStore(place, self.engine, roll=SMALL)


if "ndbm" in HERE:

    class TestConformanceInParts(StoreConformance):
        """As an ndbm that takes 1 KiB at most."""

        largest = 1 << 20

        def open(self, place: Place) -> Store:
            return DbmStore(place, "ndbm", Ndbm(900), roll=SMALL)


class Machine(StoreMachine):
    def open(self, place: Place) -> Store:
        return DbmStore(place, HERE[0], roll=2000)


class LongMachine(Machine):
    pass


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=8)
TestLongMachine = pytest.mark.long(LongMachine.TestCase)


def double(directory: Path, engine: str, roll: int = SMALL, limit: int = 0) -> Double:
    place = Place(directory / "storage", directory / "etc", limit)
    return Double(lambda: DbmStore(place, engine, roll=roll))


def databases(directory: Path) -> list[Path]:
    return [
        path
        for path in (directory / "storage" / "dbm").iterdir()
        if path.name[0].isdigit() and path.suffix != ".keys"
    ]


# Which library


def test_it_says_which_library(tmp_path: Path) -> None:
    store = open_store("dbm", Place(tmp_path / "storage", tmp_path / "etc"))
    assert isinstance(store, DbmStore)
    assert store.engine == dbm_engines.available()[0]
    assert {"berkeleydb": "Berkeley DB", "gnu": "GNU dbm", "ndbm": "ndbm"}[store.engine] in store.description
    store.close()


def test_without_a_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("berkeleydb", "dbm.gnu", "dbm.ndbm"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "stompserver.stores.dbm.store")
    with pytest.raises(StoreError, match=r"queue type dbm needs.*berkeleydb.*libdb-dev.*python3-gdbm"):
        open_store("dbm", Place(tmp_path / "storage", tmp_path / "etc"))
    assert not (tmp_path / "storage").exists()


def test_a_store_that_needs_another_library_says_so(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = double(tmp_path, engine)
    both.commit(*[put(Q, message(key, b"x" * 5000)) for key in range(1, 11)])
    both.close()
    module = {"berkeleydb": "berkeleydb", "gnu": "dbm.gnu", "ndbm": "dbm.ndbm"}[engine]
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(dbm_engines.ENGINES, "none", _Nothing)
    with pytest.raises(StoreError, match="which is not installed"):
        DbmStore(Place(tmp_path / "storage", tmp_path / "etc"), "none")


class _Nothing:
    product = package = "nothing"


def test_libraries_mix(tmp_path: Path) -> None:
    place = Place(tmp_path / "storage", tmp_path / "etc")
    names = HERE * 2
    both = Double(lambda: DbmStore(place, names[0], roll=SMALL))
    for key in range(1, len(names) + 1):
        both.commit(put(Q, message(key, b"x" * 20_000)), put(Q, message(key + 100, b"y" * 20_000)))
        both.commit(remove(Q, message(key + 100, b"y" * 20_000)))
        names.append(names.pop(0))
        both.reopen()
        both.check()
    both.store.compact()
    both.check()
    both.close()


# Crashes

CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from dbm_child import open_at, ops_of
store = open_at(sys.argv[1], sys.argv[2])
store.load()
number = int(sys.argv[3])
while True:
    store.commit(ops_of(number), True)
    print(number, flush=True)
    number += 1
"""


def check_after(path: Path, engine: str, acked: int) -> int:
    """Whether the store has what is due after batch ``acked``, or the one after it; which one."""
    from dbm_child import due, open_at  # type: ignore[import-not-found]

    store = open_at(path, engine)
    store.load()
    found = []
    for queue, each in store.scan():
        assert isinstance(each, Message), f"{queue}: {each}"
        assert each.body == b"%d " % each.key * 100
        found.append((queue, each.key, each.attempts))
    store.close()
    found.sort()
    for last in (acked, acked + 1):
        if found == due(last):
            return last
    raise AssertionError(f"neither batch {acked} nor the next: {found}")


def run_and_kill(directory: Path, engine: str, kills: int) -> None:
    chance = random.Random(engine)
    here = str(Path(__file__).parent)
    number = 0
    for _ in range(kills):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(directory), engine, str(number), here], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        with child.stdout as lines:
            for _ in range(chance.randrange(1, 80)):
                line = lines.readline()
                assert line, "the child ended by itself"
            child.send_signal(signal.SIGKILL)
            acked = int(([line, *lines.readlines()])[-1])
        child.wait()
        number = check_after(directory, engine, acked) + 1


@pytest.fixture
def child_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.mark.usefixtures("child_code")
def test_nothing_is_lost_when_it_is_killed(tmp_path: Path, engine: str) -> None:
    run_and_kill(tmp_path, engine, 6)


@pytest.mark.long
@pytest.mark.usefixtures("child_code")
def test_nothing_is_lost_when_it_is_killed_often(tmp_path: Path, engine: str) -> None:
    run_and_kill(tmp_path, engine, 50)


@pytest.mark.usefixtures("child_code")
def test_it_may_die_at_any_call(tmp_path: Path, engine: str) -> None:
    """Before each write, sync, rename and removal of a file that some commits need."""
    script = Path(__file__).parent / "dbm_child.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), engine], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    deaths = [int(line) for line in done.stdout.split()]
    assert len(deaths) > 40
    for number, acked in enumerate(deaths, 1):
        check_after(tmp_path / str(number), engine, acked)


def test_a_torn_batch_is_not_there(tmp_path: Path, engine: str) -> None:
    both = double(tmp_path, engine, 1 << 20)
    both.commit(put(Q, message(1)), put("/queue/b", message(2)))
    log = tmp_path / "storage" / "dbm" / "log.1"
    before = log.read_bytes().rstrip(b"\0")
    both.commit(mark(Q, 1, 3), put(Q, message(3, b"body\xff")), remove("/queue/b", message(2)))
    both.close()
    after = log.read_bytes().rstrip(b"\0")
    assert after.startswith(before)
    for cut in range(len(before), len(after)):
        for tail in (b"", bytes(4096), b"\xfe" * 3):
            log.write_bytes(after[:cut] + tail)
            torn = DbmStore(Place(tmp_path / "storage", tmp_path / "etc"), engine)
            assert [each.name for each in torn.load()] == [Q, "/queue/b"], cut
            (message_1,) = torn.read(Q, 0, 10, 1 << 20)
            assert (message_1.key, message_1.attempts) == (1, 0)
            if cut % 16 == 0:
                # And what comes next is not taken for damage, or for what was torn off.
                torn.commit([put(Q, message(9))], False)
                torn.close()
                torn = DbmStore(Place(tmp_path / "storage", tmp_path / "etc"), engine)
                assert [each.count for each in torn.load()] == [2, 1]
            torn.close()
    log.write_bytes(after)
    both.reopen()
    both.check()
    both.close()


# Damage


def test_damage_in_the_log_is_not_taken_for_its_end(tmp_path: Path, engine: str) -> None:
    both = double(tmp_path, engine, 1 << 20)
    for key in range(1, 4):
        both.commit(put(Q, message(key, b"body %d" % key)))
    both.close()
    log = tmp_path / "storage" / "dbm" / "log.1"
    octets = bytearray(log.read_bytes())
    octets[octets.index(b"body 2")] ^= 1
    log.write_bytes(octets)
    with pytest.raises(StoreDamaged, match=r"log\.1: the batch at octet \d+"):
        both.reopen()


def test_damage_in_a_database_is_reported_by_message(tmp_path: Path, engine: str) -> None:
    both = double(tmp_path, engine, 1 << 12)
    bodies = {key: b"%04d" % key * 50 for key in range(1, 31)}
    both.commit(*[put(Q, message(key, body)) for key, body in bodies.items()])
    both.close()
    (file,) = databases(tmp_path)
    whole = file.read_bytes()
    seen = 0
    for key, body in bodies.items():
        octets = bytearray(whole)
        at = octets.find(body)
        if at < 0:
            continue
        octets[at + 100] ^= 0x40
        file.write_bytes(octets)
        store = DbmStore(Place(tmp_path / "storage", tmp_path / "etc"), engine)
        assert store.load()[0].count == 30
        found = list(store.scan())
        assert [each.key for _, each in found if each.key] == list(bodies)
        (damage, *_) = [each for _, each in found if isinstance(each, Damage) and each.key == key]
        assert str(file)[:-3] in damage.place
        assert Q in damage.place
        seen += 1
        for _, each in found:
            assert isinstance(each, Damage) or each.body == bodies[each.key]
        # It may be removed all the same.
        store.commit([remove(Q, message(key, body))], True)
        store.close()
        shutil.copy(file, tmp_path / "kept")
        if seen == 5:
            break
        for name in ("log.2", "log.3"):
            (tmp_path / "storage" / "dbm" / name).unlink(missing_ok=True)
    assert seen


def test_a_database_that_was_cut_or_lost(tmp_path: Path, engine: str) -> None:
    both = double(tmp_path, engine)
    both.commit(*[put(Q, message(key, b"x" * 5000)) for key in range(1, 11)])
    both.commit(put("/queue/b", message(20)))
    both.close()
    for file in databases(tmp_path):
        os.truncate(file, file.stat().st_size // 2)
    for _ in range(2):
        store = DbmStore(Place(tmp_path / "storage", tmp_path / "etc"), engine)
        assert [each.count for each in store.load()] == [10, 1]
        found = [each for _, each in store.scan()]
        assert [isinstance(each, Damage) for each in found] == [True] * 10 + [False]
        store.close()
        for file in databases(tmp_path):
            file.unlink()


def test_damage_beside_the_databases(tmp_path: Path, engine: str) -> None:
    both = double(tmp_path, engine)
    both.commit(*[put(Q, message(key, b"x" * 5000)) for key in range(1, 11)])
    both.close()
    folder = tmp_path / "storage" / "dbm"
    for name in ("state", "00000001.keys"):
        whole = (folder / name).read_bytes()
        for at in range(len(whole)):
            (folder / name).write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
            with pytest.raises((StoreDamaged, StoreForeign)):
                DbmStore(Place(tmp_path / "storage", tmp_path / "etc"), engine)
        (folder / name).unlink()
        with pytest.raises(StoreDamaged, match="is missing"):
            DbmStore(Place(tmp_path / "storage", tmp_path / "etc"), engine)
        (folder / name).write_bytes(whole)
    state = (folder / "state").read_bytes()
    (folder / "state").write_bytes(state.replace(b"stompserver dbm 1 ", b"stompserver dbm 2 ", 1))
    with pytest.raises(StoreForeign, match="format 2, of a newer version"):
        DbmStore(Place(tmp_path / "storage", tmp_path / "etc"), engine)


# Room


def test_at_its_limit_it_refuses_puts_and_takes_removals(tmp_path: Path, engine: str) -> None:
    both = double(tmp_path, engine, limit=2 << 20)
    made: list[Message] = []

    def fill() -> int:
        before = len(made)
        try:
            while len(made) < before + 10_000:
                batch = [message(len(made) + 1 + each, b"x" * 1000) for each in range(10)]
                both.commit(*[put(Q, each) for each in batch], sync=False)
                made.extend(batch)
        except StoreFull:
            return len(made) - before
        raise AssertionError("it is never full")

    first = fill()
    assert first > 200
    both.check()
    used = sum(path.stat().st_size for path in (tmp_path / "storage" / "dbm").iterdir())
    if engine != "ndbm":  # which says of no database beforehand how large it will be
        assert used <= 2 << 20
    both.reopen()
    for each in made:
        both.commit(remove(Q, each), sync=False)
    assert both.read(Q) == []
    assert fill() > first * 0.9
    both.commit(drop(Q))
    both.check()
    both.reopen()
    both.close()


def test_a_new_log_has_room_for_removals_before_the_disk_is_full(tmp_path: Path, engine: str) -> None:
    both = double(tmp_path, engine)
    both.commit(*[put(Q, message(key, b"x" * 4000)) for key in range(1, 401)])

    def taken() -> int:
        (log,) = (tmp_path / "storage" / "dbm").glob("log.*")
        assert log.name != "log.1"
        return log.stat().st_blocks * 512

    assert taken() >= dbm_store.RESERVE
    both.reopen()
    assert taken() >= dbm_store.RESERVE
    both.check()
    both.close()


def test_a_look_at_it_takes_no_more_room_each_time(tmp_path: Path, engine: str) -> None:
    """As by `stompctl store stats`: what it has ahead for removals stays from one opening to the next, and is taken
    once.
    """
    place = Place(tmp_path, tmp_path)
    store = DbmStore(place, engine)
    store.load()
    store.commit([put(Q, message(1))], True)
    store.close()

    def room() -> dict[str, tuple[int, int]]:
        found = {path.name: path.stat() for path in (tmp_path / "dbm").iterdir()}
        return {name: (status.st_size, status.st_blocks) for name, status in found.items()}

    before = room()
    for _ in range(3):
        store = DbmStore(place, engine)
        assert [(each.name, each.count) for each in store.load()] == [(Q, 1)]
        store.close()
    assert room() == before


def test_a_full_disk(tmp_path: Path, engine: str) -> None:
    """By a limit to the size of files, which answers as a full disk does."""
    both = double(tmp_path, engine, 1 << 30)
    made = [message(key, b"x" * 4000) for key in range(1, 401)]
    both.commit(*[put(Q, each) for each in made])
    log = tmp_path / "storage" / "dbm" / "log.1"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        refused = 0
        for key in range(1000, 1010):
            try:
                both.commit(put(Q, message(key, b"x" * 1_000_000)))
            except StoreFull:
                refused += 1
        assert refused > 5
        both.check()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    both.check()
    both.commit(*[remove(Q, each) for each in made])
    both.commit(put(Q, message(2000)))
    both.reopen()
    both.check()
    both.close()
    assert log.parent.is_dir()
