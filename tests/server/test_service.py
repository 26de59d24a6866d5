from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stompserver.config import Config, Loaded, load
from stompserver.errors import ConfigError
from stompserver.security.users import Users
from stompserver.server import accounts
from stompserver.server.listeners import bind
from stompserver.server.process import service
from stompserver.server.process.logs import JsonLines, TextLines
from stompserver.server.process.process import PidFile, Readiness, StartError
from stompserver.server.process.service import Service
from stompserver.server.terms import Terms


class Fake:
    """A server that serves nobody and writes down what it is told."""

    def __init__(self, terms: Terms, users: Users | None) -> None:
        self.failed = asyncio.Event()
        self.terms = [terms]
        self.users = [users]
        self.drained: list[float] = []
        self.ready = asyncio.Event()

    async def start(self) -> None:
        self.ready.set()

    async def drain(self, deadline: float, /) -> None:
        self.drained.append(deadline)

    def reload(self, terms: Terms, users: Users | None, /) -> None:
        self.terms.append(terms)
        self.users.append(users)


class Endless(Fake):
    """Does not get ready to end."""

    async def drain(self, deadline: float, /) -> None:
        await super().drain(deadline)
        await asyncio.Event().wait()


class Running:
    """A service in this process, with the log it wrote."""

    def __init__(self, directory: Path, log: pytest.LogCaptureFixture, kind: type[Fake], *argv: str) -> None:
        self.directory = directory
        self.argv = argv
        self.servers: list[Fake] = []
        self._log = log
        self._kind = kind
        self.service = Service(self.read(), self.read, self._make)

    def read(self) -> Loaded:
        return load(self.argv, {}, self.directory)

    async def _make(self, config: Config, users: Users | None, sockets: Sequence[socket.socket]) -> Fake:
        self.servers.append(self._kind(Terms(config), users))
        return self.servers[0]

    @property
    def server(self) -> Fake:
        return self.servers[0]

    def file(self, text: str) -> None:
        (self.directory / "stompserver.conf").write_text(text)

    def messages(self, level: int = logging.INFO) -> list[str]:
        return [each.getMessage() for each in self._log.records if each.levelno >= level]

    @asynccontextmanager
    async def logs(self, text: str) -> AsyncIterator[None]:
        """What is done in the block, or follows from it, logs this text."""
        handler = _Until(text)
        logger = logging.getLogger("stompserver")
        logger.addHandler(handler)
        try:
            yield
            await asyncio.wait_for(handler.seen.wait(), 10)
        finally:
            logger.removeHandler(handler)

    async def hang_up(self, until: str) -> None:
        async with self.logs(until):
            os.kill(os.getpid(), signal.SIGHUP)

    async def end(self) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return await self.code

    @asynccontextmanager
    async def started(self) -> AsyncIterator[Running]:
        (self.directory / "log").mkdir(exist_ok=True)
        sockets = bind("127.0.0.1", 0)
        try:
            async with self.logs("Stomp protocol handler starting on 127.0.0.1 port "):
                self.code = asyncio.create_task(self.service.run(sockets, Readiness()))
            yield self
            if not self.code.done():
                await self.end()
        finally:
            for each in sockets:
                each.close()


class _Until(logging.Handler):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.seen = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self.text in record.getMessage():
            self.seen.set()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged; the logging that a reload configures is undone."""
    root, ours = logging.getLogger(), logging.getLogger("stompserver")
    before = list(root.handlers), root.level, ours.level
    ours.addHandler(caplog.handler)
    ours.setLevel(logging.DEBUG)
    ours.propagate = False
    yield caplog
    ours.removeHandler(caplog.handler)
    ours.propagate = True
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    logging.captureWarnings(False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_the_deadline(
    tmp_path: Path, log: pytest.LogCaptureFixture, number: signal.Signals
) -> None:
    async def scenario() -> None:
        running = Running(tmp_path, log, Fake, "--shutdown-timeout=3")
        async with running.started():
            assert (tmp_path / "log" / "stompserver.pid").read_text() == str(os.getpid())
            os.kill(os.getpid(), number)
            assert await running.code == 0
        assert running.server.drained == [3.0]
        assert running.messages()[-2:] == [f"{number.name[3:]} signal received; ending within 3 s", "stopped"]
        assert not (tmp_path / "log" / "stompserver.pid").exists()

    asyncio.run(scenario())


def test_a_server_that_fails_ends_with_a_code(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        running = Running(tmp_path, log, Fake)
        async with running.started():
            running.server.failed.set()
            assert await running.code == 1
        assert running.server.drained == [10.0]

    asyncio.run(scenario())


def test_a_server_that_overruns_its_deadline_is_left_behind(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        running = Running(tmp_path, log, Endless, "--shutdown-timeout=0")
        async with running.started():
            assert await running.end() == 0
        assert "not everything could be finished within 0 s" in running.messages(logging.WARNING)

    asyncio.run(scenario())


def test_a_pid_file_that_is_held_ends_the_start(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        held = PidFile(tmp_path / "pid")
        held.acquire()
        second = Running(tmp_path, log, Fake, "--pidfile", str(tmp_path / "pid"))
        with pytest.raises(StartError, match="already running as process"):
            await second.service.run([], Readiness())
        assert second.servers == []
        held.release()

    asyncio.run(scenario())


def test_a_stale_pid_file_is_named(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        (tmp_path / "stale.pid").write_text("4711")
        async with Running(
            tmp_path, log, Fake, "--pidfile", str(tmp_path / "stale.pid")
        ).started() as running:
            text = f"replaced the stale pid file {tmp_path}/stale.pid of process '4711', which is gone"
            assert running.messages(logging.WARNING) == [text]

    asyncio.run(scenario())


def test_without_a_pid_file(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with Running(tmp_path, log, Fake, "--pidfile=").started():
            assert list((tmp_path / "log").iterdir()) == []

    asyncio.run(scenario())


def test_hang_up_takes_over_what_may_change(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with Running(tmp_path, log, Fake).started() as running:
            running.file(
                "configfile: x\nprefetch: 7\nshutdown-timeout: 3\nport: 1\nuser: nobody\nlinger: 9\n"
            )
            await running.hang_up("read again; changed: prefetch, linger, shutdown-timeout")
            assert running.messages(logging.WARNING) == [
                "stompserver.conf line 1: configfile has no effect inside the configuration file",
                "changed, but only a restart puts it in force: port, user",
            ]
            assert running.server.terms[-1].settings[0].prefetch == 7
            assert running.server.terms[-1].linger == 9.0
            assert (running.service.config.port, running.service.config.user) == (61613, "")
            running.file("prefetch: 7\nlinger: 9\n")
            await running.hang_up("read again; changed: shutdown-timeout")
            assert await running.end() == 0
            assert running.server.drained == [10.0]

    asyncio.run(scenario())


def test_what_the_loop_cannot_tell_anybody(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    """The system's refusals are one line; a bug keeps its traceback."""

    async def scenario() -> None:
        async with Running(tmp_path, log, Fake).started():
            loop = asyncio.get_running_loop()
            before = len(log.records)
            loop.call_exception_handler(
                {
                    "message": "socket.accept() out of system resource",
                    "exception": OSError(24, "Too many open files"),
                }
            )
            loop.call_exception_handler({"message": "bug", "exception": ValueError("bug")})
            assert [(record.name, bool(record.exc_info)) for record in log.records[before:]] == [
                ("stompserver", False),
                ("asyncio", True),
            ]

    asyncio.run(scenario())


def test_hang_up_without_a_change(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with Running(tmp_path, log, Fake).started() as running:
            await running.hang_up("configuration and users read again; changed: nothing")

    asyncio.run(scenario())


def test_hang_up_changes_what_is_logged(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with Running(tmp_path, log, Fake).started() as running:
            running.file("debug: true\nlog-format: json\n")
            await running.hang_up("changed: debug, log-format")
            assert logging.getLogger("stompserver").level == logging.DEBUG
            assert isinstance(logging.getLogger().handlers[0].formatter, JsonLines)
            running.file("prefetch: 7\n")
            await running.hang_up("changed: prefetch, debug, log-format")
            assert logging.getLogger("stompserver").level == logging.INFO
            assert isinstance(logging.getLogger().handlers[0].formatter, TextLines)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("port: abc\n", "stompserver.conf line 1: port: 'abc' is not a whole number"),
        ("prefetch: 3\nauth: [\n", "stompserver.conf line 3: not YAML: "),
        ("prefetch: 3\nauth: true\netcdir: elsewhere\n", ".passwd: cannot read the logins: Is a directory"),
    ],
)
def test_a_broken_file_leaves_everything_as_it_is(
    tmp_path: Path, log: pytest.LogCaptureFixture, file: str, text: str
) -> None:
    async def scenario() -> None:
        (tmp_path / "etc" / ".passwd").mkdir(parents=True)
        async with Running(tmp_path, log, Fake).started() as running:
            running.file(file)
            await running.hang_up("the configuration was not read again, the old one stays in force: ")
            assert text in running.messages()[-1]
            assert len(running.server.terms) == 1
            running.file("prefetch: 9\n")
            await running.hang_up("changed: prefetch")

    asyncio.run(scenario())


def test_hang_up_reads_the_users_again(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        (tmp_path / "etc").mkdir()
        passwd = tmp_path / "etc" / ".passwd"
        passwd.write_text("old:1\n")
        passwd.chmod(0o600)
        async with Running(tmp_path, log, Fake, "--auth").started() as running:
            first = running.server.users[-1]
            assert first is not None
            assert first.check("old", "1")
            assert "Client authorization enabled, 1 logins" in running.messages()
            assert running.messages(logging.WARNING) == []
            passwd.chmod(0o644)
            passwd.write_text("new:2\nother:3\n")
            await running.hang_up("changed: nothing")
            second = running.server.users[-1]
            assert second is not None
            assert second.check("new", "2")
            assert not second.check("old", "1")
            assert "open to every user of this machine" in running.messages(logging.WARNING)[0]
            assert not any("new" in each for each in running.messages())

    asyncio.run(scenario())


def test_hang_up_while_a_changed_file_is_read(
    tmp_path: Path, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was read for the places of accounts of before, which must not come back."""
    reading, go_on = threading.Event(), threading.Event()
    read = accounts.read

    def slow(config: Config, complain: accounts.Complain) -> Any:
        if not reading.is_set():
            reading.set()
            assert go_on.wait(10)
        return read(config, complain)

    async def scenario() -> None:
        (tmp_path / "etc").mkdir()
        tokens = tmp_path / "etc" / ".tokens"
        tokens.write_text("")
        tokens.chmod(0o600)
        (tmp_path / "stompserver.conf").write_text("accounts: tokens\n")
        running = Running(tmp_path, log, Fake, "--auth")
        monkeypatch.setattr(service, "LOOK", 0.01)
        async with running.started():
            monkeypatch.setattr(accounts, "read", slow)
            async with running.logs("a file of accounts changed, and was read again"):
                tokens.write_text("# other\n")
                assert await asyncio.to_thread(reading.wait, 10)
                running.file("accounts: passwd\n")
                async with running.logs("read again; changed: accounts"):
                    os.kill(os.getpid(), signal.SIGHUP)
                    # The loop has heard of it.
                    await asyncio.sleep(0.2)
                    go_on.set()
            assert running.server.users[-1] is not None
            assert running.server.users[-1].users is not None

    asyncio.run(scenario())


def test_files_are_watched_after_places_that_cannot_be_used(
    tmp_path: Path, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        (tmp_path / "etc").mkdir()
        tokens = tmp_path / "etc" / ".tokens"
        tokens.write_text("")
        tokens.chmod(0o600)
        (tmp_path / "stompserver.conf").write_text("accounts: tokens\n")
        monkeypatch.setattr(service, "LOOK", 0.01)
        async with Running(tmp_path, log, Fake, "--auth").started() as running:
            running.file("accounts: passwd, nowhere\n")
            await running.hang_up("the old one stays in force: accounts: unknown place 'nowhere'")
            async with running.logs("a file of accounts changed, and was read again"):
                tokens.write_text("# other\n")

    asyncio.run(scenario())


def test_users_that_cannot_be_read_end_the_start(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        (tmp_path / "log").mkdir()
        (tmp_path / "etc" / ".passwd").mkdir(parents=True)
        with pytest.raises(ConfigError, match="cannot read the logins"):
            await Running(tmp_path, log, Fake, "--auth").service.run([], Readiness())
        assert list((tmp_path / "log").iterdir()) == []

    asyncio.run(scenario())


AT_ONCE = """
import asyncio, sys
from pathlib import Path
from stompserver.config import load
from stompserver.server.process import logs
from stompserver.server.process.process import Readiness
from stompserver.server.process.service import Service

class Endless:
    def __init__(self):
        self.failed = asyncio.Event()
    async def start(self):
        pass
    async def drain(self, deadline):
        print("draining", flush=True)
        await asyncio.Event().wait()

async def make(*_):
    return Endless()

def read():
    return load(["--pidfile", "../pid"], {}, Path.cwd())

logs.configure("info", "text")
loop = sys.argv[1]
if loop == "uvloop":
    import uvloop
    factory = uvloop.new_event_loop
else:
    factory = asyncio.new_event_loop
print("code", asyncio.Runner(loop_factory=factory).run(Service(read(), read, make).run([], Readiness())))
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, loop: str) -> None:
    (tmp_path / "log").mkdir()
    command = [sys.executable, "-c", AT_ONCE.replace("pass\n", 'print("started", flush=True)\n'), loop]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "draining\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=5) == 1
        assert "INT signal received again; ending at once" in process.stderr.read()
        assert not (tmp_path / "pid").exists()
