"""Placement of MIG instances: first fit, best fit and ours, with exact bounds.

    python3 dev.py bench mig [--mixes uniform,notebook] [--seeds 42-51] [--json FILE]

100 GPUs of 80 GB that start empty and are cut as requests come; nothing moves once it stands.
*Saturation*: requests until they have asked for all memory slices, none leaves. *Churn*: 4000
arrivals, stays exponential with mean 1, offered load 1.0: arrival rate x mean size in memory slices
= the memory slices of all GPUs. Arrivals are evenly spaced, or, as a second table, Poisson, which
drops more whatever the policy. No warm-up is left out. A request that fits nowhere is dropped;
figures are accepted requests in per cent, each counting one, mean ± sd over the seeds.
"""

from __future__ import annotations

import argparse
import heapq
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from benchmarks._mig_rules import (
    MIXES,
    NAMES,
    RULES,
    Arrival,
    best_layouts,
    churn,
    saturation,
)
from benchmarks._seeds import seeds_of
from gpu_workbench_server.domain.mig import COMPUTE_SLICES, MEMORY_SLICES
from gpu_workbench_server.domain.mig_masks import Masks, fits, span

GPUS = 100
LOADS: dict[str, Callable[[str, int, int], list[Arrival]]] = {
    "saturation": saturation,
    "churn": churn,
    "churn, Poisson": partial(churn, poisson=True),
}
NOTE = """\
Bounds: at saturation the most of each seed's requests that any layout of the GPUs holds, an integer
program over the 38 maximal multisets. In churn `repacked`: what greedy admission takes if all
instances could be moved at every arrival; not a strict bound, since who turns large ones away
accepts more small ones."""
# Set beforehand, after a run of FGD on masks with other random numbers.
GOALS = {("notebook", "saturation"): 97.3, ("uniform", "churn"): 96.5, ("notebook", "churn"): 98.0}

Choice = Callable[[list[int], str], tuple[int, int] | None]


def first_fit(masks: list[int], profile: str) -> tuple[int, int] | None:
    """The first GPU, its first start."""
    for gpu, mask in enumerate(masks):
        for start in RULES[profile].starts:
            if not mask & span(start, RULES[profile].size):
                return gpu, start
    return None


def best_fit(masks: list[int], profile: str) -> tuple[int, int] | None:
    """The GPU with the fewest free slices, its first start."""
    rule = RULES[profile]
    able = [(-mask.bit_count(), gpu) for gpu, mask in enumerate(masks) if fits(rule, mask)]
    if not able:
        return None
    _, gpu = min(able)
    return gpu, next(s for s in rule.starts if not masks[gpu] & span(s, rule.size))


def ours(mix: str) -> Choice:
    """The tables of the product for this mix."""
    tables = Masks(RULES, dict(zip(NAMES, MIXES[mix], strict=True)))

    def choose(masks: list[int], profile: str) -> tuple[int, int] | None:
        spots = ((tables.spot(profile, mask), gpu) for gpu, mask in enumerate(masks))
        found = min(
            ((spot.score, gpu, spot.start) for spot, gpu in spots if spot is not None), default=None
        )
        return None if found is None else found[1:]

    return choose


POLICIES: dict[str, Callable[[str], Choice]] = {
    "first fit": lambda _: first_fit,
    "best fit": lambda _: best_fit,
    "ours": ours,
}


def accepted(arrivals: list[Arrival], choose: Choice, *, repack: bool = False) -> float:
    """Accepted per cent. With `repack` what does not fit is tried again with everything moved."""
    masks = [0] * GPUS
    live: dict[int, tuple[str, int, int]] = {}  # arrival -> (profile, gpu, start)
    ends: list[tuple[float, int]] = []
    count = 0
    for number, (at, profile, stay) in enumerate(arrivals):
        while ends and ends[0][0] <= at:
            name, gpu, start = live.pop(heapq.heappop(ends)[1])
            masks[gpu] &= ~span(start, RULES[name].size)
        spot = choose(masks, profile)
        if spot is None and repack and _moved(live, profile, masks):
            spot = choose(masks, profile)
        if spot is not None:
            gpu, start = spot
            masks[gpu] |= span(start, RULES[profile].size)
            live[number] = (profile, gpu, start)
            heapq.heappush(ends, (at + stay, number))
            count += 1
    return 100 * count / len(arrivals)


def _moved(live: dict[int, tuple[str, int, int]], profile: str, masks: list[int]) -> bool:
    """Move everything so that the profile fits too, where an integer program finds a way."""
    wanted = Counter(name for name, _, _ in live.values())
    wanted[profile] += 1
    if sum(RULES[name].size * n for name, n in wanted.items()) > MEMORY_SLICES * GPUS:
        return False
    if sum(RULES[name].compute * n for name, n in wanted.items()) > COMPUTE_SLICES * GPUS:
        return False
    most, layouts = best_layouts(wanted, GPUS)
    if most < wanted.total():
        return False
    seats: dict[str, list[tuple[int, int]]] = {}
    for gpu, layout in enumerate(layouts):
        for name, start in layout:
            seats.setdefault(name, []).append((gpu, start))
    masks[:] = [0] * GPUS
    for number, (name, _, _) in live.items():
        gpu, start = seats[name].pop()
        live[number] = (name, gpu, start)
        masks[gpu] |= span(start, RULES[name].size)
    return True


def one_run(job: tuple[str, str, int]) -> dict[str, float]:
    mix, load, seed = job
    arrivals = LOADS[load](mix, seed, GPUS)
    found = {name: accepted(arrivals, policy(mix)) for name, policy in POLICIES.items()}
    if load == "saturation":
        most, _ = best_layouts(Counter(one.profile for one in arrivals), GPUS)
        found["bound (ILP)"] = 100 * most / len(arrivals)
    elif load == "churn":
        found["repacked (ILP)"] = accepted(arrivals, ours(mix), repack=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py bench mig", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--mixes", default=",".join(MIXES))
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("42-51"))
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    mixes = asked.mixes.split(",")
    for mix in mixes:
        if mix not in MIXES:
            parser.error(f"{mix} is none of {', '.join(MIXES)}")
    jobs = [(mix, load, seed) for mix in mixes for load in LOADS for seed in asked.seeds]
    started = time.monotonic()
    with get_context("spawn").Pool(2) as pool:
        results = dict(zip(jobs, pool.imap(one_run, jobs), strict=True))
    print(str(__doc__).split("\n\n")[2])
    print(NOTE)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for mix in mixes:
        for load in LOADS:
            runs = [results[mix, load, seed] for seed in asked.seeds]
            columns = table.setdefault(f"{mix}, {load}", {})
            goal = GOALS.get((mix, load))
            print(f"\n{mix}, {load}" + (f" (goal for ours: {goal})" if goal else ""))
            for name in runs[0]:
                values = [run[name] for run in runs]
                mean, sd = statistics.fmean(values), statistics.pstdev(values)
                columns[name] = {"mean": mean, "sd": sd}
                print(f"  {name:<16}{mean:7.2f} ± {sd:.2f}")
    print(f"\n{len(jobs)} runs of each in {time.monotonic() - started:.0f} s.")
    if asked.json:
        asked.json.write_text(json.dumps({"seeds": asked.seeds, "table": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
