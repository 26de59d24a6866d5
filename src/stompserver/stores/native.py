"""The functions of ``leaf``: in C where the core is compiled, else in Python. All others import them from here."""

try:
    from stompserver.stores._leaf import decode_plain, encode_relayed
except ImportError:
    from stompserver.stores.leaf import decode_plain, encode_relayed

__all__ = ["decode_plain", "encode_relayed"]
