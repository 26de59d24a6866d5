#!/usr/bin/env bash
# RabbitMQ 3.10.8 (Debian's package), 2026-11-30. Guess: a SEND in a transaction is answered like any other: its RECEIPT says that the
# frame was taken, as ActiveMQ and stompserver have it. Seen: the RECEIPT comes when the transaction is committed, and never when it
# is aborted; whoever waits for each RECEIPT before his next frame never comes to the COMMIT. Needs rabbitmq-server on Debian.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 "$here/debian_broker.py" rabbitmq-server 3.10.8-1.1+deb12u1 \
    'BEGIN\ntransaction:t\n\n' \
    'SEND\ndestination:/queue/a\ntransaction:t\nreceipt:sent\n\none' \
    'COMMIT\ntransaction:t\nreceipt:committed\n\n' \
    'BEGIN\ntransaction:u\n\n' \
    'SEND\ndestination:/queue/a\ntransaction:u\nreceipt:sent\n\ntwo' \
    'ABORT\ntransaction:u\nreceipt:aborted\n\n' | tee "$room/seen"
diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
BEGIN -> nothing
SEND -> nothing
COMMIT -> RECEIPT committed, RECEIPT sent
BEGIN -> nothing
SEND -> nothing
ABORT -> RECEIPT aborted
SEEN
echo "as described: not before COMMIT, and never after ABORT"
