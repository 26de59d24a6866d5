"""What consumers may ask for, of a queue of which four messages are in memory and the rest only in the store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.server.test_storage import ModelStore, Rig, send

COUNT = 40


@pytest.fixture
def rig(hand_loop: Any, tmp_path: Path) -> Rig:
    rig = Rig(hand_loop, tmp_path, ModelStore())
    rig.broker.tick(1000)
    producer = rig.client()
    for number in range(COUNT):
        rig.say(producer, send(str(number)))
        rig.turn()
    assert rig.broker.queues["/queue/a"].paged > COUNT // 2
    return rig


class Reader:
    """A client that reads what it is sent, and acknowledges it when told to."""

    def __init__(self, rig: Rig, more: str) -> None:
        self.rig = rig
        self.session = rig.client()
        self.owed: list[str] = []
        self.say(f"SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client-individual\n{more}\n\0")

    def say(self, text: str) -> None:
        self.rig.say(self.session, text)

    def read(self) -> list[int]:
        """The bodies of what has come."""
        for _ in range(COUNT):
            self.rig.turn()
        text = self.rig.heard(self.session)
        self.owed += re.findall(r"\nack:([^\n]+)\n", text)
        return [int(body) for body in re.findall(r"\n\n(\d+)\0", text)]

    def settle(self, count: int = COUNT) -> None:
        for id in self.owed[:count]:
            self.say(f"ACK\nid:{id}\n\n\0")
        del self.owed[:count]


def test_an_exclusive_consumer_has_it_alone_until_it_goes(rig: Rig) -> None:
    first = Reader(rig, "exclusive:true\nprefetch-count:3\n")
    second = Reader(rig, "prefetch-count:3\n")
    got: list[int] = []
    while len(got) < 21:
        got += first.read()
        assert second.read() == []
        first.settle()
    assert got == list(range(len(got)))
    left = first.read()
    first.say("DISCONNECT\n\n\0")
    first.session.lost()
    rest: list[int] = []
    while len(got) + len(rest) < COUNT:
        rest += second.read()
        second.settle()
    assert rest[: len(left)] == left, "what it had not settled comes first"
    assert got + rest == list(range(COUNT))
    rig.turn()
    assert rig.store.rows == {}


def test_a_consumer_of_higher_priority_is_served_first_while_it_can_take_more(rig: Rig) -> None:
    low = Reader(rig, "x-priority:1\nprefetch-count:2\n")
    assert low.read() == [0, 1]
    high = Reader(rig, "x-priority:9\nprefetch-count:5\n")
    assert high.read() == [2, 3, 4, 5, 6]
    low.settle()
    assert low.read() == [7, 8]
    high.settle()
    assert high.read() == [9, 10, 11, 12, 13]
    high.settle()
    low.settle()
    assert (high.read(), low.read()) == ([14, 15, 16, 17, 18], [19, 20])


def test_a_window_of_bytes_lets_no_more_be_unsettled(rig: Rig) -> None:
    # The window counts octets of header blocks and bodies.
    room = 3 * len("SEND\ndestination:/queue/a\n") + 3
    reader = Reader(rig, f"consumer-window-size:{room}\n")
    got: list[int] = []
    while len(got) < COUNT:
        came = reader.read()
        assert 1 <= len(came) <= 4
        got += came
        reader.settle()
    assert got == list(range(COUNT))


def test_what_is_not_settled_in_time_comes_back_at_its_place(rig: Rig) -> None:
    slow = Reader(rig, "ack-timeout:5000\nprefetch-count:6\n")
    assert slow.read() == [0, 1, 2, 3, 4, 5]
    slow.settle(1)
    other = Reader(rig, "prefetch-count:1\n")
    assert slow.read() == [6]
    assert other.read() == [7]
    rig.broker.tick(5999)
    other.settle()
    assert other.read() == [8]
    slow.say("UNSUBSCRIBE\nid:s\n\n\0")
    rig.broker.tick(6000)
    other.settle()
    got: list[int] = []
    while len(got) < COUNT - 3:
        got += other.read()
        other.settle()
    assert got == [1, 2, 3, 4, 5, 6, *range(9, COUNT)]
    rig.turn()
    assert rig.store.rows == {}


@pytest.mark.parametrize("more", ["", "browser-end:false\n"])
def test_a_browser_is_not_shown_what_expired_in_the_store(rig: Rig, more: str) -> None:
    producer = rig.client()
    rig.say(producer, send("100", more="ttl:1000\n") + send("101"))
    rig.turn()
    rig.broker.tick(3000)
    browser = Reader(rig, "browser:true\n" + more)
    assert browser.read() == [*range(COUNT), 101]


@pytest.mark.parametrize("more", ["", "browser-end:false\n"])
def test_a_browser_sees_all_while_others_take_some_and_more_comes(rig: Rig, more: str) -> None:
    """Window and browser read the store in turn, and what comes goes there too."""
    rig.thread.at_once = False
    browser = Reader(rig, "browser:true\n" + more)
    worker = Reader(rig, "prefetch-count:2\n")
    producer = rig.client()
    seen: list[int] = []
    taken: list[int] = []
    for number in range(COUNT, 2 * COUNT):
        rig.say(producer, send(str(number)))
        rig.turn()
        rig.thread.run()
        rig.turn()
        seen += browser.read()
        if number % 4 == 0:
            taken += worker.read()
            worker.settle(1)
    rig.thread.at_once = True
    rig.thread.run()
    for _ in range(COUNT):
        seen += browser.read()
        taken += worker.read()
    assert seen == list(range(seen[0], 2 * COUNT if more else COUNT)), "in order, each once"
    assert seen[0] <= 2, "but for those that the worker had before"
    assert 2 < len(taken) < COUNT
