"""Well-formed frames with anything in them, several clients, kills and restarts; a judge for each octet that comes.

FUZZ_SECONDS says how long the long one takes (600), FUZZ_SEED repeats one. `fuzz_run.py` is the same by hand.
"""

from __future__ import annotations

import os
import sys
import time

import pytest
from fuzz_judge import OWN, Book, Fault, Judge, Sent, Wanted
from fuzz_run import fuzz


def test_a_few_of_each_store() -> None:
    report = fuzz(14, sys.executable, epochs=3, steps=60)
    assert not report.faults, report.faults[0]
    assert report.frames > 200
    assert report.kills > 0


@pytest.mark.long
@pytest.mark.longest
def test_for_minutes() -> None:
    seed = int(os.environ.get("FUZZ_SEED", time.time_ns() % 1_000_000_000))
    seconds = float(os.environ.get("FUZZ_SECONDS", "600"))
    report = fuzz(seed, sys.executable, seconds=seconds, say=lambda text: print(text, flush=True))
    assert not report.faults, report.faults[0]
    print(report.line())


# The judge: what it lets pass, and what it must not.

HEAD = b"MESSAGE\nsubscription:s\ndestination:/queue/a\nmessage-id:7\n"


def judge(version: str = "1.2", ack: bool = False) -> Judge:
    book = Book()
    forms = frozenset(("/queue/a",))
    headers = {"destination": "/queue/a", "c-x": "a:b\n", "type": "t", "redelivered": "true"}
    book.sent[1] = Sent("1.2", headers, {"ttl": {"5"}}, b"#1#\0x", forms, None, None)
    made = Judge(1, None, version, book, beats=False)
    made.want("s", Wanted("/queue/a", ack, forms, False))
    made.receipts["r"] = None
    assert [frame.command for frame in made.octets(b"CONNECTED\nversion:%b\n\n\0\n" % version.encode())] == [
        "CONNECTED"
    ]
    return made


MINE = b"c-x:a\\cb\\n\ntype:t\ncontent-length:5\n\n#1#\0x\0\n"


@pytest.mark.parametrize(
    "octets",
    [
        HEAD + MINE,
        HEAD + b"ttl:5\n" + MINE,
        HEAD + b"redelivered:true\ndelivery-count:2\n" + MINE,
        b"RECEIPT\nreceipt-id:r\n\n\0\n" + HEAD + MINE + HEAD + MINE,
        b"ERROR\nmessage:no\ncontent-length:1\n\nx\0\n",
    ],
)
def test_what_is_right_passes(octets: bytes) -> None:
    made = judge()
    for at in range(len(octets)):
        made.octets(octets[at : at + 1])
    assert made.taken > 1
    assert not made.reader.data


@pytest.mark.parametrize(
    "octets",
    [
        b"SEND\n\n\0\n",
        b"\n",
        b"CONNECTED\nversion:1.2\n\n\0\n",
        b"RECEIPT\nreceipt-id:x\n\n\0\n",
        b"RECEIPT\nreceipt-id:r\n\n\0\nRECEIPT\nreceipt-id:r\n\n\0\n",
        b"RECEIPT\nreceipt-id:r\nmore:x\n\n\0\n",
        b"RECEIPT\nreceipt-id:r\n\n\0MESSAGE\n",
        b"ERROR\nmessage:no\ncontent-length:1\n\nx\0\nRECEIPT\nreceipt-id:r\n\n\0\n",
        HEAD + b"c-x:a:b\n" + MINE,
        HEAD.replace(b":s\n", b":other\n") + MINE,
        HEAD.replace(b"/queue/a", b"/queue/b") + MINE,
        HEAD.replace(b"message-id:7\n", b"") + MINE,
        HEAD + b"ack:f-1\n" + MINE,
        HEAD + b"nobody-said:x\n" + MINE,
        HEAD + b"type:t\n" + MINE,
        HEAD + MINE.replace(b"type:t", b"type:u"),
        HEAD + MINE.replace(b"\\c", b"\\t"),
        HEAD + MINE.replace(b"\\n", b"\r"),  # in 1.2
        HEAD + MINE.replace(b"c-x", b"d-x"),
        HEAD + MINE.replace(b"c-x:a\\cb\\n\n", b""),
        HEAD + MINE.replace(b"#1#", b"#2#"),
        HEAD + MINE.replace(b"\0x", b"\0y"),
        HEAD + MINE.replace(b"length:5", b"length:4"),
        HEAD + MINE.replace(b"type:t", b"type:\xff"),
        HEAD + b"original-destination:said-by-the-sender\n" + MINE,
        HEAD + b"content-length:6\n\nforged\0\n",
    ],
)
def test_what_is_wrong_is_a_fault(octets: bytes) -> None:
    with pytest.raises(Fault):
        judge().octets(octets)


def test_what_is_private_is_for_its_login_alone() -> None:
    made = judge()
    made.book.sent[1].login = "alice"
    with pytest.raises(Fault, match="private to 'alice'"):
        made.octets(HEAD + MINE)


def test_a_dead_letter_goes_where_a_client_asked_for() -> None:
    octets = HEAD.replace(b"/queue/a", b"/queue/mine") + b"original-destination:/queue/a\n" + MINE
    with pytest.raises(Fault, match="known are"):
        judge().octets(octets)
    made = judge()
    made.book.graves.add("/queue/mine")
    made.octets(octets)


def test_after_unsubscribe_nothing_comes() -> None:
    made = judge()
    made.receipts["over"] = made.wanted["s"][0]
    made.octets(HEAD + MINE + b"RECEIPT\nreceipt-id:over\n\n\0\n")
    with pytest.raises(Fault, match="not ours"):
        made.octets(HEAD + MINE)


def test_what_the_server_says_is_no_headers_of_senders() -> None:
    assert {"message-id", "redelivered", "original-destination"} <= OWN
