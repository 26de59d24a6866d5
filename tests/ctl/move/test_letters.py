"""What of a message arrives, as octets: headers, escapes of each version, bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scripted import Heard, Wire


@pytest.fixture
def carried(scripted: Any, stompctl: Callable[..., Any]) -> Callable[..., Heard]:
    """``carried(message, old, new, *words)``: the SEND that comes of these octets, between two versions."""

    def carry(message: bytes, old: str = "1.2", new: str = "1.2", *words: str) -> Heard:
        heard: list[Heard] = []

        def sending(wire: Wire) -> None:
            wire.greet(old)
            wire.subscribed()
            wire.say(message)
            wire.expect("ACK")
            wire.goodbye()

        def taking(wire: Wire) -> None:
            wire.greet(new)
            heard.append(wire.expect("SEND"))
            wire.say(f"RECEIPT\nreceipt-id:{heard[0][1]['receipt']}\n\n\0")
            wire.expect("DISCONNECT")

        ended = stompctl(
            *("--from", f"stomp://127.0.0.1:{scripted(sending).port}", "--idle", "0.1", *words),
            *("--to", f"stomp://127.0.0.1:{scripted(taking).port}", "/queue/x"),
        )
        command, headers, body = heard[0]
        assert headers.pop("receipt")
        assert headers.pop("destination") == "/queue/x"
        carry.stderr = ended.stderr  # type: ignore[attr-defined]  # what one of the tests wants besides
        return command, headers, body

    return carry


HEAD = b"MESSAGE\nsubscription:move-0\nack:1\nmessage-id:ID:h-1\ndestination:/queue/x\n"


def test_headers_of_the_sender_go_and_those_of_the_old_broker_stay(carried: Callable[..., Heard]) -> None:
    _, headers, body = carried(
        HEAD
        + b"redelivered:true\nJMSXDeliveryCount:2\nx-delivery-count:1\ncontent-type:text/plain\ncorrelation-id:c-1\n"
        b"reply-to:/queue/answers\npriority:7\nexpires:4102444800000\ntimestamp:1700000000000\nuser-id:guest\n"
        b"persistent:true\nJMSXGroupID:g\nAMQ_SCHEDULED_DELAY:60000\nscheduledJobId:j\nmy-header:mine\n"
        b"destination-type:MULTICAST\ncontent-length:5\n\nhello\0"
    )
    assert body == b"hello"
    assert headers == {
        "content-type": "text/plain",
        "correlation-id": "c-1",
        "reply-to": "/queue/answers",
        "priority": "7",
        "expires": "4102444800000",
        "timestamp": "1700000000000",
        "JMSXGroupID": "g",
        "my-header": "mine",
        "persistent": "true",
        "content-length": "5",
    }


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (b"persistent:false\n", {"persistent": "false"}),
        (b"persist:false\n", {"persistent": "false"}),
        (b"", {"persistent": "true"}),
        (b"expires:0\n", {"persistent": "true"}),
        (b"reply-to:/temp-queue/a\n", {"original-reply-to": "/temp-queue/a", "persistent": "true"}),
        (b"reply-to:/reply-queue/a\n", {"reply-to": "/reply-queue/a", "persistent": "true"}),
    ],
)
def test_a_header(said: bytes, sent: dict[str, str], carried: Callable[..., Heard]) -> None:
    _, headers, _ = carried(HEAD + said + b"\nhello\0")
    # A text message of ActiveMQ has no length, and would be one of bytes with it.
    assert headers == sent


def test_a_body_with_nuls(carried: Callable[..., Heard]) -> None:
    body = bytes(range(256)) * 3
    _, headers, sent = carried(HEAD + b"content-length:768\n\n" + body + b"\0")
    assert (sent, headers["content-length"]) == (body, "768")


ESCAPES = {
    # old, new: the line as it comes, the name and value as they go on
    ("1.0", "1.0"): (rb"path:c:\new", "path", r"c:\new"),
    ("1.0", "1.1"): (rb"path:c:\new", "path", r"c\c\\new"),
    ("1.0", "1.2"): (rb"path:c:\new", "path", r"c\c\\new"),
    ("1.1", "1.2"): (rb"a\cb:1\n2\c3\\n", r"a\cb", r"1\n2\c3\\n"),
    ("1.2", "1.1"): (rb"a\cb:1\n2\c3\\n", r"a\cb", r"1\n2\c3\\n"),
    ("1.2", "1.2"): (rb"a:1\r\n2", "a", r"1\r\n2"),
}


@pytest.mark.parametrize("versions", ESCAPES, ids="-".join)
def test_escapes_are_those_of_each_side(versions: tuple[str, str], carried: Callable[..., Heard]) -> None:
    line, name, value = ESCAPES[versions]
    _, headers, _ = carried(HEAD + line + b"\n\nhello\0", *versions)
    assert headers == {name: value, "persistent": "true"}
    assert carried.stderr == ""  # type: ignore[attr-defined]  # see above


def test_what_the_new_version_cannot_say_is_told(carried: Callable[..., Heard]) -> None:
    _, headers, _ = carried(HEAD + rb"a:1\n2" + b"\n\nhello\0", "1.2", "1.0")
    assert headers["a"] == "1 2"
    assert "cannot say" in carried.stderr  # type: ignore[attr-defined]  # see above


def test_an_id_to_tell_doubles_by(carried: Callable[..., Heard]) -> None:
    first = carried(HEAD + b"a:b\n\nhello\0", "1.2", "1.2", "--dedup")[1]["dedup-id"]
    again = carried(
        HEAD.replace(b"ack:1", b"ack:2") + b"redelivered:true\na:b\n\nhello\0", "1.2", "1.2", "--dedup"
    )[1]["dedup-id"]
    # Brokers that count anew after a restart give another message the same id.
    other = carried(HEAD + b"a:b\n\nworld\0", "1.2", "1.2", "--dedup")[1]["dedup-id"]
    assert first == again != other
    own = carried(HEAD + b"_AMQ_DUPL_ID:17\n\nhello\0", "1.2", "1.2", "--dedup")[1]
    assert own == {"_AMQ_DUPL_ID": "17", "persistent": "true"}
