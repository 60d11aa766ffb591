"""What must hold whatever happens. Checked by the property tests and again at start-up."""

from __future__ import annotations

from collections import Counter, defaultdict

from .mig import layout_faults
from .state import State
from .units import PARTS


def broken(state: State) -> list[str]:
    """Every broken rule, in a sentence; empty is good."""
    faults: list[str] = []
    parts: dict[str, int] = defaultdict(int)
    memory: dict[str, int] = defaultdict(int)
    instances: Counter[str] = Counter()
    ids: Counter[str] = Counter()
    whole: set[str] = set()
    users: dict[str, int] = defaultdict(int)
    groups: dict[str, int] = defaultdict(int)
    for lease in state.leases.values():
        for one in lease.slices:
            ids[one.id] += 1
            parts[one.gpu] += one.parts
            memory[one.gpu] += one.memory_bytes
            if one.instance:
                instances[one.instance] += 1
            if one.kind == "whole":
                whole.add(one.gpu)
        if lease.state != "ended":
            users[lease.user] += lease.parts
            if lease.group:
                groups[lease.group] += lease.parts
    faults += [f"slice {i} has {n} leases" for i, n in ids.items() if n > 1]
    faults += [f"MIG instance {i} has {n} leases" for i, n in instances.items() if n > 1]
    for uuid, gpu in state.gpus.items():
        if gpu.mig:
            wrong = layout_faults(gpu.instances, gpu.memory_gb, gpu.told)
            faults += [f"{gpu.name}: {fault}" for fault in wrong]
            known = {one.uuid for one in gpu.instances}
            on_it = {s.instance for _, s in state.slices_on(uuid) if s.instance}
            if gpu.health == "ok" and not on_it <= known:
                faults.append(f"{gpu.name}: a lease is on an instance that is not there")
        elif parts[uuid] > PARTS:
            faults.append(f"{gpu.name}: shares add up to {parts[uuid] / PARTS:.3f}")
        if not gpu.mig and memory[uuid] > gpu.memory_bytes:
            faults.append(f"{gpu.name}: leased memory is more than it has")
        if uuid in whole and parts[uuid] != PARTS:
            faults.append(f"{gpu.name}: leased whole and shared")
    for name, held in users.items():
        limit = state.limits.user(name)
        if limit is not None and held > limit:
            faults.append(f"user {name} holds {held} parts, over the limit of {limit}")
    for name, held in groups.items():
        limit = state.limits.group(name)
        if limit is not None and held > limit:
            faults.append(f"group {name} holds {held} parts, over the limit of {limit}")
    faults += _reservations(state)
    if dict(users) != {u: p for u, p in state.user_parts.items() if p}:
        faults.append("the users' sums differ from their leases")
    return faults


def _reservations(state: State) -> list[str]:
    """A reservation gives no more than was booked, and only to those it is for."""
    faults: list[str] = []
    held: Counter[int] = Counter()
    for lease in state.leases.values():
        if lease.reservation is None or lease.state == "ended":
            continue
        held[lease.reservation] += len(lease.slices)
        one = state.reservations.get(lease.reservation)
        if one is None:
            continue
        if not one.serves(lease.user, lease.group):
            faults.append(f"lease {lease.id} is inside reservation {one.id}, which is not for it")
        if (lease.pool, lease.profile) != (one.pool, one.profile):
            faults.append(f"lease {lease.id} is not what reservation {one.id} is of")
    for one in state.reservations.values():
        if held[one.id] > one.count:
            faults.append(f"reservation {one.id} gives {held[one.id]} slices of {one.count} booked")
        if not one.start < one.end:
            faults.append(f"reservation {one.id} ends before it begins")
    if dict(held) != {i: n for i, n in state.claimed.items() if n}:
        faults.append("the slices held of reservations differ from their leases")
    return faults
