"""Which processes belong to which lease, read from the operating system.

Knows no GPU. A process belongs to a lease when it carries the lease's id in its environment (what
it was started with, so for life), or when it, or an ancestor, is registered for the lease.

Cheap at 2 Hz: a look lists the pids and reads only processes that are new. What does not change of
a process (its start, its tag) is read once it is settled: between fork and exec a process still
shows its parent's environment, so a young one is read at every look.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from ..ports import Held
from ..procscan import EnvironScanner, Tagged

YOUNG_SECONDS = 3.0
COMMAND_LENGTH = 200
RECHECK_SECONDS = 10.0
"""How often known pids are checked for having been given to another process."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a process works for; `slice_id` None: it may use all slices of the lease."""

    lease_id: int
    slice_id: str | None


def partners(held: Sequence[Held]) -> dict[int, set[int]]:
    """Of each lease that shares a root process with another (a kernel with two): those others."""
    by_pid: dict[int, list[int]] = {}
    for one in held:
        for pid in one.pids:
            by_pid.setdefault(pid, []).append(one.lease_id)
    found: dict[int, set[int]] = {}
    for leases in by_pid.values():
        for lease_id in leases if len(leases) > 1 else ():
            found.setdefault(lease_id, set()).update(leases)
    return found


@dataclass(frozen=True, slots=True)
class Load:
    """`cpu_seconds` since the process began at `created` (seconds since the epoch).

    Read at `at` (monotonic): a look at many processes takes a while, and each has its own moment.
    First seen at `met` (monotonic); `created` may be a second off, as the system's start time is.
    """

    cpu_seconds: float
    memory_bytes: int
    created: float
    at: float
    met: float


@dataclass(slots=True)
class _Known:
    process: psutil.Process
    created: float
    parent: int
    met: float
    tag: Owner | None = None
    settled: bool = False
    """Its environment will not change any more."""
    command: str | None = None


@dataclass(slots=True)
class ProcessTable:
    """Remembers processes between looks; `scanner` says whose tags count. Not thread-safe."""

    scanner: EnvironScanner
    _known: dict[int, _Known] = field(default_factory=dict)
    _rechecked: float = 0.0

    def owners(self, held: Sequence[Held]) -> dict[int, Owner]:
        """All live processes of these leases."""
        self._look()
        alive = {one.lease_id for one in held}
        registered = {
            pid: Owner(one.lease_id, slice_id) for one in held for pid, slice_id in one.pids.items()
        }
        found: dict[int, Owner] = {}
        for pid, known in self._known.items():
            tag = known.tag
            if tag is not None and tag.lease_id in alive:
                root = self._nearest(pid, registered)
                same = root is not None and root.lease_id == tag.lease_id
                named = root.slice_id if root is not None and same else None
                found[pid] = Owner(tag.lease_id, tag.slice_id or named)
            elif registered:
                root = self._nearest(pid, registered)
                if root is not None:
                    found[pid] = root
        return found

    def load(self, pid: int) -> Load | None:
        """None where the process is gone, a zombie, or not ours to look at."""
        known = self._known.get(pid)
        if known is None:
            return None
        try:
            with known.process.oneshot():
                if known.process.status() == psutil.STATUS_ZOMBIE:
                    return None
                cpu, at = known.process.cpu_times(), time.monotonic()
                memory = known.process.memory_info().rss
        except psutil.Error:
            return None
        return Load(cpu.user + cpu.system, memory, known.created, at, known.met)

    def alive(self, pid: int) -> bool:
        """True unless the process is gone or only waits for its parent to take its exit code."""
        known = self._known.get(pid)
        if known is None:
            return False
        try:
            return bool(known.process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False

    def command(self, pid: int) -> str | None:
        """What a process that belongs to nobody runs, and as whom; None where it can't be seen."""
        known = self._known.get(pid)
        if known is not None and known.command is None:
            known.command = _command(known.process)
        return None if known is None else known.command

    def started(self, pid: int) -> float | None:
        """When a process began, in seconds since the epoch; None where it was not seen."""
        known = self._known.get(pid)
        return None if known is None else known.created

    def _look(self) -> None:
        now = time.time()
        pids = set(psutil.pids())
        recheck = now - self._rechecked >= RECHECK_SECONDS
        if recheck:
            self._rechecked = now
        for pid in list(self._known):
            known = self._known[pid]
            if pid not in pids or (recheck and not known.process.is_running()):
                del self._known[pid]
        for pid in pids:
            seen = self._known.get(pid)
            if seen is None:
                seen = _meet(pid)
                if seen is None:
                    continue
                self._known[pid] = seen
            if not seen.settled:
                tagged = self.scanner.tags(pid)
                seen.tag = None if tagged is None else _owner_of(tagged)
                seen.settled = now - seen.created >= YOUNG_SECONDS

    def _nearest(self, pid: int, registered: Mapping[int, Owner]) -> Owner | None:
        """The registration of the process itself or of its nearest ancestor."""
        at, born = pid, None
        for _ in range(len(self._known)):
            known = self._known.get(at)
            if known is None or (born is not None and known.created > born):
                return None  # the ancestor is gone, and its pid may be another's
            if at in registered:
                return registered[at]
            at, born = known.parent, known.created
        return None


def _owner_of(tagged: Tagged) -> Owner:
    """What a process's environment says; among several slices its local rank picks one."""
    rank = 0 if len(tagged.slices) == 1 else tagged.local_rank
    if rank is not None and rank < len(tagged.slices):
        return Owner(tagged.lease_id, tagged.slices[rank])
    return Owner(tagged.lease_id, None)


def _command(process: psutil.Process) -> str | None:
    try:
        with process.oneshot():
            words = " ".join(process.cmdline()) or process.name()
            return f"{words[:COMMAND_LENGTH]} (user {process.username()})"
    except psutil.Error:
        return None


def _meet(pid: int) -> _Known | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return _Known(process, process.create_time(), process.ppid(), time.monotonic())
    except psutil.Error:
        return None
