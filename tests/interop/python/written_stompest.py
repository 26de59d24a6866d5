"""stompest's synchronous client, as its users call it, carries out a job of record.py."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version

from stompest.config import StompConfig
from stompest.sync import Stomp

job = json.loads(os.environ["INTEROP_JOB"])
client = Stomp(StompConfig(f"tcp://{sys.argv[1]}:{sys.argv[2]}"))
client.connect()
for each in job.get("sends", ()):
    client.send(job["queue"], each["body"].encode(), each["headers"])
if "ack" in job:
    client.subscribe(job["queue"], {"ack": job["ack"]})
    messages = [client.receiveFrame() for _ in range(job["take"])]
    for number in job["settle"]:
        client.ack(messages[number])
client.disconnect()
print(json.dumps(version("stompest")))
