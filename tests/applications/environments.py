"""An environment of its own for each application, made from a list of exact versions in the tree, and used again."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOM = HERE / ".environments"
SECONDS = 600.0


def python(name: str) -> Path:
    """The interpreter of the environment that has what NAME/requirements.txt lists, and nothing else."""
    lists = HERE / name / "requirements.txt"
    return (
        _made(name, sys.version + lists.read_text(), functools.partial(_install_python, lists)) / "bin/python"
    )


def node(name: str) -> Path:
    """A folder with the programs of NAME and, in node_modules beside them, what its lock file lists."""
    lock = HERE / name / "package-lock.json"
    if shutil.which("npm") is None:
        pytest.skip(f"{name}: npm is not installed (apt-get install nodejs npm)")
    place = _made(name, lock.read_text(), functools.partial(_install_node, lock))
    for program in lock.parent.glob("*.mjs"):
        shutil.copy(program, place)  # imports are looked for beside the program that has them
    return place


def debian(command: str, package: str) -> str:
    """The path of a command that one of Debian's packages has."""
    # A user's PATH has no /usr/sbin.
    if (found := shutil.which(command) or shutil.which(command, path="/usr/sbin:/sbin")) is None:
        pytest.skip(f"{command} is not installed (apt-get install {package})")
    return found


def _install_python(lists: Path, place: Path) -> None:
    # The lists are complete, so nothing has to be found out; and pip of these tests serves all of them.
    _run(sys.executable, "-m", "venv", "--without-pip", place)
    pip = (sys.executable, "-m", "pip", "--python", place / "bin/python", "--disable-pip-version-check")
    _run(*pip, "install", "--quiet", "--no-deps", "--retries", "2", "--requirement", lists)


def _install_node(lock: Path, place: Path) -> None:
    place.mkdir()
    for file in (lock, lock.with_name("package.json")):
        shutil.copy(file, place)
    _run("npm", "ci", "--no-audit", "--no-fund", "--prefix", place)


def _made(name: str, contents: str, install: Callable[[Path], None]) -> Path:
    place = ROOM / name
    stamp = place / ".stamp"
    digest = hashlib.sha256(f"{place}\n{contents}".encode()).hexdigest()
    ROOM.mkdir(exist_ok=True)
    with (ROOM / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not stamp.exists() or stamp.read_text() != digest:
            shutil.rmtree(place, ignore_errors=True)
            try:
                install(place)
            except subprocess.SubprocessError as problem:
                said = getattr(problem, "stderr", None) or str(problem)
                pytest.skip(f"{name}: its environment cannot be made: {said.strip()[-2000:]}")
            stamp.write_text(digest)
    return place


def _run(*command: object) -> None:
    subprocess.run(
        [str(word) for word in command], check=True, capture_output=True, text=True, timeout=SECONDS
    )
