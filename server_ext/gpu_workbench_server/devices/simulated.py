"""Simulated GPUs under real load: `ports.DeviceBackend` for a machine without an NVIDIA driver.

The fleet is made up; the load is not, it is what the processes that hold the slices really do:

- activity of a process: its CPU time since the last look over the time between the two, measured
  for each process by itself and not divided by the number of cores: one busy core is 1.0. Of a
  slice: the sum over its processes, at most 1.0. As `psutil.Process.cpu_percent() / 100`.
- memory of a slice: the resident memory of its processes, at most what the slice has.
- SM activity: the same cores as a share of those that the slice stands for, which is its share of
  the machine's. So one busy core of eight is activity 1.0 and SM activity 0.125 of a whole GPU.
  Never more than the activity: SMs have work only while anything runs.
- a GPU does what its slices do, by their share of it; power, temperature and energy follow.

Nothing else is told: there is no tensor core and no PCIe here. Knows no lease but those given.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..domain.fleet import Gpu
from ..domain.leases import Slice
from ..domain.readings import (
    DeviceProcess,
    GpuReading,
    HardwareError,
    Reading,
    SliceReading,
)
from ..domain.repartition import Layout
from ..domain.units import PARTS
from ..errors import BadConfiguration, CanNotCut
from ..ports import Held
from ..procscan import EnvironScanner
from .fleet_file import cut_anew, default_fleet, read_fleet
from .layouts import Layouts
from .processes import Load, Owner, ProcessTable

SHORTEST_LOOK = 0.2
"""Seconds. CPU time comes in steps of 10 ms: a rate over less than this would be noise."""

CORES = os.cpu_count() or 1
_IDLE_WATTS, _IDLE_CELSIUS, _BUSY_CELSIUS = 70.0, 32.0, 74.0
_FULL_WATTS = {"H100": 700.0, "H200": 700.0, "A100": 400.0, "L40": 300.0, "L4": 72.0, "T4": 70.0}


@dataclass(frozen=True, slots=True)
class _Use:
    """What one process does: `activity` in busy cores."""

    owner: Owner
    activity: float | None
    memory_bytes: int
    started: float


class SimulatedBackend:
    """Implements `ports.DeviceBackend`; safe to call from several threads.

    `fleet` is a TOML file (see `fleet_file`), None the default fleet; `broker` is what `BROKER_ENV`
    says in processes of ours. What `repartition` changed is kept in the file `layouts`, so that
    leases find their instances after a restart.
    """

    simulated = True

    def __init__(
        self, fleet: Path | None = None, broker: str = "", layouts: Path | None = None
    ) -> None:
        given = default_fleet() if fleet is None else read_fleet(fleet)
        self._layouts = Layouts(layouts)
        self._gpus = tuple(map(self._layouts.on, given))
        self._table = ProcessTable(EnvironScanner(broker))
        self._lock = threading.Lock()
        self._looked_at: float | None = None
        self._cpu: dict[tuple[int, float], tuple[float, float]] = {}
        self._rates: dict[tuple[int, float], float] = {}
        self._joules: dict[str, float] = {}
        self._counted_at = time.monotonic()

    def inventory(self) -> Sequence[Gpu]:
        return self._gpus

    def read(self, held: Sequence[Held]) -> Reading:
        held = [lease for lease in held if lease.slices]
        of_lease = {lease.lease_id: lease.slices for lease in held}
        with self._lock:
            uses = self._uses(held)
        shares = {pid: _shares(use.owner, of_lease) for pid, use in uses.items()}
        on_slice: dict[str, list[tuple[_Use, int]]] = {}
        for pid, use in uses.items():
            for one in shares[pid]:
                on_slice.setdefault(one.id, []).append((use, len(shares[pid])))
        slices = [one for lease in held for one in lease.slices]
        on_gpu: dict[str, list[tuple[Slice, SliceReading]]] = {}
        for one in slices:
            reading = _slice_reading(one, on_slice.get(one.id, ()))
            on_gpu.setdefault(one.gpu, []).append((one, reading))
        gpus = tuple(
            _gpu_reading(gpu, on_gpu.get(gpu.uuid, ()), self._joules.get(gpu.uuid, 0.0))
            for gpu in self._gpus
        )
        with self._lock:
            self._count_energy(gpus)
        return Reading(
            gpus=gpus,
            slices=tuple(reading for pairs in on_gpu.values() for _, reading in pairs),
            processes=tuple(_process(pid, use, shares[pid]) for pid, use in uses.items()),
        )

    def read_slow(self) -> Sequence[HardwareError]:
        """Nothing here takes time, and nothing breaks: `read` has it all."""
        return ()

    def processes_of(self, lease: Held) -> list[int]:
        """Live processes that carry the lease's id, are registered for it, or come from those."""
        with self._lock:
            return sorted(pid for pid in self._table.owners([lease]) if self._table.alive(pid))

    def repartition(self, uuid: str, layout: Layout) -> None:
        """The GPU has other instances from now on, also after a restart."""
        gpu = next((one for one in self._gpus if one.uuid == uuid), None)
        if gpu is None or not gpu.mig:
            what = f"There is no GPU {uuid}." if gpu is None else f"{gpu.name} is not in MIG mode."
            raise CanNotCut(what, "Only GPUs with `mig = […]` in the fleet file can be cut.")
        try:
            new = cut_anew(gpu, layout)
            self._layouts.keep(uuid, layout)
        except (BadConfiguration, OSError) as error:
            raise CanNotCut(f"{gpu.name} can't be cut so: {error}", "Choose another.") from error
        self._gpus = tuple(new if one.uuid == uuid else one for one in self._gpus)

    def close(self) -> None:
        """Nothing to give back."""

    def _count_energy(self, gpus: Sequence[GpuReading]) -> None:
        """What was drawn since the last look, at the power of this one."""
        now = time.monotonic()
        seconds = now - self._counted_at
        self._counted_at = now
        for one in gpus:
            joules = self._joules.get(one.uuid, 0.0)
            self._joules[one.uuid] = joules + (one.power_watts or 0.0) * seconds

    def _uses(self, held: Sequence[Held]) -> dict[int, _Use]:
        loads: dict[int, tuple[Owner, Load]] = {}
        for pid, owner in self._table.owners(held).items():
            load = self._table.load(pid)
            if load is not None:
                loads[pid] = (owner, load)
        self._measure([(pid, load) for pid, (_, load) in loads.items()])
        return {
            pid: _Use(owner, self._rates.get((pid, load.created)), load.memory_bytes, load.created)
            for pid, (owner, load) in loads.items()
        }

    def _measure(self, loads: Sequence[tuple[int, Load]]) -> None:
        """CPU use since the last look; a process that began since then counts from its start."""
        now = time.monotonic()
        looked_at = self._looked_at
        if looked_at is not None and now - looked_at < SHORTEST_LOOK:
            return
        self._looked_at = now
        cpu: dict[tuple[int, float], tuple[float, float]] = {}
        rates: dict[tuple[int, float], float] = {}
        for pid, load in loads:
            key = (pid, load.created)
            cpu[key] = (load.cpu_seconds, load.at)
            seconds, since = self._cpu.get(key, (0.0, looked_at))
            if since is not None and (key in self._cpu or load.met > since):
                rates[key] = max(0.0, (load.cpu_seconds - seconds) / (load.at - since))
        self._cpu, self._rates = cpu, rates


def _shares(owner: Owner, of_lease: Mapping[int, Sequence[Slice]]) -> Sequence[Slice]:
    """The slices a process's load counts for: its own, or evenly all of its lease."""
    slices = of_lease[owner.lease_id]
    return [one for one in slices if one.id == owner.slice_id] or slices


def _slice_reading(one: Slice, uses: Sequence[tuple[_Use, int]]) -> SliceReading:
    """`uses` are processes with the number of slices each spreads over.

    Activity is unknown while every process was only just found: a rate takes two looks.
    """
    known = [use.activity / over for use, over in uses if use.activity is not None]
    told = bool(known) or not uses
    memory = round(sum(use.memory_bytes / over for use, over in uses))
    cores, of_cores = sum(known, 0.0), CORES * one.parts / PARTS
    return SliceReading(
        slice_id=one.id,
        activity=round(min(1.0, cores), 4) if told else None,
        memory_bytes=min(one.memory_bytes, memory),
        sm_activity=round(min(1.0, cores, cores / of_cores), 4) if told else None,
    )


def _gpu_reading(
    gpu: Gpu, slices: Sequence[tuple[Slice, SliceReading]], joules: float
) -> GpuReading:
    memory = sum(reading.memory_bytes or 0 for _, reading in slices)
    busy = _of_gpu((one, reading.activity) for one, reading in slices)
    sm_busy = _of_gpu((one, reading.sm_activity) for one, reading in slices)
    if busy is None or sm_busy is None:
        return GpuReading(gpu.uuid, memory_bytes=memory)
    return GpuReading(
        uuid=gpu.uuid,
        activity=round(busy, 4),
        memory_bytes=memory,
        power_watts=round(_watts(gpu, busy), 1),
        temperature_c=round(_IDLE_CELSIUS + (_BUSY_CELSIUS - _IDLE_CELSIUS) * busy, 1),
        throttle=(),
        energy_joules=joules,
        sm_activity=round(sm_busy, 4),
    )


def _of_gpu(shares: Iterable[tuple[Slice, float | None]]) -> float | None:
    """What slices do, weighted by their part of the GPU; None where none of them tells."""
    shares = list(shares)
    known = [share * one.parts / PARTS for one, share in shares if share is not None]
    return None if shares and not known else min(1.0, sum(known, 0.0))


def _watts(gpu: Gpu, busy: float) -> float:
    full = next((watts for name, watts in _FULL_WATTS.items() if name in gpu.model), 300.0)
    idle = min(_IDLE_WATTS, full / 5)
    return idle + (full - idle) * busy


def _process(pid: int, use: _Use, shares: Sequence[Slice]) -> DeviceProcess:
    first = shares[0]
    alone = len(shares) == 1
    return DeviceProcess(
        pid=pid,
        gpu=first.gpu,
        memory_bytes=use.memory_bytes,
        activity=None if use.activity is None else round(min(1.0, use.activity), 4),
        instance=first.instance if alone else None,
        slice_id=first.id if alone else None,
        lease_id=use.owner.lease_id,
        started=use.started,
    )
