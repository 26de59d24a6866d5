"""The attacks of `--scenario hostile`, with a few of everything: do they run, and what is made of the figures?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from bench.hostile.attack import MIB, Figures
from bench.hostile.table import ATTACKS, markdown, render
from bench.run import main


def attacked(tmp_path: Path, names: str) -> dict[str, dict[str, dict[str, object]]]:
    report = tmp_path / "report.json"
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- hostile -->\nold\n<!-- /hostile -->\nbehind\n")
    options = ["--python", sys.executable, "--scale", "0.002", "--attack", names]
    assert main(["--scenario", "hostile", *options, "--json", str(report), "--page", str(page)]) == 0
    text = page.read_text()
    assert "| attack | after: " in text and "old" not in text
    assert text.startswith("before\n") and text.endswith("\nbehind\n")
    return json.loads(report.read_text())["attacks"]


def test_attacks_on_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = attacked(tmp_path, "acks,commit lmdb")
    for name in ("acks", "commit lmdb"):
        figures = found[name]["after"]
        assert not figures["died"], figures
        assert not figures["never"], figures
        assert 0 < float(str(figures["turn"])) < 10
        assert 0 < float(str(figures["p99"])) <= float(str(figures["longest"]))
    assert " of 2 over the goal; worst: " in capsys.readouterr().out


@pytest.mark.long
def test_an_attack_on_memory(tmp_path: Path) -> None:
    figures = attacked(tmp_path, "expiry")["expiry"]["after"]
    assert 10 * MIB < float(str(figures["before"])) <= float(str(figures["peak"]))
    assert figures["over"] == ""


def test_what_is_not_known_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scenario", "hostile", "--python", "python", "--attack", "nothing"]) == 2
    assert "unknown attack 'nothing'" in capsys.readouterr().err


def test_what_is_over_the_goal() -> None:
    turn, memory = ATTACKS["plain"], ATTACKS["expiry"]
    assert Figures("", turn=0.049, p99=0.019).over(turn) == ""
    assert Figures("", turn=0.051, turn_cpu=0.051, p99=0.021).over(turn) == "turn, p99"
    assert Figures("", turn=0.051, turn_cpu=0.001).over(turn) == "turn?"
    assert Figures("", never=True).over(turn) == "never"
    assert Figures("", died=True).over(turn) == "the server ended"
    assert Figures("", peak=memory.limit + 64 * MIB).over(memory) == ""
    assert Figures("", peak=memory.limit + 65 * MIB, missed="locked").over(memory) == "memory, locked"


def test_the_worst_is_named() -> None:
    results = {
        "plain": {"before": Figures("", turn=3.0, longest=3.1, p99=0.5), "after": Figures("", turn=0.01)},
        "tiny": {"before": Figures("no answer", never=True), "after": Figures("", turn=0.002)},
        "expiry": {"before": Figures("", peak=300 * MIB), "after": Figures("", peak=100 * MIB)},
    }
    text = render(results, ("before", "after"))
    assert "before: 2 of 2 over the goal; worst: tiny" in text
    assert "after: 0 of 2 over the goal; worst: plain" in text
    assert "300 MiB at a limit of 64" in text
    assert "| 3,000.0 | 3,100.0 | 500.0 | 10.0 |" in markdown(results, ("before", "after"))
