"""Whose process is it: device process → lease → kernel, cluster or job → the name people know.

A process on a leased GPU that belongs to no lease of it is a stranger: it takes what somebody else
was granted. Others' pids and command lines are for administrators only. No thread, no clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from gpu_workbench import protocol as wire

from ..domain.readings import DeviceProcess, Reading
from ..ports import Held

STRANGE_SECONDS = 5.0
"""A process is reported once it has been strange for so long: one that a lease has just started
may show its parent's environment for a moment."""

SOMEBODY = "another user's process"
NOBODY_KNOWS = "unknown process"


def is_stranger(process: DeviceProcess) -> bool:
    """It computes, it can be seen here, and no lease knows it.

    A desktop's server only draws; what MPS clients run is told of the MPS server; and a process of
    another pid namespace (this broker in a container) can't be told from a lease's own.
    """
    return process.lease_id is None and process.kind == "compute" and process.command is not None


def shown(
    processes: Iterable[DeviceProcess],
    leases: Sequence[wire.Lease],
    admin: bool,
    subject_of: Callable[[DeviceProcess], str | None] = lambda _: None,
) -> list[wire.ProcessSample]:
    """What somebody sees who may see these leases: all on the GPUs where these have a slice.

    An administrator sees all GPUs, pids and command lines; others only the pids of their own, and
    so the pasts: `subject_of` tells what a process's past is asked for by.
    """
    known = {one.id: one for one in leases}
    gpus = {part.gpu for one in leases if one.mine for part in one.slices}
    holders = {part.id: one.id for one in leases for part in one.slices}
    found: list[wire.ProcessSample] = []
    for process in processes:
        if not admin and process.gpu not in gpus:
            continue
        lease = known.get(process.lease_id or 0)
        owner = _owner(process, lease)
        named = owner == "mine" or (admin and lease is not None)
        numbered = admin or owner == "mine"
        found.append(
            wire.ProcessSample(
                gpu=process.gpu,
                slice_id=process.slice_id if admin or process.slice_id in holders else None,
                lease_id=lease.id if lease is not None else holders.get(process.slice_id or ""),
                owner=owner,
                name=_name(lease) if lease is not None and named else _nameless(owner),
                pid=process.pid if numbered else None,
                activity=process.activity,
                memory_bytes=process.memory_bytes,
                command=process.command if admin else None,
                subject=subject_of(process) if numbered else None,
            )
        )
    return found


def permitted(
    subjects: Iterable[str],
    lease_of: Callable[[str], int | None],
    leases: Iterable[wire.Lease],
    admin: bool,
) -> list[str]:
    """Those of a history's subjects that somebody may ask for who may see these leases.

    Whose pid may be seen, of that the past: one's own processes, all of them for an administrator.
    What is left out is as unknown as what never was. `leases` need those that have ended, too.
    """
    own = {one.id for one in leases if one.mine}
    return [
        one for one in subjects if admin or not one.startswith(wire.PROCESS) or lease_of(one) in own
    ]


class Strangers:
    """Remembers who has been strange since when, so that each is reported once."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, int], float] = {}
        self._reported: set[tuple[str, int]] = set()
        self.count: Counter[str] = Counter()
        """By UUID of each leased GPU, as of the last look."""

    def look(self, now: float, reading: Reading, held: Sequence[Held]) -> list[DeviceProcess]:
        """Those that are to be reported now."""
        if not held and not self.count:
            return []
        leased = {part.gpu for one in held for part in one.slices}
        strange = {
            (one.gpu, one.pid): one
            for one in reading.processes
            if one.gpu in leased and is_stranger(one)
        }
        self.count = Counter(dict.fromkeys(leased, 0))
        self.count.update(gpu for gpu, _ in strange)
        self._since = {key: self._since.get(key, now) for key in strange}
        self._reported &= strange.keys()
        ripe = [
            key
            for key, since in self._since.items()
            if now - since >= STRANGE_SECONDS and key not in self._reported
        ]
        self._reported.update(ripe)
        return [strange[key] for key in ripe]


def notice(process: DeviceProcess) -> wire.Notice:
    """What administrators read of a stranger."""
    return wire.Notice(
        lease_id=None,
        code="stranger",
        message=(
            f"A process without a lease of it runs on the leased GPU {process.gpu}: "
            f"pid {process.pid}, {process.command or 'its command line can not be read'}."
        ),
        hint="Ask its owner to take a lease, or end it; `nvidia-smi` shows it too.",
    )


def _owner(process: DeviceProcess, lease: wire.Lease | None) -> wire.ProcessOwner:
    if lease is not None:
        return "mine" if lease.mine else "other"
    if process.lease_id is not None:
        return "other"
    return "stranger" if is_stranger(process) else "unknown"


def _nameless(owner: wire.ProcessOwner) -> str:
    return NOBODY_KNOWS if owner == "unknown" else SOMEBODY


def _name(lease: wire.Lease) -> str:
    """What people call it: the notebook's path, the cluster's or the job's name."""
    holder = lease.holder
    return (holder.name if holder else "") or lease.name or f"lease {lease.id}"
