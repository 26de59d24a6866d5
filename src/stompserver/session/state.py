"""The conversation as a table a person can print: state x command -> what is done.

The absence of a cell means "not allowed here". ``table()`` is what a person sees.
"""

from __future__ import annotations

from typing import Final

CONNECTING: Final = 0
"""Nothing but CONNECT or STOMP may come."""
AUTHENTICATING: Final = 1
"""The login is being checked; frames wait in the parser."""
CONNECTED: Final = 2
LEAVING: Final = 3
"""DISCONNECT or the client's end of stream was seen: what is owed goes out, nothing more comes in."""
FAILED: Final = 4
"""An ERROR is on its way: nothing follows it."""
GONE: Final = 5

NAMES: Final = ("connecting", "authenticating", "connected", "leaving", "failed", "gone")

TABLE: Final[dict[int, dict[str, str]]] = {
    CONNECTING: {"CONNECT": "on_connect", "STOMP": "on_connect"},
    AUTHENTICATING: {},
    CONNECTED: {
        "SEND": "on_send",
        "SUBSCRIBE": "on_subscribe",
        "UNSUBSCRIBE": "on_unsubscribe",
        "ACK": "on_ack",
        "NACK": "on_nack",
        "BEGIN": "on_begin",
        "COMMIT": "on_commit",
        "ABORT": "on_abort",
        "DISCONNECT": "on_disconnect",
    },
    LEAVING: {},
    FAILED: {},
    GONE: {},
}

SERVER_COMMANDS: Final = frozenset(("CONNECTED", "MESSAGE", "RECEIPT", "ERROR"))


def table() -> str:
    """The table as text, one row a state and command."""
    rows = [
        f"{NAMES[state]:<16}{command:<13}{handler}"
        for state, cells in TABLE.items()
        for command, handler in (cells or {"-": "nothing is read"}).items()
    ]
    return "\n".join([f"{'state':<16}{'command':<13}handler", *rows])
