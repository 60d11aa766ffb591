"""What the devices are to attribute: each lease with all processes that are known to be its own."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import psutil

from gpu_workbench import protocol as wire
from gpu_workbench_server.engines.local import LocalEngine
from gpu_workbench_server.ports import Principal
from gpu_workbench_server.services.reaper import Attribution, KernelFacts, Reaper
from tests.support.desk import Desk

ANA, BEN = Principal("ana"), Principal("ben")


class NoKernels:
    def kernels(self) -> list[KernelFacts]:
        return []

    def stop(self, kernel_id: str) -> None: ...


def reaper(desk: Desk, place: Path, *sources: Attribution) -> Reaper:
    engine = LocalEngine(place, "test")
    return Reaper(desk.broker, engine, desk.devices, NoKernels(), desk.clock, desk.policy, sources)


def test_each_lease_gets_its_own_from_every_source(tmp_path: Path) -> None:
    desk = Desk()
    cluster, job, kernel = (desk.ask(who, "0.25").id for who in (ANA, BEN, ANA))
    one = reaper(
        desk,
        tmp_path,
        lambda: {cluster: {11: f"{cluster}.0", 12: None}},
        lambda: {job: {21: f"{job}.0"}, 999: {1: None}},
    )
    assert {held.lease_id: held.pids for held in one.held()} == {
        cluster: {11: f"{cluster}.0", 12: None},
        job: {21: f"{job}.0"},
        kernel: {},
    }


def test_a_source_is_asked_once_however_many_leases_there_are(tmp_path: Path) -> None:
    """Each reads a file of every cluster or job, twice a second."""
    desk, asked = Desk(), Counter[str]()
    one = reaper(
        desk,
        tmp_path,
        lambda: asked.update(["clusters"]) or {},
        lambda: asked.update(["jobs"]) or {},
    )
    assert one.held() == [], "nobody holds anything"
    assert not asked
    for _ in range(4):
        desk.ask(ANA, "0.25")
    assert len(one.held()) == 4
    assert asked == {"clusters": 1, "jobs": 1}


def test_a_holder_counts_until_the_step_after_its_end(tmp_path: Path) -> None:
    desk = Desk()
    lease = desk.ask(ANA, "0.25").id
    one = reaper(desk, tmp_path)
    with subprocess.Popen(["sleep", "60"]) as holder:
        desk.broker.bind(ANA, lease, of_kernel(holder.pid))
        assert pids(one) == {holder.pid: None}, "at once, before any step"
        one.step()
        assert pids(one) == {holder.pid: None}
        holder.kill()
    one.step()
    assert pids(one) == {}


def of_kernel(pid: int) -> wire.Holder:
    started = psutil.Process(pid).create_time()
    return wire.Holder(kind="kernel", id="k1", name="a.ipynb", pid=pid, started=started)


def pids(one: Reaper) -> dict[int, str | None]:
    (held,) = one.held()
    return dict(held.pids)
