"""Lets the tests here import what they share, and `bench`, which lies beside `src`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
for place in (str(HERE), str(HERE.parents[1])):
    if place not in sys.path:
        sys.path.insert(0, place)
