#!/usr/bin/env bash
# stomp.py 9.0.0 and stompest 2.3.0, 2026-11-28. Guess: clients of 1.1 and later name the host in CONNECT, which STOMP 1.1 and
# 1.2 say they must. Seen: stomp.py's Connection11 leaves the header out unless it is given `vhost`, while its Connection12
# has it; stompest sends `host:` with nothing behind it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" --quiet --disable-pip-version-check install stomp.py==9.0.0 stompest==2.3.0

cat >"$room/client.py" <<'PYTHON'
import sys

import stomp
from stompest.config import StompConfig
from stompest.sync import Stomp

which, port = sys.argv[1], int(sys.argv[2])
if which == "stompest":
    client = Stomp(StompConfig(f"tcp://127.0.0.1:{port}", version="1.2"))
    client.connect()
else:
    client = getattr(stomp, which)([("127.0.0.1", port)])
    client.connect("guest", "guest", wait=True)
client.disconnect()
PYTHON

connect() { # client, version that the server answers
    rm -f "$room/port"
    python3 "$here/scripted_server.py" "$room/port" "CONNECTED\nversion:$2\nheart-beat:0,0" >"$room/said" &
    until [ -s "$room/port" ]; do sleep 0.1; done
    "$room/venv/bin/python" "$room/client.py" "$1" "$(cat "$room/port")"
    wait $!
    echo "$1: $(head -1 "$room/said")"
}

connect Connection11 1.1
! grep -qF '\nhost:' "$room/said" || { echo "changed: Connection11 sends a host"; exit 1; }
connect Connection12 1.2
grep -qF '\nhost:127.0.0.1\n' "$room/said" || { echo "changed: Connection12 sends no host"; exit 1; }
connect stompest 1.2
grep -qF '\nhost:\n' "$room/said" || { echo "changed: stompest's host is not empty"; exit 1; }
echo "as described: no host, a host, an empty host"
