"""Which GPUs there are, how MIG cuts them, and where they are: NVML's answers as domain objects."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from ctypes import c_void_p, cast
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import pynvml

from ..domain.fleet import Gpu
from ..domain.mig import Geometry, MigInstance, first_layout, geometry_for
from ..domain.units import GIB
from .nvml_library import GpuLost, Handle, ask
from .nvml_mig import PROFILE, read_geometry
from .nvml_queries import MIG_MODE

_LABEL = re.compile(r"(\d+)\s?GB")
_SIZES = (8, 10, 11, 12, 16, 20, 24, 32, 40, 48, 64, 80, 94, 96, 128, 141, 144, 180, 192, 288)
"""GB on the labels of GPUs that do not carry it in their name."""
_WORDS = 16
"""64-bit words of a CPU set: 1024 CPUs."""


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU with its handle, and its MIG instances' handles by GPU instance id."""

    gpu: Gpu
    handle: Handle
    instances: dict[int, tuple[MigInstance, Handle]]


def read_devices(last: Sequence[Device]) -> list[Device]:
    """All GPUs, now. One that is lost has no UUID any more: what `last` knew of it is kept."""
    known = {device.gpu.index: device for device in last}
    count = ask(pynvml.nvmlDeviceGetCount) or 0
    found: list[Device] = []
    for index in range(max(count, max(known, default=-1) + 1)):
        try:
            device = _read_device(index) if index < count else None
        except GpuLost:
            device = None
        if device is None and index in known:
            device = lost(known[index])
        if device is not None:
            found.append(_remembering(device, known.get(index)))
    return _with_islands(found)


def _remembering(now: Device, last: Device | None) -> Device:
    """With the handles of the last look where nothing changed: they know what is not told."""
    if last is None or (last.gpu.uuid, last.gpu.mig) != (now.gpu.uuid, now.gpu.mig):
        return now
    old = {one.uuid: handle for one, handle in last.instances.values()}
    instances = {gi: (one, old.get(one.uuid, new)) for gi, (one, new) in now.instances.items()}
    for gi, (_, handle) in instances.items():
        handle.raw = now.instances[gi][1].raw
    last.handle.raw = now.handle.raw
    return Device(now.gpu, last.handle, instances)


def mig_layout(handle: Handle) -> tuple[int, ...]:
    """What changes when MIG is switched or cut anew: the mode and the instances' handles."""
    mode = handle.read(MIG_MODE)
    if mode is None or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        return (0,)
    found = [1]
    for index in range(handle.ask(pynvml.nvmlDeviceGetMaxMigDeviceCount) or 0):
        one = ask(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle.raw, index)
        found.append(0 if one is None else cast(one, c_void_p).value or 0)
    return tuple(found)


def lost(device: Device) -> Device:
    return Device(replace(device.gpu, health="lost"), device.handle, device.instances)


def _read_device(index: int) -> Device | None:
    handle = ask(pynvml.nvmlDeviceGetHandleByIndex, index)
    uuid = ask(pynvml.nvmlDeviceGetUUID, handle) if handle is not None else None
    if uuid is None:
        return None
    model = ask(pynvml.nvmlDeviceGetName, handle) or "NVIDIA GPU"
    memory = ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    memory_bytes = int(memory.total) if memory is not None else 0
    memory_gb = label_gb(model, memory_bytes)
    mode = ask(pynvml.nvmlDeviceGetMigMode, handle)
    mig = mode is not None and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE
    told = read_geometry(handle, memory_gb) if mig else None
    instances = _read_instances(handle, told or geometry_for(memory_gb)) if mig else {}
    gpu = Gpu(
        uuid=uuid,
        index=index,
        model=model,
        memory_bytes=memory_bytes,
        memory_gb=memory_gb,
        numa=_numa(handle),
        cpus=tuple(_bits(ask(pynvml.nvmlDeviceGetCpuAffinity, handle, _WORDS))),
        mig=mig,
        instances=tuple(one for one, _ in instances.values()),
        told=told,
    )
    wrapped = {gi: (one, Handle(raw)) for gi, (one, raw) in instances.items()}
    return Device(gpu, Handle(handle), wrapped)


def label_gb(model: str, memory_bytes: int) -> float:
    """GB as on the label: "H100 80GB" is 80 though NVML counts 79.6 GiB.

    The name says it, unless that is another memory ("GH200 480GB" counts the host's); else the
    next usual size, since drivers and ECC keep up to a sixteenth for themselves.
    """
    gib = memory_bytes / GIB
    named = _LABEL.search(model)
    if named and (gib == 0 or abs(int(named[1]) - gib) <= 0.15 * gib):
        return float(named[1])
    return float(next((size for size in _SIZES if gib <= size <= gib * 1.1), math.ceil(gib)))


def _read_instances(handle: Any, geometry: Geometry) -> dict[int, tuple[MigInstance, Any]]:
    """MIG instances by GPU instance id, in the order they stand on the GPU.

    A compute instance that is only a part of its GPU instance ("1c.3g.40gb") is left out: it
    shares memory with its siblings, so it is no slice.
    """
    seen: list[tuple[int, Any, str, float, str, int]] = []
    for index in range(ask(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        one = ask(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
        if one is None:
            continue
        uuid, gi = ask(pynvml.nvmlDeviceGetUUID, one), ask(pynvml.nvmlDeviceGetGpuInstanceId, one)
        named = PROFILE.search(ask(pynvml.nvmlDeviceGetName, one) or "")
        if uuid is None or gi is None or named is None:
            continue
        memory = ask(pynvml.nvmlDeviceGetMemoryInfo, one)
        label = float(named[2])
        memory_bytes = int(memory.total) if memory is not None else int(label * GIB)
        seen.append((gi, one, named[1], label, uuid, memory_bytes))
    starts = _starts(handle, [(gi, profile) for gi, _, profile, *_ in seen], geometry)
    found: list[tuple[int, MigInstance, Any]] = []
    for (gi, one, profile, label, uuid, memory_bytes), start in zip(seen, starts, strict=True):
        rule = geometry.rule(profile)
        attributes = ask(pynvml.nvmlDeviceGetAttributes_v2, one)
        compute = int(profile[0]) if attributes is None else int(attributes.gpuInstanceSliceCount)
        size = rule.size if rule is not None else compute
        instance = MigInstance(uuid, profile, start, memory_bytes, label, compute, size)
        found.append((gi, instance, one))
    return {gi: (instance, one) for gi, instance, one in sorted(found, key=lambda t: t[1].start)}


def _starts(handle: Any, instances: list[tuple[int, str]], geometry: Geometry) -> list[int]:
    """Where each instance stands; derived where the driver tells root only."""
    told: list[int] = []
    for gi, _ in instances:
        instance = ask(pynvml.nvmlDeviceGetGpuInstanceById, handle, gi)
        info = ask(pynvml.nvmlGpuInstanceGetInfo, instance) if instance is not None else None
        if info is not None:
            told.append(int(info.placement.start))
    if len(told) == len(instances):
        return told
    profiles = [profile for _, profile in instances]
    try:
        return first_layout(profiles, geometry.memory_gb, geometry)
    except ValueError:  # a GPU whose rules we don't know: one after the other
        return list(range(len(profiles)))


def _numa(handle: Any) -> int | None:
    words = ask(pynvml.nvmlDeviceGetMemoryAffinity, handle, _WORDS, pynvml.NVML_AFFINITY_SCOPE_NODE)
    nodes = _bits(words)
    return nodes[0] if len(nodes) == 1 else None


def _bits(words: Any) -> list[int]:
    """Positions of the set bits of an array of 64-bit words."""
    if words is None:
        return []
    return [64 * at + bit for at, word in enumerate(words) for bit in range(64) if word >> bit & 1]


def _with_islands(devices: list[Device]) -> list[Device]:
    """Number the groups of GPUs that reach each other over NVLink."""
    island = {device.gpu.uuid: number for number, device in enumerate(devices)}
    linked: set[str] = set()
    for one, other in combinations(devices, 2):
        if not _nvlinked(one, other):
            continue
        linked |= {one.gpu.uuid, other.gpu.uuid}
        old, new = island[other.gpu.uuid], island[one.gpu.uuid]
        island = {uuid: new if number == old else number for uuid, number in island.items()}
    order = sorted({island[uuid] for uuid in linked})
    return [
        Device(
            replace(device.gpu, island=order.index(island[device.gpu.uuid])),
            device.handle,
            device.instances,
        )
        if device.gpu.uuid in linked
        else device
        for device in devices
    ]


def _nvlinked(one: Device, other: Device) -> bool:
    if "lost" in (one.gpu.health, other.gpu.health):
        return one.gpu.island is not None and one.gpu.island == other.gpu.island
    try:
        status = ask(
            pynvml.nvmlDeviceGetP2PStatus,
            one.handle.raw,
            other.handle.raw,
            pynvml.NVML_P2P_CAPS_INDEX_NVLINK,
        )
    except GpuLost:
        return False
    return bool(status == pynvml.NVML_P2P_STATUS_OK)
