"""Watching all GPUs: one sampler thread, however many watch.

Knows neither who watches nor what a kernel is: a sample goes to the history and to `on_sample`.
Nothing that a backend does stops the sampler: what it can't tell is unknown (None).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gpu_workbench import protocol as wire

from ..domain.readings import GpuReading, Reading, SliceReading
from ..domain.units import PARTS
from ..errors import WorkbenchError
from ..ports import Clock, DeviceBackend, Held
from .history import Histories

log = logging.getLogger(__name__)

WATCHED_SECONDS = 0.5
UNWATCHED_SECONDS = 5.0
LONGEST_GAP = 2 * UNWATCHED_SECONDS
"""Of a longer time between two looks (a laptop slept) only this much counts as used."""


class Telemetry:
    """`held` are the leases to attribute load to; `on_sample` gets each sample.

    `used` are GPU-seconds of leases that were measured before a restart. `on_sample` is called
    from the sampler's thread and must not block.
    """

    def __init__(
        self,
        devices: DeviceBackend,
        held: Callable[[], Sequence[Held]],
        clock: Clock,
        on_sample: Callable[[wire.Sample], object],
        used: Mapping[int, float] | None = None,
        histories: Histories | None = None,
    ) -> None:
        self._devices = devices
        self._held = held
        self._clock = clock
        self._on_sample = on_sample
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._watchers = 0
        self._glanced = float("-inf")
        self._histories = histories or Histories()
        self._reading = Reading()
        self._sample = wire.Sample(time=0.0, simulated=devices.simulated, gpus=[], slices=[])
        self._used: dict[int, float] = dict(used or {})
        self._fresh: set[int] = set()
        self._alive: frozenset[int] | None = None
        """Leases of the last look that knew them; None before the first."""
        self._counted_at: dict[str, float] = {}
        self._complained: set[str] = set()

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="gpu-workbench-telemetry")
        self._thread.daemon = True
        self._thread.start()

    def stop(self) -> None:
        """Idempotent; returns when the thread has ended."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10)
        self._thread = None
        self._histories.close()

    def watch(self) -> None:
        """Somebody looks: sample twice a second, the first time at once."""
        with self._lock:
            self._watchers += 1
        self._wake.set()

    def unwatch(self) -> None:
        with self._lock:
            self._watchers = max(0, self._watchers - 1)

    @property
    def period(self) -> float:
        """Seconds between two samples as things are."""
        watched = self._watchers or self._clock.now() < self._glanced + UNWATCHED_SECONDS
        return WATCHED_SECONDS if watched else UNWATCHED_SECONDS

    # --- what is known --------------------------------------------------------------------------

    def latest(self) -> wire.Sample:
        return self._sample

    def glance(self) -> wire.Sample:
        """The latest, for somebody who asks again and again instead of watching.

        Counts as watching for as long as an unwatched sampler would sleep.
        """
        if self.period == UNWATCHED_SECONDS:
            self._wake.set()
        self._glanced = self._clock.now()
        return self._sample

    def now(self) -> float:
        return self._clock.now()

    def history(
        self,
        subjects: Sequence[str],
        start: float,
        end: float,
        points: int = 300,
        metrics: Sequence[str] = (),
        extremes: bool = True,
    ) -> wire.History:
        """The past of subjects as `Histories.range` tells it."""
        return self._histories.range(subjects, start, end, points, metrics, extremes)

    def processes(self, leases: Sequence[wire.Lease]) -> list[wire.ProcessSample]:
        """What runs on these leases of one user, under the names of their holders."""
        names = {one.id: _name(one) for one in leases}
        holders = {part.id: one.id for one in leases for part in one.slices}
        found: list[wire.ProcessSample] = []
        for process in self._reading.processes:
            proven = process.lease_id in names
            # On a slice of theirs, but whose it is can't be told: shown, and not named.
            lease_id = process.lease_id or holders.get(process.slice_id or "")
            if lease_id not in names:
                continue
            found.append(
                wire.ProcessSample(
                    slice_id=process.slice_id,
                    lease_id=lease_id,
                    name=names[lease_id] if proven else "unknown process",
                    pid=process.pid if proven else None,
                    activity=process.activity,
                    memory_bytes=process.memory_bytes,
                )
            )
        return found

    def take_used(self) -> dict[int, float]:
        """GPU-seconds used so far, of each lease that was measured since the last call.

        A total, not a difference, so that a lost answer costs nothing. A lease that is over is
        handed out one last time and then forgotten.
        """
        with self._lock:
            taken = {lease_id: self._used[lease_id] for lease_id in self._fresh}
            self._fresh.clear()
            if self._alive is not None:
                for lease_id in self._used.keys() - self._alive:
                    del self._used[lease_id]
            return taken

    # --- the sampler ------------------------------------------------------------------------------

    def tick(self) -> wire.Sample:
        """One look at everything: what the thread does each period."""
        now = self._clock.now()
        held: Sequence[Held] = ()
        try:
            held = self._held()
            self._alive = frozenset(one.lease_id for one in held)
        except Exception as error:
            self._complain("the leases can't be told", error)
        try:
            reading = self._devices.read(held)
        except Exception as error:
            self._complain("the devices can't be read", error)
            reading = _unknown(self._sample, held, error)
        sample = _sample(now, self._devices.simulated, reading, held)
        with self._lock:
            self._reading, self._sample = reading, sample
            self._count(sample, held)
        for take in (self._histories.put, self._on_sample):
            try:
                take(sample)
            except Exception as error:
                self._complain("a sample can't be handed on", error)
        return sample

    def _run(self) -> None:
        self._histories.load()
        while not self._stopping:
            self._wake.clear()
            self.tick()
            self._wake.wait(self.period)

    def _count(self, sample: wire.Sample, held: Sequence[Held]) -> None:
        """Add up what was used since the last look, of slices that were held then already."""
        parts = {one.id: one.parts for lease in held for one in lease.slices}
        before, self._counted_at = self._counted_at, dict.fromkeys(parts, sample.time)
        for one in sample.slices:
            if one.activity is None or one.slice_id not in before:
                continue
            seconds = min(LONGEST_GAP, max(0.0, sample.time - before[one.slice_id]))
            used = one.activity * parts[one.slice_id] / PARTS * seconds
            self._used[one.lease_id] = self._used.get(one.lease_id, 0.0) + used
            self._fresh.add(one.lease_id)

    def _complain(self, what: str, error: Exception) -> None:
        """Log once per kind: twice a second would bury everything else."""
        kind = f"{what}: {type(error).__name__}"
        if kind in self._complained:
            return
        self._complained.add(kind)
        # Ours say all that is to say; anything else is a defect, and its traceback is wanted.
        log.warning("%s: %s", what, error, exc_info=not isinstance(error, WorkbenchError))


def _sample(now: float, simulated: bool, reading: Reading, held: Sequence[Held]) -> wire.Sample:
    lease_of = {one.id: [(lease.lease_id, one.gpu)] for lease in held for one in lease.slices}
    return wire.Sample(
        time=now,
        simulated=simulated,
        gpus=[wire.GpuSample(**_figures(one)) for one in reading.gpus],
        slices=[
            wire.SliceSample(lease_id=lease_id, gpu=gpu, **_figures(one))
            for one in reading.slices
            for lease_id, gpu in lease_of.get(one.slice_id, ())
        ],
    )


def _figures(one: GpuReading | SliceReading) -> dict[str, Any]:
    """A reading's fields: they are called the same on the wire. Floats to three places."""
    figures = {name: getattr(one, name) for name in one.__slots__}
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}


def _unknown(last: wire.Sample, held: Sequence[Held], error: Exception) -> Reading:
    """What is known when nothing can be read: that the GPUs and slices are there."""
    why = error.message if isinstance(error, WorkbenchError) else "The GPUs could not be read."
    return Reading(
        gpus=tuple(GpuReading(one.uuid, state="unknown", trouble=why) for one in last.gpus),
        slices=tuple(SliceReading(one.id) for lease in held for one in lease.slices),
    )


def _name(lease: wire.Lease) -> str:
    """What people call it: the notebook's path, the cluster's or the job's name."""
    holder = lease.holder
    return (holder.name if holder else "") or lease.name or f"lease {lease.id}"
