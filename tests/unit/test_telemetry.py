"""The sampler: one encoding for all, histories, use in GPU-seconds, and no exception stops it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench_server.domain.fleet import Gpu
from gpu_workbench_server.domain.leases import Slice
from gpu_workbench_server.domain.readings import (
    DeviceProcess,
    GpuReading,
    HardwareError,
    Reading,
    SliceReading,
)
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import NoDevices
from gpu_workbench_server.ports import Held
from gpu_workbench_server.services.telemetry import LONGEST_GAP, WATCHED_SECONDS, Telemetry
from tests.support.waiting import wait_for

GPU = "GPU-1"


@dataclass
class Clock:
    at: float = 1_000_000.0

    def now(self) -> float:
        return self.at


@dataclass
class Devices:
    """A backend that shows what it is told to."""

    activity: dict[str, float | None] = field(default_factory=dict)
    processes: tuple[DeviceProcess, ...] = ()
    errors: tuple[HardwareError, ...] = ()
    fault: Exception | None = None
    slowly: Callable[[], object] = lambda: None
    reads: int = 0
    slow_reads: int = 0
    simulated: bool = True

    def inventory(self) -> Sequence[Gpu]:
        return []

    def read(self, held: Sequence[Held]) -> Reading:
        self.reads += 1
        if self.fault is not None:
            raise self.fault
        return Reading(
            gpus=(GpuReading(GPU, 0.5, 1 << 30, 300.0, 50.0),),
            slices=tuple(
                SliceReading(one.id, self.activity.get(one.id, 0.0), 1 << 20)
                for lease in held
                for one in lease.slices
            ),
            processes=self.processes,
        )

    def read_slow(self) -> Sequence[HardwareError]:
        self.slow_reads += 1
        self.slowly()
        told, self.errors = self.errors, ()
        return told

    def processes_of(self, lease: Held) -> list[int]:
        return []

    def close(self) -> None: ...


@dataclass
class Bench:
    """A telemetry with its hands on everything around it; `step` lets time pass and looks."""

    clock: Clock = field(default_factory=Clock)
    devices: Devices = field(default_factory=Devices)
    held: list[Held] = field(default_factory=list)
    sent: list[wire.Sample] = field(default_factory=list)
    telemetry: Telemetry = field(init=False)

    def __post_init__(self) -> None:
        self.telemetry = Telemetry(
            self.devices, lambda: list(self.held), self.clock, self.sent.append
        )

    def step(self, seconds: float = 1.0) -> wire.Sample:
        self.clock.at += seconds
        return self.telemetry.tick()


def held(lease_id: int, *slices: str, share: float = 0.5) -> Held:
    return Held(lease_id, tuple(a_slice(one, share) for one in slices), {})


def a_slice(slice_id: str, share: float = 0.5) -> Slice:
    parts = round(PARTS * share)
    return Slice(slice_id, GPU, f"fraction-{share}", "fraction", parts, 1 << 30, "simulated", "")


# --- one sample for all -------------------------------------------------------------------------


def test_a_sample_goes_to_all_who_want_it_with_the_gpu_and_lease_of_each_slice() -> None:
    bench = Bench(held=[held(7, "7.0")])
    sample = bench.step()
    assert bench.sent == [sample] and bench.telemetry.latest() is sample
    assert sample.simulated
    assert [(one.slice_id, one.lease_id, one.gpu) for one in sample.slices] == [("7.0", 7, GPU)]


def test_it_looks_often_only_while_somebody_watches() -> None:
    telemetry = Bench().telemetry
    assert telemetry.period == 5.0
    telemetry.watch()
    telemetry.watch()
    assert telemetry.period == 0.5
    telemetry.unwatch()
    assert telemetry.period == 0.5
    telemetry.unwatch()
    telemetry.unwatch()  # one too many does no harm
    assert telemetry.period == 5.0


def test_who_asks_again_and_again_counts_as_watching_for_a_while() -> None:
    clock = Clock()
    telemetry = Telemetry(Devices(), lambda: [], clock, lambda _: None)
    idle = telemetry.period
    telemetry.glance()
    assert telemetry.period < idle
    clock.at += idle
    assert telemetry.period == idle


def test_a_glance_counts_before_the_sampler_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it could sleep as long as without: it asks for how long once it has looked."""
    telemetry = Bench().telemetry
    periods: list[float] = []
    monkeypatch.setattr(telemetry, "_wake", lambda: periods.append(telemetry.period))
    telemetry.glance()
    assert periods == [WATCHED_SECONDS]


def test_who_comes_to_watch_gets_a_sample_at_once() -> None:
    bench = Bench()
    bench.telemetry.start()
    try:
        wait_for(lambda: bench.sent)
        seen = len(bench.sent)
        bench.telemetry.watch()
        wait_for(lambda: len(bench.sent) > seen, seconds=4.5, what="a sample before its time")
        reads = bench.devices.reads
        wait_for(lambda: bench.devices.reads >= reads + 3, seconds=12.0, what="2 a second")
    finally:
        bench.telemetry.stop()
    reads = bench.devices.reads
    bench.telemetry.stop()
    assert bench.devices.reads == reads


def test_what_runs_has_a_past_under_the_name_that_the_list_of_processes_gives() -> None:
    bench = Bench(held=[held(7, "a")])
    bench.devices.processes = (DeviceProcess(101, GPU, 5 << 20, 0.25, lease_id=7, started=1e6),)
    bench.step()
    (one,) = bench.telemetry.processes([], admin=True)
    assert one.subject is not None
    now = bench.clock.at
    found = bench.telemetry.history([one.subject], now, now + 1, 1)
    assert {series.metric: series.mean for series in found.series} == {
        "activity": [0.25],
        "memory_bytes": [pytest.approx(5 << 20, rel=1e-3)],
    }


# --- troubles -----------------------------------------------------------------------------------


def test_a_backend_that_fails_leaves_everything_unknown_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(held=[held(7, "a")])
    bench.step()
    bench.devices.fault = NoDevices("the driver is gone")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            sample = bench.step()
        bench.devices.fault = ValueError("a defect")
        bench.step()
    assert [(gpu.uuid, gpu.activity, gpu.memory_bytes) for gpu in sample.gpus] == [
        (GPU, None, None)
    ]
    assert [(one.slice_id, one.activity) for one in sample.slices] == [("a", None)]
    assert len(bench.sent) == 5
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "the driver is gone" in told[0] and "a defect" in told[1]
    bench.devices.fault = None
    assert bench.step().gpus[0].activity == 0.5


@pytest.mark.parametrize("broken", ["held", "on_sample"])
def test_nothing_around_it_stops_the_sampler(broken: str) -> None:
    def fail(*_: object) -> list[Held]:
        raise RuntimeError("not today")

    held: Callable[[], list[Held]] = fail if broken == "held" else list
    sink: Callable[[wire.Sample], object] = fail if broken == "on_sample" else id
    telemetry = Telemetry(Devices(), held, Clock(), sink)
    assert telemetry.tick().gpus[0].activity == 0.5
    assert telemetry.tick().gpus[0].activity == 0.5


# --- use ----------------------------------------------------------------------------------------


def test_use_is_activity_times_share_times_time() -> None:
    bench = Bench(held=[held(7, "a", "b", share=0.25), held(8, "c", share=0.5)])
    bench.devices.activity = {"a": 1.0, "b": 0.5, "c": 0.0}
    bench.step()
    for _ in range(10):
        bench.step(1.0)
    assert bench.telemetry.take_used() == {7: pytest.approx(3.75), 8: 0.0}


def test_use_is_a_total_so_far_and_told_only_when_it_was_measured_again() -> None:
    bench = Bench(held=[held(7, "a")])
    bench.devices.activity = {"a": 1.0}
    bench.step()
    bench.step()
    assert bench.telemetry.take_used() == {7: pytest.approx(0.5)}
    assert bench.telemetry.take_used() == {}
    bench.step()
    assert bench.telemetry.take_used() == {7: pytest.approx(1.0)}


def test_use_goes_on_from_what_was_measured_before_a_restart() -> None:
    bench = Bench(held=[held(7, "a")])
    bench.devices.activity = {"a": 1.0}
    again = Telemetry(bench.devices, lambda: bench.held, bench.clock, id, {7: 100.0})
    assert again.take_used() == {}
    again.tick()
    bench.clock.at += 2
    again.tick()
    assert again.take_used() == {7: pytest.approx(101.0)}


def test_a_lease_that_is_over_is_told_one_last_time() -> None:
    bench = Bench(held=[held(7, "a")])
    bench.devices.activity = {"a": 1.0}
    bench.step()
    bench.step()
    bench.held.clear()
    bench.step()
    assert bench.telemetry.take_used() == {7: pytest.approx(0.5)}
    assert bench.telemetry.take_used() == {}


def test_unknown_activity_counts_as_nothing_and_not_as_zero() -> None:
    bench = Bench(held=[held(7, "a")])
    bench.devices.activity = {"a": None}
    bench.step()
    bench.step()
    assert bench.telemetry.take_used() == {}


def test_a_laptop_that_slept_has_not_computed() -> None:
    bench = Bench(held=[held(7, "a", share=1.0)])
    bench.devices.activity = {"a": 1.0}
    bench.step()
    bench.step(8 * 3600)
    assert bench.telemetry.take_used() == {7: pytest.approx(LONGEST_GAP)}


# --- two lanes ----------------------------------------------------------------------------------


def test_the_slow_lane_looks_more_often_while_somebody_holds_a_mig_instance() -> None:
    """What an instance does is told by nothing else."""

    class Cut(Devices):
        def read(self, held: Sequence[Held]) -> Reading:
            told = super().read(held)
            return Reading(told.gpus, tuple(one._replace(gpu_instance=3) for one in told.slices))

    for devices, seconds in ((Devices(), 2.0), (Cut(), 1.0)):
        bench = Bench(devices=devices, held=[held(7, "7.0")])
        bench.telemetry.watch()
        bench.telemetry.tick_slow()
        bench.telemetry.tick_slow()
        bench.step()
        assert bench.telemetry.slow_period == seconds
        bench.telemetry.unwatch()
        assert bench.telemetry.slow_period == 5.0


def test_a_driver_that_takes_its_time_in_the_slow_lane_delays_no_sample() -> None:
    """The PCIe window, or a call that hangs: `read_slow` blocks here until the test lets it go."""
    release = threading.Event()
    bench = Bench()
    bench.devices.slowly = lambda: release.wait(30)
    bench.telemetry.watch()
    began = time.monotonic()
    bench.telemetry.start()
    try:
        wait_for(lambda: bench.devices.slow_reads == 1)
        wait_for(lambda: len(bench.sent) >= 4, seconds=25)
        assert bench.devices.slow_reads == 1, "the slow lane was to hang"
        assert time.monotonic() - began < 25
    finally:
        release.set()
        bench.telemetry.stop()


def test_the_slow_lane_looks_twice_at_once_because_a_rate_takes_two_looks() -> None:
    bench = Bench()
    bench.telemetry.start()
    try:
        wait_for(lambda: bench.devices.slow_reads >= 2, seconds=4.5)
    finally:
        bench.telemetry.stop()


def test_a_hardware_error_is_kept_though_nobody_watches() -> None:
    bench = Bench()
    bench.devices.errors = (HardwareError(GPU, "xid", 1000.0, 79),)
    bench.telemetry.tick_slow()
    bench.telemetry.tick_slow()
    assert [(one.kind, one.code, one.count) for one in bench.telemetry.errors(GPU)] == [
        ("xid", 79, 1)
    ]


def test_a_slow_lane_that_fails_is_logged_once_and_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()

    def fail() -> None:
        raise NoDevices("The driver is gone.", "Load it.")

    bench.devices.slowly = fail
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            bench.telemetry.tick_slow()
    assert caplog.text.count("The driver is gone.") == 1
    assert bench.devices.slow_reads == 3
