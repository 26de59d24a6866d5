"""The sections ``groups`` and ``permissions`` in the making, of another broker's rules."""

from __future__ import annotations

import json
import re
from typing import Final

from stompserver.broker.names.pattern import Pattern, contains, levels_of, meets
from stompserver.config.permissions import EVERYBODY, NOBODY, SELF, VERBS, check_permission_pattern, has_level
from stompserver.ctl.others.fragment import folded
from stompserver.ctl.shown import one_line
from stompserver.errors import Refused

_PLAIN: Final = re.compile(r"[\w./-][\w./@, -]*")
_WORD: Final = re.compile(r"[^\s,@%\"']+")

MUCH: Final = 500
"""Patterns above which it is not looked for those that overlap, which takes the square of their number."""


class Grants:
    """What ``stompctl permissions import`` prints. ``add`` what the other broker says; where there what holds for a
    destination is all that any rule gives, and here what the most specific pattern says, ``unite`` makes the second
    of the first.
    """

    def __init__(self, head: str) -> None:
        self._head = head
        self._groups: dict[str, list[str]] = {}
        self._given: dict[str, dict[str, dict[str, None]]] = {}
        self._denied: dict[str, dict[str, set[str]]] = {}
        self._notes: dict[str, None] = {}

    def note(self, what: str, why: str) -> None:
        """``what`` has no equal here, or not all of it: ``why``."""
        self._notes[one_line(f"{what}: {why}")] = None

    def login(self, name: str, origin: str) -> str:
        """The login as it is written here; "" for one that cannot be, which is noted."""
        if not _WORD.fullmatch(name) or name in (EVERYBODY, NOBODY):
            self.note(origin, f"{name!r} cannot be written as a login here")
            return ""
        return name

    def group(self, name: str, members: list[str], origin: str) -> str:
        """A group with these members, and those that it has; what it is called by who, "" if that cannot be."""
        if not self.login(name, origin):
            return ""
        known = self._groups.setdefault(name, [])
        for member in members:
            if member not in known and self.login(member, origin):
                known.append(member)
        return "@" + name

    def add(self, pattern: str, verb: str, who: list[str], origin: str) -> None:
        """``who`` may do ``verb`` at ``pattern``; nobody else, as far as that is said here, where it is none."""
        if self._fits(pattern, origin):
            self._given.setdefault(pattern, {}).setdefault(verb, {}).update(
                dict.fromkeys(each for each in who if each)
            )

    def deny(self, pattern: str, verb: str, who: str, origin: str) -> None:
        """``who`` may not, whatever else is said."""
        if self._fits(pattern, origin):
            self._given.setdefault(pattern, {}).setdefault(verb, {})
            self._denied.setdefault(pattern, {}).setdefault(verb, set()).add(who)

    def _fits(self, pattern: str, origin: str) -> bool:
        try:
            check_permission_pattern(pattern)
            _wide(pattern)
        except (ValueError, Refused) as problem:
            self.note(origin, f"{pattern} cannot be a pattern here: {problem}")
            return False
        return True

    def unite(self) -> None:
        """Let each pattern have what wider ones give as well, but for what is denied."""
        self._add_overlaps()
        patterns = {text: _wide(text) for text in self._given}
        united: dict[str, dict[str, dict[str, None]]] = {}
        for text, pattern in patterns.items():
            wider = [other for other in patterns if other == text or contains(patterns[other], pattern)]
            for verb in self._given[text]:
                held: dict[str, None] = {}
                for other in [text, *wider]:
                    for who in self._given[other].get(verb, ()):
                        meant = _meant(who, other, text)
                        if meant:
                            held[meant] = None
                for other in wider:
                    for who in self._denied.get(other, {}).get(verb, ()):
                        self._take_away(held, who, text, verb)
                united.setdefault(text, {})[verb] = held
        self._given = united
        self._tell_overlaps(patterns)

    def _add_overlaps(self) -> None:
        """Have a pattern for what fits two of which neither has the other: both hold for that."""
        patterns = {text: _wide(text) for text in self._given}
        waiting = list(patterns)
        while waiting and len(patterns) <= MUCH:
            text = waiting.pop()
            for other in list(patterns):
                one, two = patterns[text], patterns[other]
                if contains(one, two) or contains(two, one) or not meets(one, two):
                    continue
                both = overlap(text, other)
                if not both:
                    continue
                if both not in patterns:
                    patterns[both] = _wide(both)
                    waiting.append(both)
                verbs = self._given.setdefault(both, {})
                for verb in (*self._given[text], *self._given[other]):
                    verbs.setdefault(verb, {})

    def _take_away(self, held: dict[str, None], who: str, text: str, verb: str) -> None:
        if who == EVERYBODY:
            held.clear()
        held.pop(who, None)
        if EVERYBODY in held:
            self.note(
                f"{verb} of {text}", f"everybody may, so {who} cannot be left out: name who may instead"
            )

    def _tell_overlaps(self, patterns: dict[str, Pattern]) -> None:
        if len(patterns) > MUCH:
            self.note("the patterns", f"are more than {MUCH}; see yourself where two of them overlap")
            return
        for denied, verbs in self._denied.items():
            for verb, whos in verbs.items():
                for text, pattern in patterns.items():
                    some = whos & set(self._given[text].get(verb, ()))
                    known = contains(pattern, patterns[denied]) or overlap(text, denied) in patterns
                    if some and text != denied and not known and meets(pattern, patterns[denied]):
                        self.note(
                            f"deny of {denied}",
                            f"{', '.join(sorted(some))} may {verb} what fits {text} as well, unless {denied} is the"
                            " more specific",
                        )
        texts = sorted(patterns, key=lambda text: patterns[text].specificity)
        for at, low in enumerate(texts):
            for high in texts[at + 1 :]:
                one, other = patterns[low], patterns[high]
                if not meets(one, other) or contains(one, other) or contains(other, one):
                    continue
                if overlap(low, high) in patterns:
                    continue
                for verb in self._given[low]:
                    more = set(self._given[low][verb]) - set(self._given[high].get(verb, ()))
                    if more and verb in self._given[high]:
                        self.note(
                            f"{verb} of {low}",
                            f"what fits {high} as well goes by that alone here, without {', '.join(sorted(more))}",
                        )

    def __str__(self) -> str:
        lines = [f"# {self._head}"]
        if self._groups:
            lines.append("groups:")
            lines += [
                f"  {_quoted(name)}: {', '.join(members)}".rstrip() for name, members in self._groups.items()
            ]
        if self._given:
            lines.append("permissions:")
        for pattern, verbs in self._given.items():
            lines.append(f"  {json.dumps(pattern, ensure_ascii=False)}:")
            for verb in VERBS:
                if verb in verbs:
                    lines.append(f"    {verb}: {_quoted(', '.join(verbs[verb]) or NOBODY)}")
        if self._notes:
            lines += ["", "# Not taken over, or not all of it:"]
            for note in self._notes:
                lines += folded(note)
        return "\n".join(lines)


def overlap(one: str, other: str) -> str:
    """The pattern of what fits both; "" where one has a wildcard for many levels elsewhere than at its end."""
    first, second = _levels(one), _levels(other)
    if "#" in (*first[:-1], *second[:-1]):
        return ""
    found: list[str] = []
    while first and second and first[0] != "#" and second[0] != "#":
        a, b = first.pop(0), second.pop(0)
        if a != b and a not in ("*", SELF) and b not in ("*", SELF):
            return ""
        found.append(b if a == "*" or (a == SELF and b != "*") else a)
    if (first and first[0] == "#") or (second and second[0] == "#"):
        found += second if first and first[0] == "#" else first
    elif first or second:
        return ""
    # The root and the kind are divided by a slash, as people write them; the rest as the first one has it.
    mark = "/" if "/" in one.removeprefix("/queue/").removeprefix("/topic/") else "."
    return f"/{found[1]}/{mark.join(found[2:])}" if found[:1] == [""] and len(found) > 2 else mark.join(found)


def _levels(text: str) -> list[str]:
    return ["#" if level in (">", "**") else level for level in levels_of(text)]


def _wide(text: str) -> Pattern:
    """The pattern with any login in the place of ``%u``."""
    return Pattern(
        "/".join("*" if level == SELF else level for level in levels_of(text)) if has_level(text) else text
    )


def _meant(who: str, wide: str, narrow: str) -> str:
    """Who of a wider pattern that is in a narrower one."""
    if who != SELF or wide == narrow:
        return who
    levels, others = levels_of(wide), levels_of(narrow)
    at = levels.index(SELF)
    if any(level in ("#", ">", "**") for level in (*levels[:at], *others[: at + 1])) or at >= len(others):
        return ""
    level = others[at]
    return level if level != "*" else ""


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
