"""The selector of a SUBSCRIBE: what it may cost, and whether anything can match it."""

from __future__ import annotations

from stompserver.broker.selectors.never import never
from stompserver.broker.selectors.selector import Selector, check_cost, too_costly
from stompserver.broker.subscription import Wish
from stompserver.session.client import Client
from stompserver.session.reply import Reply


def check_costs(session: Client, wishes: list[Wish]) -> None:
    """Raises Refused when the selectors of ``wishes`` cost too much, alone or with those that there are."""
    cost: int = 0
    most: int = session.broker.rules.max_selector_cost
    for wish in wishes:
        if wish.selector is not None:
            check_cost(wish.selector, most)
            cost += wish.selector.cost
    if not cost:
        return
    for subscription in session.subscriptions.values():
        if subscription.wish.selector is not None:
            cost += subscription.wish.selector.cost
    if cost > most:
        raise too_costly("header selector, with those of other subscriptions", cost, most)


def look_at(session: Client, reply: Reply, selector: Selector | None) -> None:
    """Let messages tell when they came if it asks for that; warn of one that nothing can match."""
    if selector is None:
        return
    if selector.dated:
        session.broker.date()
    reason = never(selector.condition)
    if reason:
        session.warn(reply, "No message can match this selector: " + reason)
