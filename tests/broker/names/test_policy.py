"""Policies by pattern: each option from the most specific pattern that sets it."""

from __future__ import annotations

import pytest

from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import NAMES, Policies, Policy, Value


def policies(base: dict[str, Value] | None = None, **given: dict[str, Value]) -> Policies:
    return Policies(
        [(Pattern(text), options) for text, options in given.items()], Policy().changed(base or {})
    )


def test_without_patterns_the_base_holds_everywhere() -> None:
    found = Policies()
    assert found.find("/queue/a") is found.base
    assert found.base.deadletter == "/queue/deadletter"
    assert found.base.max_redeliveries == 0


def test_each_option_comes_from_the_most_specific_pattern_that_sets_it() -> None:
    found = policies(
        {"max_redeliveries": 5},
        **{
            "/queue/orders.eu": {"ttl": 3},
            "/queue/#": {"ttl": 1, "max_messages": 1, "overflow": "drop-head"},
            "/queue/orders.*": {"ttl": 2, "max_messages": 2},
            "/topic/#": {"retain": True},
        },
    )
    eu, us = found.find("/queue/orders.eu"), found.find("/queue/orders.us")
    assert (eu.ttl, eu.max_messages, eu.overflow, eu.max_redeliveries) == (3, 2, "drop-head", 5)
    assert (us.ttl, us.max_messages, us.overflow, us.retain) == (2, 2, "drop-head", False)
    assert found.find("/queue/other").ttl == 1
    assert found.find("/topic/other").retain
    assert found.find("bare") is found.base


def test_destinations_with_the_same_patterns_share_one_policy() -> None:
    found = policies(**{"/queue/#": {"ttl": 1}})
    assert found.find("/queue/a") is found.find("/queue/b")
    assert found.find("/queue/a") is found.find("/queue/a")
    many = [found.find(f"/queue/{number}") for number in range(20_001)]
    assert all(each is many[0] for each in many)


def test_a_copy_changes_only_what_is_named() -> None:
    one = Policy()
    other = one.changed({"prefetch": 7})
    assert {name for name in NAMES if getattr(one, name) != getattr(other, name)} == {"prefetch"}
    with pytest.raises(AttributeError):
        one.changed({"prefech": 7})


def test_the_dead_letter_queue_may_carry_the_name_of_the_origin() -> None:
    assert Policy().deadletter_of("/queue/a.b") == "/queue/deadletter"
    own = Policy().changed({"deadletter": "/queue/DLQ.%"})
    assert own.deadletter_of("/queue/a.b") == "/queue/DLQ.a.b"
    assert Policy().changed({"deadletter": ""}).deadletter_of("/queue/a") == ""


def test_a_dead_letter_queue_has_another_only_where_a_policy_says_which() -> None:
    given: list[tuple[Pattern, dict[str, Value]]] = [
        (Pattern("/queue/orders.>"), {"deadletter": "/queue/DLQ.%"}),
        (Pattern("/queue/jobs.>"), {"deadletter": "/queue/lost"}),
        (Pattern("/queue/lost"), {"deadletter": "/queue/graveyard"}),
        (Pattern("/queue/back"), {"deadletter": "/queue/%"}),
    ]
    found = Policies(given)

    def dead(queue: str) -> str:
        return found.deadletter_of(found.find(queue), queue)

    assert dead("/queue/orders.eu") == "/queue/DLQ.orders.eu"
    assert dead("/queue/DLQ.orders.eu") == "/queue/DLQ.orders.eu"
    assert dead("/queue/jobs.a") == "/queue/lost"
    assert dead("/queue/lost") == "/queue/graveyard"
    assert dead("/queue/graveyard") == "/queue/graveyard"
    assert dead("/queue/other") == dead("/queue/deadletter") == "/queue/deadletter"
    assert dead("/queue/back") == "/queue/back"
