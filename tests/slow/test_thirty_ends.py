"""Thirty jobs, each ended in another way: no process of theirs lives, and no slice is held.

Real ranks on a real server with simulated slices. What lives is counted with psutil, by the tags in
the processes' environment; what was and is held is read in the ledger.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import psutil
import pytest

from tests.slow.test_cluster_leaks import Full
from tests.support.lab import LabServer
from tests.support.processes import started_by
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
pytest.importorskip("torch")

TTL = 15
Job = dict[str, Any]
Way = Callable[[LabServer], Job]

UP = """
import os, signal, subprocess, sys, threading, time
import gpu_workbench as gw
rank = int(os.environ["RANK"])
for step in range(3): gw.log(step, loss=1.0)
"""
STAYS = UP + "time.sleep(300)\n"
ON_RANK_1 = UP + "if rank == 0: time.sleep(300)\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    root = tmp_path_factory.mktemp("ends")
    with LabServer(root, workbench={"lease_ttl": TTL, "grace_seconds": 3.0}) as server:
        yield server


# --- a job, and what is left of it --------------------------------------------------------------


def make(lab: LabServer, script: str | None = None, **more: Any) -> Job:
    body: Job = {"ranks": 2, "per_rank": "0.25", "cwd": str(lab.notebooks)} | more
    if script is not None:
        path = lab.notebooks / f"script-{len(list(lab.notebooks.iterdir()))}.py"
        path.write_text(script)
        body["script"] = str(path)
    job: Job = lab.api("POST", "jobs", body)
    return job


def now(lab: LabServer, job: Job) -> Job:
    found: Job = lab.api("GET", f"jobs/{job['id']}")
    return found


def over(lab: LabServer, job: Job, seconds: float = 60.0) -> Job:
    def ended() -> Job | None:
        found = now(lab, job)
        return found if found["ended_at"] is not None else None

    found = wait_for(ended, seconds, f"the end of {job['id']}")
    assert found is not None
    return found


def up(lab: LabServer, script: str = STAYS, **more: Any) -> Job:
    """A job all of whose ranks have made steps."""
    job = make(lab, script, **more)

    def stepping() -> Job | None:
        found = now(lab, job)
        assert found["ended_at"] is None, found
        return found if all(one["step"] for one in found["ranks"]) else None

    found = wait_for(stepping, 60, "its ranks make steps")
    assert found is not None
    return found


def supervisor(lab: LabServer, job: Job) -> psutil.Process:
    return psutil.Process(lab.api("GET", f"leases/{job['lease_id']}")["holder"]["pid"])


def rank(job: Job, number: int) -> int:
    return int(job["ranks"][number]["pid"])


def stop(lab: LabServer, job: Job) -> Job:
    lab.api("POST", f"jobs/{job['id']}/stop")
    return over(lab, job)


# --- the ways: each returns the job, when it is over ----------------------------------------------


def runs(script: str, **more: Any) -> Way:
    """It ends by itself."""
    return lambda lab: over(lab, make(lab, script, **more))


def function(thing: Any) -> Way:
    packed = b64encode(cloudpickle.dumps((thing, (), {}))).decode()
    return lambda lab: over(lab, make(lab, function_b64=packed, function_name="thing"))


def hit(number: int, which: int = 1, **more: Any) -> Way:
    """A rank gets a signal."""

    def way(lab: LabServer) -> Job:
        job = up(lab, **more)
        os.kill(rank(job, which), number)
        return over(lab, job)

    return way


def agent_killed(lab: LabServer) -> Job:
    job = up(lab)
    psutil.Process(rank(job, 0)).parent().kill()  # type: ignore[union-attr]
    return over(lab, job)


def supervisor_killed(lab: LabServer) -> Job:
    job = up(lab)
    supervisor(lab, job).kill()
    return over(lab, job)


def all_killed(lab: LabServer) -> Job:
    job = up(lab)
    chief = supervisor(lab, job)
    for process in [chief, *chief.children(recursive=True)]:
        process.kill()
    return over(lab, job)


def supervisor_frozen(lab: LabServer) -> Job:
    job = up(lab)
    supervisor(lab, job).suspend()
    return stop(lab, job)


def stopped(script: str = STAYS) -> Way:
    return lambda lab: stop(lab, up(lab, script))


def stopped_in_the_queue(lab: LabServer) -> Job:
    blocker = lab.api("POST", "requests", {"what": "0.25", "count": 4, "purpose": "cell"})
    job = make(lab, STAYS)
    assert job["state"] == "waiting"
    ended = stop(lab, job)
    lab.api("DELETE", f"leases/{blocker['id']}")
    return ended


def cancelled(lab: LabServer) -> Job:
    blocker = lab.api("POST", "requests", {"what": "0.25", "count": 4, "purpose": "cell"})
    job = make(lab, STAYS)
    lab.api("DELETE", f"requests/{job['request_id']}")
    ended = over(lab, job)
    lab.api("DELETE", f"leases/{blocker['id']}")
    return ended


def stopped_at_its_start(lab: LabServer) -> Job:
    return stop(lab, make(lab, STAYS))


def lease_revoked(lab: LabServer) -> Job:
    job = up(lab)
    lab.api("DELETE", f"leases/{job['lease_id']}")
    return over(lab, job)


def lease_expired(lab: LabServer) -> Job:
    return over(lab, up(lab, seconds=25))


def server_killed_and_back(lab: LabServer) -> Job:
    job = up(lab)
    lab.restart(kill=True)
    return stop(lab, job)


def server_away_at_the_end(lab: LabServer) -> Job:
    job = up(lab, UP + "time.sleep(2)\n")
    lab.kill9()
    wait_for(lambda: not started_by(lab, "job"), 30, "it has ended by itself")
    lab.start()
    return over(lab, job)


def server_stopped_and_started(lab: LabServer) -> Job:
    job = up(lab)
    lab.restart()
    os.kill(rank(job, 0), signal.SIGKILL)
    return over(lab, job)


def kernel_killed(lab: LabServer) -> Job:
    """Who launched it dies: it goes on, and is stopped by its id."""
    script = lab.notebooks / "stays.py"
    script.write_text(STAYS)
    program = (
        "import gpu_workbench as gw, os\n"
        f"print(gw.launch({str(script)!r}, ranks=1).id, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    (connection,) = lab.runtime_dir.glob("gpu-workbench-*.json")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=lab.env | {"GPU_WORKBENCH_CONNECTION": str(connection)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    job = {"id": done.stdout.strip()}
    wait_for(lambda: now(lab, job)["step"], 60, "it runs")
    return stop(lab, job)


def interpreter(lines: str) -> Way:
    """Its start fails: `lines` of a shell script that stands for the interpreter."""

    def way(lab: LabServer) -> Job:
        python = lab.root / f"python-{abs(hash(lines))}"
        python.write_text(f"#!/bin/sh\n{lines}\n")
        python.chmod(0o755)
        return over(lab, make(lab, STAYS, python=str(python)))

    return way


def disk_full(lab: LabServer) -> Job:
    job = up(lab)
    with Full(next(lab.data_dir.rglob(job["id"]))):
        return stop(lab, job)


def resumed_with_fewer(lab: LabServer) -> Job:
    """One of its ranks is lost, the other goes on, and is stopped."""
    job = up(lab, if_lost="fewer")
    os.kill(rank(job, 0), signal.SIGKILL)

    def alone() -> bool:
        found = now(lab, job)
        return len(found["ranks"]) == 1 and bool(found["ranks"][0]["step"])

    wait_for(alone, 60, "one rank goes on")
    return stop(lab, job)


def mpi(lab: LabServer) -> Job:
    job = up(lab, launcher="mpi")
    os.kill(rank(job, 1), signal.SIGKILL)
    ended = over(lab, job)
    assert ended["cause"]["code"] == "killed" and ended["cause"]["rank"] == 1, ended
    return ended


def mpirun_killed(lab: LabServer) -> Job:
    job = up(lab, launcher="mpi")
    [mpirun] = [one for one in supervisor(lab, job).children(recursive=True)
                if one.name().startswith(("mpirun", "orterun", "prterun"))]  # fmt: skip
    mpirun.kill()
    ended = over(lab, job)
    assert ended["cause"]["code"] == "launcher_killed", ended
    return ended


class Unloadable:
    def __reduce__(self) -> Any:
        return (__import__, ("no_such_module_anywhere",))


LEFT_BEHIND = UP + "subprocess.Popen(['setsid', 'sleep', '300'])\n"
DEAF = UP + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ngw.log(9, deaf=1)\ntime.sleep(300)\n"
HANGS_AT_ITS_END = UP + "threading.Thread(target=time.sleep, args=(300,)).start()\n"

WAYS: dict[str, tuple[Way, set[str]]] = {
    "its script is done": (runs(UP), {"succeeded"}),
    "its function returns": (function(dict), {"succeeded"}),
    "its notebook is lost: the function can't be rebuilt": (function(Unloadable()), {"failed"}),
    "a rank raises while the other works": (runs(ON_RANK_1 + "1 / 0\n"), {"failed"}),
    "every rank raises": (runs(UP + "1 / 0\n"), {"failed"}),
    "sys.exit(7)": (runs(UP + "sys.exit(7)\n"), {"failed"}),
    "os._exit(9) in one rank": (runs(ON_RANK_1 + "os._exit(9)\n"), {"failed"}),
    "a crash in native code": (
        runs(ON_RANK_1 + "import ctypes; ctypes.string_at(0)\n"), {"failed"}),
    "abort()": (runs(ON_RANK_1 + "os.abort()\n"), {"failed"}),
    "a module is missing": (runs("import no_such_module\n"), {"failed"}),
    "done, and hangs in its clean-up": (runs(HANGS_AT_ITS_END), {"succeeded"}),
    "done, and leaves a process that detached itself": (runs(LEFT_BEHIND), {"succeeded"}),
    "hangs, and is ended": (runs(STAYS, hang_seconds=3), {"failed"}),
    "a rank SIGKILLed": (hit(signal.SIGKILL), {"failed"}),
    "a rank ended by SIGTERM from outside": (hit(signal.SIGTERM), {"failed"}),
    "a rank stopped by SIGSTOP": (hit(signal.SIGSTOP), {"failed"}),
    "torch's agent SIGKILLed": (agent_killed, {"failed"}),
    "its supervisor SIGKILLed": (supervisor_killed, {"lost"}),
    "all its processes SIGKILLed": (all_killed, {"lost", "failed"}),
    "its supervisor frozen, then stopped": (supervisor_frozen, {"stopped"}),
    "stopped by its owner": (stopped(), {"stopped"}),
    "stopped, and deaf to SIGTERM": (stopped(DEAF), {"stopped"}),
    "stopped in the queue": (stopped_in_the_queue, {"stopped"}),
    "stopped at its start": (stopped_at_its_start, {"stopped"}),
    "its request cancelled": (cancelled, {"stopped"}),
    "its lease revoked": (lease_revoked, {"failed"}),
    "its lease over": (lease_expired, {"failed"}),
    "its server SIGKILLed and back, then stopped": (server_killed_and_back, {"stopped"}),
    "its server away at its end": (server_away_at_the_end, {"succeeded"}),
    "its server stopped and started, a rank killed": (server_stopped_and_started, {"failed"}),
    "its kernel killed, then stopped": (kernel_killed, {"stopped"}),
    "its interpreter ends at once": (interpreter("exit 3"), {"failed"}),
    "its interpreter lacks the package": (interpreter('exec python3 -S -E "$@"'), {"failed"}),
    "its disk full": (disk_full, {"stopped", "lost", "failed"}),
    "a rank lost, the other goes on and is stopped": (resumed_with_fewer, {"stopped"}),
    "a rank of an MPI program killed": (mpi, {"failed"}),
    "mpirun SIGKILLed": (mpirun_killed, {"failed"}),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left(lab: LabServer, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(WAYS) >= 30
    end, states = WAYS[way]
    try:
        job = end(lab)
    finally:
        if lab.process is not None and lab.process.poll() is not None:
            lab.start()
    assert job["state"] in states, job
    began = time.monotonic()

    def nothing() -> bool:
        status = lab.api("GET", "status")
        return not started_by(lab, "job") and bool(status["units_free"] == status["units_total"])

    wait_for(nothing, 2 * TTL + 10, f"nothing left after: {way}", every=0.1)
    rows = [one for one in lab.api("GET", "usage")["rows"] if one["name"] == job["name"]]
    assert all(one["end_reason"] for one in rows), "the ledger has the end of each lease"
    assert not lab.leases()
    with capsys.disabled():
        gone = time.monotonic() - began
        print(f"{way}: {job['state']} ({job['message'][:70]}); nothing left after {gone:.1f} s")
