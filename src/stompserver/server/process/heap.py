"""The C library's heap, from which all but small objects come: bodies, and what is read and written at once."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

MAPPED: Final = 32 * 1024 * 1024
"""Bytes from which an object gets pages of its own."""

KEPT: Final = 64 * 1024 * 1024
"""Bytes at the end of the heap that are kept when they are free."""


def keep() -> bool:
    """Have glibc keep freed memory for the next body; whether it does.

    Else it gives it back to the system after each large body and asks for it again, which costs several times as
    much as copying it (bench: sizes). Both numbers are what glibc's own rule comes to when the first object of 32 MiB
    is freed. Who has set the like by the environment is not overruled.
    """
    if os.environ.get("GLIBC_TUNABLES") or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        # Another C library.
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, MAPPED) and mallopt(_M_TRIM_THRESHOLD, KEPT))
