"""A store and a dictionary that must say the same, and short words for ops."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.oplog import DROP, MARK, PUT, REMOVE, Op
from stompserver.stores.base import Damage, Store, Stored

EVERYTHING: Final = 1 << 60

Facts = tuple[
    int, int, str, tuple[tuple[str, str], ...], bytes, int, bool, bool, int, tuple[tuple[str, str], ...], int
]


def message(
    key: int,
    body: bytes = b"body",
    headers: dict[str, str] | None = None,
    *,
    destination: str = "/queue/a",
    plain: bool = False,
    persistent: bool = True,
    exceptions: int = -1,
    attempts: int = 0,
    number: int | None = None,
    kept: dict[str, str] | None = None,
) -> Message:
    """A message as the broker would log it; its number is its key when none is given; ``kept`` as Message.kept."""
    headers = {"destination": destination} if headers is None else headers
    size = OVERHEAD + len(body) + sum(len(name) + len(value) for name, value in headers.items())
    made = Message(destination, headers, body, size, plain, persistent, exceptions)
    made.key = key
    made.number = key if number is None else number
    made.attempts = attempts
    if kept:
        made.regain(kept)
    made.stored = True
    return made


def put(queue: str, made: Message) -> Op:
    """The op that adds ``made`` to ``queue``."""
    return Op(PUT, queue, made.key, made, made.size)


def mark(queue: str, key: int, attempts: int) -> Op:
    """The op that sets the attempts of a message."""
    return Op(MARK, queue, key, None, 0, attempts)


def remove(queue: str, made: Message) -> Op:
    """The op that takes ``made`` out of ``queue``."""
    return Op(REMOVE, queue, made.key, None, made.size)


def drop(queue: str) -> Op:
    """The op that empties ``queue``."""
    return Op(DROP, queue, 0, None)


def facts(made: Message, attempts: int | None = None) -> Facts:
    """All of a message that must come back, in a form to compare."""
    return (
        made.key,
        made.number,
        made.destination,
        tuple(made.headers.items()),
        made.body,
        made.size,
        made.plain,
        made.persistent,
        made.exceptions,
        tuple(sorted((made.kept() or {}).items())),
        made.attempts if attempts is None else attempts,
    )


class Model:
    """What a store should hold, by dictionary: ``held`` is queue -> key -> facts."""

    def __init__(self) -> None:
        self.held: dict[str, dict[int, Facts]] = {}

    def apply(self, ops: Iterable[Op]) -> None:
        """Do ``ops`` as Store.commit says."""
        for op in ops:
            held = self.held.setdefault(op.queue, {})
            if op.kind == PUT:
                assert op.message is not None
                held.setdefault(op.key, facts(op.message))
            elif op.kind == MARK and op.key in held:
                held[op.key] = (*held[op.key][:-1], op.attempts)
            elif op.kind == REMOVE:
                held.pop(op.key, None)
            elif op.kind == DROP:
                held.clear()
        self._forget_empty()

    def restart(self) -> None:
        """Forget the transient messages."""
        for held in self.held.values():
            for key in [key for key, fact in held.items() if not fact[7]]:
                del held[key]
        self._forget_empty()

    def _forget_empty(self) -> None:
        self.held = {name: held for name, held in self.held.items() if held}

    def counts(self) -> dict[str, tuple[int, int, int, int]]:
        """What ``load`` should say: for each queue count, bytes, lowest and highest key."""
        return {
            name: (len(held), sum(fact[5] for fact in held.values()), min(held), max(held))
            for name, held in self.held.items()
        }


def counted(loaded: list[Stored]) -> dict[str, tuple[int, int, int, int]]:
    """What ``load`` said, in the form of Model.counts."""
    said = {each.name: (each.count, each.bytes, each.lowest, each.highest) for each in loaded}
    assert len(said) == len(loaded), "load() named a queue twice"
    return said


def contents(store: Store) -> dict[str, dict[int, Facts]]:
    """All that ``scan`` finds, in the form of Model.held. Fails on damage and on a wrong order."""
    found: dict[str, dict[int, Facts]] = {}
    for queue, each in store.scan():
        assert not isinstance(each, Damage), f"{queue!r}: {each}"
        held = found.setdefault(queue, {})
        assert not held or max(held) < each.key, f"{queue!r}: {each.key} comes after {max(held)}"
        held[each.key] = facts(each)
    return found


class Double:
    """The store that ``open`` opens, and ``model``, that must say the same."""

    def __init__(self, open: Callable[[], Store]) -> None:
        self._open = open
        self._model = Model()
        self.store = open()
        self.check_counts(self.store.load())

    @property
    def model(self) -> dict[str, dict[int, Facts]]:
        """What is held: queue -> key -> facts."""
        return self._model.held

    def commit(self, *ops: Op, sync: bool = True) -> None:
        """Do ``ops`` in both."""
        self.store.commit(list(ops), sync)
        self._model.apply(ops)

    def reopen(self) -> list[Stored]:
        """Close the store and open it again: the transient messages are gone, the counts fit."""
        self.store.close()
        self.store = self._open()
        self._model.restart()
        loaded = self.store.load()
        self.check_counts(loaded)
        return loaded

    def check_counts(self, loaded: list[Stored]) -> None:
        """Whether what ``load`` said is what the dictionary has."""
        said, true = counted(loaded), self._model.counts()
        assert said == true, f"load() said {_short(said)}, not {_short(true)}"

    def read(self, queue: str, after: int = -1, limit: int = 1 << 30, room: int = EVERYTHING) -> list[int]:
        """Read from the store, compare with the dictionary, return the keys that came."""
        found = self.store.read(queue, after, limit, room)
        held = self.model.get(queue, {})
        due = sorted(key for key in held if key > after)
        keys: list[int] = []
        total = 0
        for each, key in zip(found, due, strict=False):
            assert isinstance(each, Message), f"{queue!r} {key}: {each}"
            came, wanted = facts(each), held[key]
            assert came == wanted, f"{queue!r} {key}: read {_short(came)}, not {_short(wanted)}"
            assert not keys or total < room, f"{queue!r}: more than {room} bytes came"
            total += each.size
            keys.append(key)
        assert len(found) <= min(limit, len(due)), (
            f"{queue!r}: {len(found)} came of {len(due)}, limit {limit}"
        )
        if len(found) < min(limit, len(due)):
            assert found, f"{queue!r}: nothing came of {len(due)}, limit {limit}, room {room}"
            following = held[due[len(found)]][5]
            assert total + following > room, (
                f"{queue!r}: {len(found)} came of {len(due)}, though there is room"
            )
        return keys

    def check(self) -> None:
        """Whether all of both is the same, read and scanned, with nothing damaged."""
        for queue in self.model:
            self.read(queue)
        scanned, true = contents(self.store), self.model
        assert sorted(scanned) == sorted(true), (
            f"scan() found {_short(sorted(scanned))}, not {_short(sorted(true))}"
        )
        for queue, held in true.items():
            found = scanned[queue]
            assert found == held, f"{queue!r}: scan() found {_short(found)}, not {_short(held)}"

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) < 1000 else text[:1000] + "..."
