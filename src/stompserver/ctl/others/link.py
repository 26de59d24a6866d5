"""A connection to some broker: frames in and out, in the version of STOMP that both know, never blocking."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from typing import Final

from stompserver.ctl.client import PATIENCE, Unanswered
from stompserver.ctl.others.address import Address
from stompserver.ctl.others.letter import Headers
from stompserver.wire.frame import Frame
from stompserver.wire.headers import RAW, TEXT_10, TEXT_11, TEXT_12, Text, encode_frame
from stompserver.wire.parser import Limits, Parser

BEAT: Final = 10_000
"""Milliseconds between signs of life, offered and wanted. Artemis ends a connection without them after a minute."""

GRACE: Final = 5.0
"""Seconds that a broker may be silent beyond twice its time."""

WINDOW: Final = 1 << 20
"""Bytes that are read before what came is looked at, and that may wait to be sent before no more is read."""

TEXTS: Final = {"1.0": TEXT_10, "1.1": TEXT_11, "1.2": TEXT_12}
_LIMITS: Final = Limits(1 << 30, 10_000, 1 << 20)
_CHUNK: Final = 1 << 16


class Link:
    """A connection to the broker at ``address``, which is called ``role`` in messages. Raises Unanswered when there
    is none to be had. ``ended`` is why nothing more will come, or empty.
    """

    def __init__(self, address: Address, role: str) -> None:
        self.name = f"the {role} broker at {address}"
        self.ended = ""
        self.out = bytearray()
        self._parser = Parser(_LIMITS)
        self._tail = b""
        try:
            plain = socket.create_connection((address.host, address.port), PATIENCE)
        except OSError as problem:
            raise Unanswered(f"{self.name} does not answer: {problem.strerror or problem}") from None
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.socket = plain
        try:
            if address.tls:
                try:
                    self.socket = ssl.create_default_context().wrap_socket(
                        plain, server_hostname=address.host
                    )
                except OSError as problem:
                    raise Unanswered(f"{self.name}: no TLS: {problem.strerror or problem}") from None
            self.place = (self.socket.getpeername()[:2], address.vhost)
            self._login(address)
        except BaseException:
            self.close()
            raise

    def _login(self, address: Address) -> None:
        """CONNECT, and wait for what comes of it."""
        self.socket.setblocking(False)
        headers = [
            ("accept-version", "1.0,1.1,1.2"),
            ("host", address.vhost),
            ("heart-beat", f"{BEAT},{BEAT}"),
        ]
        if address.login is not None:
            headers += [("login", address.login), ("passcode", address.passcode or "")]
        # Not as the server opens it, for which only CONNECT may come first. Nothing else is read before SUBSCRIBE.
        self._parser.open(RAW, _LIMITS)
        self.text: Text = RAW
        self.write("CONNECT", headers)
        frames = self.wait_frames(PATIENCE)
        if not frames:
            raise Unanswered(f"{self.name} {self.ended or f'did not answer within {PATIENCE:.0f} seconds'}")
        connected = frames[0]
        if connected.command == "ERROR":
            raise Unanswered(f"{self.name} refused the login: {said_by(connected)}")
        self.version = connected.headers.get("version", "1.0").strip()
        if connected.command != "CONNECTED" or self.version not in TEXTS:
            raise Unanswered(f"{self.name} does not speak STOMP 1.0, 1.1 or 1.2")
        self.text = TEXTS[self.version]
        self._parser.open(self.text, _LIMITS)
        self._agree_on_beats(connected.headers.get("heart-beat", "0,0"))

    def _agree_on_beats(self, theirs: str) -> None:
        """Seconds after which we say something, and after which a silent broker is gone; 0 where that is not so."""
        can, _, wants = theirs.partition(",")
        numbers = [int(text) if text.strip().isdigit() else 0 for text in (can, wants)]
        self.beat = max(BEAT, numbers[1]) / 1000 * 0.6 if numbers[1] else 0.0
        self.silence = max(BEAT, numbers[0]) / 1000 * 2 + GRACE if numbers[0] else 0.0
        self.heard = self.spoke = time.monotonic()

    def write(self, command: str, headers: Headers, body: bytes = b"") -> None:
        """Put a frame behind what is to be sent."""
        # Without the line end behind the NUL, which is legal and which CoilMQ stumbles over.
        self.out += encode_frame(command, headers, body, self.text)[:-1]

    def flush(self) -> None:
        """Send what the socket takes."""
        while self.out and not self.ended:
            try:
                sent = self.socket.send(memoryview(self.out)[: 1 << 18])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError:
                # It may have said why before it closed: that is still to be read.
                self.out.clear()
                return
            del self.out[:sent]
            self.spoke = time.monotonic()

    def read(self) -> list[Frame]:
        """Frames that came since, about ``WINDOW`` bytes at a time. After the last one ``ended`` says why."""
        frames: list[Frame] = []
        taken = 0
        while not self.ended and taken < WINDOW:
            try:
                data = self.socket.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as problem:
                self.ended = f"is gone: {problem.strerror or problem}"
                break
            if not data:
                self.ended = "closed the connection"
                break
            self.heard = time.monotonic()
            taken += len(data)
            self._tail = (self._tail + data)[-1000:]
            # Nothing is learned here, so none of them is a PlainSend.
            frames += [frame for frame in self._parser.feed(data) if isinstance(frame, Frame)]
            if self._parser.error is not None:
                self.ended = f"said what is not STOMP {self.version_or_none()}: {self._parser.error}"
                at = self._tail.rfind(b"ERROR\n")
                if at >= 0:
                    # ActiveMQ's have line ends in headers at times. It is the text that is wanted.
                    text = self._tail[at:].decode("utf-8", "replace").replace("\0", "")
                    self.ended = "said " + " ".join(text.split())
        return frames

    def version_or_none(self) -> str:
        """The version that is spoken, for messages; empty before it is known."""
        return self.text.version

    def live(self, now: float) -> None:
        """Say that we are there, if it is time to; and find out whether the other is."""
        if self.beat and now - self.spoke >= self.beat and not self.out:
            self.out += b"\n"
        if self.silence and now - self.heard > self.silence and not self.ended:
            self.ended = f"has not been heard for {now - self.heard:.0f} seconds"

    def wait_frames(self, seconds: float) -> list[Frame]:
        """The frames that come next, after at most so many seconds; none when the other ended, or said nothing."""
        until = time.monotonic() + seconds
        frames: list[Frame] = []
        while not frames and not self.ended and (left := until - time.monotonic()) > 0:
            self.flush()
            frames = self.read()
            if not frames and not self.ended:
                wait([self], [self] if self.out else [], min(left, 0.25))
        return frames

    def close(self) -> None:
        """End it at once."""
        with contextlib.suppress(OSError):
            self.socket.close()


def wait(reading: list[Link], writing: list[Link], seconds: float) -> None:
    """Wait until one of them has something to read, or takes something, at most so long."""
    poll = select.poll() if hasattr(select, "poll") else None
    if poll is None:
        select.select([each.socket for each in reading], [each.socket for each in writing], [], seconds)
        return
    events: dict[int, int] = {}
    for links, event in ((reading, select.POLLIN), (writing, select.POLLOUT)):
        for each in links:
            events[each.socket.fileno()] = events.get(each.socket.fileno(), 0) | event
    for number, event in events.items():
        poll.register(number, event)
    poll.poll(max(0.0, seconds) * 1000)


def said_by(error: Frame) -> str:
    """What an ERROR says, on one line, its header and its body."""
    summary = error.headers.get("message", "").strip()
    text = error.body.decode("utf-8", "replace").strip()
    if summary and not text.startswith(summary):
        text = f"{summary}: {text}" if text else summary
    return " ".join(text.split())[:2000] or "ERROR, without a word"
