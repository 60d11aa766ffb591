"""multiprocessing's fork server, forked from a process that has everything imported already.

The standard one starts a program of its own and imports there what it is told to, 1 to 2 CPU
seconds for each cluster. This puts a forked one in its place, through the few attributes that the
standard library's object keeps of its server; on a Python where these differ, the standard one is
used, and only slower.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import connection, forkserver
from typing import Any, NoReturn


def preload() -> None:
    """Import what scheduler and workers need. Starts nothing and touches no CUDA."""
    from distributed import utils

    from . import dask_cluster  # noqa: F401

    # Or each scheduler would import for workers what these may never want: see `preload_more`.
    untyped: Any = utils
    untyped._forkserver_preload_set = True


def preload_more() -> Iterator[None]:
    """Import what is usually wanted besides, one a step: for the next ones, not for the first."""
    from distributed import versions

    untyped: Any = versions
    packages = (*untyped.required_packages, *untyped.optional_packages)
    for name in ("cryptography.x509", *packages, "distributed.dashboard.scheduler"):
        with suppress(Exception):  # not here, or not in order: whoever needs it will say so
            importlib.import_module(name)
        yield


def start() -> bool:
    """Fork the server that workers will be forked from; before this process has any thread."""
    server: Any = forkserver._forkserver  # type: ignore[attr-defined]
    known = ("_forkserver_address", "_forkserver_alive_fd", "_forkserver_pid")
    if sys.version_info >= (3, 14) or not all(hasattr(server, name) for name in known):
        return False
    address = connection.arbitrary_address("AF_UNIX")  # type: ignore[attr-defined]
    alive_r, alive_w = os.pipe()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        os.chmod(address, 0o600)
        listener.listen()
        pid = os.fork()
        if pid == 0:
            os.close(alive_w)
            _serve(listener.detach(), alive_r)
    os.close(alive_r)
    server._forkserver_address = address
    server._forkserver_alive_fd = alive_w
    server._forkserver_pid = pid
    return True


def _serve(listener: int, alive: int) -> NoReturn:
    """Until nobody holds the other end of `alive`: the cluster's process and its workers."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        main: Any = forkserver.main  # type: ignore[attr-defined]
        main(listener, alive, [])
    finally:
        os._exit(0)
