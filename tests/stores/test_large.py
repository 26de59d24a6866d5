"""The conformance kit at the sizes of a large server: bodies of 100 MiB, 10,000 queues. LMDB is always tested so."""

from __future__ import annotations

from pathlib import Path

import pytest

from stompserver.testing import StoreConformance

pytestmark = [pytest.mark.long, pytest.mark.parametrize("kind", ["file", "dbm", "activerecord"])]


class Large(StoreConformance):
    largest = 100 << 20
    queues = 10_000

    def __init__(self, kind: str) -> None:
        self.kind = kind


def test_a_body_of_100_mib(kind: str, tmp_path: Path) -> None:
    Large(kind).test_bodies_of_all_lengths(tmp_path)


def test_ten_thousand_queues(kind: str, tmp_path: Path) -> None:
    Large(kind).test_many_queues(tmp_path)
