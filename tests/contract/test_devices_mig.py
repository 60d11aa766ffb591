"""MIG as the driver tells it: profiles, placements and slices of each model, and cutting anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pynvml
import pytest

from gpu_workbench_server.devices.nvml import NvmlBackend
from gpu_workbench_server.domain.fleet import Gpu, Pool, profiles_of
from gpu_workbench_server.domain.mig import layout_faults, rule_for
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import CanNotCut
from tests.fakes import nvml as fake
from tests.fakes.nvml import FakeDriver, FakeGpu, FakeInstance, FakeProcess, install

GIB = fake.GIB
Show = Callable[..., tuple[NvmlBackend, FakeDriver]]

MODELS = [
    ("NVIDIA A30", 24, fake.A30, 4, 4),
    ("NVIDIA A100-SXM4-80GB", 80, fake.A100_80, 8, 7),
    ("NVIDIA H100 80GB HBM3", 80, fake.H100_80, 8, 7),
    ("NVIDIA H200", 141, fake.H200, 8, 7),
]


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Show]:
    """A backend on a driver with one GPU in MIG mode."""
    opened = []

    def make(
        model: str, gb: int, names: tuple[str, ...], memory_slices: int = 8, **driver: object
    ) -> tuple[NvmlBackend, FakeDriver]:
        profiles = fake.profiles_of(names, memory_slices)
        gpu = FakeGpu(model=model, memory=gb * GIB, instances=[], profiles=profiles)
        said = FakeDriver(gpus=[gpu], **driver)  # type: ignore[arg-type]
        backend = NvmlBackend(install(said, tmp_path).library)
        opened.append(backend)
        return backend, said

    yield make
    for one in opened:
        one.close()


def only(backend: NvmlBackend) -> Gpu:
    [gpu] = backend.inventory()
    return gpu


@pytest.mark.parametrize(("model", "gb", "names", "memory", "compute"), MODELS)
def test_the_rules_are_the_drivers_and_those_of_the_tables_agree(
    show: Show, model: str, gb: int, names: tuple[str, ...], memory: int, compute: int
) -> None:
    backend, _ = show(model, gb, names, memory)
    told = only(backend).told
    assert told is not None
    assert (told.compute, told.memory) == (compute, memory)
    assert {name for name, _ in told.rules} == set(names)
    assert {name: rule_for(name, float(gb)) for name in names} == dict(told.rules)


@pytest.mark.parametrize(("model", "gb", "names", "memory", "compute"), MODELS)
def test_where_only_root_may_read_placements_the_tables_say_them(
    show: Show, model: str, gb: int, names: tuple[str, ...], memory: int, compute: int
) -> None:
    refused = {"nvmlDeviceGetGpuInstancePossiblePlacements_v2": pynvml.NVML_ERROR_NO_PERMISSION}
    backend, _ = show(model, gb, names, memory, refuse=refused)
    geometry = only(backend).geometry
    assert (geometry.compute, geometry.memory) == (compute, memory)
    assert all(geometry.rule(name) for name in names)


def test_a_model_that_no_table_knows_is_cut_by_the_drivers_rules(show: Show) -> None:
    """RTX PRO 6000 Blackwell: 96 GB in four slices, where the tables would say eight."""
    names = ("1g.24gb", "2g.48gb", "4g.96gb")
    backend, _ = show("NVIDIA RTX PRO 6000 Blackwell", 96, names, 4)
    gpu = only(backend)
    backend.repartition(gpu.uuid, (("1g.24gb", 3), ("2g.48gb", 0), ("1g.24gb", 2)))
    gpu = only(backend)
    assert layout_faults(gpu.instances, gpu.memory_gb, gpu.told) == []
    parts = {one.name: one.parts for one in profiles_of(gpu, Pool())}
    assert parts == {"mig-1g.24gb": PARTS // 4, "mig-2g.48gb": PARTS // 2}


@pytest.mark.parametrize(
    ("profile", "units"), [("1g.6gb", 1 / 4), ("2g.12gb", 1 / 2), ("4g.24gb", 1.0)]
)
def test_an_instance_of_an_a30_counts_by_its_four_slices(
    show: Show, profile: str, units: float
) -> None:
    backend, _ = show("NVIDIA A30", 24, fake.A30, 4)
    gpu = only(backend)
    backend.repartition(gpu.uuid, ((profile, 0),))
    [offered] = profiles_of(only(backend), Pool())
    assert offered.parts == PARTS * units


# --- cutting anew ---------------------------------------------------------------------------------

LAYOUT = (("3g.40gb", 4), ("2g.20gb", 0), ("1g.10gb", 2))


def stands(gpu: Gpu) -> list[tuple[str, int]]:
    return sorted((one.profile, one.start) for one in gpu.instances)


def test_an_idle_gpu_is_cut_as_told_and_again(show: Show) -> None:
    backend, _ = show(*MODELS[2][:4])
    gpu = only(backend)
    backend.repartition(gpu.uuid, LAYOUT)
    assert stands(only(backend)) == sorted(LAYOUT)
    backend.repartition(gpu.uuid, (("7g.80gb", 0),))
    assert stands(only(backend)) == [("7g.80gb", 0)]
    assert len({one.uuid for one in only(backend).instances}) == 1


def test_without_the_rights_the_commands_are_said_and_nothing_changed(show: Show) -> None:
    refused = {"nvmlDeviceCreateGpuInstanceWithPlacement": pynvml.NVML_ERROR_NO_PERMISSION}
    backend, _ = show(*MODELS[2][:4], refuse=refused)
    uuid = only(backend).uuid
    with pytest.raises(CanNotCut) as said:
        backend.repartition(uuid, LAYOUT)
    assert "Insufficient Permissions" in said.value.message
    assert said.value.hint == (
        f"As root: nvidia-smi mig -i {uuid} -dci; nvidia-smi mig -i {uuid} -dgi; "
        f"nvidia-smi mig -i {uuid} -cgi 3g.40gb:4,2g.20gb:0,1g.10gb:2 -C"
    )
    assert stands(only(backend)) == []


def test_where_it_fails_half_way_what_stood_before_is_made_again(show: Show) -> None:
    backend, _ = show(*MODELS[2][:4])
    gpu = only(backend)
    backend.repartition(gpu.uuid, LAYOUT)
    with pytest.raises(CanNotCut):
        backend.repartition(gpu.uuid, (("4g.40gb", 0), ("2g.20gb", 2)))  # they overlap
    assert stands(only(backend)) == sorted(LAYOUT)


def test_a_gpu_on_which_a_process_runs_is_not_touched(show: Show, tmp_path: Path) -> None:
    backend, driver = show(*MODELS[2][:4])
    driver.gpus[0].instances = [
        FakeInstance("1g.10gb", gi=9, start=2, size=1, slices=1, memory=9984 << 20)
    ]
    driver.processes = [FakeProcess(0, 4242, gi=9)]
    fake.Installed(tmp_path).write(driver)
    gpu = only(backend)
    with pytest.raises(CanNotCut, match="4242"):
        backend.repartition(gpu.uuid, LAYOUT)
    assert stands(only(backend)) == [("1g.10gb", 2)]


def test_a_gpu_without_mig_and_one_that_is_not_there_are_named(show: Show, tmp_path: Path) -> None:
    backend, driver = show(*MODELS[2][:4])
    driver.gpus[0].instances = None
    fake.Installed(tmp_path).write(driver)
    with pytest.raises(CanNotCut) as said:
        backend.repartition(only(backend).uuid, LAYOUT)
    assert "nvidia-smi -i" in said.value.hint
    assert "-mig 1" in said.value.hint
    with pytest.raises(CanNotCut, match="GPU-nowhere"):
        backend.repartition("GPU-nowhere", LAYOUT)
