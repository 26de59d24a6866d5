"""Places of accounts that others wrote: entry points of the group ``stompserver.accounts``."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Final

from stompserver.errors import ConfigError
from stompserver.security.account import Elsewhere

GROUP: Final = "stompserver.accounts"


def known() -> list[str]:
    """The names of those that are installed."""
    return sorted({point.name for point in metadata.entry_points(group=GROUP)})


def plug_in(name: str, etcdir: Path) -> Elsewhere | None:
    """What the entry point of that name makes when it is called with the folder of configuration files; None where
    there is none. Raises ConfigError.
    """
    found = [point for point in metadata.entry_points(group=GROUP) if point.name.lower() == name]
    if not found:
        return None
    try:
        made = found[0].load()(etcdir)
    except Exception as problem:
        # Whatever is wrong with it is for who installed it.
        raise ConfigError(
            f"accounts: the plug-in {name} cannot be used: {type(problem).__name__}: {problem}"
        ) from problem
    if not isinstance(made, Elsewhere):
        raise ConfigError(
            f"accounts: the plug-in {name} made {type(made).__name__}, no stompserver.security.account.Elsewhere"
        )
    made.name = name
    return made
