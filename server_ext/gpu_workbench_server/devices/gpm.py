"""Activity from the GPU's performance monitoring (GPM): the only source for a MIG instance.

Hopper and later. A value is what happened between two samples, at least 100 ms apart, so the first
look at anything gives None. Knows no lease.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pynvml

from .nvml_library import ask

SHORTEST_LOOK = 0.1


@dataclass(slots=True)
class _Last:
    sample: Any
    taken: float
    activity: float | None = None


@dataclass(slots=True)
class Gpm:
    """Remembers the last sample of each subject. Not thread-safe: its backend holds a lock."""

    monotonic: Callable[[], float] = time.monotonic
    _supported: dict[str, bool] = field(default_factory=dict)
    _last: dict[str, _Last] = field(default_factory=dict)
    _request: Any = None

    def activity(self, gpu: str, handle: Any, instance: str = "", gi: int = -1) -> float | None:
        """0..1 since the last look, of a GPU (by UUID) or of one of its MIG instances."""
        if not self._supports(gpu, handle):
            return None
        subject = instance or gpu
        now = self.monotonic()
        last = self._last.get(subject)
        if last is not None and now - last.taken < SHORTEST_LOOK:
            return last.activity
        sample = ask(pynvml.nvmlGpmSampleAlloc)
        if sample is None:
            return None
        if gi >= 0:
            taken = ask(pynvml.nvmlGpmMigSampleGet, handle, gi, sample)
        else:
            taken = ask(pynvml.nvmlGpmSampleGet, handle, sample)
        if taken is None:
            ask(pynvml.nvmlGpmSampleFree, sample)
            return None
        found = None
        if last is not None:
            found = self._between(last.sample, sample)
            ask(pynvml.nvmlGpmSampleFree, last.sample)
        self._last[subject] = _Last(sample, now, found)
        return found

    def close(self) -> None:
        """Give the samples back, while the library still runs."""
        for last in self._last.values():
            ask(pynvml.nvmlGpmSampleFree, last.sample)
        self._last.clear()
        self._supported.clear()

    def _supports(self, gpu: str, handle: Any) -> bool:
        known = self._supported.get(gpu)
        if known is None:
            support = ask(pynvml.nvmlGpmQueryDeviceSupport, handle)
            known = self._supported[gpu] = support is not None and bool(support.isSupportedDevice)
        return known

    def _between(self, first: Any, second: Any) -> float | None:
        """How much of the time between two samples anything ran ("graphics utilisation")."""
        if self._request is None:  # 16 kB: made once
            self._request = pynvml.c_nvmlGpmMetricsGet_t()
        request = self._request
        request.version = pynvml.NVML_GPM_METRICS_GET_VERSION
        request.numMetrics = 1
        request.sample1, request.sample2 = first, second
        request.metrics[0].metricId = pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL
        if ask(pynvml.nvmlGpmMetricsGet, request) is None:
            return None
        metric = request.metrics[0]
        if metric.nvmlReturn != pynvml.NVML_SUCCESS:
            return None
        return float(min(1.0, max(0.0, metric.value / 100)))
