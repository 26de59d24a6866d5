"""Which patterns a destination's name fits, without trying them one by one."""

from __future__ import annotations

from typing import Final

from stompserver.broker.names.pattern import HIDDEN, Levels, Pattern, levels_of

_ONE: Final = "*"
_MANY: Final = "#"


class Node:
    """A place in the tree: ``next`` by the level that follows, ``patterns`` that end here (``a.>`` and ``a.#`` are
    two that mean the same). What ``#`` leads to has the last levels of patterns, the very last one first.

    A pattern that leads on from here while no other does needs no places for its further levels: it is the ``only``
    one, and compares them itself.
    """

    __slots__ = ("next", "only", "patterns")

    def __init__(self) -> None:
        self.next: dict[str, Node] = {}
        self.only: Pattern | None = None
        self.patterns: list[Pattern] = []


class Wildcards:
    """A set of patterns, as a tree of their levels: what a search costs depends on how many patterns begin and end
    like the name, not on how many there are.

    A pattern is in the tree with its levels up to its first ``#``, then ``#``, then its levels behind the last one,
    backwards. So the levels of a name lead down the tree from its beginning, and behind ``#`` from its end, and a
    search comes to no node twice. What stands between two ``#`` is looked at by the pattern itself. Altogether a
    search takes at most as many steps as the patterns have levels, and as many more as the name has; ``steps`` counts
    those of all searches.
    """

    __slots__ = ("_root", "steps", "texts")

    def __init__(self) -> None:
        self._root = Node()
        self.steps: int = 0
        self.texts: dict[str, Pattern] = {}
        """The patterns by how they are written."""

    def add(self, pattern: Pattern) -> None:
        """Find ``pattern`` from now on."""
        if pattern.text in self.texts:
            return
        self.texts[pattern.text] = pattern
        way = _way(pattern)
        node = self._root
        depth = 0
        while depth < len(way):
            other = node.only
            if other is not None:
                # Two lead on from here: the other one gets a place for its next level.
                node.only = None
                _place(node, other, _way(other), depth)
            elif not node.next:
                node.only = pattern
                return
            following = node.next.get(way[depth])
            if following is None:
                _place(node, pattern, way, depth)
                return
            node = following
            depth += 1
        node.patterns.append(pattern)

    def discard(self, text: str) -> None:
        """Find that pattern no more."""
        pattern = self.texts.pop(text, None)
        if pattern is None:
            return
        way = _way(pattern)
        path = [self._root]
        while len(path) <= len(way) and path[-1].only is not pattern:
            path.append(path[-1].next[way[len(path) - 1]])
        if path[-1].only is pattern:
            path[-1].only = None
        else:
            path[-1].patterns.remove(pattern)
        for at in range(len(path) - 2, -1, -1):
            node = path[at + 1]
            if node.patterns or node.next or node.only is not None:
                break
            del path[at].next[way[at]]

    def find(self, name: str) -> list[str]:
        """The patterns that ``name`` fits."""
        found: list[str] = []
        if not self.texts:
            return found
        levels = Levels(levels_of(name))
        count = len(levels.names)
        nodes = [self._root]
        start = 0
        while nodes:
            for node in nodes:
                only = node.only
                if only is not None and only.goes_on(levels, start, 0):
                    found.append(only.text)
                behind = node.next.get(_MANY)
                if behind is not None:
                    self._find_backwards(behind, levels, start, found)
            if start == count:
                for node in nodes:
                    found.extend([pattern.text for pattern in node.patterns])
                break
            nodes = self._further(nodes, levels.names[start])
            start += 1
        self.steps += levels.steps
        return found

    def _find_backwards(self, node: Node, levels: Levels, start: int, found: list[str]) -> None:
        """Add the patterns whose last levels are those of the name, down to the level ``start``, from ``node`` on."""
        nodes = [node]
        end = len(levels.names)
        while nodes:
            for node in nodes:
                only = node.only
                if only is not None and only.goes_on(levels, start, len(levels.names) - end):
                    found.append(only.text)
                for pattern in node.patterns:
                    self.steps += 1
                    if pattern.spans(levels, start, end):
                        found.append(pattern.text)
            if end == start:
                break
            end -= 1
            nodes = self._further(nodes, levels.names[end])

    def _further(self, nodes: list[Node], level: str) -> list[Node]:
        """Where ``level`` of a name leads from ``nodes``."""
        further: list[Node] = []
        self.steps += len(nodes)
        hidden = level in HIDDEN
        for node in nodes:
            # A level of the name may look like a wildcard; as such it is taken below.
            if level != _ONE and level != _MANY:
                following = node.next.get(level)
                if following is not None:
                    further.append(following)
            if not hidden:
                following = node.next.get(_ONE)
                if following is not None:
                    further.append(following)
        return further


def _place(node: Node, pattern: Pattern, way: list[str], depth: int) -> None:
    """Give ``pattern`` a place below ``node`` for the level ``depth`` of its ``way``."""
    place = node.next[way[depth]] = Node()
    if depth + 1 == len(way):
        place.patterns.append(pattern)
    else:
        place.only = pattern


def _way(pattern: Pattern) -> list[str]:
    """The levels by which ``pattern`` stands in the tree."""
    way = list(pattern.opening)
    if pattern.many:
        way.append(_MANY)
        way.extend(reversed(pattern.closing))
    return way
