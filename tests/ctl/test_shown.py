"""What clients made up is one line on a terminal, and only text."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from click.testing import CliRunner

from stompserver.ctl.live import queue
from stompserver.ctl.shown import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/queue/a b é😀", "/queue/a b é😀"),
        ("a\n9 9 /queue/b", "a\\n9 9 /queue/b"),
        ("a\r\x1b[2Jb", "a\\r\\x1b[2Jb"),
        ("a\u202eb\u2028c\udcff", "a\\u202eb\\u2028c\\udcff"),
    ],
)
def test_one_line(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_names_of_queues(start_server: Any) -> None:
    server = start_server()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30.0) as client:
        client.sendall(b"CONNECT\naccept-version:1.2\nhost:h\n\n\0")
        client.sendall(b"SEND\ndestination:/queue/a\\n 0 /queue/forged\\r\x1b[2J\nreceipt:r\n\n\0")
        answer = b""
        while b"RECEIPT" not in answer:
            answer += client.recv(65536)
    asked = ["list", "--host", "127.0.0.1", "--port", str(server.port)]
    found = CliRunner().invoke(queue, asked, prog_name="stompctl", catch_exceptions=False)
    assert len(found.output.splitlines()) == 2
    assert found.output.endswith("  /queue/a\\n 0 /queue/forged\\r\\x1b[2J\n")
    found = CliRunner().invoke(queue, [*asked, "--json"], prog_name="stompctl", catch_exceptions=False)
    assert json.loads(found.output)["queues"][0]["queue"] == "/queue/a\n 0 /queue/forged\r\x1b[2J"
