"""Where a request's slices go. Best fit: the fullest GPU that still has room, ties by name.

Knows the state and the rules, not the queue: who is asked first is `planning`'s business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import groupby

from .fleet import Gpu, Pool, Profile, profiles_of
from .leases import Request, Slice
from .state import State
from .units import PARTS


def capacity(gpus: Iterable[Gpu], pool: Pool, profile: str, same_node: bool = False) -> int:
    """How many slices of a profile these GPUs give with everything free."""
    per_node: dict[str, int] = {}
    for gpu in gpus:
        if gpu.pool != pool.name:
            continue
        for offered in profiles_of(gpu, pool):
            if offered.name != profile:
                continue
            if offered.kind == "mig":
                fits = sum(f"mig-{one.profile}" == profile for one in gpu.instances)
            else:
                fits = PARTS // offered.parts
            per_node[gpu.node] = per_node.get(gpu.node, 0) + fits
    counts = per_node.values()
    return max(counts, default=0) if same_node else sum(counts)


def place(state: State, request: Request, shut: Collection[str] = ()) -> tuple[Slice, ...] | None:
    """Slices for the whole request, or None: a gang is placed entirely or not at all.

    `shut` are UUIDs of GPUs that an earlier request waits for.
    """
    open_gpus = state.roomy(request, shut)
    if not request.same_node:
        return _fill(state, request, open_gpus)
    for _, on_node in groupby(sorted(open_gpus, key=lambda g: g.node), key=lambda g: g.node):
        found = _fill(state, request, list(on_node))
        if found:
            return found
    return None


def _fill(state: State, request: Request, gpus: list[Gpu]) -> tuple[Slice, ...] | None:
    found: list[Slice] = []
    for gpu in sorted(gpus, key=lambda g: (state.free_parts(g), g.node, g.index)):
        profile = state.profile_on(gpu, request.profile)
        if profile is None:
            continue
        found += _cut(state, gpu, profile, request, request.count - len(found), len(found))
        if len(found) == request.count:
            return tuple(found)
    return None


def _cut(
    state: State, gpu: Gpu, profile: Profile, request: Request, wanted: int, have: int
) -> list[Slice]:
    """Up to `wanted` slices of one GPU; `have` were cut before, for their ids."""
    if profile.kind == "mig":
        used = state.use[gpu.uuid].instances
        free = [
            one
            for one in sorted(gpu.instances, key=lambda i: i.start)
            if f"mig-{one.profile}" == profile.name and one.uuid not in used
        ]
        return [
            Slice(
                f"{request.id}.{have + n}",
                gpu.uuid,
                profile.name,
                "mig",
                profile.parts,
                one.memory_bytes,
                profile.tier,
                "" if gpu.simulated else one.uuid,
                one.uuid,
            )
            for n, one in enumerate(free[:wanted])
        ]
    room = state.free_parts(gpu) // profile.parts
    return [
        Slice(
            f"{request.id}.{have + n}",
            gpu.uuid,
            profile.name,
            profile.kind,
            profile.parts,
            gpu.memory_bytes * profile.parts // PARTS,
            profile.tier,
            "" if gpu.simulated else gpu.uuid,
        )
        for n in range(min(room, wanted))
    ]
