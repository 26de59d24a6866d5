"""The pages about stores against the code: the contract's methods, the ERROR of a full disk, the log's lines."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from stompserver.broker.broker import Broker, Rules
from stompserver.broker.message import Message
from stompserver.broker.oplog import PUT, OpLog
from stompserver.config.options import QUEUE_TYPES
from stompserver.errors import Refused, StoreError
from stompserver.server.storage import trouble
from stompserver.stores.base import STORES, Store

ROOT = Path(__file__).parents[2]
FULL = (ROOT / "docs/how-to/when-the-disk-is-full.md").read_text()
CHOOSE = (ROOT / "docs/how-to/choose-a-store.md").read_text()
CONTRACT = (ROOT / "docs/reference/store-contract.md").read_text()


def test_every_store_is_compared() -> None:
    assert set(QUEUE_TYPES) == set(STORES)
    assert set(re.findall(r"^\| `(\w+)` \|", CHOOSE, re.MULTILINE)) >= set(STORES)
    [head] = re.findall(r"^\| \|( `memory` \|.*)$", CHOOSE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", head)) == set(STORES)


def test_the_error_of_a_full_disk_is_the_one_shown() -> None:
    broker = Broker(Rules(), OpLog(True), 1)
    broker.room = 0
    with pytest.raises(Refused) as refused:
        broker.send(Message("/queue/a", {}, b"", 1000))
    shown = re.findall(r'```text title="error"\n(.*?)```', FULL, re.DOTALL)[0]
    assert [line.strip() for line in shown.splitlines() if line.strip()] == (
        refused.value.explanation().strip().splitlines()
    )
    assert broker.log.position == 0


def test_what_needs_no_disk_goes_on_when_it_is_full() -> None:
    broker = Broker(Rules(), OpLog(True), 1)
    broker.room = 0
    broker.send(Message("/topic/a", {}, b"", 1000))
    broker.send(Message("/queue/a", {}, b"", 1000, persistent=False))
    assert not any(op.kind == PUT for op in broker.log.drain()[1])


def test_lines_of_the_log_are_the_code_s() -> None:
    source = Path(trouble.__file__).read_text()
    for text in re.findall(r"^\| `(.+?)(?:: \.\.\.)?` \| `(\w+)` \|$", FULL, re.MULTILINE):
        for part in text:
            assert part in source
    assert "The store failed: " in FULL
    assert "The store failed: %s" in source


def test_the_contract_s_page_has_its_methods() -> None:
    methods = {name for name in vars(Store) if not name.startswith("_") and callable(getattr(Store, name))}
    table = CONTRACT.partition("<!-- methods: begin -->")[2].partition("<!-- methods: end -->")[0]
    assert set(re.findall(r"^\| `(\w+)\(", table, re.MULTILINE)) == methods
    table = CONTRACT.partition("<!-- attributes: begin -->")[2].partition("<!-- attributes: end -->")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(get_type_hints(Store))
    kin = {StoreError, *StoreError.__subclasses__()}
    raised = CONTRACT.partition("| it raises |")[2].partition("##")[0]
    assert set(re.findall(r"^\| `(Store\w+)` \|", raised, re.MULTILINE)) == {each.__name__ for each in kin}


def test_the_contract_s_example_runs(tmp_path: Path, blocks: Callable[[str], Any]) -> None:
    [example] = [block for block in blocks(CONTRACT) if block.title]
    (tmp_path / example.title).write_text(example.text)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-k",
        "new_store",
        "-p",
        "no:cacheprovider",
        example.title,
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    assert "1 passed" in run.stdout
