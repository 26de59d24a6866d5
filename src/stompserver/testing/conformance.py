"""What stores/base.py promises of every store, as tests that pytest runs in a subclass."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path
from typing import Final

from stompserver.stores.base import Place, Store, open_store
from stompserver.testing.double import EVERYTHING, Double, drop, facts, mark, message, put, remove

ALL_OCTETS: Final = bytes(range(256))

NAMES: Final = [
    "/queue/a_b", "/queue/a/b", "/queue/a.b", "/queue/a-b", "/queue/a b", "/queue/a+b", "/queue/a%2fb", "/queue/a\\b",
    "/queue/a:b", "/queue/a~b", "/queue//a", "/queue/a/", "/queue/a//b", "/queue/A_B", "/queue/A/B", "/queue/a_B",
    "/QUEUE/a_b", "/queue/", "/queue", "queue", "/", "//", ".", "..", "...", "../..", "/queue/.", "/queue/..",
    "/queue/../../etc/passwd", "/queue/.hidden", "~", "-", "-rf", "*", "/queue/*", "/queue/?", "/queue/'; --",
    '/queue/"', "/queue/`", "/queue/$(x)", "/queue/%s%n%d", "/queue/\t", "/queue/\n", "/queue/\r\n", "/queue/ ",
    "/queue/a ", " /queue/a", "/queue/a.", "CON", "nul", "/queue/lock", "/queue/new", "/queue/name",
    "/queue/\x01\x1f\x7f", "/queue/\u00e9", "/queue/e\u0301", "/queue/\u00c9", "/queue/\u6d88\u606f",
    "/queue/\U0001f4e8", "/queue/\ufeff", "/queue/\udcff\udc80", "/queue/\u00df", "/queue/ss", "/queue/SS",
    "/queue/\u0130", "/queue/i", "/queue/I", "/queue/" + "n" * 60_000, "/queue/" + "n" * 59_999 + "m",
    "/queue/" + "N" * 60_000, "/queue/" + "\u00e9" * 20_000, "/queue/" + "/" * 300, "/queue/" + "x" * 240,
    "/queue/" + "x" * 255, "/queue/" + "x" * 256,
]  # fmt: skip
"""Names that would meet in a store that takes them for something simpler."""


class StoreConformance:
    """Subclass it, say which store, and pytest runs all of it: either ``kind``, a queue type, or ``open``.

    A store that lives elsewhere than in a directory overrides ``place`` too: each place must be new.
    """

    kind = ""
    largest = 5 << 20
    """Bytes of the largest body tried."""
    queues = 300
    """How many queues are filled at once."""

    def place(self, directory: Path) -> Place:
        """A place where nothing is yet; ``directory`` is an empty one."""
        return Place(directory / "storage", directory / "etc")

    def open(self, place: Place) -> Store:
        """The store at ``place``, opened or made."""
        return open_store(self.kind, place)

    def double(self, directory: Path) -> Double:
        """A new, empty store with its model."""
        place = self.place(directory)
        return Double(lambda: self.open(place))

    def test_it_finds_itself_where_it_was(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        for key in range(1, 200):
            both.commit(put("/queue/a", message(key, bytes(1000))))
            both.store.verify()
            assert both.store.spare() >= 0
        both.commit(drop("/queue/a"))
        both.store.compact()
        both.store.verify()
        both.reopen()
        both.store.verify()
        assert both.store.swell >= 1
        both.close()

    # Keeping

    def test_a_new_store_is_empty(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        assert both.store.keeps
        assert both.read("/queue/a") == []
        assert list(both.store.scan()) == []
        both.commit()
        assert both.reopen() == []
        both.close()

    def test_a_message_comes_back_as_it_was(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        headers = {
            "z": "last",
            "a": "first",
            "empty": "",
            "colon": "a:b:c",
            "lines": "1\n2\r\\",
            "": "no name",
        }
        both.commit(
            put("/queue/a", message(1)),
            put("/queue/a", message(2, b"", {})),
            put("/queue/a", message(3, ALL_OCTETS, headers, plain=True)),
            put("/queue/a", message(4, exceptions=0, attempts=3)),
            put("/queue/a", message(5, exceptions=2**31 - 1, attempts=2**31 - 1, number=2**62)),
            put("/queue/a", message(6, destination="/queue/of another name")),
            put("/queue/a", message(7, headers={"\u00e9": "\u6d88\u606f \U0001f4e8 \u2028 \ufeff"})),
            put("/queue/a", message(8, headers={"\udcff\udcfe": "latin \udce9\udc80"})),
            put("/queue/a", message(9, headers={f"name {i}": "value " * i for i in range(200)})),
            put("/queue/a", message(10, headers={"control": "\x01\x1f\x7f\x85", "true": "null", "n": "1e3"})),
            put("/queue/a", message(11, destination="/queue/\udcff")),
        )
        both.check()
        both.reopen()
        both.check()
        both.close()

    def test_what_is_kept_beside_the_headers_comes_back(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        both.commit(
            put("/queue/a", message(1, kept={"priority": "9"})),
            put("/queue/a", message(2, kept={"priority": "0", "expires": str(2**41), "group": "g"})),
            put("/queue/a", message(3, kept={"group": "\u00e9\udcff ' \\ \" \n:"}, attempts=3)),
            put("/queue/a", message(4, kept={"name": "x", "due": "1", "": "", "\u6d88": "\U0001f4e8"})),
            put("/queue/a", message(5, ALL_OCTETS, {}, kept={f"extra {n}": "value " * n for n in range(99)})),
            put("/queue/a", message(6)),
            put("/queue/a", message(7, kept={"priority": "5"}, persistent=False)),
        )
        both.check()
        both.commit(mark("/queue/a", 2, 2))
        both.reopen()
        both.check()
        both.close()

    def test_a_reopened_store_has_each_commit(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        made = [message(key, b"%d" % key) for key in range(1, 7)]
        both.commit(put("/queue/a", made[0]))
        both.reopen()
        both.commit(put("/queue/a", made[1]), put("/queue/b", made[2]), put("/queue/a", made[3]))
        both.reopen()
        both.commit(mark("/queue/a", 2, 1))
        both.reopen()
        both.commit(mark("/queue/a", 2, 2), mark("/queue/b", 3, 1), put("/queue/b", made[4]))
        both.reopen()
        both.commit(remove("/queue/a", made[0]))
        both.reopen()
        both.check()
        both.commit(remove("/queue/a", made[1]), remove("/queue/b", made[2]), put("/queue/c", made[5]))
        both.reopen()
        both.commit(drop("/queue/b"))
        both.reopen()
        both.commit(drop("/queue/c"), remove("/queue/a", made[3]))
        assert both.reopen() == []
        both.check()
        both.close()

    def test_bodies_of_all_lengths(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        lengths = [
            0,
            1,
            255,
            256,
            1000,
            1945,
            2030,
            2048,
            4095,
            4096,
            4097,
            65535,
            65536,
            1 << 20,
            self.largest,
        ]
        for key, length in enumerate(lengths, 1):
            body = (ALL_OCTETS * (length // 256 + 1))[:length]
            both.commit(put("/queue/a", message(key, body)), sync=False)
        both.store.sync()
        both.reopen()
        both.check()
        for key in range(1, len(lengths) + 1):
            fact = both.model["/queue/a"][key]
            both.commit(remove("/queue/a", message(key, fact[4])))
        assert both.reopen() == []
        both.close()

    def test_bodies_that_look_like_something(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        bodies = [
            b"\0",
            b"\0" * 5000,
            b"\n",
            b"\r\n",
            b"{}",
            b"--- !ruby/object:X {}\n",
            b"\xff\xfe",
            b"%s",
            b"'",
        ]
        bodies += [b"\xef\xbb\xbfbom", b" spaces ", b"\x80\x04.", b"0000000100000001", b"NULL", b"\xc3\x28"]
        both.commit(*[put("/queue/a", message(key, body)) for key, body in enumerate(bodies, 1)])
        both.reopen()
        both.check()
        both.close()

    # Order, limit, room

    def test_order_is_that_of_the_keys(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        keys = [1, 2, 9, 10, 11, 99, 100, 255, 256, 257, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32]
        # Lanes of priority are above 2**57 (broker.py).
        keys += [2**53 + 1, *[(lane << 57) + 1 for lane in range(1, 11)], 2**61 - 1, 2**61, 2**62 + 1]
        random.Random(7).shuffle(keys)
        for start in range(0, len(keys), 5):
            both.commit(*[put("/queue/a", message(key)) for key in keys[start : start + 5]])
        assert both.read("/queue/a") == sorted(keys)
        both.reopen()
        assert both.read("/queue/a") == sorted(keys)
        both.check()
        both.close()

    def test_read_goes_on_after_a_key(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        both.commit(*[put(f"/queue/{'ab'[key % 2]}", message(key)) for key in range(1, 41)])
        for after in (-1, 0, 1, 2, 3, 19, 38, 39, 40, 41, 2**62):
            both.read("/queue/a", after)
            both.read("/queue/b", after)
        assert both.read("/queue/a", 20, 3) == [22, 24, 26]
        assert both.read("/queue/a", 0, 0) == []
        assert both.read("/queue/nothing") == []
        both.close()

    def test_read_keeps_to_its_limit_and_room(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        made = [message(key, b"x" * (key * 700 % 5000)) for key in range(1, 31)]
        both.commit(*[put("/queue/a", each) for each in made])
        for limit in (1, 2, 7, 30, 31, 1000):
            for room in (0, 1, 1700, 5000, 20_000, EVERYTHING):
                after, seen = 0, []
                while keys := both.read("/queue/a", after, limit, room):
                    seen += keys
                    after = keys[-1]
                assert seen == list(range(1, 31)), f"limit {limit}, room {room}: {seen}"
        assert len(both.store.read("/queue/a", 0, 1000, 0)) == 1
        both.close()

    # Ops

    def test_marks_change_attempts_and_nothing_else(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        both.commit(*[put("/queue/a", message(key, b"x" * 3000)) for key in range(1, 6)])
        for attempts in (1, 2, 10, 1000, 2**31 - 1, 0):
            both.commit(mark("/queue/a", 2, attempts), mark("/queue/a", 4, min(attempts + 1, 9)))
            both.check()
        both.reopen()
        both.check()
        both.commit(remove("/queue/a", message(2, b"x" * 3000)), mark("/queue/a", 2, 5))
        both.reopen()
        both.check()
        both.close()

    def test_what_is_not_there_is_no_error(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        both.commit(remove("/queue/none", message(1)), mark("/queue/none", 1, 1), drop("/queue/none"))
        both.commit(put("/queue/a", message(5)))
        both.commit(remove("/queue/a", message(4)), mark("/queue/a", 6, 1), remove("/queue/none", message(5)))
        both.commit(remove("/queue/a", message(6)))
        both.commit(mark("/queue/a", 7, 7))
        both.check()
        both.reopen()
        both.check()
        both.commit(put("/queue/a", message(6)), put("/queue/a", message(7)))
        both.reopen()
        both.check()
        both.close()

    def test_to_put_again_changes_nothing(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        first = [message(key) for key in range(1, 5)]
        both.commit(*[put("/queue/a", each) for each in first])
        both.commit(put("/queue/a", first[0]))
        both.commit(mark("/queue/a", 2, 3))
        both.commit(*[put("/queue/a", message(key)) for key in range(1, 8)])
        both.commit(put("/queue/a", message(8)), put("/queue/a", message(8)), put("/queue/b", message(9)))
        both.check()
        both.reopen()
        both.check()
        # Not even when it is another message of the same key.
        both.commit(put("/queue/a", message(1, b"other", persistent=False)), put("/queue/a", message(10)))
        both.reopen()
        both.check()
        both.close()

    def test_a_batch_is_done_in_its_order(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        a, b, c, d = (message(key) for key in (1, 2, 3, 4))
        q = "/queue/a"
        both.commit(put(q, a), mark(q, 1, 1), put(q, b), remove(q, b), put(q, c))
        both.check()
        both.commit(mark(q, 4, 9), put(q, d), mark(q, 1, 2), mark(q, 1, 3), remove(q, c), put(q, c))
        both.check()
        both.commit(remove(q, a), put(q, a), mark(q, 1, 8), remove(q, d), mark(q, 4, 4))
        both.reopen()
        both.check()
        both.commit(remove(q, a), remove(q, a), put(q, a), remove(q, a), put(q, a), put("/queue/b", b))
        both.reopen()
        both.check()
        both.close()

    def test_drop_empties_a_queue(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        both.commit(*[put(f"/queue/{key % 3}", message(key, persistent=key % 5 > 0)) for key in range(1, 61)])
        both.commit(mark("/queue/1", 1, 1), mark("/queue/1", 4, 1), mark("/queue/2", 2, 1))
        both.commit(put("/queue/1", message(100)), drop("/queue/1"), put("/queue/1", message(101)))
        both.check()
        both.reopen()
        both.check()
        both.commit(drop("/queue/0"))
        both.check()
        both.commit(put("/queue/0", message(3)), mark("/queue/0", 3, 2))
        both.reopen()
        both.check()
        both.commit(
            *[drop(f"/queue/{number}") for number in range(3)],
            put("/queue/3", message(102)),
            drop("/queue/3"),
        )
        assert both.reopen() == []
        both.check()
        both.close()

    def test_transient_messages_last_until_the_next_start(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        both.commit(*[put("/queue/a", message(key, persistent=key % 3 > 0)) for key in range(1, 31)])
        both.commit(*[put("/queue/b", message(key, persistent=False)) for key in range(31, 41)])
        both.commit(put("/queue/b", message(50, persistent=False)))
        both.commit(mark("/queue/a", 3, 2), mark("/queue/b", 31, 1))
        both.commit(remove("/queue/a", message(6, persistent=False)))
        both.commit(remove("/queue/b", message(32, persistent=False)))
        both.check()
        assert [each.name for each in both.reopen()] == ["/queue/a"]
        both.check()
        both.reopen()
        both.check()
        both.close()

    def test_a_batch_that_fails_leaves_nothing(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        made = [message(key) for key in range(1, 4)]
        both.commit(*[put("/queue/a", each) for each in made])
        spoiled = message(7)
        spoiled.headers = {"not text": object()}  # type: ignore[dict-item]  # no store can write it
        ops = [put("/queue/a", message(4)), mark("/queue/a", 1, 1), remove("/queue/a", made[1])]
        ops += [put("/queue/new", message(5)), put("/queue/new", spoiled), put("/queue/a", message(6))]
        failed = False
        try:
            both.store.commit(ops, True)
        except Exception:
            failed = True
        assert failed, "a batch with a message that cannot be read was committed"
        both.check()
        both.reopen()
        both.check()
        both.commit(put("/queue/a", message(4)), put("/queue/new", message(5)))
        both.reopen()
        both.check()
        both.close()

    # Names and numbers

    def test_names_do_not_meet(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        both.commit(
            *[put(name, message(key, ascii(name)[:50].encode())) for key, name in enumerate(NAMES, 1)]
        )
        both.reopen()
        both.check()
        for key, name in enumerate(NAMES, 1001):
            both.commit(put(name, message(key)), sync=False)
        both.commit(*[mark(name, key, 1) for key, name in enumerate(NAMES, 1)])
        both.reopen()
        both.check()
        both.commit(*[drop(name) for name in NAMES[::2]])
        both.check()
        both.reopen()
        both.check()
        both.close()
        self.check_modes(tmp_path)

    def test_many_queues(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        names = [f"/queue/{number}" for number in range(self.queues)]
        both.commit(*[put(name, message(key)) for key, name in enumerate(names, 1)])
        both.commit(*[put(name, message(key)) for key, name in enumerate(reversed(names), 10_001)])
        both.reopen()
        for name in names[:: max(1, self.queues // 50)]:
            assert len(both.read(name)) == 2
        both.commit(*[remove(name, message(key)) for key, name in enumerate(names, 1)])
        both.reopen()
        both.commit(*[remove(name, message(key)) for key, name in enumerate(reversed(names), 10_001)])
        both.check()
        assert both.reopen() == []
        both.close()

    def test_counts_stay_exact(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        chance = random.Random(42)
        key = 0
        for round in range(60):
            ops = []
            for _ in range(chance.randrange(1, 40)):
                name = f"/queue/{chance.randrange(6)}"
                held = both.model.get(name, {})
                if held and chance.random() < 0.45:
                    chosen = chance.choice(sorted(held))
                    ops.append(remove(name, message(chosen, held[chosen][4])))
                elif held and chance.random() < 0.1:
                    ops.append(mark(name, chance.choice(sorted(held)), chance.randrange(5)))
                else:
                    key += 1
                    body = b"x" * chance.randrange(300)
                    ops.append(put(name, message(key, body, persistent=chance.random() > 0.1)))
            if chance.random() < 0.05:
                ops.append(drop(f"/queue/{chance.randrange(6)}"))
            both.commit(*ops, sync=chance.random() < 0.5)
            if round % 9 == 8:
                both.reopen()
        both.check()
        both.reopen()
        both.check()
        both.close()

    # The rest

    def test_commits_without_sync(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        for key in range(1, 20):
            both.commit(put("/queue/a", message(key)), put("/queue/b", message(key + 100)), sync=False)
            if key > 5:
                both.commit(remove("/queue/a", message(key - 5)), sync=False)
            if key % 7 == 0:
                both.store.sync()
        both.check()
        both.commit(mark("/queue/a", 19, 2))
        both.reopen()
        both.check()
        both.close()

    def test_scan_and_read_while_others_come(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        made = [message(key, b"x" * 2000) for key in range(1, 1501)]
        both.commit(*[put("/queue/a", each) for each in made])
        scan = both.store.scan()
        first = next(scan)
        both.commit(put("/queue/a", message(2000)), remove("/queue/a", made[700]))
        # What is there all the time is seen once and in order, whatever comes or goes meanwhile.
        keys = [first[1].key] + [each.key for _, each in scan if each.key]
        assert keys == sorted(set(keys))
        assert set(keys) | {701, 2000} == {*range(1, 1501), 2000}
        both.check()
        both.close()

    def test_compact_keeps_everything(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        made = [message(key, b"x" * 4000) for key in range(1, 501)]
        both.commit(*[put("/queue/a", each) for each in made])
        both.commit(*[remove("/queue/a", each) for each in made[:480]], mark("/queue/a", 490, 3))
        before, after = both.store.compact()
        assert 0 <= after <= before
        both.check()
        both.commit(put("/queue/a", message(1000)))
        both.reopen()
        both.check()
        both.close()

    def test_nothing_can_be_read_by_others(self, tmp_path: Path) -> None:
        old = os.umask(0)
        try:
            both = self.double(tmp_path)
            both.commit(put("/queue/a", message(1)), put("/queue/b", message(2)))
            both.commit(remove("/queue/a", message(1)), put("/queue/" + "n" * 300, message(3)))
            self.check_modes(tmp_path)
            both.store.compact()
            both.commit(put("/queue/a", message(4)))
            self.check_modes(tmp_path)
            both.close()
        finally:
            os.umask(old)

    def check_modes(self, directory: Path) -> None:
        """Files are 0600 and directories 0700."""
        for path in (directory / "storage").rglob("*"):
            mode = stat.S_IMODE(path.lstat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), f"{path} has mode {mode:o}"

    def test_close_may_be_called_again(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        both.commit(put("/queue/a", message(1)))
        both.close()
        both.close()
        both.reopen()
        both.check()
        both.close()

    def test_a_read_message_is_known_as_stored(self, tmp_path: Path) -> None:
        both = self.double(tmp_path)
        made = message(1)
        both.commit(put("/queue/a", made))
        (found,) = both.store.read("/queue/a", 0, 10, EVERYTHING)
        assert getattr(found, "stored", False)
        assert facts(made) == both.model["/queue/a"][1]
        both.close()
