"""What a cluster's slices are asked for: of which pool and size, how many, and on whose account.

A real broker, store and engine; its holder is a stand-in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench_server.domain.fleet import Limits
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import NeverFits, NotFound, OverLimit
from gpu_workbench_server.ports import Principal
from gpu_workbench_server.services.policy import Policy
from tests.support.cluster_world import ADA, World
from tests.support.fleets import POOLS, TWO_KINDS

GB = 1 << 30


@pytest.fixture
def a_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes one, of that fleet and policy."""
    made: list[World] = []

    def make(*how: Any) -> World:
        made.append(World(tmp_path, *how))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def world(a_world: Callable[..., World]) -> World:
    return a_world()


def test_it_may_begin_with_its_bounds_and_without_a_slice(world: World) -> None:
    service = world.service()
    bounds = wire.Adapt(minimum=0, maximum=2)
    cluster = world.running(service, workers=0, adapt=bounds)
    assert (cluster.leases, cluster.adapt) == ([], bounds), "its scheduler runs"
    (world.root / "clusters" / cluster.id / "desired").write_text("2")
    more = world.eventually(service, cluster.id, lambda one: len(one.workers) == 2)
    assert len(more.leases) == 2
    with pytest.raises(NeverFits):
        service.create(ADA, world.order(workers=0, adapt=wire.Adapt(minimum=0, maximum=100)))


def test_what_it_may_grow_to_waits_in_the_queue_with_a_word(world: World) -> None:
    service = world.service()
    world.running(service, workers=1)
    cluster = world.running(service, workers=1, adapt=wire.Adapt(minimum=1, maximum=2))
    (world.root / "clusters" / cluster.id / "desired").write_text("2")
    there = world.eventually(service, cluster.id, lambda one: one.workers_wanted == 2)
    assert len(there.leases) == 1 and "waiting for lease 2 of 2: position 1" in there.message
    assert len(world.broker.requests(ADA)) == 1


def test_one_that_waits_and_is_scaled_to_none_runs_without_a_slice(world: World) -> None:
    service = world.service()
    world.running(service)
    waiting = service.create(ADA, world.order())
    assert waiting.state == "waiting"
    service.scale(ADA, waiting.id, 0)
    there = world.until(service, waiting.id, "running")
    assert (there.leases, there.message, world.broker.requests(ADA)) == ([], "", [])


def test_its_slices_and_its_idle_time_are_of_the_pool_that_it_names(
    a_world: Callable[..., World],
) -> None:
    world = a_world(TWO_KINDS, Policy(pools=POOLS))
    service = world.service()
    first = world.running(service, per_worker="0.25")
    second = world.running(service, per_worker="0.25", pool="h100")
    assert [(one.pool, one.idle_seconds) for one in (first, second)] == [
        ("a100", 600),
        ("h100", 900),
    ]
    for one in (first, second):
        assert {world.broker.lease(ADA, number).pool for number in one.leases} == {one.pool}
    service.scale(ADA, second.id, 3)
    third = world.eventually(service, second.id, lambda one: len(one.leases) == 3)
    assert {world.broker.lease(ADA, number).pool for number in third.leases} == {"h100"}
    with pytest.raises(NotFound) as error:
        service.create(ADA, world.order(per_worker="0.25", pool="v100"))
    assert "a100, h100" in error.value.hint


def test_a_memory_that_was_asked_for_holds_for_each_worker(a_world: Callable[..., World]) -> None:
    """A quarter of the first GPU that is free would be 10 GB."""
    world = a_world(TWO_KINDS)
    service = world.service()
    cluster = world.running(service, per_worker="20GB", workers=2)
    service.scale(ADA, cluster.id, 3)
    there = world.eventually(service, cluster.id, lambda one: len(one.leases) == 3)
    leases = [world.broker.lease(ADA, number) for number in there.leases]
    assert all(one.slices[0].memory_bytes >= 20 * GB for one in leases)


def test_its_owners_group_pays_for_its_slices(a_world: Callable[..., World]) -> None:
    limits = Limits(groups={"vision": PARTS // 2})
    world = a_world(TWO_KINDS, Policy(limits=limits))
    service = world.service()
    eva = Principal("eva", ("vision",))
    order = world.order(per_worker="0.25", workers=2)
    made = service.create(eva, order)
    assert len(service.get(eva, made.id).leases) == 2
    with pytest.raises(OverLimit):
        service.scale(eva, made.id, 3)
    waits = service.create(eva, world.order(per_worker="0.25", workers=1))
    assert "of your group's limit of 0.5" in waits.message and waits.leases == []
