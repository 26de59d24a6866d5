"""From the policies of the configuration to those of the broker, and what there is to say about them."""

from __future__ import annotations

from collections.abc import Iterator

from stompserver.broker.names.pattern import Pattern, contains
from stompserver.broker.names.policy import Policies, Policy, Value
from stompserver.broker.queues.overflow import DEAD_LETTER
from stompserver.config import Config, Loaded, values
from stompserver.config.option import attribute_of
from stompserver.config.policies import GLOBAL, PolicyOptions, value_as_text
from stompserver.server.process.logs import one_line

_COLUMN = 40


def policies_of(config: Config) -> Policies:
    """The policies of a configuration; its options hold where no pattern sets them."""
    base = Policy().changed({attribute_of(key): getattr(config, attribute_of(key)) for key in GLOBAL})
    return Policies([(Pattern(text), _set_by(options)) for text, options in config.policies], base)


def _set_by(options: PolicyOptions) -> dict[str, Value]:
    return {name: getattr(options, name) for name in options.model_fields_set}


def circles(config: Config) -> list[str]:
    """One warning for each circle of dead letter queues: their messages would go round in it, by their time or for
    want of room. Only queues that the configuration names can be seen here.
    """
    policies = policies_of(config)
    names = {pattern.text for pattern, _ in policies.given if pattern.exact}
    names |= {text for text in [policies.base.deadletter, *_graves(policies)] if text and "%" not in text}
    found: dict[frozenset[str], str] = {}
    for start in sorted(names):
        passed: list[str] = []
        name = start
        while name and name not in passed:
            passed.append(name)
            name = _handed_on(policies, name)
        if name == start:
            text = " -> ".join([*passed, start])
            found.setdefault(
                frozenset(passed),
                f"policies: dead letters go round in a circle, {text}: what no consumer takes from there stays in one"
                " of these queues, above its limits or its time",
            )
    return list(found.values())


def _graves(policies: Policies) -> Iterator[str]:
    for _, options in policies.given:
        if "deadletter" in options:
            yield str(options["deadletter"])


def _handed_on(policies: Policies, name: str) -> str:
    """Where messages of that queue go that no consumer refused, or ""."""
    policy = policies.find(name)
    full = policy.overflow == DEAD_LETTER and (policy.max_messages or policy.max_bytes)
    late = policy.expired == "deadletter" and (policy.ttl or policy.max_ttl)
    following = policies.deadletter_of(policy, name) if full or late else ""
    return following if following != name else ""


def changes(old: Config, new: Config) -> list[str]:
    """One line for each pattern whose policy differs: what is set now, and what was before."""
    before, after = dict(old.policies), dict(new.policies)
    lines = []
    for pattern in dict.fromkeys([*before, *after]):
        was, now = before.get(pattern), after.get(pattern)
        if was == now:
            continue
        if now is None:
            lines.append(f"policy {pattern} is gone")
        elif was is None:
            lines.append(f"policy {pattern} is new: {_written(now, sorted(now.model_fields_set))}")
        else:
            lines.append(f"policy {pattern} changed: {_difference(was, now)}")
    return lines


def _written(options: PolicyOptions, names: list[str]) -> str:
    return ", ".join(f"{name.replace('_', '-')}: {_text(name, getattr(options, name))}" for name in names)


def _difference(was: PolicyOptions, now: PolicyOptions) -> str:
    parts = []
    for name in type(now).model_fields:
        before = _text(name, getattr(was, name)) if name in was.model_fields_set else "not set"
        after = _text(name, getattr(now, name)) if name in now.model_fields_set else "not set"
        if before != after:
            parts.append(f"{name.replace('_', '-')}: {after} (was {before})")
    return ", ".join(parts)


def _text(name: str, value: object) -> str:
    return value_as_text(name.replace("_", "-"), value) or '""'


def _quoted(key: str, value: object) -> str:
    return values.quoted(value_as_text(key, value)) or '""'


def described(loaded: Loaded) -> Iterator[str]:
    """The policies as a section of a configuration file, the most specific first; each option with its origin, and
    as a comment what is inherited from a less specific pattern.
    """
    if not loaded.policies:
        return
    origins = {section.name: section for section in loaded.policies}
    options = dict(loaded.config.policies)
    ordered = [pattern for pattern, _ in reversed(policies_of(loaded.config).given)]
    yield "\n# Policies, the most specific first"
    yield "policies:"
    for index, pattern in enumerate(ordered):
        section = origins[pattern.text]
        yield _line(f"  {values.quoted(pattern.text)}:", section.origin)
        for key, (_, origin) in section.given.items():
            value = getattr(options[pattern.text], attribute_of(key))
            yield _line(f"    {key}: {_quoted(key, value)}", origin)
        seen = set(section.given)
        for wider in ordered[index + 1 :]:
            if not contains(wider, pattern):
                continue
            for key, (_, origin) in origins[wider.text].given.items():
                if key not in seen:
                    seen.add(key)
                    value = getattr(options[wider.text], attribute_of(key))
                    yield _line(f"    # {key}: {_quoted(key, value)}", f"{wider.text}, {origin}")


def _line(setting: str, origin: str) -> str:
    return f"{setting:<{_COLUMN}} # {one_line(origin)}"
