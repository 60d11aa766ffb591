"""How long one placement takes on a live state of many GPUs, as the broker asks for it."""

from __future__ import annotations

import random
import time
from dataclasses import replace

from gpu_workbench_server.domain.decisions import Change
from gpu_workbench_server.domain.fleet import Gpu, Pool
from gpu_workbench_server.domain.leases import Lease, Request, Slice
from gpu_workbench_server.domain.mig import MigInstance, first_layout, rule_for
from gpu_workbench_server.domain.placement import place
from gpu_workbench_server.domain.state import State
from gpu_workbench_server.domain.units import GIB

GB = 80.0
CUT = ("3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb")
ASKED = {
    "plain": (("whole", 1), ("whole", 4), ("whole", 8), ("fraction-0.5", 1), ("fraction-0.25", 1)),
    "mig": (("mig-1g.10gb", 1), ("mig-2g.20gb", 1), ("mig-3g.40gb", 1), ("mig-1g.10gb", 4)),
}


def fleet(kind: str, gpus: int) -> list[Gpu]:
    """Nodes of eight GPUs with two NUMA nodes; for "mig" cut into four instances each."""
    return [
        Gpu(
            uuid=f"GPU-{at}",
            index=at % 8,
            model="H100",
            memory_bytes=80 * GIB,
            memory_gb=GB,
            node=f"node{at // 8:04}",
            numa=at % 8 // 4,
            island=0,
            mig=kind == "mig",
            instances=_instances(at) if kind == "mig" else (),
        )
        for at in range(gpus)
    ]


def _instances(gpu: int) -> tuple[MigInstance, ...]:
    found = []
    for profile, start in zip(CUT, first_layout(CUT, GB), strict=True):
        rule = rule_for(profile, GB)
        assert rule is not None
        gb = float(profile.split(".")[1].removesuffix("gb"))
        uuid = f"MIG-{gpu}-{start}"
        size = int(gb * GIB)
        found.append(MigInstance(uuid, profile, start, size, gb, rule.compute, rule.size))
    return tuple(found)


def decision_times(kind: str, gpus: int = 10_000, decisions: int = 5_000) -> list[float]:
    """CPU seconds per `place` of random requests; 85 % of the GPUs are held, leases come and go.

    What the last grant and ends changed is taken in within the measured time, and so is
    learning the mix anew now and then. Not measured: the way from empty to 85 %."""
    rng = random.Random(1)
    state = State((Pool(),), None, fleet(kind, gpus))
    held: list[Lease] = []
    parts, most = 0, 0.85 * sum(state.free_parts(gpu) for gpu in state.gpus.values())
    times: list[float] = []
    warm = False
    number = 0
    while len(times) < decisions:
        while parts > most:  # somebody at random goes, so the next decision sees what changed
            warm = True
            at = rng.randrange(len(held))
            held[at], held[-1] = held[-1], held[at]
            gone = held.pop()
            over = replace(gone, state="ended", ended_at=1.0, cleared=True)
            state.put(Change("cleared", lease=over))
            parts -= gone.parts
        number += 1
        profile, count = rng.choice(ASKED[kind])
        request = Request(number, "ana", None, profile, profile, "default", count, 3600, 0.0, 0)
        state.put(Change("queued", request))
        started = time.thread_time()
        slices = place(state, request)
        took = time.thread_time() - started
        state.put(Change("cancelled", replace(request, state="cancelled")))
        if warm:
            times.append(took)
        if slices is not None:
            held.append(_lease(number, slices))
            state.put(Change("granted", lease=held[-1]))
            parts += held[-1].parts
    return times


def _lease(number: int, slices: tuple[Slice, ...]) -> Lease:
    return Lease(
        id=number,
        user="ana",
        group=None,
        pool="default",
        profile=slices[0].profile,
        slices=slices,
        parts=sum(one.parts for one in slices),
        purpose="kernel",
        name="",
        granted_at=0.0,
        ends_at=3600.0,
    )
