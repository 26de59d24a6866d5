"""A client that connects again by itself, while its application still works on what came before."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.interop
SCRIPT = Path(__file__).parent / "ruby/late_ack.rb"
QUEUE = "/queue/late"


def say(port: int, frames: str, until: bytes) -> bytes:
    """What comes on a connection of its own, up to some octets."""
    with socket.create_connection(("127.0.0.1", port), 20) as wire:
        wire.sendall(f"CONNECT\naccept-version:1.2\nhost:h\n\n\0{frames}".encode())
        data = b""
        while until not in data:
            more = wire.recv(1 << 16)
            assert more, data
            data += more
    return data


def test_the_stomp_gem(start_server: Any) -> None:
    """The server is killed and comes back in the middle."""
    if (
        shutil.which("ruby") is None
        or subprocess.run(["ruby", "-e", "require 'stomp'"], check=False).returncode
    ):
        pytest.skip("the stomp gem is not installed (apt-get install ruby-stomp)")
    server = start_server("-q", "lmdb")
    sends = "".join(f"SEND\ndestination:{QUEUE}\n\nm{number}\0" for number in range(4))
    say(server.port, f"{sends}DISCONNECT\nreceipt:sent\n\n\0", b"receipt-id:sent")
    command = ["ruby", str(SCRIPT), "127.0.0.1", str(server.port), QUEUE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "working\n"
        server.kill()
        server = start_server("-q", "lmdb", "-p", str(server.port), directory=server.directory)
        assert client.stdout.readline() == "again m1 m2 m3\n"
        assert "another connection" in client.stdout.readline()
        assert client.wait(20) == 0
    left = say(server.port, f"SUBSCRIBE\nid:s\ndestination:{QUEUE}\n\n\0", b"\n\nm3\0")
    assert [body in left for body in (b"\nm0\0", b"\nm1\0", b"\nm2\0")] == [False, True, True]
