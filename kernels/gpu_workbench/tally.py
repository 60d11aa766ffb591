"""Adding up samples of one lease: peak memory, mean use, SM activity, energy. Pure.

A sample's figures are means since the sample before it. So the first one, which began before
whatever is measured, counts for memory (which is of the moment) and not for use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from . import protocol as wire


@dataclass
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, values: Sequence[float]) -> None:
        if values:
            self.total += sum(values) / len(values)
            self.count += 1

    @property
    def value(self) -> float | None:
        return self.total / self.count if self.count else None


@dataclass
class Tally:
    """What the slices of `lease` did, sample by sample; each figure is None while unknown."""

    lease: wire.Lease
    samples: int = 0
    peak_bytes: int | None = None
    """Of the slice that used most."""
    joules: float | None = None
    """Energy of the whole GPUs that the slices are cut from."""
    _use: _Mean = field(default_factory=_Mean)
    _sm: _Mean = field(default_factory=_Mean)
    _first: float | None = None
    _last: float | None = None
    _watts: float | None = None
    _counted: float | None = None

    @property
    def use(self) -> float | None:
        """Mean over time and slices, 0..1."""
        return self._use.value

    @property
    def sm_activity(self) -> float | None:
        """Mean over time and slices, 0..1."""
        return self._sm.value

    @property
    def shares_gpus(self) -> bool:
        """The GPUs' energy is not the lease's alone."""
        return any(one.kind != "whole" for one in self.lease.slices)

    def add(self, sample: wire.Sample) -> None:
        """One more; one that is not newer than the last is left out."""
        if self._last is not None and sample.time <= self._last:
            return
        mine = {one.id for one in self.lease.slices}
        seen = [one for one in sample.slices if one.slice_id in mine]
        if not seen:
            return  # taken before the lease was known to the sampler
        self.samples += 1
        memory = [one.memory_bytes for one in seen if one.memory_bytes is not None]
        if memory:
            self.peak_bytes = max(self.peak_bytes or 0, *memory)
        if self._last is not None:
            self._use.add([one.activity for one in seen if one.activity is not None])
            self._sm.add([one.sm_activity for one in seen if one.sm_activity is not None])
        self._energy(sample)
        self._last = sample.time

    def _energy(self, sample: wire.Sample) -> None:
        """From the GPUs' own counters, or as trapezoids under their power where they have none."""
        gpus = {one.gpu for one in self.lease.slices}
        mine = [one for one in sample.gpus if one.uuid in gpus]
        counted = _all([one.energy_joules for one in mine], len(gpus))
        watts = _all([one.power_watts for one in mine], len(gpus))
        step: float | None = None
        if counted is not None and self._counted is not None and counted >= self._counted:
            step = counted - self._counted
        elif watts is not None and self._watts is not None and self._last is not None:
            step = (self._watts + watts) / 2 * (sample.time - self._last)
        if step is not None:
            self.joules = (self.joules or 0.0) + step
        self._counted, self._watts = counted, watts


def _all(values: Sequence[float | None], count: int) -> float | None:
    """Their sum, where all of them are known."""
    known = [one for one in values if one is not None]
    return sum(known) if len(known) == count else None
