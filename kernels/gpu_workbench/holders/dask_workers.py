"""A `WorkerSpec` as the options of a Dask `Nanny`, and what of this machine a spec needs to know.

On a real slice the parts are dask-cuda's (spilling, memory pool, affinity), with our values; where
it is not installed, or on a simulated slice, the worker is Dask's plain one.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import protocol as wire
from . import tags
from .affinity import cpus_near
from .worker_specs import Machine, WorkerSpec

if TYPE_CHECKING:
    Worker = object
else:
    from distributed import Worker


class SliceWorker(Worker):
    """Dask's worker, whose process is found by the lease that it runs on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        tags.show(os.environ)
        super().__init__(*args, **kwargs)


def this_machine(memory_bytes: int, one: wire.Slice) -> Machine:
    """What is here for a worker on this slice."""
    near = () if one.tier == "simulated" else cpus_near(one.gpu)
    if not near and one.tier != "simulated":
        print(f"no CPU affinity of {one.gpu}", flush=True)
    allowed = os.sched_getaffinity(0)
    return Machine(memory_bytes, tuple(cpu for cpu in near if cpu in allowed))


def nanny_options(spec: WorkerSpec, directory: Path) -> dict[str, Any]:
    """Options of the `Nanny` whose worker runs on the slice of `spec`."""
    options: dict[str, Any] = {
        "name": spec.name,
        "nthreads": spec.nthreads,
        "memory_limit": spec.memory_limit,
        "host": "127.0.0.1",
        "dashboard": False,
        "local_directory": str(directory / "spill"),
        "resources": dict(spec.resources),
        "env": dict(spec.env),
        "worker_class": SliceWorker,
    }
    if spec.device_memory_limit is not None and has_dask_cuda():
        options |= _cuda_options(spec)
    return options


def has_dask_cuda() -> bool:
    return find_spec("dask_cuda") is not None


def _cuda_options(spec: WorkerSpec) -> dict[str, Any]:
    from dask_cuda.device_host_file import DeviceHostFile
    from dask_cuda.plugins import CPUAffinity, RMMSetup

    plugins: set[Any] = set()
    if spec.cpus:
        plugins.add(CPUAffinity(list(spec.cpus)))
    if find_spec("rmm") is not None:
        plugins.add(
            RMMSetup(
                initial_pool_size=spec.rmm_pool,
                maximum_pool_size=spec.rmm_maximum,
                managed_memory=False,
                async_alloc=False,
                release_threshold=None,
                log_directory=None,
                track_allocations=False,
                # Else cupy's arrays would come from a pool of its own, beyond the slice's.
                external_lib_list=["cupy"] if find_spec("cupy") is not None else None,
            )
        )
    limits = {"device_memory_limit": spec.device_memory_limit, "memory_limit": spec.memory_limit}
    return {
        "data": (DeviceHostFile, limits),
        "plugins": plugins,
        "preload": ["dask_cuda.initialize"],
        "preload_argv": ["--create-cuda-context"],
    }
