"""Many small jobs of one purpose: which may start, which was best, and a server that is cut off."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpu_workbench import protocol as wire
from gpu_workbench import sweep_display
from gpu_workbench_server.domain.sweeps import Run, Sweep, best
from gpu_workbench_server.errors import BadRequest, NotFound, Refused
from gpu_workbench_server.ports import Principal
from gpu_workbench_server.services.sweeps import Sweeps
from tests.support.news import Paper, WallClock

ANA, BEN = Principal("ana"), Principal("ben")


class CutOff(Exception):
    """The server is killed at this very line."""


class Shelf:
    """Jobs that end when they are told to; no slices, no processes."""

    def __init__(self) -> None:
        self.jobs: dict[str, wire.Job] = {}
        self.cut_off = False

    def create(self, who: Principal, new: wire.JobSpec) -> wire.Job:
        if new.per_rank == "7":
            raise Refused("That can never be had.")
        job_id = f"job-{len(self.jobs)}"
        self.jobs[job_id] = wire.Job(
            id=job_id, name=new.name or "", state="waiting", user=who.user, lease_id=None,
            request_id=1, ranks=[], per_rank=new.per_rank, created_at=1.0, message="", command=[],
            sweep=new.sweep,
        )  # fmt: skip
        if self.cut_off:
            raise CutOff
        return self.jobs[job_id]

    def list(self, who: Principal) -> list[wire.Job]:
        return [job for job in self.jobs.values() if job.user == who.user]

    def stop(self, who: Principal, job_id: str) -> wire.Job:
        return self.end(job_id, "stopped")

    def end(self, job_id: str, state: Any = "succeeded", **metrics: float) -> wire.Job:
        self.jobs[job_id] = msgspec.structs.replace(
            self.jobs[job_id], state=state, metrics=metrics, started_at=1.0, ended_at=3.0
        )
        return self.jobs[job_id]


def order(count: int, at_most: int = 2, per_rank: str = "0.25") -> wire.NewSweep:
    spec = wire.JobSpec(ranks=1, per_rank=per_rank, script="a.py")
    runs = [wire.NewRun(params={"lr": n}, spec=spec) for n in range(count)]
    return wire.NewSweep(name="train", runs=runs, at_most=at_most)


def states(sweep: wire.Sweep) -> list[str]:
    return [run.state for run in sweep.runs]


def test_no_more_runs_go_on_than_are_allowed_and_the_next_follows_the_first_that_ends(
    tmp_path: Path,
) -> None:
    shelf = Shelf()
    sweeps = Sweeps(shelf, Paper(), WallClock(), tmp_path)
    made = sweeps.create(ANA, order(4))
    assert states(made) == ["waiting", "waiting", "pending", "pending"]
    shelf.end("job-1", loss=0.5)
    sweeps.reconcile()
    now = sweeps.get(ANA, made.id)
    assert states(now) == ["waiting", "succeeded", "waiting", "pending"]
    assert (now.best, now.runs[1].value, now.runs[1].seconds) == (1, 0.5, 2.0)
    for number, loss in ((0, 0.9), (2, 0.1)):
        shelf.end(f"job-{number}", loss=loss)
    sweeps.reconcile()
    shelf.end("job-3", "failed")
    sweeps.reconcile()
    done = sweeps.get(ANA, made.id)
    assert (done.state, done.best) == ("done", 2)
    assert done.ended_at is not None
    assert not list((tmp_path / made.id).glob("run-*")), "its jobs keep what they run"


def test_a_server_that_is_killed_at_any_line_goes_on_where_it_was(tmp_path: Path) -> None:
    shelf = Shelf()
    sweeps = Sweeps(shelf, Paper(), WallClock(), tmp_path)
    made = sweeps.create(ANA, order(3, at_most=1))
    shelf.end("job-0")
    shelf.cut_off = True
    with pytest.raises(CutOff):
        sweeps.reconcile()
    shelf.cut_off = False
    again = Sweeps(shelf, Paper(), WallClock(), tmp_path)
    again.reconcile()
    assert [run.job_id for run in again.get(ANA, made.id).runs] == ["job-0", "job-1", None]
    assert len(shelf.jobs) == 2, "none was ordered twice"


def test_its_windows_are_told_when_a_run_changes_its_state_and_not_at_each_step(
    tmp_path: Path,
) -> None:
    shelf, paper = Shelf(), Paper()
    sweeps = Sweeps(shelf, paper, WallClock(), tmp_path)
    made = sweeps.create(ANA, order(2, at_most=1))
    assert {(one.type, one.subject, one.owner) for one in paper.news} == {("sweep", made.id, "ana")}
    paper.news.clear()
    for step in range(3):
        shelf.jobs["job-0"] = msgspec.structs.replace(shelf.jobs["job-0"], step=step)
        sweeps.reconcile()
    assert sweeps.get(ANA, made.id).runs[0].step == 2
    assert paper.news == []
    shelf.end("job-0", loss=0.5)
    sweeps.reconcile()
    assert paper.news


def test_a_stopped_sweep_stops_its_jobs_and_orders_no_more(tmp_path: Path) -> None:
    sweeps = Sweeps(Shelf(), Paper(), WallClock(), tmp_path)
    made = sweeps.create(ANA, order(5))
    assert set(states(sweeps.stop(ANA, made.id))) == {"stopped"}
    assert sweeps.get(ANA, made.id).state == "stopped"
    assert sweeps.stop(ANA, made.id).state == "stopped"


def test_a_run_that_can_not_be_had_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    sweeps = Sweeps(Shelf(), Paper(), WallClock(), tmp_path)
    made = sweeps.create(ANA, order(2, per_rank="7"))
    assert states(made) == ["refused", "refused"]
    assert made.runs[0].message == "That can never be had."
    assert made.state == "done"


def test_it_is_its_owners_only_and_odd_orders_are_refused(tmp_path: Path) -> None:
    sweeps = Sweeps(Shelf(), Paper(), WallClock(), tmp_path)
    made = sweeps.create(ANA, order(1))
    assert sweeps.list(BEN) == []
    with pytest.raises(NotFound):
        sweeps.stop(BEN, made.id)
    for odd in (order(0), order(1, at_most=0)):
        with pytest.raises(BadRequest):
            sweeps.create(ANA, odd)


def test_the_best_is_the_least_or_the_largest_of_what_is_a_number() -> None:
    assert best([None, 3.0, 1.0, 1.0], "min") == 2
    assert best([None, 3.0, 1.0, 3.0], "max") == 1
    assert best([None], "min") is None
    nan = Run(params={}, state="succeeded", metrics={"loss": float("nan")})
    failed = Run(params={}, state="failed", metrics={"loss": 0.0})
    returned = Run(params={}, state="succeeded", metrics={"loss": 9.0, "result": 5.0})
    sweep = Sweep("s", "ana", (), "s", 1, None, "min", 0.0, (nan, failed, returned))
    assert (sweep.best(), sweep.value(returned)) == (2, 5.0)
    assert replace(sweep, metric="loss").value(returned) == 9.0


def test_a_table_has_the_best_run_first_and_escapes_names() -> None:
    states = itertools.cycle(("succeeded", "failed"))
    runs = [
        wire.SweepRun(
            number=n, params={"<lr>": n / 10}, state=next(states), job_id=f"job-{n}",
            value=1.0 - n / 10, step=3, seconds=61.0, message="out of <memory>",
        )
        for n in range(4)
    ]  # fmt: skip
    sweep = wire.Sweep(
        id="sweep-1", name="train", user="ana", state="done", at_most=2, metric="loss", goal="min",
        created_at=1.0, ended_at=2.0, runs=runs, best=2,
    )  # fmt: skip
    html = sweep_display.html(sweep)
    assert html.index("job-2") < html.index("job-0") < html.index("job-1")
    assert "★" in html and "1:01" in html and "out of &lt;memory&gt;" in html
    assert "<lr>" not in html and "<memory>" not in html
    assert sweep_display.text(sweep).splitlines() == [
        "train (sweep-1) done · 4 runs: 2 succeeded, 2 failed",
        "  best: <lr>=0.2 · 0.8 (job-2)",
    ]
