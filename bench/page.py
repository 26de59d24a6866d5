"""`python -m bench.page RESULT.json [MORE.json]` puts the figures of a run against the peers into README and docs.

Further results add what the first has not: a long run, for example.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.plot import COSTS, RATES, Summary, by_metric, draw, median, text_of
from bench.shapes.parts import OWN
from bench.subjects import ROOT

PICTURE = "docs/images/bench-peers.svg"
KEPT = "bench/results/peers.json"
COLUMNS = (
    ("stompserver", "stompserver"),
    ("rabbitmq", "RabbitMQ"),
    ("activemq", "ActiveMQ"),
    ("coilmq", "CoilMQ"),
    ("nats", "nats-server"),
)

CONFIRMED = (("confirmed fill", "nobody consumes"), ("confirmed", "a consumer acknowledges each"))
CONFIRMED_COLUMNS = (
    ("stompserver-lmdb", "stompserver, lmdb"),
    *COLUMNS[1:3],
    ("redis", "Redis, streams"),
    ("redis-lists", "Redis, lists"),
    ("jetstream", "JetStream"),
    ("jetstream-sync", "JetStream, synced"),
    ("beanstalkd", "beanstalkd"),
)

SHAPE_COLUMNS = COLUMNS[:-1]
"""Those that speak STOMP."""


def machine(report: Mapping[str, Any]) -> str:
    """What it was measured on, as a sentence or two."""
    facts = report["machine"]
    how = "compiled" if report["compiled"] else "interpreted"
    servers = ", ".join(
        sorted({name for name in report["servers"].values() if name and name != "relay"}, key=str.lower)
    )
    pinned = (
        "each server on one core, the generator on another"
        if facts["cores_used"]
        else "nobody pinned to a core"
    )
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_mib'] // 1024} GiB, {facts['kernel']}; {pinned}. "
        f"{facts['python']}, uvloop {facts['uvloop'] or 'none'}, {how}, commit {facts['commit']}; {servers}. "
        f"Medians of {report['settings']['rounds']} rounds, load before the run {facts['load_before']:.2f}, "
        f"{facts['time'][:10]}."
    )


def lines_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    return [
        "| " + " | ".join(head) + " |",
        "|---" * len(head) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def figures(summary: Summary) -> list[str]:
    rows = []
    for metric, label in (*RATES, *COSTS):
        if metric in summary:
            values = [median(summary, metric, subject) for subject, _ in COLUMNS]
            rows.append([label, *("-" if value is None else text_of(value) for value in values)])
    return lines_of(["", *(name for _, name in COLUMNS)], rows)


def confirmed(report: Mapping[str, Any]) -> list[str]:
    """What servers reach that confirm each message, and why one has a dash; nothing if none was measured."""
    summary = {entry["metric"]: entry["subjects"] for entry in report["summary"]}
    rows = []
    reasons = []
    for metric, label in CONFIRMED:
        if metric not in summary:
            continue
        values = [median(summary, metric, subject) for subject, _ in CONFIRMED_COLUMNS]
        rows.append([label, *("-" if value is None else text_of(value) for value in values)])
        for subject, name in CONFIRMED_COLUMNS:
            reason = summary[metric].get(subject, {}).get("dash")
            if reason and reason != "not measured":
                reasons.append(f"{name}, {label}: {_plain(reason)}.")
    if not rows:
        return []
    return [
        *lines_of(["", *(name for _, name in CONFIRMED_COLUMNS)], rows),
        *(["", " ".join(reasons)] if reasons else []),
    ]


def dashes(report: Mapping[str, Any]) -> list[str]:
    """Why there is a dash: one line for each server and reason."""
    names = dict(COLUMNS)
    labels = dict((*RATES, *COSTS))
    found: dict[tuple[str, str], list[str]] = {}
    for entry in report["summary"]:
        if entry["metric"] not in labels:
            continue
        for subject, value in entry["subjects"].items():
            reason = value.get("dash")
            if subject in names and reason and reason != "not measured":
                found.setdefault((subject, _plain(reason)), []).append(labels[entry["metric"]])
    return [
        f"- {names[subject]}, {'; '.join(metrics)}: {reason}" for (subject, reason), metrics in found.items()
    ]


def _plain(reason: str) -> str:
    """Without what Markdown would take for its own."""
    return re.sub(r"[<>|`\\*_\[\]]", " ", reason)


def goals(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for row in report["must_reach"]:
        against = "-" if row["theirs"] is None else f"{text_of(row['theirs'])} ({row['against']})"
        rows.append(
            [
                row["label"],
                "-" if row["own"] is None else text_of(row["own"]),
                against,
                "-" if row["ratio"] is None else f"{row['ratio']:.2f}",
                f"{'at least' if row['at_least'] else 'at most'} {row['required']:g}",
                row["state"].lower() + (" (aim)" if row["aim"] else ""),
            ]
        )
    return lines_of(["", "here", "the better of the others", "ratio", "required", ""], rows)


def shapes(report: Mapping[str, Any]) -> list[str]:
    """Each shape that real clients write, from the best of stompserver to its worst; nothing if none was measured."""
    found = report.get("shapes", [])
    rates = {(row["metric"], row["subject"]): text_of(row["rate"]) for row in found}
    rows = [
        [
            "the benchmark's own" + row["metric"].removeprefix(OWN) if row["own"] else row["metric"],
            row["what"],
            "-" if row["cpu_by_own"] is None else f"{row['cpu_by_own']:.2f}",
            *(rates.get((row["metric"], subject), "-") for subject, _ in SHAPE_COLUMNS),
        ]
        for row in found
        if row["subject"] == "stompserver"
    ]
    return lines_of(["", "", "CPU by own", *(name for _, name in SHAPE_COLUMNS)], rows) if rows else []


def extremes(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(label, metric) of the shapes of real clients, ack:auto, that cost stompserver least and most."""
    found = [
        row
        for row in report.get("shapes", [])
        if row["subject"] == "stompserver" and row["mode"] == "auto" and not row["own"]
    ]
    if not found:
        return []
    return [
        (f"auto ack, the {word} of real clients: {row['what']}", row["metric"])
        for word, row in (("best", found[0]), ("worst", found[-1]))
    ]


def page(report: Mapping[str, Any]) -> str:
    """All of it, for the page about benchmarks."""
    parts = [
        [f"![Rates and costs of stompserver and its peers](../../{PICTURE})"],
        [machine(report)],
        figures(by_metric(report)),
        ["What the server set itself to reach:"],
        goals(report),
    ]
    if table := confirmed(report):
        parts += [["[Each message confirmed](#those-that-confirm-each-message), messages a second:"], table]
    if table := shapes(report):
        parts += [["[What real clients write](#what-real-clients-write):"], table]
    reasons = dashes(report)
    if reasons:
        parts += [["A dash means:"], reasons]
    return "\n\n".join("\n".join(part) for part in parts)


def short(report: Mapping[str, Any]) -> str:
    """The part for README."""
    summary = by_metric(report)
    rows = []
    for label, metric in extremes(report):
        values = [median(summary, metric, name) for name in ("stompserver", "rabbitmq", "activemq")]
        best = max((value for value in values[1:] if value), default=None)
        by = f"{values[0] / best:.2g}" if values[0] and best else "-"
        rows.append([label, *("-" if value is None else text_of(value) for value in values), by])
    for row in report["must_reach"]:
        if row["against"] not in ("rabbitmq", "activemq"):
            continue
        values = [median(summary, row["metric"], name) for name in ("rabbitmq", "activemq")]
        cells = ["-" if value is None else text_of(value) for value in values]
        own = "-" if row["own"] is None else text_of(row["own"])
        rows.append([row["label"], own, *cells, f"{row['ratio']:.2g}" if row["ratio"] else "-"])
    table = lines_of(["", "stompserver", "RabbitMQ", "ActiveMQ", "by the better"], rows)
    return "\n\n".join(
        [f"![Rates and costs of stompserver and its peers]({PICTURE})", "\n".join(table), machine(report)]
    )


def put(path: Path, text: str) -> None:
    """Replace what stands between the markers in `path`; raises ValueError when they are not there."""
    begin, end = "<!-- bench-peers -->", "<!-- /bench-peers -->"
    old = path.read_text()
    before, found, rest = old.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{path} has no {begin} ... {end}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def merged(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first report, and of the others the metrics and verdicts that it has not."""
    report = dict(reports[0])
    for more in reports[1:]:
        report["shapes"] = report.get("shapes") or more.get("shapes", [])
        for key, name in (("summary", "metric"), ("must_reach", "label")):
            present = {entry[name] for entry in report[key]}
            report[key] = [*report[key], *(entry for entry in more[key] if entry[name] not in present)]
    return report


def main(arguments: Sequence[str]) -> int:
    """Write the picture, the page and README's table, and keep the result beside them."""
    reports = [json.loads(Path(argument).read_text()) for argument in arguments]
    report = merged(reports)
    if any(each["settings"]["quick"] for each in reports):
        print(
            "bench: this is the result of a --quick run; its figures are not for publishing", file=sys.stderr
        )
        return 2
    draw(report, ROOT / PICTURE)
    put(ROOT / "docs" / "explanation" / "benchmarks.md", page(report))
    put(ROOT / "README.md", short(report))
    (ROOT / KEPT).parent.mkdir(exist_ok=True)
    (ROOT / KEPT).write_text(json.dumps({**report, "samples": []}, indent=1) + "\n")
    print(short(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
