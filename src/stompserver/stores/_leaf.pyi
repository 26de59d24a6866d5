def encode_relayed(
    destination: str,
    lines: bytes,
    body: bytes,
    flags: int,
    exceptions: int,
    attempts: int,
    number: int,
    size: int,
) -> bytes | None: ...
def decode_plain(record: bytes, known: str) -> tuple[str, bytes, bytes, bool, int, int, int, int] | None: ...
