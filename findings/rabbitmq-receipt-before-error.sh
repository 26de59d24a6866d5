#!/usr/bin/env bash
# RabbitMQ 3.10.8 (Debian's package), 2026-11-30. Guess: a frame that has its RECEIPT was done, one that fails is answered by ERROR alone.
# Seen: the second ACK of a message is answered by its RECEIPT, and then by an ERROR about it, which closes the connection. So a
# RECEIPT of an ACK says that it was sent on, no more. Needs rabbitmq-server on Debian.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 "$here/debian_broker.py" rabbitmq-server 3.10.8-1.1+deb12u1 \
    'SEND\ndestination:/queue/a\n\none' \
    'SUBSCRIBE\nid:0\ndestination:/queue/a\nack:client-individual\n\n' \
    'ACK\nid:@ACK@\nreceipt:first\n\n' \
    'ACK\nid:@ACK@\nreceipt:second\n\n' | tee "$room/seen"
diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
SEND -> nothing
SUBSCRIBE -> MESSAGE one
ACK -> RECEIPT first
ACK -> RECEIPT second, ERROR, closed
SEEN
echo "as described: a RECEIPT, then the ERROR about the same frame"
