"""The asyncio shell: the only place with await, sockets and threads."""
