"""Where a MIG instance should stand: tables over all masks of a GPU's memory slices.

A mask has a bit for each taken memory slice (256 on a GPU of the 7g class, 16 on an A30). For each
mask and profile the best start is computed once from the placement rules and the mix; a decision
is then a look-up. Knows rules and weights, not GPUs.

The cost of a mask is the objective of `packing` for one GPU, in memory slices and averaged over the
profiles of the mix, of which the small ones weigh more, as a slice serves more of them:

- *waste*: free slices that stay when the GPU is filled up with a profile; weight p / size;
- *fragmentation* (FGD, USENIX ATC'23): free slices where a profile fits nowhere; p / size ** 3;
- *spread*: what is free, squared, negative: free slices are worth more together than apart.

Of GPUs whose cost grows alike the fuller one is better, by `FULLER` for each free slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .mig import MEMORY_SLICES, Rule

# Chosen on random numbers of their own over four mixes, with and without departures.
FRAGMENTATION = 0.67
SPREAD = 0.27
FULLER = 0.1


def span(start: int, size: int) -> int:
    """The mask of the slices `[start, start + size)`."""
    return ((1 << size) - 1) << start


@dataclass(frozen=True, slots=True)
class Spot:
    """The best place for a profile on a mask: what it costs in all, and where it starts."""

    score: float
    start: int


class Masks:
    """The tables for a set of rules and how often each comes (weights in any unit).

    Example: among 1g, 3g and 7g an empty GPU takes its first 1g at slice 6, where it is in the way
    of the fewest others. All weights 0 count as all equal.
    """

    def __init__(
        self, rules: Mapping[str, Rule], weights: Mapping[str, float], slices: int = MEMORY_SLICES
    ) -> None:
        self.rules, self.slices = dict(rules), slices
        wanted = {name: weights.get(name, 0.0) for name in rules}
        if not any(wanted.values()):
            wanted = dict.fromkeys(rules, 1.0)
        self._waste = _shares({name: wanted[name] / rule.size for name, rule in rules.items()})
        self._lost = _shares({name: wanted[name] / rule.size**3 for name, rule in rules.items()})
        self.cost = [self._cost(mask) for mask in range(1 << slices)]
        self._spots = {
            name: [self._best(rule, mask) for mask in range(1 << slices)]
            for name, rule in self.rules.items()
        }

    def spot(self, name: str, mask: int) -> Spot | None:
        """Where a profile goes on a GPU with this mask; None where it does not fit."""
        return self._spots[name][mask]

    def score(self, mask: int, taken: int) -> float:
        """What it costs to take the slices of `taken` as well; less on a fuller GPU."""
        free = self.slices - mask.bit_count()
        return round(self.cost[mask | taken] - self.cost[mask] + FULLER * free, 9)

    def _cost(self, mask: int) -> float:
        free = self.slices - mask.bit_count()
        cost = -SPREAD * free * free / self.slices
        for name, rule in self.rules.items():
            fit = fits(rule, mask)
            cost += self._waste[name] * (free - fit * rule.size)
            cost += FRAGMENTATION * self._lost[name] * (0 if fit else free)
        return cost

    def _best(self, rule: Rule, mask: int) -> Spot | None:
        found = [
            (self.score(mask, span(start, rule.size)), -start)
            for start in rule.starts
            if not mask & span(start, rule.size)
        ]
        if not found:
            return None
        score, start = min(found)
        return Spot(score, -start)


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def fits(rule: Rule, mask: int) -> int:
    """How many instances of one profile still fit; starts are so spaced that greedy is exact."""
    count = 0
    for start in rule.starts:
        taken = span(start, rule.size)
        if not mask & taken:
            count += 1
            mask |= taken
    return count


def mask_of(places: Iterable[tuple[int, int]]) -> int:
    """The mask of instances given as (start, size)."""
    found = 0
    for start, size in places:
        found |= span(start, size)
    return found
