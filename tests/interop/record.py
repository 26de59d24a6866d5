"""Records what STOMP clients write, for the benchmark: `.venv/bin/python tests/interop/record.py [NAME ...]`.

Each client is started with a job and speaks to a listener here that answers as little as it needs; what it wrote
becomes a file in bench/shapes/recorded, with marks for what differs from message to message (bench/shapes/shape.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if str(HERE.parents[1]) not in sys.path:
    sys.path.insert(0, str(HERE.parents[1]))

from bench.frames import body_of  # noqa: E402
from bench.shapes.shape import NUMBER, QUEUE, RECORDED, SUFFIX, UUID, Shape, text_of  # noqa: E402  (found only now)
from clients import CLIENTS, SECONDS, Client, why_missing  # noqa: E402

AGAIN = "record it anew: .venv/bin/python tests/interop/record.py"
FIRST_NUMBER = 271828182845
"""Twelve digits that nobody else writes."""
TAKEN = 3
"""Messages that a consumer gets; it acknowledges each, or the last for all."""
CORRELATION = "6f9619ff-8b86-4011-b42d-{n}"
FRAME = re.compile(rb"[A-Z]+\n.*?\0\n*", re.DOTALL)
UUIDS = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Program:
    """How a client is started to carry out a job; see the programs `written_...` beside this."""

    client: Client
    script: str
    modes: tuple[str, ...]
    """Of acknowledgement, in which its consumer is recorded."""


BOTH = ("auto", "client-individual", "client")
# 1.0 does not say what `client` means.
IN_10 = ("auto", "client-individual")


STOMPMAN = Client(
    script="python/written_stompman.py",
    interpreter=sys.executable,
    probe=("-c", "import stompman"),
    install="pip install stompman",
    headers={},
)
PROGRAMS = {
    "stomp.py": Program(CLIENTS["stomp.py"], "python/written_stomppy.py", BOTH),
    "stompest": Program(CLIENTS["stompest"], "python/written_stompest.py", IN_10),
    "stompman": Program(STOMPMAN, STOMPMAN.script, BOTH),
    "ruby-stomp": Program(CLIENTS["ruby-stomp"], "ruby/written_stomp_gem.rb", IN_10),
    "stompjs": Program(CLIENTS["stompjs"], "node/written_stompjs.mjs", BOTH),
    "stompit": Program(CLIENTS["stompit"], "node/written_stompit.mjs", BOTH),
    "Net::Stomp": Program(CLIENTS["Net::Stomp"], "perl/written_net_stomp.pl", IN_10),
    "php-stomp": Program(CLIENTS["php-stomp"], "php/written_stomp.php", IN_10),
}
# Perl's order of a hash's keys changes from run to run unless it is told not to.
STEADY = {"PERL_HASH_SEED": "0", "PERL_PERTURB_KEYS": "0", "PYTHONDONTWRITEBYTECODE": "1"}

NUMBERED = {"seq": "{n}"}
"""What the user of a plain message adds: a number of his own, by which the benchmark counts."""


@dataclass(frozen=True)
class Use:
    """A shape to be recorded: whose, and what that client's user gives it."""

    program: str
    about: str
    headers: Mapping[str, str] = field(default_factory=lambda: NUMBERED)
    transaction: bool = False
    no_length: bool = False
    consumes: bool = False
    """Whether all modes of acknowledgement are recorded, not `auto` alone."""


USES = {
    "stomp.py": Use("stomp.py", "one header of the user's, a number", consumes=True),
    "stomp.py-bare": Use("stomp.py", "no header of the user's; the number is in the body", {}),
    "stomp.py-usual": Use(
        "stomp.py",
        "content-type, correlation-id, persistent",
        {
            **NUMBERED,
            "content-type": "application/json",
            "correlation-id": CORRELATION,
            "persistent": "true",
        },
    ),
    "stomp.py-expires": Use(
        "stomp.py", "expires:0 and priority:4", {**NUMBERED, "expires": "0", "priority": "4"}
    ),
    "stomp.py-jms": Use(
        "stomp.py",
        "the headers of a JMS message, as frameworks set them",
        {
            **NUMBERED,
            "content-type": "text/plain",
            "correlation-id": CORRELATION,
            "expires": "0",
            "persistent": "true",
            "priority": "4",
            "reply-to": "/queue/replies",
            "timestamp": "1{n}",
            "type": "order",
        },
    ),
    "stomp.py-groups": Use(
        "stomp.py", "each message a message group", {**NUMBERED, "JMSXGroupID": "order-{n}"}
    ),
    "stomp.py-url": Use(
        "stomp.py",
        "a URL in a header, whose colon is escaped",
        {**NUMBERED, "source": "https://example.org/orders/{n}"},
    ),
    "stomp.py-utf8": Use("stomp.py", "a value that is not ASCII", {**NUMBERED, "customer": "Müller, Köln"}),
    "stomp.py-transactions": Use("stomp.py", "in transactions of 100", transaction=True),
    "stompest": Use("stompest", "one header of the user's, a number", consumes=True),
    "stompman": Use("stompman", "one header of the user's, a number", consumes=True),
    "ruby-stomp": Use("ruby-stomp", "one header of the user's, a number", consumes=True),
    "stompjs": Use("stompjs", "one header of the user's, a number", consumes=True),
    "stompjs-no-length": Use("stompjs", "skipContentLengthHeader: no content-length", no_length=True),
    "stompit": Use("stompit", "one header of the user's, a number", consumes=True),
    "net-stomp": Use("Net::Stomp", "one header of the user's, a number", consumes=True),
    "php-stomp": Use("php-stomp", "one header of the user's, a number", consumes=True),
}


class Listener(threading.Thread):
    """Takes one connection, answers CONNECT, SUBSCRIBE and receipts, and keeps what came."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.data = b""
        self.version = ""

    def run(self) -> None:
        # How a client ends its connection is its own affair.
        with contextlib.suppress(OSError):
            self._socket.settimeout(SECONDS)
            connection, _ = self._socket.accept()
            with connection:
                connection.settimeout(SECONDS)
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        read = 0
        while data := connection.recv(65536):
            self.data += data
            *frames, _ = self.data[read:].split(b"\0")
            read += sum(len(frame) + 1 for frame in frames)
            for frame in frames:
                connection.sendall(self._answer(frame.lstrip(b"\n")))
                if frame.lstrip(b"\n").startswith(b"DISCONNECT\n"):
                    connection.shutdown(socket.SHUT_WR)

    def _answer(self, frame: bytes) -> bytes:
        head = frame.partition(b"\n\n")[0]
        headers = dict(line.split(b":", 1) for line in head.split(b"\n")[1:])
        answer = b""
        if frame.startswith((b"CONNECT\n", b"STOMP\n")):
            self.version = max(headers.get(b"accept-version", b"1.0").split(b",")).decode()
            return f"CONNECTED\nversion:{self.version}\nheart-beat:60000,60000\nsession:1\n\n\0".encode()
        if b"receipt" in headers:
            answer = b"RECEIPT\nreceipt-id:%b\n\n\0" % headers[b"receipt"]
        if frame.startswith(b"SUBSCRIBE\n"):
            subscription = b"subscription:%b\n" % headers[b"id"] if b"id" in headers else b""
            for number in range(TAKEN):
                answer += b"MESSAGE\ndestination:%b\nmessage-id:MESSAGE-ID-%d\n%bcontent-length:2\n" % (
                    QUEUE,
                    number,
                    subscription,
                )
                if self.version == "1.2" and headers[b"ack"] != b"auto":
                    answer += b"ack:ACK-ID-%d\n" % number
                answer += b"\nhi\0\n"
        return answer

    def close(self) -> None:
        self._socket.close()


def written(one: Program, job: Mapping[str, Any]) -> tuple[str, str, list[bytes]]:
    """The library's version, that of STOMP, and the frames of a job. Raises RuntimeError when it fails."""
    listener = Listener()
    listener.start()
    try:
        done = subprocess.run(
            [
                one.client.interpreter,
                *one.client.options,
                str(HERE / one.script),
                "127.0.0.1",
                str(listener.port),
            ],
            env=os.environ | STEADY | {"INTEROP_JOB": json.dumps({"queue": QUEUE.decode(), **job})},
            cwd=(HERE / one.script).parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    finally:
        listener.close()
    if done.returncode:
        raise RuntimeError(f"{one.script} ended with {done.returncode}:\n{done.stderr}{listener.data!r}")
    listener.join(SECONDS)
    return json.loads(done.stdout), listener.version, FRAME.findall(listener.data)


def marked(frames: Sequence[bytes], command: str) -> bytes:
    """The frames of that command, as one with marks. Raises RuntimeError when they differ in what has no mark."""
    frames = [frame for frame in frames if frame.startswith(command.encode() + b"\n")]
    # A line end that only some have is a heart-beat.
    ends = min((len(frame) - frame.index(b"\0") for frame in frames), default=0)
    found = []
    for number, frame in enumerate(frame[: frame.index(b"\0") + ends] for frame in frames):
        frame = frame.replace(b"%d" % (FIRST_NUMBER + number), NUMBER)
        frame = UUIDS.sub(UUID, frame)
        frame = re.sub(rb"MESSAGE-ID-\d", b"{message-id}", frame)
        found.append(re.sub(rb"ACK-ID-\d", b"{ack}", frame))
    if len(set(found)) != 1:
        raise RuntimeError(f"no {command}, or they differ: {sorted(set(found))}")
    return found[0]


def filled(value: str, number: int) -> str:
    return value.replace(NUMBER.decode(), str(number))


def record(name: str) -> Shape:
    """What the client of that shape writes today. Raises RuntimeError when it does not do its job."""
    use = USES[name]
    one = PROGRAMS[use.program]
    text = body_of(100).decode()
    body = text if use.headers else f"seq:{NUMBER.decode()} {text}"
    numbers = range(FIRST_NUMBER, FIRST_NUMBER + TAKEN)
    sends = [
        {
            "body": filled(body, number)[:100],
            "headers": {key: filled(value, number) for key, value in use.headers.items()},
        }
        for number in numbers
    ]
    job = {"sends": sends, "transaction": use.transaction, "no_length": use.no_length}
    version, stomp, said = written(one, job)
    commands = ("BEGIN", "SEND", "COMMIT") if use.transaction else ("SEND",)
    frames = {command: marked(said, command) for command in commands}
    settled = {"auto": [], "client-individual": list(range(TAKEN)), "client": [TAKEN - 1]}
    for mode in one.modes if use.consumes else ("auto",):
        _, _, said = written(one, {"ack": mode, "take": TAKEN, "settle": settled[mode]})
        frames[f"SUBSCRIBE {mode}"] = marked(said, "SUBSCRIBE")
        if settled[mode]:
            frames[f"ACK {mode}"] = marked(said, "ACK")
    return Shape(name, f"{use.program} {version}", use.about, stomp, frames)


def main(names: Sequence[str]) -> int:
    """Write the files of these shapes, or of all; 1 when a client is missing."""
    missing = 0
    for name in names or USES:
        if reason := why_missing(PROGRAMS[USES[name].program].client):
            print(f"{name}: {reason}", file=sys.stderr)
            missing = 1
            continue
        shape = record(name)
        (RECORDED / f"{name}{SUFFIX}").write_text(text_of(shape), "utf-8")
        print(f"{name}: {shape.client}, STOMP {shape.version}")
    return missing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
