#!/usr/bin/env bash
# lmdb (Python) 2.3.0 and 3.0.0, 2026-11-28. Guess: in a loop over a cursor `cursor.delete()` and `transaction.delete(key)` do the
# same. Seen: the first goes to the next record itself, so that the loop passes every second one; the second passes none.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

cat >"$room/try.py" <<'PYTHON'
import sys

import lmdb

environment = lmdb.open(sys.argv[1])


def fill() -> None:
    with environment.begin(write=True) as transaction:
        for number in range(6):
            transaction.put(b"%d" % number, b"x")


for by_cursor in (True, False):
    fill()
    with environment.begin(write=True) as transaction:
        cursor = transaction.cursor()
        for key, _ in cursor:
            if by_cursor:
                cursor.delete()
            else:
                transaction.delete(key)
    print("cursor.delete" if by_cursor else "transaction.delete", "leaves", environment.stat()["entries"])
PYTHON

for version in 2.3.0 3.0.0; do
    python3 -m venv "$room/venv-$version"
    "$room/venv-$version/bin/pip" --quiet --disable-pip-version-check install lmdb==$version
    mkdir "$room/data-$version"
    echo "lmdb $version"
    "$room/venv-$version/bin/python" "$room/try.py" "$room/data-$version" | tee "$room/seen"
    diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
cursor.delete leaves 3
transaction.delete leaves 0
SEEN
done
echo "as described: every second record is left"
