"""Bytes to frames and back: STOMP's text, and the frames of WebSocket that may be around it.

Read ``frame`` and ``headers`` (escapes, blanks and line ends by version; frames to bytes), then ``parser``
(bytes to frames), which keeps what has come of a large ``body``. ``alike`` is how SENDs that differ in values
alone are read in one step. ``leaf`` has the functions that take most of the time, ``_leaf.c`` the same in C;
``native`` is the one of the two that this server runs. ``proxy`` reads what a proxy may say before the client does.
``websocket`` has those other frames, of which a library says how they have to be.
"""
