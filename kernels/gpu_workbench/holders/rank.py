"""One rank of a training job: put it on its slice, run the user's code, leave the truth on disk.

Started by torch's elastic agent, or by mpirun, as `python -m gpu_workbench.holders.rank DIR`. Two
stages in one process: the first chooses the rank's slice by LOCAL_RANK, points stdout and stderr at
the rank's own files and then *executes itself again*, so that `/proc/<pid>/environ` says which
slice the rank uses (load is attributed by it) and nothing could have read the environment before it
was right. The second runs the script as `python script.py args` would, the notebook, or the pickled
function. A rank that is forked (`rank_nursery`) has the same two stages without a program between.

Leaves in `DIR/attempt-K/rank-N/`: `rank.json` (pid), `out.log`, `err.log`, then either `done.json`
(and `result.pkl` of a function) or `error.json`. Imports no torch; knows nothing of servers.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoints import newest_whole
from ..protocol import CHECKPOINTS_ENV, RESUME_ENV, RUN_ENV
from .failures import error_record
from .files import SPEC, read_json, write_json
from .forks import log_to
from .launchers import torch_names
from .processes import die_with_parent

if TYPE_CHECKING:
    from ..protocol import Lease
    from .metrics import RunLog

RANK = "rank.json"
DONE = "done.json"
ERROR = "error.json"
RESULT = "result.pkl"
FUNCTION = "function.pkl"


def run_directory(directory: Path, attempt: int, rank: int) -> Path:
    """Where one rank of one attempt keeps its files."""
    return directory / f"attempt-{attempt}" / f"rank-{rank}"


# --- first stage: on its slice ----------------------------------------------------------------


def enter_slice(directory: Path) -> dict[str, str]:
    """Set up this rank's files; returns the environment of the second stage."""
    import msgspec
    import psutil

    from ..protocol import Lease

    die_with_parent()
    os.environ.update(torch_names(os.environ))
    spec = read_json(directory / SPEC) or {}
    rank, local_rank = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    attempt = int(spec.get("first_attempt") or 0) + restarts
    run = run_directory(directory, attempt, rank)
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_to(run / "out.log", run / "err.log")
    lease = msgspec.convert(spec["lease"], Lease)
    started = psutil.Process().create_time()
    slice_id = lease.slices[local_rank].id
    write_json(run / RANK, {"pid": os.getpid(), "started": started, "slice_id": slice_id})
    return {
        **rank_environment(os.environ, lease, local_rank),
        **checkpoint_environment(spec, again=attempt > 0),
        RUN_ENV: str(run),
    }


def second_stage(directory: Path) -> list[str]:
    """The command of it."""
    module = "gpu_workbench.holders.rank"
    return [sys.executable, "-u", "-m", module, str(directory), "--run"]


def rank_environment(base: Mapping[str, str], lease: Lease, local_rank: int) -> dict[str, str]:
    """`base`, as torch's agent made it, for a rank that sees its own slice and nothing else."""
    from ..attach import MANAGED, slice_environment

    mine = lease.slices[local_rank]
    kept = {
        name: value
        for name, value in base.items()
        # The agent's own options would be those of a torchrun inside the user's script, too.
        if name not in MANAGED and not name.startswith("PET_")
    }
    environment = kept | slice_environment(lease, [mine])
    if mine.tier != "simulated":
        # The one device that it sees is number 0, and scripts take the device of their LOCAL_RANK:
        # what torchrun calls --virtual-local-rank.
        environment["LOCAL_RANK"] = "0"
    return environment


def checkpoint_environment(spec: Mapping[str, Any], again: bool) -> dict[str, str]:
    """Where this attempt saves, and what it goes on from.

    Looked up before any rank runs user code, so all ranks of an attempt are told the same. `again`:
    what the job itself has saved since its start counts, and is newer than what it was given.
    """
    where, given = spec.get("checkpoints"), spec.get("resume_from")
    if where is None:
        return {}
    saved = None
    if again:
        since = float(spec.get("started_at") or 0.0)
        saved = newest_whole(Path(where), since, int(spec["ranks"]))
    found = saved or given
    return {CHECKPOINTS_ENV: where} | ({RESUME_ENV: found} if found else {})


# --- second stage: the user's code ------------------------------------------------------------


def run_rank(directory: Path) -> int:
    """Run what the spec says; 0, or non-zero with `error.json` written."""
    from ..attach import apply_memory_caps
    from . import hooks, metrics, stacks

    run = Path(os.environ[RUN_ENV])
    spec = read_json(directory / SPEC) or {}
    stage = "load"
    stacks.arm(run)
    apply_memory_caps()
    stay_near(spec["lease"]["slices"], int(os.environ["RANK"]))
    log = metrics.current()
    if log is not None:
        hooks.install(run, log)
    try:
        os.chdir(spec["cwd"])
        if str(spec.get("script")).endswith(".ipynb"):
            from .notebook import run_notebook

            stage = "run"
            run_notebook(Path(spec["script"]), output_notebook(spec))
        elif spec.get("script"):
            stage = "run"
            run_script(spec["script"], arguments(spec, os.environ.get(RESUME_ENV)))
        else:
            function, args, kwargs = load_function(directory / FUNCTION, spec["cwd"])
            stage = "run"
            value = function(*args, **kwargs)
            keep_result(run, value)
            note_result(value, log)
    except BaseException as error:
        if isinstance(error, SystemExit) and error.code in (None, 0):
            _done(run)
            return 0
        return _failed(run, error, spec, stage)
    _done(run)
    return 0


def arguments(spec: Mapping[str, Any], checkpoint: str | None) -> list[str]:
    """Of a script; with those for going on, where there is a checkpoint."""
    added = spec.get("resume_args") or [] if checkpoint else []
    filled = [one.replace("{checkpoint}", checkpoint or "") for one in added]
    return [*(spec.get("args") or []), *filled]


def stay_near(slices: Sequence[Mapping[str, Any]], rank: int) -> None:
    """Stay on the CPUs beside the rank's GPU, where the driver tells them and we may choose."""
    mine = slices[rank]
    if mine["tier"] == "simulated":
        return
    from .affinity import cpus_near

    allowed = os.sched_getaffinity(0)
    near = allowed.intersection(cpus_near(mine["gpu"]))
    if near:
        os.sched_setaffinity(0, near)


def run_script(script: str, args: list[str]) -> None:
    """As `python script.py args`: its directory first on the path, its globals alive to the end."""
    sys.argv = [script, *args]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    main = types.ModuleType("__main__")
    main.__file__ = script
    main.__dict__["__builtins__"] = __builtins__
    with open(script, "rb") as file:
        code = compile(file.read(), script, "exec", dont_inherit=True)
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def output_notebook(spec: Mapping[str, Any]) -> Path:
    """Where this rank leaves its executed notebook: beside the job's directory of work."""
    rank = os.environ["RANK"]
    suffix = "" if rank == "0" else f"-rank-{rank}"
    return Path(spec["cwd"]) / f"{Path(spec['script']).stem}-{spec['id']}{suffix}.ipynb"


def load_function(path: Path, cwd: str) -> tuple[Callable[..., Any], Sequence[Any], dict[str, Any]]:
    """The pickled `(function, args, kwargs)`."""
    sys.path[0] = cwd
    with path.open("rb") as file:
        function, args, kwargs = pickle.load(file)
    return function, args, kwargs


def keep_result(run: Path, value: Any) -> None:
    """Write the function's value for `job.result()`: whole or not at all.

    A value that can't be pickled does not fail the run, hours of training may lie behind it: the
    reason is kept instead.
    """
    import cloudpickle

    try:
        data = cloudpickle.dumps(value)
    except Exception as error:
        reason = f"returned a {type(value).__name__} that can't be pickled: {error}"
        write_json(run / "result-error.json", {"message": reason})
        return
    part = run / f".{RESULT}"
    part.write_bytes(data)
    os.replace(part, run / RESULT)


def note_result(value: Any, log: RunLog | None) -> None:
    """A number that rank 0 returned is a metric, too: `result`; of a dict, under its names."""
    values = value if isinstance(value, dict) else {"result": value}
    if log is None or os.environ["RANK"] != "0":
        return
    if values and all(isinstance(one, int | float) for one in values.values()):
        log.note_last({str(name): float(one) for name, one in values.items()})


def _done(run: Path) -> None:
    """The explicit word that the work is complete: an exit code alone may come late or never."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    write_json(run / DONE, {"time": time.time()})


def _failed(run: Path, error: BaseException, spec: dict[str, Any], stage: str) -> int:
    from .metrics import read_beat

    beat = read_beat(run)
    root = os.path.dirname(os.path.abspath(spec["script"])) if spec.get("script") else spec["cwd"]
    record = getattr(error, "record", None) or error_record(error, root)
    record |= {"rank": int(os.environ["RANK"]), "step": beat.step if beat else None, "stage": stage}
    print(record["traceback"], file=sys.stderr, flush=True)
    write_json(run / ERROR, record)
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code & 0xFF or 1
    return 1


if __name__ == "__main__":
    job = Path(sys.argv[1])
    if "--run" in sys.argv[2:]:
        sys.exit(run_rank(job))
    stage = enter_slice(job)
    os.execve(sys.executable, second_stage(job), stage)
