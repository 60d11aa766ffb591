"""What the NVML backend shows while the driver stumbles: each function refused, GPUs lost, MIG
switched, the driver loaded anew. Each is shown as what it is, and the rest goes on."""

from __future__ import annotations

import ast
import inspect
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pynvml
import pytest

from gpu_workbench_server import devices
from gpu_workbench_server.devices import nvml_queries
from gpu_workbench_server.devices.nvml import NvmlBackend
from gpu_workbench_server.domain.readings import GpuReading, Reading
from gpu_workbench_server.errors import NoDevices
from gpu_workbench_server.ports import Held
from tests.fakes.nvml import FakeDriver, FakeGpu, FakeProcess, h100_layout, install, seven_small
from tests.support.devices import NvmlRig, look, slice_of
from tests.support.waiting import wait_for

NOT_SUPPORTED, UNKNOWN = pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_UNKNOWN

CONNECTION = {"nvmlInitWithFlags", "nvmlShutdown", "nvmlErrorString"}
NEEDED = {"nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID"}
"""Without these there is no GPU to speak of."""


def functions_used() -> list[str]:
    """The C functions behind every `pynvml.nvml…` in the backend's modules, and its queries'."""
    used = {one.name for one in vars(nvml_queries).values() if isinstance(one, nvml_queries.Query)}
    used.add("nvmlDeviceGetFieldValues")
    for path in Path(devices.__file__ or "").parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            function = getattr(pynvml, node.attr, None)
            if node.value.id == "pynvml" and inspect.isfunction(function):
                used |= _behind(function.__name__)
    return sorted(used - CONNECTION)


def _behind(name: str) -> set[str]:
    """pynvml wraps its own functions in each other: follow them down to the library's."""
    source = inspect.getsource(getattr(pynvml, name))
    found = set(re.findall(r'_nvmlGetFunctionPointer\("(nvml\w+)"\)', source))
    for other in re.findall(r"return (nvml\w+)\(", source):
        found |= _behind(other)
    return found


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[NvmlRig]:
    whole = FakeGpu(used=5 << 30, activity=40, sm=3, sm_clock=1200, encoder=7, energy_mj=9000)
    one = NvmlRig(str(tmp_path), tmp_path, [whole, FakeGpu(instances=h100_layout())])
    yield one
    one.close()


def leases(rig: NvmlRig) -> list[Held]:
    whole, cut = rig.backend.inventory()
    rig.driver.processes = [FakeProcess(0, 999_999), FakeProcess(1, 999_998, gi=9)]
    rig.write()
    return [
        Held(1, (slice_of(whole, "fraction-0.5", "a"),), {}),
        Held(2, (slice_of(cut, "mig-1g.10gb", "b"),), {}),
    ]


def told(rig: NvmlRig, held: list[Held]) -> Reading:
    """What is told once two looks of the slow lane have been taken."""
    look(rig.backend, held)
    rig.backend.read_slow()
    threading.Event().wait(0.11)  # GPM's own shortest interval
    return look(rig.backend, held)


@pytest.mark.parametrize("function", functions_used())
def test_a_function_that_is_not_supported_costs_its_own_figure_and_nothing_else(
    rig: NvmlRig, function: str
) -> None:
    held = leases(rig)
    before = told(rig, held)
    rig.backend.close()
    rig.driver.refuse = {function: NOT_SUPPORTED}
    rig.write()
    if function in NEEDED:
        with pytest.raises(NoDevices) as caught:
            rig.backend.read(held)
        assert caught.value.message and caught.value.hint
        return
    after = told(rig, held)
    assert [one.state for one in after.gpus] == ["ok", "ok"]
    assert [one.slice_id for one in after.slices] == ["a", "b"]
    rig.backend.processes_of(held[0])
    same = sum(
        one == other
        for now, then in zip(after.gpus, before.gpus, strict=True)
        for one, other in zip(now, then, strict=True)
    )
    assert same >= 2 * len(GpuReading._fields) - 18, "one function is not most of the figures"
    calls = rig.fake.calls()
    for _ in range(3):
        look(rig.backend, held)
    again = (rig.fake.calls() - calls)[function]
    assert again == 0 or function in ALWAYS, f"{function} was asked {again} times more"


ALWAYS = {
    # For the whole library, not of one device; or part of the look at how MIG cuts a GPU.
    *("nvmlEventSetCreate", "nvmlEventSetWait_v2", "nvmlGpmSampleAlloc", "nvmlGpmSampleFree"),
    *("nvmlGpmMetricsGet", "nvmlDeviceGetMigDeviceHandleByIndex"),
}


def test_the_list_above_has_every_function_that_a_look_calls(rig: NvmlRig) -> None:
    held = leases(rig)
    told(rig, held)
    rig.backend.processes_of(held[0])
    rig.backend.close()
    called = {name for name, count in rig.fake.calls().items() if count} - CONNECTION
    assert called <= set(functions_used())
    assert {"nvmlGpmMetricsGet", "nvmlDeviceGetFieldValues"} <= called


@pytest.mark.parametrize("function", sorted(set(functions_used()) - NEEDED))
def test_a_function_that_stumbles_is_asked_again(rig: NvmlRig, function: str) -> None:
    held = leases(rig)
    rig.driver.refuse = {function: UNKNOWN}
    rig.write()
    told(rig, held)
    rig.driver.refuse = {}
    rig.write()
    rig.backend.inventory()
    after = told(rig, held)
    assert after.gpus[0].activity == 0.4 and after.gpus[0].energy_joules == 9.0
    assert after.gpus[0].sm_activity == pytest.approx(0.03)


def test_a_gpu_that_answers_only_errors_is_unknown_and_says_so(rig: NvmlRig) -> None:
    held = leases(rig)
    metrics = [name for name in functions_used() if re.search("Util|Power|Temp|Memory", name)]
    rig.driver.refuse = dict.fromkeys(metrics, UNKNOWN)
    rig.write()
    (one, _) = rig.backend.read(held).gpus
    assert one.state == "unknown" and "Unknown Error" in one.trouble


# --- GPUs and drivers that go -------------------------------------------------------------------


def test_a_gpu_lost_between_two_samples_is_lost_and_the_others_go_on(tmp_path: Path) -> None:
    rig = NvmlRig(str(tmp_path), tmp_path, [FakeGpu(activity=10 * at) for at in range(8)])
    try:
        gpus = rig.backend.inventory()
        held = [Held(at, (slice_of(gpu, "whole", f"s{at}"),), {}) for at, gpu in enumerate(gpus)]
        assert {one.state for one in told(rig, held).gpus} == {"ok"}
        rig.driver.gpus[5].lost = True
        rig.driver.xids = [(5, 79)]
        rig.write()
        reading = told(rig, held)
        assert [one.state == "lost" for one in reading.gpus] == [at == 5 for at in range(8)]
        assert reading.gpus[5].xid == 79 and "reset" in reading.gpus[5].trouble
        assert [one.activity for one in reading.gpus] == [
            None if at == 5 else at / 10 for at in range(8)
        ]
        assert [one.activity is None for one in reading.slices] == [at == 5 for at in range(8)]
        rig.driver.gpus[5].lost = False
        rig.write()
        rig.backend.inventory()
        assert rig.backend.read(held).gpus[5].activity == 0.5
    finally:
        rig.close()


def test_mig_that_is_switched_on_while_sampling_is_noticed_by_the_slow_lane(rig: NvmlRig) -> None:
    held = leases(rig)
    told(rig, held)
    rig.driver.gpus[0].instances = seven_small()
    rig.driver.processes = []
    rig.write()
    reading = told(rig, held)
    assert [one.state for one in reading.gpus] == ["ok", "ok"]
    assert reading.gpus[0].activity is not None, "GPM tells where utilisation does not"
    assert len(rig.backend.inventory()[0].instances) == 7
    rig.driver.gpus[0].instances = None
    rig.write()
    assert told(rig, held).gpus[0].activity == 0.4


def test_an_instance_that_is_gone_leaves_its_slice_unknown(rig: NvmlRig) -> None:
    held = leases(rig)
    told(rig, held)
    rig.driver.gpus[1].instances = []
    rig.driver.processes = []
    rig.write()
    reading = told(rig, held)
    assert reading.gpus[1].state == "ok"
    assert reading.slices[1].slice_id == "b"
    assert (reading.slices[1].activity, reading.slices[1].memory_bytes) == (None, None)


def test_a_driver_that_was_loaded_anew_is_found_again_by_itself(rig: NvmlRig) -> None:
    held = leases(rig)
    told(rig, held)
    rig.driver.generation += 1
    rig.driver.init_code = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    rig.write()
    for _ in range(2):
        rig.backend.read_slow()  # which says nothing: `read` does
        with pytest.raises(NoDevices, match="not loaded"):
            rig.backend.read(held)
    rig.driver.init_code = 0
    rig.write()
    assert [gpu.health for gpu in rig.backend.inventory()] == ["ok", "ok"]
    assert told(rig, held).gpus[0].activity == 0.4
    rig.driver.generation += 1  # and once more, so fast that nobody saw it gone
    rig.write()
    with pytest.raises(NoDevices):
        rig.backend.read(held)
    assert rig.backend.read(held).gpus[0].activity == 0.4


# --- the slow lane ------------------------------------------------------------------------------


def test_everything_the_driver_tells_is_told(rig: NvmlRig) -> None:
    rig.driver.gpus[0] = FakeGpu(
        activity=100,
        sm=3,
        occupancy=20,
        tensor=15,
        dram=50,
        island=0,
        pcie_kbps=2048,
        nvlink_kbps=4096,
        throttle=0x4 | 0x40,
        encoder=30,
        decoder=20,
        ecc_corrected=2,
        ecc_uncorrected=1,
        remapped_corrected=4,
        remapped_uncorrected=5,
        remap_pending=True,
        energy_mj=1_234_000,
    )
    rig.write()
    rig.backend.inventory()
    rig.backend.read_slow()
    rig.driver.xids = [(0, 31)]
    rig.write()
    began = time.time()
    one = told(rig, []).gpus[0]
    assert began - 0.01 <= (one.xid_at or 0.0) <= time.time(), "an error is told with its time"
    assert one._replace(xid_at=None) == GpuReading(
        uuid=rig.driver.gpu_uuid(0),
        activity=1.0,
        memory_bytes=0,
        power_watts=70.0,
        temperature_c=30.0,
        sm_clock_mhz=1980,
        memory_clock_mhz=2619,
        throttle=("power_cap", "thermal"),
        pcie_tx_bytes_s=2048 * 1024.0,
        pcie_rx_bytes_s=2048 * 1024.0,
        nvlink_tx_bytes_s=4096 * 1024.0,
        nvlink_rx_bytes_s=4096 * 1024.0,
        encoder=0.3,
        decoder=0.2,
        ecc_corrected=2,
        ecc_uncorrected=1,
        remapped_corrected=4,
        remapped_uncorrected=5,
        remap_pending=True,
        remap_failed=False,
        xid=31,
        energy_joules=1234.0,
        sm_activity=0.03,
        sm_occupancy=0.2,
        tensor_activity=0.15,
        dram_activity=0.5,
    )


@pytest.mark.parametrize("counters", [True, False])
def test_before_hopper_rates_come_from_counters_or_from_the_window(
    tmp_path: Path, counters: bool
) -> None:
    ampere = FakeGpu(gpm=False, island=0, nvlink_kbps=500, pcie_counters=counters)
    rig = NvmlRig(str(tmp_path), tmp_path, [ampere])
    try:
        one = told(rig, []).gpus[0]
        assert one.pcie_rx_bytes_s == pytest.approx(1000 * 1024, rel=0.05)
        assert one.nvlink_tx_bytes_s == pytest.approx(500 * 1024, rel=0.05)
        assert one.sm_activity is None
        assert (rig.fake.calls()["nvmlDeviceGetPcieThroughput"] == 0) == counters
    finally:
        rig.close()


def test_a_window_of_20_ms_a_gpu_delays_no_sample(tmp_path: Path) -> None:
    """Eight GPUs without counters: a round of the slow lane takes a third of a second."""
    old = [FakeGpu(gpm=False, pcie_counters=False) for _ in range(8)]
    fake = install(FakeDriver(gpus=old, pcie_delay_ms=20), tmp_path)
    backend = NvmlBackend(fake.library)
    backend.inventory()
    slow = threading.Thread(target=backend.read_slow)
    slow.start()
    wait_for(lambda: fake.calls()["nvmlDeviceGetPcieThroughput"] > 0 or not slow.is_alive())
    looks = 0
    while slow.is_alive():
        backend.read([])
        looks += 1
    slow.join()
    backend.close()
    assert looks >= 3, "a sample waited for the slow lane"


def test_a_sample_of_eight_gpus_takes_four_calls_each(tmp_path: Path) -> None:
    fake = install(FakeDriver(gpus=[FakeGpu() for _ in range(8)]), tmp_path)
    backend = NvmlBackend(fake.library)
    backend.inventory()
    for _ in range(3):  # the first two buy what the others use again
        look(backend, [])
        threading.Event().wait(0.11)
    before = fake.calls()
    backend.read([])
    fast = fake.calls() - before
    before = fake.calls()
    backend.read_slow()
    slow = fake.calls() - before
    backend.close()
    assert fast.total() == 8 * 4, fast
    assert slow.total() <= 8 * 12 + 1, slow
