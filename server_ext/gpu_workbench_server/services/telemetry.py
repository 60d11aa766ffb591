"""Watching all GPUs: one sampler, however many watch.

Two lanes, a thread each: the fast one takes a sample and hands it on, the slow one has the backend
look at what takes time, which the next sample then carries. A slow driver call delays no sample.
Knows neither who watches nor what a kernel is: a sample goes to the history and to `on_sample`.
Nothing that a backend does stops the sampler: what it can't tell is unknown (None).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from gpu_workbench import protocol as wire

from ..domain.readings import DeviceProcess, GpuReading, Reading, SliceReading
from ..errors import WorkbenchError
from ..ports import FOR_ADMINS, Clock, DeviceBackend, EventSink, Held, News
from .attribution import Strangers, notice, permitted, shown
from .hardware_errors import HardwareErrors
from .history import Histories
from .lane import Lane
from .meter import Meter

log = logging.getLogger(__name__)

WATCHED_SECONDS = 0.5
SLOW_WATCHED_SECONDS = 2.0
SLOW_MIG_SECONDS = 1.0
"""What a MIG instance does is told by the slow lane only."""
SLOW_FIRST_SECONDS = 0.2
UNWATCHED_SECONDS = 5.0
LONGEST_GAP = 2 * UNWATCHED_SECONDS
"""Of a longer time between two looks (a laptop slept) only this much counts as used."""


class Telemetry:
    """`held` are the leases to attribute load to; `on_sample` gets each sample.

    `used` are GPU-seconds of leases that were measured before a restart; `sink` is told of
    strangers on leased GPUs. Both are called from the sampler's thread and must not block.
    """

    def __init__(
        self,
        devices: DeviceBackend,
        held: Callable[[], Sequence[Held]],
        clock: Clock,
        on_sample: Callable[[wire.Sample], object],
        used: Mapping[int, float] | None = None,
        histories: Histories | None = None,
        sink: EventSink | None = None,
        errors: HardwareErrors | None = None,
    ) -> None:
        self._devices = devices
        self._held = held
        self._clock = clock
        self._on_sample = on_sample
        self._sink = sink
        self._lock = threading.Lock()
        self._fast = Lane("telemetry", self.tick, lambda: self.period)
        self._slow = Lane("telemetry-slow", self.tick_slow, lambda: self.slow_period)
        self._slow_rounds = 0
        self._watchers = 0
        self._glanced = float("-inf")
        self._histories = histories or Histories()
        self._errors = errors or HardwareErrors()
        self._reading = Reading()
        self._sample = wire.Sample(time=0.0, simulated=devices.simulated, gpus=[], slices=[])
        self._meter = Meter(LONGEST_GAP, used)
        self._strangers = Strangers()
        self._complained: set[str] = set()

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        self._slow_rounds = 0
        self._slow.start()
        self._fast.start(self._histories.load)

    def stop(self) -> None:
        """Idempotent; returns when both threads have ended."""
        self._fast.stop()
        self._slow.stop()
        self._histories.close()

    def watch(self) -> None:
        """Somebody looks: sample twice a second, the first time at once."""
        with self._lock:
            self._watchers += 1
        self._wake()

    def unwatch(self) -> None:
        with self._lock:
            self._watchers = max(0, self._watchers - 1)

    @property
    def period(self) -> float:
        """Seconds between two samples as things are."""
        watched = self._watchers or self._clock.now() < self._glanced + UNWATCHED_SECONDS
        return WATCHED_SECONDS if watched else UNWATCHED_SECONDS

    @property
    def slow_period(self) -> float:
        """Seconds between two rounds of the slow lane; the first two follow each other, as a rate
        takes two looks."""
        if self._slow_rounds < 2:
            return SLOW_FIRST_SECONDS
        if self.period == UNWATCHED_SECONDS:
            return UNWATCHED_SECONDS
        mig = any(one.gpu_instance is not None for one in self._reading.slices)
        return SLOW_MIG_SECONDS if mig else SLOW_WATCHED_SECONDS

    # --- what is known --------------------------------------------------------------------------

    def latest(self) -> wire.Sample:
        return self._sample

    @property
    def lost(self) -> frozenset[str]:
        """GPUs (UUIDs) that the latest sample shows lost."""
        return frozenset(one.uuid for one in self._sample.gpus if one.state == "lost")

    def glance(self) -> wire.Sample:
        """The latest, for somebody who asks again and again instead of watching.

        Counts as watching for as long as an unwatched sampler would sleep.
        """
        slept = self.period == UNWATCHED_SECONDS
        self._glanced = self._clock.now()  # before it wakes, or it would sleep as long once more
        if slept:
            self._wake()
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
        """The past of subjects as `Histories.range` tells it, whoever asks: see `permitted`."""
        return self._histories.range(subjects, start, end, points, metrics, extremes)

    def processes(self, leases: Sequence[wire.Lease], admin: bool) -> list[wire.ProcessSample]:
        """What runs on the GPUs, as somebody sees it who may see these leases."""
        return shown(self._reading.processes, leases, admin, self._histories.subject_of)

    def permitted(
        self, subjects: Sequence[str], leases: Sequence[wire.Lease], admin: bool
    ) -> list[str]:
        """As `attribution.permitted`."""
        return permitted(subjects, self._histories.lease_of, leases, admin)

    def errors(self, gpu: str | None = None) -> list[wire.HardwareError]:
        """As `HardwareErrors.of`."""
        return self._errors.of(gpu)

    def strangers(self) -> Mapping[str, int]:
        """How many processes without a lease each leased GPU (UUID) has."""
        return self._strangers.count

    def take_used(self) -> dict[int, float]:
        """As `Meter.take`."""
        return self._meter.take()

    # --- the sampler ------------------------------------------------------------------------------

    def tick(self) -> wire.Sample:
        """One look at everything: what the fast lane does each period."""
        now = self._clock.now()
        held: Sequence[Held] | None = None
        try:
            held = self._held()
        except Exception as error:
            self._complain("the leases can't be told", error)
        known = held or ()
        try:
            reading = self._devices.read(known)
        except Exception as error:
            self._complain("the devices can't be read", error)
            reading = _unknown(self._sample, known, error)
        sample = _sample(now, self._devices.simulated, reading, known)
        self._reading, self._sample = reading, sample
        self._meter.count(sample, held)
        self._hand_on(self._histories.put, sample, reading.processes)
        self._hand_on(self._on_sample, sample)
        self._report(self._strangers.look(now, reading, known))
        return sample

    def tick_slow(self) -> None:
        """One round of what takes time: what the slow lane does each period."""
        try:
            self._errors.add(self._devices.read_slow())
        except Exception as error:
            self._complain("the devices can't be read in the slow lane", error)
        self._slow_rounds += 1

    def _hand_on(self, take: Callable[..., object], *what: object) -> None:
        try:
            take(*what)
        except Exception as error:
            self._complain("a sample can't be handed on", error)

    def _wake(self) -> None:
        self._fast.wake()
        self._slow.wake()

    def _report(self, strangers: Sequence[DeviceProcess]) -> None:
        for one in strangers:
            log.warning("a process without a lease on a leased GPU: pid %s, %s", one.pid, one.gpu)
            if self._sink is not None:
                subject = f"stranger:{one.gpu}:{one.pid}"
                self._sink.tell(News("notice", subject, FOR_ADMINS, notice(one)))

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
        gpus=[wire.GpuSample(**one._asdict()) for one in reading.gpus],
        slices=[
            wire.SliceSample(lease_id=lease_id, gpu=gpu, **one._asdict())
            for one in reading.slices
            for lease_id, gpu in lease_of.get(one.slice_id, ())
        ],
    )


def _unknown(last: wire.Sample, held: Sequence[Held], error: Exception) -> Reading:
    """What is known when nothing can be read: that the GPUs and slices are there."""
    why = error.message if isinstance(error, WorkbenchError) else "The GPUs could not be read."
    return Reading(
        gpus=tuple(GpuReading(one.uuid, state="unknown", trouble=why) for one in last.gpus),
        slices=tuple(SliceReading(one.id) for lease in held for one in lease.slices),
    )
