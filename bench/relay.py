"""A yardstick, not a broker: every byte of the producers is copied to every subscribed connection, unparsed.

`python relay.py PORT`.  It answers CONNECT, SUBSCRIBE and a consumer's DISCONNECT and nothing else, so its
rate is what the generator and the kernel's loopback can do together.  A slow reader holds the producer, as
memory must stay bounded.
"""

from __future__ import annotations

import re
import selectors
import socket
import sys
from dataclasses import dataclass, field

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
BUFFER = bytearray(256 * 1024)
VIEW = memoryview(BUFFER)


@dataclass(slots=True, eq=False)
class Connection:
    sock: socket.socket
    producer: bool = False
    start: bytes = b""
    unsent: list[bytes | memoryview] = field(default_factory=list)


class Relay:
    def __init__(self, listener: socket.socket) -> None:
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, READ, None)
        self.listener = listener
        self.connections: list[Connection] = []
        self.consumers: list[Connection] = []
        self.paused = False

    def serve(self) -> None:
        while True:
            for key, mask in self.selector.select():
                if key.data is None:
                    self.accept()
                    continue
                try:
                    if mask & WRITE:
                        self.flush(key.data)
                    if mask & READ:
                        self.read(key.data)
                except ConnectionError:
                    self.close(key.data)

    def accept(self) -> None:
        sock, _ = self.listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock)
        self.connections.append(connection)
        self.selector.register(sock, READ, connection)

    def read(self, connection: Connection) -> None:
        if connection.producer and self.paused:
            return
        try:
            size = connection.sock.recv_into(VIEW)
        except BlockingIOError:
            return
        if size == 0:
            self.close(connection)
        elif connection.producer:
            self.spread(VIEW[:size])
        else:
            self.converse(connection, bytes(VIEW[:size]))

    def converse(self, connection: Connection, data: bytes) -> None:
        connection.start += data
        while connection.start:
            if connection.start.startswith(b"SEND\n"):
                connection.producer = True
                self.spread(connection.start)
                connection.start = b""
                return
            frame, nul, rest = connection.start.partition(b"\0")
            if not nul:
                return
            connection.start = rest
            if frame.startswith(b"CONNECT\n"):
                connection.sock.sendall(b"CONNECTED\nversion:1.2\nserver:relay\n\n\0")
            elif frame.startswith(b"SUBSCRIBE\n"):
                self.consumers.append(connection)
            receipt = re.search(rb"\nreceipt:([^\n]*)", frame)
            if receipt:
                connection.sock.sendall(b"RECEIPT\nreceipt-id:%s\n\n\0" % receipt[1])

    def spread(self, data: bytes | memoryview) -> None:
        for consumer in self.consumers:
            sent = 0
            if not consumer.unsent:
                try:
                    sent = consumer.sock.send(data)
                except BlockingIOError:
                    sent = 0
            if sent < len(data):
                consumer.unsent.append(bytes(data[sent:]))
                self.selector.modify(consumer.sock, READ | WRITE, consumer)
                self.pause(True)

    def flush(self, consumer: Connection) -> None:
        while consumer.unsent:
            try:
                sent = consumer.sock.send(consumer.unsent[0])
            except BlockingIOError:
                return
            if sent < len(consumer.unsent[0]):
                consumer.unsent[0] = memoryview(consumer.unsent[0])[sent:]
            else:
                consumer.unsent.pop(0)
        self.selector.modify(consumer.sock, READ, consumer)
        if self.paused and not any(other.unsent for other in self.consumers):
            self.pause(False)

    def pause(self, paused: bool) -> None:
        if paused == self.paused:
            return
        self.paused = paused
        for connection in self.connections:
            if connection.producer and paused:
                self.selector.unregister(connection.sock)
            elif connection.producer:
                self.selector.register(connection.sock, READ, connection)

    def close(self, connection: Connection) -> None:
        if not (connection.producer and self.paused):
            self.selector.unregister(connection.sock)
        connection.sock.close()
        self.connections.remove(connection)
        if connection in self.consumers:
            self.consumers.remove(connection)
            connection.unsent.clear()
            if not any(other.unsent for other in self.consumers):
                self.pause(False)


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
        Relay(listener).serve()
