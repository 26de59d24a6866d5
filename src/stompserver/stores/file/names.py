"""Names of the file store: of a queue's directory, of its buckets, of a message's file.

A directory is the queue's name with ``/`` as ``+`` and every octet but ``a-z 0-9 - _ .`` as ``%xx`` (capitals too,
for file systems that see no case, and a dot at the start). A name longer than a file's name may be ends in ``~``
and its SHA-256; the true one is then in the file ``name`` in it.

A file is ``KEY-SIZE-ATTEMPTS``, with ``-t`` behind it for a message that is not to outlive the server's run: the key
is the order, as 16 hexadecimal digits, so that names sort as messages do. With these three in the name a restart
opens no file, and a delivery that came back costs a rename.

A bucket holds the files of 4,096 neighbouring keys; its name is what their keys have in common, 13 digits.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Final

NAME: Final = "name"

_SHIFT: Final = 12
_LONGEST: Final = 200
_KEPT: Final = 120
_SAFE: Final = {octet: chr(octet) for octet in b"abcdefghijklmnopqrstuvwxyz0123456789-_."}
_WORDS: Final = [_SAFE.get(octet, f"%{octet:02x}") for octet in range(256)]
_WORDS[ord("/")] = "+"
_FILE: Final = re.compile(r"([0-9a-f]{16})-([0-9]+)-([0-9]+)(-t)?")
_BUCKET: Final = re.compile(r"[0-9a-f]{13}")
_ESCAPE: Final = re.compile(rb"%([0-9a-f]{2})")


def directory_of(queue: str) -> str:
    """The name of the directory of ``queue``: no other queue's, also where case does not count."""
    octets = queue.encode("utf-8", "surrogateescape")
    # One that is longer than this is so encoded as well.
    name = "".join([_WORDS[octet] for octet in octets[: _LONGEST + 1]])
    if name.startswith("."):
        name = "%2e" + name[1:]
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_KEPT]}~{sha256(octets).hexdigest()}"


def queue_of(directory: Path) -> str | None:
    """The queue whose directory this is; None where it is none of ours. Raises OSError."""
    name = directory.name
    if "~" in name:
        try:
            octets = (directory / NAME).read_bytes()
        except FileNotFoundError:
            return None
    else:
        octets = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), name.replace("+", "/").encode())
    queue = octets.decode("utf-8", "surrogateescape")
    return queue if directory_of(queue) == name else None


def bucket_of(key: int) -> int:
    """The number of the bucket of a message."""
    return key >> _SHIFT


def bucket_name(bucket: int) -> str:
    """The name of a bucket."""
    return f"{bucket:013x}"


def bucket_number(name: str) -> int | None:
    """The number of the bucket of that name; None where it is no bucket."""
    return int(name, 16) if _BUCKET.fullmatch(name) else None


def file_name(key: int, size: int, attempts: int, transient: bool) -> str:
    """The name of a message's file."""
    return f"{key:016x}-{size}-{attempts}-t" if transient else f"{key:016x}-{size}-{attempts}"


def parsed(name: str) -> tuple[int, int, int, bool] | None:
    """Key, size, attempts and whether transient, of a file's name; None where it is no message's."""
    found = _FILE.fullmatch(name)
    if found is None:
        return None
    return int(found[1], 16), int(found[2]), int(found[3]), found[4] is not None
