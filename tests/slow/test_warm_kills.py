"""Killed while a job is being forked: it runs once, or not at all, and nothing of it is lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from gpu_workbench_server.engines.local import LocalEngine
from tests.support.runs import Run
from tests.support.waiting import wait_for

pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

ONCE = "with open('ran.txt', 'a') as file: file.write('once\\n')\n"
ROUNDS = 5
SPREAD = 0.1
"""Seconds: longer than an order takes from the engine to the fork and back."""

SERVER = """
import sys, time
from pathlib import Path
from gpu_workbench_server.engines.local import LocalEngine
from tests.support.runs import Run
root = Path(sys.argv[1])
engine = LocalEngine(root / "engine")
for number in range(100):
    place = root / f"warm-{number}"
    place.mkdir()
    run = Run(place / "job", engine).start(1, script="pass")
    forked = run.is_forked
    run.ended(90)
    if forked:
        break
print("warm", flush=True)
sys.stdin.readline()
(root / "last").mkdir()
Run(root / "last" / "job", engine).start(1, script=sys.argv[2])
time.sleep(60)
"""


def nurseries(of: psutil.Process) -> list[psutil.Process]:
    return [
        one for one in of.children() if "gpu_workbench.holders.nursery" in " ".join(one.cmdline())
    ]


def warm_up(engine: LocalEngine, root: Path) -> None:
    names = iter(range(100))

    def is_warm() -> bool:
        place = root / f"warm-{next(names)}"
        place.mkdir()
        run = Run(place / "job", engine).start(1, script="pass")
        forked = run.is_forked
        run.ended(90)
        return forked

    wait_for(is_warm, 120, "a job is forked")


def test_a_nursery_killed_at_any_moment_of_a_fork_leaves_one_job(tmp_path: Path) -> None:
    chance = random.Random(6)
    engine = LocalEngine(tmp_path / "engine")
    how = []
    try:
        for number in range(ROUNDS):
            root = tmp_path / str(number)
            root.mkdir()
            warm_up(engine, root)
            (nursery,) = nurseries(psutil.Process())
            timer = threading.Timer(chance.uniform(0, SPREAD), nursery.kill)
            run = Run(root / "job", engine)
            timer.start()
            run.start(1, script=ONCE)
            how.append(run.is_forked)
            timer.join()
            assert run.ended(90)["state"] == "succeeded"
            assert (root / "work" / "ran.txt").read_text() == "once\n"
    finally:
        engine.close()
    print("forked all the same:", how.count(True), "of", ROUNDS)


def test_a_server_killed_while_it_submits_leaves_a_job_that_is_found_or_none(
    tmp_path: Path,
) -> None:
    chance = random.Random(7)
    found = 0
    for number in range(ROUNDS):
        root = tmp_path / str(number)
        root.mkdir()
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(root), ONCE + "import time; time.sleep(5)\n"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        assert server.stdin is not None and server.stdout is not None
        assert server.stdout.readline() == "warm\n"
        warm = nurseries(psutil.Process(server.pid))
        server.stdin.write("\n")
        server.stdin.flush()
        time.sleep(chance.uniform(0, SPREAD))
        server.kill()
        server.communicate()
        wait_for(lambda: not any(one.is_running() for one in warm), 20, "its nursery is gone")  # noqa: B023
        run = Run(root / "last" / "job")
        engine = LocalEngine(root / "engine")
        ref = engine.find(run.key)
        if ref is None:
            wait_for(lambda: not run.family(), 5, "what is not found does not run")  # noqa: B023
            assert not (root / "last" / "work" / "ran.txt").exists()
            continue
        record = json.loads((root / "engine" / f"{run.key}.json").read_text())
        assert record["pid"] == ref.pid
        wait_for(lambda: engine.state(ref) == "gone", 60, "it ends by itself")  # noqa: B023
        if run.status["state"] == "none":  # forked, and never told to go on
            assert not (root / "last" / "work" / "ran.txt").exists()
            continue
        found += 1
        assert run.status["state"] == "succeeded"
        assert (root / "last" / "work" / "ran.txt").read_text() == "once\n"
        assert not run.family()
    print("found again:", found, "of", ROUNDS)
