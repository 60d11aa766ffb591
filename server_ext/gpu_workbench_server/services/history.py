"""The recent past of GPUs and slices: one ring of columns per subject. No clock, no thread."""

from __future__ import annotations

import math
from array import array

from gpu_workbench import protocol as wire

SECONDS = 900
"""Points of a ring at one a second; at least ten minutes are promised."""


class Ring:
    """Times, activities and memory of one subject, 8 bytes a value, NaN where unknown."""

    def __init__(self, size: int = SECONDS) -> None:
        self._size = size
        self._times = array("d")
        self._activity = array("d")
        self._memory = array("d")
        self._at = 0
        """Where the next point goes once the ring is full."""

    @property
    def newest(self) -> float | None:
        return self._times[self._at - 1] if self._times else None

    def put(self, time: float, activity: float | None, memory_bytes: int | None) -> None:
        """Add a point; one of the same second is replaced."""
        row = (time, _or_nan(activity), _or_nan(memory_bytes))
        newest = self.newest
        if newest is not None and int(newest) == int(time):
            self._times[self._at - 1], self._activity[self._at - 1], self._memory[self._at - 1] = (
                row
            )
        elif len(self._times) < self._size:
            for column, value in zip((self._times, self._activity, self._memory), row, strict=True):
                column.append(value)
        else:
            self._times[self._at], self._activity[self._at], self._memory[self._at] = row
            self._at = (self._at + 1) % self._size

    def since(self, start: float, subject: str) -> wire.History:
        """All points from `start` (seconds since the epoch), oldest first."""
        count = len(self._times)
        order = [(self._at + i) % count for i in range(count)] if count else []
        order = [i for i in order if self._times[i] >= start]
        return wire.History(
            subject=subject,
            times=[self._times[i] for i in order],
            activity=[_or_none(self._activity[i]) for i in order],
            memory_bytes=[
                None if math.isnan(self._memory[i]) else int(self._memory[i]) for i in order
            ],
        )


class Histories:
    """Rings by subject (GPU UUID or slice id); one that got nothing for a ring's length goes."""

    def __init__(self, size: int = SECONDS) -> None:
        self._size = size
        self._rings: dict[str, Ring] = {}

    def put(
        self, subject: str, time: float, activity: float | None, memory_bytes: int | None
    ) -> None:
        ring = self._rings.get(subject)
        if ring is None:
            ring = self._rings[subject] = Ring(self._size)
        ring.put(time, activity, memory_bytes)

    def since(self, subject: str, start: float) -> wire.History:
        ring = self._rings.get(subject)
        if ring is None:
            return wire.History(subject=subject, times=[], activity=[], memory_bytes=[])
        return ring.since(start, subject)

    def forget_before(self, time: float) -> None:
        """Drop subjects whose newest point is older: slices of leases that are long over."""
        for subject, ring in list(self._rings.items()):
            if ring.newest is None or ring.newest < time:
                del self._rings[subject]


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
