"""Warm parents of holders: `python -m gpu_workbench.holders.nursery cluster|job`.

Each imports once what takes its holders long, Dask or torch, and forks them then. One line of JSON
on stdin for each holder that is to be, one on stdout with its pid; the first line says that it is
ready. It has one thread and no CUDA, so that forking it is safe; it ends with the server that holds
its stdin, when it was not used for a while, and when what is installed has changed. The holders are
in sessions of their own and outlive it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from . import forks, tags
from .worker_specs import PROCESS

_QUIET_SECONDS = 10.0
"""Without an order before it imports more: what has just been forked has the CPUs first."""
_UNUSED_SECONDS = 900.0
_FIRST_SECONDS, _BUSY_SECONDS = 5.0, 10.0
_IDLE = 0.7
"""Of one CPU."""


class Kind(NamedTuple):
    """What it forks."""

    preload: Callable[[], None]
    preload_more: Callable[[], Iterator[None]]
    """For all but the first, once nobody has asked for a while; in steps: no order waits long."""
    run: Callable[[Path], int]
    """In the child, the work of a holder with this directory."""
    environment: dict[str, str]
    """What it is started with where nothing else is said."""


def main(kind: Kind) -> int:
    kind.preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: no zombies
    installed = _installed()
    _answer(ready=True)
    orders = sys.stdin.buffer
    more: Iterator[None] | None = kind.preload_more()
    patience = _QUIET_SECONDS
    while True:
        ready, _, _ = select.select([orders], [], [], patience)
        if not ready and more is not None:
            patience = 0.0
            if next(more, True):
                more, patience = None, _UNUSED_SECONDS
            continue
        patience = _UNUSED_SECONDS if more is None else _QUIET_SECONDS
        line = orders.readline() if ready else b""
        if not line:
            return 0
        if _installed() != installed:
            _answer(stale=True)
            return 0
        order = json.loads(line)
        pid = forks.fork_in_session(order["env"])
        if pid == 0:
            forks.leave_at_once(partial(_become, kind, order))
        _answer(pid=pid)


def _answer(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _installed() -> list[tuple[str, int]]:
    """Changes with every package that is installed, updated or removed."""
    paths = [path for path in sys.path[1:] if os.path.exists(path)]
    return [(path, os.stat(path).st_mtime_ns) for path in paths]


def _become(kind: Kind, order: dict[str, Any]) -> int:
    """A holder's process, as if it had been started by itself."""
    directory = Path(order["directory"])
    forks.log_to(directory / "out.log", directory / "err.log")
    forks.as_started(order["env"], order["cwd"])
    return kind.run(directory)


# --- clusters ---------------------------------------------------------------------------------


def _preload_cluster() -> None:
    from . import forkserver

    forkserver.preload()


def _preload_more_for_clusters() -> Iterator[None]:
    from . import forkserver

    yield from forkserver.preload_more()


def _run_cluster(directory: Path) -> int:
    from . import dask_cluster

    return dask_cluster.main(directory, warm=True)


# --- jobs -------------------------------------------------------------------------------------


def _preload_job() -> None:
    _until_a_cpu_is_idle()
    from . import job, rank_nursery  # noqa: F401

    rank_nursery.preload()


def _until_a_cpu_is_idle() -> None:
    """The job that this was started beside starts first, and should not be slowed by the next."""
    if _order_or_end(_FIRST_SECONDS):
        return
    deadline = time.monotonic() + _BUSY_SECONDS
    cpus = psutil.cpu_count() or 1
    psutil.cpu_percent()
    while not _order_or_end(1.0) and time.monotonic() < deadline:
        if cpus * (1 - psutil.cpu_percent() / 100) > _IDLE:
            return


def _order_or_end(seconds: float) -> bool:
    return bool(select.select([sys.stdin.buffer], [], [], seconds)[0])


def _run_job(directory: Path) -> int:
    from .job import Supervisor

    Supervisor(directory).run()
    return 0


KINDS = {
    "cluster": Kind(_preload_cluster, _preload_more_for_clusters, _run_cluster, PROCESS),
    "job": Kind(_preload_job, lambda: iter(()), _run_job, {}),
}

if __name__ == "__main__":
    kind = KINDS[sys.argv[1]]
    if any(os.environ.get(name) != room for name, room in tags.ROOM.items()):
        # With room for the tags of all that will be forked from here.
        environment = kind.environment | os.environ | tags.ROOM
        argv = [sys.executable, "-m", "gpu_workbench.holders.nursery", sys.argv[1]]
        os.execve(sys.executable, argv, environment)
    sys.exit(main(kind))
