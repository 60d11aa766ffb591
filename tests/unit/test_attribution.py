"""Whose process is it: under which name, and who may see what of it."""

from __future__ import annotations

from gpu_workbench import protocol as wire
from gpu_workbench_server.domain.leases import Slice
from gpu_workbench_server.domain.readings import DeviceProcess, Reading
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.ports import Held
from gpu_workbench_server.services.attribution import (
    STRANGE_SECONDS,
    Strangers,
    is_stranger,
    notice,
    permitted,
    shown,
)

GPU, OTHER_GPU = "GPU-1", "GPU-2"
MINE = DeviceProcess(101, GPU, 5, 0.5, slice_id="a", lease_id=7)
NEIGHBOUR = DeviceProcess(102, GPU, 6, 0.25, slice_id="b", lease_id=8)
STRANGER = DeviceProcess(103, GPU, 7, 0.1, command="python mine.py (user eve)")
UNSEEN = DeviceProcess(104, GPU, 8)
DESKTOP = DeviceProcess(105, GPU, 9, kind="graphics", command="Xorg (user root)")
MPS = DeviceProcess(106, GPU, 9, kind="mps", command="nvidia-cuda-mps-server (user root)")
ELSEWHERE = DeviceProcess(107, OTHER_GPU, 10, command="python far.py (user eve)")
ALL = (MINE, NEIGHBOUR, STRANGER, UNSEEN, DESKTOP, MPS, ELSEWHERE)


def lease(lease_id: int, slice_id: str, name: str, mine: bool = True) -> wire.Lease:
    part = wire.Slice(
        id=slice_id,
        gpu=GPU,
        kind="fraction",
        profile="fraction-0.5",
        memory_bytes=1,
        units=0.5,
        visible_device="",
        tier="simulated",
    )
    return wire.Lease(
        id=lease_id,
        state="active",
        user="ana" if mine else "ben",
        mine=mine,
        pool="default",
        profile="fraction-0.5",
        slices=[part],
        units=0.5,
        purpose="kernel",
        name="",
        granted_at=0.0,
        ends_at=1.0,
        holder=wire.Holder(kind="kernel", id="k", name=name),
    )


def held(*leases: int) -> list[Held]:
    part = Slice("a", GPU, "fraction-0.5", "fraction", PARTS // 2, 1 << 30, "simulated", "")
    return [Held(one, (part,), {}) for one in leases]


def test_one_s_own_process_goes_by_the_name_of_its_notebook() -> None:
    (one,) = shown([MINE], [lease(7, "a", "churn.ipynb")], admin=False)
    assert (one.name, one.owner, one.pid, one.memory_bytes) == ("churn.ipynb", "mine", 101, 5)


def test_others_on_my_gpu_are_seen_and_neither_named_nor_numbered() -> None:
    """Their memory is what my "out of memory" comes from."""
    found = shown(ALL, [lease(7, "a", "churn.ipynb")], admin=False)
    assert [(one.owner, one.name, one.memory_bytes) for one in found] == [
        ("mine", "churn.ipynb", 5),
        ("other", "another user's process", 6),
        ("stranger", "another user's process", 7),
        ("unknown", "unknown process", 8),
        ("unknown", "unknown process", 9),
        ("unknown", "unknown process", 9),
    ]
    for one in found[1:]:
        assert (one.pid, one.command, one.lease_id, one.slice_id) == (None,) * 4


def test_who_holds_nothing_sees_nothing() -> None:
    assert shown(ALL, [], admin=False) == []


def test_an_administrator_sees_all_gpus_with_pids_names_and_command_lines() -> None:
    leases = [lease(7, "a", "churn.ipynb", mine=False), lease(8, "b", "grid.ipynb", mine=False)]
    found = {one.pid: one for one in shown(ALL, leases, admin=True)}
    assert len(found) == len(ALL)
    assert (found[102].name, found[102].owner) == ("grid.ipynb", "other")
    assert found[103].command == "python mine.py (user eve)"
    assert found[107].gpu == OTHER_GPU


def named(process: DeviceProcess) -> str:
    return f"process:{process.pid}"


def test_whose_pid_may_be_seen_of_that_the_past_is_named() -> None:
    leases = [lease(7, "a", "churn.ipynb")]
    assert [one.subject for one in shown(ALL, leases, False, named)] == ["process:101"] + [None] * 5
    assert all(one.subject for one in shown(ALL, leases, True, named))


def test_the_past_of_a_process_is_its_owner_s_and_an_administrator_s() -> None:
    asked = ["GPU-1", "process:101", "process:102", "process:103", "process:999", "lease:8"]
    lease_of = {named(one): one.lease_id for one in ALL}.get
    mine = [lease(7, "a", "churn.ipynb"), lease(8, "b", "grid.ipynb", mine=False)]
    assert permitted(asked, lease_of, mine, admin=False) == ["GPU-1", "process:101", "lease:8"]
    assert permitted(asked, lease_of, [], admin=False) == ["GPU-1", "lease:8"]
    assert permitted(asked, lease_of, mine, admin=True) == asked


def test_only_what_computes_here_without_a_lease_is_a_stranger() -> None:
    """In a container the driver tells the host's pids: what can't be seen may be a lease's own."""
    assert [one.pid for one in ALL if is_stranger(one)] == [103, 107]


def test_a_stranger_is_reported_once_and_only_on_a_leased_gpu() -> None:
    strangers, reading = Strangers(), Reading(processes=ALL)
    assert strangers.look(0.0, reading, held(7)) == []
    assert strangers.look(STRANGE_SECONDS, reading, held(7)) == [STRANGER]
    assert strangers.look(STRANGE_SECONDS + 1, reading, held(7)) == []
    assert dict(strangers.count) == {GPU: 1}
    assert strangers.look(STRANGE_SECONDS + 2, Reading(), held(7)) == []
    assert dict(strangers.count) == {GPU: 0}
    strangers.look(100.0, reading, held(7))
    assert strangers.look(100.0 + STRANGE_SECONDS, reading, held(7)) == [STRANGER]
    assert dict(strangers.count) == {GPU: 1}
    assert strangers.look(200.0, reading, []) == []
    assert dict(strangers.count) == {}


def test_a_process_that_was_only_just_started_is_given_time_to_show_its_lease() -> None:
    strangers = Strangers()
    strangers.look(0.0, Reading(processes=(STRANGER,)), held(7))
    assert strangers.look(STRANGE_SECONDS + 1, Reading(processes=(MINE,)), held(7)) == []


def test_the_notice_says_where_and_what_it_is() -> None:
    told = notice(STRANGER)
    assert told.lease_id is None and told.code == "stranger"
    for word in (GPU, "103", "python mine.py (user eve)"):
        assert word in told.message
