"""Ranks forked from a process that has torch: as if they had been started, and as hard to lose."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from gpu_workbench.holders import warmth
from gpu_workbench_server.engines.local import LocalEngine
from tests.support.runs import FOR_EVER, TWICE, Run
from tests.support.waiting import wait_for

pytest.importorskip("torch")
QUICK = "print('quick')\n"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """One that has torch loaded for the next job."""
    root = tmp_path_factory.mktemp("engine")
    engine = LocalEngine(root / "engine")
    assert not quick(engine, root / "first"), "nothing is warm for the first"
    wait_warm(engine, root)
    yield engine
    engine.close()


def quick(engine: LocalEngine, place: Path) -> bool:
    """Run a job that is over at once; was it forked?"""
    place.mkdir()
    run = Run(place / "job", engine).start(1, script=QUICK)
    forked = run.is_forked
    assert run.ended()["state"] == "succeeded"
    return forked


def wait_warm(engine: LocalEngine, root: Path) -> None:
    """Until the next job is forked. No job runs meanwhile: it would keep busy the CPU whose being
    idle is waited for before torch is imported."""
    made = engine._nurseries._alive.values()
    wait_for(lambda: made and all(one.ready(0) for one in made), 120, "torch is imported")
    assert quick(engine, root / "forked"), "a job is forked"


@pytest.fixture
def run(tmp_path: Path, engine: LocalEngine) -> Iterator[Run]:
    one = Run(tmp_path / "job", engine)
    yield one
    one.close()


FACTS = """
import json, os, random, resource, signal, sys, tempfile, threading
import gpu_workbench as gw
at_start = sorted(sys.modules)
import torch, numpy
def handler(number):
    found = signal.getsignal(number)
    return getattr(found, "__name__", str(found))
drawn = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_ERROR_FILE", "MASTER_PORT")
facts = {
    "argv": sys.argv, "path": sys.path, "flags": str(sys.flags), "executable": sys.executable,
    "name": __name__, "file": __file__, "main": sys.modules["__main__"].__dict__ is globals(),
    "cwd": os.getcwd(), "umask": os.umask(0o22), "nice": os.nice(0),
    "env": {k: v for k, v in os.environ.items() if k not in drawn},
    "leads": [os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid()],
    "handlers": {int(n): handler(n) for n in signal.valid_signals()},
    "blocked": [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
    "files": sorted(os.readlink(f"/proc/self/fd/{n}").split(":")[0].rpartition("/")[2]
                    for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")),
    "streams": [(one.name, one.encoding, one.errors, one.line_buffering, one.write_through)
                for one in (sys.stdin, sys.stdout, sys.stderr)],
    "limits": [resource.getrlimit(one) for one in range(16)],
    "tempdir": tempfile.tempdir, "threads": threading.active_count(),
    "torch": [torch.get_num_threads(), torch.cuda.is_initialized()],
    "debug": str(torch.distributed.get_debug_level()),
}
print(json.dumps({"facts": facts, "drawn": [random.random(), float(numpy.random.rand()),
                                            torch.rand(1).item()]}))
"""


def told(run: Run, rank: int) -> Any:
    return json.loads((run.rank(rank) / "out.log").read_text())


def test_a_forked_rank_finds_what_a_started_one_finds(run: Run, tmp_path: Path) -> None:
    run.start(2, script=FACTS, args=["--x", "1"], id="job-1")
    assert run.is_forked
    assert run.ended()["state"] == "succeeded", (run.rank(0) / "err.log").read_text()
    forked = [told(run, rank) for rank in range(2)]
    run.directory.rename(tmp_path / "forked")
    run.start(2, script=FACTS, args=["--x", "1"], id="job-1", warm=False)
    assert run.ended()["state"] == "succeeded"
    started = [told(run, rank) for rank in range(2)]
    for rank in range(2):
        for name, fact in started[rank]["facts"].items():
            assert forked[rank]["facts"][name] == fact, name
    drawn = [forked[rank]["drawn"] for rank in range(2)]
    assert not set(drawn[0]) & set(drawn[1]), "each draws its own numbers"


LAST_WORDS = """
import atexit, threading, time
kept = open("kept.txt", "w")
kept.write("never closed")
atexit.register(lambda: open("atexit.txt", "w").write("called"))
threading.Thread(target=lambda: (time.sleep(0.5), open("thread.txt", "w").write("done"))).start()
"""


def test_a_forked_rank_ends_as_any_interpreter_does(run: Run, tmp_path: Path) -> None:
    status = run.start(1, script=LAST_WORDS).ended()
    assert status["state"] == "succeeded"
    found = {name: (tmp_path / "work" / f"{name}.txt").read_text() for name in ("kept", "atexit")}
    assert found == {"kept": "never closed", "atexit": "called"}
    assert (tmp_path / "work" / "thread.txt").read_text() == "done"


def test_exit_codes_and_exceptions_of_forked_ranks_are_told(run: Run, tmp_path: Path) -> None:
    script = "import os, sys\nrank = int(os.environ['RANK'])\nif rank: sys.exit(7)\n"
    status = run.start(2, script=script).ended()
    assert (status["state"], status["ranks"][1]["exit_code"]) == ("failed", 7)
    run.directory.rename(tmp_path / "before")
    status = run.start(2, script="raise ValueError('bad shape')\n").ended()
    assert status["ranks"][0]["error"]["message"] == "bad shape"
    assert "holders" not in status["ranks"][0]["error"]["traceback"]


def test_forked_ranks_are_forked_again_after_one_was_killed(run: Run) -> None:
    ranks = run.start(script=TWICE, max_restarts=1).stepping()["ranks"]
    os.kill(ranks[0]["pid"], signal.SIGKILL)
    status = run.ended()
    assert (status["state"], status["attempt"]) == ("succeeded", 1), status


# --- what is started anew ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment, same",
    [
        ({}, True),
        ({"DATA_ROOT": "/data", "WANDB_MODE": "offline"}, True),
        ({"RANK": "1", "TORCHELASTIC_RUN_ID": "x", "CUDA_VISIBLE_DEVICES": "GPU-1"}, True),
        ({"NCCL_DEBUG": "INFO", "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1"}, True),
        ({"OMP_NUM_THREADS": "7"}, False),
        ({"PYTHONHASHSEED": "7"}, False),
        ({"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}, False),
        ({"TORCH_LOGS": "+dynamo"}, False),
        ({"TORCHINDUCTOR_CACHE_DIR": "/x"}, False),
        ({"LD_PRELOAD": "libjemalloc.so"}, False),
        ({"TZ": "Asia/Tokyo"}, False),
    ],
)
def test_an_environment_fits_where_nothing_that_is_read_early_differs(
    environment: dict[str, str], same: bool
) -> None:
    assert warmth.fits(warmth.AT_START | environment) is same


@pytest.mark.parametrize(
    "files, why",
    [
        ({"train.py": "import torch\n"}, None),
        ({"train.py": "import os\nos.environ['OMP_NUM_THREADS'] = '1'\n"}, "OMP_NUM_THREADS"),
        ({"train.py": "import mine\n", "mine.py": "TORCH_LOGS = 'x'\n"}, "mine.py speaks of"),
        ({"train.py": "import a\n", "a/__init__.py": "", "a/b.py": "'MKL_CBWR'\n"}, "MKL_CBWR"),
        ({"train.py": "import torch, b.c as d\n", "b/c.py": "'MKL_CBWR'\n"}, "MKL_CBWR"),
        ({"train.py": "def f():\n    from a import x\n", "a.py": "'MKL_CBWR'\n"}, "MKL_CBWR"),
        ({"train.py": "import data\n", "data/rows.csv": "MKL_CBWR\n"}, None),
        ({"train.py": "import torch\n", "unused.py": "'MKL_CBWR'\n"}, None),
        ({"train.py": "import psutil\n", "psutil.py": ""}, "psutil.py beside it"),
        ({"train.py": "import torch\n", "psutil/readme.txt": ""}, None),
        ({"train.py": "this is no Python OMP_PLACES\n"}, "OMP_PLACES"),
        ({"train.py": "x = os.environ['TORCH_HOME'], os.environ['TORCHELASTIC_RUN_ID']\n"}, None),
    ],
)
def test_a_script_is_started_anew_where_a_fork_could_differ(
    files: dict[str, str], why: str | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = warmth.why_anew(str(tmp_path / "train.py"), tmp_path / "none", str(tmp_path))
    assert (why in found) if why and found else found is why, found


def test_a_variable_that_is_set_before_torch_is_imported_counts(run: Run) -> None:
    script = (
        "import os\nos.environ['TORCH_DISTRIBUTED_DEBUG'] = 'DETAIL'\n"
        "import torch.distributed\nprint(torch.distributed.get_debug_level())\n"
    )
    run.start(1, script=script).ended()
    assert (run.rank(0) / "out.log").read_text().strip().endswith("DETAIL")
    events = [
        json.loads(line) for line in (run.directory / "events.jsonl").read_text().splitlines()
    ]
    assert any("speaks of TORCH_DISTRIBUTED_DEBUG" in one.get("why", "") for one in events)


def test_the_environment_of_a_job_counts_also_where_it_is_read_early(run: Run) -> None:
    script = "import torch\nprint(torch.get_num_threads())\n"
    run.start(1, script=script, env={"OMP_NUM_THREADS": "2"}).ended()
    assert (run.rank(0) / "out.log").read_text() == "2\n"


# --- killed at any moment ---------------------------------------------------------------------


def parent_of(run: Run, generations: int) -> psutil.Process:
    """1: the nursery of rank 0, 2: its agent, 3: its supervisor."""
    process = psutil.Process(run.status["ranks"][0]["pid"])
    for _ in range(generations):
        process = process.parent()
    return process


def nursery_of(engine: LocalEngine) -> psutil.Process:
    (found,) = [
        one
        for one in psutil.Process().children()
        if one.is_running() and "gpu_workbench.holders.nursery" in one.cmdline()
    ]
    return found


def test_a_killed_nursery_of_ranks_is_a_failure_of_them_and_leaves_nothing(run: Run) -> None:
    run.start(script=FOR_EVER, args=["100000"]).stepping()
    parent_of(run, 1).kill()
    status = run.ended()
    assert status["state"] == "failed"
    assert [one["exit_code"] for one in status["ranks"]] == [-signal.SIGKILL] * 2


def test_after_it_the_ranks_are_started_anew_where_restarts_are_left(run: Run) -> None:
    run.start(script=TWICE, max_restarts=1).stepping()
    parent_of(run, 1).kill()
    status = run.ended()
    assert (status["state"], status["attempt"]) == ("succeeded", 1), status


@pytest.mark.parametrize("generations", [2, 3], ids=["agent", "supervisor"])
def test_a_killed_agent_or_supervisor_leaves_nothing(run: Run, generations: int) -> None:
    run.start(script=FOR_EVER, args=["100000"]).stepping()
    parent_of(run, generations).kill()
    wait_for(lambda: not run.family(), what="all are gone")


@pytest.mark.parametrize("how", ["killed", "closed"])
def test_jobs_outlive_what_they_were_forked_from(
    engine: LocalEngine, tmp_path: Path, how: str
) -> None:
    run = Run(tmp_path / "job", engine).start(script=FOR_EVER, args=["100000"])
    try:
        assert run.is_forked
        run.stepping()
        nursery = nursery_of(engine)
        if how == "killed":
            nursery.kill()
        else:
            engine.close()
        wait_for(lambda: not nursery.is_running() or is_zombie(nursery), what="it is gone")
        step = run.status["ranks"][0]["step"]
        wait_for(lambda: run.status["ranks"][0]["step"] > step + 20, what="it goes on")
        assert run.process is not None
        run.process.terminate()
        assert run.ended()["state"] == "stopped"
        # The next one is started, and warms one for those after it.
        assert not quick(engine, tmp_path / "next")
        wait_warm(engine, tmp_path)
    finally:
        run.close()


def is_zombie(process: psutil.Process) -> bool:
    return bool(process.status() == psutil.STATUS_ZOMBIE)
