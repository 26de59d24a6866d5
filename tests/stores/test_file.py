"""The file store."""

from __future__ import annotations

from stompserver.testing import StoreConformance, StoreMachine


class TestConformance(StoreConformance):
    kind = "file"


class Machine(StoreMachine):
    kind = "file"


TestMachine = Machine.TestCase
