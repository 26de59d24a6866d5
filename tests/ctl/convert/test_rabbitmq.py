"""RabbitMQ's definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def definitions(**parts: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"rabbitmq_version": "3.10.8", "vhosts": [{"name": "/"}]}
    for key, rows in parts.items():
        whole[key] = [{"vhost": "/", **row} for row in rows]
    return whole


def queue(name: str, **arguments: Any) -> dict[str, Any]:
    return {
        "name": name,
        "durable": True,
        "auto_delete": False,
        "arguments": {"x-" + key.replace("_", "-"): value for key, value in arguments.items()},
    }


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ({"message_ttl": 60000}, {"ttl": 60000, "max-ttl": 60000}),
        ({"expires": 1800000}, {"idle-expiry": 1800000}),
        ({"max_length": 10}, {"max-messages": 10, "overflow": "drop-head"}),
        ({"max_length_bytes": 1 << 20}, {"max-bytes": 1 << 20, "overflow": "drop-head"}),
        ({"max_length": 10, "overflow": "reject-publish"}, {"max-messages": 10, "overflow": "reject"}),
        ({"max_priority": 10}, {"max-priority": 10}),
        ({"max_priority": 255}, {"max-priority": 31}),
        ({"single_active_consumer": True}, {"exclusive": True}),
        ({"delivery_limit": 3}, {"max-redeliveries": 3}),
        ({"delivery_limit": 0}, {"max-redeliveries": -1}),
        ({"consumer_timeout": 60000}, {"ack-timeout": 60000}),
        (
            {"dead_letter_exchange": "", "dead_letter_routing_key": "q.dead"},
            {"deadletter": "/queue/q.dead", "expired": "deadletter"},
        ),
        (
            {"dead_letter_exchange": "", "dead_letter_routing_key": "d", "max_length": 5},
            {"deadletter": "/queue/d", "expired": "deadletter", "max-messages": 5, "overflow": "dead-letter"},
        ),
    ],
)
def test_arguments(
    arguments: dict[str, Any], options: dict[str, Any], convert_file: Callable[..., Any]
) -> None:
    converted = convert_file(definitions(queues=[queue("q", **arguments)]))
    assert converted.policies == {"/queue/q": options}
    assert converted.config.queue == "lmdb"
    assert converted.config.bare_destination == "queue"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"queue_type": "quorum"}, "there is one kind of queue"),
        ({"queue_type": "stream"}, "use a topic with history-messages"),
        ({"message_ttl": 0}, "gone at once"),
        ({"max_length": 0}, "0 has no equal"),
        ({"max_length": "many"}, "'many' has no equal"),
        ({"something": 1}, "not known here"),
        ({"dead_letter_exchange": "dlx"}, "no queue can be found"),
    ],
)
def test_what_has_no_equal(arguments: dict[str, Any], said: str, convert_file: Callable[..., Any]) -> None:
    converted = convert_file(definitions(queues=[queue("q", **arguments)]))
    assert said in " ".join(converted.notes)
    assert "ttl" not in converted.policies.get("/queue/q", {})


@pytest.mark.parametrize(
    ("kind", "bound", "key", "found"),
    [
        ("fanout", "", "k", True),
        ("direct", "k", "k", True),
        ("direct", "q", None, True),
        ("direct", "other", "k", False),
        ("topic", "#", "k", True),
        ("topic", "a.*", "a.k", True),
        ("topic", "a.*", "a.b.k", False),
    ],
)
def test_dead_letters_by_way_of_an_exchange(
    kind: str, bound: str, key: str | None, found: bool, convert_file: Callable[..., Any]
) -> None:
    arguments: dict[str, Any] = {"dead_letter_exchange": "dlx"}
    if key is not None:
        arguments["dead_letter_routing_key"] = key
    converted = convert_file(
        definitions(
            queues=[queue("q", **arguments), queue("dead")],
            exchanges=[{"name": "dlx", "type": kind}],
            bindings=[
                {"source": "dlx", "destination": "dead", "destination_type": "queue", "routing_key": bound}
            ],
        )
    )
    wanted = {"/queue/q": {"deadletter": "/queue/dead", "expired": "deadletter"}} if found else {}
    assert converted.policies == wanted
    assert any(note.startswith(f"exchange dlx ({kind}, 1 bindings): ") for note in converted.notes)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        (".*", ["/queue/>"]),
        ("", ["/queue/>"]),
        (r"^orders\.eu$", ["/queue/orders.eu"]),
        (r"^orders\.", ["/queue/orders.>"]),
        (r"^orders\..*", ["/queue/orders.>"]),
        ("^orders", ["/queue/orders.eu", "/queue/orders2"]),
        ("^(bills|orders2)$", ["/queue/bills", "/queue/orders2"]),
        ("(", []),
    ],
)
def test_patterns_of_policies(pattern: str, meant: list[str], convert_file: Callable[..., Any]) -> None:
    converted = convert_file(
        definitions(
            policies=[{"name": "p", "pattern": pattern, "definition": {"max-length": 5}, "priority": 1}],
            queues=[queue("bills"), queue("orders.eu"), queue("orders2")],
        )
    )
    assert sorted(converted.policies) == meant
    assert all(
        options == {"max-messages": 5, "overflow": "drop-head"} for options in converted.policies.values()
    )


def test_all_the_rest_is_named(convert_file: Callable[..., Any]) -> None:
    converted = convert_file(
        {
            **definitions(
                queues=[
                    queue("a*b", max_length=1),
                    queue("x\ny", max_length=1),
                    queue("ä ö: b", max_length=1),
                ],
                policies=[
                    {"name": "low", "pattern": ".*", "definition": {"expires": 1}},
                    {"name": "high", "pattern": "^a", "definition": {"ha-mode": "all"}, "priority": 9},
                    {
                        "name": "ae",
                        "pattern": ".*",
                        "apply-to": "exchanges",
                        "definition": {"alternate-exchange": "e"},
                    },
                ],
                parameters=[{"component": "shovel", "name": "s", "value": {}}],
            ),
            "users": [{"name": "guest", "password_hash": "x"}],
            "permissions": [{"user": "guest", "vhost": "/", "configure": "", "write": ".*", "read": ".*"}],
        }
    )
    notes = "\n".join(converted.notes)
    for said in (
        "/queue/a*b cannot be a pattern here",
        "is not the name or pattern of a destination",
        "of its policies RabbitMQ obeys only high",
        "policy ae: it is for exchanges",
        "shovel s: there is nothing of the kind",
        "users guest: ",
        "permissions: stompctl permissions import makes",
        "ha-mode of policy high: there is one kind of queue",
    ):
        assert said in notes
    assert converted.policies["/queue/ä ö: b"] == {"max-messages": 1, "overflow": "drop-head"}


def test_virtual_hosts(convert_file: Callable[..., Any], refused: Callable[..., str]) -> None:
    whole = definitions(queues=[queue("q", max_length=1), {**queue("r", max_length=2), "vhost": "prod"}])
    assert list(convert_file(whole, "--vhost", "prod").policies) == ["/queue/r"]
    two = b'{"queues": [{"name": "q", "vhost": "/"}, {"name": "r", "vhost": "prod"}]}'
    assert "say which virtual host is meant with --vhost: /, prod" in refused(two)
    assert "in the virtual host none" in refused(two, "--vhost", "none")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "neither JSON"),
        (b"\x00\x01", "neither JSON"),
        (b"{", "not JSON"),
        (b'{"a": 1}', "no export of RabbitMQ's definitions"),
        (b'{"queues": 1}', "queues of the definitions is not a list"),
        (b'{"queues": [1]}', "queues of the definitions is not a list"),
        (b'{"queues": [{"name": "q", "arguments": 1}]}', "arguments of queue q are not an object"),
        (b'{"a":' * 100_000, "not JSON"),
    ],
)
def test_bad_files(content: bytes, said: str, refused: Callable[..., str]) -> None:
    assert said in refused(content)


def test_a_file_that_is_too_large(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stompserver.ctl.convert.LARGEST", 10)
    assert "larger than" in refused(b'{"queues": []}')
