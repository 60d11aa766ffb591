"""Prometheus metrics: DCGM-exporter's names where the thing is the same, ours for the rest.

`METRICS` declares every one of them; the docs' table is made from it and a test compares it with
what is exported. Figures of now are read when somebody scrapes; what happened is counted as it
happens. What is unknown has no sample: it is never exported as 0.
"""

from __future__ import annotations

import logging
import time
from collections import Counter as Count
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from gpu_workbench import protocol as wire

from ..ports import EventSink, News

log = logging.getLogger(__name__)

T = TypeVar("T")

CONTENT_TYPE = CONTENT_TYPE_LATEST
MIB = 1 << 20
_GPU = ("gpu", "UUID", "device", "modelName", "Hostname", "simulated")
_SLICE = ("lease", "slice", "gpu", "profile", "simulated")
_DECISION_BUCKETS = (1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.05, 0.25, 1.0)


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric as the docs list it."""

    name: str
    type: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    help: str


METRICS = (
    Declared("DCGM_FI_DEV_GPU_UTIL", "gauge", _GPU, "Activity of a GPU, in percent."),
    Declared("DCGM_FI_DEV_FB_USED", "gauge", _GPU, "Memory of a GPU in use, in MiB."),
    Declared("DCGM_FI_DEV_POWER_USAGE", "gauge", _GPU, "Power that a GPU draws, in watts."),
    Declared("DCGM_FI_DEV_GPU_TEMP", "gauge", _GPU, "Temperature of a GPU, in °C."),
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
    Declared(
        "gpu_workbench_slice_activity", "gauge", _SLICE, "Activity of a leased slice, 0 to 1."
    ),
    Declared(
        "gpu_workbench_slice_memory_bytes", "gauge", _SLICE, "Memory in use on a leased slice."
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where figures of now come from, seen with an admin's eyes. Called at each scrape."""

    fleet: Callable[[], wire.Fleet]
    leases: Callable[[], Sequence[wire.Lease]]
    requests: Callable[[], Sequence[wire.Request]]
    sample: Callable[[], wire.Sample | None]
    now: Callable[[], float]


class Metrics:
    """Everything that is exported, in a registry of its own: `render(metrics.registry)`."""

    def __init__(self, sources: Sources) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Now(sources))
        declared = {one.name: one for one in METRICS}
        changes = declared["gpu_workbench_changes"]
        self._changes = Counter(changes.name, changes.help, changes.labels, registry=self.registry)
        decision = declared["gpu_workbench_decision_seconds"]
        self._decision = Histogram(
            decision.name, decision.help, registry=self.registry, buckets=_DECISION_BUCKETS
        )

    def decided(self, seconds: float) -> None:
        """The broker took this long to decide on one event."""
        self._decision.observe(seconds)

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Times what happens inside as one decision."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.decided(time.perf_counter() - began)

    def counting(self, sink: EventSink) -> EventSink:
        """The sink, and each change counted on its way."""
        return _Counting(sink, self._changes)


def render(registry: CollectorRegistry) -> bytes:
    """The text that Prometheus reads; send it as `CONTENT_TYPE`."""
    return generate_latest(registry)


class _Counting:
    def __init__(self, sink: EventSink, changes: Counter) -> None:
        self._sink = sink
        self._changes = changes

    def tell(self, news: News) -> None:
        told_again = news.payload == "waiting"  # a place in the queue moved: nothing was decided
        if news.type in ("request", "lease") and isinstance(news.payload, str) and not told_again:
            self._changes.labels(news.type, news.payload).inc()
        self._sink.tell(news)


class _Now(Collector):
    """Gauges, read from the sources at each scrape; a source in trouble costs only its own."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> Iterable[Family]:
        return _gauges().values()

    def collect(self) -> Iterable[Family]:
        gauges = _gauges()
        troubles = 0

        def ask(source: Callable[[], T]) -> T | None:
            nonlocal troubles
            try:
                return source()
            except Exception:
                troubles += 1
                log.warning("a metric's source failed", exc_info=True)
                return None

        fleet, leases = ask(self._sources.fleet), ask(self._sources.leases)
        requests, sample = ask(self._sources.requests), ask(self._sources.sample)
        if fleet is not None:
            _fleet(gauges, fleet)
            if sample is not None:
                _gpus(gauges, fleet, sample)
        if leases is not None:
            _leases(gauges, leases)
            if sample is not None:
                _slices(gauges, leases, sample)
        if requests is not None:
            pools = [pool.name for pool in fleet.pools] if fleet is not None else []
            _queue(gauges, pools, requests, self._sources.now())
        gauges["gpu_workbench_up"].add_metric((), float(troubles == 0))
        return gauges.values()


_Gauges = dict[str, GaugeMetricFamily]


def _gauges() -> _Gauges:
    return {
        one.name: GaugeMetricFamily(one.name, one.help, labels=one.labels)
        for one in METRICS
        if one.type == "gauge"
    }


def _word(flag: bool) -> str:
    return "true" if flag else "false"


def _fleet(gauges: _Gauges, fleet: wire.Fleet) -> None:
    for (pool, health), number in Count((gpu.pool, gpu.health) for gpu in fleet.gpus).items():
        gauges["gpu_workbench_gpus"].add_metric((pool, health), number)
    for one in fleet.pools:
        segments = [
            segment
            for gpu in fleet.gpus
            if gpu.pool == one.name and gpu.health == "ok"
            for segment in gpu.segments
        ]
        free = sum(segment.units for segment in segments if segment.lease_id is None)
        whole = sum(gpu.pool == one.name and gpu.health == "ok" for gpu in fleet.gpus)
        gauges["gpu_workbench_units"].add_metric((one.name,), float(whole))
        gauges["gpu_workbench_units_free"].add_metric((one.name,), round(free, 3))


def _gpus(gauges: _Gauges, fleet: wire.Fleet, sample: wire.Sample) -> None:
    known = {gpu.uuid: gpu for gpu in fleet.gpus}
    for one in sample.gpus:
        gpu = known.get(one.uuid)
        if gpu is None:
            continue
        labels = (
            str(gpu.index),
            gpu.uuid,
            f"nvidia{gpu.index}",
            gpu.model,
            gpu.node,
            _word(gpu.simulated),
        )
        figures = {
            "DCGM_FI_DEV_GPU_UTIL": None if one.activity is None else 100 * one.activity,
            "DCGM_FI_DEV_FB_USED": None if one.memory_bytes is None else one.memory_bytes / MIB,
            "DCGM_FI_DEV_POWER_USAGE": one.power_watts,
            "DCGM_FI_DEV_GPU_TEMP": one.temperature_c,
        }
        for name, value in figures.items():
            if value is not None:
                gauges[name].add_metric(labels, value)


def _leases(gauges: _Gauges, leases: Sequence[wire.Lease]) -> None:
    for labels, number in Count((one.pool, one.profile, one.state) for one in leases).items():
        gauges["gpu_workbench_leases"].add_metric(labels, number)
    held: dict[tuple[str, str], float] = {}
    for one in leases:
        held[one.pool, one.user] = held.get((one.pool, one.user), 0.0) + one.units
    for whose, units in held.items():
        gauges["gpu_workbench_units_held"].add_metric(whose, round(units, 3))


def _slices(gauges: _Gauges, leases: Sequence[wire.Lease], sample: wire.Sample) -> None:
    known = {one.id: (one, lease) for lease in leases for one in lease.slices}
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
        if seen.memory_bytes is not None:
            gauges["gpu_workbench_slice_memory_bytes"].add_metric(labels, seen.memory_bytes)
    for owner, units in used.items():
        gauges["gpu_workbench_units_used"].add_metric(owner, round(units, 3))


def _queue(
    gauges: _Gauges, pools: Iterable[str], requests: Sequence[wire.Request], now: float
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
