"""What runs on a GPU, as NVML lists it, and on which leased slice each process is.

Knows leases only as slices and owners; who owns a process is found elsewhere (`processes`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import psutil
import pynvml

from ..domain.leases import Slice
from .nvml_inventory import Device
from .nvml_library import Handle
from .processes import Owner

_MPS_SERVER = "nvidia-cuda-mps-server"
"""Stays on the GPU as long as MPS runs, whoever uses it."""
_COMPUTE = pynvml.nvmlDeviceGetComputeRunningProcesses
_MPS = pynvml.nvmlDeviceGetMPSComputeRunningProcesses
_GRAPHICS = pynvml.nvmlDeviceGetGraphicsRunningProcesses
_UTILISATION_WINDOW_US = 1_000_000


@dataclass(frozen=True, slots=True)
class OnDevice:
    """A process as NVML lists it; `gi` None outside MIG."""

    pid: int
    memory_bytes: int | None
    gi: int | None
    graphics: bool
    mps: bool


class Listed(NamedTuple):
    """What one look showed; `activity` is by pid, None where it is not told."""

    processes: tuple[OnDevice, ...]
    activity: dict[int, float] | None


def listed_on(device: Device) -> Listed:
    """What runs on the GPU, and what each did in the last second (not told where MIG is on)."""
    found = tuple(list_processes(device))
    busy = _activity(device.handle) if found and not device.gpu.mig else None
    return Listed(found, busy)


def list_processes(device: Device) -> Iterator[OnDevice]:
    """Compute, MPS and graphics processes, each once per MIG instance.

    The GPU's own lists need privileges where MIG is on; each instance's list does not.
    """
    seen: set[tuple[int, int | None]] = set()
    places = [(one, gi) for gi, (_, one) in device.instances.items()]
    for handle, gi in [*places, (device.handle, None)]:
        for function in (_COMPUTE, _MPS, _GRAPHICS):
            for process in handle.ask_list(function) or ():
                told = process.gpuInstanceId
                at = gi if gi is not None else told if told in device.instances else None
                if (process.pid, at) not in seen:
                    seen.add((process.pid, at))
                    yield OnDevice(
                        process.pid,
                        process.usedGpuMemory,
                        at,
                        graphics=function is _GRAPHICS,
                        mps=function is _MPS,
                    )


def _activity(handle: Handle) -> dict[int, float] | None:
    since = max(0, int(time.time() * 1e6) - _UTILISATION_WINDOW_US)
    samples = handle.ask_list(pynvml.nvmlDeviceGetProcessUtilization, since)
    if samples is None:
        return None
    return {one.pid: min(100, one.smUtil) / 100 for one in samples}


def is_on(one: Slice, process: OnDevice, device: Device) -> bool:
    if one.kind != "mig":
        return True
    instance = None if process.gi is None else device.instances.get(process.gi)
    return instance is not None and instance[0].uuid == one.instance


def slice_of(
    process: OnDevice,
    device: Device,
    here: Sequence[tuple[int, Slice]],
    owner: Owner | None,
) -> Slice | None:
    """The leased slice that a process runs on.

    Where it runs says it for a MIG instance and a whole GPU; on a shared GPU only its owner does.
    """
    for lease_id, one in here:
        if not is_on(one, process, device):
            continue
        if one.kind != "fraction":
            return one
        if owner is not None and owner.lease_id == lease_id and owner.slice_id in (None, one.id):
            return one
    return None


def owner_here(
    process: OnDevice,
    device: Device,
    here: Sequence[tuple[int, Slice]],
    owner: Owner | None,
    partners: Mapping[int, Set[int]],
) -> Owner | None:
    """Whom a process works for at the place where it runs; None for a stranger there.

    Its owner, where that holds the place or nobody does. One kernel may hold several leases, while
    its processes carry the id of the first: `partners` are the leases that share a root process,
    and it works for the one among them that holds the place. Where only others do, it works for
    nobody who was granted it.
    """
    holders = [lease_id for lease_id, one in here if is_on(one, process, device)]
    if owner is None or not holders or owner.lease_id in holders:
        return owner
    mine = partners.get(owner.lease_id, frozenset())
    return next((Owner(one, None) for one in holders if one in mine), None)


def is_mps_server(pid: int) -> bool:
    try:
        return psutil.Process(pid).name() == _MPS_SERVER[:15]
    except psutil.Error:
        return False
