"""The clusters' service killed between any two of its steps: nothing is lost and nothing leaks.

The death of the whole server, with real Dask: `test_survival.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench_server.domain.clusters import OVER
from tests.support.cluster_world import ADA, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


class Killed(BaseException):
    """As SIGKILL: nothing of the service runs after it."""


class Fuse:
    """Ends the service before or after its n-th call of broker, engine or store."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def burn(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def __call__(self, whole: Any) -> Any:
        return Cut(whole, self)


class Cut:
    def __init__(self, whole: Any, fuse: Fuse) -> None:
        self._whole = whole
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._whole, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._fuse.burn()
            answer = method(*args, **kwargs)
            self._fuse.burn()
            return answer

        return call


def test_killed_anywhere_while_it_starts_a_cluster_is_taken_up_or_never_was(world: World) -> None:
    for calls in count(2):  # reading the store at the start is two
        fuse = Fuse(calls)
        try:
            service = world.service(fuse)
            made = service.create(ADA, world.order(name="flights"))
            for _ in range(3):
                service.reconcile()
            world.until(service, made.id, "running")
        except Killed:
            pass
        again = world.service()
        living = [one for one in again.list(ADA) if one.state not in OVER]
        for one in living:
            there = world.until(again, one.id, "running")
            there = world.eventually(again, one.id, lambda now: len(now.workers) == 2)
            assert len(world.pids()) == 1, f"one process, killed after {calls} calls"
            again.stop(ADA, one.id)
            world.until(again, one.id, "ended")
            assert len(there.leases) == 2
        assert world.pids() == []
        assert world.broker.leases(ADA) == [] and world.broker.requests(ADA) == []
        world.clear()
        if fuse.left >= 0:
            break
    assert calls > 20


def test_killed_anywhere_while_it_stops_a_cluster_is_ended_all_the_same(world: World) -> None:
    for calls in count(2):
        cluster = world.running(world.service(), name="flights")
        fuse = Fuse(calls)
        try:
            service = world.service(fuse)
            service.stop(ADA, cluster.id)
            world.until(service, cluster.id, "ended")
        except Killed:
            pass
        again = world.service()
        if again.get(ADA, cluster.id).state == "running":  # killed before it was written down
            again.stop(ADA, cluster.id)
        over = world.until(again, cluster.id, "ended")
        assert over.message == "stopped"
        assert world.pids() == []
        assert world.broker.leases(ADA) == []
        world.clear()
        if fuse.left >= 0:
            break
    assert calls > 10
