"""One client's conversation as a value machine: bytes in, bytes out, no socket, no clock.

Read ``versions`` and ``state`` first (how 1.0, 1.1 and 1.2 differ, and which command may come when: two
tables), then ``talk`` (what a shell may do with a session), ``session`` (the machine), ``client`` (what the commands
may know of it) and ``reply`` (the answer to a frame). ``outbox`` holds the octets for the client, which ``frames``
makes. ``acks`` finds what an ACK or NACK means, ``by_message`` what it means where a client of 1.2 says message-ids,
``other_words`` where a client speaks as in another version,
``transactions`` has what COMMIT will do, ``committing`` waits for it, ``heartbeat`` knows when one is due.
``renewal`` is a new token of a client, ``principal`` is who the client is and what it may do, ``usage`` what its
login has and sends, ``asking`` where that is asked, ``routes`` the destinations that it may send to without a closer
look, ``settings`` the options it is held to, ``events`` what happened, for logs, ``roster`` what all sessions of a
broker share, ``lists`` whose list of the management is made, ``temporary`` deletes the queues of a client that is
gone. No other
module here imports ``session``.
"""
