"""Who a client is, and the questions about what it may do."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from stompserver.session.usage import Usage

SEND: Final = "send"
CONSUME: Final = "consume"
BROWSE: Final = "browse"
CREATE: Final = "create"
DURABLE: Final = "durable"
MANAGE: Final = "manage"
VIEW: Final = "view"

NO_GROUPS: Final[frozenset[str]] = frozenset()

VERBS: Final = (SEND, CONSUME, BROWSE, CREATE, DURABLE, MANAGE, VIEW)
"""What a client can do with a destination: send to it; subscribe to it, or only look; have a queue made by naming it;
make, use and delete the durable subscription whose queue it is; pause, purge, redrive, delete or cancel; see numbers.
"""


SERVER: Final = "$server"
"""What is asked for where no destination is meant but the server as a whole: a name that only patterns such as ``#``
have.
"""


# Compiled classes have no interpreted children unless they say so.
@mypyc_attr(allow_interpreted_subclasses=True)
class Principal:
    """Who a client is: the server has found ``login`` to be true; None is nobody in particular. All connections of a
    login may share one. ``groups`` are those that its account says it is in, beside those of the configuration;
    ``expires`` is when what proved the login does (Unix time, s; None: never), ``allowance`` what its account says
    that it may have, and ``usage`` what it has, where that is limited: both are the shell's to set.

    This one may do everything; ``limited`` tells whether any may not, and ``observes`` that what one may not do is
    noted, and done.
    """

    __slots__ = ("allowance", "expires", "groups", "limited", "login", "observes", "usage")

    def __init__(
        self,
        login: str | None = None,
        groups: frozenset[str] = NO_GROUPS,
        expires: float | None = None,
        allowance: object = None,
    ) -> None:
        self.login = login
        self.groups = groups
        self.expires = expires
        self.allowance = allowance
        self.usage: Usage | None = None
        self.limited: bool = False
        self.observes: bool = False

    def may(self, verb: str, name: str) -> bool:
        """Whether it may do ``verb``, one of VERBS, with the destination that the broker calls ``name``; with a
        pattern: whether with any destination that fits it.
        """
        return True

    def may_all(self, verb: str, name: str) -> bool:
        """Likewise, with all destinations that fit ``name`` where that is a pattern."""
        return self.may(verb, name)

    def rules(self, verb: str, name: str) -> bool:
        """Whether something is said of ``verb`` for ``name``, the queue of a durable subscription; else that goes by
        its topics.
        """
        return False

    def why(self, verb: str, name: str) -> str:
        """For the log: what decided that it may not."""
        return ""

    def judge(
        self, login: str | None, address: str, verb: str, name: str, topics: list[str]
    ) -> tuple[bool, str]:
        """Whether somebody else with that ``login`` and ``address`` may, and what decides it. ``name`` is fed by
        ``topics`` where it is the queue of a durable subscription.
        """
        return True, "there is no section permissions: everybody may do everything"


ANYBODY: Final = Principal()
"""Whoever connects where no login is checked."""
