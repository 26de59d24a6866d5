"""For tests: what every store must do, as a pytest-style class (``conformance``) and as a hypothesis machine
(``machine``), both against a dictionary (``double``).

::

    from stompserver.testing import StoreConformance, StoreMachine

    class TestMine(StoreConformance):
        def open(self, place):
            return MyStore(place)

    class Machine(StoreMachine):
        open = TestMine.open

    TestMachine = Machine.TestCase

Neither needs pytest; only StoreMachine needs hypothesis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.testing.conformance import StoreConformance
from stompserver.testing.double import Double, Model, drop, mark, message, put, remove

if TYPE_CHECKING:
    from stompserver.testing.machine import StoreMachine

__all__ = ["Double", "Model", "StoreConformance", "StoreMachine", "drop", "mark", "message", "put", "remove"]


def __getattr__(name: str) -> object:
    if name == "StoreMachine":
        from stompserver.testing.machine import StoreMachine

        return StoreMachine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
