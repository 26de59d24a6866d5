#!/usr/bin/env bash
# mypyc 2.4.1, CPython 3.11, 2026-11-28. Guess: a generator that is let go before its end runs its `finally`, compiled or not. Seen:
# compiled it does not; only `close()` runs it. Needs a C compiler and Python's headers.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" --quiet --disable-pip-version-check install 'mypy[mypyc]==2.4.1' setuptools
mkdir "$room/plain" "$room/compiled"

cat >"$room/plain/subject.py" <<'PYTHON'
from typing import Iterator


def numbers(ended: list[str]) -> Iterator[int]:
    try:
        yield 1
        yield 2
    finally:
        ended.append("finally")
PYTHON
cat >"$room/use.py" <<'PYTHON'
import gc

from subject import numbers

for how in ("let go", "closed"):
    ended = []
    generator = numbers(ended)
    next(generator)
    if how == "closed":
        generator.close()
    del generator
    gc.collect()
    print(how, ended)
PYTHON

cp "$room/plain/subject.py" "$room/compiled"
(cd "$room/compiled" && "$room/venv/bin/mypyc" subject.py >"$room/built" 2>&1) || { cat "$room/built"; exit 2; }
for form in plain compiled; do
    (cd "$room/$form" && PYTHONPATH=. "$room/venv/bin/python" "$room/use.py") | sed "s/^/$form: /" | tee -a "$room/seen"
done
diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
plain: let go ['finally']
plain: closed ['finally']
compiled: let go []
compiled: closed ['finally']
SEEN
echo "as described: only close() runs the finally of a compiled generator"
