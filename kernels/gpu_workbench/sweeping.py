"""`gw.sweep`: many small jobs of one function or script, a few at a time, and which was best.

The server orders the runs, each a job in the same queue, so a sweep goes on without this kernel:
`gw.sweeps()` finds it again. There is no optimiser here; with `study=` each run is one trial of
Optuna's, whose storage and samplers do the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Literal

from msgspec.structs import replace

from . import protocol as wire
from . import sweep_display
from .client import get_client
from .handles import Handle
from .job_metrics import Rows
from .ordering import What, job_spec
from .sweep_display import said
from .training import JobHandle, job

Grid = Mapping[str, Iterable[Any]] | Iterable[Mapping[str, Any]]


def sweep(
    what: What,
    grid: Grid = (),
    *script_args: str,
    ranks: int = 1,
    per_rank: str = "0.25",
    at_most: int = 4,
    metric: str | None = None,
    goal: Literal["min", "max"] = "min",
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    hours: float | None = None,
    pool: str | None = None,
    name: str | None = None,
    env: Mapping[str, str] | None = None,
    study: Any = None,
    trials: int = 20,
) -> SweepHandle:
    """Run it once for every point of a grid, or for every dictionary of a list.

    A function gets the values as keywords, a script as `--name value` (a true one as `--name`).
    At most `at_most` runs go on, or wait for slices, at a time. `metric` is what they are judged
    by: the newest value of a metric, or what the function returned, `result` (without a name: that,
    or else `loss`). Returns at once. Raises `GpuWorkbenchError`, `ValueError` for an empty grid.

        runs = gw.sweep(train, {"lr": [0.1, 0.01], "width": [32, 64]}, at_most=2)
        runs.watch(); runs.best.result()
        gw.sweep("train.py", [{"lr": 0.1}, {"lr": 0.01, "adam": True}])

    With an Optuna `study` the function is its objective, and there are `trials` runs. Its storage
    must be one that the ranks can reach: a database or a journal, not memory.
    """
    common: dict[str, Any] = {
        "ranks": ranks,
        "per_rank": per_rank,
        "hours": hours,
        "pool": pool,
        "env": dict(env or {}),
    }
    points: list[dict[str, Any]]
    if study is not None:
        what, kwargs, points = _trial(study, what, ranks), {}, [{} for _ in range(trials)]
        goal = "max" if study.direction.name == "MAXIMIZE" else "min"
    else:
        points = _points(grid)
    if not points:
        raise ValueError('sweep: the grid is empty; as in {"lr": [0.1, 0.01], "width": [32, 64]}')
    runs, called = [], name or ""
    for number, point in enumerate(points):
        if callable(what):
            spec = job_spec(what, (), args, {**(kwargs or {}), **point}, **common)
        else:
            spec = job_spec(what, [*map(str, script_args), *_flags(point)], args, kwargs, **common)
        called = called or spec.function_name or os.path.basename(spec.script or "")
        spec = replace(spec, name=f"{called} {said(point) or number}")
        shown = {key: one if _is_plain(one) else repr(one) for key, one in point.items()}
        runs.append(wire.NewRun(params=shown, spec=spec))
    new = wire.NewSweep(name=called, runs=runs, at_most=at_most, metric=metric, goal=goal)
    client = get_client()
    return SweepHandle(client.call("POST", "sweeps", new, returns=wire.Sweep), client)


def sweeps() -> list[SweepHandle]:
    """My sweeps, newest first: also those that another kernel started."""
    client = get_client()
    found = client.call("GET", "sweeps", returns=wire.Sweeps).sweeps
    return [SweepHandle(one, client) for one in found]


def _points(grid: Grid) -> list[dict[str, Any]]:
    if isinstance(grid, Mapping):
        values = [list(one) for one in grid.values()]
        return [dict(zip(grid, point, strict=True)) for point in product(*values)] if grid else []
    return [dict(point) for point in grid]


def _flags(point: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for name, value in point.items():
        flag = f"--{name}"
        words += [flag] if value is True else [] if value is False else [flag, str(value)]
    return words


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _trial(study: Any, objective: What, ranks: int) -> Callable[[], float]:
    """A function that makes one trial of a study, in a process that finds the study's storage."""
    if not callable(objective):
        raise TypeError("sweep: a study needs a function of a trial")
    if ranks != 1:
        raise ValueError("sweep: a trial of a study runs on one rank; leave ranks at 1")
    if type(study._storage).__name__ == "InMemoryStorage":
        raise ValueError(
            "sweep: this study is in the notebook's memory, where ranks can't reach it; make it "
            "with optuna.create_study(storage='sqlite:///study.db', …)"
        )

    def trial() -> float:
        values: list[float] = []
        study.sampler.reseed_rng()  # or every run would begin with the same numbers
        study.optimize(objective, n_trials=1, callbacks=[lambda _, one: values.append(one.value)])
        return values[0]

    trial.__name__ = getattr(objective, "__name__", "objective")
    return trial


class SweepHandle(Handle[wire.Sweep]):
    """A sweep by its id. Throw it away and it goes on; `gw.sweeps()` finds it again."""

    _KIND = "sweeps"

    @property
    def jobs(self) -> list[JobHandle]:
        """The jobs that were ordered by now, in the order of the runs."""
        return [job(run.job_id) for run in self.status.runs if run.job_id is not None]

    @property
    def best(self) -> JobHandle | None:
        """The job of the best run of those that ended well by now."""
        now = self.status
        found = None if now.best is None else now.runs[now.best].job_id
        return None if found is None else job(found)

    @property
    def rows(self) -> Rows:
        """For a data frame: the values of each run, `value` (what it is judged by), `state`, …"""
        return Rows(
            {
                **run.params,
                "value": run.value,
                "state": run.state,
                "job": run.job_id,
                "seconds": run.seconds,
            }
            for run in self.status.runs
        )

    def _live(self, now: wire.Sweep) -> tuple[str, str]:
        return sweep_display.text(now), sweep_display.html(now)

    def _text(self) -> str:
        return sweep_display.text(self._fresh())

    def _html(self) -> str:
        return sweep_display.html(self._fresh())
