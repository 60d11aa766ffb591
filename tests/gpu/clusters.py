"""`accept clusters`: two Dask workers on one GPU by fraction. The memory pool holds, data spills
where it should, a reduction of cupy arrays is NumPy's. Without a GPU: a rehearsal with NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from findings import Rows
from workplace import WHO, Workplace

from gpu_workbench import protocol as wire

GIB = 1 << 30
_CHUNK = 256 << 20
_NEEDED = ("dask_cuda", "rmm", "cupy")


def two_on_one_gpu(rows: Rows, place: Workplace) -> None:
    """All of it, on the smallest fraction that is offered."""
    offered = place.broker.fleet(WHO).pools[0].profiles
    fractions = [one for one in offered if one.kind == "fraction"]
    simulated = place.devices.simulated
    missing = [] if simulated else [name for name in _NEEDED if find_spec(name) is None]
    if not fractions or missing:
        why = f"not installed: {', '.join(missing)}" if missing else "no fraction is offered"
        rows.check("cluster", "two workers on one GPU", None, f"not run: {why}")
        return
    smallest = min(fractions, key=lambda one: one.units)
    with _cluster(place, smallest.name) as (cluster, client):
        _sit_together(rows, place, cluster, client)
        _reduce(rows, simulated, client)
        _beyond(rows, simulated, client)
        _spill(rows, simulated, client)


@contextmanager
def _cluster(place: Workplace, profile: str) -> Iterator[tuple[wire.Cluster, Any]]:
    """Two workers and a client; afterwards nothing of it is left."""
    from distributed import Client, Security

    host = GIB // 2 if place.devices.simulated else None
    order = wire.NewCluster(workers=2, per_worker=profile, host_memory_bytes=host, seconds=900)
    made = place.clusters.create(WHO, order)

    def ready() -> wire.Cluster | None:
        now = place.clusters.get(WHO, made.id)
        if now.state in ("failed", "ended"):
            raise RuntimeError(f"the cluster is {now.state}: {now.message}")
        return now if [one.state for one in now.workers] == ["running"] * 2 else None

    try:
        found = place.until(ready, 120, "two workers are up")
        assert found is not None and found.security is not None
        make: Any = Security
        security = make(
            tls_ca_file=found.security["ca"],
            tls_client_cert=found.security["cert"],
            tls_client_key=found.security["key"],
            require_encryption=True,
        )
        with place.stepping(), Client(found.scheduler_address, security=security) as client:
            yield found, client
    finally:
        place.clusters.stop(WHO, made.id)
        over = ("ended", "failed")
        place.until(
            lambda: place.clusters.get(WHO, made.id).state in over, 60, "the cluster has ended"
        )


def _everywhere(client: Any, function: Callable[[Any], Any]) -> list[Any]:
    """What `function(dask_worker)` answers on each of the two."""

    def here(dask_worker: Any) -> Any:  # nested: travels by value
        return function(dask_worker)

    return list(client.run(here).values())


def _sit_together(rows: Rows, place: Workplace, cluster: wire.Cluster, client: Any) -> None:
    def look(worker: Any) -> tuple[int, str | None, int]:
        import os

        limit = getattr(getattr(worker.data, "device_buffer", None), "n", 0)
        return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES"), int(limit)

    (pid, device, _), (other_pid, other, _) = seen = _everywhere(client, look)
    gpus = {place.broker.lease(WHO, number).slices[0].gpu for number in cluster.leases}
    apart = pid != other_pid
    on_one = apart if len(gpus) == 1 else None
    rows.check("cluster", "two processes on slices of one GPU", on_one, sorted(gpus))
    if place.devices.simulated:
        rows.check("cluster", "which see no GPU", device == other == "", device or "(empty)")
        return
    together = device == other if len(gpus) == 1 else None
    rows.check("cluster", "which see the same device", together, device)
    share = min(one.slice_bytes for one in cluster.workers)
    spills = [limit for _, _, limit in seen if limit]
    small = bool(spills) and all(limit < share for limit in spills)
    rows.check("cluster", "and spill below their share, GiB", small, [one / GIB for one in spills])


def _reduce(rows: Rows, simulated: bool, client: Any) -> None:
    """16 million numbers, a block at a time, on cupy where there is a GPU."""
    import dask.array as da
    import numpy as np

    def onto_the_gpu(block: Any) -> Any:
        import cupy

        return cupy.asarray(block)

    numbers = np.random.default_rng(0).standard_normal((4000, 4000))
    spread = da.from_array(numbers, chunks=(500, 4000))
    if not simulated:
        spread = spread.map_blocks(onto_the_gpu, meta=np.empty((0, 0)))
    found = client.compute([spread.sum(), spread.std(), (spread * spread).sum()])
    sums = [float(one) for one in client.gather(found)]
    wanted = [float(numbers.sum()), float(numbers.std()), float((numbers * numbers).sum())]
    what = "a reduction is NumPy's" if simulated else "a reduction of cupy arrays is NumPy's"
    rows.check("cluster", what, bool(np.allclose(sums, wanted, rtol=1e-9)), f"{sums[2]:.6f}")


def _beyond(rows: Rows, simulated: bool, client: Any) -> None:
    """One worker asks for more than its slice has; the other does not notice."""
    if simulated:
        rows.check("cluster", "more than its slice is refused", None, "not run: no GPU here")
        return

    def too_much() -> str:
        import os

        import rmm

        size = int(os.environ["GPU_WORKBENCH_MEMORY_BYTES"])
        try:
            rmm.DeviceBuffer(size=size)
        except MemoryError:
            return "refused"
        return "allocated"

    def a_little() -> int:
        import rmm

        return int(rmm.DeviceBuffer(size=1 << 20).size)

    one, other = client.scheduler_info()["workers"]
    told = client.submit(too_much, workers=[one], pure=False).result(timeout=60)
    rows.check("cluster", "more than its slice is refused", told == "refused", told)
    size = client.submit(a_little, workers=[other], pure=False).result(timeout=60)
    rows.check("cluster", "and the other worker goes on", size == 1 << 20, size)
    size = client.submit(a_little, workers=[one], pure=False).result(timeout=60)
    rows.check("cluster", "as does the one that was refused", size == 1 << 20, size)


def _spill(rows: Rows, simulated: bool, client: Any) -> None:
    """Both hold a quarter more than they may; every block is there when it is asked for."""
    from distributed import wait

    def limit(worker: Any) -> int:
        data = worker.data
        return int(worker.memory_manager.memory_limit if simulated else data.device_buffer.n)

    def block(number: int) -> Any:
        import importlib

        arrays = importlib.import_module("numpy" if simulated else "cupy")
        return arrays.full(size, number % 100, dtype="uint8")

    def total(array: Any) -> int:
        return int(array.sum(dtype="int64"))

    def moved(worker: Any) -> int:
        """Bytes on disk, or that were moved from the GPU to the host."""
        data = worker.data
        return int(data.spilled_total.disk if simulated else data.host_buffer.fast.total_weight)

    def used(_: Any) -> int:
        import cupy

        free, whole = cupy.cuda.runtime.memGetInfo()
        return int(whole - free)

    size = _CHUNK // 8 if simulated else _CHUNK
    count = round(1.25 * sum(_everywhere(client, limit)) / size)
    blocks = client.map(block, range(count), pure=False)
    wait(blocks)
    out = _everywhere(client, moved)
    rows.check("cluster", "what does not fit is spilled, MB", min(out) > 0, [n >> 20 for n in out])
    if not simulated:
        rows.check(
            "cluster", "memory in use on the GPU, GiB", True, max(_everywhere(client, used)) / GIB
        )
    sums = client.gather(client.map(total, blocks))
    right = sums == [number % 100 * size for number in range(count)]
    rows.check("cluster", f"all {count} blocks of {size >> 20} MB come back", right, len(sums))
