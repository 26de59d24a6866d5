"""What a session does for each command: ``connecting``, ``sending`` (``learning``: which SENDs say no more than those
before them), ``subscribing`` with ``selecting`` and ``entering`` (what a client wants of a destination, and how it
comes to have it), ``management`` for frames to the server itself and ``expiring`` for logins that end. ACK and
NACK are in ``acks`` beside this folder, BEGIN and its kin in ``transactions``.
"""
