#!/usr/bin/env bash
# @stomp/stompjs 7.5.0 (Node.js) and ruby-stomp 1.4.10 (Debian), 2026-11-28. Guess: a 1.2 client reads a header value from left to
# right, so that `C\c\\new` is `C:\new`. Seen: both replace one escape after the other in the whole value, and the second
# backslash of `\\` followed by `n` counts as the escape of a line end: `C:`, (in stompjs a backslash,) a line end, `ew`.
# What stompjs escapes itself, it does not get back. stomp.py 9.0.0, stompest 2.3.0, stompman 3.16.0 read it right.
# Needs Node.js with npm, and Ruby on Debian.
set -euo pipefail
command -v npm >/dev/null && command -v ruby >/dev/null && command -v apt-get >/dev/null ||
    { echo "needs Node.js with npm, and Ruby on Debian"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
(cd "$room" && npm install --silent --no-audit --no-fund @stomp/stompjs@7.5.0)
(cd "$room" && apt-get -qq download ruby-stomp=1.4.10-2 2>/dev/null && dpkg-deb -x ruby-stomp_*.deb gem)

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
  send(data) { this.socket.write(data); }
  close() { this.socket.end(); }
}

const client = new Client({
  webSocketFactory: () => new Wire(Number(process.argv[2])), reconnectDelay: 0, heartbeatIncoming: 0, heartbeatOutgoing: 0,
});
client.onConnect = () => client.subscribe("/queue/a", (message) => {
  console.log(JSON.stringify(message.headers.path));
  client.deactivate();
});
client.activate();
NODE
cat >"$room/client.rb" <<'RUBY'
require "stomp"
require "json"
at = { login: "guest", passcode: "guest", host: "127.0.0.1", port: ARGV[0].to_i }
client = Stomp::Connection.new(hosts: [at], connect_headers: { "accept-version" => "1.2", "host" => "h" }, reliable: false)
client.subscribe("/queue/a", "id" => "1")
puts client.receive.headers["path"].to_json
client.disconnect
RUBY

try() { # command ...
    rm -f "$room/port"
    python3 "$here/scripted_server.py" "$room/port" 'CONNECTED\nversion:1.2\nheart-beat:0,0' \
        'MESSAGE\nsubscription:@ID@\nmessage-id:1\ndestination:/queue/a\npath:C\\c\\\\new' >/dev/null &
    until [ -s "$room/port" ]; do sleep 0.1; done
    "$@" "$(cat "$room/port")" >"$room/received"
    wait $!
    echo "$1: $(cat "$room/received")"
}

try node "$room/client.cjs"
grep -qxF '"C:\\\new"' "$room/received" || { echo "changed: stompjs"; exit 1; }
try ruby -I "$room/gem/usr/lib/ruby/vendor_ruby" "$room/client.rb"
grep -qxF '"C:\new"' "$room/received" || { echo "changed: ruby-stomp"; exit 1; }
echo "as described: a line end where the value has a backslash and an n"
