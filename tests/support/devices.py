"""Both device backends behind one rig, for one suite: real processes on made-up GPUs.

A rig's fleet is alike for both: gpu0 without MIG, gpu1 cut into 3g.40gb, 2g.20gb and twice 1g.10gb.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from gpu_workbench.protocol import BROKER_ENV, LEASE_ENV, SLICES_ENV
from gpu_workbench_server.devices.nvml import NvmlBackend
from gpu_workbench_server.devices.simulated import SimulatedBackend
from gpu_workbench_server.domain.fleet import Gpu, Pool, profiles_of
from gpu_workbench_server.domain.leases import Slice
from gpu_workbench_server.domain.readings import Reading
from gpu_workbench_server.domain.units import GIB
from gpu_workbench_server.ports import DeviceBackend, Held
from tests.fakes.nvml import FakeDriver, FakeGpu, FakeProcess, h100_layout, install

BUSY = "while True: pass"
IDLE = "import time; time.sleep(600)"


class Rig(Protocol):
    """A backend, and processes that really run on its slices."""

    backend: DeviceBackend
    broker: str

    def start(self, lease_id: int, one: Slice, code: str = IDLE) -> int:
        """A process that was started for a lease and uses this slice; returns its pid."""

    def stop(self, pid: int) -> None: ...

    def close(self) -> None: ...


class SimulatedRig:
    def __init__(self, broker: str, fleet: Path | None = None) -> None:
        self.broker = broker
        self.backend: DeviceBackend = SimulatedBackend(fleet, broker)
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, lease_id: int, one: Slice, code: str = IDLE) -> int:
        child = spawn(code, lease_env(self.broker, lease_id, one.id))
        self._children[child.pid] = child
        return child.pid

    def stop(self, pid: int) -> None:
        child = self._children.pop(pid)
        child.kill()
        child.wait()

    def close(self) -> None:
        for pid in list(self._children):
            self.stop(pid)
        self.backend.close()


class NvmlRig(SimulatedRig):
    """The real backend on the fake driver, which shows our real processes on its GPUs."""

    def __init__(self, broker: str, directory: Path, gpus: list[FakeGpu] | None = None) -> None:
        super().__init__(broker)
        self.driver = FakeDriver(gpus=gpus or [FakeGpu(), FakeGpu(instances=h100_layout())])
        self.fake = install(self.driver, directory)
        self.backend = NvmlBackend(self.fake.library, broker)

    def start(self, lease_id: int, one: Slice, code: str = IDLE) -> int:
        pid = super().start(lease_id, one, code)
        self.show(pid, one, activity=100 if code == BUSY else 0)
        return pid

    def show(self, pid: int, one: Slice, activity: int = 0) -> None:
        """The driver shows this process on the slice."""
        index = [self.driver.gpu_uuid(i) for i in range(len(self.driver.gpus))].index(one.gpu)
        gpu, gi = self.driver.gpus[index], -1
        gpu.used += GIB
        for slot, instance in enumerate(gpu.instances or ()):
            if self.driver.instance_uuid(index, slot) == one.instance:
                gi = instance.gi
                instance.activity = instance.sm = activity
                instance.used = GIB
                gpu.activity += activity * instance.slices // 7
        self.driver.processes.append(FakeProcess(index, pid, GIB, gi=gi, activity=activity))
        self.write()

    def stop(self, pid: int) -> None:
        super().stop(pid)
        self.driver.processes = [one for one in self.driver.processes if one.pid != pid]
        self.write()

    def write(self) -> None:
        self.fake.write(self.driver)


def look(backend: DeviceBackend, held: Sequence[Held]) -> Reading:
    """Both lanes, one after the other: what the sampler's threads do side by side."""
    backend.read_slow()
    return backend.read(held)


def lease_env(broker: str, lease_id: int, *slices: str, **more: str) -> dict[str, str]:
    tags = {BROKER_ENV: broker, LEASE_ENV: str(lease_id), SLICES_ENV: ",".join(slices)}
    return {**os.environ, **tags, **more}


def spawn(code: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", "-c", code], env=env)


def slice_of(gpu: Gpu, profile: str, slice_id: str, at: int = 0) -> Slice:
    """A slice as the broker would cut it; `at` counts the instances of that profile."""
    cut = next(one for one in profiles_of(gpu, Pool()) if one.name == profile)
    instance = None
    if cut.kind == "mig":
        alike = [one for one in gpu.instances if f"mig-{one.profile}" == profile]
        instance = alike[at].uuid
    return Slice(
        id=slice_id,
        gpu=gpu.uuid,
        profile=profile,
        kind=cut.kind,
        parts=cut.parts,
        memory_bytes=round(cut.memory_gb * GIB),
        tier=cut.tier,
        visible_device="" if gpu.simulated else instance or gpu.uuid,
        instance=instance,
    )
