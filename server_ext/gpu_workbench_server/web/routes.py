"""The one table of routes: the tornado handlers and the OpenAPI document are both made from it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from gpu_workbench import protocol as wire

from . import (
    clusters,
    jobs,
    leases,
    metrics,
    repartition,
    requests,
    reservations,
    status,
    sweeps,
    telemetry,
    usage,
)
from .call import Call

Method = Literal["GET", "POST", "DELETE"]
Action = Literal["read", "write", "execute"]

JSON = "application/json"
NUMBER = r"([0-9]{1,18})"
NAME = r"([A-Za-z0-9][A-Za-z0-9_.-]{0,99})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path, under `wire.BASE_PATH`. `{id}` in the path is the thing's id."""

    method: Method
    path: str
    summary: str
    action: Action
    """What the Jupyter server's authorizer is asked about, together with `resource`."""
    noun: str
    handler: Callable[[Call[Any, Any]], Awaitable[Any]]
    returns: type[Any]
    body: type[Any] | None = None
    query: type[Any] | None = None
    status: int = 200
    media: str = JSON
    """Of the answer; anything else than JSON is sent as the text that the handler returns."""
    number: bool = False
    """True where `{id}` is a request's or lease's number."""

    @property
    def resource(self) -> str:
        return f"gpu-workbench:{self.noun}"

    @property
    def pattern(self) -> str:
        """The path as a regular expression, with the base path."""
        literal = re.escape(wire.BASE_PATH + self.path)
        return literal.replace(re.escape("{id}"), NUMBER if self.number else NAME)

    @property
    def operation(self) -> str:
        """Unique name: "requests_cancel"."""
        return f"{self.noun}_{self.handler.__name__}"


def _route(
    method: Method, path: str, summary: str, noun: str, handler: Any, returns: Any, **more: Any
) -> Route:
    action: Action = "read" if method == "GET" else "write"
    return Route(
        method=method,
        path=path,
        summary=summary,
        action=action,
        noun=noun,
        handler=handler,
        returns=returns,
        **more,
    )


_read = partial(_route, "GET")
_post = partial(_route, "POST")
_delete = partial(_route, "DELETE")


ROUTES: tuple[Route, ...] = (
    _read("/status", "Who I am, my limits, what is free", "status", status.status, wire.Status),
    _read("/fleet", "Every GPU and how it is cut", "fleet", status.fleet, wire.Fleet),
    _read(
        "/cards",
        "What can be asked for, and when it could be had",
        "fleet",
        status.cards,
        wire.Cards,
        query=status.CardsQuery,
    ),
    _read(
        "/repartition",
        "Idle MIG GPUs whose other geometry would serve the queue better",
        "repartition",
        repartition.proposals,
        wire.Proposals,
    ),
    _post(
        "/repartition",
        "Cut idle GPUs as proposed; for admins",
        "repartition",
        repartition.apply,
        wire.Proposals,
        body=wire.Repartition,
    ),
    _read("/requests", "The queue, in order", "requests", requests.queue, wire.Requests),
    _post(
        "/requests",
        "Ask for slices: granted at once, or queued",
        "requests",
        requests.ask,
        wire.Request,
        body=wire.Ask,
        status=201,
    ),
    _read("/requests/{id}", "One request", "requests", requests.get, wire.Request, number=True),
    _delete(
        "/requests/{id}",
        "Stop waiting",
        "requests",
        requests.cancel,
        wire.Request,
        number=True,
    ),
    _read(
        "/leases",
        "My leases",
        "leases",
        leases.listing,
        wire.Leases,
        query=leases.LeasesQuery,
    ),
    _post(
        "/leases/claim",
        "A kernel takes the lease that waits for it, or a new one",
        "leases",
        leases.claim,
        wire.Lease,
        body=wire.Claim,
    ),
    _post(
        "/leases/heartbeat",
        "These leases are in use; answers which are still alive",
        "leases",
        leases.heartbeat,
        wire.Heartbeat,
        body=wire.Heartbeat,
    ),
    _read("/leases/{id}", "One lease", "leases", leases.get, wire.Lease, number=True),
    _delete("/leases/{id}", "Give it back", "leases", leases.release, wire.Lease, number=True),
    _post(
        "/leases/{id}/extend",
        "Keep it longer",
        "leases",
        leases.extend,
        wire.Lease,
        body=wire.Extend,
        number=True,
    ),
    _post(
        "/leases/{id}/bind",
        "A holder takes the lease",
        "leases",
        leases.bind,
        wire.Lease,
        body=wire.Holder,
        number=True,
    ),
    _read(
        "/reservations",
        "Slices booked ahead, by start",
        "reservations",
        reservations.listing,
        wire.Reservations,
    ),
    _post(
        "/reservations",
        "Book slices from–to for somebody",
        "reservations",
        reservations.book,
        wire.Reservation,
        body=wire.NewReservation,
        status=201,
    ),
    _delete(
        "/reservations/{id}",
        "Give it up",
        "reservations",
        reservations.cancel,
        wire.Reservation,
        number=True,
    ),
    _read(
        "/calendar",
        "Reservations and expected ends of leases, as intervals",
        "reservations",
        reservations.calendar,
        wire.Calendar,
        query=reservations.CalendarQuery,
    ),
    _read(
        "/calendar.ics",
        "The same, to subscribe to",
        "reservations",
        reservations.icalendar,
        str,
        query=reservations.CalendarQuery,
        media=reservations.ICALENDAR,
    ),
    _read("/clusters", "My clusters", "clusters", clusters.listing, wire.Clusters),
    _post(
        "/clusters",
        "Start a cluster on leased slices",
        "clusters",
        clusters.create,
        wire.Cluster,
        body=wire.NewCluster,
        status=201,
    ),
    _read("/clusters/{id}", "One cluster", "clusters", clusters.get, wire.Cluster),
    _delete("/clusters/{id}", "Stop it", "clusters", clusters.stop, wire.Cluster),
    _post(
        "/clusters/{id}/scale",
        "Change the number of workers",
        "clusters",
        clusters.scale,
        wire.Cluster,
        body=wire.Scale,
    ),
    _post(
        "/clusters/{id}/adapt",
        "Let it choose the number of workers, between bounds",
        "clusters",
        clusters.adapt,
        wire.Cluster,
        body=wire.Adapt,
    ),
    _post(
        "/clusters/{id}/rename",
        "Give it another name",
        "clusters",
        clusters.rename,
        wire.Cluster,
        body=wire.Rename,
    ),
    _post(
        "/clusters/{id}/restart",
        "New processes for all its workers",
        "clusters",
        clusters.restart,
        wire.Cluster,
    ),
    _read("/jobs", "My jobs", "jobs", jobs.listing, wire.Jobs),
    _post(
        "/jobs",
        "Start a training job on leased slices",
        "jobs",
        jobs.create,
        wire.Job,
        body=wire.JobSpec,
        status=201,
    ),
    _read("/jobs/{id}", "One job", "jobs", jobs.get, wire.Job),
    _post("/jobs/{id}/stop", "Stop it", "jobs", jobs.stop, wire.Job),
    _read(
        "/jobs/{id}/spec",
        "What was ordered; a changed copy can be posted",
        "jobs",
        jobs.spec,
        wire.JobSpec,
    ),
    _read("/jobs/{id}/code", "The code as it was at the start", "jobs", jobs.code, wire.Code),
    _post(
        "/jobs/{id}/again",
        "A new job of the same spec",
        "jobs",
        jobs.again,
        wire.Job,
        body=wire.Again,
        status=201,
    ),
    _read(
        "/jobs/{id}/checkpoints",
        "What it can be resumed from",
        "jobs",
        jobs.checkpoints,
        wire.Checkpoints,
    ),
    _post(
        "/jobs/{id}/resume",
        "A new job that goes on from a checkpoint of this one",
        "jobs",
        jobs.resume,
        wire.Job,
        body=wire.Resume,
        status=201,
    ),
    _read(
        "/jobs/{id}/logs",
        "Part of one rank's output",
        "jobs",
        jobs.logs,
        wire.LogChunk,
        query=jobs.LogsQuery,
    ),
    _read(
        "/jobs/{id}/logs/search",
        "Lines of the ranks' output with a text in them",
        "jobs",
        jobs.search,
        wire.LogMatches,
        query=jobs.SearchQuery,
    ),
    _read(
        "/jobs/{id}/metrics",
        "Logged metrics since an offset",
        "jobs",
        jobs.metrics,
        wire.MetricChunk,
        query=jobs.MetricsQuery,
    ),
    _read("/jobs/{id}/result", "What it returned", "jobs", jobs.result, wire.JobResult),
    _post("/jobs/{id}/tensorboard", "Open TensorBoard on it", "jobs", jobs.tensorboard, wire.Board),
    _read("/sweeps", "My sweeps", "sweeps", sweeps.listing, wire.Sweeps),
    _post(
        "/sweeps",
        "Start many jobs, a few at a time",
        "sweeps",
        sweeps.create,
        wire.Sweep,
        body=wire.NewSweep,
        status=201,
    ),
    _read("/sweeps/{id}", "One sweep", "sweeps", sweeps.get, wire.Sweep),
    _post("/sweeps/{id}/stop", "Stop it and its jobs", "sweeps", sweeps.stop, wire.Sweep),
    _read("/telemetry", "The newest sample", "telemetry", telemetry.sample, wire.Sample),
    _read(
        "/telemetry/history",
        "The past of GPUs, slices and leases, by range",
        "telemetry",
        telemetry.history,
        wire.History,
        query=telemetry.HistoryQuery,
    ),
    _read(
        "/telemetry/errors",
        "What went wrong in the hardware of GPUs, newest first",
        "telemetry",
        telemetry.errors,
        wire.HardwareErrors,
        query=telemetry.ErrorsQuery,
    ),
    _read(
        "/telemetry/processes",
        "Processes on slices, by the name people know",
        "telemetry",
        telemetry.processes,
        wire.Processes,
    ),
    _read(
        "/usage",
        "The ledger: what was held and used",
        "usage",
        usage.usage,
        wire.Usage,
        query=usage.UsageQuery,
    ),
    _read(
        "/metrics",
        "Metrics for Prometheus",
        "metrics",
        metrics.exposition,
        str,
        media=metrics.CONTENT_TYPE,
    ),
)

LIVE_PATH = "/live"
LIVE_RESOURCE = "gpu-workbench:live"
OPENAPI_PATH = "/openapi.json"
OPENAPI_RESOURCE = "gpu-workbench:openapi"
