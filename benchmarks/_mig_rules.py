"""The MIG benchmark's world: mixes, arrivals, placement rules, exact bounds by integer program."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from gpu_workbench_server.domain.mig import MEMORY_SLICES, Rule, rule_for
from gpu_workbench_server.domain.mig_masks import fits, span

GPU_GB = 80.0
NAMES = ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")
MIXES = {
    "uniform": (1.0,) * 6,
    "notebook": (0.5, 0.2, 0.2, 0.1, 0.0, 0.0),
    "bimodal": (0.3, 0.15, 0.05, 0.05, 0.15, 0.3),
    "small": (0.35, 0.2, 0.2, 0.1, 0.1, 0.05),
}


def _rules() -> dict[str, Rule]:
    found = {name: rule_for(name, GPU_GB) for name in NAMES}
    return {name: rule for name, rule in found.items() if rule is not None}


RULES = _rules()
Multiset = tuple[int, ...]  # how many of each of NAMES


class Arrival(NamedTuple):
    """A request and for how long it stays; times in mean stays."""

    at: float
    profile: str
    stay: float


def saturation(mix: str, seed: int, gpus: int) -> list[Arrival]:
    """Requests until they have asked for all memory slices; none leaves."""
    rng = random.Random(seed)
    found: list[Arrival] = []
    asked = 0
    while asked < MEMORY_SLICES * gpus:
        (profile,) = rng.choices(NAMES, MIXES[mix])
        found.append(Arrival(0.0, profile, float("inf")))
        asked += RULES[profile].size
    return found


def churn(mix: str, seed: int, gpus: int, *, poisson: bool = False) -> list[Arrival]:
    """4000 arrivals, evenly spaced or Poisson, that stay exponentially long, 1 in the mean; the
    load that they offer, in memory slices, is what the GPUs have."""
    rng = random.Random(seed)
    weights = MIXES[mix]
    mean = sum(w * RULES[n].size for w, n in zip(weights, NAMES, strict=True)) / sum(weights)
    rate = MEMORY_SLICES * gpus / mean
    at = 0.0
    found = []
    for _ in range(4000):
        at += rng.expovariate(rate) if poisson else 1 / rate
        (profile,) = rng.choices(NAMES, weights)
        found.append(Arrival(at, profile, rng.expovariate(1)))
    return found


Layout = tuple[tuple[str, int], ...]  # (profile, start) of each instance


@cache
def maximal() -> dict[Multiset, Layout]:
    """What a GPU holds to which nothing can be added: 38 multisets, each with a layout of it."""
    found: dict[Multiset, Layout] = {}
    for layout in _layouts(0, ()):
        mask = sum(span(start, RULES[name].size) for name, start in layout)
        if not any(fits(rule, mask) for rule in RULES.values()):
            found[_count(name for name, _ in layout)] = layout
    return dict(sorted(found.items()))


def _layouts(mask: int, so_far: Layout) -> Iterator[Layout]:
    """All ways to fill a GPU from left to right."""
    yield so_far
    for start in range(mask.bit_length(), MEMORY_SLICES):
        for name, rule in RULES.items():
            if start in rule.starts:
                yield from _layouts(mask | span(start, rule.size), (*so_far, (name, start)))


def _count(names: Iterable[str]) -> Multiset:
    counted = Counter(names)
    return tuple(counted[name] for name in NAMES)


def best_layouts(wanted: Mapping[str, int], gpus: int) -> tuple[int, list[Layout]]:
    """The largest number of the wanted instances that so many GPUs can hold, by an exact integer
    program, and the layouts of GPUs that hold them.

    One variable per maximal multiset says how many GPUs are laid out so, one per profile how many
    of it are served.
    """
    layouts = np.array(list(maximal())).T
    profiles, kinds = layouts.shape
    answer = milp(
        c=np.hstack([np.zeros(kinds), -np.ones(profiles)]),
        constraints=[
            LinearConstraint(np.hstack([-layouts, np.eye(profiles)]), ub=0),
            LinearConstraint(np.hstack([np.ones(kinds), np.zeros(profiles)]), ub=gpus),
        ],
        bounds=Bounds(0, [gpus] * kinds + [wanted.get(name, 0) for name in NAMES]),
        integrality=np.ones(kinds + profiles),
    )
    assert answer.success, answer.message
    used = zip(answer.x[:kinds], maximal().values(), strict=True)
    return round(-answer.fun), [layout for times, layout in used for _ in range(round(times))]
