"""What a scenario is: a small play with literal frames, and what it shows with each broker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.peers.stage import Stage

# Why stompserver shows something else, where that is so in many scenarios.
ENDS = "every ERROR ends the connection, as STOMP wants it"
LENGTH = "every MESSAGE says how long it is; ActiveMQ takes one without `content-length` for text"
RECEIPT_ID = "the ERROR says which frame it is about"

Play = Callable[[Stage], str]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``play`` returns what was seen, in one line."""

    name: str
    group: str
    does: str
    """What is done, for the page."""
    play: Play
    seen: dict[str, str]
    """By ``rabbitmq`` and ``activemq``: what that broker shows. Without a word the broker has nothing like it."""
    here: dict[str, tuple[str, str]]
    """By the same words: what stompserver shows in that dialect when it is something else, and why."""

    def expected(self, words: str, ours: bool) -> str:
        """What this broker, or stompserver in its dialect, is to show."""
        return self.here[words][0] if ours and words in self.here else self.seen[words]


class Group:
    """A heading of the page, and the scenarios below it."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.scenarios: list[Scenario] = []

    def scenario(
        self,
        does: str,
        rabbitmq: str | None = None,
        activemq: str | None = None,
        here_rabbitmq: tuple[str, str] | None = None,
        here_activemq: tuple[str, str] | None = None,
        both: str | None = None,
    ) -> Callable[[Play], Play]:
        """``both`` is what both show; the pairs are what stompserver shows instead, and why."""
        seen = {"rabbitmq": rabbitmq or both, "activemq": activemq or both}
        here = {"rabbitmq": here_rabbitmq, "activemq": here_activemq}

        def add(play: Play) -> Play:
            self.scenarios.append(
                Scenario(
                    name=play.__name__,
                    group=self.title,
                    does=does,
                    play=play,
                    seen={words: text for words, text in seen.items() if text is not None},
                    here={words: pair for words, pair in here.items() if pair is not None},
                )
            )
            return play

        return add
