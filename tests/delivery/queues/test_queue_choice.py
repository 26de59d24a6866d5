"""Who gets which message, as clients see it: selectors, groups, exclusive and preferred consumers, browsers."""

from __future__ import annotations

import time
from typing import Any

ONE = "client-individual"
RED = "selector:colour = 'red'\n"
MANY = 5000


def test_a_selector_finds_what_is_deep_in_the_store(house: Any) -> None:
    queue = house.name()
    client, other = house.connect(), house.connect()
    client.flood(queue, "colour:blue\n", 2500)
    client.publish(queue, "red 1", more="colour:red\n")
    client.flood(queue, "colour:blue\n", 2500)
    client.publish(queue, "red 2", more="colour:red\n")
    client.subscribe(queue, f"{RED}prefetch-count:1\n", ONE)
    frame = client.message()
    assert frame.body == "red 1"
    client.nack(frame)
    frame = client.message()
    assert (frame.body, frame["delivery-count"]) == ("red 1", "2")
    client.ack(frame)
    frame = client.message()
    assert frame.body == "red 2"
    # Others go on beside it, and what comes may be for either.
    other.subscribe(queue, "prefetch-count:1\nselector:colour <> 'red'\n", ONE)
    assert other.message().body == "filler"
    client.publish(queue, "red 3", more="colour:red\n")
    client.ack(frame)
    assert client.message().body == "red 3"
    house.restart()
    if not house.keeps:
        client.close()
        other.leave()
    client = house.connect()
    client.subscribe(queue, RED)
    assert client.message().body == "red 3"
    client.unsubscribe()
    assert client.contents(queue) == ["filler"] * MANY


def test_destinations_in_the_words_of_jms(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, "none")
    client.publish(queue, "queue", more="reply-to:/queue/answers\n")
    client.publish(queue, "jms", more="reply-to:queue://answers\n")
    client.publish(queue, "temporary", more="reply-to:/temp-queue/answers\n")
    client.publish(queue, "topic", more="reply-to:/topic/answers\n")
    house.restart()
    if not house.keeps:
        client.close()
    client = house.connect()
    for selector, bodies in (
        (f"JMSDestination = 'topic://{queue}'", []),
        ("JMSReplyTo LIKE 'temp-queue://%'", ["temporary"]),
        ("JMSReplyTo = 'queue://answers'", ["queue", "jms"]),
        ("JMSReplyTo IN ('/topic/answers', 'queue://answers')", ["topic"]),
        (f"JMSDestination = 'queue://{queue}' AND JMSReplyTo IS NULL", ["none"]),
    ):
        client.subscribe(queue, "selector:" + selector.replace(":", "\\c") + "\n")
        assert [client.message().body for _ in bodies] == bodies, selector
        client.unsubscribe()


def test_a_selector_that_is_wrong_says_where(house: Any) -> None:
    client = house.connect()
    client.send(f"SUBSCRIBE\nid:0\ndestination:/queue/{house.name()}\nselector:a = = 2\n\n\0")
    assert "selector" in client.error().lower()


def test_a_group_waits_for_its_first_and_others_go_on(house: Any) -> None:
    queue = house.name()
    one, two, sender = house.connect(), house.connect(), house.connect()
    one.subscribe(queue, "prefetch-count:10\n", ONE)
    two.subscribe(queue, "prefetch-count:10\n", ONE)
    for body in ("a1", "b1", "a2", "b2"):
        sender.publish(queue, body, more=f"JMSXGroupID:{body[0]}\n")
    first, second = one.take(2)
    assert [first.body, second.body] == ["a1", "a2"]
    assert first["JMSXGroupID"] == "a"
    assert two.bodies(2) == ["b1", "b2"]
    # Together: neither may be due before the other is given back.
    one.receipt(f"NACK\nid:{second['ack']}\ndelay:100\n\n\0NACK\nid:{first['ack']}\ndelay:20\n\n\0")
    sender.publish(queue, "a3", more="_AMQ_GROUP_ID:a\n")
    sender.publish(queue, "b3", more="message_group:b\n")
    assert two.bodies(1) == ["b3"]
    # a1 is the first to come back, and waits for no one; the rest stays in order behind it.
    assert [one.message().body for _ in range(3)] == ["a1", "a2", "a3"]


def test_a_group_moves_on_in_order_when_its_consumer_leaves(house: Any) -> None:
    queue = house.name()
    one, two, sender = house.connect(), house.connect(), house.connect()
    one.subscribe(queue, "prefetch-count:2\n", ONE)
    sender.publish(queue, "a1", "a2", "a3", more="JMSXGroupID:a\n")
    assert one.bodies(2) == ["a1", "a2"]
    two.subscribe(queue, ack=ONE)
    two.nothing()
    one.leave()
    frames = [two.message() for _ in range(3)]
    assert [frame.body for frame in frames] == ["a1", "a2", "a3"]
    assert [frame.has("redelivered") for frame in frames] == [True, True, False]


def test_a_group_does_not_move_while_its_owner_works_on_it_whatever_it_selects(house: Any) -> None:
    queue = house.name()
    red, blue = "colour:red\nJMSXGroupID:g\n", "colour:blue\nJMSXGroupID:g\n"
    one, two, sender = house.connect(), house.connect(), house.connect()
    one.subscribe(queue, RED, ONE)
    sender.publish(queue, "red 1", more=red)
    (first,) = one.take(1)
    two.subscribe(queue, ack=ONE)
    sender.publish(queue, "blue", more=blue)
    sender.publish(queue, "red 2", more=red)
    sender.publish(queue, "alone", more="colour:blue\n")
    # Nobody has what is of the group; others go on beside it.
    assert two.bodies(1) == ["alone"]
    one.nothing()
    one.ack(first)
    one.nothing()
    blue_frame, red_frame = two.take(2)
    assert [blue_frame.body, red_frame.body] == ["blue", "red 2"]
    # It is the other's now, and comes back when that has nothing of it and does not want what is next.
    two.unsubscribe()
    sender.publish(queue, "red 3", more=red)
    one.nothing()
    two.ack(blue_frame)
    one.nothing()
    two.ack(red_frame)
    assert one.bodies(1) == ["red 3"]


def test_a_group_stays_when_its_owner_does_not_want_a_message_and_has_others_to_come(house: Any) -> None:
    queue = house.name()
    red, blue = "colour:red\nJMSXGroupID:g\n", "colour:blue\nJMSXGroupID:g\n"
    one, two, sender = house.connect(), house.connect(), house.connect()
    one.subscribe(queue, RED + "prefetch-count:1\n", ONE)
    sender.publish(queue, "red 1", "red 2", more=red)
    sender.publish(queue, "blue", more=blue)
    sender.publish(queue, "red 3", more=red)
    (first,) = one.take(1)
    two.subscribe(queue, ack=ONE)
    two.nothing()
    one.nack(first)
    (first,) = one.take(1)
    assert first.body == "red 1"
    two.nothing()
    one.ack(first)
    (second,) = one.take(1)
    assert second.body == "red 2"
    two.nothing()
    one.ack(second)
    assert two.bodies(2) == ["blue", "red 3"]
    one.nothing()


def test_a_group_that_waits_in_the_store_has_one_consumer_at_a_time(house: Any) -> None:
    queue = house.name()
    sender = house.connect()
    sends = [
        f"SEND\ndestination:/queue/{queue}\nJMSXGroupID:g\ncolour:{'red' if number % 3 else 'blue'}\n\n{number}\0"
        for number in range(60)
    ]
    sender.flood(queue)
    sender.send("".join(sends))
    sender.nothing()
    house.restart()
    if not house.keeps:
        sender.close()
    clients = {"red": house.connect(), "all": house.connect(), "blue": house.connect()}
    clients["red"].subscribe(queue, RED + "prefetch-count:4\n", ONE)
    clients["blue"].subscribe(queue, "selector:colour = 'blue'\nprefetch-count:4\n", ONE)
    clients["all"].subscribe(queue, "selector:colour IS NOT NULL\nprefetch-count:4\n", ONE)
    seen: list[int] = []
    until = time.monotonic() + 60
    while len(seen) < 60 and time.monotonic() < until:
        had = {name: client.come() for name, client in clients.items()}
        assert len([name for name, frames in had.items() if frames]) <= 1, had
        for name, frames in had.items():
            for frame in frames:
                seen.append(int(frame.body))
                clients[name].ack(frame)
    assert sorted(seen) == list(range(60))


def test_a_group_is_closed_by_its_sender(house: Any) -> None:
    queue = house.name()
    one, two, sender = house.connect(), house.connect(), house.connect()
    one.subscribe(queue)
    two.subscribe(queue)
    sender.publish(queue, "a1", "a2", more="JMSXGroupID:a\n")
    sender.publish(queue, "a3", more="JMSXGroupID:a\nJMSXGroupSeq:-1\n")
    assert one.bodies(3) == ["a1", "a2", "a3"]
    sender.publish(queue, "a4", more="JMSXGroupID:a\n")
    assert two.bodies(1) == ["a4"]


def test_groups_are_shared_out_anew_by_policy(house: Any) -> None:
    queue = house.name("fair")
    one, two, sender = house.connect(), house.connect(), house.connect()
    one.subscribe(queue)
    for group in "abcd":
        sender.publish(queue, group, more=f"JMSXGroupID:{group}\n")
    assert one.bodies(4) == ["a", "b", "c", "d"]
    two.subscribe(queue)
    for group in "abcd":
        sender.publish(queue, group, more=f"JMSXGroupID:{group}\n")
    assert sorted(one.bodies(2) + two.bodies(2)) == ["a", "b", "c", "d"]


def test_groups_of_a_paged_queue_stay_whole_and_in_order(house: Any) -> None:
    queue = house.name()
    sender = house.connect()
    sends = [
        f"SEND\ndestination:/queue/{queue}\nJMSXGroupID:g{number % 7}\n\n{number}\0" for number in range(MANY)
    ]
    sender.send("".join(sends))
    sender.nothing()
    house.restart()
    clients = [house.connect() for _ in range(3)]
    for client in clients:
        client.subscribe(queue, "prefetch-count:500\n", "client")
    owners: list[set[int]] = [set() for _ in range(7)]
    last = [-1] * 7
    until = time.monotonic() + 60
    while sum(last) < sum(range(MANY - 7, MANY)) and time.monotonic() < until:
        for index, client in enumerate(clients):
            frames = client.come()
            for frame in frames:
                number = int(frame.body)
                assert number > last[number % 7]
                last[number % 7] = number
                owners[number % 7].add(index)
            if frames:
                client.ack(frames[-1])
    assert sorted(last) == list(range(MANY - 7, MANY))
    assert [len(each) for each in owners] == [1] * 7


def test_one_consumer_at_a_time_and_its_successor(house: Any) -> None:
    queue = house.name("one")
    one, two, three, sender = (house.connect() for _ in range(4))
    one.subscribe(queue, "prefetch-count:1\n", ONE)
    two.subscribe(queue, ack=ONE)
    three.subscribe(queue, "x-priority:5\n", ONE)
    sender.publish(queue, "1", "2", "3")
    # The one with the higher priority took over; nobody else has anything.
    assert three.bodies(3) == ["1", "2", "3"]
    two.nothing()
    three.leave()
    frame = one.message()
    assert (frame.body, frame["delivery-count"]) == ("1", "2")
    one.leave()
    assert two.bodies(3) == ["1", "2", "3"]


def test_exclusive_by_subscription(house: Any) -> None:
    queue = house.name()
    one, two, sender = house.connect(), house.connect(), house.connect()
    one.subscribe(queue)
    sender.publish(queue, "1")
    assert one.bodies(1) == ["1"]
    two.subscribe(queue, "activemq.exclusive:true\n")
    sender.publish(queue, "2", "3")
    assert two.bodies(2) == ["2", "3"]
    two.unsubscribe()
    sender.publish(queue, "4")
    assert one.bodies(1) == ["4"]


def test_a_preferred_consumer_is_served_while_it_can_take_more(house: Any) -> None:
    queue = house.name()
    low, high, sender = house.connect(), house.connect(), house.connect()
    low.subscribe(queue)
    high.subscribe(queue, "activemq.priority:9\nprefetch-count:2\n", ONE)
    sender.publish(queue, "1", "2", "3")
    first, _ = high.take(2)
    assert low.bodies(1) == ["3"]
    high.ack(first)
    sender.publish(queue, "4", "5")
    assert high.bodies(1) == ["4"]
    assert low.bodies(1) == ["5"]


def test_a_window_of_bytes(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, *["x" * 400 + str(number) for number in range(5)])
    client.subscribe(queue, "consumer-window-size:900\n", ONE)
    frames = client.take(3)
    client.ack(frames[0])
    assert [frame.body[-1] for frame in client.take(1)] == ["3"]
    client.unsubscribe()
    # Nothing at a time in Artemis' words is one at a time.
    client.subscribe(queue, "consumer-window-size:0\n", ONE, "1")
    (frame,) = client.take(1)
    assert frame.body[-1] == "4"


def test_a_browser_takes_nothing_and_sees_what_waits(house: Any) -> None:
    queue = house.name("ranked")
    client, browser = house.connect(), house.connect()
    client.publish(queue, "out", "acked", "a", more="colour:red\n")
    client.publish(queue, "b")
    client.publish(queue, "first", more="priority:9\n")
    client.subscribe(queue, "prefetch-count:3\n", ONE)
    frames = {frame.body: frame for frame in client.take(3)}
    client.ack(frames["acked"])
    assert client.message().body == "a"
    client.nack(frames["first"])
    assert client.message().body == "first"
    client.unsubscribe()
    browser.subscribe(queue, "browser:true\n", ONE)
    shown = [browser.message() for _ in range(2)]
    assert [frame.body for frame in shown] == ["b", ""]
    assert shown[1]["browser"] == "end"
    # What is only looked at needs no ACK, and one does no harm.
    browser.ack(shown[0])
    browser.nothing()
    client.leave()
    browser.subscribe(queue, f"browser:true\n{RED}", id="1")
    assert [browser.message().body for _ in range(3)] == ["out", "a", ""]
    house.restart(kill=False)
    client = house.connect()
    client.subscribe(queue, "browser:true\nbrowser-end:false\n")
    assert [client.message().body for _ in range(5)] == ["first", "out", "a", "b", ""]
    client.publish(queue, "new")
    assert client.bodies(1) == ["new"]
    assert house.connect().contents(queue) == ["first", "out", "a", "b", "new"]


def test_a_browser_looks_through_the_store(house: Any) -> None:
    queue = house.name()
    client, browser = house.connect(), house.connect()
    client.flood(queue)
    client.publish(queue, "last")
    browser.subscribe(queue, "browser:true\n")
    got = []
    while not (frame := browser.message()).has("browser"):
        got.append(frame.body)
    assert got == ["filler"] * MANY + ["last"]
    assert client.contents(queue) == got


def test_a_paused_queue_stays_so(house: Any) -> None:
    queue = house.name()
    client = house.connect()
    client.publish(queue, "a")
    client.subscribe(queue, "prefetch-count:1\n", ONE)
    frame = client.message()
    client.manage("pause", queue)
    client.publish(queue, "b")
    client.ack(frame)
    client.nothing()
    house.restart()
    client = house.connect()
    client.subscribe(queue, ack=ONE, id="1")
    client.publish(queue, "c")
    client.nothing()
    if not house.keeps:
        house.clients[0].leave()
    client.manage("resume", queue)
    assert client.bodies(2) == ["b", "c"]
    client.leave()
    house.restart()
    assert house.connect().contents(queue) == ["b", "c"]
