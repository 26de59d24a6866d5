"""What the server must reach against its peers, as data, and the judgement of a run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench import growth
from bench.plan import CONFIRMING, RIVALS
from bench.report import Results, number, table

REACHED, MISSED, ABSENT = "REACHED", "MISSED", "not measured"


@dataclass(frozen=True, slots=True)
class Row:
    """`metric` of `subject`, divided by that of the better of `against` (nobody: the number itself)."""

    label: str
    metric: str
    bound: float
    against: tuple[str, ...] = RIVALS
    subject: str = "stompserver"
    at_least: bool = True
    aim: bool = False
    """A wish; missing it is no failure."""


LMDB = "stompserver-lmdb"
RATES = (
    Row("auto ack, 100 B", "auto", 10),
    Row("client-individual", "individual", 6),
    Row("client (cumulative, 1.1)", "cumulative", 8),
    Row("persistent, receipt each, with consumer", "persistent", 6, subject=LMDB),
    Row("persistent fill without consumer", "persistent fill", 5, subject=LMDB),
    Row("fan-out to 5, deliveries", "fanout5", 6),
    Row("10 producers x 10 consumers, one queue", "10 x 10", 8),
    Row("16 KB bodies", "16 KB bodies", 3),
    Row("1 MB bodies", "1 MB bodies", 1),
)
ROWS = (
    *RATES[:1],
    Row("auto ack, 100 B, by nats-server", "auto", 0.25, ("nats",)),
    Row("the aim: half of nats-server", "auto", 0.5, ("nats",), aim=True),
    *RATES[1:],
    Row("confirmed fill, by Redis streams", "confirmed fill", 3, ("redis",), LMDB),
    Row("confirmed fill, by Redis lists", "confirmed fill", 2, ("redis-lists",), LMDB),
    Row("confirmed fill, by JetStream, which does not sync", "confirmed fill", 2, ("jetstream",), LMDB),
    Row("confirmed fill, by beanstalkd", "confirmed fill", 50, ("beanstalkd",), LMDB),
    Row("confirmed, with a consumer that does", "confirmed", 4, CONFIRMING, LMDB),
    Row("1 MB bodies, by a socket relay", "1 MB bodies", 0.5, ("relay",)),
    Row("latency one at a time, p50", "latency p50", 0.3, at_least=False),
    Row("the same by a server that does nothing", "latency p50", 1.25, ("echo",), at_least=False, aim=True),
    Row("latency one at a time, p99", "latency p99", 0.5, at_least=False),
    Row("memory per idle connection", "idle RSS", 0.2, at_least=False),
    Row("restart, 1,000,000 x 1 KB, to first delivery", "million restart", 0.1, subject=LMDB, at_least=False),
    *(
        Row(f"interpreted: {row.label}", row.metric, row.bound / 2, subject=f"{row.subject}-pure")
        for row in RATES
    ),
    Row("CPU each, 10,000 queues by 1", growth.QUEUES_METRIC, 1.1, (), at_least=False),
    Row("CPU each, 1,000 connections by 1", growth.CONNECTIONS_METRIC, 1.1, (), at_least=False),
    Row("the same with lmdb, queues", growth.QUEUES_METRIC, 1.1, (), LMDB, at_least=False),
    Row("the same with lmdb, connections", growth.CONNECTIONS_METRIC, 1.1, (), LMDB, at_least=False),
    Row("CPU each, 1,000,000 waiting by none", "million beside, CPU / empty", 1.1, (), LMDB, at_least=False),
    Row(
        "CPU each, last tenth of the fill by the second",
        "million fill, CPU last / first tenth",
        1.1,
        (),
        LMDB,
        at_least=False,
    ),
    Row("CPU each, last quarter of a long run by the first", growth.TIME_METRIC, 1.1, (), at_least=False),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    row: Row
    value: float | None
    by_cpu: float | None
    """The same ratio made of the server's CPU time per message, which other work hardly disturbs."""
    opponent: str
    own: float | None
    theirs: float | None
    state: str


def better(results: Results, row: Row) -> str:
    """Who of `row.against` has the better median; empty when nobody was measured."""
    medians = [(results.median(row.metric, name), name) for name in row.against]
    found = [(value, name) for value, name in medians if value is not None]
    if not found:
        return ""
    return (max if results.metrics[row.metric].more_is_better else min)(found)[1]


def judge(results: Results, rows: Sequence[Row] = ROWS) -> list[Verdict]:
    """One verdict a row, in order; rows whose metric no subject of this run has are left out."""
    verdicts = []
    for row in rows:
        if row.metric not in results.metrics:
            continue
        own = results.median(row.metric, row.subject)
        opponent = better(results, row) if row.against else ""
        theirs = results.median(row.metric, opponent) if opponent else None
        value = by_cpu = None
        if not row.against:
            value = own
        elif opponent and own is not None:
            value = statistics.median(results.ratios(row.metric, row.subject, opponent))
            pairs = zip(
                results.server_us(row.metric, row.subject),
                results.server_us(row.metric, opponent),
                strict=False,
            )
            costs = [his / ours for ours, his in pairs if ours]
            by_cpu = statistics.median(costs) if costs else None
        if value is None:
            state = ABSENT
        else:
            state = REACHED if (value >= row.bound if row.at_least else value <= row.bound) else MISSED
        verdicts.append(Verdict(row, value, by_cpu, opponent, own, theirs, state))
    return verdicts


def cells(verdict: Verdict) -> list[str]:
    """Label, own, opponent's, ratio, by CPU, required, state; a dash where there is nothing."""
    row = verdict.row
    against = f"{number(verdict.theirs)} ({verdict.opponent})" if verdict.theirs is not None else "-"
    return [
        row.label,
        "-" if verdict.own is None else number(verdict.own),
        against,
        "-" if verdict.value is None else f"{verdict.value:.2f}",
        "-" if verdict.by_cpu is None else f"{verdict.by_cpu:.2f}",
        f"{'>=' if row.at_least else '<='} {row.bound:g}",
        verdict.state + (" (aim)" if row.aim else ""),
    ]


HEAD = ["", "here", "the better of the others", "ratio", "by CPU", "required", ""]


def render(verdicts: Sequence[Verdict]) -> str:
    """The table "What it must reach" with what was measured."""
    reached = sum(verdict.state == REACHED for verdict in verdicts)
    missed = sum(verdict.state == MISSED and not verdict.row.aim for verdict in verdicts)
    return (
        "What it must reach (medians of one run; ratios are taken round by round)\n"
        + table(HEAD, [cells(verdict) for verdict in verdicts])
        + f"\n{reached} reached, {missed} missed"
    )


def as_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        {
            "label": verdict.row.label,
            "metric": verdict.row.metric,
            "subject": verdict.row.subject,
            "against": verdict.opponent,
            "own": verdict.own,
            "theirs": verdict.theirs,
            "ratio": verdict.value,
            "ratio_by_cpu": verdict.by_cpu,
            "required": verdict.row.bound,
            "at_least": verdict.row.at_least,
            "aim": verdict.row.aim,
            "state": verdict.state,
        }
        for verdict in verdicts
    ]
