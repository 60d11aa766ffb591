"""What every `ports.DeviceBackend` promises, with real processes on made-up GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gpu_workbench_server.domain.mig import layout_faults
from gpu_workbench_server.domain.readings import Reading
from gpu_workbench_server.ports import Held
from tests.support.devices import BUSY, IDLE, NvmlRig, Rig, SimulatedRig, look, slice_of, spawn
from tests.support.waiting import wait_for


@pytest.fixture(params=["simulated", "nvml"])
def devices_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    broker = str(tmp_path)  # a name that no other test's processes carry
    rig = SimulatedRig(broker) if request.param == "simulated" else NvmlRig(broker, tmp_path)
    yield rig
    rig.close()


def test_an_inventory_names_each_gpu_and_instance_once(devices_rig: Rig) -> None:
    gpus = devices_rig.backend.inventory()
    uuids = [gpu.uuid for gpu in gpus] + [one.uuid for gpu in gpus for one in gpu.instances]
    assert len(uuids) == len(set(uuids)) == 6
    assert [gpu.index for gpu in gpus] == [0, 1]
    assert all(gpu.memory_gb == 80.0 and gpu.memory_bytes > 79 << 30 for gpu in gpus)
    assert all(gpu.health == "ok" for gpu in gpus)
    assert all(gpu.simulated == devices_rig.backend.simulated for gpu in gpus)


def test_mig_instances_stand_where_their_profiles_may(devices_rig: Rig) -> None:
    whole, cut = devices_rig.backend.inventory()
    assert not whole.mig and not whole.instances
    assert cut.mig
    assert [one.profile for one in cut.instances if one.compute > 1] in (
        ["3g.40gb", "2g.20gb"],
        ["2g.20gb", "3g.40gb"],
    )
    assert layout_faults(cut.instances, cut.memory_gb) == []
    assert {one.memory_gb for one in cut.instances} == {40.0, 20.0, 10.0}


def test_an_inventory_is_the_same_when_nothing_changed(devices_rig: Rig) -> None:
    assert devices_rig.backend.inventory() == devices_rig.backend.inventory()


def test_a_reading_tells_of_each_gpu_and_each_held_slice(devices_rig: Rig) -> None:
    whole, cut = devices_rig.backend.inventory()
    held = [
        Held(1, (slice_of(whole, "fraction-0.25", "a"), slice_of(whole, "fraction-0.5", "b")), {}),
        Held(2, (slice_of(cut, "mig-2g.20gb", "c"),), {}),
    ]
    reading = devices_rig.backend.read(held)
    assert [gpu.uuid for gpu in reading.gpus] == [whole.uuid, cut.uuid]
    assert {one.slice_id for one in reading.slices} == {"a", "b", "c"}
    for gpu in reading.gpus:
        assert gpu.activity is None or 0.0 <= gpu.activity <= 1.0
        assert gpu.temperature_c is not None and gpu.power_watts is not None


@pytest.mark.parametrize("profile", ["fraction-0.25", "whole", "mig-1g.10gb"])
def test_a_slice_is_in_use_exactly_while_a_process_of_its_lease_lives(
    devices_rig: Rig, profile: str
) -> None:
    whole, cut = devices_rig.backend.inventory()
    one = slice_of(cut if profile.startswith("mig") else whole, profile, "a")
    lease = Held(7, (one,), {})
    assert devices_rig.backend.processes_of(lease) == []
    pid = devices_rig.start(7, one)
    wait_for(lambda: devices_rig.backend.processes_of(lease) == [pid], what="the process is seen")
    devices_rig.stop(pid)
    assert devices_rig.backend.processes_of(lease) == []


def test_a_neighbour_on_the_same_gpu_does_not_count(devices_rig: Rig) -> None:
    whole, cut = devices_rig.backend.inventory()
    mine, other = slice_of(whole, "fraction-0.25", "a"), slice_of(whole, "fraction-0.25", "b")
    first, second = slice_of(cut, "mig-1g.10gb", "c"), slice_of(cut, "mig-1g.10gb", "d", at=1)
    assert first.instance != second.instance
    pid, on_mig = devices_rig.start(8, other), devices_rig.start(9, second)
    wait_for(lambda: devices_rig.backend.processes_of(Held(8, (other,), {})) == [pid])
    wait_for(lambda: devices_rig.backend.processes_of(Held(9, (second,), {})) == [on_mig])
    assert devices_rig.backend.processes_of(Held(7, (mine,), {})) == []
    assert devices_rig.backend.processes_of(Held(6, (first,), {})) == []


@pytest.mark.parametrize("profile", ["fraction-0.5", "mig-2g.20gb"])
def test_load_is_seen_on_the_slice_that_carries_it(devices_rig: Rig, profile: str) -> None:
    whole, cut = devices_rig.backend.inventory()
    gpu = cut if profile.startswith("mig") else whole
    one = slice_of(gpu, profile, "a")
    idle = slice_of(cut, "mig-1g.10gb", "b")
    pid = devices_rig.start(7, one, BUSY)
    held = [Held(7, (one,), {}), Held(8, (idle,), {})]

    def busy() -> Reading | None:
        # How much a simulated slice shows is compared with psutil in `test_devices_simulated`.
        reading = look(devices_rig.backend, held)
        activity = {part.slice_id: part.activity for part in reading.slices}
        return reading if (activity["a"] or 0.0) > 0.01 else None

    reading = wait_for(busy, what="load on the slice", every=0.2)
    slices = {part.slice_id: part for part in reading.slices}
    assert (slices["a"].memory_bytes or 0) > 1 << 20
    assert slices["b"].activity in (0.0, None)
    (process,) = [part for part in reading.processes if part.pid == pid]
    assert (process.lease_id, process.slice_id, process.gpu) == (7, "a", gpu.uuid)
    assert process.instance == one.instance
    assert process.started == pytest.approx(psutil.Process(pid).create_time(), abs=1.0)


def test_a_registered_process_and_its_children_belong_to_the_lease(devices_rig: Rig) -> None:
    """`gw.attach`: a kernel that runs already carries no tag."""
    whole, _ = devices_rig.backend.inventory()
    one = slice_of(whole, "fraction-0.5", "a")
    kernel = spawn(f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{IDLE}'])", {})
    try:
        (child,) = wait_for(lambda: psutil.Process(kernel.pid).children())
        lease = Held(7, (one,), {kernel.pid: None})
        if isinstance(devices_rig, NvmlRig):
            devices_rig.show(child.pid, one)
        wait_for(lambda: child.pid in devices_rig.backend.processes_of(lease))
        seen = {part.pid: part.lease_id for part in look(devices_rig.backend, [lease]).processes}
        assert seen[child.pid] == 7
        # Given back: the kernel lives on, and nothing of it counts any more.
        assert devices_rig.backend.processes_of(Held(7, (one,), {})) == []
    finally:
        for process in [*psutil.Process(kernel.pid).children(), kernel]:
            process.kill()
        kernel.wait()


def test_another_brokers_process_of_the_same_lease_id_does_not_count(devices_rig: Rig) -> None:
    whole, _ = devices_rig.backend.inventory()
    one = slice_of(whole, "fraction-0.5", "a")
    stranger = SimulatedRig("somebody else's")
    try:
        pid = stranger.start(7, one)
        wait_for(lambda: stranger.backend.processes_of(Held(7, (one,), {})) == [pid])
        assert devices_rig.backend.processes_of(Held(7, (one,), {})) == []
    finally:
        stranger.close()


def test_a_slice_is_never_more_than_fully_busy(devices_rig: Rig) -> None:
    """Two busy processes on a quarter: the slice is at 1, the GPU at no more than it has."""
    whole, _ = devices_rig.backend.inventory()
    one = slice_of(whole, "fraction-0.25", "a")
    held = [Held(7, (one,), {})]
    for _ in range(2):
        devices_rig.start(7, one, BUSY)

    def busy() -> Reading | None:
        reading = look(devices_rig.backend, held)
        return reading if len(reading.processes) == 2 and reading.slices[0].activity else None

    reading = wait_for(busy, every=0.2)
    assert 0.0 < (reading.slices[0].activity or 0.0) <= 1.0
    assert 0.0 <= (reading.gpus[0].activity or 0.0) <= (0.25 if whole.simulated else 1.0)


def test_closing_twice_is_harmless(devices_rig: Rig) -> None:
    devices_rig.backend.inventory()
    devices_rig.backend.close()
    devices_rig.backend.close()
