"""MIG as the driver knows it: which profiles there are, where they may stand; and cutting anew.

Reading profiles is everybody's; placements and any change are root's, and the caller learns that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from ctypes import byref, c_uint
from typing import Any

import pynvml

from ..domain.mig import MEMORY_SLICES, Geometry, Rule, geometry_for
from ..domain.repartition import Layout
from ..errors import CanNotCut
from .nvml_library import ask

PROFILE = re.compile(r"(?<![\dc.])(\d+g\.(\d+)gb(?:\+\w+)?)")
"""In a name of a profile or MIG device; not of a compute instance that is a part ("1c.3g.40gb")."""


def read_geometry(handle: Any, gpu_memory_gb: float) -> Geometry | None:
    """Slices and rules as the driver tells them; the tables' rules where it tells root only."""
    known = geometry_for(gpu_memory_gb)
    compute, rules = 0, dict[str, Rule]()
    placed = False
    for profile, info in _profiles(handle):
        compute = max(compute, int(info.sliceCount))
        places = _placements(handle, int(info.id))
        if places:
            placed = True
            starts = tuple(sorted(start for start, _ in places))
            rules.setdefault(profile, Rule(places[0][1], int(info.sliceCount), starts))
        elif (rule := known.rule(profile)) is not None:
            rules.setdefault(profile, rule)
    if not compute:
        return None
    ends = [max(rule.starts) + rule.size for rule in rules.values()]
    memory = max(ends, default=known.memory) if placed else known.memory
    return Geometry(gpu_memory_gb, compute, min(memory, MEMORY_SLICES), tuple(rules.items()))


def _profiles(handle: Any) -> Iterator[tuple[str, Any]]:
    """Each profile's name with what the driver tells of it."""
    for number in range(pynvml.NVML_GPU_INSTANCE_PROFILE_COUNT):
        info = ask(pynvml.nvmlDeviceGetGpuInstanceProfileInfo, handle, number)
        name = getattr(info, "name", b"")
        text = name.decode() if isinstance(name, bytes) else name
        found = PROFILE.search(text)
        if found is not None:
            yield found[1], info


def _placements(handle: Any, profile_id: int) -> list[tuple[int, int]]:
    """(start, size) of each place where a profile may stand; empty where it is not told."""
    count = c_uint(0)
    possible = pynvml.nvmlDeviceGetGpuInstancePossiblePlacements
    if ask(possible, handle, profile_id, None, byref(count)) is None or not count.value:
        return []
    places = (pynvml.c_nvmlGpuInstancePlacement_t * count.value)()
    if ask(possible, handle, profile_id, places, byref(count)) is None:
        return []
    return [(int(one.start), int(one.size)) for one in places[: count.value]]


# --- cutting ------------------------------------------------------------------------------------


def cut(handle: Any, uuid: str, before: Layout, layout: Layout) -> None:
    """Instead of what stands on an idle GPU, these instances, each with one compute instance.

    Raises `CanNotCut` with the commands that do it; where it fails half-way, what was there before
    is made again as far as the driver lets.
    """
    ids = {name: int(info.id) for name, info in reversed(list(_profiles(handle)))}
    missing = sorted({name for name, _ in layout} - ids.keys())
    if missing:
        raise CanNotCut(f"The driver knows no {missing[0]} on {uuid}.", commands(uuid, layout))
    touched = False
    try:
        for instance in _instances(handle, ids):
            _destroy(instance)
            touched = True
        for name, start in layout:
            _create(handle, ids[name], start)
            touched = True
    except (pynvml.NVMLError, IndexError) as error:
        if touched:
            _restore(handle, ids, before)
        raise CanNotCut(
            f"The NVIDIA driver refuses to cut {uuid} anew: {error}.", commands(uuid, layout)
        ) from error


def commands(uuid: str, layout: Layout) -> str:
    """What an admin types as root to get the same."""
    wanted = ",".join(f"{name}:{start}" for name, start in layout)
    mig = f"nvidia-smi mig -i {uuid}"
    return f"As root: {mig} -dci; {mig} -dgi; {mig} -cgi {wanted} -C"


def _instances(handle: Any, ids: dict[str, int]) -> list[Any]:
    found = {}
    for profile_id in sorted(set(ids.values())):
        count = c_uint(0)
        here = (pynvml.c_nvmlGpuInstance_t * MEMORY_SLICES)()
        pynvml.nvmlDeviceGetGpuInstances(handle, profile_id, here, byref(count))
        for one in here[: count.value]:
            found[int(pynvml.nvmlGpuInstanceGetInfo(one).id)] = one
    return list(found.values())


def _destroy(instance: Any) -> None:
    for profile_id in _compute_profiles(instance):
        count = c_uint(0)
        here = (pynvml.c_nvmlComputeInstance_t * MEMORY_SLICES)()
        pynvml.nvmlGpuInstanceGetComputeInstances(instance, profile_id, here, byref(count))
        for one in here[: count.value]:
            pynvml.nvmlComputeInstanceDestroy(one)
    pynvml.nvmlGpuInstanceDestroy(instance)


def _create(handle: Any, profile_id: int, start: int) -> None:
    size = next((size for at, size in _placements(handle, profile_id) if at == start), 0)
    place = pynvml.c_nvmlGpuInstancePlacement_t(start, size)
    make: Callable[..., Any] = pynvml.nvmlDeviceCreateGpuInstanceWithPlacement
    instance = make(handle, profile_id, byref(place))
    pynvml.nvmlGpuInstanceCreateComputeInstance(instance, _compute_profiles(instance)[-1])


def _compute_profiles(instance: Any) -> list[int]:
    """Ids of the compute instance profiles of a GPU instance, the largest last."""
    shared = pynvml.NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED
    found = []
    for number in range(pynvml.NVML_COMPUTE_INSTANCE_PROFILE_COUNT):
        info = ask(pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo, instance, number, shared)
        if info is not None:
            found.append((int(info.sliceCount), int(info.id)))
    return [one for _, one in sorted(found)]


def _restore(handle: Any, ids: dict[str, int], before: Layout) -> None:
    """As well as it goes: the caller is told of the failure that led here."""
    with suppress(pynvml.NVMLError):
        for instance in _instances(handle, ids):
            _destroy(instance)
    for name, start in before:
        with suppress(pynvml.NVMLError, IndexError, KeyError):
            _create(handle, ids[name], start)
