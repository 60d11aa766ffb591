"""What a placement costs: one objective for whole GPUs, fractions and gangs on one host.

Knows shapes of requests, how often each comes, and what is free on a host; not who asks, nor which
GPU or node is which. Of all ways to serve a request the one with the least `score` is taken:

    score = fragmentation + waste + leftover (each: after - before) + contention price

- *Fragmentation* F is FGD's (Weng et al., "Beware of Fragmentation", USENIX ATC'23): the expected
  free GPU on a host that the next request, drawn from the mix, can't use.
- *Waste* W looks further than the next one: what would stay free if the host were filled up with
  requests of one shape, averaged over the mix. It sees that CPUs run out before GPUs do.
- *Leftover* looks at each GPU alone: what would stay free of it if requests of the mix came at
  random and took what they can, until none fits.
- *Price*: GPUs of a model that some requests insist on are dearer for everybody, by how much of
  that model those requests would fill. Without it best fit fills up the rare models first.

All in units of one GPU, so that one setting serves every fleet. A term for best fit on top (what
stays free on the host) was tried and made every workload worse.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple


class Shape(NamedTuple):
    """One request to one host: `share` of each of `gpus` GPUs; 0 GPUs ask for CPUs only.

    `cpu` and `memory` of the host in any unit, 0 where they don't count; no `models`: any will do.
    """

    gpus: int
    share: int
    cpu: int = 0
    memory: int = 0
    models: tuple[str, ...] = ()

    @property
    def demand(self) -> int:
        return self.gpus * self.share


class Host(NamedTuple):
    """What is free on a host: per GPU, ascending. Equal hosts are equally good."""

    model: str
    free: tuple[int, ...]
    cpu: int = 0
    memory: int = 0


class Mix(NamedTuple):
    """What is expected to come: the common shapes with their weights (sum at most 1), and per model
    the share of its GPUs that requests which insist on a model would fill."""

    weights: tuple[tuple[Shape, float], ...]
    price: Mapping[str, float]


class Way(NamedTuple):
    """One way to put a shape on a host: what is free afterwards, and what is `taken`: from a GPU
    with so much room, so many times the share."""

    free: tuple[int, ...]
    taken: tuple[tuple[int, int], ...] = ()


class Option(NamedTuple):
    """The best way, and what it costs."""

    score: float
    way: Way


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each term counts. One setting for all workloads; see `dev.py bench placement`."""

    fragmentation: float = 1.0
    waste: float = 0.1
    leftover: float = 0.25
    price: float = 0.6
    grain: int = 500
    """CPUs are counted in multiples of this, so that scores can be remembered."""


def learn(counts: Mapping[Shape, float], capacity: Mapping[str, int], cover: float = 0.95) -> Mix:
    """The mix of past requests: the commonest shapes that make up `cover` of them.

    `capacity` is what each model has in all, in the unit of `Shape.share`.
    """
    total = sum(counts.values())
    weights: list[tuple[Shape, float]] = []
    kinds: dict[Shape, float] = {}
    for shape, count in counts.items():
        kind = shape._replace(memory=0)
        kinds[kind] = kinds.get(kind, 0) + count
    covered = 0.0
    for shape, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0])):
        weights.append((shape, count / total))
        covered += count
        if covered >= cover * total:
            break
    demand = sum(shape.demand * count for shape, count in kinds.items())
    price = dict.fromkeys(capacity, 0.0)
    for shape, count in kinds.items():
        allowed = [model for model in shape.models if model in capacity]
        room = sum(capacity[model] for model in allowed)
        for model in allowed:
            price[model] += shape.demand * count / demand * sum(capacity.values()) / room
    return Mix(tuple(weights), price)


def ways(free: tuple[int, ...], shape: Shape, full: int) -> Iterator[Way]:
    """How a shape may be put on a host, each different outcome once, from the fullest GPU up.

    A gang of fractions takes the fullest GPUs first, and several of one GPU where they fit.
    """
    if shape.gpus == 0:
        yield Way(free)
    elif shape.gpus == 1:
        for at, room in enumerate(free):
            if room >= shape.share and (at == 0 or free[at - 1] != room):
                after = sorted((*free[:at], room - shape.share, *free[at + 1 :]))
                yield Way(tuple(after), ((room, 1),))
    else:
        left, rest = shape.gpus, []
        taken: list[tuple[int, int]] = []
        for room in free:
            take = min(left, room // shape.share if shape.share < full else int(room == full))
            rest.append(room - take * shape.share)
            left -= take
            if take:
                taken.append((room, take))
        if left == 0:
            yield Way(tuple(sorted(rest)), tuple(taken))


class _Kind:
    """Shapes of a mix that differ only in CPUs, as one model sees them."""

    def __init__(self, gpus: int, share: int, shapes: list[tuple[int, float]], lost: float) -> None:
        self.gpus, self.share = gpus, share
        self.by_cpu = sorted(shapes)
        self.cpus = [cpu for cpu, _ in self.by_cpu]
        self.served = [0.0, *accumulate(weight for _, weight in self.by_cpu)]
        self.lost = lost
        """Weight of those that may not use this model at all."""


_FINEST = 100
"""Shares under a hundredth of a GPU fit nearly always: `leftover` does not follow them."""
_Key = tuple[str, tuple[int, int], tuple[int, int], tuple[int, ...], Shape]


class Objective:
    """The cost of placements under a mix; everything once computed is remembered.

    `full` is a whole GPU in the unit of `Shape.share`. Example: with a mix of whole GPUs and halves
    on one model, a half goes to the GPU that is half taken already.
    """

    def __init__(self, mix: Mix, full: int, weights: Weights | None = None) -> None:
        self.mix, self.full = mix, full
        self.weights = weights or Weights()
        self._cpus = sorted({shape.cpu for shape, _ in mix.weights})
        self._gpu_weight = sum(weight for shape, weight in mix.weights if shape.gpus) or 1.0
        self._no_gpu = sum(weight for shape, weight in mix.weights if not shape.gpus)
        self._kinds: dict[str, list[_Kind]] = {}
        self._fragmentation: dict[tuple[str, int, tuple[int, ...]], float] = {}
        self._leftover: dict[int, float] = {}
        each: dict[int, float] = {}
        for shape, weight in mix.weights:
            if shape.share * _FINEST >= full:
                each[shape.share] = each.get(shape.share, 0.0) + weight * shape.gpus
        self._shares = sorted((share, weight) for share, weight in each.items() if weight)
        self._waste: dict[tuple[str, int, tuple[int, ...]], float] = {}
        self._cpu_keys: dict[int, tuple[int, int]] = {}
        self._options: dict[_Key, Option | None] = {}

    def best(self, host: Host, shape: Shape) -> Option | None:
        """The best way to put the shape on this host; None where it does not fit."""
        model, free, cpu, memory = host
        gpus, share, need, bytes_, models = shape
        if need > cpu or bytes_ > memory:
            return None
        if gpus and (not free or free[-1] < share or (models and model not in models)):
            return None
        key = (model, self._cpu_key(cpu), self._cpu_key(cpu - need), free, shape)
        try:
            return self._options[key]
        except KeyError:
            found = self._options[key] = self._best(host, shape)
            return found

    def _cpu_key(self, cpu: int) -> tuple[int, int]:
        """All that the terms see of the free CPUs."""
        found = self._cpu_keys.get(cpu)
        if found is None:
            found = self._cpu_keys[cpu] = (cpu // self.weights.grain, bisect_right(self._cpus, cpu))
        return found

    def _best(self, host: Host, shape: Shape) -> Option | None:
        weights = self.weights
        price = weights.price * self.mix.price.get(host.model, 0.0) * shape.demand
        before = self._potential(host.model, host.cpu, host.free)
        found = [
            Option(
                round(
                    (self._potential(host.model, host.cpu - shape.cpu, way.free) - before + price)
                    / self.full,
                    9,
                ),
                way,
            )
            for way in ways(host.free, shape, self.full)
        ]
        return min(found, default=None)

    def _potential(self, model: str, cpu: int, free: tuple[int, ...]) -> float:
        weights = self.weights
        return (
            weights.fragmentation * self.fragmentation(model, cpu, free)
            + weights.waste * self.waste(model, cpu, free)
            + weights.leftover * sum(map(self.leftover, free))
        )

    def fragmentation(self, model: str, cpu: int, free: tuple[int, ...]) -> float:
        """FGD's F: expected free share that the next request of the mix can't use."""
        key = (model, bisect_right(self._cpus, cpu), free)
        found = self._fragmentation.get(key)
        if found is None:
            whole = sum(free)
            found = self._no_gpu * whole
            for kind in self._kinds_on(model):
                usable = sum(room for room in free if room >= kind.share)
                enough = sum(room >= kind.share for room in free) >= kind.gpus
                fits = kind.served[bisect_right(kind.cpus, cpu)] if enough else 0.0
                found += fits * (whole - usable) + (kind.served[-1] - fits + kind.lost) * whole
            self._fragmentation[key] = found
        return found

    def waste(self, model: str, cpu: int, free: tuple[int, ...]) -> float:
        """Expected free share that stays when the host is filled up with one shape of the mix."""
        grain = self.weights.grain
        key = (model, cpu // grain, free)
        found = self._waste.get(key)
        if found is None:
            cpu = cpu // grain * grain
            whole, found = sum(free), 0.0
            for kind in self._kinds_on(model):
                if kind.gpus == 1:
                    fits = sum(room // kind.share for room in free)
                else:
                    fits = sum(room >= kind.share for room in free) // kind.gpus
                each = kind.gpus * kind.share
                found += kind.lost * whole
                for need, weight in kind.by_cpu:
                    served = min(fits, cpu // need) if need else fits
                    found += weight * (whole - served * each)
            found = self._waste[key] = found / self._gpu_weight
        return found

    def leftover(self, room: int) -> float:
        """What stays free of one GPU when the mix fills it up at random."""
        found = self._leftover.get(room)
        if found is None:
            fitting = [(share, weight) for share, weight in self._shares if share <= room]
            total = sum(weight for _, weight in fitting)
            found = self._leftover[room] = (
                sum(weight * self.leftover(room - share) for share, weight in fitting) / total
                if fitting
                else float(room)
            )
        return found

    def _kinds_on(self, model: str) -> list[_Kind]:
        found = self._kinds.get(model)
        if found is None:
            groups: dict[tuple[int, int], list[tuple[int, float]]] = {}
            lost: dict[tuple[int, int], float] = {}
            for shape, weight in self.mix.weights:
                if not shape.gpus:
                    continue
                kind = (shape.gpus, shape.share)
                served = groups.setdefault(kind, [])
                if shape.models and model not in shape.models:
                    lost[kind] = lost.get(kind, 0.0) + weight
                else:
                    served.append((shape.cpu, weight))
            found = self._kinds[model] = [
                _Kind(*kind, shapes, lost.get(kind, 0.0)) for kind, shapes in groups.items()
            ]
        return found
