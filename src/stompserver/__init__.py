"""stompserver: a STOMP 1.0, 1.1 and 1.2 messaging server with queues and topics."""

__version__ = "2.0.0.dev0"

__all__ = ["__version__"]
