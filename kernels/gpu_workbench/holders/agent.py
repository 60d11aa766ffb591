"""torch's elastic agent, as `torch.distributed.run` starts it, plus one file that says who failed.

Run by the job's supervisor as `python -m gpu_workbench.holders.agent DIR`; every option comes from
`PET_*` variables, as with torchrun. torchrun itself prints the failed ranks as a table for people;
here the same facts go to `agent.json`, so that nobody has to parse a log.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from .files import SPEC, read_json, write_json
from .processes import die_with_parent

AGENT = "agent.json"
"""`{"failures": [{rank, pid, exit_code, time}], "error": text or None}`"""


def main(directory: Path) -> int:
    die_with_parent()
    try:
        from torch.distributed import run as torchrun
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    except ImportError as error:
        _tell(directory, error=f"torch can't be imported: {error}")
        return 1
    try:
        os.environ.update(_extra(read_json(directory / SPEC) or {}))
    except (Exception, SystemExit) as error:  # its parser exits for a flag that it doesn't know
        _tell(directory, error=f"accelerate: {type(error).__name__}: {error}")
        return 1
    try:
        launcher: Any = torchrun  # it has no types
        launcher.run(launcher.parse_args(["-m", "gpu_workbench.holders.rank", str(directory)]))
    except ChildFailedError as error:
        _tell(directory, failures=[_failure(rank, one) for rank, one in error.failures.items()])
        return 1
    except Exception as error:
        _tell(directory, error=f"{type(error).__name__}: {error}")
        raise
    _tell(directory)
    return 0


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
    directory: Path, failures: list[dict[str, Any]] | None = None, error: str | None = None
) -> None:
    write_json(directory / AGENT, {"failures": failures or [], "error": error})


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
