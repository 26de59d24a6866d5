"""Puts what was read from the original into a store of this server: all or nothing, and never twice."""

from __future__ import annotations

from datetime import UTC, datetime

from stompserver.broker.oplog import PUT, Op
from stompserver.migrate.ledger import BEGUN, DONE, Ledger, digest
from stompserver.migrate.original import Item, Original
from stompserver.migrate.report import Line, Report
from stompserver.stores.base import Store


def into(original: Original, store: Store, first_number: int, ledger: Ledger, dry: bool = False) -> Report:
    """Give the messages numbers from ``first_number`` on (above all that the store has) and commit them at once.

    ``ledger`` is that of the store's directory: messages that it knows are not taken again, even when they were
    consumed since. With ``dry`` nothing is written, the store is not even asked. Raises StoreError and its kin; the
    store is as it was then, and the import may be repeated.
    """
    if not dry:
        ledger.settle(store)
    known = ledger.ids()
    report = Report(original.kind, original.place, dry, notes=original.notes)
    chosen: dict[str, list[Item]] = {}
    for queue in original.queues:
        before = known.get(queue.name, set())
        items = [item for item in queue.items if item.id not in before]
        size = sum(len(item.message.body) for item in items)
        report.queues.append(Line(queue.name, len(items), size, len(queue.items) - len(items)))
        if items:
            chosen[queue.name] = items
    if dry or (not chosen and ledger.knows(original)):
        return report
    entry = {
        "state": BEGUN,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "kind": original.kind,
        "place": original.place,
        "identity": original.identity,
        "ids": {name: [item.id for item in items] for name, items in chosen.items()},
    }
    ops: list[Op] = []
    numbers: dict[str, int] = {}
    digests: dict[str, list[str]] = {}
    number = first_number
    for name, items in chosen.items():
        numbers[name] = number
        for item in items:
            message = item.message
            message.key = message.number = number
            number += 1
            ops.append(Op(PUT, name, message.key, message, message.size))
        digests[name] = [digest(item.message) for item in items]
    ledger.write(entry | {"numbers": numbers, "digests": digests})
    if ops:
        store.commit(ops, True)
    ledger.write({"state": DONE})
    return report
