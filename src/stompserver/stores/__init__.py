"""What survives: a folder for each kind of storage, all of the same shape.

Read ``base`` first: what a store promises. ``memory`` is the store that forgets. What stores share: a message
as octets (``record``; ``leaf`` has the short way for most, ``_leaf.c`` the same in C, and ``native`` is the one of
the two that this server runs), changes as octets (``ops``), one process a directory (``lock``), files and errors of
the disk (``disk``). ``originals`` tells whether Ruby's stompserver left something, for ``migrate``.
"""
