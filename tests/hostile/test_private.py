"""Private is private: what is below ``/user`` and what is temporary, what is made of it, and the monitor."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from typing import Any

import pytest

LIMIT = 30.0  # seconds after which a missing answer is a failure; never waited for when all is well
numbers = itertools.count(1)


class Client:
    """Literal octets out, frames in; bodies hold no NUL."""

    def __init__(self, port: int, login: str = "", more: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self.data = b""
        said = f"login:{login}\n" if login else ""
        self.send(f"CONNECT\naccept-version:1.2\nhost:h\n{said}{more}\n\0")
        command, self.session, _ = self.frame()
        assert command == "CONNECTED"

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def frame(self) -> tuple[str, dict[str, str], str]:
        """The next frame: command, headers as they are on the wire, body."""
        self.data = self.data.lstrip(b"\n")
        while b"\0" not in self.data:
            octets = self.socket.recv(65536)
            assert octets, "closed"
            self.data = (self.data + octets).lstrip(b"\n")
        frame, _, self.data = self.data.partition(b"\0")
        head, _, body = frame.decode().partition("\n\n")
        command, *lines = head.split("\n")
        return command, dict([line.split(":", 1) for line in lines]), body

    def ask(self, text: str) -> tuple[str, dict[str, str], str]:
        command, _, rest = text.partition("\n")
        self.send(f"{command}\nreceipt:r\n{rest}")
        return self.frame()

    def done(self, text: str) -> str:
        """Send a frame that is to get a RECEIPT; the warning in it."""
        command, headers, body = self.ask(text)
        assert command == "RECEIPT", (headers, body)
        return headers.get("warning", "")

    def fails(self, text: str) -> str:
        """Send a frame that is to get an ERROR; its message."""
        command, headers, _ = self.ask(text)
        assert command == "ERROR", (command, headers)
        return headers["message"]

    def bodies(self) -> list[str]:
        """The bodies of what came until now."""
        found = []
        self.send("SEND\ndestination:/topic/nobody.listens\nreceipt:end\n\n\0")
        while True:
            command, headers, body = self.frame()
            if command == "RECEIPT":
                return found
            assert command == "MESSAGE", headers
            found.append(body)

    def close(self) -> None:
        self.socket.close()


Connect = Callable[..., Client]


@pytest.fixture
def connect(closing: Callable[[Client], Client]) -> Connect:
    return lambda server, login="", more="": closing(Client(server.port, login, more))


@pytest.fixture(scope="module")
def server(start_shared_server: Any) -> Any:
    return start_shared_server()


@pytest.fixture
def name() -> str:
    return f"d{next(numbers)}"


def kept_for_alice(server: Any, connect: Connect, name: str, more: str = "") -> Client:
    """Alice's durable subscription to what is hers alone, with a message in it; she is not there."""
    alice = connect(server, "alice", more)
    alice.done(f"SUBSCRIBE\nid:{name}\ndestination:/user/topic/{name}\ndurable:true\n\n\0")
    alice.close()
    connect(server, "bob").done(f"SEND\ndestination:/user/alice/topic/{name}\n\nsecret\0")
    return connect(server, "alice", more)


THEFTS = (
    "SUBSCRIBE\nid:x\ndestination:/dsub/NAME\n\n\0",
    "SUBSCRIBE\nid:x\ndestination:/dsub/NAME\nbrowser:true\n\n\0",
    "SUBSCRIBE\nid:x\ndestination:/dsub/NAME/topic/=24=user/alice/NAME\n\n\0",
    "SUBSCRIBE\nid:x\ndestination:/topic/mine,/dsub/NAME/topic/=24=user/alice/NAME\n\n\0",
    "SUBSCRIBE\nid:NAME\ndestination:/topic/$user/alice/NAME\ndurable:true\n\n\0",
    "SUBSCRIBE\nid:x\ndestination:/topic/mine\nx-queue-name:$user/alice/NAME\n\n\0",
    "SUBSCRIBE\nid:x\ndestination:/queue/mine,/dsub/NAME\n\n\0",
    "UNSUBSCRIBE\nid:NAME\ndurable:true\n\n\0",
    "UNSUBSCRIBE\nid:x\nx-queue-name:NAME\n\n\0",
    "UNSUBSCRIBE\nid:x\ndurable-subscription-name:NAME\n\n\0",
    "UNSUBSCRIBE\nid:x\ndestination:/topic/mine::NAME\n\n\0",
    "UNSUBSCRIBE\nid:NAME\ndestination:/topic/$user/alice/NAME\ndurable:true\n\n\0",
    "SEND\ndestination:/dsub/NAME\n\nx\0",
)

OTHERS = (
    "SUBSCRIBE\nid:x\ndestination:/topic/mine::NAME\n\n\0",
    "SUBSCRIBE\nid:NAME\ndestination:/topic/mine\ndurable:true\n\n\0",
    "SUBSCRIBE\nid:NAME\ndestination:/topic/mine\npersistent:true\n\n\0",
    "SUBSCRIBE\nid:x\ndestination:/topic/mine\nx-queue-name:NAME\n\n\0",
    "SUBSCRIBE\nid:x\ndestination:/topic/mine\nactivemq.subscriptionName:NAME\n\n\0",
    "SUBSCRIBE\nid:x\ndestination:/topic/mine?durable-subscription-name=NAME\n\n\0",
    "SUBSCRIBE\nid:x\ndestination:/queue/NAME\n\n\0",
)
"""Other subscriptions with the same word in them."""


@pytest.mark.parametrize("other", OTHERS, ids=repr)
@pytest.mark.parametrize("mine", ["durable:true", "x-queue-name:NAME\ndurable:true"])
def test_whoever_has_the_same_word_has_another_subscription(
    server: Any, connect: Connect, name: str, other: str, mine: str
) -> None:
    """Also when he was there first."""
    eve, alice = connect(server, "eve"), connect(server, "alice")
    eve.done(other.replace("NAME", name))
    alice.done(f"SUBSCRIBE\nid:{name}\ndestination:/user/topic/{name}\n{mine.replace('NAME', name)}\n\n\0")
    connect(server, "bob").done(f"SEND\ndestination:/user/alice/topic/{name}\n\nsecret\0")
    assert alice.bodies() == ["secret"] and eve.bodies() == []


@pytest.mark.parametrize("theft", THEFTS, ids=repr)
@pytest.mark.parametrize("login", ["eve", ""])
def test_durable_subscriptions(server: Any, connect: Connect, name: str, login: str, theft: str) -> None:
    alice = kept_for_alice(server, connect, name)
    connect(server, login).fails(theft.replace("NAME", name))
    # It is still there, with what was in it.
    alice.done(f"SUBSCRIBE\nid:{name}\ndestination:/user/topic/{name}\ndurable:true\n\n\0")
    assert alice.bodies() == ["secret"]


def test_durable_subscriptions_while_they_are_in_use(server: Any, connect: Connect, name: str) -> None:
    alice = kept_for_alice(server, connect, name)
    alice.done(f"SUBSCRIBE\nid:{name}\ndestination:/user/topic/{name}\ndurable:true\n\n\0")
    for theft in THEFTS:
        connect(server, "eve").fails(theft.replace("NAME", name))
    assert alice.bodies() == ["secret"]


@pytest.mark.parametrize("pattern", ["/dsub/>", "/dsub/#", "/dsub/*", "/*/*", "/#", "/dsub/**", "/dsub.#"])
def test_patterns_of_durable_subscriptions(server: Any, connect: Connect, name: str, pattern: str) -> None:
    alice, eve = kept_for_alice(server, connect, name), connect(server, "eve")
    eve.send(f"SUBSCRIBE\nid:x\ndestination:{pattern}\n\n\0")
    connect(server).done(f"SEND\ndestination:/user/alice/topic/{name}\n\nmore\0")
    assert not {"secret", "more"}.intersection(eve.bodies())
    alice.done(f"SUBSCRIBE\nid:{name}\ndestination:/user/topic/{name}\ndurable:true\n\n\0")
    assert alice.bodies() == ["secret", "more"]


def test_its_own_login_does_all_of_that(server: Any, connect: Connect, name: str) -> None:
    alice = kept_for_alice(server, connect, name)
    alice.done(f"SUBSCRIBE\nid:x\ndestination:/dsub/{name}\n\n\0")
    assert alice.bodies() == ["secret"]
    alice.done("UNSUBSCRIBE\nid:x\n\n\0")
    alice.done(f"UNSUBSCRIBE\nid:{name}\ndurable:true\n\n\0")
    assert "no durable" in alice.fails(f"SUBSCRIBE\nid:x\ndestination:/dsub/{name}\n\n\0")


def test_durable_subscriptions_after_a_restart(start_server: Any, connect: Connect) -> None:
    server = start_server("-q", "lmdb")
    kept_for_alice(server, connect, "n")
    server.kill()
    server = start_server("-q", "lmdb", directory=server.directory)
    for theft in THEFTS:
        connect(server, "eve").fails(theft.replace("NAME", "n"))
    alice = connect(server, "alice")
    alice.done("SUBSCRIBE\nid:x\ndestination:/dsub/n\n\n\0")
    assert alice.frame()[2] == "secret"


def test_public_ones_are_everybodys(server: Any, connect: Connect, name: str) -> None:
    """As RabbitMQ and Artemis have it: they are shared by their names."""
    alice, eve = connect(server, "alice"), connect(server, "eve")
    alice.done(f"SUBSCRIBE\nid:{name}\ndestination:/topic/{name}\ndurable:true\n\n\0")
    alice.done(f"UNSUBSCRIBE\nid:{name}\n\n\0")
    eve.done(f"SEND\ndestination:/topic/{name}\n\nx\0")
    eve.done(f"SUBSCRIBE\nid:x\ndestination:/dsub/{name}\n\n\0")
    assert eve.bodies() == ["x"]


def test_a_temporary_topic_has_none(server: Any, connect: Connect, name: str) -> None:
    client = connect(server)
    assert "has no durable" in client.fails(
        f"SUBSCRIBE\nid:{name}\ndestination:/temp-topic/a\ndurable:true\n\n\0"
    )


PROPERTIES = "x-max-length:1\nx-overflow:reject-publish-dlx\nx-dead-letter-routing-key:eves\n"


@pytest.mark.parametrize(
    "way", ["/user/alice/queue/NAME", "/queue/$user/alice/NAME", "/queue/a,/user/alice/queue/NAME"]
)
def test_properties_of_anothers_queue(server: Any, connect: Connect, name: str, way: str) -> None:
    eve, bob, alice = connect(server, "eve"), connect(server, "bob"), connect(server, "alice")
    warning = eve.done(
        f"SEND\ndestination:{way.replace('NAME', name)}\n{PROPERTIES}auto-delete:true\n\nfirst\0"
    )
    assert "for those who may subscribe" in warning
    option = way.replace("NAME", name) + "?x-max-length=1&x-overflow=drop-head"
    assert "for those who may subscribe" in eve.done(f"SEND\ndestination:{option}\n\nsecond\0")
    bob.done(f"SEND\ndestination:/user/alice/queue/{name}\n\nthird\0")
    alice.done(f"SUBSCRIBE\nid:s\ndestination:/user/queue/{name}\n\n\0")
    assert alice.bodies() == ["first", "second", "third"]
    alice.done("UNSUBSCRIBE\nid:s\n\n\0")
    assert alice.done(f"SUBSCRIBE\nid:s\ndestination:/user/queue/{name}\n{PROPERTIES}\n\0") == ""


def test_properties_of_anothers_temporary_queue(server: Any, connect: Connect, name: str) -> None:
    alice, eve = connect(server, "alice"), connect(server, "eve")
    alice.done(f"SUBSCRIBE\nid:s\ndestination:/temp-queue/{name}\nack:client\nprefetch-count:1\n\n\0")
    session = alice.session["session"]
    for destination in (f"/remote-temp-queue/{session}/{name}", f"/queue/$temp/{session}/{name}"):
        for frame in (
            f"SUBSCRIBE\nid:s\ndestination:{destination}\n\n\0",
            f"SUBSCRIBE\nid:s\ndestination:{destination}\nbrowser:true\n\n\0",
        ):
            assert "somebody else's" in connect(server, "eve").fails(frame)
        assert "for those who may" in eve.done(f"SEND\ndestination:{destination}\nx-max-length:1\n\nx\0")
        assert "for those who may" in eve.done(f"SEND\ndestination:{destination}\nauto-delete:true\n\nx\0")
    eve.send(f"UNSUBSCRIBE\nid:s\ndestination:/queue/$temp/{session}/{name}\n\n\0")
    _, message, body = alice.frame()
    assert body == "x"
    alice.send(f"NACK\nid:{message['ack']}\n\n\0")
    assert alice.bodies() == ["x"]


def test_others_make_no_last_value_queue_of_it(server: Any, connect: Connect, name: str) -> None:
    eve, alice = connect(server, "eve"), connect(server, "alice")
    for body in ("1", "2"):
        warning = eve.done(f"SEND\ndestination:/user/alice/queue/{name}\n_AMQ_LVQ_NAME:k\n\n{body}\0")
        assert "last-value" in warning
    alice.done(f"SUBSCRIBE\nid:s\ndestination:/user/queue/{name}\n\n\0")
    assert alice.bodies() == ["1", "2"]
    alice.done("UNSUBSCRIBE\nid:s\n\n\0")
    for body in ("3", "4"):
        assert alice.done(f"SEND\ndestination:/user/queue/{name}\n_AMQ_LVQ_NAME:k\n\n{body}\0") == ""
    assert eve.done(f"SEND\ndestination:/user/alice/queue/{name}\n_AMQ_LVQ_NAME:k\n\n5\0") == ""
    alice.done(f"SUBSCRIBE\nid:s\ndestination:/user/queue/{name}\n\n\0")
    assert alice.bodies() == ["5"]


@pytest.mark.parametrize("more", ["", ",/user/queue/NAME", ",/queue/NAME"])
def test_others_make_no_duplicates_of_what_is_meant(
    server: Any, connect: Connect, name: str, more: str
) -> None:
    eve, bob, alice = connect(server, "eve"), connect(server, "bob"), connect(server, "alice")
    alice.done(f"SUBSCRIBE\nid:s\ndestination:/user/queue/{name}\n\n\0")
    destination = f"/user/alice/queue/{name}" + more.replace("NAME", name)
    eve.done(f"SEND\ndestination:{destination}\ndedup-id:1\n\nnoise\0")
    for body in ("meant", "again"):
        bob.done(f"SEND\ndestination:{destination}\ndedup-id:1\n\n{body}\0")
    assert alice.bodies() == ["noise", "meant"]
    # Where everybody has everything an id is one for all.
    reader = connect(server)
    reader.done(f"SUBSCRIBE\nid:s\ndestination:/queue/{name}\n\n\0")
    assert reader.bodies() == (["noise"] if "/queue/" in more[:8] else [])


@pytest.mark.parametrize(
    "key",
    [
        "monitor",
        "/queue/monitor",
        " monitor ",
        "mon%",
        "#",
        "a.*",
        "/queue/>",
        "/queue/",
        "/queue",
        "",
        "a{b*}",
    ],
)
def test_dead_letters_go_to_queues(server: Any, connect: Connect, name: str, key: str) -> None:
    queue = "/queue/itor" if key == "mon%" else f"/queue/{name}"
    client = connect(server)
    assert "x-dead-letter-routing-key" in client.done(
        f"SUBSCRIBE\nid:1\ndestination:{queue}\nack:client\nx-dead-letter-routing-key:{key}\n\n\0"
    )
    client.send(f"SEND\ndestination:{queue}\n\n{name}\0")
    client.send(f"NACK\nid:{client.frame()[1]['ack']}\nrequeue:false\n\n\0")
    client.done("SUBSCRIBE\nid:2\ndestination:/queue/deadletter\n\n\0")
    assert client.bodies() == [name]


# The monitor


@pytest.mark.parametrize(
    "frame",
    [
        "SEND\ndestination:/queue/monitor\n\nforged\0",
        "SEND\ndestination:queue://monitor\n\nforged\0",
        "SEND\ndestination:/amq/queue/monitor\n\nforged\0",
        "SEND\ndestination:/exchange/amq.direct/monitor\n\nforged\0",
        "SEND\ndestination:jms.queue.monitor\n\nforged\0",
        "SEND\ndestination:/queue/a,/queue/monitor\n\nforged\0",
        "SEND\ndestination:/queue/monitor?priority=1\n\nforged\0",
        "SEND\ndestination:/queue/monitor::monitor\n\nforged\0",
        "SEND\ndestination:monitor\ndestination-type:ANYCAST\n\nforged\0",
        "SEND\ndestination:/queue/monitor\nAMQ_SCHEDULED_DELAY:1\n\nforged\0",
        "SEND\ndestination:/queue/monitor\nx-max-length:1\n\nforged\0",
        "SEND\ndestination:/queue/monitor\nretain:set\n\nforged\0",
    ],
    ids=repr,
)
def test_nobody_sends_to_the_monitor(server: Any, connect: Connect, frame: str) -> None:
    assert "the server's own" in connect(server).fails(frame)


@pytest.mark.parametrize("action", ["queues", "durables", "schedule-list", "pause\nqueue:nothing"])
def test_answers_do_not_go_to_the_monitor(server: Any, connect: Connect, action: str) -> None:
    frame = f"SEND\ndestination:/queue/stompserver.management\naction:{action}\nreply-to:/queue/monitor\n\n\0"
    assert "the server's own" in connect(server).fails(frame)
    frame = (
        "SEND\ndestination:ActiveMQ.Scheduler.Management\nAMQ_SCHEDULER_ACTION:BROWSE\n"
        "reply-to:queue://monitor\n\n\0"
    )
    assert "the server's own" in connect(server).fails(frame)


@pytest.mark.parametrize("kind", ["memory", "lmdb"])
def test_the_monitor_stays(start_server: Any, connect: Connect, kind: str) -> None:
    """Whatever somebody tries to make a queue of its name, reports go on."""
    server = start_server("-q", kind, "--monitor-interval", "0.1")
    client = connect(server)
    client.done(
        "SUBSCRIBE\nid:1\ndestination:/queue/q\nack:client\nprefetch-count:9\n"
        "x-max-length:1\nx-overflow:reject-publish-dlx\nx-dead-letter-routing-key:monitor\n\n\0"
    )
    for _ in range(3):
        client.send("SEND\ndestination:/queue/q\n\nx\0")
        client.send(f"NACK\nid:{client.frame()[1]['ack']}\nrequeue:false\n\n\0")
    for action in ("pause", "resume", "purge", "delete", "redrive"):
        client.send(
            f"SEND\ndestination:/queue/stompserver.management\naction:{action}\nqueue:monitor\n"
            "reply-to:/temp-queue/answers\n\n\0"
        )
        assert '"error"' in client.frame()[2]
    if kind == "lmdb":
        server.kill()
        server = start_server("-q", kind, "--monitor-interval", "0.1", directory=server.directory)
        client = connect(server)
    client.done("SEND\ndestination:/queue/some\n\nx\0")
    client.done("SUBSCRIBE\nid:m\ndestination:/queue/monitor\n\n\0")
    for _ in range(2):
        _, headers, body = client.frame()
        assert headers["destination"] == "/queue/monitor" and body.startswith("Queue: /queue/")


def test_reports_do_not_name_what_is_private(start_server: Any, connect: Connect) -> None:
    """Who knows the name of a temporary queue can send to it, for example forged answers."""
    server = start_server("--monitor-interval", "0.1")
    alice = connect(server, "alice")
    for queue in ("/temp-queue/answers", "/user/queue/orders", "/queue/public"):
        alice.done(f"SUBSCRIBE\nid:{queue}\ndestination:{queue}\nack:client\n\n\0")
        alice.send(f"SEND\ndestination:{queue}\n\nx\0")
        alice.frame()
    eve = connect(server, "eve")
    eve.done("SUBSCRIBE\nid:m\ndestination:/queue/monitor\n\n\0")
    assert eve.frame()[2] == "Queue: /queue/public\nsize: 0\ndequeued: 0\nenqueued: 1\n\n"


def test_no_policy_makes_a_queue_of_the_monitor(start_server: Any, connect: Connect) -> None:
    """A pattern may do by the name of a queue what the configuration does not let it say."""
    server = start_server("--monitor-interval", "0.1")
    (server.directory / "stompserver.yaml").write_text("policies: {/queue/itor: {deadletter: /queue/mon%}}\n")
    server.stop()
    server = start_server("-C", "stompserver.yaml", "--monitor-interval", "0.1", directory=server.directory)
    client = connect(server)
    client.done("SUBSCRIBE\nid:1\ndestination:/queue/itor\nack:client\n\n\0")
    client.send("SEND\ndestination:/queue/itor\n\nx\0")
    client.send(f"NACK\nid:{client.frame()[1]['ack']}\nrequeue:false\n\n\0")
    client.done("SUBSCRIBE\nid:m\ndestination:/queue/monitor\n\n\0")
    assert client.frame()[2].startswith("Queue: /queue/")
