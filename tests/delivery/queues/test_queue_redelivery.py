"""What comes back, when, how often, and where it ends, as clients see it on memory and over a restart."""

from __future__ import annotations

import time
from typing import Any

import pytest

ONE = "client-individual"
MANY = 5000


def now() -> int:
    return int(time.time() * 1000)


def test_deliveries_are_counted_over_a_kill(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, "a")
    client.subscribe(queue, ack=ONE)
    (frame,) = client.take(1)
    assert not frame.has("redelivered") and not frame.has("delivery-count")
    client.nack(frame)
    (frame,) = client.take(1)
    assert (frame["redelivered"], frame["delivery-count"], frame["JMSXDeliveryCount"]) == ("true", "2", "2")
    client.nack(frame, "delay:600000\n")
    client.nothing()
    if house.keeps:
        # The delay is over with the process; the count is not.
        house.restart()
        client = house.connect()
        client.subscribe(queue, ack=ONE)
        (frame,) = client.take(1)
        assert frame["delivery-count"] == "3"


@pytest.mark.parametrize("more", ["", "requeue:true\n"])
def test_a_returned_message_keeps_its_place_among_priorities(house: Any, more: str) -> None:
    queue = house.name("ranked")
    client = house.connect()
    client.publish(queue, "low 1", "low 2", more="priority:1\n")
    client.publish(queue, "high 1", "high 2", more="priority:8\n")
    client.publish(queue, "normal")
    client.subscribe(queue, "prefetch-count:2\n", ONE)
    first, second = client.take(2)
    assert [first.body, second.body] == ["high 1", "high 2"]
    client.nack(second, more)
    (again,) = client.take(1)
    assert (again.body, again["delivery-count"]) == ("high 2", "2")
    client.leave()
    # What the end of a connection gives back was promised to nobody: a kill may lose that it was delivered.
    house.restart(kill=False)
    client = house.connect()
    frames = client.drain(queue)
    assert [frame.body for frame in frames] == ["high 1", "high 2", "normal", "low 1", "low 2"]
    assert [frame.has("redelivered") for frame in frames] == [True, True, False, False, False]


def test_priorities_of_a_queue_that_is_mostly_in_the_store(house: Any) -> None:
    queue = house.name("ranked")
    client = house.connect()
    client.flood(queue)
    client.publish(queue, "high", more="priority:9\n")
    client.publish(queue, "low", more="priority:0\n")
    client.subscribe(queue, "prefetch-count:1\n", ONE)
    (frame,) = client.take(1)
    assert frame.body == "high"
    client.nack(frame)
    (frame,) = client.take(1)
    assert frame.body == "high"
    client.publish(queue, "highest", more="priority:9\n")
    client.nack(frame)
    (frame,) = client.take(1)
    assert (frame.body, frame["delivery-count"]) == ("high", "3")
    client.leave()
    house.restart(kill=False)
    client = house.connect()
    assert client.contents(queue) == ["high", "highest", *["filler"] * MANY, "low"]


def test_a_queue_is_first_in_first_out_whatever_priority_says(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, "1", more="priority:1\n")
    client.publish(queue, "none")
    client.publish(queue, "9", more="priority:9\n")
    client.publish(queue, "0", more="priority:0\n")
    client.publish(queue, "4", more="priority:4\n")
    bodies = ["1", "none", "9", "0", "4"]
    client.subscribe(queue, "browser:true\n")
    assert [client.message().body for _ in range(6)] == [*bodies, ""]
    client.unsubscribe()
    house.restart()
    if house.keeps:
        client = house.connect()
    client.subscribe(queue, "prefetch-count:1\n", ONE)
    for body in bodies:
        (frame,) = client.take(1)
        assert frame.body == body
        client.nack(frame)
        (frame,) = client.take(1)
        assert (frame.body, frame.has("priority")) == (body, body != "none")
        client.ack(frame)


def test_a_long_queue_is_first_in_first_out_too(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, "first", more="priority:0\n")
    client.flood(queue)
    client.publish(queue, "last", more="priority:9\n")
    house.restart()
    if not house.keeps:
        client.close()
    assert house.connect().contents(queue) == ["first", *["filler"] * MANY, "last"]


def test_priorities_up_to_that_of_the_queue_as_rabbitmq_counts_them(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, "none", more="x-max-priority:3\n")
    for said in ("0", "1", "2", "3", "7", "255", "high"):
        client.publish(queue, said, more=f"priority:{said}\n")
    client.publish(queue, "late none")
    # The queue has it over a restart, and counts what comes then by it.
    house.restart()
    if house.keeps:
        client = house.connect()
    client.publish(queue, "late 2", more="priority:2\n")
    client.publish(queue, "late 9", more="priority:9\n")
    client.subscribe(queue)
    came = ["3", "7", "255", "late 9", "2", "late 2", "1", "none", "0", "high", "late none"]
    assert client.bodies(len(came)) == came


def test_more_priorities_than_jms_has(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, "none", more="x-max-priority:20\n")
    for said in ("4", "9", "12", "20", "15", "21"):
        client.publish(queue, said, more=f"priority:{said}\n")
    client.subscribe(queue, "browser:true\n")
    came = ["20", "21", "15", "12", "9", "4", "none"]
    assert [client.message().body for _ in range(8)] == [*came, ""]
    client.unsubscribe()
    house.restart()
    if house.keeps:
        client = house.connect()
    client.subscribe(queue)
    assert client.bodies(7) == came


def test_what_was_stored_by_its_priority_keeps_its_place(new_house: Any) -> None:
    """As earlier versions stored it in all queues."""
    house = new_house("policies:\n  /queue/>:\n    priorities: true\n")
    client = house.connect()
    client.publish("old", "low", more="priority:1\n")
    client.publish("old", "normal")
    client.publish("old", "high", more="priority:9\n")
    client.publish("dlq", "low", more="priority:1\n")
    client.publish("dlq", "high", more="priority:9\n")
    house.reload("policies:\n  /queue/dlq:\n    priorities: true\n")
    house.restart()
    client = house.connect()
    client.publish("old", "new", more="priority:0\n")
    client.publish("old", "newer", more="priority:9\n")
    client.publish("dlq", "new", more="priority:5\n")
    client.subscribe("old")
    assert client.bodies(5) == ["high", "normal", "new", "newer", "low"]
    client.subscribe("dlq", id="1")
    assert client.bodies(3) == ["high", "new", "low"]
    house.restart()
    client = house.connect()
    client.subscribe("old")
    client.nothing()


def test_dead_letters_stand_in_line_and_go_back_to_the_places_of_their_priorities(house: Any) -> None:
    queue = house.name("ranked")
    client = house.connect()
    client.publish(queue, "low", more="priority:1\n")
    client.publish(queue, "high", more="priority:9\n")
    client.subscribe(queue, ack=ONE)
    high, low = client.take(2)
    client.nack(low, "requeue:false\n")
    client.nack(high, "requeue:false\n")
    client.unsubscribe()
    client.publish(queue, "normal")
    house.restart(kill=False)
    if house.keeps:
        client = house.connect()
    client.subscribe(f"DLQ.{queue}", "browser:true\n")
    assert [client.message().body for _ in range(3)] == ["low", "high", ""]
    client.unsubscribe()
    client.manage("redrive", f"DLQ.{queue}")
    client.subscribe(queue)
    assert client.bodies(3) == ["high", "normal", "low"]


def test_a_dead_letter_does_not_expire_again(house: Any) -> None:
    queue = house.name("dlq")
    client = house.connect()
    soon, late = str(int(time.time() * 1000) + 1500), str(int(time.time() * 1000) + 10**8)
    said = {"soon": f"expires:{soon}\n", "late": f"expires:{late}\n"}
    for name in ("expiration", "ttl", "x-message-ttl"):
        said[name] = f"{name}:60000\n"
    client.subscribe(queue, ack=ONE)
    for body, line in said.items():
        client.publish(queue, body, more=line)
    for frame in client.take(5):
        client.nack(frame, "requeue:false\n")
    client.unsubscribe()
    house.restart(kill=False)
    if house.keeps:
        client = house.connect()
    while int(time.time() * 1000) <= int(soon):
        client.nothing()
    client.subscribe(f"DLQ.{queue}", "browser:true\n", id="look")
    frames = {frame.body: frame for frame in [client.message() for _ in range(6)]}
    assert set(frames) == {*said, ""}
    for body, line in said.items():
        name, _, value = line.strip().partition(":")
        assert frames[body]["original-" + name] == value
        assert not frames[body].has(name)
    client.unsubscribe("look")
    # Back in its queue it has what is left: a span counts anew, and a time that is over is none.
    client.manage("redrive", f"DLQ.{queue}")
    client.subscribe(queue, "browser:true\n")
    frames = {frame.body: frame for frame in [client.message() for _ in range(6)]}
    assert set(frames) == {*said, ""}
    for body, line in said.items():
        name, _, value = line.strip().partition(":")
        assert frames[body].has(name) is (body != "soon")
        assert not frames[body].has("original-" + name)
        assert body == "soon" or frames[body][name] == value


def test_a_span_counts_anew_when_a_dead_letter_goes_back(house: Any) -> None:
    queue = house.name("dlq")
    client = house.connect()
    client.subscribe(queue, ack=ONE)
    client.publish(queue, "x", more="ttl:1000\n")
    (frame,) = client.take(1)
    client.nack(frame, "requeue:false\n")
    until = time.time() + 1.1
    while time.time() < until:
        client.nothing()
    client.manage("redrive", f"DLQ.{queue}")
    (frame,) = client.take(1)
    client.unsubscribe()
    # It is over again, and was: what comes back after its time goes.
    until = time.time() + 1.1
    while time.time() < until:
        client.nothing()
    client.nack(frame)
    assert client.contents(queue) == []


def test_a_dead_letter_says_where_why_and_how_often(house: Any) -> None:
    queue = house.name("dlq")
    client = house.connect()
    began = now()
    client.publish(queue, "twice", "at once", more="colour:red\n")
    client.subscribe(queue, ack=ONE)
    first, second = client.take(2)
    client.nack(second, "requeue:false\nreason:it is\\cbroken\n")
    client.nack(first)
    (first,) = client.take(1)
    client.nack(first)
    client.nothing()
    client.leave()
    house.restart()
    client = house.connect()
    second, first = client.drain(f"DLQ.{queue}")
    assert [second.body, first.body] == ["at once", "twice"]
    for frame in (first, second):
        assert frame["original-destination"] == f"/queue/{queue}"
        assert frame["colour"] == "red"
        assert began - 1 <= int(frame["first-failure"]) <= int(frame["last-failure"]) <= now() + 1
    assert (second["dead-letter-reason"], second["dead-letter-cause"]) == ("rejected", "it is\\cbroken")
    assert second["dlqDeliveryFailureCause"] == "it is\\cbroken"
    assert second["delivery-count"] == "1"
    assert (first["dead-letter-reason"], first["delivery-count"]) == ("max-redeliveries", "2")
    assert not first.has("dead-letter-cause")


def test_dead_letters_of_dead_letters_stay_where_they_are(house: Any) -> None:
    queue = house.name("dlq")
    client = house.connect()
    client.publish(queue, "a")
    client.subscribe(queue, ack=ONE)
    client.nack(client.message(), "requeue:false\n")
    grave = f"DLQ.{queue}"
    client.subscribe(grave, "activemq.maximumRedeliveries:1\n", ONE, "g")
    for count in (None, "2", "3"):
        (frame,) = client.take(1)
        # How often it was delivered where it died stays what it was.
        assert (frame.body, frame["delivery-count"]) == ("a", "1")
        assert (frame["JMSXDeliveryCount"] if count else None) == count
        assert frame.has("JMSXDeliveryCount") is (count is not None)
        client.nack(frame, "requeue:false\n")
    client.unsubscribe("g")
    assert client.contents(grave) == ["a"]


def test_a_queue_may_have_no_dead_letters(house: Any) -> None:
    queue = house.name("nowhere")
    client = house.connect()
    client.publish(queue, "a", "b")
    client.subscribe(queue, ack=ONE)
    first, second = client.take(2)
    client.nack(first, "requeue:false\n")
    client.ack(second)
    client.leave()
    house.restart()
    assert house.connect().contents(queue) == []


@pytest.mark.parametrize(
    ("wish", "deliveries"),
    [("activemq.maximumRedeliveries:2\n", 3), ("activemq.maximumRedeliveries:0\n", 1)],
)
def test_a_subscription_says_how_often(house: Any, wish: str, deliveries: int) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, f"{queue} a")
    client.subscribe(queue, wish, ONE)
    for _ in range(deliveries):
        (frame,) = client.take(1)
        client.nack(frame)
    client.nothing()
    client.unsubscribe()
    (dead,) = [
        each for each in client.drain("deadletter") if each["original-destination"] == f"/queue/{queue}"
    ]
    assert dead["delivery-count"] == str(deliveries)


def test_max_exceptions_of_the_original(house: Any) -> None:
    queue = house.name("small")
    client = house.connect()
    client.publish(queue, "a", more="max-exceptions:1\n")
    client.subscribe(queue, ack=ONE)
    client.nack(client.message())
    client.nack(client.message())
    client.nothing()
    # It is counted anew among the dead letters.
    client.subscribe(f"late.{queue}", ack=ONE, id="g")
    (dead,) = client.take(1)
    assert dead["dead-letter-reason"] == "max-redeliveries"


def test_delays_grow_and_end_in_the_dead_letter_queue(house: Any) -> None:
    queue = house.name("backoff")
    client = house.connect()
    client.publish(queue, "a")
    client.subscribe(queue, ack=ONE)
    times = []
    for count in range(3):
        frame = client.message()
        times.append(time.monotonic())
        assert count == 0 or frame["delivery-count"] == str(count + 1)
        client.nack(frame)
    # Early by the clocks' grain at most; late by whatever the machine does.
    assert times[1] - times[0] > 0.05
    assert times[2] - times[1] > 0.11
    client.unsubscribe()
    assert client.contents(f"DLQ.{queue}") == ["a"]


def test_a_subscription_says_when(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, "a", "b")
    client.subscribe(
        queue,
        "prefetch-count:1\nactivemq.initialRedeliveryDelay:80\nactivemq.useExponentialBackOff:true\n"
        "activemq.backOffMultiplier:2\nactivemq.maximumRedeliveryDelay:90\n",
        ONE,
    )
    frame = client.message()
    began = time.monotonic()
    client.nack(frame)
    (other,) = client.take(1)
    # What waits holds nobody back.
    assert other.body == "b"
    client.ack(other)
    frame = client.message()
    assert time.monotonic() - began > 0.07
    began = time.monotonic()
    client.nack(frame)
    assert client.message()["delivery-count"] == "3"
    assert time.monotonic() - began > 0.08


def test_a_delay_of_a_nack_holds_after_unsubscribe(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, "a", "b")
    client.subscribe(queue, ack=ONE)
    first, second = client.take(2)
    client.unsubscribe()
    client.nack(first, "delay:600000\n")
    client.nack(second)
    client.subscribe(queue, ack=ONE, id="1")
    assert client.bodies(1) == ["b"]


def test_strict_order_waits_for_the_first(house: Any) -> None:
    queue = house.name("strict")
    client = house.connect()
    client.publish(queue, "a", "b", "c")
    client.subscribe(queue, "prefetch-count:1\n", ONE)
    client.nack(client.message(), "delay:100\n")
    client.publish(queue, "d")
    got = []
    for _ in range(4):
        frame = client.message()
        got.append(frame.body)
        client.ack(frame)
    assert got == ["a", "b", "c", "d"]


def test_a_lease_ends_and_the_connection_lives(house: Any) -> None:
    queue = house.name("lease")
    client = house.connect()
    client.publish(queue, "a")
    client.subscribe(queue, ack=ONE)
    first = client.message()
    second = client.message()
    assert (second.body, second["delivery-count"]) == ("a", "2")
    assert "ack-timeout" in client.nack(first)["warning"]
    while client.ack(second).has("warning"):
        # The machine was too slow.
        second = client.message()
    client.nothing()


def test_a_lease_per_subscription_is_extended_by_touch(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, "held", "lost")
    client.subscribe(queue, "ack-timeout:300\n", ONE)
    while True:
        frames = {frame.body: frame for frame in (client.message(), client.message())}
        time.sleep(0.1)
        began = time.monotonic()
        if not client.nack(frames["held"], "touch:true\n").has("warning"):
            break
        # The machine was too slow: both came back.
    assert client.message().body == "lost"
    held = client.message()
    assert held.body == "held"
    assert time.monotonic() - began > 0.29
    assert client.nack(frames["lost"], "touch:true\n").has("warning")


def test_a_lease_pauses_while_a_transaction_has_the_message(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, "a")
    client.subscribe(queue, "ack-timeout:300\n", ONE)
    client.receipt("BEGIN\ntransaction:t\n\n\0")
    while client.ack(client.message(), "transaction:t\n").has("warning"):
        # The machine was too slow.
        pass
    time.sleep(0.4)
    client.nothing()
    client.receipt("COMMIT\ntransaction:t\n\n\0")
    client.leave()
    house.restart()
    assert house.connect().contents(queue) == []


def test_transactions_give_back_late_or_not_at_all(house: Any) -> None:
    queue = house.name("small")
    client = house.connect()
    client.publish(queue, "late", "dead", "kept", "sent after")
    client.subscribe(queue, ack=ONE)
    frames = {frame.body: frame for frame in client.take(4)}
    client.transaction(
        "t",
        f"NACK\nid:{frames['late']['ack']}\ndelay:500\n\n\0",
        f"NACK\nid:{frames['dead']['ack']}\nrequeue:false\nreason:bad\n\n\0",
        f"ACK\nid:{frames['sent after']['ack']}\n\n\0",
        f"SEND\ndestination:/queue/{queue}\n\nnew\0",
    )
    assert [client.message().body, client.message().body] == ["new", "late"]
    client.receipt("BEGIN\ntransaction:u\n\n\0")
    client.nack(frames["kept"], "transaction:u\nrequeue:false\n")
    client.receipt("ABORT\ntransaction:u\n\n\0")
    client.leave()
    house.restart(kill=False)
    client = house.connect()
    frames = {frame.body: frame for frame in client.drain(queue)}
    assert sorted(frames) == ["kept", "late", "new"]
    # The end of the connection counts for what its client had longest, and is no return of others.
    assert [frames[body]["delivery-count"] for body in ("kept", "late", "new")] == ["2", "2", "1"]
    assert [(frame.body, frame["dead-letter-cause"]) for frame in client.drain(f"late.{queue}")] == [
        ("dead", "bad")
    ]
