"""Nothing goes round for ever: dead letters between full queues, by their time, and on their way back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SHED = "x-max-length:1\nx-overflow:reject-publish-dlx\nx-dead-letter-routing-key:"


def send(name: str, body: str, more: str = "") -> str:
    return f"SEND\ndestination:/queue/{name}\n{more}\n{body}\0"


def counts(client: Any) -> dict[str, int]:
    client.send("SUBSCRIBE\nid:m\ndestination:/temp-queue/answers\n\n\0")
    client.send(
        "SEND\ndestination:/queue/stompserver.management\naction:queues\nreply-to:/temp-queue/answers\n\n\0"
    )
    rows = json.loads(client.frame().partition("\n\n")[2])["queues"]
    client.done("UNSUBSCRIBE\nid:m\n\n\0")
    return {row["queue"]: row["messages"] for row in rows if row["messages"] and "temp" not in row["queue"]}


@pytest.mark.parametrize("store", ["memory", "lmdb"])
@pytest.mark.parametrize("count", [2, 3])
def test_queues_that_clients_make_each_others_dead_letter_queues(
    start_server: Any, talk: Any, store: str, count: int
) -> None:
    server = start_server("-q", store)
    client = talk(server.port)
    for number in range(count):
        client.done(send(f"q{number}", f"{number}", f"{SHED}q{(number + 1) % count}\n"))
    refused = talk(server.port)
    answer = refused.ask(send("q0", "more"))
    assert answer.startswith("ERROR\n") and "Queue /queue/q0 is full" in answer and "go round" in answer
    client.echo()
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/q1\n\n\0")
    assert client.frame().endswith("\n\n1")
    client.done("UNSUBSCRIBE\nid:1\n\n\0")
    client.done(send("q0", "more"))
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/q1\n\n\0")
    assert client.frame().endswith("\n\n0")


def test_a_row_of_queues_as_long_as_a_client_likes(start_server: Any, talk: Any) -> None:
    server = start_server()
    client = talk(server.port)
    client.send("".join(send(f"q{number}", "", f"{SHED}q{number + 1}\n") for number in range(3000)))
    client.echo()
    answer = client.ask(send("q0", "more"))
    assert answer.startswith("ERROR\n") and "without end" in answer


POLICIES = """
policies:
  /queue/a: {max-messages: 1, overflow: dead-letter, deadletter: /queue/b}
  /queue/b: {ttl: 1s, expired: deadletter, deadletter: /queue/c}
  /queue/c: {max-bytes: 1k, overflow: dead-letter, deadletter: /queue/a}
  /queue/x: {ttl: 1s, expired: deadletter, deadletter: /queue/y}
  /queue/y: {max-messages: 5}
  /queue/e1: {ttl: 10ms, expired: deadletter, deadletter: /queue/e2}
  /queue/e2: {ttl: 10ms, expired: deadletter, deadletter: /queue/e1}
"""


def test_circles_of_policies_are_told(start_server: Any, tmp_path: Path) -> None:
    (tmp_path / "stompserver.conf").write_text(POLICIES)
    words = [sys.executable, "-m", "stompserver", "--check", "-C", "stompserver.conf"]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    told = [line for line in result.stderr.splitlines() if "circle" in line]
    assert [line.partition("circle, ")[2].partition(": ")[0] for line in told] == [
        "/queue/a -> /queue/b -> /queue/c -> /queue/a",
        "/queue/e1 -> /queue/e2 -> /queue/e1",
    ]
    log = start_server("-C", "stompserver.conf", directory=tmp_path).stop()
    assert log.count("dead letters go round in a circle") == 2


def test_what_expires_in_a_circle_stays(start_server: Any, talk: Any, tmp_path: Path) -> None:
    (tmp_path / "stompserver.conf").write_text(POLICIES)
    server = start_server("-C", "stompserver.conf", "-q", "lmdb", directory=tmp_path)
    client = talk(server.port)
    client.done(send("e1", "1"))
    server.wait_for_log("keeps for good what went round 16 times")
    client.echo()
    server.kill()
    server = start_server("-C", "stompserver.conf", "-q", "lmdb", directory=tmp_path)
    client = talk(server.port)
    assert list(counts(client).values()) == [1]


def test_one_dead_letter_that_cannot_go_back_holds_none_of_the_others(start_server: Any, talk: Any) -> None:
    server = start_server()
    client = talk(server.port)
    client.done(send("full", "1", "x-max-length:1\nx-overflow:reject-publish\n"))
    client.done("SUBSCRIBE\nid:1\ndestination:/queue/good\nack:client-individual\n\n\0")
    for number in range(2):
        client.send(send("good", f"good {number}"))
        frame = client.frame()
        ack = next(line for line in frame.split("\n") if line.startswith("ack:")).removeprefix("ack:")
        client.done(f"NACK\nid:{ack}\nrequeue:false\n\n\0")
        if not number:
            for origin in (
                "$stompserver/durables",
                "/queue/full",
                "/topic/t",
                "/queue/>",
                "/dsub/none",
                "/queue/deadletter",
            ):
                client.done(f"SEND\ndestination:/queue/deadletter\noriginal-destination:{origin}\n\nforged\0")
    client.done("UNSUBSCRIBE\nid:1\n\n\0")
    client.send("SUBSCRIBE\nid:m\ndestination:/temp-queue/answers\n\n\0")
    for moved in (2, 0):
        client.send(
            "SEND\ndestination:/queue/stompserver.management\naction:redrive\nreply-to:/temp-queue/answers\n\n\0"
        )
        answer = json.loads(client.frame().partition("\n\n")[2])
        assert (answer["moved"], answer["left"]) == (moved, 6), answer
        assert len(answer["stayed"]) == 6 and all(each["id"] and each["reason"] for each in answer["stayed"])
    client.done("UNSUBSCRIBE\nid:m\n\n\0")
    assert counts(client)["/queue/good"] == 2
