"""What a configuration file says, as text."""

from __future__ import annotations

from dataclasses import dataclass, field

Given = dict[str, tuple[str | None, str]]
"""By canonical key the text and where it was written."""
SECTIONS = ("policies", "listeners", "users", "groups", "permissions")
"""What has keys of its own; only the file has them."""


@dataclass(frozen=True, slots=True)
class Section:
    """A pattern of ``policies`` or ``permissions``, an item of ``listeners`` or a login of ``users``, with what is
    under it.
    """

    name: str
    origin: str
    given: Given


@dataclass(slots=True)
class Contents:
    """What a file says."""

    given: Given = field(default_factory=dict)
    policies: list[Section] = field(default_factory=list)
    listeners: list[Section] = field(default_factory=list)
    users: list[Section] = field(default_factory=list)
    groups: Given = field(default_factory=dict)
    permissions: list[Section] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
