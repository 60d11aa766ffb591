"""torch's elastic agent, as `torch.distributed.run` starts it, plus one file that says who failed.

Run by the job's supervisor as `python -m gpu_workbench.holders.agent DIR`, or forked from it where
that has torch imported (`start`); every option comes from `PET_*` variables, as with torchrun.
torchrun itself prints the failed ranks as a table for people; here the same facts go to
`agent.json`, so that nobody has to parse a log.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import forks, warmth
from .files import SPEC, append_json_line, read_json, write_json
from .processes import die_with_parent
from .rank import FUNCTION

AGENT = "agent.json"
"""`{"failures": [{rank, pid, exit_code, time}], "error": text or None, "killed_by": signal}`: what
killed the process that ranks are forked from, where they ended with it."""


def start(directory: Path, environment: dict[str, str]) -> subprocess.Popen[bytes] | forks.Child:
    """The agent of the job in `directory`, its output in `agent.log`. Raises `OSError`."""
    log, supervisor = directory / "agent.log", os.getpid()
    if "torch" in sys.modules and warmth.fits(environment) and warmth.is_single():

        def become() -> int:
            die_with_parent(supervisor)
            forks.log_to(log, log)
            forks.as_started(environment, directory)
            return main(directory)

        return forks.child(become)
    return start_program([sys.executable, "-m", __name__, str(directory)], directory, environment)


def start_program(
    command: list[str], directory: Path, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """This command, its output in `agent.log`. Raises `OSError`."""
    with open(directory / "agent.log", "ab", opener=_for_me_only) as log:
        return subprocess.Popen(
            command,
            cwd=directory,  # not the user's: a random.py there is not for the agent
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _for_me_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def main(directory: Path) -> int:
    die_with_parent()
    spec = read_json(directory / SPEC) or {}
    try:
        from torch.distributed import run as torchrun
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    except ImportError as error:
        _tell(directory, error=f"torch can't be imported: {error}")
        return 1
    try:
        os.environ.update(_extra(spec))
    except (Exception, SystemExit) as error:  # its parser exits for a flag that it doesn't know
        _tell(directory, error=f"accelerate: {type(error).__name__}: {error}")
        return 1
    nursery = None
    if _may_fork(directory, spec):
        from . import rank_nursery

        nursery = rank_nursery.serve_from_here(directory)
    _do_not_spread()
    try:
        launcher: Any = torchrun  # it has no types
        launcher.run(launcher.parse_args(["-m", "gpu_workbench.holders.rank", str(directory)]))
    except ChildFailedError as error:
        failures = [_failure(rank, one) for rank, one in error.failures.items()]
        pids = [one["pid"] for one in failures]
        killed_by = None if nursery is None else nursery.took_along(pids)
        _tell(directory, failures, killed_by=killed_by)
        return 1
    except Exception as error:
        _tell(directory, error=f"{type(error).__name__}: {error}")
        raise
    _tell(directory)
    return 0


def _do_not_spread() -> None:
    """Without the random wait, up to 0.3 s, by which many agents would not all come at once."""
    from torch.distributed.elastic.rendezvous import dynamic_rendezvous

    rendezvous: Any = dynamic_rendezvous
    wait = getattr(rendezvous, "_delay", None)
    if wait is not None:  # a range is that one; a number is a wait between two looks
        rendezvous._delay = lambda seconds: isinstance(seconds, tuple) or wait(seconds)


def _may_fork(directory: Path, spec: dict[str, Any]) -> bool:
    """May its ranks be forked? Where not, `events.jsonl` says why."""
    if sys.platform != "linux" or not spec.get("warm", True):
        return False
    why_not = warmth.why_anew(spec.get("script"), directory / FUNCTION, spec["cwd"])
    if why_not:
        line = {"time": time.time(), "event": "started_anew", "why": why_not}
        append_json_line(directory / "events.jsonl", line)
    return why_not is None


def _extra(spec: dict[str, Any]) -> dict[str, str]:
    """Of a job for another launcher that is torchrun and some variables."""
    if spec.get("launcher") != "accelerate":
        return {}
    from .launchers import accelerate_environment

    simulated = all(one["tier"] == "simulated" for one in spec["lease"]["slices"])
    return accelerate_environment(spec.get("launcher_args") or [], int(spec["ranks"]), simulated)


def _failure(rank: int, failure: Any) -> dict[str, Any]:
    return {
        "rank": int(rank),
        "pid": int(failure.pid),
        "exit_code": int(failure.exitcode),
        "time": time.time(),
    }


def _tell(
    directory: Path,
    failures: list[dict[str, Any]] | None = None,
    error: str | None = None,
    killed_by: int | None = None,
) -> None:
    said = {"failures": failures or [], "error": error, "killed_by": killed_by}
    write_json(directory / AGENT, said)


if __name__ == "__main__":
    forks.leave_at_once(lambda: main(Path(sys.argv[1])))
