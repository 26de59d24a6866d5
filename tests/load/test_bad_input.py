"""Whatever is sent to the port ends in an ERROR that a stranger understands, or in a clean close.

One steady client exchanges messages in order through all of it.
"""

from __future__ import annotations

import contextlib
import random
import re
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

MIB = 1024 * 1024
MARGIN = 3.0  # MiB
HELLO = b"CONNECT\naccept-version:1.2\nhost:h\n\n\0"
SEND = b"SEND\ndestination:/topic/nobody\n\nhello\0"


def client_hello() -> bytes:
    """What a TLS client says first."""
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


# What is sent, and words of the answer.
STRANGERS = {
    "HTTP GET": (b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n", "HTTP"),
    "HTTP POST": (b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "HTTP"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"),
    "WebSocket": (b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "HTTP"),
    "TLS": (client_hello(), "TLS"),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n", ""),
    "Redis": (b"*1\r\n$4\r\nPING\r\n" + b"*1\r\n$4\r\nPING\r\n" * 10, ""),
    "AMQP": (b"AMQP\x00\x00\x09\x01", ""),
    "MQTT": (b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", ""),
}
# Too little to be sure that it is no STOMP: they end as torn frames do, or with the login timeout.
UNDECIDED = {"SSH", "Redis", "AMQP", "MQTT"}
WRONG = {
    "no CONNECT": (SEND, "Not connected"),
    "unknown first command": (b"HELLO\n\n\0", "HELLO"),
    "endless first line": (b"A" * 1000, "command"),
    "endless header line": (b"CONNECT\nlogin:" + b"a" * MIB, "max-header-bytes"),
    "endless headers": (b"CONNECT\n" + b"a:b\n" * 1000, "max-headers"),
    "large body before login": (b"CONNECT\ncontent-length:99999999\n\n", "max-body-before-login"),
    "endless body before login": (b"CONNECT\n\n" + b"x" * MIB, "max-body-before-login"),
    "bad heart-beat": (b"CONNECT\naccept-version:1.2\nhost:h\nheart-beat:soon\n\n\0", "heart-beat"),
    "no common version": (b"CONNECT\naccept-version:3.0\nhost:h\n\n\0", "1.0"),
    "CONNECT twice": (HELLO + HELLO, "connected"),
    "unknown command": (HELLO + b"SHOUT\n\n\0", "SHOUT"),
    "lower case": (HELLO + b"send\ndestination:/queue/a\n\n\0", "case"),
    "a server's command": (HELLO + b"MESSAGE\ndestination:/queue/a\n\nx\0", "server"),
    "no destination": (HELLO + b"SEND\n\nx\0", "destination"),
    "header without a colon": (HELLO + b"SEND\ndestination\n\nx\0", "colon"),
    "header without a name": (HELLO + b"SEND\n:x\n\nx\0", "name"),
    "no empty line": (HELLO + b"SEND\ndestination:/queue/a\0", "NUL"),
    "unknown escape": (HELLO + b"SEND\ndestination:/queue/a\nx:\\t\n\n\0", "\\t"),
    "not UTF-8": (HELLO + b"SEND\ndestination:/queue/\xff\xfe\n\n\0", "UTF-8"),
    "endless header line after login": (HELLO + b"SEND\nx:" + b"a" * MIB, "max-header-bytes"),
    "endless headers after login": (HELLO + b"SEND\n" + b"a:b\n" * 1000, "max-headers"),
    "too large a body": (HELLO + b"SEND\ndestination:/queue/a\ncontent-length:104857601\n\n", "max-body"),
    "far too large a body": (HELLO + b"SEND\ncontent-length:%b\n\n" % (b"9" * 100), "max-body"),
    "content-length too small": (HELLO + b"SEND\ndestination:/queue/a\ncontent-length:2\n\nhello\0", "NUL"),
    "content-length not a number": (
        HELLO + b"SEND\ndestination:/queue/a\ncontent-length:-1\n\n\0",
        "content-length",
    ),
    "ack of nothing": (HELLO + b"ACK\nid:17\n\n\0", "17"),
    "ack without id": (HELLO + b"ACK\nmessage-id:17\n\n\0", "id"),
    "nack of nothing": (HELLO + b"NACK\nid:17\n\n\0", "17"),
    "id used twice": (HELLO + b"SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0" * 2, "id"),
    "unknown ack mode": (HELLO + b"SUBSCRIBE\nid:1\nack:maybe\ndestination:/queue/a\n\n\0", "maybe"),
    "unknown transaction": (HELLO + b"COMMIT\ntransaction:none\n\n\0", "none"),
    "transaction begun twice": (HELLO + b"BEGIN\ntransaction:t\n\n\0" * 2, "t"),
    "send in no transaction": (HELLO + b"SEND\ndestination:/queue/a\ntransaction:none\n\n\0", "none"),
}
TORN = {
    "nothing": b"",
    "line ends": b"\n" * 100,
    "half CONNECT": HELLO[:20],
    "CONNECT without NUL": HELLO[:-1],
    "half SEND": HELLO + SEND[:30],
    "half a body": HELLO + b"SEND\ndestination:/queue/a\ncontent-length:1000000\n\n" + bytes(500_000),
    "half a multibyte character": HELLO + "SEND\ndestination:/queue/ä".encode()[:-1],
    "open transaction": HELLO + b"BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\n\nx\0",
}


def send_all(client: Any, data: bytes) -> None:
    """The server may close before it has read everything."""
    with contextlib.suppress(ConnectionError):
        client.send(data)


def check_end(client: Any) -> str:
    """The ERROR at the end of the stream, empty when there is none; all before it are whole frames. For who speaks
    HTTP, the answer in that.
    """
    octets = client.rest()
    client.close()
    if octets.startswith(b"HTTP/1.1 "):
        answer, _, page = octets.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(page)}\r\n".encode() in answer
        assert b"Traceback" not in page
        return str((answer + page).decode())
    frames = [frame.lstrip(b"\n") for frame in octets.split(b"\0")]
    assert frames[-1] == b"", f"a frame is cut: {frames[-1][-300:]!r}"
    last = frames[-2] if len(frames) > 1 else b""
    if not last.startswith(b"ERROR\n"):
        return ""
    text = last.decode()
    head, _, body = text.partition("\n\n")
    assert re.search(r"(?m)^message:\S", head), text
    assert "Traceback" not in text and ".py" not in text
    assert "Rule: " in body, text
    return text


@pytest.fixture
def watched(watch: Any) -> Iterator[Any]:
    """A server with a steady client; it must be as large as before when the test ends, and log no traceback."""
    server = watch("--linger=0.2")
    server.quiet()
    steady = server.steady()
    # The first bad input of each kind makes the server import and allocate what it keeps.
    for data, _ in [*STRANGERS.values(), *WRONG.values()]:
        client = server.open()
        send_all(client, data)
        client.socket.shutdown(1)
        client.rest()
        client.close()
    files = server.files
    before = server.memory
    server.steady = lambda: steady
    yield server
    steady.exchange(10)
    server.settle(files)
    assert server.memory - before < MARGIN
    server.stop()


def test_strangers_and_wrong_frames(watched: Any) -> None:
    steady = watched.steady()
    answers = {}
    for _ in range(3):
        for name, (data, words) in {**STRANGERS, **WRONG}.items():
            client = watched.open()
            send_all(client, data)
            steady.exchange()
            if name in UNDECIDED:
                client.socket.shutdown(1)
            text = answers[name] = check_end(client)
            assert words.lower() in text.lower(), f"{name}: {text!r}"
            steady.exchange()
    unanswered = {name for name, text in answers.items() if not text}
    assert unanswered <= UNDECIDED


def test_torn_frames(watched: Any) -> None:
    steady = watched.steady()
    for data in list(TORN.values()) * 3:
        closing, resetting = watched.open(), watched.open()
        for client in (closing, resetting):
            send_all(client, data)
        steady.exchange()
        closing.socket.shutdown(1)
        assert check_end(closing) == ""
        resetting.reset()
        steady.exchange()


def test_octet_by_octet(watched: Any) -> None:
    steady = watched.steady()
    for name in ("TLS", "HTTP GET"):
        client = watched.open()
        for octet in STRANGERS[name][0]:
            try:
                client.send(bytes([octet]))
            except ConnectionError:
                break
        steady.exchange()
        assert name[:3] in check_end(client)


def noise(source: random.Random) -> bytes:
    return source.randbytes(source.randrange(1, 5000))


def almost_stomp(source: random.Random) -> bytes:
    """Valid frames with a few octets changed, lost, doubled or moved."""
    frames = [
        HELLO,
        SEND,
        b"SEND\ndestination:/queue/fuzz\ncontent-length:5\n\nhello\0",
        b"SUBSCRIBE\nid:1\ndestination:/queue/fuzz\nack:client\n\n\0",
        b"ACK\nid:1\n\n\0",
        b"NACK\nid:2\n\n\0",
        b"BEGIN\ntransaction:t\n\n\0",
        b"SEND\ndestination:/topic/t\ntransaction:t\n\n\0",
        b"COMMIT\ntransaction:t\n\n\0",
        b"ABORT\ntransaction:t\n\n\0",
        b"UNSUBSCRIBE\nid:1\n\n\0",
        b"DISCONNECT\nreceipt:1\n\n\0",
    ]
    data = bytearray(HELLO + b"".join(source.choices(frames, k=source.randrange(1, 20))))
    for _ in range(source.randrange(4)):
        place = source.randrange(len(data))
        kind = source.randrange(4)
        if kind == 0:
            data[place] = source.choice(b"\0\n\r:\\\xffAz0")
        elif kind == 1:
            del data[place : place + source.randrange(1, 10)]
        elif kind == 2:
            data[place:place] = data[place : place + source.randrange(1, 30)]
        else:
            data = data[place:] + data[:place]
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize(
    "times", [pytest.param(300, id="short"), pytest.param(5000, id="long", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("make", [noise, almost_stomp])
def test_random_octets(watched: Any, make: Any, times: int) -> None:
    steady = watched.steady()
    for seed in range(times):
        source = random.Random(seed)
        client = watched.open()
        for _ in range(source.randrange(1, 4)):
            send_all(client, make(source))
        steady.exchange()
        if source.randrange(3):
            with contextlib.suppress(OSError):
                client.socket.shutdown(1)
            try:
                check_end(client)
            except AssertionError as problem:
                raise AssertionError(f"seed {seed}: {problem}") from None
        else:
            client.reset()


def test_endless_line_ends_cost_nothing(watched: Any) -> None:
    steady = watched.steady()
    before_login, after_login = watched.open(), watched.connect()
    for _ in range(20):
        for client in (before_login, after_login):
            client.send(b"\n\r\n" * 100_000)
        steady.exchange()
    before_login.connect().barrier()
    after_login.barrier()
    before_login.close()
    after_login.close()


def test_one_who_goes_on_sending_after_the_error(watched: Any) -> None:
    """It is read for the linger and cut off then, so that it gets its ERROR and no more of the server's time."""
    steady = watched.steady()
    client = watched.connect()
    client.send(b"NONSENSE\n\n\0")
    sent = 0
    with contextlib.suppress(ConnectionError):
        while True:
            client.send(bytes(100_000))
            sent += 100_000
            steady.exchange()
    assert b"NONSENSE" in client.data or "NONSENSE" in client.rest().decode()
    client.close()
