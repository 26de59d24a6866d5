#!/usr/bin/env bash
# stompman 3.16.0, 2026-11-28. Guess: `Heartbeat(0, 0)`, with a server that says `heart-beat:0,0` as well, means no heart-beats, as
# STOMP 1.2 ("Heart-beating") has it. Seen: the client sends line ends one after the other without a pause, some tens of
# thousands and more in a second. With 1000 on both sides it sends one a second.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" --quiet --disable-pip-version-check install stompman==3.16.0

cat >"$room/client.py" <<'PYTHON'
import asyncio
import sys

import stompman


async def main(port: int, interval: int) -> None:
    server = stompman.ConnectionParameters(host="127.0.0.1", port=port, login="guest", passcode="guest")
    beats = stompman.Heartbeat(interval, interval)
    async with stompman.Client(servers=[server], heartbeat=beats):
        await asyncio.sleep(1)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
PYTHON

try() { # milliseconds on both sides
    rm -f "$room/port"
    python3 "$here/scripted_server.py" "$room/port" "CONNECTED\nversion:1.2\nheart-beat:$1,$1" >"$room/said" &
    until [ -s "$room/port" ]; do sleep 0.1; done
    "$room/venv/bin/python" "$room/client.py" "$(cat "$room/port")" "$1"
    wait $!
    bytes=$(sed -n 's/^bytes: //p' "$room/said")
    echo "heart-beat:$1,$1: $bytes bytes in a second"
}

try 1000
[ "$bytes" -lt 1000 ] || { echo "changed: 1000"; exit 1; }
try 0
[ "$bytes" -gt 5000 ] || { echo "changed: 0"; exit 1; }
echo "as described: 0 is no pause, not no heart-beats"
