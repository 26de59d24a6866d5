"""stompserver: a STOMP 1.0, 1.1 and 1.2 messaging server with queues and topics.

``cli`` is the command of that name, ``errors`` has all errors raised on purpose, as one tree, ``monitor`` makes the
reports on ``/queue/monitor``. All else is in the folders; ARCHITECTURE.md draws how they lie.
"""

__version__ = "2.0.0.dev0"

__all__ = ["__version__"]
