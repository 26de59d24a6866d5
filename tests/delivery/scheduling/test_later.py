"""Delayed and scheduled messages on the wire, with a server that is killed meanwhile where it keeps anything."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest


def later(client: Any, body: str, ms: int, more: str = "", destination: str = "/queue/a") -> float:
    """SEND with a delay; the earliest time at which it may come."""
    now = int(time.time() * 1000)
    client.publish(destination, body, f"AMQ_SCHEDULED_DELAY:{ms}\n{more}")
    return (now + ms) / 1000


@pytest.mark.parametrize(
    "header",
    ["AMQ_SCHEDULED_DELAY:{ms}", "x-delay:{ms}", "AMQ_SCHEDULED_TIME:{at}", "_AMQ_SCHED_DELIVERY:{at}"],
)
def test_a_delay_under_all_its_names(house: Any, header: str) -> None:
    client = house.connect()
    client.subscribe("/queue/a")
    now = int(time.time() * 1000)
    client.publish("/queue/a", "late", header.format(ms=250, at=now + 250) + "\n")
    frame = client.expect("MESSAGE")
    assert time.time() * 1000 >= now + 250
    assert frame.body == "late"
    assert frame["scheduledJobId"].isdecimal()
    assert not [name for name, _ in frame.headers if "SCHED" in name or name == "x-delay"]


def test_a_receipt_means_that_it_survives(house: Any) -> None:
    client = house.connect()
    due = later(client, "late", 1500)
    client.publish("/queue/b", "gone", "AMQ_SCHEDULED_DELAY:100000\npersistent:false\n")
    house.restart()
    client = house.connect()
    client.subscribe("/queue/a")
    (frame,) = client.take(1)
    assert time.time() >= due
    assert frame.body == "late"
    house.restart()
    client = house.connect()
    client.subscribe("/queue/a")
    client.nothing()
    assert client.manage("schedule-list")["count"] == 1


def test_what_is_overdue_comes_in_the_order_of_its_time(house: Any) -> None:
    client = house.connect()
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    for ms in (300, 100, 200):
        client.send(f"SEND\ndestination:/queue/a\ntransaction:t\nAMQ_SCHEDULED_DELAY:{ms}\n\n{ms}\0")
    client.receipt("COMMIT\ntransaction:t\n\n\0")
    house.restart()
    client = house.connect()
    client.subscribe("/queue/a")
    assert client.bodies(3) == ["100", "200", "300"]


def test_a_series_goes_on_after_a_restart(house: Any) -> None:
    client = house.connect()
    later(client, "x", 50, "AMQ_SCHEDULED_PERIOD:100\nAMQ_SCHEDULED_REPEAT:4\n", "/queue/series")
    house.restart()
    client = house.connect()
    client.subscribe("/queue/series")
    frames = [client.expect("MESSAGE") for _ in range(5)]
    assert len({frame["scheduledJobId"] for frame in frames}) == 1
    assert len({frame["message-id"] for frame in frames}) == 5
    assert client.manage("schedule-list")["count"] == 0


@pytest.mark.parametrize("header", ["dedup-id", "_AMQ_DUPL_ID", "x-deduplication-header"])
def test_an_id_counts_once_for_a_whole_series(house: Any, header: str) -> None:
    client = house.connect()
    series = "AMQ_SCHEDULED_DELAY:50\nAMQ_SCHEDULED_PERIOD:100\nAMQ_SCHEDULED_REPEAT:3\n"
    client.publish("/queue/a", "x", f"{header}:x\n{series}")
    client.publish("/queue/a", "again", f"{header}:x\n{series}")
    client.publish("/queue/a", "again", f"{header}:x\n")
    house.restart()
    client = house.connect()
    client.publish("/queue/a", "again", f"{header}:x\n")
    client.subscribe("/queue/a")
    assert client.bodies(4) == ["x"] * 4
    assert client.manage("schedule-list")["count"] == 0


def test_an_id_counts_from_its_send_on_though_its_message_is_for_later(house: Any) -> None:
    client = house.connect()
    later(client, "first", 1500, "dedup-id:y\n")
    client.publish("/queue/a", "second", "dedup-id:y\n")
    # Within a transaction, too, and against those in it.
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    client.send("SEND\ndestination:/queue/a\ntransaction:t\ndedup-id:y\n\nthird\0")
    client.send("SEND\ndestination:/queue/a\ntransaction:t\ndedup-id:z\nx-delay:1600\n\nother\0")
    client.send("SEND\ndestination:/queue/a\ntransaction:t\ndedup-id:z\n\nfourth\0")
    client.receipt("COMMIT\ntransaction:t\n\n\0")
    house.restart()
    client = house.connect()
    later(client, "fifth", 1, "dedup-id:z\n")
    client.publish("/queue/a", "sixth", "dedup-id:y\n")
    client.subscribe("/queue/a")
    assert client.bodies(2) == ["first", "other"]


def test_an_id_of_a_send_that_was_refused_does_not_count(house: Any) -> None:
    client = house.connect()
    assert "cron" in client.fails("SEND\ndestination:/queue/a\ndedup-id:x\nAMQ_SCHEDULED_CRON:wrong\n\n\0")
    client = house.connect()
    later(client, "right", 1, "dedup-id:x\n")
    client.subscribe("/queue/a")
    assert client.bodies(1) == ["right"]


@pytest.mark.parametrize("begin", ["", "AMQ_SCHEDULED_DELAY:300\n", "AMQ_SCHEDULED_PERIOD:0\n"])
def test_what_is_repeated_without_a_period_comes_at_once(house: Any, begin: str) -> None:
    client = house.connect()
    now = int(time.time() * 1000)
    client.publish("/queue/a", "x", f"{begin}AMQ_SCHEDULED_REPEAT:3\n")
    house.restart()
    client = house.connect()
    client.subscribe("/queue/a")
    frames = client.take(4)
    assert [frame.body for frame in frames] == ["x"] * 4
    assert len({frame["scheduledJobId"] for frame in frames}) == 1
    assert "DELAY" not in begin or time.time() * 1000 >= now + 300
    assert client.manage("schedule-list")["count"] == 0


@pytest.mark.options("--max-scheduled=10")
def test_what_is_repeated_at_once_counts_as_many(house: Any) -> None:
    client = house.connect()
    send = "SEND\ndestination:/queue/a\nx-delay:100000\nAMQ_SCHEDULED_REPEAT:%d\n\nx\0"
    assert "max-scheduled" in client.fails(send % 10)
    client = house.connect()
    client.receipt(send % 9)


@pytest.mark.options("--delayed-expires=span")
def test_expires_of_a_message_for_later_is_a_span_as_in_activemq(house: Any) -> None:
    client = house.connect()
    now = int(time.time() * 1000)
    client.publish("/queue/a", "lives", f"AMQ_SCHEDULED_DELAY:1200\nexpires:{now + 60_000}\n")
    client.publish("/queue/a", "would be over", f"AMQ_SCHEDULED_DELAY:1000\nexpires:{now + 900}\n")
    house.restart()
    client = house.connect()
    client.subscribe("/queue/a")
    over, lives = client.take(2)
    assert [over.body, lives.body] == ["would be over", "lives"]
    # From its delivery on it has as long as it had from the SEND on, which came a little later than that.
    assert now + 1200 + 30_000 < int(lives["expires"]) <= int(time.time() * 1000) + 60_000
    assert now + 1000 < int(over["expires"])
    # Who does not delay it means a time.
    client.publish("/queue/a", "at once", f"expires:{now + 60_000}\n")
    assert client.take(1)[0]["expires"] == str(now + 60_000)


def test_cron_is_understood(house: Any) -> None:
    client = house.connect()
    client.publish("/queue/a", "x", "AMQ_SCHEDULED_CRON:30 4 1 JAN *\n")
    house.restart()
    client = house.connect()
    (row,) = client.manage("schedule-list")["messages"]
    assert row["cron"] == "30 4 1 JAN *"
    due = time.localtime(row["due"] / 1000)
    assert (due.tm_mon, due.tm_mday, due.tm_hour, due.tm_min) == (1, 1, 4, 30)


def test_a_transaction_that_is_aborted_schedules_nothing(house: Any) -> None:
    client = house.connect()
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    client.receipt("SEND\ndestination:/queue/a\ntransaction:t\nx-delay:100000\n\n\0")
    client.receipt("ABORT\ntransaction:t\n\n\0")
    assert client.manage("schedule-list")["count"] == 0


def test_a_delay_in_a_transaction_begins_at_its_commit(house: Any) -> None:
    client = house.connect()
    client.subscribe("/queue/a")
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    client.receipt("SEND\ndestination:/queue/a\ntransaction:t\nx-delay:1000\n\nlate\0")
    client.receipt("SEND\ndestination:/queue/a\ntransaction:t\n\nnow\0")
    before = int(time.time() * 1000)
    client.send("COMMIT\ntransaction:t\n\n\0")
    assert client.expect("MESSAGE").body == "now"
    assert client.expect("MESSAGE").body == "late"
    assert time.time() * 1000 >= before + 1000


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ("AMQ_SCHEDULED_DELAY:soon", "not a number"),
        ("AMQ_SCHEDULED_DELAY:-1", "negative"),
        ("x-delay:99999999999999999999", "x-delay"),
        ("AMQ_SCHEDULED_REPEAT:-1", "without AMQ_SCHEDULED_PERIOD"),
        ("AMQ_SCHEDULED_CRON:* * * *", "4 fields"),
        ("AMQ_SCHEDULED_CRON:61 * * * *", "bad minute"),
        ("AMQ_SCHEDULED_CRON:0 0 30 2 *", "bad day-of-month"),
        ("AMQ_SCHEDULED_CRON:@hourly", "1 fields"),
    ],
)
def test_what_cannot_be_obeyed_is_an_error(server: Any, new_client: Any, headers: str, said: str) -> None:
    client = new_client(server.port)
    assert said in client.fails(f"SEND\ndestination:/queue/a\n{headers}\n\n\0")


@pytest.mark.parametrize(
    "when",
    [
        "AMQ_SCHEDULED_DELAY:200000",
        "x-delay:200000",
        "AMQ_SCHEDULED_TIME:{late}",
        "AMQ_SCHEDULED_PERIOD:200000\nAMQ_SCHEDULED_REPEAT:1",
        "AMQ_SCHEDULED_CRON:* * * * *\nAMQ_SCHEDULED_DELAY:200000",
    ],
)
def test_what_expires_before_its_time_is_an_error(house: Any, when: str) -> None:
    client = house.connect()
    now = int(time.time() * 1000)
    headers = when.format(late=now + 200_000)
    client.publish("/queue/a", "wanted", f"{headers}\nexpires:{now + 600_000}\n")
    client.publish("/queue/a", "wanted", f"{headers}\nexpires:0\n")
    client.publish("/queue/a", "wanted", f"{headers}\nttl:1000\n")
    said = client.fails(f"SEND\ndestination:/queue/a\n{headers}\nexpires:{now + 100_000}\n\nlost\0")
    assert "expires before its time" in said
    house.restart()
    assert house.connect().manage("schedule-list")["count"] == 3


@pytest.mark.options("--max-scheduled=2")
def test_there_may_not_be_too_many(house: Any) -> None:
    client = house.connect()
    for _ in range(2):
        client.publish("/queue/a", "x", "x-delay:100000\n")
    assert "max-scheduled" in client.fails("SEND\ndestination:/queue/a\nx-delay:100000\n\n\0")


# ActiveMQ's frames


def test_activemq_lists_and_removes(house: Any) -> None:
    client = house.connect()
    later(client, "one", 200_000)
    later(client, "two", 100_000, "color:red\n")
    client.publish("/queue/a", "three", "AMQ_SCHEDULED_CRON:0 5 29 2 *\n")
    house.restart()
    client = house.connect()
    client.subscribe("/temp-queue/jobs")
    manage = "SEND\ndestination:ActiveMQ.Scheduler.Management\nAMQ_SCHEDULER_ACTION:"
    end = int(time.time() * 1000) + 250_000
    client.send(
        f"{manage}BROWSE\nreply-to:/temp-queue/jobs\nACTION_START_TIME:0\nACTION_END_TIME:{end}\n\n\0"
    )
    frames = client.take(2)
    assert [frame.body for frame in frames] == ["two", "one"]
    assert frames[0]["color"] == "red"
    assert frames[0]["original-destination"] == "/queue/a"
    assert int(frames[0]["AMQ_SCHEDULED_TIME"]) < int(frames[1]["AMQ_SCHEDULED_TIME"])
    client.receipt(f"{manage}REMOVE\nscheduledJobId:{frames[0]['scheduledJobId']}\n\n\0")
    rows = client.manage("schedule-list", **{"reply-to": "/temp-queue/jobs"})["messages"]
    assert len(rows) == 2
    client.receipt(f"{manage}REMOVEALL\n\n\0")
    house.restart()
    assert house.connect().manage("schedule-list")["count"] == 0


@pytest.mark.parametrize(
    "destination", ["/topic/ActiveMQ.Scheduler.Management", "/queue/ActiveMQ.Scheduler.Management"]
)
def test_activemq_has_it_as_topic_and_queue(server: Any, new_client: Any, destination: str) -> None:
    client = new_client(server.port)
    client.receipt(f"SEND\ndestination:{destination}\nAMQ_SCHEDULER_ACTION:REMOVE\nscheduledJobId:1\n\n\0")
    said = client.fails(f"SEND\ndestination:{destination}\nAMQ_SCHEDULER_ACTION:DANCE\n\n\0")
    assert "BROWSE, REMOVE or REMOVEALL" in said


# Our own


def test_list_and_cancel(house: Any) -> None:
    client = house.connect()
    later(client, "hello", 100_000, "AMQ_SCHEDULED_PERIOD:50\nAMQ_SCHEDULED_REPEAT:3\n")
    later(client, "x", 200_000)
    first, second = client.manage("schedule-list")["messages"]
    assert first["destination"] == "/queue/a"
    assert (first["period"], first["repeat"]) == (50, 3)
    assert first["due"] < second["due"]
    assert client.manage("schedule-list", limit="1")["count"] == 2
    assert client.manage("schedule-cancel", id=second["id"]) == {"action": "schedule-cancel", "cancelled": 1}
    assert "Nothing is scheduled" in client.manage("schedule-cancel", id=second["id"])["error"]
    assert "without id" in client.manage("schedule-cancel")["error"]
    house.restart()
    client = house.connect()
    assert [row["id"] for row in client.manage("schedule-list")["messages"]] == [first["id"]]
    assert client.manage("schedule-cancel", all="true")["cancelled"] == 1


def test_the_schedule_is_exported_with_its_times(house: Any, tmp_path: Any, stompctl: Any) -> None:
    if not house.keeps:
        return
    later(house.connect(), "x", 100_000)
    house.server.stop()
    stompctl("-w", str(tmp_path), "-q", "lmdb", "store", "export", str(tmp_path / "out"))
    row = json.loads((tmp_path / "out").read_text().splitlines()[1])
    assert row["queue"] == "$stompserver/schedule"
    assert abs(int(row["kept"]["due"]) / 1000 - time.time() - 100) < 60
    stompctl("-w", str(tmp_path), "-q", "dbm", "store", "import", str(tmp_path / "out"))
