"""The scenarios, played against stompserver as RabbitMQ and as ActiveMQ; `make test-peers` plays them there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.peers.catalogue import SCENARIOS, seen
from tests.peers.page import PAGE, SEEN, page
from tests.peers.scenario import Scenario

CASES = [
    pytest.param(each, words, id=f"{each.name}-{words}") for each in SCENARIOS for words in sorted(each.seen)
]


@pytest.fixture(scope="session")
def port_of(start_shared_server: Any) -> Callable[[str], int]:
    """The port of a server with this dialect."""
    started: dict[str, Any] = {}

    def find(words: str) -> int:
        if words not in started:
            started[words] = start_shared_server(f"--dialect={words}", "--monitor-interval=0", "--linger=0.1")
        return int(started[words].port)

    return find


@pytest.mark.parametrize(("scenario", "words"), CASES)
def test_as_the_peer(scenario: Scenario, words: str, port_of: Callable[[str], int]) -> None:
    assert seen(scenario, port_of(words), words, 0.0) == scenario.expected(words, ours=True)


def test_the_last_run_against_the_peers_saw_what_the_scenarios_say() -> None:
    run = json.loads(SEEN.read_text())
    said = {
        each.name: {
            **{words: each.expected(words, ours=False) for words in each.seen},
            **{f"stompserver-{words}": each.expected(words, ours=True) for words in each.seen},
        }
        for each in SCENARIOS
    }
    assert run["seen"] == said


def test_the_page_is_of_the_last_run() -> None:
    assert PAGE.read_text() == page(json.loads(SEEN.read_text())), "make test-peers ARGS=--write"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_difference_is_one_and_has_a_reason(scenario: Scenario) -> None:
    for words, (text, reason) in scenario.here.items():
        assert text != scenario.seen[words]
        assert reason


def test_names_are_used_once() -> None:
    names = [each.name for each in SCENARIOS]
    assert len(names) == len(set(names))
