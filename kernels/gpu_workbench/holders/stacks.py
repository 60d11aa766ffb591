"""Where the ranks of a job stand: each writes its threads' stacks when it is asked by a signal.

Python's own `faulthandler` does it, in C, so that it works while a rank waits inside a collective;
what is stopped or gone can't answer. Two halves: `arm` runs in the rank, the rest in the job's
supervisor. Costs nothing until somebody asks.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import signal
from pathlib import Path
from typing import NamedTuple

from .failures import place_of

STACKS = "stacks.log"

# A signal that nobody else uses: USR1 is Slurm's and Lightning's, USR2 a debugger's.
SIGNAL = signal.SIGRTMIN + 3 if hasattr(signal, "SIGRTMIN") else signal.SIGUSR2

_FRAME = re.compile(r'  File "(?P<file>.+)", line (?P<line>\d+) in (?P<name>.+)')
_WAITS = re.compile(
    r"/torch/(distributed|nn/parallel|autograd|_tensor\.py|cuda)|/mpi4py/|/horovod/"
)
_PIECE = 256 * 1024


class Stack(NamedTuple):
    """The main thread of one rank."""

    waits: bool
    """It stands inside torch or MPI: for others, or for its GPU."""
    where: str | None
    """The innermost line of the user's own code: "train.py:12"."""


def arm(run: Path) -> None:
    """In a rank: answer `SIGNAL` with the stacks of all threads, appended to `run`/stacks.log."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        file = (run / STACKS).open("ab", buffering=0)
        faulthandler.register(SIGNAL, file=file, all_threads=True)


def ask(pid: int) -> None:
    """Ask a rank that has been armed; anything else would be ended by the signal."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, SIGNAL)


def size(run: Path) -> int | None:
    """Bytes said so far; None where the rank isn't armed (yet)."""
    try:
        return (run / STACKS).stat().st_size
    except OSError:
        return None


def read(run: Path, root: str) -> Stack | None:
    """The newest answer, as far as it tells. `root` is the directory of the user's code."""
    try:
        with (run / STACKS).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _PIECE))
            text = file.read(_PIECE).decode(errors="replace")
    except OSError:
        return None
    # The thread that took the signal is the main one: Linux gives it to that one where it can.
    _, found, newest = text.rpartition("Current thread ")
    if not found:
        return None
    frames = [
        (one["file"], int(one["line"]), one["name"])
        for one in map(_FRAME.match, newest.partition("\n\n")[0].splitlines())
        if one
    ]
    if not frames:
        return None
    places = (place_of(*frame, root) for frame in frames)
    return Stack(
        waits=any(_WAITS.search(file) for file, _, _ in frames[:6]),
        where=next((one for one in places if one is not None), None),
    )
