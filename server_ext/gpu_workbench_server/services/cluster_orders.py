"""A new cluster's order, checked: what the browser or a cell asks for, or a `BadRequest`."""

from __future__ import annotations

import os
from pathlib import Path

from gpu_workbench import protocol as wire

from ..errors import BadRequest

MOST_WORKERS = 512
MOST_THREADS = 64


def check(new: wire.NewCluster) -> None:
    """Raise `BadRequest` where no cluster could be made of this, whatever is free."""
    check_workers(new.workers)
    if new.adapt is not None:
        check_adapt(new.adapt)
    _within("threads_per_worker", new.threads_per_worker, 1, MOST_THREADS)
    if new.host_memory_bytes is not None and new.host_memory_bytes < 1 << 28:
        raise BadRequest(
            "A worker needs at least 256 MB of host memory.", "Leave it out to get a fair share."
        )
    if new.idle_seconds is not None and new.idle_seconds < 0:
        raise BadRequest("The idle time can't be negative.", "0 means that it never idles out.")
    if new.name is not None:
        check_name(new.name)
    if new.cwd is not None and not (Path(new.cwd).is_absolute() and Path(new.cwd).is_dir()):
        raise BadRequest(
            f"{new.cwd} is not a directory of this server's machine.",
            "Give its absolute path, or leave it out.",
        )
    if new.python is not None and not _runnable(new.python):
        raise BadRequest(
            f"{new.python} is not a Python interpreter that this server can start.",
            "Give its absolute path, or leave it out to take the server's own.",
        )


def check_name(name: str) -> str:
    """The name without spaces around it."""
    name = name.strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise BadRequest(
            "A cluster's name is 1 to 100 printable characters.", "Leave it out to get one."
        )
    return name


def check_workers(workers: int) -> None:
    _within("workers", workers, 0, MOST_WORKERS)


def check_adapt(adapt: wire.Adapt) -> None:
    _within("minimum", adapt.minimum, 0, MOST_WORKERS)
    _within("maximum", adapt.maximum, max(1, adapt.minimum), MOST_WORKERS)


def _within(what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BadRequest(
            f"{what} must be between {least} and {most}, and is {value}.", f"Ask for {least}."
        )


def _runnable(python: str) -> bool:
    path = Path(python)
    return path.is_absolute() and path.is_file() and os.access(path, os.X_OK)
