#!/usr/bin/env bash
# stomp.py 9.0.0, 2026-11-28. Guess: a client that offers 1.2 and is answered `version:1.1` (or no version, which is 1.0)
# speaks that from then on. Seen: Connection12 goes on in 1.2: it escapes a carriage return as \r, which 1.1 does not have,
# and its ACK has `id`, where 1.1 and 1.0 want `message-id`. Whether it is obeyed depends on the server's patience.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" --quiet --disable-pip-version-check install stomp.py==9.0.0

cat >"$room/client.py" <<'PYTHON'
import sys
import time

import stomp

client = stomp.Connection12([("127.0.0.1", int(sys.argv[1]))])
client.connect("guest", "guest", wait=True)
client.send("/queue/a", "x", headers={"path": "a\r:b"})
client.ack("7")
time.sleep(0.3)
client.disconnect()
PYTHON

for connected in 'CONNECTED\nversion:1.1' 'CONNECTED\nsession:1'; do
    rm -f "$room/port"
    python3 "$here/scripted_server.py" "$room/port" "$connected" >"$room/said" &
    until [ -s "$room/port" ]; do sleep 0.1; done
    "$room/venv/bin/python" "$room/client.py" "$(cat "$room/port")"
    wait $!
    echo "answered $connected, it sent:"
    cat "$room/said"
    grep -qF 'path:a\\r\\cb' "$room/said" && grep -qF 'ACK\nid:7\n' "$room/said" || { echo "changed"; exit 1; }
done
echo "as described: 1.2 is spoken whatever the server chose"
