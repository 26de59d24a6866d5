#!/usr/bin/env bash
# ruby-stomp 1.4.10 (Debian's package), 2026-11-28. Guess: of a header that comes twice in a MESSAGE the first value counts, as
# STOMP 1.2 says ("Repeated Header Entries"). Seen: the client gives a list of both, where every other header is a text.
# stomp.py 9.0.0, stompest 2.3.0, @stomp/stompjs 7.5.0, php-stomp 2.0.3 and Net::Stomp 0.61 give the first.
# Needs Ruby on Debian.
set -euo pipefail
command -v ruby >/dev/null && command -v apt-get >/dev/null || { echo "needs Ruby on Debian"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
(cd "$room" && apt-get -qq download ruby-stomp=1.4.10-2 2>/dev/null && dpkg-deb -x ruby-stomp_*.deb gem)

cat >"$room/client.rb" <<'RUBY'
require "stomp"
at = { login: "guest", passcode: "guest", host: "127.0.0.1", port: ARGV[0].to_i }
client = Stomp::Connection.new(hosts: [at], connect_headers: { "accept-version" => "1.2", "host" => "h" }, reliable: false)
client.subscribe("/queue/a", "id" => "1")
p client.receive.headers["colour"]
client.disconnect
RUBY

python3 "$here/scripted_server.py" "$room/port" 'CONNECTED\nversion:1.2\nheart-beat:0,0' \
    'MESSAGE\nsubscription:@ID@\nmessage-id:1\ndestination:/queue/a\ncolour:blue\ncolour:red' >/dev/null &
until [ -s "$room/port" ]; do sleep 0.1; done
ruby -I "$room/gem/usr/lib/ruby/vendor_ruby" "$room/client.rb" "$(cat "$room/port")" | tee "$room/received"
wait $!
grep -qxF '["blue", "red"]' "$room/received" || { echo "changed"; exit 1; }
echo "as described: a list of both values"
