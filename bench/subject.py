"""What a server under measurement is: how to start it, how to talk to it, what it cannot do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """How to start one server and how to talk to it.

    `command(port, directory)` gives the arguments; `directory` is empty, temporary and the working
    directory, so a peer that needs configuration files writes them there.  It is ready when a CONNECT is
    answered by CONNECTED.
    """

    name: str
    command: Callable[[int, Path], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: Callable[[], str] = lambda: ""
    """Why it cannot be started on this machine; empty when it can."""
    start_seconds: float = 15.0
    warm_up_seconds: float = 0.5
    """Load before the first counted round of each scenario; a JVM wants 20."""
    later_warm_up_seconds: float | None = None
    """The same for a server that has been through one scenario already; None: as the first time."""
    settings: str = ""
    """How it is configured where that decides what a confirmation means; printed with the figures."""
    peer: bool = False
    """Somebody else's: kept running from scenario to scenario, and a failure is a dash and not the end."""
    patience: float = 10.0
    """Seconds of silence before it is given up."""
    protocol: str = "stomp"
    version: str = "1.2"
    connect_headers: tuple[tuple[str, str], ...] = (("host", "localhost"),)
    subscribe_headers: tuple[tuple[str, str], ...] = ()
    prefetch_header: str = "prefetch-count"
    queue_prefix: str = "/queue/"
    topic_prefix: str = "/topic/"
    cannot: Mapping[str, str] = field(default_factory=dict)
    """Scenario -> reason, for what it cannot do: the table shows a dash and the reason, never a zero."""
    only: tuple[str, ...] = ()
    """The scenarios that it is made for; empty: all that it can do."""
    weaknesses: Mapping[str, str] = field(default_factory=dict)
    """What it prints when it fails -> what is behind that, to be said with the failure."""

    def reason_against(self, scenario: str) -> str | None:
        """Why it is not measured in `scenario`; None when it is."""
        if self.only and scenario not in self.only:
            return f"made for {', '.join(self.only)} only"
        return self.cannot.get(scenario)
