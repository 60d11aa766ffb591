"""Gauges of now, from what the broker and the sampler say. Pure: it asks nobody."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily

from gpu_workbench import protocol as wire

from .declared import DEVICE, FB_TOTAL, METRICS, MIB, Figure

Gauges = dict[str, GaugeMetricFamily]


def empty() -> Gauges:
    return {
        one.name: GaugeMetricFamily(one.name, one.help, labels=one.labels)
        for one in METRICS
        if one.type == "gauge"
    }


def _word(flag: bool) -> str:
    return "true" if flag else "false"


def fleet(gauges: Gauges, seen: wire.Fleet) -> None:
    for (pool, health), number in Count((gpu.pool, gpu.health) for gpu in seen.gpus).items():
        gauges["gpu_workbench_gpus"].add_metric((pool, health), number)
    for one in seen.pools:
        segments = [
            segment
            for gpu in seen.gpus
            if gpu.pool == one.name and gpu.health == "ok"
            for segment in gpu.segments
        ]
        free = sum(segment.units for segment in segments if segment.lease_id is None)
        whole = sum(gpu.pool == one.name and gpu.health == "ok" for gpu in seen.gpus)
        gauges["gpu_workbench_units"].add_metric((one.name,), float(whole))
        gauges["gpu_workbench_units_free"].add_metric((one.name,), round(free, 3))


def gpus(
    gauges: Gauges, fleet: wire.Fleet, sample: wire.Sample, strangers: Mapping[str, int]
) -> None:
    """What is unknown has no sample. `strangers` are numbers of processes by GPU (UUID)."""
    known = {gpu.uuid: gpu for gpu in fleet.gpus}
    for one in sample.gpus:
        if one.uuid not in known:
            continue
        gpu = known[one.uuid]
        labels = _labels(gpu)
        gauges[FB_TOTAL.name].add_metric((*labels, "", ""), gpu.memory_bytes / MIB)
        for figure in DEVICE:
            whole = (*labels, "", "") if figure.of_instances else labels
            _add(gauges, figure, whole, figure.of(one))
        for reason in one.throttle or ():
            gauges["gpu_workbench_gpu_throttled"].add_metric((*labels, reason), 1)
        if one.uuid in strangers:
            gauges["gpu_workbench_strangers"].add_metric(labels, strangers[one.uuid])


def instances(
    gauges: Gauges, fleet: wire.Fleet, held: Sequence[wire.Lease], sample: wire.Sample
) -> None:
    """Leased MIG instances, as DCGM-exporter names them: beside their GPU, told apart by labels."""
    gpus = {gpu.uuid: gpu for gpu in fleet.gpus}
    slices = {one.id: one for lease in held for one in lease.slices}
    for one in sample.slices:
        if one.gpu_instance is None or one.gpu not in gpus or one.slice_id not in slices:
            continue
        part = slices[one.slice_id]
        profile = part.profile.removeprefix("mig-")
        labels = (*_labels(gpus[one.gpu]), profile, str(one.gpu_instance))
        gauges[FB_TOTAL.name].add_metric(labels, part.memory_bytes / MIB)
        for figure in DEVICE:
            if figure.of_instances:
                _add(gauges, figure, labels, figure.of(one))


def _add(gauges: Gauges, figure: Figure, labels: Sequence[str], value: float | None) -> None:
    if value is not None:
        gauges[figure.declared.name].add_metric(labels, value)


def _labels(gpu: wire.Gpu) -> tuple[str, ...]:
    device = f"nvidia{gpu.index}"
    return (str(gpu.index), gpu.uuid, device, gpu.model, gpu.node, _word(gpu.simulated))


def leases(gauges: Gauges, held: Sequence[wire.Lease]) -> None:
    for labels, number in Count((one.pool, one.profile, one.state) for one in held).items():
        gauges["gpu_workbench_leases"].add_metric(labels, number)
    units_of: dict[tuple[str, str], float] = {}
    for one in held:
        units_of[one.pool, one.user] = units_of.get((one.pool, one.user), 0.0) + one.units
    for whose, units in units_of.items():
        gauges["gpu_workbench_units_held"].add_metric(whose, round(units, 3))


def slices(gauges: Gauges, held: Sequence[wire.Lease], sample: wire.Sample) -> None:
    known = {one.id: (one, lease) for lease in held for one in lease.slices}
    used: dict[tuple[str, str], float] = {}
    for seen in sample.slices:
        if seen.slice_id not in known:
            continue
        one, lease = known[seen.slice_id]
        simulated = _word(one.tier == "simulated")
        labels = (str(seen.lease_id), one.id, one.gpu, one.profile, simulated)
        if seen.activity is not None:
            gauges["gpu_workbench_slice_activity"].add_metric(labels, seen.activity)
            owner = (lease.pool, lease.user)
            used[owner] = used.get(owner, 0.0) + seen.activity * one.units
        if seen.sm_activity is not None:
            gauges["gpu_workbench_slice_sm_activity"].add_metric(labels, seen.sm_activity)
        if seen.memory_bytes is not None:
            gauges["gpu_workbench_slice_memory_bytes"].add_metric(labels, seen.memory_bytes)
    for owner, units in used.items():
        gauges["gpu_workbench_units_used"].add_metric(owner, round(units, 3))


def queue(
    gauges: Gauges, pools: Iterable[str], requests: Sequence[wire.Request], now: float
) -> None:
    waiting: dict[str, list[wire.Request]] = {pool: [] for pool in pools}
    for request in requests:
        if request.state == "queued":
            waiting.setdefault(request.pool, []).append(request)
    for pool, queued in waiting.items():
        gauges["gpu_workbench_requests_queued"].add_metric((pool,), len(queued))
        if queued:
            oldest = max(0.0, now - min(request.created_at for request in queued))
            gauges["gpu_workbench_queue_oldest_seconds"].add_metric((pool,), oldest)
