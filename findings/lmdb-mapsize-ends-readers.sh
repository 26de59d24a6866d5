#!/usr/bin/env bash
# lmdb (Python) 2.3.0 and 3.0.0, 2026-11-28. Guess: `set_mapsize` to a larger map leaves a read transaction that is open as it is, or
# refuses while there is one (as it does for a write transaction). Seen: it succeeds, and the read transaction is dead: its next
# call raises. Who grows the map has to end and begin anew all readers of the process.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

cat >"$room/try.py" <<'PYTHON'
import sys

import lmdb

environment = lmdb.open(sys.argv[1], map_size=1 << 20)
with environment.begin(write=True) as transaction:
    transaction.put(b"a", b"x")
reader = environment.begin()
print("before", reader.get(b"a"))
environment.set_mapsize(1 << 21)
try:
    print("after", reader.get(b"a"))
except lmdb.Error as problem:
    print("after:", problem)
PYTHON

for version in 2.3.0 3.0.0; do
    python3 -m venv "$room/venv-$version"
    "$room/venv-$version/bin/pip" --quiet --disable-pip-version-check install lmdb==$version
    mkdir "$room/data-$version"
    echo "lmdb $version"
    "$room/venv-$version/bin/python" "$room/try.py" "$room/data-$version" | tee "$room/seen"
    diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
before b'x'
after: Attempt to operate on closed/deleted/dropped object.
SEEN
done
echo "as described: a larger map ends open readers"
