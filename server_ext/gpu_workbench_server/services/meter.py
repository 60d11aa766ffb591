"""How much of what is held is used: GPU-seconds of each lease, added up tick by tick. No clock."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from gpu_workbench import protocol as wire

from ..domain.units import PARTS
from ..ports import Held


class Meter:
    """`used` are GPU-seconds that were measured before a restart; of a longer time than
    `longest_gap` seconds between two looks (a laptop slept) only this much counts. Thread-safe."""

    def __init__(self, longest_gap: float, used: Mapping[int, float] | None = None) -> None:
        self._longest_gap = longest_gap
        self._lock = threading.Lock()
        self._used: dict[int, float] = dict(used or {})
        self._fresh: set[int] = set()
        self._alive: frozenset[int] | None = None
        """Leases of the last look that knew them; None before the first."""
        self._counted_at: dict[str, float] = {}

    def count(self, sample: wire.Sample, held: Sequence[Held] | None) -> None:
        """Add what was used since the last look, of slices that were held then already.

        `held` None: the leases can't be told at the moment.
        """
        with self._lock:
            if held is not None:
                self._alive = frozenset(one.lease_id for one in held)
            parts = {one.id: one.parts for lease in held or () for one in lease.slices}
            before, self._counted_at = self._counted_at, dict.fromkeys(parts, sample.time)
            for one in sample.slices:
                if one.activity is None or one.slice_id not in before:
                    continue
                seconds = min(self._longest_gap, max(0.0, sample.time - before[one.slice_id]))
                used = one.activity * parts[one.slice_id] / PARTS * seconds
                self._used[one.lease_id] = self._used.get(one.lease_id, 0.0) + used
                self._fresh.add(one.lease_id)

    def take(self) -> dict[int, float]:
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
