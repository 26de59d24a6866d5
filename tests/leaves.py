"""Leaves in C, built where the core is not compiled, and under sanitizers."""

from __future__ import annotations

import gc
import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from stompserver.cli import core

SANITIZE = [
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
    "-g",
    "-O1",
]

# Python's own memory is allocated so that each object has its place and its end; it leaves things behind on purpose.
ENVIRONMENT = {
    "PYTHONMALLOC": "malloc",
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=99",
}

Call = tuple[str, tuple[object, ...]]


def compiler_command(source: Path, output: Path) -> list[str]:
    """How Python's own build would make an extension module of one file; CC in the environment chooses another
    compiler, as it does for pip.
    """
    known = sysconfig.get_config_vars("CC", "LDSHARED", "CFLAGS", "CCSHARED")
    own, link, flags, shared = (str(each or "") for each in known)
    if "CC" in os.environ:
        link = os.environ["CC"] + link.removeprefix(own)
    include = sysconfig.get_path("include")
    return [*shlex.split(f"{link} {flags} {shared}"), f"-I{include}", str(source), "-o", str(output)]


def source_of(twin: ModuleType) -> Path:
    """The source in C of what ``twin``, a ``leaf.py``, has in Python."""
    return Path(str(twin.__file__)).with_name("_leaf.c")


def build_leaf(twin: ModuleType) -> Path:
    """The extension module made of ``_leaf.c``, in a cache folder of this virtual environment: beside the source it
    would be run in place of ``leaf.py``. Made anew when the source or the way to compile it has changed.
    """
    source = source_of(twin)
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    told = source.read_bytes() + repr(compiler_command(Path("_leaf.c"), Path("_leaf"))).encode()
    room = Path(sys.prefix, f".cache-leaf-{source.parent.name}")
    made = room / (hashlib.sha256(told).hexdigest()[:16] + suffix)
    if not made.exists():
        room.mkdir(exist_ok=True)
        # Other processes of the same run may be at it, too.
        own = room / f"new-{os.getpid()}{suffix}"
        command = compiler_command(source, own)
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except OSError as problem:
            pytest.skip(f"the leaf in C is not tested: no C compiler ({problem})")
        if done.returncode and not python_h():
            pytest.skip("the leaf in C is not tested: no Python.h (Debian: python3-dev)")
        assert done.returncode == 0, f"{shlex.join(command)}:\n{done.stderr}"
        own.rename(made)
        for other in room.glob("[!n]*"):
            if other != made:
                other.unlink(missing_ok=True)
    return made


def python_h() -> bool:
    """Whether Python's headers are there; without them nothing in C is built, and that is no fault of ours."""
    return Path(sysconfig.get_path("include"), "Python.h").exists()


def leaf_in_c_of(twin: ModuleType) -> ModuleType:
    """``_leaf`` beside ``twin``: the one that this compiled server runs, else one that is built for the tests."""
    name = twin.__name__.rpartition(".")[0] + "._leaf"
    if core() == "compiled":
        return importlib.import_module(name)
    return loaded(name, build_leaf(twin))


def loaded(name: str, path: Path) -> ModuleType:
    """The extension module in that file."""
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def sanitized(
    script: Path, source: Path, room: Path, seed: int, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run ``script MODULE SEED SECONDS`` with the leaf of ``source`` built with the sanitizers, in the folder
    ``room``, and with those libraries loaded first. They end it with a report at the first octet that is read or
    written where it must not be.
    """
    module = room / f"{source.stem}{importlib.machinery.EXTENSION_SUFFIXES[0]}"
    if not module.exists():
        command = [*compiler_command(source, module), *SANITIZE]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{shlex.join(command)}:\n{done.stderr}"
    program = compiler_command(source, module)[0]
    libraries = []
    for name in ("libasan.so", "libubsan.so"):
        found = subprocess.run([program, f"-print-file-name={name}"], capture_output=True, text=True).stdout
        libraries.append(found.strip())
    if not all(Path(library).is_absolute() for library in libraries):
        pytest.skip(f"{program} has no sanitizers: {libraries}")
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]).strip(
        os.pathsep
    )
    return subprocess.run(
        [sys.executable, str(script), str(module), str(seed), str(seconds)],
        env={**os.environ, **ENVIRONMENT, "LD_PRELOAD": " ".join(libraries), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )


def compare(
    name: str, twin: ModuleType, calls: Callable[[Random], list[Call]], outcome: Callable[..., object]
) -> None:
    """The main part of such a script: compare ``outcome(leaf, function, arguments)`` of the module ``name`` in C with
    that of its ``twin``, for what ``calls`` makes up. Prints how many were compared; ends at the first difference.
    """
    path, seed, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    random = Random(seed)
    leaf = loaded(name, Path(path))
    end = time.monotonic() + seconds
    compared = 0
    while time.monotonic() < end or compared < 5000:
        for function, arguments in calls(random):
            wanted = outcome(twin, function, arguments)
            got = outcome(leaf, function, arguments)
            if got != wanted:
                sys.exit(f"{function}{arguments!r}:\nC      {got!r}\nPython {wanted!r}")
            compared += 1
    # Frees what caches hold under the sanitizers' eyes, too.
    gc.collect()
    print(compared)
