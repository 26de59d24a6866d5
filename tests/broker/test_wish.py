"""What is asked for with a subscription: it stays what it is, and is the same in every queue of a pattern."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import stompserver.broker.subscription
from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.names.durable import APOLLO, Key
from stompserver.broker.names.policy import Policy
from stompserver.broker.oplog import OpLog
from stompserver.broker.selectors.selector import compile_selector
from stompserver.broker.subscription import CLIENT, INDIVIDUAL, Subscription, Wish
from stompserver.errors import Refused

OBJECTS: dict[str, Any] = {
    "durable": Key(APOLLO, "other"),
    "policy": Policy().changed({"max_redeliveries": 3}),
    "properties": {"x-max-length": "5"},
    "selector": compile_selector("n = 1"),
    "topics": ["/topic/other"],
}
"""Values of those options whose default says nothing about their type."""

PLAIN = Wish("s", "/queue/a", INDIVIDUAL, 10)


def source() -> ast.ClassDef:
    """The class as it is written: compiled, it does not tell the names of its parameters."""
    tree = ast.parse(Path(stompserver.broker.__path__[0], "subscription.py").read_text())
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Wish")


def constructor() -> ast.FunctionDef:
    return next(
        node for node in source().body if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )


def options() -> list[str]:
    """All that can be given with a name."""
    return [each.arg for each in constructor().args.kwonlyargs]


def other(option: str) -> Any:
    """A value of ``option`` that is not its default."""
    if option in OBJECTS:
        return OBJECTS[option]
    default = getattr(PLAIN, option)
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return default + 7
    return b"x" if isinstance(default, bytes) else "x"


def test_it_is_never_changed() -> None:
    """mypy sees to it, for what is Final; compiled, it cannot be done at all."""
    body = constructor().body
    assert all(isinstance(each, ast.AnnAssign) and ast.unparse(each.annotation) == "Final" for each in body)
    named = {ast.unparse(each.target) for each in body if isinstance(each, ast.AnnAssign)}
    slots = next(
        ast.literal_eval(each.value)
        for each in source().body
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__slots__"
    )
    assert named == {"self." + name for name in slots}
    if not stompserver.broker.subscription.__file__.endswith(".py"):
        for name in slots:
            with pytest.raises(AttributeError):
                setattr(PLAIN, name, getattr(PLAIN, name))


@pytest.mark.parametrize("option", options())
def test_each_queue_of_a_pattern_has_it(new_consumer: Any, option: str) -> None:
    """Those there are, and those that come."""
    broker = Broker(Rules(), OpLog())
    broker.queue("/queue/a.1")
    broker.send(Message("/queue/a.1", {}, b"x", OVERHEAD))
    given = {option: other(option)}
    wish = Wish("s", "/queue/a.*", CLIENT, 10, **given)
    consumer = new_consumer()
    whole = Subscription(consumer, wish)
    if option == "browser":
        with pytest.raises(Refused, match="Only one queue can be browsed"):
            broker.subscribe(whole)
        return
    broker.subscribe(whole)
    broker.start(whole)
    broker.send(Message("/queue/a.2", {}, b"x", OVERHEAD))
    parts = [queue.subscriptions[0] for queue in broker.queues.values()]
    assert [part.destination for part in parts] == ["/queue/a.1", "/queue/a.2"]
    for part in parts:
        assert part is not whole and part.order is whole.order
        assert getattr(part.wish, option) == given[option] != getattr(PLAIN, option)
        # What a subscription has of it under the same name, for speed, is the same too.
        assert getattr(part, option, given[option]) == given[option]


@pytest.mark.parametrize(
    ("option", "value", "warned"),
    [("auto_delete", True, True), ("properties", {"x-expires": "1000"}, True), ("priority", 5, False)],
)
def test_what_a_pattern_cannot_have(new_consumer: Any, option: str, value: Any, warned: bool) -> None:
    """Its queues are not its own: they are as others made them, and stay when it goes."""
    broker = Broker(Rules(), OpLog())
    broker.send(Message("/queue/a.1", {}, b"x", OVERHEAD))
    wish = Wish("s", "/queue/a.*", INDIVIDUAL, 10, **{option: value})
    subscription = Subscription(new_consumer(), wish)
    assert ("pattern" in broker.subscribe(subscription).warning) is warned
    broker.unsubscribe(subscription)
    (queue,) = broker.queues.values()
    assert (queue.waiting, queue.policy.idle_expiry) == (1, 0)


def test_what_was_granted(new_consumer: Any) -> None:
    """Who takes nothing of the log waits for nothing; a topic has nothing to browse."""
    broker = Broker(Rules(), OpLog(recording=True))
    broker.send(Message("/queue/a", {}, b"x", OVERHEAD))
    granted = broker.subscribe(Subscription(new_consumer(), PLAIN))
    assert (granted.position, granted.warning) == (0, "")
    wish = Wish("s", "/topic/a", INDIVIDUAL, 10, durable=Key(APOLLO, "me"), browser=True)
    granted = broker.subscribe(Subscription(new_consumer(), wish))
    assert granted.position == broker.log.position > 0
    assert "browse" in granted.warning
    assert wish.browser
