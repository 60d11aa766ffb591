"""`gw.launch` from a notebook: a real server, real torch, two ranks on simulated slices."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from gpu_workbench import training
from gpu_workbench.errors import GpuWorkbenchError
from gpu_workbench.training import JobFailed, JobHandle
from tests.kernels.talk import run_in_kernel
from tests.support.lab import LabServer
from tests.support.waiting import wait_for

pytest.importorskip("torch")
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def add_up(steps: int, *, pause: float = 0.0) -> dict[str, float]:
    """A run without a network: the ranks meet at every step."""
    import time

    import torch
    import torch.distributed as dist

    import gpu_workbench as gw

    dist.init_process_group("gloo")
    print("rank", dist.get_rank())
    total = torch.zeros(1)
    for step in range(steps):
        total = torch.tensor([float(dist.get_rank() + 1)])
        dist.all_reduce(total)
        gw.log(step, loss=1.0 / (step + 1))
        time.sleep(pause)
    return {"total": float(total), "ranks": dist.get_world_size()}


def count(steps: int) -> None:
    """Steps without torch, where only the processes matter."""
    import time

    import gpu_workbench as gw

    for step in range(steps):
        gw.log(step, loss=1.0 / (step + 1))
        time.sleep(0.1)


def fail_on_rank_1() -> None:
    import os
    import time

    if os.environ["RANK"] == "1":
        raise ValueError("no such column: delay")
    time.sleep(60)


def long_run(ranks: int = 2) -> JobHandle:
    """A job that has made steps and would go on for minutes."""
    job = training.launch(count, ranks=ranks, args=(3000,), name="long")
    stepping(job)
    return job


def stepping(job: JobHandle) -> None:
    def all_step() -> bool:
        now = job.status
        assert now.state in ("waiting", "starting", "running"), now
        return all(one.step for one in now.ranks)

    wait_for(all_step, 60, "all ranks make steps")


@pytest.mark.usefixtures("here")
def test_a_function_trains_on_two_ranks_and_its_result_comes_back() -> None:
    job = training.launch(add_up, ranks=2, per_rank="0.25", args=(20,), hours=0.5, pool="default")
    assert job.result(timeout=120) == {"total": 3.0, "ranks": 2}
    assert job.status.name == "add_up"
    points = job.metrics()
    assert [one["step"] for one in points if one["rank"] == 1] == list(range(20))
    assert job.status.metrics["loss"] == pytest.approx(0.05)
    assert job.logs(rank=1) == "rank 1\n"
    assert job.logs(rank=1, tail=1) == "rank 1"
    text, html = repr(job), job._repr_html_()
    assert "succeeded" in text and "done in" in text
    assert "<svg" in html and "loss" in html
    assert training.job(job.id).result() == {"total": 3.0, "ranks": 2}
    assert job.id in [one.id for one in training.jobs()]


def test_a_script_gets_its_arguments_and_gives_its_slices_back(
    here: LabServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "helper.py").write_text("WORD = 'beside'\n")
    (tmp_path / "train.py").write_text(
        "import os, sys, helper\n"
        "print(helper.WORD, sys.argv[1:], os.environ['WORLD_SIZE'], os.environ['MODE'])\n"
    )
    monkeypatch.chdir(tmp_path)
    job = training.launch("train.py", "--epochs", "3", ranks=1, env={"MODE": "short"})
    assert job.result(timeout=120) is None
    assert job.logs() == "beside ['--epochs', '3'] 1 short\n"
    lease = here.api("GET", f"leases/{job.status.lease_id}")
    assert (lease["state"], lease["end_reason"]) == ("ended", "released")


@pytest.mark.usefixtures("here")
def test_a_module_beside_the_notebook_travels_with_the_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_model.py").write_text("def answer(x):\n    return x * 2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_model  # type: ignore[import-not-found]

    job = training.launch(lambda: my_model.answer(21), ranks=1)
    (tmp_path / "my_model.py").unlink()  # what was imported is what runs
    assert job.result(timeout=120) == 42


def talk(lines: int, folder: str) -> None:
    """With colours, and a word on one rank only, which comes when the other has said all."""
    import os
    import sys
    import time

    import gpu_workbench as gw

    rank = int(os.environ["RANK"])
    for number in range(lines):
        print(f"\x1b[32mline {number} of rank {rank}\x1b[0m")
        gw.log(number, loss=1.0 / (number + 1 + rank))
        time.sleep(0.1)
    said_all = os.path.join(folder, "said-all")
    if rank == 1:
        while not os.path.exists(said_all):
            time.sleep(0.05)
        print("Loss is NaN", file=sys.stderr)
        raise FloatingPointError("the loss is nan")
    open(said_all, "w").close()
    time.sleep(600)


@pytest.mark.usefixtures("here")
def test_logs_are_searched_and_those_of_the_rank_that_failed_come_first(tmp_path: Path) -> None:
    job = training.launch(talk, ranks=2, args=(30, str(tmp_path)))
    assert job.wait(60).state == "failed"
    assert job.logs(search="LOSS IS nan").splitlines()[0] == "rank 1 err: Loss is NaN"
    found = job.logs(search="line 3 ").splitlines()
    assert [line.partition(":")[0] for line in found] == ["rank 1 out", "rank 0 out"]
    assert job.logs(search="line 3 ", rank=0).count("\n") == 0
    assert "of rank 1" in job.logs(tail=40), "of the rank that failed, where none is named"
    assert "color:var(--jp-ansi-green" in job.logs(rank=0)._repr_html_()
    assert {one["rank"] for one in job.gpu_use()} <= {0, 1}
    both = training.compare(job, job.id, metric="loss")
    assert len(both.rows) == 60
    assert "<polyline" in both._repr_html_()


@pytest.mark.usefixtures("here")
def test_the_rank_that_raised_is_named_and_its_traceback_shown() -> None:
    job = training.launch(fail_on_rank_1, ranks=2)
    with pytest.raises(JobFailed, match=r"rank 1: ValueError: no such column: delay at ") as caught:
        job.result(timeout=120)
    assert caught.value.traceback is not None
    assert "in fail_on_rank_1" in caught.value.traceback
    assert job.state == "failed"


@pytest.mark.usefixtures("here")
def test_a_killed_rank_is_named_and_not_its_surviving_peer() -> None:
    job = training.launch(add_up, ranks=2, args=(3000,), kwargs={"pause": 0.1})
    stepping(job)
    pid = job.status.ranks[1].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(JobFailed, match=r"rank 1 was killed by SIGKILL, \d+ s after step \d+"):
        job.result(timeout=120)


def test_stop_ends_the_ranks_and_the_lease(here: LabServer) -> None:
    job = long_run()
    pids = [one.pid for one in job.status.ranks]
    assert job.stop().state in ("stopping", "stopped")
    assert job.wait(90).state == "stopped"
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    wait_for(lambda: not here.leases(), what="its lease is over")
    with pytest.raises(JobFailed, match="stopped after step"):
        job.result()


def test_a_job_outlives_the_kernel_that_launched_it(here: LabServer) -> None:
    (here.notebooks / "slow.py").write_text(
        "import time, gpu_workbench as gw\n"
        "for step in range(3000): gw.log(step, loss=1.0); time.sleep(0.1)\n"
    )
    kernel = here.start_kernel("python3", path="a.ipynb")["id"]
    code = "import gpu_workbench as gw, os\njob = gw.launch('slow.py', ranks=1)\n"
    job_id, pid = run_in_kernel(here, kernel, code + "print(job.id, os.getpid())").split()
    os.kill(int(pid), signal.SIGKILL)
    job = training.job(job_id)
    stepping(job)
    before = job.status.step or 0
    wait_for(lambda: (job.status.step or 0) > before + 5, what="it goes on")
    job.stop().wait(90)


def test_a_lease_that_is_taken_ends_the_job_and_says_so(here: LabServer) -> None:
    job = long_run(ranks=1)
    here.api("DELETE", f"leases/{job.status.lease_id}")
    ended = job.wait(90)
    assert ended.state == "failed"
    assert "its lease ended: its slices were given back" in ended.message


@pytest.mark.usefixtures("here")
def test_a_job_waits_with_position_and_reason_and_can_be_stopped_before_it_started() -> None:
    holds = training.launch(hold_slices, ranks=4, per_rank="0.25")
    job = training.launch(add_up, ranks=4, per_rank="0.25", args=(1,))
    waiting = wait_for(lambda: job.status if job.state == "waiting" else None, what="it waits")
    assert waiting.message.startswith("position 1: ")
    assert waiting.lease_id is None
    assert job.stop().state == "stopped"
    holds.stop().wait(90)


def hold_slices() -> None:
    import time

    time.sleep(300)


@pytest.mark.usefixtures("here")
def test_interrupting_watch_leaves_the_job_running() -> None:
    job = long_run(ranks=1)
    said = io.StringIO()

    def interrupt() -> None:
        wait_for(lambda: "loss" in said.getvalue(), what="it is told how the job goes")
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with redirect_stdout(said):
        assert job.watch() is job
    assert "loss" in said.getvalue() and "step" in said.getvalue()
    assert f"{job.id} goes on" in said.getvalue()
    assert job.state == "running"
    job.stop().wait(90)


def test_what_cannot_be_sent_is_named() -> None:
    with pytest.raises(GpuWorkbenchError, match=r"args\[1\] \(a lock\) can't be sent"):
        training.launch(print, args=(1, threading.Lock()))
    lock = threading.Lock()
    with pytest.raises(GpuWorkbenchError, match=r"the variable 'lock' \(a lock\)"):
        training.launch(lambda: lock)


@pytest.mark.usefixtures("here")
def test_large_luggage_is_warned_about() -> None:
    with pytest.warns(UserWarning, match=r"2\.0 MB, most of it args\[0\]"):
        job = training.launch(len, ranks=1, args=(bytes(2_000_000),))
    assert job.result(timeout=120) == 2_000_000


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"what": "none.py"}, "There is no script"),
        ({"what": len, "env": {"LD_PRELOAD": "x"}}, "may not set LD_PRELOAD"),
        ({"what": len, "ranks": 0}, "0 ranks"),
        ({"what": len, "per_rank": "900GB"}, "900"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(call: dict[str, Any], words: str) -> None:
    with pytest.raises(GpuWorkbenchError, match=words):
        training.launch(**call)


def test_log_outside_of_a_job_says_so_and_goes_on() -> None:
    with pytest.warns(UserWarning, match="not a rank of a job"):
        training.log(1, loss=0.5)


def test_a_cell_runs_on_every_rank_with_what_it_uses_of_the_notebook(here: LabServer) -> None:
    kernel = here.start_kernel("python3", path="a.ipynb")["id"]
    code = """
%load_ext gpu_workbench
scale, unused = 3.0, open("/dev/null")
told = get_ipython().run_cell_magic("ranks", "2 --per-rank 0.25", '''
import torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.ones(1) * scale
dist.all_reduce(total)
float(total)
''')
print("value", told)
"""
    assert "value 6.0" in run_in_kernel(here, kernel, code, 120)
    watched = run_in_kernel(here, kernel, "import gpu_workbench as gw\ngw.jobs()[0].watch()")
    assert watched.count("succeeded") == 1, "what was watched is not shown again as a value"
    assert run_in_kernel(here, kernel, "gw.jobs()[0]").count("succeeded") == 1
