"""What each Python client does against the server; README.md beside this folder tells the scenarios.

A client is given as a class; see `stomppy.Client` for the methods it must have.
"""

from __future__ import annotations

import json
import os
import sys
import time

EVERY_OCTET = bytes(range(256)) * 2
HEADERS = {
    "colon": "a:b::c",
    "backslash": "one\\two",
    "path": "c:\\new\\table\\\\",
    "newline": "one\ntwo\n",
    "return": "one\r\ntwo\r",
    "utf8": "Grüße, 日本, \U0001f40d",
    "spaces": "  kept  ",
    "empty": "",
}


class Scenarios:
    """One run: arguments are host, port, version, scenario, key; the result goes to stdout as JSON."""

    def __init__(self, client_class):
        self.client_class = client_class
        self.host, port, self.version, self.scenario, key = sys.argv[1:6]
        self.port = int(port)
        self.queue = "/queue/" + key
        self.topic = "/topic/" + key

    def run(self):
        print(json.dumps(getattr(self, self.scenario)()))

    def connect(self, **options):
        return self.client_class(self.host, self.port, self.version, **options)

    def drain(self):
        """The bodies left in the queue, in order, up to a marker that is sent behind them."""
        client = self.connect()
        client.send(self.queue, b"END")
        client.subscribe(self.queue)
        bodies = []
        while "END" not in bodies:
            bodies.append(client.receive().body.decode())
        client.close()
        return bodies

    def fill(self, count):
        client = self.connect()
        for number in range(1, count + 1):
            client.send(self.queue, b"message %d" % number)
        client.close()

    def order(self):
        client = self.connect()
        for number in range(1, 11):
            client.send(self.queue, b"message %d" % number)
        client.subscribe(self.queue)
        for number in range(11, 51):
            client.send(self.queue, b"message %d" % number)
        bodies = [client.receive().body.decode() for _ in range(50)]
        client.close()
        return {"version": client.negotiated, "bodies": bodies}

    def topic_to_two(self):
        first, second = self.connect(), self.connect()
        first.subscribe(self.topic)
        second.subscribe(self.topic)
        for number in range(1, 4):
            second.send(self.topic, b"message %d" % number)
        facts = {
            "first": [first.receive().body.decode() for _ in range(3)],
            "second": [second.receive().body.decode() for _ in range(3)],
        }
        first.close()
        second.close()
        return facts

    def ack_client(self):
        self.fill(5)
        client = self.connect()
        client.subscribe(self.queue, "client")
        received = []
        for number in range(1, 4):
            message = client.receive()
            received.append(message.body.decode())
            if self.version == "1.0" or number == 3:
                client.ack(message)
        client.close()
        return {"received": received, "left": self.drain()}

    def ack_individual(self):
        self.fill(4)
        client = self.connect()
        client.subscribe(self.queue, "client-individual")
        messages = [client.receive() for _ in range(4)]
        client.ack(messages[3])
        client.ack(messages[1])
        client.close()
        return {"received": [m.body.decode() for m in messages], "left": self.drain()}

    def nack(self):
        self.fill(2)
        client = self.connect()
        client.subscribe(self.queue, "client-individual")
        messages = [client.receive(), client.receive()]
        client.nack(messages[0])
        messages.append(client.receive())
        client.ack(messages[2])
        client.ack(messages[1])
        client.close()
        deliveries = [[m.body.decode(), m.headers.get("redelivered", "false")] for m in messages]
        return {"deliveries": deliveries, "left": self.drain()}

    def unsubscribe(self):
        client = self.connect()
        client.subscribe(self.queue)
        client.unsubscribe()
        client.send(self.queue, b"later")
        client.close()
        return {"left": self.drain()}

    def transaction_commit(self):
        reader, writer = self.connect(), self.connect()
        reader.subscribe(self.queue)
        writer.begin("t1")
        writer.send(self.queue, b"inside 1", transaction="t1")
        writer.send(self.queue, b"inside 2", transaction="t1")
        writer.send(self.queue, b"outside")
        bodies = [reader.receive().body.decode()]
        writer.commit("t1")
        bodies += [reader.receive().body.decode() for _ in range(2)]
        writer.close()
        reader.close()
        return {"bodies": bodies}

    def transaction_abort(self):
        client = self.connect()
        client.begin("t1")
        client.send(self.queue, b"inside", transaction="t1")
        client.abort("t1")
        client.send(self.queue, b"after")
        client.close()
        return {"left": self.drain()}

    def transaction_ack(self):
        facts = {}
        for ending in ("abort", "commit"):
            self.fill(1)
            client = self.connect()
            client.subscribe(self.queue, "client" if self.version == "1.0" else "client-individual")
            message = client.receive()
            client.begin("t1")
            client.ack(message, transaction="t1")
            getattr(client, ending)("t1")
            client.close()
            facts["after " + ending] = self.drain()
        return facts

    def binary(self):
        client = self.connect()
        client.subscribe(self.queue)
        for body in (EVERY_OCTET, b"", "Grüße €\n".encode()):
            client.send(self.queue, body)
        bodies = [client.receive().body.hex() for _ in range(3)]
        client.close()
        return {"bodies": bodies}

    def receipts(self):
        client = self.connect()
        client.subscribe(self.queue)
        client.send(self.queue, b"", receipt="a receipt")
        client.begin("t1", receipt="begun")
        client.commit("t1", receipt="committed")
        client.unsubscribe()
        client.close()
        return {"receipts": client.receipts}

    def headers(self):
        sent = {name: HEADERS[name] for name in os.environ["INTEROP_HEADERS"].split(",")}
        client = self.connect()
        client.subscribe(self.queue)
        client.send(self.queue, b"body", headers=dict(sent))
        received = client.receive().headers
        client.close()
        return {"sent": sent, "received": {name: received.get(name) for name in sent}}

    def error(self):
        client = self.connect()
        client.commit("no such transaction", receipt="the commit")
        return client.error()

    def login(self):
        try:
            client = self.connect(login=os.environ["INTEROP_LOGIN"], passcode=os.environ["INTEROP_PASSCODE"])
        except self.client_class.refused as refusal:
            return {"connected": False, "text": str(refusal)}
        client.close()
        return {"connected": True, "text": ""}

    def heartbeat(self):
        client = self.connect(heartbeats=(500, 500))
        client.subscribe(self.queue)
        client.idle(float(os.environ["INTEROP_IDLE"]))
        client.send(self.queue, b"still here")
        body = client.receive().body.decode()
        client.close()
        return {"body": body}

    def monitor(self):
        client = self.connect()
        client.send(self.queue, b"counted")
        client.subscribe("/queue/monitor")
        body = client.receive().body.decode()
        client.close()
        return {"body": body}

    def produce(self):
        client = self.connect()
        client.send(self.queue, EVERY_OCTET, headers={"x-from": "python"}, receipt="stored")
        client.close()
        return {"headers": {"x-from": "python"}, "body": EVERY_OCTET.hex()}

    def consume(self):
        client = self.connect()
        client.subscribe(self.queue, "client")
        message = client.receive()
        client.ack(message)
        client.close()
        return {"headers": {"x-from": message.headers.get("x-from")}, "body": message.body.hex()}

    def delivery(self):
        """Programs of steps, each a verb, the connection's name and what the verb needs."""
        programs = json.loads(os.environ["INTEROP_PROGRAMS"])
        return {name: self.attempt(steps) for name, steps in programs.items()}

    def attempt(self, steps):
        """The messages that each connection was given, as body and headers; `error` is what went wrong."""
        clients, seen = {}, {}
        try:
            for verb, name, *rest in steps:
                if verb == "connect":
                    clients[name] = self.connect(headers=rest[0])
                    seen[name] = []
                elif verb == "close":
                    clients.pop(name).close()
                else:
                    self.step(clients[name], seen[name], verb, *rest)
            for client in clients.values():
                client.close()
        except Exception as error:
            return {"error": repr(error)}
        return {name: [[m.body.decode(), dict(m.headers)] for m in got] for name, got in seen.items()}

    def step(self, client, seen, verb, *rest):
        if verb == "subscribe":
            id, destination, ack, headers = rest
            client.subscribe(destination, ack, id, headers)
        elif verb == "unsubscribe":
            client.unsubscribe(*rest)
        elif verb == "send":
            destination, body, headers = rest
            client.send(destination, body.encode(), headers=headers, receipt="sent")
        elif verb == "receive":
            seen += [client.receive() for _ in range(rest[0])]
        elif verb == "reply":
            client.send(seen[rest[0]].headers["reply-to"], rest[1].encode(), receipt="sent")
        elif verb == "ack":
            client.ack(seen[rest[0]])
        else:
            client.nack(seen[rest[0]], headers=rest[1])


def wait_until(condition, seconds=10.0):
    """Poll for what a client library tells in no better way; raises TimeoutError."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds:g} s")
        time.sleep(0.01)
