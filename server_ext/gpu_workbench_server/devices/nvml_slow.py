"""The slow lane of a real GPU: what takes time to tell, or changes seldom.

Runs in a thread of its own beside the fast lane and shares nothing with it but what the last round
told, which is replaced as a whole. Knows no lease.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pynvml

from ..domain.readings import GpuReading, HardwareError, Throttle
from .gpm import Gpm, Profile, together
from .nvml_errors import ErrorCounts
from .nvml_events import Xid, XidEvents
from .nvml_inventory import Device, mig_layout
from .nvml_library import GpuLost, Handle
from .nvml_processes import Listed, listed_on
from .nvml_queries import (
    CLOCK_REASONS,
    CLOCK_REASONS_1,
    DECODER,
    ENCODER,
    MEMORY_CLOCK,
    SM_CLOCK,
    FieldQuery,
    told_fields,
)

STALE_SECONDS = 15.0
"""Figures that are older are told no more: the slow lane hangs in a call."""

_THROTTLES: dict[int, Throttle] = {
    pynvml.nvmlClocksEventReasonSwPowerCap: "power_cap",
    pynvml.nvmlClocksEventReasonSwThermalSlowdown: "thermal",
    pynvml.nvmlClocksEventReasonHwThermalSlowdown: "thermal",
    pynvml.nvmlClocksEventReasonHwSlowdown: "hw_slowdown",
    pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown: "power_brake",
    pynvml.nvmlClocksEventReasonSyncBoost: "sync_boost",
    pynvml.nvmlClocksEventReasonApplicationsClocksSetting: "app_clocks",
    pynvml.nvmlClocksEventReasonDisplayClockSetting: "display",
}
_ALL_LINKS = 0xFFFFFFFF
_ECC_CORRECTED, _ECC_UNCORRECTED = (
    pynvml.NVML_FI_DEV_ECC_SBE_VOL_TOTAL,
    pynvml.NVML_FI_DEV_ECC_DBE_VOL_TOTAL,
)
_ENERGY = pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION
_NVLINK = {
    "tx": pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX,
    "rx": pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX,
}
_PCIE = {"tx": pynvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES, "rx": pynvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES}
_PCIE_WINDOW = {"tx": pynvml.NVML_PCIE_UTIL_TX_BYTES, "rx": pynvml.NVML_PCIE_UTIL_RX_BYTES}
_REMAPPED_CORRECTED, _REMAPPED_UNCORRECTED, _REMAP_PENDING, _REMAP_FAILED = _REMAPS = (
    pynvml.NVML_FI_DEV_REMAPPED_COR,
    pynvml.NVML_FI_DEV_REMAPPED_UNC,
    pynvml.NVML_FI_DEV_REMAPPED_PENDING,
    pynvml.NVML_FI_DEV_REMAPPED_FAILURE,
)
_FIELDS = FieldQuery(
    *(_ECC_CORRECTED, _ECC_UNCORRECTED, _ENERGY),
    *_REMAPS,
    *_PCIE.values(),
    *((one, _ALL_LINKS) for one in _NVLINK.values()),
)
PROFILED = ("sm_activity", "sm_occupancy", "tensor_activity", "dram_activity")
NO_XID = Xid()
_NO_PROFILE = Profile()


class Round(NamedTuple):
    """What one round told, by UUID of a GPU; profiles also by those of MIG instances."""

    figures: Mapping[str, GpuReading] = {}
    profiles: Mapping[str, Profile] = {}
    listed: Mapping[str, Listed] = {}
    """What ran on a GPU; not there where that is not known."""
    xids: Mapping[str, Xid] = {}
    """A GPU's last critical error."""
    at: float = float("-inf")

    def of(self, uuid: str) -> GpuReading:
        """A reading with a GPU's figures, and none that the fast lane takes."""
        return self.figures.get(uuid) or GpuReading(uuid)

    def profile(self, uuid: str) -> Profile:
        """What a GPU or MIG instance did."""
        return self.profiles.get(uuid, _NO_PROFILE)


class SlowLane:
    """One round is `look`. Used by one thread, but for what tells of the last round."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._gpm = Gpm(monotonic)
        self._errors: list[HardwareError] = []
        self._events = XidEvents(self._errors.append)
        self._counts = ErrorCounts(self._errors.append)
        self._counters: dict[tuple[str, str], tuple[int, float]] = {}
        self._layouts: dict[str, tuple[int, ...]] = {}
        self._last = Round()
        self.moved = False
        """MIG was switched or cut anew since the flag was taken down."""

    def told(self) -> Round:
        """The last round; where it is too long ago, only the errors that are known."""
        last = self._last
        if self._monotonic() - last.at < STALE_SECONDS:
            return last
        return Round(xids=self._events.last)

    def look(self, devices: Sequence[Device]) -> None:
        """One round; a lost GPU is left out. May block for as long as the driver does."""
        figures: dict[str, GpuReading] = {}
        profiles: dict[str, Profile] = {}
        listed: dict[str, Listed] = {}
        self._events.look(devices)
        for device in devices:
            uuid = device.gpu.uuid
            if device.gpu.health == "lost":
                continue
            try:
                self._check_layout(device)
                profiles |= self._look_at_profiles(device)
                figures[uuid] = self._look_at(device, profiles.get(uuid, Profile()))
                self._counts.look(figures[uuid])
                listed[uuid] = listed_on(device)
            except GpuLost:
                continue
        self._gpm.keep(profiles)
        self._last = Round(figures, profiles, listed, self._events.last, self._monotonic())

    def take_errors(self) -> list[HardwareError]:
        """What went wrong since the last call."""
        taken = self._errors.copy()
        self._errors.clear()
        return taken

    def close(self) -> None:
        """Give everything back, while the library still runs."""
        self._gpm.close()
        self._events.close()
        self._counters.clear()
        self._layouts.clear()
        self._last = Round()

    def _check_layout(self, device: Device) -> None:
        layout = mig_layout(device.handle)
        if self._layouts.setdefault(device.gpu.uuid, layout) != layout:
            self._layouts[device.gpu.uuid] = layout
            self.moved = True

    def _look_at_profiles(self, device: Device) -> dict[str, Profile]:
        """Of the GPU and its instances; the GPU as its instances where only these tell."""
        gpu = device.gpu
        found = {gpu.uuid: self._gpm.look(gpu.uuid, device.handle)}
        parts: list[tuple[Profile, float, float]] = []
        for gi, (one, _) in device.instances.items():
            found[one.uuid] = profile = self._gpm.look(one.uuid, device.handle, gi)
            shares = one.compute / gpu.geometry.compute, one.size / gpu.geometry.memory
            parts.append((profile, *shares))
        if found[gpu.uuid].activity is None:
            found[gpu.uuid] = together(parts)
        return found

    def _look_at(self, device: Device, profile: Profile) -> GpuReading:
        handle, uuid = device.handle, device.gpu.uuid
        told = _fields(handle)
        asked_at = self._monotonic()
        energy = told.get(_ENERGY)

        def pcie(way: str, profiled: float | None) -> float | None:
            if profiled is not None:
                return profiled
            counter = told.get(_PCIE[way])
            if counter is not None:
                return self._rate(uuid, f"pcie {way}", counter, asked_at)
            # Older GPUs: the call looks over a window of time and blocks for as long.
            kilobytes = handle.ask(pynvml.nvmlDeviceGetPcieThroughput, _PCIE_WINDOW[way])
            return None if kilobytes is None else kilobytes * 1024.0

        def nvlink(way: str, profiled: float | None) -> float | None:
            kibibytes = told.get(_NVLINK[way])
            if profiled is not None or kibibytes is None:
                return profiled
            return self._rate(uuid, f"nvlink {way}", kibibytes * 1024, asked_at)

        return GpuReading(
            uuid,
            sm_clock_mhz=_number(handle.read(SM_CLOCK)),
            memory_clock_mhz=_number(handle.read(MEMORY_CLOCK)),
            throttle=_throttle(handle),
            pcie_tx_bytes_s=pcie("tx", profile.pcie_tx_bytes_s),
            pcie_rx_bytes_s=pcie("rx", profile.pcie_rx_bytes_s),
            nvlink_tx_bytes_s=nvlink("tx", profile.nvlink_tx_bytes_s),
            nvlink_rx_bytes_s=nvlink("rx", profile.nvlink_rx_bytes_s),
            encoder=_share(handle.read(ENCODER)),
            decoder=_share(handle.read(DECODER)),
            ecc_corrected=told.get(_ECC_CORRECTED),
            ecc_uncorrected=told.get(_ECC_UNCORRECTED),
            remapped_corrected=told.get(_REMAPPED_CORRECTED),
            remapped_uncorrected=told.get(_REMAPPED_UNCORRECTED),
            remap_pending=_flag(told.get(_REMAP_PENDING)),
            remap_failed=_flag(told.get(_REMAP_FAILED)),
            energy_joules=None if energy is None else energy / 1000,
            sm_activity=profile.sm_activity,
            sm_occupancy=profile.sm_occupancy,
            tensor_activity=profile.tensor_activity,
            dram_activity=profile.dram_activity,
        )

    def _rate(self, uuid: str, name: str, value: int, now: float) -> float | None:
        """Of a counter since the last round; None at the first, and where it began anew."""
        before = self._counters.get((uuid, name))
        self._counters[uuid, name] = (value, now)
        if before is None or value < before[0] or now <= before[1]:
            return None
        return round((value - before[0]) / (now - before[1]), 3)


def _fields(handle: Handle) -> dict[int, int]:
    """A 32-bit byte counter wraps several times a second on today's links: it tells nothing."""
    answer = handle.read(_FIELDS)
    if answer is None:
        return {}
    counters = _PCIE.values()
    return {
        field: value for field, value, long in told_fields(answer) if long or field not in counters
    }


def _number(answer: Any) -> int | None:
    return None if answer is None else int(answer.value)


def _flag(told: int | None) -> bool | None:
    return None if told is None else told != 0


def _share(answer: Any) -> float | None:
    return None if answer is None else min(100, int(answer[0])) / 100


def _throttle(handle: Handle) -> tuple[Throttle, ...] | None:
    mask = _number(handle.read(CLOCK_REASONS))
    if mask is None:
        mask = _number(handle.read(CLOCK_REASONS_1))
    if mask is None:
        return None
    return tuple(dict.fromkeys(code for bit, code in _THROTTLES.items() if mask & bit))
