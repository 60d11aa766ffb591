"""Metrics that loggers leave on disk: the CSV, and what is broken. Event files: see tests/slow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench.holders.hooks import METRIC_FILES
from gpu_workbench.holders.metrics import METRICS
from gpu_workbench.holders.points import Points


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "attempt-0" / "rank-0"
    run.mkdir(parents=True)
    return run


def noted(run: Path, path: Path) -> Path:
    with (run / METRIC_FILES).open("a") as file:
        file.write(f"{path}\n")
    return path


def gathered(points: Points, run: Path) -> list[tuple[int, dict[str, Any]]]:
    """All that is in the job's file by now."""
    points.gather({0: run})
    path = run.parent.parent / METRICS
    lines = path.read_text().splitlines() if path.exists() else []
    return [(one["s"], one["v"]) for one in map(json.loads, lines)]


def test_a_csv_is_followed_line_by_line(run: Path, tmp_path: Path) -> None:
    file, points = noted(run, tmp_path / "metrics.csv"), Points(tmp_path)
    file.write_text("epoch,step,loss\n0,1,0.5\n0,2,")
    assert gathered(points, run) == [(1, {"epoch": 0.0, "loss": 0.5})]
    with file.open("a") as more:
        more.write("0.25\n")
    assert gathered(points, run)[1:] == [(2, {"epoch": 0.0, "loss": 0.25})]


def test_a_csv_that_gets_a_column_more_is_not_told_twice(run: Path, tmp_path: Path) -> None:
    file, points = noted(run, tmp_path / "metrics.csv"), Points(tmp_path)
    file.write_text("step,loss\n1,0.5\n2,0.4\n")
    gathered(points, run)
    file.write_text("accuracy,step,loss\n,1,0.5\n")
    gathered(points, run)  # it is seen half-way
    file.write_text("accuracy,step,loss\n,1,0.5\n,2,0.4\n0.9,2,\n")
    assert gathered(points, run)[2:] == [(2, {"accuracy": 0.9})]


def test_somebody_elses_csv_is_no_metric(run: Path, tmp_path: Path) -> None:
    file, points = noted(run, tmp_path / "metrics.csv"), Points(tmp_path)
    file.write_text("name,value\nana,3\n")
    assert gathered(points, run) == []


def test_a_metric_of_two_loggers_is_taken_once(run: Path, tmp_path: Path) -> None:
    file, points = noted(run, tmp_path / "metrics.csv"), Points(tmp_path)
    file.write_text("step,loss,lr\n1,0.5,0.1\n")
    (run / METRICS).write_text('{"s":1,"t":1.0,"v":{"loss":0.5}}\n')
    assert gathered(points, run) == [(1, {"loss": 0.5}), (1, {"lr": 0.1})]


def test_after_a_restart_a_metric_has_the_name_that_it_had(run: Path, tmp_path: Path) -> None:
    again = tmp_path / "attempt-1" / "rank-0"
    again.mkdir(parents=True)
    points = Points(tmp_path)
    for number, one in enumerate((run, again)):
        (one / METRICS).write_text(f'{{"s":{number},"t":1.0,"v":{{"loss":0.5}}}}\n')
        points.gather({0: one})
    assert gathered(points, again) == [(0, {"loss": 0.5}), (1, {"loss": 0.5})]


def test_what_is_broken_costs_its_points_and_is_said_once(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    noted(run, tmp_path / "events.out.tfevents.1").write_bytes(b"\x10" + b"\0" * 11 + b"junk" * 99)
    (run / METRICS).write_text('{}\n[1]\n{"s":null,"t":1,"v":{}}\n{"s":3,"t":1.0,"v":{"loss":1}}\n')
    points = Points(tmp_path)
    assert gathered(points, run) == gathered(points, run) == [(3, {"loss": 1.0})]
    events = tmp_path / "events.jsonl"
    assert not events.exists() or len(events.read_text().splitlines()) == 1


def test_a_file_that_is_gone_is_no_harm(run: Path, tmp_path: Path) -> None:
    noted(run, tmp_path / "metrics.csv")
    assert gathered(Points(tmp_path), run) == []
