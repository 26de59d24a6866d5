"""Builds a stompserver from a source tree: compiled beside the interpreter's packages, or in a venv of its own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.subjects import ROOT, Home

BUILDS = Path(sys.prefix) / "bench-builds"
FILES = ("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in", "README.md", "LICENSE")
REASON = "stompserver: "
"""How lines of setup.py begin."""


class BuildError(Exception):
    """A source tree did not build; carries the end of what was printed."""


def copy_source(tree: Path, destination: Path) -> None:
    """What a build needs, so that it leaves nothing behind in `tree`."""
    for name in FILES:
        if (tree / name).exists():
            shutil.copy2(tree / name, destination / name)
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so", "build")
    shutil.copytree(tree / "src", destination / "src", ignore=ignore)


def digest(tree: Path) -> str:
    """A name for what is in `tree`: the same files, the same name."""
    found = hashlib.sha256()
    paths = [tree / name for name in FILES if (tree / name).exists()]
    paths += sorted([*(tree / "src").rglob("*.py"), *(tree / "src").rglob("*.c")])
    for path in paths:
        found.update(f"{path.relative_to(tree)}\n".encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def is_compiled(directory: Path) -> bool:
    """Whether mypyc's modules lie there."""
    return any(directory.rglob("*__mypyc*.so"))


def compiled_home(tree: Path = ROOT) -> Home:
    """The server of `tree`, compiled, for this interpreter; kept until the source changes.

    Raises BuildError when it cannot be compiled here.
    """
    place = BUILDS / digest(tree)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as room:
            source, target = Path(room, "source"), Path(room, "target")
            source.mkdir()
            copy_source(tree, source)
            said = _run(
                [
                    *(sys.executable, "-m", "pip", "--verbose", "--disable-pip-version-check", "install"),
                    *("--no-deps", "--target", str(target), str(source)),
                ]
            )
            if not is_compiled(target):
                # pip shows what the build said only when it is asked to be verbose.
                lines = [
                    line.strip()
                    for line in said.splitlines()
                    if "error:" in line or line.strip().startswith(REASON)
                ]
                raise BuildError("\n".join(lines[-6:]) or "its wheel is not compiled")
            for old in place.parent.glob("????????????"):
                shutil.rmtree(old, ignore_errors=True)
            target.rename(place)
    return Home(sys.executable, str(place))


def venv_home(tree: Path, directory: Path) -> Home:
    """The server of `tree` with its own dependencies in a new virtual environment; raises BuildError."""
    source = directory / "source"
    source.mkdir(parents=True)
    copy_source(tree, source)
    place = directory / "venv"
    _run([sys.executable, "-m", "venv", str(place)])
    python = str(place / "bin" / "python")
    try:
        _pip(python, "install", f"{source}[speed]")
    except BuildError:
        _pip(python, "install", str(source))
    return Home(python, "")


def commit_of(name: str) -> str:
    """The commit that is called so, short; raises BuildError."""
    return _git("rev-parse", "--verify", "--short=12", f"{name}^{{commit}}")


@contextmanager
def checked_out(commit: str, place: Path) -> Iterator[Path]:
    """A worktree of `commit`, removed again."""
    _git("worktree", "add", "--quiet", "--detach", str(place), commit)
    try:
        yield place
    finally:
        _git("worktree", "remove", "--force", str(place))


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(done.stderr.strip())
    return done.stdout.strip()


def _pip(python: str, *arguments: str) -> None:
    _run([python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr
