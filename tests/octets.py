"""What clients share that are made of a socket and literal octets."""

from __future__ import annotations

import socket
import struct


def until(sock: socket.socket, mark: bytes) -> bytes:
    """What comes up to ``mark``. What has ended before is told."""
    got = b""
    while mark not in got:
        data = sock.recv(65536)
        assert data, got
        got += data
    return got


def rest(sock: socket.socket) -> bytes:
    """All that comes before the end."""
    got = b""
    while data := sock.recv(65536):
        got += data
    return got


def masked(opening: int, payload: bytes, mask: bytes = b"\x12\x34\x56\x78") -> bytes:
    """A frame of WebSocket from a client, with that first octet (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", opening, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", opening, 0xFE, size)
    else:
        head = struct.pack("!BBQ", opening, 0xFF, size)
    return head + mask + bytes(octet ^ mask[index % 4] for index, octet in enumerate(payload))
