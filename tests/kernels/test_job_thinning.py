"""The points of a job are bounded on disk, whatever it logs and for however long."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from gpu_workbench.holders.metrics import METRICS
from gpu_workbench.holders.points import Points
from gpu_workbench.holders.thinning import thin
from gpu_workbench_server.services.job_files import JobFiles

LIMIT = 256 * 1024


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "attempt-0" / "rank-0"
    run.mkdir(parents=True)
    return run


def logged(run: Path, steps: range, **spikes: float) -> None:
    """What `gw.log(step, loss=…, lr=…)` leaves; a spike is `s17=9.0`, the loss of step 17."""
    with (run / METRICS).open("a") as file:
        for step in steps:
            values = {"loss": spikes.get(f"s{step}", random.uniform(1, 2)), "lr": 1 / (step + 1)}
            file.write(json.dumps({"s": step, "t": float(step), "v": values}) + "\n")


def read(directory: Path) -> list[tuple[int, dict[str, float]]]:
    """As a reader that begins at the beginning."""
    files, offset, found = JobFiles(directory), 0, []
    while True:
        piece = files.points(offset)
        found += [(one.step, one.values) for one in piece.points]
        if piece.following == offset:
            return found
        offset = piece.following


def test_it_stays_below_its_limit_and_keeps_least_largest_and_last(
    run: Path, tmp_path: Path
) -> None:
    points = Points(tmp_path, LIMIT)
    logged(run, range(20_000), s17=-5.0, s4321=99.0)
    for _ in range(40):
        points.gather({0: run})
        assert (tmp_path / METRICS).stat().st_size <= LIMIT
    found = read(tmp_path)
    losses = {step: values["loss"] for step, values in found if "loss" in values}
    assert (losses[17], losses[4321]) == (-5.0, 99.0)
    steps = [step for step, _ in found]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0, 19_999)
    newest = [step for step in steps if step > 19_500]
    assert newest == list(range(19_501, 20_000)), "the newest are whole"
    assert all(values["lr"] == 1 / (step + 1) for step, values in found if "lr" in values)


def test_each_rank_and_metric_is_thinned_by_itself(tmp_path: Path) -> None:
    file = tmp_path / METRICS
    with file.open("w") as lines:
        for step in range(4000):
            for rank in (0, 1):
                values = {"loss": float(step), "rare" if step % 100 == 0 else "often": 1.0 + step}
                point = {"r": rank, "s": step, "t": 1.0, "v": values}
                lines.write(json.dumps(point) + "\n")
    before = file.stat().st_size
    assert thin(file, before - 1)
    assert file.stat().st_size < 0.7 * before
    assert not thin(file, before - 1)
    points = JobFiles(tmp_path).points(0).points
    assert {one.rank for one in points} == {0, 1}
    assert any("rare" in one.values for one in points)


def test_a_reader_whose_place_was_in_the_file_before_begins_anew(run: Path, tmp_path: Path) -> None:
    points, files = Points(tmp_path, LIMIT), JobFiles(tmp_path)
    logged(run, range(2000))
    points.gather({0: run})
    piece = files.points(0)
    assert (piece.points[-1].step, piece.at_end, piece.anew) == (1999, True, False)
    logged(run, range(2000, 6000))
    points.gather({0: run})
    anew = files.points(piece.following)
    assert anew.anew
    assert anew.points[0].step == 0
    assert anew.following > piece.following, "an offset only grows"
    assert not files.points(anew.following).anew


def test_what_a_rank_wrote_itself_gives_its_room_back_once_it_is_gathered(
    run: Path, tmp_path: Path
) -> None:
    points = Points(tmp_path, LIMIT)
    for start in range(0, 40_000, 2000):
        logged(run, range(start, start + 2000))
        points.gather({0: run})
    own = (run / METRICS).stat()
    assert own.st_size > 8 * LIMIT
    assert own.st_blocks * 512 <= 3 * LIMIT
    assert read(tmp_path)[-1][0] == 39_999
    again = Points(tmp_path / "another", LIMIT)  # as TensorBoard reads it: from where there is data
    (tmp_path / "another").mkdir()
    again.gather({0: run})
    assert read(tmp_path / "another")[-1][0] == 39_999


def test_a_line_that_is_no_point_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / METRICS
    line = '{"r":0,"s":1,"t":1.0,"v":{"loss":NaN,"x":1}}\n'
    file.write_text("[]\n{broken\n" + line * 100)
    assert thin(file, 10)
    assert JobFiles(tmp_path).points(0).points[0].values == {"x": 1.0}
