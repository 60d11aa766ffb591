"""The past of GPUs, of leases' slices and of processes, by range. No clock, no thread of its own.

A minute that is over goes to the journal and comes back from it after a restart, but processes'.
A lease that has ended is kept for a while, so that somebody can still see what it did; so is a
process (`history_processes`). Does not know who may see what: that is `attribution`'s.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpu_workbench import protocol as wire

from ..domain.readings import DeviceProcess
from .history_file import Journal, Minute, Part
from .history_processes import ProcessPasts
from .history_rings import DECIMALS, SIZES, STEPS, UNITS, Block, Ring, Rows, Values, condensed

log = logging.getLogger(__name__)

GPUS = "gpus"
"""The subject that means every GPU, and the key of their block."""
LEASE = "lease:"

ENDED_SECONDS = 24 * 3600.0
ENDED_LEASES = 100
"""How long, and how many, leases are remembered after their end."""
TOGETHER = 500
"""Rows (a GPU or slice of a look) that are put into the rings at once: a look by itself, in a
process that slept, costs as much as several. They are some 300 kB."""
MOST_POINTS = 200_000
"""Of one answer, over all subjects: more subjects get fewer points."""


class Histories:
    """Thread-safe. `directory` is where the minutes are kept; None keeps them in memory only."""

    def __init__(self, directory: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._blocks: dict[str, Block] = {}
        """By key: `GPUS`, or a lease's id."""
        self._alive: set[str] = set()
        self._processes = ProcessPasts()
        self._journal = None if directory is None else Journal(directory)
        self._waiting: list[wire.Sample] = []
        """Looks of this minute that are not in the rings yet: a reader takes them up first."""
        self._closed: dict[str, int] = {}
        """Minutes that are to be written, by key."""
        self._second = 0
        self._complained = False

    # --- the sampler's side -----------------------------------------------------------------------

    def load(self) -> None:
        """Take up what was before a restart. Half a second for a week."""
        if self._journal is None:
            return
        try:
            with self._lock:
                for minute in self._journal.read():
                    for part in minute.parts:
                        self._restore(minute.number, part)
                self._forget(max((one.newest or 0.0 for one in self._blocks.values()), default=0.0))
        except (OSError, ValueError) as error:
            log.warning("the minutes of the past can't be read: %s", error)

    def put(self, sample: wire.Sample, processes: Sequence[DeviceProcess] = ()) -> None:
        """Remember a sample, and what ran: the first of each second."""
        second = int(sample.time)
        if second < self._second - STEPS[-1]:
            # The clock was wrong: what it dated into the future would hide the now.
            with self._lock:
                self._waiting.clear()
                self._closed.clear()
                self._blocks.clear()
                self._processes = ProcessPasts()
        elif second <= self._second:
            return
        minute_is_over = second // 60 != self._second // 60
        self._second = second
        with self._lock:
            self._waiting.append(sample)
            self._processes.put(sample.time, processes)
            rows = len(self._waiting) * (len(sample.gpus) + len(sample.slices))
            if minute_is_over or rows >= TOGETHER:
                self._take_up()
        if self._closed:
            self._write()

    def _take_up(self) -> None:
        """Into the rings with what waits; with the lock."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for sample in waiting:
            groups: dict[str, list[Any]] = {GPUS: list(sample.gpus)}
            for one in sample.slices:
                groups.setdefault(str(one.lease_id), []).append(one)
            for key, rows in groups.items():
                minute = self._block(key, _subjects(rows)).put(sample.time, _values(rows))
                if minute is not None:
                    self._closed[key] = minute
            self._alive = groups.keys() - {GPUS}
        if self._closed:
            self._forget(self._second)

    def close(self) -> None:
        with self._lock:
            self._take_up()
        if self._journal is not None:
            self._journal.close()

    def _block(self, key: str, subjects: tuple[str, ...]) -> Block:
        block = self._blocks.get(key)
        if block is None:
            block = self._blocks[key] = Block(subjects)
        elif block.subjects != subjects:
            block = self._blocks[key] = block.continued(subjects)
        return block

    def _forget(self, now: float) -> None:
        """Leases that ended long ago, and the oldest ones where there are too many."""
        ended = sorted(
            (block.newest or 0.0, key)
            for key, block in self._blocks.items()
            if key != GPUS and key not in self._alive
        )
        surplus = len(ended) - ENDED_LEASES
        for place, (newest, key) in enumerate(ended):
            if place < surplus or newest < now - ENDED_SECONDS:
                del self._blocks[key]

    def _write(self) -> None:
        """To the journal with the minute that is over."""
        with self._lock:
            closed, self._closed = self._closed, {}
            number = max(closed.values())
            parts = [
                Part(key, list(block.subjects), _bytes(block.rings[-1], number))
                for key, minute in closed.items()
                if minute == number and (block := self._blocks.get(key)) is not None
            ]
        if self._journal is None:
            return
        try:
            self._journal.append(Minute(number, parts))
            self._complained = False
        except OSError as error:
            if not self._complained:
                log.warning("the past can't be written, and goes with this server: %s", error)
            self._complained = True

    def _restore(self, number: int, part: Part) -> None:
        block = self._block(part.key, tuple(part.subjects or ()))
        newest = block.rings[-1].newest
        if newest is not None and number <= newest:
            return
        shape = (len(block.subjects), 3)
        values = {
            metric: np.frombuffer(raw, np.float16).reshape(shape)
            for metric, raw in part.values.items()
            if metric in UNITS
        }
        block.rings[-1].put(number, number, values)

    # --- the readers' side ------------------------------------------------------------------------

    def range(
        self,
        subjects: Sequence[str],
        start: float,
        end: float,
        points: int = 300,
        metrics: Sequence[str] = (),
        extremes: bool = True,
    ) -> wire.History:
        """See docs/developer/telemetry.md. Subjects that nobody knows have no series."""
        start = max(start, end - STEPS[-1] * SIZES[-1])
        with self._lock:
            self._take_up()
            found = list(self._found(subjects))
            many = max(1, sum(len(names) for _, names in found))
            points = max(1, min(points, MOST_POINTS // many))
            level, step = _grid(end - start, points)
            first, last = math.floor(start / step), max(math.ceil(end / step), 1)
            plan = [
                (block, names, metric)
                for block, names in found
                for metric in UNITS
                if metric in block.metrics and (not metrics or metric in metrics)
            ]
        series: list[wire.Series] = []
        for block, names, metric in plan:
            with self._lock:  # for one metric at a time: a week of a large fleet delays no sample
                still = [one for one in names if one in block.rows]  # a row may be another's by now
                places = [block.rows[one] for one in still]
                every = places == list(range(len(block.subjects)))
                rows = None if every else np.array(places, np.intp)
                values = self._read(block, rows, level, step, metric, first, last)
            series += _series(still, metric, values, extremes)
        return wire.History(
            step=float(step),
            times=[float(number * step) for number in range(first, last)],
            series=series,
        )

    @property
    def nbytes(self) -> int:
        """What all rings hold."""
        with self._lock:
            self._take_up()
            blocks = [*self._blocks.values(), self._processes.block]
            return sum(block.nbytes for block in blocks if block is not None)

    def subject_of(self, process: DeviceProcess) -> str | None:
        """What the past of a process that runs is asked for by; None where it has none."""
        with self._lock:
            return self._processes.subject_of(process)

    def lease_of(self, subject: str) -> int | None:
        """The lease of a remembered process; None where there is none."""
        with self._lock:
            return self._processes.lease_of(subject)

    def _found(self, subjects: Iterable[str]) -> Iterable[tuple[Block, list[str]]]:
        """Blocks and those of their subjects that are meant; one named twice is there once."""
        blocks: dict[str, Block] = {}
        names: dict[str, dict[str, None]] = {}
        for subject in subjects:
            key = _key(subject)
            block = self._processes.block if key == wire.PROCESS else self._blocks.get(key)
            if block is None:
                continue
            blocks[key] = block
            if subject in block.rows:
                names.setdefault(key, {})[subject] = None
            elif subject in (GPUS, LEASE + key):
                names.setdefault(key, {}).update(dict.fromkeys(block.subjects))
        return [(blocks[key], list(wanted)) for key, wanted in names.items()]

    @staticmethod
    def _read(
        block: Block, rows: Rows, level: int, step: int, metric: str, first: int, last: int
    ) -> Values:
        many = step // STEPS[level]
        values = block.read(level, (metric,), first * many, last * many, rows)[0]
        return condensed(values, many) if many > 1 else values


def _key(subject: str) -> str:
    """Which block may know it: that of all GPUs, of a lease's id, or of the processes."""
    if subject.startswith(wire.PROCESS):
        return wire.PROCESS
    lease, dot, _ = subject.partition(".")
    if dot or subject == GPUS:
        return lease
    return subject.removeprefix(LEASE) if subject.startswith(LEASE) else GPUS


def _grid(span: float, points: int) -> tuple[int, int]:
    """The ring to read, and how many seconds a point is: at most `points` of them in `span`.

    The coarsest ring that makes no more than a quarter fewer.
    """
    wanted = max(span / points, 1.0)
    grids = [(level, step * math.ceil(wanted / step)) for level, step in enumerate(STEPS)]
    return max(grid for grid in grids if grid[1] <= 1.25 * wanted or grid[0] == 0)


def _subjects(rows: Sequence[Any]) -> tuple[str, ...]:
    return tuple(row.uuid if isinstance(row, wire.GpuSample) else row.slice_id for row in rows)


def _values(rows: Sequence[Any]) -> dict[str, npt.NDArray[np.float64]]:
    """Metric -> a value per row in the unit of the rings; what no row knows is left out."""
    if not rows:
        return {}
    fields = rows[0].__struct_fields__
    metrics = [metric for metric in UNITS if metric in fields]
    told = np.array(list(map(attrgetter(*metrics), rows)), np.float64)  # None becomes NaN
    told /= [UNITS[metric] for metric in metrics]
    found = {
        metric: column
        for metric, column in zip(metrics, told.T, strict=True)
        if not np.isnan(column).all()
    }
    if "throttle" in fields and any(row.throttle is not None for row in rows):
        reasons = [None if row.throttle is None else bool(row.throttle) for row in rows]
        found["throttled"] = np.array(reasons, np.float64)
    return found


def _bytes(ring: Ring, bucket: int) -> dict[str, bytes]:
    metrics = tuple(ring.columns)
    values = ring.read(metrics, bucket, bucket + 1).astype(np.float16)
    return {metric: value.tobytes() for metric, value in zip(metrics, values, strict=True)}


def _series(
    subjects: Sequence[str], metric: str, values: Values, extremes: bool
) -> Iterable[wire.Series]:
    unit = UNITS[metric]
    exact = np.round(values.astype(np.float64) * unit, DECIMALS[unit])
    for subject, one in zip(subjects, exact, strict=True):
        same = not extremes or bool(np.array_equal(one[:, 1], one[:, 2], equal_nan=True))
        yield wire.Series(
            subject=subject,
            metric=metric,
            mean=_listed(one[:, 0]),
            min=None if same else _listed(one[:, 1]),
            max=None if same else _listed(one[:, 2]),
        )


def _listed(column: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if value != value else value for value in column.tolist()]
