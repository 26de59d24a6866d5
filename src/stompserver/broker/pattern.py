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
HIDDEN: Final = frozenset(("$temp", "$user"))
"""Levels that no wildcard stands for: what is below them belongs to one connection or one login."""

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
        if level == "*" or level == ">" or level == "#" or level == "**":
            return True
    return _expression_at(name) >= 0


class Pattern:
    """A destination's name, or a pattern of names. Raises Refused for a regular expression in braces.

    The greater ``specificity`` is the more specific: a name before every pattern, then more literal levels,
    then ``*`` before ``>``, then literals further to the left.
    """

    __slots__ = ("exact", "levels", "specificity", "text")

    def __init__(self, text: str) -> None:
        self.text: str = text
        self.exact: bool = not is_pattern(text)
        self.levels: list[str] = []
        self.specificity: Specificity = (1, 0, 0, 0, "")
        if self.exact:
            return
        at = _expression_at(text)
        if at >= 0:
            # Python's matcher can take exponential time, so one SUBSCRIBE could stop the server.
            raise Refused(
                f"Pattern {text[:80]!r} has a regular expression in it",
                where=f"destination, character {at + 1}",
                rule="Wildcards are * (one level) and >, # or ** (any number of levels); {...} is not known here",
                mend="Write * for the level, and use a selector to choose among the messages.",
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

    def matches(self, name: str) -> bool:
        """Whether the destination with this name is meant."""
        if self.exact:
            return name == self.text
        return self.fits(levels_of(name))

    def fits(self, names: list[str]) -> bool:
        """Like ``matches``, for a name already cut into levels; never true for a plain name.

        The time grows with levels of the pattern times levels of the name, for any pattern: of several
        wildcards for many levels only the last one has to be tried longer.
        """
        wanted = self.levels
        if not wanted:
            return False
        at = level = 0
        retry = -1
        resume = 0
        while at < len(names):
            if level < len(wanted) and wanted[level] == _MANY:
                retry = level
                resume = at
                level += 1
            elif level < len(wanted) and (
                wanted[level] == names[at] or (wanted[level] == _ONE and names[at] not in HIDDEN)
            ):
                level += 1
                at += 1
            elif retry >= 0 and names[resume] not in HIDDEN:
                resume += 1
                at = resume
                level = retry + 1
            else:
                return False
        while level < len(wanted) and wanted[level] == _MANY:
            level += 1
        return level == len(wanted)


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
