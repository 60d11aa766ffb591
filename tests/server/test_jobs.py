"""The jobs' service with a real broker, engine and store: what it promises around the ranks."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from gpu_workbench import protocol as wire
from gpu_workbench_server.errors import BadRequest, NotFound, Refused
from gpu_workbench_server.ports import Record
from gpu_workbench_server.services.job_files import JobFiles
from gpu_workbench_server.services.job_records import KEPT
from gpu_workbench_server.services.policy import Policy
from tests.support.fleets import POOLS, TWO_KINDS
from tests.support.job_world import (
    ADMIN,
    ANA,
    BEN,
    NAME,
    CutOff,
    EngineThatIsCutOff,
    World,
    fill,
    new,
    sleeper,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.close()


# --- without a rank ---------------------------------------------------------------------------


def test_a_job_waits_in_the_queue_and_says_why(world: World) -> None:
    fill(world)
    job = world.jobs.create(ANA, new())
    assert (job.state, job.lease_id) == ("waiting", None)
    assert job.message.startswith("position 1: ")
    assert [one.state for one in job.ranks] == ["waiting"]
    assert not (world.directory(job.id) / "spec.json").exists()


def test_its_slices_are_of_the_pool_that_it_names_and_so_are_those_of_its_next_run(
    tmp_path: Path,
) -> None:
    with closing(World(tmp_path, TWO_KINDS, Policy(pools=POOLS))) as world:
        world.broker.ask(BEN, wire.Ask(what="gpu", count=1, pool="h100", purpose="cell"))
        world.broker.ask(BEN, wire.Ask(what="gpu", count=1, pool="a100", purpose="cell"))
        first, named = world.jobs.create(ANA, new()), world.jobs.create(ANA, new(pool="h100"))
        assert [one.pool for one in (first, named)] == ["a100", "h100"], (
            "the first where none is named"
        )
        assert [one.pool for one in world.broker.requests(ANA)] == ["a100", "h100"]
        world.restart()
        assert world.jobs.get(ANA, named.id).pool == "h100"
        assert world.jobs.again(ANA, named.id, wire.Again(ranks=2)).pool == "h100"
        assert world.jobs.again(ANA, named.id, wire.Again(pool="a100")).pool == "a100"
        with pytest.raises(NotFound) as error:
            world.jobs.create(ANA, new(pool="v100"))
        assert "a100, h100" in error.value.hint


def test_what_it_brings_is_for_its_owner_only_and_not_in_the_store(world: World) -> None:
    fill(world)
    job = world.jobs.create(ANA, new(env={"WANDB_API_KEY": "very-secret"}))
    directory = world.directory(job.id)
    assert directory.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in directory.iterdir())
    assert "very-secret" not in repr(world.store.records("job"))
    assert "very-secret" not in repr(world.paper.news)


def test_it_is_its_owners_and_an_admins_alone(world: World) -> None:
    fill(world)
    job = world.jobs.create(ANA, new())
    assert world.jobs.list(BEN) == []
    assert [one.id for one in world.jobs.list(ADMIN)] == [job.id]
    for call in (world.jobs.get, world.jobs.stop, world.jobs.result):
        with pytest.raises(NotFound):
            call(BEN, job.id)
    with pytest.raises(NotFound):
        world.jobs.logs(BEN, job.id, 0, "out", 0)
    with pytest.raises(NotFound):
        world.jobs.get(ANA, "../jobs")


def test_cancelling_its_request_ends_it(world: World) -> None:
    fill(world)
    job = world.jobs.create(ANA, new())
    assert job.request_id is not None
    world.broker.cancel(ANA, job.request_id)
    assert world.until(job.id, "stopped").message == "its request was cancelled"


def test_one_that_has_not_ended_is_known_after_a_restart_whatever_came_after_it(
    world: World,
) -> None:
    fill(world)
    job = world.jobs.create(ANA, new())
    (record,) = world.store.records("job")
    for number in range(KEPT + 1):
        body = {**record.body, "id": f"job-{number}", "state": "stopped"}
        world.store.put_record(Record("job", body["id"], "ana", body, time.time() + number))
    world.restart()
    known = world.jobs.list(ANA)
    assert len(known) == KEPT + 1
    assert job.id in {one.id for one in known}
    assert world.jobs.stop(ANA, job.id).state == "stopped"


def test_what_can_never_be_had_leaves_nothing(world: World) -> None:
    with pytest.raises(Refused):
        world.jobs.create(ANA, new(ranks=100))
    assert world.jobs.list(ANA) == []
    assert not any((world.root / "jobs").iterdir())


@pytest.mark.parametrize(
    "wrong",
    [
        {"ranks": 0},
        {"script": "/nowhere/at/all.py"},
        {"script": __file__, "function_b64": "AAAA"},
        {"function_b64": "not base64!"},
        {"cwd": "relative"},
        {"python": "python"},
        {"python": "/etc/passwd"},
        {"env": {"LD_PRELOAD": "evil.so"}},
        {"env": {"RANK": "0"}},
        {"max_restarts": -1},
    ],
)
def test_what_can_not_be_run_is_refused_before_anything_is_asked_for(
    world: World, wrong: dict[str, Any]
) -> None:
    with pytest.raises(BadRequest):
        world.jobs.create(ANA, new(**wrong))
    assert world.broker.leases(ANA) == []


def test_an_interpreter_without_the_package_fails_with_its_own_words(
    world: World, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named gpu_workbench' >&2\nexit 1\n")
    python.chmod(0o755)
    job = world.jobs.create(ANA, new(python=str(python)))
    failed = world.until(job.id, "failed")
    assert failed.message == "it could not be started: No module named gpu_workbench"
    assert world.broker.leases(ANA) == []


# --- with one ---------------------------------------------------------------------------------


def test_a_result_comes_back_and_nothing_stays(world: World) -> None:
    pytest.importorskip("torch")
    job = world.jobs.create(ANA, new())
    done = world.until(job.id, "succeeded", "failed")
    assert done.state == "succeeded", done
    assert done.has_result and done.message.startswith("done in ")
    value = world.jobs.result(ANA, job.id).value_b64
    assert value is not None
    assert world.broker.leases(ANA) == []
    news = [one.payload for one in world.paper.news if one.type == "job"]
    assert [one.state for one in news][-1] == "succeeded"
    seen = sorted({one.state for one in news}, key=[one.state for one in news].index)
    assert seen[0] == "starting"
    world.restart()
    assert world.jobs.get(ANA, job.id) == done, "the same after a restart"
    assert world.jobs.result(ANA, job.id).value_b64 == value


def test_a_server_killed_right_after_the_start_takes_the_job_up_and_starts_no_second(
    world: World, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    cut_off = world.service(EngineThatIsCutOff(world.root / "engine", NAME))
    with pytest.raises(CutOff):
        cut_off.create(ANA, new(script=sleeper(tmp_path), cwd=str(tmp_path)))
    world.restart()
    (job,) = world.jobs.list(ANA)
    assert job.lease_id is not None
    running = world.until(job.id, "running")
    supervisors = [
        pid
        for pid in world.engine.lease_pids(job.lease_id)
        if "gpu_workbench.holders.job" in " ".join(psutil.Process(pid).cmdline())
    ]
    holder = world.broker.lease(ANA, job.lease_id).holder
    assert holder is not None and [holder.pid] == supervisors
    assert world.jobs.attributions() == {
        job.lease_id: {running.ranks[0].pid: running.ranks[0].slice_id}
    }
    environ = psutil.Process(running.ranks[0].pid).environ()
    assert "JUPYTERHUB_API_TOKEN" not in environ
    world.jobs.stop(ANA, job.id)
    world.until(job.id, "stopped")
    assert world.engine.lease_pids(job.lease_id) == []


def test_a_killed_supervisor_is_told_as_lost_and_frees_the_lease(
    world: World, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    job = world.jobs.create(ANA, new(script=sleeper(tmp_path), cwd=str(tmp_path)))
    running = world.until(job.id, "running")
    assert running.lease_id is not None
    holder = world.broker.lease(ANA, running.lease_id).holder
    assert holder is not None and holder.pid is not None
    psutil.Process(holder.pid).kill()
    lost = world.until(job.id, "lost")
    assert lost.message == "its supervisor was killed, and the ranks with it"
    assert world.engine.lease_pids(running.lease_id) == []
    assert world.broker.lease(ANA, running.lease_id).end_reason == "lost"


# --- its files, which the user's code may have written ------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> JobFiles:
    (tmp_path / "job" / "attempt-0" / "rank-0").mkdir(parents=True)
    return JobFiles(tmp_path / "job")


def test_a_log_is_read_in_pieces_that_cut_no_character(files: JobFiles) -> None:
    text = "ä€😀" * 20_000
    (files.path / "attempt-0" / "rank-0" / "out.log").write_text(text)
    pieces, offset, at_end = [], 0, False
    while not at_end:
        start, offset, piece, at_end = files.log(0, 0, "out").read(offset)
        assert len(piece.encode()) == offset - start <= 64 * 1024
        pieces.append(piece)
    assert "".join(pieces) == text
    assert files.log(0, 0, "out").read(-4).text == "😀", "a negative offset counts from the end"
    assert files.log(0, 0, "out").read(10**9).start == 0, "a new attempt's log starts again"
    assert files.log(0, 0, "err").read(0) == (0, 0, "", True)


@pytest.mark.parametrize("what", ["file", "directory", "pipe"])
def test_a_log_that_leads_elsewhere_is_not_followed(
    files: JobFiles, tmp_path: Path, what: str
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "out.log").write_text("secret")
    rank = files.path / "attempt-0" / "rank-0"
    if what == "file":
        (rank / "out.log").symlink_to(secret / "out.log")
    elif what == "pipe":
        os.mkfifo(rank / "out.log")
    else:
        shutil.rmtree(rank)
        rank.symlink_to(secret)
    assert files.log(0, 0, "out").read(0) == (0, 0, "", True)


def test_points_that_are_half_written_odd_or_no_numbers_are_passed_over(files: JobFiles) -> None:
    good = {"r": 1, "s": 3, "t": 9.5, "v": {"loss": 0.5, "nan": float("nan")}}
    lines = [json.dumps(good), "{broken", json.dumps({"r": 0}), "[]", '{"r":0,"s":4,"t":']
    (files.path / "metrics.jsonl").write_text("\n".join(lines))
    points, offset, at_end, anew = files.points(0)
    assert points == [wire.MetricPoint(rank=1, step=3, time=9.5, values={"loss": 0.5})]
    assert not (at_end or anew)
    assert files.points(offset) == ([], offset, False, False)


def test_a_status_that_is_no_status_is_as_good_as_none(files: JobFiles) -> None:
    for text in ("", "{", "[]", '{"state": "sideways"}'):
        (files.path / "status.json").write_text(text)
        assert files.status() is None


def test_the_interpreter_of_the_tests_is_the_default(world: World) -> None:
    fill(world)
    world.jobs.create(ANA, new())
    (record,) = world.store.records("job")
    assert record.body["python"] == sys.executable
