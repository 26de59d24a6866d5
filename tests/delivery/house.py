"""A started server that is ended in the middle of a test, and the connections to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


class House:
    """A server with one kind of storage. Where that keeps anything, ``restart`` ends it and starts it again.

    ``client(port, ...)`` makes a connection; ``configuration`` is the text of the server's file.
    """

    def __init__(
        self,
        start: Callable[..., Any],
        kind: str,
        directory: Path,
        client: Callable[..., Any],
        configuration: str = "",
        options: Iterable[str] = (),
    ) -> None:
        self.keeps = kind != "memory"
        self.clients: list[Any] = []
        self._start = start
        self._client = client
        self._directory = directory
        self._path = directory / "server.conf"
        self._options = ["-q", kind, "--monitor-interval=0", "--linger=0.1", *options]
        if configuration:
            self._path.write_text(configuration)
            self._options += ["-C", str(self._path)]
        self.server = start(*self._options, directory=directory)

    def connect(self, *who: str) -> Any:
        self.clients.append(self._client(self.server.port, *who))
        return self.clients[-1]

    def restart(self, kill: bool = True) -> None:
        """All connections end; on memory nothing else."""
        if self.keeps:
            if kill:
                self.server.kill()
            else:
                self.server.stop()
            self.server = self._start(*self._options, directory=self._directory)
            self.close()

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.clients.clear()
