"""From samples to medians, ratios and text."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.case import RATE, Metric, Sample, Scenario

NUMBER = re.compile(r"[\d,.]+%?( [!?])?|-")
BUSY = 0.9
"""A side that is busier than this may have been the limit; if neither was, something else was."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What the project set itself: a bound on a metric, or on its ratio to another subject (there to the metric
    `of`, where that is another).
    """

    metric: str
    subject: str
    bound: float
    at_least: bool
    against: str = ""
    of: str = ""


GOALS = (
    Goal("auto", "stompserver", 0.7, True, "prototype"),
    Goal("individual", "stompserver", 0.7, True, "prototype"),
    Goal("receipt", "stompserver", 0.7, True, "prototype"),
    Goal("latency p50", "stompserver", 1.5, False, "prototype"),
    Goal("idle RSS", "stompserver", 25.0, False),
    Goal("many / one", "stompserver", 0.8, True),
    Goal("receipt", "stompserver-lmdb", 0.6, True, "stompserver"),
    # Of memory's rate with a receipt each and a live consumer; fill by fill and drain by drain is in the ratios.
    Goal("fill", "stompserver-lmdb", 0.4, True, "stompserver", "receipt"),
    Goal("drain", "stompserver-lmdb", 0.4, True, "stompserver", "receipt"),
    Goal("backlog memory", "stompserver-lmdb", 200.0, False),
    Goal("backlog listening", "stompserver-lmdb", 1.0, False),
    Goal("backlog first message", "stompserver-lmdb", 0.1, False),
    Goal("restart, 10,000 queues", "stompserver-lmdb", 3.0, False),
)


@dataclass(slots=True)
class Results:
    """All rounds: metric -> subject -> one value per round, in the order measured."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    shares: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)
    dashes: dict[str, dict[str, str]] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    parts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Derived ratio -> the two metrics it is made of."""

    def add(self, round: int, case: str, subject: str, metrics: Sequence[Metric], sample: Sample) -> None:
        """Keep one round of one case."""
        for metric in metrics:
            self._value(metric, subject, sample.values[metric.name])
            shares = self.shares.setdefault(metric.name, {}).setdefault(subject, [])
            shares.append(sample.shares.get(metric.name, (sample.server_share, sample.generator_share)))
        self.samples.append(
            {
                "round": round,
                "case": case,
                "subject": subject,
                "values": sample.values,
                "messages": sample.messages,
                "seconds": sample.seconds,
                "server_cpu": sample.server_share,
                "generator_cpu": sample.generator_share,
            }
        )

    def add_ratio(self, scenario: Scenario, subject: str) -> None:
        """Derive the scenario's own ratio from the latest round of `subject`."""
        if scenario.ratio is None:
            return
        name, dividend, divisor = scenario.ratio
        self.parts[name] = dividend, divisor
        above, below = self.values[dividend].get(subject), self.values[divisor].get(subject)
        if above and below:
            self._value(Metric(name, ""), subject, above[-1] / below[-1])

    def forget(self, metrics: Sequence[Metric], subject: str) -> None:
        """A rate of some rounds is none when a later round failed."""
        for metric in metrics:
            self.values.get(metric.name, {}).pop(subject, None)
            self.shares.get(metric.name, {}).pop(subject, None)

    def dash(self, metrics: Sequence[Metric], subject: str, reason: str) -> None:
        """`subject` cannot do this."""
        for metric in metrics:
            self.metrics.setdefault(metric.name, metric)
            self.dashes.setdefault(metric.name, {})[subject] = reason

    def _value(self, metric: Metric, subject: str, value: float) -> None:
        self.metrics.setdefault(metric.name, metric)
        self.values.setdefault(metric.name, {}).setdefault(subject, []).append(value)

    def median(self, metric: str, subject: str) -> float | None:
        values = self.values.get(metric, {}).get(subject)
        return statistics.median(values) if values else None

    def ratios(self, metric: str, one: str, other: str, of: str = "") -> list[float]:
        """`one` / `other` (in the metric `of`, if that is another), round by round: both were measured within seconds
        of each other.
        """
        pairs = zip(
            self.values.get(metric, {}).get(one, []),
            self.values.get(of or metric, {}).get(other, []),
            strict=False,
        )
        return [a / b for a, b in pairs if b]

    def disturbed(self, metric: str, subject: str) -> bool:
        """Neither side was busy all the time in this rate (or in one of the two a ratio is made of)."""
        if metric in self.parts:
            return any(self.disturbed(part, subject) for part in self.parts[metric])
        shares = self.shares.get(metric, {}).get(subject)
        if not shares or self.metrics[metric].unit != RATE:
            return False
        server = statistics.median([share for share, _ in shares])
        generator = statistics.median([share for _, share in shares])
        return max(server, generator) < BUSY

    def server_us(self, metric: str, subject: str) -> list[float]:
        """The server's CPU time per message in microseconds, round by round; empty for what is no rate.

        Other work on the machine takes time from the wall clock but hardly any from this.
        """
        if metric not in self.metrics or self.metrics[metric].unit != RATE:
            return []
        values = self.values.get(metric, {}).get(subject, [])
        shares = self.shares.get(metric, {}).get(subject, [])
        return [server * 1e6 / value for value, (server, _) in zip(values, shares, strict=True)]

    def as_json(self, subjects: Sequence[str]) -> dict[str, Any]:
        """Everything, for a file."""
        return {
            "samples": self.samples,
            "summary": [
                {
                    "metric": name,
                    "unit": metric.unit,
                    "more_is_better": metric.more_is_better,
                    "subjects": {
                        subject: {"median": self.median(name, subject), "rounds": self.values[name][subject]}
                        if subject in self.values.get(name, {})
                        else {"dash": self.dashes.get(name, {}).get(subject, "not measured")}
                        for subject in subjects
                    },
                    "ratios": {
                        f"{one} / {other}": {"median": statistics.median(ratios), "rounds": ratios}
                        for at, one in enumerate(subjects)
                        for other in subjects[at + 1 :]
                        if (ratios := self.ratios(name, one, other))
                    },
                }
                for name, metric in self.metrics.items()
            ],
            "goals": [
                dict(zip(("goal", "value", "met", "disturbed"), row, strict=True)) for row in goal_rows(self)
            ],
        }


def goal_rows(results: Results) -> list[tuple[str, float, bool, bool]]:
    """(text, measured, met, disturbed) for each goal that this run can judge."""
    rows = []
    for goal in GOALS:
        if goal.against:
            ratios = results.ratios(goal.metric, goal.subject, goal.against, goal.of)
            value = statistics.median(ratios) if ratios else None
        else:
            value = results.median(goal.metric, goal.subject)
        if value is None:
            continue
        word = "at least" if goal.at_least else "at most"
        unit = f" {results.metrics[goal.metric].unit}".rstrip()
        if goal.against:
            unit = f" of {goal.against}" + (f": {goal.of}" if goal.of else "")
        whose = "" if goal.subject == "stompserver" else f" ({goal.subject})"
        text = f"{goal.metric}{whose}: {word} {goal.bound:g}{unit}"
        met = value >= goal.bound if goal.at_least else value <= goal.bound
        disturbed = results.disturbed(goal.metric, goal.subject) or (
            goal.against != "" and results.disturbed(goal.of or goal.metric, goal.against)
        )
        rows.append((text, value, met, disturbed))
    return rows


def render(results: Results, subjects: Sequence[str]) -> str:
    """The text a person reads: medians, then ratios pair by pair, then goals."""
    parts = [_medians(results, subjects)]
    if len(subjects) > 1:
        parts.append(_pairs(results, subjects))
    goals = goal_rows(results)
    if goals:
        rows = [
            [text, f"{value:.2f}", ("met" if met else "MISSED") + (" ?" if disturbed else "")]
            for text, value, met, disturbed in goals
        ]
        parts.append("Goals\n" + table(["goal", "measured", ""], rows))
    dashes: dict[tuple[str, str], list[str]] = {}
    for metric, by in results.dashes.items():
        for subject, reason in by.items():
            dashes.setdefault((subject, reason), []).append(metric)
    reasons = sorted(
        f"  - {subject}, {'; '.join(metrics)}: {reason}" for (subject, reason), metrics in dashes.items()
    )
    if reasons:
        parts.append("A dash means\n" + "\n".join(reasons))
    return "\n\n".join(parts)


def _medians(results: Results, subjects: Sequence[str]) -> str:
    rows = []
    for name, metric in results.metrics.items():
        for subject in subjects:
            values = results.values.get(name, {}).get(subject)
            if not values:
                if subject in results.dashes.get(name, {}):
                    rows.append([name, subject, "-", metric.unit, *[""] * 4])
                continue
            shares = results.shares.get(name, {}).get(subject)
            server = generator = ""
            if shares:
                busiest = statistics.median([share for _, share in shares])
                server = f"{statistics.median([share for share, _ in shares]):.0%}"
                server += " ?" if results.disturbed(name, subject) else ""
                generator = f"{busiest:.0%}" + (" !" if busiest > BUSY else "")
            spread = f"{number(min(values))} - {number(max(values))}"
            each = results.server_us(name, subject)
            cost = f"{statistics.median(each):.2f}" if each else ""
            rows.append(
                [
                    name,
                    subject,
                    number(statistics.median(values)),
                    metric.unit,
                    spread,
                    server,
                    cost,
                    generator,
                ]
            )
    head = ["", "subject", "median", "", "lowest - highest", "server", "us each", "generator"]
    text = "Medians (server and generator: CPU used; us each: the server's CPU time per message)\n"
    text += table(head, rows)
    if any(row[-1].endswith("!") for row in rows):
        text += "\n! the generator was busy all the time: this rate may be its own and not the server's"
    if any(row[5].endswith("?") for row in rows):
        text += (
            "\n? neither side was busy all the time: other work on the machine took its share, or both waited"
        )
    return text


def _pairs(results: Results, subjects: Sequence[str]) -> str:
    rows = []
    for name, metric in results.metrics.items():
        for at, one in enumerate(subjects):
            for other in subjects[at + 1 :]:
                ratios = results.ratios(name, one, other)
                if ratios and metric.unit:
                    spread = f"{min(ratios):.2f} - {max(ratios):.2f}"
                    costs = zip(results.server_us(name, one), results.server_us(name, other), strict=False)
                    by_cpu = [theirs / ours for ours, theirs in costs if ours]
                    cpu = f"{statistics.median(by_cpu):.2f}" if by_cpu else ""
                    rows.append([name, f"{one} / {other}", f"{statistics.median(ratios):.2f}", spread, cpu])
    return "Ratios, round by round (latency and memory: less is better)\n" + table(
        ["", "pair", "median", "lowest - highest", "by CPU"], rows
    )


def number(value: float) -> str:
    """Three digits that count, thousands separated."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; cells that look like numbers to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    out = []
    for line in lines:
        cells = [
            cell.rjust(width) if NUMBER.fullmatch(cell) else cell.ljust(width)
            for cell, width in zip(line, widths, strict=True)
        ]
        out.append("  " + "  ".join(cells).rstrip())
    return "\n".join(out)
