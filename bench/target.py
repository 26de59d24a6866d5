"""A running server in its own process on its own core: started, asked for CPU time and memory, stopped."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import psutil

from bench.confirmed.speakers import SPEAKERS
from bench.link import Link
from bench.machine import on_cores
from bench.nats import NatsLink
from bench.receiver import CountError
from bench.subject import Subject


class StartError(Exception):
    """A server did not come up; carries the end of what it printed."""


class Target:
    """Start `subject` on a free port, pinned to `cores`; a context manager that stops it and its children."""

    def __init__(self, subject: Subject, cores: set[int] | None) -> None:
        self.subject = subject
        self.cores = cores
        self.port = free_port()
        self.warm = False
        self._directory = tempfile.TemporaryDirectory(
            prefix=f"bench-{subject.name}-", ignore_cleanup_errors=True
        )
        directory = Path(self._directory.name)
        self._output = directory / "output.txt"
        self._work = directory / "work"
        self._work.mkdir()
        self.server_name = ""
        raise_file_limit()
        self._process = self._start()
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        # The child inherits the cores, so threads it starts at once are pinned too.
        with on_cores(self.cores), self._output.open("ab") as output:
            return subprocess.Popen(
                self.subject.command(self.port, self._work),
                cwd=self._work,
                env={**os.environ, **self.subject.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.subject.start_seconds
        while True:
            if self._process.poll() is not None:
                raise StartError(
                    f"{self.subject.name} ended with code {self._process.returncode}:\n{self.printed()}"
                )
            try:
                link = self.connect(patience=10.0)
            except (OSError, CountError) as error:
                if time.monotonic() > deadline:
                    raise StartError(
                        f"{self.subject.name} is not ready: {error}\n{self.printed()}"
                    ) from error
                time.sleep(0.01)
                continue
            self.server_name = link.server_name()
            link.close()
            return

    def connect(self, version: str = "", patience: float = 0.0) -> Link:
        """A new logged-in connection, of this STOMP `version` if one is given."""
        subject = self.subject
        patience = patience or subject.patience
        if subject.protocol == "nats":
            # Cast: it has the methods that the scenarios call which a NATS subject does not refuse.
            return cast(Link, NatsLink(self.port, patience))
        if speaker := SPEAKERS.get(subject.protocol):
            # Cast: only the scenarios of `confirmed` are for these, and they know what it is.
            return cast(Link, speaker.open(self.port, patience))
        return Link(self.port, version or subject.version, subject.connect_headers, patience)

    def alive(self) -> bool:
        return self._process.poll() is None

    def printed(self) -> str:
        """The last lines the server wrote."""
        try:
            return "\n".join(
                line[:400] for line in self._output.read_text(errors="replace").splitlines()[-3:]
            )
        except OSError:
            return ""

    def _processes(self) -> list[psutil.Process]:
        try:
            first = psutil.Process(self._process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_seconds(self) -> float:
        """User and system time of the server and its children so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._processes())

    def memory(self) -> tuple[int, int]:
        """(RSS, PSS) in bytes of the server and its children."""
        full = [process.memory_full_info() for process in self._processes()]
        return sum(info.rss for info in full), sum(getattr(info, "pss", info.rss) for info in full)

    def own_memory(self) -> int:
        """Bytes of the server and its children that no file backs (RssAnon): no cache pages of a mapped file."""
        found = 0
        for process in self._processes():
            status = Path(f"/proc/{process.pid}/status").read_text()
            found += int(status.partition("RssAnon:")[2].split()[0]) * 1024
        return found

    def restart(self, patience: float = 180.0) -> float:
        """End it by SIGTERM, start it on the same files; seconds from there until CONNECTED came.

        Raises StartError when it does not end within `patience` seconds or does not come up.
        """
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired as error:
            raise StartError(f"{self.subject.name} did not end within {patience:g} s of SIGTERM") from error
        start = time.perf_counter()
        self._process = self._start()
        self._wait_until_ready()
        return time.perf_counter() - start

    def stop(self) -> None:
        """SIGTERM to the server's own process group, SIGKILL after 10 s."""
        for sign, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
            try:
                os.killpg(self._process.pid, sign)
            except ProcessLookupError:
                break
            try:
                self._process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue
        self._directory.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def raise_file_limit() -> None:
    """As many open files as allowed: 5,000 connections need them here and, inherited, in the server."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
