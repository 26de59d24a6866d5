"""The command ``stompserver``: the original's options, and what may be asked instead of a start."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from stompserver import __version__
from stompserver.config import Config, Loaded, command_line, dialects, load, values
from stompserver.config.command_line import ACTIONS, CommandLine
from stompserver.config.options import OPTIONS, attribute_of, default_text, flag_of
from stompserver.errors import ConfigError, StompserverError
from stompserver.server.process.logs import one_line

if TYPE_CHECKING:
    import asyncio

    from stompserver.server.process.process import Identity
    from stompserver.server.renewal import Renewal

logger = logging.getLogger("stompserver")

OK, CANNOT_START, BAD_OPTION, INTERRUPTED = 0, 1, 2, 130
# The original's help: the order of its options, and the column of their meaning.
_ORIGINAL_ORDER = "Cpbqwsdac"
_INDENT = 37

AT_NEED = (
    "decimal", "difflib", "stompserver.config.file", "stompserver.config.permissions", "stompserver.migrate",
    "stompserver.security.users", "stompserver.security.accounts", "stompserver.security.tokens",
    "stompserver.server.accounts", "stompserver.server.permissions",
)  # fmt: skip
"""What a start leaves out if it can, and a running server may come to need: after a change of its configuration, or
for what lies in its storage.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these words (default: the process's own). The result is the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # `stompserver --help | head`: nobody reads on.
        return CANNOT_START
    except KeyboardInterrupt:
        return INTERRUPTED  # before the server took over the signals
    except StompserverError as error:
        print(f"stompserver: {one_line(str(error))}", file=sys.stderr)
        return _code_of(error)
    finally:
        _let_go()


def _let_go() -> None:
    """Give up output that nobody takes (a closed pipe or terminal): Python would end with 120 for it."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _dispatch(words: list[str]) -> int:
    line = command_line.parse(words)
    if "help" in line.actions:
        print(usage())
        return OK
    if "version" in line.actions:
        print(f"stompserver {__version__} ({core()})")
        return OK
    if "hash-password" in line.actions:
        return hash_password(line)
    if "make-certificate" in line.actions:
        return make_certificate(words, line)
    # The folder of the start, not "." : a daemon changes it, and reads its configuration again.
    start = Path.cwd()

    def read() -> Loaded:
        return load(words, os.environ, start)

    return check(read()) if "check" in line.actions else run(read)


def core() -> str:
    """How wire, broker and session run in this process: "compiled" or "interpreted"."""
    from stompserver.wire import frame

    return "interpreted" if frame.__file__.endswith(".py") else "compiled"


def _code_of(error: StompserverError) -> int:
    return BAD_OPTION if isinstance(error, ConfigError) else CANNOT_START


# --help


def usage() -> str:
    """The text of --help: the original's options first, in its layout."""
    originals = [key for key, option in OPTIONS.items() if option.original]
    groups = {"": sorted(originals, key=lambda key: _ORIGINAL_ORDER.index(OPTIONS[key].short))}
    for key, option in OPTIONS.items():
        if not option.original:
            groups.setdefault(option.group, []).append(key)
    lines = ["Usage: stompserver [options]"]
    for title, keys in groups.items():
        lines += ["", f"{title}:"] if title else []
        for key in keys:
            lines += _help_lines(_spelling(key), _meaning(key))
    lines += ["", "Instead of starting the server:"]
    for action, meaning in ACTIONS.items():
        lines += _help_lines("-h, --help" if action == "help" else f"    --{action}", meaning)
    return "\n".join(lines)


def _spelling(key: str) -> str:
    option = OPTIONS[key]
    short = f"-{option.short}, " if option.short else "    "
    if option.alone:
        return f"{short}--{flag_of(key)}[={option.metavar}]"
    if option.parse is not values.boolean:
        return f"{short}--{flag_of(key)}={option.metavar}"
    return f"{short}--{flag_of(key)}" if option.original else f"{short}--[no-]{flag_of(key)}"


def _meaning(key: str) -> str:
    if OPTIONS[key].parse is values.boolean:
        return OPTIONS[key].help
    return f"{OPTIONS[key].help} (default: {default_text(key) or 'none'})"


def _help_lines(spelling: str, meaning: str) -> list[str]:
    import shutil
    import textwrap

    width = max(80, min(shutil.get_terminal_size().columns, 120))
    head = f"    {spelling} ".ljust(_INDENT)
    return textwrap.wrap(
        meaning, width, initial_indent=head, subsequent_indent=" " * _INDENT, break_on_hyphens=False
    )


# --check


def check(loaded: Loaded) -> int:
    """Print the effective configuration as a configuration file, each value with its origin. Changes nothing.

    Raises ConfigError or StartError for what only shows on this machine: unknown users, an unreadable .passwd, no
    uvloop, too few open files.
    """
    _identity(loaded)
    _loop_factory(loaded)
    warnings = list(loaded.warnings)
    logins: tuple[str, ...] | None = None
    if loaded.config.auth:
        from stompserver.server.accounts import check as check_accounts

        notes, logins = check_accounts(loaded.config)
        warnings += notes
    from stompserver.server.policies import circles, described
    from stompserver.server.process.process import raise_file_limit

    warnings += circles(loaded.config)
    warnings += raise_file_limit(loaded.config.max_connections)
    renewal = _renewal(loaded.config)
    lines = [*_effective(loaded), *_listeners(loaded), *_users(loaded), *described(loaded)]
    lines += _certificates(renewal)
    warnings += _about_certificates(loaded.config, renewal)
    if loaded.config.permissions or loaded.config.groups:
        from stompserver.server import permissions

        lines += permissions.described(loaded)
        warnings += permissions.warnings(loaded.config, logins)
    print("\n".join(lines))
    for warning in warnings:
        print(f"stompserver: warning: {one_line(warning)}", file=sys.stderr)
    return OK


def _effective(loaded: Loaded) -> Iterator[str]:
    group = ""
    for key, option in OPTIONS.items():
        if option.group != group:
            yield f"\n# {option.group}" if group else f"# {option.group}"
            group = option.group
        text = loaded.texts[key] or "" if key in loaded.texts else default_text(key)
        setting = f"{key}: {values.quoted(text)}".rstrip()
        if key == "configfile":  # it would have no effect inside the file
            setting = "# " + setting
        value = getattr(loaded.config, attribute_of(key))
        plain = values.as_text(value)
        resolved = f" = {one_line(plain)}" if isinstance(value, Path) or text.endswith("%") else ""
        if key == "configfile" and not loaded.config.configfile.exists():
            resolved += " (there is none)"
        yield f"{setting:<40} # {one_line(loaded.origins[key])}{resolved}"


def _listeners(loaded: Loaded) -> Iterator[str]:
    if not loaded.listeners:
        return
    yield "\n# Besides host and port"
    yield "listeners:"
    for section in loaded.listeners:
        start = "  - "
        for key, (text, origin) in section.given.items():
            setting = f"{start}{key}: {values.quoted(text or '')}".rstrip()
            yield f"{setting:<40} # {one_line(origin)}"
            start = "    "
        for key, text in dialects.of_server_alone(section.given.get("dialect", ("", ""))[0] or ""):
            if OPTIONS[key].parse(text) != getattr(loaded.config, attribute_of(key)):
                yield f"{f'    # {key}: {values.quoted(text)}':<40} # not so: queues are the same for all listeners"


def _users(loaded: Loaded) -> Iterator[str]:
    if loaded.users:
        yield "\n# Limits of single logins"
        yield "users:"
    for section in loaded.users:
        yield f"{f'  {values.quoted(section.name)}:':<40} # {one_line(section.origin)}"
        for key, (text, origin) in section.given.items():
            setting = f"    {key}: {values.quoted(text or '')}"
            yield f"{setting:<40} # {one_line(origin)}"


def _certificates(renewal: Renewal | None) -> Iterator[str]:
    if renewal is not None:
        from stompserver.server.renewal import line_about

        yield ""
        for each in renewal.certificates():
            yield "# " + one_line(line_about(each))


def _about_certificates(config: Config, renewal: Renewal | None) -> Iterator[str]:
    """What there is to warn of."""
    if renewal is not None:
        from time import time

        for each in renewal.certificates():
            if problem := each.problem(time()):
                yield problem
            if not each.names:
                yield f"{each.path}: there are no names in it (subjectAltName), so most clients do not take it"
    for number in range(len(config.listeners) + 1):
        effective = config.of_listener(number)
        if effective.tls_login != "no" and not config.auth and effective.tls_client_cert != "need":
            where = f"listeners: item {number}: " if number else ""
            yield f"{where}tls-login: without auth, clients that have no certificate are let in as nobody"


# --hash-password


def hash_password(line: CommandLine) -> int:
    """Print a line for .passwd. The passcode is asked twice on the terminal, or is a line of standard input."""
    import getpass

    from stompserver.security.users import hashed_line

    login = line.actions["hash-password"] or (line.arguments[0] if line.arguments else "")
    try:
        if sys.stdin.isatty():
            login = login or input_from_terminal("Login: ")
            passcode = getpass.getpass("Passcode: ")
            if getpass.getpass("The same again: ") != passcode:
                raise ConfigError("--hash-password: the two passcodes are not the same")
        else:
            passcode = sys.stdin.readline().rstrip("\r\n")
        entry = hashed_line(login, passcode)
    except ValueError as error:
        raise ConfigError(f"--hash-password: {error} (usage: stompserver --hash-password LOGIN)") from None
    except (EOFError, KeyboardInterrupt):
        raise ConfigError("--hash-password: no passcode given") from None
    if passcode != passcode.strip():
        text = "the passcode starts or ends with a blank, which many STOMP clients and STOMP 1.0 take away"
        print(f"stompserver: warning: {text}", file=sys.stderr)
    print(entry)
    if sys.stdout.isatty():
        print("Add this line to the file .passwd in etcdir, and start the server with -a.", file=sys.stderr)
    return OK


# --make-certificate


def make_certificate(words: list[str], line: CommandLine) -> int:
    """Make a CA and a certificate in etcdir, for the names that were given. Raises ConfigError."""
    config = load(words, os.environ, Path.cwd()).config
    from stompserver.security.first_certificate import DAYS, NAMES, make

    first = line.actions["make-certificate"]
    names = [each for each in (first, *line.arguments) if each]
    here = Path.cwd()
    ca, server = [
        path.relative_to(here) if path.is_relative_to(here) else path for path in make(config.etcdir, names)
    ]
    print(f"{server}: a certificate with its key, for {', '.join(names or NAMES)}")
    print(f"{ca}: the CA that signed it, for clients")
    print(f"Both hold for {DAYS} days. To try them: stompserver --tls --tls-cert={server.name}")
    return OK


def input_from_terminal(prompt: str) -> str:
    """Like input(), but the prompt is on standard error: standard output is only the result."""
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


# Starting


def run(read: Callable[[], Loaded]) -> int:
    """Start the server and stay until it ends. ``read`` gives the configuration, now and at each SIGHUP.

    Everything that can be wrong with the machine is found before the process goes into the background, as far
    as the privileges it will have there allow. Raises ConfigError, ListenError, StartError.
    """
    loaded = read()
    config = loaded.config
    who = _identity(loaded)
    factory = _loop_factory(loaded)
    # Imported now, not later: after the change of user our own files may be out of reach.
    import asyncio

    from stompserver.server import listeners
    from stompserver.server.policies import circles
    from stompserver.server.process import process
    from stompserver.server.process.service import Service, make_server
    from stompserver.stores.base import store_class

    store_class(config.queue)
    if who is not None:
        for name in AT_NEED:
            import_module(name)
        if config.auth:
            from stompserver.server import accounts

            accounts.prepare(config)

    with contextlib.ExitStack() as stack:
        warnings = [*loaded.warnings, *circles(config), *process.raise_file_limit(config.max_connections)]
        given = listeners.given_sockets(os.environ)
        sockets = [stack.enter_context(each) for each in listeners.bind_all(config, given)]
        # While who starts it may still read keys that its user may not.
        renewal = _renewal(config)
        _make_folders(config, who)
        readiness = process.daemonize() if config.daemon else process.Readiness()
        try:
            _settle(config, who, warnings)
            with asyncio.Runner(loop_factory=factory) as runner:
                service = Service(loaded, read, partial(make_server, renewal=renewal))
                return runner.run(service.run(sockets, readiness))
        except StompserverError as error:
            readiness.failed(_code_of(error), f"stompserver: {one_line(str(error))}")
            if not config.daemon:
                raise
            if logger.hasHandlers():  # else the log could not be opened
                logger.error("%s", error, extra={"event": "failed"})
            return _code_of(error)


def _renewal(config: Config) -> Renewal | None:
    """The certificates of listeners with TLS; None where there are none. Raises ConfigError."""
    from stompserver.server.fronts import fronts_of

    fronts = fronts_of(config)
    if not all(front.plain for front in fronts):
        # Imported now: after a change of user our own files may be out of reach.
        import_module("stompserver.server.entrance")
    if all(front.wanted is None for front in fronts):
        return None
    from stompserver.server.renewal import Renewal

    return Renewal(fronts)


def _identity(loaded: Loaded) -> Identity | None:
    """The user and group of the options. Raises ConfigError."""
    from stompserver.server.process.process import identity

    config = loaded.config
    try:
        return identity(config.user, config.group)
    except ConfigError as error:
        key = str(error).partition(":")[0]
        raise ConfigError(f"{loaded.origins[key]}: {error}") from None


def _loop_factory(loaded: Loaded) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop; None is asyncio's own. Raises ConfigError."""
    wanted = loaded.config.loop
    if wanted == "asyncio":
        return None
    try:
        import uvloop
    except ModuleNotFoundError as missing:
        if missing.name != "uvloop":
            raise
        if wanted == "uvloop":
            raise ConfigError(f"{loaded.origins['loop']}: loop: uvloop is not installed") from None
        return None
    return uvloop.new_event_loop


def _make_folders(config: Config, who: Identity | None) -> None:
    from stompserver.server.process.process import make_directory

    folders = [config.working_dir, config.logdir, config.etcdir]
    folders += [config.pidfile.parent] if config.pidfile else []
    folders += [config.logfile.parent] if config.daemon else []
    for folder in folders:
        make_directory(folder, who)


def _settle(config: Config, who: Identity | None, warnings: list[str]) -> None:
    """Become the user and group, go to the working directory, open the log. Raises StartError."""
    from stompserver.server.process import logs, process
    from stompserver.server.process.service import level_of

    changed = who is not None and process.become(who)
    if config.daemon:
        try:
            os.chdir(config.working_dir)
            logs.open_file(config.logfile)
        except OSError as error:
            raise process.StartError(f"cannot open {error.filename}: {error.strerror}") from None
    logs.configure(level_of(config), config.log_format)
    for warning in warnings:
        logger.warning("%s", warning, extra={"event": "configuration"})
    if who is not None and changed:
        logger.info("Changed to %s", who.text, extra={"event": "privileges"})
