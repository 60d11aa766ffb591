"""The table of all metrics: DCGM-exporter's names where the thing is the same, ours for the rest.

The docs' table is made from it, a test compares it with what is exported. It knows what a sample
holds and not where one comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpu_workbench import protocol as wire

MIB = 1 << 20
GPU = ("gpu", "UUID", "device", "modelName", "Hostname", "simulated")
INSTANCE = ("GPU_I_PROFILE", "GPU_I_ID")
"""Of a leased MIG instance; empty, which to Prometheus is absent, of the GPU as a whole."""
SLICE = ("lease", "slice", "gpu", "profile", "simulated")


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric as the docs list it."""

    name: str
    type: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    help: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of a GPU: `field` of its sample, times so much."""

    declared: Declared
    field: str
    times: float

    @property
    def of_instances(self) -> bool:
        """It is told of leased MIG instances, too."""
        return INSTANCE[0] in self.declared.labels

    def of(self, sample: wire.GpuSample | wire.SliceSample) -> float | None:
        told: float | None = getattr(sample, self.field)
        return None if told is None else told * self.times


def _gpu(name: str, help: str, field: str, times: float = 1.0, instances: bool = False) -> Figure:
    labels = (*GPU, *INSTANCE) if instances else GPU
    return Figure(Declared(f"DCGM_FI_{name}", "gauge", labels, help), field, times)


# DCGM-exporter's names and units. Some of its counters are declared as gauges here: a library that
# knew them as counters would put _total behind the name.
DEVICE = (
    _gpu("DEV_GPU_UTIL", "Activity of a GPU, in percent.", "activity", 100),
    _gpu("DEV_FB_USED", "Memory of a GPU in use, in MiB.", "memory_bytes", 1 / MIB, instances=True),
    _gpu("DEV_POWER_USAGE", "Power that a GPU draws, in watts.", "power_watts"),
    _gpu("DEV_GPU_TEMP", "Temperature of a GPU, in °C.", "temperature_c"),
    _gpu("DEV_SM_CLOCK", "Clock of the SMs, in MHz.", "sm_clock_mhz"),
    _gpu("DEV_MEM_CLOCK", "Clock of the memory, in MHz.", "memory_clock_mhz"),
    _gpu("DEV_ENC_UTIL", "Use of the video encoder, in percent.", "encoder", 100),
    _gpu("DEV_DEC_UTIL", "Use of the video decoder, in percent.", "decoder", 100),
    _gpu(
        "DEV_TOTAL_ENERGY_CONSUMPTION",
        "Energy since the driver was loaded, in mJ; only grows.",
        "energy_joules",
        1000,
    ),
    _gpu("DEV_XID_ERRORS", "The last XID error of a GPU, its number.", "xid"),
    _gpu(
        "DEV_ECC_SBE_VOL_TOTAL",
        "Corrected memory errors since the driver was loaded.",
        "ecc_corrected",
    ),
    _gpu(
        "DEV_ECC_DBE_VOL_TOTAL",
        "Uncorrected memory errors since the driver was loaded.",
        "ecc_uncorrected",
    ),
    _gpu(
        "DEV_CORRECTABLE_REMAPPED_ROWS",
        "Rows of memory that were replaced for corrected errors.",
        "remapped_corrected",
    ),
    _gpu(
        "DEV_UNCORRECTABLE_REMAPPED_ROWS",
        "Rows of memory that were replaced for uncorrected errors.",
        "remapped_uncorrected",
    ),
    _gpu(
        "DEV_ROW_REMAP_PENDING",
        "1 where a row of memory is to be replaced at the next reset.",
        "remap_pending",
    ),
    _gpu("DEV_ROW_REMAP_FAILURE", "1 where no spare row of memory was left.", "remap_failed"),
    _gpu(
        "PROF_PCIE_TX_BYTES",
        "What a GPU sends over PCIe, in bytes a second.",
        "pcie_tx_bytes_s",
    ),
    _gpu(
        "PROF_PCIE_RX_BYTES",
        "What a GPU receives over PCIe, in bytes a second.",
        "pcie_rx_bytes_s",
    ),
    _gpu(
        "PROF_NVLINK_TX_BYTES",
        "What a GPU sends over NVLink, in bytes a second.",
        "nvlink_tx_bytes_s",
    ),
    _gpu(
        "PROF_NVLINK_RX_BYTES",
        "What a GPU receives over NVLink, in bytes a second.",
        "nvlink_rx_bytes_s",
    ),
    _gpu(
        "PROF_GR_ENGINE_ACTIVE",
        "Share of the time in which anything ran, 0 to 1.",
        "activity",
        instances=True,
    ),
    _gpu(
        "PROF_SM_ACTIVE", "Share of the SMs that had work, 0 to 1.", "sm_activity", instances=True
    ),
    _gpu(
        "PROF_SM_OCCUPANCY",
        "Share of the warps that could be resident, 0 to 1.",
        "sm_occupancy",
        instances=True,
    ),
    _gpu(
        "PROF_PIPE_TENSOR_ACTIVE",
        "Share of the time in which tensor cores worked, 0 to 1.",
        "tensor_activity",
        instances=True,
    ),
    _gpu(
        "PROF_DRAM_ACTIVE",
        "Share of the memory bandwidth in use, 0 to 1.",
        "dram_activity",
        instances=True,
    ),
)

FB_TOTAL = Declared(
    "DCGM_FI_DEV_FB_TOTAL", "gauge", (*GPU, *INSTANCE), "Memory that a GPU has, in MiB."
)

METRICS = (
    *(one.declared for one in DEVICE),
    FB_TOTAL,
    Declared(
        "gpu_workbench_gpu_throttled",
        "gauge",
        (*GPU, "reason"),
        "1 for each reason why a GPU's clocks are lower than they could be.",
    ),
    Declared(
        "gpu_workbench_strangers",
        "gauge",
        GPU,
        "Processes on a leased GPU that belong to no lease of it.",
    ),
    Declared(
        "gpu_workbench_up", "gauge", (), "1 while the broker answers, 0 while it is in trouble."
    ),
    Declared("gpu_workbench_gpus", "gauge", ("pool", "health"), "GPUs, by pool and health."),
    Declared("gpu_workbench_units", "gauge", ("pool",), "GPU units of a pool (1 is a whole GPU)."),
    Declared(
        "gpu_workbench_units_free", "gauge", ("pool",), "GPU units of a pool that nobody holds."
    ),
    Declared(
        "gpu_workbench_leases", "gauge", ("pool", "profile", "state"), "Leases that are not over."
    ),
    Declared(
        "gpu_workbench_units_held", "gauge", ("pool", "user"), "GPU units that somebody holds."
    ),
    Declared(
        "gpu_workbench_units_used",
        "gauge",
        ("pool", "user"),
        "GPU units held, each slice's counted by its activity; without those of unknown activity.",
    ),
    Declared("gpu_workbench_requests_queued", "gauge", ("pool",), "Requests that wait."),
    Declared(
        "gpu_workbench_queue_oldest_seconds",
        "gauge",
        ("pool",),
        "How long the longest waiting request of a pool has waited, in seconds.",
    ),
    Declared("gpu_workbench_slice_activity", "gauge", SLICE, "Activity of a leased slice, 0 to 1."),
    Declared(
        "gpu_workbench_slice_sm_activity",
        "gauge",
        SLICE,
        "Share of a leased slice's SMs that had work, 0 to 1.",
    ),
    Declared(
        "gpu_workbench_slice_memory_bytes", "gauge", SLICE, "Memory in use on a leased slice."
    ),
    Declared(
        "gpu_workbench_changes",
        "counter",
        ("type", "kind"),
        "Changes to requests and leases: queued, granted, extended, ended, cleared and so on.",
    ),
    Declared(
        "gpu_workbench_decision_seconds",
        "histogram",
        (),
        "How long the broker took to decide on one event, in seconds.",
    ),
)
