"""Who may do what with which destination: rules by pattern, each verb from the most specific pattern that sets it.

Whoever writes rules names verbs and people; what is decided for a login is remembered for a bounded number of names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from stompserver.broker.names.destination import DURABLE as DURABLES
from stompserver.broker.names.pattern import HIDDEN, Pattern, contains, is_pattern, levels_of, meets
from stompserver.broker.names.wildcards import Wildcards
from stompserver.session.dialect import naming
from stompserver.session.principal import (
    BROWSE,
    CONSUME,
    CREATE,
    DURABLE,
    MANAGE,
    SEND,
    SERVER,
    VIEW,
    Principal,
)

EVERYBODY: Final = "everybody"
NOBODY: Final = "nobody"
SELF: Final = "%u"

DEFAULTS: Final[dict[str, tuple[str, ...]]] = {
    BROWSE: (CONSUME,),
    CREATE: (SEND, CONSUME),
    DURABLE: (CONSUME,),
    VIEW: (MANAGE,),
}
"""Where no pattern sets the verb: who may do one of these may do it."""

# Not Final, because a test lowers it.
MOST: int = 10_000
"""Names, and logins, that are remembered, and five times as many answers."""

LONG: Final = 200
"""Characters of a name above which it is not remembered."""

_NO, _YES, _OWN = 0, 1, 2

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Term(NamedTuple):
    """One of those who may: a login, ``@group``, EVERYBODY, NOBODY or SELF; only from ``network`` where there is
    one.
    """

    name: str
    network: str = ""


class Grant(NamedTuple):
    """Who may do a verb, and where that is written."""

    terms: tuple[Term, ...]
    origin: str


class Rule:
    """What one pattern sets: ``grants`` by verb. In ``text`` a level ``%u`` stands for any, as ``*`` does, and for
    the own login where who is SELF.
    """

    def __init__(self, text: str, origin: str, grants: Mapping[str, Grant]) -> None:
        self.text = text
        self.origin = origin
        self.grants = dict(grants)
        self.own = SELF in text and SELF in levels_of(text)
        self.pattern = Pattern(_with(text, "*") if self.own else text)

    def of(self, login: str) -> Pattern:
        """The pattern with that login in the place of ``%u``."""
        return Pattern(_with(self.text, naming.level(login)))

    @property
    def rank(self) -> tuple[object, ...]:
        """The greater is the more specific."""
        return (*self.pattern.specificity, self.own, self.text)


class _Reach(NamedTuple):
    """A pattern as one login has it: whether it may, and where that is written."""

    pattern: Pattern
    allowed: bool
    origin: str


class Permissions:
    """All ``rules``, the most specific first, with the ``groups`` that they name: logins and ``@groups`` by name.
    With ``observes`` what is refused is only noted.
    """

    def __init__(
        self, rules: Iterable[Rule], groups: Mapping[str, Iterable[str]] | None = None, observes: bool = False
    ) -> None:
        self.rules = sorted(rules, key=lambda rule: rule.rank, reverse=True)
        self.observes = observes
        self._groups = {name: frozenset(members) for name, members in (groups or {}).items()}
        self._members = _all_groups(self._groups)
        networks = {term.network for term in self._terms() if term.network}
        self._networks: dict[str, Network] = {text: ipaddress.ip_network(text) for text in sorted(networks)}
        self._wildcards = Wildcards()
        self._wild: dict[str, list[int]] = {}
        self._exact: dict[str, list[int]] = {}
        for index, rule in enumerate(self.rules):
            if rule.pattern.exact:
                self._exact.setdefault(rule.pattern.text, []).append(index)
            else:
                self._wild.setdefault(rule.pattern.text, []).append(index)
                self._wildcards.add(rule.pattern)
        self._fitting: dict[str, tuple[int, ...]] = {}
        self._rights: dict[tuple[str | None, frozenset[str], frozenset[str]], Rights] = {}
        self._made = 0
        self._answers: dict[tuple[int, str, str], bool] = {}

    def _terms(self) -> Iterable[Term]:
        for rule in self.rules:
            for grant in rule.grants.values():
                yield from grant.terms

    def rights(self, login: str | None, address: str = "", groups: Iterable[str] = ()) -> Rights:
        """What that login may do from there; shared by all whom the rules do not tell apart. ``groups`` are more that
        it is in.
        """
        held = self._groups_of(login, groups)
        key = (login, held, self._from(address))
        found = self._rights.get(key)
        if found is None:
            if len(self._rights) >= MOST:
                self._rights.clear()
            self._made += 1
            found = self._rights[key] = Rights(self, self._made, login, frozenset(groups), held, key[2])
        return found

    def fitting(self, name: str) -> tuple[int, ...]:
        """The rules whose pattern ``name`` fits, the most specific first."""
        found = self._fitting.get(name)
        if found is None:
            indices = list(self._exact.get(name, ()))
            for text in self._wildcards.find(name):
                indices += self._wild[text]
            found = tuple(sorted(indices))
            if len(name) <= LONG:
                if len(self._fitting) >= MOST:
                    self._fitting.clear()
                self._fitting[name] = found
        return found

    def answer(self, key: tuple[int, str, str]) -> bool | None:
        """What was found for a login's number, verb and name."""
        return self._answers.get(key)

    def remember(self, key: tuple[int, str, str], answer: bool) -> None:
        """Note an answer. A client may use names without end, so they are bounded, for all logins together."""
        if len(key[2]) <= LONG:
            if len(self._answers) >= 5 * MOST:
                self._answers.clear()
            self._answers[key] = answer

    def same(self, other: Permissions | None) -> bool:
        """Whether the other says the same, in the same lines."""
        return other is not None and self._said() == other._said()

    def _said(self) -> tuple[object, ...]:
        rules = [(rule.text, rule.origin, rule.grants) for rule in self.rules]
        return rules, self._groups, self.observes

    def names(self, login: str) -> bool:
        """Whether a rule, or a group of one, names that login."""
        groups = {"@" + group for group in self._members.get(login, ())}
        return any(term.name == login or term.name in groups for term in self._terms())

    def grant(self, verb: str, name: str) -> Grant | None:
        """What decides who may do ``verb`` with ``name``; None where nobody said."""
        for index in self.fitting(name):
            grant = self.rules[index].grants.get(verb)
            if grant is not None:
                return grant
        return None

    def _groups_of(self, login: str | None, more: Iterable[str]) -> frozenset[str]:
        held: set[str] = set()
        if login is not None and not login.startswith("@"):
            held.update(self._members.get(login, ()))
        for group in more:
            # Groups that are in others are known by the configuration alone.
            held.add(group)
            held.update(self._members.get("@" + group, ()))
        return frozenset(held)

    def _from(self, address: str) -> frozenset[str]:
        """The networks that the rules name and the address is in."""
        if not self._networks:
            return frozenset()
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return frozenset()
        if ip.version == 6 and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return frozenset(text for text, network in self._networks.items() if ip in network)


class Rights(Principal):
    """What a login may do, by ``permissions``. ``held`` are its groups and ``networks`` those it is in."""

    __slots__ = ("_held", "_marks", "_networks", "_number", "_permissions", "_reaches")

    def __init__(
        self,
        permissions: Permissions,
        number: int,
        login: str | None,
        groups: frozenset[str],
        held: frozenset[str],
        networks: frozenset[str],
    ) -> None:
        super().__init__(login, groups)
        self.limited = True
        self.observes = permissions.observes
        self._permissions = permissions
        self._held = held
        self._networks = networks
        self._number = number
        """No other has it, so that answers for it can stand beside those for others."""
        self._marks: dict[tuple[int, str], int] = {}
        """Whether a rule allows a verb: _NO, _YES, or _OWN where the name has the login."""
        self._reaches: dict[str, list[_Reach]] = {}

    def may(self, verb: str, name: str) -> bool:
        """Whether it may do ``verb`` with ``name``, or with any destination that fits it."""
        key = (self._number, verb, name)
        answer = self._permissions.answer(key)
        if answer is None:
            answer = self._some(verb, name) if is_pattern(name) else self.decide(verb, name)[0]
            self._permissions.remember(key, answer)
        return answer

    def may_all(self, verb: str, name: str) -> bool:
        """Likewise with all that fit a pattern."""
        if not is_pattern(name):
            return self.may(verb, name)
        key = (-self._number, verb, name)
        answer = self._permissions.answer(key)
        if answer is None:
            answer = self._all(verb, Pattern(name))
            self._permissions.remember(key, answer)
        return answer

    def rules(self, verb: str, name: str) -> bool:
        """Whether a pattern that begins with /dsub says who may do ``verb`` with ``name``."""
        for each in (verb, *DEFAULTS.get(verb, ())):
            for index in self._permissions.fitting(name):
                rule = self._permissions.rules[index]
                if each in rule.grants and rule.text.startswith(DURABLES):
                    return True
        return False

    def decide(self, verb: str, name: str) -> tuple[bool, str]:
        """Whether it may, with ``name`` as it is written, and where it is written that it may or may not."""
        if naming.temp_owner(name):
            if verb not in (MANAGE, VIEW):
                # Whose it is was asked before.
                return True, "a temporary destination: its connection consumes, everybody sends"
            name = SERVER
        elif verb in (MANAGE, VIEW) and not HIDDEN.isdisjoint(levels_of(name)) and not self._says(verb, name):
            # No wildcard stands for what is one login's, but somebody has to look after it.
            name = SERVER
        for index in self._permissions.fitting(name):
            rule = self._permissions.rules[index]
            grant = rule.grants.get(verb)
            if grant is not None:
                return self._allows(index, verb, name), f"{grant.origin}: permissions: {rule.text}: {verb}"
        refused = ""
        for other in DEFAULTS.get(verb, ()):
            allowed, text = self.decide(other, name)
            if allowed:
                return True, text
            refused = refused or text
        return False, refused or f"no pattern of permissions that has {name} sets {verb}"

    def why(self, verb: str, name: str) -> str:
        """What decided that it may not, and whether it could have meant the topic, or queue, of the same name."""
        if is_pattern(name):
            return f"no destination that fits is allowed, or not all where a durable subscription has them ({verb})"
        text = self.decide(verb, name)[1]
        other = ""
        if name.startswith("/queue"):
            other = "/topic" + name.removeprefix("/queue")
        elif name.startswith("/topic"):
            other = "/queue" + name.removeprefix("/topic")
        if other and self.decide(verb, other)[0]:
            return f"{text}; {other} would be allowed"
        return text

    def judge(
        self, login: str | None, address: str, verb: str, name: str, topics: list[str]
    ) -> tuple[bool, str]:
        """Whether somebody may, and the line that decides it."""
        return self._permissions.rights(login, address).verdict(verb, name, topics)

    def verdict(self, verb: str, name: str, topics: list[str]) -> tuple[bool, str]:
        """Whether it may do ``verb`` with ``name``, fed by ``topics`` where it is a durable subscription's queue, and
        the line that decides it.
        """
        if name.startswith(DURABLES) and topics and not self.rules(verb, name):
            for topic in topics:
                if not self.may_all(verb, topic):
                    return False, self.why(verb, topic)
            return True, self.decide(verb, topics[0])[1]
        if is_pattern(name):
            allowed = self.may(verb, name)
            return allowed, "some destination that fits is allowed" if allowed else self.why(verb, name)
        allowed, text = self.decide(verb, name)
        return allowed, text if allowed else self.why(verb, name)

    def _says(self, verb: str, name: str) -> bool:
        grant = self._permissions.grant(verb, name)
        return grant is not None or any(self._says(each, name) for each in DEFAULTS.get(verb, ()))

    def _allows(self, index: int, verb: str, name: str) -> bool:
        mark = self._mark(index, verb)
        if mark != _OWN:
            return mark == _YES
        assert self.login is not None
        return self._permissions.rules[index].of(self.login).matches(name)

    def _mark(self, index: int, verb: str) -> int:
        mark = self._marks.get((index, verb))
        if mark is None:
            mark = _NO
            for term in self._permissions.rules[index].grants[verb].terms:
                if term.network and term.network not in self._networks:
                    continue
                if term.name == SELF and self.login:
                    mark = _OWN
                elif term.name == EVERYBODY or (
                    term.name[1:] in self._held
                    if term.name.startswith("@")
                    else term.name == self.login and term.name != NOBODY
                ):
                    mark = _YES
                    break
            self._marks[index, verb] = mark
        return mark

    def _reach(self, verb: str) -> list[_Reach]:
        """The patterns that say who may do ``verb``, the most specific first, as this login has them."""
        found = self._reaches.get(verb)
        if found is None:
            found = self._reaches[verb] = []
            for index, rule in enumerate(self._permissions.rules):
                grant = rule.grants.get(verb)
                if grant is None:
                    continue
                mark = self._mark(index, verb)
                if mark == _OWN and self.login is not None:
                    found.append(_Reach(rule.of(self.login), True, grant.origin))
                found.append(_Reach(rule.pattern, mark == _YES, grant.origin))
        return found

    def _some(self, verb: str, name: str) -> bool:
        """Whether a destination could fit the pattern ``name`` with which it may do ``verb``. A yes too much does no
        harm: each destination is asked for by itself.
        """
        pattern = Pattern(name)
        for reach in self._reach(verb):
            if not meets(reach.pattern, pattern):
                continue
            if reach.allowed:
                return True
            if contains(reach.pattern, pattern):
                return False
        return any(self._some(each, name) for each in DEFAULTS.get(verb, ()))

    def _all(self, verb: str, pattern: Pattern) -> bool:
        """Whether it may do ``verb`` with all that fits ``pattern``. A no too much is possible where several patterns
        have it only together.
        """
        for reach in self._reach(verb):
            if not meets(reach.pattern, pattern):
                continue
            if not reach.allowed:
                return False
            if contains(reach.pattern, pattern):
                return True
        return any(self._all(each, pattern) for each in DEFAULTS.get(verb, ()))


def _with(text: str, level: str) -> str:
    """``text`` with another level for ``%u``."""
    parts = []
    word = ""
    for letter in text + "/":
        if letter in "./":
            parts.append(level if word == SELF else word)
            parts.append(letter)
            word = ""
        else:
            word += letter
    return "".join(parts[:-1])


def _all_groups(groups: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """By login, and by ``@group``, the groups that it is in, also by way of another group."""
    above: dict[str, set[str]] = {}
    for name, members in groups.items():
        for member in members:
            above.setdefault(member, set()).add(name)
    found = {}
    for member in above:
        held: set[str] = set()
        waiting = list(above[member])
        while waiting:
            group = waiting.pop()
            if group not in held:
                held.add(group)
                waiting.extend(above.get("@" + group, ()))
        found[member] = frozenset(held)
    return found
