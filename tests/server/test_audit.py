"""The audit: what is in it, and that nothing makes it long, slow or telling."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stompserver.server import audit as module
from stompserver.server.audit import MOST_OF, Audit
from stompserver.server.log_rate import TOLD, WINDOW

MANAGEMENT = "/queue/stompserver.management"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def audit(hand_loop: Any, tmp_path: Path) -> Iterator[Audit]:
    made = Audit(tmp_path / "audit.jsonl", hand_loop, lambda: 1_800_000_000.25)
    yield made
    made.close()
    assert hand_loop.timers() == 0


def test_a_line(audit: Audit) -> None:
    audit.note("connected", "192.0.2.1", "abc", "alice", version="1.2")
    audit.close()
    assert lines(audit.path) == [
        {
            "time": "2027-01-15T08:00:00.250Z",
            "event": "connected",
            "address": "192.0.2.1",
            "connection": "abc",
            "login": "alice",
            "version": "1.2",
        }
    ]
    assert stat.S_IMODE(audit.path.stat().st_mode) & 0o007 == 0


def test_nobody_can_begin_a_line_or_make_it_long(audit: Audit) -> None:
    audit.note("refused", "192.0.2.1", "c", 'a\n{"event":"x"}\u2028', reason="y" * 100_000)
    audit.close()
    (line,) = lines(audit.path)
    assert line["login"] == 'a\n{"event":"x"}\u2028'
    assert len(line["reason"]) < 600


def test_a_flood_of_one_address_is_counted(audit: Audit, hand_loop: Any) -> None:
    most = MOST_OF["refused"]
    for _ in range(most + 50):
        audit.note("refused", "192.0.2.1")
    audit.note("refused", "192.0.2.2")
    audit.note("connected", "192.0.2.1")
    hand_loop.advance(WINDOW)
    audit.note("refused", "192.0.2.1")
    audit.close()
    found = lines(audit.path)
    assert len([line for line in found if line["event"] == "refused"]) == most + 2
    omitted = [line for line in found if line["event"] == "omitted"]
    assert [(each["address"], each["of"], each["count"]) for each in omitted] == [
        ("192.0.2.1", "refused", 50)
    ]


def test_a_flood_of_many_addresses_is_counted_together(audit: Audit) -> None:
    most = MOST_OF["refused"]
    for number in range(TOLD + 5):
        for _ in range(most + 1):
            audit.note("refused", f"192.0.2.{number}")
    audit.close()
    omitted = [line for line in lines(audit.path) if line["event"] == "omitted"]
    assert len(omitted) == TOLD + 1
    assert (omitted[-1]["count"], omitted[-1]["addresses"]) == (5, 5)


def test_what_was_managed_is_never_left_out_for_its_number(audit: Audit) -> None:
    for number in range(2000):
        audit.note("managed", "192.0.2.1", target=str(number))
    audit.close()
    assert [line["target"] for line in lines(audit.path)] == [str(number) for number in range(2000)]


def test_a_file_that_takes_nothing_keeps_nobody_waiting(
    hand_loop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 10_000)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    audit = Audit(pipe, hand_loop)
    for number in range(5000):
        audit.note("managed", target=f"{number} {'x' * 400}")
    got = bytearray()
    done = threading.Event()

    def read() -> None:
        os.set_blocking(reader, True)
        while chunk := os.read(reader, 65536):
            got.extend(chunk)
        done.set()

    threading.Thread(target=read, daemon=True).start()
    while audit._size:
        with audit._changed:
            audit._changed.wait(1)
    audit.note("managed", target="last")
    audit.close()
    assert done.wait(10)
    found = [json.loads(line) for line in got.splitlines()]
    assert found[-1]["target"] == "last"
    omitted = [line for line in found if line["event"] == "omitted"]
    assert omitted
    assert sum(line["count"] for line in omitted) + len(found) - len(omitted) == 5001
    os.close(reader)


def test_what_cannot_be_written_is_told_once_and_counted(
    hand_loop: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    audit = Audit(full, hand_loop)
    for number in range(3):
        audit.note("managed", target=str(number))
        while audit._size:
            with audit._changed:
                audit._changed.wait(1)
    audit.reopen(tmp_path / "audit")
    audit.note("managed", target="3")
    audit.close()
    found = lines(tmp_path / "audit")
    assert [(line["event"], line.get("count")) for line in found] == [("omitted", 3), ("managed", None)]
    assert caplog.text.count("cannot write the audit /dev/full: No space left on device") == 1


# Of a running server


def talk(server: Any, frames: str, until: str) -> str:
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(frames.replace("^@", "\0").encode())
        got = ""
        while until not in got:
            data = client.recv(65536)
            if not data:
                break
            got += data.decode()
        return got


def connect(more: str = "login:alice\npasscode:secret\n") -> str:
    return f"CONNECT\naccept-version:1.2\nhost:h\n{more}\n^@"


def test_who_did_what(start_server: Any, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / ".passwd").write_text("alice:secret\n")
    (tmp_path / "etc" / ".passwd").chmod(0o600)
    (tmp_path / "stompserver.conf").write_text("audit: audit.jsonl\nauth: true\nprefetch: 7\n")
    server = start_server(directory=tmp_path)
    manage = f"SEND\ndestination:{MANAGEMENT}\naction:%s\nqueue:%s\nreceipt:r%s\n\n^@"
    send = "SEND\ndestination:/queue/a\n\nx^@"
    talk(
        server,
        connect() + send + manage % ("purge", "/queue/a", 1) + manage % ("delete", "/queue/b", 2),
        "receipt-id:r2",
    )
    talk(server, connect("login:mallory\npasscode:guess\n"), "Invalid Login")
    (tmp_path / "stompserver.conf").write_text("audit: audit.jsonl\nauth: true\nprefetch: 8\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("configuration and users read again")
    (tmp_path / "stompserver.conf").write_text("prefetch: many\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("the configuration was not read again")
    server.stop()
    path = tmp_path / "log" / "audit.jsonl"
    found = lines(path)
    events = [line["event"] for line in found]
    assert events[0] == "started" and events[-1] == "stopped"
    by = {line["event"]: line for line in found}
    connected = by["connected"]
    assert (connected["login"], connected["address"], connected["version"]) == ("alice", "127.0.0.1", "1.2")
    assert len(connected["connection"]) == 32
    managed = [line for line in found if line["event"] == "managed"]
    assert [(line["action"], line["target"], line["login"]) for line in managed] == [
        ("purge", "/queue/a", "alice"),
        ("delete", "/queue/b", "alice"),
    ]
    assert {line["connection"] for line in managed} == {connected["connection"]}
    assert "problem" not in managed[0] and managed[1]["problem"]
    assert (by["refused"]["login"], by["refused"]["connected"]) == ("mallory", False)
    assert by["refused"]["reason"] == "Invalid Login (headers login and passcode)"
    assert by["reloaded"]["changed"] == {"prefetch": "8"}
    assert "prefetch: 'many' is not a whole number" in by["reload_failed"]["reason"]
    assert by["disconnected"]["address"] == "127.0.0.1"
    text = path.read_text()
    assert "secret" not in text and "guess" not in text


def test_sighup_opens_it_anew(start_server: Any, tmp_path: Path) -> None:
    server = start_server("--audit=audit.jsonl", directory=tmp_path)
    path = tmp_path / "log" / "audit.jsonl"
    path.rename(tmp_path / "log" / "audit.1")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("configuration and users read again")
    talk(server, connect(""), "CONNECTED")
    server.stop()
    # What waited to be written may be in either.
    found = [line["event"] for line in [*lines(tmp_path / "log" / "audit.1"), *lines(path)]]
    assert found == ["started", "reloaded", "connected", "disconnected", "stopped"]
    assert [line["event"] for line in lines(path)][-4:] == found[-4:]


def test_one_that_cannot_be_opened_ends_the_start(start_server: Any, tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "log" / "audit").mkdir(parents=True)
    words = ["-p", "0", "-w", str(tmp_path), "--audit=audit"]
    done = subprocess.run(
        [sys.executable, "-m", "stompserver", *words], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert "cannot open the audit" in done.stderr and "Is a directory" in done.stderr
