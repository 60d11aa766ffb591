"""Training jobs: what to run, how it goes, its logs, metrics and result."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from .base import Wire

JobState = Literal[
    "waiting", "starting", "running", "stopping", "succeeded", "failed", "stopped", "lost"
]


Launcher = Literal["torch", "accelerate", "mpi"]

CheckpointKind = Literal["torch", "torch-distributed", "lightning", "accelerate", "transformers"]


class JobSpec(Wire, frozen=True, kw_only=True):
    """All that a job is: the body of `POST /jobs`, kept with the job, given back to be changed and
    posted again. Only `ranks`, `per_rank` and what to run are needed."""

    version: Literal[1] = 1
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
    """For how long its slices are asked for; None takes the pool's default."""
    pool: str | None = None
    """Where its slices come from; None is the first pool."""
    cwd: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    python: str | None = None
    launcher: Launcher = "torch"
    """What starts the ranks: torch's agent, that with Accelerate's variables, or mpirun."""
    launcher_args: list[str] = field(default_factory=list)
    """Flags of `accelerate launch` or `mpirun`, without those that place the ranks."""
    max_restarts: int = 0
    """How often all ranks start again where they are, after one has failed."""
    if_lost: Literal["fail", "replace", "fewer"] = "fail"
    """What happens when a rank is lost (killed, stopped by a signal, or its GPU failed) and no
    restart is left: the job fails, is placed anew on as many slices, or goes on with fewer."""
    hang_seconds: float | None = None
    """A run whose ranks make no step for so long is ended; None: it is only told."""
    checkpoint_dir: str | None = None
    """Where the script leaves its checkpoints, absolute or relative to `cwd`; None: a directory of
    the job's own, which goes with it."""
    resume_from: str | None = None
    """The checkpoint to go on from, as `GET /jobs/{id}/checkpoints` names it."""
    resume_args: list[str] = field(default_factory=list)
    """Arguments added where there is a checkpoint; `{checkpoint}` in them is its path."""
    sweep: str | None = None
    """The sweep that it is a part of."""
    warm: bool = True
    """Its ranks may be forked from a process that has torch imported already."""


class CodeFile(Wire, frozen=True, kw_only=True):
    path: str
    """Relative to the script's directory, or to the directory of work."""
    text: str


class Code(Wire, frozen=True, kw_only=True):
    """The code as it was when the job started: a record; what ran was read where it lies."""

    files: list[CodeFile]


class Again(Wire, frozen=True, kw_only=True):
    """Body of `POST /jobs/{id}/again`: the same once more, with what is given here changed."""

    ranks: int | None = None
    per_rank: str | None = None
    pool: str | None = None


class Resume(Wire, frozen=True, kw_only=True):
    """Body of `POST /jobs/{id}/resume`."""

    ranks: int | None = None
    checkpoint: str | None = None
    """The path of one of its checkpoints; None: the newest whole one."""


class Checkpoint(Wire, frozen=True, kw_only=True):
    """What a run can go on from: a file or a directory."""

    path: str
    kind: CheckpointKind
    step: int | None
    """As its name tells; of Accelerate, the number of the save."""
    whole: bool
    """False: it was cut off while it was written, or has been damaged since."""
    at: float
    bytes: int


class Checkpoints(Wire, frozen=True, kw_only=True):
    checkpoints: list[Checkpoint]
    """Newest last."""


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
    step_seconds: float | None = None
    """Of a step, the median of the last 50; None while that is not known."""
    slower: float | None = None
    """How many times longer it works at a step than the other ranks do (their median)."""


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
    step_seconds: float | None = None
    """Of a step, the median of the ranks' medians: 1 / this is the throughput in steps/s."""
    has_result: bool = False
    cause: Cause | None = None
    """Of one that failed or was lost."""
    resumed_from: str | None = None
    """The job that it goes on from."""
    sweep: str | None = None
    """The sweep that it is a part of."""
    hours_held: float | None = None
    """GPU-hours (1.0 is a whole GPU for an hour) of its slices; None until it is over."""
    hours_used: float | None = None
    """How much of that was used, as measured; None where nothing was."""
    size_hint: str | None = None
    """Which slice would have done, where another one than it had."""
    pool: str | None = None
    """Where its slices come from; None for one of an older server."""


class LogChunk(Wire, frozen=True, kw_only=True):
    """Part of one rank's log; ask again with `next_offset`."""

    rank: int
    stream: Literal["out", "err"]
    offset: int
    next_offset: int
    text: str
    ended: bool
    attempt: int = 0
    """Restarts so far: a new attempt of the ranks begins new logs."""


class LogMatch(Wire, frozen=True, kw_only=True):
    """A line of a rank's log; the log can be read on from `offset`."""

    rank: int
    stream: Literal["out", "err"]
    offset: int
    text: str


class LogMatches(Wire, frozen=True, kw_only=True):
    """What a search found: of the rank that failed first, then by rank."""

    matches: list[LogMatch]
    more: bool
    """There are more than are told here."""
    first_failed: int | None


class Board(Wire, frozen=True, kw_only=True):
    """TensorBoard on a job."""

    path: str
    """Below the Jupyter server's base URL."""
    ready: bool
    """False: it starts; ask again."""


class MetricPoint(Wire, frozen=True, kw_only=True):
    rank: int
    step: int
    time: float
    values: dict[str, float]


class MetricChunk(Wire, frozen=True, kw_only=True):
    points: list[MetricPoint]
    next_offset: int
    ended: bool
    anew: bool = False
    """The points begin anew: older ones were thinned since the last read. Forget what was read."""


class JobResult(Wire, frozen=True, kw_only=True):
    """What the function returned on rank 0 (cloudpickle, base64), or why there is nothing."""

    value_b64: str | None
    error: str | None
    traceback: str | None


class Jobs(Wire, frozen=True, kw_only=True):
    jobs: list[Job]
