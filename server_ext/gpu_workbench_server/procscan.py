"""Which processes of this machine carry a lease's tag: the one reader of `/proc/*/environ`.

A process started for a lease has the lease's id in its environment for life, and so has whatever it
starts in turn: orphans are found again, whoever was killed. Engines and devices both look here, so
it knows neither. Ids of two brokers of one user may meet (two data directories, a test beside one's
real server): a broker sees its own processes only, by `BROKER_ENV`.

Nothing is cached on purpose: between fork and exec a process shows its parent's environment under
the same pid and start time. One look costs about 10 µs a process, others' are refused at the door.
`setproctitle` would write over what we read: see `domain.environment`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from gpu_workbench.protocol import BROKER_ENV, KEY_ENV, LEASE_ENV, SLICES_ENV

CLOCK_SLACK = 2.0
"""Seconds by which the start time of one and the same process may seem to move (boot time is
recomputed when the clock is set)."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A live process that carries a lease's id."""

    pid: int
    lease_id: int
    slices: tuple[str, ...] = ()
    key: str | None = None
    local_rank: int | None = None
    """Which of `slices` is its own, where an elastic launcher made it one of several ranks."""


class EnvironScanner:
    """Finds the tagged processes of one broker. Stateless, so any thread may use it."""

    def __init__(self, broker: str = "") -> None:
        """`broker`: what `BROKER_ENV` says in processes of ours; "" where it is not set."""
        self._broker = os.fsencode(broker)

    def scan(self) -> list[Tagged]:
        """All tagged processes that this user may look at, without our own; zombies don't count."""
        return list(self.look())

    def pids_of(self, lease_id: int) -> list[int]:
        return [one.pid for one in self.look() if one.lease_id == lease_id]

    def tags(self, pid: int) -> Tagged | None:
        """What `pid` carries; None where it is gone, a zombie, somebody else's or not tagged."""
        raw = _environ(pid)
        if _LEASE not in raw:
            return None
        found = dict(part.split(b"=", 1) for part in raw.split(b"\0") if b"=" in part)
        lease = found.get(os.fsencode(LEASE_ENV), b"")
        if not lease.isdigit() or found.get(os.fsencode(BROKER_ENV), b"") != self._broker:
            return None
        slices = os.fsdecode(found.get(os.fsencode(SLICES_ENV), b""))
        key = os.fsdecode(found.get(os.fsencode(KEY_ENV), b""))
        rank = found.get(b"LOCAL_RANK", b"")
        return Tagged(
            pid=pid,
            lease_id=int(lease),
            slices=tuple(one for one in slices.split(",") if one),
            key=key.strip() or None,  # with room around it: `holders.tags`
            local_rank=int(rank) if rank.isdigit() else None,
        )

    def look(self) -> Iterator[Tagged]:
        """One after the other, newest first: who kills them as they come outruns one that forks."""
        mine = os.getpid()
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        for pid in sorted(pids, reverse=True):
            found = self.tags(pid) if pid != mine else None
            if found is not None:
                yield found


_LEASE = os.fsencode(LEASE_ENV) + b"="
_EXEC_SECONDS = 1.0


def _environ(pid: int) -> bytes:
    """A process's environment; empty where there is none to be read.

    In the middle of an exec a process has none for a moment: one so young is looked at again, or
    what a lease has just started would be missed.
    """
    raw = _read_environ(pid)
    while raw == b"" and _is_young(pid):
        time.sleep(0.001)
        raw = _read_environ(pid)
    return raw or b""


def _read_environ(pid: int) -> bytes | None:
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            return file.readall() or b""
    except OSError:
        return None


def _is_young(pid: int) -> bool:
    started = started_at(pid)
    return started is not None and time.time() - started < _EXEC_SECONDS


def started_at(pid: int) -> float | None:
    """When `pid` started, seconds since the epoch; None where it is gone or a zombie."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def is_alive(pid: int, started: float) -> bool:
    """Is this still the process that started then? A pid alone may be another's by now."""
    found = started_at(pid)
    return found is not None and abs(found - started) < CLOCK_SLACK
