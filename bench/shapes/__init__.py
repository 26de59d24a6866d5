"""The frames that real clients write, recorded from them, as load: the scenario `clients`.

Read `shape` (a recorded file), `stream` (many messages of a shape), `parts` (what is measured), `flow` (one
measurement), `cases` (of the scenario), `table` (what it prints). `recorded` has a file for each shape;
`tests/interop/record.py` writes them.
"""
