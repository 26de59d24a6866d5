"""A worker on stompman: for each message a result, and the ACK when its handler has ended."""

import asyncio
import signal
import sys

import stompman

worked_on = set()


async def main(port: int) -> None:
    server = stompman.ConnectionParameters(host="127.0.0.1", port=port, login="guest", passcode="guest")
    async with stompman.Client(
        servers=[server], connect_retry_attempts=100, write_retry_attempts=100
    ) as client:

        async def work(frame: stompman.MessageFrame) -> None:
            body = frame.body.decode()
            print(f"got {body}", flush=True)
            if body == "bad":
                raise ValueError("nobody can do this")
            if body == "long" and body not in worked_on:
                worked_on.add(body)
                print("working", flush=True)
                await asyncio.to_thread(sys.stdin.readline)
            async with client.begin() as transaction:
                await transaction.send(frame.body, "/queue/results")
            print(f"done {body}", flush=True)

        end = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
        subscription = await client.subscribe(
            "/queue/work",
            work,
            ack="client-individual",
            on_suppressed_exception=lambda exception, frame: print(
                f"refused {frame.body.decode()}", flush=True
            ),
        )
        print("serving", flush=True)
        await end.wait()
        await subscription.unsubscribe()


asyncio.run(main(int(sys.argv[1])))
