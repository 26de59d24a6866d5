"""What all tests share: a really started server, and the rule that nothing is skipped in silence."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

import stompserver
from stompserver.cli import core

if TYPE_CHECKING:
    from papers import Papers

# What several folders of tests share lies beside this file.
sys.path.insert(0, str(Path(__file__).parent))

# HYPOTHESIS_PROFILE=long looks further, for minutes. No deadlines, and no look at how long it takes to make examples:
# machines of the CI are slow at times.
hypothesis.settings.register_profile(
    "default", deadline=None, max_examples=100, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "long", hypothesis.settings.get_profile("default"), max_examples=5000, stateful_step_count=100
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# The tests with their rewritten assertions are kept, even for who sets PYTHONDONTWRITEBYTECODE: to rewrite them again
# takes each process of xdist 7 s.
sys.dont_write_bytecode = False

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


def inherited() -> dict[str, str]:
    """The environment of what tests start."""
    return {name: value for name, value in os.environ.items() if not name.startswith(UNSET)}


class ForkedProcess:
    """A process of the template's, with what `subprocess.Popen` has and the tests use."""

    def __init__(self, template: Template, pid: int, stderr: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stderr = os.fdopen(stderr, "rb", buffering=0)
        self._template = template
        self._handle = os.pidfd_open(pid)  # readable when the process has ended
        self._one_asks = threading.Lock()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            waiting = select.poll()
            waiting.register(self._handle, select.POLLIN)
            if not waiting.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            with self._one_asks:
                if self.returncode is None:
                    self.returncode = self._template.ask({"ended": self.pid})
                    os.close(self._handle)
        return self.returncode

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nobody else has its number meanwhile: the template has not waited for it before we ask."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Template:
    """The process of `template.py`, which forks for each server."""

    def __init__(self) -> None:
        self.executable = sys.executable
        self._channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._one_at_a_time = threading.Lock()
        with other:
            # -P: what lies beside the file is not to be found by its imports.
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("template.py")), str(other.fileno())],
                env=inherited(),
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def ask(self, request: Mapping[str, Any], *descriptors: int) -> int:
        with self._one_at_a_time:
            socket.send_fds(self._channel, [json.dumps(request).encode()], descriptors)
            answer: int = json.loads(self._channel.recv(100))
        return answer

    def start(self, *words: str, directory: Path, **environment: str) -> ForkedProcess:
        """What `stompserver` with these words is; who starts it reads its `stderr`."""
        reading, writing = os.pipe()
        request = {"words": words, "environment": {**inherited(), **environment}, "directory": str(directory)}
        pid = self.ask(request, writing)
        os.close(writing)
        return ForkedProcess(self, pid, reading)

    def close(self) -> None:
        self._channel.close()
        assert self._process.wait(STOP_SECONDS) == 0


class RunningServer:
    """A `stompserver` process of its own, listening on a port the system chose.

    `log()` is what it wrote to stderr so far; `wait_for_log()` waits for more of it without polling.
    Without a template it is started by the command.
    """

    process: ForkedProcess | subprocess.Popen[bytes]

    def __init__(
        self,
        directory: Path,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        template: Template | None,
    ) -> None:
        self.directory = directory
        self.judged = False  # whether somebody looked at how it ended
        words = ["-p", "0", "-b", "127.0.0.1", "-w", str(directory), *arguments]
        self.command = [sys.executable, "-m", "stompserver", *words]
        # A test that puts another program in the place of Python means it.
        if template and template.executable == sys.executable:
            self.process = template.start(*words, directory=directory, **environment)
        else:
            self.process = subprocess.Popen(
                self.command,
                cwd=directory,
                env={**inherited(), **environment},
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


def _server_factory(make_directory: Callable[[], Path], template: Template) -> Iterator[StartServer]:
    running: list[RunningServer] = []

    def start(
        *arguments: str,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        by_command: bool = False,
    ) -> RunningServer:
        source = None if by_command else template
        server = RunningServer(directory or make_directory(), arguments, environment or {}, source)
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


@pytest.fixture(scope="session")
def template() -> Iterator[Template]:
    made = Template()
    yield made
    made.close()


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory, template: Template) -> Iterator[StartServer]:
    """`start_server(*options, directory=, environment=, by_command=)` starts a server that is stopped after the test.

    A test that ends one itself says how it should end: `stop(expect=CODE)`, or `kill()`.
    """
    yield from _server_factory(lambda: tmp_path_factory.mktemp("server"), template)


@pytest.fixture(scope="session")
def start_shared_server(
    tmp_path_factory: pytest.TempPathFactory, template: Template
) -> Iterator[StartServer]:
    """As `start_server`, for servers that live as long as the whole run."""
    yield from _server_factory(lambda: tmp_path_factory.mktemp("server"), template)


@pytest.fixture(scope="session")
def server(start_shared_server: StartServer) -> RunningServer:
    """One server with default options for all tests that only need destinations of their own."""
    return start_shared_server()


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """A CA, and certificates that it signed."""
    # Half a second of imports that most runs of a few tests do without.
    from papers import Papers

    return Papers(tmp_path_factory.mktemp("papers"))


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
