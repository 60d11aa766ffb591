"""Queueing of training jobs, against the schedulers that Muri (SIGCOMM'22) measured.

    python3 dev.py bench queue [--traces DIR] [--names trace1,trace1_pr,trace2,trace2_pr]
                               [--seeds 42-51 | --exact] [--estimates]
                               [--users 1] [--json FILE]

Philly jobs on 8 nodes × 8 GPUs; mean job completion time in seconds. `_pr`: all submitted at once.
SRTF and SRSF are simulated here too, restarts and all, and have to hit the published rows. Ours is
the broker itself (`decide`) in virtual time: it interrupts nobody, knows what people declare, and
one setting serves all traces. With errors: each declares ×0.5 to ×3 of the truth, log-uniform; who
runs out of time extends, or asks again for the rest where somebody else is promised the GPUs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks._baselines import pooled_bound, shortest_first
from benchmarks._preemptive import completion_times, srsf, srtf
from benchmarks._seeds import seeds_of
from gpu_workbench_server.domain.fleet import Pool
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.simulate.jobs import Job, Trace, declared_wrong
from gpu_workbench_server.simulate.record import estimate_errors, figures
from gpu_workbench_server.simulate.run import Simulation
from gpu_workbench_server.simulate.traces import read_muri

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("trace1", "trace1_pr", "trace2", "trace2_pr")
PUBLISHED: dict[str, tuple[int, int, int, int]] = {
    "SRTF": (1_370_603, 2_303_544, 2_665_607, 4_079_154),
    "SRSF": (980_141, 1_801_860, 2_213_950, 3_384_600),
    "Tiresias-L": (3_330_371, 6_921_683, 7_396_369, 10_555_502),
    "Themis": (1_823_179, 3_314_303, 4_628_172, 12_529_491),
}
HERE: dict[str, Callable[[Iterable[Job]], Mapping[int, float]]] = {
    "SRTF": lambda jobs: completion_times(tuple(jobs), srtf),
    "SRSF": lambda jobs: completion_times(tuple(jobs), srsf),
    "SJF, never interrupted, no restarts": lambda jobs: shortest_first(tuple(jobs)),
    "lower bound (SRPT, 64 pooled GPUs)": lambda jobs: pooled_bound(tuple(jobs)),
}
WITHIN = 0.001
ERRORS = (0.5, 3.0)
ORIGIN = """\
There is no {}.
Get the traces from github.com/Rivendile/Muri (Apache-2.0), simulator/trace-data/, put them into
DIR/muri, and name DIR with --traces or in GPU_WORKBENCH_TRACES."""
# Small work first; a GPU-second asked for weighs as ten of waiting, so that everybody's turn comes.
# One user: fair share has nothing to say.
RULES = Rules(size_weight=10.0, size_cap=math.inf, backfill="easy")
SETTING = "backfill easy, size_weight 10 without cap (small work first, and it ages), no preemption"
POLICY = Policy(pools=(Pool(max_seconds=400 * 86400),), rules=RULES)


def wrongly(trace: Trace, seed: int) -> Trace:
    """Everybody errs: a factor of its own for each job, log-uniform."""
    rng = random.Random(seed)
    low, high = map(math.log, ERRORS)
    factors = [math.exp(rng.uniform(low, high)) for _ in trace.jobs]
    return replace(trace, jobs=declared_wrong(trace.jobs, factors))


def one_run(job: tuple[Path, int | None, bool, int]) -> dict[str, Any]:
    path, seed, estimates, users = job
    trace = read_muri(path)
    if users > 1:
        spread_out = (replace(one, user=f"user-{one.id % users}") for one in trace.jobs)
        trace = replace(trace, jobs=tuple(spread_out))
    started = time.monotonic()
    outcome = Simulation(
        trace if seed is None else wrongly(trace, seed), POLICY, estimates=estimates
    ).run()
    found: dict[str, Any] = asdict(figures(outcome))
    found["took"] = time.monotonic() - started
    found["decisions"] = outcome.decisions
    if estimates:
        found["estimates"] = asdict(estimate_errors(outcome.stories))
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py bench queue", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    traces = Path(os.environ.get("GPU_WORKBENCH_TRACES") or ROOT.parent / "shared/traces")
    parser.add_argument("--traces", type=Path, default=traces, metavar="DIR")
    parser.add_argument("--names", default=",".join(NAMES))
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("42-51"))
    parser.add_argument(
        "--estimates", action="store_true", help="how right the expected starts are, instead"
    )
    parser.add_argument(
        "--users",
        type=int,
        default=1,
        help="whose the jobs are, in turn: with more than one, fair share counts, and nobody "
        "extends on what somebody else is promised",
    )
    parser.add_argument("--exact", action="store_true", help="without wrong durations: quicker")
    parser.add_argument("--json", type=Path, metavar="FILE")
    found = parser.parse_args()
    found.seeds = [] if found.exact else found.seeds
    found.names = found.names.split(",")
    for one in found.names:
        if one not in NAMES:
            parser.error(f"{one} is none of {', '.join(NAMES)}")
        if not (found.traces / "muri" / f"{one}.csv").exists():
            sys.exit(ORIGIN.format(found.traces / "muri" / f"{one}.csv"))
    return found


def main() -> int:
    asked = arguments()
    paths = {name: asked.traces / "muri" / f"{name}.csv" for name in asked.names}
    seeds: list[int | None] = [None, *asked.seeds]
    jobs = [
        (paths[name], seed, asked.estimates, asked.users) for name in asked.names for seed in seeds
    ]
    started = time.monotonic()
    with get_context("spawn").Pool(2) as pool:
        results = dict(zip(jobs, pool.imap(one_run, jobs), strict=True))
    ours = {
        name: [results[paths[name], seed, asked.estimates, asked.users] for seed in seeds]
        for name in asked.names
    }
    found: dict[str, Any] = {"rules": str(RULES), "seeds": asked.seeds, "ours": ours}
    good = True
    if asked.estimates:
        show_estimates(ours)
    else:
        here = {
            row: {
                name: statistics.fmean(run(read_muri(paths[name]).jobs).values()) for name in paths
            }
            for row, run in HERE.items()
        }
        found |= {"published": PUBLISHED, "here": here}
        good = show(here, ours, asked.names)
    print(f"\n{len(jobs)} runs of ours in {time.monotonic() - started:.0f} s, two at a time.")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if good else 1


def show(
    here: Mapping[str, Mapping[str, float]],
    ours: Mapping[str, list[dict[str, Any]]],
    names: list[str],
) -> bool:
    """Print the table; whether every published row that is simulated here was hit."""
    good = True
    print("Mean job completion time, s. Data: Philly jobs of the Muri artifact, 8 × 8 GPUs.")
    print(f"Ours, one setting for all: {SETTING}.")
    print(f"\n{'':46}" + "".join(f"{name:>22}" for name in names))
    for row, values in PUBLISHED.items():
        line(f"{row} (published)", [f"{values[NAMES.index(name)]:,}" for name in names])
        if row in here:
            cells = []
            for name in names:
                off = here[row][name] / values[NAMES.index(name)] - 1
                good = good and abs(off) <= WITHIN
                cells.append(f"{here[row][name]:,.0f} ({off:+.4%})")
            line(f"{row} (here)", cells)
    for row in [row for row in here if row not in PUBLISHED]:
        line(f"{row} (here)", [f"{here[row][name]:,.0f}" for name in names])
    line("ours, exact durations", [f"{ours[name][0]['mean_completion']:,.0f}" for name in names])
    wrong = any(len(ours[name]) > 1 for name in names)
    if wrong:
        line("ours, ×0.5 to ×3", [spread(ours[name][1:], "mean_completion") for name in names])
    print(
        "\nOf ours: it interrupts nobody, nothing is restarted; jobs of more than 8 GPUs may take"
    )
    print(
        "any free GPUs, the others wait for whole nodes (SRTF and SRSF, which fill an empty cluster"
    )
    print("at each event, would gain nothing by it). Nobody waits for ever:")
    for key, title, unit in (
        ("longest_wait", "longest wait, s", ",.0f"),
        ("median_wait", "median wait, s", ",.0f"),
        ("makespan", "all done after, s", ",.0f"),
        ("allocated_busy", "GPUs held while somebody waits, %", ".1f"),
        ("extensions", "extensions", ",.0f"),
        ("interruptions", "asked again for the rest", ",.0f"),
        ("unfinished", "never served", ",.0f"),
    ):
        line(f"{title}, exact", [format(ours[name][0][key], unit) for name in names])
        if wrong:
            line(f"{title}, ×0.5 to ×3", [spread(ours[name][1:], key, unit) for name in names])
    print("\nSRTF and SRSF hit the published rows." if good else "\nSRTF or SRSF missed a row.")
    return good


def show_estimates(ours: Mapping[str, list[dict[str, Any]]]) -> None:
    print("Expected start as told at submission, to those who had to wait; error in seconds.")
    print(f"{'':24}{'told':>8}{'median':>12}{'90 %':>12}{'of wait':>10}{'held 90 %':>11}")
    for name, runs in ours.items():
        for title, some in (("exact", runs[:1]), ("×0.5 to ×3", runs[1:])):
            told = [one["estimates"] for one in some]
            if not told:
                continue
            means = {key: statistics.fmean(one[key] for one in told) for key in told[0]}
            print(
                f"{name + ', ' + title:24}{means['told']:8.0f}{means['median']:12,.0f}"
                f"{means['p90']:12,.0f}{means['median_of_wait']:10.1%}{means['kept']:11.1%}"
            )


def line(title: str, cells: Iterable[str]) -> None:
    print(f"{title:46}" + "".join(f"{cell:>22}" for cell in cells))


def spread(runs: list[dict[str, Any]], key: str, unit: str = ",.0f") -> str:
    values = [run[key] for run in runs]
    if not values:
        return "-"
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):{unit}} ± {sd:{unit}}"


if __name__ == "__main__":
    sys.exit(main())
