"""stomp.py, as its users call it, carries out a job of record.py."""

from __future__ import annotations

import json
import os
import queue
import sys
from importlib.metadata import version

import stomp


class Listener(stomp.ConnectionListener):
    def __init__(self):
        self.messages = queue.Queue()

    def on_message(self, frame):
        self.messages.put(frame)


job = json.loads(os.environ["INTEROP_JOB"])
connection = stomp.Connection([(sys.argv[1], int(sys.argv[2]))])
listener = Listener()
connection.set_listener("", listener)
connection.connect("guest", "guest", wait=True)
transaction = {"transaction": connection.begin()} if job.get("transaction") else {}
for each in job.get("sends", ()):
    connection.send(job["queue"], each["body"], headers=each["headers"], **transaction)
if transaction:
    connection.commit(**transaction)
if "ack" in job:
    connection.subscribe(job["queue"], id=1, ack=job["ack"])
    messages = [listener.messages.get(timeout=10).headers for _ in range(job["take"])]
    for number in job["settle"]:
        connection.ack(messages[number]["message-id"], messages[number]["subscription"])
connection.disconnect()
print(json.dumps(version("stomp.py")))
