#!/usr/bin/env bash
# ruby-stomp 1.4.10 (Debian's package), 2026-11-28. Guess: an empty header value (`note:`) is a value like others. Seen: on a 1.0
# connection (CONNECTED names no version) receiving it raises ProtocolErrorEmptyHeaderValue; on 1.1 and 1.2 it is an empty
# text. The specification of 1.0 does not forbid it. Needs Ruby on Debian.
set -euo pipefail
command -v ruby >/dev/null && command -v apt-get >/dev/null || { echo "needs Ruby on Debian"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
(cd "$room" && apt-get -qq download ruby-stomp=1.4.10-2 2>/dev/null && dpkg-deb -x ruby-stomp_*.deb gem)

cat >"$room/client.rb" <<'RUBY'
require "stomp"
at = { login: "guest", passcode: "guest", host: "127.0.0.1", port: ARGV[0].to_i }
asked = { "accept-version" => "1.0,1.1,1.2", "host" => "h" }
client = Stomp::Connection.new(hosts: [at], connect_headers: asked, reliable: false)
begin
  client.subscribe("/queue/a", "id" => "1")
  puts "#{client.protocol}: #{client.receive.headers['note'].inspect}"
  client.disconnect
rescue Stomp::Error::ProtocolErrorEmptyHeaderValue => problem
  puts "#{client.protocol}: #{problem.class}"
end
RUBY

try() { # the answer to CONNECT
    rm -f "$room/port"
    python3 "$here/scripted_server.py" "$room/port" "$1" \
        'MESSAGE\nsubscription:@ID@\nmessage-id:1\ndestination:/queue/a\nnote:' >/dev/null &
    until [ -s "$room/port" ]; do sleep 0.1; done
    ruby -I "$room/gem/usr/lib/ruby/vendor_ruby" "$room/client.rb" "$(cat "$room/port")" | tee "$room/received"
    wait $!
}

try 'CONNECTED\nsession:1'
grep -qxF '1.0: Stomp::Error::ProtocolErrorEmptyHeaderValue' "$room/received" || { echo "changed: 1.0"; exit 1; }
try 'CONNECTED\nversion:1.1'
grep -qxF '1.1: ""' "$room/received" || { echo "changed: 1.1"; exit 1; }
echo "as described: an error on 1.0, an empty text on 1.1"
