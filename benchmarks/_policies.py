"""Placement policies to compare: ours, and two published ones rebuilt on the same index."""

from __future__ import annotations

import math
from collections.abc import Callable

from benchmarks._trace import FULL, Trace
from gpu_workbench_server.domain.packing import Host, Objective, Option, Shape, learn, ways
from gpu_workbench_server.domain.packing_index import Index

Policy = Callable[[Host, Shape], Option | None]


def fits(host: Host, shape: Shape) -> bool:
    """CPU, memory and model; whether the GPUs have room, `ways` says."""
    return (
        shape.cpu <= host.cpu
        and shape.memory <= host.memory
        and not (shape.gpus and shape.models and host.model not in shape.models)
    )


def fgd(trace: Trace) -> Policy:
    """FGD as published: `int(100 / (1 + exp(dF / 1000)))`, the first host of equal ones."""
    objective = objective_for(trace)

    def option(host: Host, shape: Shape) -> Option | None:
        if not fits(host, shape):
            return None
        before = objective.fragmentation(host.model, host.cpu, host.free)
        best: Option | None = None
        for way in ways(host.free, shape, FULL):
            growth = objective.fragmentation(host.model, host.cpu - shape.cpu, way.free) - before
            score = -int(100 / (1 + math.exp(growth / 1000)))
            if best is None or score < best.score:
                best = Option(score, way)
        return best

    return option


def best_fit(trace: Trace) -> Policy:
    """The host with the least CPU and GPU left, each over the largest host's; its tightest GPU."""
    cpu = max(host.cpu for host in trace.hosts)
    gpu = max(sum(host.free) for host in trace.hosts)

    def option(host: Host, shape: Shape) -> Option | None:
        if not fits(host, shape):
            return None
        left = (host.cpu - shape.cpu) / cpu
        tightest = next(ways(host.free, shape, FULL), None)
        return Option(left + sum(tightest.free) / gpu, tightest) if tightest else None

    return option


def ours(trace: Trace) -> Policy:
    return objective_for(trace).best


def objective_for(trace: Trace) -> Objective:
    counts: dict[Shape, float] = {}
    for task in trace.tasks:
        counts[task] = counts.get(task, 0) + 1
    return Objective(learn(counts, trace.capacity), FULL)


POLICIES: dict[str, Callable[[Trace], Policy]] = {"ours": ours, "fgd": fgd, "bestfit": best_fit}


def replay(trace: Trace, policy: Policy, seed: int, marks: tuple[float, ...]) -> list[float]:
    """Allocated per cent of all GPUs when `marks` of them had been asked for. No departures."""

    def score(host: Host, shape: Shape) -> float | None:
        found = policy(host, shape)
        return None if found is None else found.score

    index: Index[Host, Shape] = Index(trace.hosts, score)
    asked = allocated = 0
    reached: list[float] = []
    for shape in trace.arrivals(seed, max(marks)):
        asked += shape.demand
        at = index.best(shape)
        if at is not None:
            host = index.states[at]
            option = policy(host, shape)
            assert option is not None
            index.set(
                at,
                Host(host.model, option.way.free, host.cpu - shape.cpu, host.memory - shape.memory),
            )
            allocated += shape.demand
        while len(reached) < len(marks) and asked >= marks[len(reached)] * trace.total:
            reached.append(100 * allocated / trace.total)
    return reached
