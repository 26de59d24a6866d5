"""Listening sockets."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

from stompserver.config import Config
from stompserver.errors import ListenError

BACKLOG = 1024
EVERY_ADDRESS = ("", "*")
_HINTS = {
    errno.EADDRINUSE: "is another stompserver running? -p chooses another port",
    errno.EACCES: "ports below 1024 need root; start as root and set the option user",
    errno.EADDRNOTAVAIL: "no network interface of this machine has it",
}
Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


class Listening(socket.socket):
    """A listening socket that knows of which listener it is: 0 for host and port, n for the nth of ``listeners``."""

    __slots__ = ("listener",)

    def __init__(self, family: socket.AddressFamily, listener: int) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self.listener = listener


def listener_of(sock: socket.socket) -> int:
    """The number of the listener; 0 for a socket that somebody else opened."""
    return sock.listener if isinstance(sock, Listening) else 0


def name_of(sock: socket.socket, config: Config) -> str:
    """What the configuration calls the socket's listener, or ""."""
    number = listener_of(sock)
    return config.listeners[number - 1].name if number else ""


def listen_as(config: Config) -> Iterator[Listening]:
    """The sockets for host and port, then those of ``listeners``, each as it is opened. Raises ListenError."""
    yield from listen(config.host, config.port)
    for number, each in enumerate(config.listeners, 1):
        host = config.host if each.host is None else each.host
        yield from listen(host, each.port, number)


def listen(host: str, port: int, listener: int = 0) -> list[Listening]:
    """TCP sockets that listen on a numeric address, a name, ``localhost`` (IPv4 and IPv6) or ``*`` (all).

    Of several addresses those that this machine does not have are left out, as long as one is left. With port
    0 the system chooses one, the same for all. Raises ListenError with a text for the administrator.
    """
    sockets: list[Listening] = []
    missing: OSError | None = None
    try:
        for family, address in _addresses(host, port):
            chosen = sockets[0].getsockname()[1] if sockets else port
            try:
                sockets.append(_listen_on(family, (address[0], chosen, *address[2:]), listener))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
        if not sockets and missing is not None:
            raise missing
    except (OSError, UnicodeError) as error:
        for opened in sockets:
            opened.close()
        raise ListenError(f"cannot listen on {host or '*'} port {port}: {_reason(error)}") from None
    return sockets


def _addresses(host: str, port: int) -> list[Address]:
    if host.lower() == "localhost":
        # Not by name: what it means differs between machines, in particular whether it is IPv6 at all.
        return [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port, 0, 0))]
    name = None if host in EVERY_ADDRESS else host.removeprefix("[").removesuffix("]")
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    unique = dict.fromkeys((family, address) for family, _, _, _, address in found)
    # IPv4 first: the port of the first socket is the one that is announced.
    return sorted(unique, key=lambda each: each[0] != socket.AF_INET)  # type: ignore[arg-type]  # several shapes


def _listen_on(family: socket.AddressFamily, address: tuple[object, ...], number: int) -> Listening:
    listener = Listening(family, number)
    try:
        # A restarted server must not wait for the connections of the last one to time out.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Otherwise :: would also take the IPv4 port, and 0.0.0.0 beside it would find it in use.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(address)
        # Only listen(), not bind(), tells for certain that the port is ours.
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "not a name of a machine"
    if isinstance(error, socket.gaierror):
        return error.strerror.lower() if error.strerror else "unknown name"
    number = error.errno or 0
    hint = f" ({_HINTS[number]})" if number in _HINTS else ""
    return os.strerror(number).lower() + hint
