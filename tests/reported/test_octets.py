"""Reports about frames as octets: where they end, what escapes mean, what a body may hold."""

from __future__ import annotations

from typing import Any

import pytest

from stompserver.wire.parser import Limits


def test_an_escape_cut_between_two_packets(place: Any) -> None:
    """emqx/emqx#18495: escapes were read only when both octets came in one packet, and CRLF was refused."""
    client = place.connect()
    client.subscribe(place.queue)
    client.pieces(f"SEND\r\ndestination:{place.queue}\r\ncolour:a\\cb\\\\c\\n\r\n\r\nx\0")
    (frame,) = client.take(1)
    assert frame["colour"] == "a\\cb\\\\c\\n"


def test_nul_octets_in_a_counted_body(place: Any) -> None:
    """pcan/node-stomp-protocol#5: the first NUL ended the frame, whatever content-length said."""
    client = place.connect()
    client.subscribe(place.queue)
    client.send(f"SEND\ndestination:{place.queue}\ncontent-length:5\n\n\0a\0b\0\0")
    assert client.bodies(1) == ["\0a\0b\0"]


def test_a_body_is_not_escaped(place: Any) -> None:
    """pcan/node-stomp-protocol#16: colons and line ends of the body were escaped as if it were a header."""
    client = place.connect()
    client.subscribe(place.queue)
    client.publish(place.queue, 'a:b\\c\r\n{"n": "\\n"}')
    assert client.bodies(1) == ['a:b\\c\r\n{"n": "\\n"}']


def test_the_limit_is_for_one_body_and_not_for_all(new_world: Any) -> None:
    """vert-x3/vertx-stomp#19: sizes of bodies were added up, and a client was cut after many small messages."""
    peer = new_world(limits=Limits(100, 100, 1000)).connect("1.2")
    peer.subscribe("/queue/a")
    peer.publish("/queue/a", *[b"x" * 60] * 10)
    assert peer.messages() == [b"x" * 60] * 10


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_a_length_of_zero(place: Any, version: str) -> None:
    """vert-x3/vertx-stomp#84: SUBSCRIBE with content-length:0 ended in an exception."""
    client = place.connect(version)
    client.subscribe(place.queue, more="content-length:0\n")
    client.receipt(f"SEND\ndestination:{place.queue}\ncontent-length:0\n\n\0")
    (frame,) = client.take(1)
    assert (frame.body, frame["content-length"]) == ("", "0")


def test_a_body_without_length_in_many_packets(place: Any) -> None:
    """netty/netty#4248: a body without content-length that came in several packets was an error."""
    client = place.connect()
    client.subscribe(place.queue)
    client.pieces(f"SEND\ndestination:{place.queue}\n\nbody\0")
    assert client.bodies(1) == ["body"]


def test_a_length_counts_octets(place: Any) -> None:
    """stomp-js/stompjs#367: content-length was taken for characters, and the end of a text was missing."""
    client = place.connect()
    client.subscribe(place.queue)
    client.publish(place.queue, "£ € 𝄞 123")
    (frame,) = client.take(1)
    assert frame.body == "£ € 𝄞 123"
    assert frame["content-length"] == str(len(frame.body.encode()))


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_blanks_around_a_value(place: Any, version: str) -> None:
    """hozn/coilmq#81: blanks at the ends of header values were removed."""
    client = place.connect(version)
    client.subscribe(place.queue)
    client.publish(place.queue, "x", "colour:  red  \n")
    (frame,) = client.take(1)
    assert frame["colour"] == "  red  "


def test_a_colon_inside_a_value(place: Any) -> None:
    """rabbitmq/rabbitmq-stomp#3: a SUBSCRIBE whose selector had a colon in quotes was refused."""
    client = place.connect()
    client.subscribe(place.queue, more="selector:instance = 'instance:1'\n")
    client.publish(place.queue, "no", "instance:instance:2\n")
    client.publish(place.queue, "yes", "instance:instance:1\n")
    assert client.bodies(1) == ["yes"]


def test_a_carriage_return_has_an_escape_in_the_last_version_only(place: Any) -> None:
    """apache/activemq#731 (AMQ-8409): \\r was not turned back in 1.2, and must stay an error in 1.1."""
    client, old = place.connect(), place.connect("1.1")
    client.subscribe(place.queue)
    client.publish(place.queue, "x", "colour:a\\rb\n")
    assert client.take(1)[0]["colour"] == "a\\rb"
    old.send(f"SEND\ndestination:{place.queue}\ncolour:a\\rb\n\nx\0")
    assert old.error()["message"] == "Undefined escape \\\\r in a header"


def test_line_ends_between_frames(place: Any) -> None:
    """dejanb/stomp-php#16: line ends between two frames were taken for the next command."""
    client = place.connect()
    client.subscribe(place.queue)
    client.send(
        f"\n\r\n\n\nSEND\ndestination:{place.queue}\n\none\0\n\n\n\nSEND\ndestination:{place.queue}\n\ntwo\0\n"
    )
    assert client.bodies(2) == ["one", "two"]


def test_a_frame_ends_with_nul_and_one_line_end(place: Any) -> None:
    """rabbitmq/rabbitmq-stomp#38: a line end after the NUL, which PHP's extension waits for, was too much for a
    device.
    """
    client = place.visit("CONNECT\n\n\0DISCONNECT\nreceipt:r\n\n\0")
    octets = client.rest()
    assert octets.startswith(b"CONNECTED\n")
    assert octets.endswith(b"\n\n\0\n")
    assert octets.count(b"\0\n") == 2
    assert b"\0\n\n" not in octets


def test_the_first_of_two_headers_counts(place: Any) -> None:
    """rikulo/stomp#4: of a header that was there twice the last one was taken."""
    client = place.connect()
    client.subscribe(place.queue, more=f"destination:{place.queue}.other\n")
    client.publish(
        place.queue, "x", f"destination:{place.queue}.other\nreply-to:/queue/a\nreply-to:/queue/b\n"
    )
    (frame,) = client.take(1)
    assert frame["reply-to"] == "/queue/a"


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_a_header_without_a_value(place: Any, version: str) -> None:
    """stompgem/stomp#113: a header with nothing behind its colon broke the consumer's connection."""
    client = place.connect(version)
    client.subscribe(place.queue)
    client.publish(place.queue, "x", "colour:\n")
    assert client.take(1)[0]["colour"] == ""


def test_one_length_however_many_the_sender_said(place: Any) -> None:
    """apache/artemis#86: a MESSAGE could have content-length twice."""
    client = place.connect()
    client.subscribe(place.queue)
    for _ in range(30):  # the server learns how this producer says its headers
        client.send(f"SEND\ndestination:{place.queue}\ncontent-length:3\ncontent-length:2\n\nabc\0")
    for frame in client.take(30):
        assert [value for name, value in frame.headers if name == "content-length"] == ["3"]
        assert frame.body == "abc"


def test_a_large_message_arrives_whole(place: Any) -> None:
    """hornetq/hornetq#1132 (HORNETQ-1208): messages above some size could be neither sent nor received."""
    client = place.connect()
    body = "0123456789abcdef" * (1 << 16)
    client.publish(place.queue, body)
    client.subscribe(place.queue)
    assert client.bodies(1) == [body]


def test_a_body_where_none_may_be(place: Any) -> None:
    """hozn/coilmq#81: commands that have no body were taken with one."""
    client = place.connect()
    client.send(f"SUBSCRIBE\nid:0\ndestination:{place.queue}\n\nSEND\ndestination:{place.queue}\n\nx\0")
    client.nothing()


def test_a_message_larger_than_a_packet(place: Any) -> None:
    """emqx/emqx#6693: messages above 1,460 octets, the size of a packet, could not be parsed."""
    client = place.connect()
    client.subscribe(place.queue)
    for size in (1459, 1460, 1461, 2920, 70000):
        client.publish(place.queue, "x" * size)
    assert [len(body) for body in client.bodies(5)] == [1459, 1460, 1461, 2920, 70000]


def test_an_escape_that_means_nothing_is_told(place: Any) -> None:
    """rabbitmq/rabbitmq-web-stomp#121: an undefined escape crashed the connection without a word."""
    client = place.connect()
    client.send(f"SUBSCRIBE\nid:0\ndestination:{place.queue}\ncolour:a\\qb\nreceipt:r\n\n\0")
    error = client.error()
    assert error["message"] == "Undefined escape \\\\q in a header"


def test_a_frame_without_an_end(new_world: Any) -> None:
    """rabbitmq/rabbitmq-server#8802: a body without content-length could grow until memory was full."""
    peer = new_world(limits=Limits(1000, 100, 1000)).connect("1.2")
    peer.send(b"SEND\ndestination:/queue/a\n\n")
    for _ in range(10):
        peer.send(b"x" * 100)
    assert peer.read() == []
    (error,) = peer.ask(b"x")
    assert error["message"].startswith("Body too long")
    assert peer.session.closing


def test_an_error_arrives_whatever_is_still_on_its_way(place: Any) -> None:
    """rabbitmq/rabbitmq-server#6737: the connection was closed so soon that the ERROR before it got lost."""
    client = place.connect()
    more = f"SEND\ndestination:{place.queue}\n\n{'x' * 1000}\0" * 50
    client.send(f"SUBSCRIBE\nid:0\ndestination:{place.queue}\nack:wrong\n\n\0" + more)
    assert client.expect("ERROR")["message"] == "Unknown ack mode 'wrong'"
    assert place.left() == []


def test_an_error_is_the_end(place: Any) -> None:
    """rabbitmq/rabbitmq-server#2410: after an ERROR the connection stayed, with some of its subscriptions."""
    client = place.connect()
    client.subscribe(place.topic)
    client.send("ABORT\ntransaction:none\n\n\0")
    client.error()
    place.connect().publish(place.topic, "x")
