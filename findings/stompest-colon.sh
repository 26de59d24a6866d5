#!/usr/bin/env bash
# stompest 2.3.0, 2026-11-28. Guess: a MESSAGE whose header value has a colon that is not escaped (`link:http://x/`) is read by
# a 1.2 client, since only the first colon of a line divides it. Seen: StompFrameError, the frame cannot be received.
# stomp.py 9.0.0 and @stomp/stompjs 7.5.0 take the same line. STOMP 1.2 wants the escape, so stompest is in its right.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" --quiet --disable-pip-version-check install stompest==2.3.0

cat >"$room/client.py" <<'PYTHON'
import sys

from stompest.config import StompConfig
from stompest.error import StompFrameError
from stompest.sync import Stomp

client = Stomp(StompConfig(f"tcp://127.0.0.1:{sys.argv[1]}", version="1.2"))
client.connect()
client.subscribe("/queue/a", {"id": "1", "ack": "auto"})
try:
    print("received", client.receiveFrame().headers)
except StompFrameError as problem:
    print("refused:", problem)
PYTHON

try() { # a header line
    rm -f "$room/port"
    python3 "$here/scripted_server.py" "$room/port" 'CONNECTED\nversion:1.2\nheart-beat:0,0' \
        "MESSAGE\nsubscription:@ID@\nmessage-id:1\ndestination:/queue/a\n$1" >/dev/null &
    until [ -s "$room/port" ]; do sleep 0.1; done
    "$room/venv/bin/python" "$room/client.py" "$(cat "$room/port")" | tee "$room/said"
    wait $!
}

try 'link:http://x/'
grep -q '^refused: No escape sequence' "$room/said" || { echo "changed"; exit 1; }
try 'link:http\\c//x/'
grep -q "^received.*'link': 'http://x/'" "$room/said" || { echo "changed: the escaped one"; exit 1; }
echo "as described: the plain colon is refused, the escaped one is read"
