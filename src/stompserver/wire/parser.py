"""Bytes to frames: incremental, bounded and total."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from stompserver.errors import ProtocolError
from stompserver.wire.alike import NOTHING_LEARNED, Alike, shape
from stompserver.wire.body import Body
from stompserver.wire.frame import AnyFrame, Frame, Lesson, PlainAck, PlainSend, stripped, weight
from stompserver.wire.headers import RAW, Text
from stompserver.wire.leaf import ACK_HEADERS, ACK_MORE, ESCAPED, WHICH, WIDE, WIDER
from stompserver.wire.native import any_ack, block_end, like, plain_ack, split, whole

MAX_COMMAND: Final = 64
"""Octets in which a first line must end; the longest command has eleven."""

OPENING: Final = frozenset(("CONNECT", "STOMP"))
"""The commands that open a session, in upper case."""

BARE: Final = frozenset(("SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK", "BEGIN", "COMMIT", "ABORT", "DISCONNECT"))
"""The commands of a session that have no body, in upper case."""

EVERY: Final = 1 << 60
"""No limit of frames."""

_EMPTY: Final = b""


class Limits:
    """What a client may make us hold: ``max_body`` and ``max_header_bytes`` in bytes, ``max_headers`` a count."""

    __slots__ = ("max_body", "max_header_bytes", "max_headers")

    def __init__(self, max_body: int, max_headers: int, max_header_bytes: int) -> None:
        self.max_body = max_body
        self.max_headers = max_headers
        self.max_header_bytes = max_header_bytes


GAP: Final = 16 * 1024
"""Octets between frames after which a ``feed`` comes to its end, as after so many frames."""


class Parser:
    """An incremental parser for what one client sends.

    ``feed`` returns the frames that became complete. Bytes that break the grammar end the stream: the
    frames before them are still returned, ``error`` holds what to tell the client, and nothing is parsed
    after it. Until ``open`` is called each ``feed`` returns at most one frame, because the version that
    CONNECT settles decides how the rest is read.
    """

    __slots__ = (
        "_alike",
        "_at",
        "_body",
        "_cr",
        "_frame",
        "_lines",
        "_need",
        "_rest",
        "_scanned",
        "_single",
        "colons",
        "echoes",
        "error",
        "limits",
        "offset",
        "strays",
        "strict",
        "text",
    )

    def __init__(self, limits: Limits, strict: bool = False) -> None:
        self.limits = limits
        self.strict = strict
        self.text: Text = RAW
        self.error: ProtocolError | None = None
        self.offset: int = 0
        """Octets of this connection before the unparsed rest."""
        self.colons: int = 0
        """Header values that had a colon which was not escaped, and was tolerated."""
        self.echoes: int = 0
        """Frames without a body whose content-length said that they had one, and was tolerated."""
        self.strays: int = 0
        """Blanks and NULs between frames that were tolerated."""
        self._alike = NOTHING_LEARNED
        self._rest: bytes = _EMPTY
        self._at: int = 0
        """Octets of ``_rest`` that are parsed, after a ``feed`` that came to its limit of frames; else 0."""
        self._scanned: int = 0
        self._lines: int = 0
        """Line ends among the ``_scanned`` octets."""
        self._frame: Frame | None = None
        self._body: Body | None = None
        self._need: int = -1
        """Octets of the body that is being read; -1 when a NUL will end it."""
        self._single: bool = True
        self._cr: bool = False
        """Whether the newest header block ended in CR LF form."""

    def open(self, text: Text, limits: Limits) -> None:
        """Read from here on by the rules of the negotiated version and with the limits after login."""
        self.text = text
        self.limits = limits
        self._single = False

    def due(self) -> bool:
        """There was a SEND with a ``block`` that could have been read in one step. Whether to ``learn`` of it."""
        if self._alike is NOTHING_LEARNED:
            self._alike = Alike()
        return self._alike.due()

    def learn(
        self, block: bytes, whole: Set[bytes] = frozenset(), group: bytes = b"", lesson: Lesson | None = None
    ) -> None:
        """Of SENDs like the one with this header ``block``, that differ in values alone, and not in those of the
        names in ``whole``, nothing more is to be found out than ``lesson``: they are read in one step from now on, as
        a PlainSend (see ``alike``). The value of the name ``group`` is told.
        """
        if self._alike is NOTHING_LEARNED:
            self._alike = Alike()
        self._alike.learn(shape(block, self.text.trim, whole, group), lesson)

    @property
    def learned(self) -> tuple[bytes, ...]:
        """The shapes of the frames that are read in one step."""
        return self._alike.known

    def wait(self, data: bytes) -> None:
        """Keep ``data`` unparsed, because the version that it is written in is not settled yet."""
        self._rest += data

    def stop(self) -> None:
        """Parse nothing more and hold nothing."""
        if self.error is None:
            self.error = ProtocolError("Stopped")
        self._rest = _EMPTY
        self._at = 0
        self._frame = None
        self._body = None

    @property
    def more(self) -> bool:
        """Whether the last ``feed`` came to its limit of frames: the next one may find others in what is held."""
        return self._at > 0

    @property
    def pending(self) -> int:
        """Bytes held: of a frame that is not complete, or not parsed yet where there is ``more``."""
        return len(self._rest) - self._at + (self._body.length if self._body is not None else 0)

    def sends(self, data: bytes) -> bool:
        """Whether ``data``, when it comes next, begins with a SEND frame or the rest of one, or with the BEGIN that
        SENDs usually follow.
        """
        if self._frame is not None:
            return self._frame.command == "SEND"
        return (self._rest[self._at : self._at + 4] + data[:64]).lstrip(b"\r\n")[:4] in (b"SEND", b"BEGI")

    def feed(self, data: bytes, most: int = EVERY) -> list[AnyFrame]:
        """Take ``data`` and return the frames it completes (perhaps none), ``most`` of them at most; see ``error``
        and ``more``.
        """
        frames: list[AnyFrame] = []
        if self.error is not None:
            return frames
        try:
            start: int = 0
            if self._frame is not None:
                start = self._continue_body(data, frames)
                if start == len(data) or (self._single and frames):
                    self.offset += start
                    self._rest = data[start:]
                    return frames
            elif self._at:
                start = self._at
                self._at = 0
                if data:
                    self.offset += start
                    self._rest = self._rest[start:]
                    start = 0
            if data or self._rest:
                self._parse(self._rest + data if self._rest else data, start, frames, most)
        except ProtocolError as error:
            self.error = error
            if self._frame is not None:
                error.receipt = self._frame.headers.get("receipt")
            self.stop()
        return frames

    def _parse(self, buf: bytes, pos: int, frames: list[AnyFrame], most: int) -> None:
        """The frames in ``buf`` from ``pos`` on, until there are ``most``."""
        end: int = len(buf)
        text: Text = self.text
        limits: Limits = self.limits
        known = self._alike.known
        first_learned = self._alike.first
        stop: int
        size: int
        gaps: int = 0
        while pos < end:
            if len(frames) >= most:
                self._rest = buf
                self._at = pos
                return
            if known and not self._scanned:
                found = like(buf, pos, known, limits.max_header_bytes, limits.max_body)
                if found is not None:
                    stop, bits, destination, receipt, lines, content, others = found
                    learned = first_learned if bits < WHICH else self._alike.learned[bits >> 3]
                    size = stop - pos - len(content) - 3
                    if bits & (WIDE | WIDER):
                        size += 3 * size if bits & WIDE else size
                    frames.append(
                        PlainSend(
                            destination,
                            receipt,
                            lines,
                            content,
                            size + learned.more,
                            bits & ESCAPED != 0,
                            others,
                            learned.lesson,
                        )
                    )
                    pos = stop
                    continue
            first: int = buf[pos]
            if first <= 32:
                if first != 10:
                    self._check_gap(first, pos)
                pos += 1
                gaps += 1
                if gaps > GAP and not self._single:
                    # What was compressed may be very many of these (see ``websocket``).
                    self._rest = buf
                    self._at = pos
                    return
                continue
            if first == 65 and not self._scanned and not self._single:
                # What a consumer sends most (bench: individual).
                settled = plain_ack(buf, pos)
                if settled is not None:
                    size = len(settled) + ACK_MORE
                    if size - 3 <= limits.max_header_bytes:
                        frames.append(PlainAck(settled, None, None, None, size - 3))
                        pos += size
                        continue
                else:
                    said = any_ack(buf, pos) if limits.max_headers >= ACK_HEADERS else None
                    if said is not None and said[0] - pos - 3 <= limits.max_header_bytes:
                        stop, id, message_id, subscription, asked = said
                        frames.append(PlainAck(id, message_id, subscription, asked, stop - pos - 3))
                        pos = stop
                        continue
            start: int = pos + self._scanned
            if self._cr:
                # Not past the end in CR LF form, or each such frame would be searched to the end of ``buf``.
                crlf: int = buf.find(b"\n\r\n", start)
                head: int = buf.find(b"\n\n", start, crlf + 1 if crlf >= 0 else end)
                self._cr = head < 0
            else:
                head = block_end(buf, start)
            body: int = head + 2
            block = buf[pos:head] if 0 <= head <= pos + limits.max_header_bytes else _EMPTY
            quick = self._quick(block) if block else None
            if quick is not None:
                frame = quick
            else:
                # A CR before the end found, or no end yet, may mean an end in CR LF form.
                if text.crlf and buf.find(b"\r", start, head if head >= 0 else end) >= 0:
                    crlf = buf.find(b"\n\r\n", start, head + 1 if head >= 0 else end)
                    if crlf >= 0:
                        head = crlf
                        body = head + 3
                        self._cr = True
                if head < 0:
                    if self._single and self._stranger(buf, pos, end, frames):
                        return
                    self._check_partial(buf, pos, end, start)
                    break
                if head - pos > limits.max_header_bytes:
                    self._headers_too_long(pos)
                frame = self._head(buf[pos:head], pos)
            self._scanned = 0
            if self._single and frame.command.strip().upper() not in OPENING:
                # Nothing else can open a session, so its body (HTTP has no NUL) is not waited for.
                frames.append(frame)
                self.offset += body
                self._rest = _EMPTY
                return
            stop = self._read_body(frame, buf, body, end)
            if stop < 0:
                return
            frames.append(frame)
            pos = stop + 1
            if self._single:
                break
        self.offset += pos
        self._rest = buf[pos:] if pos < end else _EMPTY

    def _read_body(self, frame: Frame, buf: bytes, body: int, end: int) -> int:
        """Give ``frame`` its body, which begins at ``body`` in ``buf``; return where its NUL is. When it is not all
        there, hold what is, which is the rest of ``buf``, and return -1.
        """
        # What is raised from here on is about this frame, and names its receipt.
        self._frame = frame
        declared = frame.headers.get("content-length")
        stop: int
        length: int = -1
        if declared is None:
            stop = buf.find(b"\0", body)
            if (stop if stop >= 0 else end) - body > self.limits.max_body:
                self._body_too_long(body)
        else:
            length = whole(declared)
            if length < 0:
                length = self._length(declared, body)
            if length > 0 and (body >= end or buf[body] == 0) and self._is_bare(frame):
                # Else the octet that comes next tells.
                if body < end:
                    self.echoes += 1
                    length = 0
            elif length > self.limits.max_body:
                self._body_too_long(body, length)
            stop = body + length
            if stop >= end:
                stop = -1
            elif buf[stop] != 0:
                self._missing_nul(buf[stop], length, stop)
        if stop < 0:
            self._body = Body(buf[body:])
            self._need = length
            self.offset += end
            self._rest = _EMPTY
            return -1
        frame.body = buf[body:stop]
        self._frame = None
        return stop

    def _stranger(self, buf: bytes, pos: int, end: int, frames: list[AnyFrame]) -> bool:
        """Whether the first line is that of another protocol, whose client may wait for an answer before more."""
        line: int = buf.find(b"\n", pos, end)
        if line < 0 or line - pos > MAX_COMMAND:
            return False
        command = buf[pos:line].decode("utf-8", "replace").strip()
        if command.upper() in OPENING:
            return False
        frames.append(Frame(command, {}, _EMPTY))
        self.offset += line + 1
        self._rest = _EMPTY
        return True

    def _quick(self, block: bytes) -> Frame | None:
        """The frame of a header block that needs no decoding beyond UTF-8; None when it wants a closer look
        (bench: auto).
        """
        found = split(block, self.limits.max_headers, self.text.trim)
        if found is None:
            return None
        frame = Frame(found[0], found[1], _EMPTY, True, weight(block, len(found[1])))
        frame.block = block
        return frame

    def _head(self, block: bytes, pos: int) -> Frame:
        """The frame of a header block (without its empty line); its body is still empty."""
        plain: bool = True
        text: Text = self.text
        try:
            head: str = block.decode()
        except UnicodeDecodeError as problem:
            if not text.octets:
                raise ProtocolError(
                    "Header text is not UTF-8",
                    where=f"byte {self.offset + pos + problem.start}, octet 0x{block[problem.start]:02x}",
                    rule="STOMP " + text.version + ", Value Encoding: commands and headers are UTF-8",
                    fix="Encode header names and values as UTF-8.",
                ) from None
            head = block.decode("utf-8", "surrogateescape")
            plain = False
        lines = head.split("\n")
        if len(lines) > self.limits.max_headers + 1:
            raise ProtocolError(
                "Too many headers",
                where=f"frame at byte {self.offset + pos}",
                rule=f"This server takes {self.limits.max_headers} headers in a frame (max-headers)",
                fix="Send fewer headers, or ask the administrator to raise that option.",
            )
        if "\0" in head:
            self._nul_in_header(block, pos)
        if "\r" in head:
            plain = False
            if text.crlf:
                lines = [line[:-1] if line.endswith("\r") else line for line in lines]
            if not text.bare_cr:
                self._check_bare_cr(lines, pos)
        escaped: bool = "\\" in head
        headers: dict[str, str] = {}
        trim: bool = text.trim
        edged: bool = False
        colons: int = 0
        for i in range(1, len(lines)):
            name, colon, value = lines[i].partition(":")
            if not colon or not name:
                self._bad_header(lines[i], i, pos, bool(colon))
            if trim:
                name = name.strip(" \t")
                value = value.strip(" \t")
                if not name:
                    self._bad_header(lines[i], i, pos, True)
            elif ":" in value and text.decode:
                if self.strict:
                    self._raw_colon(lines[i], i, pos)
                self.colons += 1
            if escaped:
                name = text.unescape(name)
                value = text.unescape(value)
            if ":" in value:
                colons += 1
            if name not in headers:
                headers[name] = value
                if not edged and stripped(name) != name:
                    edged = True
        size = weight(block, len(headers))
        frame = Frame(lines[0], headers, _EMPTY, plain and not escaped and not colons, size)
        frame.edged = edged
        if escaped and plain and not edged:
            # Many frames may be like it: a URL has a colon.
            frame.block = block
        return frame

    def _continue_body(self, data: bytes, frames: list[AnyFrame]) -> int:
        """Add to the body that is being read; return where in ``data`` the next frame may begin."""
        frame, held = self._frame, self._body
        assert frame is not None and held is not None
        need: int = self._need
        if need < 0:
            stop: int = data.find(b"\0")
            if held.length + (stop if stop >= 0 else len(data)) > self.limits.max_body:
                self._body_too_long(0)
        else:
            if data and need > 0 and held.length == 0 and self._is_bare(frame):
                if data[0] == 0:
                    self.echoes += 1
                    need = 0
                elif need > self.limits.max_body:
                    self._body_too_long(0, need)
            stop = need - held.length
            if stop >= len(data):
                stop = -1
            elif data[stop] != 0:
                self._missing_nul(data[stop], need, stop)
        if stop < 0:
            held.add(data)
            return len(data)
        frame.body = held.end(data[:stop])
        frames.append(frame)
        self._frame = None
        self._body = None
        return stop + 1

    def _is_bare(self, frame: Frame) -> bool:
        """Whether ``frame`` ends at a NUL right behind its header block, whatever its content-length says.

        Some clients answer with all headers of a MESSAGE. That octet alone decides, wherever the packets are cut. For
        commands that have a body the count holds: what somebody else wrote into it never becomes a frame.
        """
        return not self.strict and frame.command.strip().upper() in BARE

    def _length(self, declared: str, body: int) -> int:
        if not self.strict:
            declared = declared.strip(" ")
        if not declared.isascii() or not declared.isdigit():
            raise ProtocolError(
                f"content-length {declared[:40]!r} is not a number",
                where=f"header content-length, before byte {self.offset + body}",
                rule="STOMP, Header content-length: a count of octets",
                fix="Send the number of octets of the body in decimal, or leave the header out.",
            )
        return int(declared) if len(declared) < 19 else 1 << 60

    def _check_gap(self, octet: int, pos: int) -> None:
        """An octet between frames: line ends are heart-beats; blanks and NULs are tolerated unless strict."""
        if octet == 13:
            return
        if octet in (0, 9, 32) and not self.strict:
            self.strays += 1
            return
        where = f"byte {self.offset + pos}, octet 0x{octet:02x}"
        if octet == 0x16 and self._single:
            raise ProtocolError(
                "This looks like a TLS handshake, and this port speaks plain STOMP",
                where=where,
                rule="STOMP Frames: a frame starts with a command",
                fix="Turn TLS off in the client, or connect to a TLS port.",
            )
        raise ProtocolError(
            "Unexpected octet between frames",
            where=where,
            rule="STOMP Frames: after a frame's NUL only line ends may follow before the next command",
            fix="Check that content-length counts the octets of the body, without the NUL.",
        )

    def _check_partial(self, buf: bytes, pos: int, end: int, start: int) -> None:
        """Refuse a header block as soon as it cannot become one, before more of it is kept. Octets before
        ``start`` were looked at before.
        """
        if buf.find(b"\0", start, end) >= 0:
            self._nul_in_header(buf[pos:end], pos)
        # Two octets may be the beginning of the empty line.
        if end - pos > self.limits.max_header_bytes + 2:
            self._headers_too_long(pos)
        if end - pos > MAX_COMMAND and buf.find(b"\n", pos, pos + MAX_COMMAND) < 0:
            raise ProtocolError(
                "No STOMP command found",
                where=f"byte {self.offset + pos}: {buf[pos : pos + 24]!r}...",
                rule="STOMP Frames: a frame starts with a command and a line end",
                fix="Check that the client speaks STOMP, and plain TCP to this port.",
            )
        lines: int = buf.count(b"\n", start, end) + (self._lines if start > pos else 0)
        if lines > self.limits.max_headers + 1:
            raise ProtocolError(
                "Too many headers",
                where=f"frame at byte {self.offset + pos}",
                rule=f"This server takes {self.limits.max_headers} headers in a frame (max-headers)",
                fix="Send fewer headers, or ask the administrator to raise that option.",
            )
        # The end of the header block may be split by up to three octets.
        again: int = max(pos, end - 3)
        self._scanned = again - pos
        self._lines = lines - buf.count(b"\n", again, end)

    def _headers_too_long(self, pos: int) -> None:
        raise ProtocolError(
            "Headers too long",
            where=f"frame at byte {self.offset + pos}",
            rule=f"This server takes {self.limits.max_header_bytes} bytes of headers in a frame (max-header-bytes)",
            fix="Send less in headers, or ask the administrator to raise that option.",
        )

    def _check_bare_cr(self, lines: list[str], pos: int) -> None:
        for line in lines:
            if "\r" in line:
                raise ProtocolError(
                    "A carriage return inside a header",
                    where=f"frame at byte {self.offset + pos}, header line {line[:60]!r}",
                    rule="STOMP 1.2, Augmented BNF: CR only as part of a line end",
                    fix="Escape it as \\r.",
                )

    def _bad_header(self, line: str, number: int, pos: int, colon: bool) -> None:
        what = "Header line without a name" if colon else "Header line without a colon"
        # What comes before login may be a passcode.
        shown = "" if self._single else f": {line[:60]!r}"
        raise ProtocolError(
            what,
            where=f"frame at byte {self.offset + pos}, header line {number}{shown}",
            rule="STOMP, Augmented BNF: a header is name:value; an empty line ends the headers",
            fix="Send name:value, and an empty line between the headers and the body.",
        )

    def _raw_colon(self, line: str, number: int, pos: int) -> None:
        raise ProtocolError(
            "A colon inside a header value",
            where=f"frame at byte {self.offset + pos}, header line {number}: {line[:60]!r}",
            rule="STOMP " + self.text.version + ", Augmented BNF: a colon in a value is escaped (strict)",
            fix="Write it as \\c.",
        )

    def _nul_in_header(self, block: bytes, pos: int) -> None:
        raise ProtocolError(
            "NUL inside the headers",
            where=f"byte {self.offset + pos + block.index(0)}",
            rule="STOMP Frames: an empty line ends the headers, then comes the body, then NUL",
            fix="Send an empty line after the headers, also when the body is empty.",
        )

    def _missing_nul(self, found: int, length: int, pos: int) -> None:
        raise ProtocolError(
            "No NUL after the body",
            where=f"byte {self.offset + pos}: expected 0x00 after {length} octets, found 0x{found:02x}",
            rule="STOMP, Header content-length: it counts the octets of the body, the NUL not included",
            fix="Count octets of the encoded body, not characters.",
        )

    def _body_too_long(self, pos: int, length: int = 0) -> None:
        option = "max-body-before-login" if self._single else "max-body"
        said = f", announced as {length} bytes" if 0 < length < 1 << 60 else ""
        raise ProtocolError(
            "Body too long",
            where=f"byte {self.offset + pos}{said}",
            rule=f"This server takes bodies of up to {self.limits.max_body} bytes here ({option})",
            fix="Send smaller bodies, or ask the administrator to raise that option.",
        )
