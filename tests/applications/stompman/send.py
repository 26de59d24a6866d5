"""Sends each line of stdin with stompman, and says it again until the server has confirmed it."""

import asyncio
import sys

import stompman


async def main(port: int, destination: str) -> None:
    server = stompman.ConnectionParameters(host="127.0.0.1", port=port, login="guest", passcode="guest")
    async with stompman.Client(
        servers=[server], connect_retry_attempts=100, write_retry_attempts=100
    ) as client:
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            while True:
                try:
                    await client.send(line.encode(), destination, receipt_timeout=60)
                    break
                except stompman.SendReceiptError as problem:
                    print(f"again: {problem.reason}", flush=True)
            print(f"sent {line}", flush=True)


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
