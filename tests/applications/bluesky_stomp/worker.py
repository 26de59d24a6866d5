"""Answers each request on bluesky-stomp, over the reply destination that came with it."""

import sys

from bluesky_stomp.messaging import MessageContext, StompClient, StompReconnectPolicy
from bluesky_stomp.models import MessageQueue
from stomp.connect import StompConnection11

client = StompClient(
    StompConnection11([("127.0.0.1", int(sys.argv[1]))], auto_content_length=False),
    reconnect_policy=StompReconnectPolicy(attempt_period=0.5),
)


def answer(request: str, context: MessageContext) -> None:
    print(f"asked {request}", flush=True)
    if context.reply_destination is not None:
        client.send(context.reply_destination, f"answer to {request}", correlation_id=context.correlation_id)


client.connect()
client.subscribe(MessageQueue(name="requests"), answer)
print("serving", flush=True)
sys.stdin.read()
client.disconnect()
