"""Sweeps: many small jobs of one purpose, a few at a time."""

from __future__ import annotations

from typing import Any, Literal

from .base import Wire
from .jobs import JobSpec, JobState

SweepRunState = JobState | Literal["pending", "refused"]


class NewRun(Wire, frozen=True, kw_only=True):
    """One run: what makes it differ, for people, and the job that it is."""

    params: dict[str, Any]
    spec: JobSpec


class NewSweep(Wire, frozen=True, kw_only=True):
    """Body of `POST /sweeps`."""

    name: str
    runs: list[NewRun]
    at_most: int = 4
    """So many of them go on, or wait in the queue, at a time."""
    metric: str | None = None
    """What runs are judged by; None: what they return where that is a number, else their loss."""
    goal: Literal["min", "max"] = "min"


class SweepRun(Wire, frozen=True, kw_only=True):
    number: int
    params: dict[str, Any]
    state: SweepRunState
    """`pending`: its job is not ordered yet; `refused`: it can't be had, `message` says why."""
    job_id: str | None
    value: float | None
    """What it is judged by."""
    step: int | None
    seconds: float | None
    message: str


class Sweep(Wire, frozen=True, kw_only=True):
    id: str
    name: str
    user: str
    state: Literal["running", "done", "stopped"]
    at_most: int
    metric: str | None
    goal: Literal["min", "max"]
    created_at: float
    ended_at: float | None
    runs: list[SweepRun]
    best: int | None
    """The number of the best run of those that ended well."""


class Sweeps(Wire, frozen=True, kw_only=True):
    sweeps: list[Sweep]
    """Newest first."""
