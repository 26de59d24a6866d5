"""A bare name is a topic, as in the original; who sends to one that nobody hears is told, and so is the log."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import wire

GONE = (
    "Bare name 'orders-77' is a topic, and nobody listens: the message is gone."
    " If a queue is meant: '/queue/orders-77'"
)


@pytest.fixture
def client_class() -> type[wire.Client]:
    """One for which messages may come before a receipt."""
    return wire.Client


def counted(house: Any) -> int:
    """How many messages the server says went to nobody."""
    client = house.connect()
    client.subscribe("/temp-queue/answers", "answers")
    client.receipt(
        "SEND\ndestination:/queue/stompserver.management\naction:server\nreply-to:/temp-queue/answers\n\n\0"
    )
    return int(json.loads(client.expect("MESSAGE").body)["unheard"])


def test_the_receipt_says_so_and_the_log_once_a_name(house: Any) -> None:
    client = house.connect()
    for _ in range(3):
        assert client.publish("orders-77", "x")["warning"] == GONE.replace(":", "\\c")
    client.send("SEND\ndestination:orders-78\n\nno receipt\0")
    assert client.publish("/orders/79", "x").has("warning")
    client.nothing()
    assert counted(house) == 5
    house.server.wait_for_log("orders/79")
    told = re.findall(r"WARNING (Bare name '([^']+)' is a topic.*)", house.server.log())
    assert [name for _, name in told] == ["orders-77", "orders-78", "/orders/79"]
    assert told[0][0] == GONE + ", or set bare-destination to queue"


def test_nobody_is_warned_of_what_is_heard_or_kept_or_named_a_topic(house: Any) -> None:
    client = house.connect()
    client.subscribe("heard")
    client.subscribe("some.*", "pattern")
    for name, more in (
        ("heard", ""),
        ("some.where", ""),
        ("kept", "retain:true\n"),
        ("/topic/nobody", ""),
        ("topic://nobody", ""),
        ("/exchange/nobody/key", ""),
        ("/queue/a", ""),
        ("queue/a", ""),
    ):
        assert not client.publish(name, "x", more).has("warning"), name
    assert counted(house) == 0
    assert "Bare name" not in house.server.log()


def test_a_subscriber_that_left_hears_nothing_any_more(house: Any) -> None:
    client = house.connect()
    client.subscribe("orders-77")
    assert not client.publish("orders-77", "x").has("warning")
    assert client.expect("MESSAGE").body == "x"
    client.receipt("UNSUBSCRIBE\nid:0\n\n\0")
    assert client.publish("orders-77", "x").has("warning")
    client.nothing()


def test_commit_says_it_of_all_that_the_transaction_sent(house: Any) -> None:
    client = house.connect()
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    for name in ("orders-77", "other", "/queue/a"):
        assert not client.publish(name, "x", "transaction:t\n").has("warning")
    warning = client.receipt("COMMIT\ntransaction:t\n\n\0")["warning"]
    assert warning == GONE.replace(":", "\\c") + " (and 1 more messages like it)"
    # It is said of one frame only.
    assert not client.publish("/queue/a", "x").has("warning")


def test_a_long_commit_says_it_too(house: Any) -> None:
    client = house.connect()
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    client.send("SEND\ndestination:orders-77\ntransaction:t\n\nx\0" * 5000)
    warning = client.receipt("COMMIT\ntransaction:t\n\n\0")["warning"]
    assert warning.endswith("(and 4999 more messages like it)")


def test_several_destinations_and_a_time_of_its_own(house: Any) -> None:
    client = house.connect()
    assert client.publish("orders-77,/queue/a", "x")["warning"].startswith("Bare name 'orders-77'")
    assert not client.publish("later", "x", "AMQ_SCHEDULED_DELAY:1\n").has("warning")
    house.server.wait_for_log("Bare name 'later'")
    assert counted(house) == 2


def test_names_without_end_do_not_fill_the_log(house: Any) -> None:
    client = house.connect()
    client.send("".join([f"SEND\ndestination:made-up-{number}\n\n\0" for number in range(1200)]))
    client.nothing()
    house.server.wait_for_log("More than 1,000 bare names are sent to and not heard: no more are told")
    assert house.server.log().count("Bare name") == 1000
    assert counted(house) == 1200
