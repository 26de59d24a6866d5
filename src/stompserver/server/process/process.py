"""What a server does to its process: background, user and group, folders, pid file, open files."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from stompserver.errors import ConfigError, StompserverError

# Besides connections: those that are told there are too many, listeners, log, pid file, event loop, storage.
SPARE_FILES = 256
# With fewer connections than these a server is of no use to anybody.
HANDFUL = 10


class StartError(StompserverError):
    """The machine does not let the server start (exit code 1). The text is one line."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A user and group to become. ``groups`` are the supplementary ones."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    text: str


def identity(user: str, group: str) -> Identity | None:
    """Look up names or numbers; None when both are empty. Raises ConfigError.

    With a user its own groups come along; with a group alone there is only that group.
    """
    if not user and not group:
        return None
    account = _account(user) if user else None
    uid = _user_number(user, account)
    if group:
        gid = _group(group)
    elif account:
        gid = account.pw_gid
    else:
        raise ConfigError(f"user: {user!r} has no account; set the option group too")
    groups = tuple(os.getgrouplist(account.pw_name, gid)) if account else (gid,)
    text = " and ".join(each for each in (user and f"user {user}", group and f"group {group}") if each)
    return Identity(uid, gid, groups, text)


def _account(user: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError):
        return None


def _user_number(user: str, account: pwd.struct_passwd | None) -> int:
    if account:
        return account.pw_uid
    return _number("user", user) if user else os.geteuid()


def _group(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return _number("group", group)


def _number(noun: str, text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"{noun}: unknown {noun} {text!r}")
    if len(text) > 10 or int(text) >= 2**32 - 1:
        raise ConfigError(f"{noun}: no {noun} has the number {text[:20]}")
    return int(text)


def become(who: Identity) -> bool:
    """Give up privileges for good: groups, group, user. False when the process is that user already.

    Raises StartError when it may not.
    """
    if os.geteuid() != 0 and (os.geteuid(), os.getegid()) == (who.uid, who.gid):
        return False
    try:
        os.setgroups(who.groups)
        os.setresgid(who.gid, who.gid, who.gid)
        os.setresuid(who.uid, who.uid, who.uid)
    except OSError as error:
        raise StartError(f"cannot change to {who.text}: {error.strerror}; only root can") from None
    return True


def make_directory(path: Path, owner: Identity | None) -> None:
    """Make a folder and those above it, as far as they are missing; the new ones belong to ``owner``.

    Raises StartError.
    """
    missing = [path, *path.parents]
    while missing and missing[-1].is_dir():
        missing.pop()
    for each in reversed(missing):
        try:
            each.mkdir(0o755)
            if owner is not None and os.geteuid() == 0:
                os.chown(each, owner.uid, owner.gid, follow_symlinks=False)
        except FileExistsError:
            if not each.is_dir():
                raise StartError(f"cannot make the directory {each}: there is a file of that name") from None
        except OSError as error:
            raise StartError(f"cannot make the directory {each}: {error.strerror}") from None


def raise_file_limit(connections: int) -> list[str]:
    """Let the process open a file for each connection. Returns a warning when not all fit, else nothing.

    Raises StartError when not even a handful fit.
    """
    wanted = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return []
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))  # root may
        return []
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    fit = max(0, hard - SPARE_FILES)
    needed = SPARE_FILES + min(connections, HANDFUL)
    if hard < needed:
        raise StartError(
            f"only {hard} files may be open, which is room for {fit} connections; at least {needed} are needed, and"
            f" {wanted} for max-connections {connections}: raise the limit (ulimit -n, LimitNOFILE of systemd)"
        )
    return [
        f"max-connections is {connections}, but only {hard} files may be open; about {fit} connections fit"
    ]


def connections_that_fit(wanted: int) -> int:
    """How many connections the limit of open files has room for now, up to ``wanted``."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - SPARE_FILES)


class Readiness:
    """What a daemon tells the process that started it, which waits for that; nothing in the foreground."""

    def __init__(self, pipe: int = -1) -> None:
        self._pipe = pipe

    def ready(self) -> None:
        """The daemon serves: the waiting process ends with code 0."""
        self._tell(0, "")

    def failed(self, code: int, text: str) -> None:
        """The daemon gives up: the waiting process prints the text and ends with the code."""
        self._tell(code, text)

    def _tell(self, code: int, text: str) -> None:
        if self._pipe < 0:
            return
        try:
            os.write(self._pipe, bytes([code]) + text.encode("utf-8", "backslashreplace"))
        except BrokenPipeError:
            pass  # whoever started us did not wait
        finally:
            os.close(self._pipe)
            self._pipe = -1


def daemonize() -> Readiness:
    """Go into the background: a session of its own, no terminal, standard input from nowhere, files 0640.

    Returns in the daemon only. The process that started it waits, prints what the daemon says is wrong, and
    ends (SystemExit) with the daemon's code, so that an init script sees a failed start. Standard output and
    error stay as they are until the log is opened.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        os.waitpid(child, 0)
        _wait_for_daemon(reader)
    os.close(reader)
    os.setsid()
    # Not the leader of its session any more, the grandchild can never get a terminal again.
    if os.fork():
        os._exit(0)
    # Until the server handles it, a hang-up must not end a daemon whose terminal closes.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(os.umask(0o077) | 0o027)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    if nowhere:
        os.close(nowhere)
    os.chdir("/")
    return Readiness(writer)


def _wait_for_daemon(pipe: int) -> NoReturn:
    with os.fdopen(pipe, "rb") as reader:
        said = reader.read()
    if not said:
        print("stompserver: the daemon ended before it was ready", file=sys.stderr)
        raise SystemExit(1)
    if said[0]:
        print(said[1:].decode("utf-8"), file=sys.stderr)
    raise SystemExit(said[0])


class PidFile:
    """The file with the decimal process id (no line end, as the original wrote it), locked while we live.

    The lock, not the number, tells whether its writer lives: the number may belong to another process by now.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def acquire(self) -> str:
        """Write our number. Returns a note when a stale file was replaced. Raises StartError when in use."""
        try:
            self._file = self._open_locked()
            old = os.pread(self._file, 32, 0).decode("utf-8", "replace").strip()
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, str(os.getpid()).encode(), 0)
        except OSError as error:
            self._close()
            reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
            raise StartError(f"cannot write the pid file {self.path}: {reason}") from None
        return f"replaced the stale pid file {self.path} of process {old!r}, which is gone" if old else ""

    def release(self) -> None:
        """Remove the file, if it is still ours."""
        if self._file < 0:
            return
        try:
            if self._is_current(self._file):
                os.unlink(self.path)
        except OSError:
            # A folder we may not change: an empty file says as much.
            os.ftruncate(self._file, 0)
        finally:
            self._close()

    def _open_locked(self) -> int:
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            file = os.open(self.path, flags, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_current(file):
                    if os.fstat(file).st_uid == os.geteuid():
                        os.fchmod(file, 0o644)  # for those who watch the server, whatever the umask
                    return file
            except BlockingIOError:
                number = os.pread(file, 32, 0).decode("utf-8", "replace").strip() or "unknown"
                os.close(file)
                raise StartError(
                    f"already running as process {number}: it holds the pid file {self.path}; for a"
                    " second server choose another -w or --pidfile"
                ) from None
            except OSError:
                os.close(file)
                raise
            # Its owner removed it between our open and our lock: try again with a new one.
            os.close(file)

    def _is_current(self, file: int) -> bool:
        try:
            there = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(file))

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
