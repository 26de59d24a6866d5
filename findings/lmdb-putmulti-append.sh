#!/usr/bin/env bash
# lmdb (Python) 2.3.0 and 3.0.0, 2026-11-28. Guess: `putmulti(..., append=True)` raises, or stops, at an item whose key is not above
# the last one. Seen: it leaves the item out and goes on; only the second number of the result tells, as it does for an item
# that was there already.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

cat >"$room/try.py" <<'PYTHON'
import sys

import lmdb

environment = lmdb.open(sys.argv[1])
with environment.begin(write=True) as transaction:
    items = [(b"1", b"x"), (b"3", b"x"), (b"2", b"x"), (b"4", b"x")]
    print("consumed and added", transaction.cursor().putmulti(items, append=True))
    print("there", *[key.decode() for key, _ in transaction.cursor()])
PYTHON

for version in 2.3.0 3.0.0; do
    python3 -m venv "$room/venv-$version"
    "$room/venv-$version/bin/pip" --quiet --disable-pip-version-check install lmdb==$version
    mkdir "$room/data-$version"
    echo "lmdb $version"
    "$room/venv-$version/bin/python" "$room/try.py" "$room/data-$version" | tee "$room/seen"
    diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
consumed and added (4, 3)
there 1 3 4
SEEN
done
echo "as described: the item out of order is left out without an error"
