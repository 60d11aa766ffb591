"""What a GPU's hardware counts as wrong: memory errors, and rows of memory that were replaced.

The driver tells totals; an error is that one has grown since the last look. Knows no driver call
and no lease.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..domain.readings import ErrorKind, GpuReading, HardwareError

Tell = Callable[[HardwareError], object]

_COUNTED: tuple[ErrorKind, ...] = (
    *("ecc_corrected", "ecc_uncorrected"),
    *("remapped_corrected", "remapped_uncorrected", "remap_failed"),
)


class ErrorCounts:
    """Tells of each total that grew. What was counted before the first look has no known time."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._before: dict[tuple[str, ErrorKind], int] = {}

    def look(self, one: GpuReading) -> None:
        for kind in _COUNTED:
            told: int | None = getattr(one, kind)
            if told is None:
                continue
            total = int(told)
            before = self._before.get((one.uuid, kind), total)
            self._before[one.uuid, kind] = total
            # A driver that was loaded anew counts from nought.
            new = total - before if total >= before else total
            if new:
                self._tell(HardwareError(one.uuid, kind, round(time.time(), 3), count=new))
