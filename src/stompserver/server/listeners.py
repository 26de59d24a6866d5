"""Sockets: bound at the start of the process, and listening when there is a server to accept."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import Final

from stompserver.config import Config
from stompserver.errors import ListenError

BACKLOG: Final = 1024
"""Connections that may wait to be accepted."""

ACCEPT: Final = 10
"""Connections accepted in one turn of the loop: each takes about as long as 20 messages, for which others wait."""

EVERY_ADDRESS = ("", "*")
_HINTS = {
    errno.EADDRINUSE: "is another stompserver running? -p chooses another port",
    errno.EACCES: "ports below 1024 need root; start as root and set the option user",
    errno.EADDRNOTAVAIL: "no network interface of this machine has it",
}
Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


class Bound(socket.socket):
    """A bound socket that knows of which listener it is: 0 for host and port, n for the nth of ``listeners``."""

    __slots__ = ("listener",)

    def __init__(self, family: socket.AddressFamily, listener: int) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self.listener = listener


def listener_of(sock: socket.socket) -> int:
    """The number of the listener; 0 for a socket that somebody else opened."""
    return sock.listener if isinstance(sock, Bound) else 0


def name_of(sock: socket.socket, config: Config) -> str:
    """What the configuration calls the socket's listener, or ""."""
    number = listener_of(sock)
    return config.listeners[number - 1].name if number else ""


def bind_all(config: Config) -> Iterator[Bound]:
    """The sockets for host and port, then those of ``listeners``, each as it is opened. Raises ListenError."""
    yield from bind(config.host, config.port)
    for number, each in enumerate(config.listeners, 1):
        host = config.host if each.host is None else each.host
        yield from bind(host, each.port, number)


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


async def accept(sock: socket.socket, connected: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
    """Listen on a bound socket; ``connected`` makes the protocol of each connection. Raises ListenError."""
    try:
        if isinstance(sock, Bound):
            _share(sock, True)
        # asyncio accepts as many in one turn of its loop as may wait, before it tells us of one.
        server = await asyncio.get_running_loop().create_server(connected, sock=sock, backlog=ACCEPT)
        sock.listen(BACKLOG)
    except OSError as error:
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


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "not a name of a machine"
    if isinstance(error, socket.gaierror):
        return error.strerror.lower() if error.strerror else "unknown name"
    number = error.errno or 0
    hint = f" ({_HINTS[number]})" if number in _HINTS else ""
    return os.strerror(number).lower() + hint
