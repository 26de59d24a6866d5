"""RabbitMQ or ActiveMQ of Debian, started on loopback in a temporary folder, and a client that says what it is told.

    python3 debian_broker.py rabbitmq-server|activemq VERSION FRAME...

A FRAME is a frame without its NUL, with \\n for line ends; @ACK@ in it is the `ack` header of the MESSAGE that came
last. RECONNECT is none, but closes the connection and makes another. After each is printed what came within a second:
commands, with the receipt or the body, and closed. Ends with 2 when that version of the package is not installed.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.peers import PEERS, rabbitmq_files, write_files

CONNECT = b"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def command(package: str, port: int, room: Path) -> list[str]:
    if package == "activemq":
        return PEERS["activemq"].command(port, room)
    write_files(room, rabbitmq_files(port, free_port(), free_port(), room))
    return ["/bin/sh", str(room / "start.sh")]


def connect(port: int, seconds: float = 120) -> socket.socket:
    """A connection that was answered by CONNECTED, as soon as there is one."""
    until = time.monotonic() + seconds
    while True:
        try:
            client = socket.create_connection(("127.0.0.1", port), 5)
            client.sendall(CONNECT)
            if client.recv(65536).startswith(b"CONNECTED"):
                return client
        except OSError:
            if time.monotonic() > until:
                raise
        time.sleep(0.2)


def heard(client: socket.socket) -> tuple[bytes, bool]:
    """What comes until a second was silent, and whether the connection is closed then."""
    client.settimeout(1)
    octets = b""
    try:
        while more := client.recv(65536):
            octets += more
    except TimeoutError:
        return octets, False
    return octets, True


def say(port: int, frames: list[str]) -> None:
    client, ack = connect(port), ""
    for frame in frames:
        if frame == "RECONNECT":
            client.close()
            client = connect(port)
            print(frame)
            continue
        text = frame.replace("\\n", "\n").replace("@ACK@", ack)
        client.sendall(text.encode() + b"\0")
        octets, closed = heard(client)
        came = []
        for each in octets.decode().split("\0"):
            head, _, body = each.strip("\r\n").partition("\n\n")
            name = head.partition("\n")[0]
            found = dict(line.split(":", 1) for line in head.split("\n")[1:])
            ack = found.get("ack", ack).replace("\\c", ":")
            if name:
                came.append(f"{name} {body if name == 'MESSAGE' else found.get('receipt-id', '')}".strip())
        came += ["closed"] * closed
        print(text.partition("\n")[0], "->", ", ".join(came) or "nothing")


def main(package: str, version: str, frames: list[str]) -> int:
    query = ["dpkg-query", "-W", "-f", "${Version}", package]
    here = subprocess.run(query, capture_output=True, text=True).stdout if shutil.which("dpkg-query") else ""
    if here != version:
        print(f"needs Debian's {package} {version}, is {here or 'not there'}")
        return 2
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        port, room = free_port(), Path(folder)
        with (room / "output").open("wb") as log:
            broker = subprocess.Popen(
                command(package, port, room),
                cwd=room,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            say(port, frames)
        finally:
            os.killpg(broker.pid, signal.SIGTERM)
            broker.wait(30)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
