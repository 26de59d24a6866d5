"""Patterns of destinations: ``/topic/prices.*``, ``/queue/orders.>``, ``/topic/#.errors``.

Levels are divided by ``.`` or ``/``, which are equal in a pattern. ``*`` is one level; ``>``, ``#`` and ``**``
are any number of levels, also none (ActiveMQ: ``PRICE.>`` has ``PRICE`` in it; RabbitMQ: ``#`` is zero or more
words), and may stand anywhere. A wildcard is a whole level: ``/topic/a*`` is a plain name. A name without
wildcards matches itself alone.
"""

from __future__ import annotations

from typing import Final

from stompserver.errors import Refused

Specificity = tuple[int, int, int, int, str]

_ONE: Final = "*"
_MANY: Final = "#"
MARKS: Final = frozenset(("*", ">", "#", "**"))
"""Levels that are wildcards."""

HIDDEN: Final = frozenset(("$temp", "$user"))
"""Levels that no wildcard stands for: what is below them belongs to one connection or one login."""

_ANY: Final = "\0"
"""Stands for a level that no pattern can name."""

_EXPRESSION_MARKS: Final = "[]()*+?\\|^$"


def levels_of(name: str) -> list[str]:
    """The levels of a name: ``/topic/a.b`` has the levels '', topic, a and b."""
    return name.replace("/", ".").split(".")


def is_pattern(name: str) -> bool:
    """Whether a level of the name is a wildcard (or a regular expression of Apollo, which Pattern refuses)."""
    # Nearly every name has none of the four characters, and this runs for each SUBSCRIBE and first SEND.
    if "*" not in name and ">" not in name and "#" not in name and "{" not in name:
        return False
    for level in levels_of(name):
        if level in MARKS:
            return True
    return _expression_at(name) >= 0


class Levels:
    """A name cut into its levels, ``names``; ``secret`` counts those that no wildcard stands for.

    Where a level stands is a number with bit ``n`` set for level ``n``, so that a run of levels is looked for in all
    places at once.
    """

    __slots__ = ("_open", "_places", "names", "secret", "steps")

    def __init__(self, names: list[str]) -> None:
        self.names: list[str] = names
        self.steps: int = 0
        """Levels that were looked for."""
        self.secret: int = 0
        for name in names:
            if name in HIDDEN:
                self.secret += 1
        self._places: dict[str, int] = {}
        self._open: int = 0
        """Where a wildcard may stand."""

    def find(self, run: list[str], start: int) -> int:
        """Where ``run`` stands first, not before the level ``start``; -1 when it does not. ``*`` in it is any level.

        The steps are the levels of ``run``, wherever it is found, after as many once as the name has levels.
        """
        if not self._places:
            bit = 1
            for name in self.names:
                self._places[name] = self._places.get(name, 0) | bit
                if name not in HIDDEN:
                    self._open |= bit
                bit <<= 1
        found: int = ((1 << len(self.names)) - 1) >> start
        for level in run:
            self.steps += 1
            standing: int = self._open if level == _ONE else self._places.get(level, 0)
            found &= standing >> start
            if not found:
                return -1
            start += 1
        # The lowest bit that is set.
        return start - len(run) + (found & -found).bit_length() - 1


class Pattern:
    """A destination's name, or a pattern of names. Raises Refused for a regular expression in braces.

    The greater ``specificity`` is the more specific: a name before every pattern, then more literal levels,
    then ``*`` before ``>``, then literals further to the left.

    ``levels`` are those of a pattern, with ``#`` for each wildcard of many levels, which ``many`` counts; ``opening``
    those before the first of these, ``closing`` those behind the last, and ``between`` has the runs of levels that
    stand between two of them.
    """

    __slots__ = (
        "_literal",
        "_secret",
        "_shortest",
        "between",
        "closing",
        "exact",
        "levels",
        "many",
        "opening",
        "specificity",
        "text",
    )

    def __init__(self, text: str) -> None:
        self.text: str = text
        self.exact: bool = not is_pattern(text)
        self.levels: list[str] = []
        self.specificity: Specificity = (1, 0, 0, 0, "")
        self.many: int = 0
        self.opening: list[str] = []
        self.between: list[list[str]] = []
        self.closing: list[str] = []
        self._shortest: int = 0
        """How many levels of a name it takes at least."""
        self._literal: str = ""
        """A level that each name has that fits: its longest."""
        self._secret: int = 0
        if self.exact:
            return
        at = _expression_at(text)
        if at >= 0:
            # Python's matcher can take exponential time, so one SUBSCRIBE could stop the server.
            raise Refused(
                f"Pattern {text[:80]!r} has a regular expression in it",
                where=f"destination, character {at + 1}",
                rule="Wildcards are * (one level) and >, # or ** (any number of levels); {...} is not known here",
                fix="Write * for the level, and use a selector to choose among the messages.",
            )
        levels = self.levels
        for level in levels_of(text):
            behind_many = len(levels) > 0 and levels[-1] == _MANY
            if level == ">" or level == "#" or level == "**":
                if not behind_many:
                    levels.append(_MANY)
            elif level == _ONE and behind_many:
                # #.* means what *.# means; written alike, patterns can be compared by what is in them.
                levels[-1] = _ONE
                levels.append(_MANY)
            else:
                levels.append(level)
        self.specificity = _specificity(levels)
        self._divide()

    def _divide(self) -> None:
        runs: list[list[str]] = [[]]
        for level in self.levels:
            if level == _MANY:
                runs.append([])
                continue
            runs[-1].append(level)
            self._shortest += 1
            if level in HIDDEN:
                self._secret += 1
            if level != _ONE and len(level) > len(self._literal):
                self._literal = level
        self.many = len(runs) - 1
        self.opening = runs[0]
        if self.many:
            self.closing = runs[-1]
            self.between = runs[1:-1]

    def matches(self, name: str) -> bool:
        """Whether the destination with this name is meant."""
        if self.exact:
            return name == self.text
        # Most names that do not fit are told from their text.
        return self._literal in name and self._fits(Levels(levels_of(name)))

    def fits(self, names: list[str]) -> bool:
        """Like ``matches``, for a name already cut into levels; never true for a plain name."""
        return not self.exact and self._fits(Levels(names))

    def _fits(self, name: Levels) -> bool:
        return self.goes_on(name, 0, 0)

    def goes_on(self, name: Levels, start: int, behind: int) -> bool:
        """Whether ``name`` fits, whose first ``start`` levels are known to be those of ``opening``, and the last
        ``behind`` those of ``closing``.
        """
        names = name.names
        count = len(names)
        if count < self._shortest or (not self.many and count > self._shortest):
            return False
        opening = self.opening
        for at in range(start, len(opening)):
            name.steps += 1
            level = opening[at]
            if level != names[at] and (level != _ONE or names[at] in HIDDEN):
                return False
        closing = self.closing
        end = count - len(closing)
        for at in range(len(closing) - behind - 1, -1, -1):
            name.steps += 1
            level = closing[at]
            if level != names[end + at] and (level != _ONE or names[end + at] in HIDDEN):
                return False
        return not self.many or self.spans(name, len(opening), end)

    def spans(self, name: Levels, start: int, end: int) -> bool:
        """Whether what stands between ``opening`` and ``closing`` is what ``name`` has from the level ``start`` to
        before ``end``; of a pattern that has a wildcard for many levels.

        The first place found for a run leaves the most room for those behind it, so there is nothing to go back to:
        at most as many steps as the pattern has levels, and never more than the name has.
        """
        # Only a level written out stands for a hidden one: with as many of each, none is left for a wildcard.
        if self._secret != name.secret or len(name.names) < self._shortest:
            return False
        for run in self.between:
            at = name.find(run, start)
            if at < 0:
                return False
            start = at + len(run)
        return start <= end


def contains(wide: Pattern, narrow: Pattern) -> bool:
    """Whether all destinations of ``narrow`` are of ``wide``, by examples that have nothing by chance."""
    if narrow.exact:
        return wide.matches(narrow.text)
    for many in (0, 1, 2):
        example: list[str] = []
        for level in narrow.levels:
            if level == "#":
                example += [_ANY] * many
            else:
                example.append(_ANY if level == "*" else level)
        if not wide.fits(example):
            return False
    return True


def meets(one: Pattern, other: Pattern) -> bool:
    """Whether a destination could fit both."""
    if one.exact:
        return other.matches(one.text)
    if other.exact:
        return one.matches(other.text)
    # The places in ``other`` up to which what was seen of ``one`` can have led.
    ends = other.levels
    places = _further({0}, ends)
    for level in one.levels:
        following: set[int] = set()
        if level == "#":
            low = min(places)
            # Any number of levels of the other, but for those that no wildcard stands for.
            following = set(places)
            for at in range(low, len(ends)):
                if at in following and ends[at] not in HIDDEN:
                    following.add(at + 1)
        else:
            for at in places:
                if at == len(ends):
                    continue
                if ends[at] == "#":
                    if level not in HIDDEN:
                        following.add(at)
                elif ends[at] == level or _either(ends[at], level):
                    following.add(at + 1)
        places = _further(following, ends)
        if not places:
            return False
    return len(ends) in places


def _either(one: str, other: str) -> bool:
    """Whether one of them is ``*``, and the other may stand there."""
    return (one == "*" and other not in HIDDEN) or (other == "*" and one not in HIDDEN)


def _further(places: set[int], levels: list[str]) -> set[int]:
    """Also those that are reached by nothing, behind ``#``."""
    found = set(places)
    for at in sorted(places):
        while at < len(levels) and levels[at] == "#":
            at += 1
            found.add(at)
    return found


def _specificity(levels: list[str]) -> Specificity:
    ranks = ""
    for level in levels:
        ranks += "0" if level == _MANY else "1" if level == _ONE else "2"
    return (0, ranks.count("2"), -ranks.count("0"), ranks.count("1"), ranks)


def _expression_at(name: str) -> int:
    """Where ``{...}`` with marks of regular expressions in it begins, or -1. ``{3F2504E0}`` is a plain name."""
    start = name.find("{")
    end = name.find("}", start)
    if start < 0 or end < 0:
        return -1
    for mark in _EXPRESSION_MARKS:
        if name.find(mark, start, end) >= 0:
            return start
    return -1
