#!/usr/bin/env bash
# @stomp/stompjs 7.5.0 on Node.js, 2026-11-28. Guess: it escapes header values as the agreed version says: colon, backslash and
# line end in 1.1, these and the carriage return in 1.2. Seen: on a 1.1 connection it neither escapes what it sends nor
# unescapes what it gets. A server of 1.1 that keeps to the specification reads the value `C:\new` as `C:`, a line end, `ew`.
# Needs Node.js and npm.
set -euo pipefail
command -v npm >/dev/null || { echo "needs Node.js with npm"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
(cd "$room" && npm install --silent --no-audit --no-fund @stomp/stompjs@7.5.0)

cat >"$room/client.cjs" <<'NODE'
const net = require("node:net");
const { Client } = require("@stomp/stompjs");

// The WebSocket that the library asks for, as a plain TCP connection.
class Wire {
  constructor(port) {
    this.readyState = 0;
    this.socket = net.connect(port, "127.0.0.1", () => { this.readyState = 1; this.onopen({}); });
    this.socket.on("data", (data) => this.onmessage({ data: new Uint8Array(data).buffer }));
    this.socket.on("close", () => { this.readyState = 3; this.onclose({}); });
  }
  send(data) { this.socket.write(typeof data === "string" ? data : Buffer.from(data)); }
  close() { this.socket.end(); }
}

const client = new Client({
  webSocketFactory: () => new Wire(Number(process.argv[2])), reconnectDelay: 0, heartbeatIncoming: 0, heartbeatOutgoing: 0,
});
client.onConnect = () => {
  client.publish({ destination: "/queue/a", body: "x", headers: { path: "C:\\new" } });
  client.subscribe("/queue/a", (message) => {
    console.log("received", JSON.stringify(message.headers.drive));
    client.deactivate();
  });
};
client.activate();
NODE

try() { # version
    rm -f "$room/port"
    python3 "$here/scripted_server.py" "$room/port" "CONNECTED\nversion:$1\nheart-beat:0,0" \
        'MESSAGE\nsubscription:@ID@\nmessage-id:1\ndestination:/queue/a\ndrive:C\\c' >"$room/sent" &
    until [ -s "$room/port" ]; do sleep 0.1; done
    node "$room/client.cjs" "$(cat "$room/port")" | tee "$room/received"
    wait $!
    echo "$1, sent: $(head -1 "$room/sent")"
}

try 1.1
grep -qF 'path:C:\\new\n' "$room/sent" && grep -qF '"C\\c"' "$room/received" || { echo "changed: 1.1"; exit 1; }
try 1.2
grep -qF 'path:C\\c\\\\new\n' "$room/sent" && grep -qF '"C:"' "$room/received" || { echo "changed: 1.2"; exit 1; }
echo "as described: no escapes at all in 1.1, all of them in 1.2"
