"""Compiles the core where that can be done, by mypyc and one leaf from C; all else is in pyproject.toml.

The same source runs interpreted: in an editable install, with STOMPSERVER_PURE=1, without a C compiler, and when
mypyc or the compiler fails. With STOMPSERVER_PURE=0 it is an error if it cannot be compiled. A wheel is compiled
wholly or not at all, and its tag says which.
"""

import os
import sys
import tempfile
from pathlib import Path

from setuptools import Command, Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

ROOT = Path(__file__).resolve().parent
CORE = (
    "wire/*.py",
    "broker/**/*.py",
    "manage/**/*.py",
    "session/**/*.py",
    "stores/leaf.py",
    "stores/record.py",
    "stores/lmdb/batch.py",
)

# A compiled file beside an edited source would be run in its stead: an editable install has none.
BUILDS = {"bdist_wheel", "build", "build_ext", "install"}

FAILURES = (BaseError, CCompilerError, OSError)

PURE = os.environ.get("STOMPSERVER_PURE", "")


def stays_interpreted(reason: str) -> None:
    """Say it. Raises SystemExit where a compiled core is demanded."""
    print(f"stompserver: the core stays interpreted: {reason}", file=sys.stderr, flush=True)
    if PURE == "0":
        sys.exit("stompserver: STOMPSERVER_PURE=0 allows no such thing")


def why_not() -> str:
    """Why the core is not to be compiled here; empty when it is."""
    if PURE not in ("", "0"):
        return "STOMPSERVER_PURE is set"
    try:
        import mypyc.build  # noqa: F401
    except ImportError:
        return "mypyc is not installed"
    return "" if compiler_works() else "no C compiler that finds Python.h"


def compiler_works() -> bool:
    """Whether a C file with Python.h compiles, which takes a moment; mypyc takes half a minute to get there."""
    from setuptools.dist import Distribution

    with tempfile.TemporaryDirectory() as room:
        source = Path(room, "probe.c")
        source.write_text("#include <Python.h>\nPyObject *probe(void) { return PyLong_FromLong(1); }\n")
        command = build_ext(Distribution({"ext_modules": [Extension("probe", [str(source)])]}))
        command.build_lib = command.build_temp = room
        try:
            command.ensure_finalized()
            command.run()
        except FAILURES:
            return False
    return True


def sources() -> list[str]:
    """The files of CORE, from ROOT."""
    found = sorted(path for each in CORE for path in Path("src/stompserver").glob(each))
    return [str(path) for path in found if path.name != "__init__.py"]


def core() -> list[Extension]:
    """The extension modules that mypyc makes of CORE, and those in C; none when it cannot."""
    reason = why_not()
    if reason:
        stays_interpreted(reason)
        return []
    from mypyc.build import mypycify

    os.chdir(ROOT)
    # Not pyproject.toml's settings: pydantic's plugin is not there, nor needed.
    try:
        modules = mypycify(["--config-file=", "--strict", *sources()], group_name="stompserver")
    except SystemExit:
        stays_interpreted("mypyc does not take it, see above")
        return []
    for module in modules:
        # mypyc asks for -Werror, and compilers that are not born yet have new warnings. Nobody reads warnings of
        # generated C, but gcc 12 takes as long to look for them as for all else (68 s without, 134 s with); -w alone
        # does not spare it the search.
        module.extra_compile_args = [*module.extra_compile_args, "-Wno-error", "-Wno-all", "-w"]
    leaf = Extension("stompserver.wire._leaf", ["src/stompserver/wire/_leaf.c"])
    records = Extension("stompserver.stores._leaf", ["src/stompserver/stores/_leaf.c"])
    return [*modules, leaf, records]


class Build(build_ext):
    """Builds all extension modules or none."""

    def run(self) -> None:
        try:
            super().run()
        except FAILURES as error:
            stays_interpreted(str(error))
            for output in self.get_outputs():
                Path(output).unlink(missing_ok=True)
            self.extensions = []
            self.distribution.ext_modules = []
            wheel: Command | None = self.distribution.get_command_obj("bdist_wheel", create=False)
            if wheel is not None:
                wheel.root_is_pure = True


class Translate(Command):
    """`setup.py translate`: whether mypyc takes the core, without a C compiler. Ends with 1 if not."""

    user_options: list[tuple[str, str, str]] = []

    def initialize_options(self) -> None:
        pass

    def finalize_options(self) -> None:
        pass

    def run(self) -> None:
        from mypyc.build import mypycify

        os.chdir(ROOT)
        mypycify(["--config-file=", "--strict", *sources()], group_name="stompserver")


setup(
    ext_modules=core() if BUILDS.intersection(sys.argv) else [],
    cmdclass={"build_ext": Build, "translate": Translate},
)
