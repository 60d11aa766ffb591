"""What every `ports.DeviceBackend` promises of machines: eight GPUs, and two cut in sevens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpu_workbench_server.domain.readings import Reading
from gpu_workbench_server.ports import Held
from tests.fakes.nvml import FakeGpu, seven_small
from tests.support.devices import BUSY, NvmlRig, Rig, SimulatedRig, look, slice_of
from tests.support.waiting import wait_for

Make = Callable[[str, Path], Rig]

EIGHT = '[[gpu]]\nmodel = "NVIDIA H100 80GB HBM3"\nmemory_gb = 80\ncount = 8\n'
SEVENS = EIGHT.replace("count = 8", f"count = 2\nmig = {['1g.10gb'] * 7}")


def simulated(fleet: str) -> Make:
    def make(broker: str, directory: Path) -> Rig:
        path = directory / "fleet.toml"
        path.write_text(fleet)
        return SimulatedRig(broker, path)

    return make


def nvml(*gpus: FakeGpu) -> Make:
    return lambda broker, directory: NvmlRig(broker, directory, list(gpus))


@pytest.fixture
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    one = request.param(str(tmp_path), tmp_path)
    yield one
    one.close()


eight = pytest.mark.parametrize(
    "rig",
    [
        pytest.param(simulated(EIGHT), id="simulated"),
        pytest.param(nvml(*(FakeGpu(island=0) for _ in range(8))), id="nvml"),
    ],
    indirect=True,
)
sevens = pytest.mark.parametrize(
    "rig",
    [
        pytest.param(simulated(SEVENS), id="simulated"),
        pytest.param(nvml(*(FakeGpu(instances=seven_small()) for _ in range(2))), id="nvml"),
    ],
    indirect=True,
)


@eight
def test_eight_gpus_are_read_in_one_look_and_told_apart(rig: Rig) -> None:
    gpus = rig.backend.inventory()
    assert [gpu.index for gpu in gpus] == list(range(8))
    assert len({gpu.uuid for gpu in gpus}) == 8
    held = [Held(at, (slice_of(gpu, "whole", f"s{at}"),), {}) for at, gpu in enumerate(gpus)]
    pid = rig.start(3, held[3].slices[0], BUSY)

    def loaded() -> Reading | None:
        reading = look(rig.backend, held)
        return reading if any(one.memory_bytes for one in reading.slices) else None

    reading = wait_for(loaded, every=0.25)
    assert [one.uuid for one in reading.gpus] == [gpu.uuid for gpu in gpus]
    assert {one.state for one in reading.gpus} == {"ok"}
    assert [one.slice_id for one in reading.slices] == [f"s{at}" for at in range(8)]
    assert [one.slice_id for one in reading.slices if one.memory_bytes] == ["s3"]
    assert [(one.pid, one.gpu) for one in reading.processes] == [(pid, gpus[3].uuid)]


@sevens
def test_fourteen_instances_are_read_each_for_itself(rig: Rig) -> None:
    gpus = rig.backend.inventory()
    assert [len(gpu.instances) for gpu in gpus] == [7, 7]
    held = [
        Held(10 * g + at, (slice_of(gpu, "mig-1g.10gb", f"{g}.{at}", at),), {})
        for g, gpu in enumerate(gpus)
        for at in range(7)
    ]
    assert len({lease.slices[0].instance for lease in held}) == 14
    busy = {"0.6": held[6], "1.2": held[9]}
    for lease in busy.values():
        rig.start(lease.lease_id, lease.slices[0], BUSY)

    def loaded() -> Reading | None:
        reading = look(rig.backend, held)
        known = {one.slice_id: one.activity for one in reading.slices}
        return reading if all((known[name] or 0.0) > 0.0 for name in busy) else None

    reading = wait_for(loaded, every=0.25)
    for one in reading.slices:
        if one.slice_id in busy:
            assert (one.memory_bytes or 0) > 1 << 20
            assert one.sm_activity is not None
        else:
            assert (one.activity, one.sm_activity) == (0.0, 0.0)
            assert one.memory_bytes in (0, None)
    assert {one.slice_id for one in reading.processes} == set(busy)
    for gpu in reading.gpus:
        assert gpu.activity is not None and 0.0 < gpu.activity <= 1 / 7 + 0.01
