"""What cannot work does not start, and says why."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

CAPBSET_DROP = 24  # of Linux's prctl
SYS_RESOURCE = 24  # the capability by which root may raise a hard limit again


def start(directory: Path, files: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The server, or what it says instead, where so many files may be open."""
    prctl = ctypes.CDLL(None).prctl if os.geteuid() == 0 else None

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        if prctl is not None:
            prctl(CAPBSET_DROP, SYS_RESOURCE, 0, 0, 0)

    command = [sys.executable, "-m", "stompserver", "-p", "0", "-w", str(directory), *arguments]
    return subprocess.run(
        command, cwd=directory, preexec_fn=limit, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("files", "arguments"),
    [(265, ()), (265, ("--check",)), (265, ("--daemon",)), (256, ("--check",)), (200, ("--check",))],
)
def test_too_few_open_files(tmp_path: Path, files: int, arguments: tuple[str, ...]) -> None:
    done = start(tmp_path, files, *arguments)
    assert done.returncode == 1
    assert (
        f"only {files} files may be open, which is room for {max(0, files - 256)} connections" in done.stderr
    )
    assert "at least 266 are needed, and 10256 for max-connections 10000" in done.stderr
    assert "ulimit -n" in done.stderr and "Traceback" not in done.stderr


def test_enough_open_files_for_a_handful(tmp_path: Path) -> None:
    done = start(tmp_path, 266, "--check")
    assert done.returncode == 0
    assert "only 266 files may be open; about 10 connections fit" in done.stderr


def test_who_wants_few_connections_needs_few_files(tmp_path: Path) -> None:
    assert start(tmp_path, 258, "--check", "--max-connections=2").returncode == 0
    done = start(tmp_path, 257, "--check", "--max-connections=2")
    assert done.returncode == 1
    assert "at least 258 are needed" in done.stderr
