"""What Prometheus is told: real broker, real store, real exposition format."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gpu_workbench import protocol as wire
from gpu_workbench_server.devices.simulated import SimulatedBackend
from gpu_workbench_server.errors import StoreTrouble
from gpu_workbench_server.observe.metrics import METRICS, Metrics, Sources, render
from gpu_workbench_server.ports import EventSink, News, Principal
from gpu_workbench_server.services.broker import SYSTEM, Broker
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.store.memory import MemoryStore
from tests.support.news import Paper, WallClock

ADA = Principal("ada")


@dataclass
class Late:
    """A sink that is put in after the broker was made."""

    to: EventSink = field(default_factory=Paper)

    def tell(self, news: News) -> None:
        self.to.tell(news)


class Watched:
    """A broker on the default simulated fleet, and its metrics."""

    def __init__(self) -> None:
        self.paper, sink, clock = Paper(), Late(), WallClock()
        self.devices = SimulatedBackend()
        self.broker = Broker(MemoryStore(), self.devices, clock, sink, Policy())
        self.broker.start()
        self.sample: wire.Sample | None = None
        self.strangers: dict[str, int] = {}
        self.metrics = Metrics(
            Sources(
                fleet=lambda: self.broker.fleet(SYSTEM),
                leases=lambda: self.broker.leases(SYSTEM),
                requests=lambda: self.broker.requests(SYSTEM),
                sample=lambda: self.sample,
                strangers=lambda: self.strangers,
                now=clock.now,
            )
        )
        sink.to = self.metrics.counting(self.paper)

    def ask(self, what: str) -> wire.Request:
        return self.broker.ask(ADA, wire.Ask(what=what))

    def exported(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Samples by name, then by the labels' values in their declared order."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        declared = {one.name: one.labels for one in METRICS}
        for family in text_string_to_metric_families(render(self.metrics.registry).decode()):
            for sample in family.samples:
                names = declared.get(family.name, tuple(sample.labels))
                values = tuple(sample.labels[name] for name in names if name in sample.labels)
                found.setdefault(sample.name, {})[values] = sample.value
        return found

    def look(self, activity: float | None, memory: int | None) -> None:
        """A sample of everything, as the sampler makes it."""
        gpus = [
            wire.GpuSample(
                uuid=gpu.uuid,
                activity=activity,
                memory_bytes=memory,
                power_watts=None,
                temperature_c=41.0,
            )
            for gpu in self.broker.fleet(SYSTEM).gpus
        ]
        slices = [
            wire.SliceSample(
                slice_id=one.id, lease_id=lease.id, activity=activity, memory_bytes=memory
            )
            for lease in self.broker.leases(SYSTEM)
            for one in lease.slices
        ]
        self.sample = wire.Sample(time=1.0, simulated=True, gpus=gpus, slices=slices)


@pytest.fixture
def watched() -> Iterator[Watched]:
    one = Watched()
    yield one
    one.devices.close()


# --- metrics ------------------------------------------------------------------------------------


def test_exactly_the_declared_metrics_are_exported_with_their_types_labels_and_help(
    watched: Watched,
) -> None:
    watched.ask("20GB")
    watched.look(0.5, 1 << 30)
    with watched.metrics.deciding():
        pass
    text = render(watched.metrics.registry).decode()
    exported = {family.name: family for family in text_string_to_metric_families(text)}
    own = {name for name in exported if not name.endswith("_created")}
    assert own == {one.name for one in METRICS}
    for one in METRICS:
        family = exported[one.name]
        assert (family.type, family.documentation) == (one.type, one.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(one.labels), one.name


def test_gpus_are_told_under_the_names_and_units_of_the_dcgm_exporter(watched: Watched) -> None:
    watched.look(0.25, 3 << 30)
    exported = watched.exported()
    gpu = watched.broker.fleet(SYSTEM).gpus[1]
    labels = ("1", gpu.uuid, "nvidia1", gpu.model, "localhost", "true")
    assert exported["DCGM_FI_DEV_GPU_UTIL"][labels] == 25.0
    assert exported["DCGM_FI_DEV_FB_USED"][(*labels, "", "")] == 3072.0
    assert exported["DCGM_FI_DEV_GPU_TEMP"][labels] == 41.0
    whole = exported["DCGM_FI_DEV_FB_TOTAL"][(*labels, "", "")]
    assert whole == gpu.memory_bytes / (1 << 20), "so that use can be told as a share"


def test_what_a_gpu_tells_seldom_has_dcgms_names_and_units_too(watched: Watched) -> None:
    watched.look(None, None)
    assert watched.sample is not None
    first, *others = watched.sample.gpus
    told = msgspec.structs.replace(
        first,
        energy_joules=2.5,
        xid=79,
        remapped_uncorrected=2,
        remap_failed=True,
        sm_activity=0.03,
        encoder=0.5,
        pcie_tx_bytes_s=1e6,
        throttle=("thermal", "power_cap"),
    )
    watched.sample = msgspec.structs.replace(watched.sample, gpus=[told, *others])
    watched.strangers = {first.uuid: 2}
    exported = watched.exported()
    expected = {
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 2500.0,  # mJ
        "DCGM_FI_DEV_XID_ERRORS": 79.0,
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": 2.0,
        "DCGM_FI_DEV_ROW_REMAP_FAILURE": 1.0,
        "DCGM_FI_PROF_SM_ACTIVE": 0.03,
        "DCGM_FI_DEV_ENC_UTIL": 50.0,
        "DCGM_FI_PROF_PCIE_TX_BYTES": 1e6,
        "gpu_workbench_strangers": 2.0,
    }
    for name, value in expected.items():
        assert list(exported[name].values()) == [value], f"{name}, of the one GPU that tells it"
    reasons = {labels[-1] for labels in exported["gpu_workbench_gpu_throttled"]}
    assert reasons == {"thermal", "power_cap"}


def test_a_leased_mig_instance_stands_beside_its_gpu_under_dcgms_labels(watched: Watched) -> None:
    request = watched.ask("1g.10gb")
    watched.look(0.5, 1 << 30)
    assert watched.sample is not None
    (one,) = watched.sample.slices
    gpu = next(
        gpu
        for gpu in watched.broker.fleet(SYSTEM).gpus
        if gpu.uuid == watched.broker.lease(ADA, request.id).slices[0].gpu
    )
    instance = msgspec.structs.replace(one, gpu=gpu.uuid, gpu_instance=7, sm_activity=0.25)
    watched.sample = msgspec.structs.replace(watched.sample, slices=[instance])
    exported = watched.exported()
    labels = (str(gpu.index), gpu.uuid, f"nvidia{gpu.index}", gpu.model, "localhost", "true")
    told = {
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE": 0.5,
        "DCGM_FI_PROF_SM_ACTIVE": 0.25,
        "DCGM_FI_DEV_FB_USED": 1024.0,
        "DCGM_FI_DEV_FB_TOTAL": 10 * 1024.0,
    }
    for name, value in told.items():
        assert exported[name][(*labels, "1g.10gb", "7")] == value
    assert (*labels, "1g.10gb", "7") not in exported["DCGM_FI_DEV_GPU_UTIL"], "as with DCGM"


def test_what_is_unknown_has_no_sample_and_is_never_0(watched: Watched) -> None:
    watched.ask("20GB")
    watched.look(None, None)
    exported = watched.exported()
    for name in (
        "DCGM_FI_DEV_GPU_UTIL",
        "DCGM_FI_DEV_FB_USED",
        "DCGM_FI_DEV_POWER_USAGE",
        "gpu_workbench_slice_activity",
        "gpu_workbench_slice_memory_bytes",
    ):
        assert name not in exported


def test_leases_units_and_the_queue_are_told_per_pool(watched: Watched) -> None:
    assert watched.exported()["gpu_workbench_units_free"] == {("default",): 2.0}
    lease = watched.ask("0.25")
    assert watched.ask("gpu").state == "queued"
    exported = watched.exported()
    assert exported["gpu_workbench_units"] == {("default",): 2.0}
    assert exported["gpu_workbench_units_free"] == {("default",): 1.75}
    assert exported["gpu_workbench_leases"] == {("default", "fraction-0.25", "active"): 1.0}
    assert exported["gpu_workbench_units_held"] == {("default", "ada"): 0.25}
    assert exported["gpu_workbench_requests_queued"] == {("default",): 1.0}
    assert 0 <= exported["gpu_workbench_queue_oldest_seconds"][("default",)] < 60
    assert exported["gpu_workbench_gpus"] == {("default", "ok"): 2.0}
    watched.broker.release(ADA, lease.id)
    watched.broker.clear(lease.id)
    exported = watched.exported()
    assert exported["gpu_workbench_leases"] == {("default", "whole", "active"): 1.0}
    assert exported["gpu_workbench_requests_queued"] == {("default",): 0.0}


def test_the_load_of_a_slice_is_told_with_its_lease(watched: Watched) -> None:
    request = watched.ask("1g.10gb")
    watched.look(0.5, 7)
    one = watched.broker.lease(ADA, request.id).slices[0]
    labels = (str(request.id), one.id, one.gpu, "mig-1g.10gb", "true")
    assert watched.exported()["gpu_workbench_slice_activity"] == {labels: 0.5}
    assert watched.exported()["gpu_workbench_slice_memory_bytes"] == {labels: 7.0}


def test_what_somebody_holds_and_uses_is_told_in_gpu_units(watched: Watched) -> None:
    for what in ("0.25", "0.25", "1g.10gb"):
        watched.ask(what)
    watched.look(0.5, 7)
    held = 2 * 0.25 + 1 / 7
    assert watched.exported()["gpu_workbench_units_held"] == {("default", "ada"): round(held, 3)}
    assert watched.exported()["gpu_workbench_units_used"] == {
        ("default", "ada"): round(held / 2, 3)
    }
    watched.look(None, 7)
    assert "gpu_workbench_units_used" not in watched.exported()


def test_changes_are_counted_once_on_their_way_to_the_next_sink(watched: Watched) -> None:
    request = watched.ask("0.25")
    watched.ask("gpu")
    watched.broker.extend(ADA, request.id, 60)
    watched.broker.release(ADA, request.id)
    counted = watched.exported()["gpu_workbench_changes_total"]
    assert counted["request", "queued"] == 2
    assert counted["lease", "granted"] == 1
    assert counted["lease", "extended"] == 1
    assert counted["lease", "ended"] == 1
    assert ("request", "waiting") not in counted
    assert any(news.type == "fleet" for news in watched.paper.news), "everything is passed on"


def test_decisions_are_timed(watched: Watched) -> None:
    watched.metrics.decided(0.0004)
    exported = watched.exported()
    assert exported["gpu_workbench_decision_seconds_count"][()] == 1
    assert exported["gpu_workbench_decision_seconds_sum"][()] == pytest.approx(0.0004)


def test_a_source_in_trouble_costs_its_own_metrics_only_and_is_said(watched: Watched) -> None:
    assert watched.exported()["gpu_workbench_up"] == {(): 1.0}

    def broken() -> list[wire.Lease]:
        raise StoreTrouble("The disk is full.")

    sources = Sources(
        fleet=lambda: watched.broker.fleet(SYSTEM),
        leases=broken,
        requests=lambda: [],
        sample=lambda: None,
        strangers=dict,
        now=time.time,
    )
    watched.metrics = Metrics(sources)
    exported = watched.exported()
    assert exported["gpu_workbench_up"] == {(): 0.0}
    assert exported["gpu_workbench_units"] == {("default",): 2.0}
