"""Programs that run beside a test and talk with it in lines."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import IO

import pytest

HERE = Path(__file__).parent
SECONDS = 240.0  # for a line; applications wait many seconds before they connect again, and machines are slow


class Program:
    """A process. What it prints is there line by line; what it says on stderr is shown when a test fails."""

    def __init__(self, command: list[str], variables: dict[str, str]) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "STOMPSERVER_"))}
        self._command = command
        self._process = subprocess.Popen(
            command,
            cwd=HERE,
            env=inherited | {"PYTHONDONTWRITEBYTECODE": "1"} | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self._process.stdout, self._lines), daemon=True),
            threading.Thread(target=self._read, args=(self._process.stderr, self._errors), daemon=True),
        ]
        self._open = len(self._readers)
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], into: list[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    into.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def wait_for(self, pattern: str, times: int = 1) -> re.Match[str]:
        """The line that fits, or of several the n-th, of all that it printed from its start."""
        return self._wait(self._lines, pattern, times)

    def wait_for_error(self, pattern: str, times: int = 1) -> re.Match[str]:
        """The same of its stderr, where most keep their logs."""
        return self._wait(self._errors, pattern, times)

    def _wait(self, lines: list[str], pattern: str, times: int) -> re.Match[str]:
        wanted = re.compile(pattern)
        until = time.monotonic() + SECONDS
        with self._changed:
            while True:
                found = [match for line in lines if (match := wanted.search(line))]
                if len(found) >= times:
                    return found[times - 1]
                if not self._open or not self._changed.wait(max(0.0, until - time.monotonic())):
                    raise AssertionError(f"no line {times} with {pattern!r}\n{self}")

    def all(self, pattern: str) -> list[str]:
        """The first group of every line that fits, up to now."""
        with self._changed:
            return [match[1] for line in self._lines if (match := re.search(pattern, line))]

    def end(self, by_signal: int | None = None) -> None:
        """Close its stdin, or send it a signal, and wait for it to end well."""
        if by_signal is None:
            self.close_stdin()
        else:
            self._process.send_signal(by_signal)
        self.wait_for_end()

    def wait_for_end(self, expect: int = 0) -> None:
        try:
            code = self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it did not end in {SECONDS:g} s\n{self}")
        self._close()
        assert code == expect, f"code {code}\n{self}"

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._close()

    def _close(self) -> None:
        self.close_stdin()
        for reader in self._readers:
            reader.join(SECONDS)

    def close_stdin(self) -> None:
        """Say that nothing more comes."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # what was said last and never read
            self._process.stdin.close()

    def __str__(self) -> str:
        with self._changed:
            lines, errors = "\n".join(self._lines), "\n".join(self._errors[-200:])
        return f"{' '.join(self._command)}\n--- stdout\n{lines}\n--- stderr\n{errors}"
