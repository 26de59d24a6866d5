"""One client's conversation as a value machine: bytes in, bytes out, no socket, no clock."""
