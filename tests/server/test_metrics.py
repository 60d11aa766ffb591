"""What Prometheus and an auditor are told: real broker, real store, real exposition format."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest
from jupyter_events import EventLogger
from prometheus_client.parser import text_string_to_metric_families

from gpu_workbench import protocol as wire
from gpu_workbench_server.devices.simulated import SimulatedBackend
from gpu_workbench_server.errors import StoreTrouble
from gpu_workbench_server.observe.events import HOLDER, LEASE, REQUEST, SCHEMAS, AuditEvents
from gpu_workbench_server.observe.metrics import METRICS, Metrics, Sources, render
from gpu_workbench_server.ports import EventSink, News, Principal
from gpu_workbench_server.services.broker import SYSTEM, Broker
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.store.memory import MemoryStore

ADA = Principal("ada")


class Paper:
    """Keeps the news."""

    def __init__(self) -> None:
        self.news: list[News] = []

    def tell(self, news: News) -> None:
        self.news.append(news)


class WallClock:
    def now(self) -> float:
        return time.time()


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
    assert exported["DCGM_FI_DEV_FB_USED"][labels] == 3072.0
    assert exported["DCGM_FI_DEV_GPU_TEMP"][labels] == 41.0


def test_what_a_gpu_tells_seldom_has_dcgms_names_and_units_too(watched: Watched) -> None:
    watched.look(None, None)
    assert watched.sample is not None
    first, *others = watched.sample.gpus
    told = msgspec.structs.replace(
        first,
        energy_joules=2.5,
        xid=79,
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
        "DCGM_FI_PROF_SM_ACTIVE": 0.03,
        "DCGM_FI_DEV_ENC_UTIL": 50.0,
        "DCGM_FI_PROF_PCIE_TX_BYTES": 1e6,
        "gpu_workbench_strangers": 2.0,
    }
    for name, value in expected.items():
        assert list(exported[name].values()) == [value], f"{name}, of the one GPU that tells it"
    reasons = {labels[-1] for labels in exported["gpu_workbench_gpu_throttled"]}
    assert reasons == {"thermal", "power_cap"}


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


# --- audit events -------------------------------------------------------------------------------


@dataclass
class Audited:
    events: AuditEvents
    paper: Paper
    written: io.StringIO

    def read(self) -> list[dict[str, object]]:
        lines = self.written.getvalue().splitlines()
        return [json.loads(line) for line in lines]

    def actions(self) -> list[tuple[object, object]]:
        return [(one["__schema__"], one["action"]) for one in self.read()]


@pytest.fixture
def audited() -> Audited:
    written, paper = io.StringIO(), Paper()
    logger = EventLogger(handlers=[logging.StreamHandler(written)])
    return Audited(AuditEvents(paper, logger, lambda call: call()), paper, written)


def a_job(state: wire.JobState) -> wire.Job:
    return wire.Job(
        id="j1",
        name="train.py",
        state=state,
        user="ada",
        lease_id=4,
        request_id=4,
        ranks=[],
        per_rank="0.5",
        created_at=1.0,
        message="",
        command=[],
    )


def test_an_event_is_emitted_for_what_happens_to_requests_and_leases(
    audited: Audited, watched: Watched
) -> None:
    for news in (
        News("request", "4", "ada", "queued"),
        News("request", "4", "ada", "granted"),
        News("lease", "4", "ada", "granted"),
        News("lease", "4", "ada", "extended"),
        News("request", "5", "bob", "waiting"),
        News("lease", "4", "ada", "ended"),
        News("fleet", "fleet"),
        News("request", "6", "bob", "denied"),
    ):
        audited.events.tell(news)
    assert audited.actions() == [
        (REQUEST, "queued"),
        (REQUEST, "granted"),
        (LEASE, "granted"),
        (LEASE, "extended"),
        (LEASE, "ended"),
        (REQUEST, "denied"),
    ]
    first = audited.read()[0]
    assert (first["id"], first["user"], first["__schema_version__"]) == (4, "ada", "1")
    assert len(audited.paper.news) == 8, "everything is passed on"


def test_a_job_starts_and_ends_once_however_often_it_is_told(audited: Audited) -> None:
    states: list[wire.JobState] = [
        "waiting",
        "starting",
        "running",
        "running",
        "stopping",
        "failed",
        "failed",
    ]
    for state in states:
        audited.events.tell(News("job", "j1", "ada", a_job(state)))
    assert audited.actions() == [(HOLDER, "started"), (HOLDER, "ended")]
    last = audited.read()[-1]
    assert (last["state"], last["name"], last["lease"]) == ("failed", "train.py", 4)


def test_a_job_that_ran_before_the_server_is_found_not_started(audited: Audited) -> None:
    audited.events.tell(News("job", "j1", "ada", a_job("running")))
    assert audited.actions() == [(HOLDER, "found")]


def test_every_event_of_a_real_broker_fits_its_schema(audited: Audited) -> None:
    devices = SimulatedBackend()
    broker = Broker(MemoryStore(), devices, WallClock(), audited.events, Policy())
    broker.start()
    request = broker.ask(ADA, wire.Ask(what="0.5"))
    waiting = broker.ask(ADA, wire.Ask(what="gpu"))
    broker.bind(ADA, request.id, wire.Holder(kind="kernel", id="k", name="a.ipynb"))
    broker.extend(ADA, request.id, 60)
    broker.cancel(ADA, waiting.id)
    broker.release(ADA, request.id)
    broker.clear(request.id)
    devices.close()
    assert audited.actions() == [
        (REQUEST, "queued"),
        (REQUEST, "granted"),
        (LEASE, "granted"),
        (REQUEST, "queued"),
        (LEASE, "bound"),
        (LEASE, "extended"),
        (REQUEST, "cancelled"),
        (LEASE, "ended"),
        (LEASE, "cleared"),
    ]


def test_every_event_has_a_schema_of_its_own_version() -> None:
    assert {path.stem for path in SCHEMAS} == {"request", "lease", "holder"}
    logger = EventLogger()
    for path in SCHEMAS:
        logger.register_event_schema(path)
    assert set(logger.schemas.schema_ids) == {REQUEST, LEASE, HOLDER}


async def test_news_of_any_thread_are_emitted_on_the_event_loop() -> None:
    written = io.StringIO()
    logger = EventLogger(handlers=[logging.StreamHandler(written)])
    heard: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    events = AuditEvents(Paper(), logger, loop.call_soon_threadsafe)

    async def listener(logger: EventLogger, schema_id: str, data: dict[str, object]) -> None:
        heard.put_nowait(str(data["action"]))

    logger.add_listener(schema_id=LEASE, listener=listener)
    thread = threading.Thread(target=events.tell, args=(News("lease", "1", "ada", "granted"),))
    thread.start()
    assert await asyncio.wait_for(heard.get(), 10) == "granted"
    thread.join()


def test_a_handler_that_fails_stops_nobody() -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    paper = Paper()
    events = AuditEvents(paper, EventLogger(handlers=[Broken()]), lambda call: call())
    events.tell(News("lease", "1", "ada", "granted"))
    assert len(paper.news) == 1
