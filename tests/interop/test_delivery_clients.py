"""The headers of the field from the clients that send them: durable subscriptions, prefetch, selectors, time,
priorities, refusals, temporary queues, browsers, several destinations. README.md tells how programs are run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from clients import AT_ONCE, CLIENTS, address, run

pytestmark = pytest.mark.interop

Step = list[Any]
PAST = "1000"  # Unix time in ms

# How each client's users name a durable subscription: headers of CONNECT, and of SUBSCRIBE and UNSUBSCRIBE.
ACTIVEMQ = "activemq.subscriptionName"
ARTEMIS = "durable-subscription-name"
DURABLE: dict[str, Callable[[str], tuple[dict[str, str], dict[str, str]]]] = {
    "stomp.py": lambda key: ({"client-id": key}, {ACTIVEMQ: "news"}),
    "python3-stomp": lambda key: ({"client-id": key}, {ARTEMIS: "news"}),
    "stompest": lambda key: ({}, {"durable": "true", "auto-delete": "false"}),
    "ruby-stomp": lambda key: ({"client-id": key}, {"activemq.subcriptionName": "news"}),
    "stompit": lambda key: ({"client-id": key}, {"durable-subscriber-name": "news"}),
    "stompjs": lambda key: ({"client-id": key}, {ACTIVEMQ: "news", "durable": "true"}),
    "Net::Stomp": lambda key: ({"client-id": key}, {ACTIVEMQ: "news"}),
    "php-stomp": lambda key: ({"client-id": key}, {ACTIVEMQ: "news"}),
}
PREFETCH = {
    "ruby-stomp": "activemq.prefetchSize",
    "php-stomp": "activemq.prefetchSize",
    "Net::Stomp": "activemq.prefetchSize",
    "stompjs": "prefetch-count",
    "stompest": "prefetch-count",
    "python3-stomp": "consumer-window-size",
}


def durable(name: str, key: str, version: str) -> list[Step]:
    identity, naming = DURABLE[name](key)
    subscribe = ["subscribe", "reader", key, f"/topic/{key}", "auto", naming]
    return [
        ["connect", "reader", identity],
        subscribe,
        ["close", "reader"],
        ["connect", "writer", {}],
        ["send", "writer", f"/topic/{key}", "while away 1", {}],
        ["send", "writer", f"/topic/{key}", "while away 2", {}],
        ["connect", "again", identity],
        ["subscribe", "again", *subscribe[2:]],
        ["receive", "again", 2],
        ["unsubscribe", "again", key, naming],
        ["send", "writer", f"/topic/{key}", "deleted", {}],
        ["subscribe", "again", *subscribe[2:]],
        ["send", "writer", f"/topic/{key}", "last", {}],
        ["receive", "again", 1],
        ["unsubscribe", "again", key, naming],
    ]


def prefetch(name: str, key: str, version: str) -> list[Step]:
    wanted = {PREFETCH.get(name, "prefetch-count"): "1"}
    if name == "python3-stomp":
        wanted = {"consumer-window-size": "1"}  # Artemis counts bytes: any message is more
    mode = "client" if version == "1.0" else "client-individual"
    return [
        ["connect", "one", {}],
        ["connect", "two", {}],
        *(["send", "one", f"/queue/{key}", f"message {number}", {}] for number in (1, 2, 3)),
        ["subscribe", "one", "one", f"/queue/{key}", mode, wanted],
        ["receive", "one", 1],
        ["subscribe", "two", "two", f"/queue/{key}", mode, wanted],
        ["receive", "two", 1],
        ["ack", "one", 0],
        ["receive", "one", 1],
        ["ack", "one", 1],
        ["ack", "two", 0],
    ]


def selector(name: str, key: str, version: str) -> list[Step]:
    colours = [("red", "2"), ("blue", "9"), ("red", "10"), ("green", "1")]
    return [
        ["connect", "one", {}],
        *(
            ["send", "one", f"/queue/{key}", f"{colour} {size}", {"colour": colour, "size": size}]
            for colour, size in colours
        ),
        ["subscribe", "one", "one", f"/queue/{key}", "auto", {"selector": "colour = 'red' AND size > 3"}],
        ["receive", "one", 1],
        ["connect", "rest", {}],
        ["subscribe", "rest", "rest", f"/queue/{key}", "auto", {"selector": "colour IN ('blue', 'green')"}],
        ["receive", "rest", 2],
        ["subscribe", "rest", "all", f"/queue/{key}", "auto", {}],
        ["receive", "rest", 1],
    ]


def delay(name: str, key: str, version: str) -> list[Step]:
    return [
        ["connect", "one", {}],
        ["subscribe", "one", "one", f"/queue/{key}", "auto", {}],
        ["send", "one", f"/queue/{key}", "later", {"AMQ_SCHEDULED_DELAY": "4000"}],
        ["send", "one", f"/queue/{key}", "now", {}],
        ["receive", "one", 2],
    ]


def priority(name: str, key: str, version: str) -> list[Step]:
    return [
        ["connect", "one", {}],
        *(
            ["send", "one", f"/queue/{key}", level, {"priority": level, "x-max-priority": "9"}]
            for level in ("1", "9", "5")
        ),
        ["subscribe", "one", "one", f"/queue/{key}", "auto", {}],
        ["receive", "one", 3],
    ]


def expiry(name: str, key: str, version: str) -> list[Step]:
    return [
        ["connect", "one", {}],
        ["send", "one", f"/queue/{key}", "too late", {"expires": PAST}],
        ["send", "one", f"/queue/{key}", "in time", {"ttl": "600000"}],
        ["subscribe", "one", "one", f"/queue/{key}", "auto", {}],
        ["receive", "one", 1],
    ]


def refusal(name: str, key: str, version: str) -> list[Step]:
    return [
        ["connect", "one", {}],
        ["send", "one", f"/queue/{key}", "bad", {"token": key}],
        ["subscribe", "one", "one", f"/queue/{key}", "client-individual", {}],
        ["receive", "one", 1],
        ["nack", "one", 0, {"requeue": "false", "reason": "unreadable"}],
        ["connect", "dead", {}],
        ["subscribe", "dead", "dead", "/queue/deadletter", "auto", {"selector": f"token = '{key}'"}],
        ["receive", "dead", 1],
    ]


def request(name: str, key: str, version: str) -> list[Step]:
    return [
        ["connect", "server", {}],
        ["subscribe", "server", "requests", f"/queue/{key}", "auto", {}],
        ["connect", "client", {}],
        ["subscribe", "client", "answers", "/temp-queue/answers", "auto", {}],
        ["send", "client", f"/queue/{key}", "how much?", {"reply-to": "/temp-queue/answers"}],
        ["receive", "server", 1],
        ["reply", "server", 0, "that much"],
        ["receive", "client", 1],
    ]


def browser(name: str, key: str, version: str) -> list[Step]:
    return [
        ["connect", "one", {}],
        ["send", "one", f"/queue/{key}", "first", {}],
        ["send", "one", f"/queue/{key}", "second", {}],
        ["subscribe", "one", "look", f"/queue/{key}", "auto", {"browser": "true"}],
        ["receive", "one", 3],
        ["connect", "two", {}],
        ["subscribe", "two", "take", f"/queue/{key}", "auto", {}],
        ["receive", "two", 2],
    ]


def composite(name: str, key: str, version: str) -> list[Step]:
    return [
        ["connect", "one", {}],
        ["subscribe", "one", "topic", f"/topic/{key}", "auto", {}],
        ["send", "one", f"/queue/{key},/topic/{key}", "to both", {}],
        ["receive", "one", 1],
        ["connect", "two", {}],
        ["subscribe", "two", "queue", f"/queue/{key}", "auto", {}],
        ["receive", "two", 1],
    ]


def bodies(seen: Any, name: str) -> list[str]:
    return [body or "" for body, _ in seen[name]]


def saw_durable(seen: Any) -> None:
    assert bodies(seen, "again") == ["while away 1", "while away 2", "last"]


def saw_prefetch(seen: Any) -> None:
    assert (bodies(seen, "one"), bodies(seen, "two")) == (["message 1", "message 3"], ["message 2"])


def saw_selector(seen: Any) -> None:
    assert (bodies(seen, "one"), bodies(seen, "rest")) == (["red 10"], ["blue 9", "green 1", "red 2"])


def saw_delay(seen: Any) -> None:
    assert bodies(seen, "one") == ["now", "later"]


def saw_priority(seen: Any) -> None:
    assert [(body, headers["priority"]) for body, headers in seen["one"]] == [
        ("9", "9"),
        ("5", "5"),
        ("1", "1"),
    ]


def saw_expiry(seen: Any) -> None:
    assert bodies(seen, "one") == ["in time"]


def saw_refusal(seen: Any) -> None:
    ((_, sent),) = seen["one"]
    ((body, headers),) = seen["dead"]
    assert body == "bad"
    assert headers["original-destination"] == sent["destination"]
    assert headers["dead-letter-reason"] == "rejected"
    assert headers["dead-letter-cause"] == "unreadable"


def saw_request(seen: Any) -> None:
    assert bodies(seen, "client") == ["that much"]
    # The server sees an address that leads to the client, who sees the name that it subscribed to.
    assert seen["server"][0][1]["reply-to"] != "/temp-queue/answers"
    assert seen["client"][0][1]["destination"] == "/temp-queue/answers"


def saw_browser(seen: Any) -> None:
    assert bodies(seen, "one") == ["first", "second", ""]
    assert seen["one"][2][1]["browser"] == "end"
    assert bodies(seen, "two") == ["first", "second"]


def saw_composite(seen: Any) -> None:
    ((topic_body, topic),) = seen["one"]
    ((queue_body, queue),) = seen["two"]
    assert topic_body == queue_body == "to both"
    assert (topic["destination"][:7], queue["destination"][:7]) == ("/topic/", "/queue/")


PROGRAMS: dict[str, tuple[Callable[[str, str, str], list[Step]], Callable[[Any], None]]] = {
    "durable": (durable, saw_durable),
    "prefetch": (prefetch, saw_prefetch),
    "selector": (selector, saw_selector),
    "delay": (delay, saw_delay),
    "priority": (priority, saw_priority),
    "expiry": (expiry, saw_expiry),
    "refusal": (refusal, saw_refusal),
    "request": (request, saw_request),
    "browser": (browser, saw_browser),
    "composite": (composite, saw_composite),
}
# The versions that each speaks by itself; those without 1.2 of their own in 1.0, too.
SPOKEN = [(name, "1.2") for name in CLIENTS] + [("Net::Stomp", "1.0"), ("php-stomp", "1.0")]


def can(name: str, version: str, program: str) -> bool:
    return program != "refusal" or version != "1.0"


Saw = Callable[[str, str], Any]


@pytest.fixture(scope="module")
def saw(request: pytest.FixtureRequest, server: Any) -> Iterator[Saw]:
    """What a client saw in all programs; one process a client, a few at a time."""
    collected = [item for item in request.session.items if isinstance(item, pytest.Function)]
    chosen = {item.callspec.params["spoken"] for item in collected if item.originalname == "test_program"}

    def all_of(name: str, version: str) -> Any:
        key = uuid4().hex
        programs = {
            program: steps(name, f"{program}-{key}", version)
            for program, (steps, _) in PROGRAMS.items()
            if can(name, version, program)
        }
        return run(name, version, "delivery", address(server), programs=json.dumps(programs))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {each: pool.submit(all_of, *each) for each in chosen}
        yield lambda name, version: runs[name, version].result()
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(
    ("spoken", "program"),
    [
        pytest.param((name, version), program, id=f"{name}-{version}-{program}")
        for name, version in SPOKEN
        for program in PROGRAMS
        if can(name, version, program)
    ],
)
def test_program(spoken: tuple[str, str], program: str, saw: Saw) -> None:
    seen = saw(*spoken)[program]
    assert "error" not in seen, seen["error"]
    PROGRAMS[program][1](seen)


def test_the_gem_redelivers_by_itself(server: Any) -> None:
    """`unreceive`: in one transaction an ACK, and a SEND of a copy with the server's own headers in it.

    In 1.0 only: the gem's ACK of 1.1 would want a subscription there, and its ACK of 1.2 an ack id.
    """
    facts = run("ruby-stomp", "1.0", "unreceive", address(server))
    assert facts == {
        "counts": [None, "1", "2"],
        "dead": "message 1",
        "origin": facts["origin"],
        "left": ["END"],
    }
    assert facts["origin"].startswith("/queue/unreceive-")
