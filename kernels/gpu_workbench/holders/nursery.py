"""A warm parent of clusters: Dask imported once, then forked: `python -m …holders.nursery`.

One line of JSON on stdin for each cluster that is to be, one on stdout with its pid. It has one
thread and no CUDA, so that forking it is safe; it ends with the server that holds its stdin, or
when it was not used for a while. The clusters are in sessions of their own and outlive it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from . import tags
from .worker_specs import PROCESS

_QUIET_SECONDS = 3.0
_UNUSED_SECONDS = 900.0


def main() -> int:
    from . import forkserver

    forkserver.preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: no zombies
    orders = sys.stdin.buffer
    patience = _QUIET_SECONDS
    while True:
        ready, _, _ = select.select([orders], [], [], patience)
        if not ready and patience == _QUIET_SECONDS:
            forkserver.preload_more()
            patience = _UNUSED_SECONDS
            continue
        line = orders.readline() if ready else b""
        if not line:
            return 0
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(order)
        sys.stdout.write(json.dumps({"pid": pid}) + "\n")
        sys.stdout.flush()


def _become(order: dict[str, Any]) -> NoReturn:
    """A cluster's process, as if it had been started by itself. Does not return."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        directory = Path(order["directory"])
        devnull = os.open(os.devnull, os.O_RDONLY)
        os.dup2(devnull, 0)
        for number, name in ((1, "out.log"), (2, "err.log")):
            log = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, number)
            os.close(log)
        os.environ.clear()
        os.environ.update(order["env"])
        tags.show(os.environ)
        os.chdir(order["cwd"])
        sys.path[0] = order["cwd"]
        from . import dask_cluster, forkserver

        forkserver.start()
        status = dask_cluster.main(directory)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    if any(os.environ.get(name) != room for name, room in tags.ROOM.items()):
        # With room for the tags of all that will be forked from here.
        environment = PROCESS | os.environ | tags.ROOM
        argv = [sys.executable, "-m", "gpu_workbench.holders.nursery"]
        os.execve(sys.executable, argv, environment)
    sys.exit(main())
