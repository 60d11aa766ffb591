"""A job once more: its spec given back, run again, resumed from what it saved."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from gpu_workbench import protocol as wire
from gpu_workbench_server.domain.jobs import Job
from gpu_workbench_server.errors import BadRequest, Forbidden, NotFound, WrongState
from gpu_workbench_server.ports import Record
from tests.support.job_world import ADMIN, ANA, BEN, World, fill, new, sleeper

SAVES = """
import os, sys, time, torch
import gpu_workbench as gw
path = gw.resume_from()
first = torch.load(path)["step"] + 1 if path else 0
print("from", first, sys.argv[1:], flush=True)
for step in range(first, first + 3):
    torch.save({"step": step}, gw.checkpoint_dir() / f"step-{step}.pt")
    gw.log(step, loss=1.0)
time.sleep(600 if os.environ.get("STAY") else 0)
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.close()


def saving(tmp_path: Path, **more: object) -> wire.JobSpec:
    script = tmp_path / "saves.py"
    script.write_text(SAVES)
    return new(script=str(script), cwd=str(tmp_path), **more)


def said(world: World, job: wire.Job) -> str:
    return world.jobs.logs(ANA, job.id, 0, "out", 0).text


def test_a_jobs_spec_comes_back_whole_and_can_be_changed_and_posted(world: World) -> None:
    fill(world)
    ordered = new(env={"A": "1"}, seconds=600)
    job = world.jobs.create(ANA, ordered)
    spec = world.jobs.spec(ANA, job.id)
    assert (spec.version, spec.env, spec.seconds, spec.name) == (1, {"A": "1"}, 600, "count")
    assert spec.function_b64 is not None and ordered.function_b64 is not None
    assert b64decode(spec.function_b64) == b64decode(ordered.function_b64)
    other = world.jobs.create(ANA, replace(spec, ranks=2, args=[]))
    assert len(other.ranks) == 2
    with pytest.raises(NotFound):
        world.jobs.spec(BEN, job.id)
    with pytest.raises(Forbidden):
        world.jobs.spec(ADMIN, job.id)
    with pytest.raises(Forbidden):
        world.jobs.again(ADMIN, job.id, wire.Again())


def test_it_runs_again_with_other_ranks(world: World) -> None:
    fill(world)
    job = world.jobs.create(ANA, new())
    again = world.jobs.again(ANA, job.id, wire.Again(ranks=2, per_rank="0.5"))
    assert (len(again.ranks), again.per_rank, again.resumed_from) == (2, "0.5", None)
    assert again.id != job.id
    world.restart()
    assert world.jobs.again(ANA, job.id, wire.Again()).per_rank == "0.25", "also after a restart"


def test_a_job_whose_directory_is_gone_says_so(world: World) -> None:
    fill(world)
    job = world.jobs.create(ANA, new())
    world.jobs.stop(ANA, job.id)
    (world.directory(job.id) / "wanted.json").unlink()
    with pytest.raises(NotFound, match="is not kept any more"):
        world.jobs.again(ANA, job.id, wire.Again())
    assert world.jobs.checkpoints(ANA, job.id).checkpoints == []


def test_it_goes_on_from_its_last_whole_checkpoint_and_that_job_from_its_own(
    world: World, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    first = world.jobs.create(ANA, saving(tmp_path, resume_args=["--from={checkpoint}"]))
    world.until(first.id, "succeeded")
    assert "from 0 []" in said(world, first), "what is for going on is left out at first"
    found = world.jobs.checkpoints(ANA, first.id).checkpoints
    assert [(one.kind, one.step, one.whole) for one in found] == [
        ("torch", step, True) for step in (0, 1, 2)
    ]
    newest = Path(found[-1].path)
    newest.write_bytes(newest.read_bytes()[:-30])  # as if killed in the middle of it
    assert [one.whole for one in world.jobs.checkpoints(ANA, first.id).checkpoints] == [
        *(True, True, False)
    ]
    second = world.jobs.resume(ANA, first.id, wire.Resume())
    assert second.resumed_from == first.id
    world.until(second.id, "succeeded")
    assert f"from 2 ['--from={found[1].path}']" in said(world, second)
    listed = world.jobs.checkpoints(ANA, second.id).checkpoints
    assert [one.step for one in listed] == [1, 2, 3, 4]
    third = world.jobs.resume(ANA, second.id, wire.Resume(checkpoint=listed[0].path))
    world.until(third.id, "succeeded")
    assert "from 2 " in said(world, third), "also from an older one"


def test_a_run_that_is_killed_before_it_has_saved_goes_on_from_where_it_began(
    world: World, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    first = world.jobs.create(ANA, saving(tmp_path))
    world.until(first.id, "succeeded")
    script = sleeper(tmp_path)
    stays = replace(world.jobs.spec(ANA, first.id), script=script, cwd=str(tmp_path))
    path = world.jobs.checkpoints(ANA, first.id).checkpoints[-1].path
    second = world.jobs.create(ANA, replace(stays, resume_from=path))
    world.until(second.id, "running")
    with pytest.raises(WrongState):
        world.jobs.resume(ANA, second.id, wire.Resume())
    world.jobs.stop(ANA, second.id)
    world.until(second.id, "stopped")
    assert [one.path for one in world.jobs.checkpoints(ANA, second.id).checkpoints] == [path]
    third = world.jobs.resume(ANA, second.id, wire.Resume(ranks=1))
    assert world.jobs.spec(ANA, third.id).resume_from == path
    world.jobs.stop(ANA, third.id)
    world.until(third.id, "stopped")


def test_without_a_whole_checkpoint_it_says_where_it_looked(world: World, tmp_path: Path) -> None:
    fill(world)
    mine = tmp_path / "mine"
    mine.mkdir()
    job = world.jobs.create(ANA, new(checkpoint_dir="mine", cwd=str(tmp_path)))
    world.jobs.stop(ANA, job.id)
    with pytest.raises(BadRequest, match=str(mine)):
        world.jobs.resume(ANA, job.id, wire.Resume())
    with pytest.raises(BadRequest, match="is no checkpoint"):
        world.jobs.resume(ANA, job.id, wire.Resume(checkpoint="/etc/passwd"))
    assert len(world.jobs.list(ANA)) == 1


def test_checkpoints_of_an_earlier_run_in_the_same_directory_are_not_its_own(
    world: World, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    torch.save({}, tmp_path / "old.pt")
    wait = time.time() + 0.05
    while time.time() < wait:
        pass
    job = world.jobs.create(ANA, saving(tmp_path, checkpoint_dir="."))
    world.until(job.id, "succeeded")
    assert [one.step for one in world.jobs.checkpoints(ANA, job.id).checkpoints] == [0, 1, 2]


# --- what is kept -------------------------------------------------------------------------------


def test_the_code_is_kept_as_it_was_when_the_job_started(world: World, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    work = tmp_path / "work"
    (work / "parts").mkdir(parents=True)
    (work / "parts" / "model.py").write_text("WIDTH = 64\n")
    (work / "data.csv").write_text("no code\n")
    (work / "large.json").write_text("[" + "1," * 500_000 + "1]")
    job = world.jobs.create(ANA, saving(work))
    world.until(job.id, "succeeded")
    (work / "saves.py").write_text("changed since")
    kept = {one.path: one.text for one in world.jobs.code(ANA, job.id).files}
    assert kept == {"parts/model.py": "WIDTH = 64\n", "saves.py": SAVES}
    with pytest.raises(NotFound):
        world.jobs.code(BEN, job.id)


def over(world: World, name: str, ended: float, **more: object) -> Path:
    """A job that was over at a time, with a megabyte in its directory."""
    world.store.put_record(
        Record(
            "job",
            name,
            "ana",
            msgspec.to_builtins(
                Job(
                    id=name, owner="ana", groups=(), name=name, ranks=1, per_rank="0.25",
                    command=(), python="python", created_at=ended - 60, request_id=1,
                    state="succeeded", started_at=ended - 50, ended_at=ended,
                )
            ),
            ended,
        )
    )  # fmt: skip
    place = world.directory(name)
    place.mkdir()
    (place / "out.log").write_bytes(b"x" * 1_000_000)
    spec = new(name=name, **more)
    (place / "wanted.json").write_bytes(msgspec.json.encode(spec))
    return place


DAY = 86400.0


def test_directories_of_jobs_go_by_age_and_what_another_goes_on_from_stays(world: World) -> None:
    now = time.time()
    ancient, source = over(world, "job-1", now - 40 * DAY), over(world, "job-2", now - 39 * DAY)
    resumed = over(world, "job-3", now - DAY, resume_from=str(source / "checkpoints" / "a.pt"))
    world.keep(days=30, gigabytes=1)
    world.jobs.clean()
    assert not ancient.exists() and source.exists() and resumed.exists()
    assert world.jobs.get(ANA, "job-1").state == "succeeded", "its record stays"
    with pytest.raises(NotFound):
        world.jobs.spec(ANA, "job-1")


def test_directories_of_jobs_go_by_size_oldest_first_but_not_fresh_ones(world: World) -> None:
    now = time.time()
    places = [over(world, f"job-{n}", now - (5 - n) * 1800) for n in range(1, 5)]
    world.keep(days=30, gigabytes=0.0025)
    world.jobs.clean()
    assert [one.exists() for one in places] == [False, False, True, True]
    world.keep(days=30, gigabytes=0)
    world.jobs.clean()
    assert [one.exists() for one in places] == [False, False, False, True], "one is of this hour"


def test_a_job_that_runs_or_waits_is_never_cleaned_away(world: World) -> None:
    fill(world)
    job = world.jobs.create(ANA, new())
    world.keep(days=1e-9, gigabytes=0)
    world.jobs.clean()
    assert world.directory(job.id).exists()
