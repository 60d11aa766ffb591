"""SRTF and SRSF as the Muri artifact (SIGCOMM'22) measures them: the rows we stand beside.

Written from a reading of that simulator, which is Apache-2.0; rules and constants are its, the
code is not. What it does, and what decides the figures:

- A job's work is `iterations × iteration time × 1.015` seconds.
- At each arrival and each end, all runnable jobs are sorted by what is left (SRTF: seconds; SRSF:
  seconds × GPUs), stably; the cluster is emptied and filled again, greedily, past those that
  don't fit: up to 8 GPUs on the first node with room, more on whole free nodes.
- Every job that was running pays its model's restart overhead at *every* event, moved or not, by
  losing that much of the time since the event before. The last stretch before a job's own end is
  free of it, and two ends (or arrivals) within one part in 10⁹ count as one event.

The 1.015 is the sharing overhead of iterations; it does not stand for the restarts.
Knows nothing of our own broker: `benchmarks/queue.py` puts both into one table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpu_workbench_server.simulate.jobs import Job

NODES, GPUS_PER_NODE = 8, 8
_SIZES = (1, 2, 4, 8, 16, 32)
RESTART: dict[str, tuple[int, ...]] = {
    "vgg16": (7, 7, 8, 9, 9, 10),
    "vgg19": (7, 7, 8, 9, 10, 10),
    "resnet18": (4, 5, 5, 7, 7, 7),
    "shufflenet_v2_x1_0": (4, 4, 5, 5, 7, 8),
    "bert": (10, 10, 10, 10, 10, 10),
    "gpt2": (10, 10, 10, 10, 10, 10),
    "a2c": (38, 39, 39, 46, 46, 46),
    "dqn": (5, 5, 6, 6, 8, 8),
}
"""Seconds that a start takes, by model and number of GPUs (1, 2, 4, 8, 16, 32)."""


@dataclass(slots=True)
class Runner:
    """One job in the cluster. `left` in seconds; `since` is the time of the event before."""

    job: Job
    left: float
    restart: float
    since: float
    running: bool = False


def restart_seconds(job: Job) -> float:
    """What the original charges for a start; 10 s for a model that it does not list."""
    known = RESTART.get(job.kind)
    return float(known[_SIZES.index(job.gpus)]) if known and job.gpus in _SIZES else 10.0


def srtf(runner: Runner) -> float:
    return runner.left


def srsf(runner: Runner) -> float:
    return runner.left * runner.job.gpus


def completion_times(
    jobs: Sequence[Job], rank: Callable[[Runner], float], overhead: bool = True
) -> dict[int, float]:
    """Seconds from submission to end of each job (by its id) under a preemptive order."""
    coming = sorted(jobs, key=lambda job: job.submitted)
    runnable: list[Runner] = []
    done: dict[int, float] = {}
    arrived = 0
    ends: list[tuple[float, list[Runner]]] = []
    while arrived < len(coming) or runnable:
        start_at = coming[arrived].submitted if arrived < len(coming) else math.inf
        end_at = ends[0][0] if ends else math.inf
        now = min(start_at, end_at)
        if end_at <= start_at:
            for runner in ends[0][1]:
                done[runner.job.id] = now - runner.job.submitted
                runnable.remove(runner)
        if start_at <= end_at:
            first = start_at
            while arrived < len(coming) and math.isclose(
                coming[arrived].submitted, first, rel_tol=1e-9
            ):
                job = coming[arrived]
                cost = restart_seconds(job) if overhead else 0.0
                runnable.append(Runner(job, job.seconds, cost, job.submitted))
                arrived += 1
        for runner in runnable:
            if runner.running:
                runner.left -= max(now - runner.since - runner.restart, 0.0)
            runner.since = now
        runnable.sort(key=rank)
        _fill(runnable)
        ends = _ends(runnable, now)
    return done


def place_on(free: list[int], need: int) -> list[tuple[int, int]] | None:
    """Take GPUs out of `free` per node, as the original places: (node, GPUs), or None."""
    if need <= GPUS_PER_NODE:
        node = next((n for n, room in enumerate(free) if room >= need), None)
        where = None if node is None else [(node, need)]
    else:
        whole, rest = divmod(need, GPUS_PER_NODE)
        idle = [n for n, room in enumerate(free) if room == GPUS_PER_NODE][:whole]
        where = [(n, GPUS_PER_NODE) for n in idle] if len(idle) == whole else None
        if where is not None and rest:
            last = next((n for n, r in enumerate(free) if n not in idle and r >= rest), None)
            where = None if last is None else [*where, (last, rest)]
    for node, gpus in where or ():
        free[node] -= gpus
    return where


def _fill(runnable: Sequence[Runner]) -> None:
    """Empty the cluster and place in order; whoever does not fit is passed over."""
    free = [GPUS_PER_NODE] * NODES
    roomiest, left = GPUS_PER_NODE, NODES * GPUS_PER_NODE
    for runner in runnable:
        need = runner.job.gpus
        runner.running = (
            need <= left
            and min(need, GPUS_PER_NODE) <= roomiest
            and place_on(free, need) is not None
        )
        if runner.running:
            roomiest, left = max(free), left - need


def _ends(runnable: Sequence[Runner], now: float) -> list[tuple[float, list[Runner]]]:
    """When the running jobs would end if nothing happened, those at the same time together."""
    found: list[tuple[float, list[Runner]]] = []
    for runner in runnable:
        if not runner.running:
            continue
        at = now + runner.left
        for time, group in found:
            if math.isclose(time, at, rel_tol=1e-9):
                group.append(runner)
                break
        else:
            found.append((at, [runner]))
    found.sort(key=lambda one: one[0])
    return found
