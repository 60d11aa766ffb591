"""Training jobs: what to run, how it goes, its logs, metrics and result."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from .base import Wire

JobState = Literal[
    "waiting", "starting", "running", "stopping", "succeeded", "failed", "stopped", "lost"
]


Launcher = Literal["torch", "accelerate", "mpi"]


class NewJob(Wire, frozen=True, kw_only=True):
    """Body of `POST /jobs`: a script or a pickled function on N ranks."""

    ranks: int
    per_rank: str
    script: str | None = None
    """Path of the script, absolute or relative to `cwd`."""
    args: list[str] = field(default_factory=list)
    function_b64: str | None = None
    """cloudpickle of `(function, args, kwargs)`, base64; either this or `script`."""
    function_name: str | None = None
    name: str | None = None
    seconds: int | None = None
    cwd: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    python: str | None = None
    max_restarts: int = 0
    hang_seconds: float | None = None
    """A run whose ranks make no step for so long is ended; None: it is only told."""
    launcher: Launcher = "torch"
    """What starts the ranks: torch's agent, that with Accelerate's variables, or mpirun."""
    launcher_args: list[str] = field(default_factory=list)
    """Flags of `accelerate launch` or `mpirun`, without those that place the ranks."""


class RankView(Wire, frozen=True, kw_only=True):
    rank: int
    slice_id: str | None
    pid: int | None
    state: Literal["waiting", "running", "succeeded", "failed", "gone"]
    exit_code: int | None = None
    step: int | None = None
    beat_at: float | None = None
    stands: str | None = None
    """What keeps it from making steps: stopped by a signal, or where it stands."""


class Cause(Wire, frozen=True, kw_only=True):
    """Why a job failed: the first cause, not its echoes. The codes are in the reference."""

    code: str
    message: str
    hint: str
    rank: int | None
    """Who failed first, where it was one rank."""
    lines: list[str]
    """The end of what that rank said about it."""


class Job(Wire, frozen=True, kw_only=True):
    id: str
    name: str
    state: JobState
    user: str
    lease_id: int | None
    request_id: int | None
    ranks: list[RankView]
    per_rank: str
    created_at: float
    message: str
    command: list[str]
    started_at: float | None = None
    ended_at: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    """The newest value of each metric of rank 0."""
    step: int | None = None
    has_result: bool = False
    cause: Cause | None = None
    """Of one that failed or was lost."""


class LogChunk(Wire, frozen=True, kw_only=True):
    """Part of one rank's log; ask again with `next_offset`."""

    rank: int
    stream: Literal["out", "err"]
    offset: int
    next_offset: int
    text: str
    ended: bool


class MetricPoint(Wire, frozen=True, kw_only=True):
    rank: int
    step: int
    time: float
    values: dict[str, float]


class MetricChunk(Wire, frozen=True, kw_only=True):
    points: list[MetricPoint]
    next_offset: int
    ended: bool


class JobResult(Wire, frozen=True, kw_only=True):
    """What the function returned on rank 0 (cloudpickle, base64), or why there is nothing."""

    value_b64: str | None
    error: str | None
    traceback: str | None


class Jobs(Wire, frozen=True, kw_only=True):
    jobs: list[Job]
