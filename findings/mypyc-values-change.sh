#!/usr/bin/env bash
# mypyc 2.4.1, CPython 3.11, 2026-11-28. Guess: a value that a compiled function takes by its annotation and returns is the value that
# was given. Seen: where the type is kept without a box it comes back as another: 1 given as a float as 1.0, True given as an int
# as 1, a named tuple given as a tuple without its names. Needs a C compiler and Python's headers.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" --quiet --disable-pip-version-check install 'mypy[mypyc]==2.4.1' setuptools
mkdir "$room/plain" "$room/compiled"

cat >"$room/plain/subject.py" <<'PYTHON'
def number(value: float) -> float:
    return value


def count(value: int) -> int:
    return value


def pair(value: tuple[int, int]) -> tuple[int, int]:
    return value
PYTHON
cat >"$room/use.py" <<'PYTHON'
from collections import namedtuple

from subject import count, number, pair

print(number(1), count(True), pair(namedtuple("Point", "x y")(1, 2)))
PYTHON

cp "$room/plain/subject.py" "$room/compiled"
(cd "$room/compiled" && "$room/venv/bin/mypyc" subject.py >"$room/built" 2>&1) || { cat "$room/built"; exit 2; }
for form in plain compiled; do
    (cd "$room/$form" && PYTHONPATH=. "$room/venv/bin/python" "$room/use.py") | sed "s/^/$form: /" | tee -a "$room/seen"
done
diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
plain: 1 True Point(x=1, y=2)
compiled: 1.0 1 (1, 2)
SEEN
echo "as described: what passes through has changed"
