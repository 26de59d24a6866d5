"""The frames that real clients write, recorded from them.

`shape` reads and writes a file; `recorded` has one for each shape, which `tests/interop/record.py` writes.
"""
