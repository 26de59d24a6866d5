"""CONNECT, STOMP and the negotiation (lines 59 to 77)."""

from __future__ import annotations

import re

import pytest


@pytest.mark.line(59)
def test_059_stomp_is_connect(dial, hello, version, queue):
    client = dial(version=version)
    client.send(hello(version).replace("CONNECT", "STOMP"))
    connected = client.expect("CONNECTED")
    assert connected.values("version") in ([version], [] if version == "1.0" else None)
    client.subscribe(queue)
    client.publish(queue, "hello")
    client.message("hello")


FRAMES = [
    "SEND\ndestination:{0}\nreceipt:r\n\nhello\0",
    "SUBSCRIBE\nid:1\ndestination:{0}\n\n\0",
    "UNSUBSCRIBE\nid:1\ndestination:{0}\n\n\0",
    "BEGIN\ntransaction:t\n\n\0",
    "COMMIT\ntransaction:t\n\n\0",
    "ABORT\ntransaction:t\n\n\0",
    "ACK\nid:1\nmessage-id:1\nsubscription:1\n\n\0",
    "NACK\nid:1\nmessage-id:1\nsubscription:1\n\n\0",
    "DISCONNECT\n\n\0",
    "NONSENSE\n\n\0",
]


@pytest.mark.line(60)
@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.split("\n")[0])
def test_060_another_first_frame(dial, connect, hello, version, queue, frame):
    client, other = dial(), connect(version)
    client.send(frame.format(queue) + hello(version))
    client.error("CONNECT")
    other.subscribe(queue)
    other.nothing()


@pytest.mark.line(61)
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_061_a_second_connect(connect, hello, version, command):
    client = connect(version)
    client.send(hello(version).replace("CONNECT", command))
    client.error(command)


@pytest.mark.line(62)
@pytest.mark.versions("1.0")
@pytest.mark.parametrize(
    "frame", ["CONNECT\n\n\0", "STOMP\nhost:x\n\n\0", "CONNECT\nheart-beat:0,0\nhost:x\n\n\0"], ids=repr
)
def test_062_no_accept_version_is_1_0(dial, version, queue, frame):
    client = dial(version=version)
    client.send(frame)
    assert client.expect("CONNECTED").values("version") in ([], ["1.0"])
    client.send(f"SUBSCRIBE\ndestination:{queue}\n\n\0SEND\ndestination:{queue}\nx:a\\tb\n\nhello\0")
    message = client.message("hello", x="a\\tb")
    assert not message.has("subscription")
    assert not message.has("ack")


@pytest.mark.line(63)
@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("1.0,1.1,1.2", "1.2"),
        ("1.0,1.1", "1.1"),
        ("1.0", "1.0"),
        ("1.2", "1.2"),
        ("1.0,1.2", "1.2"),
        ("1.1,1.2", "1.2"),
    ],
)
def test_063_the_highest_common_version(dial, accepted, chosen):
    client = dial()
    client.send(f"CONNECT\naccept-version:{accepted}\nhost:x\n\n\0")
    client.expect("CONNECTED", version=chosen)


@pytest.mark.line(64)
@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("1.2,1.1,1.0", "1.2"),
        ("1.1,1.0", "1.1"),
        ("1.0, 1.1, 1.2", "1.2"),
        (" 1.1 ,1.0 ", "1.1"),
        ("1.1,1.3,2.0", "1.1"),
        ("1.2,1.2,1.2", "1.2"),
        ("9.9,1.0", "1.0"),
        ("x,,1.1", "1.1"),
        ("1.10,1.1", "1.1"),
    ],
)
def test_064_accept_version_in_any_shape(dial, accepted, chosen):
    client = dial()
    client.send(f"CONNECT\naccept-version:{accepted}\nhost:x\n\n\0")
    client.expect("CONNECTED", version=chosen)


@pytest.mark.line(65)
def test_065_version_in_connected_session_in_1_0(connect, version):
    connected = connect(version).connected
    assert connected["session"]
    assert connected.values("version") in ([version], [] if version == "1.0" else None)


@pytest.mark.line(66, 67)
@pytest.mark.parametrize("accepted", ["2.0", "1.3,1.4", "1", "1.20", "abc", "1.2.0"])
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_066_no_common_version(dial, command, accepted):
    client = dial()
    client.send(
        f"{command}\naccept-version:{accepted}\nhost:x\nreceipt:7\n\n\0SEND\ndestination:/queue/x\n\n\0"
    )
    error = client.error("1.0", "1.1", "1.2")
    assert error["version"] == "1.0,1.1,1.2"
    assert error["content-type"].startswith("text/plain")
    assert error["receipt-id"] == "7"


@pytest.mark.line(68)
def test_068_session_is_unique_and_server_has_a_name(connect, version):
    frames = [connect(version).connected for _ in range(5)]
    assert len({frame["session"] for frame in frames}) == 5
    assert re.fullmatch(r"stompserver(/[^\s()]+)?( \(.*\))*", frames[0]["server"])


@pytest.mark.line(69)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_069_missing_host(dial, strict, version, command):
    frame = f"{command}\naccept-version:{version}\n\n\0"
    lenient, refused = dial(), dial(strict)
    lenient.send(frame)
    lenient.expect("CONNECTED", version=version)
    refused.send(frame)
    refused.error("host")


@pytest.mark.line(70)
@pytest.mark.versions("1.1", "1.2")
@pytest.mark.parametrize("host", ["unknown.example", "/", "", "127.0.0.1", "a b:c"])
def test_070_an_unknown_host_is_the_default_one(dial, version, host, queue, connect):
    client, other = dial(version=version), connect(version)
    client.send(f"CONNECT\naccept-version:{version}\nhost:{host}\n\n\0")
    client.expect("CONNECTED")
    other.publish(queue, "hello")
    client.subscribe(queue)
    client.message("hello")


@pytest.mark.line(71)
@pytest.mark.versions("1.0")
@pytest.mark.parametrize("frame", ["CONNECT\n\n\0", "CONNECT\naccept-version:1.0\n\n\0"], ids=repr)
def test_071_host_is_never_required_in_1_0(dial, strict, version, frame):
    client = dial(strict)
    client.send(frame)
    client.expect("CONNECTED")


LOGINS = {
    "wrong passcode": "login:alice\npasscode:wr0ng-Pass\n",
    "unknown login": "login:mall0ry-Name\npasscode:secret\n",
    "no passcode": "login:alice\n",
    "no login": "passcode:wr0ng-Pass\n",
    "neither": "",
    "empty": "login:\npasscode:\n",
    "empty passcode": "login:alice\npasscode:\n",
    "odd": "login:alice\\t\\\npasscode:a:b\n",
}


@pytest.fixture
def guarded(serve):
    return serve("-a", passwd="# people\nalice:secret\n\n bob : builder \n")


@pytest.mark.line(72, 73, 77)
def test_072_all_rejections_look_alike_and_repeat_nothing(dial, guarded, hello, version):
    """Each takes the server a second on purpose, so all are tried side by side."""
    clients = {(command, login): dial(guarded) for command in ("CONNECT", "STOMP") for login in LOGINS}
    for (command, login), client in clients.items():
        frame = hello(version, LOGINS[login]).replace("CONNECT", command)
        client.send(frame + "SEND\ndestination:/queue/x\n\nx\0")
    (raw,) = {client.error("login").raw for client in clients.values()}
    assert not any(word in raw for word in (b"alice", b"mall0ry", b"wr0ng", b"secret"))
    assert not any(word in guarded.log() for word in ("wr0ng-Pass", "secret"))


@pytest.mark.line(72)
@pytest.mark.parametrize("login", ["login:alice\npasscode:secret\n", "login:bob\npasscode:builder\n"])
def test_072_a_good_login(dial, guarded, hello, version, login):
    client = dial(guarded)
    client.send(hello(version, login))
    client.expect("CONNECTED")


@pytest.mark.line(72)
def test_072_frames_behind_a_good_login_wait_for_it(dial, guarded, hello, version, queue):
    client = dial(guarded, version)
    client.send(
        hello(version, "login:alice\npasscode:secret\n")
        + f"SUBSCRIBE\nid:s\ndestination:{queue}\n\n\0SEND\ndestination:{queue}\nx:a\\\\b\n\nhello\0"
    )
    client.expect("CONNECTED")
    client.message("hello", x="a\\\\b")
    client.nothing()


@pytest.mark.line(74)
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_074_receipt_on_connect_asks_for_no_receipt(dial, hello, version, command):
    client = dial(version=version)
    client.send(hello(version, "receipt:hello\n").replace("CONNECT", command))
    client.expect("CONNECTED", receipt_id="hello")
    client.nothing()


@pytest.mark.line(75, 175)
def test_075_rapid_connects_and_disconnects(connect, version, queue):
    for number in range(100):
        client = connect(version)
        client.send(f"SEND\ndestination:{queue}\n\n{number}\0DISCONNECT\n\n\0")
        client.close()
    last = connect(version)
    last.subscribe(queue)
    assert sorted(int(last.message().body) for _ in range(100)) == list(range(100))


@pytest.mark.line(76)
def test_076_a_connection_that_never_says_connect(serve, dial):
    server = serve("--login-timeout=0.5")
    clients = {said: dial(server) for said in ("", "\n\n\n", "CONN", "CONNECT\naccept-version:1.2\n")}
    for said, client in clients.items():
        client.send(said)
    for client in clients.values():
        client.error("CONNECT")


@pytest.mark.line(76)
def test_076_the_timeout_ends_with_the_login(serve, dial, connect):
    server = serve("--login-timeout=0.5")
    clients = [connect(version, to=server) for version in ("1.0", "1.1", "1.2")]
    dial(server).error()
    for client in clients:
        client.nothing()


@pytest.mark.line(77)
@pytest.mark.parametrize("login", LOGINS)
def test_077_without_authentication_any_login_will_do(dial, hello, version, login):
    client = dial()
    client.send(hello(version, LOGINS[login]))
    client.expect("CONNECTED")
