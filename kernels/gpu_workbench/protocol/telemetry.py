"""What the devices show, now and lately."""

from __future__ import annotations

from .base import Wire


class GpuSample(Wire, frozen=True, kw_only=True):
    uuid: str
    activity: float | None
    memory_bytes: int | None
    power_watts: float | None
    temperature_c: float | None


class SliceSample(Wire, frozen=True, kw_only=True):
    slice_id: str
    lease_id: int
    activity: float | None
    memory_bytes: int | None


class ProcessSample(Wire, frozen=True, kw_only=True):
    """A process on a slice, under the name people know it by."""

    slice_id: str | None
    lease_id: int | None
    name: str
    pid: int | None
    """None unless it is the reader's own."""
    activity: float | None
    memory_bytes: int | None


class Sample(Wire, frozen=True, kw_only=True):
    """One tick of the sampler, the same bytes for every watcher."""

    time: float
    simulated: bool
    gpus: list[GpuSample]
    slices: list[SliceSample]


class History(Wire, frozen=True, kw_only=True):
    """Columns of one GPU's or slice's recent past; equal lengths."""

    subject: str
    times: list[float]
    activity: list[float | None]
    memory_bytes: list[int | None]


class Processes(Wire, frozen=True, kw_only=True):
    processes: list[ProcessSample]
