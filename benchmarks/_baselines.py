"""What bounds the queue from below and what comes without preemption: two more rows to stand by.

Same jobs, same cluster as `_preemptive`. Knows nothing of our own broker.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from benchmarks._preemptive import GPUS_PER_NODE, NODES, place_on
from gpu_workbench_server.simulate.jobs import Job


def pooled_bound(jobs: Sequence[Job]) -> dict[int, float]:
    """SRPT with all GPUs as one machine that every job can use whole: no schedule can be better.

    (Schrage, 1968: shortest remaining processing time is optimal on one machine.)
    """
    total = NODES * GPUS_PER_NODE
    coming = sorted(jobs, key=lambda job: job.submitted)
    left: list[tuple[float, int]] = []
    done: dict[int, float] = {}
    arrived, now = 0, 0.0
    while arrived < len(coming) or left:
        if not left:
            now = max(now, coming[arrived].submitted)
        while arrived < len(coming) and coming[arrived].submitted <= now:
            heapq.heappush(left, (coming[arrived].gpu_seconds / total, arrived))
            arrived += 1
        after = coming[arrived].submitted if arrived < len(coming) else math.inf
        least, index = left[0]
        if now + least <= after:
            heapq.heappop(left)
            now += least
            done[coming[index].id] = now - coming[index].submitted
        else:
            heapq.heapreplace(left, (least - (after - now), index))
            now = after
    return done


def shortest_first(jobs: Sequence[Job]) -> dict[int, float]:
    """Shortest job first, never interrupted, past those that don't fit; exact durations."""
    coming = sorted(jobs, key=lambda job: job.submitted)
    free = [GPUS_PER_NODE] * NODES
    ends: list[tuple[float, int, list[tuple[int, int]]]] = []
    waiting: list[tuple[float, int]] = []
    done: dict[int, float] = {}
    arrived = 0
    while arrived < len(coming) or ends:
        start_at = coming[arrived].submitted if arrived < len(coming) else math.inf
        now = min(start_at, ends[0][0] if ends else math.inf)
        while ends and ends[0][0] <= now:
            for node, gpus in heapq.heappop(ends)[2]:
                free[node] += gpus
        while arrived < len(coming) and coming[arrived].submitted <= now:
            waiting.append((coming[arrived].seconds, arrived))
            arrived += 1
        waiting.sort()
        still = []
        for seconds, index in waiting:
            job = coming[index]
            where = place_on(free, job.gpus)
            if where is None:
                still.append((seconds, index))
                continue
            heapq.heappush(ends, (now + seconds, index, where))
            done[job.id] = now + seconds - job.submitted
        waiting = still
    return done
