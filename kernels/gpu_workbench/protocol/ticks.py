"""A tick of the sampler as bytes: quantised little-endian columns, read in place by typed arrays.

Pure and symmetrical: the server encodes once per view for all watchers, a client decodes with the
layouts that it was told. docs/developer/telemetry.md describes the bytes. Knows no socket.

A *view* is what somebody looks at: the whole fleet in a few columns (None), or one GPU (its UUID)
with every metric.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from itertools import count
from operator import attrgetter
from typing import Any, NamedTuple, get_args

from .live import Column, ColumnType, Layout
from .telemetry import GpuState, Sample, Throttle

VERSION = 1
HEADER = struct.Struct("<BBHHHd")
"""Version, 0, the layouts' ids of GPUs and of slices, 0, the time."""

_CODES: Mapping[ColumnType, str] = {"u8": "B", "u16": "H", "u32": "I", "f32": "f", "f64": "d"}
_UNKNOWN: Mapping[ColumnType, int] = {"u8": 0xFF, "u16": 0xFFFF, "u32": 0xFFFF_FFFF}
_SHARE, _KIB = 1 / 250, 1024.0


def _column(name: str, kind: ColumnType = "f32", scale: float = 1.0, **more: Any) -> Column:
    return Column(name=name, type=kind, scale=scale, **more)


_STATE = _column("state", "u8", labels=list(get_args(GpuState)))
_THROTTLE = _column("throttle", "u8", labels=list(get_args(Throttle)), flags=True)
_SHARES = [_column("activity", "u8", _SHARE), _column("sm_activity", "u8", _SHARE)]
_MEMORY = _column("memory_bytes", "u32", _KIB)
_PROFILING = [
    _column(name)
    for name in ("activity", "sm_activity", "sm_occupancy", "tensor_activity", "dram_activity")
]

# Wide columns first, so that each begins where a typed array may.
FLEET_GPU = [_MEMORY, _column("power_watts", "u16", 0.1), *_SHARES]
FLEET_GPU += [_column("temperature_c", "u8"), _STATE]
FLEET_SLICE = [_MEMORY, *_SHARES]
ONE_GPU = [
    *(_column(name, "f64") for name in ("memory_bytes", "energy_joules", "xid_at")),
    *_PROFILING,
    *(_column(name) for name in ("power_watts", "temperature_c")),
    *(_column(name) for name in ("sm_clock_mhz", "memory_clock_mhz")),
    *(_column(f"{link}_{way}_bytes_s") for link in ("pcie", "nvlink") for way in ("tx", "rx")),
    *(_column(name) for name in ("encoder", "decoder")),
    *(_column(name) for name in ("ecc_corrected", "ecc_uncorrected", "xid")),
    *(_column(f"remapped_{how}") for how in ("corrected", "uncorrected")),
    *(_column(name, "u8") for name in ("remap_pending", "remap_failed")),
    _STATE,
    _THROTTLE,
]
ONE_SLICE = [_column("memory_bytes", "f64"), *_PROFILING]


class Tick(NamedTuple):
    """A decoded frame: per subject the values by column; None where unknown."""

    time: float
    gpus: dict[str, dict[str, Any]]
    slices: dict[str, dict[str, Any]]


class Encoded(NamedTuple):
    """One tick of one view; a watcher needs both layouts before the frame."""

    layouts: tuple[Layout, Layout]
    frame: bytes


class Encoder:
    """Encodes the samples of one broker; a new layout only where the subjects have changed."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._layouts: dict[tuple[str | None, str], Layout] = {}

    def encode(self, sample: Sample, gpu: str | None = None) -> Encoded:
        """The fleet's view, or the one of `gpu` (a UUID; empty tables where there is no such)."""
        if gpu is None:
            gpus, slices = sample.gpus, sample.slices
        else:
            gpus = [one for one in sample.gpus if one.uuid == gpu]
            slices = [one for one in sample.slices if one.gpu == gpu]
        one = self._layout(gpu, "gpus", [row.uuid for row in gpus])
        two = self._layout(gpu, "slices", [row.slice_id for row in slices])
        head = HEADER.pack(VERSION, 0, one.id, two.id, 0, sample.time)
        body = _columns(one.columns, gpus)
        return Encoded(
            (one, two), b"".join((head, body, _padding(body), _columns(two.columns, slices)))
        )

    def forget(self, gpu: str | None) -> None:
        """Nobody looks at this view any more."""
        self._layouts.pop((gpu, "gpus"), None)
        self._layouts.pop((gpu, "slices"), None)

    def _layout(self, gpu: str | None, table: Any, ids: list[str]) -> Layout:
        known = self._layouts.get((gpu, table))
        if known is None or known.ids != ids:
            fleet, one = (FLEET_GPU, ONE_GPU) if table == "gpus" else (FLEET_SLICE, ONE_SLICE)
            known = Layout(
                id=next(self._ids) & 0xFFFF,
                gpu=gpu,
                table=table,
                ids=ids,
                columns=fleet if gpu is None else one,
            )
            self._layouts[(gpu, table)] = known
        return known


def decode(frame: bytes, layouts: Mapping[int, Layout]) -> Tick | None:
    """The tick; None where its layouts are not among those known (by id): wait for the next."""
    version, _, gpus, slices, _, time = HEADER.unpack_from(frame)
    if version != VERSION or gpus not in layouts or slices not in layouts:
        return None
    first, second = layouts[gpus], layouts[slices]
    end = HEADER.size + len(first.ids) * _width(first.columns)
    start = end + -end % 8
    return Tick(time, _rows(frame, HEADER.size, first), _rows(frame, start, second))


# --- columns --------------------------------------------------------------------------------------


def _columns(columns: Sequence[Column], rows: Sequence[Any]) -> bytes:
    if not rows:
        return b""
    values = zip(*map(attrgetter(*(column.name for column in columns)), rows), strict=True)
    return b"".join(map(_packed, columns, values))


def _packed(column: Column, values: Sequence[Any]) -> bytes:
    unknown = _UNKNOWN.get(column.type)
    if unknown is None:
        raw: list[float] = [math.nan if v is None else v for v in values]
    else:
        if column.labels is not None:
            values = [_labelled(column, value) for value in values]
        top, times = unknown - 1, 1 / column.scale
        raw = [-1 if v is None else int(v * times + 0.5) for v in values]
        if min(raw) < 0 or max(raw) > top:
            raw = [
                unknown if v is None else min(top, max(0, n))
                for v, n in zip(values, raw, strict=True)
            ]
    found = array(_CODES[column.type], raw)
    if sys.byteorder == "big":
        found.byteswap()
    return found.tobytes()


def _labelled(column: Column, value: Any) -> int | None:
    """The place of a label, or one bit for each; a label that is not in the list is unknown."""
    labels = column.labels or []
    if column.flags:
        return None if value is None else sum(1 << labels.index(v) for v in value if v in labels)
    return labels.index(value) if value in labels else None


def _rows(frame: bytes, start: int, layout: Layout) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {subject: {} for subject in layout.ids}
    for column in layout.columns:
        found = array(_CODES[column.type])
        size = len(layout.ids) * found.itemsize
        found.frombytes(frame[start : start + size])
        start += size
        if sys.byteorder == "big":
            found.byteswap()
        for row, raw in zip(rows.values(), found, strict=True):
            row[column.name] = _value(column, raw)
    return rows


def _value(column: Column, raw: float) -> Any:
    if raw == _UNKNOWN.get(column.type) or raw != raw:
        return None
    if column.labels is None:
        return raw * column.scale
    if column.flags:
        return [label for bit, label in enumerate(column.labels) if int(raw) >> bit & 1]
    return column.labels[int(raw)]


def _width(columns: Sequence[Column]) -> int:
    return sum(array(_CODES[column.type]).itemsize for column in columns)


def _padding(body: bytes) -> bytes:
    """The second table begins at a multiple of 8, the header being 16 long."""
    return bytes(-len(body) % 8)
