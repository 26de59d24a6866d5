"""The command line: which scenarios, which servers, how many rounds; and the interleaving."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench import goals, machine
from bench.build import BuildError, compiled_home
from bench.case import Cannot, Case, Scenario
from bench.goals import judge
from bench.hostile import run as hostile
from bench.plan import MEMORY, PEERS, PLAN, Step
from bench.receiver import CountError
from bench.report import Results, render
from bench.scenarios import SCENARIOS
from bench.shapes import table
from bench.shapes.cases import cases
from bench.shapes.parts import SHAPES
from bench.subject import Subject
from bench.subjects import SOURCE, SUBJECTS, Home, known
from bench.target import StartError, Target

DEFAULT_SUBJECTS = "stompserver,prototype"
HOSTILE = "hostile"
MOST_MESSAGES = 20_000_000
QUICK = 0.05
"""What --quick leaves of warm-up and of fixed amounts."""
SOON = 0.5
"""Seconds of load for a server that is warm but for its last bit."""


def parser() -> argparse.ArgumentParser:
    """The options; see bench/README.md."""
    options = argparse.ArgumentParser(
        prog="python -m bench",
        description="Give several STOMP servers the same load in one interleaved run and compare them.",
        epilog="Scenarios: "
        + "; ".join(
            f"{scenario.name} ({scenario.about}{', asked for' if scenario.asked else ''})"
            for scenario in SCENARIOS.values()
        )
        + f"; {HOSTILE} (what one client can do to everybody else, asked for, alone)",
    )
    options.add_argument(
        "--scenario",
        metavar="NAME[,NAME]",
        help="what to measure (default: all but those that say (asked for))",
    )
    options.add_argument(
        "--subjects",
        metavar="NAME[,NAME]",
        help=f"servers, the one to judge first (default: {DEFAULT_SUBJECTS}; known: {', '.join(SUBJECTS)})",
    )
    options.add_argument(
        "--rounds",
        type=int,
        help="rounds, servers in turn within each (default: 5, with --peers 3)",
    )
    options.add_argument(
        "--seconds", type=float, default=1.0, help="about how long one measurement takes (default: 1)"
    )
    options.add_argument(
        "--messages", type=int, help="messages per measurement instead of --seconds, and in backlog"
    )
    options.add_argument(
        "--minutes", type=int, default=1, help="how long the scenario `long` takes (default: 1)"
    )
    options.add_argument(
        "--peers",
        action="store_true",
        help="compiled, against the other brokers, judged by what it must reach",
    )
    options.add_argument(
        "--quick",
        action="store_true",
        help="one short round of everything: does it work? No figures to quote",
    )
    options.add_argument("--compiled", action="store_true", help="compile the server under measurement first")
    options.add_argument(
        "--python", metavar="PATH", help="measure the stompserver that is installed for this interpreter"
    )
    options.add_argument(
        "--shape", metavar="NAME[,NAME]", help=f"of the scenario clients: {', '.join(SHAPES)} (default: all)"
    )
    options.add_argument("--json", type=Path, metavar="FILE", help="also write everything to FILE")
    options.add_argument(
        "--no-pin", action="store_true", help="do not tie server and generator to cores of their own"
    )
    hostile.add_options(options)
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
    """One invocation: keeps what all scenarios share, and the peers that run from one to the next."""

    def __init__(
        self,
        rounds: int,
        seconds: float,
        messages: int | None,
        pin: bool,
        *,
        minutes: int = 1,
        haste: float = 1.0,
    ) -> None:
        self.rounds = rounds
        self.seconds = seconds
        self.messages = messages
        self.minutes = minutes
        self.haste = haste
        """Share of the warm-up, and of amounts that --seconds does not change."""
        self.cores = machine.split_cores() if pin else None
        self.results = Results()
        self.servers: dict[str, str] = {}
        self.kept: dict[str, Target] = {}
        self.failures: list[str] = []

    def start(self, subject: Subject) -> Target:
        target = Target(subject, self.cores[0] if self.cores else None)
        self.servers[subject.name] = target.server_name
        return target

    def stop(self) -> None:
        """Stop the peers that are still running."""
        while self.kept:
            self.kept.popitem()[1].stop()

    def scenario(self, scenario: Scenario, subjects: Sequence[Subject], rounds: int, seconds: float) -> None:
        """All rounds of one scenario.

        Each (own subject, case) has a server of its own, started for the scenario; a peer has one for the
        whole run.  All but one are idle at a time.
        """
        able = []
        for subject in subjects:
            reason = subject.reason_against(scenario.name)
            if reason is None:
                able.append(subject)
            else:
                for case in scenario.cases:
                    self.results.dash(case.metrics, subject.name, reason)
        with ExitStack() as stack:
            targets: dict[tuple[str, str], Target] = {}
            amounts: dict[tuple[str, str], int] = {}
            failed: set[tuple[str, str]] = set()
            warmed: list[Target] = []
            for subject in able:
                for case in scenario.cases:
                    key = subject.name, case.name
                    fixed = self.fixed(case)
                    if case.fresh:
                        amounts[key] = fixed or 0
                        continue
                    target = None
                    try:
                        target = targets[key] = self.target_of(subject, stack)
                        amount = self.warm_up(target, case, seconds, soon=scenario.alike and target in warmed)
                        warmed.append(target)
                    except (CountError, StartError, Cannot) as error:
                        self.give_up(subject, case, f"{case.name}, warming up", target, error)
                        failed.add(key)
                        continue
                    amounts[key] = fixed or amount
                    if scenario.same_amount:
                        amounts[key] = amounts.get((subject.name, scenario.cases[0].name), amount)
            for round in range(1, rounds + 1):
                for case in scenario.cases:
                    for subject in able:
                        key = subject.name, case.name
                        if key in failed:
                            continue
                        target = self.kept.get(subject.name) if subject.peer else targets.get(key)
                        if not self.measure(round, case, subject, target, amounts[key]):
                            failed.add(key)
                for subject in able:
                    self.results.add_ratio(scenario, subject.name)
                say(f"{scenario.name}: round {round} of {rounds}")

    def fixed(self, case: Case) -> int | None:
        """The amount of a case that does not follow from --seconds."""
        if case.lasting:
            return self.minutes
        if case.adjustable and self.messages:
            return self.messages
        return max(1, int(case.fixed * self.haste)) if case.fixed else None

    def target_of(self, subject: Subject, stack: ExitStack) -> Target:
        if not subject.peer:
            return stack.enter_context(self.start(subject))
        if subject.name not in self.kept:
            self.kept[subject.name] = self.start(subject)
        return self.kept[subject.name]

    def warm_up(self, target: Target, case: Case, seconds: float, *, soon: bool = False) -> int:
        """Load the server until it is warm; returns how many messages fill one measurement.

        `soon`: another case has loaded it in the same way.
        """
        subject = target.subject
        patience = subject.warm_up_seconds
        if target.warm and subject.later_warm_up_seconds is not None:
            patience = subject.later_warm_up_seconds
        if soon:
            patience = min(patience, SOON)
        target.warm = True
        rate = self.rate(target, case, max(1, case.warm_up // 10))
        rate = self.rate(target, case, min(case.warm_up, int(rate * 2) + 1))
        end = time.monotonic() + patience * self.haste
        while True:
            piece = min(max(end - time.monotonic(), 0.1), 5.0)
            rate = self.rate(target, case, max(1, int(rate * piece)))
            if time.monotonic() >= end:
                break
        return self.messages or min(MOST_MESSAGES, max(case.warm_up // 100, int(rate * seconds)))

    def rate(self, target: Target, case: Case, messages: int) -> float:
        start = time.perf_counter()
        try:
            sample = case.run(target, messages)
        except Cannot:
            # A cold server may be slow; the rounds will tell.
            return messages / (time.perf_counter() - start)
        return sample.messages / sample.seconds

    def measure(self, round: int, case: Case, subject: Subject, target: Target | None, amount: int) -> bool:
        """One round of one case on one server; False when there is nothing more to measure."""
        try:
            if not case.fresh:
                if target is None:
                    # A peer that failed in another case of this scenario starts afresh.
                    target = self.target_of(subject, ExitStack())
                    self.warm_up(target, case, self.seconds)
                sample = case.run(target, amount)
            else:
                with self.start(subject) as target:
                    sample = case.run(target, amount)
        except (CountError, StartError, Cannot) as error:
            self.give_up(subject, case, f"{case.name}, round {round}", target, error)
            return False
        self.results.add(round, case.name, subject.name, case.metrics, sample)
        return True

    def give_up(
        self, subject: Subject, case: Case, where: str, target: Target | None, error: Exception
    ) -> None:
        """A dash with the reason; what one's own server does not do is a failure of the run."""
        lines = str(error).splitlines()
        # Of what a server printed the last line is the one that says it.
        reason = " ".join(" ".join(lines[:1] + lines[1:][-1:]).split())
        output = target.printed() if target else ""
        causes = [text for words, text in subject.weaknesses.items() if words in output]
        if causes:
            reason = f"{causes[0]}: {reason}"
        self.results.forget(case.metrics, subject.name)
        self.results.dash(case.metrics, subject.name, reason[:160])
        printed = f"\n{subject.name} printed:\n{output}" if output and not causes else ""
        say(f"bench: {subject.name}, {where}: {reason}{printed}")
        if isinstance(error, Cannot):
            return
        if not subject.peer:
            self.failures.append(f"{subject.name}, {where}: {reason}")
        elif subject.name in self.kept:
            # What a broken conversation left in its queues would disturb what comes next.
            self.kept.pop(subject.name).stop()


def say(text: str) -> None:
    """Progress, kept out of the result on standard output."""
    print(text, file=sys.stderr, flush=True)


def steps_of(options: argparse.Namespace, subjects: Sequence[str]) -> list[Step]:
    """What to measure on whom; raises ValueError for names that are not known."""
    if options.rounds < 1 or options.seconds <= 0 or (options.messages or 1) < 1 or options.minutes < 1:
        raise ValueError("--rounds, --seconds, --messages and --minutes must be above 0")
    scenarios = chosen(options.scenario, list(SCENARIOS), "scenario") if options.scenario else []
    named = chosen(options.subjects, subjects, "subject") if options.subjects else []
    if options.shape and "clients" not in scenarios:
        raise ValueError("--shape needs --scenario clients")
    if not options.peers:
        everything = [scenario.name for scenario in SCENARIOS.values() if not scenario.asked]
        whom = tuple(named or DEFAULT_SUBJECTS.split(","))
        return [Step(name, whom) for name in scenarios or everything]
    planned = {step.scenario: step for step in PLAN}
    steps = [planned.get(name, Step(name, (*MEMORY, *PEERS))) for name in scenarios or planned]
    return [replace(step, subjects=tuple(named)) if named else step for step in steps]


def home_of(options: argparse.Namespace) -> Home:
    """Whose server the subjects `stompserver*` are."""
    if options.python:
        return Home(options.python, "")
    if options.peers or options.compiled:
        say("bench: compiling (some minutes the first time after a change)")
        try:
            return compiled_home()
        except BuildError as error:
            say(f"bench: interpreted, not compiled: {error}")
    return SOURCE


def present(steps: Sequence[Step], subjects: Mapping[str, Subject], home: Home) -> list[Step]:
    """The steps with those servers that can be started here; says which are left out, and why."""
    absent = {}
    for name in dict.fromkeys(name for step in steps for name in step.subjects):
        reason = subjects[name].missing()
        if name.endswith("-pure") and home == SOURCE:
            reason = "it is the same as the other, nothing is compiled"
        if reason:
            absent[name] = reason
            say(f"bench: {name} is left out: {reason}")
    found = [
        replace(step, subjects=tuple(name for name in step.subjects if name not in absent)) for step in steps
    ]
    return [step for step in found if step.subjects]


def stop_servers_when_told_to() -> None:
    """SIGTERM is an exit like any other, on whose way out all servers are stopped."""

    def leave(number: int, frame: object) -> None:
        # A second one would cut the stopping short.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 0, 1 when one's own server failed or lost a message, 2 for bad options."""
    options = parser().parse_args(arguments)
    if options.scenario == HOSTILE:
        options.compiled = not options.python
        return hostile.run(options, home_of(options), heading, say)
    if options.rounds is None:
        options.rounds = 3 if options.peers else 5
    try:
        steps = steps_of(options, list(SUBJECTS))
        shapes = chosen(options.shape, list(SHAPES), "shape") if options.shape else []
    except ValueError as error:
        say(f"bench: {error}")
        return 2
    home = home_of(options)
    subjects = known(home)
    steps = present(steps, subjects, home)
    if not steps:
        say("bench: nothing left to measure")
        return 1
    rounds, seconds = (1, 0.3) if options.quick else (options.rounds, options.seconds)
    haste = QUICK if options.quick else 1.0
    run = Run(rounds, seconds, options.messages, not options.no_pin, minutes=options.minutes, haste=haste)
    scenarios = {**SCENARIOS, "clients": replace(SCENARIOS["clients"], cases=cases(shapes))}
    facts = machine.facts()
    facts["cores_used"] = [sorted(cores) for cores in run.cores] if run.cores else None
    if run.cores:
        os.sched_setaffinity(0, run.cores[1])
    try:
        for step in steps:
            run.scenario(
                scenarios[step.scenario],
                [subjects[name] for name in step.subjects],
                min(rounds, step.rounds),
                min(seconds, step.seconds),
            )
    finally:
        run.stop()
    report = as_json(run, steps, facts, home)
    verdicts = judge(run.results)
    names = list(dict.fromkeys(name for step in steps for name in step.subjects))
    print(heading(facts, run.servers))
    for name, text in settings_of(run.servers, subjects).items():
        print(f"{name}: {text}")
    print(f"stompserver is {'compiled' if report['compiled'] else 'interpreted'}")
    print()
    print(render(run.results, names))
    if text := table.render(run.results, names):
        print()
        print(text)
    if options.peers:
        print()
        print(goals.render(verdicts))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    for failure in run.failures:
        say(f"bench: {failure}")
    return 1 if run.failures else 0


def as_json(run: Run, steps: Sequence[Step], facts: dict[str, object], home: Home) -> dict[str, object]:
    """Everything measured, and on what."""
    names = list(dict.fromkeys(name for step in steps for name in step.subjects))
    return {
        "machine": facts,
        "servers": run.servers,
        "server_settings": settings_of(run.servers, known(home)),
        "compiled": home.compiled(),
        "settings": {
            "rounds": run.rounds,
            "seconds": run.seconds,
            "messages": run.messages,
            "minutes": run.minutes,
            "quick": run.haste < 1,
            "steps": [{"scenario": step.scenario, "subjects": list(step.subjects)} for step in steps],
        },
        **run.results.as_json(names),
        "shapes": table.rows_of(run.results, names),
        "must_reach": goals.as_json(judge(run.results)),
        "failures": run.failures,
    }


def settings_of(names: Iterable[str], subjects: Mapping[str, Subject]) -> dict[str, str]:
    """How those servers are configured that say so, by name."""
    return {name: subjects[name].settings for name in names if subjects[name].settings}


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
