"""Octets to WebSocket frames and back (RFC 6455).

What a frame may be is for a library to say, the ``Truth``. Plain frames never come to it: the leaf takes the payloads
of those. Of all other data frames it gets the beginning, and no payload: that goes on as it comes, so that no frame,
however long, is held. Control frames, and what is compressed, it gets whole, the latter in parts of its own.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from stompserver.errors import ProtocolError
from stompserver.wire.leaf import BINARY, TEXT
from stompserver.wire.native import unframe, unmask

FIN: Final = 0x80
RSV1: Final = 0x40
CONTROL: Final = 0x08
CLOSE: Final = 0x8
"""Bits of a frame's first octet (RFC 6455, 5.2), and the opcode of a Close frame."""

CONTROL_MOST: Final = 125
"""Octets of a control frame's payload at most."""

MOST: Final = 256 * 1024
"""Octets that are made at a time of what is compressed."""

PART: Final = 1024
"""Octets of what is compressed that are made what they were in one step: up to a megabyte."""

PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
"""Codes of Close frames (RFC 6455, 7.4.1)."""

REASON_MOST: Final = 123
"""Octets of the reason in a Close frame at most."""

HEARTBEAT: Final = b"\n"

_NO_MASK: Final = b"\0\0\0\0"


class Truth(Protocol):
    """What is used of the library's ``websockets.protocol.Protocol``."""

    parser_exc: Any
    current_size: Any
    close_sent: Any
    handshake_exc: Any
    parser: Any

    def receive_data(self, data: bytes, /) -> None: ...

    def events_received(self) -> Sequence[Any]: ...

    def data_to_send(self) -> list[bytes]: ...


class Codec:
    """The frames of one client, from the end of the handshake on. ``make`` makes what says how frames have to be;
    with ``deflate`` it is one that keeps state, and made at once. ``strict``: whether text has to be UTF-8.

    ``ended`` tells that nothing more is taken: because the client has closed, with ``closing`` as the payload of its
    Close frame, or because of a ``fault``, for which ``code`` is what to close with. ``kind`` is the opcode of the
    first message, 0 before that. ``answers`` are frames to be written.
    """

    __slots__ = (
        "_decoder",
        "_fin",
        "_head",
        "_inflated",
        "_left",
        "_make",
        "_mask",
        "_opening",
        "_squeezed",
        "_strict",
        "_text",
        "_truth",
        "_waiting",
        "_within",
        "answers",
        "closing",
        "code",
        "deflates",
        "ended",
        "fault",
        "kind",
    )

    def __init__(self, make: Callable[[], Truth], strict: bool, deflate: bool) -> None:
        self._make = make
        self._strict = strict
        self._truth: Truth | None = make() if deflate else None
        self.deflates = deflate
        self.ended = False
        self.closing = b""
        self.fault: ProtocolError | None = None
        self.code: int = 0
        self.kind: int = 0
        self.answers: list[bytes] = []
        self._head = b""
        """Octets of a frame's head, or of a control frame, that is not whole."""
        self._left: int = 0
        """Octets of a data frame's payload that have not come."""
        self._mask = _NO_MASK
        """From the next of these on."""
        self._within = False
        """Whether a message has begun that is to go on in another frame."""
        self._squeezed = False
        """Whether the message is compressed."""
        self._opening: int = 0
        """The first octet of the next part of what is compressed."""
        self._fin = False
        """Whether the frame ends its message."""
        self._inflated: int = 0
        """Octets that were made in this call of what is compressed."""
        self._waiting = b""
        """What was given after these were enough."""
        self._text = False
        """Whether the message is text that has to be UTF-8."""
        self._decoder: codecs.IncrementalDecoder | None = None

    @property
    def truth(self) -> Truth | None:
        """What knows the extensions, where it keeps state."""
        return self._truth

    def received(self, data: bytes) -> bytes:
        """The payloads in ``data``, as far as they have come; of what is compressed not more at a time than ``MOST``
        and a part. Where there is ``more``, it comes when nothing is given.
        """
        if self._waiting:
            data = self._waiting + data
            self._waiting = b""
        size: int = len(data)
        at: int = 0
        found: list[bytes] = []
        while at < size and not self.ended:
            if self._squeezed and self._inflated >= MOST:
                self._waiting = data[at:]
                break
            if self._left:
                end: int = min(size, at + self._left)
                if self._squeezed:
                    end = min(end, at + PART)
                self._take(data[at:end], found)
                at = end
                continue
            if not (self._head or self._within or self._strict):
                payload, end, kind = unframe(data, at)
                if kind:
                    if not self.kind:
                        self.kind = kind
                    if end == size and not found:
                        return payload
                    found.append(payload)
                    at = end
                    continue
            at = self._begin(data, at, found)
        self._inflated = 0
        return b"".join(found)

    @property
    def more(self) -> bool:
        """Whether something that was given waits."""
        return self._waiting != b"" and not self.ended

    def close(self) -> None:
        """Nothing more comes, or is wanted."""
        self.ended = True
        self._forget()

    def _forget(self) -> None:
        truth = self._truth
        self._truth = None
        if truth is not None:
            let_go(truth)

    def _begin(self, data: bytes, at: int, found: list[bytes]) -> int:
        """Take what belongs to the head of a frame, and all of a control frame; where the rest begins."""
        head = self._head
        while True:
            wanted: int = _wanted(head)
            if len(head) >= wanted:
                break
            end: int = min(len(data), at + wanted - len(head))
            if at == end:
                self._head = head
                return at
            head += data[at:end]
            at = end
        self._head = b""
        self._judge(head, found)
        return at

    def _judge(self, head: bytes, found: list[bytes]) -> None:
        """A frame's head is there, and its payload if it is a control frame."""
        opening: int = head[0]
        if len(head) == 2 or (opening & CONTROL and len(head) == 6 + (head[1] & 0x7F)):
            # Not masked, or of an unknown kind; or a whole control frame.
            self._ask(head, found)
            return
        if opening & CONTROL:
            self._ask(b"%c\xfe\0\x7e" % opening + bytes(4 + CONTROL_MOST + 1), found)
            return
        length: int = head[1] & 0x7F
        if length > CONTROL_MOST:
            if length == 127 and head[2] >= 0x80:
                self._fail(PROTOCOL_ERROR, "a frame's length of more than 63 bits")
                return
            length = int.from_bytes(head[2 : 4 if length == 126 else 10], "big")
        begins = not self._within
        if begins:
            self._squeezed = self.deflates and (opening & RSV1) != 0
        if self._squeezed:
            self._opening = opening & ~FIN
        else:
            # No octets: whether such a frame may come now, and what it is.
            self._ask(b"%c\x80" % opening + _NO_MASK, found)
            if self.ended:
                return
        if begins:
            kind: int = opening & 0x0F
            if not self.kind:
                self.kind = kind
            self._text = self._strict and kind == TEXT
        self._fin = (opening & FIN) != 0
        self._within = not self._fin
        self._mask = head[-4:]
        self._left = length
        if not length:
            self._take(b"", found)

    def _take(self, octets: bytes, found: list[bytes]) -> None:
        """Take these of the payload of a data frame."""
        size: int = len(octets)
        self._left -= size
        plain = unmask(octets, self._mask)
        turn: int = size & 3
        if turn:
            self._mask = self._mask[turn:] + self._mask[:turn]
        ends = self._fin and not self._left
        if self._squeezed:
            opening: int = self._opening | (FIN if ends else 0)
            self._opening = 0
            self._ask(b"%c\xfe" % opening + size.to_bytes(2, "big") + _NO_MASK + plain, found)
        else:
            self._give(plain, found)
        if self._text and ends and not self.ended:
            self._check(b"", True)

    def _give(self, plain: bytes, found: list[bytes]) -> None:
        if self._text:
            self._check(plain, False)
        if plain and not self.ended:
            found.append(plain)

    def _check(self, plain: bytes, ends: bool) -> None:
        decoder = self._decoder
        if decoder is None:
            decoder = self._decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            decoder.decode(plain, ends)
        except UnicodeDecodeError:
            self._fail(INVALID_DATA, "a message of text that is not UTF-8")

    def _ask(self, octets: bytes, found: list[bytes]) -> None:
        """Let the library say what that frame is."""
        truth = self._truth
        if truth is None:
            truth = self._truth = self._make()
        truth.receive_data(octets)
        for frame in truth.events_received():
            if frame.opcode == CLOSE:
                self.ended = True
                self.closing = bytes(frame.data)
            elif not frame.opcode & CONTROL:
                self._inflated += len(frame.data)
                self._give(bytes(frame.data), found)
        written = truth.data_to_send()
        if truth.parser_exc is not None:
            sent = truth.close_sent
            code: int = sent.code if sent is not None else PROTOCOL_ERROR
            self._fail(code, str(truth.parser_exc))
        elif not self.ended:
            self.answers.extend(written)
            if truth.current_size is None and not self.deflates:
                # Few clients send such frames at all, or again soon (bench: idle).
                self._forget()

    def _fail(self, code: int, why: str) -> None:
        if self.fault is not None:
            return
        self.ended = True
        self.code = code
        self.fault = ProtocolError(
            "Broken WebSocket frames",
            where=why,
            rule=f"RFC 6455, which closes a connection for that with code {code}",
            fix="Let a WebSocket library make the frames. What compressed data becomes may be as large as a frame"
            " (max-body).",
        )


def let_go(truth: Truth) -> None:
    """End the generator in it that has it, and its errors, whose frames have it: only the garbage collector would
    find them.
    """
    truth.parser.close()
    truth.parser = None
    error = truth.handshake_exc
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__
    truth.parser_exc = None
    truth.handshake_exc = None


def _wanted(head: bytes) -> int:
    """Octets that are wanted of a frame that begins so: its head, and the payload of a control frame."""
    if len(head) < 2 or head[1] < 0x80 or (head[0] & 0x07) > 2:
        # What is wrong already is said at once.
        return 2
    length: int = head[1] & 0x7F
    if length <= CONTROL_MOST:
        return 6 + length if head[0] & CONTROL else 6
    return 8 if length == 126 else 14


def frame_head(opening: int, size: int) -> bytes:
    """The head of a frame to a client, with that first octet, of ``size`` octets."""
    if size <= CONTROL_MOST:
        return b"%c%c" % (opening, size)
    if size < 65536:
        return b"%c\x7e" % opening + size.to_bytes(2, "big")
    return b"%c\x7f" % opening + size.to_bytes(8, "big")


def close_frame(code: int, reason: str = "") -> bytes:
    """A Close frame; ``code`` 0 is none. The reason is cut where it is too long."""
    if not code:
        return frame_head(FIN | CLOSE, 0)
    text = reason.encode("utf-8", "replace")
    if len(text) > REASON_MOST:
        text = text[: REASON_MOST - 3].decode("utf-8", "ignore").encode() + b"..."
    return frame_head(FIN | CLOSE, 2 + len(text)) + code.to_bytes(2, "big") + text


def is_text(octets: bytes) -> bool:
    """Whether it is UTF-8."""
    if octets.isascii():
        return True
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def _are_text(pieces: list[bytes]) -> bool:
    return [piece for piece in pieces if not is_text(piece)] == []


def messages(pieces: list[bytes], kind: int, alone: bool = False) -> list[tuple[int, list[bytes]]]:
    """What to send of these pieces, which are whole frames of STOMP together, with the opcode of each message: one,
    but for a heart-beat before them, and but for those that are no UTF-8 where ``kind`` is TEXT. These go as binary.
    With ``alone`` each frame is a message.
    """
    made: list[tuple[int, list[bytes]]] = []
    rest = pieces
    if pieces and pieces[0].startswith(HEARTBEAT):
        made.append((kind, [HEARTBEAT]))
        rest = pieces[1:]
        if len(pieces[0]) > 1:
            rest = [pieces[0][1:], *rest]
    if not rest:
        return made
    if not alone and (kind != TEXT or _are_text(rest)):
        made.append((kind, rest))
        return made
    octets = b"".join(rest)
    # Frames that follow each other and are of one kind go together.
    at: int = 0
    begun: int = 0
    last: int = 0
    while at < len(octets):
        end: int = frame_end(octets, at)
        now: int = TEXT if kind == TEXT and is_text(octets[at:end]) else BINARY
        if last and (alone or now != last):
            made.append((last, [octets[begun:at]]))
            begun = at
        last = now
        at = end
    made.append((last, [octets[begun:]]))
    return made


def frame_end(octets: bytes, at: int) -> int:
    """Where the frame of STOMP that this server made, at ``at``, ends, with the line end behind it."""
    stop: int = octets.find(b"\n\n", at)
    if stop < 0:
        return len(octets)
    body: int = stop + 2
    said: int = octets.find(b"\ncontent-length:", at, stop)
    if said >= 0:
        line: int = octets.find(b"\n", said + 16, stop + 1)
        nul: int = body + int(octets[said + 16 : line])
    else:
        nul = octets.find(b"\0", body)
        if nul < 0:
            return len(octets)
    return min(len(octets), nul + 2)
