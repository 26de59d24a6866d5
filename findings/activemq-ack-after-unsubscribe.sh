#!/usr/bin/env bash
# ActiveMQ 5.17.2 (Debian's package), 2026-11-30. Guess: an ACK that is answered by its RECEIPT settled its message. Seen: after UNSUBSCRIBE
# the ACK of a message that is still in work has a RECEIPT, and the message comes again all the same. RabbitMQ answers ERROR;
# stompserver settles it. Who stops by UNSUBSCRIBE has to finish his work before. Needs activemq on Debian.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 "$here/debian_broker.py" activemq 5.17.2+dfsg-2+deb12u1 \
    'SEND\ndestination:/queue/a\n\none' \
    'SUBSCRIBE\nid:0\ndestination:/queue/a\nack:client-individual\n\n' \
    'UNSUBSCRIBE\nid:0\nreceipt:left\n\n' \
    'ACK\nid:@ACK@\nreceipt:done\n\n' \
    RECONNECT \
    'SUBSCRIBE\nid:0\ndestination:/queue/a\nack:auto\n\n' | tee "$room/seen"
diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
SEND -> nothing
SUBSCRIBE -> MESSAGE one
UNSUBSCRIBE -> RECEIPT left
ACK -> RECEIPT done
RECONNECT
SUBSCRIBE -> MESSAGE one
SEEN
echo "as described: a RECEIPT, and the message comes again"
