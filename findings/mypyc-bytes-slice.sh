#!/usr/bin/env bash
# mypyc 2.4.1, CPython 3.11, 2026-11-30. Guess: a slice of bytes that ends before it begins is empty in compiled code, as it is in
# Python, and as it is of a str. Seen: of bytes it is a SystemError, of a str and a list it is empty. Needs a C compiler and Python's
# headers.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" --quiet --disable-pip-version-check install 'mypy[mypyc]==2.4.1' setuptools
mkdir "$room/plain" "$room/compiled"

cat >"$room/plain/subject.py" <<'PYTHON'
def of_bytes(data: bytes, start: int, end: int) -> bytes:
    return data[start:end]


def of_text(data: str, start: int, end: int) -> str:
    return data[start:end]


def of_list(data: list[int], start: int, end: int) -> list[int]:
    return data[start:end]
PYTHON
cat >"$room/use.py" <<'PYTHON'
from subject import of_bytes, of_list, of_text

for take, data in ((of_bytes, b"abcdef"), (of_text, "abcdef"), (of_list, [1, 2, 3, 4, 5, 6])):
    try:
        print(take.__name__, repr(take(data, 4, 3)))
    except SystemError:
        print(take.__name__, "SystemError")
PYTHON

cp "$room/plain/subject.py" "$room/compiled"
(cd "$room/compiled" && "$room/venv/bin/mypyc" subject.py >"$room/built" 2>&1) || { cat "$room/built"; exit 2; }
for form in plain compiled; do
    (cd "$room/$form" && PYTHONPATH=. "$room/venv/bin/python" "$room/use.py") | sed "s/^/$form: /" | tee -a "$room/seen"
done
diff "$room/seen" - <<'SEEN' || { echo "changed"; exit 1; }
plain: of_bytes b''
plain: of_text ''
plain: of_list []
compiled: of_bytes SystemError
compiled: of_text ''
compiled: of_list []
SEEN
echo "as described: a slice of bytes that ends before it begins is an error in compiled code"
