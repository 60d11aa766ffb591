"""A job that lost a rank goes on, placed anew or with fewer; and what a job cost is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench_server.services.policy import Policy
from tests.support.fleets import POOLS, TWO_KINDS
from tests.support.job_world import ANA, World, new
from tests.support.waiting import wait_for

pytest.importorskip("torch")

COUNTS = """
import os, time, torch
import gpu_workbench as gw
rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
path = gw.resume_from()
first = torch.load(path)["step"] + 1 if path else 0
print("rank", rank, "of", ranks, "from", first, flush=True)
for step in range(first, 40 if first else 10_000):
    gw.log(step, loss=1.0)
    if rank == 0:
        place = gw.checkpoint_dir() / f"step-{step}.pt"
        torch.save({"step": step}, f"{place}.tmp")
        os.replace(f"{place}.tmp", place)
    time.sleep(0.05)
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.close()


def running(world: World, tmp_path: Path, **more: object) -> wire.Job:
    """On two ranks, each past some steps."""
    script = tmp_path / "counts.py"
    script.write_text(COUNTS)
    job = world.jobs.create(ANA, new(script=str(script), cwd=str(tmp_path), ranks=2, **more))

    def stepping() -> wire.Job | None:
        world.step()
        now = world.jobs.get(ANA, job.id)
        return now if all((one.step or 0) >= 3 for one in now.ranks) else None

    return wait_for(stepping, 60, "both ranks make steps")


def kill(job: wire.Job, rank: int) -> None:
    pid = job.ranks[rank].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def messages(world: World, job: wire.Job) -> list[str]:
    return [one.payload.message for one in world.paper.news if one.subject == job.id]


def test_the_others_go_on_with_the_slices_that_are_left(world: World, tmp_path: Path) -> None:
    job = running(world, tmp_path, if_lost="fewer")
    before = [one.slice_id for one in job.ranks]
    kill(job, 0)
    done = world.until(job.id, "succeeded")
    assert [one.slice_id for one in done.ranks] == before[1:]
    assert any("goes on with 1 of 2 ranks" in one for one in messages(world, job))
    said = world.jobs.logs(ANA, job.id, 0, "out", 0).text
    assert said.startswith("rank 0 of 1 from ") and "from 0" not in said, "from its checkpoint"
    assert done.lease_id == job.lease_id
    first = (world.directory(job.id) / "attempt-0" / "rank-0" / "out.log").read_text()
    assert first.startswith("rank 0 of 2 from 0"), "what the first attempt said is kept"


def test_it_is_placed_anew_on_as_many_slices(world: World, tmp_path: Path) -> None:
    job = running(world, tmp_path, if_lost="replace")
    kill(job, 1)
    done = world.until(job.id, "succeeded")
    assert done.request_id != job.request_id and len(done.ranks) == 2
    assert any("is placed anew" in one for one in messages(world, job))
    assert world.jobs.logs(ANA, job.id, 1, "out", 0).text.startswith("rank 1 of 2 from ")
    assert job.lease_id is not None
    assert world.broker.lease(ANA, job.lease_id).state == "ended"
    assert world.broker.leases(ANA) == []
    rows = world.broker.usage(ANA).rows
    assert len(rows) == 2, "both leases were held"
    held = sum(row.held_gpu_seconds for row in rows) / 3600
    assert done.hours_held == pytest.approx(held, abs=1e-5)


def test_anew_it_is_placed_in_the_pool_that_it_was_in(tmp_path: Path) -> None:
    with closing(World(tmp_path, TWO_KINDS, Policy(pools=POOLS))) as world:
        job = running(world, tmp_path, if_lost="replace", pool="h100")
        kill(job, 1)
        done = world.until(job.id, "succeeded")
        assert done.lease_id is not None and done.lease_id != job.lease_id
        assert world.broker.lease(ANA, done.lease_id).pool == done.pool == "h100"


def test_a_restart_of_the_server_in_between_changes_nothing(world: World, tmp_path: Path) -> None:
    job = running(world, tmp_path, if_lost="fewer")
    kill(job, 1)
    world.restart()
    done = world.until(job.id, "succeeded")
    assert len(done.ranks) == 1


def test_otherwise_it_fails_and_tells_what_it_held(world: World, tmp_path: Path) -> None:
    job = running(world, tmp_path)
    assert (job.hours_held, job.hours_used) == (None, None)
    kill(job, 1)
    failed = world.until(job.id, "failed")
    assert failed.cause is not None and failed.cause.code == "killed"
    row = world.broker.usage(ANA).rows[0]
    assert failed.hours_held == pytest.approx(row.held_gpu_seconds / 3600, abs=1e-5)
    assert failed.hours_held and failed.hours_held > 0
    world.restart()
    assert world.jobs.get(ANA, job.id).hours_held == failed.hours_held


LISTENS = """
import signal, time
import gpu_workbench as gw
signal.signal(signal.SIGUSR1, lambda *_: print("saves:", 0 < gw.ends_in() <= 45, flush=True))
signal.signal(signal.SIGTERM, lambda *_: (print("leaves", flush=True), exit(1)))
print("at first:", gw.ends_in(), flush=True)
for step in range(3000):
    gw.log(step, x=1)
    time.sleep(0.1)
"""


def test_before_its_lease_ends_it_is_told_and_at_the_end_it_may_leave(
    world: World, tmp_path: Path
) -> None:
    script = tmp_path / "listens.py"
    script.write_text(LISTENS)
    deaf = tmp_path / "deaf.py"
    deaf.write_text("import time\ntime.sleep(300)\n")
    other = world.jobs.create(ANA, new(script=str(deaf), seconds=45))
    job = world.jobs.create(ANA, new(script=str(script), seconds=45))

    def said() -> str:
        return world.jobs.logs(ANA, job.id, 0, "out", 0).text

    def told() -> bool:
        world.step()
        return "saves: True" in said()

    wait_for(told, what="the notice is passed on")
    world.broker.tick()  # nothing is over yet
    world.until(job.id, "running")
    world.clock.ahead = 45

    def ended() -> wire.Job | None:
        world.broker.tick()
        world.step()
        now = world.jobs.get(ANA, job.id)
        return now if now.ended_at is not None else None

    over = wait_for(ended, 60, "its lease is over")
    assert said().splitlines()[-2:] == ["saves: True", "leaves"]
    assert over.cause is not None and over.cause.code == "lease_ended"
    left_alone = world.until(other.id, "failed").cause
    assert left_alone is not None and left_alone.code == "lease_ended", "who has no handler"
