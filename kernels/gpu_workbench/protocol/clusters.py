"""Dask clusters."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from .base import Wire
from .leases import Lease

ClusterState = Literal["waiting", "starting", "running", "stopping", "ended", "failed"]
WorkerState = Literal["starting", "running", "leaving"]


class Adapt(Wire, frozen=True, kw_only=True):
    """Between how many workers a cluster chooses by itself, by what there is to do."""

    minimum: int = 0
    maximum: int = 1


class NewCluster(Wire, frozen=True, kw_only=True):
    workers: int
    """To begin with; 0 is a scheduler that holds no slice until it is scaled."""
    per_worker: str
    pool: str | None = None
    """Where its slices come from; None is the first pool."""
    name: str | None = None
    adapt: Adapt | None = None
    """It chooses its number of workers by itself from the beginning."""
    seconds: int | None = None
    threads_per_worker: int = 1
    host_memory_bytes: int | None = None
    """Per worker; None divides the host's memory by rule."""
    python: str | None = None
    """Interpreter to run it with; None is the server's own. Kernels pass their own."""
    cwd: str | None = None
    """Where its workers run and import from; kernels pass their own. None is a place of its own."""
    idle_seconds: int | None = None


class WorkerView(Wire, frozen=True, kw_only=True):
    """One worker. What a worker uses is None until it was heard from."""

    name: str
    slice_id: str
    pid: int | None
    state: WorkerState
    slice_bytes: int = 0
    """Memory of its slice."""
    host_bytes: int | None = None
    """Host memory of its process."""
    host_limit_bytes: int | None = None
    spilled_bytes: int | None = None
    """Of its results, what lies on the disk."""
    busy: float | None = None
    """CPU use of its process in cores."""
    tasks: int | None = None
    """Tasks that are on it now."""
    results: int | None = None
    """Results that lie on it: gone with it, unless another worker has them too."""


class Cluster(Wire, frozen=True, kw_only=True):
    id: str
    name: str
    state: ClusterState
    user: str
    leases: list[int]
    """One for each slice that it holds."""
    per_worker: str
    pool: str | None = None
    """Where its slices come from."""
    workers_wanted: int
    workers: list[WorkerView]
    created_at: float
    message: str
    """For people: what it does or waits for now, or why it failed."""
    adapt: Adapt | None = None
    tasks: int | None = None
    """All that are not done yet."""
    idle_seconds: int | None = None
    """It ends when it had no client and no task for so long; None is never."""
    idle_at: float | None = None
    """When it ends if nobody comes; None while it has a client or a task, or may idle for ever."""
    scheduler_address: str | None = None
    dashboard_path: str | None = None
    """Of the server that answers, under its base URL; None where there is none."""
    security: dict[str, str] | None = None
    """Paths of the TLS files (ca, cert, key) of this cluster; readable by its owner only."""
    ended_at: float | None = None
    notice: str = ""
    """What happened to it last that nobody asked it for: a lease ended, and a worker with it."""
    notice_at: float | None = None
    size_hint: str | None = None
    """Of one that is over: which slice would have done for a worker, in a sentence."""
    size_profile: str | None = None
    """The profile to ask for the next time, where `size_hint` names one."""


class Scale(Wire, frozen=True, kw_only=True):
    workers: int


class Rename(Wire, frozen=True, kw_only=True):
    name: str


# The files of a cluster's directory, between its service and its holder.


class ClusterSpec(Wire, frozen=True, kw_only=True):
    """`spec.json`: what a cluster is, for life."""

    id: str
    name: str
    threads_per_worker: int
    host_memory_bytes: int | None
    """Per worker; None takes its slice's share of what this machine has."""
    fleet_units: float
    """GPU units of all GPUs, to reckon a slice's share."""
    idle_seconds: int | None
    """It ends when it had no client and no task for so long; None is never."""
    silence_seconds: float | None = None
    """It ends when its server did not touch `target.json` for so long; None is never."""
    ucx: bool = False
    """Whether UCX may be used, which has no encryption; TLS otherwise."""


class ClusterTarget(Wire, frozen=True, kw_only=True):
    """`target.json`: what is wanted of a cluster now. Touched as a sign that its server lives."""

    leases: list[Lease] = field(default_factory=list)
    """A worker on each of their slices, and nowhere else; each until its lease ends."""
    stop: bool = False
    adapt: Adapt | None = None
    restarts: int = 0
    """How many times its workers were to be restarted since it was made."""


class ClusterStatus(Wire, frozen=True, kw_only=True):
    """`status.json`: what a cluster is now, as it says itself."""

    state: Literal["starting", "running", "stopping", "ended", "failed"]
    message: str
    workers: list[WorkerView]
    updated_at: float
    desired: int | None = None
    """How many workers it would have, where it is to adapt."""
    tasks: int | None = None
    idle_at: float | None = None
    scheduler_address: str | None = None
    dashboard_socket: str | None = None
    """Path of the Unix socket that its dashboard listens on."""
    security: dict[str, str] | None = None


class Clusters(Wire, frozen=True, kw_only=True):
    clusters: list[Cluster]
