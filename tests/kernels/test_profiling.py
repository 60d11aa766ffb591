"""`%%gpu_profile`: what a cell did to its slice, in a line; nothing is invented."""

from __future__ import annotations

import re
import sys
import types
from typing import Any

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench.client import Client, get_client
from gpu_workbench.profiling import CellProfile, Profiler, torch_peak
from gpu_workbench.tally import Tally
from tests.kernels.talk import run_in_kernel
from tests.support.lab import LabServer

GB = 1 << 30
BURN = (
    "import time\ndata = b'x' * (200 << 20)\nend = time.time() + 3\nwhile time.time() < end: pass"
)


HOLD = "import time\ndata = b'x' * (200 << 20)\ntime.sleep(3)"


def lease(kind: str = "mig", tier: str = "mig") -> wire.Lease:
    one: Any = wire.Slice(
        id="s1",
        gpu="GPU-1",
        kind=kind,  # type: ignore[arg-type]
        profile="mig-1g.10gb",
        memory_bytes=10 * GB,
        units=1 / 7,
        visible_device="MIG-1",
        tier=tier,  # type: ignore[arg-type]
    )
    return wire.Lease(
        id=7,
        state="active",
        user="ada",
        mine=True,
        pool="default",
        profile=one.profile,
        slices=[one],
        units=one.units,
        purpose="kernel",
        name="",
        granted_at=0.0,
        ends_at=100.0,
    )


def sample(time: float, use: float | None, memory: float | None, **more: Any) -> wire.Sample:
    gpu = {"activity": None, "memory_bytes": None, "power_watts": None, "temperature_c": None}
    gpu |= more.pop("gpu", {})
    gpus = [wire.GpuSample(uuid="GPU-1", **gpu), wire.GpuSample(uuid="GPU-2", **gpu)]
    bytes_ = None if memory is None else int(memory * GB)
    mine = wire.SliceSample(slice_id="s1", lease_id=7, activity=use, memory_bytes=bytes_, **more)
    other = wire.SliceSample(slice_id="s2", lease_id=8, activity=1.0, memory_bytes=99 * GB)
    return wire.Sample(time=time, simulated=False, gpus=gpus, slices=[mine, other])


# --- adding up ----------------------------------------------------------------------------------


def test_use_counts_from_the_second_sample_and_memory_from_the_first() -> None:
    tally = Tally(lease())
    for moment, use, memory in ((1.0, 1.0, 6.0), (1.5, 0.2, 2.0), (1.5, 0.9, 9.0), (2.0, 0.4, 1.0)):
        tally.add(sample(moment, use, memory))
    assert tally.samples == 3, "the same sample twice is one"
    assert tally.use == pytest.approx(0.3), "the first sample began before the cell"
    assert tally.peak_bytes == 6 * GB


def test_what_no_sample_tells_stays_unknown() -> None:
    tally = Tally(lease())
    tally.add(sample(1.0, None, None))
    tally.add(sample(2.0, None, None))
    assert (tally.use, tally.sm_activity, tally.peak_bytes, tally.joules) == (None,) * 4
    text = repr(CellProfile(3.0, tally))
    assert "peak unknown of 10 GB · mean use unknown · SM activity unknown · energy unknown" in text


def test_sm_activity_is_told_apart_from_use() -> None:
    tally = Tally(lease())
    for moment in (1.0, 2.0, 3.0):
        tally.add(sample(moment, 1.0, 1.0, sm_activity=0.03))
    assert "mean use 100 % · SM activity 3 %" in repr(CellProfile(3.0, tally))


def test_energy_is_the_counters_where_there_is_one_and_else_what_the_power_says() -> None:
    counted, powered = Tally(lease()), Tally(lease())
    for moment, joules, watts in ((0.0, 500.0, 100.0), (2.0, 800.0, 200.0), (3.0, 900.0, 100.0)):
        both = {"energy_joules": joules, "power_watts": watts}
        counted.add(sample(moment, 0.5, 1.0, gpu=both))
        powered.add(sample(moment, 0.5, 1.0, gpu={"power_watts": watts}))
    assert counted.joules == pytest.approx(400.0)
    assert powered.joules == pytest.approx(300.0 + 150.0)
    assert "energy 400 J (the whole GPU's)" in repr(CellProfile(3.0, counted))
    assert "whole" not in repr(CellProfile(3.0, Tally(lease(kind="whole"))))


def test_fewer_than_two_samples_are_no_figures() -> None:
    tally = Tally(lease())
    tally.add(sample(1.0, 0.9, 6.0))
    text = repr(CellProfile(0.2, tally))
    assert "0.2 s on 1g.10gb · too short to tell: 1 sample of" in text
    assert "90" not in text and "6" not in text


def test_torch_tells_its_peak_itself_where_it_has_used_cuda(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The parts of torch that are called, with its names: no CUDA is on this machine."""
    held = {0: 3 * GB, 1: 5 * GB}
    cuda = types.SimpleNamespace(
        is_initialized=lambda: True,
        device_count=lambda: len(held),
        max_memory_allocated=held.__getitem__,
        reset_peak_memory_stats=lambda number: held.update({number: 0}),
    )
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))  # type: ignore[arg-type]
    assert torch_peak() == 5 * GB
    with Profiler(Client(wire.ConnectionFile(url="http://127.0.0.1:9", token="", pid=0))):
        assert torch_peak() == 0, "the cell's own peak, not the kernel's"
    cuda.is_initialized = lambda: False
    assert torch_peak() is None


# --- on a server --------------------------------------------------------------------------------


def test_a_cell_without_a_slice_is_told_how_to_get_one(here: LabServer) -> None:
    with Profiler(get_client()) as profiler:
        pass
    assert "on no slice: nothing to measure" in repr(profiler.result)


def test_a_server_that_is_gone_costs_the_figures_and_not_the_cell() -> None:
    nobody = Client(wire.ConnectionFile(url="http://127.0.0.1:9", token="", pid=0))
    with Profiler(nobody) as profiler:
        done = True
    assert done
    assert "nothing measured" in repr(profiler.result)


def test_a_cell_on_a_slices_kernel_is_measured(workbench: LabServer) -> None:
    kernel = workbench.start_kernel()
    said = run_in_kernel(workbench, kernel["id"], f"%%gpu_profile\n{BURN}")
    assert re.search(r"\d\.\d s on 1g\.10gb · peak 0\.[23] GB of 10 GB · mean use \d+ %", said), (
        said
    )
    assert "energy" in said and "(the whole GPU's)" in said and "simulated" in said


def test_it_measures_the_slice_that_gpu_takes_and_says_what_would_do(workbench: LabServer) -> None:
    kernel = workbench.start_kernel("python3")
    run_in_kernel(workbench, kernel["id"], "%load_ext gpu_workbench")
    said = run_in_kernel(workbench, kernel["id"], f"%%gpu_profile\n%%gpu gpu\n{HOLD}")
    assert re.search(r"on whole GPU · peak 0\.[23] GB of 80 GB", said), said
    assert "(the whole GPU's)" not in said
    assert re.search(r"peak .* of 80 GB: a 1g.10gb slice would do, and start now", said), said


def test_an_attached_slice_is_measured_and_gpu_may_stand_above(workbench: LabServer) -> None:
    kernel = workbench.start_kernel("python3")
    code = "import gpu_workbench as gw\n%load_ext gpu_workbench\nheld = gw.request('10GB')"
    run_in_kernel(workbench, kernel["id"], code)
    said = run_in_kernel(workbench, kernel["id"], f"%%gpu_profile\n{BURN}")
    assert "on 1g.10gb · peak 0." in said
    said = run_in_kernel(workbench, kernel["id"], f"%%gpu 2g.20gb\n%%gpu_profile\n{BURN}")
    assert "on 2g.20gb · peak 0." in said


def test_a_cell_of_a_moment_says_that_it_was_too_short(workbench: LabServer) -> None:
    kernel = workbench.start_kernel()
    said = run_in_kernel(workbench, kernel["id"], "%%gpu_profile\n1 + 1")
    assert "too short to tell" in said
    assert "mean use" not in said


def test_a_cell_that_fails_fails_and_is_measured_all_the_same(workbench: LabServer) -> None:
    kernel = workbench.start_kernel()
    with pytest.raises(AssertionError, match="CellFailed"):
        run_in_kernel(workbench, kernel["id"], "%%gpu_profile\n1 / 0")


def test_the_line_stays_readable_in_a_saved_notebook() -> None:
    html = CellProfile(1.0, None, trouble="<b>gone</b>")._repr_html_()
    assert "&lt;b&gt;gone" in html and "<script" not in html
