"""What a notebook does, in a process of its own: start a cluster, time it, use it, close it.

    python -m benchmarks._cluster_client plain|ours WORKERS [SERVER_PID]
    python -m benchmarks._cluster_client ADDRESS WORKERS

The second uses a cluster that somebody else has started, and leaves it alone at the end. Prints a
line of JSON when the workers are ready, with the pids of all that work. Time begins when Dask is
imported, for all alike. CPU seconds are those of this process, of the cluster's whole family, and
of the Jupyter server's where there is one. Then it does so many tiny tasks as each line of its
standard input says, and prints how many seconds they took; at "close" it closes, and prints how
many that took.
"""

from __future__ import annotations

import io
import json
import sys
import time
from contextlib import redirect_stdout
from typing import Any

import psutil


def cpu(*roots: psutil.Process) -> dict[tuple[int, float], float]:
    """CPU seconds of these processes and of all below them, by pid and start."""
    found: dict[tuple[int, float], float] = {}
    for root in roots:
        for one in (root, *root.children(recursive=True)):
            try:
                times = one.cpu_times()
                found[one.pid, one.create_time()] = times.user + times.system
            except psutil.Error:
                continue
    return found


def spent(before: dict[tuple[int, float], float], after: dict[tuple[int, float], float]) -> float:
    return sum(value - before.get(key, 0.0) for key, value in after.items())


def increment(x: int) -> int:
    return x + 1


def main(kind: str, workers: int, *server: str) -> None:
    import distributed

    roots = [psutil.Process(), *(psutil.Process(int(one)) for one in server)]
    before, began = cpu(*roots), time.perf_counter()
    cluster: Any
    if kind == "ours":
        import gpu_workbench as gw

        with redirect_stdout(io.StringIO()):  # what it tells a person while it waits
            cluster = gw.cluster(workers, "0.25", host_memory=1 << 30)
        roots.append(psutil.Process(_holder(cluster)))
    elif kind != "plain":
        cluster = Others(kind)
        cluster.get_client().wait_for_workers(workers)
    else:
        make: Any = distributed.LocalCluster
        cluster = make(
            n_workers=workers, threads_per_worker=1, memory_limit=1 << 30, dashboard_address=":0",
            host="127.0.0.1",
        )  # fmt: skip
        cluster.wait_for_workers(workers)
    ready = time.perf_counter() - began
    used = spent(before, cpu(*roots))
    family = [pid for pid, _ in cpu(roots[0], *roots[1 + len(server) :])]
    print(json.dumps({"ready": ready, "cpu": used, "family": family}), flush=True)
    for line in iter(sys.stdin.readline, "close\n"):
        print(work(cluster, int(line)), flush=True)
    began = time.perf_counter()
    cluster.close()
    print(time.perf_counter() - began, flush=True)


class Others:
    """A cluster at this address."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get_client(self) -> Any:
        import distributed

        return distributed.Client(self._address)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Not ours to close."""


def work(cluster: Any, tasks: int) -> float:
    """Seconds for so many tiny tasks; a few go before, which is not counted."""
    import distributed

    with cluster.get_client() as client:
        client.gather(client.map(increment, range(100), pure=False))
        began = time.perf_counter()
        futures = client.map(increment, range(tasks), pure=False)
        distributed.wait(futures)  # type: ignore[no-untyped-call]
        return time.perf_counter() - began


def _holder(cluster: Any) -> int:
    """Pid of the process of scheduler and nannies; its family is all else of the cluster."""
    from gpu_workbench.client import get_client

    holder = get_client().lease(cluster.info.leases[0]).holder
    assert holder is not None and holder.pid is not None
    return holder.pid


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
