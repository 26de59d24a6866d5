"""A server under attack, the canary beside it, and the figures of both."""

from __future__ import annotations

import json
import mmap
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.hostile import watched
from bench.hostile.attack import Attack, Figures
from bench.hostile.wire import HELLO, NoAnswer, RefusedByServer, Wire, ready, send
from bench.machine import on_cores
from bench.subjects import ROOT, Home
from bench.target import StartError

SETTLE = 0.5
"""Seconds that are watched after an attack: what it left behind keeps others waiting, too."""
AMPLE = 2 << 30
"""memory-limit where memory is not what is attacked."""
PATIENCE = 10.0
"""Seconds that the canary's last message may take."""

LOGIN = b"login:canary\npasscode:secret\n"
READY = re.compile(r"starting on \S+ port (\d+)")
KNOWN = re.compile(r"--([a-z-]+)")


class Stage:
    """Starts the server of `home` for `attack`, with counts multiplied by `scale`."""

    def __init__(
        self,
        home: Home,
        attack: Attack,
        scale: float,
        cores: tuple[set[int], set[int]] | None,
        known: frozenset[str],
    ) -> None:
        self.attack = attack
        self.scale = scale
        self.until = 0.0
        self.wires: list[Wire] = []
        self.missed = ""
        self._canary: subprocess.Popen[bytes] | None = None
        self._room = tempfile.TemporaryDirectory(prefix="bench-hostile-", ignore_cleanup_errors=True)
        self.directory = Path(self._room.name)
        figures = self.directory / "figures"
        figures.write_bytes(bytes(watched.FORM.size))
        with figures.open("r+b") as file:
            self._figures = mmap.mmap(file.fileno(), watched.FORM.size)
        (self.directory / "stompserver.conf").write_text(
            "policies:\n" + attack.policies if attack.policies else ""
        )
        self.port = 0
        if attack.auth:
            self._make_login(home)
        command = [home.python, str(ROOT / "bench" / "hostile" / "watched.py"), str(figures)]
        command += ["-b", "127.0.0.1", "-p", "0", "-w", str(self.directory)]
        if not attack.held:
            command += ["--loop", "asyncio"]
        command += ["--memory-limit", str(attack.limit or AMPLE), *(["-a"] if attack.auth else [])]
        # An older commit may not have each option yet: what it does without is what is asked.
        pairs = zip(attack.options[::2], attack.options[1::2], strict=True)
        command += [
            word for pair in pairs if pair[0].lstrip("-") in known or len(pair[0]) == 2 for word in pair
        ]
        environment = environment_of(home)
        self._log = (self.directory / "output.txt").open("wb")
        with on_cores(cores[0] if cores else None):
            self.process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
            self._start_canary()
        except BaseException:
            self.stop()
            raise

    def _make_login(self, home: Home) -> None:
        (self.directory / "etc").mkdir()
        line = subprocess.run(
            [home.python, "-m", "stompserver", "--hash-password", "canary"],
            env=environment_of(home),
            input=b"secret\n",
            capture_output=True,
            check=True,
        ).stdout
        path = self.directory / "etc" / ".passwd"
        path.touch(0o600)
        path.write_bytes(line)

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + 30
        while not (found := READY.search(self.log())):
            if self.process.poll() is not None or time.monotonic() > end:
                raise StartError(self.log()[-500:])
            time.sleep(0.02)
        self.port = int(found[1])

    def _headers(self) -> bytes:
        return LOGIN if self.attack.auth else b""

    def _start_canary(self) -> None:
        self._canary = subprocess.Popen(
            [sys.executable, "-m", "bench.hostile.canary", str(self.port), self._headers().decode()],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if self._told(30.0) != "ready":
            raise StartError("the canary could not log in")

    def log(self) -> str:
        return (self.directory / "output.txt").read_text(errors="replace")

    # for attacks

    def count(self, full: int, least: int = 10) -> int:
        """How many of something there are at this scale."""
        return max(least, int(full * self.scale))

    def connect(
        self, version: str = "1.2", headers: bytes = b"", *, deaf: bool = False, hello: bool = True
    ) -> Wire:
        wire = Wire(self.port, self.until, version=version, headers=headers, deaf=deaf, hello=hello)
        self.wires.append(wire)
        return wire

    def connect_many(self, count: int, headers: bytes = b"", *, deaf: bool = False) -> list[Wire]:
        """All at once, not one after the other."""
        wires = [self.connect(deaf=deaf, hello=False) for _ in range(count)]
        for wire in wires:
            wire.say(HELLO["1.2"] % headers)
        for wire in wires:
            wire.wait(b"CONNECTED\n")
        return wires

    def begin(self) -> None:
        """From now on it counts."""
        self._figures[:] = bytes(watched.FORM.size)
        with suppress(OSError):
            # The highest RSS is counted anew.
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        self._before = self.memory("VmRSS")
        self._say("begin")

    def memory(self, name: str) -> int:
        """Bytes, of /proc/PID/status."""
        with suppress(OSError):
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            _, found, rest = status.partition(name + ":")
            if found:
                return int(rest.split()[0]) * 1024
        return 0

    def served(self, outcome: str) -> str:
        """`outcome`, and whether an ordinary producer is served within 5 s."""
        self.until = time.monotonic() + 5
        try:
            self.connect().done(send(b"/queue/ordinary"))
        except (NoAnswer, RefusedByServer) as problem:
            self.missed = "locked"
            return f"{outcome}; for a producer: {problem}"
        return outcome

    # around them

    def run(self) -> Figures:
        self.until = time.monotonic() + self.attack.seconds
        self._before = 0
        self.begin()
        try:
            outcome = self.attack.run(self)
        except NoAnswer as problem:
            outcome = f"no answer: {problem}"
        except RefusedByServer as problem:
            outcome = f"refused: {problem}"
        time.sleep(SETTLE)
        figures = Figures(outcome, missed=self.missed)
        told = self._ask()
        if told is None:
            figures.died = True
            return figures
        end = time.monotonic() + PATIENCE
        while told["waiting"] > SETTLE / 2 and time.monotonic() < end:
            time.sleep(0.1)
            told = self._ask() or told
        figures.never = told["waiting"] > SETTLE / 2
        figures.longest = max(told["longest"], told["waiting"])
        figures.p99 = told["p99"] if told["count"] else figures.longest
        figures.turn, figures.turn_cpu, _ = watched.FORM.unpack_from(self._figures)
        figures.before, figures.peak = self._before, self.memory("VmHWM")
        for wire in self.wires:
            wire.close()
        time.sleep(SETTLE)
        figures.after = self.memory("VmRSS")
        figures.died = self.process.poll() is not None
        return figures

    def _say(self, word: str) -> None:
        assert self._canary is not None and self._canary.stdin is not None
        with suppress(BrokenPipeError):
            self._canary.stdin.write(word.encode() + b"\n")
            self._canary.stdin.flush()

    def _told(self, seconds: float) -> str:
        assert self._canary is not None and self._canary.stdout is not None
        if not ready(self._canary.stdout.fileno(), seconds):
            return ""
        return self._canary.stdout.readline().decode().strip()

    def _ask(self) -> dict[str, float] | None:
        self._say("end")
        line = self._told(5.0)
        found: dict[str, float] | None = json.loads(line) if line else None
        return found

    def stop(self) -> None:
        for wire in self.wires:
            wire.close()
        for process in (self._canary, self.process):
            if process is None:
                continue
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()
        for pipe in (self._canary.stdin, self._canary.stdout) if self._canary else ():
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._log.close()
        self._figures.close()
        self._room.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def environment_of(home: Home) -> dict[str, str]:
    return {**os.environ, **({"PYTHONPATH": home.path} if home.path else {})}


def options_of(home: Home) -> frozenset[str]:
    """The long options that this server knows."""
    said = subprocess.run(
        [home.python, "-m", "stompserver", "--help"],
        env=environment_of(home),
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return frozenset(KNOWN.findall(said))
