"""Rings of the past: half floats in columns, at 1 s, 10 s and 1 min. No clock, no thread, no disk.

Time is cut into buckets that all rings share (bucket n of a ring of `step` seconds begins at
n x step), so a ring keeps no times: a bucket's place follows from its number, and what is unknown
is NaN. A finer ring feeds the next one as its buckets close.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Half = npt.NDArray[np.float16]
Values = npt.NDArray[np.float32]
"""(metrics, subjects, buckets, statistics); the statistics are mean, min, max. Of one metric the
first axis is left out."""
Rows = npt.NDArray[np.intp] | None
"""Which subjects are meant; None means all of them."""

STEPS = (1, 10, 60)
SIZES = (900, 2160, 10080)
"""Buckets: 15 minutes, 6 hours, 7 days."""
LONGEST_HOLD = 10
"""A look stands for the time since the one before, but for no more seconds than this."""
FIRST_CAPACITY = 16

_LARGE = float(1 << 25)
"""The unit of bytes in a half float: from 2 bytes to 2 TB, in steps of 0.05 %."""
UNITS: dict[str, float] = {
    "activity": 1.0,
    "memory_bytes": _LARGE,
    "power_watts": 1.0,
    "temperature_c": 1.0,
    "sm_clock_mhz": 1.0,
    "memory_clock_mhz": 1.0,
    "throttled": 1.0,
    "pcie_tx_bytes_s": _LARGE,
    "pcie_rx_bytes_s": _LARGE,
    "nvlink_tx_bytes_s": _LARGE,
    "nvlink_rx_bytes_s": _LARGE,
    "encoder": 1.0,
    "decoder": 1.0,
    "sm_activity": 1.0,
    "sm_occupancy": 1.0,
    "tensor_activity": 1.0,
    "dram_activity": 1.0,
}
"""The metrics that have a past, and the unit in which a half float holds them well."""
DECIMALS = {1.0: 4, _LARGE: 0}


class Ring:
    """The newest `size` buckets of some subjects; grows up to that, so a short life is small."""

    def __init__(self, size: int, subjects: int, statistics: int) -> None:
        self._size = size
        self._subjects = subjects
        self._statistics = statistics
        self._capacity = min(size, FIRST_CAPACITY)
        self._first = 0
        self.newest: int | None = None
        self.columns: dict[str, Half] = {}
        """By metric: only those that were known once."""

    @property
    def oldest(self) -> int | None:
        """The oldest bucket that is still held."""
        if self.newest is None:
            return None
        return max(self._first, self.newest - self._size + 1)

    def put(self, since: int, bucket: int, values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Set the buckets from `since` to `bucket`, all later than the newest, to the same.

        `values` is metric -> (subjects, statistics).
        """
        if self.newest is None:
            self._first, self.newest = since, since - 1
        assert self.newest < since <= bucket
        self._reserve(bucket - self._first + 1)
        open_since = max(self.newest + 1, bucket - self._size + 1)
        missed = self._places(open_since, bucket + 1)
        self.newest = bucket
        for metric, column in self.columns.items():
            if metric not in values or open_since < since:
                column[:, missed] = np.nan
        places = self._places(since, bucket + 1)
        for metric, value in values.items():
            self._column(metric)[:, places] = value[:, np.newaxis]

    def read(self, metrics: Sequence[str], start: int, stop: int, rows: Rows = None) -> Values:
        """The buckets from `start` up to `stop`, NaN where nothing is held."""
        many, oldest = self._subjects if rows is None else len(rows), self.oldest
        shape = (len(metrics), many, stop - start, self._statistics)
        found = np.full(shape, np.nan, np.float32)
        if oldest is None or self.newest is None:
            return found
        low, high = max(start, oldest), min(stop, self.newest + 1)
        if low < high:
            places = self._places(low, high)
            for at, metric in enumerate(metrics):
                column = self.columns.get(metric)
                if column is not None:
                    found[at, :, low - start : high - start] = _picked(column, rows, places)
        return found

    def blank(self, row: int) -> None:
        """Nothing is known of this row."""
        for column in self.columns.values():
            column[row] = np.nan

    def take_rows(self, other: Ring, mine: Sequence[int], theirs: Sequence[int]) -> None:
        """Go on from another ring: its rows `theirs` become `mine`. Only for a new ring."""
        self._first, self.newest, self._capacity = other._first, other.newest, other._capacity
        for metric, column in other.columns.items():
            self._column(metric)[list(mine)] = column[list(theirs)]

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in self.columns.values())

    def _places(self, start: int, stop: int) -> slice | npt.NDArray[np.int64]:
        first = (start - self._first) % self._capacity
        if first + stop - start <= self._capacity:
            return slice(first, first + stop - start)
        return (np.arange(start, stop) - self._first) % self._capacity

    def _column(self, metric: str) -> Half:
        column = self.columns.get(metric)
        if column is None:
            column = self.columns[metric] = self._empty()
        return column

    def _reserve(self, count: int) -> None:
        """Room for `count` buckets: places stay the same, as nothing has been overwritten yet."""
        if count <= self._capacity or self._capacity == self._size:
            return
        was = self._capacity
        self._capacity = min(self._size, max(2 * was, count))
        for metric, column in self.columns.items():
            self.columns[metric] = grown = self._empty()
            grown[:, :was] = column

    def _empty(self) -> Half:
        return np.full((self._subjects, self._capacity, self._statistics), np.nan, np.float16)


class Block:
    """The past of subjects that are looked at together: all GPUs, a lease's slices, processes."""

    def __init__(self, subjects: Sequence[str]) -> None:
        self.subjects = tuple(subjects)
        self.rows = {subject: row for row, subject in enumerate(self.subjects)}
        self.rings = tuple(
            Ring(size, len(self.subjects), 3 if level else 1) for level, size in enumerate(SIZES)
        )

    def put(self, time: float, values: Mapping[str, npt.NDArray[Any]]) -> int | None:
        """A look at `time`: metric -> one value per subject. The minute that is closed by it."""
        second = int(time)
        finest = self.rings[0]
        before = finest.newest
        shaped = {metric: value[:, np.newaxis] for metric, value in values.items()}
        since = second if before is None else max(before + 1, second - LONGEST_HOLD + 1)
        finest.put(since, second, shaped)
        closed = None
        for level in range(1, len(STEPS)):
            closed = self._close(level, before, second)
        return closed

    def read(
        self, level: int, metrics: Sequence[str], start: int, stop: int, rows: Rows = None
    ) -> Values:
        """The buckets from `start` up to `stop` of one ring.

        What the ring does not hold comes from the others: the bucket that is still open from the
        finer one, what is too long ago, or was before a restart, from the coarser one.
        """
        oldest = self.rings[level].oldest
        split = stop if oldest is None else min(stop, max(start, oldest))
        if level + 1 == len(STEPS) or split == start:
            return self._held(level, metrics, start, stop, rows)
        older = self._from_coarser(level, metrics, start, split, rows)
        return np.concatenate((older, self._held(level, metrics, split, stop, rows)), axis=2)

    def continued(self, subjects: Sequence[str]) -> Block:
        """The same past for other subjects: those in both go on, new ones have none."""
        new = Block(subjects)
        both = [subject for subject in new.subjects if subject in self.rows]
        mine, theirs = [new.rows[one] for one in both], [self.rows[one] for one in both]
        for ring, other in zip(new.rings, self.rings, strict=True):
            ring.take_rows(other, mine, theirs)
        return new

    def let(self, row: int, subject: str) -> None:
        """The row is this subject's from now on, without a past; "" is nobody."""
        self.subjects = (*self.subjects[:row], subject, *self.subjects[row + 1 :])
        self.rows = {one: place for place, one in enumerate(self.subjects)}
        for ring in self.rings:
            ring.blank(row)

    @property
    def metrics(self) -> set[str]:
        return {metric for ring in self.rings for metric in ring.columns}

    @property
    def newest(self) -> float | None:
        """When the newest look was, in seconds; of a minute from the disk, its end."""
        ends = [
            (ring.newest + 1) * step
            for ring, step in zip(self.rings, STEPS, strict=True)
            if ring.newest is not None
        ]
        return max(ends, default=None)

    @property
    def nbytes(self) -> int:
        return sum(ring.nbytes for ring in self.rings)

    def _close(self, level: int, before: int | None, second: int) -> int | None:
        """Put the buckets that ended between the last look and this one; the last of them."""
        ring, step = self.rings[level], STEPS[level]
        now = second // step
        if before is None or now <= before // step:
            return None
        for bucket in sorted({before // step, now - 1}):
            if ring.newest is None or bucket > ring.newest:
                metrics = tuple(self.rings[level - 1].columns)
                values = self._from_finer(level, metrics, bucket)
                ring.put(bucket, bucket, dict(zip(metrics, values, strict=True)))
        return now - 1

    def _held(
        self, level: int, metrics: Sequence[str], start: int, stop: int, rows: Rows = None
    ) -> Values:
        """What the ring holds, and the bucket after its newest as far as finer rings know it."""
        ring = self.rings[level]
        found = ring.read(metrics, start, stop, rows)
        if found.shape[3] == 1:
            return np.repeat(found, 3, axis=3)
        if ring.newest is not None and start <= ring.newest + 1 < stop:
            newest = self._from_finer(level, metrics, ring.newest + 1, rows)
            found[:, :, ring.newest + 1 - start] = newest
        return found

    def _from_finer(
        self, level: int, metrics: Sequence[str], bucket: int, rows: Rows = None
    ) -> npt.NDArray[np.float32]:
        many = STEPS[level] // STEPS[level - 1]
        finer = self._held(level - 1, metrics, bucket * many, (bucket + 1) * many, rows)
        return condensed(finer, many)[:, :, 0]

    def _from_coarser(
        self, level: int, metrics: Sequence[str], start: int, stop: int, rows: Rows
    ) -> Values:
        many = STEPS[level + 1] // STEPS[level]
        low, high = start // many, -(-stop // many)
        found = np.repeat(self.read(level + 1, metrics, low, high, rows), many, axis=2)
        return found[:, :, start - low * many : stop - low * many]


def _picked(column: Half, rows: Rows, places: slice | npt.NDArray[np.int64]) -> Half:
    """Without a copy of the rows that are not meant: there may be a thousand."""
    if rows is None:
        return column[:, places]
    if isinstance(places, slice):
        return column[rows, places]
    return column[rows[:, np.newaxis], places]


def condensed(values: Values, many: int) -> Values:
    """Each `many` buckets as one: the mean of the known means, the least and the greatest."""
    *ahead, buckets, statistics = values.shape
    parts = values.reshape(*ahead, buckets // many, many, statistics)
    means = parts[..., 0]
    known = np.count_nonzero(~np.isnan(means), axis=-1)
    total = np.nansum(means, axis=-1)
    mean = np.divide(total, known, out=np.full(total.shape, np.nan, np.float32), where=known > 0)
    low, high = np.fmin.reduce(parts[..., 1], axis=-1), np.fmax.reduce(parts[..., 2], axis=-1)
    return np.stack((mean, low, high), axis=-1)
