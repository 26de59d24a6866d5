"""What the numbers were measured on, and who runs on which core."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent


def split_cores() -> tuple[set[int], set[int]] | None:
    """(the server's cores, the generator's cores), on different physical cores where there are two.

    None if the system cannot do it or has one core.

    The server gets one core, whatever the machine has: the figures then mean "per core" everywhere.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None
    server = cores[0]
    siblings = _siblings(server)
    others = [core for core in cores[1:] if core not in siblings] or cores[1:]
    return {server}, {others[0]}


def _siblings(core: int) -> set[int]:
    """Hyper-threads of the same physical core; empty when the kernel does not say."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    with contextlib.suppress(OSError, ValueError):
        found: set[int] = set()
        for part in path.read_text().strip().split(","):
            low, _, high = part.partition("-")
            found.update(range(int(low), int(high or low) + 1))
        return found
    return set()


@contextlib.contextmanager
def on_cores(cores: set[int] | None) -> Iterator[None]:
    """Run what is inside (and every process started there) on `cores`; nothing happens for None."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def facts() -> dict[str, Any]:
    """Machine, interpreter and code under test, for the record beside the numbers."""
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_mib": psutil.virtual_memory().total >> 20,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "uvloop": _package("uvloop"),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "changed_files": len(_git("status", "--porcelain", "--", "src", "bench").splitlines()),
        "load_before": os.getloadavg()[0],
    }


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=10
        ).stdout.rstrip()
    except (OSError, subprocess.SubprocessError):
        return ""
