"""Octets of any kind: an ERROR that can be read or a clean close, and nothing that anybody else notices."""

from __future__ import annotations

import random

import pytest

SEED = 20080131  # the day of the original's last commit; every run says the same


def conversation(version, queue):
    return (
        f"SUBSCRIBE\nid:s\ndestination:{queue}\nack:client\nreceipt:1\n\n\0"
        f"SEND\ndestination:{queue}\ncontent-length:5\nx:a\\\\b\n\nhe\0lo\0\n"
        f"BEGIN\ntransaction:t\n\n\0SEND\ndestination:{queue}\ntransaction:t\nreceipt:2\n\nhello\0\n"
        "COMMIT\ntransaction:t\n\n\0"
        "ACK\nid:1\nmessage-id:1\nsubscription:s\nreceipt:3\n\n\0"
        "UNSUBSCRIBE\nid:s\n\n\0DISCONNECT\nreceipt:4\n\n\0"
    ).encode()


def mutated(octets, chance):
    """The octets with a few of them changed, lost, doubled, or moved."""
    data = bytearray(octets)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data))
        kind = chance.randrange(5)
        if kind == 0:
            data[at] = chance.choice(b"\0\n\r:\\ \t\xff\xc3A1-")
        elif kind == 1:
            del data[at : at + chance.randint(1, 20)]
        elif kind == 2:
            data[at:at] = data[at : at + chance.randint(1, 60)]
        elif kind == 3:
            data[at:at] = bytes(chance.choice(b"\0\n\r:\\\xff") for _ in range(chance.randint(1, 5)))
        else:
            data[at:at] = chance.choice(
                [b"content-length:", b"receipt:", b"\n\n", b"\0\0", b"\r\n\r\n", b"99999999"]
            )
        if not data:
            data += b"x"
    return bytes(data)


def ends_well(client):
    """Reads until the end: only whole, legal frames, an ERROR only as the last one, EOF without RST."""
    frames = []
    while not client.eof:
        try:
            frames.append(client.frame())
        except AssertionError:
            assert client.eof, client.conversation()
    assert client.unread() == b"", client.conversation()
    commands = [frame.command for frame in frames]
    assert set(commands) <= {"CONNECTED", "MESSAGE", "RECEIPT", "ERROR"}
    assert "ERROR" not in commands[:-1]


def test_mutated_conversations(connect, version, queue):
    chance = random.Random(f"{SEED} {version}")
    for number in range(150):
        client = connect(version)
        client.send(mutated(conversation(version, f"{queue}-{number}"), chance))
        client.socket.shutdown(1)
        ends_well(client)
        client.close()
    connect(version).nothing()


def test_mutated_beginnings(dial, connect, hello, version):
    chance = random.Random(f"{SEED} {version} beginnings")
    for _ in range(150):
        client = dial()
        client.send(mutated(hello(version, "login:guest\nreceipt:1\n").encode(), chance))
        client.socket.shutdown(1)
        ends_well(client)
        client.close()
    connect(version).nothing()


@pytest.mark.parametrize("connected", [True, False], ids=["after connect", "before connect"])
def test_random_octets(dial, connect, connected):
    chance = random.Random(SEED)
    for _ in range(100):
        client = connect() if connected else dial()
        client.send(chance.randbytes(chance.choice([1, 10, 100, 10_000])))
        client.socket.shutdown(1)
        ends_well(client)
        client.close()
    connect().nothing()
