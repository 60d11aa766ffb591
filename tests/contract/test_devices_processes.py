"""Whose processes the NVML backend says are on a GPU, a slice, a MIG instance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_workbench_server.domain.leases import Slice
from gpu_workbench_server.ports import Held
from tests.fakes.nvml import GIB, FakeProcess, ProcessType
from tests.support.devices import IDLE, NvmlRig, look, slice_of, spawn
from tests.support.waiting import wait_for


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[NvmlRig]:
    one = NvmlRig(str(tmp_path), tmp_path)
    yield one
    one.close()


def test_processes_are_told_with_their_instance_and_their_owner(rig: NvmlRig) -> None:
    _, cut = rig.backend.inventory()
    one = slice_of(cut, "mig-1g.10gb", "a", at=1)
    pid = rig.start(7, one)
    stranger = FakeProcess(1, 999_999, None, gi=3, type="graphics")
    rig.driver.processes.append(stranger)
    rig.write()

    def owned() -> bool:
        reading = look(rig.backend, [Held(7, (one,), {})])
        told = {
            p.pid: (p.instance, p.slice_id, p.lease_id, p.memory_bytes) for p in reading.processes
        }
        assert told[999_999] == (rig.driver.instance_uuid(1, 1), None, None, None)
        return told[pid] == (one.instance, "a", 7, GIB)

    wait_for(owned)


@pytest.mark.parametrize("profile", ["whole", "fraction-0.5", "mig-2g.20gb"])
def test_a_process_of_one_lease_is_a_stranger_where_another_holds_the_place(
    rig: NvmlRig, profile: str
) -> None:
    """And at home where its kernel holds that lease, too, or where nobody holds anything."""
    whole, cut = rig.backend.inventory()
    own = slice_of(cut, "mig-1g.10gb", "own", at=1)
    theirs = slice_of(cut if profile.startswith("mig") else whole, profile, "theirs")
    pid = rig.start(7, own)  # carries the id of lease 7, whatever else its kernel holds
    rig.driver.processes.clear()
    rig.show(pid, theirs)

    def told(*held: Held) -> tuple[int | None, str | None]:
        (found,) = look(rig.backend, held).processes
        assert (found.command is None) == (found.lease_id is not None)
        return found.lease_id, found.slice_id

    lease = Held(7, (own,), {})
    wait_for(lambda: told(lease) == (7, None))
    assert told(lease, Held(8, (theirs,), {}))[0] is None
    together = Held(7, (own,), {pid: None}), Held(8, (theirs,), {pid: None})
    assert told(*together) == (8, "theirs")
    assert told(*reversed(together)) == (8, "theirs")


@pytest.mark.parametrize("kind", ["compute", "mps", "graphics"])
def test_a_strangers_compute_keeps_a_whole_gpu_in_use_and_a_desktop_does_not(
    rig: NvmlRig, kind: ProcessType
) -> None:
    whole, _ = rig.backend.inventory()
    rig.driver.processes.append(FakeProcess(0, 999_999, GIB, type=kind))
    rig.write()
    lease = Held(7, (slice_of(whole, "whole", "a"),), {})
    assert rig.backend.processes_of(lease) == ([] if kind == "graphics" else [999_999])


def test_a_process_started_for_a_lease_counts_before_it_touches_the_gpu(
    rig: NvmlRig,
) -> None:
    whole, _ = rig.backend.inventory()
    one = slice_of(whole, "whole", "a")
    pid = rig.start(7, one)
    rig.driver.processes.clear()
    rig.write()
    wait_for(lambda: rig.backend.processes_of(Held(7, (one,), {})) == [pid])


def test_load_that_nobody_is_known_to_own_leaves_a_share_unknown(rig: NvmlRig) -> None:
    whole, _ = rig.backend.inventory()
    share: Slice = slice_of(whole, "fraction-0.5", "a")
    other = spawn(IDLE, {})
    try:
        rig.show(other.pid, share, activity=50)
        (reading,) = look(rig.backend, [Held(7, (share,), {})]).slices
        assert (reading.activity, reading.memory_bytes) == (None, None)
    finally:
        other.kill()
        other.wait()
