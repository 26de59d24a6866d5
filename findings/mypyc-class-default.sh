#!/usr/bin/env bash
# mypyc 2.4.1, CPython 3.11, 2026-11-28. Guess: a list that stands in the body of a class is one for all instances, as in Python. Seen:
# compiled each instance has its own, and the class attribute is a descriptor. (A warning at the build is all that tells.) Needs a C compiler and Python's headers.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" --quiet --disable-pip-version-check install 'mypy[mypyc]==2.4.1' setuptools
mkdir "$room/plain" "$room/compiled"

cat >"$room/plain/subject.py" <<'PYTHON'
class Queue:
    waiting: list[int] = []
PYTHON
cat >"$room/use.py" <<'PYTHON'
from subject import Queue

first, second = Queue(), Queue()
first.waiting.append(1)
print(second.waiting, type(Queue.waiting).__name__)
PYTHON

cp "$room/plain/subject.py" "$room/compiled"
(cd "$room/compiled" && "$room/venv/bin/mypyc" subject.py >"$room/built" 2>&1) || { cat "$room/built"; exit 2; }
for form in plain compiled; do
    (cd "$room/$form" && PYTHONPATH=. "$room/venv/bin/python" "$room/use.py") | sed "s/^/$form: /" | tee -a "$room/seen"
done
diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
plain: [1] list
compiled: [] getset_descriptor
SEEN
echo "as described: a list for each instance"
