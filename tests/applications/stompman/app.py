"""A FastStream application with a StompBroker: what comes to one queue goes on to another."""

import asyncio
import sys

import faststream
import faststream_stomp
import stompman

server = stompman.ConnectionParameters(
    host="127.0.0.1", port=int(sys.argv[1]), login="guest", passcode="guest"
)
broker = faststream_stomp.StompBroker(
    stompman.Client([server], connect_retry_attempts=100, write_retry_attempts=100)
)
app = faststream.FastStream(broker)
worked_on = set()


@broker.subscriber("/queue/work")
@broker.publisher("/queue/results")
async def work(body: str) -> str:
    print(f"got {body}", flush=True)
    if body == "long" and body not in worked_on:
        worked_on.add(body)
        print("working", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    print(f"done {body}", flush=True)
    return body


asyncio.run(app.run())
