"""A new token that a client sent to prolong its session, until it is checked."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stompserver.errors import ClientError


class Asker(metaclass=ABCMeta):
    """Who waits for an answer to a management frame."""

    __slots__ = ()

    @abstractmethod
    def give(self, action: str, content: dict[str, Any]) -> None:
        """Answer what came of ``action``."""

    @abstractmethod
    def refuse(self, action: str, problem: ClientError) -> None:
        """Answer why nothing came of it."""


class Renewal:
    """A new token that the shell is to check, and who waits for what comes of it."""

    __slots__ = ("answer", "passcode")

    def __init__(self, passcode: str, answer: Asker) -> None:
        self.passcode = passcode
        self.answer = answer
