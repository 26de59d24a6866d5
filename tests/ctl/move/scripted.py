"""A broker that is a script: what it says is written out octet by octet, what it hears is kept in order.

Nothing here imports stompserver: a peer that shares code with what it tests agrees with its mistakes.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

LIMIT = (
    20.0  # seconds after which something that does not come is a failure; never waited for when all is well
)

Heard = tuple[str, dict[str, str], bytes]


class Wire:
    """One connection. ``events`` is shared with other scripts: what happened, in the order in which it did."""

    def __init__(self, sock: socket.socket, events: list[str]) -> None:
        self.socket = sock
        self.events = events
        self.data = b""

    def say(self, text: str | bytes) -> None:
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def hear(self) -> Heard:
        """The next frame as it came, nothing unescaped. Raises EOFError when there is none."""
        while True:
            self.data = self.data.lstrip(b"\n")
            blank = self.data.find(b"\n\n")
            if blank >= 0:
                command, *lines = self.data[:blank].decode("utf-8", "surrogateescape").split("\n")
                pairs = [line.partition(":") for line in lines]
                assert all(colon for _, colon, _ in pairs), lines
                headers = {name: value for name, _, value in pairs}
                assert len(headers) == len(pairs), f"a header is there twice: {lines}"
                length = headers.get("content-length")
                end = self.data.find(b"\0", blank) if length is None else blank + 2 + int(length)
                if 0 <= end < len(self.data):
                    assert self.data[end] == 0
                    body = self.data[blank + 2 : end]
                    self.data = self.data[end + 1 :]
                    return command, headers, body
            try:
                octets = self.socket.recv(1 << 16)
            except ConnectionResetError:
                octets = b""
            if not octets:
                raise EOFError
            self.data += octets

    def expect(self, command: str) -> Heard:
        heard = self.hear()
        assert heard[0] == command, heard
        return heard

    def greet(self, version: str = "1.2", more: str = "") -> dict[str, str]:
        """CONNECT and CONNECTED; the headers that came."""
        _, headers, _ = self.expect("CONNECT")
        self.say(f"CONNECTED\nversion:{version}\n{more}\n\0" if version else f"CONNECTED\n{more}\n\0")
        return headers

    def subscribed(self) -> dict[str, str]:
        """SUBSCRIBE and its RECEIPT; the headers that came."""
        _, headers, _ = self.expect("SUBSCRIBE")
        self.say(f"RECEIPT\nreceipt-id:{headers['receipt']}\n\n\0")
        return headers

    def goodbye(self) -> None:
        _, headers, _ = self.expect("DISCONNECT")
        self.say(f"RECEIPT\nreceipt-id:{headers['receipt']}\n\n\0")


class Scripted:
    """Runs ``script`` for the one connection that comes to ``port``. ``end`` raises what went wrong in it."""

    def __init__(self, script: Callable[[Wire], None], events: list[str]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(LIMIT)
        self.port = int(self._listener.getsockname()[1])
        self._script = script
        self._events = events
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            sock, _ = self._listener.accept()
            sock.settimeout(LIMIT)
            with sock:
                self._script(Wire(sock, self._events))
        except BaseException as problem:  # told by end()
            self._problem = problem

    def end(self) -> None:
        self._thread.join(LIMIT)
        self._listener.close()
        assert not self._thread.is_alive(), "the script has not come to its end"
        if self._problem is not None:
            raise self._problem
