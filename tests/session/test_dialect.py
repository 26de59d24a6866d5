"""The headers of the field, each under all its names, by literal octets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stompserver.broker.broker import Rules
from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.policy import Policies
from stompserver.session.dialect import headers as dialect
from stompserver.session.events import Tolerated, Warned
from stompserver.session.principal import Principal

VERSIONS = ("1.0", "1.1", "1.2")
NOW = 1_700_000_000_000


@pytest.fixture
def world(new_world: Callable[..., Any]) -> Any:
    made = new_world()
    made.broker.clock.now = NOW
    return made


def connect(world: Any, more: str = "", version: str = "1.2") -> tuple[Any, Any]:
    """A peer, and the answer to its CONNECT."""
    peer = world.stranger()
    (reply,) = peer.ask(f"CONNECT\naccept-version:{version}\nhost:h\n{more}\n\0".encode())
    return peer, reply


def kept(world: Any, header: str, destination: str = "/queue/a") -> Any:
    """The message that a SEND with these header lines left in its queue."""
    peer = world.connect("1.2")
    peer.send(f"SEND\ndestination:{destination}\n{header}\n\nx\0".encode())
    assert peer.state == "connected", peer.read()
    return waiting(world, destination)[-1]


def waiting(world: Any, queue: str = "/queue/a") -> list[Any]:
    return world.broker.queues[queue].standing()


def subscription(world: Any, header: str, destination: str = "/queue/a", ack: str = "client") -> Any:
    """What a SUBSCRIBE with these header lines made."""
    peer = world.connect("1.2")
    peer.subscribe(destination, ack, more=header + "\n")
    assert peer.state == "connected", peer.read()
    return peer.session.subscriptions["s"]


def settled(peer: Any, more: str, command: str = "NACK") -> None:
    """Answer the one delivery there is."""
    (message,) = peer.read()
    peer.send(f"{command}\nid:{message['ack']}\n{more}\n\0".encode())


# CONNECT


def test_a_request_id_comes_back(world: Any) -> None:
    _, reply = connect(world, "request-id:7\nreceipt:r\n")
    assert (reply["response-id"], reply["receipt-id"]) == ("7", "r")
    _, reply = connect(world)
    assert not reply.has("response-id")


@pytest.mark.parametrize("name", ["host", "vhost"])
def test_any_virtual_host_will_do(new_world: Callable[..., Any], name: str) -> None:
    peer = new_world(strict=True).stranger()
    (reply,) = peer.ask(f"CONNECT\naccept-version:1.2\n{name}:elsewhere\n\n\0".encode())
    assert reply.command == "CONNECTED"


@pytest.mark.parametrize(
    "name", ["Authorization", "X-Authorization", "token", "activemq.prefetchSize", "anything"]
)
def test_other_headers_of_connect_do_no_harm(world: Any, name: str) -> None:
    _, reply = connect(world, f"{name}:Bearer 123\n")
    assert reply.command == "CONNECTED"


@pytest.mark.parametrize("server", ["RabbitMQ/4.0", "ActiveMQ/6.1", "apache-apollo/1.7"])
def test_the_server_says_what_it_is_told_to(new_world: Callable[..., Any], server: str) -> None:
    _, reply = connect(new_world(server=server))
    assert reply["server"] == server


def test_a_client_id_is_taken_over_by_its_login(world: Any) -> None:
    first, _ = connect(world, "login:a\nclient-id:me\n")
    named = "activemq.subscriptionName:n\n"
    first.subscribe("/topic/a", "client", more=named)
    first.publish("/topic/a", b"1")
    first.read()
    second, reply = connect(world, "login:a\nclient-id:me\n")
    assert reply.command == "CONNECTED" and first.state == "connected"
    # Another name, and the same by who says his client-id with SUBSCRIBE, are nobody's to take.
    second.subscribe("/topic/a", more="activemq.subscriptionName:other\n", id="other")
    stranger = world.connect("1.2")
    stranger.subscribe("/topic/a", more=named + "client-id:me\n")
    stranger.session.lost()
    assert (first.state, first.read()) == ("connected", [])
    second.subscribe("/topic/a", more=named)
    (error,) = first.read()
    assert (error.command, first.state) == ("ERROR", "failed")
    assert "took over" in error["message"]
    assert second.messages() == [b"1"]
    first.session.lost()
    second.session.lost()
    assert world.roster.holders == 0 and not world.broker.memory.subscriptions.used
    assert world.roster.clients("me") == []


def test_who_is_leaving_has_no_client_id_any_more(world: Any) -> None:
    first, _ = connect(world, "login:a\nclient-id:me\n")
    first.send(b"DISCONNECT\nreceipt:bye\n\n\0")
    second, reply = connect(world, "login:b\nclient-id:me\n")
    assert reply.command == "CONNECTED"
    assert [answer.command for answer in first.read()] == ["RECEIPT"]
    first.session.lost()
    assert world.roster.clients("me") == [second.session]


def test_a_client_id_of_another_login_is_refused(world: Any) -> None:
    first, _ = connect(world, "login:a\nclient-id:me\n")
    second, reply = connect(world, "login:b\nclient-id:me\n")
    assert (reply.command, second.state, first.state) == ("ERROR", "failed", "connected")
    second.session.lost()
    first.session.lost()
    assert connect(world, "login:b\nclient-id:me\n")[1].command == "CONNECTED"


def test_a_client_id_is_checked_after_the_login(new_world: Callable[..., Any]) -> None:
    world = new_world(authenticate=True)
    frame = b"CONNECT\naccept-version:1.2\nhost:h\nlogin:%b\npasscode:p\nclient-id:me\n\n\0"
    first, thief, wrong = (world.stranger() for _ in range(3))
    for peer, login, found in ((first, b"a", "a"), (thief, b"a", None), (wrong, b"b", "b")):
        peer.send(frame % login)
        peer.session.authenticated(Principal(found) if found else None, peer.now)
    assert [peer.state for peer in (first, thief, wrong)] == ["connected", "failed", "failed"]


# SEND: time


@pytest.mark.parametrize(
    ("headers", "expires"),
    [
        (f"expires:{NOW + 5}", NOW + 5),
        (f"expires:{NOW + 5}.0", NOW + 5),
        ("expires:0", 0),
        ("ttl:1000", NOW + 1000),
        ("ttl:0", 0),
        ("expiration:1000", NOW + 1000),
        ("x-message-ttl:1000", NOW + 1000),
        (f"expires:{NOW + 500}\nttl:1000", NOW + 500),
        (f"expires:{NOW + 5000}\nttl:1000", NOW + 1000),
        ("expires:0\nttl:1000", NOW + 1000),
        ("ttl:3000\nexpiration:2000\nx-message-ttl:1000", NOW + 1000),
    ],
)
def test_when_a_message_expires(world: Any, headers: str, expires: int) -> None:
    assert kept(world, headers).expires == expires


@pytest.mark.parametrize(
    "name", ["expires", "ttl", "expiration", "x-message-ttl", "x-delay", "AMQ_SCHEDULED_TIME"]
)
@pytest.mark.parametrize(
    ("value", "problem"), [("soon", "not a number"), ("-5", "negative"), ("", "not a number")]
)
def test_a_time_that_is_none_is_an_error(world: Any, name: str, value: str, problem: str) -> None:
    error = world.connect("1.2").fails(
        f"SEND\ndestination:/queue/a\n{name}:{value}\nreceipt:r\n\nx\0".encode()
    )
    assert problem in error["message"]
    assert name in error["message"]
    assert error["receipt-id"] == "r"


def test_headers_about_time_are_passed_on(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a")
    peer.send(
        f"SEND\ndestination:/queue/a\nexpires:{NOW + 9}\npriority:7\npersistent:false\nttl:9\n\nx\0".encode()
    )
    (message,) = peer.read()
    for name, value in (("expires", str(NOW + 9)), ("priority", "7"), ("persistent", "false"), ("ttl", "9")):
        assert message[name] == value


@pytest.mark.parametrize(
    ("headers", "due"),
    [
        ("AMQ_SCHEDULED_DELAY:1000", NOW + 1000),
        ("x-delay:1000", NOW + 1000),
        (f"AMQ_SCHEDULED_TIME:{NOW + 2000}", NOW + 2000),
        (f"_AMQ_SCHED_DELIVERY:{NOW + 2000}", NOW + 2000),
        ("AMQ_SCHEDULED_DELAY:1000\nAMQ_SCHEDULED_PERIOD:500\nAMQ_SCHEDULED_REPEAT:3", NOW + 1000),
    ],
)
@pytest.mark.parametrize("transaction", [False, True])
def test_a_message_for_later(world: Any, headers: str, due: int, transaction: bool) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a")
    more = "transaction:t\n" if transaction else ""
    peer.send(f"BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\n{headers}\n{more}\nx\0".encode())
    peer.send(b"COMMIT\ntransaction:t\n\n\0")
    assert [entry.due for entry in world.broker.schedule.entries.values()] == [due]
    world.broker.tick(due - 1)
    assert peer.read() == []
    world.broker.tick(due)
    (message,) = peer.read()
    assert message.body == b"x"
    assert not [name for name, _ in message.headers if "SCHED" in name or name == "x-delay"]


def test_the_life_of_a_message_for_later_begins_then(world: Any) -> None:
    peer = world.connect("1.2")
    peer.send(b"SEND\ndestination:/queue/a\nx-delay:1000\nttl:50\n\nx\0")
    world.broker.tick(NOW + 1000)
    assert [message.expires for message in waiting(world)] == [NOW + 1050]


def test_no_delay_is_now(world: Any) -> None:
    assert kept(world, "x-delay:0").body == b"x"


@pytest.mark.parametrize(
    "headers",
    [
        "AMQ_SCHEDULED_CRON:every day",
        "AMQ_SCHEDULED_REPEAT:-1",
        "AMQ_SCHEDULED_REPEAT:some\nAMQ_SCHEDULED_PERIOD:5",
        "AMQ_SCHEDULED_PERIOD:often",
    ],
)
@pytest.mark.parametrize("transaction", [False, True])
def test_a_schedule_that_cannot_be_kept_is_an_error(world: Any, headers: str, transaction: bool) -> None:
    more = "transaction:t\n" if transaction else ""
    peer = world.connect("1.2")
    peer.fails(f"BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\n{headers}\n{more}\nx\0".encode())
    assert not world.broker.schedule.entries
    assert not world.broker.queues


# SEND: order and content


@pytest.mark.parametrize("name", ["persistent", "persist"])
@pytest.mark.parametrize("value", ["true", "True", "1", "false", "False", "0"])
def test_what_need_not_survive(world: Any, name: str, value: str) -> None:
    assert kept(world, f"{name}:{value}").persistent is (value in ("true", "True", "1"))


@pytest.mark.parametrize(
    ("value", "priority", "tolerated"),
    [
        ("0", 0, {}),
        ("9", 9, {}),
        (" 4 ", 4, {}),
        ("10", 9, {"priority": 1}),
        ("255", 9, {"priority": 1}),
        ("-1", 0, {"priority": 1}),
        ("high", 4, {"priority": 1}),
    ],
)
def test_priorities(world: Any, value: str, priority: int, tolerated: dict[str, int]) -> None:
    assert kept(world, f"priority:{value}").priority == priority
    assert world.peers[-1].session.tolerated == tolerated


@pytest.mark.parametrize("name", ["JMSXGroupID", "message_group", "_AMQ_GROUP_ID"])
def test_message_groups(world: Any, name: str) -> None:
    message = kept(world, f"{name}:g\nJMSXGroupSeq:5")
    assert (message.group, message.headers[name]) == ("g", "g")
    assert not message.extras


@pytest.mark.parametrize("name", ["JMSXGroupID", "message_group", "_AMQ_GROUP_ID"])
def test_a_group_is_closed(world: Any, name: str) -> None:
    message = kept(world, f"{name}:g\nJMSXGroupSeq:-1")
    assert message.extras == {"group-close": "1"}


@pytest.mark.parametrize("name", dialect.DUPLICATE)
@pytest.mark.parametrize("destination", ["/queue/a", "/topic/a"])
def test_a_duplicate_is_answered_as_the_first(world: Any, name: str, destination: str) -> None:
    peer = world.connect("1.2")
    peer.subscribe(destination)
    for _ in range(2):
        peer.send(f"SEND\ndestination:{destination}\n{name}:7\nreceipt:r\n\nx\0".encode())
    assert sorted(reply.command for reply in peer.read()) == ["MESSAGE", "RECEIPT", "RECEIPT"]
    peer.send(f"SEND\ndestination:{destination}\n{name}:8\n\ny\0".encode())
    assert peer.messages() == [b"y"]


def test_only_the_last_value_waits(world: Any) -> None:
    for value in ("1", "2"):
        kept(world, f"_AMQ_LVQ_NAME:k\nvalue:{value}")
    assert [message.headers["value"] for message in waiting(world)] == ["2"]


@pytest.mark.parametrize("name", ["retain", "ActiveMQ.Retain"])
@pytest.mark.parametrize("value", ["set", "true", "last", "all", "1", "True"])
def test_a_topic_retains(world: Any, name: str, value: str) -> None:
    peer = world.connect("1.2")
    peer.send(f"SEND\ndestination:/topic/a\n{name}:{value}\n\nkept\0".encode())
    peer.subscribe("/topic/a", id="1")
    assert peer.messages() == [b"kept"]
    peer.send(f"SEND\ndestination:/topic/a\n{name}:remove\n\n\0".encode())
    peer.read()
    peer.subscribe("/topic/a", id="2")
    assert peer.messages() == []


def test_retain_needs_a_word_we_know(world: Any) -> None:
    error = world.connect("1.2").fails(b"SEND\ndestination:/topic/a\nretain:please\n\n\0")
    assert "unknown value" in error["message"]


def test_a_user_id_is_the_login(world: Any) -> None:
    peer, _ = connect(world, "login:alice\n")
    peer.subscribe("/queue/a")
    peer.send(b"SEND\ndestination:/queue/a\nuser-id:alice\n\nx\0")
    (message,) = peer.read()
    assert message["user-id"] == "alice"
    assert "login" in peer.fails(b"SEND\ndestination:/queue/a\nuser-id:bob\n\nx\0")["message"]
    world.connect("1.2").fails(b"SEND\ndestination:/queue/a\nuser-id:bob\n\nx\0")


PASSED_ON = [
    name
    for header in dialect.HEADERS
    if "SEND" in header.commands and header.does == dialect.PASSED
    for name in header.names
]


@pytest.mark.parametrize("name", PASSED_ON)
def test_what_is_passed_on(world: Any, name: str) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a")
    peer.send(f"SEND\ndestination:/queue/a\n{name}:some value\n\nx\0".encode())
    (message,) = peer.read()
    assert message[name] == "some value"


def test_the_time_and_the_login_by_policy(new_world: Callable[..., Any]) -> None:
    policies = Policies([(Pattern("/queue/marked.>"), {"timestamp": True, "user": True})])
    world = new_world(Rules(policies=policies))
    world.broker.clock.now = NOW
    peer, _ = connect(world, "login:al:ice\n")
    for name in ("/queue/marked.a", "/queue/a"):
        peer.subscribe(name, id=name)
    peer.send(b"SEND\ndestination:/queue/marked.a\nJMSXUserID:bob\n\nx\0SEND\ndestination:/queue/a\n\nx\0")
    marked, plain = peer.read()
    assert (marked["timestamp"], marked["JMSXUserID"]) == (str(NOW), "al\\cice")
    assert not plain.has("timestamp")
    assert not plain.has("JMSXUserID")
    nobody = world.connect("1.2")
    nobody.send(b"SEND\ndestination:/queue/marked.a\nJMSXUserID:bob\n\nx\0")
    (message,) = peer.read()
    assert not message.has("JMSXUserID")


@pytest.mark.parametrize("name", ["delivery-count", "JMSXDeliveryCount", "redelivered", "browser"])
def test_what_only_we_say_is_not_passed_on(world: Any, name: str) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a")
    peer.send(f"SEND\ndestination:/queue/a\n{name}:9\n\nx\0".encode())
    (message,) = peer.read()
    assert not message.has(name)


def test_what_is_never_sent(world: Any) -> None:
    never = {
        header
        for entry in dialect.HEADERS
        if entry.does == dialect.IGNORED and set(entry.commands) <= {"MESSAGE", "ERROR"}
        for header in entry.names
    }
    assert never
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", "client")
    peer.subscribe("/queue/dead", id="d")
    peer.send(b"SEND\ndestination:/queue/a\nJMSXGroupID:g\n\nx\0")
    settled(peer, "requeue:false\n")
    (dead,) = peer.read()
    error = peer.fails(b"NONSENSE\n\n\0")
    assert never.isdisjoint(name for name, _ in (*dead.headers, *error.headers) if name != "subscription")
    assert not error.has("subscription")


# Properties of queues


@pytest.mark.parametrize(
    ("header", "option", "value"),
    [
        ("x-message-ttl:1000", "ttl", 1000),
        ("x-max-length:5", "max_messages", 5),
        ("x-max-length:5", "overflow", "drop-head"),
        ("x-max-length-bytes:5000", "max_bytes", 5000),
        ("x-max-length:5\nx-overflow:reject-publish", "overflow", "reject"),
        ("x-overflow:reject-publish-dlx", "overflow", "dead-letter"),
        ("x-dead-letter-routing-key:dead.a", "deadletter", "/queue/dead.a"),
        ("x-expires:60000", "idle_expiry", 60000),
        ("x-max-priority:0", "max_priority", 0),
        ("x-max-priority:31", "max_priority", 31),
        ("x-single-active-consumer:true", "exclusive", True),
        ("auto-delete:true", "auto_delete", True),
    ],
)
@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE"])
def test_the_first_frame_gives_a_queue_its_properties(
    world: Any, command: str, header: str, option: str, value: object
) -> None:
    peer = world.connect("1.2")
    receipt = peer.get(f"{command}\nid:1\ndestination:/queue/a\n{header}\nreceipt:r\n\n\0".encode())
    assert not receipt.has("warning")
    assert getattr(world.broker.queues["/queue/a"].policy, option) == value


@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE"])
def test_a_queue_in_use_keeps_its_properties(world: Any, command: str) -> None:
    """A warning where a receipt is wanted, and in the log; never the end of the connection (rabbitmq-stomp#16)."""
    peer, other = world.connect("1.2"), world.connect("1.2")
    peer.subscribe("/queue/a", "client", more="x-max-length:5\n")
    for value, warned in (("5", False), ("6", True)):
        frame = f"{command}\nid:{value}\ndestination:/queue/a\nx-max-length:{value}\nreceipt:r\n\n\0"
        receipt = other.get(frame.encode())
        assert receipt.has("warning") is warned
    assert "max-messages" in receipt["warning"]
    assert receipt["warning"] in [event.text for event in other.events(Warned)]
    assert world.broker.queues["/queue/a"].policy.max_messages == 5
    assert not other.get(b"SEND\ndestination:/queue/b\nreceipt:r\n\n\0").has("warning")


def test_a_client_raises_no_limit_of_the_server(new_world: Callable[..., Any]) -> None:
    world = new_world(Rules(policies=Policies([(Pattern("/queue/>"), {"max_messages": 3})])))
    peer = world.connect("1.2")
    for value, warned, limit in (("2", False, 2), ("3000", True, 3)):
        frame = f"SEND\ndestination:/queue/{value}\nx-max-length:{value}\nreceipt:r\n\n\0".encode()
        assert peer.get(frame).has("warning") is warned
        assert world.broker.queues["/queue/" + value].policy.max_messages == limit
    world.broker.adjust(Rules(policies=Policies([(Pattern("/queue/>"), {"max_messages": 1})])))
    assert [world.broker.queues["/queue/" + value].policy.max_messages for value in ("2", "3000")] == [1, 1]
    world.broker.adjust(Rules())
    assert [world.broker.queues["/queue/" + value].policy.max_messages for value in ("2", "3000")] == [
        2,
        3000,
    ]


def test_a_send_to_more_new_queues_than_there_may_be_makes_none_of_them(new_world: Any) -> None:
    world = new_world(Rules(max_queues=2))
    send = b"SEND\ndestination:%b\nx-max-length:5\nreceipt:r\n\n\0"
    fault = world.connect("1.2").fails(send % b"/queue/a,/queue/b,/queue/c")
    assert fault["message"] == "Too many queues"
    assert not world.broker.queues
    world.connect("1.2").get(send % b"/queue/a,/queue/b")
    assert sorted(world.broker.queues) == ["/queue/a", "/queue/b"]


@pytest.mark.parametrize(
    "header",
    [
        "x-max-length:many",
        "x-max-length:0",
        "x-max-priority:256",
        "x-max-priority:32",
        "x-max-priority:-1",
        "x-overflow:burst",
    ],
)
def test_a_property_that_cannot_be_had_is_a_warning(world: Any, header: str) -> None:
    receipt = world.connect("1.2").get(f"SEND\ndestination:/queue/a\n{header}\nreceipt:r\n\n\0".encode())
    assert header.partition(":")[0] in receipt["warning"]


@pytest.mark.parametrize("name", dialect.NO_PROPERTIES)
def test_properties_that_have_no_meaning_here(world: Any, name: str) -> None:
    peer = world.connect("1.2")
    assert not peer.get(f"SEND\ndestination:/queue/a\n{name}:7\nreceipt:r\n\nx\0".encode()).has("warning")
    peer.subscribe("/queue/a", more=f"{name}:7\n")
    (message,) = peer.read()
    assert message[name] == "7"


# SUBSCRIBE


@pytest.mark.parametrize(
    "text", ["kind = 'a'", "convert_string_expressions:kind = 'a'", "hyphenated_props:kind='a'"]
)
def test_a_selector(world: Any, text: str) -> None:
    peer = world.connect("1.1")
    peer.subscribe("/queue/a", more=f"selector:{text}\n")
    peer.send(b"SEND\ndestination:/queue/a\nkind:b\n\n1\0SEND\ndestination:/queue/a\nkind:a\n\n2\0")
    assert peer.messages() == [b"2"]


def test_a_selector_that_is_none(world: Any) -> None:
    world.connect("1.2").fails(b"SUBSCRIBE\nid:1\ndestination:/queue/a\nselector:kind = \n\n\0")


@pytest.mark.parametrize("header", ["selector:", "selector: "])
def test_an_empty_selector_selects_all(world: Any, header: str) -> None:
    assert subscription(world, header).wish.selector is None


@pytest.mark.parametrize("name", dialect.PREFETCH)
def test_prefetch(world: Any, name: str) -> None:
    assert subscription(world, f"{name}:7").wish.prefetch == 7


@pytest.mark.parametrize(
    ("header", "prefetch", "window"),
    [
        ("consumer-window-size:5000", 100, 5000),
        ("consumer-window-size:-1", 100, 0),
        ("consumer-window-size:0", 1, 0),
        ("credit:5,2000", 5, 2000),
        ("credit:5", 5, 0),
    ],
)
def test_prefetch_in_bytes(world: Any, header: str, prefetch: int, window: int) -> None:
    made = subscription(world, header).wish
    assert (made.prefetch, made.window) == (prefetch, window)


@pytest.mark.parametrize("header", ["consumer-window-size:1 MB", "credit:5,many"])
def test_bytes_that_are_no_number(world: Any, header: str) -> None:
    error = world.connect("1.2").fails(f"SUBSCRIBE\nid:1\ndestination:/queue/a\n{header}\n\n\0".encode())
    assert "not a number" in error["message"]


@pytest.mark.parametrize(
    ("connected", "headers", "queue"),
    [
        *[("client-id:me", f"{name}:news", "/dsub/me.news") for name in dialect.DURABLE_NAME],
        ("", "activemq.subscriptionName:news\nclient-id:me", "/dsub/me.news"),
        ("", "activemq.subscriptionName:news", "/dsub/.news"),
        ("", "durable:true", "/dsub/s/topic/a"),
        ("", "durable:True\nauto-delete:false", "/dsub/s/topic/a"),
        ("client-id:me", "persistent:true", "/dsub/s"),
        ("", "persistent:1", "/dsub/s"),
        ("", "durable:false", ""),
        ("", "persistent:false", ""),
        ("", "x-queue-name:news\ndurable:true", "/queue/news"),
        ("", "x-queue-name:news", "/queue/news"),
    ],
)
def test_durable_subscriptions(world: Any, connected: str, headers: str, queue: str) -> None:
    peer, _ = connect(world, connected + "\n" if connected else "")
    peer.subscribe("/topic/a", more=headers + "\n")
    made = peer.session.subscriptions["s"].wish
    assert ("" if made.durable is None else made.durable.queue) == queue
    assert made.auto_delete is (headers == "x-queue-name:news")
    assert list(world.broker.queues) == ([queue] if queue else [])


@pytest.mark.parametrize(
    "header", ["durable:true", "persistent:true", "activemq.subscriptionName:x", "x-queue-name:x"]
)
def test_a_subscription_to_a_queue_is_never_durable(world: Any, header: str) -> None:
    assert subscription(world, header).wish.durable is None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_durable_subscription_without_any_name(world: Any, version: str) -> None:
    peer = world.connect(version)
    assert "id" in peer.fails(b"SUBSCRIBE\ndestination:/topic/a\ndurable:true\n\n\0")["message"]


@pytest.mark.parametrize(
    "headers",
    [
        "activemq.subscriptionName:s",
        "durable-subscription-name:s",
        "durable-subscriber-name:s",
        "durable:true",
        "persistent:true",
        "x-queue-name:s\ndurable:true",
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_a_durable_subscription_is_deleted(world: Any, headers: str, again: bool) -> None:
    """By UNSUBSCRIBE with its name, on the connection that has it or on a later one."""
    peer = world.connect("1.2")
    peer.subscribe("/topic/a", more=headers + "\n")
    peer.publish("/topic/a", b"1")
    assert peer.messages() == [b"1"]
    if again:
        peer.get(b"UNSUBSCRIBE\nid:s\nreceipt:r\n\n\0")
        assert len(world.broker.queues) == 1
        peer.session.lost()
        peer = world.connect("1.2")
    peer.get(f"UNSUBSCRIBE\nid:s\n{headers}\nreceipt:r\n\n\0".encode())
    assert not world.broker.queues


def test_unsubscribing_a_queue_does_not_delete_what_has_its_id(world: Any) -> None:
    peer, other = world.connect("1.2"), world.connect("1.2")
    other.subscribe("/topic/a", more="durable:true\n")
    other.session.lost()
    peer.subscribe("/queue/a", more="durable:true\n")
    peer.get(b"UNSUBSCRIBE\nid:s\ndurable:true\nreceipt:r\n\n\0")
    assert "/dsub/s/topic/a" in world.broker.queues


def test_the_queue_of_a_durable_subscription(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/topic/a", more="durable:true\n")
    peer.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    peer.publish("/topic/a", b"1")
    peer.subscribe("/dsub/s")
    assert peer.messages() == [b"1"]


@pytest.mark.parametrize(
    ("header", "destination", "exclusive"),
    [
        ("exclusive:true", "/queue/a", True),
        ("exclusive:true", "/topic/a", False),
        ("exclusive:false", "/queue/a", False),
        ("activemq.exclusive:true", "/queue/a", True),
    ],
)
def test_exclusive_consumers(world: Any, header: str, destination: str, exclusive: bool) -> None:
    assert subscription(world, header, destination).wish.exclusive is exclusive


@pytest.mark.parametrize("name", dialect.PRIORITY)
def test_consumer_priority(world: Any, name: str) -> None:
    low, high = world.connect("1.2"), world.connect("1.2")
    low.subscribe("/queue/a", "client", more=f"{name}:1\n")
    high.subscribe("/queue/a", "client", more=f"{name}:2\n")
    low.publish("/queue/a", b"1", b"2")
    assert (low.messages(), high.messages()) == ([], [b"1", b"2"])


@pytest.mark.parametrize("name", dialect.NO_LOCAL)
@pytest.mark.parametrize("how", ["plain", "composite", "transaction"])
def test_no_local(world: Any, name: str, how: str) -> None:
    peer, other = world.connect("1.2"), world.connect("1.2")
    peer.subscribe("/topic/a", more=f"{name}:true\n")
    other.subscribe("/topic/a")
    more = "transaction:t\n" if how == "transaction" else ""
    destination = "/topic/a,/topic/b" if how == "composite" else "/topic/a"
    peer.send(f"BEGIN\ntransaction:t\n\n\0SEND\ndestination:{destination}\n{more}\nx\0".encode())
    peer.send(b"COMMIT\ntransaction:t\n\n\0")
    assert (peer.messages(), other.messages()) == ([], [b"x"])


@pytest.mark.parametrize(
    "name", ["activemq.dispatchAsync", "activemq.optimizedAcknowledge", "transformation"]
)
def test_options_that_have_no_meaning_here(world: Any, name: str) -> None:
    assert subscription(world, f"{name}:true").consumer.tolerated == {}


def test_the_limit_of_a_slow_subscriber(world: Any) -> None:
    assert subscription(world, "activemq.maximumPendingMessageLimit:50", "/topic/a").wish.pending == 50


def test_a_browser_sees_all_and_takes_nothing(world: Any) -> None:
    for version in VERSIONS:
        peer = world.connect(version)
        peer.publish("/queue/a", b"1")
        peer.subscribe("/queue/a", "client", more="browser:true\n")
        *messages, end = peer.read()
        assert {message.body for message in messages} == {b"1"}
        assert (end["browser"], end["subscription"], end["destination"], end.body) == (
            "end",
            "s",
            "/queue/a",
            b"",
        )
        for message in (*messages, end):
            name = (
                f"id:{message['ack']}"
                if version == "1.2"
                else f"message-id:{message['message-id']}\nsubscription:s"
            )
            peer.send(f"ACK\n{name}\n\n\0".encode())
        assert peer.state == "connected"
    assert len(waiting(world)) == 3


def test_a_browser_that_follows(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", more="browser:true\nbrowser-end:false\n")
    peer.read()
    peer.publish("/queue/a", b"1")
    assert peer.messages() == [b"1"]
    assert len(waiting(world)) == 1


@pytest.mark.parametrize(
    ("header", "replay"),
    [
        ("x-stream-offset:first", "first"),
        ("x-stream-offset:offset=5", "offset=5"),
        ("x-stream-offset:-10m", "-10m"),
        ("from-seq:0", "first"),
        ("from-seq:-1", "next"),
        ("from-seq:17", "17"),
    ],
)
def test_where_a_replay_starts(world: Any, header: str, replay: str) -> None:
    assert subscription(world, header, "/topic/a").wish.replay == replay


def test_a_replay_shows_offsets(new_world: Callable[..., Any]) -> None:
    world = new_world(Rules(policies=Policies([(Pattern("/topic/a"), {"history_messages": 10})])))
    world.broker.clock.now = NOW
    peer = world.connect("1.2")
    peer.publish("/topic/a", b"1", b"2")
    peer.subscribe("/topic/a", more="x-stream-offset:first\n")
    offsets = [int(message["x-stream-offset"]) for message in peer.read()]
    assert len(offsets) == 2
    assert offsets[0] < offsets[1]
    peer.subscribe("/topic/a", id="again", more=f"x-stream-offset:offset={offsets[1]}\n")
    assert peer.messages() == [b"2"]
    late = world.connect("1.2")
    late.subscribe("/topic/a", more="activemq.retroactive:true\n")
    assert late.messages() == [b"1", b"2"]


def test_a_queue_has_no_replay(world: Any) -> None:
    receipt = world.connect("1.2").get(
        b"SUBSCRIBE\nid:1\ndestination:/queue/a\nx-stream-offset:first\nreceipt:r\n\n\0"
    )
    assert "x-stream-offset" in receipt["warning"]


@pytest.mark.parametrize("name", ["auto-delete", "temp"])
def test_a_queue_that_goes_with_its_last_subscription(world: Any, name: str) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", more=f"{name}:true\n")
    assert "/queue/a" in world.broker.queues
    peer.send(b"UNSUBSCRIBE\nid:s\n\n\0")
    assert "/queue/a" not in world.broker.queues


# Redelivery


@pytest.mark.parametrize(
    ("headers", "options"),
    [
        ("activemq.maximumRedeliveries:3", {"max_redeliveries": 3}),
        ("activemq.maximumRedeliveries:-1", {"max_redeliveries": 0}),
        ("activemq.maximumRedeliveries:0", {"max_redeliveries": -1}),
        ("activemq.redeliveryDelay:500", {"redelivery_delay": 500}),
        ("activemq.initialRedeliveryDelay:700\nactivemq.redeliveryDelay:500", {"redelivery_delay": 700}),
        ("activemq.maximumRedeliveryDelay:9000", {"max_redelivery_delay": 9000}),
        ("activemq.useExponentialBackOff:true", {"redelivery_multiplier": 5.0}),
        (
            "activemq.useExponentialBackOff:true\nactivemq.backOffMultiplier:1.5",
            {"redelivery_multiplier": 1.5},
        ),
        ("activemq.backOffMultiplier:2", {"redelivery_multiplier": 2.0}),
        (
            "activemq.useExponentialBackOff:false\nactivemq.backOffMultiplier:2",
            {"redelivery_multiplier": 1.0},
        ),
        ("activemq.collisionAvoidancePercent:15", {"redelivery_jitter": 0.15}),
    ],
)
def test_a_redelivery_of_ones_own(world: Any, headers: str, options: dict[str, object]) -> None:
    made = subscription(world, headers).wish
    assert {name: getattr(made.policy, name) for name in options} == options
    assert subscription(world, "x:y").wish.policy is None


@pytest.mark.parametrize("header", ["activemq.backOffMultiplier:twice", "activemq.maximumRedeliveries:few"])
def test_a_redelivery_that_cannot_be_had(world: Any, header: str) -> None:
    error = world.connect("1.2").fails(f"SUBSCRIBE\nid:1\ndestination:/queue/a\n{header}\n\n\0".encode())
    assert "not a number" in error["message"]


@pytest.mark.parametrize(("limit", "deliveries"), [(0, 1), (2, 3)])
def test_a_maximum_of_ones_own(world: Any, limit: int, deliveries: int) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", "client", more=f"activemq.maximumRedeliveries:{limit}\n")
    peer.publish("/queue/a", b"x")
    for _ in range(deliveries):
        settled(peer, "")
    assert peer.read() == []
    assert [message.body for message in waiting(world, "/queue/dead")] == [b"x"]


def test_the_count_of_deliveries(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", "client")
    peer.publish("/queue/a", b"x")
    for count in (1, 2, 3):
        (message,) = peer.read()
        assert message.has("redelivered") is (count > 1)
        if count > 1:
            assert message["delivery-count"] == message["JMSXDeliveryCount"] == str(count)
        peer.send(f"NACK\nid:{message['ack']}\n\n\0".encode())


def test_a_dead_letter_that_comes_again_has_each_header_once(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", "client")
    peer.publish("/queue/a", b"x")
    settled(peer, "requeue:false\n")
    peer.subscribe("/queue/dead", "client", id="d")
    (letter,) = peer.read()
    peer.send(f"NACK\nid:{letter['ack']}\n\n\0".encode())
    (again,) = peer.read()
    names = [name for name, _ in again.headers]
    assert len(names) == len(set(names)), again.headers
    assert again["delivery-count"] == letter["delivery-count"]
    assert again["JMSXDeliveryCount"] == "2"


def test_a_refusal_with_a_reason(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", "client")
    peer.publish("/queue/a", b"x")
    settled(peer, "requeue:False\nreason:out of stock\n")
    peer.subscribe("/queue/dead", id="d")
    (message,) = peer.read()
    assert message["original-destination"] == "/queue/a"
    assert "out of stock" in [value for _, value in message.headers]


@pytest.mark.parametrize("transaction", [False, True])
def test_a_refusal_with_a_delay(world: Any, transaction: bool) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", "client")
    peer.publish("/queue/a", b"x")
    peer.send(b"BEGIN\ntransaction:t\n\n\0")
    settled(peer, "delay:500\n" + ("transaction:t\n" if transaction else ""))
    peer.send(b"COMMIT\ntransaction:t\n\n\0")
    world.broker.tick(NOW + 499)
    assert peer.read() == []
    world.broker.tick(NOW + 500)
    assert peer.messages() == [b"x"]


def test_an_ack_timeout(world: Any) -> None:
    """The message alone returns; the late ACK is no ERROR."""
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", "client", more="ack-timeout:1000\n")
    peer.publish("/queue/a", b"x")
    (late,) = peer.read()
    world.broker.tick(NOW + 1000)
    (again,) = peer.read()
    assert again["redelivered"] == "true"
    assert "ack-timeout" in peer.get(f"ACK\nid:{late['ack']}\nreceipt:r\n\n\0".encode())["warning"]
    assert peer.get(f"ACK\nid:{again['ack']}\nreceipt:r\n\n\0".encode()).headers == [("receipt-id", "r")]
    assert not waiting(world)


def test_a_warning_is_for_its_own_frame_only(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", "client")
    peer.send(b"SEND\ndestination:/queue/a\nx-max-length:5\n\n\0")
    peer.read()
    assert peer.events(Warned)
    assert not peer.get(b"SEND\ndestination:/queue/b\nreceipt:r\n\n\0").has("warning")


def test_a_touch_extends_the_ack_timeout(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", "client", more="ack-timeout:1000\n")
    peer.publish("/queue/a", b"x")
    (message,) = peer.read()
    world.broker.tick(NOW + 900)
    peer.send(f"NACK\nid:{message['ack']}\ntouch:true\n\n\0".encode())
    world.broker.tick(NOW + 1899)
    assert peer.read() == []
    world.broker.tick(NOW + 1900)
    assert peer.messages() == [b"x"]


def test_credit_of_an_ack_does_no_harm(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", "client")
    peer.publish("/queue/a", b"x")
    settled(peer, "credit:1\n", "ACK")
    assert peer.state == "connected"
    assert not waiting(world)


# What is tolerated


TOLERATED_CASES = [
    ("command-case", "1.0", b"send\ndestination:/queue/a\n\n\0"),
    (
        "ack-of-auto",
        "1.0",
        b"SUBSCRIBE\ndestination:/queue/a\n\n\0SEND\ndestination:/queue/a\n\n\0ACK\nmessage-id:1\n\n\0",
    ),
    (
        "ack-by-message-id",
        "1.2",
        b"SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n\0SEND\ndestination:/queue/a\n\n\0ACK\nid:1\n\n\0",
    ),
    (
        "ack-words",
        "1.1",
        b"SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n\0SEND\ndestination:/queue/a\n\n\0ACK\nid:1\n\n\0",
    ),
    (
        "ack-again",
        "1.2",
        b"SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n\0SEND\ndestination:/queue/a\n\n\0"
        b"BEGIN\ntransaction:t\n\n\0" + 2 * b"ACK\nid:1-1\ntransaction:t\n\n\0",
    ),
    (
        "content-length",
        "1.2",
        b"BEGIN\ntransaction:t\ncontent-length:5\n\n\0",
    ),
    ("unsubscribe", "1.0", b"UNSUBSCRIBE\ndestination:/queue/a\n\n\0"),
    ("body", "1.2", b"BEGIN\ntransaction:t\n\nbody\0"),
    ("colon", "1.2", b"SEND\ndestination:/queue/a\nurl:http://x\n\n\0"),
    ("stray-octets", "1.2", b"\0\0SEND\ndestination:/queue/a\n\n\0"),
    ("priority", "1.2", b"SEND\ndestination:/queue/a\npriority:high\n\n\0"),
    ("truth", "1.2", b"SEND\ndestination:/queue/a\npersistent:maybe\n\n\0"),
    ("max-exceptions", "1.2", b"SEND\ndestination:/queue/a\nmax-exceptions:many\n\n\0"),
    ("group-sequence", "1.2", b"SEND\ndestination:/queue/a\nJMSXGroupID:g\nJMSXGroupSeq:last\n\n\0"),
    ("expired", "1.2", b"SEND\ndestination:/queue/a\nexpires:1700000000\n\n\0"),
    ("option", "1.2", b"SEND\ndestination:/queue/a?consumer.x=1\n\n\0"),
]


@pytest.mark.parametrize(
    ("kind", "version", "octets"), TOLERATED_CASES, ids=[kind for kind, _, _ in TOLERATED_CASES]
)
def test_a_protocol_error_is_tolerated_and_counted(
    world: Any, kind: str, version: str, octets: bytes
) -> None:
    peer = world.connect(version)
    peer.send(octets)
    assert peer.state == "connected", peer.read()
    peer.session.lost()
    (tolerated,) = peer.events(Tolerated)
    assert tolerated.times[kind] >= 1


TOLERATED_VALUES = {"priority", "truth", "max-exceptions", "group-sequence", "option"}


@pytest.mark.parametrize(
    "octets", [octets for kind, _, octets in TOLERATED_CASES if kind in TOLERATED_VALUES], ids=repr
)
def test_strict_tolerates_no_value(new_world: Callable[..., Any], octets: bytes) -> None:
    world = new_world(strict=True)
    world.broker.clock.now = NOW
    error = world.connect("1.2").fails(octets)
    assert "not taken" in error["message"]
    assert "strict" in error.body.decode()


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        ("no-host", b"CONNECT\naccept-version:1.2\n\n\0"),
        ("blanks", b"CONNECT\naccept-version:1.1, 1.2\nhost:h\n\n\0"),
        ("command-case", b"connect\n\n\0"),
    ],
)
def test_a_protocol_error_of_connect_is_counted(world: Any, kind: str, frame: bytes) -> None:
    peer = world.stranger()
    assert peer.ask(frame)[0].command == "CONNECTED"
    assert peer.session.tolerated == {kind: 1}


def test_every_sin_has_its_name_in_the_table() -> None:
    assert {*dialect.TOLERATED} == {"no-host", "blanks", *[kind for kind, _, _ in TOLERATED_CASES]}


def test_who_does_nothing_wrong_has_no_sins(world: Any) -> None:
    peer = world.connect("1.2")
    peer.subscribe("/queue/a", "client")
    peer.publish("/queue/a", b"x")
    settled(peer, "", "ACK")
    peer.session.lost()
    assert peer.events(Tolerated) == []
