"""A disk that is full while a job runs and still is when it ends: what became of it is told."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_workbench_server.domain.diagnosis import End, Raised, RankEnd, diagnose
from tests.support.job_world import ANA, World, new
from tests.support.waiting import wait_for


class Disk:
    """A disk of 4 MB; where none can be mounted, a directory that can be made read-only."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
        self.mounted = subprocess.run(command, capture_output=True).returncode == 0
        self.cause = "disk_full" if self.mounted else "no_access"
        self.words = "No space left on device" if self.mounted else "Permission denied"

    def fill(self, directory: Path) -> None:
        """From now on nothing can be written there."""
        if not self.mounted:
            directory.chmod(0o500)
            return
        with contextlib.suppress(OSError), (self.place / "full").open("wb", 0) as file:
            while file.write(b"\0" * 4096) == 4096:
                pass
        assert os.statvfs(self.place).f_bavail == 0

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.place)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    one = Disk(tmp_path / "disk")
    yield one
    one.close()


@pytest.fixture
def world(disk: Disk) -> Iterator[World]:
    one = World(disk.place)
    yield one
    one.close()


ENDS = {"a rank that fails": "raise SystemExit(3)", "a rank that is done": ""}


@pytest.mark.parametrize("way", ENDS)
def test_a_job_that_ends_on_a_full_disk_is_not_lost_but_told_why(
    world: World, disk: Disk, tmp_path: Path, way: str
) -> None:
    pytest.importorskip("torch")
    go, script = tmp_path / "go", tmp_path / "train.py"
    script.write_text(
        "import os, time\nimport gpu_workbench as gw\ngw.log(1, loss=0.5)\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.05)\n{ENDS[way]}\n"
    )
    job = world.jobs.create(ANA, new(script=str(script)))
    world.until(job.id, "running")
    wait_for(lambda: _step(world, job.id), 60, "its first step")
    disk.fill(world.directory(job.id))
    go.touch()
    ended = world.until(job.id, "failed", "lost", "succeeded")
    assert ended.state == "failed", ended
    assert ended.cause is not None and ended.cause.code == disk.cause
    assert f"into the job's own directory: {disk.words}" in ended.message
    assert world.broker.leases(ANA) == []


def test_one_that_is_stopped_on_a_full_disk_is_stopped(
    world: World, disk: Disk, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    script = tmp_path / "train.py"
    script.write_text("import time\nimport gpu_workbench as gw\ngw.log(1, a=1)\ntime.sleep(300)\n")
    job = world.jobs.create(ANA, new(script=str(script)))
    world.until(job.id, "running")
    wait_for(lambda: _step(world, job.id), 60, "its first step")
    disk.fill(world.directory(job.id))
    world.jobs.stop(ANA, job.id)
    assert world.until(job.id, "stopped").message == "stopped after step 1"


def test_the_room_for_its_last_word_is_given_back_where_there_is_no_need(
    world: World, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    script = tmp_path / "train.py"
    script.write_text("print('done')\n")
    job = world.jobs.create(ANA, new(script=str(script)))
    world.until(job.id, "succeeded")
    assert not (world.directory(job.id) / "last-word.json").exists()


def _step(world: World, job_id: str) -> bool:
    world.step()
    return world.jobs.get(ANA, job_id).step is not None


@pytest.mark.parametrize(
    ("ranks", "code"),
    [
        ((), "disk_full"),
        ((RankEnd(0, exit_code=1),), "disk_full"),
        ((RankEnd(0, exit_code=-9),), "killed"),
        ((RankEnd(0, exit_code=1, raised=Raised("ValueError", "x", 1.0)),), "exception"),
    ],
)
def test_a_full_disk_is_the_cause_only_where_nothing_else_says_why(
    ranks: tuple[RankEnd, ...], code: str
) -> None:
    assert diagnose(End(ranks=ranks, unwritable="OSError: Disk quota exceeded")).code == code
