"""stomp.py, of the package index (9.x) and of Debian (python3-stomp, 8.0): the same API."""

from __future__ import annotations

import os
import queue
import time

import stomp

from scenarios import Scenarios

CONNECTIONS = {"1.0": stomp.Connection10, "1.1": stomp.Connection11, "1.2": stomp.Connection12}


class Listener(stomp.ConnectionListener):
    """Sorts what the library's reader thread calls back with into queues."""

    def __init__(self):
        self.connected = {}
        self.messages = queue.Queue()
        self.receipts = queue.Queue()
        self.errors = queue.Queue()
        self.ends = queue.Queue()

    def on_connected(self, frame):
        self.connected = frame.headers

    def on_message(self, frame):
        self.messages.put(frame)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers["receipt-id"])

    def on_error(self, frame):
        self.errors.put(frame)

    def on_disconnected(self):
        self.ends.put("disconnected")

    def on_heartbeat_timeout(self):
        self.ends.put("heart-beat timeout")


class Client:
    refused = stomp.exception.ConnectFailedException

    def __init__(self, host, port, version, login=None, passcode=None, heartbeats=None, headers=None):
        options = {"heartbeats": heartbeats} if heartbeats else {}
        self.version = version
        self.receipts = []
        # It reads in one thread and writes in another. Over TLS (8.0, CPython 3.11.7) a CONNECT now and then never
        # comes to the socket: the server has all octets that the kernel was given, and its login-timeout ends it.
        for left in range(5 if "INTEROP_CA" in os.environ else 1, 0, -1):
            self.open(host, port, options)
            try:
                self.connection.connect(login, passcode, wait=True, headers=headers)
                break
            except self.refused:
                lost = [frame for frame in self.listener.errors.queue if "No CONNECT" in str(frame.headers)]
                if left == 1 or not lost:
                    raise
        self.negotiated = self.listener.connected.get("version", "1.0")

    def open(self, host, port, options):
        self.connection = CONNECTIONS[self.version]([(host, port)], auto_decode=False, **options)
        if "INTEROP_CA" in os.environ:
            self.connection.set_ssl(
                for_hosts=[(host, port)],
                ca_certs=os.environ["INTEROP_CA"],
                cert_file=os.environ["INTEROP_CERT"],
                key_file=os.environ["INTEROP_CERT"],
            )
        self.listener = Listener()
        self.connection.set_listener("interop", self.listener)

    def wait_for_receipt(self, wanted):
        got = self.listener.receipts.get(timeout=10)
        assert got == wanted, f"receipt {got!r} instead of {wanted!r}"
        self.receipts.append(got)

    def subscribe(self, destination, ack="auto", id="one", headers=None):
        self.connection.subscribe(
            destination=destination, id=id, ack=ack, headers=headers, receipt="subscribed"
        )
        self.wait_for_receipt("subscribed")

    def unsubscribe(self, id="one", headers=None):
        self.connection.unsubscribe(id=id, headers=headers, receipt="unsubscribed")
        self.wait_for_receipt("unsubscribed")

    def send(self, destination, body, headers=None, transaction=None, receipt=None):
        headers = dict(headers or {})
        if transaction:
            headers["transaction"] = transaction
        if receipt:
            headers["receipt"] = receipt
        self.connection.send(destination, body, headers=headers)
        if receipt:
            self.wait_for_receipt(receipt)

    def receive(self):
        frame = self.listener.messages.get(timeout=10)
        if isinstance(frame.body, str):
            frame.body = frame.body.encode()
        return frame

    def ack(self, message, transaction=None):
        self.settle(self.connection.ack, message, transaction)

    def nack(self, message, transaction=None, headers=None):
        self.settle(self.connection.nack, message, transaction, headers)

    def settle(self, verb, message, transaction, more=None):
        headers = message.headers
        more = more or {}
        if self.version == "1.2":
            verb(headers["ack"], transaction=transaction, **more)
        elif self.version == "1.1":
            verb(headers["message-id"], headers["subscription"], transaction=transaction, **more)
        else:
            verb(headers["message-id"], transaction=transaction, **more)

    def begin(self, transaction, receipt=None):
        self.demarcate(self.connection.begin, transaction, receipt)

    def commit(self, transaction, receipt=None):
        self.demarcate(self.connection.commit, transaction, receipt)

    def abort(self, transaction, receipt=None):
        self.demarcate(self.connection.abort, transaction, receipt)

    def demarcate(self, verb, transaction, receipt):
        verb(transaction, headers={"receipt": receipt} if receipt else {})
        if receipt and receipt != "the commit":
            self.wait_for_receipt(receipt)

    def error(self):
        frame = self.listener.errors.get(timeout=10)
        # 9.x reads TLS without blocking, and takes the end of the stream for nothing to read yet: it never sees it.
        sees_end = getattr(self.connection.transport, "blocking", True)
        if sees_end:
            self.listener.ends.get(timeout=10)
        body = frame.body if isinstance(frame.body, str) else frame.body.decode()
        return {
            "message": frame.headers.get("message"),
            "receipt-id": frame.headers.get("receipt-id"),
            "body": body,
            "closed": not self.connection.is_connected() if sees_end else None,
        }

    def idle(self, seconds):
        time.sleep(seconds)
        assert self.listener.ends.empty(), self.listener.ends.get()

    def close(self):
        self.connection.disconnect(receipt="bye")
        self.wait_for_receipt("bye")
        self.listener.ends.get(timeout=10)


if __name__ == "__main__":
    Scenarios(Client).run()
