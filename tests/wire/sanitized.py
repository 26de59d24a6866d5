"""The leaf in C beside its twin in Python, on octets that nobody sends: `sanitized.py MODULE SEED SECONDS`.

Run by test_sanitizers.py in a process of its own, see ``sanitized`` and ``compare`` of tests/leaves.py.
"""

from __future__ import annotations

from random import Random
from types import ModuleType

from tests.leaves import compare

from stompserver.wire import alike
from stompserver.wire import leaf as twin

FRAMES = (
    b"SEND\ndestination:/queue/a\ncontent-length:2\nn:7\n\nhi\0",
    b"SEND\ndestination:/queue/a\nreceipt:r-1\npersistent:true\ncontent-length:2\nn:7\n\nhi\0",
    b"SEND\ndestination:/topic/a.b\n\nbody\0",
    b"SEND\nn:a\\cb\ntransaction:t\npriority:4\ndestination:/queue/a\nJMSXGroupID:g\n\nbody\0",
    "SEND\ndestination:/queue/\u00fc\nh\u00e9:\U0001f600\ncontent-length:0\n\n\0".encode(),
    b"ACK\nid:1a6f02c4d3b-12345678901234567890\n\n\0",
    b"ACK\nid:1\n\n\0ACK\nid:2\n\n\0",
    b"ACK\nmessage-id:7\nsubscription:s\nreceipt:r\ncontent-length:0\ncontent-type:text/plain\n\n\0",
    b"SUBSCRIBE\nid:0\ndestination:/queue/a\nack:client\n\n\0",
    b"SEND\n" + b"\n".join(b"h%d:%d" % (number, number) for number in range(110)) + b"\n\n\0",
    b"SEND\ndestination:" + b"x" * 300 + b"\ncontent-length:1\n" + b"n" * 100 + b":\n\nx\0",
)
SPICE = (
    *(
        b"\n",
        b":",
        b"\0",
        b"\r",
        b"\\",
        b" ",
        b"\t",
        b"\n\n",
        b"\n\n\0",
        b"a:b\n",
        b":\n",
        b"\xc3",
        b"\xc3\xbc",
    ),
    *(
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98\x80",
        b"\xf4\x90\x80\x80",
        b"\xff",
        b"9" * 15,
        b"9" * 20,
        b"content-length:",
    ),
)
TEXTS = (
    "",
    "a",
    "/queue/a",
    "\u00e9",
    "\u20ac",
    "\U0001f600",
    "\ud800",
    "\udcff",
    "\n",
    ":",
    "\\",
    "\r",
    "\0",
    "x" * 500,
)


def mutated(random: Random) -> bytes:
    """A frame, or several, with something changed, cut or doubled."""
    octets = bytearray(random.choice(FRAMES))
    for _ in range(random.choice((0, 1, 1, 2, 5, 20))):
        at = random.randrange(len(octets) + 1)
        kind = random.randrange(5)
        if kind == 0:
            octets[at:at] = random.choice(SPICE)
        elif kind == 1:
            del octets[at : at + random.choice((1, 1, 2, 10, 100))]
        elif kind == 2 and at < len(octets):
            octets[at] = random.randrange(256)
        elif kind == 3:
            octets[at:at] = octets[max(0, at - random.randrange(1, 60)) : at]
        else:
            octets[at:at] = random.choice(FRAMES)
    return bytes(octets)


def words(random: Random) -> str:
    return "".join(random.choice(TEXTS) for _ in range(random.choice((0, 1, 1, 2, 4))))


def outcome(leaf: ModuleType, name: str, arguments: tuple[object, ...]) -> object:
    """What a function returns, with the order of its headers; that it raised is an outcome, too."""
    try:
        found = getattr(leaf, name)(*arguments)
    except UnicodeEncodeError:
        return UnicodeEncodeError
    if name == "split" and found is not None:
        return found, list(found[1])
    return found


def number(random: Random) -> int:
    return random.choice((0, 1, 9, 10, 1 << 31, 1 << 32, (1 << 57) - 1, (1 << 63) - 1, (1 << 64) - 1))


def websocket_frames(random: Random, octets: bytes) -> tuple[bytes, int]:
    """Frames of WebSocket, of which the last may be cut or be none."""
    found = b""
    for _ in range(random.randrange(4)):
        size = (
            random.choice((0, 1, 7, 8, 125, 126, 127, 200, 65535, 65536))
            if random.random() < 0.3
            else len(octets)
        )
        head = random.choice((0x81, 0x82, 0x82, 0x01, 0x89, random.randrange(256))).to_bytes(1, "big")
        if size < 126:
            head += (0x80 | size).to_bytes(1, "big")
        elif size < 65536:
            head += b"\xfe" + size.to_bytes(2, "big")
        else:
            head += b"\xff" + size.to_bytes(8, "big")
        found += head + octets[:4].ljust(4, b"m") + (octets * (size // max(1, len(octets)) + 1))[:size]
    if random.random() < 0.5:
        found = found[: random.randrange(len(found) + 1)]
    if random.random() < 0.2:
        found += random.choice((b"\x81", b"\x81\xff" + b"\xff" * 8, b"\x82\xfe\0", octets))
    return found, random.choice((0, 0, 0, random.randrange(len(found) + 2)))


def calls(random: Random) -> list[tuple[str, tuple[object, ...]]]:
    """One of each function, and `like` with a shape that was learned of another frame."""
    octets = mutated(random)
    # An object of exactly this size: what is read behind it is seen.
    start = random.choice((0, 0, 0, 1, random.randrange(len(octets) + 2)))
    block = octets[start : twin.block_end(octets, start)] if random.random() < 0.7 else octets
    learned = random.choice((random.choice(FRAMES), mutated(random))).partition(b"\n\n")[0]
    blanks = random.random() < 0.3
    group = random.choice((b"", b"n", b"JMSXGroupID"))
    shape = alike.shape(learned, blanks, {b"persistent", b"priority"}, group)
    headers = {words(random): words(random) for _ in range(random.randrange(4))}
    lines = random.choice((b"", b"a:b\n", octets))
    found: list[tuple[str, tuple[object, ...]]] = [
        ("block_end", (octets, start)),
        ("split", (block, random.choice((0, 1, 4, 100, 300)), blanks)),
        ("plain_ack", (octets, start)),
        ("any_ack", (octets, start)),
        ("whole", (random.choice((words(random), str(number(random)), "0" * random.randrange(18))),)),
        ("unmask", (octets[start:], octets[:4].ljust(4, b"x"))),
        ("unframe", websocket_frames(random, octets)),
        ("encode_head", (words(random), number(random), number(random), headers)),
        ("encode_relayed", (words(random), number(random), lines)),
        ("encode_message", (octets[:20], number(random), words(random), number(random), lines, octets)),
    ]
    if shape:
        limits = random.choice((0, 20, 60, 9999)), random.choice((0, 1, 9999))
        other = alike.shape(random.choice(FRAMES).partition(b"\n\n")[0], False)
        shapes = (other, shape) if other and random.random() < 0.5 else (shape,)
        found.append(("like", (octets, start, shapes, *limits)))
    return found


if __name__ == "__main__":
    compare("stompserver.wire._leaf", twin, calls, outcome)
