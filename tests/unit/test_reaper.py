"""What the devices are to attribute: each lease with all processes that are known to be its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

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
