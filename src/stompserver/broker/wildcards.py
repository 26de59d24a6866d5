"""Which patterns a destination's name fits, without trying them one by one."""

from __future__ import annotations

from typing import Final

from stompserver.broker.pattern import HIDDEN, Pattern, levels_of

_ONE: Final = "*"
_MANY: Final = "#"


class Node:
    """A place in the tree: ``next`` by the level that follows, ``patterns`` that end here (``a.>`` and ``a.#`` are
    two that mean the same). ``many`` tells that any number of levels leads from here to here.
    """

    __slots__ = ("many", "next", "patterns", "step")

    def __init__(self, many: bool) -> None:
        self.many = many
        self.next: dict[str, Node] = {}
        self.patterns: list[str] = []
        self.step: int = 0
        """The last step of a search that came here: no node is taken twice in one."""


class Wildcards:
    """A set of patterns, as a tree of their levels: what a search costs depends on how many patterns begin like the
    name, not on how many there are.
    """

    __slots__ = ("_root", "_step", "texts")

    def __init__(self) -> None:
        self._root = Node(False)
        self._step: int = 0
        self.texts: dict[str, list[str]] = {}
        """The levels of each pattern."""

    def add(self, pattern: Pattern) -> None:
        """Find ``pattern`` from now on."""
        if pattern.text in self.texts:
            return
        levels = pattern.levels
        self.texts[pattern.text] = levels
        node = self._root
        for level in levels:
            following = node.next.get(level)
            if following is None:
                following = node.next[level] = Node(level == _MANY)
            node = following
        node.patterns.append(pattern.text)

    def discard(self, text: str) -> None:
        """Find that pattern no more."""
        levels = self.texts.pop(text, None)
        if levels is None:
            return
        path = [self._root]
        for level in levels:
            path.append(path[-1].next[level])
        path[-1].patterns.remove(text)
        for at in range(len(levels) - 1, -1, -1):
            node = path[at + 1]
            if node.patterns or node.next:
                break
            del path[at].next[levels[at]]

    def find(self, name: str) -> list[str]:
        """The patterns that ``name`` fits."""
        if not self.texts:
            return []
        active: list[Node] = []
        self._step += 1
        self._enter(self._root, active)
        for level in levels_of(name):
            came = active
            active = []
            self._step += 1
            hidden = level in HIDDEN
            for node in came:
                if node.many and not hidden:
                    self._enter(node, active)
                following = node.next.get(level)
                # A level of the name may look like a wildcard; as such it is taken below.
                if following is not None and level != _ONE and level != _MANY:
                    self._enter(following, active)
                following = node.next.get(_ONE)
                if following is not None and not hidden:
                    self._enter(following, active)
            if not active:
                return []
        found: list[str] = []
        for node in active:
            found.extend(node.patterns)
        return found

    def _enter(self, node: Node, active: list[Node]) -> None:
        """Be at ``node``, and where no further level leads from it."""
        if node.step == self._step:
            return
        node.step = self._step
        active.append(node)
        following = node.next.get(_MANY)
        if following is not None:
            self._enter(following, active)
