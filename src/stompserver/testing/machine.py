"""Random commits, reads and restarts against a dictionary; needs hypothesis."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from stompserver.broker.oplog import Op
from stompserver.stores.base import Place, Store, open_store
from stompserver.testing.double import EVERYTHING, Double, drop, mark, message, put, remove

NAMES: Final = ["/queue/a", "/queue/A", "/queue/a/b", "/queue/a_b", "/queue/\udcff", "/queue/" + "x" * 300]

_TEXT: Final = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("\udc80\udcff\n\\:"),
    max_size=8,
)
_BODIES: Final = st.binary(max_size=40) | st.integers(1900, 9000).map(lambda length: b"\xa5" * length)


class StoreMachine(RuleBasedStateMachine):
    """Subclass it, say ``kind`` or ``open`` as for StoreConformance, and use its ``TestCase``."""

    kind = ""

    def place(self, directory: Path) -> Place:
        """A place where nothing is yet; ``directory`` is an empty one."""
        return Place(directory / "storage", directory / "etc")

    def open(self, place: Place) -> Store:
        """The store at ``place``, opened or made."""
        return open_store(self.kind, place)

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="store-"))
        place = self.place(self.directory)
        self.both = Double(lambda: self.open(place))
        self.key = 0

    @rule(data=st.data(), sync=st.booleans(), length=st.integers(1, 12))
    def commit(self, data: st.DataObject, sync: bool, length: int) -> None:
        """A batch of any ops, some of them about what is not there or was touched before in the same batch."""
        ops: list[Op] = []
        recent: list[tuple[str, int, bytes]] = [
            (name, key, fact[4]) for name, held in self.both.model.items() for key, fact in held.items()
        ]
        for _ in range(length):
            kind = data.draw(st.sampled_from("ppppppmmrrrad" if recent else "p"))
            if kind == "p":
                self.key += data.draw(st.sampled_from([1, 1, 1, 5000]))
                name = data.draw(st.sampled_from(NAMES))
                made = message(
                    self.key,
                    data.draw(_BODIES),
                    data.draw(st.dictionaries(_TEXT, _TEXT, max_size=3)),
                    persistent=data.draw(st.integers(0, 5)) > 0,
                    plain=data.draw(st.booleans()),
                )
                recent.append((name, self.key, made.body))
                ops.append(put(name, made))
            elif kind == "d":
                ops.append(drop(data.draw(st.sampled_from(NAMES))))
            else:
                name, key, body = data.draw(st.sampled_from(recent))
                ops.append(self._touch(kind, name, key, body, data))
        self.both.commit(*ops, sync=sync)

    def _touch(self, kind: str, name: str, key: int, body: bytes, data: st.DataObject) -> Op:
        if kind == "m":
            return mark(name, key, data.draw(st.integers(0, 12)))
        fact = self.both.model.get(name, {}).get(key)
        if fact is None:
            # Put in this batch, or gone since: a REMOVE must tell the size, which is not at hand here.
            return mark(name, key, 1)
        known = message(key, body, dict(fact[3]), persistent=fact[7])
        return put(name, known) if kind == "a" else remove(name, known)

    @precondition(lambda self: self.both.model)
    @rule(data=st.data(), limit=st.integers(1, 8), room=st.sampled_from([0, 1500, 10_000, EVERYTHING]))
    def read(self, data: st.DataObject, limit: int, room: int) -> None:
        """A window from any place."""
        name = data.draw(st.sampled_from(sorted(self.both.model)))
        after = data.draw(st.sampled_from([0, *self.both.model[name]]))
        self.both.read(name, after, limit, room)

    @rule()
    def sync(self) -> None:
        self.both.store.sync()

    @rule()
    def restart(self) -> None:
        self.both.reopen()
        self.both.check()

    @rule()
    def check(self) -> None:
        self.both.check()

    def teardown(self) -> None:
        if hasattr(self, "both"):
            try:
                self.both.check()
                self.both.reopen()
                self.both.check()
            finally:
                self.both.close()
                shutil.rmtree(self.directory, ignore_errors=True)
