"""From the permissions of the configuration to those of the server, and what there is to say about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stompserver.broker.names.pattern import contains
from stompserver.config import Config, Loaded, values
from stompserver.config.permissions import DEFAULTS, NOBODY, SELF, VERBS, parse_who
from stompserver.security.permissions import Grant, Permissions, Rule, Term
from stompserver.server.policies import policies_of
from stompserver.server.process.logs import one_line

_COLUMN = 40
_SHOWN = 5
"""Names that one warning tells."""


def permissions_of(config: Config) -> Permissions | None:
    """The permissions of a configuration; None where it has no such section."""
    if not config.permissions:
        return None
    rules = [
        Rule(pattern, origin, {verb: _grant(who, at) for verb, who, at in grants})
        for pattern, origin, grants in config.permissions
    ]
    groups = {name: [who.name for who in parse_who(text)] if text else [] for name, text, _ in config.groups}
    return Permissions(rules, groups, config.permissions_mode == "observe")


def _grant(text: str, origin: str) -> Grant:
    return Grant(tuple([Term(*who) for who in parse_who(text)]), origin)


def described(loaded: Loaded) -> Iterator[str]:
    """The groups and permissions as sections of a configuration file, the most specific pattern first; each verb with
    its origin, and as a comment who holds it by a less specific pattern, or by another verb.
    """
    if loaded.config.groups:
        yield "\n# Groups"
        yield "groups:"
        for name, text, origin in loaded.config.groups:
            yield _line(f"  {values.quoted(name)}: {values.quoted(text)}".rstrip(), origin)
    permissions = permissions_of(loaded.config)
    if permissions is None:
        return
    said = {
        pattern: {verb: (who, at) for verb, who, at in grants}
        for pattern, _, grants in loaded.config.permissions
    }
    yield "\n# Permissions, the most specific first; what is not set by the pattern itself is a comment"
    yield "permissions:"
    for index, rule in enumerate(permissions.rules):
        yield _line(f"  {values.quoted(rule.text)}:", rule.origin)
        held: dict[str, str] = {}
        for verb in VERBS:
            if verb in said[rule.text]:
                who, origin = said[rule.text][verb]
                held[verb] = who
                yield _line(f"    {verb}: {values.quoted(who)}", origin)
                continue
            for wider in permissions.rules[index + 1 :]:
                if verb in said[wider.text] and contains(wider.pattern, rule.pattern):
                    who, origin = said[wider.text][verb]
                    held[verb] = who
                    yield _line(f"    # {verb}: {values.quoted(who)}", f"{wider.text}, {origin}")
                    break
        for verb in VERBS:
            if verb not in held:
                others = [other for other in DEFAULTS.get(verb, ()) if held.get(other, NOBODY) != NOBODY]
                who = " or ".join(others)
                yield f"    # {verb}: {'who may ' + who if who else NOBODY}"


def warnings(config: Config, logins: Iterable[str] | None) -> list[str]:
    """What an administrator should look at; ``logins`` are those of .passwd, None where they are not all."""
    permissions = permissions_of(config)
    if permissions is None:
        if config.groups:
            return [f"{config.groups[0][2]}: groups have no effect without a section permissions"]
        return []
    texts = list(_unread(permissions))
    texts += _graves(config, permissions)
    texts += _logins(config, permissions, logins)
    return texts


def _unread(permissions: Permissions) -> Iterator[str]:
    """Queues that somebody sends to, and nobody reads."""
    for rule in permissions.rules:
        if not rule.text.startswith("/queue"):
            continue
        send = _decides(permissions, rule, "send")
        consume = _decides(permissions, rule, "consume")
        if send is not None and _holds(send) and not (consume is not None and _holds(consume)):
            origin = consume.origin if consume is not None else rule.origin
            yield (
                f"{origin}: permissions: {rule.text}: somebody may send there ({send.origin}), and nobody may"
                " consume: what is sent stays"
            )


_ALL = ("all", "any", "anybody", "anyone", "everyone")
"""What somebody may write who means everybody; each is a login like others."""


def _decides(permissions: Permissions, rule: Rule, verb: str) -> Grant | None:
    """What decides about ``verb`` where only ``rule`` and wider patterns are."""
    for other in permissions.rules[permissions.rules.index(rule) :]:
        if verb in other.grants and (other is rule or contains(other.pattern, rule.pattern)):
            return other.grants[verb]
    return None


def _holds(grant: Grant) -> bool:
    return any(term.name != NOBODY for term in grant.terms)


def _graves(config: Config, permissions: Permissions) -> Iterator[str]:
    policies = policies_of(config)
    names = [policies.base.deadletter]
    names += [str(options["deadletter"]) for _, options in policies.given if "deadletter" in options]
    for name in dict.fromkeys(names):
        if not name or "%" in name:
            continue
        grant = permissions.grant("consume", name)
        if grant is None or not _holds(grant):
            where = f"{grant.origin}: " if grant is not None else ""
            yield f"{where}permissions: nobody may consume from {name}, a dead letter queue: nobody will see them"


def _logins(config: Config, permissions: Permissions, logins: Iterable[str] | None) -> Iterator[str]:
    named = {
        term.name for rule in permissions.rules for grant in rule.grants.values() for term in grant.terms
    }
    unused = [(name, origin) for name, _, origin in config.groups if not _reached(config, name, named)]
    for name, origin in unused:
        yield f"{origin}: groups: {name} is in no rule"
    if not config.auth:
        if named - {"everybody", NOBODY}:
            yield "permissions: name logins, and without auth nobody is found to be one: only everybody counts"
        return
    if logins is None:
        return
    known = set(logins)
    general = any(name in named for name in ("everybody", SELF))
    idle = [login for login in sorted(known) if not general and not permissions.names(login)]
    if idle:
        yield f"permissions: logins of .passwd that are in no rule, and may do nothing: {_some(idle)}"
    members = {who.name for _, text, _ in config.groups if text for who in parse_who(text)}
    strange = sorted(
        name
        for name in named | members
        if not name.startswith("@") and name not in ("everybody", NOBODY, SELF) and name not in known
    )
    if strange:
        meant = next((name for name in strange if name.lower() in _ALL), "")
        near = f"; did you mean everybody where it says {meant}?" if meant else ""
        yield f"permissions: logins that .passwd does not have: {_some(strange)}{near}"


def _reached(config: Config, name: str, named: set[str]) -> bool:
    """Whether a rule has the group, or a group that it is in."""
    if "@" + name in named:
        return True
    return any(
        "@" + name in {who.name for who in parse_who(text)} and _reached(config, other, named)
        for other, text, _ in config.groups
        if text
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def changes(old: Config, new: Config) -> list[str]:
    """One line for each verb of a pattern, and each group, that is other than before."""
    lines = []
    for what, before, after in (
        ("group", _groups(old), _groups(new)),
        ("permission", _grants(old), _grants(new)),
    ):
        for key in dict.fromkeys([*before, *after]):
            was, now = before.get(key), after.get(key)
            if was == now:
                continue
            if now is None:
                lines.append(f"{what} {key} is gone (was {was})")
            elif was is None:
                lines.append(f"{what} {key} is new: {now}")
            else:
                lines.append(f"{what} {key} changed: {now} (was {was})")
    return lines


def _groups(config: Config) -> dict[str, str]:
    return {name: text for name, text, _ in config.groups}


def _grants(config: Config) -> dict[str, str]:
    return {f"{pattern}: {verb}": who for pattern, _, grants in config.permissions for verb, who, _ in grants}


def _line(setting: str, origin: str) -> str:
    return f"{setting:<{_COLUMN}} # {one_line(origin)}"
