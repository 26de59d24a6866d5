"""Medians, ratios and goals from made-up samples; bad options."""

from __future__ import annotations

import pytest
from bench.case import Metric, Sample
from bench.latency import percentile
from bench.report import Results, goal_rows, render
from bench.run import main
from bench.scenarios import SCENARIOS


def filled() -> Results:
    results = Results()
    metric = Metric("auto", "msg/s")
    for round, (own, peer) in enumerate([(80.0, 100.0), (60.0, 120.0), (90.0, 100.0)], 1):
        results.add(round, "auto", "stompserver", (metric,), Sample({"auto": own}, 10, 1.0, 0.1, 1.0))
        results.add(round, "auto", "prototype", (metric,), Sample({"auto": peer}, 10, 1.0, 0.95, 0.4))
    return results


def test_ratios_are_taken_round_by_round() -> None:
    results = filled()
    assert results.median("auto", "stompserver") == 80.0
    assert results.ratios("auto", "stompserver", "prototype") == [0.8, 0.5, 0.9]
    assert goal_rows(results) == [("auto: at least 0.7 of prototype", 0.8, True, False)]


def test_a_goal_may_be_a_share_of_another_rate() -> None:
    results = Results()
    results.metrics = {name: Metric(name, "msg/s") for name in ("drain", "receipt")}
    results.values["drain"] = {"stompserver-lmdb": [30.0, 50.0, 40.0], "stompserver": [400.0, 400.0, 400.0]}
    results.values["receipt"] = {"stompserver": [100.0, 100.0, 100.0]}
    text = "drain (stompserver-lmdb): at least 0.4 of stompserver: receipt"
    assert goal_rows(results) == [(text, 0.4, True, False)]


def test_a_busy_generator_is_marked_and_a_dash_has_its_reason() -> None:
    results = filled()
    results.dash((Metric("fanout5", "msg/s"), Metric("fanout100", "msg/s")), "prototype", "has no topics")
    text = render(results, ["stompserver", "prototype"])
    assert "95% !" in text
    assert "prototype, fanout5; fanout100: has no topics" in text
    assert "0.80" in text


def test_a_scenario_may_derive_a_ratio_and_a_half_busy_server_makes_it_doubtful() -> None:
    results = Results()
    scenario = SCENARIOS["queues"]
    for case, value in zip(scenario.cases, (200.0, 170.0), strict=True):
        sample = Sample({case.name: value}, 10, 1.0, 0.1, 0.5)
        results.add(1, case.name, "stompserver", case.metrics, sample)
    results.add_ratio(scenario, "stompserver")
    assert goal_rows(results) == [("many / one: at least 0.8", 0.85, True, True)]


def test_percentiles() -> None:
    assert percentile(range(1, 101), 0.5) == 50
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile([7], 0.99) == 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scenario", "atuo"], "unknown scenario 'atuo'; known: auto, individual"),
        (["--subjects", "rabbit"], "unknown subject 'rabbit'"),
        (["--rounds", "0"], "must be above 0"),
    ],
)
def test_bad_options_are_one_line(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options) == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1
