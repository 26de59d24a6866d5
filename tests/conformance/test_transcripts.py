"""Recorded conversations of the original, replayed: the same answers, but for the differences in the upgrade guide.

`docs/how-to/upgrade-from-the-original.md` has the one list of differences. Each is known here by its name, either as
a rule for frames (`@difference`) or as what a step answers now (CHANGED), and each must occur in some conversation.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TRANSCRIPTS = json.loads((HERE / "data" / "transcripts.json").read_text())
GUIDE = HERE.parents[1] / "docs" / "how-to" / "upgrade-from-the-original.md"
OWN_NAMES = re.compile(r"(destination: ?)(/queue(?!/monitor|/deadletter)[^\\:]*|foo)")  # in JSON text
runs = itertools.count(1)
MID_FRAME = re.compile(r"[^\0\s][^\0]*$")  # the octets end inside a frame


@dataclass
class Answer:
    """A frame of the original or of this server, its first headers as a dict to take differences out of."""

    command: str
    headers: dict[str, str]
    body: str

    @classmethod
    def recorded(cls, text: str) -> list[Answer]:
        """The frames of a recording. The original's lines end in LF and nothing is escaped."""
        answers = []
        while text := text.lstrip("\n"):
            head, _, rest = text.partition("\n\n")
            command, *lines = head.split("\n")
            headers = dict(line.split(":", 1) for line in lines)
            length = int(headers["content-length"]) if "content-length" in headers else rest.index("\0")
            assert rest[length] == "\0"
            answers.append(cls(command, headers, rest[:length]))
            text = rest[length + 1 :]
        return answers

    @classmethod
    def received(cls, frame) -> Answer:
        headers = {}
        for name, value in frame.headers:
            headers.setdefault(name, value)
        return cls(frame.command, headers, frame.body.decode("latin-1"))


@dataclass
class Replay:
    """One conversation under way."""

    ids: dict[str, str] = field(default_factory=dict)  # message-id of the original: ours
    used: set[str] = field(default_factory=set)  # names of the differences that occurred


RULES = {}


def difference(rule):
    """Registers a rule: it takes one difference out of the two answers and tells whether it was there."""
    RULES[rule.__name__.replace("_", "-")] = rule
    return rule


@difference
def session(old, new, replay):
    return old.command == "CONNECTED" and old.headers.pop("session", "") == "wow" != new.headers.pop(
        "session", "wow"
    )


@difference
def connected_headers(old, new, replay):
    if old.command == "CONNECTED":
        assert new.headers.pop("server", "").startswith("stompserver")
        assert new.headers.pop("version", "1.0") == "1.0"
        return True
    return False


@difference
def message_id_always(old, new, replay):
    if old.command == "MESSAGE" and "message-id" not in old.headers:
        return bool(new.headers.pop("message-id", ""))
    return False


@difference
def message_id(old, new, replay):
    if old.command == "MESSAGE" and "message-id" in old.headers:
        ours = new.headers.pop("message-id")
        assert replay.ids.setdefault(old.headers.pop("message-id"), ours) == ours, "the message-id changed"
        return True
    return False


@difference
def content_length(old, new, replay):
    if old.command == "MESSAGE" and "content-length" not in old.headers:
        return new.headers.pop("content-length") == str(len(new.body))
    return False


@difference
def receipt_length(old, new, replay):
    return (
        old.command == "RECEIPT"
        and "content-length" not in new.headers
        and old.headers.pop("content-length") == "0"
    )


@difference
def private_headers(old, new, replay):
    return old.command == "MESSAGE" and "receipt" not in new.headers and bool(old.headers.pop("receipt", ""))


@difference
def redelivered(old, new, replay):
    if old.command != "MESSAGE" or new.headers.pop("redelivered", "") != "true":
        return False
    return new.headers.pop("delivery-count") == new.headers.pop("JMSXDeliveryCount") != "1"


@difference
def dead_letter(old, new, replay):
    if "dead-letter-reason" not in new.headers:
        return False
    for name in (
        "dead-letter-reason",
        "delivery-count",
        "dlqDeliveryFailureCause",
        "first-failure",
        "last-failure",
    ):
        del new.headers[name]
    assert new.headers["destination"] == "/queue/deadletter"
    new.headers["destination"] = new.headers.pop("original-destination")
    return new.headers["destination"] == old.headers["destination"]


@difference
def error_text(old, new, replay):
    if (old.command, new.command) == ("ERROR", "ERROR"):
        assert old.headers.pop("message") == "See below"
        assert new.headers.pop("message")
        assert new.headers.pop("content-type").startswith("text/plain")
        del old.headers["content-length"], new.headers["content-length"]
        new.headers.pop("receipt-id", "")
        old.body = new.body = ""
        return True
    return False


@dataclass
class Changed:
    """What a step answers now instead of what was recorded: the difference, and the frames in brief."""

    name: str
    answers: dict[str, list[str]]  # connection: "COMMAND text of body or receipt-id" of each frame
    closes: bool = False


CHANGED = {
    ("ack with wrong message-id", 4): Changed("wrong-ack", {"A": ["ERROR"]}, closes=True),
    ("ack with nothing pending", 1): Changed("ack-without-message", {"A": ["ERROR"]}, closes=True),
    ("ack:client subscriber preferred to auto", 5): Changed("fair-dispatch", {"A": ["MESSAGE m1"]}),
    ("ack:client subscriber preferred to auto", 6): Changed("fair-dispatch", {"B": ["MESSAGE m2"]}),
    ("transaction commit", 6): Changed(
        "one-receipt-in-transactions", {"A": ["RECEIPT c"], "B": ["MESSAGE one", "MESSAGE two"]}
    ),
    ("subscribe without destination", 1): Changed(
        "subscribe-needs-destination", {"A": ["ERROR"]}, closes=True
    ),
    ("STOMP 1.1 command", 0): Changed("stomp-command", {"A": ["CONNECTED"]}),
    ("malformed frame in the same packet as good ones", 0): Changed(
        "good-frames-count", {"A": ["CONNECTED", "RECEIPT 1", "ERROR"]}, closes=True
    ),
    ("malformed frame in the same packet as good ones", 2): Changed(
        "good-frames-count", {"B": ["MESSAGE good"]}
    ),
    ("CRLF after command", 0): Changed("crlf", {"A": ["CONNECTED"]}),
    ("CRLF in headers only", 0): Changed("connect-receipt", {"A": ["CONNECTED x"]}),
    ("junk line before a frame", 0): Changed("junk-is-an-error", {"A": ["ERROR"]}, closes=True),
    ("destination with a colon", 1): Changed("colon-in-destination", {"A": []}),
    ("frames after DISCONNECT in the same packet", 2): Changed("nothing-after-disconnect", {"B": []}),
    ("second connect with bad login", 1): Changed("second-connect", {"A": ["ERROR"]}, closes=True),
    ("file queue: un-acked only message crashes the server", 4): Changed("survives", {"A": []}, closes=True),
    ("file queue: un-acked only message crashes the server", 5): Changed("survives", {"D": ["CONNECTED"]}),
}


def brief(answer):
    """COMMAND, and what tells a frame from others of its kind."""
    text = {"MESSAGE": answer.body, "RECEIPT": answer.headers.get("receipt-id", "")}.get(answer.command, "")
    if answer.command == "CONNECTED":
        text = answer.headers.get("receipt-id", "")
    return f"{answer.command} {text}".strip()


def differences():
    """Names in the guide's table."""
    table = (
        GUIDE.read_text()
        .partition("<!-- differences: begin -->")[2]
        .partition("<!-- differences: end -->")[0]
    )
    rows = [line.split("|")[1].strip() for line in table.strip().split("\n")[2:]]
    assert all(re.fullmatch(r"[a-z-]+", name) for name in rows)
    return rows


def listen(clients, spoke, closes, mid_frame):
    """What every open connection got until now; the one that spoke also ends when ``closes``."""
    heard = {}
    for name, client in clients.items():
        if client.eof or client.version != "1.0":
            continue
        if name == spoke and closes:
            frames = []
            while True:
                try:
                    frames.append(client.frame())
                except AssertionError:
                    break
            assert client.eof, f"{name} was not closed: {client.conversation()}"
        elif name == spoke and mid_frame:
            frames = []
        else:
            frames = client.barrier()
        heard[name] = [Answer.received(frame) for frame in frames]
    return heard


def step(number, recorded, transcript, clients, dial, server, replay):
    """Replays one step and compares it."""
    name = recorded["conn"]
    changed = CHANGED.get((transcript["name"], number))
    if name not in clients:
        clients[name] = dial(server, "1.0")
        clients[name].greeted = False
    client = clients[name]
    octets = recorded["client"]
    for theirs, ours in replay.ids.items():
        octets = octets.replace(theirs, ours)
    client.send(octets.encode("latin-1"))
    closes = changed.closes if changed else recorded.get("server_closes", False)
    if recorded.get("client_closes"):
        client.socket.shutdown(1)
        closes = True
    if (
        not client.greeted and not closes and (recorded["server"] or changed)
    ):  # before that there is no barrier
        client.pending.append(client.frame())
        client.greeted = True
    heard = listen(clients, name, closes, not client.greeted or MID_FRAME.search(octets))

    if changed:
        replay.used.add(changed.name)
        got = {each: [brief(answer) for answer in answers] for each, answers in heard.items() if answers}
        expected = {each: answers for each, answers in changed.answers.items() if answers}
        assert got == expected
        return
    also = {each: Answer.recorded(other["server"]) for each, other in recorded.get("also", {}).items()}
    expected = {name: Answer.recorded(recorded["server"]), **also}
    for each, answers in heard.items():
        wanted = expected.get(each, [])
        assert [brief(answer) for answer in answers if answer.command != "ERROR"] == [
            brief(answer) for answer in wanted if answer.command != "ERROR"
        ]
        assert len(answers) == len(wanted)
        for new, old in zip(answers, wanted, strict=True):
            replay.used |= {rule for rule, apply in RULES.items() if apply(old, new, replay)}
            assert new == old


def play(transcript, serve, dial):
    """Replays a conversation; the names of the differences that occurred."""
    if "monitor" in transcript["name"]:
        server = serve("--monitor-interval=0.1")  # one that had no queues yet
    elif transcript["server_args"] == "-a":
        server = serve("-a", passwd="testuser:testpass\n")
    else:
        server = serve("--monitor-interval=0")
    replay = Replay()
    clients = {}
    suffix = rf"\1\2-{next(runs)}"  # destinations that no other replay has used
    steps = json.loads(OWN_NAMES.sub(suffix, json.dumps(transcript["steps"])))
    for number, recorded in enumerate(steps):
        step(number, recorded, transcript, clients, dial, server, replay)
    return replay.used


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript["name"])
def test_the_same_answers(serve, dial, transcript):
    assert play(transcript, serve, dial) <= set(differences())


def test_every_difference_has_a_rule_and_every_rule_a_difference():
    names = differences()
    assert len(set(names)) == len(names)
    assert set(names) == set(RULES) | {changed.name for changed in CHANGED.values()}


def test_every_difference_occurs(serve, dial):
    used = set()
    for transcript in TRANSCRIPTS:
        used |= play(transcript, serve, dial)
    assert used == set(differences())


def test_every_changed_step_exists():
    steps = {(each["name"], number) for each in TRANSCRIPTS for number in range(len(each["steps"]))}
    assert set(CHANGED) <= steps
