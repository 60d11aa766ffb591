"""Simulated GPUs under real load: `ports.DeviceBackend` for a machine without an NVIDIA driver.

The fleet is made up; the load is not. A slice's activity is the CPU use of the processes that hold
it (one busy core is 1.0), its memory their resident memory. Knows no lease but those it is given.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..domain.fleet import Gpu
from ..domain.leases import Slice
from ..domain.readings import DeviceProcess, GpuReading, Reading, SliceReading
from ..domain.repartition import Layout
from ..domain.units import PARTS
from ..errors import BadConfiguration, CanNotCut
from ..ports import Held
from ..procscan import EnvironScanner
from .fleet_file import cut_anew, default_fleet, read_fleet
from .layouts import Layouts
from .processes import Load, Owner, ProcessTable

SHORTEST_LOOK = 0.1
"""Seconds. CPU time comes in steps of 10 ms: a rate over less than this would be noise."""

_IDLE_WATTS, _IDLE_CELSIUS, _BUSY_CELSIUS = 70.0, 32.0, 74.0
_FULL_WATTS = {"H100": 700.0, "H200": 700.0, "A100": 400.0, "L40": 300.0, "L4": 72.0, "T4": 70.0}


@dataclass(frozen=True, slots=True)
class _Use:
    """What one process does: `activity` in busy cores."""

    owner: Owner
    activity: float | None
    memory_bytes: int


class SimulatedBackend:
    """Implements `ports.DeviceBackend`; safe to call from several threads.

    `fleet` is a TOML file (see `fleet_file`), None the default fleet; `broker` is what `BROKER_ENV`
    says in processes of ours. What `repartition` changed is kept in the file `layouts`, so that
    leases find their instances after a restart.
    """

    simulated = True

    def __init__(
        self,
        fleet: Path | None = None,
        broker: str = "",
        monotonic: Callable[[], float] = time.monotonic,
        layouts: Path | None = None,
    ) -> None:
        given = default_fleet() if fleet is None else read_fleet(fleet)
        self._layouts = Layouts(layouts)
        self._gpus = tuple(map(self._layouts.on, given))
        self._monotonic = monotonic
        self._table = ProcessTable(EnvironScanner(broker))
        self._lock = threading.Lock()
        self._looked_at: float | None = None
        self._cpu: dict[tuple[int, float], float] = {}
        self._rates: dict[tuple[int, float], float] = {}

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
        return Reading(
            gpus=tuple(_gpu_reading(gpu, on_gpu.get(gpu.uuid, ())) for gpu in self._gpus),
            slices=tuple(reading for pairs in on_gpu.values() for _, reading in pairs),
            processes=tuple(_process(pid, use, shares[pid]) for pid, use in uses.items()),
        )

    def read_slow(self) -> None:
        """Nothing here takes time: `read` has it all."""

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

    def _uses(self, held: Sequence[Held]) -> dict[int, _Use]:
        now = self._monotonic()
        elapsed = None if self._looked_at is None else now - self._looked_at
        loads: dict[int, tuple[Owner, Load]] = {}
        for pid, owner in self._table.owners(held).items():
            load = self._table.load(pid)
            if load is not None:
                loads[pid] = (owner, load)
        if elapsed is None or elapsed >= SHORTEST_LOOK:
            self._measure(loads, elapsed)
            self._looked_at = now
        return {
            pid: _Use(owner, self._rates.get((pid, load.created)), load.memory_bytes)
            for pid, (owner, load) in loads.items()
        }

    def _measure(self, loads: Mapping[int, tuple[Owner, Load]], elapsed: float | None) -> None:
        """CPU use since the last look; a process that began since then counts from its start."""
        cpu: dict[tuple[int, float], float] = {}
        rates: dict[tuple[int, float], float] = {}
        began = time.time() - (elapsed or 0.0)
        for pid, (_, load) in loads.items():
            key = (pid, load.created)
            cpu[key] = load.cpu_seconds
            before = self._cpu.get(key)
            if before is None and load.created >= began:
                before = 0.0
            if before is not None and elapsed:
                rates[key] = max(0.0, (load.cpu_seconds - before) / elapsed)
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
    memory = round(sum(use.memory_bytes / over for use, over in uses))
    return SliceReading(
        slice_id=one.id,
        activity=min(1.0, sum(known, 0.0)) if known or not uses else None,
        memory_bytes=min(one.memory_bytes, memory),
    )


def _gpu_reading(gpu: Gpu, slices: Sequence[tuple[Slice, SliceReading]]) -> GpuReading:
    """A GPU does what its slices do, weighted by their share of it; sensors follow from that."""
    full = next((watts for name, watts in _FULL_WATTS.items() if name in gpu.model), 300.0)
    idle = min(_IDLE_WATTS, full / 5)
    memory = sum(reading.memory_bytes or 0 for _, reading in slices)
    known = [
        reading.activity * one.parts / PARTS
        for one, reading in slices
        if reading.activity is not None
    ]
    if slices and not known:
        return GpuReading(gpu.uuid, memory_bytes=memory)
    busy = min(1.0, sum(known, 0.0))
    return GpuReading(
        uuid=gpu.uuid,
        activity=round(busy, 4),
        memory_bytes=memory,
        power_watts=round(idle + (full - idle) * busy, 1),
        temperature_c=round(_IDLE_CELSIUS + (_BUSY_CELSIUS - _IDLE_CELSIUS) * busy, 1),
    )


def _process(pid: int, use: _Use, shares: Sequence[Slice]) -> DeviceProcess:
    first = shares[0]
    alone = len(shares) == 1
    return DeviceProcess(
        pid=pid,
        gpu=first.gpu,
        memory_bytes=use.memory_bytes,
        activity=None if use.activity is None else min(1.0, use.activity),
        instance=first.instance if alone else None,
        slice_id=first.id if alone else None,
        lease_id=use.owner.lease_id,
    )
