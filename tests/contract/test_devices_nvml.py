"""What the NVML backend does where a driver is missing, broken, incomplete, or loses a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pynvml
import pytest

from gpu_workbench_server.devices.nvml import NvmlBackend
from gpu_workbench_server.devices.nvml_inventory import label_gb
from gpu_workbench_server.domain.readings import Reading
from gpu_workbench_server.errors import NoDevices
from gpu_workbench_server.ports import Held
from tests.fakes.nvml import (
    GIB,
    FakeDriver,
    FakeGpu,
    FakeInstance,
    h100_layout,
    install,
)
from tests.support.devices import NvmlRig, look, slice_of
from tests.support.waiting import wait_for

SEE_THE_FAKE = """
import pynvml
pynvml.nvmlInit()
for index in range(pynvml.nvmlDeviceGetCount()):
    gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
    print(pynvml.nvmlDeviceGetName(gpu), pynvml.nvmlDeviceGetMigMode(gpu)[0])
try:
    pynvml.nvmlDeviceGetEccMode(gpu)
except pynvml.NVMLError_NotSupported:
    print("the rest is not supported")
"""


@pytest.fixture
def devices_nvml(tmp_path: Path) -> Iterator[NvmlRig]:
    rig = NvmlRig(str(tmp_path), tmp_path)
    yield rig
    rig.close()


def test_nvidia_ml_py_itself_sees_the_fake_driver(tmp_path: Path) -> None:
    fake = install(FakeDriver(gpus=[FakeGpu(), FakeGpu(instances=h100_layout())]), tmp_path)
    env = {**os.environ, "LD_LIBRARY_PATH": str(fake.directory)}
    run = subprocess.run(
        [sys.executable, "-c", SEE_THE_FAKE], env=env, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [
        "NVIDIA H100 80GB HBM3 0",
        "NVIDIA H100 80GB HBM3 1",
        "the rest is not supported",
    ]


def test_nobody_else_in_this_process_meets_the_fake_driver(devices_nvml: NvmlRig) -> None:
    before = pynvml.nvmlLib
    devices_nvml.backend.inventory()
    devices_nvml.backend.close()
    assert pynvml.nvmlLib is before
    with pytest.raises(pynvml.NVMLError):
        pynvml.nvmlDeviceGetCount()


# --- no driver ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "says", "advises"),
    [
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "not loaded", "modprobe"),
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver", "simulated"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "updated", "Reboot"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "refuses", "/dev/nvidia"),
        (pynvml.NVML_ERROR_UNKNOWN, "unknown error", "nvidia-smi"),
        (pynvml.NVML_ERROR_IRQ_ISSUE, "does not start", "nvidia-smi"),
    ],
)
def test_a_driver_that_does_not_start_says_why_and_what_to_do(
    tmp_path: Path, code: int, says: str, advises: str
) -> None:
    fake = install(FakeDriver(gpus=[FakeGpu()], init_code=code), tmp_path)
    backend = NvmlBackend(fake.library)
    with pytest.raises(NoDevices) as caught:
        backend.inventory()
    assert says in caught.value.message
    assert advises in caught.value.hint
    # It is looked for again: the driver may come up later.
    fake.write(FakeDriver(gpus=[FakeGpu()]))
    assert len(backend.inventory()) == 1
    backend.close()


def test_a_library_that_is_not_there_is_no_devices(tmp_path: Path) -> None:
    with pytest.raises(NoDevices) as caught:
        NvmlBackend(tmp_path / "libnvidia-ml.so.1").inventory()
    assert "was not found" in caught.value.message


def test_a_driver_without_gpus_is_no_devices(tmp_path: Path) -> None:
    backend = NvmlBackend(install(FakeDriver(), tmp_path).library)
    with pytest.raises(NoDevices) as caught:
        backend.inventory()
    assert "shows no GPU" in caught.value.message
    backend.close()


# --- a GPU is lost ------------------------------------------------------------------------------


def test_a_gpu_that_is_lost_is_reported_and_the_rest_goes_on(devices_nvml: NvmlRig) -> None:
    rig = devices_nvml
    whole, cut = rig.backend.inventory()
    held = [
        Held(1, (slice_of(whole, "whole", "a"),), {}),
        Held(2, (slice_of(cut, "mig-1g.10gb", "b"),), {}),
    ]
    rig.driver.gpus[0].lost = True
    rig.write()
    reading = rig.backend.read(held)
    assert [gpu.state for gpu in reading.gpus] == ["lost", "ok"]
    assert reading.gpus[0].activity is None and reading.gpus[1].power_watts == 70.0
    known = {one.slice_id: one.memory_bytes for one in reading.slices}
    assert known == {"a": None, "b": 0}
    again = rig.backend.inventory()
    assert [gpu.health for gpu in again] == ["lost", "ok"]
    assert again[0].uuid == whole.uuid and again[0].memory_bytes == whole.memory_bytes
    assert rig.backend.processes_of(held[0]) == []


def test_a_lost_gpu_that_comes_back_is_well_again(devices_nvml: NvmlRig) -> None:
    rig = devices_nvml
    before = rig.backend.inventory()
    for lost in (True, False):
        rig.driver.gpus[1].lost = lost
        rig.write()
        now = rig.backend.inventory()
    assert now == before


# --- what the driver does not tell --------------------------------------------------------------

METRICS = [
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetTemperature",
    "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceGetMPSComputeRunningProcesses_v3",
    "nvmlDeviceGetGraphicsRunningProcesses_v3",
    "nvmlDeviceGetProcessUtilization",
    "nvmlDeviceGetMemoryAffinity",
    "nvmlDeviceGetCpuAffinity",
    "nvmlDeviceGetP2PStatus",
    "nvmlGpmQueryDeviceSupport",
    "nvmlGpmSampleAlloc",
    "nvmlGpmSampleGet",
    "nvmlGpmMigSampleGet",
    "nvmlGpmMetricsGet",
    "nvmlDeviceGetName",
]


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NO_PERMISSION])
def test_no_metric_is_required(devices_nvml: NvmlRig, code: int) -> None:
    """Each alone, then all at once: unknown is None, and nothing raises."""
    rig = devices_nvml
    whole, cut = rig.backend.inventory()
    held = [
        Held(1, (slice_of(whole, "fraction-0.5", "a"),), {}),
        Held(2, (slice_of(cut, "mig-1g.10gb", "b"),), {}),
    ]
    for refused in [*([one] for one in METRICS), METRICS]:
        rig.backend.close()  # so that nothing is known from before
        rig.driver.refuse = dict.fromkeys(refused, code)
        rig.write()
        assert len(rig.backend.inventory()) == 2
        reading = look(rig.backend, held)
        assert len(reading.gpus) == 2 and len(reading.slices) == 2
        rig.backend.processes_of(held[0])
    assert {
        (gpu.activity, gpu.memory_bytes, gpu.power_watts, gpu.temperature_c, gpu.state)
        for gpu in reading.gpus
    } == {(None, None, None, None, "ok")}


def test_activity_under_mig_comes_from_performance_monitoring(devices_nvml: NvmlRig) -> None:
    rig = devices_nvml
    _, cut = rig.backend.inventory()
    one = slice_of(cut, "mig-2g.20gb", "a")
    slot = next(i for i in range(4) if rig.driver.instance_uuid(1, i) == one.instance)
    instances = rig.driver.gpus[1].instances
    assert instances is not None
    instances[slot].activity = 60
    rig.driver.gpus[1].activity = 25
    rig.write()
    held = [Held(1, (one,), {})]
    first = look(rig.backend, held)
    assert first.slices[0].activity is None  # a rate takes two looks
    second = wait_for(lambda: _if_known(rig, held), every=0.11)
    assert second == (0.6, 0.25)


@pytest.mark.parametrize("refused", [[], ["nvmlGpmSampleGet"]], ids=["of the GPU, too", "alone"])
def test_each_mig_instance_tells_what_its_sms_do_and_so_does_their_gpu(
    devices_nvml: NvmlRig, refused: list[str]
) -> None:
    """Where the driver tells nothing of the whole GPU, it is what its instances do together."""
    rig = devices_nvml
    _, cut = rig.backend.inventory()
    gpu = rig.driver.gpus[1]
    assert gpu.instances is not None
    for one in gpu.instances:  # 3g, 2g and two of 1g: all of the 7 slices
        one.activity, one.sm, one.occupancy, one.tensor, one.dram = 100, 70, 50, 35, 40
    gpu.instances[0].sm = 0  # the 3g
    gpu.sm, gpu.occupancy, gpu.tensor, gpu.dram = 40, 50, 35, 40
    rig.driver.refuse = dict.fromkeys(refused, pynvml.NVML_ERROR_NOT_SUPPORTED)
    rig.write()
    held = [
        Held(1, (slice_of(cut, "mig-3g.40gb", "a"),), {}),
        Held(2, (slice_of(cut, "mig-2g.20gb", "b"),), {}),
    ]

    def told() -> Reading | None:
        reading = look(rig.backend, held)
        known = reading.gpus[1].sm_activity is not None
        return reading if known and reading.slices[0].sm_activity is not None else None

    reading = wait_for(told, every=0.11)
    first, second = reading.slices
    assert (first.activity, first.sm_activity) == (1.0, 0.0), "busy is not at work"
    assert (second.sm_activity, second.sm_occupancy) == (0.7, 0.5)
    assert (second.tensor_activity, second.dram_activity) == (0.35, 0.4)
    whole = reading.gpus[1]
    assert whole.sm_activity == pytest.approx(0.4)
    assert (whole.sm_occupancy, whole.tensor_activity) == (0.5, 0.35)
    assert whole.dram_activity == pytest.approx(0.4)


def _if_known(rig: NvmlRig, held: list[Held]) -> tuple[float, float] | None:
    reading = look(rig.backend, held)
    slice_activity, gpu_activity = reading.slices[0].activity, reading.gpus[1].activity
    if slice_activity is None or gpu_activity is None:
        return None
    return slice_activity, gpu_activity


# --- the inventory ------------------------------------------------------------------------------


def test_instances_stand_where_the_driver_says(devices_nvml: NvmlRig) -> None:
    starts = {one.profile: one.start for one in devices_nvml.backend.inventory()[1].instances}
    assert (starts["3g.40gb"], starts["2g.20gb"]) == (4, 0)


def test_where_only_root_may_ask_the_places_are_derived(devices_nvml: NvmlRig) -> None:
    rig = devices_nvml
    rig.driver.refuse = {"nvmlDeviceGetGpuInstanceById": pynvml.NVML_ERROR_NO_PERMISSION}
    rig.write()
    taken = {
        position
        for one in rig.backend.inventory()[1].instances
        for position in range(one.start, one.start + one.size)
    }
    assert taken == set(range(8))


def test_part_of_a_gpu_instance_is_no_slice(tmp_path: Path) -> None:
    shared = [
        FakeInstance("1c.3g.40gb", gi=1, start=4, size=4, slices=3, memory=40 * GIB, ci=ci)
        for ci in (0, 1)
    ]
    instances = [*shared, FakeInstance("1g.10gb", gi=9, start=0, size=1, slices=1, memory=GIB)]
    fake = install(FakeDriver(gpus=[FakeGpu(instances=instances)]), tmp_path)
    backend = NvmlBackend(fake.library)
    assert [one.profile for one in backend.inventory()[0].instances] == ["1g.10gb"]
    backend.close()


def test_a_gpu_knows_its_place(tmp_path: Path) -> None:
    gpus = [
        FakeGpu(numa=i // 2, cpus=0x5 << i, island=7 + i // 2 if i < 4 else -1) for i in range(5)
    ]
    backend = NvmlBackend(install(FakeDriver(gpus=gpus), tmp_path).library)
    seen = backend.inventory()
    assert [gpu.numa for gpu in seen] == [0, 0, 1, 1, 2]
    assert [gpu.island for gpu in seen] == [0, 0, 1, 1, None]
    assert seen[1].cpus == (1, 3)
    backend.close()


@pytest.mark.parametrize(
    ("model", "mib", "label"),
    [
        ("NVIDIA H100 80GB HBM3", 81559, 80),
        ("NVIDIA H100 PCIe", 81559, 80),
        ("NVIDIA H200", 143771, 141),
        ("NVIDIA A100-SXM4-40GB", 40960, 40),
        ("NVIDIA GH200 480GB", 97871, 96),
        ("NVIDIA L4", 23034, 24),
        ("NVIDIA L40S", 46068, 48),
        ("Tesla T4", 15360, 16),
        ("NVIDIA GeForce RTX 4090", 24564, 24),
        ("NVIDIA Unheard-Of", 300_000, 293),
    ],
)
def test_memory_is_told_as_on_the_label(model: str, mib: int, label: int) -> None:
    assert label_gb(model, mib << 20) == label


# --- what a look costs --------------------------------------------------------------------------


def test_sampling_does_not_wait_for_the_pcie_counters(tmp_path: Path) -> None:
    """The real call blocks for 20 ms a GPU; eight GPUs would miss every other tick."""
    driver = FakeDriver(gpus=[FakeGpu() for _ in range(8)], pcie_delay_ms=20)
    fake = install(driver, tmp_path)
    backend = NvmlBackend(fake.library)
    backend.inventory()
    before = fake.calls()
    backend.read([])
    calls = fake.calls() - before
    assert "nvmlDeviceGetPcieThroughput" not in calls
    assert calls.total() <= 8 * 12
    backend.close()
