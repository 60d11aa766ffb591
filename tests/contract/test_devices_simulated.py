"""The simulated backend: fleets from files, and load that follows real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_workbench_server.devices.fleet_file import default_fleet, parse_fleet, read_fleet
from gpu_workbench_server.devices.simulated import SimulatedBackend
from gpu_workbench_server.domain.readings import Reading
from gpu_workbench_server.domain.units import GIB
from gpu_workbench_server.errors import BadConfiguration
from gpu_workbench_server.ports import Held
from tests.support.devices import BUSY, IDLE, SimulatedRig, lease_env, slice_of, spawn
from tests.support.waiting import wait_for


@pytest.fixture
def devices_simulated(tmp_path: Path) -> Iterator[SimulatedRig]:
    rig = SimulatedRig(str(tmp_path))
    yield rig
    rig.close()


# --- fleets -------------------------------------------------------------------------------------


def test_the_default_fleet_is_two_h100_one_of_them_cut_by_mig() -> None:
    whole, cut = default_fleet()
    assert (whole.mig, cut.mig) == (False, True)
    assert sorted(one.profile for one in cut.instances) == [
        "1g.10gb",
        "1g.10gb",
        "2g.20gb",
        "3g.40gb",
    ]
    assert whole.simulated and cut.simulated
    assert whole.memory_bytes == 80 * GIB


def test_a_fleet_is_the_same_at_every_start_and_another_model_is_another_gpu() -> None:
    assert default_fleet() == default_fleet()
    a100 = parse_fleet('[[gpu]]\nmodel = "A100"\nmemory_gb = 40', "a")
    h100 = parse_fleet('[[gpu]]\nmodel = "H100"\nmemory_gb = 80', "a")
    assert a100[0].uuid != h100[0].uuid


def test_a_fleet_file_may_describe_nodes_pools_and_links(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(
        """
        [[gpu]]
        model = "NVIDIA A100-SXM4-40GB"
        memory_gb = 40
        count = 2
        node = "n1"
        pool = "teaching"
        numa = 1
        island = 3
        [[gpu]]
        model = "NVIDIA A100-SXM4-40GB"
        memory_gb = 40
        node = "n2"
        mig = ["3g.20gb", "1g.5gb"]
        starts = [0, 6]
        """
    )
    gpus = read_fleet(path)
    assert [gpu.name for gpu in gpus] == ["n1/gpu0", "n1/gpu1", "n2/gpu0"]
    assert (gpus[0].pool, gpus[0].numa, gpus[0].island) == ("teaching", 1, 3)
    assert [(one.start, one.memory_gb) for one in gpus[2].instances] == [(0, 20.0), (6, 5.0)]


def test_the_example_of_the_manual_is_a_fleet() -> None:
    manual = Path(__file__).resolve().parents[2] / "docs" / "admin" / "fleet-file.md"
    example = manual.read_text().split("```toml\n")[1].split("```")[0]
    gpus = parse_fleet(example, "the manual")
    assert [gpu.mig for gpu in gpus] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("not toml", "TOML"),
        ("", "no [[gpu]]"),
        ("gpu = 3", "no [[gpu]]"),
        ("[gpus]\n", "unknown key 'gpus'"),
        ('[[gpu]]\nmodel = "H100"', "memory_gb is missing"),
        ('[[gpu]]\nmodel = "H100"\nmemory_gb = "80"', "memory_gb = '80'"),
        ('[[gpu]]\nmodel = "H100"\nmemory_gb = 0', "above 0"),
        ('[[gpu]]\nmodel = "H100"\nmemory_gb = 80\nmodle = 1', "unknown key 'modle'"),
        ('[[gpu]]\nmodel = "H100"\nmemory_gb = 80\nmig = ["5g.50gb"]', "5g.50gb is not a MIG"),
        ('[[gpu]]\nmodel = "H100"\nmemory_gb = 80\nmig = ["4g.40gb", "4g.40gb"]', "do not fit"),
        ('[[gpu]]\nmodel = "H100"\nmemory_gb = 80\nmig = ["3g.40gb"]\nstarts = [2]', "start at 2"),
        ('[[gpu]]\nmodel = "H100"\nmemory_gb = 80\nmig = ["1g.10gb"]\nstarts = []', "one number"),
        (
            '[[gpu]]\nmodel = "H100"\nmemory_gb = 80\n'
            'mig = ["1g.10gb", "2g.20gb"]\nstarts = [1, 0]',
            "overlaps",
        ),
    ],
)
def test_a_wrong_fleet_file_is_refused_with_its_fault(text: str, names: str) -> None:
    with pytest.raises(BadConfiguration) as caught:
        parse_fleet(text, "fleet.toml")
    assert names in caught.value.message
    assert "fleet.toml" in caught.value.message
    assert caught.value.hint


def test_a_fleet_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="can't be read"):
        SimulatedBackend(tmp_path / "nowhere.toml")


# --- load ---------------------------------------------------------------------------------------


def test_a_rank_loads_its_own_slice_and_an_untold_process_all_of_them(
    devices_simulated: SimulatedRig,
) -> None:
    rig = devices_simulated
    whole, _ = rig.backend.inventory()
    parts = (slice_of(whole, "fraction-0.25", "a"), slice_of(whole, "fraction-0.25", "b"))
    held = [Held(7, parts, {})]
    rank = spawn(BUSY, lease_env(rig.broker, 7, "a", "b", LOCAL_RANK="1"))
    try:
        reading = wait_for(lambda: _busy(rig, held, 1), every=0.2)
        activity = {one.slice_id: one.activity for one in reading.slices}
        assert activity["a"] == 0.0 and (activity["b"] or 0.0) > 0.05
        assert reading.processes[0].slice_id == "b"
    finally:
        rank.kill()
        rank.wait()
    both = spawn(BUSY, lease_env(rig.broker, 7, "a", "b"))
    try:
        reading = wait_for(lambda: _busy(rig, held, 0), every=0.2)
        first, second = (one.activity for one in reading.slices)
        assert first == second
        assert reading.processes[0].slice_id is None
    finally:
        both.kill()
        both.wait()


def _busy(rig: SimulatedRig, held: list[Held], index: int) -> Reading | None:
    reading = rig.backend.read(held)
    return reading if (reading.slices[index].activity or 0.0) > 0.05 else None


def test_a_worker_loads_the_slice_it_is_registered_for(devices_simulated: SimulatedRig) -> None:
    rig = devices_simulated
    whole, _ = rig.backend.inventory()
    parts = (slice_of(whole, "fraction-0.25", "a"), slice_of(whole, "fraction-0.25", "b"))
    worker = spawn(BUSY, lease_env(rig.broker, 7))
    try:
        held = [Held(7, parts, {worker.pid: "b"})]
        reading = wait_for(lambda: _busy(rig, held, 1), every=0.2)
        assert reading.slices[0].activity == 0.0
        assert reading.processes[0].slice_id == "b"
    finally:
        worker.kill()
        worker.wait()


def test_power_and_temperature_rise_with_load(devices_simulated: SimulatedRig) -> None:
    rig = devices_simulated
    whole, _ = rig.backend.inventory()
    one = slice_of(whole, "whole", "a")
    idle = rig.backend.read([]).gpus[0]
    rig.start(7, one, BUSY)
    busy = wait_for(lambda: _busy(rig, [Held(7, (one,), {})], 0), every=0.2).gpus[0]
    assert idle.activity == 0.0
    assert (busy.power_watts or 0.0) > (idle.power_watts or 0.0)
    assert (busy.temperature_c or 0.0) > (idle.temperature_c or 0.0)


def test_a_zombie_holds_nothing(devices_simulated: SimulatedRig) -> None:
    rig = devices_simulated
    whole, _ = rig.backend.inventory()
    lease = Held(7, (slice_of(whole, "whole", "a"),), {})
    child = spawn(IDLE, lease_env(rig.broker, 7, "a"))
    wait_for(lambda: rig.backend.processes_of(lease) == [child.pid])
    child.kill()  # and nobody waits for it yet
    wait_for(lambda: rig.backend.processes_of(lease) == [])
    child.wait()
