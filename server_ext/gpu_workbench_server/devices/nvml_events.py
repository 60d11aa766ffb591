"""Critical errors (XID) as the driver reports them: one event set for all GPUs, never waited on.

Knows no lease. A GPU that tells no events simply has none. The driver tells no time: an error's is
when it was heard of, at most a round of the slow lane later. One failure makes several of them, and
the first says why: each is told.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from ctypes import c_void_p, cast
from typing import Any, NamedTuple

import pynvml

from ..domain.readings import HardwareError
from .nvml_errors import Tell
from .nvml_inventory import Device
from .nvml_library import GpuLost, ask

MOST_AT_ONCE = 64
"""A GPU that reports without end must not keep the slow lane from the others."""


class Xid(NamedTuple):
    """A critical error: its number, and when (seconds since the epoch)."""

    code: int | None = None
    at: float | None = None


class XidEvents:
    """Tells of each. `last` is the newest of each GPU (UUID) since this began. For one thread."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.last: dict[str, Xid] = {}
        self._set: Any = None
        self._registered: dict[int, str] = {}

    def look(self, devices: Sequence[Device]) -> None:
        """Take what was reported since the last look."""
        if self._set is None:
            self._set = ask(pynvml.nvmlEventSetCreate)
        if self._set is None:
            return
        for device in devices:
            self._register(device)
        try:
            for _ in range(MOST_AT_ONCE):
                event = ask(pynvml.nvmlEventSetWait_v2, self._set, 0)
                if event is None:  # nothing more
                    return
                uuid = self._registered.get(_address(event.device))
                if uuid is not None and event.eventType == pynvml.nvmlEventTypeXidCriticalError:
                    xid = self.last[uuid] = Xid(int(event.eventData), round(time.time(), 3))
                    self._tell(HardwareError(uuid, "xid", xid.at or 0.0, xid.code))
        except GpuLost:
            self.close()  # a set with a lost GPU in it tells nothing any more: begin another

    def close(self) -> None:
        """Give the set back; what was heard stays known."""
        if self._set is not None:
            with suppress(pynvml.NVMLError):
                pynvml.nvmlEventSetFree(self._set)
        self._set = None
        self._registered.clear()

    def _register(self, device: Device) -> None:
        address = _address(device.handle.raw)
        if address in self._registered or device.gpu.health == "lost":
            return
        with suppress(GpuLost):
            device.handle.ask(_register_xid, self._set)
            self._registered[address] = device.gpu.uuid


def _register_xid(raw: Any, event_set: Any) -> None:
    pynvml.nvmlDeviceRegisterEvents(raw, pynvml.nvmlEventTypeXidCriticalError, event_set)


def _address(handle: Any) -> int:
    return cast(handle, c_void_p).value or 0
