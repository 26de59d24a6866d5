"""What is left of a transport goes at once, without the garbage collector."""

from __future__ import annotations


def unbind(transport: object) -> None:
    """Let ``transport`` go, which is lost. asyncio's have methods of their own as attributes, none of which is called
    any more, so each is a cycle, and the collector may never find it (``server/process/collector.py``). uvloop's have
    no such.
    """
    own: dict[str, object] | None = getattr(transport, "__dict__", None)
    if own:
        for name in [name for name, value in own.items() if getattr(value, "__self__", None) is transport]:
            del own[name]
