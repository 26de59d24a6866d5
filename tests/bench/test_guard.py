"""When a tree counts as slower than a commit, from made-up samples."""

from __future__ import annotations

from bench.case import Metric, Sample
from bench.guard import compare
from bench.report import Results


def results_of(now: list[tuple[float, float]], then: list[tuple[float, float]]) -> Results:
    """Rounds of (messages a second, CPU seconds of the server a second) for both."""
    results = Results()
    metric = Metric("auto", "msg/s")
    for subject, rounds in (("now", now), ("then", then)):
        for round, (rate, share) in enumerate(rounds, 1):
            results.add(round, "auto", subject, (metric,), Sample({"auto": rate}, 10, 1.0, 0.1, share))
    return results


def test_a_rate_is_judged_by_cpu_and_not_by_the_clock() -> None:
    # Half the rate, since the machine had other things to do; the same work for a message.
    [found] = compare(results_of([(500.0, 0.5)] * 5, [(1000.0, 1.0)] * 5), "now", "then", 0.02)
    assert (found.metric, round(found.loss, 6), found.worse) == ("auto, us of CPU", 0.0, False)
    [found] = compare(results_of([(1000.0, 1.0)] * 5, [(1000.0, 0.9)] * 5), "now", "then", 0.02)
    assert round(found.loss, 3) == 0.111
    assert found.worse


def test_what_the_rounds_differ_by_is_no_loss() -> None:
    noisy = [(1000.0, share) for share in (0.80, 0.95, 1.0, 1.05, 1.20)]
    [found] = compare(results_of(noisy, [(1000.0, 0.98)] * 5), "now", "then", 0.02)
    assert found.noise > 0.04
    assert not found.worse


def test_latencies_and_ratios_are_compared_as_they_are() -> None:
    results = Results()
    metric = Metric("latency p50", "us", False)
    for subject, value in (("now", 22.0), ("then", 20.0)):
        results.add(1, "latency", subject, (metric,), Sample({"latency p50": value}, 10, 1.0, 0.1, 0.5))
    [found] = compare(results, "now", "then", 0.02)
    assert (found.metric, round(found.loss, 3), found.worse) == ("latency p50", 0.1, True)
