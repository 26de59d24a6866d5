"""stompman, as its users call it, carries out a job of record.py."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from importlib.metadata import version

import stompman


async def take(client, job):
    messages = asyncio.Queue()
    subscription = await client.subscribe_with_manual_ack(job["queue"], messages.put, ack=job["ack"])
    taken = [await asyncio.wait_for(messages.get(), 10) for _ in range(job["take"])]
    for number in job["settle"]:
        await taken[number].ack()
    await subscription.unsubscribe()


async def main(job):
    server = stompman.ConnectionParameters(
        host=sys.argv[1], port=int(sys.argv[2]), login="guest", passcode="guest"
    )
    # Beats would come between the frames.
    async with stompman.Client(servers=[server], heartbeat=stompman.Heartbeat(60_000, 60_000)) as client:
        for each in job.get("sends", ()):
            await client.send(each["body"].encode(), job["queue"], headers=each["headers"])
        if "ack" in job:
            await take(client, job)


asyncio.run(main(json.loads(os.environ["INTEROP_JOB"])))
print(json.dumps(version("stompman")))
