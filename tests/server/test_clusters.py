"""The clusters' service with a real broker, store and engine, in its usual ways.

Its holder is a stand-in; the real one is in `tests/kernels/test_cluster.py`. What happens when the
service is killed: `test_clusters_killed.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gpu_workbench import protocol as wire
from gpu_workbench_server.errors import BadRequest, NeverFits, NotFound, Refused, WrongState
from gpu_workbench_server.ports import Principal
from tests.support.cluster_world import ADA, World

BOB = Principal("bob")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


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
