"""Heart-beats (lines 78 to 91): what a real clock shows. Exact tolerances are tested in tests/session."""

from __future__ import annotations

import selectors
import time

import pytest

FAST = ("--heart-beat=50,50",)  # ms: the smallest the server sends, the smallest it asks for


@pytest.fixture
def fast(serve):
    return serve(*FAST)


@pytest.fixture
def beaten(connect, fast):
    """beaten(count): returns after another connection got that many beats, one every 50 ms."""

    def wait(count: int) -> None:
        client = connect("1.2", "heart-beat:0,50\n", to=fast)
        for _ in range(count + 1):
            assert client.octet() == b"\n"
        client.close()

    return wait


@pytest.mark.line(78)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize(
    "value",
    ["abc", "", ",", "5", "1,", ",1", "1,2,3", "-1,0", "0,-1", "1.5,0", "1;2", "٣,0", "0x1,0", "1_0,0"],
)
def test_078_two_non_negative_integers(dial, hello, version, value):
    client = dial()
    client.send(hello(version, f"heart-beat:{value}\n"))
    client.error("heart-beat")


@pytest.mark.line(78)
@pytest.mark.versions("1.1", "1.2")
def test_078_a_space_after_the_comma_is_accepted(connect, version):
    connect(version, "heart-beat:10000, 10000\n").nothing()


@pytest.mark.line(79)
@pytest.mark.versions("1.1", "1.2")
def test_079_a_missing_header_is_0_0(connect, fast, beaten, version):
    client = connect(version, to=fast)
    client.nothing()
    client.beats = 0
    beaten(6)
    client.nothing()
    assert client.beats == 1  # the EOL that ends the first barrier's RECEIPT


@pytest.mark.line(81)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("value", ["0,0", "1000,0"])
def test_081_none_to_a_client_that_wants_none(connect, fast, beaten, version, value):
    client = connect(version, f"heart-beat:{value}\n", to=fast)
    client.nothing()
    client.beats = 0
    beaten(6)
    client.nothing()
    assert client.beats == 1


@pytest.mark.line(80)
@pytest.mark.versions("1.1", "1.2")
def test_080_a_server_that_asks_for_none_needs_none(serve, connect, version):
    client = connect(version, "heart-beat:20,20\n", to=serve("--heart-beat=0,0"))
    assert client.connected["heart-beat"] == "0,0"
    client.nothing()


@pytest.mark.line(82)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize(
    "value", ["", "heart-beat:0,0\n", "heart-beat:30000,60000\n", "heart-beat:1,1\n"], ids=repr
)
def test_082_connected_carries_our_own_numbers(connect, fast, version, value):
    assert connect(version, value).connected["heart-beat"] == "1000,1000"
    assert connect(version, value, to=fast).connected["heart-beat"] == "50,50"


@pytest.mark.line(81, 84, 85)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("wanted", [1, 50, 150])
def test_084_an_eol_every_n_milliseconds(connect, fast, version, wanted):
    client = connect(version, f"heart-beat:0,{wanted}\n", to=fast)
    client.octet()  # the EOL after CONNECTED
    agreed = max(50, wanted)
    for _ in range(10):  # a machine that was busy elsewhere meanwhile shows too few, or many at once
        began = time.monotonic()
        assert b"".join(client.octet() for _ in range(6)) == b"\n" * 6
        each = (time.monotonic() - began) / 6 * 1000
        if agreed * 0.4 < each < agreed + 100:
            break
    assert agreed * 0.4 < each < agreed + 100


@pytest.mark.line(88)
def test_088_connected_is_the_first_octet(dial, hello, fast, version):
    client = dial(fast)
    client.send(hello(version, "heart-beat:50,50\n"))
    assert client.octet() == b"C"


@pytest.mark.line(88)
def test_088_no_eol_inside_a_frame(connect, fast, version, queue):
    client, other = connect(version, "heart-beat:0,50\n", to=fast), connect(to=fast)
    client.subscribe(queue)
    body = bytes(range(256)) * 80_000
    other.send(f"SEND\ndestination:{queue}\ncontent-length:{len(body)}\n\n".encode() + body + b"\0")
    began = time.monotonic()
    while time.monotonic() - began < 0.3:  # slowly at first: the frame takes longer than six beats
        client.fill(64)
    client.message(body)


@pytest.mark.line(90)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize(
    "value",
    [
        "1,1",
        "86400000,86400000",
        "999999999999,999999999999",
        "0,2147483648",
        "4294967296,0",
        "0" * 50 + "," + "9" * 50,
    ],
)
def test_090_very_large_and_very_small_numbers(connect, version, value):
    client = connect(version, f"heart-beat:{value}\n")
    client.nothing()
    assert client.connected["heart-beat"] == "1000,1000"


@pytest.mark.line(91)
@pytest.mark.versions("1.0")
@pytest.mark.parametrize("value", ["50,50", "nonsense"])
def test_091_no_heart_beats_in_1_0(connect, fast, beaten, version, value):
    client = connect(version, f"heart-beat:{value}\n", to=fast)
    assert not client.connected.has("heart-beat")
    client.nothing()
    client.beats = 0
    beaten(6)
    client.nothing()
    assert client.beats == 1


def push(client, destination):
    """Sends 64 KiB bodies until the server reads no more: the number of whole frames, the rest of the last."""
    frame = f"SEND\ndestination:{destination}\ncontent-length:65536\n\n".encode() + b"x" * 65536 + b"\0"
    client.socket.settimeout(0.5)
    for count in range(1000):
        rest = frame
        while rest:
            try:
                rest = rest[client.socket.send(rest) :]
            except TimeoutError:
                client.socket.settimeout(10)
                return count, rest
    raise AssertionError("the server never stopped reading")


@pytest.mark.line(80, 83, 86, 87, 89, 91)
def test_087_six_seconds_of_silence(connect, serve, fast, queue):
    """One wait for all that needs the tolerance, max(2n, n + 5 s), to pass: who is closed, and who is not."""
    asked = "heart-beat:50,0\n"
    narrow = serve(*FAST, "--memory-limit=1MiB")
    producers = [connect(version, asked, to=narrow) for version in ("1.1", "1.2")]
    rests = [push(producer, queue) for producer in producers]
    silent = {version: connect(version, asked, to=fast) for version in ("1.1", "1.2")}
    for version, client in silent.items():
        client.subscribe(queue + version, ack="client")
        client.publish(queue + version, "un-acked")
    began = time.monotonic()
    lively = [connect(version, asked, to=fast) for version in ("1.1", "1.2")]
    halves = [connect(version, asked, to=fast) for version in ("1.1", "1.2")]
    unbound = [
        connect("1.0", "heart-beat:50,50\n", to=fast),
        connect("1.1", to=fast),
        connect("1.1", "heart-beat:0,0\n", to=fast),
        connect("1.2", "heart-beat:0,60000\n", to=fast),
    ]
    for client in halves:
        client.send("SEND\ndestination:/topic/nobody.listens\nx:")

    closed_after = {}
    with selectors.DefaultSelector() as waiting:
        for version, client in silent.items():
            waiting.register(client.socket, selectors.EVENT_READ, version)
        while waiting.get_map():
            for key, _ in waiting.select(0.5):
                if not key.fileobj.recv(4096):
                    closed_after[key.data] = time.monotonic() - began
                    waiting.unregister(key.fileobj)
            assert time.monotonic() - began < 60, "a silent client was not closed"
            for client in lively:
                client.send("\n")
            for client in halves:
                client.send("y")

    assert all(seconds > 4.5 for seconds in closed_after.values()), closed_after
    for client in halves:
        client.send("\n\n\0")
    for client in (*halves, *lively, *unbound):
        client.nothing()
    for version in silent:
        heir = connect(version, to=fast)
        heir.subscribe(queue + version, ack="client")
        heir.message("un-acked", redelivered="true")

    consumer = connect(to=narrow)
    consumer.subscribe(queue)
    for count, _ in rests:
        for _ in range(count):
            consumer.message()
    for producer, (_, rest) in zip(producers, rests, strict=True):
        producer.send(rest)
        consumer.message()
        producer.nothing()
