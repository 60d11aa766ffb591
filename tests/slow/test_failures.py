"""Every way to fail that can be provoked here, with real ranks: which cause is said, and how soon.

Not provoked: what needs a GPU (device memory, a lost GPU, a device assertion, NCCL). How these show
is in tests/unit/domain/test_diagnosis.py.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
import pytest

from gpu_workbench_server.domain.diagnosis import Cause, diagnose
from gpu_workbench_server.services.job_files import JobStatus
from tests.support.runs import FOR_EVER, LOOP, Run
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
pytest.importorskip("torch")

START = """
import os, sys, time, torch, torch.distributed as dist
import gpu_workbench as gw
rank = int(os.environ["RANK"])
"""
GROUP = START + 'dist.init_process_group("gloo")\n'
AT_STEP_6 = "    if rank == 1 and step == 6: "


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    one = Run(tmp_path / "job")
    yield one
    one.close()


def cause_of(run: Run) -> Cause:
    status = msgspec.convert(run.status, JobStatus)
    assert status.state == "failed", run.status
    return diagnose(status.end())


class Case(NamedTuple):
    """A script that fails, and what has to be said of it."""

    script: str
    code: str
    said: tuple[str, ...]
    rank: int | None = 1


CASES = {
    "an exception before any collective": Case(
        START + "if rank == 1: raise ValueError('bad shape')\n" + GROUP,
        "exception",
        ("rank 1: ValueError: bad shape", "at train.py:"),
    ),
    "an exception in the middle": Case(
        LOOP + AT_STEP_6 + "raise ValueError('bad shape')\n",
        "exception",
        ("rank 1: ValueError: bad shape", "after step 7"),
    ),
    "an exception while the others wait in a collective": Case(
        GROUP + "if rank == 1: time.sleep(2); open('x' * 300)\ndist.barrier()\n",
        "exception",
        ("rank 1: OSError", "File name too long"),
    ),
    "a bug on every rank": Case(
        GROUP + "torch.ones(2) @ torch.ones(3)\n", "exception", ("every rank: RuntimeError",), 0
    ),
    "a line that is no Python": Case("for x in\n", "syntax_error", ("SyntaxError",), 0),
    "a module that is not there": Case(
        "import no_such_module\n", "missing_module", ("'no_such_module' is not installed",), 0
    ),
    "arguments that the script refuses": Case(
        "import argparse\nargparse.ArgumentParser().parse_args(['--what'])\n",
        "bad_arguments",
        ("exit code 2",),
        0,
    ),
    "an exit code": Case(START + "sys.exit(7)\n", "exit_code", ("exit code 7",), 0),
    "an exit without a word": Case(
        LOOP + AT_STEP_6 + "os._exit(9)\n", "exit_code", ("rank 1 ended with exit code 9",)
    ),
    "a crash in native code": Case(
        LOOP + AT_STEP_6 + "import ctypes; ctypes.string_at(0)\n", "crashed", ("SIGSEGV",)
    ),
    "abort()": Case(LOOP + AT_STEP_6 + "os.abort()\n", "aborted", ("SIGABRT",)),
    "host memory, by a limit": Case(
        START + "if rank == 1:\n"
        "    import resource\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\n"
        "    bytearray(1 << 40)\n" + GROUP,
        "host_memory",
        ("rank 1: MemoryError",),
    ),
    "host memory, by torch's allocator": Case(
        GROUP + "if rank == 1: torch.empty(1 << 50)\ndist.barrier()\n", "host_memory", ("rank 1",)
    ),
    "a full disk": Case(
        GROUP + "if rank == 1: open('/dev/full', 'w', buffering=1).write('x\\n')\ndist.barrier()\n",
        "disk_full",
        ("No space left on device",),
    ),
    "too many open files": Case(
        GROUP + "if rank == 1:\n"
        "    import resource\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "    kept = [open('/dev/null') for _ in range(100)]\n"
        "dist.barrier()\n",
        "too_many_files",
        ("Too many open files",),
    ),
    "a file that is not there": Case(
        GROUP + "if rank == 1: open('data.csv')\ndist.barrier()\n",
        "missing_file",
        ("data.csv",),
    ),
    "a variable that is not set": Case(
        START + "os.environ['DATA_ROOT']\n", "bad_environment", ("DATA_ROOT",), 0
    ),
    "NCCL where there is no GPU": Case(
        START + 'dist.init_process_group("nccl")\ndist.barrier()\n', "no_gpu", ("NCCL",), 0
    ),
    "CUDA where there is none": Case(
        START + 'torch.ones(1, device="cuda")\n', "no_gpu", ("CUDA",), 0
    ),
    "a wrong port": Case(
        START + "from datetime import timedelta\n"
        "dist.init_process_group('gloo', init_method='tcp://127.0.0.1:9', rank=rank + 1,"
        " world_size=3, timeout=timedelta(seconds=2))\n",
        "rendezvous",
        ("DistNetworkError",),
        0,
    ),
    "a port in use": Case(
        START + "import socket\n"
        "taken = socket.create_server(('127.0.0.1', 0)) if rank == 1 else None\n"
        "if rank == 1: dist.TCPStore('127.0.0.1', taken.getsockname()[1], is_master=True)\n"
        + GROUP,
        "port_taken",
        ("rank 1",),
    ),
    "a collective that one rank never enters": Case(
        START + "from datetime import timedelta\n"
        "dist.init_process_group('gloo', timeout=timedelta(seconds=3))\n"
        "if rank == 1: time.sleep(60)\n"
        "dist.barrier()\n",
        "collective_timeout",
        ("rank 0", "waiting for rank 1"),
        0,
    ),
    "a rank that is done early": Case(
        START + "dist.init_process_group('gloo')\n"
        "if rank == 0: sys.exit(0)\n"
        "dist.all_reduce(torch.ones(1))\n",
        "left_early",
        ("while rank 0 was done already",),
    ),
    "different collectives": Case(
        "import os\nos.environ['TORCH_DISTRIBUTED_DEBUG'] = 'DETAIL'\n" + GROUP +
        "x = torch.ones(2)\n"
        "dist.all_reduce(x) if rank else dist.broadcast(x, 0)\n",
        "collective_mismatch",
        ("mismatch",),
        0,
    ),
    "a data loader's worker that dies": Case(
        START + "import torch.utils.data as data\n"
        "class Rows(data.Dataset):\n"
        "    def __len__(self): return 9\n"
        "    def __getitem__(self, n): os._exit(3)\n"
        "list(data.DataLoader(Rows(), num_workers=1))\n",
        "data_loader",
        ("DataLoader worker",),
        0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_the_cause_is_said(what: str, run: Run) -> None:
    case = CASES[what]
    status = run.start(script=case.script, args=["1000"]).ended(90)
    cause = cause_of(run)
    heard = (cause, status["ranks"])
    assert cause.code == case.code, heard
    assert all(words in cause.sentence for words in case.said), heard
    assert cause.rank == case.rank or "every rank" in cause.sentence, heard


def test_a_killed_rank_is_named_within_seconds(run: Run) -> None:
    ranks = run.start(script=FOR_EVER, args=["100000"]).stepping()["ranks"]
    begun = time.monotonic()
    os.kill(ranks[1]["pid"], signal.SIGKILL)
    run.ended()
    print(f"killed: diagnosis {time.monotonic() - begun:.1f} s after")
    cause = cause_of(run)
    assert (cause.code, cause.rank) == ("killed", 1)


@pytest.mark.parametrize("which", ["torch's agent", "what it forks them from"])
def test_a_killed_launcher_is_told_and_no_rank_is_blamed(run: Run, which: str) -> None:
    ranks = run.start(script=FOR_EVER, args=["100000"]).stepping()["ranks"]
    assert run.process is not None
    (agent,) = psutil.Process(run.process.pid).children()
    nursery = psutil.Process(ranks[0]["pid"]).parent()
    assert nursery is not None and nursery != agent
    (agent if which == "torch's agent" else nursery).kill()
    run.ended()
    cause = cause_of(run)
    assert (cause.code, cause.rank) == ("launcher_killed", None), run.status
    assert "killed by SIGKILL after step" in cause.sentence


def test_a_stopped_rank_is_noticed_and_ended_within_ten_seconds(run: Run) -> None:
    ranks = run.start(script=FOR_EVER, args=["100000"]).stepping()["ranks"]
    begun = time.monotonic()
    os.kill(ranks[1]["pid"], signal.SIGSTOP)
    wait_for(lambda: run.status["ranks"][1]["stuck"], 10, "the frozen rank is noticed")
    noticed = time.monotonic() - begun
    run.ended()
    print(f"frozen: noticed after {noticed:.1f} s, over after {time.monotonic() - begun:.1f} s")
    cause = cause_of(run)
    assert (cause.code, cause.rank) == ("frozen", 1)


def test_a_stopped_rank_is_replaced_where_restarts_are_left(run: Run) -> None:
    ranks = run.start(script=FOR_EVER, args=["150"], max_restarts=1).stepping()["ranks"]
    os.kill(ranks[0]["pid"], signal.SIGSTOP)
    status = run.ended(60)
    assert (status["state"], status["attempt"]) == ("succeeded", 1)


def test_a_job_whose_ranks_are_all_stopped_is_paused_not_frozen(run: Run) -> None:
    pids = [one["pid"] for one in run.start(script=FOR_EVER, args=["100000"]).stepping()["ranks"]]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: all(one["stands"] for one in run.status["ranks"]), 15, "it shows")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not any(one["stands"] for one in run.status["ranks"]), 30, "it goes on")
    assert run.status["state"] == "running"


HANG = LOOP + AT_STEP_6 + "time.sleep(1000)  # hangs here\n"


def test_a_rank_that_hangs_is_named_with_its_line_while_the_others_wait(run: Run) -> None:
    run.start(script=HANG, args=["100000"], hang_seconds=14)
    told = wait_for(
        lambda: next((one["stands"] for one in run.status["ranks"][1:] if one["stands"]), None),
        60,
        "the hang is noticed",
    )
    line = HANG.splitlines().index(AT_STEP_6 + "time.sleep(1000)  # hangs here") + 1
    assert told == f"stands at train.py:{line}"
    assert run.status["ranks"][0]["stands"].startswith("waits at train.py:")
    run.ended(60)
    cause = cause_of(run)
    assert (cause.code, cause.rank) == ("hung", 1)
    assert f"hung at train.py:{line}" in cause.sentence


class Unloadable:
    """Is pickled well and can't be loaded."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return (pickle.loads, (b"cno_such_place\nthing\n.",))


def test_a_function_that_cant_be_rebuilt_on_its_rank(run: Run) -> None:
    run.start(function=(len, (Unloadable(),), {})).ended()
    assert cause_of(run).code == "cannot_load"


MEMORY = Path("/sys/fs/cgroup/memory")


@pytest.mark.skipif(
    not (MEMORY / "memory.limit_in_bytes").exists() or not os.access(MEMORY, os.W_OK),
    reason="needs a memory control group (version 1) that can be made",
)
def test_a_rank_killed_by_the_system_for_memory(run: Run, tmp_path: Path) -> None:
    group = MEMORY / f"gpu-workbench-{os.getpid()}"
    group.mkdir()
    try:
        script = LOOP + "    time.sleep(0.05)\n" + AT_STEP_6 + "kept = bytearray(3 << 30)\n"
        (group / "memory.limit_in_bytes").write_text(str(2 << 30))
        enter = ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
        run.start(script=script, args=["1000"], wrap=enter)
        run.ended(60)
        cause = cause_of(run)
        assert (cause.code, cause.rank) == ("host_memory", 1), run.status
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text(), 10, "the group is empty")
        group.rmdir()
