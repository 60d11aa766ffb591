"""Many small jobs of one purpose: which may start, which was best. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .jobs import OVER, JobState

RunState = JobState | Literal["pending", "refused"]
Goal = Literal["min", "max"]

MAX_RUNS = 1000
_DEFAULTS = ("result", "loss")
"""Looked for in this order where no metric is named: what the function returned, or its loss."""


@dataclass(frozen=True, slots=True)
class Run:
    """One of them. `pending`: its job was not ordered yet; `refused`: it can't be had."""

    params: Mapping[str, Any]
    state: RunState = "pending"
    job_id: str | None = None
    message: str = ""
    step: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The newest value of each metric of rank 0."""
    seconds: float | None = None

    @property
    def over(self) -> bool:
        return self.state == "refused" or self.state in OVER


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is written down of it."""

    id: str
    owner: str
    groups: tuple[str, ...]
    name: str
    at_most: int
    metric: str | None
    goal: Goal
    created_at: float
    runs: tuple[Run, ...]
    stopped: bool = False
    ended_at: float | None = None

    @property
    def over(self) -> bool:
        return all(run.over for run in self.runs)

    def next_run(self) -> int | None:
        """The number of the run that may start now; None where enough of them go on."""
        going = sum(run.job_id is not None and not run.over for run in self.runs)
        if self.stopped or going >= self.at_most:
            return None
        return next((n for n, run in enumerate(self.runs) if run.state == "pending"), None)

    def value(self, run: Run) -> float | None:
        """What it is judged by, where it is a number."""
        for name in (self.metric,) if self.metric else _DEFAULTS:
            value = run.metrics.get(name)
            if value is not None:
                return value if math.isfinite(value) else None
        return None

    def best(self) -> int | None:
        """Of those that ended well, the one with the least (or largest) value."""
        ended_well = (run if run.state == "succeeded" else None for run in self.runs)
        return best([self.value(run) if run else None for run in ended_well], self.goal)


def best(values: Sequence[float | None], goal: Goal) -> int | None:
    """The first place of the least, or of the largest, value; None where there is none."""
    sign = 1 if goal == "min" else -1
    known = [(sign * value, n) for n, value in enumerate(values) if value is not None]
    return min(known)[1] if known else None
