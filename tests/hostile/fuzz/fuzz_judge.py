"""A strict parser of what a server sends, and a judge of whether this client should have got it.

Nothing here imports stompserver: a judge that shares code with the server agrees with its mistakes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

ESCAPES = {
    "1.0": {},
    "1.1": {"n": "\n", "c": ":", "\\": "\\"},
    "1.2": {"n": "\n", "c": ":", "\\": "\\", "r": "\r"},
}
COMMANDS = (b"CONNECTED", b"MESSAGE", b"RECEIPT", b"ERROR")
MOST_HEAD = 1 << 20
"""Octets of a frame before its body, far above what any header limit of these runs lets through."""

OWN = frozenset(
    (
        *("subscription", "message-id", "destination", "content-length", "ack", "redelivered", "x-sanitized"),
        *("delivery-count", "JMSXDeliveryCount", "browser", "ActiveMQ.Retained", "x-stream-offset"),
        *("original-destination", "dead-letter-reason", "dead-letter-cause", "dlqDeliveryFailureCause"),
        *("first-failure", "last-failure", "scheduledJobId", "original-expires", "original-expiration"),
        *("original-ttl", "original-x-message-ttl"),
    )
)
"""Headers of a MESSAGE that only the server says."""

TIMETABLE = ("AMQ_SCHEDULED_TIME", "AMQ_SCHEDULED_PERIOD", "AMQ_SCHEDULED_REPEAT", "AMQ_SCHEDULED_CRON")
"""What the server adds for who looks at the schedule."""

GRAVES = {f"/queue/{name}" for name in ("a", "b", "dead", "deadletter")}
"""Where dead letters go in these runs, unless a client asks for more: that is their destination then."""

LOGINS = ("alice", "bob")

FORGED = "said-by-the-sender"
"""In each value that a sender gives to one of OWN: nobody may receive it there."""

NUMBER = re.compile(r"[0-9]+\Z")
PRIVATE = re.compile(r"/(?:queue|topic)/\$(?:user|temp)/[^/]+(/.+)", re.S)
"""How the server calls what belongs to a login or a connection, where it has to name it to others."""
TOKEN = re.compile(rb"#([0-9]+)#")


class Fault(Exception):
    """What a server sent, or did, and must not."""


@dataclass(slots=True)
class Frame:
    """A frame as the receiver's version reads it: escapes undone, no header merged."""

    command: str
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes

    def get(self, name: str) -> str | None:
        for each, value in self.headers:
            if each == name:
                return value
        return None


@dataclass(slots=True)
class Sent:
    """A message that some client sent: what a receiver may see of it."""

    version: str
    headers: dict[str, str]
    options: dict[str, set[str]]
    """Behind its destinations: name -> values."""
    body: bytes
    forms: frozenset[str]
    """The names by which a receiver may see where it went."""
    login: str | None
    """Whose private destination it went to; None: anybody's."""
    owner: int | None
    """The connection whose temporary destination it went to; None: anybody's."""


@dataclass(slots=True)
class Wanted:
    """A subscription that a client asked for."""

    destination: str
    ack: bool
    """Whether its messages are acknowledged one by one, or up to one."""
    forms: frozenset[str]
    pattern: bool
    over: bool = False


@dataclass(slots=True)
class Book:
    """What all clients of a run have said: messages by number, and the names that management was asked under."""

    sent: dict[int, Sent] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    """Where answers of management go."""
    graves: set[str] = field(default_factory=lambda: set(GRAVES))
    """Where dead letters go: GRAVES, and what clients ask for."""


def unescape(text: str, version: str, raw: bytes) -> str:
    known = ESCAPES[version]
    if not known:
        return text
    found = []
    at = 0
    while (slash := text.find("\\", at)) >= 0:
        letter = text[slash + 1 : slash + 2]
        if letter not in known or not letter:
            raise Fault(f"an escape that STOMP {version} does not know: {raw!r}")
        found += [text[at:slash], known[letter]]
        at = slash + 2
    return "".join([*found, text[at:]])


class Reader:
    """Finds frames in the octets of one connection, `data`. Raises Fault for one that has no business there."""

    def __init__(self, beats: bool) -> None:
        self.version: str | None = None
        """None until CONNECTED."""
        self.beats = beats
        self.data = bytearray()
        self.line_end_due = False
        self.ended = False

    def next(self) -> Frame | None:
        data = self.data
        while data[:1] == b"\n":
            if not self.line_end_due and not self.beats:
                raise Fault(f"a line end that is no heart-beat and no frame's: {bytes(data[:200])!r}")
            self.line_end_due = False
            del data[:1]
        if not data:
            return None
        if self.ended:
            raise Fault(f"octets behind an ERROR: {bytes(data[:500])!r}")
        if self.line_end_due:
            raise Fault(f"no line end behind a frame's NUL: {bytes(data[:200])!r}")
        blank = data.find(b"\n\n")
        if blank < 0:
            self._check_start(bytes(data[:200]))
            if len(data) > MOST_HEAD:
                raise Fault(f"no end of a frame's headers: {bytes(data[:500])!r}")
            return None
        head = bytes(data[:blank])
        command, *lines = head.split(b"\n")
        if command not in COMMANDS:
            raise Fault(f"no command of a server: {head[:500]!r}")
        name = command.decode()
        headers = [self._header(line, name, head) for line in lines]
        length = self._length(name, headers, head)
        end = blank + 2 + length
        if len(data) <= end:
            return None
        if data[end] != 0:
            raise Fault(f"no NUL behind the body: {head[:500]!r} {bytes(data[blank + 2 : end + 20])[-60:]!r}")
        frame = Frame(name, headers, bytes(data[blank + 2 : end]), bytes(data[: end + 1]))
        del data[: end + 1]
        self.line_end_due = True
        self.ended = name == "ERROR"
        self._check_names(frame)
        return frame

    def _check_start(self, start: bytes) -> None:
        line, end, _ = start.partition(b"\n")
        known = line in COMMANDS if end else any(command.startswith(line) for command in COMMANDS)
        if not known:
            raise Fault(f"no command of a server: {start!r}")

    def _header(self, line: bytes, command: str, head: bytes) -> tuple[str, str]:
        name, colon, value = line.partition(b":")
        # In a value of 1.1 a CR is an octet like others.
        if b"\0" in line or b"\r" in (name if self.version == "1.1" and command != "CONNECTED" else line):
            raise Fault(f"a CR or NUL in a header: {head[:2000]!r}")
        if not colon or not name:
            raise Fault(f"a header without a {'name' if colon else 'colon'}: {head[:2000]!r}")
        version = self.version
        if version is None or command == "CONNECTED":
            return name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")
        if version == "1.0":
            return name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")
        if b":" in value:
            raise Fault(f"a colon that is not escaped: {head[:2000]!r}")
        try:
            text = name.decode(), value.decode()
        except UnicodeDecodeError:
            raise Fault(f"a header that is no UTF-8: {head[:2000]!r}") from None
        return unescape(text[0], version, head[:2000]), unescape(text[1], version, head[:2000])

    def _length(self, command: str, headers: list[tuple[str, str]], head: bytes) -> int:
        lengths = [value for name, value in headers if name == "content-length"]
        if command in ("CONNECTED", "RECEIPT"):
            if lengths:
                raise Fault(f"a content-length on {command}: {head[:500]!r}")
            return 0
        if len(lengths) != 1 or not NUMBER.match(lengths[0]) or len(lengths[0]) > 10:
            raise Fault(f"not one content-length on {command}: {head[:1000]!r}")
        return int(lengths[0])

    def _check_names(self, frame: Frame) -> None:
        names = [name for name, _ in frame.headers]
        # What cannot be written becomes a blank, and then two names may be one.
        if len(names) != len(set(names)) and frame.get("x-sanitized") is None:
            raise Fault(f"a header twice: {frame.raw[:2000]!r}")


class Judge:
    """What one connection has asked for; `take` raises Fault for each frame that it should not have got."""

    def __init__(self, number: int, login: str | None, expects: str, book: Book, beats: bool) -> None:
        self.number = number
        self.login = login
        self.expects = expects
        """The version that CONNECTED must have."""
        self.book = book
        self.reader = Reader(beats)
        self.wanted: dict[str | None, list[Wanted]] = {}
        self.receipts: dict[str, Wanted | None] = {}
        """Receipt ids that are due; with the subscription that is over when this one comes."""
        self.unsettled: list[Frame] = []
        self.taken = 0

    @property
    def connected(self) -> bool:
        return self.reader.version is not None

    def want(self, id: str | None, wanted: Wanted) -> None:
        self.wanted.setdefault(id, []).append(wanted)

    def octets(self, octets: bytes) -> list[Frame]:
        """The frames that these octets complete; each is judged."""
        found = []
        self.reader.data += octets
        # One at a time: CONNECTED changes how the next one is read.
        while (frame := self.reader.next()) is not None:
            self.take(frame)
            found.append(frame)
        return found

    def take(self, frame: Frame) -> None:
        self.taken += 1
        if frame.command == "ERROR":
            self._error(frame)
        elif frame.command == "CONNECTED":
            self._connected(frame)
        elif not self.connected:
            raise Fault(f"{frame.command} before CONNECTED: {frame.raw[:500]!r}")
        elif frame.command == "RECEIPT":
            self._receipt(frame)
        else:
            self._message(frame)

    def _allowed(self, frame: Frame, names: Iterable[str]) -> None:
        for name, _ in frame.headers:
            if name not in names:
                raise Fault(f"{frame.command} with header {name!r}: {frame.raw[:1000]!r}")

    def _connected(self, frame: Frame) -> None:
        if self.connected:
            raise Fault(f"a second CONNECTED: {frame.raw[:500]!r}")
        self._allowed(frame, ("version", "session", "server", "heart-beat", "receipt-id", "response-id"))
        if frame.get("version") != self.expects:
            raise Fault(f"version {frame.get('version')!r}, not {self.expects}: {frame.raw[:500]!r}")
        self.reader.version = self.expects

    def _error(self, frame: Frame) -> None:
        self._allowed(frame, ("message", "receipt-id", "version", "content-type", "content-length"))
        receipt = frame.get("receipt-id")
        if receipt is not None and self.connected and receipt not in self.receipts:
            raise Fault(f"ERROR with a receipt-id that was not asked for: {frame.raw[:1000]!r}")
        for secret in (b"Traceback", b'File "', b"site-packages"):
            if secret in frame.body:
                raise Fault(f"ERROR tells of the server's inside: {frame.raw[:2000]!r}")

    def _receipt(self, frame: Frame) -> None:
        self._allowed(frame, ("receipt-id", "warning"))
        id = frame.get("receipt-id")
        if id is None or id not in self.receipts:
            raise Fault(f"RECEIPT that was not asked for, or a second one: {frame.raw[:1000]!r}")
        over = self.receipts.pop(id)
        if over is not None:
            for id_of, all_of in self.wanted.items():
                if over in all_of:
                    self.wanted[id_of] = [each for each in all_of if each is not over]
                    break

    def _message(self, frame: Frame) -> None:
        version = self.expects
        id = frame.get("subscription")
        if id is None and version != "1.0":
            raise Fault(f"MESSAGE without subscription: {frame.raw[:1000]!r}")
        candidates = self.wanted.get(id, [])
        if not candidates:
            raise Fault(f"MESSAGE of subscription {id!r}, which is not ours: {frame.raw[:2000]!r}")
        shown = frame.get("destination")
        number = frame.get("message-id")
        if shown is None or number is None:
            raise Fault(f"MESSAGE without destination or message-id: {frame.raw[:1000]!r}")
        if not NUMBER.match(number) and not (number == "browser-end" and frame.get("browser") == "end"):
            raise Fault(f"message-id {number!r}: {frame.raw[:1000]!r}")
        ack = frame.get("ack")
        if version != "1.2" and ack is not None:
            raise Fault(f"an ack header in {version}: {frame.raw[:1000]!r}")
        if version == "1.2" and not any((ack is not None) == each.ack for each in candidates):
            raise Fault(f"an ack header, or none, against the mode: {frame.raw[:1000]!r}")
        self._own_headers(frame)
        if frame.get("browser") == "end":
            if frame.body:
                raise Fault(f"the end of a browser with a body: {frame.raw[:1000]!r}")
            return
        token = TOKEN.match(frame.body)
        if token is None:
            self._made_by_server(frame, candidates)
        else:
            sent = self.book.sent.get(int(token[1]))
            if sent is None:
                raise Fault(f"a MESSAGE that nobody sent: {frame.raw[:2000]!r}")
            self._of_sender(frame, sent, candidates)
        if any(each.ack for each in candidates) and len(self.unsettled) < 500:
            self.unsettled.append(frame)

    def _own_headers(self, frame: Frame) -> None:
        for name, value in frame.headers:
            if name.strip() in OWN and FORGED in value and name != "destination":
                raise Fault(f"{name!r} is the sender's word: {frame.raw[:2000]!r}")
        for name in ("delivery-count", "JMSXDeliveryCount", "x-stream-offset", "scheduledJobId"):
            value = frame.get(name)
            if value is not None and not NUMBER.match(value):
                raise Fault(f"{name} {value!r}: {frame.raw[:2000]!r}")
        for name in ("redelivered", "x-sanitized", "ActiveMQ.Retained"):
            value = frame.get(name)
            if value is not None and value != "true":
                raise Fault(f"{name} {value!r}: {frame.raw[:2000]!r}")

    def _made_by_server(self, frame: Frame, candidates: list[Wanted]) -> None:
        """The monitor's reports, and answers of management."""
        if frame.body.startswith(b"Queue: ") and any("/queue/monitor" in each.forms for each in candidates):
            return
        try:
            json.loads(frame.body)
        except ValueError:
            raise Fault(f"a MESSAGE that nobody sent: {frame.raw[:2000]!r}") from None
        correlation = frame.get("correlation-id")
        lossy = frame.get("x-sanitized") == "true"
        if correlation is not None and not _among(correlation, self.book.asked, lossy):
            raise Fault(f"an answer to nobody's question: {frame.raw[:2000]!r}")

    def _of_sender(self, frame: Frame, sent: Sent, candidates: list[Wanted]) -> None:
        if frame.body != sent.body:
            raise Fault(f"another body than {sent.body[:500]!r}: {frame.raw[:2000]!r}")
        shown = frame.get("destination") or ""
        dead = frame.get("original-destination") is not None
        lossy = frame.get("x-sanitized") == "true"
        known = sent.forms.union(*(each.forms for each in candidates))
        if dead:
            known |= self.book.graves
        if frame.get("scheduledJobId") is not None:
            # An answer to who looks at the schedule.
            known |= self.book.places
        private = PRIVATE.match(shown)
        if not (
            _among(shown, known, lossy) or (private and any(each.endswith(private[1]) for each in known))
        ):
            raise Fault(f"destination {shown!r}, known are {sorted(known)}: {frame.raw[:2000]!r}")
        if not dead:
            if sent.login is not None and sent.login != self.login:
                raise Fault(f"private to {sent.login!r}, shown to {self.login!r}: {frame.raw[:2000]!r}")
            if sent.owner is not None and sent.owner != self.number:
                raise Fault(f"temporary of client {sent.owner}, shown to {self.number}: {frame.raw[:2000]!r}")
        names = {name for name, _ in frame.headers}
        extra = TIMETABLE if "scheduledJobId" in names else ()
        for name, value in frame.headers:
            if name in OWN or name in extra:
                continue
            said = sent.options.get(name, ())
            if any(_same(value, each, sent.version, self.expects, lossy) for each in said):
                continue
            expected = self._expected(sent, name, lossy)
            if name == "correlation-id" and extra and _among(value, self.book.asked, lossy):
                continue
            if name in ("persistent", "persist") and expected is not None and value in ("true", "false"):
                # The server's word for it, or the client's.
                continue
            if (name == "timestamp" and NUMBER.match(value)) or (name == "JMSXUserID" and value in LOGINS):
                # Where a policy says so it is the server's, in place of the sender's.
                continue
            if expected is None:
                raise Fault(f"a header that nobody sent, {name!r}: {frame.raw[:2000]!r}")
            if not _same(value, expected, sent.version, self.expects, lossy) and not _rewritten(name, value):
                raise Fault(f"{name!r} was {expected!r}, is {value!r}: {frame.raw[:3000]!r}")
        if not lossy:
            for name in sent.headers:
                if name.startswith("c-") and _plain(name) and name not in names:
                    raise Fault(f"{name!r} is missing: {frame.raw[:2000]!r}")

    def _expected(self, sent: Sent, name: str, lossy: bool) -> str | None:
        expected = sent.headers.get(name)
        if expected is None:
            # What the receiver's version cannot express is a blank there.
            for each, value in sent.headers.items():
                if _poor(each) == _poor(name) and (lossy or not _plain(each)):
                    return value
        return expected


def _plain(name: str) -> bool:
    return name.isascii() and name.isprintable()


def _poor(text: str) -> str:
    """What is left of a name where line ends, colons and octets that are no text cannot be written."""
    text = text.translate({10: " ", 13: " ", 0: " ", 58: " "})
    return text.encode("utf-8", "replace").decode()


def _among(shown: str, known: Iterable[str], lossy: bool) -> bool:
    """Whether `shown` is one of these, as a version that cannot express all of it may write it."""
    return shown in known or any(
        shown.strip() == each.strip() or (lossy and _poor(shown) == _poor(each)) for each in known
    )


def _same(value: str, expected: str, sender: str, receiver: str, lossy: bool) -> bool:
    if value == expected:
        return True
    if sender == "1.0" or receiver == "1.0":
        value, expected = value.strip(" \t\r"), expected.strip(" \t\r")
        if value == expected:
            return True
    if sender == "1.0" and receiver != "1.0":
        # Octets that are no UTF-8 go to clients of 1.0 only.
        expected = expected.encode("utf-8", "replace").decode()
        if value == expected:
            return True
    if not lossy:
        return False
    blanks = {10: " ", 13: " ", 0: " "}
    return value.translate(blanks).strip() == expected.translate(blanks).strip()


def _rewritten(name: str, value: str) -> bool:
    return name == "reply-to" and value.startswith(("/reply-queue/", "/remote-temp-topic/"))
