"""Going on is exact: `examples/digits.py` on real ranks, killed at random and resumed.

The jobs' service with a real broker, engine and store, on simulated slices (gloo).
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench import protocol as wire
from tests.support.job_world import ANA, World, new
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
KILLS = 10
EPOCHS, BATCH, SAMPLES = 4, 12, 1797
STEPS = EPOCHS * SAMPLES // BATCH
assert STEPS * BATCH == EPOCHS * SAMPLES, "no sample is left over"

# The example as it is, slow enough to be killed in the middle; it notes which rank took what.
SLOWLY = f"""
import os, sys, time
sys.path.insert(0, {str(EXAMPLES)!r})
import digits
import gpu_workbench as gw

take = digits.share
notes = open(f"taken-{{os.environ['GPU_WORKBENCH_KEY']}}-{{os.environ['RANK']}}", "a", buffering=1)

def share(ids, rank, ranks):
    mine = take(ids, rank, ranks)
    print(*mine.tolist(), file=notes)
    time.sleep(float(os.environ["PACE"]))
    return mine

digits.share = share
digits.main({EPOCHS}, {BATCH}, 10)
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.close()


def training(tmp_path: Path, ranks: int = 2, pace: float = 0.03) -> wire.JobSpec:
    script = tmp_path / "slowly.py"
    script.write_text(SLOWLY)
    return new(script=str(script), cwd=str(tmp_path), ranks=ranks, env={"PACE": str(pace)})


def curve(world: World, job: wire.Job) -> dict[int, float]:
    """Step → loss, of all points that it logged; each step once."""
    found: dict[int, float] = {}
    offset = 0
    while True:
        chunk = world.jobs.metrics(ANA, job.id, offset)
        for point in chunk.points:
            assert point.step not in found, f"step {point.step} is there twice"
            found[point.step] = point.values["loss"]
        if chunk.next_offset == offset:
            return found
        offset = chunk.next_offset


def kill_at(world: World, job: wire.Job, step: int, rank: int) -> wire.Job:
    """SIGKILL to one rank once the run is past a step; the job, when it is over."""

    def past() -> wire.Job | None:
        world.step()
        now = world.jobs.get(ANA, job.id)
        assert now.state in ("waiting", "starting", "running"), now
        up = [one.pid for one in now.ranks if one.pid]
        return now if (now.step or 0) >= step and len(up) == len(now.ranks) else None

    now = wait_for(past, 90, f"{job.id} is past step {step}", every=0.01)
    pid = now.ranks[rank].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    over = world.until(job.id, "failed", "succeeded")
    assert over.state == "failed" and over.cause is not None and over.cause.code == "killed", over
    return over


def last_weights(world: World, job: wire.Job) -> dict[str, Any]:
    newest = world.jobs.checkpoints(ANA, job.id).checkpoints[-1]
    assert newest.whole and newest.step == STEPS
    weights: dict[str, Any] = torch.load(newest.path)["model"]
    return weights


def test_a_run_killed_ten_times_and_resumed_has_the_curve_of_an_undisturbed_one(
    world: World, tmp_path: Path
) -> None:
    undisturbed = world.jobs.create(ANA, training(tmp_path, pace=0.0))
    world.until(undisturbed.id, "succeeded", seconds=120)
    expected = curve(world, undisturbed)
    assert sorted(expected) == list(range(STEPS))

    chance = random.Random(2026)
    job = world.jobs.create(ANA, training(tmp_path))
    seen: dict[int, float] = {}
    at, redone = 0, 0
    for turn in range(KILLS):
        over = kill_at(world, job, at + chance.randint(1, 40), chance.randrange(2))
        losses = curve(world, over)
        redone += len(losses.keys() & seen.keys())
        seen |= losses
        at = max(seen)
        print(f"kill {turn + 1}: rank {over.cause and over.cause.rank} after step {at}")
        job = world.jobs.resume(ANA, over.id, wire.Resume())
        assert job.resumed_from == over.id
    world.until(job.id, "succeeded", seconds=120)
    losses = curve(world, job)
    redone += len(losses.keys() & seen.keys())
    for step, loss in (seen | losses).items():
        assert loss == expected[step], f"step {step}"
    assert (seen | losses).keys() == expected.keys(), "no step is missing"
    weights, others = last_weights(world, job), last_weights(world, undisturbed)
    assert all(torch.equal(weights[name], others[name]) for name in others)
    print(f"{KILLS} kills, {STEPS} steps, {redone} of them done twice: the same curve, bit by bit")


def test_with_two_then_four_then_one_rank_no_sample_is_lost_or_doubled(
    world: World, tmp_path: Path
) -> None:
    chance = random.Random(6)
    job = world.jobs.create(ANA, training(tmp_path, ranks=2))
    runs, at = [job], 0
    for ranks in (4, 1):
        rank = chance.randrange(len(job.ranks))
        over = kill_at(world, job, at + chance.randint(100, 200), rank)
        at = max(curve(world, over))
        job = world.jobs.resume(ANA, over.id, wire.Resume(ranks=ranks))
        job = world.until(job.id, "running", "succeeded")
        assert len(job.ranks) == ranks
        runs.append(job)
    world.until(job.id, "succeeded", seconds=120)

    taken: dict[int, list[int]] = {}
    for run in runs:  # a step that was done again counts as the last run did it
        taken |= steps_of(world, run, tmp_path)
    assert sorted(taken) == list(range(STEPS))
    order = [one for step in sorted(taken) for one in taken[step]]
    for epoch in range(EPOCHS):
        counted = Counter(order[epoch * SAMPLES : (epoch + 1) * SAMPLES])
        # A batch may reach over the end of an epoch: its samples are in no order within it.
        assert len(counted) >= SAMPLES - BATCH
    assert Counter(order) == Counter({one: EPOCHS for one in range(SAMPLES)})
    losses = [curve(world, run) for run in runs]
    print("steps by run:", [f"{min(one)} to {max(one)}" for one in losses])


def steps_of(world: World, run: wire.Job, tmp_path: Path) -> dict[int, list[int]]:
    """Step → ids that all ranks together took, of the steps that the run finished."""
    resumed = world.jobs.spec(ANA, run.id).resume_from
    first = torch.load(resumed)["step"] if resumed and Path(resumed).exists() else None
    done = curve(world, run)
    first = min(done) if first is None else first
    found: dict[int, list[int]] = defaultdict(list)
    for rank in range(len(run.ranks)):
        lines = (tmp_path / f"taken-{run.id}-{rank}").read_text().splitlines()
        for number, line in enumerate(lines):
            if first + number in done:
                found[first + number] += [int(one) for one in line.split()]
    assert all(len(ids) == BATCH for ids in found.values()), "each step has its whole batch"
    return dict(found)
