"""The product's services put together without a server, from the broker to the sampler."""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle

from gpu_workbench import protocol as wire
from gpu_workbench_server.domain.environment import environment_for_holder
from gpu_workbench_server.engines.local import LocalEngine
from gpu_workbench_server.ports import DeviceBackend, News, Principal
from gpu_workbench_server.services.broker import Broker
from gpu_workbench_server.services.clusters import Clusters
from gpu_workbench_server.services.jobs import Jobs
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.services.reaper import KernelFacts, Reaper
from gpu_workbench_server.services.telemetry import Telemetry
from gpu_workbench_server.store.memory import MemoryStore

T = TypeVar("T")
WHO = Principal("acceptance")


class Workplace:
    """`step` does what the server's housekeeping does about once a second."""

    def __init__(self, devices: DeviceBackend, broker_name: str, directory: Path) -> None:
        self.devices = devices
        self.broker_name = broker_name
        store, clock, sink = MemoryStore(), _Clock(), _Nobody()
        self.broker = Broker(store, devices, clock, sink, Policy(stop_grace=5.0))
        self.broker.start()
        self.engine = LocalEngine(directory / "engine", broker_name)
        # Holders don't inherit PYTHONPATH; here it is how the packages are found at all.
        environment = environment_for_holder(os.environ) | {
            "PYTHONPATH": os.environ["PYTHONPATH"],
            wire.BROKER_ENV: broker_name,
        }
        self.environment = environment
        self.jobs = Jobs(
            self.broker, self.engine, store, sink, clock, directory / "jobs", environment
        )
        self.clusters = Clusters(
            self.broker, self.engine, store, sink, clock, directory / "clusters", environment
        )
        self.reaper = Reaper(
            self.broker,
            self.engine,
            devices,
            _NoKernels(),
            clock,
            Policy(stop_grace=5.0),
            (self.jobs.attributions, self.clusters.attributions),
        )
        self.samples: list[bytes] = []
        self.telemetry = Telemetry(devices, self.reaper.held, clock, self.samples.append)

    def step(self) -> None:
        self.broker.tick()
        self.jobs.reconcile()
        self.clusters.reconcile()
        self.reaper.step()
        self.telemetry.tick()
        self.broker.meter(self.telemetry.take_used())

    def lease(self, what: str, count: int = 1) -> wire.Lease:
        """Granted now, or AssertionError with the reason why it waits."""
        request = self.broker.ask(WHO, wire.Ask(what=what, count=count, seconds=600))
        assert request.state == "granted", request.reason
        return self.broker.lease(WHO, request.id)

    def give_back(self, lease: wire.Lease) -> float:
        """Release and wait until the slices are free again; returns the seconds it took."""
        began = time.monotonic()
        self.broker.release(WHO, lease.id)
        self.until(lambda: self.broker.lease(WHO, lease.id).cleared, 60, "the slices are free")
        return time.monotonic() - began

    def launch(self, function: Callable[..., Any], args: Sequence[Any], **more: Any) -> wire.Job:
        """Start a job and follow it to its end."""
        packed = base64.b64encode(cloudpickle.dumps((function, tuple(args), {}))).decode()
        job = self.jobs.create(WHO, wire.JobSpec(function_b64=packed, cwd=os.getcwd(), **more))
        over = ("succeeded", "failed", "stopped", "lost")
        self.until(lambda: self.jobs.get(WHO, job.id).state in over, 240, "the job is over")
        return self.jobs.get(WHO, job.id)

    def result(self, job: wire.Job) -> Any:
        found = self.jobs.result(WHO, job.id)
        return None if found.value_b64 is None else cloudpickle.loads(_bytes(found.value_b64))

    def until(self, condition: Callable[[], T], seconds: float, what: str) -> T:
        deadline = time.monotonic() + seconds
        while True:
            self.step()
            answer = condition()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise TimeoutError(f"not after {seconds:g} s: {what}")
            time.sleep(0.5)

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Meanwhile a thread makes the steps: for what blocks and calls none itself."""
        over = threading.Event()

        def step() -> None:
            while not over.wait(0.5):
                self.step()

        thread = threading.Thread(target=step)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def close(self) -> None:
        """Whatever happened: nothing that was started stays."""
        for job in self.jobs.list(WHO):
            if job.lease_id is not None:
                self.engine.kill_lease(job.lease_id)
        for cluster in self.clusters.list(WHO):
            self.engine.kill_key(cluster.id)
        for lease in self.broker.leases(WHO, ended=True):
            self.engine.kill_lease(lease.id)
        self.engine.close()
        self.devices.close()


def _bytes(encoded: str) -> bytes:
    return base64.b64decode(encoded)


class _Clock:
    def now(self) -> float:
        return time.time()


class _Nobody:
    def tell(self, news: News) -> None:
        """Nobody listens."""


class _NoKernels:
    def kernels(self) -> Sequence[KernelFacts]:
        return ()

    def stop(self, kernel_id: str) -> None:
        """There are none."""
