"""The simulated backend: fleets from files, and load that follows real processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gpu_workbench_server.devices.fleet_file import default_fleet, parse_fleet, read_fleet
from gpu_workbench_server.devices.simulated import CORES, SHORTEST_LOOK, SimulatedBackend
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

TICK = 0.02
"""CPU seconds by which two looks at a process may differ for no reason: it is told in 10 ms."""


class Stopwatch:
    """Two looks of the backend, each between two of ours, so that however loaded the machine is,
    the true CPU use of the window that the backend measured lies between two known figures."""

    def __init__(self, rig: SimulatedRig, held: list[Held], *pids: int) -> None:
        self._rig, self._held = rig, held
        self._processes = [psutil.Process(pid) for pid in pids]

    def look(self) -> tuple[float, float]:
        """When it was, and the CPU seconds so far."""
        times = [process.cpu_times() for process in self._processes]
        return time.monotonic(), sum(one.user + one.system for one in times)

    def measure(self, seconds: float = 1.0) -> tuple[Reading, float, float]:
        """A reading over `seconds`, and the least and the most that its activity can truly be."""
        outer_began = self.look()
        self._rig.backend.read(self._held)
        inner_began = self.look()
        time.sleep(seconds)
        inner_ended = self.look()
        reading = self._rig.backend.read(self._held)
        outer_ended = self.look()
        inner, outer = inner_ended[1] - inner_began[1], outer_ended[1] - outer_began[1]
        least = (inner - TICK) / (outer_ended[0] - outer_began[0])
        most = (outer + TICK) / (inner_ended[0] - inner_began[0])
        return reading, least, most

    def tight(self, share: float = 0.15) -> tuple[Reading, float, float]:
        """A measurement whose bounds are at most `share` apart, so that it says something."""
        for seconds in (1.0, 2.0, 4.0, 8.0, 16.0):
            reading, least, most = self.measure(seconds)
            if most - least <= share * most:
                return reading, least, most
        raise AssertionError(f"too little CPU time on this machine to measure: {least}, {most}")


def test_activity_is_what_psutil_says_within_fifteen_per_cent(
    devices_simulated: SimulatedRig,
) -> None:
    rig = devices_simulated
    whole, _ = rig.backend.inventory()
    one = slice_of(whole, "fraction-0.5", "a")
    half = "import time\nwhile True:\n t = time.time() + 0.02\n while time.time() < t: pass\n"
    pid = rig.start(7, one, half + " time.sleep(0.02)")
    watch = Stopwatch(rig, [Held(7, (one,), {})], pid)
    reading, least, most = watch.tight()
    activity = reading.slices[0].activity
    assert activity is not None and least <= activity <= min(1.0, most)
    assert reading.processes[0].activity == pytest.approx(activity)
    assert reading.gpus[0].activity == pytest.approx(activity / 2, abs=1e-3)
    assert reading.slices[0].sm_activity == pytest.approx(
        min(activity, activity / (CORES / 2)), abs=1e-3
    )
    assert reading.slices[0].sm_activity <= activity, "SMs have work only while anything runs"
    rss = psutil.Process(pid).memory_info().rss
    assert reading.slices[0].memory_bytes == pytest.approx(rss, rel=0.15)


def test_two_processes_add_up_and_stop_at_one(devices_simulated: SimulatedRig) -> None:
    rig = devices_simulated
    whole, _ = rig.backend.inventory()
    one = slice_of(whole, "fraction-0.5", "a")
    pids = [rig.start(7, one, BUSY) for _ in range(2)]
    reading, least, most = Stopwatch(rig, [Held(7, (one,), {})], *pids).tight()
    assert min(1.0, least) <= (reading.slices[0].activity or 0.0) <= min(1.0, most)


def test_a_rank_loads_its_own_slice(devices_simulated: SimulatedRig) -> None:
    rig = devices_simulated
    whole, _ = rig.backend.inventory()
    parts = (slice_of(whole, "fraction-0.25", "a"), slice_of(whole, "fraction-0.25", "b"))
    rank = spawn(BUSY, lease_env(rig.broker, 7, "a", "b", LOCAL_RANK="1"))
    try:
        reading, least, most = Stopwatch(rig, [Held(7, parts, {})], rank.pid).tight()
        activity = {one.slice_id: one.activity for one in reading.slices}
        assert activity["a"] == 0.0 and least <= (activity["b"] or 0.0) <= most
        assert reading.processes[0].slice_id == "b"
    finally:
        rank.kill()
        rank.wait()


def test_an_untold_process_loads_all_slices_of_its_lease(devices_simulated: SimulatedRig) -> None:
    rig = devices_simulated
    whole, _ = rig.backend.inventory()
    parts = (slice_of(whole, "fraction-0.25", "a"), slice_of(whole, "fraction-0.25", "b"))
    both = spawn(BUSY, lease_env(rig.broker, 7, "a", "b"))
    try:
        reading, least, most = Stopwatch(rig, [Held(7, parts, {})], both.pid).tight()
        first, second = (one.activity or 0.0 for one in reading.slices)
        assert first == second and least / 2 <= first <= most / 2
        assert reading.processes[0].slice_id is None
    finally:
        both.kill()
        both.wait()


def test_a_worker_loads_the_slice_it_is_registered_for(devices_simulated: SimulatedRig) -> None:
    rig = devices_simulated
    whole, _ = rig.backend.inventory()
    parts = (slice_of(whole, "fraction-0.25", "a"), slice_of(whole, "fraction-0.25", "b"))
    worker = spawn(BUSY, lease_env(rig.broker, 7))
    try:
        held = [Held(7, parts, {worker.pid: "b"})]
        reading, least, most = Stopwatch(rig, held, worker.pid).tight()
        assert reading.slices[0].activity == 0.0
        assert least <= (reading.slices[1].activity or 0.0) <= most
        assert reading.processes[0].slice_id == "b"
    finally:
        worker.kill()
        worker.wait()


def test_a_process_that_began_between_two_looks_counts_from_its_start(
    devices_simulated: SimulatedRig,
) -> None:
    """Two seconds of a job must not wait for a third look to be seen."""
    rig = devices_simulated
    whole, _ = rig.backend.inventory()
    one = slice_of(whole, "whole", "a")
    rig.backend.read([Held(7, (one,), {})])
    began = time.monotonic()
    process = psutil.Process(rig.start(7, one, BUSY))
    wait_for(lambda: process.cpu_times().user > 0.1)
    wait_for(lambda: time.monotonic() - began > SHORTEST_LOOK)  # sooner, a look measures nothing
    reading = rig.backend.read([Held(7, (one,), {})])
    assert (reading.slices[0].activity or 0.0) > 0.0


def test_power_and_temperature_rise_with_load(devices_simulated: SimulatedRig) -> None:
    rig = devices_simulated
    whole, _ = rig.backend.inventory()
    one = slice_of(whole, "whole", "a")
    idle = rig.backend.read([]).gpus[0]
    pid = rig.start(7, one, BUSY)
    busy = Stopwatch(rig, [Held(7, (one,), {})], pid).tight()[0].gpus[0]
    assert idle.activity == 0.0
    assert (busy.power_watts or 0.0) > (idle.power_watts or 0.0)
    assert (busy.temperature_c or 0.0) > (idle.temperature_c or 0.0)
    assert (busy.energy_joules or 0.0) > (idle.energy_joules or 0.0)


def test_what_a_simulated_gpu_has_not_is_unknown_and_not_nought(
    devices_simulated: SimulatedRig,
) -> None:
    one = devices_simulated.backend.read([]).gpus[0]
    assert (one.tensor_activity, one.dram_activity, one.pcie_tx_bytes_s, one.xid) == (None,) * 4
    assert (one.sm_activity, one.throttle, one.state) == (0.0, (), "ok")


def test_a_zombie_holds_nothing(devices_simulated: SimulatedRig) -> None:
    rig = devices_simulated
    whole, _ = rig.backend.inventory()
    lease = Held(7, (slice_of(whole, "whole", "a"),), {})
    child = spawn(IDLE, lease_env(rig.broker, 7, "a"))
    wait_for(lambda: rig.backend.processes_of(lease) == [child.pid])
    child.kill()  # and nobody waits for it yet
    wait_for(lambda: rig.backend.processes_of(lease) == [])
    child.wait()
