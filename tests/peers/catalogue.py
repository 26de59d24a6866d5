"""All scenarios, in the order of the page."""

from __future__ import annotations

from tests.peers import acknowledging, connecting, later, prefetching, returning, sending, subscribing
from tests.peers.scenario import Group, Scenario
from tests.peers.stage import SetupError, Stage

GROUPS: list[Group] = [
    acknowledging.GROUP,
    returning.GROUP,
    prefetching.GROUP,
    subscribing.GROUP,
    sending.GROUP,
    sending.TRANSACTIONS,
    later.GROUP,
    connecting.GROUP,
    connecting.TEMPORARY,
]
SCENARIOS: list[Scenario] = [each for group in GROUPS for each in group.scenarios]


def seen(scenario: Scenario, port: int, words: str, quiet: float) -> str:
    """What the broker at this port shows, in one line; what went wrong on the way is such a line, too."""
    stage = Stage(port, words, quiet)
    try:
        return stage.plain(scenario.play(stage))
    except (SetupError, OSError, StopIteration) as error:
        return stage.plain(f"{type(error).__name__}: {error}")
    finally:
        stage.close()
