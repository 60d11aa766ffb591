"""A trace as the simulator takes it: machines, and jobs with their true and declared durations.

Knows no file format (see `traces`) and no broker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..domain.fleet import Gpu


@dataclass(frozen=True, slots=True)
class Job:
    """One ask of a trace. Times in seconds; `seconds` is what it really takes."""

    id: int
    user: str
    submitted: float
    seconds: float
    gpus: int = 1
    share: float = 1.0
    """Of each of its GPUs; below 1 a fraction."""
    declared: float | None = None
    """What its user says that it takes; None: exactly what it takes."""
    group: str | None = None
    kind: str = ""
    """What it runs, or which GPU model it insists on: the trace's own word."""
    models: tuple[str, ...] = ()
    """GPU models that it may run on; empty: any."""
    priority: int = 0
    what: str | None = None
    """The profile by name, where the trace has one; else from `share`."""
    same_node: bool = False

    @property
    def gpu_seconds(self) -> float:
        return self.seconds * self.gpus * self.share


@dataclass(frozen=True, slots=True)
class Trace:
    """Jobs in the order of submission, and the fleet they were meant for."""

    name: str
    jobs: tuple[Job, ...]
    gpus: tuple[Gpu, ...]
    notes: tuple[str, ...] = field(default=())
    """What was left out or assumed, in sentences."""


def declared_wrong(jobs: Sequence[Job], factors: Sequence[float]) -> tuple[Job, ...]:
    """The same jobs, each declaring `factor` times what it takes."""
    return tuple(
        replace(job, declared=job.seconds * factor)
        for job, factor in zip(jobs, factors, strict=True)
    )
