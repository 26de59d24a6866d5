"""A STOMP server for one client that says what it is told to.

    python scripted_server.py PORT_FILE CONNECTED [MESSAGE]

CONNECTED and MESSAGE are frames without a body, as Python would write them in a string: the first is the answer to
CONNECT, the second is sent after SUBSCRIBE, where @ID@ becomes the subscription's id. RECEIPTs are sent as asked for.
When the client has gone, or said nothing for 3 s, what it sent is printed as a bytes literal (at most 2000 bytes),
and on a second line the number of all bytes.
"""

from __future__ import annotations

import ast
import re
import socket
import sys
from pathlib import Path


def frame_of(text: str) -> bytes:
    return ast.literal_eval(f"b'''{text}'''") + b"\n\n\0"


def main(port_file: str, connected: str, message: str = "") -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    Path(port_file).write_text(f"{listener.getsockname()[1]}\n")
    listener.settimeout(30)
    client, _ = listener.accept()
    client.settimeout(3)
    got = b""
    welcomed = told = False
    total = 0
    try:
        while data := client.recv(65536):
            total += len(data)
            got = (got + data)[:100_000]
            if not welcomed and b"\0" in got:
                welcomed = True
                client.sendall(frame_of(connected))
            for receipt in re.findall(rb"\nreceipt:([^\n]*)\n", data):
                client.sendall(b"RECEIPT\nreceipt-id:" + receipt + b"\n\n\0")
            if message and not told and b"SUBSCRIBE" in got:
                told = True
                id = re.search(rb"SUBSCRIBE\n(?:[^\n]+\n)*?id:([^\n]*)\n", got)
                client.sendall(frame_of(message).replace(b"@ID@", id[1] if id else b""))
    except OSError:
        pass
    print(got[:2000])
    print("bytes:", total)


if __name__ == "__main__":
    main(*sys.argv[1:])
