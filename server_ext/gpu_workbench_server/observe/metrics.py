"""Prometheus metrics, as `declared.METRICS` lists them.

Figures of now are read when somebody scrapes; what happened is counted as it happens. What is
unknown has no sample: it is never exported as 0.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from gpu_workbench import protocol as wire

from ..ports import EventSink, News
from . import gauges
from .declared import METRICS as METRICS

log = logging.getLogger(__name__)

T = TypeVar("T")

CONTENT_TYPE = CONTENT_TYPE_LATEST
_DECISION_BUCKETS = (1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.05, 0.25, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where figures of now come from, seen with an admin's eyes. Called at each scrape."""

    fleet: Callable[[], wire.Fleet]
    leases: Callable[[], Sequence[wire.Lease]]
    requests: Callable[[], Sequence[wire.Request]]
    sample: Callable[[], wire.Sample | None]
    strangers: Callable[[], Mapping[str, int]]
    """Processes without a lease by leased GPU (UUID)."""
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
        return gauges.empty().values()

    def collect(self) -> Iterable[Family]:
        found = gauges.empty()
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
            gauges.fleet(found, fleet)
            if sample is not None:
                gauges.gpus(found, fleet, sample, ask(self._sources.strangers) or {})
        if leases is not None:
            gauges.leases(found, leases)
            if sample is not None:
                gauges.slices(found, leases, sample)
                if fleet is not None:
                    gauges.instances(found, fleet, leases, sample)
        if requests is not None:
            pools = [pool.name for pool in fleet.pools] if fleet is not None else []
            gauges.queue(found, pools, requests, self._sources.now())
        found["gpu_workbench_up"].add_metric((), float(troubles == 0))
        return found.values()
