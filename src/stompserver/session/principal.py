"""Who a client is, and the questions about what it may do."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

SEND: Final = "send"
CONSUME: Final = "consume"
BROWSE: Final = "browse"
CREATE: Final = "create"
DURABLE: Final = "durable"
MANAGE: Final = "manage"
VIEW: Final = "view"

VERBS: Final = (SEND, CONSUME, BROWSE, CREATE, DURABLE, MANAGE, VIEW)
"""What a client can do with a destination: send to it; subscribe to it, or only look; have a queue made by naming it;
make, use and delete the durable subscription whose queue it is; pause, purge, redrive, delete or cancel; see numbers.
"""


# Compiled classes have no interpreted children unless they say so.
@mypyc_attr(allow_interpreted_subclasses=True)
class Principal:
    """Who a client is: the server has found ``login`` to be true; None is nobody in particular. All connections of a
    login may share one.
    """

    __slots__ = ("login",)

    def __init__(self, login: str | None = None) -> None:
        self.login = login

    def may(self, verb: str, name: str) -> bool:
        """Whether it may do ``verb``, one of VERBS, with the destination that the broker calls ``name``, which can be
        a pattern. Everybody may do everything.
        """
        return True


ANYBODY: Final = Principal()
"""Whoever connects where no login is checked."""
