"""Ids for the detection of duplicates are counted, have a share of the memory, and go with their destination."""

from __future__ import annotations

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.kept.duplicates import NOTE, WINDOW
from stompserver.broker.message import Message
from stompserver.broker.oplog import OpLog


def send(broker: Broker, destination: str, id: str) -> bool:
    """Send a message with that id; whether it was taken as new."""
    message = Message(destination, {}, b"x", 1000)
    message.extras = {"dedup": id}
    before = broker.enqueued
    broker.send(message)
    return broker.enqueued > before


def test_what_an_id_counts() -> None:
    broker = Broker(Rules(), OpLog())
    assert send(broker, "/topic/a", "1")
    assert not send(broker, "/topic/a", "1")
    assert broker.memory.used == broker.memory.duplicates.used == NOTE + 1 + WINDOW + len("/topic/a")
    assert send(broker, "/topic/a", "22")
    assert broker.memory.duplicates.used == 2 * NOTE + 3 + WINDOW + len("/topic/a")


def test_long_ids_take_no_more_than_short_ones() -> None:
    broker = Broker(Rules(), OpLog())
    for number in range(100):
        assert send(broker, "/topic/a", f"{number}" * 20_000)
    for number in range(100):
        assert not send(broker, "/topic/a", f"{number}" * 20_000)
        assert send(broker, "/topic/a", f"{number}" * 20_000 + "x")
    assert broker.memory.duplicates.used < 200 * (NOTE + 100)


def test_many_destinations_have_one_share() -> None:
    broker = Broker(Rules(memory_limit=1 << 20), OpLog())
    for number in range(1000):
        assert send(broker, f"/topic/{number}", "1")
        assert send(broker, "/topic/used", str(number))
    assert broker.memory.duplicates.used <= 1 << 16
    for number in range(980, 1000):
        assert not send(broker, f"/topic/{number}", "1"), "the newest are remembered"
        assert not send(broker, "/topic/used", str(number))
    assert send(broker, "/topic/0", "1"), "what was unused for longest is not"


def test_a_queue_that_is_deleted_takes_its_ids_with_it() -> None:
    broker = Broker(Rules(), OpLog(True))
    assert send(broker, "/queue/a", "1")
    assert send(broker, "/queue/b", "1")
    broker.delete(broker.queues["/queue/a"])
    broker.delete(broker.queues["/queue/b"])
    assert broker.memory.duplicates.used == 0
    assert send(broker, "/queue/a", "1")


def test_a_smaller_memory_forgets_ids() -> None:
    broker = Broker(Rules(), OpLog())
    for number in range(1000):
        send(broker, "/topic/a", str(number))
    broker.adjust(Rules(memory_limit=1 << 20))
    assert send(broker, "/topic/a", "new")
    assert broker.memory.duplicates.used <= 1 << 16
