"""What the server itself has to remember: entries of the store that survive, and names that nobody may use."""

from __future__ import annotations

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.kept.register import Register
from stompserver.broker.message import Message
from stompserver.broker.names.destination import QUEUE, TOPIC, Naming
from stompserver.broker.oplog import PUT, REMOVE, OpLog
from stompserver.errors import Refused

QUEUE_NAME = "$stompserver/things"


def entry(key: int, body: bytes = b"") -> Message:
    message = Message("/topic/a", {}, body, 100, persistent=False)
    message.key = message.number = key
    return message


def made(log: OpLog) -> Register:
    return Register(Broker(Rules(), log), QUEUE_NAME, lambda name, messages: [])


def test_an_entry_is_put_in_the_place_of_the_old_one_at_once() -> None:
    log = OpLog(True)
    register = made(log)
    register.set("x", entry(1))
    log.drain()
    assert register.set("x", entry(2)) == log.position
    _, ops = log.drain()
    assert [(op.kind, op.queue, op.key) for op in ops] == [(PUT, QUEUE_NAME, 2), (REMOVE, QUEUE_NAME, 1)]
    assert len({op.group for op in ops}) == 1 and ops[0].group
    assert ops[0].message is register.entries["x"]
    assert ops[0].message.extras == {"name": "x"}


def test_what_was_replaced_before_it_was_written_is_never_written() -> None:
    log = OpLog(True)
    register = made(log)
    register.set("x", entry(1))
    register.set("x", entry(2))
    register.set("y", entry(3))
    register.remove("y")
    _, ops = log.drain()
    assert [(op.kind, op.key) for op in ops] == [(PUT, 2)]


def test_restored_entries_are_found_and_can_be_removed() -> None:
    log = OpLog(True)
    register = made(log)
    first, second = entry(1, b"one"), entry(2, b"two")
    first.extras, second.extras = {"name": "x", "more": "1"}, {"name": "y"}
    register.restore([first, second])
    assert register.entries == {"x": first, "y": second}
    register.remove("x")
    register.remove("unknown")
    _, ops = log.drain()
    assert [(op.kind, op.key) for op in ops] == [(REMOVE, 1)]


def test_without_a_store_entries_live_as_long_as_the_server() -> None:
    register = made(OpLog())
    register.set("x", entry(1))
    assert list(register.entries) == ["x"]


def test_nobody_may_name_what_is_the_servers_own() -> None:
    for bare in ("topic", "queue", "error"):
        naming = Naming(bare)
        with pytest.raises(Refused) as refused:
            naming.kind("$stompserver/retained")
        assert refused.value.fix
        assert naming.kind("/dsub/x") == QUEUE
        assert naming.kind("/topic/$stompserver/x") == TOPIC
