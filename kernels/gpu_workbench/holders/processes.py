"""The few process calls of Linux that the standard library lacks, and ending a whole family.

Used by holders only; knows nothing of jobs or clusters.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    # Where there is no prctl (macOS) the server's sweep by the lease's tag does the same, later.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def die_with_parent(parent: int | None = None) -> None:
    """Be killed when the process that started this one dies, however it dies. Survives `exec`.

    Give its pid where it is known: then it may have died before this was called.
    """
    parent = os.getppid() if parent is None else parent
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of descendants that lose theirs, so that none can hide."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap(except_for: int | None) -> None:
    """Collect adopted children that have ended; not `except_for`, whose exit status is wanted."""
    with contextlib.suppress(ChildProcessError):
        while True:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None or found.si_pid == except_for:
                return
            os.waitpid(found.si_pid, 0)


def kill_family(seconds: float = 5.0) -> bool:
    """SIGKILL every descendant of this process until none is left; False where some remain.

    Needs `adopt_orphans`: a family member that detached itself is still a descendant then.
    """
    deadline = time.monotonic() + seconds
    while True:
        alive = [
            child
            for child in psutil.Process().children(recursive=True)
            if child.is_running() and _status(child) != psutil.STATUS_ZOMBIE
        ]
        for child in alive:
            with contextlib.suppress(psutil.Error):
                child.kill()
        reap(except_for=None)
        if not alive:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.Error:
        return str(psutil.STATUS_ZOMBIE)


def catches(pid: int, number: int) -> bool:
    """Whether the process has a handler for a signal, which would end it otherwise."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            masks = [line.split()[1] for line in file if line.startswith("SigCgt:")]
    except OSError:
        return False
    return bool(masks) and bool(int(masks[0], 16) >> (number - 1) & 1)


def alive(pid: int, started: float) -> bool:
    """Whether that very process (pid and start time) still runs; a zombie does not."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1.0 and _status(process) != (
            psutil.STATUS_ZOMBIE
        )
    except psutil.Error:
        return False
