"""MIG: which instances may stand where on a GPU.

A GPU of the 7g class has 8 memory slices and 7 compute slices, an A30 has 4 of each; an instance
occupies `[start, start + size)` of the memory slices and starts only at its profile's positions.
What the driver tells goes before the tables here. Source of these: `nvidia-smi mig -lgipp` (the
same text for A100, H100 and H200) and NVIDIA's MIG User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

COMPUTE_SLICES = 7
MEMORY_SLICES = 8

_A30_GB = 24.0
"""No other GPU with MIG is so small."""

_NAME = re.compile(r"^(\d)g\.(\d+)gb(\+me)?$")


@dataclass(frozen=True, slots=True)
class Rule:
    """`size` memory slices, `compute` compute slices, starting at one of `starts`."""

    size: int
    compute: int
    starts: tuple[int, ...]


_RULES = {
    "1g": Rule(1, 1, (0, 1, 2, 3, 4, 5, 6)),
    "1g-double": Rule(2, 1, (0, 2, 4, 6)),
    "2g": Rule(2, 2, (0, 2, 4)),
    "3g": Rule(4, 3, (0, 4)),
    "4g": Rule(4, 4, (0,)),
    "7g": Rule(8, 7, (0,)),
}
_A30_RULES = {
    "1g": Rule(1, 1, (0, 1, 2, 3)),
    "2g": Rule(2, 2, (0, 2)),
    "4g": Rule(4, 4, (0,)),
}


@dataclass(frozen=True, slots=True)
class Geometry:
    """What MIG can do on one kind of GPU: slices in all, and the rules of its profiles by name.

    Without rules of its own it knows those of the tables, by the GPU's memory.
    """

    memory_gb: float
    compute: int = COMPUTE_SLICES
    memory: int = MEMORY_SLICES
    rules: tuple[tuple[str, Rule], ...] = ()

    def rule(self, profile: str) -> Rule | None:
        """None for a profile that there is not."""
        if not self.rules:
            return rule_for(profile, self.memory_gb)
        return dict(self.rules).get(profile)


def geometry_for(gpu_memory_gb: float) -> Geometry:
    """Of the tables, for a GPU of that memory."""
    small = gpu_memory_gb <= _A30_GB
    return Geometry(gpu_memory_gb, 4, 4) if small else Geometry(gpu_memory_gb)


@dataclass(frozen=True, slots=True)
class MigInstance:
    """One instance as it stands on a GPU; `profile` as NVIDIA writes it, e.g. "1g.10gb"."""

    uuid: str
    profile: str
    start: int
    memory_bytes: int
    memory_gb: float
    compute: int
    size: int


def rule_for(profile: str, gpu_memory_gb: float) -> Rule | None:
    """The tables' rule of a profile on a GPU of that memory; None for an unknown profile.

    `1g` comes in two sizes: with one eighth of the memory and with a quarter ("1g.20gb" on 80 GB).
    """
    found = _NAME.match(profile)
    if not found:
        return None
    compute, memory = int(found[1]), int(found[2])
    if gpu_memory_gb <= _A30_GB:
        return _A30_RULES.get(f"{compute}g")
    if compute == 1 and memory > gpu_memory_gb / MEMORY_SLICES * 1.5:
        return _RULES["1g-double"]
    return _RULES.get(f"{compute}g")


def layout_faults(
    instances: Iterable[MigInstance], gpu_memory_gb: float, told: Geometry | None = None
) -> list[str]:
    """What is wrong with a layout, in sentences; empty where it keeps the rules."""
    geometry = told or geometry_for(gpu_memory_gb)
    faults: list[str] = []
    taken: dict[int, str] = {}
    compute = 0
    for one in instances:
        rule = geometry.rule(one.profile)
        if rule is None:
            faults.append(f"{one.profile} is not a MIG profile")
            continue
        if one.start not in rule.starts:
            faults.append(f"{one.profile} may not start at {one.start}, only at {rule.starts}")
        for position in range(one.start, one.start + rule.size):
            if position in taken:
                faults.append(f"{one.profile} at {one.start} overlaps {taken[position]}")
            taken[position] = f"{one.profile} at {one.start}"
        compute += rule.compute
    if compute > geometry.compute:
        faults.append(f"{compute} compute slices of {geometry.compute}")
    return faults


def first_layout(
    profiles: Iterable[str], gpu_memory_gb: float, told: Geometry | None = None
) -> list[int]:
    """Start positions for a list of profiles, in the list's order; ValueError where none exists.

    Searches all placements (at most 7 instances, a few thousand leaves).
    """
    geometry = told or geometry_for(gpu_memory_gb)
    names = list(profiles)

    def search(index: int, taken: frozenset[int]) -> list[int] | None:
        if index == len(names):
            return []
        rule = geometry.rule(names[index])
        if rule is None:
            raise ValueError(f"{names[index]} is not a MIG profile")
        for start in rule.starts:
            span = frozenset(range(start, start + rule.size))
            if span & taken:
                continue
            rest = search(index + 1, taken | span)
            if rest is not None:
                return [start, *rest]
        return None

    found = search(0, frozenset())
    if found is None:
        raise ValueError(f"{' + '.join(names)} do not fit on one GPU")
    return found
