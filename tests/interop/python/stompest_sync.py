"""stompest's synchronous client, 2.3."""

from __future__ import annotations

import os
import ssl
import time

from stompest.config import StompConfig
from stompest.error import StompConnectionError, StompProtocolError
from stompest.protocol import StompSpec
from stompest.sync import Stomp
from stompest.sync.transport import StompFrameTransport

from scenarios import Scenarios, wait_until


class Client:
    refused = StompProtocolError

    def __init__(self, host, port, version, login=None, passcode=None, heartbeats=None, headers=None):
        scheme, context = "tcp", None
        if "INTEROP_CA" in os.environ:
            scheme, context = "ssl", ssl.create_default_context(cafile=os.environ["INTEROP_CA"])
            context.load_cert_chain(os.environ["INTEROP_CERT"])
            # It asks the socket whether there is more, also where OpenSSL has it already: what is left of a record
            # when 4096 octets of it were read. So it has to read whole ones.
            StompFrameTransport.READ_SIZE = 16 * 1024
        uri = f"{scheme}://{host}:{port}"
        self.client = Stomp(StompConfig(uri, login, passcode, version=version, sslContext=context))
        self.client.connect(
            headers=headers,
            host=host,
            versions=[version],
            heartBeats=heartbeats,
            connectTimeout=10,
            connectedTimeout=10,
        )
        self.negotiated = self.client.session.version
        self.receipts = []
        self.messages = []
        self.tokens = {}

    def frame(self):
        if not self.client.canRead(10):
            raise TimeoutError("no frame for 10 s")
        return self.client.receiveFrame()

    def wait_for_receipt(self, wanted):
        while (frame := self.frame()).command == "MESSAGE":
            self.messages.append(frame)
        assert frame.command == "RECEIPT", frame
        assert frame.headers["receipt-id"] == wanted, frame
        self.client.session.receipt(frame)
        self.receipts.append(wanted)

    def subscribe(self, destination, ack="auto", id="one", headers=None):
        headers = dict(headers or {}, ack=ack, id=id)
        self.tokens[id] = self.client.subscribe(destination, headers, receipt="subscribed")
        self.wait_for_receipt("subscribed")

    def unsubscribe(self, id="one", headers=None):
        # The library's own method takes no headers, but it will send any frame.
        frame = self.client.session.unsubscribe(self.tokens[id], "unsubscribed")
        frame.headers = dict(frame.headers, **(headers or {}))
        self.client.sendFrame(frame)
        self.wait_for_receipt("unsubscribed")

    def send(self, destination, body, headers=None, transaction=None, receipt=None):
        headers = dict(headers or {}, **{"content-length": str(len(body))})
        if transaction:
            headers["transaction"] = transaction
        self.client.send(destination, body, headers, receipt=receipt)
        if receipt:
            self.wait_for_receipt(receipt)

    def receive(self):
        frame = self.messages.pop(0) if self.messages else self.frame()
        assert frame.command == "MESSAGE", frame
        return frame

    def ack(self, message, transaction=None):
        # stompest takes the transaction of an ACK from the MESSAGE, where only some servers put it.
        if transaction:
            frame = self.client.session.ack(message)
            frame.headers = dict(frame.headers, transaction=transaction)
            self.client.sendFrame(frame)
        else:
            self.client.ack(message)

    def nack(self, message, headers=None):
        frame = self.client.session.nack(message)
        frame.headers = dict(frame.headers, **(headers or {}))
        self.client.sendFrame(frame)

    def begin(self, transaction, receipt=None):
        self.demarcate(self.client.begin, transaction, receipt)

    def commit(self, transaction, receipt=None):
        if transaction == "no such transaction":  # the library's own check would keep it from the server
            self.client.sendFrame(_commit(transaction, receipt, self.negotiated))
        else:
            self.demarcate(self.client.commit, transaction, receipt)

    def abort(self, transaction, receipt=None):
        self.demarcate(self.client.abort, transaction, receipt)

    def demarcate(self, verb, transaction, receipt):
        verb(transaction, receipt=receipt)
        if receipt:
            self.wait_for_receipt(receipt)

    def error(self):
        frame = self.frame()
        assert frame.command == "ERROR", frame
        return {
            "message": frame.headers.get("message"),
            "receipt-id": frame.headers.get("receipt-id"),
            "body": frame.body.decode(),
            "closed": self.ended(),
        }

    def ended(self):
        try:
            self.client.canRead(10)
        except StompConnectionError:
            return True
        return False

    def idle(self, seconds):
        """stompest leaves it to the caller to beat, and tells when the server's last sign of life was."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert not self.client.canRead(0.1)
            self.client.beat()
            silence = time.time() - self.client.session.lastReceived
            assert silence < 3 * self.client.session.serverHeartBeat / 1000, silence

    def close(self):
        self.client.disconnect(receipt="bye")
        self.wait_for_receipt("bye")
        wait_until(self.ended)


def _commit(transaction, receipt, version):
    from stompest.protocol import commands

    return commands.commit(transaction, receipt=receipt, version=version)


if __name__ == "__main__":
    assert StompSpec.VERSION_1_2 == "1.2"
    Scenarios(Client).run()
