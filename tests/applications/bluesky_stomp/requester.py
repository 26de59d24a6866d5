"""For each line of stdin a request on bluesky-stomp; `tell X` wants no answer."""

import sys

from bluesky_stomp.messaging import StompClient, StompReconnectPolicy
from bluesky_stomp.models import MessageQueue
from stomp.connect import StompConnection11

client = StompClient(
    StompConnection11([("127.0.0.1", int(sys.argv[1]))], auto_content_length=False),
    reconnect_policy=StompReconnectPolicy(attempt_period=0.5),
)
client.connect()
print("ready", flush=True)
for line in sys.stdin:
    words = line.split()
    if words[0] == "tell":
        client.send(MessageQueue(name="requests"), words[1])
        print(f"told {words[1]}", flush=True)
    else:
        future = client.send_and_receive(MessageQueue(name="requests"), words[0])
        print(future.result(), flush=True)
client.disconnect()
