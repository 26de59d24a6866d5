"""ERROR and the end of the connection (lines 164 to 171)."""

from __future__ import annotations

import pytest

BAD = {
    "unknown command": "NONSENSE\nreceipt:r\n\n\0",
    "no destination": "SEND\nreceipt:r\n\nhello\0",
    "no subscribe destination": "SUBSCRIBE\nid:1\nreceipt:r\n\n\0",
    "unknown transaction": "COMMIT\ntransaction:x\nreceipt:r\n\n\0",
    "unknown delivery": "ACK\nid:1\nmessage-id:1\nsubscription:1\nreceipt:r\n\n\0",
    "wrong length": "SEND\nreceipt:r\ndestination:/queue/error\ncontent-length:3\n\nhello\0",
    "bad length": "SEND\nreceipt:r\ndestination:/queue/error\ncontent-length:x\n\nhello\0",
    "no colon": "SEND\nreceipt:r\ndestination:/queue/error\nx\n\nhello\0",
    "second connect": "CONNECT\naccept-version:1.2\nhost:x\nreceipt:r\n\n\0",
}


@pytest.mark.line(164, 165, 166, 168)
@pytest.mark.parametrize("case", BAD)
def test_164_error_closes(connect, version, case):
    client = connect(version)
    client.send(BAD[case])
    error = client.error()  # checks message, content-length, content-type and the end
    # where a header line cannot be understood, neither may the others be
    assert error.values("receipt-id") in (["r"], [] if case == "no colon" else ["r"])
    assert len(error["message"]) <= 200
    assert len(error.body) > len(error["message"])


@pytest.mark.line(165, 167)
@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ("SEND\n\nx\0", ["SEND", "destination"]),
        ("SUBSCRIBE\nid:1\ndestination:/queue/x\nack:wrong\n\n\0", ["SUBSCRIBE", "ack", "wrong"]),
        ("BEGIN\n\n\0", ["BEGIN", "transaction"]),
        ("ABORT\ntransaction:t-77\n\n\0", ["ABORT", "t-77"]),
        ("SEND\ndestination:/queue/x\ncontent-length:twelve\n\nx\0", ["content-length", "twelve"]),
        ("SEND\ndestination:/queue/x\nodd line\n\nx\0", ["odd line", "colon"]),
    ],
    ids=lambda value: value.split("\n")[0] if isinstance(value, str) else "",
)
def test_167_the_error_names_what_was_wrong(connect, version, frame, words):
    client = connect(version)
    client.send(frame)
    client.error(*words)


@pytest.mark.line(169)
@pytest.mark.parametrize("case", BAD)
def test_169_nothing_follows(connect, version, queue, case):
    client, other = connect(version), connect(version)
    after = f"SEND\ndestination:{queue}\nreceipt:after\n\nafter\0"
    client.send(f"SEND\ndestination:{queue}\n\nbefore\0{BAD[case]}{after * 3}")
    client.error()
    other.subscribe(queue)
    assert other.bodies() == ["before"]


@pytest.mark.line(169)
def test_169_no_messages_either(connect, version, queue):
    client, other = connect(version), connect(version)
    client.subscribe(queue)
    client.send("NONSENSE\n\n\0")
    client.error()
    other.publish(queue, "hello")
    other.subscribe(queue)
    other.message("hello")


@pytest.mark.line(170)
@pytest.mark.parametrize("case", ["unknown command", "wrong length", "no colon"])
def test_170_it_reaches_a_client_that_goes_on_sending(connect, version, case):
    client = connect(version)
    client.send(BAD[case] + "SEND\ndestination:/topic/x\n\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\0" * 30_000)
    client.error()


@pytest.mark.line(170)
def test_170_what_came_before_it_is_not_lost(connect, version, queue):
    """Answers come before the ERROR; a message comes before it too, or stays in the queue."""
    client, heir = connect(version), connect(version)
    client.subscribe(queue)
    body = "x" * 1_000_000
    client.send(f"SEND\ndestination:{queue}\nreceipt:r\n\n{body}\0" * 3 + BAD["unknown command"])
    came = [client.frame()]
    while came[-1].command != "ERROR":
        came.append(client.frame())
    client.closed()
    commands = [frame.command for frame in came]
    assert commands.count("RECEIPT") == 3
    heir.subscribe(queue)
    heir.messages(*[body] * (3 - commands.count("MESSAGE")))
    heir.nothing()


@pytest.mark.line(170)
def test_170_before_connected_too(dial, version):
    client = dial()
    client.send(f"STOMP\naccept-version:{version}\nx\n\n\0" + "x" * 1_000_000)
    client.error()


@pytest.mark.line(171)
@pytest.mark.parametrize("case", BAD)
def test_171_no_secrets(connect, version, case):
    client = connect(version, "login:alice\npasscode:s3cr3t-Word\n")
    client.send(BAD[case].replace("receipt:r", "receipt:r\npasscode:s3cr3t-Word"))
    error = client.error()  # checks for stack traces
    assert b"s3cr3t-Word" not in error.raw
    assert str(client.server.directory).encode() not in error.raw


@pytest.mark.line(171)
def test_171_a_malformed_passcode_is_not_repeated(dial, version):
    client = dial()
    client.send(f"CONNECT\naccept-version:{version}\nhost:x\npasscode s3cr3t-Word\n\n\0")
    client.error("colon")
    assert b"s3cr3t-Word" not in repr(client.conversation().split("S: ")[-1]).encode()
