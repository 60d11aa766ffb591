"""TensorBoard on a job, started when somebody wants to look; it ends by itself when nobody does.

Knows the job's directory and the engine; what runs there is `gpu_workbench.holders.board`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpu_workbench import protocol as wire

from ..domain.environment import environment_for_holder
from ..errors import Unavailable
from ..ports import Engine, Principal, ProcessSpec
from .job_logs import open_plain
from .sockets import remove_sockets

STATUS = "board/status.json"
"""In a job's directory."""

Place = Callable[[Principal, str], tuple[Path, str]]
"""The directory of somebody's job and its interpreter; raises `NotFound`."""

_MOST = 10_000


class Boards:
    """Thread-safe: the engine starts a key once."""

    def __init__(
        self, place: Place, engine: Engine, environment: Mapping[str, str] | None = None
    ) -> None:
        self._place = place
        self._engine = engine
        inherited = environment_for_holder(os.environ if environment is None else environment)
        self._environment = inherited | {"CUDA_VISIBLE_DEVICES": ""}

    def open(self, who: Principal, job_id: str) -> wire.Board:
        """Start it, or find it running; ask again until it is `ready`.

        Raises `Unavailable` where it could not be started.
        """
        directory, python = self._place(who, job_id)
        key, status = _key(job_id), directory / STATUS
        told = _read(status)
        ready = False
        if self._engine.find(key) is not None:
            ready = "socket" in told
        else:
            _forget(status)
            if "error" in told:
                raise Unavailable(
                    f"TensorBoard could not be started: {told['error']}.",
                    f"Install it where the job runs: {python} -m pip install tensorboard",
                )
            argv = (python, "-m", "gpu_workbench.holders.board", str(directory))
            self._engine.submit(
                ProcessSpec(key=key, argv=argv, env=self._environment, directory=status.parent)
            )
        return wire.Board(path=f"{wire.JOBS_PATH}/{job_id}/tensorboard/", ready=ready)

    def socket(self, who: Principal, job_id: str) -> str | None:
        """Where it listens; None where it does not run."""
        directory, _ = self._place(who, job_id)
        if self._engine.find(_key(job_id)) is None:
            return None
        path = _read(directory / STATUS).get("socket")
        return path if isinstance(path, str) else None

    def tidy(self, jobs: Path) -> None:
        """What those left that were killed, in the directory of all jobs and outside."""
        for status in jobs.glob(f"*/{STATUS}"):
            if "socket" in _read(status) and self._engine.find(_key(status.parts[-3])) is None:
                _forget(status)


def _forget(status: Path) -> None:
    """That of a board which does not run."""
    remove_sockets(str(_read(status).get("socket", "")))
    status.unlink(missing_ok=True)


def _key(job_id: str) -> str:
    return f"{job_id}-board"


def _read(path: Path) -> dict[str, Any]:
    try:
        with open_plain(path) as file:
            found = json.loads(file.read(_MOST))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
