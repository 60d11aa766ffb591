"""What one look at the devices shows. Every figure is optional: None is "not told", never 0.

Rates and shares run from 0 to 1, sizes are bytes. Knows no device library, no wire and no clock.

Where a figure comes from decides how old it may be: *fast* ones are from this very look, *slow*
and *profiling* ones from the last round of the slow lane, a second or a few ago.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Throttle = Literal[
    "power_cap", "thermal", "hw_slowdown", "power_brake", "sync_boost", "app_clocks", "display"
]
"""Why clocks are below what they could be. `thermal` is by software or hardware; `hw_slowdown` is
any of the hardware's own reasons, `power_brake` the power supply's."""

GpuState = Literal["ok", "lost", "unknown"]
"""`lost`: off the bus, or silent until it is reset. `unknown`: the driver does not answer."""

ErrorKind = Literal[
    "xid",
    "ecc_corrected",
    "ecc_uncorrected",
    "remapped_corrected",
    "remapped_uncorrected",
    "remap_failed",
]
"""What hardware does wrong, by the field of `GpuReading` that shows it."""

ProcessKind = Literal["compute", "graphics", "mps"]
"""`graphics` only draws; `mps` is a client or the server of MPS."""


class GpuReading(NamedTuple):
    """One sample of a GPU. A tuple, as are slices': many are made each second."""

    uuid: str
    # fast
    activity: float | None = None
    """Share of the time in which anything ran: 1.0 may still be 3 % of the SMs."""
    memory_bytes: int | None = None
    power_watts: float | None = None
    temperature_c: float | None = None
    # slow
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    throttle: tuple[Throttle, ...] | None = None
    """Empty: clocks are free."""
    pcie_tx_bytes_s: float | None = None
    pcie_rx_bytes_s: float | None = None
    nvlink_tx_bytes_s: float | None = None
    nvlink_rx_bytes_s: float | None = None
    encoder: float | None = None
    decoder: float | None = None
    ecc_corrected: int | None = None
    """Since the driver was loaded, as `ecc_uncorrected`."""
    ecc_uncorrected: int | None = None
    remapped_corrected: int | None = None
    """Rows of memory that were replaced by spare ones, for errors that could be corrected; since
    the GPU was made, as `remapped_uncorrected`."""
    remapped_uncorrected: int | None = None
    remap_pending: bool | None = None
    """A row is to be replaced at the next reset."""
    remap_failed: bool | None = None
    """No spare row was left: the GPU is to be replaced itself."""
    xid: int | None = None
    """The last critical error since the broker started."""
    xid_at: float | None = None
    """When it was heard of, in seconds since the epoch."""
    energy_joules: float | None = None
    """A counter: since the driver was loaded."""
    # profiling
    sm_activity: float | None = None
    """Share of the SMs that had work."""
    sm_occupancy: float | None = None
    """Share of the warps that could be resident."""
    tensor_activity: float | None = None
    """Share of the time in which tensor cores worked."""
    dram_activity: float | None = None
    """Share of the memory bandwidth."""
    # as a whole
    state: GpuState = "ok"
    trouble: str = ""
    """A sentence for people where the state is not `ok`."""


class SliceReading(NamedTuple):
    """One sample of a leased slice; profiling figures where it is a MIG instance or a whole GPU."""

    slice_id: str
    activity: float | None = None
    memory_bytes: int | None = None
    sm_activity: float | None = None
    sm_occupancy: float | None = None
    tensor_activity: float | None = None
    dram_activity: float | None = None
    gpu_instance: int | None = None
    """The driver's number of a MIG instance."""


@dataclass(frozen=True, slots=True)
class DeviceProcess:
    """A process that the device shows. `slice_id`/`lease_id` where the backend can tell."""

    pid: int
    gpu: str
    memory_bytes: int | None = None
    activity: float | None = None
    instance: str | None = None
    """MIG instance's UUID."""
    slice_id: str | None = None
    lease_id: int | None = None
    kind: ProcessKind = "compute"
    command: str | None = None
    """What runs there, of a process without a lease; None where it can't be seen from here."""
    started: float | None = None
    """When it began, in seconds since the epoch; None where that can't be seen from here."""


@dataclass(frozen=True, slots=True)
class HardwareError:
    """What a GPU's hardware did wrong between two looks."""

    gpu: str
    kind: ErrorKind
    at: float
    """When it was heard of, in seconds since the epoch."""
    code: int | None = None
    """The number of an XID."""
    count: int = 1
    """Errors, or rows that were remapped."""


class Reading(NamedTuple):
    """What one look at all devices showed."""

    gpus: tuple[GpuReading, ...] = ()
    slices: tuple[SliceReading, ...] = ()
    processes: tuple[DeviceProcess, ...] = ()
