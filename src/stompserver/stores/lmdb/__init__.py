"""LMDB, the recommended store.

``store`` is the store, ``batch`` turns ops into the calls that LMDB is given. When pages of the file are damaged,
``pages`` reads the others without LMDB, and ``rescue`` makes a new file of them.
"""
