"""The LMDB store."""

from __future__ import annotations

from stompserver.testing import StoreConformance, StoreMachine


class TestConformance(StoreConformance):
    kind = "lmdb"


class Machine(StoreMachine):
    kind = "lmdb"


TestMachine = Machine.TestCase
