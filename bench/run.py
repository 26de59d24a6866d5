"""The command line: which scenarios, which servers, how many rounds; and the interleaving."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import machine
from bench.case import Case, Scenario
from bench.receiver import CountError
from bench.report import Results, render
from bench.scenarios import SCENARIOS
from bench.subjects import SUBJECTS, Subject
from bench.target import StartError, Target

DEFAULT_SUBJECTS = "stompserver,prototype"
MOST_MESSAGES = 20_000_000


def parser() -> argparse.ArgumentParser:
    """The options; see bench/README.md."""
    options = argparse.ArgumentParser(
        prog="python -m bench",
        description="Give several STOMP servers the same load in one interleaved run and compare them.",
        epilog="Scenarios: "
        + "; ".join(f"{scenario.name} ({scenario.about})" for scenario in SCENARIOS.values()),
    )
    options.add_argument(
        "--scenario",
        default=",".join(SCENARIOS),
        metavar="NAME[,NAME]",
        help="what to measure (default: all)",
    )
    options.add_argument(
        "--subjects",
        default=DEFAULT_SUBJECTS,
        metavar="NAME[,NAME]",
        help=f"servers, the one to judge first (default: {DEFAULT_SUBJECTS}; known: {', '.join(SUBJECTS)})",
    )
    options.add_argument(
        "--rounds", type=int, default=5, help="rounds, servers in turn within each (default: 5)"
    )
    options.add_argument(
        "--seconds", type=float, default=1.0, help="about how long one measurement takes (default: 1)"
    )
    options.add_argument(
        "--messages", type=int, help="messages per measurement instead of --seconds, and in backlog"
    )
    options.add_argument("--json", type=Path, metavar="FILE", help="also write everything to FILE")
    options.add_argument(
        "--no-pin", action="store_true", help="do not tie server and generator to cores of their own"
    )
    return options


def chosen(text: str, known: Sequence[str], what: str) -> list[str]:
    """Split a comma list; raises ValueError naming what is not known."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}; known: {', '.join(known)}")
    if not names:
        raise ValueError(f"no {what} given")
    return list(dict.fromkeys(names))


class Run:
    """One invocation: keeps what all scenarios share."""

    def __init__(
        self, subjects: Sequence[Subject], rounds: int, seconds: float, messages: int | None, pin: bool
    ) -> None:
        self.subjects = subjects
        self.rounds = rounds
        self.seconds = seconds
        self.messages = messages
        self.cores = machine.split_cores() if pin else None
        self.results = Results()
        self.servers: dict[str, str] = {}

    def start(self, subject: Subject) -> Target:
        target = Target(subject, self.cores[0] if self.cores else None)
        self.servers[subject.name] = target.server_name
        return target

    def scenario(self, scenario: Scenario) -> None:
        """All rounds of one scenario.

        Each (subject, case) has a server of its own, started for the scenario; all but one are idle at a time.
        """
        able = []
        for subject in self.subjects:
            reason = subject.cannot.get(scenario.name)
            if reason is None:
                able.append(subject)
            else:
                for case in scenario.cases:
                    self.results.dash(case.metrics, subject.name, reason)
        with ExitStack() as stack:
            targets: dict[tuple[str, str], Target] = {}
            amounts: dict[tuple[str, str], int] = {}
            for subject in able:
                for case in scenario.cases:
                    key = subject.name, case.name
                    if case.fresh:
                        amounts[key] = (self.messages if case.adjustable else None) or case.fixed or 0
                        continue
                    targets[key] = stack.enter_context(self.start(subject))
                    amounts[key] = self.warm_up(targets[key], case)
                    if scenario.same_amount:
                        amounts[key] = amounts[subject.name, scenario.cases[0].name]
            for round in range(1, self.rounds + 1):
                for case in scenario.cases:
                    for subject in able:
                        key = subject.name, case.name
                        self.measure(round, case, subject, targets.get(key), amounts[key])
                for subject in able:
                    self.results.add_ratio(scenario, subject.name)
                say(f"{scenario.name}: round {round} of {self.rounds}")

    def warm_up(self, target: Target, case: Case) -> int:
        """Load the server until it is warm; returns how many messages fill one measurement."""
        sample = case.run(target, case.warm_up)
        rate = sample.messages / sample.seconds
        sample = case.run(target, max(case.warm_up, int(rate * target.subject.warm_up_seconds)))
        rate = sample.messages / sample.seconds
        return self.messages or min(MOST_MESSAGES, max(case.warm_up, int(rate * self.seconds)))

    def measure(self, round: int, case: Case, subject: Subject, target: Target | None, amount: int) -> None:
        """One round of one case on one server."""
        try:
            if target is not None:
                sample = case.run(target, amount)
            else:
                with self.start(subject) as target:
                    sample = case.run(target, amount)
        except CountError as error:
            printed = f"\n{subject.name} printed:\n{target.printed()}" if target else ""
            raise CountError(f"{subject.name}, {case.name}, round {round}: {error}{printed}") from error
        self.results.add(round, case.name, subject.name, case.metrics, sample)


def say(text: str) -> None:
    """Progress, kept out of the result on standard output."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 0, 1 when a server failed or lost a message, 2 for bad options."""
    options = parser().parse_args(arguments)
    try:
        scenarios = [SCENARIOS[name] for name in chosen(options.scenario, list(SCENARIOS), "scenario")]
        wanted = [SUBJECTS[name] for name in chosen(options.subjects, list(SUBJECTS), "subject")]
        if options.rounds < 1 or options.seconds <= 0 or (options.messages or 1) < 1:
            raise ValueError("--rounds, --seconds and --messages must be above 0")
    except ValueError as error:
        say(f"bench: {error}")
        return 2
    subjects = []
    for subject in wanted:
        reason = subject.missing()
        if reason:
            say(f"bench: {subject.name} is left out: {reason}")
        else:
            subjects.append(subject)
    if not subjects:
        say("bench: nothing left to measure")
        return 1
    run = Run(subjects, options.rounds, options.seconds, options.messages, not options.no_pin)
    known = machine.facts()
    known["cores_used"] = [sorted(cores) for cores in run.cores] if run.cores else None
    if run.cores:
        os.sched_setaffinity(0, run.cores[1])
    try:
        for scenario in scenarios:
            run.scenario(scenario)
    except (CountError, StartError) as error:
        say(f"bench: {error}")
        return 1
    names = [subject.name for subject in subjects]
    print(heading(known, run.servers))
    print()
    print(render(run.results, names))
    if options.json:
        settings = {"rounds": options.rounds, "seconds": options.seconds, "messages": options.messages}
        report = {
            "machine": known,
            "servers": run.servers,
            "settings": settings,
            **run.results.as_json(names),
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def heading(known: dict[str, object], servers: dict[str, str]) -> str:
    """Machine, versions and pinning, in three lines."""
    cores = known["cores_used"]
    pinned = (
        f"server on core {cores[0]}, generator on core {cores[1]}"
        if isinstance(cores, list)
        else "not pinned"
    )
    changed = f" with {known['changed_files']} changed files" if known["changed_files"] else ""
    return (
        f"{known['cpu']}, {known['cores']} cores, {known['memory_mib']} MiB, {known['kernel']}; {pinned}\n"
        f"{known['python']}, uvloop {known['uvloop'] or 'not installed'}, commit {known['commit']}{changed}; "
        f"load before the run {known['load_before']:.2f}\n"
        + "; ".join(f"{name}: {server or 'does not name itself'}" for name, server in servers.items())
    )
