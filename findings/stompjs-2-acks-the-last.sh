#!/usr/bin/env bash
# stompjs 2.3.3 on Node.js, 2026-11-30. Guess: message.ack() acknowledges the message that it is called on, whenever that is.
# Seen: of several MESSAGE frames that come in one WebSocket message, ack() of each acknowledges the last one, if it is not called
# before the subscription's function has returned. (The ids are in one variable that all of them share.)
# Needs Node.js and npm.
set -euo pipefail
command -v npm >/dev/null || { echo "needs Node.js with npm"; exit 2; }
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
(cd "$room" && npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional stompjs@2.3.3)

cat >"$room/client.cjs" <<'NODE'
const { Stomp } = require("stompjs/lib/stomp.js");

const frame = (id) => `MESSAGE\nsubscription:s\nmessage-id:${id}\ndestination:/queue/a\n\nx\0\n`;

// What a WebSocket is to the library; the server's messages are these.
const acks = (messages, later) => {
  const sent = [];
  const socket = { send: (data) => sent.push(data), close() {} };
  const client = Stomp.over(socket);
  client.debug = () => {};
  client.heartbeat = { incoming: 0, outgoing: 0 };
  const got = [];
  client.connect({}, () => client.subscribe("/queue/a", (m) => { got.push(m); if (!later) m.ack(); }, { id: "s", ack: "client-individual" }));
  socket.onopen();
  socket.onmessage({ data: "CONNECTED\nversion:1.1\nheart-beat:0,0\n\n\0" });
  for (const data of messages) socket.onmessage({ data });
  if (later) got.forEach((m) => m.ack());
  return sent.filter((data) => data.startsWith("ACK")).map((data) => /message-id:(\w+)/.exec(data)[1]).join(" ");
};

console.log("one message, at once:", acks([frame(1) + frame(2) + frame(3)], false));
console.log("one message, later:", acks([frame(1) + frame(2) + frame(3)], true));
console.log("three messages, later:", acks([frame(1), frame(2), frame(3)], true));
NODE

node "$room/client.cjs" | tee "$room/seen"
diff - "$room/seen" <<'SEEN' || { echo "changed"; exit 1; }
one message, at once: 1 2 3
one message, later: 3 3 3
three messages, later: 1 2 3
SEEN
echo "as described: whoever acknowledges later needs each MESSAGE in a WebSocket message of its own"
