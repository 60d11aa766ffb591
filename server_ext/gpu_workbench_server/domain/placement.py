"""Where a request's slices go, and how many there could be: what planning asks of packing.

Knows the state and the rules, not the queue: who is asked first is `planning`'s business. What a
place costs is the objective's (`packing`, for MIG `mig_masks`); ties go by topology, then by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from .fleet import Gpu, Pool, profiles_of
from .leases import Request, Slice
from .packing_fleet import fleet_of
from .packing_pool import Place
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
    places = fleet_of(state).find(state, request, shut)
    if places is None:
        return None
    found: list[Slice] = []
    for place in places:
        for _ in range(place.times):
            found.append(_slice(state, request, place, len(found)))
    return tuple(found)


def _slice(state: State, request: Request, place: Place, number: int) -> Slice:
    """One slice of the request, the `number`th."""
    gpu = state.gpus[place.gpu]
    profile = state.profile_on(gpu, request.profile)
    assert profile is not None
    instance = next((i for i in gpu.instances if i.uuid == place.instance), None)
    device = instance.uuid if instance else gpu.uuid
    return Slice(
        f"{request.id}.{number}",
        gpu.uuid,
        profile.name,
        profile.kind,
        profile.parts,
        instance.memory_bytes if instance else gpu.memory_bytes * profile.parts // PARTS,
        profile.tier,
        "" if gpu.simulated else device,
        instance.uuid if instance else None,
    )
