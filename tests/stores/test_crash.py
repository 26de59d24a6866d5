"""kill -9 and power cuts: what was acknowledged is there, a batch is there whole or not at all."""

from __future__ import annotations

import random
import runpy
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from stompserver.testing.double import contents, counted

CHILD = Path(__file__).with_name("crash_child.py")
child = SimpleNamespace(**runpy.run_path(str(CHILD)))

KINDS = ("lmdb", "file")


def check(kind: str, directory: Path, seed: int, acknowledged: int) -> int:
    """How many batches are there: those acknowledged, and perhaps the one at which it died."""
    store = child.open_at(kind, directory)
    try:
        loaded = counted(store.load())
        found = contents(store)
        for count in (acknowledged, acknowledged + 1):
            model = child.model_after(seed, count)
            if found == model.held:
                assert loaded == model.counts()
                return count
        model = child.model_after(seed, acknowledged)
        lost = {
            (queue, key)
            for queue, held in model.held.items()
            for key in held
            if key not in found.get(queue, {})
        }
        more = {
            (queue, key)
            for queue, held in found.items()
            for key in held
            if key not in model.held.get(queue, {})
        }
        pytest.fail(f"after {acknowledged} batches: lost {sorted(lost)}, more {sorted(more)}")
    finally:
        store.close()


def kill_at_random(kind: str, directory: Path, kills: int, seed: int) -> None:
    """Start, kill at a random moment, look, go on from there."""
    chance = random.Random(seed)
    done = 0
    for _ in range(kills):
        command = [sys.executable, str(CHILD), "run", kind, str(directory), str(seed), str(done)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(chance.randrange(1, 30))]
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 0.004))
            process.kill()
            said += process.stdout.readlines()
        assert process.returncode == -9
        done = check(kind, directory, seed, int(said[-1]))
    assert done > kills


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random(kind: str, tmp_path: Path) -> None:
    kill_at_random(kind, tmp_path, 4, random.randrange(1 << 30))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_killed_often(kind: str, tmp_path: Path) -> None:
    kill_at_random(kind, tmp_path, 50, random.randrange(1 << 30))


def die_at_each_point(mode: list[str], kind: str, directory: Path, seed: int, count: int) -> int:
    command = [sys.executable, str(CHILD), *mode, str(directory), str(seed), str(count)]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    for line in said:
        point, acknowledged = line.split()
        check(kind, directory / point, seed, int(acknowledged))
    return len(said)


def test_killed_at_each_call(quick_path: Path) -> None:
    # LMDB makes its calls where Python does not see them: it is killed at random only.
    assert die_at_each_point(["points", "file"], "file", quick_path, random.randrange(1 << 30), 3) > 25


@pytest.mark.long
def test_killed_at_each_call_of_many(quick_path: Path) -> None:
    assert die_at_each_point(["points", "file"], "file", quick_path, random.randrange(1 << 30), 40) > 400


def test_power_cut_at_each_call(quick_path: Path) -> None:
    assert die_at_each_point(["power"], "file", quick_path, random.randrange(1 << 30), 5) > 20


@pytest.mark.long
def test_power_cut_at_each_call_of_many(quick_path: Path) -> None:
    assert die_at_each_point(["power"], "file", quick_path, random.randrange(1 << 30), 60) > 400
