"""Which deliveries of a consumer that is gone can have been in work: to those alone its end may be due.

Programs fetch many messages ahead and work at one of them, or at a few. So a message that ends its consumer each time
should not take those with it that merely waited behind it.
"""

from __future__ import annotations

from typing import Final

from stompserver.broker.subscription import INDIVIDUAL, Delivery, Progress

_NONE: Final = 1 << 60
"""Higher than any place."""


def in_work(deliveries: list[Delivery]) -> set[Delivery]:
    """Those among ``deliveries``, all that a consumer had not settled, that can have been in work: of each of its
    subscriptions all that are older than the newest that it settled, where each is settled by itself; where there is
    none so, or where settling one settles all before it, the oldest behind that.

    What an open transaction will settle is done, so it is as if it were settled, but for the newest in each: a client
    may settle a message first and then do what it says. Without that one such a message would come again for ever,
    and those behind it would be taken for what it did.

    Of each subscription that had any, one is among them at least, so whatever ends its consumer comes to its end.
    """
    found: set[Delivery] = set()
    newest: dict[Progress, int] = {}
    for (progress, _), delivery in _held(deliveries).items():
        found.add(delivery)
        newest[progress] = max(newest.get(progress, progress.newest), delivery.place)
    passed: set[Progress] = set()
    behind: dict[Progress, Delivery] = {}
    oldest: dict[Progress, Delivery] = {}
    # There may be very many, most of one subscription and in order: nothing is looked up for those.
    same: Progress | None = None
    last: int = 0
    least: int = 0
    for delivery in deliveries:
        if delivery.settled or delivery.held is not None:
            continue
        progress = delivery.subscription.progress
        place: int = delivery.place
        if progress is not same:
            same = progress
            last = newest.get(progress, progress.newest)
            least = behind[progress].place if progress in behind else _NONE
        if place >= last:
            if place < least:
                behind[progress] = delivery
                least = place
        elif delivery.subscription.mode == INDIVIDUAL:
            found.add(delivery)
            passed.add(progress)
        else:
            known = oldest.get(progress)
            if known is None or place < known.place:
                oldest[progress] = delivery
    for progress, delivery in behind.items():
        if progress not in passed:
            found.add(delivery)
    for progress, delivery in oldest.items():
        # They came back by ABORT, and nothing behind them is left.
        if progress not in behind and progress not in newest:
            found.add(delivery)
    return found


def _held(deliveries: list[Delivery]) -> dict[tuple[Progress, str], Delivery]:
    """The newest that each open transaction will settle, of each subscription."""
    held: dict[tuple[Progress, str], Delivery] = {}
    for delivery in deliveries:
        if delivery.held is not None and not delivery.settled:
            key = (delivery.subscription.progress, delivery.held)
            known = held.get(key)
            if known is None or known.place < delivery.place:
                held[key] = delivery
    return held
