"""The functions of ``leaf``: in C where the core is compiled, else in Python. All others import them from here."""

try:
    from stompserver.wire._leaf import (
        any_ack,
        block_end,
        encode_head,
        encode_message,
        encode_relayed,
        like,
        plain_ack,
        split,
        unframe,
        unmask,
        whole,
    )
except ImportError:
    from stompserver.wire.leaf import (
        any_ack,
        block_end,
        encode_head,
        encode_message,
        encode_relayed,
        like,
        plain_ack,
        split,
        unframe,
        unmask,
        whole,
    )

__all__ = [
    "any_ack",
    "block_end",
    "encode_head",
    "encode_message",
    "encode_relayed",
    "like",
    "plain_ack",
    "split",
    "unframe",
    "unmask",
    "whole",
]
