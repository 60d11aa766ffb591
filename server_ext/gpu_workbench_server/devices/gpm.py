"""The GPU's performance monitoring (GPM): how much of a GPU worked, and the only source for a MIG
instance.

Hopper and later. A value is what happened between two samples, at least 100 ms apart, so the first
look at anything gives None. Knows no lease.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, NamedTuple

import pynvml

from .nvml_library import Handle, ask

SHORTEST_LOOK = 0.1
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Profile:
    """What a GPU or MIG instance did since the last look: shares 0..1, rates in bytes a second."""

    activity: float | None = None
    """Share of the time in which anything ran ("graphics utilisation")."""
    sm_activity: float | None = None
    sm_occupancy: float | None = None
    tensor_activity: float | None = None
    dram_activity: float | None = None
    pcie_tx_bytes_s: float | None = None
    pcie_rx_bytes_s: float | None = None
    nvlink_tx_bytes_s: float | None = None
    nvlink_rx_bytes_s: float | None = None


_SHARES = {
    "activity": pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL,
    "sm_activity": pynvml.NVML_GPM_METRIC_SM_UTIL,
    "sm_occupancy": pynvml.NVML_GPM_METRIC_SM_OCCUPANCY,
    "tensor_activity": pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL,
    "dram_activity": pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL,
}
_RATES = {
    "pcie_tx_bytes_s": pynvml.NVML_GPM_METRIC_PCIE_TX_PER_SEC,
    "pcie_rx_bytes_s": pynvml.NVML_GPM_METRIC_PCIE_RX_PER_SEC,
    "nvlink_tx_bytes_s": pynvml.NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC,
    "nvlink_rx_bytes_s": pynvml.NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC,
}
_OF_GPU = {**_SHARES, **_RATES}
_UNKNOWN = Profile()
_METRIC = Struct("@IId24x")
"""nvmlGpmMetric_t: metric, return code, value, and its names."""


@dataclass(slots=True)
class _Last:
    sample: Any
    spare: Any
    """The one before: the next sample goes into it."""
    taken: float
    profile: Profile = _UNKNOWN


class _Request(NamedTuple):
    """What NVML is asked with, and where it answers."""

    request: Any
    answers: Any


@dataclass(slots=True)
class Gpm:
    """Remembers the last sample of each subject. Used by one thread at a time."""

    monotonic: Callable[[], float] = time.monotonic
    _last: dict[str, _Last] = field(default_factory=dict)
    _requests: dict[int, _Request] = field(default_factory=dict)
    """By how many metrics are wanted."""

    def look(self, subject: str, handle: Handle, gi: int | None = None) -> Profile:
        """Since the last look at `subject`: a GPU's UUID, or with `gi` one of its instances'."""
        last = self._last.get(subject)
        now = self.monotonic()
        if last is None and not handle.ask(_supported):
            return _UNKNOWN
        if last is not None and now - last.taken < SHORTEST_LOOK:
            return last.profile
        sample = last.spare if last is not None else None
        sample = sample or ask(pynvml.nvmlGpmSampleAlloc)
        if sample is None or not self._take(handle, gi, sample):
            _free(sample)
            if last is not None:
                last.spare = None
                self.forget(subject)
            return _UNKNOWN
        profile = _UNKNOWN
        if last is not None:
            profile = self._between(last.sample, sample, _OF_GPU if gi is None else _SHARES)
        self._last[subject] = _Last(sample, last and last.sample, now, profile)
        return profile

    def forget(self, subject: str) -> None:
        """It can't be looked at any more: what comes back later starts anew."""
        last = self._last.pop(subject, None)
        if last is not None:
            _free(last.sample)
            _free(last.spare)

    def keep(self, subjects: Container[str]) -> None:
        """Forget all others: MIG was cut anew."""
        for subject in [one for one in self._last if one not in subjects]:
            self.forget(subject)

    def close(self) -> None:
        """Give the samples back, while the library still runs."""
        for subject in list(self._last):
            self.forget(subject)

    def _take(self, handle: Handle, gi: int | None, sample: Any) -> bool:
        if gi is None:
            return handle.ask(pynvml.nvmlGpmSampleGet, sample) is not None
        return handle.ask(pynvml.nvmlGpmMigSampleGet, gi, sample) is not None

    def _between(self, first: Any, second: Any, wanted: dict[str, int]) -> Profile:
        asked = self._requests.get(len(wanted)) or self._ask_for(wanted)
        asked.request.sample1, asked.request.sample2 = first, second
        if ask(pynvml.nvmlGpmMetricsGet, asked.request) is None:
            return _UNKNOWN
        answers = zip(wanted, _METRIC.iter_unpack(asked.answers), strict=True)
        return Profile(
            **{
                name: _in_units(name, value)
                for name, (_, code, value) in answers
                if code == pynvml.NVML_SUCCESS
            }
        )

    def _ask_for(self, wanted: dict[str, int]) -> _Request:
        """16 kB: made once for GPUs, and once for MIG instances."""
        request = pynvml.c_nvmlGpmMetricsGet_t()
        request.version = pynvml.NVML_GPM_METRICS_GET_VERSION
        request.numMetrics = len(wanted)
        for at, metric in enumerate(wanted.values()):
            request.metrics[at].metricId = metric
        answers = (ctypes.c_char * (len(wanted) * _METRIC.size)).from_buffer(
            request, pynvml.c_nvmlGpmMetricsGet_t.metrics.offset
        )
        made = self._requests[len(wanted)] = _Request(request, answers)
        return made


def together(parts: Sequence[tuple[Profile, float, float]]) -> Profile:
    """A GPU as its MIG instances: each profile with its share of the SMs and of the memory.

    A figure that one of them does not tell is not known of the GPU, either.
    """

    def added(name: str, memory: bool = False) -> float | None:
        total = 0.0
        for profile, compute_share, memory_share in parts:
            told: float | None = getattr(profile, name)
            if told is None:
                return None
            total += told * (memory_share if memory else compute_share)
        return round(min(1.0, total), 3) if parts else None

    return Profile(**{name: added(name, memory=name == "dram_activity") for name in _SHARES})


def _supported(raw: Any) -> bool:
    if not pynvml.nvmlGpmQueryDeviceSupport(raw).isSupportedDevice:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return True


def _free(sample: Any) -> None:
    if sample is not None:
        with suppress(pynvml.NVMLError):  # the library is gone, and the sample with it
            pynvml.nvmlGpmSampleFree(sample)


def _in_units(name: str, value: float) -> float:
    """Percent as shares, MiB as bytes; no more digits than there is in it."""
    return round(value * MIB if name in _RATES else min(1.0, max(0.0, value / 100)), 3)
