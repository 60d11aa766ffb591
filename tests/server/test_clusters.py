"""The clusters' service with a real broker, store and engine, killed between any two of its steps.

Its holder is a small stand-in that keeps the files' contract without Dask, so that hundreds of
starts cost seconds; the real one is in `tests/kernels/test_cluster.py`, the real server's death in
`test_survival.py`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpu_workbench import protocol as wire
from gpu_workbench.protocol import BROKER_ENV
from gpu_workbench_server.devices.simulated import SimulatedBackend
from gpu_workbench_server.domain.clusters import OVER
from gpu_workbench_server.engines.local import LocalEngine
from gpu_workbench_server.errors import BadRequest, NeverFits, NotFound, Refused, WrongState
from gpu_workbench_server.ports import News, Principal
from gpu_workbench_server.services.broker import Broker
from gpu_workbench_server.services.clusters import Clusters
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.store.memory import MemoryStore
from tests.support.waiting import wait_for

ADA = Principal("ada")
BOB = Principal("bob")

STAND_IN = f"""#!{sys.executable} -S
import json, os, sys, time
directory, mode = sys.argv[3], os.environ.get("STAND_IN", "")
if mode == "broken":
    sys.exit("No module named gpu_workbench")
def tell(state, message=""):
    status = dict(state=state, message=message, updated_at=time.time(), workers=[
        dict(name="w0", slice_id="s0", pid=os.getpid(), state="running")])
    with open(directory + "/half", "w") as file:
        json.dump(status, file)
    os.replace(directory + "/half", directory + "/status.json")
if mode == "stubborn":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
tell("running")
while mode == "stubborn" or not json.load(open(directory + "/target.json")).get("stop"):
    time.sleep(0.01)
tell("ended", "stopped")
"""


class TestClock:
    __test__ = False

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead


class Ear:
    """An `EventSink` that remembers."""

    def __init__(self) -> None:
        self.heard: list[News] = []

    def tell(self, news: News) -> None:
        self.heard.append(news)

    def states(self, cluster_id: str) -> list[str]:
        seen = [one.payload.state for one in self.heard if one.subject == cluster_id]
        return [state for n, state in enumerate(seen) if n == 0 or seen[n - 1] != state]


class World:
    """A broker, a store and an engine that outlive the service under test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.python = root / "stand-in"
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)
        self.clock = TestClock()
        self.ear = Ear()
        self.store = MemoryStore()
        self.engine = LocalEngine(root / "engine", str(root))
        devices = SimulatedBackend(broker=str(root))
        self.broker = Broker(self.store, devices, self.clock, self.ear, Policy())
        self.broker.start()

    def service(
        self, cut: Callable[[Any], Any] = lambda whole: whole, mode: str = "", grace: float = 10.0
    ) -> Clusters:
        """The service as a server that has just started has it."""
        return Clusters(
            cut(self.broker),
            cut(self.engine),
            cut(self.store),
            self.ear,
            self.clock,
            self.root / "clusters",
            dict(os.environ) | {BROKER_ENV: str(self.root), "STAND_IN": mode},
            stop_grace=grace,
        )

    def order(self, **changes: Any) -> wire.NewCluster:
        wanted: dict[str, Any] = {"workers": 2, "per_worker": "1g.10gb", "python": str(self.python)}
        return wire.NewCluster(**(wanted | changes))

    def pids(self) -> list[int]:
        """Processes of any lease of this broker."""
        return [one.pid for one in self.engine._scanner.scan()]

    def until(self, service: Clusters, cluster_id: str, *states: str) -> wire.Cluster:
        def there() -> wire.Cluster | None:
            service.reconcile()
            now = service.get(ADA, cluster_id)
            return now if now.state in states else None

        found = wait_for(there, 20, f"{cluster_id} is {states}", every=0.01)
        assert found is not None
        return found

    def running(self, service: Clusters, **changes: Any) -> wire.Cluster:
        made = service.create(ADA, self.order(**changes))
        return self.until(service, made.id, "running")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for lease_id in range(1, 200):
        if made.engine.lease_pids(lease_id):
            made.engine.kill_lease(lease_id)
        elif not made.pids():
            break


# --- the usual way ------------------------------------------------------------------------------


def test_a_cluster_takes_a_lease_runs_and_gives_it_back(world: World) -> None:
    service = world.service()
    cluster = world.running(service, name="flights")
    lease = world.broker.lease(ADA, cluster.lease_id or 0)
    assert lease.holder and (lease.holder.kind, lease.holder.id) == ("cluster", cluster.id)
    assert lease.holder.pid in world.engine.lease_pids(lease.id)
    assert len(lease.slices) == 2 and lease.purpose == "cluster" and lease.name == "flights"
    service.stop(ADA, cluster.id)
    over = world.until(service, cluster.id, "ended")
    assert over.message == "stopped" and over.ended_at is not None
    assert world.broker.lease(ADA, lease.id).state == "ended"
    assert world.pids() == []
    assert world.ear.states(cluster.id) == ["starting", "running", "stopping", "ended"]


def test_it_waits_for_its_slices_and_says_why(world: World) -> None:
    service = world.service()
    first = world.running(service)
    second = service.create(ADA, world.order())
    assert second.state == "waiting" and second.lease_id is None
    assert "position 1" in second.message and f"lease {first.lease_id}" in second.message
    service.stop(ADA, first.id)
    world.until(service, first.id, "ended")
    world.broker.clear(first.lease_id or 0)
    world.until(service, second.id, "running")


def test_stopping_one_that_waits_leaves_no_request(world: World) -> None:
    service = world.service()
    world.running(service)
    waiting = service.create(ADA, world.order())
    assert service.stop(ADA, waiting.id).state == "ended"
    assert world.broker.requests(ADA) == []


def test_cancelling_its_request_ends_it(world: World) -> None:
    service = world.service()
    world.running(service)
    waiting = service.create(ADA, world.order())
    world.broker.cancel(ADA, waiting.request_id or 0)
    assert world.until(service, waiting.id, "ended").message == "its request was cancelled"


def test_what_can_never_be_had_is_refused_and_leaves_no_cluster(world: World) -> None:
    service = world.service()
    with pytest.raises(NeverFits):
        service.create(ADA, world.order(workers=100))
    assert service.list(ADA) == []


def test_releasing_its_lease_ends_it(world: World) -> None:
    service = world.service()
    cluster = world.running(service)
    world.broker.release(ADA, cluster.lease_id or 0)
    assert world.until(service, cluster.id, "ended").message == "its slices were given back"
    assert world.pids() == []


def test_it_ends_with_its_time(world: World) -> None:
    service = world.service()
    cluster = world.running(service, seconds=600)
    world.clock.ahead = 601
    world.broker.tick()
    assert world.until(service, cluster.id, "ended").message == "its time was up"


def test_it_is_told_when_its_time_is_extended(world: World) -> None:
    service = world.service()
    cluster = world.running(service, seconds=600)
    ends_at = world.broker.extend(ADA, cluster.lease_id or 0, 600).ends_at
    service.reconcile()
    target = world.root / "clusters" / cluster.id / "target.json"
    told = msgspec.json.decode(target.read_bytes(), type=wire.ClusterTarget)
    assert told.ends_at == ends_at


def test_one_that_does_not_end_is_killed_after_its_grace(world: World) -> None:
    service = world.service(mode="stubborn", grace=0.3)
    cluster = world.running(service)
    service.stop(ADA, cluster.id)
    service.reconcile()
    assert world.pids(), "it has its grace"
    world.until(service, cluster.id, "ended")
    assert world.pids() == []


def test_one_that_can_not_start_fails_with_its_own_words(world: World) -> None:
    service = world.service(mode="broken")
    cluster = service.create(ADA, world.order())
    failed = world.until(service, cluster.id, "failed")
    assert "No module named gpu_workbench" in failed.message
    assert world.broker.lease(ADA, cluster.request_id or 0).state == "ended"


def test_killing_its_process_fails_it_and_ends_all_that_is_left(world: World) -> None:
    service = world.service()
    cluster = world.running(service)
    world.engine.kill_lease(cluster.lease_id or 0)
    failed = world.until(service, cluster.id, "failed")
    assert failed.message == "Its process was killed or crashed."
    assert world.broker.lease(ADA, cluster.lease_id or 0).end_reason == "lost"


def test_scaling_stays_within_its_slices(world: World) -> None:
    service = world.service()
    cluster = world.running(service)
    assert service.scale(ADA, cluster.id, 1).workers_wanted == 1
    with pytest.raises(Refused) as refused:
        service.scale(ADA, cluster.id, 3)
    assert "holds 2 slices" in refused.value.message and "workers=3" in refused.value.hint
    with pytest.raises(BadRequest):
        service.scale(ADA, cluster.id, 0)
    service.stop(ADA, cluster.id)
    with pytest.raises(WrongState):
        service.scale(ADA, cluster.id, 2)


def test_two_living_clusters_of_one_person_have_two_names(world: World) -> None:
    service = world.service()
    cluster = world.running(service, workers=1, name="flights")
    with pytest.raises(Refused):
        service.create(ADA, world.order(workers=1, name="flights"))
    service.stop(ADA, cluster.id)
    world.until(service, cluster.id, "ended")
    world.broker.clear(cluster.lease_id or 0)
    assert service.create(ADA, world.order(workers=1, name="flights")).name == "flights"
    assert service.create(ADA, world.order(workers=1)).name == "cluster 1"


def test_somebody_elses_cluster_is_not_there(world: World) -> None:
    service = world.service()
    cluster = world.running(service)
    assert service.list(BOB) == []
    for verb in (service.get, service.stop):
        with pytest.raises(NotFound):
            verb(BOB, cluster.id)
    with pytest.raises(NotFound):
        service.scale(BOB, cluster.id, 1)


def test_one_that_says_nothing_any_more_is_said_to(world: World) -> None:
    service = world.service()
    cluster = world.running(service)  # the stand-in speaks once
    assert cluster.message == ""
    world.clock.ahead = 60
    service.reconcile()
    silent = service.get(ADA, cluster.id)
    assert silent.state == "running" and "busy or stuck" in silent.message


def test_workers_are_known_by_their_slice(world: World) -> None:
    service = world.service()
    cluster = world.running(service)
    (pid,) = world.engine.lease_pids(cluster.lease_id or 0)
    assert service.attributions() == {cluster.lease_id: {pid: "s0"}}


# --- killed between any two steps -----------------------------------------------------------------


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
            assert len(world.pids()) == 1, f"one process, killed after {calls} calls"
            again.stop(ADA, one.id)
            world.until(again, one.id, "ended")
            assert world.broker.lease(ADA, there.lease_id or 0).state == "ended"
        assert world.pids() == []
        for lease in world.broker.leases(ADA):  # granted before there was a record of a cluster
            assert lease.holder is None and not living
            world.broker.release(ADA, lease.id)  # what the broker does after the claim time
        clear(world)
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
        clear(world)
        if fuse.left >= 0:
            break
    assert calls > 10


def clear(world: World) -> None:
    """What the reaper does: ended leases without processes are free again."""
    for lease in world.broker.uncleared():
        world.broker.clear(lease.id)
