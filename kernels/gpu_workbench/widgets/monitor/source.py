"""What the monitor draws and where the figures come from: the user's own server, once a second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ... import protocol as wire
from ...client import Client
from ...display import short
from ...errors import GpuWorkbenchError
from ...job_display import OVER
from .window import SECONDS, Figures, Subject, Window

_LOOK_FOR_LEASES_EVERY = 5
MOST = 16
"""Subjects that are drawn; a notebook's output is no dashboard."""


@dataclass(frozen=True)
class Target:
    """Whose slices: of a lease, job or cluster, a GPU (name, index or UUID), or all that I hold."""

    lease: int | None = None
    job: str | None = None
    cluster: str | None = None
    gpu: str | int | None = None


class Source:
    """Fills a `Window` from the server. Holding nothing, "all that I hold" are the GPUs."""

    def __init__(self, client: Client, target: Target) -> None:
        self.window = Window()
        self.more = 0
        """Subjects that are not drawn."""
        self.over = ""
        """Why there is nothing more to come."""
        self._client = client
        self._target = target
        self._steps = 0

    def step(self) -> None:
        """One second later. Raises `GpuWorkbenchError`."""
        if self._steps % _LOOK_FOR_LEASES_EVERY == 0:
            found = self._subjects()
            self.more = max(0, len(found) - MOST)
            self._remember(self.window.watch(found[:MOST]))
        self._steps += 1
        self.window.step(self._figures())

    def catch_up(self) -> None:
        """After a rest: the window's past is the server's. Raises `GpuWorkbenchError`."""
        self._steps = 0
        self._remember(self.window.subjects)
        self.step()

    def _figures(self) -> dict[str, Figures]:
        try:
            sample = self._client.sample()
        except GpuWorkbenchError as error:
            if error.code != "unavailable":  # the server is up and has not looked yet
                raise
            return {}
        slices = {one.slice_id: one for one in sample.slices}
        gpus = {one.uuid: one for one in sample.gpus}
        return {
            subject: Figures(one.activity, one.sm_activity, one.memory_bytes)
            for subject, one in (slices | gpus).items()
        }

    def _remember(self, subjects: Sequence[Subject]) -> None:
        for subject in subjects:
            past = self._client.history(subject.id, SECONDS)
            means = {one.metric: one.mean for one in past.series}
            unknown: list[float | None] = [None] * len(past.times)
            names = ("activity", "sm_activity", "memory_bytes")
            columns = [means.get(name, unknown) for name in names]
            figures = (Figures(*row) for row in zip(*columns, strict=True))
            self.window.fill(subject.id, time.time(), zip(past.times, figures, strict=True))

    # --- what to draw -----------------------------------------------------------------------------

    def _subjects(self) -> list[Subject]:
        target = self._target
        if target.gpu is not None:
            return [_of_gpu(self._gpu_named(target.gpu))]
        if target.job is not None:
            return self._of_job(target.job)
        if target.cluster is not None:
            return self._of_cluster(target.cluster)
        if target.lease is not None:
            lease = self._client.lease(target.lease)
            self.over = "The lease has ended." if lease.state == "ended" else ""
            return _of_lease(lease)
        mine = [one for one in self._client.leases() if one.mine]
        if mine:
            return [part for lease in mine for part in _of_lease(lease)]
        return [_of_gpu(one) for one in self._client.fleet().gpus]

    def _of_job(self, job_id: str) -> list[Subject]:
        """A row a rank; none while it waits for its slices."""
        job = self._client.call("GET", f"jobs/{job_id}", returns=wire.Job)
        self.over = f"The job has {job.state}." if job.state in OVER else ""
        if job.state == "lost" or job.state == "stopped":
            self.over = f"The job is {job.state}."
        if job.lease_id is None:
            return []
        ranks = {one.slice_id: one.rank for one in job.ranks}
        lease = self._client.lease(job.lease_id)
        return [
            Subject(
                one.id,
                " · ".join(
                    [f"job {job.name}"]
                    + ([f"rank {ranks[one.id]}"] if one.id in ranks else [])
                    + [short(one.profile)]
                ),
                one.memory_bytes,
            )
            for one in lease.slices
        ]

    def _of_cluster(self, cluster_id: str) -> list[Subject]:
        """A row a worker's slice; none while it waits for its slices."""
        cluster = self._client.call("GET", f"clusters/{cluster_id}", returns=wire.Cluster)
        over = cluster.state in ("ended", "failed")
        self.over = f"The cluster has {cluster.state}." if over else ""
        leases = [] if over else [self._client.lease(number) for number in cluster.leases]
        return [
            Subject(one.id, f"cluster {cluster.name} · {short(one.profile)}", one.memory_bytes)
            for lease in leases
            for one in lease.slices
        ]

    def _gpu_named(self, wanted: str | int) -> wire.Gpu:
        gpus = self._client.fleet().gpus
        for one in gpus:
            if wanted in (one.name, one.uuid, one.index):
                return one
        raise GpuWorkbenchError(
            "not_found",
            f"There is no GPU {wanted!r}.",
            f"There are: {', '.join(one.name for one in gpus)}.",
        )


def _of_gpu(gpu: wire.Gpu) -> Subject:
    return Subject(gpu.uuid, f"{gpu.name} {gpu.model}", gpu.memory_bytes)


def _of_lease(lease: wire.Lease) -> list[Subject]:
    name = lease.holder.name if lease.holder else lease.name or f"lease {lease.id}"
    many = len(lease.slices) > 1
    return [
        Subject(
            one.id,
            f"{name} · {short(one.profile)}" + (f" · {number}" if many else ""),
            one.memory_bytes,
        )
        for number, one in enumerate(lease.slices, start=1)
    ]
