"""The log: one line an event, as text or JSON, on standard error, which is the log file of a daemon.

Whatever a client can put into a message, it cannot begin a line of its own: everything that is not printable
is written as an escape. Nor can it make a line long: what comes from clients is ``shortened`` by whoever logs
it, and no part of a line is longer than LONGEST. A log that nobody takes keeps nobody waiting (``output``).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stompserver.server.process.output import Output

NAME: Final = 200
"""Characters of a name or text of a client that the log has."""

LONGEST: Final = 4000
"""Characters of a message of the log, or of one of its fields, before what cannot be printed is escaped."""

TRACE: Final = 20_000
"""Characters of a traceback, its first and its last half."""

FLUSH: Final = 1.0
"""Seconds that the end of the process waits for a log that nobody takes."""

_OUTPUT: Final = Output()

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(level: str, form: str) -> None:
    """Log to standard error: ``stompserver.*`` from ``level`` up, everything else from warnings up.

    May be called again to change either. ``form`` is ``text`` or ``json``.
    """
    handler = _StandardError()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("stompserver").setLevel(LEVELS[level])
    logging.captureWarnings(True)


def open_file(path: Path) -> None:
    """Let standard output and error append to this file, from now on or (SIGHUP) anew. Raises OSError."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
    descriptor = os.open(path, flags, 0o640)
    try:
        for standard in (sys.stdout, sys.stderr):
            if standard is not None:
                standard.flush()
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
    finally:
        os.close(descriptor)


def shortened(text: str, most: int = NAME) -> str:
    """The text as far as the log has it: what clients can make long."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def one_line(text: str) -> str:
    """The text with all that is not printable (line ends, control and direction marks) as an escape."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(character: str) -> str:
    # Not by the codec of that name: it may not be loadable any more when the user was changed.
    if short := _SHORT_ESCAPES.get(character):
        return short
    number = ord(character)
    return (
        f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"
    )


class TextLines(logging.Formatter):
    """``2026-01-31T12:00:00.000+01:00 INFO text``."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_timestamp(record.created)} {record.levelname} {one_line(shortened(record.getMessage(), LONGEST))}"
        trace = _trace(self, record)
        return f"{line} | {one_line(trace)}" if trace else line


class JsonLines(logging.Formatter):
    """An object a line: time, level, logger, message, the event's own fields, and the traceback of a bug."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": shortened(record.getMessage(), LONGEST),
        }
        for name, value in vars(record).items():
            if name not in _OWN_ATTRIBUTES:
                fields.setdefault(name, shortened(value, LONGEST) if isinstance(value, str) else value)
        if trace := _trace(self, record):
            fields["traceback"] = trace
        return json.dumps(fields, default=_jsonable)


class _StandardError(logging.StreamHandler[Any]):
    """Writes to what sys.stderr is at that moment. A log that cannot be written is no reason to fail, or to wait."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        try:
            number = self.stream.fileno()
        except (AttributeError, OSError, ValueError):
            # Not a file of the system's: somebody has replaced it.
            super().emit(record)
            return
        _OUTPUT.write(number, self._octets(record), self._lost)

    def _octets(self, record: logging.LogRecord) -> bytes:
        try:
            line = self.format(record)
        except Exception as problem:
            # A mistake in a line of ours must not end what it tells of.
            line = f"{record.levelname} a line of the log could not be made: {problem!r}"
        return line.encode("utf-8", "backslashreplace") + b"\n"

    def _lost(self, lines: int) -> bytes:
        fields = {
            "name": "stompserver", "levelno": logging.WARNING, "levelname": "WARNING",
            "msg": "%d lines of the log were lost, because nobody took them", "args": (lines,),
            "event": "log_lost", "lines": lines,
        }  # fmt: skip
        return self._octets(logging.makeLogRecord(fields))

    def flush(self) -> None:
        """Wait a moment for what nobody took so far."""
        _OUTPUT.flush(FLUSH)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """A full disk or a broken pipe: there is nobody left to tell."""


def _timestamp(seconds: float) -> str:
    """Local time with its offset (ISO 8601), to the millisecond."""
    local = time.localtime(seconds)
    second, offset = time.strftime("%Y-%m-%dT%H:%M:%S", local), time.strftime("%z", local)
    return f"{second}.{int(seconds * 1000) % 1000:03d}{offset[:3]}:{offset[3:]}"


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    text = "\n".join(parts)
    if len(text) > TRACE:
        text = f"{text[: TRACE // 2]}... ({len(text)} characters) ...{text[-TRACE // 2 :]}"
    return text


def _jsonable(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
