"""What all tests share: a really started server, and the rule that nothing is skipped in silence."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest

import stompserver
from stompserver.cli import core

# HYPOTHESIS_PROFILE=long looks further, for minutes. No deadlines, and no look at how long it takes to make examples:
# machines of the CI are slow at times.
hypothesis.settings.register_profile(
    "default", deadline=None, max_examples=100, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "long", hypothesis.settings.get_profile("default"), max_examples=5000, stateful_step_count=100
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Taken out of the environment: whatever tests start reads STOMPSERVER_* as options.
NO_SKIP = os.environ.pop("STOMPSERVER_NO_SKIP", "") not in ("", "0")

# "compiled" or "interpreted": the tests end at once when the core is not what they are meant for.
CORE = os.environ.pop("STOMPSERVER_TEST_CORE", "")

# What a started server must not inherit: options, and how developers like their Python.
UNSET = ("STOMPSERVER_", "PYTHON")

READY = re.compile(r"Stomp protocol handler starting on (?P<host>\S+) port (?P<port>\d+)")
START_SECONDS = 30.0
STOP_SECONDS = 30.0


class ServerNotReadyError(Exception):
    """The server ended, or said nothing for START_SECONDS; the text carries its log."""


class RunningServer:
    """A `stompserver` process of its own, listening on a port the system chose.

    `log()` is what it wrote to stderr so far; `wait_for_log()` waits for more of it without polling.
    """

    def __init__(self, directory: Path, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.judged = False  # whether somebody looked at how it ended
        self.command = [sys.executable, "-m", "stompserver", "-p", "0", "-b", "127.0.0.1"]
        self.command += ["-w", str(directory), *arguments]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(UNSET)}
        self.process = subprocess.Popen(
            self.command,
            cwd=directory,
            env={**inherited, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._written = bytearray()
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        try:
            ready = self.wait_for_log(READY, START_SECONDS)
        except BaseException:
            self.kill()
            raise
        self.host = ready["host"]
        self.port = int(ready["port"])

    def _collect(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            while chunk := os.read(stream.fileno(), 65536):
                with self._changed:
                    self._written += chunk
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def log(self) -> str:
        """All of the server's stderr up to now."""
        with self._changed:
            return self._written.decode("utf-8", "replace")

    def wait_for_log(self, pattern: str | re.Pattern[str], seconds: float = 10.0) -> re.Match[str]:
        """The first match of pattern in the log, which may have been written already.

        Raises ServerNotReadyError when the log ends, or the seconds are over, without one.
        """
        wanted = re.compile(pattern)
        until = time.monotonic() + seconds
        with self._changed:
            while not (found := wanted.search(self.log())):
                if self._ended or not self._changed.wait(max(0.0, until - time.monotonic())):
                    state = "ended" if self._ended else f"went on for {seconds:g} s"
                    text = f"{' '.join(self.command)}: log {state} without {wanted.pattern!r}"
                    raise ServerNotReadyError(f"{text}:\n{self.log()}")
        return found

    def stop(self, expect: int = 0) -> str:
        """End the server by SIGTERM and return its log.

        Its exit code must be `expect`, and its log free of tracebacks.
        Of a server that has ended already only the code and the log are looked at.
        """
        self.judged = True
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the server did not end within {STOP_SECONDS:g} s of SIGTERM:\n{self.log()}")
        self._reader.join(STOP_SECONDS)
        log = self.log()
        assert code == expect, f"the server ended with code {code}, not {expect}:\n{log}"
        assert "Traceback (most recent call last)" not in log, f"a traceback in the server's log:\n{log}"
        return log

    def kill(self) -> None:
        """End it by SIGKILL, whatever it is doing; says nothing about how it would have ended."""
        self.judged = True
        self.process.kill()
        self.process.wait()
        self._reader.join(STOP_SECONDS)


StartServer = Callable[..., RunningServer]


def _server_factory(make_directory: Callable[[], Path]) -> Iterator[StartServer]:
    running: list[RunningServer] = []

    def start(
        *arguments: str, directory: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> RunningServer:
        server = RunningServer(directory or make_directory(), arguments, environment or {})
        running.append(server)
        return server

    yield start
    problems = []
    for server in running:
        if server.judged:
            continue
        try:
            server.stop()
        except (AssertionError, pytest.fail.Exception) as problem:
            problems.append(str(problem))
    assert not problems, "\n\n".join(problems)


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """`start_server(*options, directory=, environment=)` starts a server that is stopped after the test.

    A test that ends one itself says how it should end: `stop(expect=CODE)`, or `kill()`.
    """
    yield from _server_factory(lambda: tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="session")
def start_shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """As `start_server`, for servers that live as long as the whole run."""
    yield from _server_factory(lambda: tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="session")
def server(start_shared_server: StartServer) -> RunningServer:
    """One server with default options for all tests that only need destinations of their own."""
    return start_shared_server()


def pytest_report_header() -> str:
    return f"stompserver: {core()}, {Path(stompserver.__file__).parent}"


def pytest_configure(config: pytest.Config) -> None:
    global NO_SKIP
    # Processes of xdist start when the environment has lost the variable already.
    NO_SKIP = getattr(config, "workerinput", {}).get("no_skip", NO_SKIP)
    if CORE not in ("", core()):
        raise pytest.UsageError(f"STOMPSERVER_TEST_CORE is {CORE}, and {stompserver.__file__} is {core()}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, whatever order chance gave: else one worker has it when the other is done."""
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["no_skip"] = NO_SKIP


def _skip_is_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} would be skipped, but STOMPSERVER_NO_SKIP is set: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None] | pytest.TestReport:
    """With STOMPSERVER_NO_SKIP=1 a skipped test has failed; an expected failure stays one."""
    report: pytest.TestReport = yield
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        _skip_is_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None] | pytest.CollectReport:
    """The same for a module that skips itself while it is collected."""
    report: pytest.CollectReport = yield
    if NO_SKIP and report.skipped:
        _skip_is_failure(report)
    return report
