"""One question to a running server at a time, over STOMP."""

from __future__ import annotations

import json
import socket
import time
from types import TracebackType
from typing import Any, Final

from stompserver.errors import StompserverError
from stompserver.wire.frame import Frame
from stompserver.wire.headers import RAW, TEXT_12, Text, encode_frame
from stompserver.wire.parser import Limits, Parser

MANAGEMENT: Final = "/queue/stompserver.management"

PATIENCE: Final = 60.0
"""Seconds for one answer."""

_ANSWERS: Final = "/temp-queue/stompctl"
_LIMITS: Final = Limits(1 << 30, 1000, 1 << 20)


class Unanswered(StompserverError):
    """The server is not there, or did not do what it was asked."""


class Client:
    """A connection to the server at ``host`` and ``port``. Raises Unanswered for whatever goes wrong."""

    def __init__(self, host: str, port: int, login: str | None, passcode: str | None) -> None:
        self._place = f"{host}:{port}"
        self._frames: list[Frame] = []
        self._parser = Parser(_LIMITS)
        self._asked = 0
        self._opening: bytes | None = b""
        """What came before CONNECTED: the parser gives no bodies before that."""
        try:
            self._socket = socket.create_connection((host, port), PATIENCE)
        except OSError as problem:
            raise Unanswered(f"no server answers at {self._place}: {problem.strerror or problem}") from None
        headers = [("accept-version", "1.2"), ("host", host)]
        if login is not None:
            headers += [("login", login), ("passcode", passcode or "")]
        try:
            self._send("CONNECT", headers, RAW)
            if self._next().command != "CONNECTED":
                raise Unanswered(f"{self._place} does not speak STOMP 1.2")
        except BaseException:
            self._socket.close()
            raise
        self._opening = None
        self._parser.open(TEXT_12, _LIMITS)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, action: str, **headers: str) -> dict[str, Any]:
        """The answer to a management frame."""
        self._asked += 1
        number = str(self._asked)
        asked = [("destination", MANAGEMENT), ("action", action), ("reply-to", _ANSWERS)]
        asked += [("correlation-id", number), *headers.items()]
        self._send("SEND", asked, TEXT_12)
        while True:
            frame = self._next()
            if frame.command == "MESSAGE" and frame.headers.get("correlation-id") == number:
                break
        content: dict[str, Any] = json.loads(frame.body)
        if "error" in content:
            fix = content.get("fix", "")
            raise Unanswered(
                f"{content['error']}. {content.get('rule', '')}. {fix}" if fix else content["error"]
            )
        return content

    def _send(self, command: str, headers: list[tuple[str, str]], text: Text) -> None:
        try:
            self._socket.sendall(encode_frame(command, headers, b"", text))
        except OSError:
            # It may have said why before it closed.
            return

    def _next(self) -> Frame:
        deadline = time.monotonic() + PATIENCE
        while not self._frames:
            data = self._read(deadline)
            if not data:
                raise Unanswered(f"{self._place} closed the connection")
            if self._opening is not None:
                self._opening += data
            # Nothing is learned here, so none of them is a PlainSend.
            self._frames = [frame for frame in self._parser.feed(data) if isinstance(frame, Frame)]
            if self._parser.error is not None:
                raise Unanswered(f"{self._place} does not speak STOMP: {self._parser.error}")
        frame = self._frames.pop(0)
        if frame.command == "ERROR":
            body = frame.body if self._opening is None else self._body_of_opening(deadline)
            said = body.decode("utf-8", "replace") or frame.headers.get("message", "ERROR")
            raise Unanswered(" ".join(said.split()))
        return frame

    def _read(self, deadline: float) -> bytes:
        """What comes next; nothing at the end."""
        try:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            return self._socket.recv(1 << 16)
        except TimeoutError:
            raise Unanswered(f"{self._place} did not answer within {PATIENCE:.0f} seconds") from None
        except OSError as problem:
            raise Unanswered(f"{self._place}: {problem.strerror or problem}") from None

    def _body_of_opening(self, deadline: float) -> bytes:
        """The body of the ERROR that answers CONNECT, as far as it comes."""
        said = self._opening or b""
        try:
            while b"\0" not in said:
                data = self._read(deadline)
                if not data:
                    break
                said += data
        except Unanswered:
            pass
        return said.partition(b"\0")[0].partition(b"\n\n")[2]
