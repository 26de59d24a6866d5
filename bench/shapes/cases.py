"""The cases of the scenario `clients`."""

from __future__ import annotations

from collections.abc import Sequence

from bench.case import RATE, Case, Metric
from bench.flows import one_queue
from bench.shapes.flow import shaped
from bench.shapes.parts import OWN, SHAPES, Part, parts


def case(part: Part) -> Case:
    metric = part.metric
    run = (
        one_queue(metric, 100, ack=part.mode)
        if part.shape == OWN
        else shaped(metric, SHAPES[part.shape], part.mode)
    )
    return Case(metric, (Metric(metric, RATE),), run)


def cases(names: Sequence[str] = ()) -> tuple[Case, ...]:
    """One for each part of these shapes, or of all."""
    return tuple(case(part) for part in parts(names))
