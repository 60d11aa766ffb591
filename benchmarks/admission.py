"""Throughput of admission: Kueue's own load test, and the latency of one decision on a full fleet.

    dev.py bench admission [--json FILE] [--only load|latency] [--events N]

The load test runs through the very same `decide` in virtual time: each event takes the time that it
takes, and nothing waits for a clock. It is in-process, without an API server; the durable path
(SQLite, one transaction for each event) stands beside the pure one.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from pathlib import Path
from statistics import mean, quantiles
from time import perf_counter, thread_time

from gpu_workbench_server.domain.asks import Wanted
from gpu_workbench_server.domain.decide import admit, decide
from gpu_workbench_server.domain.decisions import Change, Cleared, Ended, Event, Submitted
from gpu_workbench_server.domain.fleet import Gpu, Limits, Pool
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.domain.state import State
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.ports import AuditEntry
from gpu_workbench_server.store.sql import SqlStore

GB = 80.0
KUEUE = {"wall": 351.0, "use": 0.559, "large": 16.5, "medium": 76.8, "small": 215.5}
COHORTS, QUEUES, QUOTA, BORROWING = 5, 6, 20, 100
CLASSES = (("large", 50, 20, 1.0, 1.2), ("medium", 100, 5, 0.5, 0.5), ("small", 350, 1, 0.2, 0.1))
"""Name, number for each queue, GPUs, seconds it runs, seconds between two of them."""


def fleet(count: int, pool: str = "default", per_node: int = 8) -> list[Gpu]:
    return [
        Gpu(
            uuid=f"{pool}-{i:05d}",
            index=i % per_node,
            node=f"{pool}-n{i // per_node:04d}",
            model="H100 80GB",
            memory_bytes=80 << 30,
            memory_gb=GB,
            pool=pool,
            simulated=True,
        )
        for i in range(count)
    ]


@dataclass
class Desk:
    """The pure core as the broker drives it: decide, write down, take in."""

    state: State
    write: Callable[[tuple[Change, ...], float], None] = lambda changes, now: None
    took: dict[str, list[float]] = field(default_factory=dict)

    def run(self, event: Event, now: float) -> tuple[Change, ...]:
        began = thread_time()  # of this thread only: neighbours on the machine do not count
        changes = decide(self.state, event, now)
        self.took.setdefault(type(event).__name__, []).append(thread_time() - began)
        self.write(changes, now)
        for change in changes:
            self.state.put(change)
        return changes


def load_test(name: str, write: Callable[[tuple[Change, ...], float], None]) -> dict[str, float]:
    """Kueue's test: each cohort shares its queues' quota, and a queue may borrow all of it."""
    pools = tuple(Pool(name=f"cohort-{c}", fractions=()) for c in range(COHORTS))
    gpus = [gpu for pool in pools for gpu in fleet(QUEUES * QUOTA, pool.name, 20)]
    rules = Rules(deserved=Limits(default_group=QUOTA * PARTS), half_life=60.0, min_run=3600.0)
    limits = Limits(default_group=(QUOTA + BORROWING) * PARTS)
    desk = Desk(State(pools, limits, gpus, rules), write)
    arrivals: list[tuple[float, int, str, str, int, float]] = []
    for c in range(COHORTS):
        for q in range(QUEUES):
            for _, number, units, runs, every in CLASSES:
                for n in range(number):
                    arrivals.append(
                        (n * every, len(arrivals), f"cohort-{c}", f"q{c}-{q}", units, runs)
                    )
    heapify(arrivals)
    kind_of = {units: kind for kind, _, units, _, _ in CLASSES}
    waits: dict[str, list[float]] = {kind: [] for kind in kind_of.values()}
    ends: list[tuple[float, int]] = []
    came: dict[int, tuple[float, float, str]] = {}
    next_id, now, busy = 1, 0.0, 0.0
    ended, told = 0, perf_counter()
    began, working = perf_counter(), thread_time()

    def take(changes: tuple[Change, ...]) -> None:
        nonlocal busy
        for change in changes:
            if change.kind == "granted" and change.lease:
                asked, runs, kind = came[change.lease.id]
                waits[kind].append(now - asked)
                busy += runs * change.lease.parts / PARTS
                heappush(ends, (now + runs, change.lease.id))

    while arrivals or ends:
        if ends and (not arrivals or ends[0][0] <= arrivals[0][0]):
            now, lease_id = heappop(ends)
            ended += 1
            if perf_counter() > told + 10:
                told = perf_counter()
                so_far = f"{ended} of {len(came) + len(arrivals)} served, {told - began:.0f} s"
                print(f"{name}: {so_far}", file=sys.stderr, flush=True)
            take(desk.run(Ended(lease_id, "released"), now))
            take(desk.run(Cleared(lease_id), now))
            continue
        now, _, pool, queue, units, runs = heappop(arrivals)
        wanted = Wanted("load", queue, "gpu", units, max(1, round(runs)), pool)
        request = admit(desk.state, wanted, next_id, now)
        came[next_id] = (now, runs, kind_of[units])
        next_id += 1
        take(desk.run(Submitted(request), now))
    wall = perf_counter() - began
    total = COHORTS * QUEUES * QUOTA
    times = [one for took in desk.took.values() for one in took]
    return {
        "requests": next_id - 1,
        "wall": wall,
        "cpu": thread_time() - working,
        "virtual": now,
        "use": busy / (now * total),
        "decisions_per_second": len(times) / wall,
        **{kind: mean(found) for kind, found in waits.items()},
    }


def durable() -> tuple[dict[str, float], int]:
    """The same, each event's changes in a transaction of a SQLite store on this disk."""
    written, writing = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore.open(folder)

        def write(changes: tuple[Change, ...], now: float) -> None:
            nonlocal written, writing
            began = perf_counter()
            store.commit(changes, [AuditEntry(now, "bench", c.kind, "", c.why) for c in changes])
            writing += perf_counter() - began
            written += 1

        found = load_test("SQLite", write)
        store.close()
    return found | {"writing": writing}, written


ASKS = (("gpu", 1), ("gpu", 2), ("gpu", 8), ("gpu", 64), ("0.25", 1), ("0.5", 1), ("0.5", 2))


def latency(gpus: int, queued: int, events: int, gang: bool) -> dict[str, list[float]]:
    """Decisions on a full fleet with a long queue. With `gang`, half the free GPUs are kept for a
    large gang all the time, so that each decision looks for what may be backfilled."""
    chance = random.Random(42)
    rules = Rules(deserved=Limits(default_group=(gpus // 20) * PARTS))
    desk = Desk(State((Pool(max_seconds=10**7),), None, fleet(gpus), rules))
    number, now = 1, 0.0

    def ask(what: str, count: int, seconds: int, priority: int = 0) -> None:
        nonlocal number
        user = chance.randrange(200)
        wanted = Wanted(
            f"u{user}", f"g{user % 20}", what, count, seconds, priority=priority
        )  # fmt: skip
        request = admit(desk.state, wanted, number, now)
        number += 1
        desk.run(Submitted(request), now)

    while desk.state.slots(("default", "whole", GB)).free:
        ask(
            "gpu",
            min(8, desk.state.slots(("default", "whole", GB)).free),
            chance.randrange(10**5, 10**6),
        )
    if gang:
        ask("gpu", 512, 10**6, priority=9)
    while len(desk.state.queue) < queued:
        what, count = chance.choice(ASKS)
        ask(
            what,
            count,
            chance.randrange(2 * 10**6, 5 * 10**6) if gang else chance.randrange(600, 10**5),
        )
    held = [one.id for one in desk.state.leases.values()]
    chance.shuffle(held)
    if gang:
        for _ in range(40):
            lease_id = held.pop()
            desk.run(Ended(lease_id, "released"), now)
            desk.run(Cleared(lease_id), now)
    desk.took.clear()
    gc.collect()
    gc.freeze()
    for _ in range(events):
        now += 1.0
        what, count = chance.choice(ASKS)
        ask(
            what,
            count,
            chance.randrange(2 * 10**6, 5 * 10**6) if gang else chance.randrange(600, 10**5),
        )
        lease_id = held.pop(chance.randrange(len(held)))
        desk.run(Ended(lease_id, "released"), now)
        for change in desk.run(Cleared(lease_id), now):
            if change.lease and change.kind == "granted":
                held.append(change.lease.id)
    return desk.took


def figures(times: list[float]) -> dict[str, float]:
    cut = quantiles(times, n=100)
    return {
        "n": len(times),
        "p50_ms": cut[49] * 1e3,
        "p99_ms": cut[98] * 1e3,
        "max_ms": max(times) * 1e3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=("load", "latency"))
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--gpus", type=int, default=10_000)
    parser.add_argument("--queued", type=int, default=10_000)
    options = parser.parse_args()
    found: dict[str, object] = {}
    if options.only != "latency":
        pure = load_test("pure", lambda changes, now: None)
        with_store, transactions = durable()
        found["load"] = {"pure": pure, "sqlite": with_store, "kueue": KUEUE}
        print("Kueue's load test: 15,000 requests, virtual time; the work itself bounds it at 66 s")
        print(f"{'':24}{'pure':>12}{'SQLite':>12}{'Kueue':>12}")
        rows = [
            ("virtual time, s", "virtual"),
            ("computing, s", "wall"),
            ("processor time, s", "cpu"),
            ("used, %", "use"),
        ]
        rows += [(f"mean wait {kind}, s", kind) for kind, *_ in CLASSES]
        for label, key in rows:
            scale = 100 if key == "use" else 1
            theirs = KUEUE.get(
                "wall" if key == "virtual" else key if key not in ("wall", "cpu") else ""
            )
            shown = f"{theirs * scale:12.1f}" if theirs is not None else f"{'':>12}"
            print(f"{label:24}{pure[key] * scale:12.1f}{with_store[key] * scale:12.1f}{shown}")
        print(f"pure {pure['decisions_per_second']:.0f} decisions/s; SQLite {transactions} "
              f"transactions of {with_store['writing'] / transactions * 1e3:.2f} ms, "
              f"{with_store['writing'] / with_store['requests'] * 1e3:.1f} ms for each admission "
              f"from its request to its end")  # fmt: skip
    if options.only != "load":
        for gang in (False, True):
            took = latency(options.gpus, options.queued, options.events, gang)
            everything = [one for times in took.values() for one in times]
            name = "latency_gang" if gang else "latency"
            found[name] = {kind: figures(times) for kind, times in took.items()} | {
                "all": figures(everything)
            }
            print(f"\nOne decision, {options.gpus} GPUs, {options.queued} queued"
                  + (", a gang of 512 waiting, GPUs kept for it" if gang else ""))  # fmt: skip
            for kind, times in [*took.items(), ("all", everything)]:
                one = figures(times)
                print(f"  {kind:12} p50 {one['p50_ms']:7.3f} ms   p99 {one['p99_ms']:7.3f} ms   "
                      f"max {one['max_ms']:7.2f} ms")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
