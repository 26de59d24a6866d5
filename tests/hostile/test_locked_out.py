"""Nobody keeps the others from sending for good, and nobody who waits is kept from what would end the waiting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DAY = 86_400_000
KIB = 1024

BLOCKING = """
policies:
  /queue/small:
    max-messages: 1
    overflow: block
"""


def send(destination: str, size: int, more: str = "") -> str:
    return f"SEND\ndestination:{destination}\n{more}\n" + "x" * size + "\0"


@pytest.mark.parametrize(
    ("destination", "more", "error"),
    [
        ("/topic/{}", "retain:set\n", "Retained messages take too much memory"),
        ("/queue/{}", f"AMQ_SCHEDULED_DELAY:{DAY}\n", "Scheduled messages take too much memory"),
    ],
)
def test_what_nobody_can_consume_does_not_stop_producers(
    start_server: Any, talk: Callable[..., Any], destination: str, more: str, error: str
) -> None:
    server = start_server("--memory-limit=4MiB")
    hog, other = talk(server.port), talk(server.port)
    answer, number = "", 0
    while not answer.startswith("ERROR"):
        answer = hog.ask(send(destination.format(number), 100 * KIB, more))
        number += 1
    assert error in answer
    other.done(send("/queue/other", 100 * KIB))
    other.done(send("/topic/0", 0, "retain:remove\n"))
    other.done(send("/topic/0", 100 * KIB, "retain:set\n")) if "topic" in destination else None
    assert "Producers wait" not in server.log()


def test_open_transactions_do_not_stop_producers(start_server: Any, talk: Callable[..., Any]) -> None:
    server = start_server("--memory-limit=4MiB", "--transaction-timeout=1")
    answer, idle = "", []
    while not answer.startswith("ERROR"):
        client = talk(server.port)
        client.send("BEGIN\ntransaction:t\n\n\0")
        answer = client.ask(send("/queue/q", 300 * KIB, "transaction:t\n"))
        idle.append(client)
    assert "Open transactions take too much memory" in answer
    talk(server.port).done(send("/queue/other", 100 * KIB))
    for client in idle[:-1]:
        assert "Transaction open for too long" in client.frame()
    last = talk(server.port)
    last.send("BEGIN\ntransaction:t\n\n\0")
    last.done(send("/queue/q", 300 * KIB, "transaction:t\n"))


def test_one_who_waits_may_subscribe_to_what_fills_the_memory(
    start_server: Any, talk: Callable[..., Any]
) -> None:
    server = start_server("--memory-limit=1MiB")
    waiter, filler = talk(server.port), talk(server.port)
    waiter.done(send("/topic/nobody", 1))
    filler.send(send("/queue/full", 900 * KIB))
    server.wait_for_log("Producers wait")
    waiter.send("SUBSCRIBE\nid:1\ndestination:/queue/full\n\n\0")
    assert len(waiter.frame()) > 900 * KIB
    waiter.done(send("/topic/nobody", 1))


def test_one_who_waits_may_end_its_transaction(start_server: Any, talk: Callable[..., Any]) -> None:
    server = start_server("--memory-limit=1MiB")
    waiter, filler = talk(server.port), talk(server.port)
    waiter.send("BEGIN\ntransaction:t\n\n\0")
    waiter.done(send("/queue/some", 1, "transaction:t\n"))
    filler.send(send("/queue/full", 900 * KIB))
    server.wait_for_log("Producers wait")
    waiter.done("COMMIT\ntransaction:t\n\n\0")


def test_one_who_waits_for_a_queue_may_subscribe_to_it(
    start_server: Any, talk: Callable[..., Any], tmp_path: Path
) -> None:
    config = tmp_path / "blocking.conf"
    config.write_text(BLOCKING)
    client = talk(start_server("-C", str(config)).port)
    for _ in range(2):
        client.done(send("/queue/small", 1))
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/small\n\n\0")
    for _ in range(2):
        assert client.frame().startswith("MESSAGE\n")
    client.done(send("/queue/other", 1))
