"""Each way to a destination, in each dialect's words, with its rights and without each single one of them.

A server has a login for each right, who has all the others: what he is refused hangs on that right alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from guarded import Guarded, Visitor

VERBS = ("send", "consume", "browse", "create", "durable", "manage", "view")

PLACES = {
    "Q": "/queue/q.>",
    "R": "/queue/r.>",
    "T": "/topic/t.>",
    "U": "/topic/u.>",
    "V": "/topic/VirtualTopic.>",
    "G": "/queue/Consumer.>",
    "B": "bare.>",
    "W": "/queue/$user/%u/>",
    "M": "/queue/stompserver.management",
    "A": "ActiveMQ.Scheduler.Management",
    "S": "$server",
    "D": "/queue/deadletter",
    "O": "/queue/monitor",
}
"""Patterns by a letter; a test has names of its own below them."""


def login_without(verb: str, place: str) -> str:
    return f"no-{verb}-{place}"


LOGINS = ("root", *[login_without(verb, place) for verb in VERBS for place in PLACES])


def configuration() -> str:
    lines = ["management: all", "permissions:"]
    for place, pattern in PLACES.items():
        lines.append(f'  "{pattern}":')
        for verb in VERBS:
            others = ", ".join(each for each in LOGINS if each != login_without(verb, place))
            lines += [f"    {verb}: {others}"]
    # What the client of the tests says to see that nothing came.
    lines += ["  /topic/nobody.listens:", "    send: everybody"]
    return "\n".join(lines) + "\n"


def send(destination: str, more: str = "", body: str = "probe") -> str:
    return f"SEND\ndestination:{destination}\n{more}\n{body}\0"


def subscribe(destination: str, more: str = "") -> str:
    return f"SUBSCRIBE\nid:0\ndestination:{destination}\n{more}\n\0"


def manage(action: str, more: str = "") -> str:
    return send("/queue/stompserver.management", f"action:{action}\n{more}", "")


def activemq(action: str, more: str = "") -> str:
    return send("ActiveMQ.Scheduler.Management", f"AMQ_SCHEDULER_ACTION:{action}\n{more}", "")


LATER = "AMQ_SCHEDULED_DELAY:3600000\n"


class Way(NamedTuple):
    """What ``root`` does before, what the one who is looked at says (the last is what needs the rights), the rights,
    and where ``probe`` is after that, if it is a SEND that lands at once. ``ZZ`` is a name of its own.
    """

    name: str
    before: tuple[str, ...]
    frames: tuple[str, ...]
    rights: tuple[tuple[str, str], ...]
    lands: str = ""
    more: str = ""


SENDS = (
    ("/queue/q.ZZ", "Q", "/queue/q.ZZ"),
    ("queue/q.ZZ", "Q", "/queue/q.ZZ"),
    ("queue://q.ZZ", "Q", "/queue/q.ZZ"),
    ("jms.queue.q.ZZ", "Q", "/queue/q.ZZ"),
    ("/amq/queue/q.ZZ", "Q", "/queue/q.ZZ"),
    ("/exchange/amq.direct/q.ZZ", "Q", "/queue/q.ZZ"),
    ("/queue/q.ZZ?consumer.prefetchSize=1", "Q", "/queue/q.ZZ"),
    ("/queue/q.ZZ::q.ZZ", "Q", "/queue/q.ZZ"),
    ("/topic/t.ZZ", "T", "/topic/t.ZZ"),
    ("topic/t.ZZ", "T", "/topic/t.ZZ"),
    ("topic://t.ZZ", "T", "/topic/t.ZZ"),
    ("jms.topic.t.ZZ", "T", "/topic/t.ZZ"),
    ("/exchange/amq.topic/t.ZZ", "T", "/topic/t.ZZ"),
    ("/exchange/t/ZZ", "T", "/topic/t/ZZ"),
    ("VirtualTopic.ZZ", "V", "/topic/VirtualTopic.ZZ"),
    ("bare.ZZ", "B", "bare.ZZ"),
)
"""How a destination is written, whose pattern it is, and what it is."""


def _ways() -> Iterator[Way]:
    old = (send("/queue/q.ZZ", body="old"),)
    for text, place, name in SENDS:
        queue = name.startswith("/queue")
        rights = (("send", place), ("create", place)) if queue else (("send", place),)
        yield Way(f"send {text}", (), (send(text),), rights, name)
        consume = (("consume", place), ("create", place)) if queue else (("consume", place),)
        yield Way(f"subscribe {text}", (), (subscribe(text),), consume)
    yield Way(
        "send simple", old, (send("/queue/q.ZZ", "content-length:5\n"),), (("send", "Q"),), "/queue/q.ZZ"
    )
    yield Way(
        "send with properties", old, (send("/queue/q.ZZ", "priority:7\n"),), (("send", "Q"),), "/queue/q.ZZ"
    )
    yield Way(
        "composite", old, (send("/queue/q.ZZ,/topic/t.ZZ"),), (("send", "Q"), ("send", "T")), "/queue/q.ZZ"
    )
    yield Way(
        "composite the other way",
        old,
        (send("/topic/t.ZZ,queue://q.ZZ"),),
        (("send", "Q"), ("send", "T")),
        "/queue/q.ZZ",
    )
    yield Way("scheduled", old, (send("/queue/q.ZZ", LATER),), (("send", "Q"),))
    yield Way(
        "scheduled by cron", old, (send("/queue/q.ZZ", "AMQ_SCHEDULED_CRON:0 0 1 1 *\n"),), (("send", "Q"),)
    )
    yield Way(
        "transaction",
        old,
        ("BEGIN\ntransaction:t\n\n\0", send("/queue/q.ZZ", "transaction:t\n")),
        (("send", "Q"),),
    )
    yield Way("retained", (), (send("/topic/t.ZZ", "retain:set\n"),), (("send", "T"),))
    yield Way(
        "reply-to own",
        old,
        (send("/queue/q.ZZ", "reply-to:/temp-queue/a\n"),),
        (("send", "Q"),),
        "/queue/q.ZZ",
    )
    yield Way("grouped", old, (send("/queue/q.ZZ", "JMSXGroupID:g\n"),), (("send", "Q"),), "/queue/q.ZZ")
    # Subscribing
    yield Way("browse", old, (subscribe("/queue/q.ZZ", "browser:true\n"),), (("browse", "Q"),))
    yield Way("JMS browse", old, (subscribe("queue://q.ZZ", "browser:true\n"),), (("browse", "Q"),))
    yield Way(
        "composite subscription",
        (*old, send("/queue/r.ZZ", body="old")),
        (subscribe("/queue/q.ZZ,/queue/r.ZZ"),),
        (("consume", "Q"), ("consume", "R")),
    )
    yield Way("pattern", old, (subscribe("/queue/q.ZZ.>"),), (("consume", "Q"),))
    yield Way("pattern of topics", (), (subscribe("/topic/t.ZZ.*"),), (("consume", "T"),))
    yield Way("replay", (), (subscribe("/topic/t.ZZ", "x-stream-offset:first\n"),), (("consume", "T"),))
    yield Way(
        "retroactive", (), (subscribe("/topic/t.ZZ", "activemq.retroactive:true\n"),), (("consume", "T"),)
    )
    yield Way("monitor", (), (subscribe("/queue/monitor"),), (("consume", "O"),))
    yield Way(
        "group of a virtual topic",
        (),
        (subscribe("Consumer.ZZ.VirtualTopic.ZZ"),),
        (("consume", "G"), ("create", "G"), ("consume", "V")),
    )
    yield Way("own /user", (), (subscribe("/user/queue/ZZ"),), (("consume", "W"), ("create", "W")))
    for name, more in (
        ("durable of ActiveMQ", "activemq.subscriptionName:d.ZZ\n"),
        ("durable of JMS", "durable-subscription-name:d.ZZ\n"),
        ("durable of RabbitMQ", "durable:true\nauto-delete:false\n"),
        ("durable of Apollo", "persistent:true\n"),
    ):
        yield Way(
            name,
            (),
            (subscribe("/topic/t.ZZ", more),),
            (("consume", "T"), ("durable", "T")),
            more="client-id:ZZ\n",
        )
    yield Way("durable of Artemis", (), (subscribe("/topic/t.ZZ::d"),), (("consume", "T"), ("durable", "T")))
    yield Way(
        "durable with a queue's name",
        (),
        (subscribe("/topic/t.ZZ", "x-queue-name:r.ZZ\ndurable:true\nauto-delete:false\n"),),
        (
            ("consume", "T"),
            ("durable", "T"),
            ("consume", "R"),
            ("durable", "R"),
            ("send", "R"),
            ("create", "R"),
        ),
    )
    yield Way(
        "durable of two topics",
        (),
        (subscribe("/topic/t.ZZ,/topic/u.ZZ", "durable:true\nauto-delete:false\n"),),
        (("consume", "T"), ("durable", "T"), ("consume", "U"), ("durable", "U")),
    )
    held = (
        subscribe("/topic/t.ZZ", "durable-subscription-name:d.ZZ\n"),
        "UNSUBSCRIBE\nid:0\n\n\0",
        send("/topic/t.ZZ", body="old"),
    )
    yield Way("/dsub", held, (subscribe("/dsub/ZZ.d.ZZ"),), (("consume", "T"),))
    yield Way(
        "look into /dsub",
        held,
        (subscribe("/dsub/ZZ.d.ZZ", "browser:true\n"),),
        (("browse", "T"), ("consume", "T")),
    )
    yield Way(
        "end of another's durable",
        held,
        ("UNSUBSCRIBE\nid:9\ndurable-subscription-name:d.ZZ\n\n\0",),
        (("durable", "T"),),
        more="client-id:ZZ\n",
    )
    # Managing
    ours = ("send", "M")
    for action in ("pause", "resume", "purge", "delete", "redrive"):
        yield Way(action, old, (manage(action, "queue:/queue/q.ZZ\n"),), (ours, ("manage", "Q")))
    yield Way(
        "delete a durable", held, (manage("durable-delete", "name:ZZ.d.ZZ\n"),), (ours, ("manage", "T"))
    )
    yield Way("server", (), (manage("server"),), (ours, ("view", "S")))
    yield Way("can", (), (manage("can", "who:a\nverb:send\nqueue:q\n"),), (ours, ("view", "S")))
    yield Way(
        "answer", (), (manage("server", "reply-to:/queue/r.ZZ\n"),), (ours, ("view", "S"), ("send", "R"))
    )
    yield Way("BROWSE", (), (activemq("BROWSE", "reply-to:/queue/r.ZZ\n"),), (("send", "A"), ("send", "R")))
    yield Way("REMOVEALL", (), (activemq("REMOVEALL"),), (("send", "A"),))


WAYS = tuple(_ways())


@pytest.fixture(scope="module", params=["memory", "lmdb"])
def house(
    request: pytest.FixtureRequest, start_shared_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    made = Guarded(
        start_shared_server,
        request.param,
        tmp_path_factory.mktemp("rights"),
        configuration(),
        LOGINS,
        "--max-logins-per-address=1000",
        "--max-connections-per-address=1000",
    )
    yield made
    made.close()


def play(house: Guarded, way: Way, login: str, number: str) -> tuple[Visitor, str]:
    """Everything up to the last frame, which is returned."""
    root = house.connect("root", f"client-id:{number}\n")
    for frame in way.before:
        root.allowed(frame.replace("ZZ", number))
    root.leave()
    visitor = house.connect(login, way.more.replace("ZZ", number))
    *first, last = [frame.replace("ZZ", number) for frame in way.frames]
    for frame in first:
        visitor.allowed(frame)
    return visitor, last


def landed(house: Guarded, place: str, number: str, until: str = "last") -> list[str]:
    """What is in a queue, and is no temporary answer."""
    root = house.connect("root")
    name = place.replace("ZZ", number)
    root.allowed(send(name, body=until))
    root.send(subscribe(name))
    found = []
    while (frame := root.expect("MESSAGE")).body != until:
        found.append(frame.body)
    root.leave()
    return found


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_with_all_rights_it_is_done(house: Guarded, way: Way) -> None:
    number = house.name()
    visitor, last = play(house, way, "root", number)
    visitor.allowed(last)
    if way.lands.startswith("/queue"):
        assert "probe" in landed(house, way.lands, number)


@pytest.mark.parametrize(
    ("way", "right"),
    [(way, right) for way in WAYS for right in way.rights],
    ids=lambda each: each.name if isinstance(each, Way) else " ".join(each),
)
def test_without_one_of_them_nothing_is(house: Guarded, way: Way, right: tuple[str, str]) -> None:
    number = house.name()
    verb, place = right
    visitor, last = play(house, way, login_without(verb, place), number)
    error = visitor.refused(last)
    assert f"Rule: permissions: {verb}" in error.body
    told = error.body.replace(login_without(verb, place), "")
    assert "no-" not in told, "who may is not told"
    assert "root" not in told
    octets = visitor.rest()
    assert b"old" not in octets
    assert not visitor.early
    if way.lands.startswith("/queue") and len(way.frames) == 1:
        assert "probe" not in landed(house, way.lands, number)


def test_the_others_go_on(house: Guarded) -> None:
    """Each login can do with every place what it was not refused: the matrix tells rights apart."""
    number = house.name()
    for verb in VERBS:
        visitor = house.connect(login_without(verb, "U"))
        visitor.allowed(send(f"/queue/q.{number}"))
        visitor.allowed(subscribe(f"/topic/t.{number}"))
        visitor.close()


def test_every_verb_and_place_is_in_the_matrix() -> None:
    assert {verb for way in WAYS for verb, _ in way.rights} == set(VERBS)
    assert {place for way in WAYS for _, place in way.rights} == set(PLACES) - {"D"}
