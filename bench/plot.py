"""A picture of a run against the peers: `python -m bench.plot RESULT.json PICTURE.svg`.  Needs matplotlib."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Summary = Mapping[str, Mapping[str, Any]]

RATES = (
    ("auto", "auto ack"),
    ("individual", "client-individual"),
    ("cumulative", "client, cumulative"),
    ("persistent", "persistent, receipt each (lmdb)"),
    ("persistent fill", "persistent, no consumer (lmdb)"),
    ("transactions", "transactions of 100"),
    ("fanout5", "fan-out to 5"),
    ("fanout100", "fan-out to 100"),
    ("1 KB bodies", "1 KB bodies"),
    ("16 KB bodies", "16 KB bodies"),
    ("1 MB bodies", "1 MB bodies"),
    ("10 x 10", "10 x 10, one queue"),
    ("100 x 100", "100 x 100, one queue"),
    ("100 x 100, 100 queues", "100 x 100, 100 queues"),
    ("connects", "connects"),
)
COSTS = (
    ("latency p50", "latency p50 (us)"),
    ("latency p99", "latency p99 (us)"),
    ("1,000/s p99", "p99 at 1,000/s (us)"),
    ("10,000/s p99", "p99 at 10,000/s (us)"),
    ("idle RSS", "idle connection (KiB)"),
    ("million memory", "1,000,000 waiting, lmdb (MB)"),
    ("million restart", "restart with them, lmdb (s)"),
)
SERVERS = (
    ("stompserver", "stompserver", "#1b6ca8"),
    ("rabbitmq", "RabbitMQ", "#f28e2b"),
    ("activemq", "ActiveMQ", "#59a14f"),
    ("coilmq", "CoilMQ", "#9c755f"),
    ("nats", "nats-server", "#bab0ac"),
)


def by_metric(report: Mapping[str, Any]) -> Summary:
    """Metric -> subject -> its summary; the server with a store stands in where the plain one was not measured."""
    found: dict[str, dict[str, Any]] = {}
    for entry in report["summary"]:
        subjects = dict(entry["subjects"])
        if "median" not in subjects.get("stompserver", {}) and "stompserver-lmdb" in subjects:
            subjects["stompserver"] = subjects["stompserver-lmdb"]
        found[entry["metric"]] = subjects
    return found


def median(summary: Summary, metric: str, subject: str) -> float | None:
    value = summary.get(metric, {}).get(subject, {}).get("median")
    return None if value is None else float(value)


def draw(report: Mapping[str, Any], path: Path) -> None:
    """Write the picture; the same report gives the same bytes."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    summary = by_metric(report)
    parts = [
        (rows, title)
        for rows, title in (
            (
                [row for row in RATES if row[0] in summary],
                "messages (deliveries, connections) per second, logarithmic",
            ),
            ([row for row in COSTS if row[0] in summary], "less is better, logarithmic"),
        )
        if rows
    ]
    figure, axes = pyplot.subplots(
        len(parts),
        1,
        figsize=(9, 1.6 + 0.62 * sum(len(rows) for rows, _ in parts)),
        height_ratios=[len(rows) for rows, _ in parts],
        squeeze=False,
    )
    for axis, (rows, title) in zip(axes[:, 0], parts, strict=True):
        width = 0.8 / len(SERVERS)
        for place, (subject, label, colour) in enumerate(SERVERS):
            points = [
                (row + (place - 2) * width, value)
                for row, (metric, _) in enumerate(rows)
                if (value := median(summary, metric, subject)) is not None
            ]
            if not points:
                continue
            at, values = zip(*points, strict=True)
            bars = axis.barh(at, values, width, color=colour, label=label)
            axis.bar_label(bars, [text_of(value) for value in values], padding=2, fontsize=6)
        axis.set_xscale("log")
        axis.set_yticks(range(len(rows)), [label for _, label in rows])
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.margins(x=0.12)
        axis.set_title(title, fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(loc="lower right", fontsize=7, frameon=False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    # Trailing blanks, which matplotlib writes, have no place in a repository.
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n")


def text_of(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
