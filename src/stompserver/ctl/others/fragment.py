"""A configuration in the making: policies by pattern, and what could not be said, with the reason."""

from __future__ import annotations

import json
import re
from typing import Final

from pydantic import ValidationError

from stompserver.config.policies import (
    PolicyOptions,
    check_pattern,
    contradiction,
    meaning_of,
    value_as_text,
)
from stompserver.ctl.shown import one_line
from stompserver.errors import StompserverError

Value = int | float | bool | str

NEVER: Final = "never"
"""Of ``max-redeliveries``: not once, where 0 is for ever."""

_PLAIN: Final = re.compile(r"/[\w./>*#$%-]*")
_WIDTH: Final = 110


class NotReadable(StompserverError):
    """A file that is not what it should be. The text says where."""


class Fragment:
    """What `stompctl convert` prints. ``options`` are those of the server, written as in the file."""

    def __init__(self, head: str) -> None:
        self.options: dict[str, str] = {}
        self._head = head
        self._policies: dict[str, tuple[str, dict[str, Value]]] = {}
        self._notes: dict[str, None] = {}

    def note(self, what: str, why: str) -> None:
        """``what`` has no equal here, or not all of it: ``why``."""
        self._notes[one_line(f"{what}: {why}")] = None

    def set(self, pattern: str, key: str, value: Value, origin: str) -> None:
        """A policy's option: sizes in bytes, times in ms. What cannot be said so is noted, with ``origin``."""
        try:
            check_pattern(pattern)
            PolicyOptions.model_validate({key.replace("-", "_"): value})
        except ValidationError:
            self.note(origin, f"{key}: {value} is not within the bounds of that option")
            return
        except ValueError as problem:
            self.note(origin, f"{pattern} cannot be a pattern here: {problem}")
            return
        _, options = self._policies.setdefault(meaning_of(pattern), (pattern, {}))
        options[key] = value

    def has(self, pattern: str, key: str) -> bool:
        """Whether that option is set for that very pattern."""
        return key in self._policies.get(meaning_of(pattern), ("", {}))[1]

    def __str__(self) -> str:
        self._drop_contradictions()
        lines = [f"# {self._head}"]
        lines += [f"{key}: {text}" for key, text in self.options.items()]
        if self._policies:
            lines.append("policies:")
        for pattern, options in self._policies.values():
            lines.append(
                f"  {pattern if _PLAIN.fullmatch(pattern) else json.dumps(pattern, ensure_ascii=False)}:"
            )
            lines += [f"    {key}: {_written(key, value)}" for key, value in options.items()]
        if self._notes:
            lines += ["", "# Not taken over, or not all of it:"]
            for note in self._notes:
                lines += folded(note)
        return "\n".join(lines)

    def _drop_contradictions(self) -> None:
        for meaning, (pattern, options) in list(self._policies.items()):
            while options:
                fields = {key.replace("-", "_"): value for key, value in options.items()}
                wrong = contradiction(pattern, PolicyOptions.model_validate(fields))
                if wrong is None:
                    break
                self.note(f"{wrong[0]} of {pattern}", wrong[1])
                del options[wrong[0]]
            if not options:
                del self._policies[meaning]


def _written(key: str, value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value_as_text(key, value)
    return text if re.fullmatch(r"[\w./-][\w./ %-]*", text) else json.dumps(text, ensure_ascii=False)


def folded(note: str) -> list[str]:
    """A note as comment lines of a bounded length."""
    lines: list[str] = []
    line = "# -"
    for word in note.split():
        if len(line) + len(word) > _WIDTH and line.strip("# -"):
            lines.append(line)
            line = "#  "
        line += " " + word
    return [*lines, line]
