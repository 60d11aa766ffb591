"""The past: bounded rings at three steps, by range; a lease that ended is still there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpu_workbench import protocol as wire
from gpu_workbench_server.services import history
from gpu_workbench_server.services.history import Histories
from gpu_workbench_server.services.history_rings import Ring

NOON = 1_790_000_040.0
"""The start of a minute."""


def gpu(uuid: str = "GPU-0", **known: Any) -> wire.GpuSample:
    blank: dict[str, Any] = dict.fromkeys(
        ("activity", "memory_bytes", "power_watts", "temperature_c")
    )
    return wire.GpuSample(**({"uuid": uuid} | blank | known))


def part(slice_id: str, activity: float | None = 0.5) -> wire.SliceSample:
    lease = int(slice_id.partition(".")[0])
    return wire.SliceSample(
        slice_id=slice_id, lease_id=lease, activity=activity, memory_bytes=1 << 30, gpu="GPU-0"
    )


def sample(time: float, *gpus: wire.GpuSample, slices: tuple[str, ...] = ()) -> wire.Sample:
    parts = [part(one) for one in slices]
    return wire.Sample(time=time, simulated=True, gpus=list(gpus), slices=parts)


def filled(seconds: int, every: float = 1.0, start: float = NOON) -> Histories:
    """A GPU whose activity climbs from 0 to 1 in each minute, looked at so often."""
    past = Histories()
    for step in range(int(seconds / every)):
        at = start + step * every
        past.put(sample(at, gpu(activity=(at % 60) / 60)))
    return past


def only(found: wire.History, metric: str = "activity") -> wire.Series:
    (one,) = (series for series in found.series if series.metric == metric)
    return one


# --- ranges ---------------------------------------------------------------------------------------


def test_the_last_minutes_are_told_by_the_second() -> None:
    found = filled(300).range(["GPU-0"], NOON + 200, NOON + 300, points=100)
    assert (found.step, found.times[0], len(found.times)) == (1.0, NOON + 200, 100)
    series = only(found)
    assert series.mean[:3] == pytest.approx([20 / 60, 21 / 60, 22 / 60], abs=1e-3)
    assert (series.min, series.max) == (None, None), "they are the mean everywhere"


def test_a_point_over_several_looks_has_the_mean_and_both_extremes() -> None:
    found = filled(600).range(["GPU-0"], NOON, NOON + 600, points=10)
    assert (found.step, len(found.times)) == (60.0, 10)
    series = only(found)
    assert series.min is not None and series.max is not None
    assert series.mean == pytest.approx([29.5 / 60] * 10, abs=1e-3)
    assert series.min == pytest.approx([0.0] * 10, abs=1e-3)
    assert series.max == pytest.approx([59 / 60] * 10, abs=1e-3)
    bare = filled(600).range(["GPU-0"], NOON, NOON + 600, points=10, extremes=False)
    assert only(bare).mean == series.mean and only(bare).max is None


@pytest.mark.parametrize(
    ("span", "step"), [(60, 1), (900, 3), (3600, 12), (6 * 3600, 80), (24 * 3600, 300)]
)
def test_a_range_has_about_as_many_points_as_asked_for(span: int, step: int) -> None:
    end = NOON + 7200
    found = filled(7200).range(["GPU-0"], end - span, end, points=300)
    assert found.step == step
    assert span / step <= len(found.times) <= span / step + 1
    series = only(found)
    assert all(len(column) == len(found.times) for column in (series.mean, series.min or [0] * 0)
               if column)  # fmt: skip
    known = [
        time for time, value in zip(found.times, series.mean, strict=True) if value is not None
    ]
    assert known[0] == pytest.approx(max(NOON, end - span), abs=step)
    assert known[-1] > end - step - 1


def test_what_the_finest_ring_has_lost_comes_from_a_coarser_one() -> None:
    past = filled(3600)
    early = past.range(["GPU-0"], NOON + 60, NOON + 120, points=60)
    assert early.step == 1.0
    mean = only(early).mean
    assert mean[0] == mean[9] == pytest.approx(4.5 / 60, abs=1e-3), "one of ten seconds"
    days = Histories()
    for minute in range(8 * 3600 // 10):
        days.put(sample(NOON + minute * 10, gpu(activity=0.25)))
    old = days.range(["GPU-0"], NOON, NOON + 600, points=10)
    assert only(old).mean == [0.25] * 10, "the ring of 10 s reaches back 6 hours, this is 8"


def test_nobody_watching_leaves_no_gaps_and_a_laptop_that_slept_does() -> None:
    past = filled(60, every=5.0)
    assert None not in only(past.range(["GPU-0"], NOON, NOON + 56, points=56)).mean
    past.put(sample(NOON + 600, gpu(activity=1.0)))
    mean = only(past.range(["GPU-0"], NOON, NOON + 601, points=601)).mean
    assert mean[100] is None and mean[590] is None
    assert mean[591:] == [1.0] * 10, "a look stands for at most ten seconds"


def test_what_was_unknown_is_unknown_and_what_was_never_known_is_left_out() -> None:
    past = Histories()
    past.put(sample(NOON, gpu(activity=0.5), gpu("GPU-1")))
    past.put(sample(NOON + 1, gpu(), gpu("GPU-1")))
    found = past.range(["GPU-0"], NOON, NOON + 2, points=2)
    assert [one.metric for one in found.series] == ["activity"]
    assert only(found).mean == [0.5, None]
    assert past.range(["nobody", "lease:9", "9.0"], NOON, NOON + 2).series == []


def test_every_metric_keeps_its_size_within_a_thousandth() -> None:
    figures: dict[str, Any] = {
        "activity": 0.874,
        "memory_bytes": 180 << 30,
        "power_watts": 1012.5,
        "temperature_c": 61.0,
        "sm_clock_mhz": 1980,
        "memory_clock_mhz": 2619,
        "pcie_tx_bytes_s": 64e9,
        "pcie_rx_bytes_s": 12_345.0,
        "nvlink_tx_bytes_s": 1.8e12,
        "nvlink_rx_bytes_s": 0.0,
        "encoder": 0.01,
        "decoder": 0.5,
        "sm_activity": 0.032,
        "sm_occupancy": 0.11,
        "tensor_activity": 0.0,
        "dram_activity": 1.0,
    }
    past = Histories()
    past.put(sample(NOON, gpu(**figures, throttle=("thermal",))))
    found = {one.metric: one.mean[0] for one in past.range(["GPU-0"], NOON, NOON + 1).series}
    assert found.pop("throttled") == 1.0
    assert found == {name: pytest.approx(value, rel=1e-3) for name, value in figures.items()}


def test_only_the_metrics_that_are_asked_for() -> None:
    past = Histories()
    past.put(sample(NOON, gpu(activity=0.5, power_watts=300.0, throttle=())))
    found = past.range(["GPU-0"], NOON, NOON + 1, metrics=["power_watts", "throttled"])
    assert [(one.metric, one.mean) for one in found.series] == [
        ("power_watts", [300.0]),
        ("throttled", [0.0]),
    ]


# --- subjects -------------------------------------------------------------------------------------


def test_one_call_tells_the_fleet_with_few_enough_points() -> None:
    past = Histories()
    fleet = [gpu(f"GPU-{number}", activity=0.5) for number in range(1000)]
    for second in range(0, 900, 10):
        past.put(sample(NOON + second, *fleet))
    found = past.range(["gpus"], NOON, NOON + 900, points=900, extremes=False)
    assert len(found.series) == 1000
    assert len(found.times) * len(found.series) <= history.MOST_POINTS
    assert {len(one.mean) for one in found.series} == {len(found.times)}


def test_a_gpu_that_comes_or_goes_leaves_the_others_past_alone() -> None:
    past = Histories()
    past.put(sample(NOON, gpu("a", activity=0.1), gpu("b", activity=0.2)))
    past.put(sample(NOON + 1, gpu("b", activity=0.3), gpu("c", activity=0.4)))
    found = past.range(["gpus"], NOON, NOON + 2, points=2)
    assert [(one.subject, one.mean) for one in found.series] == [
        ("b", pytest.approx([0.2, 0.3], abs=1e-3)),
        ("c", [None, pytest.approx(0.4, abs=1e-3)]),
    ]


def test_subjects_are_told_in_the_order_in_which_they_are_asked_for() -> None:
    past = Histories()
    for second in range(1000):
        past.put(
            sample(NOON + second, *(gpu(name, activity=i / 4) for i, name in enumerate("abc")))
        )
    for asked in (["c", "a", "b"], ["b"], ["c", "b"]):
        found = past.range(asked, NOON, NOON + 1000, 1000)
        told = [(one.subject, one.mean[10], one.mean[990]) for one in found.series]
        assert told == [(one, "abc".index(one) / 4, "abc".index(one) / 4) for one in asked]


def test_a_lease_is_all_its_slices_also_after_its_end_for_a_while() -> None:
    past = Histories()
    for second in range(120):
        past.put(sample(NOON + second, gpu(activity=1.0), slices=("7.0", "7.1", "8.0")))
    for second in range(120, 3600, 5):
        past.put(sample(NOON + second, gpu(activity=1.0)))
    found = past.range(["lease:7"], NOON, NOON + 120, points=120, metrics=["activity"])
    assert [one.subject for one in found.series] == ["7.0", "7.1"]
    assert only(past.range(["7.1"], NOON, NOON + 120, metrics=["activity"])).subject == "7.1"
    late = NOON + 120 + history.ENDED_SECONDS
    for second in range(0, 180, 5):
        past.put(sample(late + second, gpu(activity=1.0)))
    assert past.range(["lease:7"], NOON, late).series == []


def test_only_so_many_leases_are_remembered_the_last_ones() -> None:
    past = Histories()
    for number in range(history.ENDED_LEASES + 50):
        past.put(sample(NOON + 60 * number, gpu(activity=1.0), slices=(f"{number}.0",)))
    for number in range(3):
        past.put(sample(NOON + 60 * (1000 + number), gpu(activity=1.0)))
    kept = [
        n
        for n in range(history.ENDED_LEASES + 50)
        if past.range([f"lease:{n}"], NOON, NOON + 1e5).series
    ]
    assert kept == list(range(50, history.ENDED_LEASES + 50))


# --- bounds ---------------------------------------------------------------------------------------


def test_a_ring_holds_its_length_and_no_more_whatever_comes() -> None:
    ring = Ring(100, subjects=1, statistics=1)
    value = {"activity": np.array([[0.5]])}
    sizes = set()
    for step in range(0, 1000, 7):
        ring.put(step, step, value)
        if step > 100:
            sizes.add(ring.nbytes)
    assert sizes == {100 * 2}
    assert ring.oldest == ring.newest - 99
    assert np.count_nonzero(~np.isnan(ring.read(["activity"], 0, 2000))) == 100 // 7 + 1


def test_a_gpu_costs_what_the_documentation_says() -> None:
    past = Histories()
    past.put(sample(NOON, gpu(activity=0.5), slices=("7.0",)))
    past.put(sample(NOON + 7 * 86_400, gpu(activity=0.5), slices=("7.0",)))
    past.put(sample(NOON + 14 * 86_400, gpu(activity=0.5), slices=("7.0",)))
    metrics = 1 + 2
    assert past.nbytes / metrics == pytest.approx(75_240), "docs/developer/telemetry.md: 75 kB"


def test_a_clock_that_was_wrong_does_not_hide_what_comes_after() -> None:
    past = Histories()
    past.put(sample(NOON + 1e6, gpu(activity=1.0)))
    past.put(sample(NOON, gpu(activity=0.5)))
    past.put(sample(NOON + 1, gpu(activity=0.5)))
    assert only(past.range(["GPU-0"], NOON, NOON + 2, points=2)).mean == [0.5, 0.5]
