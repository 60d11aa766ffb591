"""slice → `WorkerSpec`: all that a Dask worker is told of its slice, as plain values.

Pure: no Dask, no NVML, no look at this machine. dask-cuda's own defaults judge a slice by its
parent GPU (a tenth of an H100 would spill at 64 GB) and can't put two workers on one; so a worker
is given one device, absolute bytes and explicit CPUs. `dask_workers` makes a nanny of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import protocol as wire
from ..attach import slice_environment

SPILL_PART = 0.8
"""Of the slice's memory: above this, data moves to the host."""
POOL_PART = 0.9
"""Of the slice's memory: what RMM may take. The rest is for CUDA contexts and libraries."""
FIRST_POOL_PART = 0.25
HOST_PART = 0.8
"""Of the host's memory: what all workers on all GPUs get together."""
SMALLEST_HOST_MEMORY = 2 << 30

PROCESS = {
    # A worker's threads are Dask's; libraries that bring their own would fight over the same CPUs.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # What is freed goes back to the system at once. Else a worker looks full with memory that it
    # does not use, and spills nearly all that it holds.
    "MALLOC_TRIM_THRESHOLD_": str(64 << 10),
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""What libraries read once, at the start of the process that workers are forked from."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the worker runs: `cpus` are those near its GPU that may be used; none is unknown."""

    memory_bytes: int
    cpus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """Sizes in bytes; None where there is no device memory to manage (a simulated slice)."""

    name: str
    device: str
    """UUID of the one device that it sees; empty for a simulated slice."""
    nthreads: int
    memory_limit: int
    """Of the host. Above it the nanny ends the worker, below it Dask spills to disk."""
    device_memory_limit: int | None
    rmm_pool: int | None
    rmm_maximum: int | None
    cpus: tuple[int, ...]
    """That it is bound to; none is no binding."""
    resources: dict[str, float]
    env: dict[str, str]


def worker_spec(
    asked: wire.ClusterSpec, lease: wire.Lease, one: wire.Slice, machine: Machine
) -> WorkerSpec:
    """The worker of one slice of this lease."""
    threads = {name: str(asked.threads_per_worker) for name in PROCESS if name.endswith("_THREADS")}
    env = PROCESS | threads | slice_environment(lease, [one])
    spill = pool = maximum = None
    cpus: tuple[int, ...] = ()
    if one.tier != "simulated":
        spill = int(one.memory_bytes * SPILL_PART)
        pool = _aligned(one.memory_bytes * FIRST_POOL_PART)
        maximum = _aligned(one.memory_bytes * POOL_PART)
        cpus = machine.cpus
        # cuDF moves its own columns, finer than Dask, which moves whole results of tasks.
        env |= {"CUDF_SPILL": "on", "CUDF_SPILL_DEVICE_LIMIT": str(spill)}
    return WorkerSpec(
        name=one.id,
        device=env["CUDA_VISIBLE_DEVICES"],
        nthreads=asked.threads_per_worker,
        memory_limit=_host_memory(asked, one, machine.memory_bytes),
        device_memory_limit=spill,
        rmm_pool=pool,
        rmm_maximum=maximum,
        cpus=cpus,
        # One "GPU" a worker, however small its slice: `resources={"GPU": 1}` is one task a slice.
        resources={"GPU": 1},
        env=env,
    )


def _host_memory(asked: wire.ClusterSpec, one: wire.Slice, machine_bytes: int) -> int:
    """As asked, or the slice's share of the machine, less a fifth for everybody else.

    A worker below 2 GB is ended by its nanny rather than used, so it gets that where a quarter of
    the machine is more.
    """
    if asked.host_memory_bytes:
        return asked.host_memory_bytes
    share = min(1.0, one.units / max(asked.fleet_units, one.units))
    fair = int(machine_bytes * HOST_PART * share)
    return max(fair, min(SMALLEST_HOST_MEMORY, machine_bytes // 4))


def _aligned(size: float) -> int:
    """RMM wants sizes in steps of 256 bytes."""
    return int(size) // 256 * 256
