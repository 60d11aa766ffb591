"""What a caller wants to run, checked before anything is asked for or written."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_workbench import protocol as wire

from ..domain.jobs import MAX_RANKS, placing_flags, refused_variables
from ..errors import BadRequest

MAX_FUNCTION = 64 * 1024 * 1024
MAX_RESTARTS = 100
LEAST_HANG = 1.0


@dataclass(frozen=True, slots=True)
class Order:
    """A `NewJob` that can be run. `env` may hold secrets: it goes into the job's directory only."""

    name: str
    ranks: int
    python: str
    cwd: str
    script: str | None
    args: list[str]
    function: bytes | None
    function_name: str
    max_restarts: int
    hang_seconds: float | None
    launcher: wire.Launcher
    launcher_args: list[str]
    env: dict[str, str] = field(repr=False)

    @property
    def command(self) -> list[str]:
        """For people: what is run."""
        words = {"torch": ["python"], "accelerate": ["accelerate", "launch"], "mpi": ["mpirun"]}
        if self.script is not None:
            return [*words[self.launcher], *self.launcher_args, self.script, *self.args]
        return [f"{self.function_name}()"]

    def spec(self, job_id: str) -> dict[str, Any]:
        """What the supervisor reads; the lease is added when it is granted."""
        return {
            "id": job_id,
            "name": self.name,
            "ranks": self.ranks,
            "script": self.script,
            "args": self.args,
            "cwd": self.cwd,
            "env": self.env,
            "max_restarts": self.max_restarts,
            "hang_seconds": self.hang_seconds,
            "launcher": self.launcher,
            "launcher_args": self.launcher_args,
        }


def read_order(new: wire.NewJob, default_python: str) -> Order:
    """Check it; raises `BadRequest` that says what is wrong."""
    if not 1 <= new.ranks <= MAX_RANKS:
        raise BadRequest(f"{new.ranks} ranks can't be run.", f"Ask for 1 to {MAX_RANKS}.")
    if (new.script is None) == (new.function_b64 is None):
        raise BadRequest(
            "A job runs either a script or a function.",
            "Give exactly one of `script` and `function_b64`.",
        )
    if not 0 <= new.max_restarts <= MAX_RESTARTS:
        raise BadRequest(f"max_restarts is {new.max_restarts}.", f"Give 0 to {MAX_RESTARTS}.")
    if new.hang_seconds is not None and not new.hang_seconds >= LEAST_HANG:
        raise BadRequest(
            f"hang_seconds is {new.hang_seconds:g}.", f"Give {LEAST_HANG:g} or more, or leave it."
        )
    refused = refused_variables(new.env)
    if refused:
        raise BadRequest(
            f"A job may not set {', '.join(refused)}.",
            "These place its ranks or steer the interpreter; set others, or use `python`.",
        )
    if new.launcher == "torch" and new.launcher_args:
        raise BadRequest(
            f"{' '.join(new.launcher_args)}: torch's launcher takes no flags here.",
            "Leave them out: `ranks`, `per_rank` and `max_restarts` say the same.",
        )
    placing = placing_flags(new.launcher_args)
    if placing:
        raise BadRequest(
            f"{', '.join(placing)} would place the ranks.",
            "Leave it out: `ranks` and `per_rank` say how many there are and on what.",
        )
    cwd = _directory(new.cwd)
    script = None if new.script is None else _script(new.script, cwd)
    function_name = new.function_name or "function"
    return Order(
        name=new.name or (os.path.basename(script) if script else function_name),
        ranks=new.ranks,
        python=_interpreter(new.python or default_python),
        cwd=cwd,
        script=script,
        args=list(new.args),
        function=None if new.function_b64 is None else _function(new.function_b64),
        function_name=function_name,
        max_restarts=new.max_restarts,
        hang_seconds=new.hang_seconds,
        launcher=new.launcher,
        launcher_args=list(new.launcher_args),
        env=dict(new.env),
    )


def _directory(cwd: str | None) -> str:
    path = Path(cwd).expanduser() if cwd else Path.home()
    if not path.is_absolute() or not path.is_dir():
        raise BadRequest(f"{path} is no directory here.", "`cwd` must be an absolute path.")
    return str(path)


def _script(script: str, cwd: str) -> str:
    path = Path(cwd) / Path(script).expanduser()
    if not path.is_file():
        raise BadRequest(f"There is no script {path}.", "Give its path relative to `cwd`.")
    return str(path)


def _interpreter(python: str) -> str:
    if not os.path.isabs(python) or not os.access(python, os.X_OK) or os.path.isdir(python):
        raise BadRequest(f"{python} can't be run.", "`python` must be an interpreter's full path.")
    return python


def _function(encoded: str) -> bytes:
    if len(encoded) > MAX_FUNCTION * 4 // 3:
        raise BadRequest(
            f"The function and what it brings is larger than {MAX_FUNCTION >> 20} MB.",
            "Read large data inside the function, from a file, instead of passing it.",
        )
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("`function_b64` is not base64.") from None
