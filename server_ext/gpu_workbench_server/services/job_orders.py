"""What a caller wants to run, checked before anything is asked for or written."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from gpu_workbench import protocol as wire

from ..domain.jobs import MAX_RANKS, placing_flags, refused_variables
from ..errors import BadRequest

MAX_FUNCTION = 64 * 1024 * 1024
MAX_RESTARTS = 100
LEAST_HANG = 1.0


@dataclass(frozen=True, slots=True)
class Order:
    """A spec that can be run: its paths are absolute, it has a name and an interpreter, and its
    function is beside it. Its `env` may hold secrets: it goes into the job's directory only."""

    spec: wire.JobSpec
    function: bytes | None

    @property
    def name(self) -> str:
        return self.spec.name or ""

    @property
    def command(self) -> list[str]:
        """For people: what is run."""
        spec = self.spec
        words = {"torch": ["python"], "accelerate": ["accelerate", "launch"], "mpi": ["mpirun"]}
        if spec.script is not None:
            return [*words[spec.launcher], *spec.launcher_args, spec.script, *spec.args]
        return [f"{spec.function_name}()"]


def read_order(new: wire.JobSpec, default_python: str) -> Order:
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
    if new.resume_args and not any("{checkpoint}" in one for one in new.resume_args):
        raise BadRequest(
            f"{' '.join(new.resume_args)} names no checkpoint.",
            "Write {checkpoint} where its path belongs.",
        )
    cwd = _directory(new.cwd)
    script = None if new.script is None else _script(new.script, cwd)
    function_name = new.function_name or "function"
    spec = replace(
        new,
        function_b64=None,
        function_name=None if script else function_name,
        name=new.name or (os.path.basename(script) if script else function_name),
        python=_interpreter(new.python or default_python),
        cwd=cwd,
        script=script,
        checkpoint_dir=_absolute(new.checkpoint_dir, cwd),
        resume_from=_absolute(new.resume_from, cwd),
    )
    return Order(spec, None if new.function_b64 is None else _function(new.function_b64))


def _absolute(path: str | None, cwd: str) -> str | None:
    return None if path is None else str(Path(cwd) / Path(path).expanduser())


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
