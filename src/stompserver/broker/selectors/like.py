"""LIKE: % stands for any run of characters, _ for any one."""

from __future__ import annotations

import re
from typing import Final

SEARCHED: Final = 4096
"""Characters of a value above which nothing is looked for between two %: what that costs is bounded by this."""

_JOKER: Final = ""
"""What stands for _ in a list of characters."""


class Segment:
    """The part of a pattern between two %: a fixed number of characters, some of them any.

    ``pieces`` are the literal parts and ``offsets`` their places in it; ``literal`` is the whole, where no
    character is any.
    """

    __slots__ = ("length", "literal", "offsets", "pieces", "search")

    def __init__(self, chars: list[str]) -> None:
        self.length: int = len(chars)
        self.literal: str | None = None if _JOKER in chars else "".join(chars)
        self.pieces: list[str] = []
        self.offsets: list[int] = []
        self.search: re.Pattern[str] | None = None
        start = 0
        for i in range(len(chars) + 1):
            if i == len(chars) or chars[i] == _JOKER:
                if start < i:
                    self.pieces.append("".join(chars[start:i]))
                    self.offsets.append(start)
                start = i + 1
        if len(self.pieces) > 1:
            # Without a repetition in it there is nothing to go back to: at most length steps a place.
            expression = "".join(["." if char == _JOKER else re.escape(char) for char in chars])
            self.search = re.compile(expression, re.DOTALL)

    def stands(self, text: str, at: int) -> bool:
        """Whether it is at offset ``at`` of ``text``, which is long enough."""
        if self.literal is not None:
            return text.startswith(self.literal, at)
        offsets = self.offsets
        return all(text.startswith(piece, at + offsets[i]) for i, piece in enumerate(self.pieces))

    def find(self, text: str, start: int, end: int) -> int:
        """Its first offset wholly between ``start`` and ``end``, or -1."""
        if self.search is not None:
            found = self.search.search(text, start, end)
            return -1 if found is None else found.start()
        if not self.pieces:
            return start if start + self.length <= end else -1
        before = self.offsets[0]
        after = self.length - before - len(self.pieces[0])
        if start + before > end - after:
            return -1
        at = text.find(self.pieces[0], start + before, end - after)
        return at if at < 0 else at - before


class Pattern:
    """A compiled pattern. Matching takes at most the text's length times the pattern's in steps; ``cost`` is what it
    may take in microseconds, about, with a text of ``SEARCHED`` characters where it looks for something in that.

    ``literal`` is the text that it stands for when there is no % and no _ in it. Raises ValueError when the
    escape character is its last one.
    """

    __slots__ = ("cost", "first", "last", "literal", "middle", "open", "shortest")

    def __init__(self, pattern: str, escape: str = "") -> None:
        segments: list[list[str]] = [[]]
        escaped = False
        for char in pattern:
            if escaped:
                escaped = False
                segments[-1].append(char)
            elif char == escape:
                escaped = True
            elif char == "%":
                segments.append([])
            else:
                segments[-1].append(_JOKER if char == "_" else char)
        if escaped:
            raise ValueError("nothing behind the escape character")
        self.shortest: int = sum([len(segment) for segment in segments])
        self.open: bool = len(segments) > 1
        self.first: Segment = Segment(segments[0])
        self.last: Segment = Segment(segments[-1] if self.open else [])
        self.middle: list[Segment] = [Segment(segment) for segment in segments[1:-1] if segment]
        self.literal: str | None = None if self.open else self.first.literal
        self.cost: int = 1
        for each in self.middle:
            self.cost += 15 + 2 * each.length

    def matches(self, text: str) -> bool:
        """Whether the whole of ``text`` is as the pattern says."""
        length = len(text)
        if length < self.shortest or not (self.open or length == self.shortest):
            return False
        end = length - self.last.length
        if not (self.first.stands(text, 0) and self.last.stands(text, end)):
            return False
        # The first place found for a segment leaves the most room for those behind it: no need to go back.
        at = self.first.length
        for segment in self.middle:
            at = segment.find(text, at, end)
            if at < 0:
                return False
            at += segment.length
        return True
