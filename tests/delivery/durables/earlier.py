"""The storage of a server whose durable subscriptions were known by one text each: made once, read for ever.

``python tests/delivery/durables/earlier.py STOMPSERVER KIND`` starts the command STOMPSERVER, as it was at commit
ec75478 (installed in an environment of its own, with ``STOMPSERVER_PURE=1``), has clients subscribe and send, ends
it, and packs what it stored to ``data/KIND.tar.gz`` beside this file.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

DATA = Path(__file__).with_name("data")

SUBSCRIPTIONS = (
    # name then, header lines of CONNECT, header lines of SUBSCRIBE, who is sent to, how many wait
    (
        "till-1.board",
        "client-id:till-1\n",
        "id:0\ndestination:/topic/prices\nactivemq.subscriptionName:board\n",
    ),
    (
        "app.eu.orders",
        "client-id:app\n",
        "id:0\ndestination:/topic/eu\nactivemq.subscriptionName:eu.orders\n",
    ),
    ("solo", "", "id:0\ndestination:/topic/solo\ndurable-subscription-name:solo\n"),
    ("c.two", "client-id:c\n", "id:0\ndestination:/topic/c1,/topic/c2\nactivemq.subscriptionName:two\n"),
    ("sub-0", "", "id:sub-0\ndestination:/topic/a\ndurable:true\nselector:n > 0\n"),
    ("billing", "", "id:0\ndestination:/topic/orders.*\nx-queue-name:billing\ndurable:true\n"),
    ("feed", "", "id:feed\ndestination:/topic/feed\npersistent:true\n"),
    ("archive", "", "id:0\ndestination:/topic/news::archive\n"),
    ("mine", "login:alice\n", "id:mine\ndestination:/user/topic/mine\ndurable:true\n"),
    ("kept", "login:alice\n", "id:0\ndestination:/user/topic/kept\nx-queue-name:kept\ndurable:true\n"),
)

SENDS = (
    ("/topic/prices", 3),
    ("/topic/eu", 2),
    ("/topic/solo", 2),
    ("/topic/c1", 2),
    ("/topic/a", 2),
    ("/topic/orders.eu", 2),
    ("/topic/orders.us", 1),
    ("/topic/feed", 2),
    ("/topic/news", 2),
    ("/topic/VirtualTopic.v", 2),
    ("/user/alice/topic/mine", 2),
    ("/user/alice/topic/kept", 2),
)
"""Bodies are the destination's last level and a number from 1 on; each has ``n:1``."""

GROUP = "/queue/Consumer.g.VirtualTopic.v"


class Client:
    """Sends frames, and waits for the RECEIPT of each."""

    def __init__(self, port: int, more: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.read = self.socket.makefile("rb")
        self.socket.sendall(f"CONNECT\naccept-version:1.2\nhost:h\n{more}\n\0".encode())
        self.frame("CONNECTED")

    def frame(self, command: str) -> None:
        """Read up to a frame with that command."""
        octets = b""
        while not octets.lstrip(b"\n").startswith(command.encode()):
            octets = b""
            while not octets.endswith(b"\0"):
                octets += self.read.read(1)

    def do(self, text: str) -> None:
        command, _, rest = text.partition("\n")
        self.socket.sendall(f"{command}\nreceipt:r\n{rest}\0".encode())
        self.frame("RECEIPT")

    def leave(self) -> None:
        self.do("DISCONNECT\n\n")
        self.socket.close()


def fill(port: int) -> None:
    """Make all there is."""
    for _, connect, subscribe in SUBSCRIPTIONS:
        client = Client(port, connect)
        client.do(f"SUBSCRIBE\n{subscribe}\n")
        client.leave()
    client = Client(port, "login:alice\n")
    client.do(f"SUBSCRIBE\nid:0\ndestination:{GROUP}\n\n")
    client.do("UNSUBSCRIBE\nid:0\n\n")
    for destination, count in SENDS:
        name = re.split(r"[./]", destination)[-1]
        for number in range(1, count + 1):
            client.do(f"SEND\ndestination:{destination}\nn:1\n\n{name} {number}")
    # One was delivered before.
    client.leave()
    client = Client(port, "client-id:till-1\n")
    client.do(f"SUBSCRIBE\nack:client-individual\nprefetch-count:1\n{SUBSCRIPTIONS[0][2]}\n")
    client.frame("MESSAGE")
    client.socket.close()


def write(command: str, kind: str) -> None:
    """Have ``command`` write the archive of ``kind``."""
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen(
            [command, "-p", "0", "-b", "127.0.0.1", "-w", directory, "-q", kind, "--monitor-interval=0"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            found = re.search(r"starting on \S+ port (\d+)", line)
            if found:
                break
        fill(int(found[1]) if found else 0)
        process.terminate()
        process.stderr.read()
        assert process.wait(20) == 0
        storage = Path(directory) / ".stompserver"
        if not storage.exists():
            (storage,) = [path for path in Path(directory).iterdir() if path.is_dir() and path.name != "etc"]
        for path in storage.rglob("*"):
            if path.name in ("lock.mdb", "reserve"):
                path.unlink()
        DATA.mkdir(exist_ok=True)
        with tarfile.open(DATA / f"{kind}.tar.gz", "w:gz") as tar:
            tar.add(storage, storage.name)


if __name__ == "__main__":
    write(*sys.argv[1:])
