"""A relay between a client and the server that cuts the connection at a chosen message."""

from __future__ import annotations

import contextlib
import socket
import threading

MESSAGE = b"MESSAGE\n"


class CuttingRelay:
    """Passes one connection on, until so many whole MESSAGEs went to the client; from then on it refuses everybody.

    What the client says afterwards never reaches the server, though the client may have written it.
    """

    def __init__(self, port: int, messages: int) -> None:
        self._target = port
        self._messages = messages
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def wait_until_cut(self, seconds: float) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the connection was never cut"

    def _serve(self) -> None:
        with self._listener:
            client, _ = self._listener.accept()
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            talk = threading.Thread(target=_copy, args=(client, server), daemon=True)
            talk.start()
            data = passed = b""
            # No further octet after the NUL of the last message that may pass.
            while self._end(passed) < 0 and (data := server.recv(1 << 16)):
                end = self._end(passed + data)
                client.sendall(data if end < 0 else data[: end - len(passed)])
                passed += data
            for each in (client, server):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            talk.join()

    def _end(self, octets: bytes) -> int:
        """Behind the last message that may pass, -1 before it has come."""
        at = 0
        for _ in range(self._messages):
            start = octets.find(MESSAGE, at)
            at = octets.find(b"\0", start) + 1 if start >= 0 else 0
            if at == 0:
                return -1
        return at


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
