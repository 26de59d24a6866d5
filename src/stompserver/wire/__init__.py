"""Bytes to frames and back: STOMP's text and nothing else.

Read ``frame`` and ``headers`` (escapes, blanks and line ends by version; frames to bytes), then ``parser``
(bytes to frames), which keeps what has come of a large ``body``. ``alike`` is how SENDs that differ in values
alone are read in one step. ``leaf`` has the functions that take most of the time, ``_leaf.c`` the same in C;
``native`` is the one of the two that this server runs. ``proxy`` reads what a proxy may say before the client does,
``websocket`` is what may carry all of it.
"""
