"""How a Dask worker looks on a slice: what differs between real and simulated slices is here.

Pure but for looking at what is installed. dask-cuda's own defaults judge a slice by its parent GPU
(a tenth of an H100 gets a spill limit of 64 GB), so a worker is given one device, the slice's
absolute bytes and explicit CPUs.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .. import protocol as wire
from ..attach import slice_environment

_SPILL_PART = 0.8  # of the slice's memory: above this, data moves to the host
_POOL_PART = 0.9  # of the slice's memory: the rest is for CUDA contexts and libraries
_FIRST_POOL_PART = 0.25
_SMALLEST_HOST_MEMORY = 2 << 30


def host_memory(spec: wire.ClusterSpec, machine_bytes: int) -> int:
    """Bytes of host memory for one worker: as asked, or its share of the machine.

    The share is the slice's share of all GPUs, less a fifth for everybody else; but a worker below
    2 GB is restarted by its nanny rather than used, so it gets that where the machine has it.
    """
    if spec.host_memory_bytes:
        return spec.host_memory_bytes
    fair = int(machine_bytes * 0.8 * min(1.0, spec.host_share))
    return max(fair, min(_SMALLEST_HOST_MEMORY, machine_bytes // max(1, len(spec.lease.slices))))


def worker_options(
    spec: wire.ClusterSpec, one: wire.Slice, directory: Path, machine_bytes: int
) -> dict[str, Any]:
    """Options of the `Nanny` whose worker runs on this slice."""
    memory = host_memory(spec, machine_bytes)
    options: dict[str, Any] = {
        "name": one.id,
        "nthreads": spec.threads_per_worker,
        "memory_limit": memory,
        "host": "127.0.0.1",
        "dashboard": False,
        "local_directory": str(directory / "spill"),
        # One "GPU" a worker, however small its slice: `resources={"GPU": 1}` is one task a slice.
        "resources": {"GPU": 1},
        "env": slice_environment(spec.lease, [one]),
    }
    if one.tier != "simulated" and has_dask_cuda():
        options |= _cuda_options(one, memory)
    return options


def has_dask_cuda() -> bool:
    return find_spec("dask_cuda") is not None


def _cuda_options(one: wire.Slice, host_bytes: int) -> dict[str, Any]:
    """dask-cuda's worker set-up: spilling to the host, CPU affinity, a memory pool."""
    from dask_cuda.device_host_file import DeviceHostFile
    from dask_cuda.plugins import CPUAffinity, RMMSetup
    from dask_cuda.utils import get_cpu_affinity

    plugins: set[Any] = set()
    try:
        # Of the parent GPU: a MIG instance has no affinity of its own.
        plugins.add(CPUAffinity(get_cpu_affinity(one.gpu)))
    except Exception as error:  # NVML says "not supported" in several ways
        print(f"no CPU affinity for {one.id}: {error}", flush=True)
    if find_spec("rmm") is not None:
        plugins.add(
            RMMSetup(
                initial_pool_size=_aligned(one.memory_bytes * _FIRST_POOL_PART),
                maximum_pool_size=_aligned(one.memory_bytes * _POOL_PART),
                managed_memory=False,
                async_alloc=False,
                release_threshold=None,
                log_directory=None,
                track_allocations=False,
                external_lib_list=None,
            )
        )
    limits = {
        "device_memory_limit": int(one.memory_bytes * _SPILL_PART),
        "memory_limit": host_bytes,
    }
    return {
        "data": (DeviceHostFile, limits),
        "plugins": plugins,
        "preload": ["dask_cuda.initialize"],
        "preload_argv": ["--create-cuda-context"],
    }


def _aligned(size: float) -> int:
    """RMM wants sizes in steps of 256 bytes."""
    return int(size) // 256 * 256
