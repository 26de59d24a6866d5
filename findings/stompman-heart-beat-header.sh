#!/usr/bin/env bash
# stompman 3.16.0, 2026-11-28. Guess: a CONNECTED without `heart-beat` is read as `0,0`, as STOMP 1.2 ("Heart-beating") says of a
# missing header. Seen: KeyError, the connection cannot be made.
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


async def main(port: int) -> None:
    server = stompman.ConnectionParameters(host="127.0.0.1", port=port, login="guest", passcode="guest")
    async with stompman.Client(servers=[server]):
        print("connected")


try:
    asyncio.run(main(int(sys.argv[1])))
except KeyError as problem:
    print("KeyError:", problem)
PYTHON

try() { # the answer to CONNECT
    rm -f "$room/port"
    python3 "$here/scripted_server.py" "$room/port" "$1" >/dev/null &
    until [ -s "$room/port" ]; do sleep 0.1; done
    timeout 30 "$room/venv/bin/python" "$room/client.py" "$(cat "$room/port")" 2>&1 | tee "$room/received"
    wait $!
}

try 'CONNECTED\nversion:1.2\nheart-beat:1000,1000'
grep -qx 'connected' "$room/received" || { echo "changed: with the header"; exit 1; }
try 'CONNECTED\nversion:1.2'
grep -qF "KeyError: 'heart-beat'" "$room/received" || { echo "changed: without the header"; exit 1; }
echo "as described: CONNECTED has to have the header"
