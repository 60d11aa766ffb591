"""The supervisor on a directory: real torch, two ranks, gloo; no server."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from gpu_workbench import protocol as wire
from gpu_workbench.holders.rank import rank_environment
from tests.support.runs import FOR_EVER, LOOP, TWICE, Run
from tests.support.waiting import wait_for

pytest.importorskip("torch")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    one = Run(tmp_path / "job")
    yield one
    one.close()


def describe_rank(steps: int) -> dict[str, Any]:
    import os

    import torch
    import torch.distributed as dist

    import gpu_workbench as gw

    dist.init_process_group("gloo")
    total = torch.ones(1)
    dist.all_reduce(total)
    for step in range(steps):
        gw.log(step, loss=torch.tensor(1.0 / (step + 1), requires_grad=True))
    print("hello from", dist.get_rank())
    names = ("CUDA_VISIBLE_DEVICES", "GPU_WORKBENCH_SLICES", "GPU_WORKBENCH_SIMULATED")
    found = {name: os.environ[name] for name in names}
    environ = open("/proc/self/environ").read().split("\0")  # noqa: SIM115
    shown = [one.rstrip(",") for one in environ if one.startswith(names[1])]
    return found | {"sum": float(total), "in_proc": shown == [f"{names[1]}={found[names[1]]}"]}


def test_a_function_runs_on_every_rank_each_on_its_slice(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    status = run.start(function=(describe_rank, (10,), {})).ended()
    assert status["state"] == "succeeded", status
    assert not list(temporary.glob("torchelastic*")), "what it leaves is in its own directory"
    assert status["has_result"]
    for number in (0, 1):
        found = pickle.loads((run.rank(number) / "result.pkl").read_bytes())
        assert found["sum"] == 2.0
        assert found["GPU_WORKBENCH_SLICES"] == f"slice-{number}"
        assert found["CUDA_VISIBLE_DEVICES"] == ""
        assert found["in_proc"], "load is attributed by what /proc shows"
        assert (run.rank(number) / "out.log").read_text() == f"hello from {number}\n"
    points = run.points()
    assert [one["s"] for one in points if one["r"] == 1] == list(range(10))
    assert points[0]["v"] == {"loss": 1.0}
    assert status["metrics"] == {"loss": pytest.approx(0.1)}


BOARD = LOOP.replace("for step", "w = SummaryWriter('runs/mine') if rank == 0 else None\nfor step")
BOARD = "from torch.utils.tensorboard import SummaryWriter\n" + BOARD
BOARD += """
    if w: w.add_scalar("train/loss", float(loss), step)
print("args", sys.argv[1:], "main", __name__, os.path.basename(__file__))
w and w.close()
"""


def test_a_script_runs_as_by_python_and_its_tensorboard_files_are_followed(run: Run) -> None:
    pytest.importorskip("tensorboard")
    status = run.start(script=BOARD, args=["20"]).ended()
    assert status["state"] == "succeeded", (run.rank(0) / "err.log").read_text()
    out = (run.rank(1) / "out.log").read_text()
    assert out == "args ['20'] main __main__ train.py\n"
    points = run.points()
    assert [one["s"] for one in points if "train/loss" in one["v"]] == list(range(20))
    assert {one["r"] for one in points} == {0}
    assert status["ranks"][1]["step"] == 20, "the optimizer's steps beat without gw.log"


def test_the_exception_of_rank_1_is_kept_with_its_place(run: Run) -> None:
    script = LOOP + "    if rank == 1 and step == 6: raise ValueError('bad shape')\n"
    status = run.start(script=script, args=["1000"]).ended()
    assert status["state"] == "failed"
    error = status["ranks"][1]["error"]
    line = script.splitlines().index(
        "    if rank == 1 and step == 6: raise ValueError('bad shape')"
    )
    assert (error["type"], error["message"]) == ("ValueError", "bad shape")
    assert error["where"] == f"train.py:{line + 1}"
    assert error["step"] == 7
    assert "holders" not in error["traceback"], "our own frames are not the user's business"
    assert "ValueError: bad shape" in (run.rank(1) / "err.log").read_text()


def test_a_killed_rank_is_seen_with_its_signal_and_its_last_step(run: Run) -> None:
    ranks = run.start(script=FOR_EVER, args=["100000"]).stepping()["ranks"]
    os.kill(ranks[1]["pid"], signal.SIGKILL)
    status = run.ended()
    assert status["state"] == "failed"
    assert status["ranks"][1]["exit_code"] == -signal.SIGKILL
    assert status["ranks"][1]["step"] >= 5


def test_a_killed_rank_is_started_again_where_restarts_are_left(run: Run) -> None:
    ranks = run.start(script=TWICE, max_restarts=1).stepping()["ranks"]
    os.kill(ranks[0]["pid"], signal.SIGKILL)
    status = run.ended()
    assert (status["state"], status["attempt"]) == ("succeeded", 1), status
    assert (run.rank(0, attempt=1) / "done.json").exists()


@pytest.mark.parametrize("how", ["signal", "target"])
def test_it_stops_when_asked(run: Run, how: str) -> None:
    run.start(script=FOR_EVER, args=["100000"]).stepping()
    assert run.process is not None
    if how == "signal":
        run.process.terminate()
    else:
        (run.directory / "target.json").write_text('{"state":"stopped","reason":"time is up"}')
    assert run.ended()["state"] == "stopped"


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
import gpu_workbench as gw
subprocess.Popen(["sleep", "1000"], start_new_session=True)  # hides from its process group
for step in range(10000):
    gw.log(step, x=1)
    time.sleep(0.1)
"""


def test_what_ignores_sigterm_and_what_hides_is_ended_too(run: Run) -> None:
    run.start(script=STUBBORN).stepping()
    assert run.process is not None
    run.process.terminate()
    assert run.ended()["state"] == "stopped"


def test_nothing_outlives_a_killed_supervisor(run: Run) -> None:
    ranks = run.start(script=FOR_EVER, args=["100000"]).stepping()["ranks"]
    assert run.process is not None
    assert len(run.family()) >= 4, "supervisor, agent, two ranks"
    run.process.kill()
    wait_for(lambda: not any(psutil.pid_exists(one["pid"]) for one in ranks), what="ranks ended")
    run.process.wait()
    assert run.status["state"] == "running", "no last word: the server will find it lost"


def test_nothing_outlives_the_jobs_directory(run: Run) -> None:
    run.start(script=FOR_EVER, args=["100000"]).stepping()
    run.directory.rename(run.directory.with_name("elsewhere"))
    assert run.process is not None
    run.process.wait(90)
    assert not run.family()


def test_a_rank_sees_one_real_device_as_number_0_and_none_of_the_agents_options() -> None:
    slices = [
        wire.Slice(
            id=f"7.{number}",
            gpu="GPU-a",
            kind="mig",
            profile="mig-1g.10gb",
            memory_bytes=10 << 30,
            units=1 / 7,
            visible_device=f"MIG-{number}",
            tier="mig",
        )
        for number in range(2)
    ]
    lease = wire.Lease(
        id=7,
        state="active",
        user="ana",
        mine=True,
        pool="default",
        profile="mig-1g.10gb",
        slices=slices,
        units=2 / 7,
        purpose="job",
        name="train",
        granted_at=1.0,
        ends_at=2.0,
    )
    base = {"LOCAL_RANK": "1", "RANK": "1", "PET_NNODES": "1", "CUDA_VISIBLE_DEVICES": "0,1"}
    environment = rank_environment(base, lease, 1)
    assert environment["CUDA_VISIBLE_DEVICES"] == "MIG-1"
    assert (environment["RANK"], environment["LOCAL_RANK"]) == ("1", "0")
    assert environment["GPU_WORKBENCH_SLICES"] == "7.1"
    assert "PET_NNODES" not in environment


def hang_after() -> str:
    import atexit
    import time

    atexit.register(time.sleep, 1000)
    return "value"


def test_work_that_is_done_counts_although_its_clean_up_hangs(run: Run) -> None:
    status = run.start(function=(hang_after, (), {})).ended()
    assert (status["state"], status["has_result"]) == ("succeeded", True)


def test_ranks_listen_on_loopback_only(run: Run) -> None:
    ranks = run.start(script=FOR_EVER, args=["100000"]).stepping()["ranks"]
    listening: list[str] = []
    for pid in [one["pid"] for one in ranks] + run.family():
        for one in psutil.Process(pid).net_connections():
            if one.status == psutil.CONN_LISTEN:
                listening.append(one.laddr.ip)
    assert listening, "gloo and the store listen"
    assert set(listening) == {"127.0.0.1"}


def test_without_torch_it_says_what_is_missing(
    run: Run, tmp_path: Path, bare_python: Callable[[], str]
) -> None:
    del tmp_path
    run.directory.mkdir()
    (run.directory / "spec.json").write_text(json.dumps({"ranks": 1, "cwd": "/", "lease": {}}))
    subprocess.run(
        [bare_python(), "-m", "gpu_workbench.holders.job", str(run.directory)],
        cwd=run.directory,
        check=True,
        timeout=90,
    )
    assert (run.status["state"], run.status["missing_torch"]) == ("failed", True)


@pytest.fixture
def bare_python(tmp_path: Path) -> Callable[[], str]:
    """An interpreter whose environment has this package and psutil, and no torch."""

    def make() -> str:
        import site

        import gpu_workbench

        env = tmp_path / "bare"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True)
        python = env / "bin" / "python"
        packages = next((env / "lib").glob("python3*")) / "site-packages"
        (packages / "here.pth").write_text(str(Path(gpu_workbench.__file__).parents[1]))
        for name in ("psutil", "msgspec"):
            source = next(
                Path(one) / name for one in site.getsitepackages() if (Path(one) / name).is_dir()
            )
            (packages / name).symlink_to(source)
        return str(python)

    return make
