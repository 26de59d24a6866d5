"""What must be reached, the guard's decision, and the pages made of a result, from made-up rounds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from bench.case import Metric, Sample
from bench.goals import MISSED, REACHED, ROWS, Row, judge, render
from bench.plan import PLAN
from bench.report import Results
from bench.scenarios import SCENARIOS
from bench.shapes import table
from bench.subjects import SUBJECTS

from bench import guard, page

RATE = Metric("auto", "msg/s")
TIME = Metric("latency p50", "us", more_is_better=False)


def results(metric: Metric, rounds: dict[str, list[float]]) -> Results:
    found = Results()
    for subject, values in rounds.items():
        for round, value in enumerate(values, 1):
            found.add(round, metric.name, subject, (metric,), Sample({metric.name: value}, 10, 1.0, 0.1, 1.0))
    return found


def test_the_better_peer_is_the_one_to_beat() -> None:
    found = results(RATE, {"stompserver": [90, 110], "rabbitmq": [10, 10], "activemq": [10, 20]})
    (verdict,) = judge(found, [Row("auto", "auto", 7)])
    assert (verdict.opponent, verdict.value, verdict.state) == ("activemq", 7.25, REACHED)
    assert judge(found, [Row("auto", "auto", 8)])[0].state == MISSED


def test_the_better_of_times_is_the_shorter() -> None:
    found = results(TIME, {"stompserver": [15.0], "rabbitmq": [60.0], "activemq": [200.0]})
    (verdict,) = judge(found, [Row("p50", "latency p50", 0.3, at_least=False)])
    assert (verdict.opponent, verdict.value, verdict.state) == ("rabbitmq", 0.25, REACHED)


def test_a_peer_that_could_not_do_it_is_no_opponent() -> None:
    found = results(RATE, {"stompserver": [100.0], "rabbitmq": [50.0]})
    found.dash((RATE,), "activemq", "fell over")
    assert judge(found, [Row("auto", "auto", 10)])[0].opponent == "rabbitmq"
    (nobody,) = judge(found, [Row("auto", "auto", 10, ("nats",))])
    assert (nobody.state, nobody.value) == ("not measured", None)
    assert "not measured" in render([nobody])


def test_a_missed_aim_is_not_counted_as_missed() -> None:
    found = results(RATE, {"stompserver": [10.0], "nats": [100.0]})
    text = render(judge(found, [Row("aim", "auto", 0.5, ("nats",), aim=True)]))
    assert "MISSED (aim)" in text
    assert "0 reached, 0 missed" in text


def test_every_row_is_measured_by_a_step_of_the_plan() -> None:
    measured = {
        (metric.name, subject)
        for step in PLAN
        for case in SCENARIOS[step.scenario].cases
        for metric in case.metrics
        for subject in step.subjects
    }
    by_request = {case.name for case in SCENARIOS["long"].cases} | {"CPU, last / first quarter"}
    for row in ROWS:
        for subject in (row.subject, *row.against):
            assert (row.metric, subject) in measured or row.metric in by_request, row.label


def test_the_plan_knows_its_subjects() -> None:
    assert {subject for step in PLAN for subject in step.subjects} <= set(SUBJECTS)


@pytest.mark.parametrize(
    ("metric", "now", "then", "worse"),
    [
        (RATE, [100, 100, 100], [100, 100, 100], False),
        (RATE, [85, 85, 85], [100, 100, 100], True),
        (RATE, [130, 130, 130], [100, 100, 100], False),
        # A loss of 15 % with rounds that differ by more than that among themselves.
        (RATE, [60, 85, 110], [75, 100, 125], False),
        (TIME, [120, 120, 120], [100, 100, 100], True),
        (TIME, [80, 80, 80], [100, 100, 100], False),
    ],
)
def test_worse_is_past_the_loss_allowed_and_the_noise(
    metric: Metric, now: list[float], then: list[float], worse: bool
) -> None:
    (finding,) = guard.compare(results(metric, {"now": now, "then": then}), "now", "then", 0.1)
    assert finding.worse is worse
    assert ("WORSE" in guard.text_of([finding], "abc", 0.1)) is worse


def test_an_unknown_commit_and_scenario_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert guard.main(["HEAD", "--scenario", "atuo"]) == 2
    assert "unknown scenario 'atuo'" in capsys.readouterr().err


def report() -> dict[str, Any]:
    found = results(RATE, {"stompserver": [100.0], "rabbitmq": [5.0], "activemq": [10.0]})
    found.dash((RATE,), "coilmq", "breaks | <here>")
    return {
        "machine": {
            "cpu": "a CPU",
            "cores": 2,
            "memory_mib": 4096,
            "kernel": "Linux 6",
            "python": "CPython 3.11",
            "uvloop": "",
            "commit": "abc",
            "load_before": 0.1,
            "time": "2026-01-02T03:04:05",
            "cores_used": [[0], [1]],
        },
        "servers": {"stompserver": "stompserver/2", "rabbitmq": "RabbitMQ/3"},
        "compiled": True,
        "settings": {"rounds": 1, "quick": False},
        **found.as_json(["stompserver", "rabbitmq", "activemq", "coilmq", "nats"]),
        "must_reach": [
            {
                "label": "auto ack",
                "metric": "auto",
                "against": "activemq",
                "own": 100.0,
                "theirs": 10.0,
                "ratio": 10.0,
                "required": 10,
                "at_least": True,
                "aim": False,
                "state": "REACHED",
            }
        ],
    }


def test_the_page_has_figures_verdicts_and_the_reasons_of_dashes() -> None:
    text = page.page(report())
    assert "| auto ack | 100 | 5 | 10 | - | - |" in text
    assert "| auto ack | 100 | 10 (activemq) | 10.00 | at least 10 | reached |" in text
    assert "- CoilMQ, auto ack: breaks    here" in text
    assert "| auto ack | 100 | 5 | 10 | 10 |" in page.short(report())


def test_the_page_has_a_table_of_those_that_confirm_each_message() -> None:
    assert "confirm" not in page.page(report())
    metric = Metric("confirmed fill", "msg/s")
    found = results(metric, {"stompserver-lmdb": [900.0], "redis": [300.0], "jetstream": [450.0]})
    found.dash((metric,), "beanstalkd", "the server answered b'OUT_OF_MEMORY'")
    given = {**report(), **found.as_json(["stompserver-lmdb", "redis", "jetstream", "beanstalkd"])}
    text = page.page(given)
    assert "| nobody consumes | 900 | - | - | 300 | - | 450 | - | - |" in text
    assert "beanstalkd, nobody consumes: the server answered b'OUT OF MEMORY'." in text


def test_the_page_has_the_shapes_of_real_clients_and_readme_the_best_and_the_worst() -> None:
    found = Results()
    for metric, rates in (
        ("own shape", {"stompserver": 1000, "activemq": 100}),
        ("stompest", {"stompserver": 250, "activemq": 50}),
        ("stompjs", {"stompserver": 500, "activemq": 100}),
        ("own shape, individual", {"stompserver": 100}),
        ("stompjs, individual", {"stompserver": 10}),
    ):
        for subject, rate in rates.items():
            sample = Sample({metric: rate}, rate, 1.0, 0.1, 1.0)
            found.add(1, metric, subject, (Metric(metric, "msg/s"),), sample)
    subjects = ["stompserver", "activemq"]
    whole = {**report(), **found.as_json(subjects), "shapes": table.rows_of(found, subjects)}
    text = page.page(whole)
    assert "| the benchmark's own |  | 1.00 | 1,000 | - | 100 | - |" in text
    assert re.search(
        r"^\| stompest \| stompest 2[.\d]*: .* \| 4.00 \| 250 \| - \| 50 \| - \|$", text, re.MULTILINE
    )
    assert "| the benchmark's own, individual |  | 1.00 | 100 | - | - | - |" in text
    short = page.short(whole)
    assert re.search(
        r"^\| auto ack, the best of real clients: stompjs 7.* \| 500 \| - \| 100 \| 5 \|$",
        short,
        re.MULTILINE,
    )
    assert re.search(
        r"^\| auto ack, the worst of real clients: stompest 2.* \| 250 \| - \| 50 \| 5 \|$",
        short,
        re.MULTILINE,
    )
    assert "real clients" not in page.page(report()) + page.short(report())


def test_a_further_result_adds_what_the_first_has_not() -> None:
    more = {
        "summary": [{"metric": "auto", "subjects": {}}, {"metric": "long rate", "subjects": {}}],
        "must_reach": [{"label": "auto ack"}, {"label": "an hour"}],
    }
    both = page.merged([report(), more])
    assert [entry["metric"] for entry in both["summary"]] == ["auto", "long rate"]
    assert both["summary"][0]["subjects"]["rabbitmq"]["median"] == 5.0
    assert [row["label"] for row in both["must_reach"]] == ["auto ack", "an hour"]


def test_only_what_is_between_the_markers_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("a\n<!-- bench-peers -->\nold\n<!-- /bench-peers -->\nz\n")
    page.put(path, "new")
    assert path.read_text() == "a\n<!-- bench-peers -->\nnew\n<!-- /bench-peers -->\nz\n"
    path.write_text("a\n")
    with pytest.raises(ValueError, match="has no <!-- bench-peers -->"):
        page.put(path, "new")


def test_the_picture_is_the_same_for_the_same_result(tmp_path: Path) -> None:
    from bench.plot import draw

    paths = [tmp_path / "1.svg", tmp_path / "2.svg"]
    for path in paths:
        draw(report(), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert b"RabbitMQ" in paths[0].read_bytes()
