"""Sockets: bound at the start of the process, and listening when there is a server to accept."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import logging
import os
import socket
import stat
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from stompserver.config import Config
from stompserver.errors import ListenError

log = logging.getLogger("stompserver")

MAIN: Final = "stompserver"
"""What an inherited socket for host and port is called."""

FIRST_GIVEN: Final = 3
"""The number of the first inherited socket, as sd_listen_fds(3) has it."""

BACKLOG: Final = 1024
"""Connections that may wait to be accepted."""

ACCEPT: Final = 10
"""Connections accepted in one turn of the loop: each takes about as long as 20 messages, for which others wait."""

EVERY_ADDRESS = ("", "*")
_HINTS = {
    errno.EADDRINUSE: "is another stompserver running? -p chooses another port",
    errno.EACCES: "ports below 1024 need root; start as root and set the option user",
    errno.EEXIST: "that is no socket; unix names another path",
    errno.EADDRNOTAVAIL: "no network interface of this machine has it",
}
Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


class Bound(socket.socket):
    """A bound socket that knows of which listener it is: 0 for host and port, n for the nth of ``listeners``.
    ``inherited``: it is another process's, which gave it to this one (systemd's, with its number).
    """

    __slots__ = ("inherited", "listener")

    def __init__(self, family: socket.AddressFamily, listener: int, number: int | None = None) -> None:
        super().__init__(family, socket.SOCK_STREAM, fileno=number)
        self.listener = listener
        self.inherited = number is not None


def listener_of(sock: socket.socket) -> int:
    """The number of the listener; 0 for a socket that somebody else opened."""
    return sock.listener if isinstance(sock, Bound) else 0


def name_of(sock: socket.socket, config: Config) -> str:
    """What the configuration calls the socket's listener, or ""."""
    number = listener_of(sock)
    return config.listeners[number - 1].name if number else ""


def bind_all(config: Config, given: Sequence[Given] = ()) -> Iterator[Bound]:
    """The sockets for host and port, then those of ``listeners``, each as it is opened, or as it was ``given`` to
    this process. Raises ListenError.
    """
    left = list(given)
    found = _taken(left, MAIN, config.host, config.port, None)
    yield from [each.bound(0) for each in found] or bind(config.host, config.port)
    for number, each in enumerate(config.listeners, 1):
        host = config.host if each.host is None else each.host
        found = _taken(left, each.name, host, each.port, each.unix)
        if found:
            yield from [one.bound(number) for one in found]
        elif each.unix is not None:
            yield bind_unix(each.unix, each.unix_mode, each.unix_group, number)
        else:
            yield from bind(host, each.port, number)
    for one in left:
        log.warning("%s was given to this process, and no listener has that name or address", one)
        os.close(one.number)


def bind(host: str, port: int, listener: int = 0) -> list[Bound]:
    """TCP sockets bound to a numeric address, a name, ``localhost`` (IPv4 and IPv6) or ``*`` (all).

    Of several addresses those that this machine does not have are left out, as long as one is left. With port
    0 the system chooses one, the same for all. Raises ListenError with a text for the administrator.
    """
    sockets: list[Bound] = []
    missing: OSError | None = None
    try:
        for family, address in _addresses(host, port):
            chosen = sockets[0].getsockname()[1] if sockets else port
            try:
                sockets.append(_bind_to(family, (address[0], chosen, *address[2:]), listener))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
        if not sockets and missing is not None:
            raise missing
    except (OSError, UnicodeError) as error:
        for opened in sockets:
            opened.close()
        raise _cannot_listen(host, port, error) from None
    return sockets


def bind_unix(path: Path, mode: int, group: str, listener: int = 0) -> Bound:
    """A Unix socket at ``path``, with these permissions. One that a killed server left is taken away first. Raises
    ListenError.
    """
    sock = Bound(socket.AF_UNIX, listener)
    try:
        sock.setblocking(False)
        _remove_dead(path)
        # Nobody may come in before it has its permissions.
        before = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        if group:
            os.chown(path, -1, _group(group))
        path.chmod(mode)
    except (OSError, ValueError) as error:
        sock.close()
        raise ListenError(f"cannot listen on the Unix socket {path}: {_why_not(path, error)}") from None
    return sock


def _remove_dead(path: Path) -> None:
    """Raises OSError where something else is there, or a server that listens."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(state.st_mode):
        raise FileExistsError(errno.EEXIST, "")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, "")


def _group(name: str) -> int:
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ValueError(f"unknown group {name!r} (unix-group)") from None


def remove_unix(sockets: Sequence[socket.socket]) -> None:
    """Take away the files of Unix sockets that were made here. (Who gave up privileges may not: then they stay, and
    the next start takes them away.)
    """
    for sock in sockets:
        if isinstance(sock, Bound) and sock.family == socket.AF_UNIX and not sock.inherited:
            with contextlib.suppress(OSError):
                os.unlink(sock.getsockname())


class Given(NamedTuple):
    """A socket that was open when this process began: its number, and what who opened it calls it."""

    number: int
    name: str
    family: socket.AddressFamily
    address: object

    def __str__(self) -> str:
        return f"the socket {self.name or self.number} on {self.address}"

    def bound(self, listener: int) -> Bound:
        """The socket, for that listener."""
        sock = Bound(self.family, listener, self.number)
        sock.setblocking(False)
        sock.set_inheritable(False)
        return sock


def given_sockets(environ: MutableMapping[str, str]) -> list[Given]:
    """The sockets that systemd, or who does as it does, gave to this process (sd_listen_fds(3)); they are taken out
    of the environment, so that no child believes them to be its own. Raises ListenError for what is no stream socket.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    found = []
    for number in range(FIRST_GIVEN, FIRST_GIVEN + int(count)):
        name = names[number - FIRST_GIVEN] if number - FIRST_GIVEN < len(names) else ""
        try:
            with socket.socket(fileno=os.dup(number)) as sock:
                if sock.type != socket.SOCK_STREAM:
                    raise ListenError(f"the socket {name or number} of LISTEN_FDS is none for streams")
                found.append(Given(number, name, sock.family, sock.getsockname()))
        except OSError as error:
            raise ListenError(f"descriptor {number} of LISTEN_FDS is no socket: {error.strerror}") from None
    return found


def _taken(left: list[Given], name: str, host: str, port: int, unix: Path | None) -> list[Given]:
    """Those that have the name of the listener, or else its address; they are left no more."""
    found = [each for each in left if name and each.name == name]
    if not found and unix is not None:
        found = [each for each in left if each.address == str(unix)]
    elif not found and unix is None:
        with contextlib.suppress(OSError, UnicodeError):
            wanted = {(family, address[:2]) for family, address in _addresses(host, port)}
            found = [
                each
                for each in left
                if isinstance(each.address, tuple) and (each.family, each.address[:2]) in wanted
            ]
    for each in found:
        left.remove(each)
    return found


async def accept(sock: socket.socket, connected: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
    """Listen on a bound socket; ``connected`` makes the protocol of each connection. Raises ListenError."""
    try:
        loop = asyncio.get_running_loop()
        if sock.family == socket.AF_UNIX:
            server = await loop.create_unix_server(connected, sock=sock, backlog=ACCEPT)
        else:
            if isinstance(sock, Bound):
                _share(sock, True)
            # asyncio accepts as many in one turn of its loop as may wait, before it tells us of one.
            server = await loop.create_server(connected, sock=sock, backlog=ACCEPT)
        sock.listen(BACKLOG)
    except OSError as error:
        if sock.family == socket.AF_UNIX:
            path = sock.getsockname()
            raise ListenError(f"cannot listen on the Unix socket {path}: {_reason(error)}") from None
        host, port = sock.getsockname()[:2]
        raise _cannot_listen(host, port, error) from None
    return server


def _addresses(host: str, port: int) -> list[Address]:
    if host.lower() == "localhost":
        # Not by name: what it means differs between machines, in particular whether it is IPv6 at all.
        return [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port, 0, 0))]
    name = None if host in EVERY_ADDRESS else host.removeprefix("[").removesuffix("]")
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    unique = dict.fromkeys((family, address) for family, _, _, _, address in found)
    # IPv4 first: the port of the first socket is the one that is announced.
    return sorted(unique, key=lambda each: each[0] != socket.AF_INET)  # type: ignore[arg-type]  # several shapes


def _bind_to(family: socket.AddressFamily, address: tuple[object, ...], number: int) -> Bound:
    listener = Bound(family, number)
    try:
        # A restarted server must not wait for the connections of the last one to time out.
        _share(listener, True)
        if family == socket.AF_INET6:
            # Otherwise :: would also take the IPv4 port, and 0.0.0.0 beside it would find it in use.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(address)
        # Else another server that starts could bind the port too, and one of us would find out when it listens.
        _share(listener, False)
    except BaseException:
        listener.close()
        raise
    return listener


def _share(sock: socket.socket, shared: bool) -> None:
    """Set SO_REUSEADDR: the port may be bound by several sockets that have it, while none of them listens."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, shared)


def _cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> ListenError:
    return ListenError(f"cannot listen on {host or '*'} port {port}: {_reason(error)}")


def _why_not(path: Path, error: OSError | ValueError) -> str:
    """Why there is no Unix socket at ``path``. The hints for ports would mislead here."""
    if not isinstance(error, OSError):
        return str(error)
    if error.errno == errno.ENOENT:
        return f"there is no folder {path.parent}; make it, for the server's user to write to"
    if error.errno == errno.EACCES:
        return f"{os.strerror(error.errno).lower()} (the server's user has to write to {path.parent})"
    return _reason(error)


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "not a name of a machine"
    if isinstance(error, socket.gaierror):
        return error.strerror.lower() if error.strerror else "unknown name"
    number = error.errno or 0
    hint = f" ({_HINTS[number]})" if number in _HINTS else ""
    return os.strerror(number).lower() + hint
