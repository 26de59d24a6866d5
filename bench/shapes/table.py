"""The result of the scenario `clients`: each shape by the benchmark's own, as rows and as text."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from bench.report import Results, number, table
from bench.shapes.parts import OWN, SHAPES, Part, parts
from bench.shapes.shape import MODES


def times_own(results: Results, part: Part, subject: str) -> float | None:
    """The server's CPU time for a message of that shape by that for one of the benchmark's own: the median of the
    ratios of each round.
    """
    ours, own = (results.server_us(metric, subject) for metric in (part.metric, part.own().metric))
    ratios = [each / base for each, base in zip(ours, own, strict=False) if base]
    return statistics.median(ratios) if ratios else None


def rows_of(results: Results, subjects: Sequence[str]) -> list[dict[str, Any]]:
    """One for each shape and subject that was measured: mode by mode, from the first subject's best to its worst."""
    rows = []
    for part in sorted(parts(), key=lambda part: _place(results, part, subjects)):
        for subject in subjects:
            rate = results.median(part.metric, subject)
            if rate is None:
                continue
            rates = results.ratios(part.metric, subject, subject, part.own().metric)
            shape = SHAPES.get(part.shape)
            rows.append(
                {
                    "metric": part.metric,
                    "mode": part.mode,
                    "own": part.shape == OWN,
                    "what": f"{shape.client}: {shape.about}" if shape else "",
                    "subject": subject,
                    "rate": rate,
                    "disturbed": results.disturbed(part.metric, subject),
                    "us": statistics.median(results.server_us(part.metric, subject)),
                    "cpu_by_own": times_own(results, part, subject),
                    "rate_by_own": statistics.median(rates) if rates else None,
                }
            )
    return rows


def _place(results: Results, part: Part, subjects: Sequence[str]) -> tuple[int, float]:
    times = [times_own(results, part, subject) for subject in subjects]
    first = next((each for each in times if each is not None), 0.0)
    return MODES.index(part.mode), 0.0 if part.shape == OWN else first


def render(results: Results, subjects: Sequence[str]) -> str:
    """A table, or nothing when no shape was measured."""
    rows = [
        [
            row["metric"],
            row["subject"],
            number(row["rate"]) + (" ?" if row["disturbed"] else ""),
            f"{row['us']:.2f}",
            *("-" if row[name] is None else f"{row[name]:.2f}" for name in ("cpu_by_own", "rate_by_own")),
            row["what"],
        ]
        for row in rows_of(results, subjects)
    ]
    if not rows:
        return ""
    head = ["shape", "subject", "msg/s", "us each", "CPU x own", "rate x own", "what"]
    return (
        "Real clients' shapes (by the benchmark's own shape in the same mode: CPU for a message, and rate)\n"
        + table(head, rows)
    )
