"""What the devices show, now and lately."""

from __future__ import annotations

from typing import Literal

from .base import Wire

Throttle = Literal[
    "power_cap", "thermal", "hw_slowdown", "power_brake", "sync_boost", "app_clocks", "display"
]
GpuState = Literal["ok", "lost", "unknown"]
ErrorKind = Literal[
    "xid",
    "ecc_corrected",
    "ecc_uncorrected",
    "remapped_corrected",
    "remapped_uncorrected",
    "remap_failed",
]
ProcessOwner = Literal["mine", "other", "stranger", "unknown"]
PROCESS = "process:"
"""What the subject of a process's past begins with."""


class GpuSample(Wire, frozen=True, kw_only=True):
    """One look at a GPU; None is "not told", never 0. Shares run from 0 to 1.

    Figures up to `temperature_c` are of this very tick, those after it a second or a few older.
    """

    uuid: str
    activity: float | None
    """Share of the time in which anything ran: 1.0 may still be 3 % of the SMs."""
    memory_bytes: int | None
    power_watts: float | None
    temperature_c: float | None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    throttle: tuple[Throttle, ...] | None = None
    """Why clocks are lower than they could be; empty: they are not."""
    pcie_tx_bytes_s: float | None = None
    pcie_rx_bytes_s: float | None = None
    nvlink_tx_bytes_s: float | None = None
    nvlink_rx_bytes_s: float | None = None
    encoder: float | None = None
    decoder: float | None = None
    ecc_corrected: int | None = None
    """Errors since the driver was loaded, as `ecc_uncorrected`."""
    ecc_uncorrected: int | None = None
    remapped_corrected: int | None = None
    """Rows of memory replaced for corrected errors since the GPU was made, as
    `remapped_uncorrected`."""
    remapped_uncorrected: int | None = None
    remap_pending: bool | None = None
    """A row is to be replaced at the next reset."""
    remap_failed: bool | None = None
    """No spare row was left."""
    xid: int | None = None
    """The last critical error since the broker started."""
    xid_at: float | None = None
    """When it was heard of, in seconds since the epoch."""
    energy_joules: float | None = None
    """A counter: since the driver was loaded."""
    sm_activity: float | None = None
    """Share of the SMs that had work."""
    sm_occupancy: float | None = None
    """Share of the warps that could be resident."""
    tensor_activity: float | None = None
    """Share of the time in which tensor cores worked."""
    dram_activity: float | None = None
    """Share of the memory bandwidth."""
    state: GpuState = "ok"
    """`lost`: off the bus, or silent until it is reset. `unknown`: the driver does not answer."""
    trouble: str = ""
    """A sentence where the state is not `ok`."""


class SliceSample(Wire, frozen=True, kw_only=True):
    """One look at a leased slice, as `GpuSample`."""

    slice_id: str
    lease_id: int
    activity: float | None
    memory_bytes: int | None
    sm_activity: float | None = None
    sm_occupancy: float | None = None
    tensor_activity: float | None = None
    dram_activity: float | None = None
    gpu: str = ""
    """UUID of the GPU that it is cut from."""
    gpu_instance: int | None = None
    """The driver's number of a MIG instance."""


class ProcessSample(Wire, frozen=True, kw_only=True):
    """A process on a slice, under the name people know it by."""

    slice_id: str | None
    lease_id: int | None
    name: str
    """The notebook's path, the cluster's or the job's name; "another user's process"."""
    pid: int | None
    """None unless it is the reader's own, or the reader is an administrator."""
    activity: float | None
    memory_bytes: int | None
    gpu: str = ""
    """UUID of the GPU."""
    owner: ProcessOwner = "mine"
    """`stranger`: on a leased GPU without a lease. `unknown`: nobody can tell whose it is."""
    command: str | None = None
    """What runs there, for administrators only."""
    subject: str | None = None
    """What its past is asked for by; None as `pid`, and where too many run to remember each."""


class HardwareError(Wire, frozen=True, kw_only=True):
    """What a GPU's hardware did wrong: errors of one kind that came within a minute are one."""

    gpu: str
    """UUID."""
    kind: ErrorKind
    at: float
    """When the first was heard of, in seconds since the epoch."""
    code: int | None = None
    """The number of an XID."""
    count: int = 1
    """Errors, or rows of memory that were replaced."""


class HardwareErrors(Wire, frozen=True, kw_only=True):
    errors: list[HardwareError]
    """Newest first."""


class Sample(Wire, frozen=True, kw_only=True):
    """One tick of the sampler."""

    time: float
    simulated: bool
    gpus: list[GpuSample]
    slices: list[SliceSample]


class Series(Wire, frozen=True, kw_only=True):
    """One metric of one subject over time; None inside a column is "not known"."""

    subject: str
    """A GPU's UUID, a slice's id, or what `ProcessSample.subject` says."""
    metric: str
    mean: list[float | None]
    min: list[float | None] | None
    """None where it is the mean everywhere, or was not asked for; as `max`."""
    max: list[float | None] | None


class History(Wire, frozen=True, kw_only=True):
    """The past of some subjects; every column is as long as `times`."""

    step: float
    """Seconds that each point stands for."""
    times: list[float]
    """When each point begins, oldest first."""
    series: list[Series]


class Processes(Wire, frozen=True, kw_only=True):
    processes: list[ProcessSample]
