"""What is not a matter of one frame: patterns, lists, rights that are taken away, observing, the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from guarded import Guarded, Visitor

CORNER = """
management: all
groups:
  staff: alice
permissions:
  /queue/#:
    send: "@staff"
    consume: "@staff, bob"
    manage: "@staff, bob"
  /topic/#:
    send: "@staff"
    consume: "@staff, bob"
  /queue/shut.>:
    consume: "@staff"
    manage: "@staff"
  /topic/shut.>:
    consume: "@staff"
  /queue/stompserver.management:
    send: everybody
  /topic/nobody.listens:
    send: everybody
    consume: "@staff"
  $server:
    view: "@staff"
"""
LOGINS = ("alice", "bob", "eve")


def send(destination: str, body: str = "x", more: str = "") -> str:
    return f"SEND\ndestination:{destination}\n{more}\n{body}\0"


def subscribe(destination: str, more: str = "", id: str = "0") -> str:
    return f"SUBSCRIBE\nid:{id}\ndestination:{destination}\n{more}\n\0"


def answer(client: Visitor, action: str, more: str = "") -> Any:
    """What a management frame is answered."""
    client.allowed(subscribe("/temp-queue/a", id="answers"))
    client.send(send("/queue/stompserver.management", "", f"action:{action}\nreply-to:/temp-queue/a\n{more}"))
    found = json.loads(client.expect("MESSAGE").body)
    client.allowed("UNSUBSCRIBE\nid:answers\n\n\0")
    return found


@pytest.mark.parametrize("ack", ["auto", "client", "client-individual"])
@pytest.mark.parametrize("kind", ["queue", "topic"])
def test_a_pattern_leaves_out_what_is_shut(guard: Callable[..., Guarded], kind: str, ack: str) -> None:
    house = guard(CORNER, *LOGINS)
    alice, bob, reader = house.connect("alice"), house.connect("bob"), house.connect("alice")
    for name in ("open.a", "shut.a"):
        alice.allowed(send(f"/{kind}/{name}", "before"))
    if kind == "topic":
        reader.allowed(subscribe("/topic/shut.a"))
    receipt = bob.allowed(subscribe(f"/{kind}/>", f"ack:{ack}\nselector:1=1\n"))
    assert "1 are left out, which you may not subscribe to" in receipt["warning"]
    for name in ("open.a", "shut.a", "open.b", "shut.b", "open.a"):
        alice.allowed(send(f"/{kind}/{name}", name))
    found = bob.bodies(3 if kind == "topic" else 4)
    assert sorted(found) == sorted((["before"] if kind == "queue" else []) + ["open.a", "open.a", "open.b"])


def test_of_what_topics_kept_it_leaves_out_the_same(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER + "policies:\n  /topic/>:\n    history-messages: 10\n", *LOGINS)
    alice = house.connect("alice")
    for name in ("open.a", "shut.a"):
        alice.allowed(send(f"/topic/{name}", name, "retain:set\n"))
    retained, replayed = house.connect("bob"), house.connect("bob")
    retained.allowed(subscribe("/topic/>"))
    replayed.allowed(subscribe("/topic/>", "x-stream-offset:first\nack:client\n"))
    assert retained.bodies(1) == ["open.a"]
    assert "open.a" in replayed.bodies(1)


def test_a_durable_subscription_needs_the_right_for_all_that_fits(guard: Callable[..., Guarded]) -> None:
    """It gets what comes while its client is away, and nobody can be asked."""
    house = guard(CORNER, *LOGINS)
    durable = "durable-subscription-name:d\n"
    error = house.connect("bob", "client-id:b\n").refused(subscribe("/topic/>", durable))
    assert error["message"] == "You may not subscribe to all of /topic/>"
    bob = house.connect("bob", "client-id:b\n")
    bob.allowed(subscribe("/topic/open.>", durable))
    bob.leave()
    alice = house.connect("alice", "client-id:a\n")
    alice.allowed(subscribe("/topic/>", durable))
    alice.allowed("UNSUBSCRIBE\nid:0\n\n\0")
    for name in ("open.a", "shut.a"):
        alice.allowed(send(f"/topic/{name}", name))
    again = house.connect("bob", "client-id:b\n")
    again.allowed(subscribe("/topic/open.>", durable))
    assert again.bodies(1) == ["open.a"]
    # What somebody else's durable subscription has is for who may have all of that.
    house.connect("bob").refused(subscribe("/dsub/a.d"))


def test_a_composite_is_all_or_nothing(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER + "  /queue/bobs.>:\n    send: bob\n    consume: bob\n", *LOGINS)
    error = house.connect("bob").refused(send("/queue/bobs.a,/queue/other"))
    assert error["message"] == "You may not send to /queue/other"
    bob = house.connect("bob")
    bob.allowed(subscribe("/queue/bobs.a"))
    bob.nothing()


def test_lists_show_what_one_may_view(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER, *LOGINS)
    alice, bob = house.connect("alice"), house.connect("bob")
    for name in ("open", "shut.a"):
        alice.allowed(send(f"/queue/{name}"))
        alice.allowed(send(f"/queue/{name}", "later", "AMQ_SCHEDULED_DELAY:3600000\n"))
    assert [row["queue"] for row in answer(alice, "queues")["queues"]] == ["/queue/open", "/queue/shut.a"]
    assert [row["queue"] for row in answer(bob, "queues")["queues"]] == ["/queue/open"]
    assert answer(bob, "queues")["count"] == 1
    assert [row["destination"] for row in answer(bob, "schedule-list")["messages"]] == ["/queue/open"]
    assert answer(bob, "schedule-cancel", "all:true\n")["cancelled"] == 1
    assert [row["destination"] for row in answer(alice, "schedule-list")["messages"]] == ["/queue/shut.a"]
    house.connect("bob").refused(send("/queue/stompserver.management", "", "action:server\n"))
    house.connect("eve").refused(send("/queue/stompserver.management", "", "action:queues\n"))


def test_a_look_at_the_schedule_shows_what_one_may_browse(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER + "  ActiveMQ.Scheduler.Management:\n    send: bob\n", *LOGINS)
    alice, bob = house.connect("alice"), house.connect("bob")
    for name in ("open", "shut.a"):
        alice.allowed(send(f"/queue/{name}", name, "AMQ_SCHEDULED_DELAY:3600000\n"))
    bob.allowed(subscribe("/temp-queue/a"))
    bob.allowed(
        send(
            "ActiveMQ.Scheduler.Management",
            "",
            "AMQ_SCHEDULER_ACTION:BROWSE\nreply-to:/temp-queue/a\n",
        )
    )
    assert bob.bodies(1) == ["open"]


def test_a_cancel_needs_the_right_to_manage_where_it_would_go(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER, *LOGINS)
    alice = house.connect("alice")
    alice.allowed(send("/queue/shut.a", "x", "AMQ_SCHEDULED_DELAY:3600000\n"))
    (row,) = answer(alice, "schedule-list")["messages"]
    cancel = send("/queue/stompserver.management", "", f"action:schedule-cancel\nid:{row['id']}\n")
    error = house.connect("bob").refused(cancel)
    assert error["message"] == "You may not manage /queue/shut.a"
    assert len(answer(alice, "schedule-list")["messages"]) == 1
    alice.allowed(cancel)
    assert not answer(alice, "schedule-list")["messages"]


def test_a_forged_origin_is_no_way_to_a_queue(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER + "  /queue/deadletter:\n    send: everybody\n    manage: bob\n", *LOGINS)
    eve, bob = house.connect("eve"), house.connect("bob")
    forged = "original-destination:/queue/orders\ndead-letter-reason:rejected\nx-first-death-queue:orders\n"
    alice = house.connect("alice")
    eve.allowed(send("/queue/deadletter", "forged", forged))
    told = answer(bob, "redrive", "queue:/queue/deadletter\n")
    assert told["moved"] == 0
    assert [each["reason"] for each in told["stayed"]] == ["says no origin"]
    # What the server made a dead letter of goes back.
    alice.allowed(send("/queue/orders", "real"))
    alice.allowed(subscribe("/queue/orders", "ack:client-individual\n"))
    (message,) = alice.take(1)
    alice.allowed(f"NACK\nid:{message['ack']}\nrequeue:false\n\n\0")
    assert answer(bob, "redrive", "queue:/queue/deadletter\n")["moved"] == 1
    assert alice.bodies(1) == ["real"]


def test_dead_letters_go_only_where_their_owner_may_send(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER + "  /queue/bobs.>:\n    send: bob\n    consume: bob\n", *LOGINS)
    bob = house.connect("bob")
    receipt = bob.allowed(send("/queue/bobs.a", "x", "x-dead-letter-routing-key:orders\n"))
    assert receipt["warning"] == "Dead letters cannot go to /queue/orders, where you may not send"
    receipt = bob.allowed(subscribe("/queue/bobs.a", "x-dead-letter-routing-key:orders\n"))
    assert "where you may not send" in receipt["warning"]
    receipt = bob.allowed(send("/queue/bobs.b", "x", "x-dead-letter-routing-key:bobs.grave\n"))
    assert not receipt.has("warning")


def test_a_topic_is_poured_into_no_queue_that_one_may_not_send_to(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER, *LOGINS)
    error = house.connect("bob").refused(
        subscribe("/topic/open.a", "x-queue-name:orders\ndurable:true\nauto-delete:false\n")
    )
    assert error["message"] == "You may not send to /queue/orders"


def test_temporary_queues_are_for_everybody(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER + "  /queue/asked:\n    send: eve\n    create: eve\n", *LOGINS)
    alice, eve = house.connect("alice"), house.connect("eve")
    eve.allowed(send("/queue/asked", "?", "reply-to:/temp-queue/answers\n"))
    alice.allowed(subscribe("/queue/asked"))
    (question,) = alice.take(1)
    alice.allowed(send(question["reply-to"], "!"))
    assert eve.bodies(1) == ["!"]
    for text in (question["reply-to"], question["reply-to"].replace("/reply-queue/", "/queue/$temp/")):
        other = house.connect("alice")
        other.send(subscribe(text))
        assert "somebody else's" in other.error()["message"]


def test_a_login_has_what_its_name_stands_for(guard: Callable[..., Guarded]) -> None:
    house = guard(
        'permissions:\n  /queue/inbox.%u.>:\n    send: everybody\n    consume: "%u"\n'
        '  /queue/$user/%u/>:\n    send: everybody\n    consume: "%u"\n'
        "  /topic/nobody.listens:\n    send: everybody\n",
        *LOGINS,
    )
    alice, bob = house.connect("alice"), house.connect("bob")
    alice.allowed(send("/queue/inbox.bob.a", "hello"))
    alice.allowed(send("/user/bob/queue/a", "psst"))
    house.connect("alice").refused(subscribe("/queue/inbox.bob.a"))
    bob.allowed(subscribe("/queue/inbox.bob.>"))
    assert bob.bodies(1) == ["hello"]
    bob.allowed(subscribe("/user/queue/a", id="1"))
    assert bob.bodies(1) == ["psst"]
    alice.allowed(subscribe("/queue/inbox.*.a"))
    alice.allowed(send("/queue/inbox.alice.a", "mine"))
    alice.allowed(send("/queue/inbox.bob.a", "his"))
    assert alice.bodies(1) == ["mine"]


def test_without_logins_everybody_is_nobody_in_particular(guard: Callable[..., Guarded]) -> None:
    house = guard(
        "permissions:\n  /topic/public:\n    consume: everybody\n    send: alice, everybody from 192.0.2.0/24\n"
        "  /topic/here:\n    send: everybody from 127.0.0.0/8\n  /topic/nobody.listens:\n    send: everybody\n"
    )
    house.connect("alice").refused(send("/topic/public"))
    visitor = house.connect("")
    visitor.allowed(subscribe("/topic/public"))
    visitor.allowed(send("/topic/here"))


# Rights that are taken away

AFTER = CORNER.replace('consume: "@staff, bob"', 'consume: "@staff"').replace(
    'send: "@staff"', "send: nobody"
)


@pytest.mark.parametrize(
    "text",
    [
        subscribe("/queue/open.a"),
        subscribe("/topic/open.a"),
        subscribe("/queue/open.>", "ack:client\n"),
        subscribe("/topic/open.>"),
        subscribe("/queue/open.a", "browser:true\nbrowser-end:false\n"),
        subscribe("/topic/open.a", "durable-subscription-name:d\n"),
        subscribe("/topic/open.a", "ack:client\n"),
        subscribe("/queue/other,/queue/open.a"),
    ],
    ids=lambda text: text.partition("destination:")[2].partition("\n\n")[0].replace("\n", " "),
)
def test_a_subscription_without_its_right_ends_at_once(guard: Callable[..., Guarded], text: str) -> None:
    house = guard(CORNER, *LOGINS)
    alice, bob = house.connect("alice", "client-id:a\n"), house.connect("bob", "client-id:b\n")
    alice.allowed(send("/queue/other"))
    alice.allowed(send("/queue/open.a"))
    bob.allowed(text)
    while bob.early:
        bob.early.pop()
    house.reload(AFTER.replace("send: nobody", 'send: "@staff"'))
    while (frame := bob.frame()).command == "MESSAGE":
        pass
    assert frame.command == "ERROR"
    assert frame["message"].startswith("You may not ")
    alice.allowed(send("/queue/open.a", "secret"))
    alice.allowed(send("/topic/open.a", "secret"))
    assert b"secret" not in bob.rest()


def test_a_pattern_goes_on_without_what_is_shut_now(guard: Callable[..., Guarded]) -> None:
    house = guard(
        CORNER.replace("/queue/shut.>", "/queue/other.>").replace("/topic/shut.>", "/topic/other.>"), *LOGINS
    )
    alice, bob = house.connect("alice"), house.connect("bob")
    for name in ("open.a", "shut.a", "other.a"):
        alice.allowed(send(f"/queue/{name}", f"{name} 1"))
    bob.allowed(subscribe("/queue/>"))
    bob.allowed(subscribe("/topic/>", id="1"))
    assert sorted(bob.bodies(2)) == ["open.a 1", "shut.a 1"]
    house.reload(CORNER)
    for name in ("open.a", "shut.a"):
        alice.allowed(send(f"/queue/{name}", f"{name} 2"))
        alice.allowed(send(f"/topic/{name}", f"{name} 3"))
    # What is open now, and was shut, is joined.
    assert sorted(bob.bodies(3)) == ["open.a 2", "open.a 3", "other.a 1"]


def test_what_is_sent_is_asked_for_again(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER, *LOGINS)
    alice, other = house.connect("alice"), house.connect("alice")
    for _ in range(50):
        alice.send("SEND\ndestination:/queue/a\ncontent-length:1\n\nx\0")
    alice.allowed("SEND\ndestination:/queue/a\ncontent-length:1\n\nx\0")
    other.send("BEGIN\ntransaction:t\n\n\0")
    other.allowed("SEND\ndestination:/queue/a\ntransaction:t\n\nx\0")
    house.reload(AFTER)
    # Who has something in a transaction is told at once, as it could not be committed.
    assert other.error()["message"] == "You may not send to /queue/a"
    error = alice.refused("SEND\ndestination:/queue/a\ncontent-length:1\n\nx\0")
    assert error["message"] == "You may not send to /queue/a"


def test_a_section_that_comes_and_goes(guard: Callable[..., Guarded]) -> None:
    house = guard("management: all\n", *LOGINS)
    bob, eve = house.connect("bob"), house.connect("eve")
    bob.allowed(subscribe("/topic/open.a"))
    eve.allowed(send("/topic/open.a", "one"))
    house.reload(CORNER)
    eve.refused(send("/topic/open.a", "two"))
    house.reload("management: all\n")
    house.connect("eve").allowed(send("/topic/open.a", "three"))
    assert bob.bodies(2) == ["one", "three"]
    log = house.server.log()
    assert "permission /queue/#: send is new: @staff" in log
    assert "permission /queue/#: send is gone (was @staff)" in log
    assert "group staff is new: alice" in log


def test_a_wrong_section_leaves_all_as_it_is(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER, *LOGINS)
    eve = house.connect("eve")
    house.path.write_text(CORNER + "  /queue/a:\n    send: '@nobodies'\n")
    house.server.process.send_signal(1)
    house.server.wait_for_log("the old one stays in force: .*there is no group @nobodies")
    eve.refused(send("/queue/a"))


# What is said of it


def test_the_log_has_the_line_and_the_hint(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER + "  /topic/mixed:\n    send: eve\n", *LOGINS)
    house.connect("eve").refused(send("/queue/mixed"))
    found = house.server.wait_for_log(r"Denied to eve at 127.0.0.1: send /queue/mixed \((.*)\)")
    assert found[1].endswith("server.conf line 7: permissions: /queue/#: send; /topic/mixed would be allowed")
    house.connect("eve").refused(send("elsewhere"))
    house.server.wait_for_log(r"\(no pattern of permissions that has elsewhere sets send\)")
    alice = house.connect("alice")
    assert answer(alice, "server")["denied"] == 2


def test_the_log_is_not_flooded(guard: Callable[..., Guarded]) -> None:
    house = guard("permissions-mode: observe\n" + CORNER, *LOGINS)
    eve = house.connect("eve")
    for number in range(300):
        eve.send(send(f"/topic/t{number}"))
    eve.nothing()
    lines = house.server.log().count("Would be denied")
    assert 1 <= lines <= 25
    assert answer(eve, "server")["denied"] >= 300


def test_observing_lets_everything_pass_and_says_so(guard: Callable[..., Guarded]) -> None:
    house = guard("permissions-mode: observe\n" + CORNER, *LOGINS)
    alice, eve = house.connect("alice"), house.connect("eve")
    alice.allowed(send("/queue/shut.a", "one"))
    receipt = eve.allowed(subscribe("/queue/>"))
    assert "1 would be left out" in receipt["warning"]
    assert eve.bodies(1) == ["one"]
    eve.allowed(send("/queue/shut.a", "two"))
    assert eve.bodies(1) == ["two"]
    eve.allowed(subscribe("/topic/>", "durable-subscription-name:d\n", id="1"))
    assert len(answer(eve, "queues")["queues"]) == 2
    log = house.server.wait_for_log(r"Would be denied to eve at 127.0.0.1: send /queue/shut.a \((.*)\)")
    assert "permissions: /queue/#: send" in log[1]
    house.reload(CORNER)
    assert eve.error()["message"].startswith("You may not")


def test_a_running_server_says_who_can(guard: Callable[..., Guarded]) -> None:
    house = guard(CORNER, *LOGINS)
    alice = house.connect("alice")
    told = answer(alice, "can", "who:eve\nverb:send\nqueue:orders\n")
    assert told["allowed"] is False
    assert told["destination"] == "orders"
    told = answer(alice, "can", "who:bob\nverb:consume\nqueue:jms.queue.orders\n")
    assert told["allowed"] is True
    assert told["destination"] == "/queue/orders"
    assert told["why"].endswith("permissions: /queue/#: consume")
    assert "error" in answer(alice, "can", "who:bob\nverb:eat\nqueue:orders\n")
    house.connect("bob").refused(
        send("/queue/stompserver.management", "", "action:can\nwho:a\nverb:send\nqueue:q\n")
    )
