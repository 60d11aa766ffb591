"""Dask clusters."""

from __future__ import annotations

from typing import Literal

from .base import Wire
from .leases import Lease

ClusterState = Literal["waiting", "starting", "running", "stopping", "ended", "failed"]


class NewCluster(Wire, frozen=True, kw_only=True):
    workers: int
    per_worker: str
    name: str | None = None
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
    name: str
    slice_id: str
    pid: int | None
    state: Literal["starting", "running", "gone"]


class Cluster(Wire, frozen=True, kw_only=True):
    id: str
    name: str
    state: ClusterState
    user: str
    lease_id: int | None
    request_id: int | None
    per_worker: str
    workers_wanted: int
    workers: list[WorkerView]
    created_at: float
    message: str
    """For people: what it does or waits for now, or why it failed."""
    scheduler_address: str | None = None
    dashboard_path: str | None = None
    security: dict[str, str] | None = None
    """Paths of the TLS files (ca, cert, key) of this cluster; readable by its owner only."""
    ended_at: float | None = None


class Scale(Wire, frozen=True, kw_only=True):
    workers: int


# The files of a cluster's directory, between its service and its holder.


class ClusterSpec(Wire, frozen=True, kw_only=True):
    """`spec.json`: what a cluster is, for life."""

    id: str
    name: str
    lease: Lease
    threads_per_worker: int
    host_memory_bytes: int | None
    """Per worker; None takes `host_share` of what this machine has."""
    host_share: float
    idle_seconds: int | None
    """It ends when no task ran for so long; None is never."""


class ClusterTarget(Wire, frozen=True, kw_only=True):
    """`target.json`: what is wanted of a cluster now."""

    workers: int
    stop: bool = False
    ends_at: float | None = None
    """When its lease ends, as far as known: a cluster whose server is gone ends itself then."""


class ClusterStatus(Wire, frozen=True, kw_only=True):
    """`status.json`: what a cluster is now, as it says itself."""

    state: Literal["starting", "running", "stopping", "ended", "failed"]
    message: str
    workers: list[WorkerView]
    updated_at: float
    scheduler_address: str | None = None
    security: dict[str, str] | None = None


class Clusters(Wire, frozen=True, kw_only=True):
    clusters: list[Cluster]
