"""The past of processes: by what name it is asked for, of how many, and for how long.

A pid comes back, so a process goes by its pid, its start and its device, as in
`process:4711@1790000000@GPU-4c1f…`. Where the start can't be seen (a pid of another namespace) it
is when it was first seen, and who was gone at one look is somebody else at the next.

All share one block of rings, a row each, so a look costs one write however many they are. There are
`MOST` rows: whoever ended longest ago makes room for who comes, and while `MOST` live, a new one
has no past. Not on disk: a server that restarts finds the past of the lease's slices, and most
processes end with it. No clock, no thread; not thread-safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpu_workbench.protocol import PROCESS

from ..domain.readings import DeviceProcess
from .history_rings import UNITS, Block

MOST = 128
FIRST_ROWS = 8
ENDED_SECONDS = 24 * 3600.0
"""How long a process is remembered after its end."""
START_SLACK = 2.0
"""Seconds by which the start of one process may seem to move: boot time is computed anew when the
clock is set."""

Place = tuple[int, str]
"""A pid, and the MIG instance or GPU that it is on."""


@dataclass(slots=True)
class Remembered:
    """A process that has a past."""

    subject: str
    row: int
    started: float | None
    lease_id: int | None
    """The newest that was known."""
    ended: float | None = None
    """When it was missed first."""

    def is_still(self, process: DeviceProcess) -> bool:
        """Whether the same pid on the same device is the same process."""
        if self.started is not None and process.started is not None:
            return abs(self.started - process.started) <= START_SLACK
        return None in (self.lease_id, process.lease_id) or self.lease_id == process.lease_id


class ProcessPasts:
    """Remembers processes from look to look, and what they did."""

    def __init__(self) -> None:
        self.block: Block | None = None
        """None while nobody is remembered."""
        self._free: list[int] = []
        self._known: dict[str, Remembered] = {}
        self._alive: dict[Place, Remembered] = {}
        self._minute = 0

    def put(self, time: float, processes: Sequence[DeviceProcess]) -> None:
        """Remember a look at `time`, in seconds since the epoch; nothing to do where nobody is."""
        if not processes and not self._known:
            return
        if int(time) // 60 != self._minute:
            self._minute = int(time) // 60
            self._forget(time - ENDED_SECONDS)
        seen: dict[Place, Remembered] = {}
        rows: list[int] = []
        activity: list[float | None] = []
        memory: list[int | None] = []
        for process in processes:
            place = _place(process)
            one = self._alive.get(place)
            if one is None or not one.is_still(process):
                one = self._meet(process, time)
                if one is None:
                    continue
            if process.lease_id is not None:
                one.lease_id = process.lease_id
            seen[place] = one
            rows.append(one.row)
            activity.append(process.activity)
            memory.append(process.memory_bytes)
        for place, one in self._alive.items():
            if seen.get(place) is not one:
                one.ended = time
        self._alive = seen
        if self.block is None:
            return
        values = {}
        for metric, told in (("activity", activity), ("memory_bytes", memory)):
            if any(value is not None for value in told):
                column = np.full(len(self.block.subjects), np.nan)
                column[rows] = np.array(told, np.float64) / UNITS[metric]
                values[metric] = column
        self.block.put(time, values)

    def subject_of(self, process: DeviceProcess) -> str | None:
        """What the past of a process that runs is asked for by; None where it has none."""
        one = self._alive.get(_place(process))
        return one.subject if one is not None and one.is_still(process) else None

    def lease_of(self, subject: str) -> int | None:
        """The lease of a process that is remembered; None also where it has none."""
        one = self._known.get(subject)
        return None if one is None else one.lease_id

    def _meet(self, process: DeviceProcess, time: float) -> Remembered | None:
        """A process that is new, or back after a look that failed; None where there is no room."""
        began = time if process.started is None else process.started
        subject = f"{PROCESS}{process.pid}@{int(began)}@{_place(process)[1]}"
        one = self._known.get(subject)
        if one is None:
            row = self._room()
            if row is None or self.block is None:
                return None
            one = Remembered(subject, row, process.started, process.lease_id)
            self._known[subject] = one
            self.block.let(row, subject)
        one.ended = None
        return one

    def _room(self) -> int | None:
        """A row for one more."""
        rows = 0 if self.block is None else len(self.block.subjects)
        if not self._free and rows < MOST:
            more = min(MOST, max(FIRST_ROWS, 2 * rows))
            had = () if self.block is None else self.block.subjects
            block = self.block or Block(())
            self.block = block.continued((*had, *[""] * (more - rows)))
            self._free = list(range(more - 1, rows - 1, -1))
        if self._free:
            return self._free.pop()
        ended = [(one.ended, one.subject) for one in self._known.values() if one.ended is not None]
        return self._known.pop(min(ended)[1]).row if ended else None

    def _forget(self, before: float) -> None:
        """Those that ended before then; the rings too, where nobody is left."""
        gone = [one for one in self._known.values() if one.ended is not None and one.ended < before]
        for one in gone:
            del self._known[one.subject]
            self._free.append(one.row)
            if self.block is not None:
                self.block.let(one.row, "")
        if not self._known:
            self.block, self._free = None, []


def _place(process: DeviceProcess) -> Place:
    return process.pid, process.instance or process.gpu
