"""A server with permissions, and clients that log in."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wire import LIMIT, Client, Frame


class Visitor(Client):
    """A client with a login, whose passcode is ``x``; ``seen`` are all octets that came."""

    def __init__(self, port: int, login: str, more: str = "", version: str = "1.2") -> None:
        super().__init__(port, f"login:{login}\npasscode:x\n{more}" if login else more, version)

    def allowed(self, text: str) -> Frame:
        """Do what the frame says."""
        return self.receipt(text)

    def refused(self, text: str) -> Frame:
        """Be told that there is no right for what the frame says; messages may come before."""
        self.send(text)
        while (frame := self.frame()).command == "MESSAGE":
            self.early.append(frame)
        assert frame.command == "ERROR", frame
        assert frame["message"].startswith("You may not"), frame
        return frame

    def rest(self) -> bytes:
        """All octets until the server closes."""
        octets = self._data
        while more := self.socket.recv(1 << 16):
            octets += more
        return octets


class Guarded:
    """A server whose configuration is written by the test, and changed while it runs."""

    def __init__(
        self,
        start: Callable[..., Any],
        kind: str,
        directory: Path,
        configuration: str,
        logins: tuple[str, ...],
        *more: str,
    ) -> None:
        self.path = directory / "server.conf"
        self.path.write_text(configuration)
        self.directory = directory
        self.clients: list[Visitor] = []
        self.words = ["-q", kind, "--monitor-interval=0", "--linger=0.2", "-C", str(self.path), *more]
        if logins:
            passwords = directory / ".passwd"
            passwords.write_text("".join(f"{login}:x\n" for login in logins))
            passwords.chmod(0o600)
            self.words += ["-a", f"--etcdir={directory}"]
        self.numbers = itertools.count(1)
        self.server = start(*self.words, directory=directory)

    def connect(self, login: str = "", more: str = "", version: str = "1.2") -> Visitor:
        self.clients.append(Visitor(self.server.port, login, more, version))
        return self.clients[-1]

    def reload(self, configuration: str) -> None:
        """Another configuration, and SIGHUP."""
        before = self.server.log().count("users read again")
        self.path.write_text(configuration)
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_for_log(f"(?s)(users read again.*){{{before + 1}}}", LIMIT)

    def name(self) -> str:
        """A level that no other test has."""
        return f"n{next(self.numbers)}"

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.clients.clear()
