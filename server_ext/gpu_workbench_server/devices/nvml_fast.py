"""The fast lane of a real GPU: four calls that answer at once, and the slow lane's last round.

Turns NVML's answers into readings. No metric is required: what is not told is None. Remembers
nothing, holds no lock.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.leases import Slice
from ..domain.readings import DeviceProcess, GpuReading, SliceReading
from ..domain.units import PARTS
from .nvml_inventory import Device
from .nvml_library import GpuLost, Handle
from .nvml_queries import MEMORY, MEMORY_1, POWER, RATES, TEMPERATURE
from .nvml_slow import NO_XID, PROFILED, Round


def read_gpu(device: Device, told: Round) -> GpuReading:
    """One look at a GPU; raises `GpuLost` where it is gone."""
    gpu, handle = device.gpu, device.handle
    if gpu.health == "lost":
        raise GpuLost(gpu.uuid)
    handle.failed = ""
    rates = handle.read(RATES)
    power = handle.read(POWER)
    celsius = handle.read(TEMPERATURE)
    memory = used_bytes(handle)
    xid = told.xids.get(gpu.uuid, NO_XID)
    one = told.of(gpu.uuid)._replace(
        activity=told.profile(gpu.uuid).activity if rates is None else rates[0] / 100,
        memory_bytes=memory,
        power_watts=None if power is None else power.value / 1000,
        temperature_c=None if celsius is None else float(celsius.value),
        xid=xid.code,
        xid_at=xid.at,
    )
    silent = memory is None and rates is None and power is None and celsius is None
    if silent and handle.failed:
        trouble = f"The driver answers with an error: {handle.failed}."
        return one._replace(state="unknown", trouble=trouble)
    return one


def lost_gpu(device: Device, told: Round) -> GpuReading:
    xid = told.xids.get(device.gpu.uuid, NO_XID)
    return GpuReading(
        uuid=device.gpu.uuid,
        xid=xid.code,
        xid_at=xid.at,
        state="lost",
        trouble="The GPU does not answer any more: it fell off the bus, or must be reset.",
    )


def read_slice(
    device: Device,
    gpu: GpuReading,
    one: Slice,
    processes: Sequence[DeviceProcess] | None,
    told: Round,
) -> SliceReading:
    """One look at a leased slice, given what was read of its GPU and is known to run there."""
    if one.kind == "whole":
        shares = {name: getattr(gpu, name) for name in PROFILED}
        return SliceReading(one.id, gpu.activity, gpu.memory_bytes, **shares)
    if one.kind == "mig":
        for gi, (instance, handle) in device.instances.items():
            if instance.uuid == one.instance:
                profile = told.profile(instance.uuid)
                shares = {name: getattr(profile, name) for name in PROFILED}
                used = used_bytes(handle)
                return SliceReading(one.id, profile.activity, used, **shares, gpu_instance=gi)
        return SliceReading(one.id)
    if processes is None:
        return SliceReading(one.id)
    mine = [process for process in processes if process.slice_id == one.id]
    if not mine and any(process.lease_id is None for process in processes):
        return SliceReading(one.id)  # it may be one of those that nobody is known to own
    busy = [p.activity for p in mine if p.activity is not None]
    memory = [p.memory_bytes for p in mine if p.memory_bytes is not None]
    return SliceReading(
        slice_id=one.id,
        activity=min(1.0, sum(busy) * PARTS / one.parts) if len(busy) == len(mine) else None,
        memory_bytes=sum(memory) if len(memory) == len(mine) else None,
    )


def used_bytes(handle: Handle) -> int | None:
    """What is in use, without what the driver reserves where it tells the two apart."""
    memory = handle.read(MEMORY) or handle.read(MEMORY_1)
    return None if memory is None else int(memory.used)
