"""The clusters' service with a real broker, store and engine, in its usual ways.

Its holder is a stand-in; the real one is in `tests/kernels/test_cluster.py`. What happens when the
service is killed: `test_clusters_killed.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from gpu_workbench import cluster_display
from gpu_workbench import protocol as wire
from gpu_workbench_server.errors import BadRequest, NeverFits, NotFound, Refused, WrongState
from gpu_workbench_server.ports import Principal, Record
from tests.support.cluster_world import ADA, World

BOB = Principal("bob")
GB = 1 << 30


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_a_cluster_takes_a_slice_for_each_worker_runs_and_gives_them_back(world: World) -> None:
    service = world.service()
    cluster = world.running(service, name="flights")
    leases = [world.broker.lease(ADA, number) for number in cluster.leases]
    assert [len(one.slices) for one in leases] == [1, 1]
    for lease in leases:
        assert lease.holder and (lease.holder.kind, lease.holder.id) == ("cluster", cluster.id)
        assert [lease.holder.pid] == world.pids() and lease.purpose == "cluster"
        assert lease.name == "flights"
    service.stop(ADA, cluster.id)
    over = world.until(service, cluster.id, "ended")
    assert over.message == "stopped" and over.ended_at is not None
    assert {world.broker.lease(ADA, one.id).state for one in leases} == {"ended"}
    assert world.pids() == []
    assert world.ear.states(cluster.id) == ["starting", "running", "stopping", "ended"]


def test_what_is_said_to_be_over_has_no_keys_any_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = world.service()
    cluster = world.running(service, workers=1)
    key = world.root / "clusters" / cluster.id / "tls-key.pem"
    key.touch()
    keys: dict[str, bool] = {}
    put = world.store.put_record

    def noted(record: Record) -> None:
        keys[record.body["state"]] = key.exists()
        put(record)

    monkeypatch.setattr(world.store, "put_record", noted)
    service.stop(ADA, cluster.id)
    world.until(service, cluster.id, "ended")
    assert keys == {"stopping": True, "ended": False}


def test_it_waits_for_its_slices_and_says_why(world: World) -> None:
    service = world.service()
    first = world.running(service)
    second = service.create(ADA, world.order())
    assert second.state == "waiting" and second.leases == []
    assert "waiting for lease 1 of 2" in second.message and "position 1" in second.message
    assert any(f"lease {number}" in second.message for number in first.leases)
    service.stop(ADA, first.id)
    world.until(service, first.id, "ended")
    world.clear()
    world.until(service, second.id, "running")


def test_it_starts_with_the_slices_that_there_are_and_waits_for_the_rest(world: World) -> None:
    service = world.service()
    first = world.running(service, workers=1)
    second = service.create(ADA, world.order(workers=2))
    there = world.until(service, second.id, "running")
    assert len(there.workers) == len(there.leases) == 1 and there.workers_wanted == 2
    assert "waiting for lease 2 of 2: position 1" in there.message
    service.stop(ADA, first.id)
    world.until(service, first.id, "ended")
    world.clear()
    whole = world.eventually(service, second.id, lambda one: len(one.workers) == 2)
    assert whole.message == ""


def test_stopping_one_that_waits_leaves_no_request(world: World) -> None:
    service = world.service()
    world.running(service)
    waiting = service.create(ADA, world.order())
    ended = service.stop(ADA, waiting.id)
    assert (ended.state, ended.message) == ("ended", "stopped"), "it waits for nothing any more"
    assert world.broker.requests(ADA) == []


def test_cancelling_its_request_ends_it(world: World) -> None:
    service = world.service()
    world.running(service)
    waiting = service.create(ADA, world.order())
    for request in world.broker.requests(ADA):
        world.broker.cancel(ADA, request.id)
    assert world.until(service, waiting.id, "ended").message == "its request was cancelled"


def test_what_can_never_be_had_is_refused_and_leaves_no_cluster(world: World) -> None:
    service = world.service()
    with pytest.raises(NeverFits):
        service.create(ADA, world.order(workers=100))
    assert service.list(ADA) == []


def test_releasing_one_of_its_leases_takes_its_worker_and_the_last_one_the_cluster(
    world: World,
) -> None:
    service = world.service()
    cluster = world.running(service)
    first, last = cluster.leases
    world.broker.release(ADA, first)
    less = world.eventually(service, cluster.id, lambda one: len(one.workers) == 1)
    assert less.state == "running" and less.leases == [last] and less.workers_wanted == 1
    assert less.notice == "A worker left: its slice was given back." and less.notice_at
    world.broker.release(ADA, last)
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
    ends_at = world.broker.extend(ADA, cluster.leases[0], 600).ends_at
    service.reconcile()
    target = world.root / "clusters" / cluster.id / "target.json"
    told = msgspec.json.decode(target.read_bytes(), type=wire.ClusterTarget)
    assert told.leases[0].ends_at == ends_at


def test_one_that_does_not_end_is_killed_after_its_grace(world: World) -> None:
    service = world.service(mode="stubborn", grace=600)
    cluster = world.running(service)
    service.stop(ADA, cluster.id)
    service.reconcile()
    assert world.pids(), "it has its grace"
    world.clock.ahead = 601
    world.until(service, cluster.id, "ended")
    assert world.pids() == []


def test_when_it_ends_it_says_which_slices_would_have_done(world: World) -> None:
    def past(subjects: Sequence[str], start: float, end: float, points: int) -> wire.History:
        asked.extend(subjects)
        columns = [
            wire.Series(subject=name, metric="memory_bytes", mean=[peak], min=None, max=None)
            for name, peak in zip(subjects, (1.0 * GB, 2.0 * GB), strict=True)
        ]
        return wire.History(step=1.0, times=[start], series=columns)

    asked: list[str] = []
    service = world.service(past=past)
    made = world.running(service, per_worker="0.5", workers=2)
    assert made.size_hint is None, "not while it runs"
    service.stop(ADA, made.id)
    ended = world.until(service, made.id, "ended")
    assert asked == [f"lease:{number}" for number in made.leases]
    assert ended.size_hint is not None
    assert ended.size_hint.startswith("peak 2 GB of 40 GB: by its memory a 1g.10gb slice would do")
    assert ended.size_hint in cluster_display.text(ended)
    assert ended.size_profile == "mig-1g.10gb", "what to ask for the next time"


def test_a_hint_that_can_not_be_had_is_in_nobodys_way(world: World) -> None:
    def past(*asked: object) -> wire.History:
        raise OSError("no space left on device")

    service = world.service(past=past)
    made = world.running(service, workers=1)
    service.stop(ADA, made.id)
    assert world.until(service, made.id, "ended").size_hint is None


def test_one_that_can_not_start_fails_with_its_own_words(world: World) -> None:
    service = world.service(mode="broken")
    cluster = service.create(ADA, world.order())
    failed = world.until(service, cluster.id, "failed")
    assert "No module named gpu_workbench" in failed.message
    assert world.broker.leases(ADA) == []


def test_killing_its_process_fails_it_and_ends_all_that_is_left(world: World) -> None:
    service = world.service()
    cluster = world.running(service)
    world.engine.kill_key(cluster.id)
    failed = world.until(service, cluster.id, "failed")
    assert failed.message == "Its process was killed or crashed."
    assert world.broker.lease(ADA, cluster.leases[0]).end_reason == "lost"


def test_it_shrinks_by_the_slice_that_its_worker_has_left_and_grows_through_the_queue(
    world: World,
) -> None:
    service = world.service()
    cluster = world.running(service)
    assert service.scale(ADA, cluster.id, 1).workers_wanted == 1
    less = world.eventually(service, cluster.id, lambda one: len(one.leases) == 1)
    assert len(less.workers) == 1 and less.message == ""
    (gone,) = set(cluster.leases) - set(less.leases)
    assert world.broker.lease(ADA, gone).state == "ended"
    world.clear()
    service.scale(ADA, cluster.id, 2)
    more = world.eventually(service, cluster.id, lambda one: len(one.workers) == 2)
    assert len(more.leases) == 2 and gone not in more.leases
    assert service.scale(ADA, cluster.id, 0).workers_wanted == 0
    none = world.eventually(service, cluster.id, lambda one: not one.leases)
    assert none.state == "running", "its scheduler lives without a slice"
    with pytest.raises(NeverFits):
        service.scale(ADA, cluster.id, 100)
    with pytest.raises(BadRequest):
        service.scale(ADA, cluster.id, -1)
    service.stop(ADA, cluster.id)
    with pytest.raises(WrongState):
        service.scale(ADA, cluster.id, 2)


def test_scaling_down_first_takes_back_what_still_waits(world: World) -> None:
    service = world.service()
    cluster = world.running(service, workers=1)
    world.running(service, workers=1)
    service.scale(ADA, cluster.id, 2)
    assert len(world.broker.requests(ADA)) == 1
    service.scale(ADA, cluster.id, 1)
    assert world.broker.requests(ADA) == []
    service.reconcile()
    there = service.get(ADA, cluster.id)
    assert there.leases == cluster.leases and there.message == ""


def test_it_has_as_many_workers_as_its_scheduler_finds_useful_between_bounds(
    world: World,
) -> None:
    service = world.service()
    cluster = world.running(service, workers=1)
    desired = world.root / "clusters" / cluster.id / "desired"
    service.adapt(ADA, cluster.id, wire.Adapt(minimum=0, maximum=2))
    for told, there in ((9, 2), (1, 1), (0, 0), (2, 2)):
        desired.write_text(str(told))
        world.eventually(service, cluster.id, lambda one, n=there: len(one.leases) == n)  # type: ignore[misc]
        world.clear()
    assert service.get(ADA, cluster.id).adapt == wire.Adapt(minimum=0, maximum=2)
    assert service.scale(ADA, cluster.id, 1).adapt is None
    with pytest.raises(BadRequest):
        service.adapt(ADA, cluster.id, wire.Adapt(minimum=3, maximum=2))
    with pytest.raises(NeverFits):
        service.adapt(ADA, cluster.id, wire.Adapt(minimum=0, maximum=100))


def test_it_can_be_given_another_name_that_is_free(world: World) -> None:
    service = world.service()
    cluster = world.running(service, workers=1, name="flights")
    world.running(service, workers=1, name="trains")
    assert service.rename(ADA, cluster.id, " planes ").name == "planes"
    assert service.rename(ADA, cluster.id, "planes").name == "planes"
    with pytest.raises(Refused):
        service.rename(ADA, cluster.id, "trains")
    with pytest.raises(BadRequest):
        service.rename(ADA, cluster.id, "  ")


def test_restarting_its_workers_is_told_to_it(world: World) -> None:
    service = world.service()
    cluster = world.running(service)
    service.restart(ADA, cluster.id)
    target = world.root / "clusters" / cluster.id / "target.json"
    assert msgspec.json.decode(target.read_bytes(), type=wire.ClusterTarget).restarts == 1


def test_a_record_of_another_version_does_not_keep_the_rest_from_coming_up(world: World) -> None:
    world.store.put_record(Record("cluster", "cluster-old", "ada", {"id": "cluster-old"}, 1.0))
    service = world.service()
    cluster = world.running(service)
    assert [one.id for one in service.list(ADA)] == [cluster.id]


def test_one_that_lives_is_known_after_a_restart_whatever_came_after_it(world: World) -> None:
    cluster = world.running(world.service())
    (record,) = world.store.records("cluster")
    for number in range(501):
        body = {**record.body, "id": f"cluster-{number}", "state": "ended"}
        world.store.put_record(Record("cluster", body["id"], "ada", body, time.time() + number))
    service = world.service()
    assert cluster.id in {one.id for one in service.list(ADA)}


def test_two_living_clusters_of_one_person_have_two_names(world: World) -> None:
    service = world.service()
    cluster = world.running(service, workers=1, name="flights")
    with pytest.raises(Refused):
        service.create(ADA, world.order(workers=1, name="flights"))
    service.stop(ADA, cluster.id)
    world.until(service, cluster.id, "ended")
    world.clear()
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
    service = world.service(mode="silent")
    cluster = world.running(service)
    assert cluster.message == ""
    world.clock.ahead = 60
    service.reconcile()
    silent = service.get(ADA, cluster.id)
    assert silent.state == "running" and "busy or stuck" in silent.message


def test_workers_are_known_by_their_slice(world: World) -> None:
    service = world.service()
    cluster = world.running(service)
    (pid,) = world.pids()
    slices = {
        number: dict.fromkeys([pid], world.broker.lease(ADA, number).slices[0].id)
        for number in cluster.leases
    }
    assert service.attributions() == slices
