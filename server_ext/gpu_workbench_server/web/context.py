"""What the handlers may reach: the services, once they are up, or the reason why they are not.

Knows no HTTP. The Protocols say what the web asks of the services; `app.py` puts real ones in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, ParamSpec, Protocol, TypeVar

from gpu_workbench import protocol as wire

from ..errors import Unavailable, WorkbenchError
from ..ports import BrokerApi, Identity, Principal

P = ParamSpec("P")
T = TypeVar("T")


class ClustersApi(Protocol):
    """`services.clusters.Clusters`."""

    def create(self, who: Principal, new: wire.NewCluster) -> wire.Cluster: ...
    def list(self, who: Principal) -> list[wire.Cluster]: ...
    def get(self, who: Principal, cluster_id: str) -> wire.Cluster: ...
    def scale(self, who: Principal, cluster_id: str, workers: int) -> wire.Cluster: ...
    def adapt(self, who: Principal, cluster_id: str, adapt: wire.Adapt) -> wire.Cluster: ...
    def rename(self, who: Principal, cluster_id: str, name: str) -> wire.Cluster: ...
    def restart(self, who: Principal, cluster_id: str) -> wire.Cluster: ...
    def stop(self, who: Principal, cluster_id: str) -> wire.Cluster: ...
    def dashboard(self, who: Principal, cluster_id: str) -> str | None: ...


class JobsApi(Protocol):
    """`services.jobs.Jobs`."""

    def create(self, who: Principal, new: wire.JobSpec) -> wire.Job: ...
    def spec(self, who: Principal, job_id: str) -> wire.JobSpec: ...
    def code(self, who: Principal, job_id: str) -> wire.Code: ...
    def again(self, who: Principal, job_id: str, body: wire.Again) -> wire.Job: ...
    def checkpoints(self, who: Principal, job_id: str) -> wire.Checkpoints: ...
    def resume(self, who: Principal, job_id: str, body: wire.Resume) -> wire.Job: ...
    def list(self, who: Principal) -> list[wire.Job]: ...
    def get(self, who: Principal, job_id: str) -> wire.Job: ...
    def stop(self, who: Principal, job_id: str) -> wire.Job: ...
    def logs(
        self, who: Principal, job_id: str, rank: int, stream: Literal["out", "err"], offset: int
    ) -> wire.LogChunk: ...
    def search(
        self,
        who: Principal,
        job_id: str,
        text: str,
        rank: int | None,
        stream: Literal["out", "err"] | None,
    ) -> wire.LogMatches: ...
    def metrics(self, who: Principal, job_id: str, offset: int) -> wire.MetricChunk: ...
    def result(self, who: Principal, job_id: str) -> wire.JobResult: ...


class SweepsApi(Protocol):
    """`services.sweeps.Sweeps`."""

    def create(self, who: Principal, new: wire.NewSweep) -> wire.Sweep: ...
    def list(self, who: Principal) -> list[wire.Sweep]: ...
    def get(self, who: Principal, sweep_id: str) -> wire.Sweep: ...
    def stop(self, who: Principal, sweep_id: str) -> wire.Sweep: ...


class BoardsApi(Protocol):
    """`services.boards.Boards`."""

    def open(self, who: Principal, job_id: str) -> wire.Board: ...
    def socket(self, who: Principal, job_id: str) -> str | None: ...


class TelemetryApi(Protocol):
    """`services.telemetry.Telemetry`."""

    def watch(self) -> None:
        """Somebody looks: sample in the fast rhythm."""

    def unwatch(self) -> None: ...
    def glance(self) -> wire.Sample: ...
    def now(self) -> float: ...
    def history(
        self,
        subjects: Sequence[str],
        start: float,
        end: float,
        points: int,
        metrics: Sequence[str],
        extremes: bool,
    ) -> wire.History: ...
    def errors(self, gpu: str | None = None) -> list[wire.HardwareError]: ...

    def processes(self, leases: Sequence[wire.Lease], admin: bool) -> list[wire.ProcessSample]:
        """What runs on the GPUs, as somebody sees it who may see these leases."""

    def permitted(
        self, subjects: Sequence[str], leases: Sequence[wire.Lease], admin: bool
    ) -> list[str]:
        """Without processes of others than those who hold these leases, or held them."""


@dataclass(frozen=True, slots=True)
class Services:
    """All that routes call."""

    broker: BrokerApi
    clusters: ClustersApi
    jobs: JobsApi
    sweeps: SweepsApi
    boards: BoardsApi
    telemetry: TelemetryApi
    exposition: Callable[[], bytes]
    """Metrics as the text that Prometheus reads."""


class Workbench:
    """One per Jupyter server: `starting`, then `up` with services or `down` with a reason.

    Lives on the event loop; `starting` is the state between the server's first answer and the end
    of the composition in a thread, and a call that comes in then waits for it.
    """

    def __init__(self, identity: Identity, kernel_token: str) -> None:
        self.identity = identity
        self.kernel_token = kernel_token
        self._services: Services | None = None
        self._trouble: WorkbenchError | None = None
        self._settled = asyncio.Event()
        self._broker_lane = ThreadPoolExecutor(1, "gpu-workbench-broker")
        self._holder_lane = ThreadPoolExecutor(2, "gpu-workbench-holders")

    def up(self, services: Services) -> None:
        """Composition is done."""
        self._services, self._trouble = services, None
        self._settled.set()

    def down(self, trouble: WorkbenchError) -> None:
        """Nothing can be served, and this is why."""
        self._services, self._trouble = None, trouble
        self._settled.set()

    @property
    def trouble(self) -> WorkbenchError | None:
        return self._trouble

    async def services(self, patience: float = 20.0) -> Services:
        """The services; raises the trouble, or `Unavailable` where start-up takes too long."""
        try:
            await asyncio.wait_for(self._settled.wait(), patience)
        except TimeoutError:
            raise Unavailable(
                "GPU Workbench is still starting.", "Try again in a few seconds."
            ) from None
        if self._services is None:
            raise self._trouble or Unavailable()
        return self._services

    async def on_broker(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a broker call, in order, off the event loop."""
        return await _in(self._broker_lane, call, *args, **kwargs)

    async def on_holders(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that may touch files or processes, so that it can't hold up the broker's."""
        return await _in(self._holder_lane, call, *args, **kwargs)

    def close(self) -> None:
        """No calls after this."""
        self.down(Unavailable("The server is stopping.", "Start it again."))
        for lane in (self._broker_lane, self._holder_lane):
            lane.shutdown(wait=False, cancel_futures=True)


async def _in(
    lane: ThreadPoolExecutor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    return await asyncio.get_running_loop().run_in_executor(lane, lambda: call(*args, **kwargs))
