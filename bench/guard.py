"""`python -m bench.guard COMMIT`: this tree against a commit in one interleaved run; ends with 1 when it is worse.

Both are installed the same way, each with its own dependencies in a virtual environment of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.build import BuildError, checked_out, commit_of, venv_home
from bench.report import Results, render, table
from bench.run import Run, heading, say, stop_servers_when_told_to
from bench.scenarios import SCENARIOS
from bench.shapes import table as shapes
from bench.subject import Subject
from bench.subjects import ROOT, STORES, Home, stompserver

IN_MEMORY = (
    "auto",
    "individual",
    "cumulative",
    "receipt",
    "transactions",
    "fanout5",
    "latency",
    "idle",
    "growth",
)
ON_LMDB = ("persistent", "persistent-fill", "drain")
ASKED = ("clients",)
"""In memory, and only when it is named: it has many cases."""
KNOWN = (*IN_MEMORY, *ON_LMDB, *ASKED)
TOLERATED = ("latency p99",)
"""Shown, not judged: the slowest hundredth of a second's messages is the machine's."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`loss` (0.1: a tenth slower, or larger) and `noise` of one metric; what is past both is `worse`."""

    metric: str
    head: float
    base: float
    loss: float
    noise: float
    worse: bool


def spread(values: Sequence[float]) -> float:
    """Half the width of the middle half of the rounds, by their median; what a measurement is out by, by itself."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / statistics.median(values)


def compare(results: Results, head: str, base: str, allowed: float) -> list[Finding]:
    """One finding for each metric that both have.

    A rate is judged by the server's CPU time for a message, in us: other work on the machine takes time from the
    clock, hardly any from this.
    """
    findings = []
    for name, metric in results.metrics.items():
        heads, bases = results.server_us(name, head), results.server_us(name, base)
        by_cpu = bool(heads and bases)
        if not by_cpu:
            values = results.values.get(name, {})
            heads, bases = values.get(head, []), values.get(base, [])
        ratios = [now / then for now, then in zip(heads, bases, strict=False) if then]
        if not ratios:
            continue
        ratio = statistics.median(ratios)
        loss = 1 - ratio if metric.more_is_better and not by_cpu else ratio - 1
        noise = max(spread(heads), spread(bases))
        worse = loss > allowed + noise and name not in TOLERATED
        label = f"{name}, us of CPU" if by_cpu else name
        medians = statistics.median(heads), statistics.median(bases)
        findings.append(Finding(label, medians[0], medians[1], loss, noise, worse))
    return findings


def text_of(findings: Sequence[Finding], base: str, allowed: float) -> str:
    rows = [
        [
            found.metric,
            f"{found.base:,.3f}",
            f"{found.head:,.3f}",
            f"{-found.loss:+.1%}",
            f"{found.noise:.1%}",
            "WORSE" if found.worse else "",
        ]
        for found in findings
    ]
    worse = sum(found.worse for found in findings)
    verdict = f"{worse} worse" if worse else "nothing is worse"
    return (
        f"This tree against {base}; worse is past {allowed:.0%} and the noise of the rounds\n"
        + table(["", "then", "now", "change", "noise", ""], rows)
        + f"\n{verdict}"
    )


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m bench.guard",
        description="Compare this tree with a commit; end with 1 when it is worse.",
    )
    options.add_argument("commit", help="what to compare with")
    options.add_argument("--rounds", type=int, default=9, help="rounds of each scenario (default: 9)")
    options.add_argument("--seconds", type=float, default=1.0, help="seconds of a measurement (default: 1)")
    options.add_argument("--loss", type=float, default=2.0, help="per cent that may be lost (default: 2)")
    options.add_argument(
        "--scenario",
        default="",
        metavar="NAME[,NAME]",
        help=f"of {', '.join(KNOWN)} (default: all but {', '.join(ASKED)})",
    )
    options.add_argument("--json", type=Path, metavar="FILE", help="also write the findings to FILE")
    return options


def measured(homes: Sequence[tuple[str, Home]], wanted: Sequence[str], rounds: int, seconds: float) -> Run:
    """Both servers through all scenarios, in turn."""
    run = Run(rounds, seconds, None, True)
    if run.cores:
        os.sched_setaffinity(0, run.cores[1])
    for names, store in (((*IN_MEMORY, *ASKED), ""), (ON_LMDB, "-lmdb")):
        subjects: list[Subject] = [stompserver(name, home, STORES[store]) for name, home in homes]
        for name in names:
            if name in wanted:
                run.scenario(SCENARIOS[name], subjects, rounds, seconds)
    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when nothing is worse, 1 when something is or failed, 2 for bad options."""
    options = parser().parse_args(arguments)
    wanted = [name.strip() for name in options.scenario.split(",") if name.strip()]
    wanted = wanted or [*IN_MEMORY, *ON_LMDB]
    unknown = [name for name in wanted if name not in KNOWN]
    if unknown:
        say(f"bench: unknown scenario {unknown[0]!r}; known: {', '.join(KNOWN)}")
        return 2
    facts = machine.facts()
    try:
        commit = commit_of(options.commit)
        with tempfile.TemporaryDirectory(prefix="bench-guard-") as room:
            say(f"bench: installing {commit} and this tree (some minutes)")
            with checked_out(commit, Path(room, "tree")) as tree:
                base = venv_home(tree, Path(room, "base"))
            head = venv_home(ROOT, Path(room, "head"))
            kinds = ["compiled" if home.compiled() else "interpreted" for home in (base, head)]
            run = measured((("now", head), ("then", base)), wanted, options.rounds, options.seconds)
    except BuildError as error:
        say(f"bench: {error}")
        return 2
    facts["cores_used"] = [sorted(cores) for cores in run.cores] if run.cores else None
    allowed = options.loss / 100
    findings = compare(run.results, "now", "then", allowed)
    print(heading(facts, run.servers))
    print(f"then: {kinds[0]}; now: {kinds[1]}")
    print()
    print(render(run.results, ["now", "then"]))
    print()
    if text := shapes.render(run.results, ["now", "then"]):
        print(text)
        print()
    print(text_of(findings, commit, allowed))
    if options.json:
        rows = [
            {
                "metric": found.metric,
                "now": found.head,
                "then": found.base,
                "loss": found.loss,
                "noise": found.noise,
                "worse": found.worse,
            }
            for found in findings
        ]
        report = {"machine": facts, "commit": commit, "findings": rows, "failures": run.failures}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    for failure in run.failures:
        say(f"bench: {failure}")
    return 1 if run.failures or any(found.worse for found in findings) else 0


if __name__ == "__main__":
    stop_servers_when_told_to()
    sys.exit(main())
